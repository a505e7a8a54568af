/* The calls that make an answer, and the memory of a ctx. */
#include "run/exchange.h"

#include "base/check.h"
#include "run/filter.h"
#include "run/h1.h"
#include "run/response.h"
#include "run/values.h"
#include "serval/error.h"
#include "serval/hijack.h"
#include "serval/log.h"
#include "serval/text.h"
#include "serval/uri.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* Memory ----------------------------------------------------------------------------------- */

void *svl_alloc(struct svl_ctx *ctx, size_t size)
{
    return svl_arena_alloc(ctx->arena, size);
}

void *svl_try_alloc(struct svl_ctx *ctx, size_t size)
{
    return svl_arena_try(ctx->arena, size);
}

svl_str svl_copy(struct svl_ctx *ctx, svl_str s)
{
    char *to = svl_arena_alloc(ctx->arena, s.n + 1);

    if (s.n)
        memcpy(to, s.p, s.n);
    return (svl_str){to, s.n};
}

svl_str svl_printf(struct svl_ctx *ctx, const char *format, ...)
{
    va_list args, again;
    char *to;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    SVL_MISUSE_IF(n < 0, "svl_printf: the format is wrong");
    to = svl_arena_alloc(ctx->arena, (size_t)n + 1);
    vsnprintf(to, (size_t)n + 1, format, again);
    va_end(again);
    return (svl_str){to, (size_t)n};
}

void svl_on_free(struct svl_ctx *ctx, void (*fn)(void *arg), void *arg)
{
    svl_arena_on_free(ctx->arena, fn, arg);
}

void *svl_slot(const struct svl_link *self, struct svl_ctx *ctx)
{
    struct svl_exchange *x = svl_exchange_of(ctx);

    if (!x->slots)
        x->slots = svl_arena_alloc(&x->arena, x->chain->deepest * sizeof *x->slots);
    if (!x->slots[self->index])
        x->slots[self->index] = svl_arena_alloc(&x->arena, self->module->slot_size);
    return x->slots[self->index];
}

const struct svl_address *svl_peer(const struct svl_ctx *ctx)
{
    return &((const struct svl_exchange *)ctx)->peer;
}

/* Another path ----------------------------------------------------------------------------- */

static bool query_ok(svl_str query)
{
    for (size_t i = 0; i < query.n; i++)
        if ((unsigned char)query.p[i] <= ' ' || query.p[i] == 0x7f)
            return false;
    return true;
}

/* Cleaning decodes: what is not escaped goes there and back. */
int svl_rewrite(struct svl_ctx *ctx, svl_str path, svl_str query)
{
    struct svl_exchange *x = svl_exchange_of(ctx);
    char *clean;
    ptrdiff_t n;

    SVL_MISUSE_IF(x->outwards || x->state == SVL_SENDING, "svl_rewrite: only in on_request");
    if (!query_ok(query))
        return SVL_ESYNTAX;
    clean = svl_alloc(ctx, 3 * path.n + 1);
    n = svl_path_clean(clean, (svl_str){clean, svl_path_escape(clean, path)});
    if (n < 0)
        return SVL_ESYNTAX;
    ctx->req.path = (svl_str){clean, (size_t)n};
    ctx->req.query = query.p ? svl_copy(ctx, query) : query;
    if (x->values)
        x->values->has_query = false;
    return 0;
}

/* Header fields ---------------------------------------------------------------------------- */

static bool is_framing(enum svl_header_id id)
{
    return id == SVL_H_CONTENT_LENGTH || id == SVL_H_TRANSFER_ENCODING || id == SVL_H_CONNECTION ||
           id == SVL_H_KEEP_ALIVE || id == SVL_H_UPGRADE;
}

/* No CR, LF or NUL gets from a value to the wire. */
bool svl_field_value_ok(svl_str value)
{
    if (value.n > UINT32_MAX)
        return false;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] == '\r' || value.p[i] == '\n' || value.p[i] == '\0')
            return false;
    return true;
}

bool svl_header_name_ok(svl_str name)
{
    return name.n <= UINT16_MAX && svl_is_token(name);
}

static void append(struct svl_ctx *ctx, enum svl_header_id id, svl_str name, svl_str value)
{
    struct svl_headers *headers = &ctx->res.headers;

    if (headers->n == headers->room) {
        unsigned room = headers->room * 2u;
        struct svl_header *at = svl_alloc(ctx, room * sizeof *at);

        memcpy(at, headers->at, headers->n * sizeof *at);
        headers->at = at;
        headers->room = (uint16_t)room;
    }
    headers->at[headers->n++] = (struct svl_header){
        .name = name.p,
        .name_len = (uint16_t)name.n,
        .value = value.p,
        .value_len = (uint32_t)value.n,
        .id = (uint16_t)id,
    };
    if (id != SVL_H_OTHER && !headers->first[id] && headers->n <= UINT8_MAX)
        headers->first[id] = (uint8_t)headers->n;
}

