#include "serval/str.h"

#include "support/exact.h"

#include <criterion/criterion.h>

#define BIN(literal)                                                                               \
    {                                                                                              \
        "" literal "", sizeof(literal) - 1                                                         \
    }

Test(str, case_of_ascii_letters_does_not_count_in_ieq)
{
    cr_assert(svl_str_ieq(SVL_STR("Content-Length"), SVL_STR("cONTENT-lENGTH")));
    cr_assert(svl_str_ieq(SVL_STR(""), SVL_STR("")));
    cr_assert(svl_str_ieq(SVL_STR_NONE, SVL_STR("")));
    cr_assert_not(svl_str_ieq(SVL_STR("a"), SVL_STR("ab")));
    cr_assert_not(svl_str_ieq(SVL_STR("a\0b"), SVL_STR("a\0c")));
}

Test(str, bytes_that_differ_in_the_case_bit_but_are_no_letters_are_not_ieq)
{
    static const svl_str pairs[][2] = {
        {BIN("@"), BIN("`")},  {BIN("["), BIN("{")},       {BIN("]"), BIN("}")},
        {BIN("^"), BIN("~")},  {BIN("_"), BIN("\x7f")},    {BIN("\r"), BIN("-")},
        {BIN("\0"), BIN(" ")}, {BIN("\xc4"), BIN("\xe4")},
    };

    for (size_t i = 0; i < COUNT(pairs); i++)
        cr_assert_not(svl_str_ieq(pairs[i][0], pairs[i][1]), "pair %zu", i);
}

Test(str, trim_takes_blanks_and_tabs_off_both_ends_and_nothing_else)
{
    static const svl_str cases[][2] = {
        {BIN("a"), BIN("a")},         {BIN(" \t a b\t "), BIN("a b")},  {BIN(" \t "), BIN("")},
        {BIN(""), BIN("")},           {BIN("\r\na\n"), BIN("\r\na\n")}, {BIN("\0 "), BIN("\0")},
        {BIN("\xa0x"), BIN("\xa0x")},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        svl_str s = exact(cases[i][0]);

        cr_assert(svl_str_eq(svl_str_trim(s), cases[i][1]), "case %zu", i);
        exact_free(s);
    }
    cr_assert_null(svl_str_trim(SVL_STR_NONE).p);
}

Test(str, split_gives_every_part_with_the_empty_ones)
{
    static const struct {
        svl_str text;
        const char *parts[5];
    } cases[] = {
        {BIN("a,b,c"), {"a", "b", "c"}}, {BIN("a"), {"a"}}, {BIN("a,"), {"a", ""}},
        {BIN(",a"), {"", "a"}},          {BIN(""), {""}},   {BIN(",,"), {"", "", ""}},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        svl_str whole = exact(cases[i].text), rest = whole, part;

        for (const char *const *want = cases[i].parts; *want; want++) {
            cr_assert(svl_str_split(&rest, ',', &part), "case %zu", i);
            cr_assert(svl_str_eq(part, svl_str_of(*want)), "case %zu", i);
        }
        cr_assert_not(svl_str_split(&rest, ',', &part), "case %zu", i);
        cr_assert_null(part.p);
        exact_free(whole);
    }
}

Test(str, split_of_no_text_ends_at_once)
{
    svl_str rest = SVL_STR_NONE, part;

    cr_assert_not(svl_str_split(&rest, ',', &part));
}

Test(str, u64_reads_digits_up_to_the_largest_number)
{
    static const struct {
        const char *text;
        unsigned long long value;
    } cases[] = {{"0", 0},
                 {"007", 7},
                 {"1844674407370955161", 1844674407370955161ULL},
                 {"18446744073709551609", 18446744073709551609ULL},
                 {"18446744073709551615", 18446744073709551615ULL},
                 {"00000000000000000000000000018446744073709551615", 18446744073709551615ULL}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned long long value = 42;

        cr_assert(svl_str_u64(svl_str_of(cases[i].text), &value), "%s", cases[i].text);
        cr_assert_eq(value, cases[i].value, "%s", cases[i].text);
    }
}

Test(str, u64_refuses_all_but_digits_and_leaves_the_value_alone)
{
    static const svl_str cases[] = {
        BIN(""),
        BIN(" 1"),
        BIN("1 "),
        BIN("+1"),
        BIN("-1"),
        BIN("0x10"),
        BIN("1.0"),
        BIN("1e3"),
        BIN("1\0"),
        BIN("\xb2"),
        BIN("18446744073709551616"),
        BIN("18446744073709551620"),
        BIN("99999999999999999999"),
        BIN("184467440737095516150"),
        BIN("1,000"),
        BIN("/"),
        BIN(":"),
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned long long value = 42;
        svl_str s = exact(cases[i]);

        cr_assert_not(svl_str_u64(s, &value), "case %zu", i);
        cr_assert_eq(value, 42, "case %zu", i);
        exact_free(s);
    }
    unsigned long long value;
    cr_assert_not(svl_str_u64(SVL_STR_NONE, &value));
}

Test(str, copy_cuts_and_always_terminates)
{
    char to[4] = "xxx";

    cr_assert_eq(svl_str_copy(to, sizeof to, SVL_STR("ab")), 2);
    cr_assert_str_eq(to, "ab");
    cr_assert_eq(svl_str_copy(to, sizeof to, SVL_STR("abcdef")), 6);
    cr_assert_str_eq(to, "abc");
    cr_assert_eq(svl_str_copy(to, 1, SVL_STR("ab")), 2);
    cr_assert_str_eq(to, "");
    cr_assert_eq(svl_str_copy(NULL, 0, SVL_STR("ab")), 2);
    to[0] = 'x';
    cr_assert_eq(svl_str_copy(to, sizeof to, SVL_STR_NONE), 0);
    cr_assert_str_eq(to, "");
}

Test(str, from_and_head_stop_at_the_end)
{
    svl_str s = SVL_STR("abc");

    cr_assert(svl_str_eq(svl_str_from(s, 1), SVL_STR("bc")));
    cr_assert_eq(svl_str_from(s, 9).n, 0);
    cr_assert(svl_str_eq(svl_str_head(s, 2), SVL_STR("ab")));
    cr_assert(svl_str_eq(svl_str_head(s, 9), s));
    cr_assert_eq(svl_str_find(s, 'c'), 2);
    cr_assert_eq(svl_str_find(s, 'x'), 3);
    cr_assert_eq(svl_str_find(SVL_STR_NONE, 'x'), 0);
}
