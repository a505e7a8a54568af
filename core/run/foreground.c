/* A server as a program in the foreground. Does not daemonize: supervisors do not want it. */
#include "serval/foreground.h"

#include "serval/version.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* One process has one set of signal handlers, so these are the process's. */
static struct svl_server *_Atomic running; /* NULL when it is through: signals come too late */
static const char *draining;               /* what to say at the first signal; NULL = nothing */

/* stdout may be a pipe that nobody reads: that must not keep the server from stopping. */
static void on_signal(int number)
{
    struct svl_server *server = running;
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    const char *say = draining;
    int saved = errno;

    (void)number;
    if (!server)
        return;
    draining = NULL;
    svl_server_stop(server); /* the second time: at once */
    if (say && poll(&out, 1, 0) == 1 && write(STDOUT_FILENO, say, strlen(say)) < 0)
        errno = 0; /* nobody listens */
    errno = saved;
}

static void handle_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    sigaddset(&stop.sa_mask, SIGINT);
    sigaddset(&stop.sa_mask, SIGTERM);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGHUP, &ignore, NULL); /* kept for reloading */
}

/* key=value, quoted where a reader of logfmt needs it. */
static void print_field(const char *key, const char *value)
{
    bool quoted = !*value || value[strcspn(value, " \"=\\")];

    for (const char *p = value; *p; p++)
        quoted |= (unsigned char)*p < 0x20 || *p == 0x7f;
    printf(" %s=%s", key, quoted ? "\"" : "");
    for (; *value; value++) {
        if ((unsigned char)*value < 0x20 || *value == 0x7f)
            printf("\\x%02x", (unsigned)*value);
        else
            printf(*value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
    }
    if (quoted)
        putchar('"');
}

static void say_to_program(const struct svl_server *server, const struct svl_foreground *about)
{
    const char *address;

    printf("event=ready");
    for (unsigned i = 0; (address = svl_server_address(server, i)); i++)
        print_field("listen", address);
    if (about->key)
        print_field(about->key, about->text ? about->text : "");
    printf(" pid=%d version=" SVL_VERSION "\n", (int)getpid());
}

static void say_to_people(const struct svl_server *server, const struct svl_foreground *about)
{
    unsigned workers = svl_server_workers(server);
    const char *address;

    if (about->title)
        printf("%s\n", about->title);
    for (unsigned i = 0; (address = svl_server_address(server, i)); i++)
        printf("  ➜ %s\n", address);
    if (about->note)
        printf("  %s\n", about->note);
    printf("  %u worker%s · Ctrl-C stops\n", workers, workers == 1 ? "" : "s");
}

int svl_server_foreground(struct svl_server *server, const struct svl_foreground *about)
{
    bool people = isatty(STDOUT_FILENO);
    int err;

    running = server;
    draining = about->quiet ? NULL
               : people ? "\ndraining: what is being answered may finish; Ctrl-C stops at once\n"
                        : "event=draining\n";
    handle_signals();
    if (!about->quiet) {
        if (people)
            say_to_people(server, about);
        else
            say_to_program(server, about);
        fflush(stdout);
    }
    err = svl_server_run(server);
    running = NULL;
    return err;
}
