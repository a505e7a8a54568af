/* The HTTP client. A client is a config and, on every loop that uses it, connections of that loop's own,
 * kept in pools per host. One request is described by a struct svl_fetch and answered by a struct svl_reply:
 * from handlers with svl_fetch(), from ordinary threads with svl_http_get(), svl_http_post() and svl_http_do(), on any
 * loop with svl_call(). docs/client.md shows how it fits together; decision 050 says why. */
#ifndef SVL_CLIENT_H
#define SVL_CLIENT_H

#include "serval/async.h"

struct svl_client;
struct svl_call;
struct svl_fetch;
struct svl_reply;

/* Asking ------------------------------------------------------------------------------------*/

struct svl_field {
    svl_str name, value;
};

/* As svl_pull_fn: gives the next piece of a request's body, returns its length, 0 at the end, UV_EAGAIN
 * when there is nothing yet (svl_call_more() is called when there is), any other negative number to give
 * up. On the loop thread of the call. */
typedef ssize_t svl_give_fn(struct svl_call *call, void *arg, char *to, size_t room);

/* The head of the final response has come, its body follows. Returns 0, or a negative number that ends
 * the call with that error. */
typedef int svl_reply_head_fn(struct svl_call *call, const struct svl_reply *reply, void *arg);

/* A piece of the response's body; nothing of it is kept. Returns as svl_reply_head_fn. */
typedef int svl_reply_piece_fn(struct svl_call *call, svl_str piece, void *arg);

/* A request. Zero means "the default" everywhere. The struct itself is copied; what it points at must stay
 * valid until the call is done, because it may be sent again on another connection. */
struct svl_fetch {
    svl_str
        url; /* "http://user:password@example.com:8080/path?query"; with backends also "/path" */
    enum svl_method method; /* 0 = GET, or POST if there is a body, or what method_text says */
    svl_str method_text;
    const struct svl_field *fields; /* names and values are checked; framing is the client's own */
    unsigned n_fields;
    svl_str host;        /* Host field; p is NULL = as in the URL */
    svl_str type;        /* Content-Type of the body; p is NULL = none is sent */
    svl_str body;        /* whole, sent with Content-Length */
    svl_give_fn *give;   /* or piece by piece; never sent twice */
    int64_t give_length; /* of those together; -1 = not known: chunked (RFC 9112 7.1) */
    bool expect; /* say "Expect: 100-continue" and send the body when the server wants it, or
                          * expect_ms later (RFC 9110 10.1.1). A final response that comes first is the
                          * reply: the body stays here, the connection is closed. After a 417 the
                          * request is made once more without that field. */

    unsigned timeout_ms;    /* for all tries, from the look-up of the name on; 0 = the client's */
    uint64_t deadline_ns;   /* or until then, see svl_in_ms(); 0 = none. What comes first counts */
    unsigned max_redirects; /* to follow (RFC 9110 15.4); 0 = none: 3xx is the reply */
    size_t max_body; /* of the response, decoded; above it SVL_ELIMIT; 0 = the client's, or none
                              * with on_piece */
    bool decode;     /* ask for gzip, deflate or br, and undo it */
    bool timing;     /* fill reply->timing */
    bool close;      /* this is the connection's last request */
    svl_reply_head_fn *on_head;
    svl_reply_piece_fn *on_piece; /* NULL = the body is awaited whole */
    void *arg;                    /* of give, on_head and on_piece */
};

/* Any thread: the point in time that is ms from now, in nanoseconds of CLOCK_MONOTONIC, which is what
 * uv_hrtime() tells. Several calls may have the same one; a call after it fails and sends nothing. */
uint64_t svl_in_ms(unsigned ms);

/* Microseconds since the call began; 0 = did not happen. Of the last try, when it was asked for. */
struct svl_timing {
    uint64_t resolved;         /* the addresses were there; 0 also when no name was looked up */
    uint64_t connected;        /* through a proxy too; both are 0 when a connection was there */
    uint64_t sent;             /* the head of the request was given to the connection */
    uint64_t first_byte, done; /* of the response */
};

