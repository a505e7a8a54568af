#include "serval/options.h"

#include "serval/error.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { LOG = 256 };

static const struct svl_option table[] = {
    {'p', "port", "N", "a port"},
    {LOG, "log", "FORMAT", "a format"},
    {'q', "quiet", NULL, "say nothing"},
    {0},
};

/* What take() was called with: "p=80 q others" */
struct seen {
    char text[200];
};

static const char *take(void *to, int id, const char *value)
{
    struct seen *seen = to;
    size_t n = strlen(seen->text);

    if (value && !strcmp(value, "bad"))
        return "not good";
    snprintf(seen->text + n, sizeof seen->text - n, "%s%s%s", n ? " " : "",
             id == 'p'   ? "port="
             : id == LOG ? "log="
             : id == 'q' ? "quiet"
                         : "",
             value ? value : "");
    return NULL;
}

static void expect(int err, const char *result, const char *const *argv)
{
    struct seen seen = {0};
    char why[256] = "";
    int got = svl_options_read(table, (char *const *)argv, take, &seen, why, sizeof why);

    cr_expect_eq(got, err);
    cr_expect_str_eq(err ? why : seen.text, result);
}

#define ARGV(...) ((const char *const[]){"program", __VA_ARGS__, NULL})

Test(options, values_stand_behind_a_blank_or_an_equals_sign_or_nothing)
{
    expect(0, "port=80 port=81 port=82 port=83 log=x",
           ARGV("--port", "80", "--port=81", "-p", "82", "-p83", "--log=x"));
}

Test(options, an_empty_value_is_a_value)
{
    expect(0, "port= log=", ARGV("--port=", "--log", ""));
}

Test(options, a_value_may_look_like_an_option)
{
    expect(0, "port=--quiet", ARGV("--port", "--quiet"));
}

Test(options, arguments_that_are_no_options_may_stand_anywhere)
{
    expect(0, "a quiet b -", ARGV("a", "-q", "b", "-"));
}

Test(options, nothing_is_an_option_behind_two_dashes)
{
    expect(0, "quiet --quiet -- -p", ARGV("-q", "--", "--quiet", "--", "-p"));
}

Test(options, no_arguments_at_all_are_fine)
{
    static const char *const nothing[] = {NULL}, *const name[] = {"program", NULL};

    expect(0, "", nothing);
    expect(0, "", name);
}

Test(options, an_unknown_name_gets_the_nearest_known_one)
{
    expect(SVL_ESYNTAX, "unknown option --prot; did you mean --port?", ARGV("--prot"));
    expect(SVL_ESYNTAX, "unknown option --quite; did you mean --quiet?", ARGV("--quite"));
    expect(SVL_ESYNTAX, "unknown option --por; did you mean --port?", ARGV("--por=3"));
}

Test(options, an_unknown_name_like_no_other_gets_none)
{
    expect(SVL_ESYNTAX, "unknown option --verbosity", ARGV("--verbosity"));
    expect(SVL_ESYNTAX, "unknown option --", ARGV("--=3"));
    expect(SVL_ESYNTAX, "unknown option -x", ARGV("-x"));
}

Test(options, a_name_of_any_length_is_only_unknown)
{
    char *name = malloc(100000), why[64];
    char *argv[] = {"program", name, NULL};

    memset(name, '-', 99999);
    name[99999] = '\0';
    cr_expect_eq(svl_options_read(table, argv, take, NULL, why, sizeof why), SVL_ESYNTAX);
    free(name);
}

Test(options, a_value_that_is_missing_or_too_much_is_said)
{
    expect(SVL_ESYNTAX, "--port needs a value: --port N", ARGV("-p"));
    expect(SVL_ESYNTAX, "--log needs a value: --log FORMAT", ARGV("--log"));
    expect(SVL_ESYNTAX, "--quiet takes no value, but was given '1'", ARGV("--quiet=1"));
    expect(SVL_ESYNTAX, "--quiet takes no value, but was given 'x'", ARGV("-qx"));
}

Test(options, what_is_wrong_is_said_with_name_and_value)
{
    expect(SVL_ESYNTAX, "--port bad: not good", ARGV("-p", "bad"));
    expect(SVL_ESYNTAX, "bad: not good", ARGV("bad"));
}

Test(options, the_help_has_one_line_for_each)
{
    char text[400] = "";
    FILE *file = fmemopen(text, sizeof text, "w");

    svl_options_help(table, file);
    fclose(file);
    cr_expect_str_eq(text, "  -p, --port N           a port\n"
                           "      --log FORMAT       a format\n"
                           "  -q, --quiet            say nothing\n");
}
