/* Paths, percent-escapes and HTML escapes. Works on bytes and does not ask whether they are UTF-8. */
#include "serval/uri.h"

#include "serval/error.h"

#include <stdint.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte written as %XX at the start of s, or -1. */
static int escaped_byte(svl_str s)
{
    if (s.n < 3 || s.p[0] != '%')
        return -1;
    int high = hex_value(s.p[1]), low = hex_value(s.p[2]);

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

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* The bytes of a word in the order of the text, first in the lowest bits. */
static uint64_t load(const char *p, size_t n)
{
    uint64_t word = 0;

    memcpy(&word, p, n);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Whether a word may hold a '%', a NUL, or a '/' followed by '/' or '.'. Never says no wrongly; it
 * says yes for all below '&' too, because that is one comparison ("byte < 0x26": it borrows and
 * had no high bit). The other one finds a byte that is 0 in both differences, '/' being '.' | 1. */
static bool is_suspect(uint64_t word)
{
    uint64_t low = (word - EACH_BYTE('&')) & ~word;
    uint64_t pair = (word ^ EACH_BYTE('/')) | ((word >> 8 | EACH_BYTE(1)) ^ EACH_BYTE('/'));

    pair = (pair - EACH_BYTE(1)) & ~pair;
    return ((low | pair) & EACH_BYTE(0x80)) != 0;
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
            suspect |= is_suspect(load(p + i, 8));
        suspect |= is_suspect(load(p + n - 8, 8));
    } else if (n >= 4) {
        suspect = is_suspect(load(p, 4) | load(p + n - 4, 4) << 32);
    } else {
        suspect = n > 1;
    }
    return !suspect || is_clean_slowly(p, n);
}

/* --- Escapes -------------------------------------------------------------------------------- */

static bool is_path_byte(unsigned char c)
{
    unsigned char lower = c | 0x20;

    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '/' || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

size_t svl_path_escape(char *to, svl_str s)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (is_path_byte(c)) {
            to[n++] = (char)c;
            continue;
        }
        to[n++] = '%';
        to[n++] = hex[c >> 4];
        to[n++] = hex[c & 15];
    }
    return n;
}

size_t svl_unescape(char *to, svl_str s, bool plus)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        int byte = escaped_byte(svl_str_from(s, i));

        if (byte >= 0) {
            to[n++] = (char)byte;
            i += 2;
        } else {
            to[n++] = plus && s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    return n;
}

static svl_str entity(char c)
{
    switch (c) {
    case '&': return SVL_STR("&amp;");
    case '<': return SVL_STR("&lt;");
    case '>': return SVL_STR("&gt;");
    case '"': return SVL_STR("&quot;");
    case '\'': return SVL_STR("&#39;");
    default: return SVL_STR_NONE;
    }
}

size_t svl_html_escape(char *to, svl_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        svl_str text = entity(s.p[i]);

        if (!text.p) {
            to[n++] = s.p[i];
            continue;
        }
        memcpy(to + n, text.p, text.n);
        n += text.n;
    }
    return n;
}
