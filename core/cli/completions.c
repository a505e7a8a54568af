/* Scripts that complete the command line in bash, zsh and fish; and `serval completions`. They hold
 * what the tables say, so the program is not asked while somebody types. */
#include "cli/cli.h"

#include <string.h>

static bool takes_file(const struct svl_option *o)
{
    return o->value && strstr(o->value, "FILE");
}

static bool takes_folder(const struct svl_option *o)
{
    return o->value && !strcmp(o->value, "DIR");
}

/* Calls show() for each option of the command that there is. */
typedef void show_fn(FILE *file, const struct svl_command *command, const struct svl_option *o);

static void each_option(FILE *file, const struct svl_command *command, show_fn *show)
{
    for (const struct svl_option *o = NULL; (o = svl_option_next(command->options, o));)
        if (o->name && !o->missing)
            show(file, command, o);
    for (const struct svl_option *o = NULL; (o = svl_option_next(svl_common_options, o));)
        if (o->name)
            show(file, command, o);
}

/* For within single quotes: `quote` is how one of them is written there, and what is `special` has a
 * backslash in front. */
static void put_text(FILE *file, const char *text, const char *quote, const char *special)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs(quote, file);
        else if (strchr(special, *text))
            fprintf(file, "\\%c", *text);
        else
            fputc(*text, file);
    }
}

/* The names of the commands that have one. */
static void put_names(FILE *file, const struct svl_program *program, const char *between)
{
    for (const struct svl_command *const *c = program->commands + 1; *c; c++)
        fprintf(file, "%s%s", (*c)->name, c[1] ? between : "");
}

static bool operand_takes_folder(const struct svl_command *command)
{
    return command->operand.name && !command->operand.words && strstr(command->operand.name, "DIR");
}

static bool operand_takes_file(const struct svl_command *command)
{
    return operand_takes_folder(command) && strstr(command->operand.name, "FILE");
}

static const char *name_of(const struct svl_command *command)
{
    return command->name ? command->name : "";
}

/* bash ----------------------------------------------------------------------------------------- */

static void bash_name(FILE *file, const struct svl_command *command, const struct svl_option *o)
{
    (void)command;
    fprintf(file, " --%s", o->name);
    if (o->letter)
        fprintf(file, " -%c", o->letter);
}

#define BASH_FILES "COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
#define BASH_FOLDERS "COMPREPLY=($(compgen -d -- \"$cur\")) ;;\n"

static void bash_words(FILE *file, const char *words)
{
    fprintf(file, "COMPREPLY=($(compgen -W '%s' -- \"$cur\")) ;;\n", words);
}

static void bash_value(FILE *file, const struct svl_command *command, const struct svl_option *o)
{
    if (!o->value)
        return;
    fprintf(file, "    '%s --%s'", name_of(command), o->name);
    if (o->letter)
        fprintf(file, " | '%s -%c'", name_of(command), o->letter);
    fputs(") ", file);
    if (takes_file(o))
        fputs("COMPREPLY=($(compgen -f -- \"${cur#*=}\")) ;;\n", file);
    else if (takes_folder(o))
        fputs(BASH_FOLDERS, file);
    else
        bash_words(file, o->words ? o->words : "");
}

