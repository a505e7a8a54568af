/* The ctx: one request and the answer that is made for it. */
#ifndef SVL_CTX_H
#define SVL_CTX_H

#include "serval/headers.h"
#include "serval/names.h"
#include "serval/str.h"

#include <stdint.h>
#include <sys/types.h>

struct svl_arena;
struct svl_worker;
struct svl_link;
struct svl_ctx;

/* What a hook tells the core to do next. */
enum svl_verdict {
    SVL_NEXT,    /* not mine, or mine is done: go on along the chain */
    SVL_DONE,    /* ctx->res is the answer: turn around */
    SVL_PENDING, /* I keep the ctx; svl_resume() will be called exactly once */
    SVL_ERROR,   /* I failed: who sees to failures answers, in the end the core, with res.status if
                  * that is an error's, else 500; and the chain turns around */
};

/* What a router found for a request: for handlers, logs and counters. */
struct svl_param {
    svl_str name, value; /* value: owner is the request */
};

struct svl_router;

struct svl_match {
    svl_str pattern; /* "/users/{id}", with the prefixes of its groups: a good label */
    svl_str name;    /* of the route; p is NULL without one */
    const struct svl_param *params;
    unsigned n_params;
    svl_str mount;                   /* svl_mounted_at() */
    const struct svl_router *router; /* who found it */
};

/* Everything here is read-only for modules, belongs to the ctx and is valid until on_done. */
struct svl_request {
    enum svl_method method;
    uint8_t minor;       /* HTTP/1.<minor>: 0 or 1 */
    svl_str method_text; /* "GET", "BREW" */
    svl_str target;      /* as it came (RFC 9112 3.2) */
    svl_str raw_path;    /* the path of the target, as it came; below a mount without the prefix */
    svl_str path;        /* decoded, dot segments and empty segments removed; begins with '/',
                             * or is "*" for OPTIONS * ; may hold any byte but NUL */
    svl_str query;       /* behind the first '?', as it came; p is NULL without one */
    svl_str host;        /* of an absolute target, else the Host field; may hold a port */
    struct svl_headers headers;
    svl_str body;                  /* when it was awaited, see svl_await_body() */
    int64_t content_length;        /* 0 = no body, -1 = chunked: not known before it ends */
    const struct svl_match *match; /* the route; NULL = no router has found one */
};

enum svl_body_kind { SVL_BODY_NONE, SVL_BODY_BYTES, SVL_BODY_FILE, SVL_BODY_SOURCE };

/* Gives the next piece of a body: writes up to `room` bytes to `to` and returns how many, 0 at
 * the end, UV_EAGAIN (-EAGAIN) when there is nothing yet (svl_body_more() is called when there
 * is), any other negative number when the body cannot be completed: the connection is then
 * closed, so that the client sees that it is short. An end before the announced length closes it
 * too, and is a mistake, which stops the program in debug builds. Called on the loop thread, only
 * when the connection has room. */
typedef ssize_t svl_pull_fn(struct svl_ctx *ctx, void *arg, char *to, size_t room);

struct svl_body {
    enum svl_body_kind kind;
    int fd;                 /* SVL_BODY_FILE */
    svl_str bytes;          /* SVL_BODY_BYTES; owner: the ctx, or static, or kept until on_done */
    int64_t offset, length; /* SVL_BODY_FILE; length also SVL_BODY_SOURCE, -1 = not known */
    svl_pull_fn *pull;      /* SVL_BODY_SOURCE */
    void *arg;
};

/* Use the calls below instead of writing to the fields, which are here to be read. */
struct svl_response {
    int status;           /* 0 until somebody answers */
    bool close;           /* this is the connection's last answer */
    bool no_transform;    /* see svl_no_transform() */
    svl_str reason;       /* p is NULL = the standard one */
    svl_str content_type; /* p is NULL = none is sent */
    struct svl_headers headers;
    struct svl_body body;
    uint64_t sent; /* body bytes handed to the connection so far */
};

/* One request and its answer. Lives on one loop thread. */
struct svl_ctx {
    struct svl_request req;
    struct svl_response res;
    struct svl_arena *arena;   /* freed as a whole, after every on_done */
    struct svl_worker *worker; /* the loop, its clock, its pools */
};

typedef enum svl_verdict svl_handler_fn(struct svl_ctx *ctx, void *arg);

