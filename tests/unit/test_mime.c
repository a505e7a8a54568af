#include "serval/mime.h"

#include "support/exact.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct {
    const char *ext, *type;
} table[] = {
#include "mime_table.h"
};

Test(mime, table_is_sorted_and_short_enough)
{
    for (size_t i = 0; i < COUNT(table); i++) {
        cr_assert_lt(strlen(table[i].ext), 32, "%s", table[i].ext);
        cr_assert(i == 0 || strcmp(table[i - 1].ext, table[i].ext) < 0, "%s", table[i].ext);
    }
}

Test(mime, every_extension_of_the_table_is_found)
{
    for (size_t i = 0; i < COUNT(table); i++) {
        char name[64];

        /* A dot within: only what follows it counts as the extension. */
        if (strchr(table[i].ext, '.'))
            continue;
        snprintf(name, sizeof name, "file.%s", table[i].ext);
        cr_assert(svl_str_eq(svl_mime(svl_str_of(name)), svl_str_of(table[i].type)), "%s", name);
    }
}

Test(mime, text_has_a_charset_and_nothing_else_has)
{
    for (size_t i = 0; i < COUNT(table); i++)
        cr_assert_eq(strstr(table[i].type, "; charset=utf-8") != NULL,
                     strncmp(table[i].type, "text/", 5) == 0, "%s", table[i].ext);
}

Test(mime, the_web_has_its_types)
{
    static const char *const cases[][2] = {
        {"index.html", "text/html; charset=utf-8"},
        {"INDEX.HTML", "text/html; charset=utf-8"},
        {"/a/b.c/app.js", "text/javascript; charset=utf-8"},
        {"a.css", "text/css; charset=utf-8"},
        {"a.json", "application/json"},
        {"a.svg", "image/svg+xml"},
        {"a.png", "image/png"},
        {"a.jpeg", "image/jpeg"},
        {"a.wasm", "application/wasm"},
        {"a.woff2", "font/woff2"},
        {"a.tar.gz", "application/gzip"},
        {"a..png", "image/png"},
        {"x/..a.png", "image/png"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        svl_str name = exact(svl_str_of(cases[i][0])), got = svl_mime(name);

        cr_assert(svl_str_eq(got, svl_str_of(cases[i][1])), "%s: %.*s", cases[i][0], SVL_FMT(got));
        exact_free(name);
    }
}

Test(mime, other_names_have_no_type)
{
    static const svl_str names[] = {
        {"", 0},         {NULL, 0},
        {".", 1},        {"..", 2},
        {"/", 1},        {"html", 4},
        {".html", 5},    {"/a/.html", 8},
        {"a.html/", 7},  {"a.html/b", 8},
        {"a.", 2},       {"a.htm\0l", 7},
        {"a.html\0", 7}, {"a.no-such-x", 11},
        {"a.\xff", 3},   {"a.an-extension-longer-than-any-known-one-is", 43},
    };

    for (size_t i = 0; i < COUNT(names); i++) {
        svl_str name = exact(names[i]);

        cr_assert_null(svl_mime(name).p, "case %zu", i);
        exact_free(name);
    }
}
