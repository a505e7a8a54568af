/* The Range field (RFC 9110 14.1.2, 14.2). Order and overlaps are the caller's business. */
#include "serval/range.h"

#include "serval/error.h"

/* Takes digits off the front of *s; a number too large for int64_t is as good as the largest, as
 * no representation reaches that far. Returns -1 if there is no digit. */
static int64_t take_number(svl_str *s)
{
    int64_t value = 0;
    size_t i = 0;

    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
        int digit = s->p[i] - '0';

        value = value > (INT64_MAX - digit) / 10 ? INT64_MAX : value * 10 + digit;
    }
    *s = svl_str_from(*s, i);
    return i > 0 ? value : -1;
}

/* One element of the list: "first-last", "first-" or "-suffix". Returns 1 and a range, 0 for one
 * that is not satisfiable, or SVL_ESYNTAX. */
static int read_range(svl_str s, int64_t size, struct svl_range *range)
{
    int64_t first = take_number(&s);

    if (s.n == 0 || s.p[0] != '-')
        return SVL_ESYNTAX;
    s = svl_str_from(s, 1);
    int64_t last = take_number(&s); /* or how many from the end */

    if (s.n > 0 || (first < 0 && last < 0) || (first >= 0 && last >= 0 && last < first))
        return SVL_ESYNTAX;
    if (first < 0) {
        range->length = last < size ? last : size;
        range->offset = size - range->length;
        return range->length > 0;
    }
    if (first >= size)
        return 0;
    range->offset = first;
    range->length = (last >= 0 && last < size ? last + 1 : size) - first;
    return 1;
}

int svl_range_parse(svl_str field, int64_t size, struct svl_range *out, int max)
{
    svl_str list = svl_str_trim(field), unit, part;
    bool any = false;
    int count = 0;

    if (!svl_str_split(&list, '=', &unit) || !svl_str_ieq(unit, SVL_STR("bytes")))
        return SVL_ESYNTAX;
    while (svl_str_split(&list, ',', &part)) {
        struct svl_range range;

        part = svl_str_trim(part);
        if (part.n == 0)
            continue; /* lists may have empty elements (RFC 9110 5.6.1.2) */
        any = true;
        int got = read_range(part, size, &range);

        if (got < 0)
            return got;
        if (got == 0)
            continue;
        if (count == max)
            return SVL_ELIMIT;
        out[count++] = range;
    }
    return any ? count : SVL_ESYNTAX;
}
