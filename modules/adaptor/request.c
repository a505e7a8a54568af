/* A request on its way through an access handler: asked at the head, for what has come of the body, at the
 * end; then its answer is sent. One function, drive(), knows what comes next; it runs in the hook, when
 * a piece of the body comes, and whenever what it waited for is there. Where callbacks may block they run
 * on threads, and drive() goes on when they have returned. */
#include "internal.h"

#include "serval/log.h"
#include "serval/uri.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define KEPT_MAX 32768   /* bytes the handler does not take, above which no more are read */
#define FIRST_RETRY_MS 1 /* a handler that has nothing to say is asked again, */
#define LAST_RETRY_MS 50 /* ever less often */

/* Memory ------------------------------------------------------------------------------------------*/

struct block {
    struct block *next;
    size_t used, room;
    _Alignas(16) char bytes[];
};

#define BLOCK_ROOM 900 /* malloc is fastest up to 1,032 bytes */
_Static_assert(sizeof(struct MHD_Connection) <= 1032, "a request of the adaptor");

void *mhd_keep(struct MHD_Connection *c, size_t size)
{
    struct block *b = c->blocks;
    void *at;

    size = (size + 15) & ~(size_t)15;
    if (sizeof c->own - c->n_own >= size) {
        at = c->own + c->n_own;
        c->n_own += size;
        return at;
    }
    if (!b || b->room - b->used < size) {
        size_t room = size > BLOCK_ROOM ? size : BLOCK_ROOM;

        b = malloc(sizeof *b + room);
        if (!b)
            abort();
        b->next = c->blocks;
        b->used = 0;
        b->room = room;
        c->blocks = b;
    }
    at = b->bytes + b->used;
    b->used += size;
    return at;
}

char *mhd_keep_text(struct MHD_Connection *c, svl_str text)
{
    char *to = mhd_keep(c, text.n + 1);

    if (text.n > 0)
        memcpy(to, text.p, text.n);
    to[text.n] = '\0';
    return to;
}

