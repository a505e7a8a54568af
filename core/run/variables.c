/* The meta-variables of a request (RFC 3875 4.1), and the log lines of back ends. */
#include "serval/gateway.h"

#include "run/exchange.h"
#include "serval/connection.h"
#include "serval/log.h"
#include "serval/version.h"

#include <stdio.h>
#include <sys/socket.h>

struct sink {
    svl_variable_fn *fn;
    void *arg;
    struct svl_ctx *ctx;
};

static void give(const struct sink *s, svl_str name, svl_str value)
{
    s->fn(s->arg, name, value);
}

/* Fields ----------------------------------------------------------------------------------- */

#define NAME_MAX_LEN 120

/* "HTTP_ACCEPT_LANGUAGE". False for what must not become a variable. */
static bool variable_name(char to[NAME_MAX_LEN], svl_str name, svl_str *made)
{
    static const char prefix[] = "HTTP_";
    size_t n = sizeof prefix - 1;

    if (name.n > NAME_MAX_LEN - n)
        return false;
    memcpy(to, prefix, n);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        else if (c == '-')
            c = '_';
        else if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9'))
            return false;
        to[n++] = c;
    }
    *made = (svl_str){to, n};
    return true;
}

/* HTTP_PROXY in the environment is where programs send their own requests ("httpoxy"). */
static bool is_hidden(const struct svl_header *h, bool authorization)
{
    svl_str name = svl_header_name(h);

    switch (h->id) {
    case SVL_H_AUTHORIZATION: return !authorization;
    case SVL_H_CONTENT_LENGTH: /* CONTENT_LENGTH and CONTENT_TYPE say it */
    case SVL_H_CONTENT_TYPE:
    case SVL_H_CONNECTION:
    case SVL_H_KEEP_ALIVE:
    case SVL_H_TE:
    case SVL_H_TRAILER:
    case SVL_H_TRANSFER_ENCODING:
    case SVL_H_UPGRADE:
    case SVL_H_EXPECT:
    case SVL_H_PROXY_AUTHORIZATION:
    case SVL_H_PROXY_CONNECTION: return true;
    case SVL_H_OTHER: return svl_str_ieq(name, SVL_STR("proxy"));
    default: return false;
    }
}

static bool same_name(const struct svl_header *a, const struct svl_header *b)
{
    return a->id == b->id &&
           (a->id != SVL_H_OTHER || svl_str_ieq(svl_header_name(a), svl_header_name(b)));
}

static bool is_first(const struct svl_headers *headers, unsigned at)
{
    const struct svl_header *h = &headers->at[at];

    if (h->id != SVL_H_OTHER)
        return headers->first[h->id] == at + 1;
    for (unsigned i = 0; i < at; i++)
        if (same_name(&headers->at[i], h))
            return false;
    return true;
}

/* All values of that name, in order (RFC 9110 5.3; cookies by RFC 6265 5.4). */
static svl_str joined(const struct sink *s, unsigned at)
{
    const struct svl_headers *headers = &s->ctx->req.headers;
    const struct svl_header *h = &headers->at[at];
    const char *between = h->id == SVL_H_COOKIE ? "; " : ", ";
    svl_str all = svl_header_value(h);

    for (unsigned i = at + 1; i < headers->n; i++)
        if (same_name(&headers->at[i], h))
            all = svl_printf(s->ctx, "%.*s%s%.*s", SVL_FMT(all), between,
                             SVL_FMT(svl_header_value(&headers->at[i])));
    return all;
}

static void give_fields(const struct sink *s, bool authorization)
{
    const struct svl_headers *headers = &s->ctx->req.headers;
    char text[NAME_MAX_LEN];
    svl_str name;

    for (unsigned i = 0; i < headers->n; i++) {
        const struct svl_header *h = &headers->at[i];

        if (is_hidden(h, authorization) || !variable_name(text, svl_header_name(h), &name) ||
            !is_first(headers, i))
            continue;
        give(s, name, joined(s, i));
    }
}

/* The rest --------------------------------------------------------------------------------- */

static void give_number(const struct sink *s, svl_str name, unsigned long long number)
{
    char text[24];

    give(s, name, (svl_str){text, (size_t)snprintf(text, sizeof text, "%llu", number)});
}

