/* Cookies (RFC 6265, and what browsers added to it since: RFC 6265bis). */
#ifndef SVL_COOKIE_H
#define SVL_COOKIE_H

#include "serval/text.h"

#include <stdint.h>

struct svl_ctx;

/* Of a request --------------------------------------------------------------------------------
 *
 * Any thread: each cookie of a Cookie field in turn, *rest being the field at first. Pairs are
 * separated by ';', blanks around name and value do not count, quotes around a value are taken
 * off, nothing is decoded. One without '=' has the name "", as browsers send it; one whose value
 * holds a '"', '\' or ',' in a place where no cookie can have it is skipped. Returns false behind
 * the last one. */
bool svl_cookie_next(svl_str *rest, struct svl_pair *cookie);

/* The first cookie of the request with that name (case counts), in any Cookie field; p is NULL if
 * there is none. */
svl_str svl_cookie(const struct svl_ctx *ctx, svl_str name);

/* Of an answer --------------------------------------------------------------------------------*/

enum svl_same_site {
    SVL_SAME_SITE_UNSET, /* none is sent; browsers take it for Lax */
    SVL_SAME_SITE_LAX,
    SVL_SAME_SITE_STRICT,
    SVL_SAME_SITE_NONE, /* needs `secure` */
};

/* A cookie as Set-Cookie gives it. Zero means "not sent" everywhere. */
struct svl_set_cookie {
    svl_str name;    /* a token */
    svl_str value;   /* no control byte, blank, '"', ',', ';' or '\'; p may be NULL */
    svl_str path;    /* "/"; begins with '/' */
    svl_str domain;  /* "example.com", no '.' in front */
    int64_t expires; /* seconds since 1970 */
    int64_t max_age; /* seconds; SVL_COOKIE_EXPIRED = at once */
    bool secure;
    bool http_only;
    bool partitioned; /* needs `secure` */
    enum svl_same_site same_site;
};

#define SVL_COOKIE_EXPIRED (-1)
#define SVL_COOKIE_MAX 4096 /* browsers keep no more of name, value and attributes */

/* Any thread: writes the value of a Set-Cookie field to `to`, which needs SVL_COOKIE_MAX bytes.
 * Returns the length; SVL_EHEADER if name, value, path or domain may not stand there, if
 * SameSite=None or Partitioned comes without Secure, or if the name begins with "__Secure-" and
 * the cookie is not secure, or with "__Host-" and it is not secure, has a domain or another path
 * than "/"; SVL_ELIMIT if it is longer. */
ptrdiff_t svl_cookie_print(char *to, const struct svl_set_cookie *cookie);

/* Adds a Set-Cookie field to the answer, in the place of one with the same name, domain and path
 * (RFC 6265 4.1.1). Nothing of `cookie` is needed afterwards. Returns 0 or what
 * svl_cookie_print() does. */
int svl_cookie_set(struct svl_ctx *ctx, const struct svl_set_cookie *cookie);

/* Tells the client to forget a cookie, which has to be named as it was set; path and domain may
 * be SVL_STR_NONE. Returns as svl_cookie_set(). */
int svl_cookie_delete(struct svl_ctx *ctx, svl_str name, svl_str path, svl_str domain);

/* For clients ---------------------------------------------------------------------------------
 *
 * Any thread: reads a Set-Cookie field as RFC 6265 5.2 says; the views are those of the text.
 * Unknown and broken attributes are ignored, of several the last counts; a leading '.' of a
 * domain is dropped, a path that does not begin with '/' too. max_age <= 0 becomes
 * SVL_COOKIE_EXPIRED. Returns 0; SVL_ESYNTAX if there is neither a name nor a value, or a control
 * byte; SVL_EHEADER if the name's prefix (see above) is not kept. */
int svl_cookie_parse(struct svl_set_cookie *cookie, svl_str field);

#endif
