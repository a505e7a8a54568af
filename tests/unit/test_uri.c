#include "serval/uri.h"

#include "serval/error.h"
#include "support/exact.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static bool is(svl_str s, const char *want)
{
    return want ? s.p && svl_str_eq(s, svl_str_of(want)) : !s.p;
}

struct parts {
    const char *text, *scheme, *userinfo, *host, *port, *path, *query, *fragment;
};

Test(uri, every_part_is_found)
{
    static const struct parts cases[] = {
        {"", NULL, NULL, NULL, NULL, "", NULL, NULL},
        {"/", NULL, NULL, NULL, NULL, "/", NULL, NULL},
        {"a/b:c", NULL, NULL, NULL, NULL, "a/b:c", NULL, NULL},
        {"?", NULL, NULL, NULL, NULL, "", "", NULL},
        {"#", NULL, NULL, NULL, NULL, "", NULL, ""},
        {"#?", NULL, NULL, NULL, NULL, "", NULL, "?"},
        {"http://a", "http", NULL, "a", NULL, "", NULL, NULL},
        {"http://a?b/c", "http", NULL, "a", NULL, "", "b/c", NULL},
        {"http://a#b?c", "http", NULL, "a", NULL, "", NULL, "b?c"},
        {"HtTp://u:p@h.example:80/p/q?r=s?t#f", "HtTp", "u:p", "h.example", "80", "/p/q", "r=s?t",
         "f"},
        {"//h:/x", NULL, NULL, "h", "", "/x", NULL, NULL},
        {"http://@h/", "http", "", "h", NULL, "/", NULL, NULL},
        {"file:///etc/passwd", "file", NULL, "", NULL, "/etc/passwd", NULL, NULL},
        {"ldap://[2001:db8::7]/c=GB?objectClass?one", "ldap", NULL, "[2001:db8::7]", NULL, "/c=GB",
         "objectClass?one", NULL},
        {"mailto:John.Doe@example.com", "mailto", NULL, NULL, NULL, "John.Doe@example.com", NULL,
         NULL},
        {"tel:+1-816-555-1212", "tel", NULL, NULL, NULL, "+1-816-555-1212", NULL, NULL},
        {"urn:oasis:names", "urn", NULL, NULL, NULL, "oasis:names", NULL, NULL},
        {"http://h%41/", "http", NULL, "h%41", NULL, "/", NULL, NULL},
        {"/caf\xc3\xa9", NULL, NULL, NULL, NULL, "/caf\xc3\xa9", NULL, NULL},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct parts *want = &cases[i];
        svl_str text = exact(svl_str_of(want->text));
        struct svl_uri uri;
        char again[128];

        cr_assert_eq(svl_uri_parse(&uri, text), 0, "%s", want->text);
        cr_assert(is(uri.scheme, want->scheme) && is(uri.userinfo, want->userinfo) &&
                      is(uri.host, want->host) && is(uri.port, want->port) &&
                      is(uri.path, want->path) && is(uri.query, want->query) &&
                      is(uri.fragment, want->fragment),
                  "%s", want->text);
        cr_assert_eq(svl_uri_length(&uri), text.n);
        cr_assert(svl_str_eq((svl_str){again, svl_uri_print(again, &uri)}, text));
        exact_free(text);
    }
}

Test(uri, what_is_not_one_is_refused)
{
    static const char *const bad[] = {"http://a b/",
                                      "/a b",
                                      "/a\tb",
                                      "/a\r\nb",
                                      "/\x7f",
                                      "/<a>",
                                      "/\"a\"",
                                      "1:b",
                                      ":b",
                                      "://x/",
                                      "https>://x/",
                                      "http://a:b/",
                                      "http://a:65536/",
                                      "http://a:000080/",
                                      "http://:80/",
                                      "http://u@/",
                                      "http://u@:80/",
                                      "http://a@b@c/",
                                      "http://u[p@h/",
                                      "http://[::1",
                                      "http://[::1]x/",
                                      "http://[1.2.3.4]/",
                                      "http://[0:0::vulndetector.com]:80",
                                      "http://[vulndetector.com]/",
                                      "http://[]/",
                                      "http://[::ffff:192.0.2.300]/",
                                      "http://192.168.1.1:1111:2222/",
                                      "http://127.0.0.1[192.168.0.1]/",
                                      "http://[normal.com@]x/",
                                      "http://normal.com[user@x].com/",
                                      "http://a\\b/",
                                      "http://caf\xc3\xa9/",
                                      "http://[fe80::1%25]/",
                                      "http://[fe80::1%en0]/"};
    struct svl_uri uri;

    for (size_t i = 0; i < COUNT(bad); i++) {
        svl_str text = exact(svl_str_of(bad[i]));

        cr_assert_eq(svl_uri_parse(&uri, text), SVL_ESYNTAX, "%s", bad[i]);
        exact_free(text);
    }
    cr_assert_eq(svl_uri_parse(&uri, (svl_str){"/a\0b", 4}), SVL_ESYNTAX);
}

