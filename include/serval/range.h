/* Byte ranges (RFC 9110 14). */
#ifndef SVL_RANGE_H
#define SVL_RANGE_H

#include "serval/str.h"

#include <stdint.h>

struct svl_range {
    int64_t offset, length; /* length > 0, within the size that was given */
};

/* Any thread: reads a Range field for a representation of `size` bytes. Returns how many
 * satisfiable ranges were written to out (at most `max`, in the order asked for);
 * 0 = none satisfiable: 416 (always so if size is 0);
 * SVL_ESYNTAX = not well formed or another unit: ignore the field, answer 200;
 * SVL_ELIMIT = more than `max`: ignore it as well (RFC 9110 14.2 allows that). */
int svl_range_parse(svl_str field, int64_t size, struct svl_range *out, int max);

#endif
