/* What a byte may be part of. */
#ifndef SVL_HTTP_CHARS_H
#define SVL_HTTP_CHARS_H

#include <stdbool.h>

enum {
    SVL_CHAR_TOKEN = 1,   /* tchar (RFC 9110 5.6.2) */
    SVL_CHAR_HOST = 2,    /* reg-name or IPv4 address (RFC 3986 3.2.2) */
    SVL_CHAR_LITERAL = 4, /* what stands in brackets of an IPv6 address */
    SVL_CHAR_TARGET = 8,  /* path and query (RFC 3986 3.3, 3.4) */
};

extern const unsigned char svl_chars[256];

static inline bool svl_char_is(char c, int what)
{
    return svl_chars[(unsigned char)c] & what;
}

#endif
