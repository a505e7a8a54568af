/* From argv to a command that runs. */
#include "cli/cli.h"

#include "serval/error.h"

#include <assert.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_OPTIONS = 200 };

#define CODE(name, text, status) {text, status},
static const struct {
    const char *text;
    int status;
} codes[] = {SVL_CLI_CODES(CODE)};

const char *svl_cli_code(enum svl_cli_code code)
{
    return codes[code].text;
}

static void complain(enum svl_cli_code code, const char *format, va_list args)
{
    fprintf(stderr, "serval: error[%s]: ", svl_cli_code(code));
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void svl_cli_complain(enum svl_cli_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain(code, format, args);
    va_end(args);
}

void svl_cli_refuse(enum svl_cli_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain(code, format, args);
    va_end(args);
    exit(codes[code].status);
}

/* Descriptors 0 to 2 must not become a file or a socket of ours. */
static void fill_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
}

static const struct svl_command *command_of(const struct svl_program *program, const char *name)
{
    for (const struct svl_command *const *c = program->commands + 1; name && *c; c++)
        if (!strcmp((*c)->name, name))
            return *c;
    return program->commands[0];
}

static int rows_of(const struct svl_option *table)
{
    int n = 0;

    for (const struct svl_option *o = NULL; (o = svl_option_next(table, o));)
        n++;
    return n;
}

/* Who has written what is no option at all wants to see the list. */
static const char *where_to_look(const struct svl_program *program,
                                 const struct svl_command *command, int err)
{
    if (err != SVL_ESYNTAX)
        return "";
    if (!command->name)
        return svl_cli_say(" (%s --help lists all)", program->name);
    return svl_cli_say(" (%s %s --help)", program->name, command->name);
}

int svl_program_run(const struct svl_program *program, char **argv)
{
    const struct svl_command *command = command_of(program, *argv ? argv[1] : NULL);
    bool given[MAX_OPTIONS] = {0};
    char why[512];
    int err;

    assert(rows_of(command->options) <= MAX_OPTIONS);
    fill_standard_descriptors();
    err =
        svl_options_read(program, command, command->name ? argv + 1 : argv, given, why, sizeof why);
    if (err)
        svl_cli_refuse(err == SVL_ESYNTAX ? SVL_CLI_USAGE : SVL_CLI_VALUE, "%s%s%s%s",
                       command->name ? command->name : "", command->name ? ": " : "", why,
                       where_to_look(program, command, err));
    if (!command->name && svl_environment_read(command->options, given, why, sizeof why))
        svl_cli_refuse(SVL_CLI_VARIABLE, "%s", why);
    return command->run(program);
}
