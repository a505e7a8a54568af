#include "serval/args.h"

#include "base/arena.h"
#include "serval/error.h"
#include "support/exact.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct svl_pool pool;
static struct svl_arena arena;
static struct svl_args args;

static void begin(void)
{
    svl_pool_init(&pool, SVL_ARENA_BLOCK, 4);
    svl_arena_init(&arena, NULL, 0, &pool, 1 << 20);
    svl_args_init(&args, &arena);
}

static void end(void)
{
    svl_arena_finish(&arena);
    svl_pool_finish(&pool);
}

TestSuite(args, .init = begin, .fini = end);

static bool is(svl_str s, const char *want)
{
    return want ? s.p && svl_str_eq(s, svl_str_of(want)) : !s.p;
}

static bool reads(const char *text, const char *want)
{
    svl_args_reset(&args);
    svl_args_parse(&args, svl_str_of(text));
    return is(svl_args_text(&args), want);
}

Test(args, raw_arguments_are_walked_in_order)
{
    svl_str rest = SVL_STR("&a=1&&b&=c&d==%20+&");
    static const char *const want[][2] = {{"a", "1"}, {"b", NULL}, {"", "c"}, {"d", "=%20+"}};
    struct svl_pair arg;

    for (size_t i = 0; i < COUNT(want); i++) {
        cr_assert(svl_args_next(&rest, &arg));
        cr_assert(is(arg.name, want[i][0]) && is(arg.value, want[i][1]), "%zu", i);
    }
    cr_assert(!svl_args_next(&rest, &arg) && !svl_args_next(&rest, &arg));
    rest = SVL_STR_NONE;
    cr_assert(!svl_args_next(&rest, &arg));
}

Test(args, names_and_values_are_decoded)
{
    svl_args_parse(&args, SVL_STR("f+o%20o=x%3Dy+test&%D0%BF=%zz%&n"));
    cr_assert_eq(args.n, 3);
    cr_assert(is(svl_args_get(&args, SVL_STR("f o o")), "x=y test"));
    cr_assert(is(svl_args_get(&args, SVL_STR("\xd0\xbf")), "%zz%"));
    cr_assert(is(svl_args_get(&args, SVL_STR("n")), ""));
    cr_assert(is(svl_args_get(&args, SVL_STR("N")), NULL));
}

Test(args, what_is_printed_reads_the_same)
{
    cr_assert(reads("", ""));
    cr_assert(reads("a", "a"));
    cr_assert(reads("a=", "a="));
    cr_assert(reads("=a", "=a"));
    cr_assert(reads("=", "="));
    cr_assert(reads("a=b&a=c", "a=b&a=c"));
    cr_assert(reads("a b=\xff", "a+b=%FF"));
    cr_assert(reads("a%26b=%3d%2B", "a%26b=%3D%2B"));
}

Test(args, a_name_may_come_more_than_once)
{
    unsigned at = 0;
    const struct svl_pair *pair;
    char got[8] = "";

    svl_args_parse(&args, SVL_STR("x=1&y=9&x=2&x=3"));
    cr_assert(is(svl_args_get(&args, SVL_STR("x")), "1"));
    while ((pair = svl_args_next_of(&args, SVL_STR("x"), &at)))
        strncat(got, pair->value.p, pair->value.n);
    cr_assert_str_eq(got, "123");
    cr_assert_eq(svl_args_del(&args, SVL_STR("x")), 3);
    cr_assert_eq(svl_args_del(&args, SVL_STR("x")), 0);
    cr_assert(is(svl_args_text(&args), "y=9"));
}

Test(args, set_leaves_one_in_the_place_of_the_first)
{
    svl_args_parse(&args, SVL_STR("a=1&b=2&a=3"));
    svl_args_set(&args, SVL_STR("a"), SVL_STR("9"));
    svl_args_set(&args, SVL_STR("c"), SVL_STR_NONE);
    svl_args_add(&args, SVL_STR("b"), SVL_STR(""));
    cr_assert(is(svl_args_text(&args), "a=9&b=2&c&b="));
    cr_assert(svl_args_has(&args, SVL_STR("c")) && !svl_args_has(&args, SVL_STR("d")));
}