/* Memory ------------------------------------------------------------------------------------
 *
 * Zeroed memory that lives as long as the ctx. Never NULL: without memory the program stops.
 * For sizes a client can choose use svl_try_alloc(), which has a budget and may return NULL. */
void *svl_alloc(struct svl_ctx *ctx, size_t size);
void *svl_try_alloc(struct svl_ctx *ctx, size_t size);

/* A copy that lives as long as the ctx; it is NUL-terminated behind its last byte. */
svl_str svl_copy(struct svl_ctx *ctx, svl_str s);
svl_str svl_printf(struct svl_ctx *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Calls fn(arg) when the memory of the ctx is freed; the last one asked for comes first. */
void svl_on_free(struct svl_ctx *ctx, void (*fn)(void *arg), void *arg);

/* This module's own state for this request: slot_size zeroed bytes, made on first use. */
void *svl_slot(const struct svl_link *self, struct svl_ctx *ctx);

/* Reading -----------------------------------------------------------------------------------*/

/* The first field of the request with that name; p is NULL if there is none. */
static inline svl_str svl_header(const struct svl_ctx *ctx, enum svl_header_id id);

/* The part of the path that a route's pattern has named; p is NULL if it names none so. */
static inline svl_str svl_param(const struct svl_ctx *ctx, svl_str name);

/* `return svl_await_body(ctx);` in on_request: this hook is asked again when req.body holds the
 * whole body. Returns SVL_PENDING, or 413 as an answer when the body is known to be over the
 * limit. A hook that must not see the same request twice asks req.body.p first: it is not NULL
 * once the body is there, even if it is empty. */
enum svl_verdict svl_await_body(struct svl_ctx *ctx);

/* `return svl_stream_body(ctx, fn, arg);` in on_request: the body comes piece by piece, however
 * large it is, and nothing of it is kept. fn returns SVL_PENDING to get the next piece; any other
 * verdict is the hook's own, and what is left of the body is dropped. After SVL_PIECE_LAST,
 * SVL_PENDING means that svl_resume() follows. Without a body, fn gets one empty last piece. */
enum svl_piece {
    SVL_PIECE,      /* more may follow */
    SVL_PIECE_LAST, /* the end of the body; the piece may be empty */
    SVL_PIECE_GONE, /* no more will come: the client left, or broke a rule, for which the core
                     * answers. Everything is over when fn returns, unless it says SVL_PENDING,
                     * because others still use the ctx: then svl_resume() ends it. */
};
typedef enum svl_verdict svl_piece_fn(struct svl_ctx *ctx, void *arg, svl_str piece,
                                      enum svl_piece kind);
enum svl_verdict svl_stream_body(struct svl_ctx *ctx, svl_piece_fn *fn, void *arg);

/* Between pieces svl_resume() may answer. With SVL_DONE the other pieces still come to fn while the
 * answer is being sent, as long as it returns SVL_PENDING; what it returns otherwise, and after the
 * last one, only says that it wants no more. None comes after on_done. */

/* Between pieces: none comes until svl_body_continue(), and the client is held back. */
void svl_body_pause(struct svl_ctx *ctx);
void svl_body_continue(struct svl_ctx *ctx);

/* Before the body is asked for: another limit than svl_server_config::max_body. A streamed body
 * has none otherwise. Above it: 413. */
void svl_body_limit(struct svl_ctx *ctx, uint64_t bytes);

/* In on_request: the modules further in, and the handler, see another path and query. The path is not
 * escaped; it is made clean as the request's own was, so that it never leaves the root. `query` is
 * escaped; p is NULL for none. Both are copied. target and raw_path stay as they came. Returns 0, or
 * SVL_ESYNTAX, and nothing has changed: the path has to begin with '/', without NUL, and the query may
 * not hold blanks or control bytes. */
int svl_rewrite(struct svl_ctx *ctx, svl_str path, svl_str query);

/* Who is at the other end. */
struct svl_address {
    uint8_t family; /* AF_INET, AF_INET6, AF_UNIX; 0 = in memory */
    uint16_t port;
    uint8_t ip[16]; /* 4 or 16 bytes used, network order */
};
const struct svl_address *svl_peer(const struct svl_ctx *ctx);

/* Writes "192.0.2.1", "2001:db8::1", "unix" or "memory"; returns its length. size >= 46. */
size_t svl_address_text(const struct svl_address *address, char *to, size_t size);

/* Answering ---------------------------------------------------------------------------------
 *
 * All of it may be called again, in any order, until the verdict. The calls that return a
 * verdict return SVL_DONE, so a handler can end with `return svl_text(...)`. */

/* status and a plain text; `body` is not copied: the ctx's, static, or kept until on_done. */
enum svl_verdict svl_text(struct svl_ctx *ctx, int status, svl_str body);

/* An error page of the core's own; `why` is static, is shown to the client, may be NULL.
 * Fields set before stay (Allow, Retry-After), the body is replaced. */
enum svl_verdict svl_fail(struct svl_ctx *ctx, int status, const char *why);

/* status and Location, which is made safe (no control bytes) but not made absolute. */
enum svl_verdict svl_redirect(struct svl_ctx *ctx, int status, svl_str location);

void svl_status(struct svl_ctx *ctx, int status);
void svl_content_type(struct svl_ctx *ctx, svl_str type); /* not copied, as svl_text's body */
void svl_body_bytes(struct svl_ctx *ctx, svl_str bytes);  /* not copied, as svl_text's body */
void svl_body_copy(struct svl_ctx *ctx, svl_str bytes);

/* length bytes of a file from offset on. The fd is closed when the ctx is over if close_fd,
 * else it must stay open until on_done. If the file turns out shorter, or is overwritten while it
 * waits for the client, the connection closes. */
void svl_body_file(struct svl_ctx *ctx, int fd, int64_t offset, int64_t length, bool close_fd);

/* A body that is asked for piece by piece. length -1 = not known: sent chunked (RFC 9112 7.1),
 * or ended by closing to an HTTP/1.0 client. */
void svl_body_source(struct svl_ctx *ctx, svl_pull_fn *pull, void *arg, int64_t length);

/* The source has something again. Loop thread. */
void svl_body_more(struct svl_ctx *ctx);

/* No body, no fields, no status: as before the first call. */
void svl_response_reset(struct svl_ctx *ctx);

/* This answer is the connection's last. */
static inline void svl_close(struct svl_ctx *ctx);

/* The body goes out as it is: modules on the way out do not compress it or change it otherwise. For
 * answers that hold both a secret and something that somebody else may have chosen (BREACH). */
static inline void svl_no_transform(struct svl_ctx *ctx);

/* Answering later ---------------------------------------------------------------------------
 *
 * A hook that cannot answer yet returns svl_pend(). From then on the ctx is on loan to the
 * module, and the loan is paid back by exactly one svl_resume() on the loop thread - also after
 * the client has gone or the deadline has passed. Until then the memory of the ctx stays valid,
 * whatever happens on the connection.
 *
 * `cancel` (may be NULL) is called once if nobody waits for the answer any more: a hint to stop
 * early. It does not replace svl_resume(), but may call it. */
typedef void svl_cancel_fn(struct svl_ctx *ctx, void *arg);

enum svl_verdict svl_pend(struct svl_ctx *ctx, svl_cancel_fn *cancel, void *arg);
void svl_resume(struct svl_ctx *ctx, enum svl_verdict verdict);

/* Time --------------------------------------------------------------------------------------*/

/* Milliseconds of the loop's monotonic clock, taken once per round of the loop. */
uint64_t svl_now_ms(const struct svl_worker *worker);

/* Seconds since 1970, as of this round of the loop. */
int64_t svl_wall_seconds(struct svl_worker *worker);

static inline svl_str svl_header(const struct svl_ctx *ctx, enum svl_header_id id)
{
    return svl_headers_get(&ctx->req.headers, id);
}

static inline svl_str svl_param(const struct svl_ctx *ctx, svl_str name)
{
    const struct svl_match *match = ctx->req.match;

    for (unsigned i = 0; match && i < match->n_params; i++)
        if (svl_str_eq(match->params[i].name, name))
            return match->params[i].value;
    return SVL_STR_NONE;
}

/* What routers have taken off the path where a chain is mounted, escaped: goes in front of a path
 * in a Location. Empty without. */
static inline svl_str svl_mounted_at(const struct svl_ctx *ctx)
{
    return ctx->req.match ? ctx->req.match->mount : SVL_STR("");
}

static inline void svl_close(struct svl_ctx *ctx)
{
    ctx->res.close = true;
}

static inline void svl_no_transform(struct svl_ctx *ctx)
{
    ctx->res.no_transform = true;
}

#endif
