/* From argv to a command that runs. */
#include "cli/cli.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_OPTIONS = 200 };

void svl_cli_refuse(int status, const char *format, ...)
{
    va_list args;

    fputs("serval: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(status);
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

int svl_program_run(const struct svl_program *program, char **argv)
{
    const struct svl_command *command = command_of(program, *argv ? argv[1] : NULL);
    bool given[MAX_OPTIONS] = {0};
    char why[512];

    fill_standard_descriptors();
    if (command->name) {
        if (svl_options_read(program, command, argv + 1, given, why, sizeof why))
            svl_cli_refuse(SVL_EXIT_USAGE, "%s: %s (%s %s --help)", command->name, why,
                           program->name, command->name);
        return command->run(program);
    }
    if (svl_options_read(program, command, argv, given, why, sizeof why))
        svl_cli_refuse(SVL_EXIT_USAGE, "%s (%s --help lists all)", why, program->name);
    if (svl_environment_read(command->options, given, why, sizeof why))
        svl_cli_refuse(SVL_EXIT_USAGE, "%s", why);
    return command->run(program);
}
