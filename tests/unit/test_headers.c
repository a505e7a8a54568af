#include "serval/headers.h"

#include "support/exact.h"

#include <criterion/criterion.h>

static struct svl_header fields[16];
static struct svl_headers headers;

static void add(const char *name, const char *value)
{
    enum svl_header_id id = svl_header_id(svl_str_of(name));

    fields[headers.n] = (struct svl_header){name, value, (uint32_t)strlen(value),
                                            (uint16_t)strlen(name), (uint16_t)id};
    headers.at = fields;
    headers.room = COUNT(fields);
    if (!headers.first[id])
        headers.first[id] = (uint8_t)(headers.n + 1);
    headers.n++;
}

static bool has(enum svl_header_id id, const char *token)
{
    return svl_headers_has_token(&headers, id, svl_str_of(token));
}

static bool is(svl_str got, const char *want)
{
    return svl_str_eq(got, svl_str_of(want)) && (got.p != NULL) == (want != NULL);
}

Test(headers, nothing_is_found_in_an_empty_list)
{
    unsigned at = 0;

    cr_assert(is(svl_headers_get(&headers, SVL_H_HOST), NULL));
    cr_assert(is(svl_headers_find(&headers, SVL_STR("Host")), NULL));
    cr_assert(is(svl_headers_find(&headers, SVL_STR("X-Own")), NULL));
    cr_assert_null(svl_headers_next(&headers, SVL_H_HOST, &at));
    cr_assert_not(has(SVL_H_CONNECTION, "close"));
}

Test(headers, fields_are_found_by_any_name_in_any_case)
{
    add("Host", "a");
    add("X-Own", "1");
    add("x-own", "2");
    add("X-Empty", "");
    cr_assert(is(svl_headers_find(&headers, SVL_STR("hOST")), "a"));
    cr_assert(is(svl_headers_find(&headers, SVL_STR("x-OWN")), "1"));
    cr_assert(is(svl_headers_find(&headers, SVL_STR("x-empty")), ""));
    cr_assert(is(svl_headers_find(&headers, SVL_STR("x-ow")), NULL));
    cr_assert(is(svl_headers_find(&headers, SVL_STR("")), NULL));
}

Test(headers, next_walks_the_fields_of_an_id_in_order)
{
    add("Accept", "a");
    add("Cookie", "x=1");
    add("accept", "b");
    add("ACCEPT", "c");
    unsigned at = 0;

    cr_assert(is(svl_header_value(svl_headers_next(&headers, SVL_H_ACCEPT, &at)), "a"));
    cr_assert(is(svl_header_value(svl_headers_next(&headers, SVL_H_ACCEPT, &at)), "b"));
    cr_assert(is(svl_header_value(svl_headers_next(&headers, SVL_H_ACCEPT, &at)), "c"));
    cr_assert_null(svl_headers_next(&headers, SVL_H_ACCEPT, &at));
    cr_assert_null(svl_headers_next(&headers, SVL_H_ACCEPT, &at));
}

Test(headers, tokens_are_found_in_all_lists_of_an_id)
{
    add("Connection", "keep-alive ,\t Upgrade,, ,");
    add("Upgrade", "other");
    add("connection", "");
    add("Connection", ",CLOSE");
    cr_assert(has(SVL_H_CONNECTION, "upgrade"));
    cr_assert(has(SVL_H_CONNECTION, "Keep-Alive"));
    cr_assert(has(SVL_H_CONNECTION, "close"));
    cr_assert_not(has(SVL_H_CONNECTION, "other"));
    cr_assert_not(has(SVL_H_CONNECTION, "clos"));
    cr_assert_not(has(SVL_H_CONNECTION, "closed"));
    cr_assert_not(has(SVL_H_CONNECTION, ""));
    cr_assert_not(has(SVL_H_CONNECTION, "keep-alive ,\t Upgrade"));
    cr_assert(has(SVL_H_UPGRADE, "other"));
}

Test(headers, tokens_within_quotes_are_not_named)
{
    add("Cache-Control", "private=\"x, no-store, \\\", no-cache\", max-age=0");
    add("Cache-Control", "ext=\"never, closed");
    cr_assert_not(has(SVL_H_CACHE_CONTROL, "no-store"));
    cr_assert_not(has(SVL_H_CACHE_CONTROL, "no-cache"));
    cr_assert_not(has(SVL_H_CACHE_CONTROL, "closed"));
    cr_assert(has(SVL_H_CACHE_CONTROL, "max-age=0"));
}

Test(headers, a_backslash_outside_quotes_is_an_ordinary_byte)
{
    add("Connection", "x\\,close");
    add("Connection", "y\\\"q\", upgrade");
    cr_assert(has(SVL_H_CONNECTION, "close"));
    cr_assert(has(SVL_H_CONNECTION, "upgrade"));
}

Test(headers, a_list_is_read_to_its_end_and_no_further)
{
    static const char *const lists[] = {"",        ",",  "\"",     "\\",    "\"\\",
                                        "a,\"b\\", "  ", ",close", "close,"};

    for (size_t i = 0; i < COUNT(lists); i++) {
        svl_str value = exact(svl_str_of(lists[i]));

        memset(&headers, 0, sizeof headers);
        add("Connection", "");
        fields[0].value = value.p;
        fields[0].value_len = (uint32_t)value.n;
        cr_assert_eq(has(SVL_H_CONNECTION, "close"), i >= 7, "%s", lists[i]);
        exact_free(value);
    }
}
