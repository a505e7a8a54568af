/* URIs: taking apart, resolving, normalising, putting together. Hosts are checked as strictly as
 * those of requests; what stands in paths and queries is the application's business. */
#include "serval/uri.h"

#include "http/chars.h"
#include "serval/error.h"
#include "serval/ip.h"
#include "serval/text.h"

/* --- Hosts ---------------------------------------------------------------------------------- */

static bool port_valid(svl_str port)
{
    uint64_t value;

    return port.n == 0 || (port.n <= 5 && svl_uint_parse(port, &value) && value <= 65535);
}

/* Length of the host at the start of s, or 0 if there is none. */
static size_t host_length(svl_str s)
{
    uint8_t ip[16];
    size_t n = 0;

    if (s.n > 0 && s.p[0] == '[') {
        n = svl_str_find(s, ']');
        return n < s.n && svl_ipv6_parse((svl_str){s.p + 1, n - 1}, ip) ? n + 1 : 0;
    }
    return s.n > 0 ? (size_t)(svl_chars_skip(s.p, s.p + s.n, SVL_CHAR_HOST) - s.p) : 0;
}

bool svl_host_valid(svl_str host)
{
    size_t n = host_length(host);

    if (n == 0)
        return false;
    return n == host.n || (host.p[n] == ':' && port_valid(svl_str_from(host, n + 1)));
}

/* --- Parsing -------------------------------------------------------------------------------- */

static inline svl_str view(const char *begin, const char *end)
{
    return (svl_str){begin, (size_t)(end - begin)};
}

static bool is_scheme_byte(char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '-' || c == '.';
}

/* Each of these reads a part that begins at `at` and returns the place behind it. */

static inline const char *read_scheme(struct svl_uri *uri, const char *at, const char *end)
{
    const char *colon = at;

    if (at == end || (*at | 0x20) < 'a' || (*at | 0x20) > 'z')
        return at;
    while (colon < end && is_scheme_byte(*colon))
        colon++;
    if (colon == end || *colon != ':')
        return at;
    uri->scheme = view(at, colon);
    return colon + 1;
}

static bool userinfo_valid(svl_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!svl_char_is(s.p[i], SVL_CHAR_HOST) && s.p[i] != ':')
            return false;
    return true;
}

/* The host may be empty only where no userinfo and no port stands with it ("file:///x"). */
static int split_authority(struct svl_uri *uri, svl_str authority)
{
    size_t at = svl_str_find(authority, '@');
    size_t n;

    if (at < authority.n) {
        uri->userinfo = svl_str_head(authority, at);
        if (!userinfo_valid(uri->userinfo))
            return SVL_ESYNTAX;
        authority = svl_str_from(authority, at + 1);
    }
    n = host_length(authority);
    uri->host = svl_str_head(authority, n);
    if (n == authority.n)
        return n > 0 || !uri->userinfo.p ? 0 : SVL_ESYNTAX;
    uri->port = svl_str_from(authority, n + 1);
    return n > 0 && authority.p[n] == ':' && port_valid(uri->port) ? 0 : SVL_ESYNTAX;
}

static inline bool ends_authority(const char *at, const char *end)
{
    return at == end || *at == '/' || *at == '?' || *at == '#';
}

/* Behind the "//"; NULL if it is not well formed. Most have a name and nothing else. */
static inline const char *read_authority(struct svl_uri *uri, const char *at, const char *end)
{
    const char *stop = svl_chars_skip(at, end, SVL_CHAR_HOST);

    if (ends_authority(stop, end)) {
        uri->host = view(at, stop);
        return stop;
    }
    while (!ends_authority(stop, end))
        stop++;
    return split_authority(uri, view(at, stop)) == 0 ? stop : NULL;
}

/* It may hold '?'. */
static inline const char *read_query(struct svl_uri *uri, const char *at, const char *end)
{
    const char *stop = svl_chars_skip(at, end, SVL_CHAR_PATH);

    while (stop < end && *stop == '?')
        stop = svl_chars_skip(stop + 1, end, SVL_CHAR_PATH);
    uri->query = view(at, stop);
    return stop;
}

static inline const char *read_fragment(struct svl_uri *uri, const char *at, const char *end)
{
    const char *stop = svl_chars_skip(at, end, SVL_CHAR_URI);

    uri->fragment = view(at, stop);
    return stop;
}

