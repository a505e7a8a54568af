/* Connections that do not speak HTTP: one that is taken over after an answer, or one to a back end. */
#ifndef SVL_HIJACK_H
#define SVL_HIJACK_H

#include "serval/ctx.h"

/* A connection that is no longer HTTP. Lives until on_gone; one loop thread. */
struct svl_raw;

/* All but on_data may be NULL. */
struct svl_raw_events {
    void (*on_open)(struct svl_raw *raw, void *arg); /* the answer is out */
    /* Bytes have come; those the client sent behind its request come first. Valid during the
     * call. */
    void (*on_data)(struct svl_raw *raw, void *arg, svl_str data);
    void (*on_eof)(struct svl_raw *raw, void *arg);     /* it sends no more; NULL = close */
    void (*on_drained)(struct svl_raw *raw, void *arg); /* what was written is with the kernel */
    void (*on_stop)(struct svl_raw *raw, void *arg);    /* the server stops; NULL = close */
    void (*on_gone)(struct svl_raw *raw, void *arg);    /* the last call, always */
};

/* When the answer has been sent and the request was read, the connection is `events`' instead of
 * being closed or kept. `events` and arg must stay valid until on_gone, which is called even if
 * the client leaves before. The rest of the request's body must have been awaited, or there is
 * none: otherwise the connection ends, and only on_gone comes, with raw NULL. */
void svl_hijack(struct svl_ctx *ctx, const struct svl_raw_events *events, void *arg);

/* The answer 101 (RFC 9110 15.2.2) to a request whose Upgrade names `protocol`, then as
 * svl_hijack(). Returns SVL_DONE; or 426 with Upgrade as an answer if the request does not. */
enum svl_verdict svl_switch(struct svl_ctx *ctx, svl_str protocol,
                            const struct svl_raw_events *events, void *arg);

/* A connection of our own becomes one of the worker's, as if it had been taken over: for back ends.
 * `fd` is non-blocking and close-on-exec, a stream socket or an end of a pipe, and belongs to the
 * connection from now on, also on failure. A socket may still be connecting: what is written waits
 * for that, on_drained tells that it has left; when it cannot connect, on_gone follows. on_open is not
 * called. While it is not read, its peer may leave and nothing of what it sent is lost. It is nobody
 * of the server's clients: no limit, count or deadline of those holds. NULL when it cannot be
 * watched. Loop thread of the worker. */
struct svl_raw *svl_raw_open(struct svl_worker *worker, int fd, const struct svl_raw_events *events,
                             void *arg);

/* Copies the bytes and sends them at the end of the current callback, or at once from elsewhere.
 * Returns false when the client does not keep up: then wait for on_drained, the bytes are kept. */
bool svl_raw_write(struct svl_raw *raw, svl_str bytes);

/* Whether on_data is called; off, the client is held back. On at first. */
void svl_raw_read(struct svl_raw *raw, bool on);

/* Closes if nothing was read or written for so long; 0 = never, as at first. */
void svl_raw_idle(struct svl_raw *raw, unsigned ms);

/* Closes when everything written is out. on_gone may come before this returns. */
void svl_raw_close(struct svl_raw *raw);

/* Closes at once, whatever was not sent. on_gone comes before this returns. */
void svl_raw_abort(struct svl_raw *raw);

/* In on_open: the socket is the caller's from now on, nonblocking, and *rest what the client has sent
 * behind its request, valid during on_open. on_gone comes before this returns. Returns the descriptor;
 * -errno if it cannot be had (-ENOTSOCK in memory), and nothing has changed. */
int svl_raw_take(struct svl_raw *raw, svl_str *rest);

const struct svl_address *svl_raw_peer(const struct svl_raw *raw);
struct svl_worker *svl_raw_worker(const struct svl_raw *raw);

#endif
