/* Builds log lines in a buffer that never grows: what does not fit is cut. Knows nothing of HTTP. */
#ifndef SVL_ACCESS_LOG_LINE_H
#define SVL_ACCESS_LOG_LINE_H

#include "serval/str.h"

#include <stdint.h>

struct line {
    char *at, *end; /* [at, end) is free; end leaves room for nothing else */
};

void svl_line_text(struct line *l, svl_str s);
void svl_line_char(struct line *l, char c);
void svl_line_pad(struct line *l, const char *since,
                  size_t width); /* blanks until `width` columns */
void svl_line_number(struct line *l, uint64_t n);

/* `s` with quotes, backslashes, control bytes and bytes above 0x7e as \xNN, so that no client can
 * forge a line or talk to a terminal. At most `room` bytes, then "..." says that it was cut. */
void svl_line_escaped(struct line *l, svl_str s, size_t room);

#define LINE_CLOCK_LEN 8  /* "14:03:22" */
#define LINE_STAMP_LEN 28 /* "[10/Oct/2000:13:55:36 +0000]" */

/* Local time of `seconds` since 1970. Both write exactly that many bytes. */
void svl_line_clock(char *to, int64_t seconds);
void svl_line_stamp(char *to, int64_t seconds);

#endif
