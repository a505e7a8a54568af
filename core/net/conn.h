/* A connection: bytes in, bytes out, one deadline, and a protocol that knows what they mean.
 *
 * Reading lands in the worker's chunk, or where the protocol wants it (read_at). Writing gathers
 * in the worker while the protocol works and leaves in one call by svl_conn_flush(); what the
 * peer does not take moves to a backlog of the connection's own. An idle connection holds
 * nothing but this struct. Transports (TCP, Unix socket, memory) are below, HTTP above. */
#ifndef SVL_NET_CONN_H
#define SVL_NET_CONN_H

#include "base/chunk.h"
#include "net/worker.h"

#include <sys/uio.h>
#include <time.h>

#define SVL_CONN_STATE 96 /* bytes a protocol has in each connection */
#define SVL_CONN_MAGIC 0x5ec07710u

enum { SVL_WATCH_READ = 1, SVL_WATCH_WRITE = 2, SVL_WATCH_GONE = 4 };

/* How bytes move. Results as of read(2) and write(2): a count, 0 = end, or a negative UV_E*. */
struct svl_transport {
    ssize_t (*read)(struct svl_conn *c, char *to, size_t room);
    ssize_t (*writev)(struct svl_conn *c, const struct iovec *iov, int n, bool more);
    ssize_t (*sendfile)(struct svl_conn *c, int fd, int64_t offset, size_t n);
    void (*watch)(struct svl_conn *c, int events);
    size_t (*unread)(struct svl_conn *c); /* written bytes the peer's system has not taken yet;
                                           * NULL = there are none, ever */
    void (*shutdown)(struct svl_conn *c); /* no more writes */
    void (*discard)(
        struct svl_conn *c); /* what the peer has not got by the close, it shall not get */
    void (*close)(struct svl_conn *c); /* ends in svl_conn_free() */
};

/* What the bytes mean. */
struct svl_protocol {
    const char *name;
    bool outgoing; /* its connections are our own, not the server's clients */
    void (*on_open)(struct svl_conn *c);
    void (*on_data)(struct svl_conn *c, const char *data, size_t n); /* n > 0 */
    void (*on_eof)(struct svl_conn *c);     /* the peer sends no more; it may still read */
    void (*on_drained)(struct svl_conn *c); /* a flush that was blocked is through */
    void (*on_timer)(struct svl_conn *c);
    void (*on_stop)(struct svl_conn *c); /* the server stops: end when it is convenient */
    void (*on_gone)(struct svl_conn *c); /* the last call; give back what state holds */
};

/* What could not be written yet. */
struct svl_out {
    struct svl_chunk *chunk; /* bytes[at, chunk->len) */
    size_t at;
    struct svl_tail tail;
    int64_t size; /* of the tail's file, when it began to wait */
    struct timespec mtime;
};

struct svl_conn {
    uint32_t magic;
    int fd; /* -1 = in memory */
    const struct svl_transport *transport;
    const struct svl_protocol *protocol;
    struct svl_worker *worker;
    struct svl_timer timer;
    struct svl_list link; /* svl_worker::open */
    struct svl_out *out;  /* NULL = nothing is waiting */
    char *read_at;        /* where the next read lands; NULL = in the worker's chunk */
    size_t read_room;
    struct svl_prefetch *prefetch; /* a file's pages are being read for us */
    struct svl_address peer;
    uint64_t id;              /* unique among the workers of a server */
    uint64_t written;         /* bytes the kernel took so far */
    uint64_t unsent;          /* bytes of the tail that were left when it broke */
    uint8_t watching, wanted; /* SVL_WATCH_* */
    bool closed, eof;
    bool crowded;                            /* counted in worker->crowd */
    bool outgoing;                           /* we opened it: not one of the server's clients */
    bool broken;                             /* writing failed: the next svl_conn_flush() closes */
    _Alignas(16) char state[SVL_CONN_STATE]; /* the protocol's, zeroed */
};

/* Bytes of a connection with its largest transport. */
size_t svl_conn_size(void);

/* A connected socket becomes a connection; the fd is ours from now on, also on failure. */
int svl_conn_open_fd(struct svl_worker *worker, int fd, const struct svl_address *peer,
                     const struct svl_protocol *protocol);

/* The same for one that we opened ourselves: a socket, connected or about to be (what is written
 * waits for that), or an end of a pipe. It counts as nobody's client, and while it is not read its
 * peer may leave without anything being lost. NULL when it cannot be watched. */
struct svl_conn *svl_conn_open_outgoing(struct svl_worker *worker, int fd,
                                        const struct svl_protocol *protocol);

/* For transports: takes a zeroed one from the pool; announces it; frees it. */
struct svl_conn *svl_conn_new(struct svl_worker *worker, const struct svl_transport *transport,
                              const struct svl_protocol *protocol);
void svl_conn_start(struct svl_conn *c);
void svl_conn_free(struct svl_conn *c);

/* For transports: events have come. */
void svl_conn_ready(struct svl_conn *c, int events);

/* Closes at once; on_gone is called before it returns. The struct lives until the loop's next
 * round. Twice is fine. */
void svl_conn_close(struct svl_conn *c);

/* Whether bytes are read. Off, the kernel holds the peer back. */
void svl_conn_read(struct svl_conn *c, bool on);

/* Writing --------------------------------------------------------------------------------- */

/* Room for n bytes, to be followed by svl_conn_commit() of at most n. */
char *svl_conn_reserve(struct svl_conn *c, size_t n);
void svl_conn_commit(struct svl_conn *c, size_t n);

/* What follows everything committed so far, without a copy: it must stay valid until the flush
 * is through or the connection has gone. Then nothing may be added before that. */
void svl_conn_tail(struct svl_conn *c, const struct svl_tail *tail);

enum svl_flush {
    SVL_FLUSHED, /* all of it is with the kernel */
    SVL_BLOCKED, /* on_drained follows */
    SVL_GONE,    /* closed: on_gone was called */
};
enum svl_flush svl_conn_flush(struct svl_conn *c);

/* Bytes of the tail that have not been sent; still right in on_gone. */
static inline uint64_t svl_conn_unsent(const struct svl_conn *c)
{
    if (c->broken)
        return c->unsent;
    return c->out && c->out->tail.kind != SVL_TAIL_NONE ? c->out->tail.left : 0;
}

/* Bytes that the peer's system has taken so far, as far as one can tell. */
uint64_t svl_conn_delivered(struct svl_conn *c);

/* Lets others have a turn: on_drained follows when the loop comes round. */
void svl_conn_yield(struct svl_conn *c);

/* Whether a flush is blocked. */
static inline bool svl_conn_blocked(const struct svl_conn *c)
{
    return c->out != NULL;
}

static inline void svl_conn_deadline(struct svl_conn *c, unsigned ms)
{
    svl_timer_set(&c->worker->timers, &c->timer, svl_now_ms(c->worker), ms);
}

/* prefetch.c: whether sending that part of a file would not wait for the disk. If not, it is
 * read by another thread, and then svl_conn_ready(c, SVL_WATCH_WRITE) is called. */
bool svl_prefetch_ready(struct svl_conn *c, int fd, int64_t offset, size_t n);
void svl_prefetch_forget(struct svl_conn *c);

#endif
