/* What becomes of one answer: left alone, taken from the cache, or given a filter that compresses it. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

/* A body that is being compressed. */
struct body {
    struct outlet outlet; /* first */
    struct compress_worker *worker;
    struct compress_disk *disk; /* NULL: none */
    enum coding coding;
    void *context;
    int64_t length;             /* of the body as it was, or -1 */
    struct svl_filter_use *use; /* this and ctx: while something is pushed */
    struct svl_ctx *ctx;
    svl_str key; /* what to keep the result as; p is NULL: it is not kept */
    char *kept;
    size_t n_kept, room, most;
};

/* The filter --------------------------------------------------------------------------------*/

static void keep(struct body *b, const char *bytes, size_t n)
{
    if (!b->key.p)
        return;
    if (b->room - b->n_kept < n) {
        size_t room = 2 * (b->n_kept + n);
        char *kept = b->n_kept + n <= b->most ? realloc(b->kept, room) : NULL;

        if (!kept) { /* too long to be kept */
            b->key = SVL_STR_NONE;
            return;
        }
        b->kept = kept;
        b->room = room;
    }
    memcpy(b->kept + b->n_kept, bytes, n);
    b->n_kept += n;
}

static int put(struct outlet *outlet, const char *bytes, size_t n)
{
    struct body *b = (struct body *)outlet;

    keep(b, bytes, n);
    return svl_push(b->use->next, b->ctx, (svl_str){bytes, n}, SVL_MORE);
}

/* Memory that is not needed for sending goes back before the client has taken anything. */
static void give_back(struct body *b)
{
    if (!b->context)
        return;
    svl_compress_close(&b->worker->encoders, b->coding, b->context);
    b->context = NULL;
}

static void into_cache(struct body *b)
{
    char *exact;

    if (!b->key.p || !b->kept)
        return;
    if (b->disk)
        svl_compress_disk_write(b->disk, b->key, b->kept, b->n_kept);
    exact = realloc(b->kept, b->n_kept);
    svl_compress_cache_add(b->worker->cache, b->key, exact ? exact : b->kept, b->n_kept);
    b->kept = NULL;
}

static int encode(struct body *b, svl_str data, enum svl_flow flow)
{
    const struct encoder *encoder = svl_compress_encoder(b->coding);
    bool first = !b->context;
    int err = 0;

    if (first)
        b->context = svl_compress_open(&b->worker->encoders, b->coding);
    if (!b->context)
        return -ENOMEM;
    if (first && flow == SVL_END && encoder->whole)
        return encoder->whole(b->context, data, &b->outlet);
    if (first)
        err = encoder->begin(b->context, flow == SVL_END ? (int64_t)data.n : b->length);
    return err ? err : encoder->push(b->context, data, flow, &b->outlet);
}

static int on_push(struct svl_filter_use *use, struct svl_ctx *ctx, svl_str data,
                   enum svl_flow flow)
{
    struct body *b = use->state;
    int err;

    b->use = use;
    b->ctx = ctx;
    err = encode(b, data, flow);
    if (err)
        return err;
    if (flow == SVL_END) {
        give_back(b);
        into_cache(b);
    }
    return flow == SVL_MORE ? 0 : svl_push(use->next, ctx, SVL_STR(""), flow);
}

static void on_close(struct svl_filter_use *use, struct svl_ctx *ctx)
{
    struct body *b = use->state;

    (void)ctx;
    give_back(b);
    svl_compress_unreserve(&b->worker->encoders, b->coding);
    free(b->kept);
    b->kept = NULL;
}

static const struct svl_filter filter = {.name = "compress", .push = on_push, .close = on_close};

/* Which answers -----------------------------------------------------------------------------*/

/* "text/" is all of text, "*+json" what ends so, anything else is one type. */
static bool type_matches(svl_str type, svl_str pattern)
{
    if (pattern.n > 0 && pattern.p[0] == '*') {
        pattern = svl_str_from(pattern, 1);
        return type.n >= pattern.n && svl_str_ieq(svl_str_from(type, type.n - pattern.n), pattern);
    }
    if (svl_str_ends(pattern, SVL_STR("/")))
        return svl_str_ieq(svl_str_head(type, pattern.n), pattern);
    return svl_str_ieq(type, pattern);
}

bool svl_compress_is_type(const char *const *types, svl_str type)
{
    type = svl_str_trim(svl_str_head(type, svl_str_find(type, ';')));
    for (const char *const *pattern = types; type.n > 0 && *pattern; pattern++)
        if (type_matches(type, svl_str_of(*pattern)))
            return true;
    return false;
}

