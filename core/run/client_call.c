/* A call from the ask to the reply: checks, deadline, tries, redirects, and its one done(). */
#include "run/client.h"

#include "base/check.h"
#include "http/chars.h"
#include "serval/decode.h"
#include "serval/error.h"
#include "serval/text.h"
#include "serval/uri.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define ARENA_BUDGET (1 << 20)

/* The ask ---------------------------------------------------------------------------------- */

static bool all_are(svl_str s, int what)
{
    for (size_t i = 0; i < s.n; i++)
        if (!svl_char_is(s.p[i], what))
            return false;
    return s.n > 0;
}

/* Nothing that would end a line (RFC 9110 5.5). */
static bool value_valid(svl_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
            return false;
    return true;
}

/* Framing and the connection are ours; Host has a place of its own in the ask. */
static bool field_valid(struct svl_call *call, const struct svl_field *field)
{
    switch (svl_header_id(field->name)) {
    case SVL_H_HOST:
    case SVL_H_CONNECTION:
    case SVL_H_CONTENT_LENGTH:
    case SVL_H_TRANSFER_ENCODING:
    case SVL_H_UPGRADE:
    case SVL_H_EXPECT:
    case SVL_H_TE:
    case SVL_H_TRAILER:
    case SVL_H_KEEP_ALIVE:
    case SVL_H_PROXY_CONNECTION: return false;
    case SVL_H_USER_AGENT: call->has_agent = true; break;
    case SVL_H_AUTHORIZATION: call->has_auth = true; break;
    case SVL_H_ACCEPT_ENCODING: call->has_accept = true; break;
    default: break;
    }
    return all_are(field->name, SVL_CHAR_TOKEN) && value_valid(field->value);
}

static int check(struct svl_call *call, const char **why)
{
    const struct svl_fetch *ask = &call->ask;

    *why = "a header name or value of the request is not well formed, or is the client's own";
    for (unsigned i = 0; i < ask->n_fields; i++)
        if (!field_valid(call, &ask->fields[i]))
            return SVL_EHEADER;
    if (!value_valid(ask->type) || (ask->host.p && !svl_host_valid(ask->host)))
        return SVL_EHEADER;
    *why = "the method is not a token";
    if (!all_are(call->method, SVL_CHAR_TOKEN) || svl_str_eq(call->method, SVL_STR("CONNECT")))
        return SVL_ESYNTAX;
    return 0;
}

static svl_str method_of(const struct svl_fetch *ask)
{
    if (ask->method_text.p)
        return ask->method_text;
    if (ask->method != SVL_METHOD_OTHER)
        return svl_method_text(ask->method);
    return ask->body.n > 0 || ask->give ? SVL_STR("POST") : SVL_STR("GET");
}

static uint64_t body_limit(const struct svl_call *call)
{
    if (call->ask.max_body)
        return call->ask.max_body;
    return call->ask.on_piece ? UINT64_MAX : call->agent->client->config.max_body;
}

/* The end ---------------------------------------------------------------------------------- */

static uint64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t svl_call_clock(void)
{
    return clock_ns() / 1000;
}

uint64_t svl_in_ms(unsigned ms)
{
    return clock_ns() + (uint64_t)ms * 1000000;
}

/* 0 if it was before the call; else not 0, be it in the call's first microsecond. */
static uint64_t since(const struct svl_call *call, uint64_t at_us)
{
    if (at_us < call->began_us)
        return 0;
    return at_us > call->began_us ? at_us - call->began_us : 1;
}

void svl_call_stamp(const struct svl_call *call, uint64_t *at)
{
    if (svl_unlikely(call->ask.timing) && !*at)
        *at = since(call, svl_call_clock());
}

void svl_call_stamp_way(struct svl_call *call, const struct svl_wire_state *wire)
{
    call->reply.timing = (struct svl_timing){0};
    if (wire->served)
        return;
    call->reply.timing.resolved = since(call, wire->resolved_us);
    call->reply.timing.connected = since(call, wire->connected_us);
}

/* What belongs to one response. */
static void clear_response(struct svl_call *call)
{
    svl_chunk_unref(call->head);
    call->head = NULL;
    free(call->body);
    call->body = NULL;
    call->body_len = call->body_cap = 0;
    svl_decoder_close(call->decoder);
    call->decoder = NULL;
    call->head_read = false;
    call->interim = 0;
    call->reply.status = 0;
    call->reply.headers.n = 0;
}

static void release(struct svl_call *call)
{
    struct svl_agent *agent = call->agent;

    clear_response(call);
    svl_arena_finish(&call->arena);
    call->magic = 0;
    svl_pool_put(&agent->pool, call);
    svl_agent_free_if_over(agent);
}

static void over(struct svl_call *call)
{
    struct svl_agent *agent = call->agent;

    svl_timer_clear(&call->deadline);
    svl_list_remove(&call->link);
    agent->n_calls--;
    if (call->backend)
        svl_backend_done(call);
    if (call->host)
        svl_host_unref(call->host);
    call->host = NULL;
}