/* "a:b" is a scheme; "1:b" would be a path whose first segment has a colon (RFC 3986 4.2). */
static bool seems_scheme(svl_str path)
{
    size_t slash = svl_str_find(path, '/');

    return svl_str_find(svl_str_head(path, slash), ':') < slash;
}

int svl_uri_parse(struct svl_uri *uri, svl_str text)
{
    const char *at = text.p ? text.p : "", *end = at + text.n, *path;

    *uri = (struct svl_uri){0};
    at = read_scheme(uri, at, end);
    if (end - at >= 2 && at[0] == '/' && at[1] == '/') {
        at = read_authority(uri, at + 2, end);
        if (!at)
            return SVL_ESYNTAX;
    }
    path = at;
    at = svl_chars_skip(at, end, SVL_CHAR_PATH);
    uri->path = view(path, at);
    if (at < end && *at == '?')
        at = read_query(uri, at + 1, end);
    if (at < end && *at == '#')
        at = read_fragment(uri, at + 1, end);
    if (at < end)
        return SVL_ESYNTAX;
    return !uri->scheme.p && !uri->host.p && seems_scheme(uri->path) ? SVL_ESYNTAX : 0;
}

/* --- Resolving (RFC 3986 5.2.2) ------------------------------------------------------------- */

static svl_str merge(char *room, const struct svl_uri *base, svl_str path)
{
    size_t n = base->path.n - svl_path_last(base->path).n;

    if (base->host.p && base->path.n == 0)
        room[n++] = '/';
    else if (n > 0)
        memcpy(room, base->path.p, n);
    if (path.n > 0)
        memcpy(room + n, path.p, path.n);
    return (svl_str){room, n + path.n};
}

static svl_str without_dots(char *room, svl_str path)
{
    return (svl_str){room, svl_path_remove_dots(room, path)};
}

/* Without an authority a path must not begin with "//", or it would become one. */
static void guard_path(struct svl_uri *uri)
{
    while (!uri->host.p && svl_str_starts(uri->path, SVL_STR("//")))
        uri->path = svl_str_from(uri->path, 1);
}

void svl_uri_resolve(struct svl_uri *to, const struct svl_uri *base,
                     const struct svl_uri *reference, char *room)
{
    struct svl_uri uri = *reference;

    if (!uri.scheme.p) {
        uri.scheme = base->scheme;
        if (!uri.host.p) {
            uri.userinfo = base->userinfo;
            uri.host = base->host;
            uri.port = base->port;
            if (uri.path.n == 0) {
                uri.path = base->path;
                if (!uri.query.p)
                    uri.query = base->query;
                *to = uri;
                return;
            }
            if (uri.path.p[0] != '/')
                uri.path = merge(room, base, uri.path);
        }
    }
    uri.path = without_dots(room, uri.path);
    guard_path(&uri);
    *to = uri;
}

/* --- Normalising ---------------------------------------------------------------------------- */

static svl_str put_lower(char **to, svl_str s)
{
    svl_str copy = {*to, s.n};

    if (!s.p)
        return s;
    svl_lower(*to, s);
    *to += s.n;
    return copy;
}

static size_t upper_escape(char *to, const char *from)
{
    to[0] = '%';
    svl_upper(to + 1, (svl_str){from + 1, 2});
    return 3;
}

/* Escapes of unreserved bytes decoded, the others in upper case. */
static svl_str put_escapes(char **to, svl_str s)
{
    svl_str copy = {*to, 0};

    if (!s.p)
        return s;
    for (size_t i = 0; i < s.n; i++) {
        int high = -1, low = -1;

        if (s.p[i] == '%' && s.n - i >= 3) {
            high = svl_hex_digit(s.p[i + 1]);
            low = svl_hex_digit(s.p[i + 2]);
        }
        if ((high | low) < 0) {
            (*to)[copy.n++] = s.p[i];
            continue;
        }
        if (svl_char_is((char)(high << 4 | low), SVL_CHAR_UNRESERVED))
            (*to)[copy.n++] = (char)(high << 4 | low);
        else
            copy.n += upper_escape(*to + copy.n, s.p + i);
        i += 2;
    }
    *to += copy.n;
    return copy;
}

