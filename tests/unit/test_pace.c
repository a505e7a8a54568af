/* Whether a peer moves bytes fast enough. */
#include "net/pace.h"

#include <criterion/criterion.h>

#define GIB ((uint64_t)1 << 30)

/* After a minute of waiting, beginning with `before` bytes. */
static bool is_slow(uint64_t before, uint64_t after)
{
    struct svl_pace pace = {0};

    svl_pace_begin(&pace, before);
    svl_pace_wait(&pace, 1000);
    svl_pace_waited(&pace, 61000);
    return svl_pace_is_slow(&pace, after, 240);
}

Test(pace, so_many_bytes_per_second_have_to_move)
{
    cr_assert(is_slow(0, 0));
    cr_assert(is_slow(5000, 5000 + 240 * 60 - 1));
    cr_assert(!is_slow(5000, 5000 + 240 * 60));
}

Test(pace, the_fastest_are_not_taken_for_slow)
{
    cr_assert(!is_slow(0, 2 * GIB));
    cr_assert(!is_slow(1 * GIB, 4 * GIB));
    cr_assert(!is_slow(0, 4 * GIB));
    cr_assert(!is_slow(3 * GIB, 100 * GIB));
}

Test(pace, without_a_rate_only_nothing_is_slow)
{
    struct svl_pace pace = {0};

    svl_pace_begin(&pace, 7);
    svl_pace_waited(&pace, 1000);
    cr_assert(svl_pace_is_slow(&pace, 7, 0));
    cr_assert(!svl_pace_is_slow(&pace, 8, 0));
}