static void give_body(const struct sink *s)
{
    const struct svl_request *req = &s->ctx->req;
    int64_t length = req->body.p ? (int64_t)req->body.n : req->content_length;
    svl_str type = svl_header(s->ctx, SVL_H_CONTENT_TYPE);

    if (svl_exchange_of(s->ctx)->redirects) /* it belonged to the first request */
        return;
    if (length > 0 || svl_header(s->ctx, SVL_H_CONTENT_LENGTH).p)
        give_number(s, SVL_STR("CONTENT_LENGTH"), (unsigned long long)length);
    if (type.p)
        give(s, SVL_STR("CONTENT_TYPE"), type);
}

/* "example.com" of "example.com:80"; an IPv6 address keeps its brackets (4.1.14). */
static svl_str host_name(svl_str host)
{
    size_t end =
        host.n > 0 && host.p[0] == '[' ? svl_str_find(host, ']') + 1 : svl_str_find(host, ':');

    return svl_str_head(host, end);
}

static void give_ends(const struct sink *s)
{
    struct svl_address local = {.family = 0};
    const struct svl_address *peer = svl_peer(s->ctx);
    char ours[64], theirs[64];
    svl_str name = host_name(s->ctx->req.host), address;

    svl_local(s->ctx, &local);
    address = (svl_str){ours, svl_address_text(&local, ours, sizeof ours)};
    give(s, SVL_STR("REMOTE_ADDR"),
         (svl_str){theirs, svl_address_text(peer, theirs, sizeof theirs)});
    if (peer->port)
        give_number(s, SVL_STR("REMOTE_PORT"), peer->port);
    give(s, SVL_STR("SERVER_ADDR"), address);
    give(s, SVL_STR("SERVER_NAME"), name.n ? name : address);
    give_number(s, SVL_STR("SERVER_PORT"), local.port ? local.port : 80);
}

static void give_target(const struct sink *s, const struct svl_gateway_target *t)
{
    const struct svl_request *req = &s->ctx->req;

    give(s, SVL_STR("SCRIPT_NAME"), t->script_name.p ? t->script_name : SVL_STR(""));
    give(s, SVL_STR("DOCUMENT_URI"), req->path);
    if (t->script_filename.p)
        give(s, SVL_STR("SCRIPT_FILENAME"), t->script_filename);
    if (t->document_root.p)
        give(s, SVL_STR("DOCUMENT_ROOT"), t->document_root);
    if (!t->path_info.p)
        return;
    give(s, SVL_STR("PATH_INFO"), t->path_info);
    if (t->document_root.p)
        give(s, SVL_STR("PATH_TRANSLATED"),
             svl_printf(s->ctx, "%.*s%.*s", SVL_FMT(t->document_root), SVL_FMT(t->path_info)));
}

void svl_gateway_variables(struct svl_ctx *ctx, const struct svl_gateway_target *target,
                           svl_variable_fn *fn, void *arg)
{
    const struct sink s = {fn, arg, ctx};
    const struct svl_request *req = &ctx->req;
    bool tls = svl_is_tls(ctx);

    give(&s, SVL_STR("GATEWAY_INTERFACE"), SVL_STR("CGI/1.1"));
    give(&s, SVL_STR("SERVER_SOFTWARE"), SVL_STR("serval/" SVL_VERSION));
    give(&s, SVL_STR("SERVER_PROTOCOL"), req->minor ? SVL_STR("HTTP/1.1") : SVL_STR("HTTP/1.0"));
    give(&s, SVL_STR("REQUEST_METHOD"), req->method_text);
    give(&s, SVL_STR("REQUEST_URI"), req->target);
    give(&s, SVL_STR("REQUEST_SCHEME"), tls ? SVL_STR("https") : SVL_STR("http"));
    give(&s, SVL_STR("QUERY_STRING"), req->query.p ? req->query : SVL_STR(""));
    give(&s, SVL_STR("REDIRECT_STATUS"), SVL_STR("200")); /* php-cgi wants to know it is no shell */
    if (tls)
        give(&s, SVL_STR("HTTPS"), SVL_STR("on"));
    give_target(&s, target);
    give_body(&s);
    give_ends(&s);
    give_fields(&s, target->authorization);
}

/* Lines ------------------------------------------------------------------------------------ */

void svl_gateway_lines_end(struct svl_gateway_lines *l)
{
    if (l->n > 0)
        svl_log(SVL_WARN, "%.*s: %.*s", SVL_FMT(l->who), (int)l->n, l->text);
    l->n = 0;
}

void svl_gateway_lines_add(struct svl_gateway_lines *l, svl_str bytes)
{
    for (size_t i = 0; i < bytes.n; i++) {
        char c = bytes.p[i];

        if (c == '\n')
            svl_gateway_lines_end(l);
        else if (c != '\r' && l->n < sizeof l->text)
            l->text[l->n++] = c;
    }
}