/* What came of it. The views are valid while the reply is. */
struct svl_reply {
    int error; /* 0 = there is a whole response; UV_E*, UV_EAI_*, SVL_E* = why there is none */
    const char
        *why;      /* static text, more exact than svl_strerror(error); never NULL with an error */
    int status;    /* 0 = no head has come */
    uint8_t minor; /* HTTP/1.<minor> */
    bool decoded;  /* body is without its Content-Encoding; the fields stay as they came */
    bool reused;   /* the connection had served before */
    unsigned tries, redirects;
    svl_str reason; /* may be empty */
    struct svl_headers headers;
    int64_t content_length; /* -1 = not known before the end */
    svl_str body;           /* empty with on_piece */
    svl_str trailers; /* lines with CRLF behind a chunked body (RFC 9112 7.1.2); may be empty */
    svl_str url;      /* the one that was asked last */
    struct svl_address peer;
    struct svl_timing timing;
    struct svl_call *call; /* the library's own */
};

/* Any thread: the value of a field of the response; p is NULL if there is none. */
static inline svl_str svl_reply_header(const struct svl_reply *reply, enum svl_header_id id)
{
    return svl_headers_get(&reply->headers, id);
}

/* Clients -----------------------------------------------------------------------------------*/

/* Whether a failed try is made again, instead of the rule (below). `attempt` counts from 1. */
typedef bool svl_retry_fn(const struct svl_fetch *ask, unsigned attempt, int error, void *arg);

/* Whether a back end is well, by its reply (or its error). Must not block. */
typedef bool svl_healthy_fn(const struct svl_reply *reply, void *arg);

/* Makes a connection to host:port in place of the client's own ways. Loop thread; must not block.
 * Returns a connected or connecting non-blocking socket, which the client closes, or UV_E*. */
typedef int svl_dial_fn(svl_str host, unsigned port, void *arg);

/* The same in memory: an end of a pipe whose other end is served, as svl_server_dial() gives one; the client
 * closes it. NULL = nobody is there. */
struct svl_pipe;
typedef struct svl_pipe *svl_dial_pipe_fn(void *arg);

#define SVL_MAX_BACKENDS 64

/* Zero means "the default" everywhere. Copied with its texts by svl_client_open(). Limits and counts are
 * per loop that uses the client.
 *
 * A try that failed on the way (not: a deadline, a limit, a dial) is made again if the request is
 * GET, HEAD, OPTIONS, TRACE, PUT or DELETE (RFC 9110 9.2.2), nothing of a response was handed out, and
 * its body can be sent again. */
struct svl_client_config {
    const char *name; /* User-Agent; NULL = "serval", "" = none is sent */

    unsigned max_per_host; /* connections; 0 = 512 */
    unsigned pipeline;     /* requests in flight on one connection; 0 = 1 */
    unsigned
        max_waiting;  /* calls per host that wait for a connection; 0 = 1024; above it SVL_EBUSY */
    bool drop_oldest; /* the one that has waited longest goes instead of the new one */
    bool no_wait;     /* SVL_EBUSY at once when all connections are busy */
    bool fifo;        /* the connection that was idle longest serves next; else the shortest */
    unsigned idle_ms; /* a connection without work is closed; 0 = 10 s */
    unsigned max_age_ms; /* older ones are not used again; 0 = no limit */

    unsigned max_tries;  /* of one call; 0 = 5 */
    svl_retry_fn *retry; /* NULL = the rule */
    void *retry_arg;

    unsigned timeout_ms; /* of a call, all tries; 0 = 60 s, SVL_NEVER = none */
    unsigned connect_ms; /* name, connection and proxy; 0 = 10 s */
    unsigned expect_ms;  /* see svl_fetch.expect; 0 = 1 s */
    unsigned io_ms;      /* without progress in either direction; 0 = 60 s */

