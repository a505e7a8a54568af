#include "serval/uri.h"

#include "serval/error.h"
#include "support/exact.h"

#include <criterion/criterion.h>

#define BIN(literal)                                                                               \
    {                                                                                              \
        "" literal "", sizeof(literal) - 1                                                         \
    }

static const svl_str clean_cases[][2] = {
    {BIN("/"), BIN("/")},
    {BIN("/a"), BIN("/a")},
    {BIN("/a/"), BIN("/a/")},
    {BIN("/a/b"), BIN("/a/b")},
    {BIN("//"), BIN("/")},
    {BIN("////a////b////"), BIN("/a/b/")},
    {BIN("/."), BIN("/")},
    {BIN("/./"), BIN("/")},
    {BIN("/.."), BIN("/")},
    {BIN("/../"), BIN("/")},
    {BIN("/../../../etc/passwd"), BIN("/etc/passwd")},
    {BIN("/a/.."), BIN("/")},
    {BIN("/a/../"), BIN("/")},
    {BIN("/a/./b/./c"), BIN("/a/b/c")},
    {BIN("/a/."), BIN("/a/")},
    {BIN("/a/b/.."), BIN("/a/")},
    {BIN("/a/b/../.."), BIN("/")},
    {BIN("/a/b/../../.."), BIN("/")},
    {BIN("/a/b/../../c"), BIN("/c")},
    {BIN("/a//../b"), BIN("/b")},
    {BIN("/a/b/c/./../../g"), BIN("/a/g")}, /* RFC 3986 5.2.4 */
    {BIN("/mid/content=5/../6"), BIN("/mid/6")},
    {BIN("/.hidden"), BIN("/.hidden")},
    {BIN("/..."), BIN("/...")},
    {BIN("/..a"), BIN("/..a")},
    {BIN("/a.."), BIN("/a..")},
    {BIN("/a."), BIN("/a.")},
    {BIN("/.a/..b/"), BIN("/.a/..b/")},
    {BIN("/.well-known/acme-challenge/token"), BIN("/.well-known/acme-challenge/token")},
    {BIN("/%41%62"), BIN("/Ab")},
    {BIN("/%2e%2E/a"), BIN("/a")},
    {BIN("/a/%2e%2e%2fb"), BIN("/b")},
    {BIN("/a%2f%2fb"), BIN("/a/b")},
    {BIN("/%2f"), BIN("/")},
    {BIN("/a/.%2e"), BIN("/")},
    {BIN("/a%2F.."), BIN("/")},
    {BIN("/%252e%252e/"), BIN("/%2e%2e/")}, /* decoded once */
    {BIN("/%25"), BIN("/%")},
    {BIN("/caf%C3%A9"), BIN("/caf\xc3\xa9")},
    {BIN("/\xff\x80"), BIN("/\xff\x80")},
    {BIN("/%FF"), BIN("/\xff")},
    {BIN("/a+b%20c"), BIN("/a+b c")},
    {BIN("/a!$&'()*,;=:@b"), BIN("/a!$&'()*,;=:@b")},
    {BIN("/a\\..\\b"), BIN("/a\\..\\b")},
};

Test(path, paths_are_cleaned)
{
    for (size_t i = 0; i < COUNT(clean_cases); i++) {
        svl_str path = exact(clean_cases[i][0]), want = clean_cases[i][1];
        svl_str to = exact(path);
        ptrdiff_t n = svl_path_clean((char *)to.p, path);

        cr_assert(n > 0 && svl_str_eq((svl_str){to.p, (size_t)n}, want), "%s", clean_cases[i][0].p);
        exact_free(path);
        exact_free(to);
    }
}

Test(path, paths_are_cleaned_in_place)
{
    for (size_t i = 0; i < COUNT(clean_cases); i++) {
        svl_str path = exact(clean_cases[i][0]);
        ptrdiff_t n = svl_path_clean((char *)path.p, path);

        cr_assert(n > 0 && svl_str_eq((svl_str){path.p, (size_t)n}, clean_cases[i][1]), "%s",
                  clean_cases[i][0].p);
        exact_free(path);
    }
}

Test(path, a_path_is_clean_exactly_if_cleaning_would_not_change_it)
{
    for (size_t i = 0; i < COUNT(clean_cases); i++) {
        svl_str path = exact(clean_cases[i][0]);

        cr_assert_eq(svl_path_is_clean(path), svl_str_eq(path, clean_cases[i][1]), "%s",
                     clean_cases[i][0].p);
        exact_free(path);
    }
}

Test(path, broken_paths_are_refused)
{
    static const svl_str cases[] = {
        BIN(""),      BIN("a"),      BIN("*"),       BIN("."),          BIN("%2fa"), BIN("a/b"),
        BIN("/%"),    BIN("/%4"),    BIN("/%zz"),    BIN("/%4g"),       BIN("/%g4"), BIN("/%%41"),
        BIN("/%00"),  BIN("/a%00b"), BIN("/a\0b"),   BIN("/\0"),        BIN("/% 1"), BIN("/%+1"),
        BIN("/%0x1"), BIN("/%-1"),   BIN("/a/../%"), BIN("/%\xc3\xa9"),
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        svl_str path = exact(cases[i]);

        cr_assert_not(svl_path_is_clean(path), "case %zu", i);
        cr_assert_eq(svl_path_clean((char *)path.p, path), SVL_ESYNTAX, "case %zu", i);
        exact_free(path);
    }
    cr_assert_not(svl_path_is_clean(SVL_STR_NONE));
}

