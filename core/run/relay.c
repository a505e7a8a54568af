/* Relays: an answer that comes as bytes, and a request's body that goes away as bytes. What has come
 * in one round of the loop is looked at when that ends (on_turn), so that a short answer that came
 * whole is sent whole, with its length, and no call of a module's ends the ctx it works on. */
#include "serval/gateway.h"

#include "base/check.h"
#include "http/cgi.h"
#include "run/exchange.h"
#include "run/stream.h"
#include "serval/async.h"
#include "serval/error.h"
#include "serval/log.h"
#include "serval/mime.h"
#include "serval/stream.h"
#include "serval/uri.h"

#include <stdlib.h>

#define ROOM 65536 /* bytes that may wait for the client before the back end is held */

#define MAX_REDIRECTS 10

struct svl_relay {
    struct svl_task task;
    const struct svl_link *self;
    struct svl_ctx *ctx;
    const struct svl_relay_config *config;
    const struct svl_relay_events *events;
    void *arg;
    struct svl_alarm *alarm, *total;
    struct svl_chunk *held; /* the head as far as it came, then what follows it; NULL = nothing */
    struct svl_stream *stream;
    int64_t length;    /* as the head says; -1 = not said */
    uint64_t counted;  /* bytes of the body so far */
    svl_str redirect;  /* the path of a local one; p is NULL without */
    unsigned n_before; /* fields that stood in the answer before the head */
    int status;        /* of a failure; 0 = none */
    bool detached;     /* the module was told, or has told, that it is over */
    bool head_done;    /* the head is understood */
    bool ended;        /* by svl_relay_end() */
    bool begun;        /* the answer is on its way */
    bool got_body;     /* the last piece of the request's body has gone */
    bool crowded;      /* svl_relay_write() has said false */
};

static unsigned or_minute(unsigned ms)
{
    return ms ? ms : 60000;
}

static void detach(struct svl_relay *r)
{
    r->detached = true;
    svl_alarm_stop(r->alarm);
    if (r->total)
        svl_alarm_stop(r->total);
}

/* The module hears of it once. */
static void leave(struct svl_relay *r)
{
    if (r->detached)
        return;
    detach(r);
    r->events->on_over(r, r->arg);
}

static void later(struct svl_relay *r)
{
    svl_worker_later(r->ctx->worker, &r->task);
}

/* Failing ---------------------------------------------------------------------------------- */

static void complain(const struct svl_relay *r, const char *why)
{
    svl_log(SVL_WARN, "%s: %.*s: %s", r->config->who, SVL_FMT(r->ctx->req.path), why);
}

static void set_failure(struct svl_relay *r, int status, const char *why)
{
    if (!r->status)
        complain(r, why);
    r->status = r->status ? r->status : status;
    later(r);
}

/* By our own doing, unlike svl_relay_fail(). */
static void fail(struct svl_relay *r, int status, const char *why)
{
    set_failure(r, status, why);
    leave(r);
}

/* What the head has put into the answer; with it what others have put there by the same name. */
static void forget_head(struct svl_relay *r)
{
    const struct svl_headers *headers = &r->ctx->res.headers;

    while (headers->n > r->n_before)
        svl_header_del_name(r->ctx, svl_header_name(&headers->at[headers->n - 1]));
    r->ctx->res.content_type = r->ctx->res.reason = SVL_STR_NONE;
    r->ctx->res.status = 0;
}

static void give_up(struct svl_relay *r)
{
    struct svl_ctx *ctx = r->ctx;

    if (r->begun) {
        if (r->stream)
            svl_stream_abort(r->stream);
        return;
    }
    r->begun = true;
    forget_head(r);
    if (r->status == 503)
        svl_header_set_static(ctx, SVL_H_RETRY_AFTER, SVL_STR("1"));
    svl_fail(ctx, r->status, NULL);
    svl_resume(ctx, SVL_DONE);
}

/* The head --------------------------------------------------------------------------------- */

/* Fields that are about the connection, or that the core writes itself. */
static bool is_ours(enum svl_header_id id)
{
    switch (id) {
    case SVL_H_CONNECTION:
    case SVL_H_KEEP_ALIVE:
    case SVL_H_TRANSFER_ENCODING:
    case SVL_H_TE:
    case SVL_H_TRAILER:
    case SVL_H_UPGRADE:
    case SVL_H_PROXY_CONNECTION:
    case SVL_H_DATE:
    case SVL_H_SERVER: return true;
    default: return false;
    }
}

