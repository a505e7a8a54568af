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

/* `s` as it stands between the quotes of a JSON string (RFC 8259 7): UTF-8 stays, what is not well formed
 * becomes U+FFFD. At most `room` bytes, then "..." says that it was cut. */
void svl_line_json(struct line *l, svl_str s, size_t room);

/* `n` thousandths with that many digits behind the point, at most 3, rounded down: "0.381". */
void svl_line_thousandths(struct line *l, uint64_t n, unsigned digits);

#define LINE_CLOCK_LEN 8  /* "14:03:22" */
#define LINE_STAMP_LEN 28 /* "[10/Oct/2000:13:55:36 +0000]" */

/* Local time of `seconds` since 1970. Both write exactly that many bytes. */
void svl_line_clock(char *to, int64_t seconds);
void svl_line_stamp(char *to, int64_t seconds);

#define LINE_TIME_LEN 27 /* "2026-11-26T11:32:23.123456Z" */

/* Universal time (RFC 3339); years beyond 9999 are cut. */
void svl_line_time(char *to, int64_t seconds, unsigned microseconds);

#endif
