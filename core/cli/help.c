/* -h and --help: what there is, for a terminal of any width. */
#include "cli/cli.h"

#include "serval/str.h"

#include <sys/ioctl.h>
#include <unistd.h>

enum { MARGIN = 26 }; /* where the help of options begins */
enum { NARROWEST = 60, WIDEST = 100, USUAL = 80 };

static int columns_of(FILE *file)
{
    struct winsize size;
    int n = USUAL;

    if (ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        n = size.ws_col;
    return n < NARROWEST ? NARROWEST : n > WIDEST ? WIDEST : n;
}

/* Words of `text`, from column `at` of a line on; further lines begin at `margin`. Ends the line. */
static void wrap(FILE *file, const char *text, int at, int margin, int columns)
{
    bool first = true;

    while (*(text += strspn(text, " "))) {
        int n = (int)strcspn(text, " ");

        if (!first && at + 1 + n > columns) {
            fprintf(file, "\n%*s", margin, "");
            at = margin;
            first = true;
        }
        at += fprintf(file, "%s%.*s", first ? "" : " ", n, text);
        text += n;
        first = false;
    }
    fputc('\n', file);
}

static void show_option(FILE *file, const struct svl_option *o, const char *text, int columns)
{
    char left[80];
    int n;

    snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    if (o->letter)
        n = fprintf(file, "  -%c, %s", o->letter, left);
    else
        n = fprintf(file, "      %s", left);
    if (n + 2 > MARGIN)
        n = fprintf(file, "\n") - 1;
    fprintf(file, "%*s", MARGIN - n, "");
    wrap(file, text, MARGIN, MARGIN, columns);
}

/* With its default and its variable, for --help. */
static const char *long_text(const struct svl_option *o, bool variables)
{
    const char *text = o->help;
    char name[64];

    if (o->repeat)
        text = svl_cli_say("%s; may be repeated", text);
    if (o->initial)
        text = svl_cli_say("%s; default %s", text, o->initial);
    if (variables && !o->no_env) {
        svl_option_variable(name, o);
        text = svl_cli_say("%s [%s]", text, name);
    }
    return text;
}

static void show_table(FILE *file, const struct svl_option *table, bool all, bool variables,
                       int columns)
{
    for (const struct svl_option *o = NULL; (o = svl_option_next(table, o));) {
        if (!o->name && all)
            fprintf(file, "\n%s:\n", o->group);
        if (!o->name || o->missing || (!all && !o->common))
            continue;
        if (!all)
            show_option(file, o, svl_cli_say("%.*s", (int)strcspn(o->help, ";"), o->help), USUAL);
        else
            show_option(file, o, long_text(o, variables), columns);
    }
}

static void show_usage(FILE *file, const struct svl_program *program, const struct svl_command *c,
                       bool first)
{
    const char *text =
        svl_cli_say("%s%s%s [OPTIONS]", program->name, c->name ? " " : "", c->name ? c->name : "");

    if (c->operand.name)
        text = svl_cli_say(c->operand_needed ? "%s %s" : "%s [%s]", text, c->operand.name);
    fprintf(file, "%s%-35s  %s\n", first ? "usage: " : "       ", text, c->summary);
}

static void show_command_names(FILE *file, const struct svl_program *program)
{
    const char *text = svl_cli_say("%s COMMAND --help; commands:", program->name);

    for (const struct svl_command *const *c = program->commands + 1; *c; c++)
        text = svl_cli_say("%s %s%s", text, (*c)->name, c[1] ? "," : "");
    fputs("       ", file);
    wrap(file, text, 7, 9, USUAL);
}

/* Lines that begin with a blank as they are, the others as one paragraph. */
static void show_prose(FILE *file, const char *text, int columns)
{
    for (size_t n; *text; text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        if (*text == ' ' || n == 0) {
            fprintf(file, "%.*s\n", (int)n, text);
            continue;
        }
        while (text[n] == '\n' && text[n + 1] && text[n + 1] != ' ' && text[n + 1] != '\n')
            n += 1 + strcspn(text + n + 1, "\n");
        char *paragraph = svl_cli_copy(svl_cli_say("%.*s", (int)n, text));

        for (char *c = paragraph; *c; c++)
            *c = *c == '\n' ? ' ' : *c;
        wrap(file, paragraph, 0, 0, columns);
    }
}

void svl_help_show(const struct svl_program *program, const struct svl_command *command, bool all,
                   int columns, FILE *file)
{
    bool is_main = !command->name;

    if (!columns)
        columns = columns_of(file);
    show_usage(file, program, command, true);
    if (is_main && all)
        for (const struct svl_command *const *c = program->commands + 1; *c; c++)
            show_usage(file, program, *c, false);
    else if (is_main)
        show_command_names(file, program);
    if (!all)
        fputc('\n', file);
    /* Few enough options to need no short form. */
    show_table(file, command->options, all || !is_main, is_main, columns);
    show_table(file, svl_common_options, all, is_main, columns);
    for (const struct svl_section *s = program->sections; is_main && all && s && s->title; s++) {
        fprintf(file, "\n%s:\n", s->title);
        show_prose(file, s->text, columns);
    }
    if (is_main && program->examples)
        fprintf(file, "\nexamples:\n%s", program->examples);
}