static void finish(struct svl_call *call)
{
    svl_call_stamp(call, &call->reply.timing.done);
    over(call);
    call->in_done = true;
    if (!call->cancelled)
        call->done(&call->reply, call->arg);
    call->in_done = false;
    if (!call->kept)
        release(call);
}

/* Not while svl_call() is on the stack. */
static void finish_later(struct svl_call *call)
{
    svl_list_append(&call->agent->failed, &call->place);
    svl_worker_later(call->agent->worker, &call->agent->task);
}

void svl_call_give_up(struct svl_call *call, int error, const char *why)
{
    svl_decoder_close(call->decoder);
    call->decoder = NULL;
    call->reply.error = error;
    call->reply.why = why ? why : svl_strerror(error);
    call->reply.body = call->reply.trailers = SVL_STR("");
    if (!call->head_read) { /* part of a head is none */
        call->reply.status = 0;
        call->reply.reason = SVL_STR("");
        call->reply.headers.n = 0;
        memset(call->reply.headers.first, 0, sizeof call->reply.headers.first);
    }
    if (call->starting)
        finish_later(call);
    else
        finish(call);
}

void svl_agent_task(struct svl_agent *agent)
{
    while (!svl_list_empty(&agent->failed)) {
        struct svl_call *call = svl_container(agent->failed.next, struct svl_call, place);

        svl_list_remove(&call->place);
        finish(call);
    }
    svl_wire_flush(agent);
}

/* Tries ------------------------------------------------------------------------------------ */

static bool idempotent(svl_str method)
{
    switch (svl_method_of(method)) {
    case SVL_GET:
    case SVL_HEAD:
    case SVL_PUT:
    case SVL_DELETE:
    case SVL_OPTIONS:
    case SVL_TRACE: return true;
    default: return false;
    }
}

static bool may_try_again(const struct svl_call *call, int error)
{
    const struct svl_client_config *config = &call->agent->client->config;

    if (call->agent->closing || call->cancelled || call->handed_out || call->reply.tries == 0 ||
        call->reply.tries >= config->max_tries)
        return false;
    if (call->body_begun && !call->no_body)
        return false;
    if (config->retry)
        return config->retry(&call->ask, call->reply.tries, error, config->retry_arg);
    return error != SVL_ELIMIT && idempotent(call->method);
}

void svl_call_again(struct svl_call *call)
{
    clear_response(call);
    svl_host_submit(call->host, call);
}

void svl_call_failed(struct svl_call *call, int error, const char *why)
{
    if (!may_try_again(call, error)) {
        svl_call_give_up(call, error, why);
        return;
    }
    svl_call_again(call);
}

/* What was read may be of others, too: the names are written elsewhere. */
static void write_names(struct svl_call *call)
{
    struct svl_headers *headers = &call->reply.headers;
    size_t n = 0;
    char *to;

    for (unsigned i = 0; i < headers->n; i++)
        n += headers->at[i].name_len;
    to = svl_arena_alloc(&call->arena, n);
    for (unsigned i = 0; i < headers->n; i++) {
        svl_header_canonical(to, svl_header_name(&headers->at[i]));
        headers->at[i].name = to;
        to += headers->at[i].name_len;
    }
}

int svl_call_head(struct svl_call *call)
{
    struct svl_reply *reply = &call->reply;
    svl_str coding = svl_reply_header(reply, SVL_H_CONTENT_ENCODING);
    int err;

    call->following = svl_call_may_follow(call);
    if (call->following)
        return 0;
    if (svl_unlikely(call->agent->client->config.canonical_names))
        write_names(call);
    if (call->ask.decode && coding.p && coding.n > 0)
        reply->decoded = true;
    if (!call->ask.on_head)
        return 0;
    call->handed_out = true;
    call->on_stack = true;
    err = call->ask.on_head(call, reply, call->ask.arg);
    call->on_stack = false;
    return call->cancelled ? -ECANCELED : err;
}

void svl_call_complete(struct svl_call *call)
{
    const char *why = NULL;
    int err;

    if (svl_likely(!call->following)) {
        finish(call);
        return;
    }
    err = svl_call_redirect(call, &why);
    if (err) {
        svl_call_give_up(call, err, why);
        return;
    }
    clear_response(call);
    call->reply.tries = 0;
    svl_host_submit(call->host, call);
}

/* Waiting for a connection, in flight, or about to end: out of there. */
static void take_out(struct svl_call *call)
{
    if (call->conn)
        svl_wire_abandon(call);
    else if (svl_list_linked(&call->place) && call->reply.error)
        svl_list_remove(&call->place);
    else if (svl_list_linked(&call->place))
        svl_host_withdraw(call->host, call);
}

void svl_call_end(struct svl_call *call, int error, const char *why)
{
    take_out(call);
    svl_call_give_up(call, error, why);
}

static void on_deadline(struct svl_timer *timer)
{
    svl_call_end(svl_container(timer, struct svl_call, deadline), -ETIMEDOUT,
                 "the response did not come in time");
}

/* For users -------------------------------------------------------------------------------- */