/* The check works on words: a fault must be seen wherever in one it lies. */
Test(path, a_fault_is_seen_at_any_place_of_any_length)
{
    static const svl_str faults[] = {BIN("%41"), BIN("//"), BIN("/./"), BIN("/../"), BIN("\0")};
    static const svl_str tails[] = {BIN("/"), BIN("/."), BIN("/.."), BIN("/%41")};
    char text[64];

    for (size_t len = 1; len <= 40; len++) {
        memset(text, 'a', sizeof text);
        text[0] = '/';
        svl_str path = exact((svl_str){text, len});
        cr_assert(svl_path_is_clean(path), "%zu", len);
        exact_free(path);

        for (size_t f = 0; f < COUNT(faults); f++) {
            for (size_t at = 1; at + faults[f].n <= len; at++) {
                memset(text, 'a', sizeof text);
                text[0] = '/';
                memcpy(text + at, faults[f].p, faults[f].n);
                path = exact((svl_str){text, len});
                cr_assert_not(svl_path_is_clean(path), "fault %zu at %zu of %zu", f, at, len);
                exact_free(path);
            }
        }
        for (size_t t = 0; t < COUNT(tails); t++) {
            memset(text, 'a', sizeof text);
            text[0] = '/';
            memcpy(text + len, tails[t].p, tails[t].n);
            path = exact((svl_str){text, len + tails[t].n});
            bool want = (t == 0 && len > 1);
            cr_assert_eq(svl_path_is_clean(path), want, "tail %zu after %zu", t, len);
            exact_free(path);
        }
    }
}

Test(path, paths_are_escaped)
{
    static const svl_str cases[][2] = {
        {BIN(""), BIN("")},
        {BIN("/a-b_c.d~e/Z09"), BIN("/a-b_c.d~e/Z09")},
        {BIN("/a b"), BIN("/a%20b")},
        {BIN("%"), BIN("%25")},
        {BIN("?#[]@!$&'()*+,;="), BIN("%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D")},
        {BIN("\0\xff\x7f"), BIN("%00%FF%7F")},
        {BIN("caf\xc3\xa9"), BIN("caf%C3%A9")},
        {BIN("`{^:"), BIN("%60%7B%5E%3A")},
    };
    char to[256];

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t n = svl_path_escape(to, cases[i][0]);

        cr_assert(svl_str_eq((svl_str){to, n}, cases[i][1]), "%.*s", (int)n, to);
    }
}

Test(path, every_byte_survives_escaping_and_unescaping)
{
    for (int c = 0; c < 256; c++) {
        char byte = (char)c, to[3], back[3];
        size_t n = svl_path_escape(to, (svl_str){&byte, 1});

        cr_assert_eq(svl_unescape(back, (svl_str){to, n}, false), 1);
        cr_assert_eq(back[0], byte);
    }
}

Test(path, escapes_are_decoded_and_broken_ones_stay)
{
    static const struct {
        svl_str text, want;
        bool plus;
    } cases[] = {
        {BIN(""), BIN(""), true},           {BIN("a+b%20c"), BIN("a b c"), true},
        {BIN("a+b"), BIN("a+b"), false},    {BIN("%2B"), BIN("+"), true},
        {BIN("%"), BIN("%"), true},         {BIN("%4"), BIN("%4"), true},
        {BIN("%4g%41"), BIN("%4gA"), true}, {BIN("%%41"), BIN("%A"), true},
        {BIN("%00"), BIN("\0"), true},      {BIN("%fF%Ff"), BIN("\xff\xff"), true},
        {BIN("%+1"), BIN("% 1"), true},     {BIN("100%"), BIN("100%"), false},
        {BIN("%2541"), BIN("%41"), false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        svl_str s = exact(cases[i].text);
        size_t n = svl_unescape((char *)s.p, s, cases[i].plus);

        cr_assert(svl_str_eq((svl_str){s.p, n}, cases[i].want), "case %zu", i);
        exact_free(s);
    }
}

Test(path, html_is_escaped)
{
    static const svl_str cases[][2] = {
        {BIN(""), BIN("")},
        {BIN("plain \xc3\xa9 text"), BIN("plain \xc3\xa9 text")},
        {BIN("<a href=\"x\">'&amp;"), BIN("&lt;a href=&quot;x&quot;&gt;&#39;&amp;amp;")},
        {BIN("\"\"\"\""), BIN("&quot;&quot;&quot;&quot;")},
        {BIN("a\0<"), BIN("a\0&lt;")},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char *to = malloc(6 * cases[i][0].n + 1);
        size_t n = svl_html_escape(to, cases[i][0]);

        cr_assert(svl_str_eq((svl_str){to, n}, cases[i][1]), "%.*s", (int)n, to);
        free(to);
    }
}
