/* Servers: configure, run, stop. */
#ifndef SVL_SERVER_H
#define SVL_SERVER_H

#include "serval/module.h"

#define SVL_MAX_LISTEN 16 /* addresses of one server */
#define SVL_MAX_LINKS 32  /* modules in one chain */

struct svl_server;
struct svl_pipe;  /* pipe.h */
struct uv_loop_s; /* libuv's uv_loop_t */

/* Hooks of a server. All are called on the loop thread of a worker, with svl_server_config::hook_arg,
 * and must not block. */

/* The head of a request has come, nothing of its body was asked for yet. Stands outside the chain and
 * is a hook like those in it: svl_body_limit(ctx, ...) and svl_deadline(self, ctx, ...) hold for this
 * request, SVL_NEXT lets it pass, and an answer refuses it: 417 before a byte of the body is sent. */
typedef enum svl_verdict svl_head_fn(const struct svl_link *self, struct svl_ctx *ctx, void *arg);

/* svl_fail() has made an error page (status >= 400): the core's own refusals (400, 408, 413, 414, 431,
 * 501, 505 ...), what nobody answered (404), what failed (500), and modules' and handlers' calls.
 * The answer may be changed in any way, `status` included, by all calls that answer at once. Whether
 * the connection closes is not the hook's to say. */
typedef void svl_error_fn(struct svl_ctx *ctx, int status, const char *why, void *arg);

/* Whether a connection from there is taken. If not it is closed without a word, and nobody is told. */
typedef bool svl_accept_fn(const struct svl_address *peer, void *arg);

/* What became of a connection. */
enum svl_connection_state {
    SVL_CONNECTION_NEW,
    SVL_CONNECTION_ACTIVE,   /* the first byte of a request was read */
    SVL_CONNECTION_IDLE,     /* everything asked for is answered */
    SVL_CONNECTION_HIJACKED, /* no longer HTTP: the last state that is told */
    SVL_CONNECTION_CLOSED,   /* the last one otherwise */
};

struct svl_connection {
    uint64_t id;             /* unique in its server, never 0 */
    struct svl_address peer; /* who is at the other end */
    unsigned requests;       /* heads received so far */
    struct svl_worker *worker;
};

/* `connection` is valid during the call. The hook must not close or answer anything. */
typedef void svl_state_fn(enum svl_connection_state state, const struct svl_connection *connection,
                          void *arg);

/* Zero means "the default" everywhere. Copied by svl_server_open(), except the texts and what
 * the chain's configs point at, which must stay valid as long as the server. */
struct svl_server_config {
    /* "8080" and ":8080" (all addresses), "127.0.0.1:8080", "[::1]:8080",
     * "unix:/run/x.sock" or "unix:/run/x.sock,mode=660", "fd:3" (a listening socket that was
     * inherited). Port 0 takes a free one. None at all: no listener, for tests and embedding. */
    const char *listen[SVL_MAX_LISTEN];

    const struct svl_use *chain; /* SVL_USE_END at the end; NULL = no modules */
    svl_handler_fn *handler;     /* asked behind the chain, with the whole body; may be NULL */
    void *handler_arg;

    unsigned workers; /* threads with a loop each; 0 = one per CPU this process may use */
    bool pin_workers; /* each worker stays on one CPU */
    unsigned backlog; /* connections the kernel queues; 0 = 1024 */
    const char *name; /* Server field; NULL = "serval", "" = none is sent */

    /* svl_offload(): threads for work that blocks, shared by the workers, started when needed. */
    unsigned offload_threads; /* 0 = four for each worker */
    unsigned offload_queue;   /* jobs that wait for one; 0 = 1024; above it 503 */

    /* A hook or handler that holds its worker's loop longer is named in the log. 0 = 200 ms,
     * SVL_NEVER (async.h) = do not watch. */
    unsigned watchdog_ms;

    /* Limits, and the status when one is passed. */
    size_t max_target;        /* request target, bytes; 0 = 8192; 414 */
    size_t max_head;          /* request line and fields, bytes; 0 = 16384; 431 */
    unsigned max_fields;      /* 0 = 100, at most 250; 431 */
    size_t max_body;          /* a body that is awaited whole; 0 = 1 MiB; 413 */
    unsigned max_connections; /* of the server; 0 = what the descriptor limit allows */
    unsigned max_requests;    /* per connection, then it closes; 0 = no limit */

    /* Deadlines in milliseconds. */
    unsigned header_ms; /* first byte to end of the head; 0 = 10 s; 408 */
    unsigned body_ms;   /* between two pieces of a body; 0 = 10 s; 408 */
    unsigned idle_ms;   /* wait for the next request; 0 = 60 s; close */
    unsigned write_ms;  /* without any progress of an answer; 0 = 60 s; close */
    unsigned linger_ms; /* wait for the client's close after ours; 0 = 2 s */
    unsigned grace_ms;  /* from svl_server_stop() to closing what is left; 0 = 10 s */

    /* The least bytes per second, over each body_ms or write_ms of waiting for the client; SVL_NEVER
     * (async.h) = any progress will do. A head has header_ms as a whole. */
    unsigned min_body_rate;  /* of a body that is awaited or streamed; 0 = 240; 408 */
    unsigned min_write_rate; /* of an answer, as the client takes it; 0 = 240; close */

    /* Switches. */
    bool no_date;       /* answers without Date: only for hosts without a clock (RFC 9110 6.6.1) */
    bool no_keep_alive; /* every answer is its connection's last */
    bool get_only;      /* other methods than GET and HEAD: 405 */
    bool reduce_memory; /* what a peak has taken is given back when connections close */
    const char *default_type; /* Content-Type of bodies that have none; NULL = none is sent */