static struct svl_call *make(struct svl_agent *agent, const struct svl_fetch *ask,
                             svl_done_fn *done, void *arg)
{
    struct svl_call *call = svl_pool_get(&agent->pool);

    memset(call, 0, offsetof(struct svl_call, parser));
    call->magic = SVL_CALL_MAGIC;
    call->agent = agent;
    call->ask = *ask;
    call->done = done;
    call->arg = arg;
    call->method = method_of(ask);
    call->host_field = ask->host;
    call->reply.call = call;
    call->reply.headers.at = call->fields;
    call->reply.headers.room = SVL_CALL_FIELDS;
    call->reply.content_length = -1;
    call->reply.reason = call->reply.body = call->reply.trailers = SVL_STR("");
    call->deadline.fire = on_deadline;
    call->body_limit = body_limit(call);
    svl_arena_init(&call->arena, call->memory, sizeof call->memory, &agent->worker->blocks,
                   ARENA_BUDGET);
    svl_list_append(&agent->calls, &call->link);
    agent->n_calls++;
    return call;
}

/* A path goes to one of the back ends. */
static svl_str whole_url(struct svl_call *call)
{
    svl_str path = call->ask.url, base;
    char *text;

    call->backend = svl_backend_pick(call->agent, &base);
    if (!call->backend)
        return SVL_STR_NONE;
    text = svl_arena_alloc(&call->arena, base.n + path.n);
    memcpy(text, base.p, base.n);
    memcpy(text + base.n, path.p, path.n);
    return (svl_str){text, base.n + path.n};
}

static int start(struct svl_call *call, const char **why)
{
    svl_str url = call->ask.url;
    int err = check(call, why);

    if (err)
        return err;
    if (call->ask.deadline_ns && call->ask.deadline_ns <= clock_ns()) {
        *why = "the deadline had passed before the call began";
        return -ETIMEDOUT;
    }
    if (url.n > 0 && url.p[0] == '/') {
        *why = "there is no back end for a URL that is a path";
        url = whole_url(call);
        if (!url.p)
            return SVL_EBACKEND;
    }
    return svl_call_aim(call, url, why);
}

/* The loop's clock is CLOCK_MONOTONIC too, in whole milliseconds: never before the deadline. */
static void set_deadline(struct svl_call *call)
{
    struct svl_worker *w = call->agent->worker;
    unsigned ms =
        call->ask.timeout_ms ? call->ask.timeout_ms : call->agent->client->config.timeout_ms;
    uint64_t due = (call->ask.deadline_ns + 999999) / 1000000;

    if (due && (ms == SVL_NEVER || due < svl_now_ms(w) + ms))
        svl_timer_set_at(&w->timers, &call->deadline, due);
    else if (ms != SVL_NEVER)
        svl_timer_set(&w->timers, &call->deadline, svl_now_ms(w), ms);
}

struct svl_call *svl_call(struct svl_client *client, struct svl_worker *w,
                          const struct svl_fetch *ask, svl_done_fn *done, void *arg)
{
    struct svl_agent *agent = svl_agent_of(client, w);
    struct svl_call *call = make(agent, ask, done, arg);
    const char *why = NULL;
    int err;

    call->starting = true;
    if (ask->timing)
        call->began_us = svl_call_clock();
    err = start(call, &why);
    set_deadline(call);
    if (err)
        svl_call_give_up(call, err, why);
    else
        svl_host_submit(call->host, call);
    call->starting = false;
    return call;
}

static void must_live(const struct svl_call *call)
{
    SVL_MISUSE_IF(call->magic != SVL_CALL_MAGIC, "svl_call: this call is over");
}

void svl_call_cancel(struct svl_call *call)
{
    must_live(call);
    SVL_MISUSE_IF(call->in_done, "svl_call_cancel: it is done");
    call->cancelled = true;
    if (call->on_stack) /* ends when the callback returns */
        return;
    take_out(call);
    over(call);
    release(call);
}

void svl_call_more(struct svl_call *call)
{
    must_live(call);
    if (call->conn)
        svl_wire_more(call);
}

void svl_call_pause(struct svl_call *call)
{
    must_live(call);
    call->paused = true;
    if (call->conn) {
        svl_conn_read(call->conn, false);
        svl_timer_clear(&call->conn->timer);
    }
}

void svl_call_continue(struct svl_call *call)
{
    must_live(call);
    call->paused = false;
    if (!call->conn)
        return;
    svl_conn_read(call->conn, true);
    svl_conn_deadline(call->conn, call->agent->client->config.io_ms);
}

/* What lies where the loop reads must be held there. */
void svl_reply_keep(struct svl_reply *reply)
{
    struct svl_call *call = (struct svl_call *)reply;

    must_live(call);
    SVL_MISUSE_IF(!call->in_done, "svl_reply_keep: only in done()");
    if (!call->head && reply->status)
        call->head = svl_worker_pin(call->agent->worker);
    call->kept = true;
}

void svl_call_release(struct svl_call *call)
{
    must_live(call);
    SVL_MISUSE_IF(!call->kept, "svl_reply_free: this reply was not kept");
    call->kept = false;
    if (!call->in_done)
        release(call);
}
