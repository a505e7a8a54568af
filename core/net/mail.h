/* Mail: what other threads want a worker to do. Lock-free, in the order of each sender. */
#ifndef SVL_NET_MAIL_H
#define SVL_NET_MAIL_H

#include <stdatomic.h>

struct svl_worker;
struct svl_mail;
typedef void svl_mail_fn(struct svl_mail *mail);

/* Embedded in what it is about; its sender must not touch it any more once it is sent. */
struct svl_mail {
    struct svl_mail *next;
    svl_mail_fn *run; /* on the loop thread; may free the mail */
};

struct svl_mailbox {
    _Atomic(struct svl_mail *) last; /* newest first */
};

/* Any thread, until the worker is closed. What is not run by then is run by closing. */
void svl_mail_send(struct svl_worker *worker, struct svl_mail *mail);

/* Runs what has come, in the order it came. Returns whether there was any. */
int svl_mail_run(struct svl_worker *worker);

#endif