static int take_status(struct svl_relay *r, svl_str value)
{
    svl_str reason;

    if (svl_cgi_status(value, &r->ctx->res.status, &reason))
        return SVL_ESYNTAX;
    if (reason.n > 0 && !svl_str_eq(reason, svl_status_text(r->ctx->res.status)))
        r->ctx->res.reason = svl_copy(r->ctx, reason);
    return 0;
}

static int take_length(struct svl_relay *r, svl_str value)
{
    unsigned long long length;

    if (!svl_str_u64(value, &length) || length > INT64_MAX || r->length >= 0)
        return SVL_ESYNTAX;
    r->length = (int64_t)length;
    return 0;
}

static int take_field(struct svl_relay *r, svl_str name, svl_str value)
{
    enum svl_header_id id = svl_header_id(name);

    if (svl_str_ieq(name, SVL_STR("status")))
        return take_status(r, value);
    if (id == SVL_H_CONTENT_LENGTH)
        return take_length(r, value);
    if (is_ours(id))
        return 0;
    if (id == SVL_H_LOCATION || id == SVL_H_CONTENT_TYPE)
        return svl_header_set(r->ctx, id, value);
    return svl_header_name_ok(name) ? svl_header_add_name(r->ctx, name, value) : SVL_EHEADER;
}

/* A location without a status: a path means another resource of ours, else the client goes there
 * (RFC 3875 6.2.2, 6.2.3). */
static void take_location(struct svl_relay *r)
{
    svl_str to = svl_headers_get(&r->ctx->res.headers, SVL_H_LOCATION);

    if (!to.p || r->ctx->res.status)
        return;
    if (!svl_str_starts(to, SVL_STR("/")) || svl_str_starts(to, SVL_STR("//")))
        r->ctx->res.status = 302;
    else
        r->redirect = svl_copy(r->ctx, to);
}

/* Returns 0, or SVL_ESYNTAX. */
static int take_head(struct svl_relay *r, svl_str head)
{
    svl_str name, value;
    unsigned n = 0;
    int more;

    while ((more = svl_cgi_field(&head, &name, &value)) > 0) {
        if (++n > 100 || take_field(r, name, value))
            return SVL_ESYNTAX;
    }
    if (more < 0 || n == 0)
        return SVL_ESYNTAX;
    take_location(r);
    if (!r->ctx->res.status)
        r->ctx->res.status = 200;
    r->head_done = true;
    return 0;
}

/* Bytes that are held ---------------------------------------------------------------------- */

static void hold(struct svl_relay *r, svl_str bytes)
{
    struct svl_chunk *old = r->held, *chunk = old;
    size_t had = old ? old->len : 0;

    if (!old || old->cap - had < bytes.n) {
        chunk = svl_chunk_new(&r->ctx->worker->chunks, 2 * had + bytes.n);
        if (old)
            memcpy(chunk->bytes, old->bytes, had);
        chunk->len = had;
        svl_chunk_unref(old);
        r->held = chunk;
    }
    memcpy(chunk->bytes + had, bytes.p, bytes.n);
    chunk->len += bytes.n;
}

static svl_str held(const struct svl_relay *r)
{
    return r->held ? (svl_str){r->held->bytes, r->held->len} : SVL_STR("");
}

static void drop_held(struct svl_relay *r)
{
    svl_chunk_unref(r->held);
    r->held = NULL;
}

/* The head, as far as bytes hold it; what follows is left in *bytes. */
static void read_head(struct svl_relay *r, svl_str *bytes)
{
    size_t max = r->config->max_head ? r->config->max_head : 32768;
    size_t seen = r->held ? r->held->len : 0, n;
    svl_str all = *bytes;

    if (seen > 0) {
        hold(r, *bytes);
        all = held(r);
    }
    n = svl_cgi_head_length(all, seen);
    if (n > max || (n == 0 && all.n > max)) {
        fail(r, 502, "the head of the answer is too long");
    } else if (n == 0 && seen == 0) {
        hold(r, *bytes);
    } else if (n > 0) {
        if (take_head(r, svl_str_head(all, n)))
            fail(r, 502, "the head of the answer is not well formed");
        *bytes = svl_str_from(*bytes, n - seen);
        drop_held(r);
    }
}

/* The body --------------------------------------------------------------------------------- */

static bool has_no_body(const struct svl_relay *r)
{
    int status = r->ctx->res.status;

    return r->ctx->req.method == SVL_HEAD || status == 204 || status == 304 || r->redirect.p;
}

