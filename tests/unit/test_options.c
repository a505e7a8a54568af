/* Command lines and variables; help, manual page and completions made from the same rows. */
#include "cli/cli.h"

#include "serval/error.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* What take() was called with: "port=80 quiet others" */
static char seen[200];

static const char *take(const struct svl_option *o, const char *value)
{
    size_t n = strlen(seen);

    if (value && !strcmp(value, "bad"))
        return "not good";
    snprintf(seen + n, sizeof seen - n, "%s%s%s%s", n ? " " : "", o->letter != 'D' ? o->name : "",
             value && o->letter != 'D' ? "=" : "", value ? value : "");
    return NULL;
}

static const struct svl_option table[] = {
    {.group = "Some"},
    {.name = "port", .letter = 'p', .value = "N", .help = "a port", .take = take, .repeat = true},
    {.name = "log", .value = "FORMAT", .help = "a format", .take = take, .words = "on off"},
    {.group = "Others"},
    {.name = "quiet", .letter = 'q', .help = "say nothing", .common = true, .take = take},
    {.name = "tea", .value = "POT", .missing = "teapot"},
    {0},
};
static const struct svl_command command = {
    .summary = "does it",
    .options = table,
    .operand = {.name = "DIR", .letter = 'D', .take = take, .repeat = true},
};
static const struct svl_command *const commands[] = {&command, NULL};
static const struct svl_program program = {
    .name = "serval", .version = "1", .summary = "does it", .commands = commands};

static void expect(int err, const char *result, const char *const *argv)
{
    char why[256] = "";
    int got;

    seen[0] = '\0';
    got = svl_options_read(&program, &command, (char *const *)argv, NULL, why, sizeof why);
    cr_expect_eq(got, err);
    cr_expect_str_eq(err ? why : seen, result);
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
    cr_expect_eq(svl_options_read(&program, &command, argv, NULL, why, sizeof why), SVL_ESYNTAX);
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
    expect(SVL_ECONFIG, "--port bad: not good", ARGV("-p", "bad"));
    expect(SVL_ECONFIG, "bad: not good", ARGV("bad"));
}

Test(options, one_of_a_module_that_is_not_built_in_is_refused)
{
    expect(SVL_ESYNTAX, "--tea: this serval was built without the teapot module",
           ARGV("--tea", "green"));
    expect(SVL_ESYNTAX, "unknown option --te", ARGV("--te", "green")); /* not "did you mean" */
}

Test(options, arguments_are_counted)
{
    struct svl_command one = command;
    char why[64];
    char *two[] = {"program", "a", "b", NULL}, *none[] = {"program", NULL};

    one.operand.repeat = false;
    cr_expect_eq(svl_options_read(&program, &one, two, NULL, why, sizeof why), SVL_ECONFIG);
    cr_expect_str_eq(why, "b: one DIR is enough");
    one.operand_needed = true;
    cr_expect_eq(svl_options_read(&program, &one, none, NULL, why, sizeof why), SVL_ESYNTAX);
    cr_expect_str_eq(why, "give a DIR");
    one.operand.name = NULL;
    one.operand_needed = false;
    cr_expect_eq(svl_options_read(&program, &one, two, NULL, why, sizeof why), SVL_ECONFIG);
    cr_expect_str_eq(why, "a: takes no such argument");
}

/* Variables ------------------------------------------------------------------------------------- */

static void expect_env(int err, const char *result, const bool *given)
{
    char why[256] = "";

    seen[0] = '\0';
    cr_expect_eq(svl_environment_read(table, given, why, sizeof why), err);
    cr_expect_str_eq(err ? why : seen, result);
}

