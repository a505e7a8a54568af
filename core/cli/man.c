/* The manual page, in mdoc(7); and `serval man`, which prints it. */
#include "cli/cli.h"

#include <ctype.h>
#include <string.h>

#define PAGE_DATE "November 26, 2026" /* when something it says was last changed */

/* Text as roff reads it: no line of ours is a request, a backslash is a backslash. */
static void text(FILE *file, const char *from, size_t n, bool begins_line)
{
    if (begins_line && n > 0 && (from[0] == '.' || from[0] == '\''))
        fputs("\\&", file);
    for (size_t i = 0; i < n; i++) {
        if (from[i] == '\\')
            fputs("\\e", file);
        else if (from[i] == '-')
            fputs("\\-", file);
        else
            fputc(from[i], file);
    }
}

/* An argument of a macro: quoted, so that it is one and no macro itself. */
static void quoted(FILE *file, const char *from)
{
    fputs(*from == '.' || *from == '\'' ? "\"\\&" : "\"", file);
    for (; *from; from++) {
        if (*from == '"')
            fputs("\\(dq", file);
        else
            text(file, from, 1, false);
    }
    fputc('"', file);
}

/* Words, in lines of a decent length; a sentence begins a line, as mdoc wants it. Ends the line. */
static void paragraph(FILE *file, const char *from)
{
    size_t column = 0;
    char last = '\0';

    while (*(from += strspn(from, " \n"))) {
        size_t n = strcspn(from, " \n");

        if (column > 0 && (last == '.' || column + 1 + n > 76)) {
            fputc('\n', file);
            column = 0;
        }
        if (column > 0)
            fputc(' ', file);
        text(file, from, n, column == 0);
        column += n + 1;
        from += n;
        last = from[-1];
    }
    fputc('\n', file);
}

/* The first letter large, a full stop at the end. */
static void sentence(FILE *file, const char *from)
{
    char *copy = svl_cli_copy(svl_cli_say("%s.", from));

    if (islower((unsigned char)copy[0]) && !isupper((unsigned char)copy[1]))
        copy[0] = (char)toupper((unsigned char)copy[0]);
    paragraph(file, copy);
}

static void show_value(FILE *file, const struct svl_option *o)
{
    if (!o->value)
        return;
    fputs(" Ar ", file);
    quoted(file, o->value);
}

static void show_option(FILE *file, const struct svl_option *o, bool variables)
{
    char name[64];

    fputs(".It", file);
    if (o->letter) {
        fprintf(file, " Fl %c", o->letter);
        show_value(file, o);
        fputs(" ,", file);
    }
    fputs(" Fl ", file);
    quoted(file, svl_cli_say("-%s", o->name));
    show_value(file, o);
    fputc('\n', file);
    sentence(file, o->help);
    if (o->repeat)
        fputs("May be repeated.\n", file);
    if (o->initial)
        sentence(file, svl_cli_say("The default is %s", o->initial));
    if (variables && !o->no_env) {
        svl_option_variable(name, o);
        fputs("In the environment:\n.Ev ", file);
        text(file, name, strlen(name), false);
        fputs(" .\n", file);
    }
}

static void show_table(FILE *file, const struct svl_option *table, bool is_main)
{
    bool open = false;

    for (const struct svl_option *o = NULL; (o = svl_option_next(table, o));) {
        if (o->name && !open)
            fputs(".Bl -tag -width Ds\n", file);
        if (!o->name && open)
            fputs(".El\n", file);
        open = o->name != NULL;
        if (o->name && !o->missing)
            show_option(file, o, is_main);
        if (!o->name && is_main) {
            fputs(".Ss ", file);
            text(file, o->group, strlen(o->group), false);
            fputc('\n', file);
        }
    }
    if (open)
        fputs(".El\n", file);
}

static void show_synopsis(FILE *file, const struct svl_command *c)
{
    fputs(".Nm\n", file);
    if (c->name) {
        fputs(".Cm ", file);
        text(file, c->name, strlen(c->name), false);
        fputc('\n', file);
    }
    fputs(".Op Ar OPTIONS\n", file);
    if (c->operand.name)
        fprintf(file, c->operand_needed ? ".Ar %s\n" : ".Op Ar %s\n", c->operand.name);
}

/* Lines with a blank in front stand as they are; an empty line ends a paragraph. */
static void show_prose(FILE *file, const char *from)
{
    while (*from) {
        const char *end = from;

        if (*from == ' ') {
            fputs(".Bd -literal -offset 2n\n", file);
            for (; *end == ' '; end = end + strcspn(end, "\n") + 1) {
                text(file, end + 2, strcspn(end, "\n") - 2, true);
                fputc('\n', file);
            }
            fputs(".Ed\n", file);
        } else if (*from == '\n') {
            end++;
            if (*end != ' ')
                fputs(".Pp\n", file);
        } else {
            while (*end && *end != ' ' && *end != '\n')
                end += strcspn(end, "\n") + 1;
            paragraph(file, svl_cli_say("%.*s", (int)(end - from), from));
        }
        from = end;
    }
}

void svl_man_show(const struct svl_program *program, FILE *file)
{
    const struct svl_command *const *commands = program->commands;

    fputs(".Dd " PAGE_DATE "\n.Dt SERVAL 1\n.Os\n.Sh NAME\n", file);
    fprintf(file, ".Nm %s\n.Nd ", program->name);
    text(file, program->summary, strlen(program->summary), false);
    fputs("\n.Sh SYNOPSIS\n", file);
    for (const struct svl_command *const *c = commands; *c; c++)
        show_synopsis(file, *c);
    fputs(".Sh DESCRIPTION\n", file);
    sentence(file, commands[0]->summary);
    for (const struct svl_section *s = program->sections; s && s->title; s++) {
        fprintf(file, ".Ss %s\n", s->title);
        show_prose(file, s->text);
    }
    fputs(".Sh OPTIONS\n", file);
    show_table(file, commands[0]->options, true);
    show_table(file, svl_common_options, true);
    fputs(".Sh COMMANDS\n", file);
    for (const struct svl_command *const *c = commands + 1; *c; c++) {
        fputs(".Ss ", file);
        text(file, (*c)->name, strlen((*c)->name), false);
        fputc('\n', file);
        sentence(file, (*c)->summary);
        show_table(file, (*c)->options, false);
    }
    fputs(".Sh EXIT STATUS\n"
          ".Bl -tag -width Ds\n"
          ".It 0\n"
          "The server was told to stop, or the command has done its work.\n"
          ".It 1\n"
          "A command could not do all of its work.\n"
          ".It 2\n"
          "What was asked for makes no sense: a mistake on the command line.\n"
          ".It 3\n"
          "It makes sense and cannot be had: a port in use, no permission.\n"
          ".El\n",
          file);
    if (program->examples) {
        fputs(".Sh EXAMPLES\n", file);
        show_prose(file, program->examples);
    }
}

static int run(const struct svl_program *program)
{
    svl_man_show(program, stdout);
    return 0;
}

const struct svl_command svl_cmd_man = {
    .name = "man",
    .summary = "print the manual page, for man -l -",
    .run = run,
};
