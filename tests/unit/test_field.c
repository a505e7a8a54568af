#include "serval/field.h"

#include "support/exact.h"
#include "support/pairs.h"

#include <criterion/criterion.h>
#include <stdio.h>

static bool is(svl_str s, const char *want)
{
    return want ? s.p && svl_str_eq(s, svl_str_of(want)) : !s.p;
}

static const char *parameters(const char *field)
{
    return pairs_of(field, svl_field_next);
}

Test(field, parameters_are_read_in_order)
{
    cr_assert_str_eq(parameters("text/plain"), "");
    cr_assert_str_eq(parameters("text/plain;charset=utf-8;q=0.39"), "charset=utf-8|q=0.39");
    cr_assert_str_eq(parameters("text/plain ; a=b ;\tc=\"d e\" ; "), "a=b|c=d e");
    cr_assert_str_eq(parameters("x; foo=\"bar\";"), "foo=bar");
    cr_assert_str_eq(parameters("x; foo=\"b\\\"a;r\\\\\"; a=\"\""), "foo=b\\\"a;r\\\\|a=");
    cr_assert_str_eq(parameters("x;;foo=bar"), "foo=bar");
}

Test(field, what_is_not_a_parameter_ends_the_list)
{
    cr_assert_str_eq(parameters("text/plain foo=bar"), "");
    cr_assert_str_eq(parameters("x; foo"), "!");
    cr_assert_str_eq(parameters("x; foo="), "!");
    cr_assert_str_eq(parameters("x; =bar"), "!");
    cr_assert_str_eq(parameters("x; foo = bar"), "!");
    cr_assert_str_eq(parameters("x; foo=\"bar"), "!");
    cr_assert_str_eq(parameters("x; foo=\"bar\\\""), "!");
    cr_assert_str_eq(parameters("x; a=b; foo=\"bar\\"), "a=b!");
    cr_assert_str_eq(parameters("x; a=b c; d=e"), "!");
    cr_assert_str_eq(parameters("x; a=b; c=\"d\"e"), "a=b!");
}

/* Names and values are read several bytes at a time: all lengths, the odd byte at each place. */
Test(field, parameters_of_every_length_are_read)
{
    char name[48], value[48], field[128], want[128];

    for (int n = 1; n < 40; n++) {
        memset(name, 'n', sizeof name);
        memset(value, '.', sizeof value);
        name[n] = value[n] = '\0';
        for (int at = 0; at < n; at++) {
            snprintf(want, sizeof want, "%s=%s|b=c", name, value);
            snprintf(field, sizeof field, "x; %s=%s;b=c", name, value);
            cr_assert_str_eq(parameters(field), want);
            memcpy(value + at, "\\\"",
                   at + 1 < n ? 2 : 1); /* at the end: what follows is escaped */
            snprintf(field, sizeof field, "x; %s=\"%s\";b=c", name, value);
            snprintf(want, sizeof want, "%s=%s|b=c", name, value);
            cr_assert_str_eq(parameters(field), at + 1 < n ? want : "!", "%s", field);
            memset(value, '.', (size_t)n);
            name[at] = '@';
            snprintf(field, sizeof field, "x; %s=%s;b=c", name, value);
            cr_assert_str_eq(parameters(field), "!");
            name[at] = 'n';
        }
    }
}

Test(field, values_and_parameters_are_found_by_name)
{
    svl_str field = SVL_STR(" text/html ; Charset=utf-8; charset=x");

    cr_assert(is(svl_field_value(field), "text/html"));
    cr_assert(is(svl_field_parameter(field, SVL_STR("charset")), "utf-8"));
    cr_assert(is(svl_field_parameter(field, SVL_STR("q")), NULL));
    cr_assert(is(svl_field_parameter(SVL_STR_NONE, SVL_STR("q")), NULL));
}

Test(field, quoting_is_undone_by_unquoting)
{
    char quoted[64], plain[64];
    svl_str s = SVL_STR("a\"b\\c\td\x01"), q = {quoted, 0};

    q.n = svl_quote(quoted, s);
    cr_assert(is(q, "\"a\\\"b\\\\c\td \""));
    cr_assert(
        is((svl_str){plain, svl_unquote(plain, (svl_str){quoted + 1, q.n - 2})}, "a\"b\\c\td "));
    cr_assert(is((svl_str){plain, svl_unquote(plain, SVL_STR("a\\"))}, "a\\"));
}

