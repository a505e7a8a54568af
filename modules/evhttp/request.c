/* Requests: made for a callback, read by it, and when they end. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum evhttp_cmd_type evhttp_command_of(enum svl_method method)
{
    switch (method) {
    case SVL_GET: return EVHTTP_REQ_GET;
    case SVL_POST: return EVHTTP_REQ_POST;
    case SVL_HEAD: return EVHTTP_REQ_HEAD;
    case SVL_PUT: return EVHTTP_REQ_PUT;
    case SVL_DELETE: return EVHTTP_REQ_DELETE;
    case SVL_OPTIONS: return EVHTTP_REQ_OPTIONS;
    case SVL_TRACE: return EVHTTP_REQ_TRACE;
    case SVL_CONNECT: return EVHTTP_REQ_CONNECT;
    case SVL_PATCH: return EVHTTP_REQ_PATCH;
    default: return 0;
    }
}

static char *text_of(svl_str s)
{
    char *text = malloc(s.n + 1);

    if (!text)
        abort(); /* as the core does without memory */
    svl_str_copy(text, s.n + 1, s);
    return text;
}

/* Making and ending ------------------------------------------------------------------------- */

static void destroy(struct evhttp_request *req)
{
    evhttp_clear_headers(&req->in_headers);
    evhttp_clear_headers(&req->out_headers);
    evbuffer_free(req->in);
    evbuffer_free(req->out);
    if (req->parsed)
        evhttp_uri_free(req->parsed);
    free(req->uri);
    free(req->host);
    req->magic = 0;
    free(req);
}

static void free_if_over(struct evhttp_request *req)
{
    if (!req->ctx && req->ended && !req->owned)
        destroy(req);
}

void evhttp_over(struct evhttp_request *req)
{
    req->ended = true;
    free_if_over(req);
}

static bool ends_with_its_server(const struct evhttp_request *req)
{
    return req->bound && req->bound->closing;
}

/* The ctx is over: the answer was sent, or nobody is there to take it. */
static void on_free(void *arg)
{
    struct evhttp_request *req = arg;
    bool complete = req->ended && !req->gone && evbuffer_get_length(req->out) == 0;

    req->ctx = NULL;
    req->alarm = NULL;
    if (!complete && !req->gone) {
        req->gone = true;
        if (req->con.on_close) { /* who is told touches it no more, as with libevent */
            req->con.on_close(&req->con, req->con.on_close_arg);
            req->ended = true;
        }
    }
    if (ends_with_its_server(req))
        req->ended = true;
    if (complete && req->on_complete)
        req->on_complete(req, req->on_complete_arg);
    free_if_over(req);
}

static void on_cancel(struct svl_ctx *ctx, void *arg)
{
    struct evhttp_request *req = arg;

    req->gone = true;
    if (req->con.on_close)
        req->con.on_close(&req->con, req->con.on_close_arg);
    if (ends_with_its_server(req))
        svl_resume(ctx, SVL_DONE);
}

static void copy_fields(struct evhttp_request *req)
{
    const struct svl_headers *headers = &req->ctx->req.headers;

    for (unsigned i = 0; i < headers->n; i++) {
        char *name = text_of(svl_header_name(&headers->at[i]));
        char *value = text_of(svl_header_value(&headers->at[i]));

        evhttp_add_header(&req->in_headers, name, value);
        free(name);
        free(value);
    }
}

static struct evhttp_request *make(struct svl_ctx *ctx)
{
    struct evhttp_request *req = calloc(1, sizeof *req);
    const struct svl_address *peer = svl_peer(ctx);

    if (!req)
        abort();
    req->magic = req->con.magic = EVHTTP_MAGIC;
    req->ctx = ctx;
    req->con.req = req;
    TAILQ_INIT(&req->in_headers);
    TAILQ_INIT(&req->out_headers);
    req->in = evbuffer_new();
    req->out = evbuffer_new();
    req->uri = text_of(ctx->req.target);
    req->parsed = evhttp_uri_parse_with_flags(req->uri, EVHTTP_URI_NONCONFORMANT);
    req->command = evhttp_command_of(ctx->req.method);
    svl_address_text(peer, req->con.address, sizeof req->con.address);
    req->con.port = peer->port;
    copy_fields(req);
    evbuffer_add(req->in, ctx->req.body.p, ctx->req.body.n);
    svl_on_free(ctx, on_free, req);
    return req;
}

enum svl_verdict evhttp_ask(struct svl_ctx *ctx, struct evhttp *http,
                            struct evhttp_bound_socket *bound, svl_evhttp_fn *callback, void *arg)
{
    struct evhttp_request *req = make(ctx);

    req->http = http;
    req->bound = bound;
    req->running = true;
    callback(req, arg);
    req->running = false;
    if (!req->started)
        return svl_pend(ctx, on_cancel, req);
    req->resumed = true;
    return SVL_DONE;
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_evhttp_config *cfg = self->config;

