#include "serval/range.h"

#include "serval/error.h"
#include "support/exact.h"

#include <criterion/criterion.h>

#define MAX 4

static int parse(svl_str field, int64_t size, struct svl_range *out, int max)
{
    svl_str s = exact(field);
    int n = svl_range_parse(s, size, out, max);

    exact_free(s);
    return n;
}

Test(range, satisfiable_ranges_are_read_in_order)
{
    static const struct {
        const char *field;
        int64_t size;
        int n;
        struct svl_range want[MAX];
    } cases[] = {
        /* RFC 9110 14.1.2 */
        {"bytes=0-499", 10000, 1, {{0, 500}}},
        {"bytes=500-999", 10000, 1, {{500, 500}}},
        {"bytes=-500", 10000, 1, {{9500, 500}}},
        {"bytes=9500-", 10000, 1, {{9500, 500}}},
        {"bytes=0-0,-1", 10000, 2, {{0, 1}, {9999, 1}}},
        {"bytes= 0-999, 4500-5499, -1000", 10000, 3, {{0, 1000}, {4500, 1000}, {9000, 1000}}},
        {"bytes=500-700,601-999", 10000, 2, {{500, 201}, {601, 399}}},
        /* Edges of the size */
        {"bytes=0-", 1, 1, {{0, 1}}},
        {"bytes=0-0", 1, 1, {{0, 1}}},
        {"bytes=9-9", 10, 1, {{9, 1}}},
        {"bytes=9-10", 10, 1, {{9, 1}}},
        {"bytes=5-999", 10, 1, {{5, 5}}},
        {"bytes=-10", 10, 1, {{0, 10}}},
        {"bytes=-11", 10, 1, {{0, 10}}},
        {"bytes=00000000000000000000000001-2", 10, 1, {{1, 2}}},
        /* Numbers no file reaches */
        {"bytes=0-9223372036854775807", 10, 1, {{0, 10}}},
        {"bytes=0-9223372036854775808", 10, 1, {{0, 10}}},
        {"bytes=0-99999999999999999999999999999999", 10, 1, {{0, 10}}},
        {"bytes=-99999999999999999999999999999999", 10, 1, {{0, 10}}},
        {"bytes=0-9223372036854775807", INT64_MAX, 1, {{0, INT64_MAX}}},
        {"bytes=9223372036854775806-", INT64_MAX, 1, {{INT64_MAX - 1, 1}}},
        /* Lists */
        {"BYTES=1-2", 10, 1, {{1, 2}}},
        {"Bytes=,, 1-2 ,\t,3-3,", 10, 2, {{1, 2}, {3, 1}}},
        {"bytes=20-30,1-2,-0,40-", 10, 1, {{1, 2}}},
        {"bytes=3-3,3-3,3-3,3-3", 10, 4, {{3, 1}, {3, 1}, {3, 1}, {3, 1}}},
        {" bytes=1-1\t", 10, 1, {{1, 1}}},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct svl_range out[MAX];
        int n = parse(svl_str_of(cases[i].field), cases[i].size, out, MAX);

        cr_assert_eq(n, cases[i].n, "%s: %d", cases[i].field, n);
        for (int r = 0; r < n; r++) {
            cr_assert_eq(out[r].offset, cases[i].want[r].offset, "%s", cases[i].field);
            cr_assert_eq(out[r].length, cases[i].want[r].length, "%s", cases[i].field);
        }
    }
}

Test(range, unsatisfiable_ranges_count_nothing)
{
    static const struct {
        const char *field;
        int64_t size;
    } cases[] = {
        {"bytes=10-", 10},
        {"bytes=10-20", 10},
        {"bytes=-0", 10},
        {"bytes=0-0", 0},
        {"bytes=0-", 0},
        {"bytes=-5", 0},
        {"bytes=-0,99-", 10},
        {"bytes=9223372036854775807-", INT64_MAX},
        {"bytes=99999999999999999999-", 10},
        {"bytes=99999999999999999999-99999999999999999999", INT64_MAX},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct svl_range out[MAX];

        cr_assert_eq(parse(svl_str_of(cases[i].field), cases[i].size, out, MAX), 0, "%s",
                     cases[i].field);
    }
}

Test(range, what_is_not_well_formed_is_refused)
{
    static const svl_str cases[] = {
#define BIN(literal) {"" literal "", sizeof(literal) - 1}
        BIN(""),
        BIN("bytes"),
        BIN("bytes="),
        BIN("bytes=,"),
        BIN("bytes= , ,"),
        BIN("=0-1"),
        BIN("items=0-1"),
        BIN("byte=0-1"),
        BIN("bytes =0-1"),
        BIN("bytes=-"),
        BIN("bytes=--1"),
        BIN("bytes=1"),
        BIN("bytes=a-b"),
        BIN("bytes=0-1a"),
        BIN("bytes=0x0-1"),
        BIN("bytes=2-1"),
        BIN("bytes=0 -1"),
        BIN("bytes=0- 1"),
        BIN("bytes=0-1 2-3"),
        BIN("bytes=0-1;2-3"),
        BIN("bytes=0-1,x"),
        BIN("bytes=x,0-1"),
        BIN("bytes=0-1-2"),
        BIN("bytes=+0-1"),
        BIN("bytes=-+1"),
        BIN("bytes=0-1\0"),
        BIN("bytes\0=0-1"),
        BIN("bytes=\xb2-"),
        BIN("bytes=0-1,5-4"),
        BIN("bytes==0-1"),
        BIN("bytes=0-1=2"),
        BIN("0-1"),
        BIN("bytes:0-1"),
        BIN("bytes=1.5-2"),
        BIN("bytes=99-98"),
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct svl_range out[MAX];

        cr_assert_eq(parse(cases[i], 10, out, MAX), SVL_ESYNTAX, "%s", cases[i].p);
    }
    struct svl_range out[MAX];
    cr_assert_eq(svl_range_parse(SVL_STR_NONE, 10, out, MAX), SVL_ESYNTAX);
}

Test(range, more_than_the_limit_is_an_error_of_its_own)
{
    struct svl_range out[2] = {{7, 7}, {7, 7}};

    cr_assert_eq(parse(SVL_STR("bytes=0-0,1-1"), 10, out, 1), SVL_ELIMIT);
    cr_assert_eq(out[1].offset, 7); /* not written behind the limit */
    cr_assert_eq(parse(SVL_STR("bytes=0-0,99-"), 10, out, 1), 1);
    cr_assert_eq(parse(SVL_STR("bytes=0-0"), 10, out, 0), SVL_ELIMIT);
}