Test(options, variables_are_read_where_the_command_line_said_nothing)
{
    bool given[sizeof table / sizeof *table] = {0};

    setenv("SERVAL_PORT", "1\n2", 1);
    setenv("SERVAL_QUIET", "yes", 1);
    setenv("SERVAL_LOG", "", 1);
    expect_env(0, "port=1 port=2 quiet", NULL);
    given[1] = true;
    expect_env(0, "quiet", given);
    setenv("SERVAL_QUIET", "off", 1);
    expect_env(0, "", given);
    setenv("SERVAL_QUIET", "maybe", 1);
    expect_env(SVL_ECONFIG, "SERVAL_QUIET=maybe: give on or off", given);
    unsetenv("SERVAL_QUIET");
    setenv("SERVAL_LOG", "bad", 1);
    expect_env(SVL_ECONFIG, "SERVAL_LOG=bad: not good", given);
    unsetenv("SERVAL_LOG");
    setenv("SERVAL_TEA", "green", 1);
    expect_env(SVL_ECONFIG, "SERVAL_TEA=green: this serval was built without the teapot module",
               given);
}

/* Values ---------------------------------------------------------------------------------------- */

static const char *try(svl_take_fn *function, void *to, const char *value, uint64_t min,
                       uint64_t max, const char *words)
{
    struct svl_option o = {.name = "x", .value = "X", .to = to, .words = words};

    o.min = min;
    o.max = max;
    return function(&o, value);
}

Test(options, words_are_their_place)
{
    int place = 7;
    bool second = true;

    cr_expect_null(try(svl_take_word, &place, "json", 0, 0, "off on json"));
    cr_expect_eq(place, 2);
    cr_expect_str_eq(try(svl_take_word, &place, "o", 0, 0, "off on json"), "give off, on or json");
    cr_expect_str_eq(try(svl_take_word, &place, "", 0, 0, "off on"), "give off or on");
    cr_expect_null(try(svl_take_switch, &second, "deny", 0, 0, "deny serve"));
    cr_expect(!second);
    cr_expect_null(try(svl_take_switch, &second, "serve", 0, 0, "deny serve"));
    cr_expect(second);
    cr_expect_not_null(try(svl_take_switch, &second, "x", 0, 0, "deny serve"));
}

Test(options, numbers_times_and_sizes_have_bounds_and_units)
{
    unsigned n = 7;
    size_t size = 7;

    cr_expect_null(try(svl_take_number, &n, "256", 1, 256, NULL));
    cr_expect_eq(n, 256);
    cr_expect_null(try(svl_take_number, &n, "auto", 1, 256, "auto"));
    cr_expect_eq(n, 0);
    for (const char *const *bad =
             (const char *const[]){"", "0", "257", "1x", "-1", " 1", "18446744073709551616", NULL};
         *bad; bad++)
        cr_expect_str_eq(try(svl_take_number, &n, *bad, 1, 256, NULL),
                         "give a number from 1 to 256");

    cr_expect_null(try(svl_take_time, &n, "500ms", 0, 0, NULL));
    cr_expect_eq(n, 500);
    cr_expect_null(try(svl_take_time, &n, "10", 0, 0, NULL));
    cr_expect_eq(n, 10000);
    cr_expect_null(try(svl_take_time, &n, "2M", 0, 0, NULL));
    cr_expect_eq(n, 120000);
    for (const char *const *bad =
             (const char *const[]){"", "0", "s", "1d", "10 s", "1h2", "99999999h", "-1s", NULL};
         *bad; bad++)
        cr_expect_not_null(try(svl_take_time, &n, *bad, 0, 0, NULL), "%s", *bad);
    cr_expect_not_null(try(svl_take_time, &n, "10s", 1, 9999, NULL));

    cr_expect_null(try(svl_take_size, &size, "10m", 0, 0, NULL));
    cr_expect_eq(size, 10u << 20);
    cr_expect_null(try(svl_take_size, &size, "10", 0, 0, NULL));
    cr_expect_eq(size, 10);
    for (const char *const *bad = (const char *const[]){"", "0", "10x", "k", "99999999999g",
                                                        "18446744073709551616", NULL};
         *bad; bad++)
        cr_expect_not_null(try(svl_take_size, &size, *bad, 0, 0, NULL), "%s", *bad);
    cr_expect_not_null(try(svl_take_size, &size, "1k", 0, 1023, NULL));
    cr_expect_eq(size, 10);
}

