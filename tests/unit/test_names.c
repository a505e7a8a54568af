#include "serval/headers.h"
#include "serval/names.h"

#include "support/exact.h"

#include <criterion/criterion.h>
#include <ctype.h>

static enum svl_header_id id_of(svl_str name)
{
    svl_str s = exact(name);
    enum svl_header_id id = svl_header_id(s);

    exact_free(s);
    return id;
}

Test(names, every_header_is_found_in_any_case)
{
    for (int id = 1; id < SVL_H_COUNT; id++) {
        svl_str text = svl_header_text(id);
        char upper[64], lower[64], mixed[64];

        cr_assert_leq(text.n, 32, "%s is longer than the lookup takes", text.p);
        for (size_t i = 0; i < text.n; i++) {
            upper[i] = (char)toupper(text.p[i]);
            lower[i] = (char)tolower(text.p[i]);
            mixed[i] = i % 2 ? upper[i] : lower[i];
        }
        cr_assert_eq((int)id_of(text), id, "%s", text.p);
        cr_assert_eq((int)id_of((svl_str){upper, text.n}), id, "%s", text.p);
        cr_assert_eq((int)id_of((svl_str){lower, text.n}), id, "%s", text.p);
        cr_assert_eq((int)id_of((svl_str){mixed, text.n}), id, "%s", text.p);
    }
}

Test(names, a_header_name_changed_in_any_one_byte_is_another)
{
    for (int id = 1; id < SVL_H_COUNT; id++) {
        svl_str text = svl_header_text(id);
        svl_str s = exact(text);
        char *p = (char *)s.p;

        for (size_t i = 0; i < s.n; i++) {
            for (int c = 0; c < 256; c++) {
                if (tolower(c) == tolower(text.p[i]))
                    continue;
                p[i] = (char)c;
                int got = (int)svl_header_id(s);

                /* It may by chance be the name of another one. */
                cr_assert(got == SVL_H_OTHER || svl_str_ieq(svl_header_text(got), s),
                          "%.*s with byte %d at %zu", SVL_FMT(text), c, i);
                cr_assert_neq(got, id, "%.*s with byte %d at %zu", SVL_FMT(text), c, i);
            }
            p[i] = text.p[i];
        }
        exact_free(s);
    }
}

Test(names, a_header_name_cut_or_extended_is_another)
{
    for (int id = 1; id < SVL_H_COUNT; id++) {
        svl_str text = svl_header_text(id);
        char longer[64];

        memcpy(longer, text.p, text.n);
        longer[text.n] = 's';
        cr_assert_neq((int)id_of(svl_str_head(text, text.n - 1)), id);
        cr_assert_neq((int)id_of(svl_str_from(text, 1)), id);
        cr_assert_neq((int)id_of((svl_str){longer, text.n + 1}), id);
    }
}

/* The lookup compares the ends first: "Content-t-Length" has both of "Content-Length". */
Test(names, a_header_name_with_the_same_ends_is_another)
{
    for (int id = 1; id < SVL_H_COUNT; id++) {
        svl_str text = svl_header_text(id);

        for (size_t n = 8; n <= 40 && text.n >= 8; n++) {
            char other[40];

            memset(other, 'x', sizeof other);
            memcpy(other, text.p, 8);
            memcpy(other + n - 8, text.p + text.n - 8, 8);
            if (!svl_str_ieq((svl_str){other, n}, text))
                cr_assert_neq((int)id_of((svl_str){other, n}), id, "%.*s", (int)n, other);
        }
    }
}

Test(names, unknown_headers_have_no_id)
{
    static const char *const names[] = {
        "",
        "a",
        "x",
        "sec-ch-ua",
        "Sec-Fetch-Mode",
        "Hos",
        "Hosts",
        "Content_Length",
        "Content-Length ",
        "Access-Control-Allow-Credentials-",
        "x-a-name-that-is-much-longer-than-any-known-one-could-be",
        "Content\rLength",
        "\x08ost",
    };

    for (size_t i = 0; i < COUNT(names); i++)
        cr_assert_eq((int)id_of(svl_str_of(names[i])), SVL_H_OTHER, "%s", names[i]);
    cr_assert_eq((int)svl_header_id(SVL_STR_NONE), SVL_H_OTHER);
    cr_assert_null(svl_header_text(SVL_H_OTHER).p);
    cr_assert_null(svl_header_text(SVL_H_COUNT).p);
}

Test(names, headers_are_listed_shortest_first_and_once)
{
    for (int id = 2; id < SVL_H_COUNT; id++)
        cr_assert_geq(svl_header_text(id).n, svl_header_text(id - 1).n, "%s",
                      svl_header_text(id).p);
    for (int a = 1; a < SVL_H_COUNT; a++)
        for (int b = 1; b < a; b++)
            cr_assert_not(svl_str_ieq(svl_header_text(a), svl_header_text(b)), "%s",
                          svl_header_text(a).p);
}

Test(names, header_names_are_of_letters_digits_and_dashes)
{
    /* The comparison in names.c relies on it. */
    for (int id = 1; id < SVL_H_COUNT; id++) {
        svl_str text = svl_header_text(id);

        for (size_t i = 0; i < text.n; i++)
            cr_assert(isalnum((unsigned char)text.p[i]) || text.p[i] == '-', "%s", text.p);
    }
}

Test(names, methods_go_there_and_back)
{
    for (int m = 1; m < SVL_METHOD_COUNT; m++)
        cr_assert_eq((int)svl_method_of(svl_method_text(m)), m);
    cr_assert(svl_str_eq(svl_method_text(SVL_DELETE), SVL_STR("DELETE")));
    cr_assert_null(svl_method_text(SVL_METHOD_OTHER).p);
    cr_assert_null(svl_method_text(SVL_METHOD_COUNT).p);
}

Test(names, case_of_a_method_counts)
{
    static const svl_str others[] = {{"get", 3}, {"GET ", 4},  {"GE", 2},
                                     {"", 0},    {"GET\0", 4}, {NULL, 0}};

    for (size_t i = 0; i < COUNT(others); i++)
        cr_assert_eq((int)svl_method_of(others[i]), SVL_METHOD_OTHER, "case %zu", i);
}

Test(names, statuses_have_their_text)
{
    cr_assert(svl_str_eq(svl_status_text(200), SVL_STR("OK")));
    cr_assert(svl_str_eq(svl_status_text(404), SVL_STR("Not Found")));
    cr_assert(svl_str_eq(svl_status_text(511), SVL_STR("Network Authentication Required")));
    static const int unknown[] = {-1, 0, 99, 199, 306, 418, 499, 599, 1000};

    for (size_t i = 0; i < COUNT(unknown); i++)
        cr_assert(svl_str_eq(svl_status_text(unknown[i]), SVL_STR("Unknown Status")));
}
