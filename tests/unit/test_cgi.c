/* Heads of CGI programs' answers. */
#include "http/cgi.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void expect_length(const char *text, size_t length)
{
    svl_str s = svl_str_of(text);

    cr_expect_eq(svl_cgi_head_length(s, 0), length, "%s", text);
    for (size_t n = 1; n < s.n; n++) { /* however it arrives */
        size_t first = svl_cgi_head_length(svl_str_head(s, n), 0);

        cr_expect_eq(first ? first : svl_cgi_head_length(s, n), length, "%s at %zu", text, n);
    }
}

Test(cgi, a_head_ends_with_its_first_empty_line)
{
    expect_length("A: b\n\nbody", 6);
    expect_length("A: b\r\n\r\nbody", 8);
    expect_length("A: b\r\n\nbody", 7);
    expect_length("A: b\n\r\nbody", 7);
    expect_length("A: b\nC: d\n\n\n\n", 11);
    expect_length("\nA: b\n\n", 1);
    expect_length("\r\nA: b\n\n", 2);
    expect_length("A: b\nC: d\n", 0);
    expect_length("A: b\r\r\n", 0);
    expect_length("", 0);
}

static int fields(const char *text, char *to)
{
    svl_str head = svl_str_of(text), name, value;
    int more;

    *to = 0;
    while ((more = svl_cgi_field(&head, &name, &value)) > 0)
        to += sprintf(to, "[%.*s|%.*s]", SVL_FMT(name), SVL_FMT(value));
    return more;
}

Test(cgi, fields_are_names_and_values)
{
    char got[256];

    cr_expect_eq(fields("A:b\nC-D:  e f \r\nG:\n\nH: i\n", got), 0);
    cr_expect_str_eq(got, "[A|b][C-D|e f][G|]");
    cr_expect_lt(fields("A: b\nno colon\n\n", got), 0);
    cr_expect_lt(fields("A: b\n folded: x\n\n", got), 0);
    cr_expect_lt(fields("A b: c\n\n", got), 0);
    cr_expect_lt(fields(": c\n\n", got), 0);
}

Test(cgi, a_status_is_final)
{
    svl_str reason;
    int status;

    cr_expect_eq(svl_cgi_status(SVL_STR("404 Not Here"), &status, &reason), 0);
    cr_expect_eq(status, 404);
    cr_expect(svl_str_eq(reason, SVL_STR("Not Here")));
    cr_expect_eq(svl_cgi_status(SVL_STR("200"), &status, &reason), 0);
    cr_expect_eq(reason.n, 0);
    for (const char *const *wrong = (const char *const[]){"", "20", "100 Continue", "600", "2000",
                                                          "abc", "200OK", "-20", NULL};
         *wrong; wrong++)
        cr_expect_lt(svl_cgi_status(svl_str_of(*wrong), &status, &reason), 0, "%s", *wrong);
}
