#include "serval/cookie.h"

#include "serval/error.h"
#include "support/exact.h"
#include "support/pairs.h"

#include <criterion/criterion.h>
#include <stdio.h>

static bool is(svl_str s, const char *want)
{
    return want ? s.p && svl_str_eq(s, svl_str_of(want)) : !s.p;
}

static const char *cookies(const char *field)
{
    return pairs_of(field, svl_cookie_next);
}

Test(cookie, those_of_a_request_are_walked_in_order)
{
    cr_assert_str_eq(cookies(""), "");
    cr_assert_str_eq(cookies("a=b"), "a=b");
    cr_assert_str_eq(cookies("xxx=aa;bb=c; =d; ;;e=g"), "xxx=aa|bb=c|=d|e=g");
    cr_assert_str_eq(cookies("a;b; d=1;d=2"), "=a|=b|d=1|d=2");
    cr_assert_str_eq(cookies("a=\"b\"; c=\"\"; d= x y ;e=1=2"), "a=b|c=|d=x y|e=1=2");
    cr_assert_str_eq(cookies("a=%41"), "a=%41");
}

Test(cookie, torn_quotes_are_skipped_and_the_rest_is_kept)
{
    cr_assert_str_eq(cookies("session=\"abc; admin=true"), "admin=true");
    cr_assert_str_eq(cookies("a=b\"; c=d"), "c=d");
    cr_assert_str_eq(cookies("a=\"b\\\"; c=d"), "c=d");
}

static const char *printed(struct svl_set_cookie cookie)
{
    static char text[SVL_COOKIE_MAX + 1];
    ptrdiff_t n = svl_cookie_print(text, &cookie);

    if (n < 0)
        return n == SVL_EHEADER ? "EHEADER" : n == SVL_ELIMIT ? "ELIMIT" : "?";
    text[n] = '\0';
    return text;
}

#define COOKIE(...) ((struct svl_set_cookie){__VA_ARGS__})

Test(cookie, every_attribute_is_written)
{
    cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a"), .value = SVL_STR("b"))), "a=b");
    cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a"))), "a=");
    cr_assert_str_eq(
        printed(COOKIE(.name = SVL_STR("a"), .value = SVL_STR("b"), .path = SVL_STR("/x y"),
                       .domain = SVL_STR("example.com"), .expires = 1257894000, .max_age = 60,
                       .secure = true, .http_only = true, .partitioned = true,
                       .same_site = SVL_SAME_SITE_STRICT)),
        "a=b; Expires=Tue, 10 Nov 2009 23:00:00 GMT; Max-Age=60; Domain=example.com; Path=/x y; "
        "Secure; HttpOnly; SameSite=Strict; Partitioned");
    cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a"), .max_age = SVL_COOKIE_EXPIRED,
                                    .same_site = SVL_SAME_SITE_LAX)),
                     "a=; Max-Age=0; SameSite=Lax");
    cr_assert_str_eq(
        printed(COOKIE(.name = SVL_STR("a"), .secure = true, .same_site = SVL_SAME_SITE_NONE)),
        "a=; Secure; SameSite=None");
}

Test(cookie, nothing_can_be_smuggled_in)
{
    static const svl_str bad[] = {{"a;b", 3}, {"a\r\nb", 4}, {"a\0b", 3}, {"a\x7f", 2}};

    for (size_t i = 0; i < COUNT(bad); i++) {
        cr_assert_str_eq(printed(COOKIE(.name = bad[i])), "EHEADER");
        cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a"), .value = bad[i])), "EHEADER");
        cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a"), .domain = bad[i])), "EHEADER");
    }
    cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a"), .path = SVL_STR("/a;b"))), "EHEADER");
    cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a"), .path = SVL_STR("/\r\n"))), "EHEADER");
    cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a"), .path = SVL_STR("/\xff"))), "EHEADER");
    cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a"), .path = SVL_STR("a"))), "EHEADER");
    cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a"), .domain = SVL_STR(".b"))), "EHEADER");
    cr_assert_str_eq(printed(COOKIE(.name = SVL_STR(""))), "EHEADER");
    cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a b"))), "EHEADER");
    cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a"), .value = SVL_STR("b c"))), "EHEADER");
    cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a"), .value = SVL_STR("b,c"))), "EHEADER");
    cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a"), .value = SVL_STR("\"b"))), "EHEADER");
}

Test(cookie, prefixes_and_flags_are_checked_before_they_are_sent)
{
    svl_str host = SVL_STR("__Host-a"), secure = SVL_STR("__secure-a");

    cr_assert_str_eq(printed(COOKIE(.name = secure)), "EHEADER");
    cr_assert_str_eq(printed(COOKIE(.name = secure, .secure = true)), "__secure-a=; Secure");
    cr_assert_str_eq(printed(COOKIE(.name = host, .secure = true)), "EHEADER");
    cr_assert_str_eq(printed(COOKIE(.name = host, .path = SVL_STR("/"))), "EHEADER");
    cr_assert_str_eq(printed(COOKIE(.name = host, .secure = true, .path = SVL_STR("/x"))),
                     "EHEADER");
    cr_assert_str_eq(printed(COOKIE(.name = host, .secure = true, .path = SVL_STR("/"),
                                    .domain = SVL_STR("a.b"))),
                     "EHEADER");
    cr_assert_str_eq(printed(COOKIE(.name = host, .secure = true, .path = SVL_STR("/"))),
                     "__Host-a=; Path=/; Secure");
    cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a"), .partitioned = true)), "EHEADER");
    cr_assert_str_eq(printed(COOKIE(.name = SVL_STR("a"), .same_site = SVL_SAME_SITE_NONE)),
                     "EHEADER");
}

