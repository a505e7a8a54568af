/* Percent-escapes and entities. What needs no change is found and copied sixteen bytes at once. */
#include "http/bytes.h"
#include "http/chars.h"
#include "serval/uri.h"

typedef uint64_t halves __attribute__((vector_size(16)));

static bool any(svl_block mask)
{
#ifdef __SSE2__
    return __builtin_ia32_pmovmskb128((char __attribute__((vector_size(16))))mask) != 0;
#else
    halves h = (halves)mask;

    return (h[0] | h[1]) != 0;
#endif
}

/* --- Escaping ------------------------------------------------------------------------------- */

static size_t put_escaped(char *to, unsigned char c)
{
    to[0] = '%';
    to[1] = "0123456789ABCDEF"[c >> 4];
    to[2] = "0123456789ABCDEF"[c & 15];
    return 3;
}

size_t svl_path_escape(char *to, svl_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (svl_char_is(s.p[i], SVL_CHAR_UNRESERVED) || s.p[i] == '/')
            to[n++] = s.p[i];
        else
            n += put_escaped(to + n, (unsigned char)s.p[i]);
    }
    return n;
}

size_t svl_query_escape(char *to, svl_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (svl_char_is(s.p[i], SVL_CHAR_UNRESERVED))
            to[n++] = s.p[i];
        else if (s.p[i] == ' ')
            to[n++] = '+';
        else
            n += put_escaped(to + n, (unsigned char)s.p[i]);
    }
    return n;
}

/* --- Unescaping ----------------------------------------------------------------------------- */

/* Copies blocks without a '%', with '+' as `blank`. Returns how many bytes. Nothing is written
 * ahead of what was read, so `to` may be a place before p. */
static size_t copy_plain(char *to, const char *p, size_t n, unsigned char flip)
{
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        svl_block b = svl_load_block(p + i);
        svl_block plus = (svl_block)(b == '+') & flip;

        if (any((svl_block)(b == '%')))
            break;
        b ^= plus;
        svl_store_block(to + i, b);
    }
    return i;
}

/* The byte written as %XX at p, or -1. */
static int escaped_byte(const char *p, size_t n)
{
    if (n < 3 || p[0] != '%')
        return -1;
    int high = svl_hex_digit(p[1]), low = svl_hex_digit(p[2]);

    return (high | low) < 0 ? -1 : high << 4 | low;
}

/* The last bytes of a text that has had no escape so far, as a block that overlaps the one before:
 * what was copied already is only copied again. */
static bool copy_last(char *to, svl_str s, unsigned char flip)
{
    svl_block b = svl_load_block(s.p + s.n - 16);

    if (any((svl_block)(b == '%')))
        return false;
    b ^= (svl_block)(b == '+') & flip;
    svl_store_block(to + s.n - 16, b);
    return true;
}

#define SLOW 16 /* bytes to go one by one before blocks are worth another try */

size_t svl_unescape(char *to, svl_str s, bool plus)
{
    unsigned char flip = plus ? '+' ^ ' ' : 0;
    size_t n = copy_plain(to, s.p, s.n, flip), i = n;

    if (s.n >= 16 && s.n - i < 16 && copy_last(to, s, flip))
        return s.n;
    while (i < s.n) {
        size_t stop = s.n - i > SLOW ? i + SLOW : s.n, len;

        while (i < stop) {
            char c = s.p[i];
            int byte;

            if (c == '%' && (byte = escaped_byte(s.p + i, s.n - i)) >= 0) {
                do { /* where one is, more follow */
                    to[n++] = (char)byte;
                    i += 3;
                } while ((byte = escaped_byte(s.p + i, s.n - i)) >= 0);
            } else {
                to[n++] = (char)(c == '+' ? c ^ flip : c);
                i++;
            }
        }
        len = i < s.n ? copy_plain(to + n, s.p + i, s.n - i, flip) : 0;
        n += len;
        i += len;
    }
    return n;
}

/* --- Entities ------------------------------------------------------------------------------- */

static const struct entity {
    char text[7];
    unsigned char n;
} entities[256] = {
    ['&'] = {"&amp;", 5},  ['<'] = {"&lt;", 4},   ['>'] = {"&gt;", 4},
    ['"'] = {"&quot;", 6}, ['\''] = {"&#39;", 5},
};

size_t svl_html_escape(char *to, svl_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        const struct entity *entity = &entities[(unsigned char)s.p[i]];

        if (entity->n == 0) {
            to[n++] = s.p[i];
            continue;
        }
        memcpy(to + n, entity->text, entity->n);
        n += entity->n;
    }
    return n;
}
