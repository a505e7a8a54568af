/* errors: shapes error answers on their way out. An answer counts as plain when it is the core's
 * own text ("404 Not Found: why") or has no body. */
#include "serval/mod/errors.h"

#include "serval/error.h"
#include "serval/field.h"
#include "serval/uri.h"

#include <stdio.h>

enum form { HTML, JSON, TEXT };

struct error {
    svl_str title, detail, path, id;
    int status;
};

/* "404 Not Found" in front of a plain body; n is 0 if the body is somebody's own. */
static svl_str plain_start(struct svl_ctx *ctx)
{
    const struct svl_response *res = &ctx->res;
    svl_str start = svl_printf(ctx, "%d %.*s", res->status, SVL_FMT(svl_status_text(res->status)));

    if (res->body.kind == SVL_BODY_NONE ||
        (res->body.kind == SVL_BODY_BYTES && res->body.bytes.n == 0))
        return start;
    if (res->body.kind == SVL_BODY_BYTES && svl_str_starts(res->body.bytes, start) &&
        svl_str_starts(res->content_type, SVL_STR("text/plain")))
        return start;
    return SVL_STR("");
}

static svl_str detail_of(const struct svl_ctx *ctx, svl_str start)
{
    svl_str body = ctx->res.body.kind == SVL_BODY_BYTES ? ctx->res.body.bytes : SVL_STR("");

    if (start.n == 0 || !svl_str_starts(body, start))
        return SVL_STR("");
    body = svl_str_from(body, start.n);
    if (svl_str_ends(body, SVL_STR("\n")))
        body.n--;
    return svl_str_starts(body, SVL_STR(": ")) ? svl_str_from(body, 2) : SVL_STR("");
}

static bool sent_json(const struct svl_ctx *ctx)
{
    svl_str type = svl_field_value(svl_header(ctx, SVL_H_CONTENT_TYPE));

    return svl_str_ieq(type, SVL_STR("application/json")) || svl_str_ends(type, SVL_STR("+json"));
}

/* By Accept; without one, or with one that takes everything, by what the client seems to be. */
static enum form form_of(const struct svl_errors_config *cfg, const struct svl_ctx *ctx)
{
    static const svl_str offers[] = {{"text/html", 9},
                                     {"application/problem+json", 24},
                                     {"application/json", 16},
                                     {"text/plain", 10}};
    svl_str accept = svl_header(ctx, SVL_H_ACCEPT);
    int best;

    if (!accept.p || svl_str_eq(accept, SVL_STR("*/*")))
        return !cfg->text_first && sent_json(ctx) ? JSON : TEXT;
    best = svl_negotiate(&ctx->req.headers, SVL_H_ACCEPT, offers, 4);
    return best == 0 ? HTML : best == 1 || best == 2 ? JSON : TEXT;
}

/* --- writing -------------------------------------------------------------------------------- */

static svl_str html_escaped(struct svl_ctx *ctx, svl_str s)
{
    char *to = svl_alloc(ctx, 6 * s.n + 1);

    return (svl_str){to, svl_html_escape(to, s)};
}

static svl_str json_escaped(struct svl_ctx *ctx, svl_str s)
{
    char *to = svl_alloc(ctx, 6 * s.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '"' || c == '\\') {
            to[n++] = '\\';
            to[n++] = (char)c;
        } else if (c < 0x20 || c >= 0x7f) { /* bytes of a path need not be UTF-8 */
            n += (size_t)snprintf(to + n, 7, "\\u%04x", c);
        } else {
            to[n++] = (char)c;
        }
    }
    return (svl_str){to, n};
}

static svl_str as_json(struct svl_ctx *ctx, const struct error *e)
{
    svl_str more = SVL_STR("");

    if (e->detail.n)
        more = svl_printf(ctx, ",\"detail\":\"%.*s\"", SVL_FMT(json_escaped(ctx, e->detail)));
    if (e->id.n)
        more = svl_printf(ctx, "%.*s,\"request_id\":\"%.*s\"", SVL_FMT(more),
                          SVL_FMT(json_escaped(ctx, e->id)));
    return svl_printf(ctx, "{\"type\":\"about:blank\",\"title\":\"%.*s\",\"status\":%d%.*s}\n",
                      SVL_FMT(e->title), e->status, SVL_FMT(more));
}