static bool is_skipped(const struct svl_compress_config *cfg, svl_str path)
{
    for (const char *const *prefix = cfg->skip; prefix && *prefix; prefix++)
        if (svl_str_starts(path, svl_str_of(*prefix)))
            return true;
    return false;
}

/* Digest, Content-Digest, Repr-Digest, Content-MD5: of the bytes as they are. */
static bool has_digest(const struct svl_headers *headers)
{
    for (unsigned i = 0; i < headers->n; i++) {
        svl_str name = svl_header_name(&headers->at[i]);

        if (headers->at[i].id != SVL_H_OTHER)
            continue;
        if (svl_str_ieq(name, SVL_STR("Content-MD5")) ||
            (name.n >= 6 && svl_str_ieq(svl_str_from(name, name.n - 6), SVL_STR("Digest"))))
            return true;
    }
    return false;
}

static int64_t length_of(const struct svl_body *body)
{
    return body->kind == SVL_BODY_BYTES ? (int64_t)body->bytes.n : body->length;
}

static bool may_change(const struct svl_compress_config *cfg, const struct svl_ctx *ctx)
{
    const struct svl_response *res = &ctx->res;
    const struct svl_headers *fields = &res->headers;

    if (res->body.kind == SVL_BODY_NONE || res->no_transform || res->status == 204 ||
        res->status == 205 || res->status == 206 || ctx->req.method == SVL_CONNECT)
        return false;
    if (fields->first[SVL_H_CONTENT_ENCODING] || fields->first[SVL_H_CONTENT_RANGE])
        return false;
    if (svl_headers_has_token(fields, SVL_H_CACHE_CONTROL, SVL_STR("no-transform")))
        return false;
    return !is_skipped(cfg, ctx->req.path) && !has_digest(fields);
}

/* Fields ------------------------------------------------------------------------------------*/

static void add_vary(struct svl_ctx *ctx)
{
    const struct svl_headers *fields = &ctx->res.headers;
    const svl_str name = SVL_STR("Accept-Encoding");
    const struct svl_header *h;
    svl_str all = SVL_STR_NONE;
    unsigned at = 0;

    if (svl_headers_has_token(fields, SVL_H_VARY, name) ||
        svl_headers_has_token(fields, SVL_H_VARY, SVL_STR("*")))
        return;
    while ((h = svl_headers_next(fields, SVL_H_VARY, &at)))
        all = svl_printf(ctx, "%.*s%s%.*s", SVL_FMT(all), all.p ? ", " : "",
                         SVL_FMT(svl_header_value(h)));
    if (all.p)
        all = svl_printf(ctx, "%.*s, %.*s", SVL_FMT(all), SVL_FMT(name));
    svl_header_set_static(ctx, SVL_H_VARY, all.p ? all : name);
}

/* The same content in another coding is not the same bytes. */
static void weaken_etag(struct svl_ctx *ctx, svl_str etag)
{
    if (etag.n > 0 && etag.p[0] == '"')
        svl_header_set_static(ctx, SVL_H_ETAG, svl_printf(ctx, "W/%.*s", SVL_FMT(etag)));
}

static void set_fields(struct svl_ctx *ctx, enum coding coding, svl_str etag)
{
    svl_header_set_static(ctx, SVL_H_CONTENT_ENCODING, svl_str_of(svl_compress_name(coding)));
    svl_header_del(ctx, SVL_H_ACCEPT_RANGES); /* there are none of the compressed bytes */
    weaken_etag(ctx, etag);
}

/* Whether the client has the content under the weak form of this tag, and not under the strong one. */
static bool knows_it_as_weak(const struct svl_request *req, svl_str etag)
{
    const struct svl_header *h;
    bool weak = false;
    unsigned at = 0;

    while ((h = svl_headers_next(&req->headers, SVL_H_IF_NONE_MATCH, &at))) {
        const char *p = h->value, *end = p + h->value_len;

        while ((p = memmem(p, (size_t)(end - p), etag.p, etag.n))) {
            if (p - h->value < 2 || p[-1] != '/' || p[-2] != 'W')
                return false;
            weak = true;
            p += etag.n;
        }
    }
    return weak;
}

/* A 304 names the stored answer by the ETag that one had (RFC 9111 4.3.4). */
static enum svl_verdict not_modified(struct svl_ctx *ctx, svl_str etag)
{
    if (etag.n > 0 && etag.p[0] == '"' && knows_it_as_weak(&ctx->req, etag)) {
        weaken_etag(ctx, etag);
        add_vary(ctx);
    }
    return SVL_NEXT;
}

