/* Redirects (RFC 9110 15.4). */
#include "run/client.h"

#include "serval/error.h"
#include "serval/uri.h"

bool svl_call_may_follow(const struct svl_call *call)
{
    int status = call->reply.status;

    return call->ask.max_redirects > 0 &&
           ((status >= 301 && status <= 303) || status == 307 || status == 308);
}

static bool is_method(const struct svl_call *call, const char *name)
{
    return svl_str_eq(call->method, svl_str_of(name));
}

/* 303 is for GET, and so are, for old times' sake, 301 and 302 of a POST. */
static void change_method(struct svl_call *call)
{
    int status = call->reply.status;

    if (status == 303 ? !is_method(call, "HEAD") : status <= 302 && is_method(call, "POST")) {
        call->method = SVL_STR("GET");
        call->no_body = true;
    }
}

static bool same_host(const struct svl_uri *a, const struct svl_uri *b)
{
    return svl_str_ieq(a->scheme, b->scheme) && svl_str_ieq(a->host, b->host) &&
           svl_uri_port(a) == svl_uri_port(b);
}

/* Credentials are for the host, by name and port, that they were given for. */
static svl_str next_url(struct svl_call *call, svl_str location)
{
    struct svl_uri base, reference, to;
    char *room, *text;

    if (svl_uri_parse(&base, call->reply.url) != 0 || svl_uri_parse(&reference, location) != 0)
        return SVL_STR_NONE;
    room = svl_arena_alloc(&call->arena, base.path.n + reference.path.n + 1);
    svl_uri_resolve(&to, &base, &reference, room);
    if (!same_host(&base, &to)) {
        call->stripped = true;
        call->host_field = SVL_STR_NONE;
    }
    to.userinfo = to.fragment = SVL_STR_NONE;
    text = svl_arena_alloc(&call->arena, svl_uri_length(&to) + 1);
    return (svl_str){text, svl_uri_print(text, &to)};
}

int svl_call_redirect(struct svl_call *call, const char **why)
{
    svl_str location = svl_reply_header(&call->reply, SVL_H_LOCATION), url;

    *why = "the response redirects, but has no Location";
    if (!location.p)
        return SVL_EREDIRECT;
    *why = "there are too many redirects";
    if (call->reply.redirects >= call->ask.max_redirects)
        return SVL_EREDIRECT;
    *why = "the Location of a redirect is not well formed";
    url = next_url(call, location);
    if (!url.p)
        return SVL_EREDIRECT;
    change_method(call);
    *why = "the body cannot be sent again to where a redirect leads";
    if (call->body_begun && !call->no_body)
        return SVL_EREDIRECT;
    call->reply.redirects++;
    svl_host_unref(call->host);
    call->host = NULL;
    return svl_call_aim(call, url, why);
}
