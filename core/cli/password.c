/* serval hash-password: what --auth wants, made of a password that nobody sees. */
#include "cli/cli.h"

#include "serval/features.h"
#include "serval/str.h"

#if SVL_HAVE_BASIC_AUTH
#include "serval/mod/basic_auth.h"
#endif

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_C '\003'

/* A line without its end. What does not fit is dropped. Returns what it ended with. */
static char read_line(int fd, char *to, size_t size)
{
    size_t n = 0;
    char c = '\0';

    while (read(fd, &c, 1) == 1 && c != '\n' && c != CTRL_C)
        if (n < size - 1)
            to[n++] = c;
    if (n > 0 && to[n - 1] == '\r')
        n--;
    to[n] = '\0';
    return c;
}

/* Keys make no signals meanwhile, which would leave the terminal without an echo. */
bool svl_cli_ask_password(const char *prompt, char *to, size_t size)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct termios before, silent;
    char end;

    if (fd < 0 || tcgetattr(fd, &before)) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    silent.c_lflag |= ICANON | ECHONL;
    silent.c_cc[VEOL] = CTRL_C;
    tcsetattr(fd, TCSAFLUSH, &silent);
    dprintf(fd, "%s", prompt);
    end = read_line(fd, to, size);
    tcsetattr(fd, TCSAFLUSH, &before);
    if (end == CTRL_C) {
        dprintf(fd, "\n");
        exit(128 + SIGINT);
    }
    close(fd);
    return true;
}

static const char *user;

#if SVL_HAVE_BASIC_AUTH

static void ask_twice(char *password, size_t size)
{
    char again[512];

    if (!svl_cli_ask_password("password: ", password, size) ||
        !svl_cli_ask_password("once more: ", again, sizeof again))
        svl_cli_refuse(SVL_CLI_USAGE, "hash-password: no terminal to ask for the password");
    if (strcmp(password, again))
        svl_cli_refuse(SVL_CLI_VALUE, "hash-password: the two are not the same");
    explicit_bzero(again, sizeof again);
}

static int run(const struct svl_program *program)
{
    char password[512], hash[SVL_BASIC_AUTH_HASH];
    int err;

    (void)program;
    if (user && strchr(user, ':'))
        svl_cli_refuse(SVL_CLI_VALUE, "hash-password: a name cannot hold a colon");
    if (isatty(STDIN_FILENO))
        ask_twice(password, sizeof password);
    else
        read_line(STDIN_FILENO, password, sizeof password);
    if (!*password)
        svl_cli_refuse(SVL_CLI_VALUE, "hash-password: an empty password lets everybody in");
    err = svl_basic_auth_hash(svl_str_of(password), hash);
    explicit_bzero(password, sizeof password);
    if (err)
        svl_cli_refuse(SVL_CLI_FAILED, "hash-password: this serval was built without crypt(3)");
    printf("%s%s%s\n", user ? user : "", user ? ":" : "", hash);
    return 0;
}

#else

static int run(const struct svl_program *program)
{
    (void)program;
    svl_cli_refuse(SVL_CLI_NO_MODULE,
                   "hash-password: this serval was built without the basic_auth module");
}

#endif

const struct svl_command svl_cmd_hash_password = {
    .name = "hash-password",
    .summary = "ask for a password (or read it), print a hash",
    .operand = {.name = "USER", SVL_TEXT(&user)},
    .run = run,
};