static bool resolves(const char *base, const char *reference, const char *want)
{
    svl_str text = exact(svl_str_of(reference));
    struct svl_uri b, r, to;
    char *room, out[256];
    bool good;

    cr_assert_eq(svl_uri_parse(&b, svl_str_of(base)), 0);
    cr_assert_eq(svl_uri_parse(&r, text), 0, "%s", reference);
    room = malloc(b.path.n + r.path.n + 1);
    svl_uri_resolve(&to, &b, &r, room);
    good = svl_str_eq((svl_str){out, svl_uri_print(out, &to)}, svl_str_of(want));
    free(room);
    exact_free(text);
    return good;
}

/* All examples of RFC 3986 5.4.1 and 5.4.2. */
static const char *const examples[][2] = {
    {"g:h", "g:h"},
    {"g", "http://a/b/c/g"},
    {"./g", "http://a/b/c/g"},
    {"g/", "http://a/b/c/g/"},
    {"/g", "http://a/g"},
    {"//g", "http://g"},
    {"?y", "http://a/b/c/d;p?y"},
    {"g?y", "http://a/b/c/g?y"},
    {"#s", "http://a/b/c/d;p?q#s"},
    {"g#s", "http://a/b/c/g#s"},
    {"g?y#s", "http://a/b/c/g?y#s"},
    {";x", "http://a/b/c/;x"},
    {"g;x", "http://a/b/c/g;x"},
    {"g;x?y#s", "http://a/b/c/g;x?y#s"},
    {"", "http://a/b/c/d;p?q"},
    {".", "http://a/b/c/"},
    {"./", "http://a/b/c/"},
    {"..", "http://a/b/"},
    {"../", "http://a/b/"},
    {"../g", "http://a/b/g"},
    {"../..", "http://a/"},
    {"../../", "http://a/"},
    {"../../g", "http://a/g"},
    {"../../../g", "http://a/g"},
    {"../../../../g", "http://a/g"},
    {"/./g", "http://a/g"},
    {"/../g", "http://a/g"},
    {"g.", "http://a/b/c/g."},
    {".g", "http://a/b/c/.g"},
    {"g..", "http://a/b/c/g.."},
    {"..g", "http://a/b/c/..g"},
    {"./../g", "http://a/b/g"},
    {"./g/.", "http://a/b/c/g/"},
    {"g/./h", "http://a/b/c/g/h"},
    {"g/../h", "http://a/b/c/h"},
    {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
    {"g;x=1/../y", "http://a/b/c/y"},
    {"g?y/./x", "http://a/b/c/g?y/./x"},
    {"g?y/../x", "http://a/b/c/g?y/../x"},
    {"g#s/./x", "http://a/b/c/g#s/./x"},
    {"g#s/../x", "http://a/b/c/g#s/../x"},
    {"http:g", "http:g"},
};

Test(uri, references_resolve_as_in_rfc_3986_5_4)
{
    for (size_t i = 0; i < COUNT(examples); i++)
        cr_assert(resolves("http://a/b/c/d;p?q", examples[i][0], examples[i][1]), "%s",
                  examples[i][0]);
}

Test(uri, references_resolve_where_the_base_has_no_path_or_authority)
{
    cr_assert(resolves("http://a", "b", "http://a/b"));
    cr_assert(resolves("http://a?x", "", "http://a?x"));
    cr_assert(resolves("http://u@a:1/", "/b", "http://u@a:1/b"));
    cr_assert(resolves("http://u@a:1/", "//c/d", "http://c/d"));
    cr_assert(resolves("mailto:x", "y", "mailto:y"));
    cr_assert(resolves("x:/a", "..//b", "x:/b")); /* not //b: that would be a host */
}

Test(uri, dot_segments_go_as_in_rfc_3986_5_2_4)
{
    static const char *const cases[][2] = {{"/a/b/c/./../../g", "/a/g"},
                                           {"mid/content=5/../6", "mid/6"},
                                           {"", ""},
                                           {".", ""},
                                           {"..", ""},
                                           {"./", ""},
                                           {"../a", "a"},
                                           {"./../.././a", "a"},
                                           {"/.", "/"},
                                           {"/..", "/"},
                                           {"/a//..", "/a/"},
                                           {"/a/..", "/"},
                                           {"a/..", "/"},
                                           {"a/./b", "a/b"},
                                           {"/...", "/..."},
                                           {"/a/.../b", "/a/.../b"},
                                           {"//", "//"},
                                           {"/%2e%2e/a", "/%2e%2e/a"}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        svl_str path = exact(svl_str_of(cases[i][0]));
        size_t n = svl_path_remove_dots((char *)path.p, path);

        cr_assert(svl_str_eq((svl_str){path.p, n}, svl_str_of(cases[i][1])), "%s: %.*s",
                  cases[i][0], (int)n, path.p);
        exact_free(path);
    }
}

static bool normal(const char *text, const char *want)
{
    struct svl_uri uri;
    char room[256], out[256];

    cr_assert_eq(svl_uri_parse(&uri, svl_str_of(text)), 0, "%s", text);
    svl_uri_normalize(&uri, room);
    return svl_str_eq((svl_str){out, svl_uri_print(out, &uri)}, svl_str_of(want));
}

Test(uri, equal_ones_become_the_same_text)
{
    cr_assert(normal("HTTP://www.EXAMPLE.com/", "http://www.example.com/"));
    cr_assert(normal("http://example.com", "http://example.com/"));
    cr_assert(normal("http://example.com:/", "http://example.com/"));
    cr_assert(normal("http://example.com:80/", "http://example.com/"));
    cr_assert(normal("https://example.com:443?x", "https://example.com/?x"));
    cr_assert(normal("https://example.com:80/", "https://example.com:80/"));
    cr_assert(normal("eXAMPLE://a/./b/../b/%63/%7bfoo%7d", "example://a/b/c/%7Bfoo%7D"));
    cr_assert(normal("http://a/%2E%2e/%2e/b", "http://a/b"));
    cr_assert(normal("http://h%4A%c3%zz/", "http://hj%C3%zz/"));
    cr_assert(normal("http://a/%zz%", "http://a/%zz%"));
    cr_assert(normal("http://%7E@a/?%7e#%7e", "http://~@a/?~#~"));
    cr_assert(normal("../a", "../a"));
    cr_assert(normal("x:/.//a", "x:/a"));
}

Test(uri, ports_and_credentials_are_read)
{
    struct svl_uri uri;

    svl_uri_parse(&uri, SVL_STR("https://user:p:w@h"));
    cr_assert(is(svl_uri_user(&uri), "user") && is(svl_uri_password(&uri), "p:w"));
    cr_assert_eq(svl_uri_port(&uri), 443);
    svl_uri_parse(&uri, SVL_STR("http://user@h:8080"));
    cr_assert(is(svl_uri_user(&uri), "user") && is(svl_uri_password(&uri), NULL));
    cr_assert_eq(svl_uri_port(&uri), 8080);
    svl_uri_parse(&uri, SVL_STR("ftp://h:"));
    cr_assert(is(svl_uri_user(&uri), NULL) && svl_uri_port(&uri) == 0);
}

Test(uri, a_target_is_path_and_query)
{
    static const char *const cases[][2] = {{"http://h", "/"},
                                           {"http://h?q", "/?q"},
                                           {"http://h/p#f", "/p"},
                                           {"http://h/p?", "/p?"},
                                           {"/a?b=c#d", "/a?b=c"}};
    struct svl_uri uri;
    char to[32];

    for (size_t i = 0; i < COUNT(cases); i++) {
        svl_uri_parse(&uri, svl_str_of(cases[i][0]));
        cr_assert(svl_str_eq((svl_str){to, svl_uri_target(to, &uri)}, svl_str_of(cases[i][1])));
    }
}

Test(uri, the_last_segment_is_behind_the_last_slash)
{
    cr_assert(is(svl_path_last(SVL_STR("/foo/bar/")), ""));
    cr_assert(is(svl_path_last(SVL_STR("/foo/bar/baz.html")), "baz.html"));
    cr_assert(is(svl_path_last(SVL_STR("baz")), "baz"));
    cr_assert(is(svl_path_last(SVL_STR("")), ""));
}

Test(uri, query_escapes_are_undone)
{
    char all[256], escaped[768], again[768];
    size_t n;

    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    n = svl_query_escape(escaped, (svl_str){all, 256});
    cr_assert(memchr(escaped, '+', n) && !memchr(escaped, ' ', n) && !memchr(escaped, '&', n));
    cr_assert_eq(svl_unescape(again, (svl_str){escaped, n}, true), 256);
    cr_assert_arr_eq(again, all, 256);
}

static int hex_value(char c)
{
    const char *digits = "00112233445566778899aAbBcCdDeEfF", *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) / 2 : -1;
}

