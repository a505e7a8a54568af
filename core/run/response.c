#include "run/response.h"

#include "base/check.h"
#include "http/chars.h"
#include "serval/error.h"
#include "serval/response.h"
#include "serval/uri.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct svl_extra *extra_of(struct svl_ctx *ctx)
{
    struct svl_exchange *x = svl_exchange_of(ctx);

    if (!x->extra)
        x->extra = svl_arena_alloc(&x->arena, sizeof *x->extra);
    return x->extra;
}

void svl_extra_reset(struct svl_extra *extra)
{
    extra->trailers = NULL;
}

int svl_reason(struct svl_ctx *ctx, svl_str reason)
{
    if (!svl_field_value_ok(reason))
        return SVL_EHEADER;
    ctx->res.reason = svl_copy(ctx, reason);
    return 0;
}

/* A body that grows ------------------------------------------------------------------------ */

/* Room for n more bytes behind the body, which is in extra->body then. */
static char *grow_body(struct svl_ctx *ctx, size_t n)
{
    struct svl_body *body = &ctx->res.body;
    struct svl_extra *extra = extra_of(ctx);
    size_t len = body->kind == SVL_BODY_BYTES ? body->bytes.n : 0;

    if (body->kind != SVL_BODY_BYTES || body->bytes.p != extra->body || extra->room - len < n) {
        const char *old = len ? body->bytes.p : "";
        size_t room = len + n < 256 ? 512 : 2 * (len + n);
        char *to = svl_alloc(ctx, room);

        memcpy(to, old, len);
        extra->body = to;
        extra->room = room;
    }
    svl_body_bytes(ctx, (svl_str){extra->body, len});
    return extra->body + len;
}

static bool can_append(struct svl_ctx *ctx)
{
    enum svl_body_kind kind = ctx->res.body.kind;

    if (!SVL_MISTAKE(kind == SVL_BODY_FILE || kind == SVL_BODY_SOURCE,
                     "svl_body_append: the body is a file or a source"))
        return true;
    svl_fail(ctx, 500, NULL);
    return false;
}

void svl_body_append(struct svl_ctx *ctx, svl_str bytes)
{
    char *to;

    if (!can_append(ctx))
        return;
    to = grow_body(ctx, bytes.n);
    if (bytes.n)
        memcpy(to, bytes.p, bytes.n);
    ctx->res.body.bytes.n += bytes.n;
}

void svl_body_printf(struct svl_ctx *ctx, const char *format, ...)
{
    va_list args, again;
    char *to;
    int n;

    if (!can_append(ctx))
        return;
    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    SVL_MISUSE_IF(n < 0, "svl_body_printf: the format is wrong");
    to = grow_body(ctx, (size_t)n + 1);
    vsnprintf(to, (size_t)n + 1, format, again);
    va_end(again);
    ctx->res.body.bytes.n += (size_t)n;
}

/* Trailers --------------------------------------------------------------------------------- */

static bool may_trail(svl_str name)
{
    static const char *const never[] = {
        "transfer-encoding", "content-length", "te",         "trailer",       "connection",
        "keep-alive",        "upgrade",        "host",       "location",      "authorization",
        "www-authenticate",  "cookie",         "set-cookie", "cache-control", "expect",
        "max-forwards",      "pragma",         "range",      "age",           "date",
        "expires",           "retry-after",    "vary",       "warning",       "forwarded",
    };
    static const char *const prefixes[] = {"content-", "proxy-", "if-", "x-forwarded-", "x-real-"};

    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (svl_str_ieq(name, svl_str_of(never[i])))
            return false;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (svl_str_ieq(svl_str_head(name, strlen(prefixes[i])), svl_str_of(prefixes[i])))
            return false;
    return true;
}

int svl_trailer_set(struct svl_ctx *ctx, svl_str name, svl_str value)
{
    struct svl_trailer **at = &extra_of(ctx)->trailers;

    if (!svl_header_name_ok(name) || !svl_field_value_ok(value) || !may_trail(name))
        return SVL_EHEADER;
    while (*at && !svl_str_ieq((*at)->name, name))
        at = &(*at)->next;
    if (!*at) {
        *at = svl_alloc(ctx, sizeof **at);
        (*at)->name = svl_copy(ctx, name);
    }
    (*at)->value = svl_copy(ctx, value);
    return 0;
}

/* A body of bytes is given in pieces like a source's: only chunks have a place for trailers. */
static ssize_t pull_bytes(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    svl_str *rest = arg;
    size_t n = rest->n < room ? rest->n : room;

    (void)ctx;
    if (n)
        memcpy(to, rest->p, n);
    *rest = svl_str_from(*rest, n);
    return (ssize_t)n;
}