static void on_stream_room(struct svl_stream *stream, void *arg)
{
    struct svl_relay *r = arg;

    (void)stream;
    if (!r->crowded)
        return;
    r->crowded = false;
    if (r->detached)
        return;
    svl_alarm_set(r->alarm, or_minute(r->config->read_ms));
    r->events->on_room(r, r->arg);
}

static void on_stream_gone(struct svl_stream *stream, void *arg)
{
    struct svl_relay *r = arg;

    (void)stream;
    r->stream = NULL;
    leave(r);
}

/* The whole body has come: it goes out with its length. */
static void send_whole(struct svl_relay *r)
{
    struct svl_ctx *ctx = r->ctx;
    svl_str body = held(r);

    if (r->length >= 0 && !has_no_body(r)) {
        if (body.n < (uint64_t)r->length) {
            set_failure(r, 502, "the answer is shorter than it says");
            give_up(r);
            return;
        }
        body = svl_str_head(body, (size_t)r->length);
    }
    r->begun = true;
    if (!has_no_body(r))
        svl_body_bytes(ctx, body); /* held until the ctx is over */
    else if (ctx->req.method == SVL_HEAD)
        svl_body_source(ctx, NULL, NULL, r->length >= 0 ? r->length : (int64_t)r->counted);
    svl_resume(ctx, SVL_DONE);
}

static void send_stream(struct svl_relay *r)
{
    struct svl_ctx *ctx = r->ctx;
    bool gone_at_eof = svl_exchange_of(ctx)->gone_at_eof;

    r->begun = true;
    r->stream = svl_stream_open(ctx, on_stream_room, on_stream_gone, r);
    svl_exchange_of(ctx)->gone_at_eof =
        gone_at_eof; /* as the config says, not as for all streams */
    ctx->res.body.length = r->length;
    svl_stream_push(r->stream, held(r));
    drop_held(r);
    if (r->crowded)
        r->stream->wants_room = true;
    svl_resume(ctx, SVL_DONE);
}

static void guess_type(struct svl_relay *r)
{
    if (!r->ctx->res.content_type.p && r->held && r->held->len > 0)
        svl_content_type(r->ctx, svl_mime_sniff(held(r)));
}

static enum svl_verdict follow(struct svl_ctx *ctx, void *arg)
{
    struct svl_relay *r = arg;
    svl_str path = r->redirect, query = SVL_STR_NONE;
    size_t mark = svl_str_find(path, '?');
    char *decoded;

    if (mark < path.n)
        query = svl_str_from(path, mark + 1);
    path = svl_str_head(path, mark);
    decoded = svl_alloc(ctx, path.n + 1);
    path = (svl_str){decoded, svl_unescape(decoded, path, false)};
    forget_head(r);
    if (svl_exchange_of(ctx)->redirects++ >= MAX_REDIRECTS || svl_rewrite(ctx, path, query)) {
        complain(r, "a local redirect that leads nowhere");
        return svl_fail(ctx, 502, NULL);
    }
    if (ctx->req.method != SVL_HEAD) {
        ctx->req.method = SVL_GET;
        ctx->req.method_text = SVL_STR("GET");
    }
    ctx->req.content_length = 0;
    ctx->req.body = SVL_STR("");
    return r->self->module->on_request(r->self, ctx);
}

/* Another request takes this one's place; its body is over first. */
static void redirect(struct svl_relay *r)
{
    if (!r->got_body)
        return;
    leave(r);
    r->begun = true;
    svl_resume_with(r->ctx, follow, r);
}

static void on_turn(struct svl_task *task)
{
    struct svl_relay *r = svl_container(task, struct svl_relay, task);

    if (r->begun) {
        if (r->status)
            give_up(r);
    } else if (r->ended && !r->head_done && !r->status) {
        set_failure(r, 502, "the answer has no head");
        give_up(r);
    } else if (r->status) {
        give_up(r);
    } else if (!r->head_done || (has_no_body(r) && !r->ended && !r->redirect.p)) {
        return;
    } else if (r->redirect.p) {
        redirect(r);
    } else {
        guess_type(r);
        if (r->ended)
            send_whole(r);
        else
            send_stream(r);
    }
}

/* The client, and time --------------------------------------------------------------------- */

static void on_cancel(struct svl_ctx *ctx, void *arg)
{
    struct svl_relay *r = arg;

    leave(r);
    r->begun = true;
    svl_resume(ctx, SVL_DONE); /* ends r */
}

static enum svl_verdict lost(struct svl_relay *r)
{
    leave(r);
    if (r->begun && r->stream)
        svl_stream_abort(r->stream);
    r->begun = true;
    return SVL_DONE;
}

