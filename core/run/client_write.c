/* From asks to bytes: the head of a request (RFC 9112 3). Everything in it was checked when the call
 * was made. */
#include "run/client.h"

#include "serval/text.h"

#include <stdio.h>

#define CODINGS "Accept-Encoding: gzip, deflate, br\r\n"

static char *put(char *to, svl_str s)
{
    memcpy(to, s.p, s.n);
    return to + s.n;
}

#define PUT(to, literal) put(to, SVL_STR(literal))

size_t svl_request_bound(const struct svl_call *call)
{
    size_t n = 512 + call->method.n + call->target.n + call->host->preamble.n + call->auth.n +
               call->host->authority.n + call->host_field.n + call->ask.type.n;

    if (svl_unlikely(call->host->absolute))
        n += strlen(call->agent->client->proxy_line);
    for (unsigned i = 0; i < call->ask.n_fields; i++)
        n += call->ask.fields[i].name.n + call->ask.fields[i].value.n + 4;
    return n;
}

/* What is meant for one host only. */
static bool secret(svl_str name)
{
    switch (svl_header_id(name)) {
    case SVL_H_AUTHORIZATION:
    case SVL_H_COOKIE:
    case SVL_H_PROXY_AUTHORIZATION:
    case SVL_H_WWW_AUTHENTICATE:
    case SVL_H_PROXY_AUTHENTICATE: return true;
    default: return svl_str_ieq(name, SVL_STR("Cookie2"));
    }
}

static char *put_canonical(char *to, svl_str name)
{
    svl_header_canonical(to, name);
    return to + name.n;
}

static char *put_fields(char *to, const struct svl_call *call)
{
    for (unsigned i = 0; i < call->ask.n_fields; i++) {
        const struct svl_field *field = &call->ask.fields[i];

        if (call->stripped && secret(field->name))
            continue;
        if (call->no_body && svl_header_id(field->name) == SVL_H_CONTENT_ENCODING)
            continue;
        to = call->agent->client->config.canonical_names ? put_canonical(to, field->name)
                                                         : put(to, field->name);
        to = PUT(to, ": ");
        to = put(to, field->value);
        to = PUT(to, "\r\n");
    }
    return to;
}

/* Content-Length also for an empty body, unless the method has none as a rule (RFC 9110 8.6). */
static char *put_framing(char *to, const struct svl_call *call)
{
    const struct svl_fetch *ask = &call->ask;
    bool streamed = ask->give && !call->no_body;
    int64_t n = streamed ? ask->give_length : call->no_body ? 0 : (int64_t)ask->body.n;
    bool expected =
        !svl_str_eq(call->method, SVL_STR("GET")) && !svl_str_eq(call->method, SVL_STR("HEAD"));

    if (ask->type.p && !call->no_body) {
        to = PUT(to, "Content-Type: ");
        to = put(to, ask->type);
        to = PUT(to, "\r\n");
    }
    if (call->held)
        to = PUT(to, "Expect: 100-continue\r\n");
    if (n < 0)
        return PUT(to, "Transfer-Encoding: chunked\r\n");
    if (n == 0 && !expected)
        return to;
    return to + sprintf(to, "Content-Length: %lld\r\n", (long long)n);
}

size_t svl_request_write(char *to, const struct svl_call *call, bool last)
{
    const struct svl_host *host = call->host;
    svl_str preamble = host->preamble;
    char *begin = to;

    to = put(to, call->method);
    *to++ = ' ';
    if (svl_unlikely(host->absolute)) {
        to = PUT(to, "http://");
        to = put(to, host->authority);
    }
    to = put(to, call->target);
    to = PUT(to, " HTTP/1.1\r\n");
    if (svl_unlikely(call->host_field.p != NULL)) {
        to = PUT(to, "Host: ");
        to = put(to, call->host_field);
        to = PUT(to, "\r\n");
        preamble = svl_str_from(preamble, host->host_line);
    } else {
        to = put(to, svl_str_head(preamble, host->host_line));
        preamble = svl_str_from(preamble, host->host_line);
    }
    if (!call->has_agent)
        to = put(to, preamble);
    if (svl_unlikely(host->absolute))
        to = put(to, svl_str_of(host->agent->client->proxy_line));
    if (call->auth.p && !call->has_auth && !call->stripped) {
        to = PUT(to, "Authorization: ");
        to = put(to, call->auth);
        to = PUT(to, "\r\n");
    }
    if (call->ask.decode && !call->has_accept)
        to = PUT(to, CODINGS);
    to = put_framing(to, call);
    if (call->ask.n_fields)
        to = put_fields(to, call);
    if (last)
        to = PUT(to, "Connection: close\r\n");
    to = PUT(to, "\r\n");
    return (size_t)(to - begin);
}