Test(args, sorting_is_by_name_and_value_or_stable_by_name)
{
    const char *text = "b=2&a=3&b=1&aa=0&a=1&=z&b=3&c";

    svl_args_parse(&args, svl_str_of(text));
    svl_args_sort(&args);
    cr_assert(is(svl_args_text(&args), "=z&a=1&a=3&aa=0&b=1&b=2&b=3&c"));
    svl_args_reset(&args);
    svl_args_parse(&args, svl_str_of(text));
    svl_args_sort_names(&args);
    cr_assert(is(svl_args_text(&args), "=z&a=3&a=1&aa=0&b=2&b=1&b=3&c"));
}

Test(args, many_are_sorted_too)
{
    char text[4000] = "";
    size_t n = 0;

    for (unsigned i = 0; i < 500; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%03u=&", i * 37 % 500);
    svl_args_parse(&args, (svl_str){text, n});
    svl_args_sort(&args);
    for (unsigned i = 0; i < 500; i++) {
        uint64_t value;

        cr_assert(svl_uint_parse(args.at[i].name, &value) && value == i);
    }
}

Test(args, values_have_types)
{
    uint64_t u = 7;
    int64_t i = 7;
    double f = 7;
    bool b = false;

    svl_args_parse(&args, SVL_STR("u=12&i=-3&f=1.5&b=yes&bad=x&none"));
    cr_assert(svl_args_uint(&args, SVL_STR("u"), &u) && u == 12);
    cr_assert(svl_args_int(&args, SVL_STR("i"), &i) && i == -3);
    cr_assert(svl_args_float(&args, SVL_STR("f"), &f) && f == 1.5);
    cr_assert(svl_args_bool(&args, SVL_STR("b"), &b) && b);
    cr_assert(!svl_args_uint(&args, SVL_STR("bad"), &u) && u == 12);
    cr_assert(!svl_args_uint(&args, SVL_STR("none"), &u) &&
              !svl_args_uint(&args, SVL_STR("?"), &u));
    cr_assert(!svl_args_bool(&args, SVL_STR("bad"), &b) && b);
}

Test(args, their_number_has_a_limit)
{
    char text[3000];

    for (unsigned n = SVL_ARGS_MAX - 1; n <= SVL_ARGS_MAX + 1; n++) {
        int want = n > SVL_ARGS_MAX ? SVL_ELIMIT : 0;

        for (unsigned i = 0; i < n; i++)
            memcpy(text + 2 * i, "a&", 2);
        svl_args_reset(&args);
        cr_assert_eq(svl_args_parse(&args, (svl_str){text, 2 * n}), want);
        cr_assert_eq(args.n, n > SVL_ARGS_MAX ? SVL_ARGS_MAX : n);
    }
    cr_assert_eq(svl_args_add(&args, SVL_STR("b"), SVL_STR("")), SVL_ELIMIT);
    cr_assert_eq(svl_args_set(&args, SVL_STR("b"), SVL_STR("")), SVL_ELIMIT);
    cr_assert_eq(svl_args_set(&args, SVL_STR("a"), SVL_STR("")), 0);
    args.max = 2;
    cr_assert_eq(svl_args_add(&args, SVL_STR("b"), SVL_STR("")), 0);
    cr_assert_eq(svl_args_add(&args, SVL_STR("b"), SVL_STR("")), SVL_ELIMIT);
}

Test(args, text_is_read_within_its_bounds)
{
    static const char *const texts[] = {"a", "a=", "a=%", "a=%4", "%41", "&", "=", "a=b&"};

    for (size_t i = 0; i < COUNT(texts); i++) {
        svl_str s = exact(svl_str_of(texts[i]));

        svl_args_reset(&args);
        cr_assert_eq(svl_args_parse(&args, s), 0);
        exact_free(s);
    }
    cr_assert_eq(svl_args_parse(&args, SVL_STR_NONE), 0);
}
