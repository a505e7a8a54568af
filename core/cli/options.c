/* Command lines and variables. Not getopt_long(), which prints its own messages, knows no nearest
 * match and keeps the table apart from the help. */
#include "cli/cli.h"

#include "serval/error.h"
#include "serval/str.h"
#include "serval/text.h"

#include <stdlib.h>

#define MAX_NAMES 200 /* options of a command */

const struct svl_option svl_common_options[] = {
    {.group = "Help"},
    {.name = "help",
     .letter = 'h',
     .help = "-h shows the options people use, --help all of them",
     .common = true,
     .no_env = true},
    {.name = "version", .help = "show the version", .common = true, .no_env = true},
    {0},
};

const struct svl_option *svl_option_next(const struct svl_option *table, const struct svl_option *o)
{
    if (!table)
        return NULL;
    o = o ? o + 1 : table;
    return o->name || o->group ? o : NULL;
}

static const struct svl_option *by_name(const struct svl_option *table, svl_str name)
{
    for (const struct svl_option *o = NULL; (o = svl_option_next(table, o));)
        if (o->name && svl_str_eq(svl_str_of(o->name), name))
            return o;
    return NULL;
}

static const struct svl_option *by_letter(const struct svl_option *table, char letter)
{
    for (const struct svl_option *o = NULL; (o = svl_option_next(table, o));)
        if (o->letter && o->letter == letter)
            return o;
    return NULL;
}

static void say_unknown(const struct svl_option *table, svl_str name, char *why, size_t size)
{
    const char *names[MAX_NAMES + 4], *like;
    size_t n = 0;

    for (const struct svl_option *o = NULL; (o = svl_option_next(table, o)) && n < MAX_NAMES;)
        if (o->name && !o->missing)
            names[n++] = o->name;
    for (const struct svl_option *o = NULL; (o = svl_option_next(svl_common_options, o));)
        if (o->name)
            names[n++] = o->name;
    names[n] = NULL;
    like = svl_nearest(names, name);
    if (like)
        snprintf(why, size, "unknown option --%.*s; did you mean --%s?", SVL_FMT(name), like);
    else
        snprintf(why, size, "unknown option --%.*s", SVL_FMT(name));
}

/* Finds the option that `arg` is ("--name", "--name=value", "-n", "-nvalue") and a value in it. */
static const struct svl_option *find(const struct svl_option *table, const char *arg,
                                     const char **value, char *why, size_t size)
{
    const struct svl_option *o;

    *value = NULL;
    if (arg[1] == '-') {
        svl_str all = svl_str_of(arg + 2), name = svl_str_head(all, svl_str_find(all, '='));

        o = by_name(table, name);
        if (!o)
            o = by_name(svl_common_options, name);
        if (!o)
            say_unknown(table, name, why, size);
        if (name.n < all.n)
            *value = name.p + name.n + 1;
    } else {
        o = by_letter(table, arg[1]);
        if (!o)
            o = by_letter(svl_common_options, arg[1]);
        if (!o)
            snprintf(why, size, "unknown option %s", arg);
        if (arg[2])
            *value = arg + 2;
    }
    if (o && !o->value && *value) {
        snprintf(why, size, "--%s takes no value, but was given '%s'", o->name, *value);
        return NULL;
    }
    if (o && o->missing) {
        snprintf(why, size, "--%s: this serval was built without the %s module", o->name,
                 o->missing);
        return NULL;
    }
    return o;
}

/* One argument on its way through. */
struct reading {
    const struct svl_program *program;
    const struct svl_command *command;
    char *const *argv; /* the next one */
    bool *given;       /* may be NULL */
    bool had_operand, only_operands;
    char *why;
    size_t size;
};

static _Noreturn void show_common(const struct reading *r, const struct svl_option *o, bool all)
{
    if (o == &svl_common_options[1])
        svl_help_show(r->program, r->command, all, 0, stdout);
    else
        printf("%s %s\n", r->program->name, r->program->version);
    exit(0);
}

static int take_operand(struct reading *r, const char *value)
{
    const struct svl_option *operand = &r->command->operand;
    const char *wrong;

    if (!operand->name)
        wrong = "takes no such argument";
    else if (r->had_operand && !operand->repeat)
        wrong = svl_cli_say("one %s is enough", operand->name);
    else
        wrong = operand->take(operand, value);
    r->had_operand = true;
    if (!wrong)
        return 0;
    snprintf(r->why, r->size, "%s: %s", value, wrong);
    return SVL_ECONFIG;
}

