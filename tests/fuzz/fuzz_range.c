/* Any bytes as a Range field, for sizes small, usual and huge. */
#include "serval/error.h"
#include "serval/range.h"

#include <assert.h>
#include <stdio.h>

#define MAX 8

static void check_range(struct svl_range r, int64_t size)
{
    char text[64];
    struct svl_range again;

    assert(r.offset >= 0 && r.length > 0);
    assert(r.offset < size && r.length <= size - r.offset);
    int n = snprintf(text, sizeof text, "bytes=%lld-%lld", (long long)r.offset,
                     (long long)(r.offset + (r.length - 1)));
    assert(svl_range_parse((svl_str){text, (size_t)n}, size, &again, 1) == 1);
    assert(again.offset == r.offset && again.length == r.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t sizes[] = {0, 1, 10, 1000, INT64_MAX};
    svl_str field = {(const char *)data, size};
    int first = 0;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct svl_range out[MAX];
        int n = svl_range_parse(field, sizes[i], out, MAX);

        assert((n >= 0 && n <= MAX) || n == SVL_ESYNTAX || n == SVL_ELIMIT);
        assert(sizes[i] > 0 || n <= 0);
        for (int r = 0; r < n; r++)
            check_range(out[r], sizes[i]);
        /* Whether it is well formed is not a matter of the size. */
        if (i == 0)
            first = n;
        assert(first >= 0 || n < 0);
    }
    return 0;
}