static bool matches(const struct svl_header *h, enum svl_header_id id, svl_str name)
{
    if (id != SVL_H_OTHER)
        return h->id == id;
    return h->id == SVL_H_OTHER && svl_str_ieq(svl_header_name(h), name);
}

static void delete (struct svl_headers *headers, enum svl_header_id id, svl_str name)
{
    unsigned kept = 0;

    if (id != SVL_H_OTHER && !headers->first[id])
        return;
    memset(headers->first, 0, sizeof headers->first);
    for (unsigned i = 0; i < headers->n; i++) {
        struct svl_header *h = &headers->at[i];

        if (matches(h, id, name))
            continue;
        headers->at[kept++] = *h;
        if (h->id != SVL_H_OTHER && !headers->first[h->id] && kept <= UINT8_MAX)
            headers->first[h->id] = (uint8_t)kept;
    }
    headers->n = (uint16_t)kept;
}

enum how { SET, ADD };

static int put(struct svl_ctx *ctx, enum svl_header_id id, svl_str name, svl_str value,
               enum how how, bool copy)
{
    if (is_framing(id) || !svl_field_value_ok(value) || ctx->res.headers.n == UINT16_MAX / 2)
        return SVL_EHEADER;
    if (copy)
        value = svl_copy(ctx, value);
    if (id == SVL_H_CONTENT_TYPE) {
        ctx->res.content_type = value;
        return 0;
    }
    if (how == SET)
        delete (&ctx->res.headers, id, name);
    append(ctx, id, name, value);
    return 0;
}

int svl_header_set(struct svl_ctx *ctx, enum svl_header_id id, svl_str value)
{
    return put(ctx, id, svl_header_text(id), value, SET, true);
}

int svl_header_set_static(struct svl_ctx *ctx, enum svl_header_id id, svl_str value)
{
    return put(ctx, id, svl_header_text(id), value, SET, false);
}

int svl_header_add(struct svl_ctx *ctx, enum svl_header_id id, svl_str value)
{
    return put(ctx, id, svl_header_text(id), value, ADD, true);
}

static int put_by_name(struct svl_ctx *ctx, svl_str name, svl_str value, enum how how)
{
    enum svl_header_id id = svl_header_id(name);

    if (!svl_header_name_ok(name)) {
        svl_log(SVL_WARN, "answer: this is not a header name: \"%.*s\"", SVL_FMT(name));
        SVL_MISUSE_IF(SVL_STRICT, "ask svl_header_name_ok() about names that come from elsewhere");
        return SVL_EHEADER;
    }
    return put(ctx, id, svl_copy(ctx, name), value, how, true);
}

int svl_header_set_name(struct svl_ctx *ctx, svl_str name, svl_str value)
{
    return put_by_name(ctx, name, value, SET);
}

int svl_header_add_name(struct svl_ctx *ctx, svl_str name, svl_str value)
{
    return put_by_name(ctx, name, value, ADD);
}

void svl_header_del(struct svl_ctx *ctx, enum svl_header_id id)
{
    if (id == SVL_H_CONTENT_TYPE)
        ctx->res.content_type = SVL_STR_NONE;
    else
        delete (&ctx->res.headers, id, svl_header_text(id));
}

void svl_header_del_name(struct svl_ctx *ctx, svl_str name)
{
    enum svl_header_id id = svl_header_id(name);

    if (id == SVL_H_OTHER)
        delete (&ctx->res.headers, id, name);
    else
        svl_header_del(ctx, id);
}

/* Status and body -------------------------------------------------------------------------- */

static void drop_body(struct svl_ctx *ctx)
{
    ctx->res.body = (struct svl_body){.kind = SVL_BODY_NONE};
}

void svl_status(struct svl_ctx *ctx, int status)
{
    if (SVL_MISTAKE(status < 200 || status > 999, "svl_status: a final status is 200 to 999"))
        status = 500;
    ctx->res.status = status;
}

void svl_content_type(struct svl_ctx *ctx, svl_str type)
{
    if (svl_field_value_ok(type))
        ctx->res.content_type = type;
}

void svl_body_bytes(struct svl_ctx *ctx, svl_str bytes)
{
    ctx->res.body.kind = SVL_BODY_BYTES;
    ctx->res.body.bytes = bytes;
}

void svl_body_copy(struct svl_ctx *ctx, svl_str bytes)
{
    svl_body_bytes(ctx, svl_copy(ctx, bytes));
}

/* The fd is closed when the arena is freed, whatever becomes of the answer meanwhile. */
static void close_fd(void *arg)
{
    close((int)(intptr_t)arg);
}

void svl_body_file(struct svl_ctx *ctx, int fd, int64_t offset, int64_t length, bool close_it)
{
    SVL_MISUSE_IF(offset < 0 || length < 0, "svl_body_file: offset and length are not negative");
    ctx->res.body =
        (struct svl_body){.kind = SVL_BODY_FILE, .fd = fd, .offset = offset, .length = length};
    if (close_it)
        svl_on_free(ctx, close_fd, (void *)(intptr_t)fd);
}