    size_t max_head;     /* status line and fields, bytes; 0 = 64 KiB */
    unsigned max_fields; /* 0 = 200, at most 250 */
    size_t max_body;     /* of a body that is awaited whole, decoded; 0 = 16 MiB */

    /* Names of fields are sent and handed out as they are usually written, "Content-Type", instead of as
     * they came from the caller and from the server. Trailers stay as they came. */
    bool canonical_names;

    bool ipv4_only;
    unsigned resolve_ms;         /* how long the addresses of a name are kept; 0 = 60 s */
    unsigned max_dials;          /* connections being made at a time; 0 = 128 */
    const char *local_address;   /* an IP address to connect from; NULL = any */
    svl_dial_fn *dial;           /* NULL = by name and address */
    svl_dial_pipe_fn *dial_pipe; /* in place of all that */
    void *dial_arg;              /* of both */

    /* Where connections go, whatever the URL says: "10.0.0.1:81", "unix:/run/x.sock", or several with
     * commas, one after the other. NULL = to the URL's host. */
    const char *connect_to;

    /* "http://user:password@proxy:3128", "socks5://proxy:1080" (names are looked up there). */
    const char *proxy;
    bool proxy_from_env; /* http_proxy, all_proxy, no_proxy, unless `proxy` is set */
    bool tunnel;         /* through an HTTP proxy with CONNECT instead of asking it for the URL */

    /* "http://10.0.0.1:8080": a call whose URL is a path goes to the one with the fewest calls. Each
     * failure counts as a call for penalty_ms (0 = 3 s). More at run time: svl_client_add_backend(). */
    const char *backends[SVL_MAX_BACKENDS];
    svl_healthy_fn *healthy; /* NULL = there was a response and its status was below 500 */
    void *healthy_arg;
    unsigned penalty_ms;

    /* Probes: "/health" is fetched from every back end by one of the loops that use the client, in turn,
     * whether there are calls or not. One that fails probe_falls times on end is left out until it has
     * answered probe_rises times on end; when all are left out, all are asked again. They have connections
     * of their own, outside of max_per_host. */
    const char *probe_path;        /* NULL = there are none */
    unsigned probe_ms;             /* from one to the next of a back end; 0 = 5 s */
    unsigned probe_timeout_ms;     /* of one; 0 = 1 s */
    unsigned probe_falls;          /* 0 = 3 */
    unsigned probe_rises;          /* 0 = 2 */
    svl_healthy_fn *probe_healthy; /* NULL = the status is 200 to 399 */
    void *probe_arg;
};

/* Returns 0, or SVL_ECONFIG after saying why with svl_log(). */
int svl_client_open(struct svl_client **client, const struct svl_client_config *config);

/* Ends what its own thread still does with SVL_EGONE. The servers whose handlers use it, and the loops of
 * svl_loop_open(), are closed before. NULL is fine. */
void svl_client_close(struct svl_client *client);

/* Any thread. Returns 0; SVL_ESYNTAX for what is not an http URL, SVL_ELIMIT when there are too many,
 * SVL_EGONE for removing one that is not there. Calls on their way end where they are. */
int svl_client_add_backend(struct svl_client *client, svl_str url);
int svl_client_remove_backend(struct svl_client *client, svl_str url);

/* Any thread: whether calls go there. 1; 0 when its probes have failed; SVL_EGONE if it is not there. */
int svl_client_backend_is_up(struct svl_client *client, svl_str url);

/* What a client does on one loop. */
struct svl_client_counts {
    unsigned calls;       /* not done yet */
    unsigned waiting;     /* of them for a connection */
    unsigned connections; /* idle ones too, and those being made */
    unsigned idle;
    unsigned hosts;
};
void svl_client_count(struct svl_client *client, struct svl_worker *worker,
                      struct svl_client_counts *counts);

/* Loop thread: closes the connections that do nothing; forgets the addresses of names. */
void svl_client_close_idle(struct svl_client *client, struct svl_worker *worker);
void svl_client_forget_names(struct svl_client *client, struct svl_worker *worker);