Test(cookie, its_length_has_a_limit)
{
    static char value[SVL_COOKIE_MAX];
    size_t most = SVL_COOKIE_MAX - 192 - 1;
    struct svl_set_cookie cookie = {.name = SVL_STR("a"), .value = {value, 0}};

    memset(value, 'x', sizeof value);
    for (size_t n = most - 1; n <= most + 1; n++) {
        cookie.value.n = n;
        cr_assert_eq(strcmp(printed(cookie), "ELIMIT") == 0, n > most);
    }
}

Test(cookie, what_servers_set_is_read)
{
    struct svl_set_cookie c;
    svl_str field = exact(SVL_STR(" xxx = yyy  ; path=/a/b;;;domain=.foobar.com ; "
                                  "expires= Tue, 10 Nov 2009 23:00:00 GMT ; ;; MAX-AGE=60;secure;"
                                  "HTTPOnly;samesite=STRICT; Partitioned; foo=bar"));

    cr_assert_eq(svl_cookie_parse(&c, field), 0);
    cr_assert(is(c.name, "xxx") && is(c.value, "yyy") && is(c.path, "/a/b") &&
              is(c.domain, "foobar.com") && c.expires == 1257894000 && c.max_age == 60 &&
              c.secure && c.http_only && c.partitioned && c.same_site == SVL_SAME_SITE_STRICT);
    exact_free(field);
}

Test(cookie, broken_attributes_of_servers_are_ignored)
{
    struct svl_set_cookie c;

    cr_assert_eq(svl_cookie_parse(&c, SVL_STR("a=\"b\"; Path=x; Domain=; Expires=never; Max-Age=1x;"
                                              " SameSite=; Secure=no; Max-Age=; Max-Age=-")),
                 0);
    cr_assert(is(c.value, "b") && is(c.path, NULL) && is(c.domain, NULL) && c.expires == 0 &&
              c.max_age == 0 && c.same_site == SVL_SAME_SITE_UNSET && c.secure);
    cr_assert_eq(svl_cookie_parse(&c, SVL_STR("a; Max-Age=-99999999999999999999; Path=/x; Path")),
                 0);
    cr_assert(is(c.name, "") && is(c.value, "a") && c.max_age == SVL_COOKIE_EXPIRED &&
              is(c.path, NULL));
    svl_cookie_parse(&c, SVL_STR("a=b; max-age=99999999999999999999"));
    cr_assert_eq(c.max_age, INT64_MAX);
    svl_cookie_parse(&c, SVL_STR("a=b; max-age=0"));
    cr_assert_eq(c.max_age, SVL_COOKIE_EXPIRED);
}

Test(cookie, what_no_server_may_set_is_refused)
{
    struct svl_set_cookie c;

    cr_assert_eq(svl_cookie_parse(&c, SVL_STR("")), SVL_ESYNTAX);
    cr_assert_eq(svl_cookie_parse(&c, SVL_STR(" = ; Path=/")), SVL_ESYNTAX);
    cr_assert_eq(svl_cookie_parse(&c, SVL_STR("a=b\n")), SVL_ESYNTAX);
    cr_assert_eq(svl_cookie_parse(&c, SVL_STR("session=\"abc; Domain=evil.com")), SVL_ESYNTAX);
    cr_assert_eq(svl_cookie_parse(&c, SVL_STR("session=abc\"; Domain=evil.com")), SVL_ESYNTAX);
    cr_assert_eq(svl_cookie_parse(&c, SVL_STR("__Host-a=b; Secure; Path=/; Domain=x")),
                 SVL_EHEADER);
    cr_assert_eq(svl_cookie_parse(&c, SVL_STR("__Secure-a=b")), SVL_EHEADER);
    cr_assert_eq(svl_cookie_parse(&c, SVL_STR("__Host-a=b; Secure; Path=/")), 0);
}

Test(cookie, what_is_written_is_read_back)
{
    struct svl_set_cookie c = {.name = SVL_STR("a"),
                               .value = SVL_STR("1=2"),
                               .path = SVL_STR("/p"),
                               .domain = SVL_STR("x.y"),
                               .expires = 784111777,
                               .max_age = 5,
                               .secure = true,
                               .same_site = SVL_SAME_SITE_NONE},
                          again;

    cr_assert_eq(svl_cookie_parse(&again, svl_str_of(printed(c))), 0);
    cr_assert_str_eq(printed(again), "a=1=2; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=5; "
                                     "Domain=x.y; Path=/p; Secure; SameSite=None");
}

/* Fields are looked through several bytes at a time: all lengths, the odd byte at each place. */
Test(cookie, a_control_byte_is_found_wherever_it_stands)
{
    for (size_t n = 3; n < 70; n++)
        for (size_t at = 0; at < n; at++) {
            struct svl_set_cookie c;
            char text[80];
            svl_str s;

            memset(text, 'v', sizeof text);
            memcpy(text, "n=", 2);
            if (at >= 2)
                text[at] = '\xfe';
            s = exact((svl_str){text, n});
            cr_assert_eq(svl_cookie_parse(&c, s), 0);
            cr_assert_eq(c.value.n, n - 2);
            ((char *)s.p)[at] = '\x1f';
            cr_assert(svl_cookie_parse(&c, s) < 0, "%zu of %zu", at, n);
            ((char *)s.p)[at] = '\x7f';
            cr_assert(svl_cookie_parse(&c, s) < 0, "%zu of %zu", at, n);
            ((char *)s.p)[at] = '\t';
            cr_assert_eq(svl_cookie_parse(&c, s), 0);
            exact_free(s);
        }
}
