/* Searches in heads, sixteen bytes at a time where the CPU can. They never look behind `end`. */
#ifndef SVL_HTTP_SCAN_H
#define SVL_HTTP_SCAN_H

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* The first control byte from `at` on, blanks that are tabs included, or `end`. */
static inline const char *svl_find_control(const char *at, const char *end)
{
#if defined(__SSE2__)
    const __m128i low = _mm_set1_epi8(0x1f), del = _mm_set1_epi8(0x7f);

    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)at);
        __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(bytes, low), bytes),
                                    _mm_cmpeq_epi8(bytes, del));
        unsigned mask = (unsigned)_mm_movemask_epi8(hits);

        if (mask)
            return at + __builtin_ctz(mask);
    }
#endif
    while (at < end && (unsigned char)*at > 0x1f && *at != 0x7f)
        at++;
    return at;
}

/* The first c from `at` on, or `end`. For short stretches: memchr() is a call. */
static inline const char *svl_find_byte(const char *at, const char *end, char c)
{
#if defined(__SSE2__)
    const __m128i wanted = _mm_set1_epi8(c);

    for (; end - at >= 16; at += 16) {
        __m128i hits = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)at), wanted);
        unsigned mask = (unsigned)_mm_movemask_epi8(hits);

        if (mask)
            return at + __builtin_ctz(mask);
    }
#endif
    while (at < end && *at != c)
        at++;
    return at;
}

/* The first '"' or '\\' from `at` on, or `end`. */
static inline const char *svl_find_quote(const char *at, const char *end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');

    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)at);
        __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash));
        unsigned mask = (unsigned)_mm_movemask_epi8(hits);

        if (mask)
            return at + __builtin_ctz(mask);
    }
#endif
    while (at < end && *at != '"' && *at != '\\')
        at++;
    return at;
}

#endif
