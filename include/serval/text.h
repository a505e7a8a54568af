/* Numbers and letters in text, whatever the locale. All functions: any thread, no allocation. */
#ifndef SVL_TEXT_H
#define SVL_TEXT_H

#include "serval/str.h"

#include <stdint.h>

/* A name and its value: an argument, a cookie, a parameter of a header field. The views are the
 * text's they were read from; value.p is NULL when there was no '='. */
struct svl_pair {
    svl_str name, value;
};

#define SVL_UINT_LEN 20  /* "18446744073709551615" */
#define SVL_INT_LEN 20   /* "-9223372036854775808" */
#define SVL_HEX_LEN 16   /* "ffffffffffffffff" */
#define SVL_FLOAT_LEN 32 /* "-1.7976931348623157e+308" and a NUL fit */

/* Write at most the number of bytes above, without a NUL; return how many. Hex is in lower case
 * and without zeros in front. A float is as short as it can be read back to the same value; "inf",
 * "-inf" and "nan" are what has no digits. */
size_t svl_uint_print(char *to, uint64_t value);
size_t svl_int_print(char *to, int64_t value);
size_t svl_hex_print(char *to, uint64_t value);
size_t svl_float_print(char *to, double value);

/* The whole of s, nothing before or after it: digits; digits with a sign; hex digits of either
 * case without "0x"; "1", "1.", ".5", "-1.5e-3" (no "inf", no "nan", no hex, at most 255 bytes;
 * what is too large for a double is refused, what is too small is 0). Return false, and leave
 * *value alone, for anything else and for what does not fit. */
bool svl_uint_parse(svl_str s, uint64_t *value);
bool svl_int_parse(svl_str s, int64_t *value);
bool svl_hex_parse(svl_str s, uint64_t *value);
bool svl_float_parse(svl_str s, double *value);

/* "1", "t", "true", "y", "yes", "on" and "0", "f", "false", "n", "no", "off", whatever their
 * case. Returns false, and leaves *value alone, for anything else. */
bool svl_bool_parse(svl_str s, bool *value);

/* ASCII letters in lower or upper case; other bytes as they are. `to` needs s.n bytes and may be
 * s.p. */
void svl_lower(char *to, svl_str s);
void svl_upper(char *to, svl_str s);

/* A header name as it is usually written: "x-forwarded-FOR" becomes "X-Forwarded-For". `to` needs
 * name.n bytes and may be name.p. Names compare without regard to case, so this is for showing
 * them. */
void svl_header_canonical(char *to, svl_str name);

/* Whether s is a token (RFC 9110 5.6.2): not empty, letters, digits and !#$%&'*+-.^_`|~ */
bool svl_is_token(svl_str s);

/* For messages: the one of `names` (NULL at the end) that a typing error of at most two letters makes
 * `name` of, the nearest if there are several; NULL if there is none. */
const char *svl_nearest(const char *const *names, svl_str name);

#endif
