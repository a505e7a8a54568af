/* The in-memory transport: a connection without a socket. What is fed to it is what the peer
 * sent; what it wrote is collected. For tests, fuzzing and benchmarks. */
#ifndef SVL_NET_TRANSPORT_H
#define SVL_NET_TRANSPORT_H

#include "net/conn.h"

/* The peer's side. Belongs to the caller; valid until the connection has called on_closed. */
struct svl_mem {
    struct svl_conn *conn; /* NULL once it has been closed */

    /* What the connection wrote: returns how much of it is taken, 0 = nothing now. */
    size_t (*on_write)(struct svl_mem *mem, const char *bytes, size_t n);
    void (*on_shutdown)(struct svl_mem *mem); /* may be NULL */
    void (*on_closed)(struct svl_mem *mem);   /* may be NULL */
    void *arg;
    struct svl_address peer; /* who it says it is; all zero = in memory */

    const char *in; /* fed and not yet read: [in, in + left) */
    size_t left;
    bool eof;
    bool broken; /* writing fails, as to a peer that has reset the connection */
    int watching;
};

/* Opens a connection; mem's callbacks must be set. */
void svl_mem_open(struct svl_mem *mem, struct svl_worker *worker,
                  const struct svl_protocol *protocol);

/* The peer sends bytes: they are read at once, as far as the connection wants to read. Returns
 * how many were left unread; they must stay valid until svl_mem_pump() has read them. */
size_t svl_mem_feed(struct svl_mem *mem, const char *bytes, size_t n);

/* Goes on after the connection may want to read again, or on_write would take more. */
void svl_mem_pump(struct svl_mem *mem);

/* The peer sends no more; or is gone altogether. */
void svl_mem_eof(struct svl_mem *mem);
void svl_mem_reset(struct svl_mem *mem);

#endif
