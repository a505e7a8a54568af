/* Dialing: from addresses to a connected socket, without waiting. The attempts follow each other as
 * RFC 8305 has it: the next one begins when the one before has failed, or has taken 250 ms, and the first
 * that is through wins. */
#ifndef SVL_NET_DIAL_H
#define SVL_NET_DIAL_H

#include "net/resolve.h"

struct svl_dial;
struct svl_attempt;

/* fd: a connected socket, from now on the caller's; or UV_E*: of the last attempt that failed,
 * UV_ETIMEDOUT when ms have passed. */
typedef void svl_dialed_fn(struct svl_dial *dial, int fd, const struct svl_address *peer);

/* Embedded in who waits. Zeroed at first. */
struct svl_dial {
    struct svl_worker *worker;
    svl_dialed_fn *done;
    struct svl_addresses to;
    struct svl_address from; /* where from; family 0 = anywhere */
    unsigned next;           /* to.at[next] is to be tried */
    struct svl_attempt *attempts;
    struct svl_timer timer, deadline;
    int error;
};

/* done() follows once, never before these return. */
void svl_dial_start(struct svl_dial *dial, struct svl_worker *worker,
                    const struct svl_addresses *to, uint16_t port, const struct svl_address *from,
                    unsigned ms, svl_dialed_fn *done);
void svl_dial_unix(struct svl_dial *dial, struct svl_worker *worker, svl_str path, unsigned ms,
                   svl_dialed_fn *done);

/* A socket of somebody else's that is connecting, or an error instead of one. */
void svl_dial_fd(struct svl_dial *dial, struct svl_worker *worker, int fd, unsigned ms,
                 svl_dialed_fn *done);

/* done() is not called. Fine for one that was never started. */
void svl_dial_cancel(struct svl_dial *dial);

#endif
