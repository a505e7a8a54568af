/* A connection without a socket, for the programs here that measure a server or a client from within: each says what is
 * read from it and what becomes of what is written, and nobody waits. */
#ifndef FAKE_H
#define FAKE_H

#include "net/conn.h"

#include <sys/uio.h>

static inline size_t fake_length(const struct iovec *iov, int n)
{
    size_t total = 0;

    for (int i = 0; i < n; i++)
        total += iov[i].iov_len;
    return total;
}

static inline void fake_watch(struct svl_conn *c, int events)
{
    (void)c, (void)events;
}

static inline void fake_shutdown(struct svl_conn *c)
{
    (void)c;
}

static inline void fake_close(struct svl_conn *c)
{
    svl_conn_free(c);
}

#define FAKE_TRANSPORT(read_, writev_)                                                             \
    {                                                                                              \
        .read = (read_), .writev = (writev_), .watch = fake_watch, .shutdown = fake_shutdown,      \
        .close = fake_close                                                                        \
    }

#endif
