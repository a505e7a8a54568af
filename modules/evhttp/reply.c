/* Answers. What a call gives is sent when the call is over (on_alarm), so that none of them ends the
 * request that its caller still works on. */
#include "internal.h"

#include "serval/response.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define WHOLE_MAX 65536 /* larger bodies go out piece by piece */

/* When to send ----------------------------------------------------------------------------- */

static void on_alarm(struct svl_ctx *ctx, void *arg)
{
    struct evhttp_request *req = arg;

    if (!req->resumed) {
        req->resumed = true;
        svl_resume(ctx, SVL_DONE);
    } else {
        svl_body_more(ctx);
    }
}

/* Something was given. From within the callback its verdict does it, from within pull() its result. */
static void soon(struct evhttp_request *req)
{
    if (req->running || req->pulling || !req->ctx)
        return;
    if (!req->alarm)
        req->alarm = svl_alarm_new(req->ctx, on_alarm, req);
    svl_alarm_set(req->alarm, 0);
    evhttp_wake(req->bound);
}

/* The head --------------------------------------------------------------------------------- */

static bool is_framing(const char *name)
{
    static const char *const names[] = {
        "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Date",
        "Server",         "Upgrade",           NULL};

    for (const char *const *at = names; *at; at++)
        if (evutil_ascii_strcasecmp(*at, name) == 0)
            return true;
    return false;
}

static void put_type(struct evhttp_request *req)
{
    if (!req->ctx->res.content_type.p && req->http && req->http->type)
        svl_header_set(req->ctx, SVL_H_CONTENT_TYPE, svl_str_of(req->http->type));
}

static void put_head(struct evhttp_request *req, int code, const char *reason)
{
    struct svl_ctx *ctx = req->ctx;
    const char *connection = evhttp_find_header(&req->out_headers, "Connection");
    struct evkeyval *field;

    req->started = true;
    req->code = code;
    if (!ctx)
        return;
    svl_status(ctx, code);
    if (reason && *reason)
        svl_reason(ctx, svl_str_of(reason));
    if (connection && evutil_ascii_strcasecmp(connection, "close") == 0)
        svl_close(ctx);
    TAILQ_FOREACH(field, &req->out_headers, next)
    {
        if (!is_framing(field->key) && svl_header_name_ok(svl_str_of(field->key)))
            svl_header_add_name(ctx, svl_str_of(field->key), svl_str_of(field->value));
    }
    put_type(req);
}

/* The body --------------------------------------------------------------------------------- */

static void tell_sent(struct evhttp_request *req)
{
    void (*on_sent)(struct evhttp_connection * con, void *arg) = req->on_sent;

    req->on_sent = NULL;
    if (!on_sent)
        return;
    req->pulling = true;
    on_sent(&req->con, req->on_sent_arg);
    req->pulling = false;
}

static ssize_t pull(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    struct evhttp_request *req = arg;

    (void)ctx;
    if (evbuffer_get_length(req->out) == 0)
        tell_sent(req); /* which may give more */
    if (evbuffer_get_length(req->out) > 0)
        return evbuffer_remove(req->out, to, room);
    return req->ended ? 0 : -EAGAIN;
}

static void put_whole(struct evhttp_request *req)
{
    size_t n = evbuffer_get_length(req->out);

    if (!req->ctx)
        return;
    if (n > WHOLE_MAX) {
        svl_body_source(req->ctx, pull, req, (int64_t)n);
        return;
    }
    svl_body_copy(req->ctx, (svl_str){(const char *)evbuffer_pullup(req->out, -1), n});
    evbuffer_drain(req->out, n);
}

static bool may_start(const struct evhttp_request *req)
{
    if (!req->started)
        return true;
    svl_log(SVL_WARN, "evhttp: %s: answered twice", req->uri);
    return false;
}

void svl_evhttp_send_reply(struct evhttp_request *req, int code, const char *reason,
                           struct evbuffer *body)
{
    if (!may_start(req))
        return;
    if (body)
        evbuffer_add_buffer(req->out, body);
    put_head(req, code, reason);
    put_whole(req);
    soon(req);
    evhttp_over(req);
}

void svl_evhttp_send_error(struct evhttp_request *req, int code, const char *reason)
{
    svl_str known = svl_status_text(code);
    struct evbuffer *page;

    if (!may_start(req))
        return;
    page = evbuffer_new();
    evhttp_clear_headers(&req->out_headers);
    evbuffer_drain(req->out, evbuffer_get_length(req->out));
    evhttp_add_header(&req->out_headers, "Content-Type", "text/html");
    evhttp_add_header(&req->out_headers, "Connection", "close");
    if (reason && *reason)
        evbuffer_add_printf(page, "<!doctype html><title>%d</title><h1>%d %s</h1>\n", code, code,
                            reason);
    else
        evbuffer_add_printf(page, "<!doctype html><title>%d</title><h1>%d %.*s</h1>\n", code, code,
                            SVL_FMT(known));
    svl_evhttp_send_reply(req, code, reason, page);
    evbuffer_free(page);
}

void svl_evhttp_send_reply_start(struct evhttp_request *req, int code, const char *reason)
{
    const char *given = evhttp_find_header(&req->out_headers, "Content-Length");
    unsigned long long length;

    if (!may_start(req))
        return;
    put_head(req, code, reason);
    if (req->ctx)
        svl_body_source(req->ctx, pull, req,
                        given && svl_str_u64(svl_str_of(given), &length) ? (int64_t)length : -1);
    soon(req);
}

void svl_evhttp_send_reply_chunk_with_cb(struct evhttp_request *req, struct evbuffer *bytes,
                                         void (*callback)(struct evhttp_connection *con, void *arg),
                                         void *arg)
{
    if (!req->ctx || req->gone) {
        evbuffer_drain(bytes, evbuffer_get_length(bytes)); /* nobody is there to read it */
        return;
    }
    evbuffer_add_buffer(req->out, bytes);
    req->on_sent = callback;
    req->on_sent_arg = arg;
    soon(req);
}

void svl_evhttp_send_reply_chunk(struct evhttp_request *req, struct evbuffer *bytes)
{
    svl_evhttp_send_reply_chunk_with_cb(req, bytes, NULL, NULL);
}

void svl_evhttp_send_reply_end(struct evhttp_request *req)
{
    soon(req);
    evhttp_over(req);
}
