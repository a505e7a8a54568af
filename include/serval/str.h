/* Views of text. */
#ifndef SVL_STR_H
#define SVL_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A view: points at bytes somebody else owns. Never NUL-terminated by promise, cheap to
 * copy, passed by value. The owner is named where the view is stored. p is NULL only when
 * there is no text at all, which is not the same as an empty text. */
typedef struct svl_str {
    const char *p;
    size_t n;
} svl_str;

#define SVL_STR(literal) ((svl_str){"" literal "", sizeof(literal) - 1})
#define SVL_STR_NONE ((svl_str){NULL, 0})

/* printf("path=%.*s", SVL_FMT(ctx->req.path)) */
#define SVL_FMT(s) (int)(s).n, ((s).p ? (s).p : "")

/* The view of a C string; of NULL, no text. */
static inline svl_str svl_str_of(const char *text)
{
    return (svl_str){text, text ? strlen(text) : 0};
}

static inline bool svl_str_eq(svl_str a, svl_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* The same without regard to the case of ASCII letters, as header names and tokens compare. */
bool svl_str_ieq(svl_str a, svl_str b);

static inline bool svl_str_starts(svl_str s, svl_str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool svl_str_ends(svl_str s, svl_str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* Place of the first `c`, or s.n. */
static inline size_t svl_str_find(svl_str s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

    return at ? (size_t)(at - s.p) : s.n;
}

/* s without its first n bytes; n may be larger than s. */
static inline svl_str svl_str_from(svl_str s, size_t n)
{
    size_t skip = n < s.n ? n : s.n;

    return (svl_str){skip ? s.p + skip : s.p, s.n - skip}; /* C has no NULL + 0 */
}

static inline svl_str svl_str_head(svl_str s, size_t n)
{
    return (svl_str){s.p, n < s.n ? n : s.n};
}

/* Without blanks and tabs at both ends (OWS, RFC 9110 5.6.3). */
svl_str svl_str_trim(svl_str s);

/* The part before the first `c`, which is taken off *rest together with it. Returns false when
 * *rest was used up (its p is NULL). */
bool svl_str_split(svl_str *rest, char c, svl_str *part);

/* Decimal digits only, nothing before or after, no overflow. Returns false otherwise. */
bool svl_str_u64(svl_str s, unsigned long long *value);

/* Copies into a C string, cut at size - 1, always terminated. Returns what s.n was. */
size_t svl_str_copy(char *to, size_t size, svl_str s);

#endif
