/* HTTP dates (RFC 9110 5.6.7). */
#ifndef SVL_DATE_H
#define SVL_DATE_H

#include "serval/str.h"

#include <stdint.h>

#define SVL_DATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* Any thread: writes SVL_DATE_LEN bytes, no NUL. Seconds since 1970, 0 <= seconds < year 10000;
 * others are clamped. */
void svl_date_print(char *to, int64_t seconds);

/* Any thread: all three forms (IMF-fixdate, RFC 850, asctime). Returns false for anything else, and
 * leaves *seconds alone. Two-digit years below 70 are of this century. The day's name must be one,
 * but need not fit the date. */
bool svl_date_parse(svl_str text, int64_t *seconds);

#endif
