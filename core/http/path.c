/* Paths of URIs. Works on bytes and does not ask whether they are UTF-8. */
#include "serval/uri.h"

#include "http/bytes.h"
#include "http/chars.h"
#include "serval/error.h"

/* The byte written as %XX at the start of s, or -1. */
static int escaped_byte(svl_str s)
{
    if (s.n < 3 || s.p[0] != '%')
        return -1;
    int high = svl_hex_digit(s.p[1]), low = svl_hex_digit(s.p[2]);

    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* --- Clean paths ---------------------------------------------------------------------------- */

/* Ends the segment at to[start, end), start being just behind a '/'. Returns the new end: where
 * it was if the segment stays, behind the '/' before it if it goes. */
static size_t end_segment(const char *to, size_t start, size_t end)
{
    size_t n = end - start;

    if (n == 0 || (n == 1 && to[start] == '.'))
        return start;
    if (n != 2 || to[start] != '.' || to[start + 1] != '.')
        return end;
    if (start == 1)
        return 1;
    start--; /* to the '/' in front of "..", then behind the one before */
    while (to[start - 1] != '/')
        start--;
    return start;
}

/* Escapes are decoded before segments are looked at, so %2e%2e%2f is "../" here and cannot
 * become one later. What is written never overtakes what is read, so `to` may be path.p. */
ptrdiff_t svl_path_clean(char *to, svl_str path)
{
    size_t end = 1, start = 1; /* of what is written; of its last segment */

    if (path.n == 0 || path.p[0] != '/')
        return SVL_ESYNTAX;
    to[0] = '/';
    for (size_t i = 1; i < path.n; i++) {
        int c = (unsigned char)path.p[i];

        if (c == '%') {
            c = escaped_byte(svl_str_from(path, i));
            i += 2;
        }
        if (c <= 0)
            return SVL_ESYNTAX;
        if (c != '/') {
            to[end++] = (char)c;
            continue;
        }
        size_t kept = end_segment(to, start, end);

        if (kept == end && end > start)
            to[end++] = '/';
        else
            end = kept;
        start = end;
    }
    return (ptrdiff_t)end_segment(to, start, end);
}

/* Whether a word may hold a '%', a NUL, or a '/' followed by '/' or '.'. Never says no wrongly; it
 * says yes for all below '&' too, because that is one comparison ("byte < 0x26": it borrows and
 * had no high bit). The other one finds a byte that is 0 in both differences, '/' being '.' | 1. */
static bool is_suspect(uint64_t word)
{
    uint64_t low = (word - SVL_EACH_BYTE('&')) & ~word;
    uint64_t pair =
        (word ^ SVL_EACH_BYTE('/')) | ((word >> 8 | SVL_EACH_BYTE(1)) ^ SVL_EACH_BYTE('/'));

    pair = (pair - SVL_EACH_BYTE(1)) & ~pair;
    return ((low | pair) & SVL_EACH_BYTE(0x80)) != 0;
}

/* The exact answer, byte by byte. p[0] is a '/'. */
static bool is_clean_slowly(const char *p, size_t n)
{
    size_t segment = 1;

    for (size_t i = 1; i <= n; i++) {
        if (i < n && p[i] != '/') {
            if (p[i] == '%' || p[i] == '\0')
                return false;
            continue;
        }
        size_t len = i - segment;

        if (len == 0 && i < n)
            return false;
        if (len == 1 && p[segment] == '.')
            return false;
        if (len == 2 && p[segment] == '.' && p[segment + 1] == '.')
            return false;
        segment = i + 1;
    }
    return true;
}

bool svl_path_is_clean(svl_str path)
{
    const char *p = path.p;
    size_t n = path.n;
    bool suspect = false;

    if (n == 0 || p[0] != '/')
        return false;
    /* Words overlap by at least a byte, so each pair of bytes is seen in one of them. */
    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 7)
            suspect |= is_suspect(svl_load(p + i, 8));
        suspect |= is_suspect(svl_load(p + n - 8, 8));
    } else if (n >= 4) {
        suspect = is_suspect(svl_load(p, 4) | svl_load(p + n - 4, 4) << 32);
    } else {
        suspect = n > 1;
    }
    return !suspect || is_clean_slowly(p, n);
}

/* --- Dot segments without decoding ---------------------------------------------------------- */

/* Length of the last segment of to[0, n), with the '/' in front of it. */
static size_t last_segment(const char *to, size_t n)
{
    size_t at = n;

    while (at > 0 && to[at - 1] != '/')
        at--;
    return n - (at > 0 ? at - 1 : 0);
}

/* 1 or 2 if s begins with a whole segment "." or "..", else 0. */
static size_t dots_at(svl_str s)
{
    size_t n = s.n > 0 && s.p[0] == '.' ? s.n > 1 && s.p[1] == '.' ? 2 : 1 : 0;

    return n == s.n || s.p[n] == '/' ? n : 0;
}

size_t svl_path_remove_dots(char *to, svl_str path)
{
    size_t i = 0, n = 0, dots;

    while ((dots = dots_at(svl_str_from(path, i))) > 0) /* in front of the first '/' */
        i += dots + (i + dots < path.n);
    while (i < path.n) {
        size_t end = i + 1; /* path[i] is a '/', but for the first segment */

        dots = path.p[i] == '/' ? dots_at(svl_str_from(path, i + 1)) : 0;
        if (dots > 0) {
            n -= dots == 2 ? last_segment(to, n) : 0;
            i += 1 + dots;
            if (i == path.n)
                to[n++] = '/';
            continue;
        }
        while (end < path.n && path.p[end] != '/')
            end++;
        memmove(to + n, path.p + i, end - i);
        n += end - i;
        i = end;
    }
    return n;
}

svl_str svl_path_last(svl_str path)
{
    const char *slash = path.n ? memrchr(path.p, '/', path.n) : NULL;

    return slash ? svl_str_from(path, (size_t)(slash - path.p) + 1) : path;
}
