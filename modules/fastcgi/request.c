/* One request: its records out, its answer in, and when it may be tried once more. */
#include "internal.h"

#include "serval/error.h"
#include "serval/log.h"
#include "serval/stream.h"

#include <stdlib.h>

/* Records ---------------------------------------------------------------------------------- */

static unsigned char *reserve(struct fcgi_buffer *b, size_t n)
{
    if (b->room - b->n < n) {
        size_t room = 2 * b->room + n;
        unsigned char *bytes = realloc(b->bytes, room);

        if (!bytes)
            abort(); /* as the core does without memory */
        b->bytes = bytes;
        b->room = room;
    }
    return b->bytes + b->n;
}

static void add_param(void *arg, svl_str name, svl_str value)
{
    struct fcgi_buffer *b = arg;
    unsigned char *to = reserve(b, 8 + name.n + value.n), *begin = to;

    to += fcgi_length(to, name.n);
    to += fcgi_length(to, value.n);
    memcpy(to, name.p, name.n);
    to += name.n;
    if (value.n > 0)
        memcpy(to, value.p, value.n);
    b->n += (size_t)(to + value.n - begin);
}

static void put_stream(struct fcgi_buffer *b, unsigned type, svl_str content)
{
    while (content.n > 0) {
        size_t n = content.n < FCGI_MAX_CONTENT ? content.n : FCGI_MAX_CONTENT;
        unsigned char *to = reserve(b, FCGI_HEADER + n);

        b->n += fcgi_header(to, type, n) + n;
        memcpy(to + FCGI_HEADER, content.p, n);
        content = svl_str_from(content, n);
    }
}

static void put_end(struct fcgi_buffer *b, unsigned type)
{
    b->n += fcgi_header(reserve(b, FCGI_HEADER), type, 0);
}

static void put_head(struct fcgi_request *req)
{
    struct fcgi_state *state = req->state;
    struct fcgi_buffer *out = &state->out, *params = &state->params;
    const char *const *more = state->config->params;

    params->n = 0;
    svl_gateway_variables(req->ctx, &req->target, add_param, params);
    for (; more && *more; more++) {
        svl_str value = svl_str_of(*more), name;

        if (svl_str_split(&value, '=', &name))
            add_param(params, name, value.p ? value : SVL_STR(""));
    }
    out->n = 0;
    out->n += fcgi_begin(reserve(out, 2 * FCGI_HEADER), state->config->max_idle > 0);
    put_stream(out, FCGI_PARAMS, (svl_str){(const char *)params->bytes, params->n});
    put_end(out, FCGI_PARAMS);
}

/* Connections ------------------------------------------------------------------------------ */

static void stop_alarm(struct fcgi_request *req)
{
    if (req->alarm)
        svl_alarm_stop(req->alarm);
}

static void on_connect_late(struct svl_ctx *ctx, void *arg)
{
    struct fcgi_request *req = arg;

    (void)ctx;
    if (req->conn && !req->conn->connected)
        svl_raw_abort(req->conn->raw); /* fcgi_request_lost() goes on */
}

static void attach(struct fcgi_request *req, struct fcgi_conn *conn)
{
    conn->req = req;
    conn->heard = conn->blocked = false;
    memset(&conn->reader, 0, sizeof conn->reader);
    req->conn = conn;
    req->tries++;
    put_head(req);
    if (conn->connected)
        return;
    req->alarm = svl_alarm_new(req->ctx, on_connect_late, req);
    svl_alarm_set(req->alarm, req->state->config->connect_ms);
}

static bool is_idempotent(enum svl_method method)
{
    switch (method) {
    case SVL_GET:
    case SVL_HEAD:
    case SVL_OPTIONS:
    case SVL_TRACE:
    case SVL_PUT:
    case SVL_DELETE: return true;
    default: return false;
    }
}

/* Either the server has not seen it, or it was closing an idle connection when the request came,
 * which the client may do again by itself (RFC 9110 9.2.2). */
static bool may_try_again(const struct fcgi_request *req, const struct fcgi_conn *was)
{
    if (was->heard || req->spent || req->tries > SVL_FASTCGI_SERVERS)
        return false;
    return !was->connected || (was->used && is_idempotent(req->ctx->req.method));
}