Test(options, lists_grow_and_names_replace)
{
    const char *const *list = NULL, *const *names = NULL;
    char text[16];

    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "%d", i);
        cr_expect_null(try(svl_take_list, &list, svl_cli_copy(text), 0, 0, NULL));
    }
    for (int i = 0; i < 100; i++)
        cr_expect_eq(atoi(list[i]), i);
    cr_expect_null(list[100]);
    cr_expect_not_null(try(svl_take_list, &list, "", 0, 0, NULL));

    cr_expect_null(try(svl_take_names, &names, "a,b", 0, 0, NULL));
    cr_expect_null(try(svl_take_names, &names, ",c,,d", 0, 0, NULL));
    cr_expect_str_eq(names[0], "c");
    cr_expect_str_eq(names[1], "d");
    cr_expect_null(names[2]);
    cr_expect_not_null(try(svl_take_names, &names, ",", 0, 0, NULL));
    free((void *)list);
    free((void *)names);
}

/* What is made from the table ------------------------------------------------------------------- */

#define SHOWN(text, call)                                                                          \
    char text[20000] = "";                                                                         \
    {                                                                                              \
        FILE *file = fmemopen(text, sizeof text, "w");                                             \
                                                                                                   \
        call;                                                                                      \
        fclose(file);                                                                              \
    }

Test(options, the_short_help_has_common_ones)
{
    SHOWN(text, svl_help_show(&program, &command, false, 80, file));
    cr_expect_not_null(strstr(text, "\n  -q, --quiet             say nothing\n"), "%s", text);
    cr_expect_null(strstr(text, "--port"));
}

Test(options, the_long_help_has_all_but_those_that_are_not_built_in)
{
    SHOWN(text, svl_help_show(&program, &command, true, 70, file));
    cr_expect_not_null(strstr(text,
                              "\nSome:\n"
                              "  -p, --port N            a port; may be repeated [SERVAL_PORT]\n"
                              "      --log FORMAT        a format [SERVAL_LOG]\n"
                              "\nOthers:\n"
                              "  -q, --quiet             say nothing [SERVAL_QUIET]\n"),
                       "%s", text);
    cr_expect_null(strstr(text, "tea"));
}

Test(options, long_lines_of_the_help_are_wrapped)
{
    struct svl_option words[] = {
        {.name = "x", .help = "aaaa bbbb cccc dddd eeee ffff gggg hhhh iiii", .no_env = true}, {0}};
    struct svl_command wide = {.summary = "", .options = words};

    SHOWN(text, svl_help_show(&program, &wide, true, 60, file));
    cr_expect_not_null(strstr(text, "      --x                 aaaa bbbb cccc dddd eeee ffff gggg\n"
                                    "                          hhhh iiii\n"),
                       "%s", text);
}

Test(options, the_manual_page_holds_no_requests_of_others)
{
    struct svl_option odd[] = {
        {.name = "odd", .value = "'A: \"b\"", .help = ".SH injected \\ back", .no_env = true}, {0}};
    struct svl_command strange = {.summary = "s", .options = odd};
    const struct svl_command *const list[] = {&strange, NULL};
    struct svl_program p = program;

    p.commands = list;
    SHOWN(text, svl_man_show(&p, file));
    cr_expect_not_null(strstr(text, "\n\\&.SH injected \\e back.\n"), "%s", text);
    cr_expect_not_null(strstr(text, ".It Fl \"\\-odd\" Ar \"\\&'A: \\(dqb\\(dq\"\n"), "%s", text);
}

Test(options, completions_know_three_shells)
{
    SHOWN(fish, cr_expect(svl_completions_show(&program, "fish", file)));
    cr_expect_not_null(strstr(fish, "-l log -x -a 'on off' -d 'a format'\n"), "%s", fish);
    cr_expect_null(strstr(fish, "tea"));
    SHOWN(none, cr_expect(!svl_completions_show(&program, "csh", file)));
    cr_expect_str_eq(none, "");
}