Test(field, boundaries_are_those_of_multipart_forms)
{
    char longest[128];

    cr_assert(is(svl_field_boundary(SVL_STR("multipart/form-data; boundary=abc")), "abc"));
    cr_assert(
        is(svl_field_boundary(SVL_STR("Multipart/Form-Data;   foo=bar;   boundary=--aaabb  ")),
           "--aaabb"));
    cr_assert(is(svl_field_boundary(SVL_STR("multipart/form-data; boundary=\"a b?\"")), "a b?"));
    cr_assert(is(svl_field_boundary(SVL_STR("multipart/form-data")), NULL));
    cr_assert(is(svl_field_boundary(SVL_STR("multipart/form-data; boundary=")), NULL));
    cr_assert(is(svl_field_boundary(SVL_STR("multipart/form-data; boundary=\"\"")), NULL));
    cr_assert(is(svl_field_boundary(SVL_STR("multipart/form-data; boundary=\"a \"")), NULL));
    cr_assert(is(svl_field_boundary(SVL_STR("multipart/form-data; boundary=\"a\\b\"")), NULL));
    cr_assert(is(svl_field_boundary(SVL_STR("text/plain; boundary=abc")), NULL));
    for (int n = 69; n <= 71; n++) {
        snprintf(longest, sizeof longest, "multipart/form-data; boundary=%0*d", n, 0);
        cr_assert_eq(svl_field_boundary(svl_str_of(longest)).n, n <= 70 ? (size_t)n : 0);
    }
}

static const char *preferences(const char *field)
{
    static char text[256];
    svl_str copy = exact(svl_str_of(field)), rest = copy;
    struct svl_preference p;
    size_t n = 0;

    text[0] = '\0';
    while (svl_preference_next(&rest, &p))
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s %d", n ? "|" : "",
                              SVL_FMT(p.value), p.weight);
    exact_free(copy);
    return text;
}

Test(field, weights_are_read)
{
    cr_assert_str_eq(preferences("gzip, br;q=0.5 ,\tidentity ; q=0"),
                     "gzip 1000|br 500|identity 0");
    cr_assert_str_eq(preferences("a;q=1.000,b;q=0.001,c;Q=0.25"), "a 1000|b 1|c 250");
    cr_assert_str_eq(preferences("text/html;level=1;q=0.4;ext=x"), "text/html;level=1 400");
    cr_assert_str_eq(preferences("text/html;level=1"), "text/html;level=1 1000");
    cr_assert_str_eq(preferences(",, ,a,"), "a 1000");
    cr_assert_str_eq(preferences("a;x=\"b,c;q=0\";q=0.1"), "a;x=\"b,c;q=0\" 100");
}

Test(field, elements_with_a_bad_weight_are_left_out)
{
    cr_assert_str_eq(preferences("a;q=2,b;q=,c;q=0.1234,d;q=.5,e;q=1.001,f;q=-1,g;q=x,h"),
                     "h 1000");
    cr_assert_str_eq(preferences("a;q,b;;q=0.5,;q=1"), "b 500");
    cr_assert_str_eq(preferences("a b;x"), "");
}

static int weight(enum svl_header_id id, const char *field, const char *offer)
{
    return svl_preference_of(svl_str_of(field), id, svl_str_of(offer));
}

/* The example of RFC 9110 12.5.1. */
Test(field, the_most_specific_media_range_counts)
{
    const char *field = "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, "
                        "text/plain;format=fixed;q=0.4, */*;q=0.5";

    cr_assert_eq(weight(SVL_H_ACCEPT, field, "text/plain;format=flowed"), 1000);
    cr_assert_eq(weight(SVL_H_ACCEPT, field, "text/plain"), 700);
    cr_assert_eq(weight(SVL_H_ACCEPT, field, "text/html"), 300);
    cr_assert_eq(weight(SVL_H_ACCEPT, field, "image/jpeg"), 500);
    cr_assert_eq(weight(SVL_H_ACCEPT, field, "text/plain;format=fixed"), 400);
    cr_assert_eq(weight(SVL_H_ACCEPT, field, "text/plain; charset=utf-8"), 700);
    cr_assert_eq(weight(SVL_H_ACCEPT, "text/html", "image/png"), 0);
    cr_assert_eq(weight(SVL_H_ACCEPT, NULL, "image/png"), 1000);
}