static void show_bash(FILE *file, const struct svl_program *program)
{
    const struct svl_command *const *commands = program->commands;

    fputs("# bash completion for serval; made by: serval completions bash\n"
          "_serval()\n"
          "{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=\n"
          "    local names\n"
          "    [ \"$cur\" != = ] || cur=\n"
          "    [ \"$prev\" != = ] || prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
          "    compopt -o filenames 2>/dev/null\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -gt 1 ]; then\n"
          "        case ${COMP_WORDS[1]} in ",
          file);
    put_names(file, program, " | ");
    fputs(") command=${COMP_WORDS[1]} ;; esac\n"
          "    fi\n"
          "    case \"$command $prev\" in\n",
          file);
    for (const struct svl_command *const *c = commands; *c; c++)
        each_option(file, *c, bash_value);
    fputs("    *)\n"
          "        case $command in\n",
          file);
    for (const struct svl_command *const *c = commands; *c; c++) {
        fprintf(file, "        '%s') names='", name_of(*c));
        each_option(file, *c, bash_name);
        fputs("' ;;\n", file);
    }
    fputs("        esac\n"
          "        case $cur in\n"
          "        -*) compopt +o filenames 2>/dev/null\n"
          "            COMPREPLY=($(compgen -W \"$names\" -- \"$cur\")) ;;\n"
          "        *)  case $command in\n",
          file);
    for (const struct svl_command *const *c = commands; *c; c++) {
        fprintf(file, "            '%s') ", name_of(*c));
        if ((*c)->operand.words)
            bash_words(file, (*c)->operand.words);
        else
            fputs(operand_takes_file(*c)     ? BASH_FILES
                  : operand_takes_folder(*c) ? BASH_FOLDERS
                                             : ";;\n",
                  file);
    }
    fputs("            esac\n"
          "            [ \"$COMP_CWORD\" -ne 1 ] || COMPREPLY+=($(compgen -W '",
          file);
    put_names(file, program, " ");
    fputs("' -- \"$cur\")) ;;\n"
          "        esac ;;\n"
          "    esac\n"
          "}\n"
          "complete -F _serval serval\n",
          file);
}

/* zsh ------------------------------------------------------------------------------------------ */

/* Brackets and colons mean something to _arguments. */
static void zsh_text(FILE *file, const char *text)
{
    put_text(file, text, "'\\''", "[]:\\");
}

static void zsh_value(FILE *file, const struct svl_option *o)
{
    if (!o->value)
        return;
    fputc(':', file);
    zsh_text(file, o->value);
    fputc(':', file);
    if (takes_file(o))
        fputs("_files", file);
    else if (takes_folder(o))
        fputs("_files -/", file);
    else if (o->words)
        fprintf(file, "(%s)", o->words);
}

static void zsh_form(FILE *file, const struct svl_option *o, const char *form, const char *end)
{
    fprintf(file, "            '%s%s%s[", o->repeat ? "*" : "", form, end);
    zsh_text(file, o->help);
    fputc(']', file);
    zsh_value(file, o);
    fputs("' \\\n", file);
}

static void zsh_option(FILE *file, const struct svl_command *command, const struct svl_option *o)
{
    const char letter[] = {'-', o->letter, '\0'};

    (void)command;
    if (o->letter)
        zsh_form(file, o, letter, o->value ? "+" : "");
    zsh_form(file, o, svl_cli_say("--%s", o->name), o->value ? "=" : "");
}

static void zsh_operand(FILE *file, const struct svl_command *c)
{
    if (!c->operand.name) {
        fputs("            && return\n", file);
        return;
    }
    fprintf(file, "            '%s:%s:", c->operand.repeat ? "*" : "1", c->operand.name);
    if (c->operand.words)
        fprintf(file, "(%s)", c->operand.words);
    else if (operand_takes_folder(c))
        fputs(operand_takes_file(c) ? "_files" : "_files -/", file);
    fputs("' && return\n", file);
}

static void show_zsh(FILE *file, const struct svl_program *program)
{
    const struct svl_command *const *commands = program->commands;

    fputs("#compdef serval\n"
          "# zsh completion for serval; made by: serval completions zsh\n"
          "_serval()\n"
          "{\n"
          "    local -a commands\n"
          "    local command=\n"
          "    commands=(\n",
          file);
    for (const struct svl_command *const *c = commands + 1; *c; c++) {
        fprintf(file, "        '%s:", (*c)->name);
        put_text(file, (*c)->summary, "'\\''", "");
        fputs("'\n", file);
    }
    fputs("    )\n"
          "    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then\n"
          "        _describe command commands\n"
          "    fi\n"
          "    if (( CURRENT > 2 )) && (( ${commands[(I)$words[2]:*]} )); then\n"
          "        command=$words[2]\n"
          "        shift words\n"
          "        (( CURRENT-- ))\n"
          "    fi\n"
          "    case $command in\n",
          file);
    for (const struct svl_command *const *c = commands; *c; c++) {
        fprintf(file, "    '%s')\n        _arguments -s -S \\\n", name_of(*c));
        each_option(file, *c, zsh_option);
        zsh_operand(file, *c);
        fputs("        ;;\n", file);
    }
    fputs("    esac\n"
          "}\n"
          "if [ \"$funcstack[1]\" = _serval ]; then\n"
          "    _serval \"$@\"\n"
          "else\n"
          "    compdef _serval serval\n"
          "fi\n",
          file);
}