/* Reads one argument, or two if the value is the next one. */
static int read_one(struct reading *r)
{
    const char *arg = *r->argv++, *value, *wrong;
    const struct svl_option *o;

    if (r->only_operands || arg[0] != '-' || !arg[1])
        return take_operand(r, arg);
    if (!strcmp(arg, "--")) {
        r->only_operands = true;
        return 0;
    }
    o = find(r->command->options, arg, &value, r->why, r->size);
    if (!o)
        return SVL_ESYNTAX;
    if (!o->take)
        show_common(r, o, arg[1] == '-');
    if (o->value && !value) {
        if (!*r->argv) {
            snprintf(r->why, r->size, "--%s needs a value: --%s %s", o->name, o->name, o->value);
            return SVL_ESYNTAX;
        }
        value = *r->argv++;
    }
    if (r->given)
        r->given[o - r->command->options] = true;
    wrong = o->take(o, value);
    if (!wrong) {
        svl_config_note(o, value, "command line");
        return 0;
    }
    snprintf(r->why, r->size, "--%s%s%s: %s", o->name, value ? " " : "",
             value && !*value ? "''"
             : value          ? value
                              : "",
             wrong);
    return SVL_ECONFIG;
}

int svl_options_read(const struct svl_program *program, const struct svl_command *command,
                     char *const *argv, bool *given, char *why, size_t size)
{
    struct reading r = {.program = program,
                        .command = command,
                        .argv = *argv ? argv + 1 : argv,
                        .given = given,
                        .why = why,
                        .size = size};

    while (*r.argv) {
        int err = read_one(&r);

        if (err)
            return err;
    }
    if (command->operand_needed && !r.had_operand) {
        snprintf(why, size, "give a %s", command->operand.name);
        return SVL_ESYNTAX;
    }
    return 0;
}

/* The environment ------------------------------------------------------------------------------ */

void svl_option_variable(char *to, const struct svl_option *option)
{
    snprintf(to, 64, "SERVAL_%s", option->name);
    for (char *c = to + 7; *c; c++)
        *c = *c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
}

/* Whether the command line has said something about the same thing, as --port does about --listen. */
static bool was_given(const struct svl_option *table, const bool *given, const struct svl_option *o)
{
    for (const struct svl_option *other = NULL; given && (other = svl_option_next(table, other));)
        if (given[other - table] && (other == o || (other->to && other->to == o->to)))
            return true;
    return false;
}

static const char *take_variable(const struct svl_option *o, const char *value)
{
    const char *wrong;
    char name[64];
    bool on = true;

    if (o->missing)
        return svl_cli_say("this serval was built without the %s module", o->missing);
    if (!o->value && !svl_bool_parse(svl_str_of(value), &on))
        return "give on or off";
    if (!o->value)
        value = on ? NULL : "off";
    wrong = on ? o->take(o, value) : NULL;
    if (wrong)
        return wrong;
    svl_option_variable(name, o);
    svl_config_note(o, value, svl_cli_copy(name));
    return NULL;
}

/* An option that may be repeated has one value on each line. */
static const char *take_lines(const struct svl_option *o, const char *value)
{
    char *rest = svl_cli_copy(value), *line;
    const char *wrong = NULL;

    while (!wrong && (line = strsep(&rest, "\n")))
        wrong = *line ? take_variable(o, line) : NULL;
    return wrong;
}

int svl_environment_read(const struct svl_option *table, const bool *given, char *why, size_t size)
{
    for (const struct svl_option *o = NULL; (o = svl_option_next(table, o));) {
        char name[64];
        const char *value, *wrong;

        if (!o->name || o->no_env || was_given(table, given, o))
            continue;
        svl_option_variable(name, o);
        value = getenv(name);
        if (!value || !*value)
            continue;
        wrong = o->repeat ? take_lines(o, value) : take_variable(o, value);
        if (wrong) {
            snprintf(why, size, "%s=%s: %s", name, value, wrong);
            return SVL_ECONFIG;
        }
    }
    return 0;
}
