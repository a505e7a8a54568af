/* A worker: one thread, one loop, and everything that its connections share. Nothing here is
 * shared with another worker. */
#ifndef SVL_NET_WORKER_H
#define SVL_NET_WORKER_H

#include "base/chunk.h"
#include "base/handles.h"
#include "base/list.h"
#include "base/pool.h"
#include "http/write.h"
#include "net/deadline.h"
#include "net/mail.h"
#include "net/share.h"
#include "serval/ctx.h"

#include <stdatomic.h>

struct svl_conn;
struct svl_server;
struct svl_listener;
struct svl_offload;
struct svl_crowd;

/* Answers of one round of reading gather here and leave in one write. */
#define SVL_GATHER_SIZE 65536

enum svl_tail_kind { SVL_TAIL_NONE, SVL_TAIL_BYTES, SVL_TAIL_FILE };

/* What follows the gathered bytes without being copied. */
struct svl_tail {
    enum svl_tail_kind kind;
    int fd;
    const char *bytes;
    int64_t offset;
    uint64_t left;
};

struct svl_gather {
    struct svl_conn *owner; /* whose answers these are; NULL = free */
    char *bytes;
    size_t len;
    struct svl_tail tail;
};

/* A part of a file that was in the page cache a moment ago, for prefetch.c. */
#define SVL_AT_HAND 16
struct svl_at_hand {
    int fd;
    int64_t offset;
    size_t n;
    uint64_t until_ms;
};

/* Something of run/ that has connections of its own and ends with the worker. */
struct svl_attached {
    struct svl_list link;
    void (*close)(struct svl_attached *attached); /* takes its link out of the list */
};

/* What the loop is busy with, for run/watchdog.c. */
struct svl_watch {
    _Atomic(uintptr_t) link;       /* a struct svl_link, see watchdog.h; 0 = no hook runs */
    _Atomic(const char *) doing;   /* svl_doing(), */
    _Atomic(uintptr_t) doing_link; /* and who said it, marked */
    atomic_ulong stalls;           /* hooks that took too long */
};

/* Written by the worker, read by any thread. */
struct svl_tally {
    atomic_ulong accepted, open, requests, in_flight, refused;
};

static inline void svl_tally_add(atomic_ulong *count, long n)
{
    unsigned long now = atomic_load_explicit(count, memory_order_relaxed);

    atomic_store_explicit(count, now + (unsigned long)n, memory_order_relaxed);
}

static inline unsigned long svl_tally_read(const atomic_ulong *count)
{
    return atomic_load_explicit((atomic_ulong *)count, memory_order_relaxed);
}

struct svl_worker {
    struct uv_loop_s *loop;
    struct svl_server *server; /* run/: whose worker this is */
    const void *service;       /* run/: what the protocol serves, see h1.h */
    unsigned index;
    int cpu; /* the one to stay on, -1 = any */

    struct svl_timers timers;
    struct svl_chunk_store chunks;
    struct svl_pool conns, outs;       /* net/ */
    struct svl_pool exchanges, blocks; /* run/ */
    struct svl_pool segments;          /* run/: of streams */
    size_t max_memory;                 /* see svl_worker_is_full() */
    struct svl_list later;             /* svl_task::link */
    struct svl_list open;              /* svl_conn::link */
    struct svl_list children;          /* svl_child::link */
    struct svl_list attached;          /* svl_attached::link */
    unsigned n_open;
    unsigned max_open; /* connections; above it accepting waits */
    struct svl_listener *listeners;

    struct svl_chunk *reading; /* bytes[len, cap) is where the next read lands */
    bool pinned;               /* somebody keeps what was read in this round */
    bool rewatched; /* what is watched has changed: libuv tells the kernel in the next round */
    struct svl_gather gather;
    struct svl_at_hand at_hand[SVL_AT_HAND];
    struct svl_turn turn;

    struct svl_watch watch;
    struct svl_tally tally;
    struct svl_crowd *crowd; /* the server's; NULL = addresses are not counted */
    bool no_date;
    bool reduce_memory;
    struct svl_mailbox mailbox;
    struct svl_offload *offload;       /* the server's; NULL = there is none */
    struct svl_handles handles_of_ctx; /* run/: what svl_ref points at */