    return evhttp_ask(ctx, NULL, NULL, cfg->callback, cfg->arg);
}

static int setup(void *config)
{
    if (((struct svl_evhttp_config *)config)->callback)
        return 0;
    svl_log(SVL_ALERT, "evhttp: a callback is needed");
    return SVL_ECONFIG;
}

const struct svl_module svl_evhttp_module = {
    .name = "evhttp",
    .summary = "callbacks written for libevent's evhttp",
    .config_size = sizeof(struct svl_evhttp_config),
    .needs_body = true,
    .setup = setup,
    .on_request = on_request,
};

/* Reading ---------------------------------------------------------------------------------- */

static bool is_ours(const struct evhttp_request *req)
{
    return req->magic == EVHTTP_MAGIC;
}

const char *svl_evhttp_request_get_uri(const struct evhttp_request *req)
{
    return is_ours(req) ? req->uri : evhttp_request_get_uri(req);
}

const struct evhttp_uri *svl_evhttp_request_get_evhttp_uri(const struct evhttp_request *req)
{
    return is_ours(req) ? req->parsed : evhttp_request_get_evhttp_uri(req);
}

enum evhttp_cmd_type svl_evhttp_request_get_command(const struct evhttp_request *req)
{
    return is_ours(req) ? req->command : evhttp_request_get_command(req);
}

int svl_evhttp_request_get_response_code(const struct evhttp_request *req)
{
    return is_ours(req) ? req->code : evhttp_request_get_response_code(req);
}

struct evkeyvalq *svl_evhttp_request_get_input_headers(struct evhttp_request *req)
{
    return is_ours(req) ? &req->in_headers : evhttp_request_get_input_headers(req);
}

struct evkeyvalq *svl_evhttp_request_get_output_headers(struct evhttp_request *req)
{
    return is_ours(req) ? &req->out_headers : evhttp_request_get_output_headers(req);
}

struct evbuffer *svl_evhttp_request_get_input_buffer(struct evhttp_request *req)
{
    return is_ours(req) ? req->in : evhttp_request_get_input_buffer(req);
}

struct evbuffer *svl_evhttp_request_get_output_buffer(struct evhttp_request *req)
{
    return is_ours(req) ? req->out : evhttp_request_get_output_buffer(req);
}

/* Without its port. */
const char *svl_evhttp_request_get_host(struct evhttp_request *req)
{
    svl_str host;

    if (!is_ours(req))
        return evhttp_request_get_host(req);
    if (req->host || !req->ctx || !req->ctx->req.host.p)
        return req->host;
    host = req->ctx->req.host;
    if (host.n > 0 && host.p[0] == '[')
        host = svl_str_head(host, svl_str_find(host, ']') + 1);
    else
        host = svl_str_head(host, svl_str_find(host, ':'));
    req->host = text_of(host);
    return req->host;
}

struct evhttp_connection *svl_evhttp_request_get_connection(struct evhttp_request *req)
{
    return is_ours(req) ? &req->con : evhttp_request_get_connection(req);
}

struct svl_ctx *svl_evhttp_ctx(struct evhttp_request *req)
{
    return is_ours(req) ? req->ctx : NULL;
}

void svl_evhttp_request_own(struct evhttp_request *req)
{
    if (is_ours(req))
        req->owned = true;
    else
        evhttp_request_own(req);
}

int svl_evhttp_request_is_owned(struct evhttp_request *req)
{
    return is_ours(req) ? req->owned : evhttp_request_is_owned(req);
}

void svl_evhttp_request_free(struct evhttp_request *req)
{
    if (!is_ours(req)) {
        evhttp_request_free(req);
        return;
    }
    req->owned = false;
    free_if_over(req);
}

void svl_evhttp_request_set_on_complete_cb(struct evhttp_request *req, svl_evhttp_fn *callback,
                                           void *arg)
{
    if (!is_ours(req)) {
        evhttp_request_set_on_complete_cb(req, callback, arg);
        return;
    }
    req->on_complete = callback;
    req->on_complete_arg = arg;
}

/* Connections ------------------------------------------------------------------------------ */

void svl_evhttp_connection_get_peer(struct evhttp_connection *con, char **address,
                                    ev_uint16_t *port)
{
    if (con->magic != EVHTTP_MAGIC) {
        evhttp_connection_get_peer(con, address, port);
        return;
    }
    *address = con->address;
    *port = con->port;
}

struct event_base *svl_evhttp_connection_get_base(struct evhttp_connection *con)
{
    if (con->magic != EVHTTP_MAGIC)
        return evhttp_connection_get_base(con);
    return con->req->http ? con->req->http->base : NULL;
}

void svl_evhttp_connection_set_closecb(struct evhttp_connection *con,
                                       void (*callback)(struct evhttp_connection *con, void *arg),
                                       void *arg)
{
    if (con->magic != EVHTTP_MAGIC) {
        evhttp_connection_set_closecb(con, callback, arg);
        return;
    }
    con->on_close = callback;
    con->on_close_arg = arg;
}