/* Case of letters does not count in a host, but it does in the hex digits of its escapes. */
static svl_str put_host(char **to, svl_str s)
{
    char *p = *to;
    svl_str host = put_escapes(to, s);

    for (size_t i = 0; i < host.n; i++) {
        if (p[i] == '%')
            i += 2;
        else
            svl_lower(p + i, (svl_str){p + i, 1});
    }
    return host;
}

static unsigned own_port(svl_str scheme)
{
    if (svl_str_ieq(scheme, SVL_STR("http")) || svl_str_ieq(scheme, SVL_STR("ws")))
        return 80;
    if (svl_str_ieq(scheme, SVL_STR("https")) || svl_str_ieq(scheme, SVL_STR("wss")))
        return 443;
    return 0;
}

unsigned svl_uri_port(const struct svl_uri *uri)
{
    uint64_t value = 0;

    if (uri->port.n > 0 && svl_uint_parse(uri->port, &value))
        return (unsigned)value;
    return own_port(uri->scheme);
}

void svl_uri_normalize(struct svl_uri *uri, char *room)
{
    char *path;

    if (uri->port.p && (uri->port.n == 0 || svl_uri_port(uri) == own_port(uri->scheme)))
        uri->port = SVL_STR_NONE;
    uri->scheme = put_lower(&room, uri->scheme);
    uri->userinfo = put_escapes(&room, uri->userinfo);
    uri->host = put_host(&room, uri->host);
    uri->port = put_lower(&room, uri->port);
    path = room;
    uri->path = put_escapes(&room, uri->path);
    if (uri->scheme.p || uri->host.p)
        uri->path.n = svl_path_remove_dots(path, uri->path);
    guard_path(uri);
    if (uri->host.p && uri->path.n == 0)
        uri->path = SVL_STR("/");
    uri->query = put_escapes(&room, uri->query);
    uri->fragment = put_escapes(&room, uri->fragment);
}

/* --- Putting together ----------------------------------------------------------------------- */

size_t svl_uri_length(const struct svl_uri *uri)
{
    size_t n = uri->path.n;

    n += uri->scheme.p ? uri->scheme.n + 1 : 0;
    n += uri->host.p ? uri->host.n + 2 : 0;
    n += uri->userinfo.p ? uri->userinfo.n + 1 : 0;
    n += uri->port.p ? uri->port.n + 1 : 0;
    n += uri->query.p ? uri->query.n + 1 : 0;
    n += uri->fragment.p ? uri->fragment.n + 1 : 0;
    return n;
}

static char *put(char *to, svl_str s)
{
    if (s.n > 0)
        memcpy(to, s.p, s.n);
    return to + s.n;
}

static char *put_behind(char *to, char mark, svl_str s)
{
    if (!s.p)
        return to;
    *to = mark;
    return put(to + 1, s);
}

size_t svl_uri_print(char *to, const struct svl_uri *uri)
{
    char *begin = to;

    if (uri->scheme.p) {
        to = put(to, uri->scheme);
        *to++ = ':';
    }
    if (uri->host.p) {
        *to++ = '/';
        *to++ = '/';
        if (uri->userinfo.p) {
            to = put(to, uri->userinfo);
            *to++ = '@';
        }
        to = put(to, uri->host);
        to = put_behind(to, ':', uri->port);
    }
    to = put(to, uri->path);
    to = put_behind(to, '?', uri->query);
    to = put_behind(to, '#', uri->fragment);
    return (size_t)(to - begin);
}

svl_str svl_uri_user(const struct svl_uri *uri)
{
    return svl_str_head(uri->userinfo, svl_str_find(uri->userinfo, ':'));
}

svl_str svl_uri_password(const struct svl_uri *uri)
{
    size_t colon = svl_str_find(uri->userinfo, ':');

    return colon < uri->userinfo.n ? svl_str_from(uri->userinfo, colon + 1) : SVL_STR_NONE;
}

size_t svl_uri_target(char *to, const struct svl_uri *uri)
{
    char *at = put(to, uri->path.n > 0 ? uri->path : SVL_STR("/"));

    return (size_t)(put_behind(at, '?', uri->query) - to);
}