static svl_str as_text(struct svl_ctx *ctx, const struct error *e)
{
    return svl_printf(ctx, "%d %.*s%s%.*s%s%.*s\n", e->status, SVL_FMT(e->title),
                      e->detail.n ? ": " : "", SVL_FMT(e->detail), e->id.n ? "\nrequest " : "",
                      SVL_FMT(e->id));
}

static svl_str place_value(struct svl_ctx *ctx, const struct error *e, svl_str name)
{
    if (svl_str_eq(name, SVL_STR("status")))
        return svl_printf(ctx, "%d", e->status);
    if (svl_str_eq(name, SVL_STR("title")))
        return html_escaped(ctx, e->title);
    if (svl_str_eq(name, SVL_STR("detail")))
        return html_escaped(ctx, e->detail);
    if (svl_str_eq(name, SVL_STR("path")))
        return html_escaped(ctx, e->path);
    if (svl_str_eq(name, SVL_STR("id")))
        return html_escaped(ctx, e->id);
    return SVL_STR_NONE;
}

static svl_str as_html(struct svl_ctx *ctx, const struct error *e, svl_str page)
{
    svl_str made = SVL_STR("");

    while (page.n > 0) {
        size_t open = svl_str_find(page, '{'), close;
        svl_str value;

        made = svl_printf(ctx, "%.*s%.*s", SVL_FMT(made), SVL_FMT(svl_str_head(page, open)));
        page = svl_str_from(page, open);
        if (page.n == 0)
            break;
        close = svl_str_find(page, '}');
        value = place_value(ctx, e, svl_str_from(svl_str_head(page, close), 1));
        if (!value.p) { /* a bracket that is the page's own */
            value = SVL_STR("{");
            close = 0;
        }
        made = svl_printf(ctx, "%.*s%.*s", SVL_FMT(made), SVL_FMT(value));
        page = svl_str_from(page, close + 1);
    }
    return made;
}

static const char default_page[] =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>{status} {title}</title>\n"
    "<style>:root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1rem}"
    "small{opacity:.7}</style>\n"
    "<h1>{status} {title}</h1>\n<p>{detail}</p>\n<p><small>{id}</small></p>\n</html>\n";

static svl_str page_for(const struct svl_errors_config *cfg, int status)
{
    const char *other = default_page;

    for (const struct svl_error_page *page = cfg->pages; page && page->html; page++) {
        if (page->status == status)
            return svl_str_of(page->html);
        if (page->status == 0)
            other = page->html;
    }
    return svl_str_of(other);
}

static void shape(const struct svl_errors_config *cfg, struct svl_ctx *ctx, const struct error *e)
{
    enum form form = form_of(cfg, ctx);

    if (form == HTML) {
        svl_content_type(ctx, SVL_STR("text/html; charset=utf-8"));
        svl_body_bytes(ctx, as_html(ctx, e, page_for(cfg, e->status)));
    } else if (form == JSON) {
        svl_content_type(ctx, SVL_STR("application/problem+json"));
        svl_body_bytes(ctx, as_json(ctx, e));
    } else {
        svl_content_type(ctx, SVL_STR("text/plain; charset=utf-8"));
        svl_body_bytes(ctx, as_text(ctx, e));
    }
    if (!svl_headers_has_token(&ctx->res.headers, SVL_H_VARY, SVL_STR("Accept")))
        svl_header_add(ctx, SVL_H_VARY, SVL_STR("Accept"));
}

static enum svl_verdict on_response(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_errors_config *cfg = self->config;
    svl_str start;

    if (ctx->res.status < 400)
        return SVL_NEXT;
    start = plain_start(ctx);
    if (start.n > 0 || cfg->all)
        shape(cfg, ctx,
              &(struct error){.status = ctx->res.status,
                              .title = svl_status_text(ctx->res.status),
                              .detail = detail_of(ctx, start),
                              .path = ctx->req.path,
                              .id = svl_headers_get(&ctx->res.headers, SVL_H_X_REQUEST_ID)});
    return SVL_NEXT;
}

const struct svl_module svl_errors_module = {
    .name = "errors",
    .summary = "error answers as text, HTML or JSON, as the client asks",
    .config_size = sizeof(struct svl_errors_config),
    .on_response = on_response,
};