    /* More limits. Unix sockets have no address and are not limited by it. */
    unsigned max_per_address; /* connections of one client address; 0 = no limit; 429, close */
    unsigned address_prefix;  /* leading bits of an IPv6 address that make one client; 0 = 64 */
    unsigned max_in_flight;   /* requests being answered, all workers; 0 = no limit; 503 */
    size_t max_memory; /* bytes that connections, heads, bodies and answers hold, all workers;
                               * above it new requests and growing bodies get 503, and nothing that
                               * has begun is given up. 0 = half of what the machine or its control
                               * group has, SIZE_MAX = no limit */
    /* Bytes of that which one connection may hold: above it 431 for a head, 413 for a body that is
     * awaited whole or what is made of it; streams and pipelined requests wait. 0 = 16 MiB, or 8 times
     * max_body and 64 KiB if that is more; at least 256 KiB, SIZE_MAX = no limit. */
    size_t max_connection_memory;
    unsigned retry_after; /* seconds, in the Retry-After of those 503s; 0 = 1 */

    svl_accept_fn *on_accept; /* NULL = all are taken */
    svl_head_fn *on_head;     /* NULL = all pass */
    svl_error_fn *on_error;   /* NULL = a line of plain text */
    svl_state_fn *on_state;   /* NULL = nobody is told */
    void *hook_arg;

    /* The caller's own loop, which serves while it runs: the server has one worker, is not run by
     * svl_server_run(), not watched by the watchdog, and used on the thread of that loop. NULL =
     * each worker has a loop of its own. */
    struct uv_loop_s *loop;
    /* With such a loop: after svl_server_stop() the last connection has ended. It may close the
     * server. NULL = nobody is told. */
    void (*on_stopped)(struct svl_server *server, void *hook_arg);
};

/* Checks the config, sets up the modules and listens. Returns 0, or <0 after saying why with
 * svl_log(): UV_EADDRINUSE, UV_EACCES ..., SVL_EBADADDR, SVL_ECONFIG; nothing is left behind. */
int svl_server_open(struct svl_server **server, const struct svl_server_config *config);

/* The address that listen[index] got, as "http://127.0.0.1:8080/" or "unix:/run/x.sock"; valid
 * as long as the server, NULL behind the last one. */
const char *svl_server_address(const struct svl_server *server, unsigned index);

/* How many workers it has. */
unsigned svl_server_workers(const struct svl_server *server);

/* Any thread: one more connection, whose other end is returned; close it with svl_pipe_close().
 * Nothing is asked of the network. `from` is who the client says it is, NULL = "memory". A server
 * that stops, or has no room for it, closes it at once. */
struct svl_pipe *svl_server_dial(struct svl_server *server, const struct svl_address *from);

/* Any thread: serves a connected socket (TCP or Unix), which is the server's from now on, also on
 * failure. Returns 0, UV_ENOTSOCK ..., or SVL_ELIMIT above max_connections. */
int svl_server_take(struct svl_server *server, int fd);

/* Serves on this thread and the other workers' until svl_server_stop(). Returns 0 when every
 * connection ended by itself, SVL_EGONE when some had to be closed after the grace, SVL_ESTATE when
 * the loop is the caller's. */
int svl_server_run(struct svl_server *server);

/* Instead of svl_server_run(), for a test that does all on one thread: one round of the loop of a
 * server with one worker. `wait`: not before there is something to do. */
void svl_server_poll(struct svl_server *server, bool wait);

/* For a thread that waits for other things too: what becomes readable when the next round has something
 * to do (an epoll descriptor, so it can be waited for in any way), and after how many milliseconds it has
 * in any case; -1 = not by itself. Of a server with one worker, on the thread that calls the above. */
int svl_server_fd(const struct svl_server *server);
int svl_server_timeout(struct svl_server *server);

/* Any thread, and signal handlers: stop accepting, close idle connections, finish what is being
 * answered, then svl_server_run() returns. The second call closes at once. */
void svl_server_stop(struct svl_server *server);

/* Any thread: what goes on, a moment ago. Workers are asked one after the other. */
struct svl_counts {
    uint64_t connections; /* taken so far */
    uint64_t open;        /* of them now, hijacked ones too */
    uint64_t requests;    /* heads received so far that were not refused */
    uint64_t in_flight;   /* of them now: waiting for a body, a handler or their client */
    uint64_t refused; /* connections by max_per_address, requests by max_in_flight and max_memory */
};
void svl_server_counts(const struct svl_server *server, struct svl_counts *counts);

/* Any thread: how often the watchdog has found a hook that took too long. */
unsigned long long svl_server_stalls(const struct svl_server *server);

/* Any thread: no new connections any more; those there are go on. Listening sockets are closed soon. */
void svl_server_quiesce(struct svl_server *server);

/* After svl_server_run(), or instead of it. Connections that are left are closed. With the caller's
 * own loop the last of it goes while that runs on. NULL is fine. */
void svl_server_close(struct svl_server *server);

/* All of the above in one, until SIGTERM or SIGINT. Returns an exit status: 0, or 3 when it
 * could not listen, 2 when the config is wrong. */
int svl_serve(const struct svl_server_config *config);

/* Serves one connected socket until it has ended, as a program under inetd does; `listen`, `workers`
 * and `loop` are ignored. Returns 0, or <0 as svl_server_open() and svl_server_take() do. */
int svl_serve_conn(const struct svl_server_config *config, int fd);

#endif