void svl_body_source(struct svl_ctx *ctx, svl_pull_fn *pull, void *arg, int64_t length)
{
    ctx->res.body =
        (struct svl_body){.kind = SVL_BODY_SOURCE, .pull = pull, .arg = arg, .length = length};
}

void svl_response_reset(struct svl_ctx *ctx)
{
    struct svl_response *res = &ctx->res;

    if (svl_filtered(ctx))
        svl_filters_drop(svl_exchange_of(ctx));
    if (svl_exchange_of(ctx)->extra)
        svl_extra_reset(svl_exchange_of(ctx)->extra);
    drop_body(ctx);
    res->status = 0;
    res->close = res->no_transform = false;
    res->reason = res->content_type = SVL_STR_NONE;
    res->headers.n = 0;
    memset(res->headers.first, 0, sizeof res->headers.first);
}

enum svl_verdict svl_text(struct svl_ctx *ctx, int status, svl_str body)
{
    svl_status(ctx, status);
    ctx->res.content_type = SVL_STR("text/plain; charset=utf-8");
    svl_body_bytes(ctx, body);
    return SVL_DONE;
}

/* The server's on_error has the last word on error pages, but not on the connection. */
static void shape(struct svl_ctx *ctx, int status, const char *why)
{
    const struct svl_service *service = ctx->worker->service;
    struct svl_exchange *x = svl_exchange_of(ctx);
    bool close = ctx->res.close;

    if (svl_likely(!service || !service->on_error) || status < 400 || x->shaping)
        return;
    x->shaping = true;
    service->on_error(ctx, status, why, service->hook_arg);
    x->shaping = false;
    ctx->res.close = close;
    if (ctx->res.status == 0)
        ctx->res.status = status;
}

enum svl_verdict svl_fail(struct svl_ctx *ctx, int status, const char *why)
{
    svl_str name = svl_status_text(status);

    svl_text(ctx, status, SVL_STR(""));
    ctx->res.reason = SVL_STR_NONE;
    if (status == 204 || status == 304)
        drop_body(ctx);
    else if (why)
        svl_body_bytes(ctx, svl_printf(ctx, "%d %.*s: %s\n", status, SVL_FMT(name), why));
    else
        svl_body_bytes(ctx, svl_printf(ctx, "%d %.*s\n", status, SVL_FMT(name)));
    shape(ctx, status, why);
    return SVL_DONE;
}

enum svl_verdict svl_redirect(struct svl_ctx *ctx, int status, svl_str location)
{
    char *to = svl_alloc(ctx, location.n * 3 + 1);
    size_t n = 0;

    for (size_t i = 0; i < location.n; i++) {
        unsigned char c = (unsigned char)location.p[i];

        if (c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\') {
            to[n++] = (char)c;
            continue;
        }
        to[n++] = '%';
        to[n++] = "0123456789ABCDEF"[c >> 4];
        to[n++] = "0123456789ABCDEF"[c & 15];
    }
    svl_fail(ctx, status, NULL);
    svl_header_set_static(ctx, SVL_H_LOCATION, (svl_str){to, n});
    return SVL_DONE;
}

/* Taking over ------------------------------------------------------------------------------ */

void svl_hijack(struct svl_ctx *ctx, const struct svl_raw_events *events, void *arg)
{
    struct svl_exchange *x = svl_exchange_of(ctx);

    if (SVL_MISTAKE(x->raw != NULL, "svl_hijack: this connection was taken over already"))
        return;
    SVL_MISUSE_IF(!events->on_data, "svl_hijack: on_data is needed");
    x->raw = events;
    x->raw_arg = arg;
}

enum svl_verdict svl_switch(struct svl_ctx *ctx, svl_str protocol,
                            const struct svl_raw_events *events, void *arg)
{
    protocol = svl_copy(ctx, protocol);
    if (!svl_field_value_ok(protocol))
        return SVL_ERROR;
    if (ctx->req.minor == 0 || !svl_headers_has_token(&ctx->req.headers, SVL_H_UPGRADE, protocol) ||
        !svl_headers_has_token(&ctx->req.headers, SVL_H_CONNECTION, SVL_STR("upgrade"))) {
        svl_fail(ctx, 426, "this resource speaks another protocol");
        append(ctx, SVL_H_UPGRADE, SVL_STR("Upgrade"), protocol);
        return SVL_DONE;
    }
    svl_hijack(ctx, events, arg);
    drop_body(ctx);
    ctx->res.status = 101;
    append(ctx, SVL_H_UPGRADE, SVL_STR("Upgrade"), protocol);
    append(ctx, SVL_H_CONNECTION, SVL_STR("Connection"), SVL_STR("Upgrade"));
    return SVL_DONE;
}