/* From handlers -----------------------------------------------------------------------------*/

/* `return svl_fetch(...)` in a hook: answer(ctx, reply, arg) says what a hook says, and may fetch again.
 * The reply lives as long as the ctx. When nobody waits any more the call is given up and answer is
 * skipped. What ask points at may be the ctx's memory. */
typedef enum svl_verdict svl_fetched_fn(struct svl_ctx *ctx, const struct svl_reply *reply,
                                        void *arg);
enum svl_verdict svl_fetch(struct svl_ctx *ctx, struct svl_client *client,
                           const struct svl_fetch *ask, svl_fetched_fn *answer, void *arg);

/* Several at once: `replies` has n of them, in the order of the asks. Asks with a timeout_ms that passes
 * have UV_ETIMEDOUT, so the answer can be made of those that came. */
typedef enum svl_verdict svl_fetched_all_fn(struct svl_ctx *ctx,
                                            const struct svl_reply *const *replies, unsigned n,
                                            void *arg);
enum svl_verdict svl_fetch_all(struct svl_ctx *ctx, struct svl_client *client,
                               const struct svl_fetch *asks, unsigned n, svl_fetched_all_fn *answer,
                               void *arg);

/* From ordinary threads ---------------------------------------------------------------------
 *
 * Block; any number of threads may call at once, none of them a loop's. The loop is a thread of the
 * client's own, where give, on_head and on_piece are called. */

/* Returns 0 or the reply's error. *reply is there in both cases and is freed by svl_reply_free(); reply may
 * be NULL: only the result counts. A client that is NULL is one of the library's own, which lasts. */
int svl_http_do(struct svl_client *client, const struct svl_fetch *ask, struct svl_reply **reply);

/* With that client and up to 16 redirects. */
int svl_http_get(const char *url, struct svl_reply **reply);
int svl_http_post(const char *url, const char *type, svl_str body, struct svl_reply **reply);

/* fn(worker, arg) is called on that thread, where svl_call() may be used. Returns 0, or UV_EAGAIN when
 * the thread cannot be started. What is left when the client closes is called then. */
typedef void svl_client_post_fn(struct svl_worker *worker, void *arg);
int svl_client_post(struct svl_client *client, svl_client_post_fn *fn, void *arg);

/* Any thread; NULL is fine. */
void svl_reply_free(struct svl_reply *reply);

/* On a loop ---------------------------------------------------------------------------------*/

/* A loop of the caller's becomes a worker for svl_call(), svl_post() and clients. The loop must run on the
 * thread that uses it. Closing ends all calls on it with SVL_EGONE; its memory is freed when the loop
 * has run once more, which the caller sees to. Returns 0 or UV_E*. */
struct uv_loop_s;
int svl_loop_open(struct svl_worker **worker, struct uv_loop_s *loop);
void svl_loop_close(struct svl_worker *worker);

/* Loop thread of `worker`: done(reply, arg) is called once, never before this returns. The reply is valid
 * during the call, or until svl_reply_free() if it was kept. Never NULL; the result is valid until done. */
typedef void svl_done_fn(struct svl_reply *reply, void *arg);
struct svl_call *svl_call(struct svl_client *client, struct svl_worker *worker,
                          const struct svl_fetch *ask, svl_done_fn *done, void *arg);

/* Nobody waits any more: done is not called. */
void svl_call_cancel(struct svl_call *call);

/* `give` has something again. */
void svl_call_more(struct svl_call *call);

/* In on_piece or later: what was read already still comes (64 KiB at most), then nothing until
 * svl_call_continue(), and the server is held back. */
void svl_call_pause(struct svl_call *call);
void svl_call_continue(struct svl_call *call);

/* In done(): the reply and its views stay until svl_reply_free(), on the same thread. */
void svl_reply_keep(struct svl_reply *reply);

#endif