static void fail(struct fcgi_request *req, int status, const char *why)
{
    struct svl_relay *relay = req->relay;

    req->relay = NULL;
    stop_alarm(req);
    if (relay)
        svl_relay_fail(relay, status, why);
}

void fcgi_request_lost(struct fcgi_request *req, const struct fcgi_conn *was)
{
    struct fcgi_conn *conn;
    int status;

    req->conn = NULL;
    stop_alarm(req);
    if (!req->relay)
        return;
    if (!may_try_again(req, was)) {
        fail(req, 502, was->connected ? "the server has closed the connection" : "cannot connect");
        return;
    }
    conn = fcgi_conn_get(req->state, &status);
    if (!conn) {
        fail(req, status ? status : 503, "no connection for another try");
        return;
    }
    attach(req, conn);
    put_stream(&req->state->out, FCGI_STDIN, req->kept);
    if (req->body_done)
        put_end(&req->state->out, FCGI_STDIN);
    fcgi_conn_flush(conn);
}

void fcgi_request_ready(struct fcgi_request *req)
{
    stop_alarm(req);
    if (req->relay)
        svl_relay_ready(req->relay);
}

/* The answer ------------------------------------------------------------------------------- */

/* Returns whether the connection is as good as new. */
static bool finish(struct fcgi_conn *conn, const struct fcgi_event *end)
{
    struct fcgi_request *req = conn->req;
    struct svl_relay *relay = req->relay;

    req->conn = NULL;
    req->relay = NULL;
    stop_alarm(req);
    if (end->protocol == FCGI_REQUEST_COMPLETE)
        svl_relay_end(relay);
    else if (end->protocol == FCGI_OVERLOADED)
        svl_relay_fail(relay, 503, "the server is overloaded");
    else
        svl_relay_fail(relay, 502, "the server refuses to answer");
    return end->protocol == FCGI_REQUEST_COMPLETE && req->body_done && !conn->blocked &&
           !fcgi_within(&conn->reader);
}

/* Returns false when the request is over: *reusable tells whether the connection can go on. */
static bool take_event(struct fcgi_conn *conn, const struct fcgi_event *event, bool *reusable)
{
    conn->heard = true;
    switch (event->type) {
    case FCGI_STDOUT:
        if (!svl_relay_write(conn->req->relay, event->piece) && !conn->doomed)
            svl_raw_read(conn->raw, false);
        return !conn->doomed;
    case FCGI_STDERR: svl_gateway_lines_add(&conn->lines, event->piece); return true;
    default: *reusable = finish(conn, event); return false;
    }
}

void fcgi_request_data(struct fcgi_conn *conn, svl_str data)
{
    struct fcgi_event event;
    bool going = true, reusable = false;
    int more;

    fcgi_conn_enter(conn);
    while (going && (more = fcgi_read(&conn->reader, &data, &event)) > 0)
        going = take_event(conn, &event, &reusable);
    if (going && more < 0) {
        struct fcgi_request *req = conn->req;

        req->conn = NULL;
        fail(req, 502, "the server does not speak FastCGI");
        going = false;
    }
    if (!going && !conn->doomed)
        fcgi_conn_put(conn, reusable && data.n == 0);
    fcgi_conn_leave(conn);
}

/* The relay -------------------------------------------------------------------------------- */

static bool on_body(struct svl_relay *relay, void *arg, svl_str piece, bool last)
{
    struct fcgi_request *req = arg;
    struct fcgi_buffer *out = &req->state->out;

    (void)relay;
    req->body_done = last;
    if (!req->conn)
        return true;
    if (piece.n > 0 && !req->conn->connected && !req->kept.p)
        req->kept = svl_copy(req->ctx, piece);
    else if (piece.n > 0)
        req->spent = true;
    put_stream(out, FCGI_STDIN, piece);
    if (last)
        put_end(out, FCGI_STDIN);
    if (req->began) /* else it leaves together with the head */
        fcgi_conn_flush(req->conn);
    return !req->conn || !req->conn->blocked;
}