/* The back end has all the time until the client has sent its part. */
static void time_the_back_end(struct svl_relay *r, bool its_turn)
{
    if (r->detached || r->head_done)
        return;
    if (its_turn)
        svl_alarm_set(r->alarm, or_minute(r->config->head_ms));
    else
        svl_alarm_stop(r->alarm);
}

static enum svl_verdict on_piece(struct svl_ctx *ctx, void *arg, svl_str piece, enum svl_piece kind)
{
    struct svl_relay *r = arg;
    bool last = kind == SVL_PIECE_LAST, more = true;

    if (kind == SVL_PIECE_GONE)
        return lost(r);
    r->got_body = last;
    if (!r->detached)
        more = r->events->on_body(r, r->arg, piece, last);
    if (last && r->redirect.p)
        later(r);
    if (!more && !last)
        svl_body_pause(ctx);
    time_the_back_end(r, last || !more);
    if (r->begun)
        return r->detached ? SVL_DONE : SVL_PENDING;
    return last ? svl_pend(ctx, on_cancel, r) : SVL_PENDING;
}

static void on_alarm(struct svl_ctx *ctx, void *arg)
{
    struct svl_relay *r = arg;

    (void)ctx;
    fail(r, 504, r->head_done ? "the answer takes too long" : "no answer in time");
}

static void on_free(void *arg)
{
    struct svl_relay *r = arg;

    r->begun = true;
    leave(r);
    svl_list_remove(&r->task.link);
    drop_held(r);
}

/* For modules ------------------------------------------------------------------------------ */

enum svl_verdict svl_relay_begin(struct svl_relay **relay, const struct svl_link *self,
                                 struct svl_ctx *ctx, const struct svl_relay_config *config,
                                 const struct svl_relay_events *events, void *arg)
{
    struct svl_relay *r = svl_alloc(ctx, sizeof *r);

    *r = (struct svl_relay){
        .task.run = on_turn,
        .self = self,
        .ctx = ctx,
        .config = config,
        .events = events,
        .arg = arg,
        .length = -1,
        .n_before = ctx->res.headers.n,
    };
    r->alarm = svl_alarm_new(ctx, on_alarm, r);
    svl_on_free(ctx, on_free, r);
    if (config->total_ms) {
        r->total = svl_alarm_new(ctx, on_alarm, r);
        svl_alarm_set(r->total, config->total_ms);
    }
    if (!config->keep_half_open)
        svl_gone_at_eof(ctx);
    svl_body_limit(ctx, config->max_body ? config->max_body : 64 << 20);
    *relay = r;
    return svl_stream_body(ctx, on_piece, r);
}

static bool take_body(struct svl_relay *r, svl_str bytes)
{
    r->counted += bytes.n;
    if (has_no_body(r))
        return true;
    if (!r->begun) {
        hold(r, bytes);
        return r->held->len <= ROOM;
    }
    svl_stream_push(r->stream, bytes);
    if (r->stream->waiting <= ROOM)
        return true;
    r->stream->wants_room = true;
    return false;
}

bool svl_relay_write(struct svl_relay *r, svl_str bytes)
{
    bool room = true;

    SVL_MISUSE_IF(r->detached, "svl_relay_write: this relay is over");
    if (!r->head_done)
        read_head(r, &bytes);
    if (r->detached)
        return true; /* the head was not well formed */
    if (!r->begun && r->head_done)
        later(r);
    if (r->head_done && bytes.n > 0)
        room = take_body(r, bytes);
    r->crowded = !room;
    if (r->head_done) {
        if (room)
            svl_alarm_set(r->alarm, or_minute(r->config->read_ms));
        else
            svl_alarm_stop(r->alarm);
    }
    return room;
}

void svl_relay_end(struct svl_relay *r)
{
    SVL_MISUSE_IF(r->detached, "svl_relay_end: this relay is over");
    detach(r);
    r->ended = true;
    if (!r->begun) {
        later(r);
    } else if (r->length >= 0 && r->counted < (uint64_t)r->length) {
        complain(r, "the answer is shorter than it says");
        svl_stream_abort(r->stream);
    } else {
        svl_stream_end(r->stream);
    }
}

void svl_relay_fail(struct svl_relay *r, int status, const char *why)
{
    SVL_MISUSE_IF(r->detached, "svl_relay_fail: this relay is over");
    detach(r);
    set_failure(r, status, why);
}

void svl_relay_ready(struct svl_relay *r)
{
    time_the_back_end(r, r->got_body);
    svl_body_continue(r->ctx);
}

struct svl_ctx *svl_relay_ctx(struct svl_relay *r)
{
    return r->ctx;
}