void mhd_connection_ref(struct MHD_Connection *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

/* Why it ended, as libmicrohttpd would say it. */
static enum MHD_RequestTerminationCode termination(const struct MHD_Connection *c)
{
    if (c->ended)
        return MHD_REQUEST_TERMINATED_COMPLETED_OK;
    if (c->failed)
        return MHD_REQUEST_TERMINATED_WITH_ERROR;
    if (c->daemon && atomic_load(&c->daemon->stopping))
        return MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN;
    return c->late ? MHD_REQUEST_TERMINATED_TIMEOUT_REACHED : MHD_REQUEST_TERMINATED_CLIENT_ABORT;
}

/* Tells the program that the request is over: once, with everything still there to be asked for. */
static void complete(struct MHD_Connection *c)
{
    if (c->app->completed && c->aware)
        c->app->completed(c->app->completed_cls, c, &c->con_cls, termination(c));
    c->aware = false;
}

void mhd_connection_unref(struct MHD_Connection *c)
{
    struct block *b, *next;

    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    complete(c);
    if (c->peer)
        c->daemon->peer_unref(c->daemon, c->peer);
    MHD_destroy_response(c->response);
    free(c->buffer);
    for (b = c->blocks; b; b = next) {
        next = b->next;
        free(b);
    }
    free(c);
}

static void ctx_over(void *arg)
{
    struct MHD_Connection *c = arg;

    c->ended = c->sending && mhd_answer_sent(c);
    if (atomic_load(&c->refs) == 1)
        complete(c);
    else
        mhd_collect(c);
    c->ctx = NULL;
    mhd_connection_unref(c);
}

static const char *method_text(struct MHD_Connection *c, const struct svl_request *req)
{
    static const char *const names[] = {
        [SVL_METHOD_OTHER] = NULL,
#define X(name) [SVL_##name] = #name,
        SVL_METHOD_MAP(X)
#undef X
    };

    return req->method ? names[req->method] : mhd_keep_text(c, req->method_text);
}

/* In a chain the path that the other modules see; for a daemon all that stood there, decoded. */
static const char *url_text(struct MHD_Connection *c, const struct svl_request *req)
{
    const struct MHD_Daemon *d = c->daemon;
    char *url;

    if (!d)
        return mhd_keep_text(c, req->path);
    url = mhd_keep_text(c, req->raw_path);
    if (d->unescape)
        d->unescape(d->unescape_cls, c, url);
    else if (memchr(url, '%', req->raw_path.n))
        MHD_http_unescape(url);
    return url;
}

static size_t head_size(const struct svl_request *req)
{
    size_t n = req->method_text.n + req->target.n + sizeof "  HTTP/1.1\r\n\r\n" - 1;

    for (unsigned i = 0; i < req->headers.n; i++)
        n += req->headers.at[i].name_len + req->headers.at[i].value_len + sizeof ": \r\n" - 1;
    return n;
}

struct MHD_Connection *mhd_connection_new(struct svl_ctx *ctx, const struct svl_adaptor_config *app,
                                          struct MHD_Daemon *daemon)
{
    struct MHD_Connection *c = malloc(sizeof *c); /* calloc() would not ask malloc's cache */

    if (!c)
        abort();
    memset(c, 0, offsetof(struct MHD_Connection, own));
    c->ctx = ctx;
    c->worker = ctx->worker;
    c->refs = 1;
    c->app = app;
    c->daemon = daemon;
    c->method = method_text(c, &ctx->req);
    c->version = ctx->req.minor ? MHD_HTTP_VERSION_1_1 : MHD_HTTP_VERSION_1_0;
    c->target = ctx->req.target;
    c->socket = svl_socket(ctx);
    c->from = *svl_peer(ctx);
    c->head_size = head_size(&ctx->req);
    svl_on_free(ctx, ctx_over, c);
    if (daemon) {
        c->threads = daemon->threads;
        c->peer = daemon->tells ? daemon->peer_of(daemon, ctx) : NULL;
        if (daemon->log_uri) {
            c->aware = true;
            c->con_cls = daemon->log_uri(daemon->log_uri_cls, mhd_keep_text(c, ctx->req.target), c);
        }
    }
    c->url = url_text(c, &ctx->req);
    if (c->threads) {
        c->ref = svl_ref_of(ctx);
        mhd_collect(c); /* a thread must not look at the ctx */
    }
    return c;
}

/* Asking the handler --------------------------------------------------------------------------- */

static enum MHD_Result call(struct MHD_Connection *c, size_t *left)
{
    return c->app->handler(c->app->cls, c, c->url, c->method, c->version,
                           c->phase == UPLOAD ? c->data : NULL, left, &c->con_cls);
}

/* On the loop: the handler has been asked, and `left` bytes of the body are left. */
static void heed(struct MHD_Connection *c, enum MHD_Result said, size_t left)
{
    bool moved = left < c->n_data;

    if (c->phase == UPLOAD && left <= c->n_data) {
        c->data += c->n_data - left;
        c->n_data = left;
    }
    c->failed = said == MHD_NO;
    if (atomic_load(&c->suspended)) {
        if (!atomic_load(&c->resumed))
            return;
        mhd_unsuspend(c);
    }
    if (moved)
        c->alarm_ms = 0;
    c->stuck = c->phase == UPLOAD ? !moved : c->phase == END;
    if (c->phase == HEAD)
        c->phase = UPLOAD;
}

static void called(struct svl_ctx *ctx, void *arg)
{
    struct MHD_Connection *c = arg;

    (void)ctx; /* it waits for us */
    c->busy = false;
    heed(c, c->said, c->left);
    mhd_go_on(c);
}

static void call_on_thread(void *arg)
{
    struct MHD_Connection *c = arg;

    c->said = call(c, &c->left);
    svl_post_ctx(c->ref, called, c);
}

/* The data is kept where nobody else changes it. */
static void keep_data(struct MHD_Connection *c)
{
    if (c->n_data == 0 || (c->buffer && c->data >= c->buffer && c->data < c->buffer + c->room)) {
        if (c->n_data > 0)
            memmove(c->buffer, c->data, c->n_data);
    } else {
        if (c->room < c->n_data) {
            free(c->buffer);
            c->room = c->n_data < 4096 ? 4096 : c->n_data;
            c->buffer = malloc(c->room);
            if (!c->buffer)
                abort();
        }
        memcpy(c->buffer, c->data, c->n_data);
    }
    c->data = c->buffer;
}

static void append(struct MHD_Connection *c, svl_str piece)
{
    size_t n = c->n_data + piece.n;

    if (piece.n == 0)
        return;
    c->stuck = false;
    if (c->n_data == 0) {
        c->data = piece.p;
        c->n_data = piece.n;
        return;
    }
    keep_data(c);
    if (c->room < n) {
        c->buffer = realloc(c->buffer, n);
        if (!c->buffer)
            abort();
        c->room = n;
        c->data = c->buffer;
    }
    memcpy(c->buffer + c->n_data, piece.p, piece.n);
    c->n_data = n;
}

static void ask(struct MHD_Connection *c)
{
    size_t left = c->phase == UPLOAD ? c->n_data : 0;
    enum MHD_Result said;

    c->aware = true;
    if (!c->threads) {
        said = call(c, &left);
        heed(c, said, left);
        return;
    }
    keep_data(c);
    c->left = left;
    c->busy = true;
    if (!mhd_threads_run(c->threads, call_on_thread, c)) {
        mhd_log(c->daemon, "no thread for a request");
        c->busy = false;
        c->failed = true;
    }
}

/* Going on ------------------------------------------------------------------------------------- */

static enum svl_verdict on_piece(struct svl_ctx *ctx, void *arg, svl_str piece,
                                 enum svl_piece kind);

/* Nothing can be done now; mhd_go_on() comes. */
static enum svl_verdict hold(struct MHD_Connection *c)
{
    if (!c->streaming)
        return svl_pend(c->ctx, NULL, NULL);
    svl_body_pause(c->ctx);
    return SVL_PENDING;
}

/* The next piece is wanted. */
static enum svl_verdict more(struct MHD_Connection *c)
{
    if (c->streaming) {
        svl_body_continue(c->ctx);
        return SVL_PENDING;
    }
    c->streaming = true;
    return svl_stream_body(c->ctx, on_piece, c);
}

static size_t kept_max(const struct MHD_Connection *c)
{
    return c->daemon ? c->daemon->memory : KEPT_MAX;
}

/* Gives the handler what there is of the body. */
static void feed(struct MHD_Connection *c)
{
    while (c->phase == UPLOAD && c->n_data > 0 && !c->busy && !c->failed && !c->stuck &&
           !atomic_load(&c->suspended))
        ask(c);
}

static bool waits(const struct MHD_Connection *c)
{
    return c->busy || (atomic_load(&c->suspended) && !c->failed);
}

/* Moves on as far as it goes; the verdict of whoever asked. */
static enum svl_verdict drive(struct MHD_Connection *c)
{
    for (;;) {
        feed(c);
        if (waits(c))
            return hold(c);
        if (c->failed) {
            svl_drop(c->ctx);
            return SVL_ERROR;
        }
        if (c->response)
            return mhd_answer(c);
        if (c->phase == UPLOAD && c->n_data < kept_max(c) && !c->body_over)
            return more(c);
        if (c->phase == UPLOAD && c->n_data == 0) {
            c->phase = END;
            c->stuck = false;
            mhd_collect_footers(c);
        }
        if (c->stuck) {
            mhd_later(c);
            return hold(c);
        }
        ask(c);
    }
}

static enum svl_verdict on_piece(struct svl_ctx *ctx, void *arg, svl_str piece, enum svl_piece kind)
{
    struct MHD_Connection *c = arg;
    enum svl_verdict v;

    if (kind == SVL_PIECE_GONE) {
        v = waits(c) ? SVL_PENDING : SVL_ERROR;
        c->streaming = false;
        c->late = svl_socket(ctx) >= 0; /* it is still there: then the body did not come in time */
        return v;
    }
    if (kind == SVL_PIECE_LAST) {
        c->streaming = false;
        c->body_over = true;
    }
    append(c, piece);
    v = c->busy ? hold(c) : drive(c);
    if (v == SVL_PENDING && c->n_data > 0 && !c->busy)
        keep_data(c);
    return v;
}

static enum svl_verdict step(struct svl_ctx *ctx, void *arg)
{
    (void)ctx;
    return drive(arg);
}

/* While pieces are awaited no verdict can be given: the next piece brings it. */
static void go_on_between_pieces(struct MHD_Connection *c)
{
    feed(c);
    if (waits(c))
        return;
    if (c->failed)
        svl_drop(c->ctx);
    else if (c->n_data < kept_max(c))
        svl_body_continue(c->ctx);
    else
        mhd_later(c);
}

void mhd_go_on(struct MHD_Connection *c)
{
    if (!c->ctx || c->busy)
        return;
    if (c->sending)
        svl_body_more(c->ctx);
    else if (c->streaming)
        go_on_between_pieces(c);
    else
        svl_resume_with(c->ctx, step, c);
}

static void on_alarm(struct svl_ctx *ctx, void *arg)
{
    struct MHD_Connection *c = arg;

    (void)ctx;
    c->stuck = false;
    mhd_go_on(c);
}

void mhd_later(struct MHD_Connection *c)
{
    if (!c->alarm)
        c->alarm = svl_alarm_new(c->ctx, on_alarm, c);
    c->alarm_ms = c->alarm_ms ? 2 * c->alarm_ms : FIRST_RETRY_MS;
    if (c->alarm_ms > LAST_RETRY_MS)
        c->alarm_ms = LAST_RETRY_MS;
    svl_alarm_set(c->alarm, c->alarm_ms);
}

enum svl_verdict mhd_begin(struct MHD_Connection *c)
{
    c->body_over = c->ctx->req.content_length == 0;
    return drive(c);
}

/* Suspending ----------------------------------------------------------------------------------- */

/* The reference of the suspension is given back by on_resume(), which always comes. */
void mhd_unsuspend(struct MHD_Connection *c)
{
    atomic_store(&c->resumed, false);
    atomic_store(&c->suspended, false);
}

/* In a callback of c, which is on the loop or has c for itself. */
void MHD_suspend_connection(struct MHD_Connection *c)
{
    if (c->daemon && !(c->daemon->flags & (MHD_ALLOW_SUSPEND_RESUME & ~MHD_USE_ITC))) {
        mhd_log(c->daemon, "a connection was suspended without MHD_ALLOW_SUSPEND_RESUME");
        abort();
    }
    if (atomic_load(&c->suspended))
        return;
    if (!c->threads)
        c->ref = svl_ref_of(c->ctx);
    mhd_connection_ref(c);
    atomic_store(&c->suspended, true);
}

/* It may have been resumed before the callback that suspended it has returned. */
static void on_resume(struct svl_ctx *ctx, void *arg)
{
    struct MHD_Connection *c = arg;

    (void)ctx;
    if (!c->busy && atomic_load(&c->resumed)) {
        mhd_unsuspend(c);
        mhd_go_on(c);
    }
    mhd_connection_unref(c);
}

void MHD_resume_connection(struct MHD_Connection *c)
{
    if (!atomic_load(&c->suspended) || atomic_exchange(&c->resumed, true))
        return;
    svl_post_ctx(c->ref, on_resume, c);
}

/* Queueing ------------------------------------------------------------------------------------- */

static bool may_upgrade(const struct MHD_Connection *c, unsigned status)
{
    if (c->daemon && !(c->daemon->flags & MHD_ALLOW_UPGRADE))
        mhd_log(c->daemon, "an upgrade was queued without MHD_ALLOW_UPGRADE");
    else if (status != MHD_HTTP_SWITCHING_PROTOCOLS)
        mhd_log(c->daemon, "an upgrade was queued with status %u", status);
    else
        return strcmp(c->version, MHD_HTTP_VERSION_1_1) == 0;
    return false;
}

enum MHD_Result MHD_queue_response(struct MHD_Connection *c, unsigned int status,
                                   struct MHD_Response *r)
{
    unsigned code = status & ~MHD_ICY_FLAG;

    if (!c || !r || c->response || c->phase == UPLOAD)
        return MHD_NO;
    if (r->kind == UPGRADE && !may_upgrade(c, code))
        return MHD_NO;
    if (code < 100 || code > 999 || (code < 200 && r->kind != UPGRADE)) {
        mhd_log(c->daemon, "%u is no status of an answer", code);
        return MHD_NO;
    }
    mhd_response_ref(r);
    c->response = r;
    c->status = code;
    return MHD_YES;
}

/* Asking about it ------------------------------------------------------------------------------ */

socklen_t mhd_sockaddr(struct sockaddr_storage *to, const struct svl_address *from)
{
    struct sockaddr_in *in = (struct sockaddr_in *)to;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;

    memset(to, 0, sizeof *to);
    if (from->family == AF_INET) {
        in->sin_family = AF_INET;
        in->sin_port = htons(from->port);
        memcpy(&in->sin_addr, from->ip, 4);
        return sizeof *in;
    }
    if (from->family == AF_INET6) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(from->port);
        memcpy(&in6->sin6_addr, from->ip, 16);
        return sizeof *in6;
    }
    to->ss_family = AF_UNIX;
    return sizeof(sa_family_t);
}

