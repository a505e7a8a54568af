/* From a URL to a host and a request target. */
#include "run/client.h"

#include "base/check.h"
#include "http/chars.h"
#include "serval/error.h"
#include "serval/uri.h"

#include <stdio.h>
#include <stdlib.h>

static bool plain_target(svl_str target)
{
    for (size_t i = 0; i < target.n; i++)
        if (!svl_char_is(target.p[i], SVL_CHAR_TARGET))
            return false;
    return true;
}

/* The same host as last time, and nothing in the URL that would have to be looked at closely. */
static bool aim_again(struct svl_call *call, svl_str url)
{
    struct svl_host *host = call->agent->last;
    svl_str target;

    if (!host || !svl_str_starts(url, SVL_STR("http://")))
        return false;
    target = svl_str_from(url, 7);
    if (!svl_str_starts(target, host->authority))
        return false;
    target = svl_str_from(target, host->authority.n);
    if (target.n == 0 || target.p[0] != '/' || !plain_target(target))
        return false;
    call->target = target;
    call->host = host;
    svl_host_ref(host);
    return true;
}

/* Other bytes are escaped: whatever stands in the URL, the request line has three words. */
static svl_str escape_target(struct svl_arena *arena, svl_str target)
{
    char *to = svl_arena_alloc(arena, 3 * target.n), *begin = to;

    for (size_t i = 0; i < target.n; i++) {
        char c = target.p[i];

        if (svl_char_is(c, SVL_CHAR_TARGET))
            *to++ = c;
        else
            to += sprintf(to, "%%%02X", (unsigned char)c);
    }
    return (svl_str){begin, (size_t)(to - begin)};
}

static svl_str target_of(struct svl_arena *arena, const struct svl_uri *uri)
{
    char *text = svl_arena_alloc(arena, svl_uri_length(uri) + 2);
    svl_str target = {text, svl_uri_target(text, uri)};

    return plain_target(target) ? target : escape_target(arena, target);
}

static char *put_base64(char *to, svl_str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < s.n; i += 3) {
        unsigned char a = (unsigned char)s.p[i];
        unsigned char b = i + 1 < s.n ? (unsigned char)s.p[i + 1] : 0;
        unsigned char c = i + 2 < s.n ? (unsigned char)s.p[i + 2] : 0;

        *to++ = digits[a >> 2];
        *to++ = digits[(a & 3) << 4 | b >> 4];
        *to++ = i + 1 < s.n ? digits[(b & 15) << 2 | c >> 6] : '=';
        *to++ = i + 2 < s.n ? digits[c & 63] : '=';
    }
    return to;
}

svl_str svl_basic_auth(char *to, svl_str userinfo)
{
    char *plain = svl_malloc(userinfo.n + 1), *end;
    svl_str decoded = {plain, svl_unescape(plain, userinfo, false)};

    if (svl_str_find(decoded, ':') == decoded.n)
        plain[decoded.n++] = ':'; /* no password (RFC 7617 2) */
    memcpy(to, "Basic ", 6);
    end = put_base64(to + 6, decoded);
    free(plain);
    return (svl_str){to, (size_t)(end - to)};
}

static int aim_at(struct svl_call *call, const struct svl_uri *uri, const char **why)
{
    svl_str authority = {uri->host.p, uri->host.n + (uri->port.p ? uri->port.n + 1 : 0)};
    unsigned port = svl_uri_port(uri);

    if (svl_str_ieq(uri->scheme, SVL_STR("https"))) {
        *why = "https is not built in";
        return SVL_ESCHEME;
    }
    if (!svl_str_ieq(uri->scheme, SVL_STR("http"))) {
        *why = "only http URLs can be asked for";
        return SVL_ESCHEME;
    }
    if (uri->host.n == 0 || port == 0 || memchr(uri->host.p, '%', uri->host.n)) {
        *why = "the URL has no host that can be asked";
        return SVL_ESYNTAX;
    }
    /* ":@" and "@" name nobody. */
    if (!call->reply.redirects && uri->userinfo.n > 0 && !svl_str_eq(uri->userinfo, SVL_STR(":")))
        call->auth = svl_basic_auth(svl_arena_alloc(&call->arena, SVL_BASIC_AUTH(uri->userinfo)),
                                    uri->userinfo);
    call->host = svl_host_get(call->agent, authority, uri->host, port);
    svl_host_ref(call->host);
    call->target = target_of(&call->arena, uri);
    return 0;
}

int svl_call_aim(struct svl_call *call, svl_str url, const char **why)
{
    struct svl_uri uri;

    call->reply.url = url;
    if (svl_likely(aim_again(call, url)))
        return 0;
    *why = "this is not a URL";
    if (svl_uri_parse(&uri, url) != 0)
        return SVL_ESYNTAX;
    if (!uri.scheme.p)
        return SVL_ESYNTAX;
    return aim_at(call, &uri, why);
}