Test(field, identity_is_acceptable_unless_excluded)
{
    cr_assert_eq(weight(SVL_H_ACCEPT_ENCODING, NULL, "gzip"), 1000);
    cr_assert_eq(weight(SVL_H_ACCEPT_ENCODING, "", "gzip"), 0);
    cr_assert_eq(weight(SVL_H_ACCEPT_ENCODING, "", "identity"), 1);
    cr_assert_eq(weight(SVL_H_ACCEPT_ENCODING, "gzip", "identity"), 1);
    cr_assert_eq(weight(SVL_H_ACCEPT_ENCODING, "identity;q=0", "identity"), 0);
    cr_assert_eq(weight(SVL_H_ACCEPT_ENCODING, "*;q=0", "identity"), 0);
    cr_assert_eq(weight(SVL_H_ACCEPT_ENCODING, "gzip, *;q=0", "gzip"), 1000);
    cr_assert_eq(weight(SVL_H_ACCEPT_ENCODING, "*", "br"), 1000);
    cr_assert_eq(weight(SVL_H_ACCEPT_ENCODING, "gzip;q=0, *", "gzip"), 0);
    cr_assert_eq(weight(SVL_H_ACCEPT_ENCODING, "x-gzip", "gzip"), 1000);
    cr_assert_eq(weight(SVL_H_ACCEPT_ENCODING, "GZIP", "gzip"), 1000);
    cr_assert_eq(weight(SVL_H_ACCEPT_ENCODING, "gzi", "gzip"), 0);
}

Test(field, a_language_range_is_a_prefix)
{
    const char *field = "da, en-gb;q=0.8, en;q=0.7, *;q=0.1";

    cr_assert_eq(weight(SVL_H_ACCEPT_LANGUAGE, field, "da"), 1000);
    cr_assert_eq(weight(SVL_H_ACCEPT_LANGUAGE, field, "en-GB"), 800);
    cr_assert_eq(weight(SVL_H_ACCEPT_LANGUAGE, field, "en-GB-oed"), 800);
    cr_assert_eq(weight(SVL_H_ACCEPT_LANGUAGE, field, "en-US"), 700);
    cr_assert_eq(weight(SVL_H_ACCEPT_LANGUAGE, field, "eng"), 100);
    cr_assert_eq(weight(SVL_H_ACCEPT_LANGUAGE, "de-CH", "de"), 0);
}

static int negotiate(enum svl_header_id id, svl_str a, svl_str b)
{
    static const svl_str offers[] = {{"br", 2}, {"gzip", 4}, {"identity", 8}};
    struct svl_header at[2] = {
        {.value = a.p, .value_len = (uint32_t)a.n, .id = (uint16_t)id},
        {.value = b.p, .value_len = (uint32_t)b.n, .id = (uint16_t)id},
    };
    struct svl_headers headers = {.at = at, .n = a.p ? b.p ? 2 : 1 : 0};

    headers.first[id] = a.p != NULL;
    return svl_negotiate(&headers, id, offers, 3);
}

Test(field, the_best_offer_wins_and_of_equals_the_first)
{
    enum svl_header_id id = SVL_H_ACCEPT_ENCODING;

    cr_assert_eq(negotiate(id, SVL_STR_NONE, SVL_STR_NONE), 0);
    cr_assert_eq(negotiate(id, SVL_STR("gzip, br"), SVL_STR_NONE), 0);
    cr_assert_eq(negotiate(id, SVL_STR("gzip, br;q=0.9"), SVL_STR_NONE), 1);
    cr_assert_eq(negotiate(id, SVL_STR("gzip;q=0.1"), SVL_STR_NONE), 1);
    cr_assert_eq(negotiate(id, SVL_STR("gzip;q=0"), SVL_STR("br;q=0")), 2);
    cr_assert_eq(negotiate(id, SVL_STR("gzip"), SVL_STR("br")), 0);
    cr_assert_eq(negotiate(id, SVL_STR("deflate"), SVL_STR_NONE), 2);
    cr_assert_eq(negotiate(id, SVL_STR("*;q=0"), SVL_STR_NONE), -1);
    cr_assert_eq(negotiate(id, SVL_STR("gzip;q=0.5, identity"), SVL_STR_NONE), 2);
}