const union MHD_ConnectionInfo *MHD_get_connection_info(struct MHD_Connection *c,
                                                        enum MHD_ConnectionInfoType type, ...)
{
    union MHD_ConnectionInfo *info;

    if (!c || (unsigned)type > MHD_CONNECTION_INFO_HTTP_STATUS)
        return NULL;
    info = &c->info[type];
    switch (type) {
    case MHD_CONNECTION_INFO_CLIENT_ADDRESS:
        mhd_sockaddr(&c->address, &c->from);
        info->client_addr = (struct sockaddr *)&c->address;
        return info;
    case MHD_CONNECTION_INFO_DAEMON: info->daemon = c->daemon; return info;
    case MHD_CONNECTION_INFO_CONNECTION_FD: info->connect_fd = c->socket; return info;
    case MHD_CONNECTION_INFO_SOCKET_CONTEXT:
        info->socket_context = c->peer ? c->peer->context : NULL;
        return info;
    case MHD_CONNECTION_INFO_CONNECTION_SUSPENDED:
        info->suspended = atomic_load(&c->suspended) ? MHD_YES : MHD_NO;
        return info;
    case MHD_CONNECTION_INFO_CONNECTION_TIMEOUT:
        info->connection_timeout = c->daemon ? c->daemon->timeout_s : 0;
        return info;
    case MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE: info->header_size = c->head_size; return info;
    case MHD_CONNECTION_INFO_HTTP_STATUS:
        info->http_status = c->status;
        return c->response ? info : NULL;
    default: return NULL; /* nothing is encrypted here */
    }
}

/* Deadlines are the server's: they cannot be changed for one connection. */
enum MHD_Result MHD_set_connection_option(struct MHD_Connection *c,
                                          enum MHD_CONNECTION_OPTION option, ...)
{
    mhd_log(c ? c->daemon : NULL, "MHD_set_connection_option(%d): not with serval", (int)option);
    return MHD_NO;
}

/* The module ----------------------------------------------------------------------------------- */

static int setup(void *config)
{
    const struct svl_adaptor_config *cfg = config;

    if (cfg->handler)
        return 0;
    svl_log(SVL_ALERT, "adaptor: it needs a handler");
    return -EINVAL;
}

enum svl_verdict svl_mhd(struct svl_ctx *ctx, void *arg)
{
    return mhd_begin(mhd_connection_new(ctx, arg, NULL));
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    return mhd_begin(mhd_connection_new(ctx, self->config, NULL));
}

const struct svl_module svl_adaptor_module = {
    .name = "adaptor",
    .summary = "handlers written for libmicrohttpd",
    .config_size = sizeof(struct svl_adaptor_config),
    .setup = setup,
    .on_request = on_request,
};
