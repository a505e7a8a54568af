/* What a byte may be part of. */
#ifndef SVL_HTTP_CHARS_H
#define SVL_HTTP_CHARS_H

#include <stdbool.h>

enum {
    SVL_CHAR_TOKEN = 0x01,      /* tchar (RFC 9110 5.6.2) */
    SVL_CHAR_HOST = 0x02,       /* reg-name or IPv4 address (RFC 3986 3.2.2) */
    SVL_CHAR_UNRESERVED = 0x04, /* RFC 3986 2.3 */
    SVL_CHAR_TARGET = 0x08,     /* path and query (RFC 3986 3.3, 3.4) */
    SVL_CHAR_URI = 0x10,        /* no blank, control byte, '"', '<' or '>': what URIs are made of */
    SVL_CHAR_PATH = 0x20,       /* the same without '?' and '#' */
    SVL_CHAR_COOKIE = 0x40,     /* cookie-octet (RFC 6265 4.1.1) */
    SVL_CHAR_ARG = 0x80,        /* & = % +, which end a plain piece of a query */
};

extern const unsigned char svl_chars[256];

static inline bool svl_char_is(char c, int what)
{
    return svl_chars[(unsigned char)c] & what;
}

/* The first byte from `at` on that is part of it, or is not, or `end`. Looks at four between two tests for
 * the end: most of what is passed is too short for anything wider. */
static inline const char *svl_chars_seek(const char *at, const char *end, int what, bool part)
{
    for (; end - at >= 4; at += 4) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            if (svl_char_is(at[i], what) == part)
                return at + i;
    }
    while (at < end && svl_char_is(*at, what) != part)
        at++;
    return at;
}

static inline const char *svl_chars_skip(const char *at, const char *end, int what)
{
    return svl_chars_seek(at, end, what, false);
}

static inline const char *svl_chars_find(const char *at, const char *end, int what)
{
    return svl_chars_seek(at, end, what, true);
}

/* Value of each hex digit plus one; 0 for other bytes. */
extern const unsigned char svl_hex_digits[256];

static inline int svl_hex_digit(char c)
{
    return (int)svl_hex_digits[(unsigned char)c] - 1;
}

#endif