/* fish ----------------------------------------------------------------------------------------- */

/* Inside single quotes, fish knows \' and \\. */
static void fish_quoted(FILE *file, const char *text)
{
    fputc('\'', file);
    put_text(file, text, "\\'", "\\");
    fputc('\'', file);
}

static void fish_condition(FILE *file, const struct svl_command *command)
{
    if (command->name)
        fprintf(file, " -n '__serval_command %s'", command->name);
    else
        fputs(" -n __serval_none", file);
}

static void fish_option(FILE *file, const struct svl_command *command, const struct svl_option *o)
{
    fputs("complete -c serval", file);
    fish_condition(file, command);
    fprintf(file, " -l %s", o->name);
    if (o->letter)
        fprintf(file, " -s %c", o->letter);
    if (takes_file(o))
        fputs(" -r -F", file);
    else if (takes_folder(o))
        fputs(" -x -a '(__fish_complete_directories)'", file);
    else if (o->value)
        fputs(" -x", file);
    if (o->words) {
        fputs(" -a ", file);
        fish_quoted(file, o->words);
    }
    fputs(" -d ", file);
    fish_quoted(file, o->help);
    fputc('\n', file);
}

static void show_fish(FILE *file, const struct svl_program *program)
{
    const struct svl_command *const *commands = program->commands;

    fputs("# fish completion for serval; made by: serval completions fish\n"
          "function __serval_command\n"
          "    set -l words (commandline -opc)\n"
          "    test (count $words) -gt 1; and test $words[2] = $argv[1]\n"
          "end\n"
          "function __serval_none\n"
          "    set -l words (commandline -opc)\n"
          "    test (count $words) -lt 2; or not contains -- $words[2] ",
          file);
    put_names(file, program, " ");
    fputs("\nend\ncomplete -c serval -f\n", file);
    for (const struct svl_command *const *c = commands + 1; *c; c++) {
        fprintf(file, "complete -c serval -n __fish_is_first_token -a %s -d ", (*c)->name);
        fish_quoted(file, (*c)->summary);
        fputc('\n', file);
    }
    for (const struct svl_command *const *c = commands; *c; c++) {
        each_option(file, *c, fish_option);
        if (!(*c)->operand.name)
            continue;
        fputs("complete -c serval", file);
        fish_condition(file, *c);
        if ((*c)->operand.words) {
            fputs(" -a ", file);
            fish_quoted(file, (*c)->operand.words);
        } else if (operand_takes_file(*c)) {
            fputs(" -F", file);
        } else if (operand_takes_folder(*c)) {
            fputs(" -a '(__fish_complete_directories)'", file);
        }
        fputc('\n', file);
    }
}

/* The command ---------------------------------------------------------------------------------- */

bool svl_completions_show(const struct svl_program *program, const char *shell, FILE *file)
{
    if (!strcmp(shell, "bash"))
        show_bash(file, program);
    else if (!strcmp(shell, "zsh"))
        show_zsh(file, program);
    else if (!strcmp(shell, "fish"))
        show_fish(file, program);
    else
        return false;
    return true;
}

static const char *shell;

static const char *take_shell(const struct svl_option *operand, const char *value)
{
    shell = value;
    return svl_cli_word(operand, value) < 0 ? "give bash, zsh or fish" : NULL;
}

static int run(const struct svl_program *program)
{
    svl_completions_show(program, shell, stdout);
    return 0;
}

const struct svl_command svl_cmd_completions = {
    .name = "completions",
    .summary = "print completions for bash, zsh or fish",
    .operand = {.name = "SHELL", .words = "bash zsh fish", .take = take_shell},
    .operand_needed = true,
    .run = run,
};