static void on_room(struct svl_relay *relay, void *arg)
{
    struct fcgi_request *req = arg;

    (void)relay;
    svl_raw_read(req->conn->raw, true);
}

static void on_over(struct svl_relay *relay, void *arg)
{
    struct fcgi_request *req = arg;
    struct fcgi_conn *conn = req->conn;

    (void)relay;
    req->relay = NULL;
    req->conn = NULL;
    stop_alarm(req);
    if (!conn)
        return;
    conn->req = NULL;
    if (conn->busy) { /* its answer is being read: when that has returned */
        conn->doomed = true;
        return;
    }
    req->state->out.n = 0;
    put_end(&req->state->out, FCGI_ABORT_REQUEST);
    fcgi_conn_enter(conn);
    fcgi_conn_flush(conn);
    conn->doomed = true;
    fcgi_conn_leave(conn);
}

static const struct svl_relay_events relay_events = {
    .on_body = on_body, .on_room = on_room, .on_over = on_over};

static enum svl_verdict answer_on(struct fcgi_request *req, struct fcgi_conn *conn)
{
    enum svl_verdict v;

    attach(req, conn);
    v = svl_relay_begin(&req->relay, req->self, req->ctx, &req->state->config->limits,
                        &relay_events, req);
    req->began = true;
    if (req->conn)
        fcgi_conn_flush(req->conn);
    return v;
}

/* Waiting ---------------------------------------------------------------------------------- */

static bool leave_line(struct fcgi_request *req)
{
    struct fcgi_state *state = req->state;
    struct fcgi_request *before = NULL, *at = state->first;

    while (at && at != req) {
        before = at;
        at = at->next;
    }
    if (!at)
        return false;
    if (before)
        before->next = req->next;
    else
        state->first = req->next;
    if (state->last == req)
        state->last = before;
    state->n_waiting--;
    svl_alarm_stop(req->alarm);
    return true;
}

static enum svl_verdict refuse(struct svl_ctx *ctx)
{
    svl_header_set_static(ctx, SVL_H_RETRY_AFTER, SVL_STR("1"));
    return svl_fail(ctx, 503, NULL);
}

static void on_wait_cancel(struct svl_ctx *ctx, void *arg)
{
    leave_line(arg);
    svl_resume(ctx, SVL_DONE);
}

static void on_wait_late(struct svl_ctx *ctx, void *arg)
{
    leave_line(arg);
    svl_log(SVL_WARN, "fastcgi: %.*s: no connection was free in time", SVL_FMT(ctx->req.path));
    svl_resume(ctx, refuse(ctx));
}

static enum svl_verdict stand_in_line(struct fcgi_request *req)
{
    struct fcgi_state *state = req->state;

    if (state->n_waiting >= state->config->max_waiting)
        return refuse(req->ctx);
    if (state->last)
        state->last->next = req;
    else
        state->first = req;
    state->last = req;
    state->n_waiting++;
    req->alarm = svl_alarm_new(req->ctx, on_wait_late, req);
    svl_alarm_set(req->alarm, state->config->wait_ms);
    if (!state->config->limits.keep_half_open)
        svl_gone_at_eof(req->ctx);
    return svl_pend(req->ctx, on_wait_cancel, req);
}

enum svl_verdict fcgi_answer(struct fcgi_request *req)
{
    int status;
    struct fcgi_conn *conn = fcgi_conn_get(req->state, &status);

    if (conn)
        return answer_on(req, conn);
    if (status == 0)
        return stand_in_line(req);
    return status == 503 ? refuse(req->ctx) : svl_fail(req->ctx, status, NULL);
}

static enum svl_verdict its_turn(struct svl_ctx *ctx, void *arg)
{
    (void)ctx;
    return fcgi_answer(arg);
}

void fcgi_next_in_line(struct fcgi_state *state)
{
    while (state->first && (state->idle || state->n_conns < state->config->max_connections)) {
        struct fcgi_request *req = state->first;

        leave_line(req);
        req->next = NULL;
        svl_resume_with(req->ctx, its_turn, req);
    }
}