void svl_extra_prepare(struct svl_exchange *x)
{
    struct svl_ctx *ctx = &x->pub;
    struct svl_body *body = &ctx->res.body;
    svl_str names = {NULL, 0};

    if (!x->extra->trailers || ctx->req.minor == 0 || ctx->req.method == SVL_HEAD)
        return;
    if (body->kind == SVL_BODY_BYTES) {
        svl_str *rest = svl_alloc(ctx, sizeof *rest);

        *rest = body->bytes;
        svl_body_source(ctx, pull_bytes, rest, -1);
    }
    if (body->kind != SVL_BODY_SOURCE || body->length >= 0)
        return;
    for (const struct svl_trailer *t = x->extra->trailers; t; t = t->next)
        names = names.p ? svl_printf(ctx, "%.*s, %.*s", SVL_FMT(names), SVL_FMT(t->name)) : t->name;
    svl_header_set(ctx, SVL_H_TRAILER, names);
}

size_t svl_extra_trailer_length(const struct svl_exchange *x)
{
    size_t n = 0;

    for (const struct svl_trailer *t = x->extra ? x->extra->trailers : NULL; t; t = t->next)
        n += t->name.n + t->value.n + 4;
    return n;
}

char *svl_extra_trailer_write(char *to, const struct svl_exchange *x)
{
    for (const struct svl_trailer *t = x->extra ? x->extra->trailers : NULL; t; t = t->next) {
        memcpy(to, t->name.p, t->name.n);
        to += t->name.n;
        memcpy(to, ": ", 2);
        to += 2;
        if (t->value.n)
            memcpy(to, t->value.p, t->value.n);
        to += t->value.n;
        memcpy(to, "\r\n", 2);
        to += 2;
    }
    return to;
}

/* The lines are well formed: the parser has seen to that. */
static void read_trailers(struct svl_headers *headers, struct svl_ctx *ctx, svl_str text)
{
    svl_str line;
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    headers->room = (uint16_t)(n < 250 ? n : 250);
    headers->at = svl_alloc(ctx, n * sizeof *headers->at);
    while (svl_str_split(&text, '\n', &line) && headers->n < headers->room) {
        size_t colon = svl_str_find(line, ':');
        svl_str name = svl_str_head(line, colon);
        svl_str value = svl_str_from(line, colon + 1);
        enum svl_header_id id = svl_header_id(name);

        if (colon == line.n || !may_trail(name))
            continue;
        value = svl_str_trim(svl_str_head(value, value.n - 1)); /* without its CR */
        headers->at[headers->n++] = (struct svl_header){.name = name.p,
                                                        .name_len = (uint16_t)name.n,
                                                        .value = value.p,
                                                        .value_len = (uint32_t)value.n,
                                                        .id = (uint16_t)id};
        if (id != SVL_H_OTHER && !headers->first[id])
            headers->first[id] = (uint8_t)headers->n;
    }
}

const struct svl_headers *svl_request_trailers(struct svl_ctx *ctx)
{
    static const struct svl_headers none;
    struct svl_exchange *x = svl_exchange_of(ctx);
    struct svl_extra *extra;

    if (!x->received || !x->parser.trailers.n)
        return &none;
    extra = extra_of(ctx);
    if (!extra->received) {
        extra->received = svl_alloc(ctx, sizeof *extra->received);
        read_trailers(extra->received, ctx,
                      (svl_str){x->parser.trailers.text, x->parser.trailers.n});
    }
    return extra->received;
}

/* Other answers ---------------------------------------------------------------------------- */

void svl_drop(struct svl_ctx *ctx)
{
    struct svl_exchange *x = svl_exchange_of(ctx);

    SVL_MISUSE_IF(x->state == SVL_SENDING, "svl_drop: the answer is on its way");
    if (x->wire)
        x->wire->ops->drop(x->wire);
}

int svl_early_hints(struct svl_ctx *ctx)
{
    struct svl_exchange *x = svl_exchange_of(ctx);

    if (!x->wire || !x->wire->ops->hint || !ctx->res.headers.first[SVL_H_LINK] ||
        (x->state != SVL_RUNNING && x->state != SVL_LOANED))
        return SVL_ESTATE;
    return x->wire->ops->hint(x->wire, x, 103);
}

enum svl_verdict svl_redirect_absolute(struct svl_ctx *ctx, int status, svl_str reference)
{
    struct svl_uri base, uri, to;
    svl_str target = ctx->req.target, query = svl_str_from(target, svl_str_find(target, '?'));
    svl_str own = svl_printf(ctx, "http://%.*s%.*s%.*s", SVL_FMT(ctx->req.host),
                             SVL_FMT(ctx->req.raw_path), SVL_FMT(query));
    char *text;

    if (ctx->req.host.n == 0 || svl_uri_parse(&base, own) || svl_uri_parse(&uri, reference))
        return svl_redirect(ctx, status, reference);
    svl_uri_resolve(&to, &base, &uri, svl_alloc(ctx, base.path.n + uri.path.n + 1));
    text = svl_alloc(ctx, svl_uri_length(&to) + 1);
    return svl_redirect(ctx, status, (svl_str){text, svl_uri_print(text, &to)});
}

enum svl_verdict svl_not_modified(struct svl_ctx *ctx)
{
    svl_status(ctx, 304);
    ctx->res.body = (struct svl_body){.kind = SVL_BODY_NONE};
    ctx->res.content_type = ctx->res.reason = SVL_STR_NONE;
    return SVL_DONE;
}