    svl_str name; /* for the Server field */
    struct svl_preamble preamble;
    int64_t second;          /* the wall clock's */
    uint64_t second_ends_ms; /* by the loop's clock */
    uint64_t ahead_ms;       /* tests: how far deadlines are ahead of the loop's clock */

    atomic_int stop; /* 0, 1 = drain, 2 = now; set by any thread, then woken */
    int stopping;    /* what of it was seen */
    unsigned grace_ms;
    struct svl_timer grace;
    bool forced; /* connections had to be closed after the grace */

    bool guest;      /* the loop is somebody else's, who runs it */
    bool until_idle; /* svl_worker_run() returns when no connection is left */
    void (*on_ended)(struct svl_worker *w); /* a guest was stopped and the last one has gone */
    struct svl_task ended;
    void (*on_closed)(struct svl_worker *w); /* see svl_worker_close() */
    unsigned jobs;                           /* of libuv's threads that will still report */
    void *handles;                           /* worker.c: the loop's own handles */
};

/* Makes the pools, and a loop if worker->loop is NULL; otherwise it is a guest of that one. Returns
 * 0 or UV_E*. */
int svl_worker_open(struct svl_worker *worker);

/* Whether it would take another connection. */
static inline bool svl_worker_takes(const struct svl_worker *worker)
{
    return worker->stopping == 0 && svl_tally_read(&worker->tally.open) < worker->max_open;
}

/* Serves until it was stopped and the last connection has gone. */
void svl_worker_run(struct svl_worker *worker);

/* One round of the loop, for tests; `wait` = not before there is something to do. */
void svl_worker_poll(struct svl_worker *worker, bool wait);

/* What svl_worker_poll() can be waited for by: see svl_server_fd() and svl_server_timeout(). */
int svl_worker_fd(const struct svl_worker *worker);
int svl_worker_timeout(struct svl_worker *worker);

/* Any thread, and signal handlers. The second call does not wait for connections. */
void svl_worker_stop(struct svl_worker *worker);

/* Runs a task at the end of this round. Fine for one that is waiting already; svl_list_remove() of
 * its link takes it back. */
void svl_worker_later(struct svl_worker *worker, struct svl_task *task);

/* Bytes that connections, requests and answers hold now. What handlers have taken from elsewhere,
 * and what the kernel keeps in sockets, is not in it. */
static inline size_t svl_worker_memory(const struct svl_worker *w)
{
    const struct svl_pool *chunks = w->chunks.classes;

    return w->chunks.large + chunks[0].live * chunks[0].size + chunks[1].live * chunks[1].size +
           chunks[2].live * chunks[2].size + w->conns.live * w->conns.size +
           w->exchanges.live * w->exchanges.size + w->blocks.live * w->blocks.size +
           w->segments.live * w->segments.size;
}

/* Whether that is more than it may: then new requests and growing bodies are refused. */
static inline bool svl_worker_is_full(const struct svl_worker *w)
{
    return svl_worker_memory(w) > w->max_memory;
}

/* Any thread: the loop comes round and runs the mail. */
void svl_worker_wake(struct svl_worker *worker);

/* After run. Closes what is left, then calls on_closed: before it returns, but for a guest when
 * the loop has come round. */
void svl_worker_close(struct svl_worker *worker);

/* Any thread: whether libuv can start its threads. To be asked before it gets a job, because it
 * aborts when it cannot. */
bool svl_worker_has_threads(void);

/* A job of libuv's threads has reported. */
void svl_worker_job_done(struct svl_worker *worker);

/* The preamble of answers of this second. */
const struct svl_preamble *svl_worker_preamble(struct svl_worker *worker);

/* Before a read: where it lands, at least 16 KiB. */
struct svl_chunk *svl_worker_reading(struct svl_worker *worker);

/* Keeps the chunk that is being read from, as it is now; unref it when done. */
struct svl_chunk *svl_worker_pin(struct svl_worker *worker);

/* After what was read has been dealt with; `n` bytes had landed. */
void svl_worker_read_done(struct svl_worker *worker, size_t n);

/* conn.c: connections went; the listeners may have been waiting for that. */
void svl_worker_conn_gone(struct svl_worker *worker);

#endif
