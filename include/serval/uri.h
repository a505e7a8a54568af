/* URIs, their paths and escapes (RFC 3986). All functions: any thread, no allocation. */
#ifndef SVL_URI_H
#define SVL_URI_H

#include "serval/str.h"

/* Whole URIs ----------------------------------------------------------------------------------
 *
 * A URI or a relative reference, taken apart. The views are those of the text it was read from.
 * A part that is not there has p == NULL, which is not the same as an empty one ("/?" has an
 * empty query); `path` is always there, maybe empty. Nothing is decoded. */
struct svl_uri {
    svl_str scheme;   /* "http" */
    svl_str userinfo; /* "user:password", in front of the '@' */
    svl_str host;     /* "example.com", "[::1]" with its brackets; NULL = no authority */
    svl_str port;     /* digits, maybe none; NULL = no ':' */
    svl_str path;
    svl_str query;    /* behind the first '?' */
    svl_str fragment; /* behind the first '#' */
};

/* Returns 0, or SVL_ESYNTAX for a scheme, userinfo, host or port that RFC 3986 does not allow, and
 * for blanks, control bytes, '"', '<' and '>' anywhere. Bytes above 127 may stand in path, query
 * and fragment; escapes are not looked at, so "%zz" passes. A port is at most 65535. */
int svl_uri_parse(struct svl_uri *uri, svl_str text);

/* What `reference` means on the page `base`, which has a scheme (RFC 3986 5.2). The parts of *to
 * are views of both and of `room`, which takes base->path.n + reference->path.n + 1 bytes. */
void svl_uri_resolve(struct svl_uri *to, const struct svl_uri *base,
                     const struct svl_uri *reference, char *room);

/* Makes equal URIs the same text (RFC 3986 6.2.2, 6.2.3): scheme and host in lower case, escapes
 * of unreserved bytes decoded and the others in upper case, no dot segments, no port that is the
 * scheme's own, no empty path behind an authority. Writes to `room` (svl_uri_length() + 1 bytes),
 * of which *uri then has views. */
void svl_uri_normalize(struct svl_uri *uri, char *room);

/* Length of the whole as text; and the text itself, for which `to` needs that length. */
size_t svl_uri_length(const struct svl_uri *uri);
size_t svl_uri_print(char *to, const struct svl_uri *uri);

/* The port's number, or the scheme's own: 80 for http and ws, 443 for https and wss; else 0. */
unsigned svl_uri_port(const struct svl_uri *uri);

/* What stands before and behind the first ':' of the userinfo; p is NULL if it is not there. */
svl_str svl_uri_user(const struct svl_uri *uri);
svl_str svl_uri_password(const struct svl_uri *uri);

/* What a request line asks for: path (at least "/") and query. `to` needs svl_uri_length() + 1
 * bytes. Returns the length. */
size_t svl_uri_target(char *to, const struct svl_uri *uri);

/* host [":" port] of an http URI or a Host field: a name, an IPv4 address, or an IPv6 address in
 * brackets; a port of at most 65535. */
bool svl_host_valid(svl_str host);

/* Paths ---------------------------------------------------------------------------------------*/

/* Decodes %XX of `path` into `to` (room for path.n bytes; may be path.p itself), removes empty,
 * "." and ".." segments, never going above the root. Returns the length, or SVL_ESYNTAX when an
 * escape is broken, a byte is or decodes to NUL, or the first one is not '/'. A trailing '/' stays,
 * and "/a/b/.." becomes "/a/". */
ptrdiff_t svl_path_clean(char *to, svl_str path);

/* Whether svl_path_clean() would change nothing: no escapes, no empty or dot segments. */
bool svl_path_is_clean(svl_str path);

/* Removes dot segments and nothing else (RFC 3986 5.2.4). `to` needs path.n bytes and may be
 * path.p. Returns the length. */
size_t svl_path_remove_dots(char *to, svl_str path);

/* What stands behind the last '/'; empty for "/a/". */
svl_str svl_path_last(svl_str path);

/* Escapes -------------------------------------------------------------------------------------*/

/* Escapes all but unreserved characters and '/' (for paths). `to` needs 3 * s.n bytes. Returns
 * the length. */
size_t svl_path_escape(char *to, svl_str s);

/* Escapes all but unreserved characters, a blank as '+' (for names and values of a query or a
 * form). `to` needs 3 * s.n bytes. Returns the length. */
size_t svl_query_escape(char *to, svl_str s);

/* Decodes %XX and, if `plus`, '+' as a blank. Broken escapes stay as they are. `to` needs s.n
 * bytes and may be s.p. Returns the length. */
size_t svl_unescape(char *to, svl_str s, bool plus);

/* & < > " ' as entities. `to` needs 6 * s.n bytes. Returns the length. */
size_t svl_html_escape(char *to, svl_str s);

#endif