static size_t unescape_bytewise(char *to, svl_str s, bool plus)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        bool whole = s.p[i] == '%' && s.n - i >= 3;

        if (whole && hex_value(s.p[i + 1]) >= 0 && hex_value(s.p[i + 2]) >= 0) {
            to[n++] = (char)(hex_value(s.p[i + 1]) << 4 | hex_value(s.p[i + 2]));
            i += 2;
        } else {
            to[n++] = s.p[i] == '+' && plus ? ' ' : s.p[i];
        }
    }
    return n;
}

/* Runs of escapes with a piece of something else in them now and then, in other memory and in place. */
Test(uri, runs_of_escapes_are_undone_as_single_ones_are)
{
    static const char *const pieces[] = {"%%",  "%g0", "%0", "+", "&=", "plain text of some length",
                                         "\xb0"};
    char text[256], want[256], got[256];
    unsigned random = 1;

    for (int round = 0; round < 20000; round++) {
        size_t n = 0, len;

        while (n < 180 && (random = random * 1103515245 + 12345) >> 16 & 31) {
            const char *piece = pieces[(random >> 21) % (sizeof pieces / sizeof *pieces)];

            if ((random >> 24) % 8 == 0)
                n += (size_t)snprintf(text + n, 32, "%s", piece);
            else
                n += (size_t)snprintf(text + n, 4, random & 1 << 20 ? "%%%02x" : "%%%02X",
                                      random >> 24);
        }
        for (int plus = 0; plus < 2; plus++) {
            svl_str s = exact((svl_str){text, n});

            len = unescape_bytewise(want, s, plus);
            cr_assert_eq(svl_unescape(got, s, plus), len, "%.*s", (int)n, text);
            cr_assert(len == 0 || memcmp(got, want, len) == 0, "%.*s", (int)n, text);
            cr_assert_eq(svl_unescape((char *)s.p, s, plus), len);
            cr_assert(len == 0 || memcmp(s.p, want, len) == 0, "%.*s", (int)n, text);
            exact_free(s);
        }
    }
}

/* Blocks, single bytes and escapes meet at every offset. */
Test(uri, unescaping_does_not_depend_on_where_escapes_lie)
{
    for (size_t at = 0; at < 40; at++) {
        for (size_t len = at + 3; len < 64; len++) {
            char text[64], want[64], got[64];
            svl_str s;
            size_t n;

            memset(text, 'x', sizeof text);
            memset(want, 'x', sizeof want);
            text[0] = '+';
            want[0] = ' ';
            memcpy(text + at, "%2b", 3);
            want[at] = '+';
            s = exact((svl_str){text, len});
            n = svl_unescape(got, s, true);
            cr_assert_eq(n, len - 2);
            cr_assert_arr_eq(got, want, n);
            n = svl_unescape((char *)s.p, s, true);
            cr_assert(n == len - 2 && memcmp(s.p, want, n) == 0);
            exact_free(s);
        }
    }
}