/* The answer --------------------------------------------------------------------------------*/

/* What a compressed body is kept under. A strong ETag stands for the bytes of one resource; p is NULL
 * where it does not, or the body is not worth it. */
static svl_str cache_key(const struct compress_worker *w, struct svl_ctx *ctx, enum coding coding,
                         svl_str etag)
{
    const struct svl_request *req = &ctx->req;
    const svl_str parts[] = {req->host, req->path, req->query, etag};
    size_t lengths[6] = {coding, (size_t)length_of(&ctx->res.body)};
    size_t n = sizeof lengths;
    char *key;

    if (!w->cache || etag.n < 2 || etag.p[0] != '"' || ctx->res.status != 200 ||
        svl_filtered(ctx) || length_of(&ctx->res.body) < 0 ||
        (req->method != SVL_GET && req->method != SVL_HEAD))
        return SVL_STR_NONE;
    for (int i = 0; i < 4; i++)
        n += lengths[i + 2] = parts[i].n;
    if (n > COMPRESS_KEY_MAX)
        return SVL_STR_NONE;
    key = svl_alloc(ctx, n);
    memcpy(key, lengths, sizeof lengths);
    n = sizeof lengths;
    for (int i = 0; i < 4; i++) {
        if (parts[i].n > 0)
            memcpy(key + n, parts[i].p, parts[i].n);
        n += parts[i].n;
    }
    return (svl_str){key, n};
}

static enum svl_verdict not_acceptable(struct svl_ctx *ctx)
{
    svl_response_reset(ctx);
    svl_fail(ctx, 406, "no content coding that you accept");
    add_vary(ctx);
    return SVL_NEXT;
}

/* In memory, or in the folder: reading it there takes less time than making it again. */
static const struct compressed *find_kept(const struct svl_compress_config *cfg,
                                          const struct compress_worker *w, struct svl_ctx *ctx,
                                          svl_str key)
{
    const struct compressed *found = svl_compress_cache_find(w->cache, ctx, key);
    char *bytes;
    size_t n;

    if (found || !cfg->disk)
        return found;
    bytes = svl_compress_disk_read(cfg->disk, key, cfg->cache_body_bytes, &n);
    if (!bytes)
        return NULL;
    svl_compress_cache_add(w->cache, key, bytes, n);
    return svl_compress_cache_find(w->cache, ctx, key);
}

static enum svl_verdict compress(const struct svl_link *self, struct svl_ctx *ctx,
                                 enum coding coding, svl_str etag)
{
    const struct svl_compress_config *cfg = self->config;
    struct compress_worker *w = self->state;
    svl_str key = cache_key(w, ctx, coding, etag);
    const struct compressed *found = key.p ? find_kept(cfg, w, ctx, key) : NULL;
    struct body *b;

    if (found) {
        set_fields(ctx, coding, etag);
        svl_body_bytes(ctx, (svl_str){found->bytes, found->n});
        return SVL_NEXT;
    }
    if (!svl_compress_reserve(&w->encoders, coding))
        return SVL_NEXT;
    set_fields(ctx, coding, etag);
    b = svl_alloc(ctx, sizeof *b);
    *b = (struct body){
        .outlet = {put},
        .worker = w,
        .disk = cfg->disk,
        .coding = coding,
        .length = length_of(&ctx->res.body),
        .key = key,
        .most = cfg->cache_body_bytes,
    };
    svl_filter_add(ctx, &filter, b);
    return SVL_NEXT;
}

enum svl_verdict svl_compress_answer(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_compress_config *cfg = self->config;
    const struct compress_worker *w = self->state;
    const struct svl_response *res = &ctx->res;
    svl_str etag = svl_headers_get(&res->headers, SVL_H_ETAG);
    bool worth, identity;
    int64_t length;
    enum coding coding;

    if (res->status == 304)
        return not_modified(ctx, etag);
    if (w->n_offered == 0 || !may_change(cfg, ctx))
        return SVL_NEXT;

    length = length_of(&res->body);
    worth = (length < 0 || (uint64_t)length >= cfg->min_bytes) &&
            svl_compress_is_type(cfg->types, res->content_type);
    coding = svl_compress_choose(&ctx->req.headers, w->offered, w->n_offered, &identity);
    if (!identity && coding == IDENTITY && res->status == 200 &&
        (ctx->req.method == SVL_GET || ctx->req.method == SVL_HEAD))
        return not_acceptable(ctx);
    if (identity && !worth)
        return SVL_NEXT;
    add_vary(ctx);
    return coding == IDENTITY ? SVL_NEXT : compress(self, ctx, coding, etag);
}
