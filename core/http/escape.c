/* Percent-escapes and entities. What needs no change is found and copied sixteen bytes at once. */
#include "http/bytes.h"
#include "http/chars.h"
#include "serval/uri.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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
static inline size_t copy_plain(char *to, const char *p, size_t n, unsigned char flip)
{
    size_t i = 0;

    for (; i + 32 <= n; i += 32) { /* two are asked at once */
        svl_block a = svl_load_block(p + i), b = svl_load_block(p + i + 16);

        if (svl_block_any((svl_block)(a == '%') | (svl_block)(b == '%')))
            break;
        svl_store_block(to + i, a ^ ((svl_block)(a == '+') & flip));
        svl_store_block(to + i + 16, b ^ ((svl_block)(b == '+') & flip));
    }
    for (; i + 16 <= n; i += 16) {
        svl_block b = svl_load_block(p + i);

        if (svl_block_any((svl_block)(b == '%')))
            break;
        svl_store_block(to + i, b ^ ((svl_block)(b == '+') & flip));
    }
    return i;
}

#if defined(__SSE2__)
/* Decodes five escapes from sixteen bytes at p. False if something else stands there. */
static bool decode_five(char *to, const char *p)
{
    svl_block plain = svl_load_block(p);
    __m128i block = (__m128i)plain, digits = (__m128i)svl_block_in_range(plain, '0', '9');
    __m128i letters = (__m128i)svl_block_in_range(plain | 0x20, 'a', 'f');
    __m128i percents = _mm_cmpeq_epi8(block, _mm_set1_epi8('%'));
    int hex = _mm_movemask_epi8(_mm_or_si128(digits, letters));
    __m128i values;
    char bytes[16];

    if (((_mm_movemask_epi8(percents) & 0x1249) | (hex & 0x6db6)) != 0x7fff)
        return false;
    values = _mm_add_epi8(_mm_and_si128(block, _mm_set1_epi8(15)),
                          _mm_and_si128(letters, _mm_set1_epi8(9)));
    /* Each beside the one behind it: the bytes that count are 1, 4, 7, 10 and 13. */
    values = _mm_or_si128(_mm_slli_epi16(values, 4), _mm_srli_si128(values, 1));
    memcpy(bytes, &values, 16);
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++)
        to[i] = bytes[1 + 3 * i];
    return true;
}
#endif

/* The byte written as %XX at p, or -1. */
static inline int escaped_byte(const char *p, const char *end)
{
    if (end - p < 3 || p[0] != '%')
        return -1;
    int high = svl_hex_digit(p[1]), low = svl_hex_digit(p[2]);

    return (high | low) < 0 ? -1 : high << 4 | low;
}

/* Decodes the escapes that stand at p without a gap. Returns the place behind them. */
static const char *decode_run(char **to, const char *p, const char *end)
{
    char *at = *to;
    int byte;

#if defined(__SSE2__)
    for (; end - p >= 16 && p[12] == '%' && decode_five(at, p); p += 15)
        at += 5;
#endif
    for (; (byte = escaped_byte(p, end)) >= 0; p += 3)
        *at++ = (char)byte;
    *to = at;
    return p;
}

/* The last bytes of a text that has had no escape so far, as a block that overlaps the one before:
 * what was copied already is only copied again. */
static bool copy_last(char *to, svl_str s, unsigned char flip)
{
    svl_block b = svl_load_block(s.p + s.n - 16);

    if (svl_block_any((svl_block)(b == '%')))
        return false;
    b ^= (svl_block)(b == '+') & flip;
    svl_store_block(to + s.n - 16, b);
    return true;
}

#define SLOW 32 /* bytes to go one by one before blocks are worth another try */

/* The rest from p on, written to `at`. Returns the place behind what was written. A function of its own
 * because most texts do not come here, and others need not save its registers. */
__attribute__((noinline)) static char *unescape_rest(char *at, const char *p, const char *end,
                                                     unsigned char flip)
{
    char blank = (char)('+' ^ flip);

    while (p < end) {
        const char *stop = end - p > SLOW ? p + SLOW : end, *behind;

        while (p < stop) {
            for (; p < stop && !svl_char_is(*p, SVL_CHAR_ARG); p++)
                *at++ = *p;
            if (p == stop)
                break;
            if (*p != '%') {
                *at++ = *p == '+' ? blank : *p;
                p++;
                continue;
            }
            behind = decode_run(&at, p, end);
            if (behind == p) /* a '%' that begins no escape */
                *at++ = *behind++;
            p = behind;
        }
        if (p < end) {
            size_t n = copy_plain(at, p, (size_t)(end - p), flip);

            at += n;
            p += n;
        }
    }
    return at;
}

size_t svl_unescape(char *to, svl_str s, bool plus)
{
    unsigned char flip = plus ? '+' ^ ' ' : 0;
    size_t n = copy_plain(to, s.p, s.n, flip);

    if (n == s.n || (s.n >= 16 && s.n - n < 16 && copy_last(to, s, flip)))
        return s.n;
    return (size_t)(unescape_rest(to + n, s.p + n, s.p + s.n, flip) - to);
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
