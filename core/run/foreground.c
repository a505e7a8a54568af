/* A server as a program in the foreground. Does not daemonize: supervisors do not want it. */
#include "serval/foreground.h"

#include "serval/text.h"
#include "serval/version.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* One process has one set of signal handlers, so these are the process's. */
static struct svl_server *_Atomic running; /* NULL when it is through: signals come too late */
enum audience { NOBODY, PROGRAMS, PEOPLE };
static _Atomic enum audience audience; /* who is still to be told of the stop, by any thread */

static size_t put(char *to, size_t at, const char *text)
{
    size_t n = strlen(text);

    memcpy(to + at, text, n);
    return at + n;
}

/* In a signal handler, so without printf(). `to` has 160 bytes. */
static size_t say_draining(const struct svl_server *server, enum audience who, char *to)
{
    struct svl_counts counts;
    size_t n;

    if (who == PROGRAMS)
        return put(to, 0, "event=draining\n");
    svl_server_counts(server, &counts);
    n = put(to, 0, "\ndraining: ");
    if (!counts.open)
        return put(to, n, "nothing is open\n");
    n += svl_uint_print(to + n, counts.open);
    return put(to, n,
               counts.open == 1 ? " connection is open; Ctrl-C stops at once\n"
                                : " connections are open; Ctrl-C stops at once\n");
}

/* stdout may be a pipe that nobody reads: that must not keep the server from stopping. */
static void on_signal(int number)
{
    struct svl_server *server = running;
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    enum audience who;
    int saved = errno;
    char line[160];
    size_t n;

    (void)number;
    if (!server)
        return;
    who = atomic_exchange(&audience, NOBODY);
    if (who != NOBODY) {
        n = say_draining(server, who, line);
        if (poll(&out, 1, 0) == 1 && write(STDOUT_FILENO, line, n) < 0)
            errno = 0; /* nobody listens */
    }
    svl_server_stop(server); /* the second time: at once */
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

/* An address at which other machines may reach this one; IPv4 first. */
static bool machine_address(char *to, size_t size)
{
    struct ifaddrs *all, *best = NULL;
    char text[INET6_ADDRSTRLEN];

    if (getifaddrs(&all))
        return false;
    for (struct ifaddrs *at = all; at; at = at->ifa_next) {
        const struct sockaddr_in6 *six = (const void *)at->ifa_addr;
        int family = at->ifa_addr ? at->ifa_addr->sa_family : AF_UNSPEC;

        if ((at->ifa_flags & IFF_LOOPBACK) || !(at->ifa_flags & IFF_UP))
            continue;
        if (family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr))
            continue;
        if (family == AF_INET && (!best || best->ifa_addr->sa_family != AF_INET))
            best = at;
        else if (family == AF_INET6 && !best)
            best = at;
    }
    if (best && best->ifa_addr->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((struct sockaddr_in *)best->ifa_addr)->sin_addr, to, (socklen_t)size);
    } else if (best) {
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)best->ifa_addr)->sin6_addr, text, sizeof text);
        snprintf(to, size, "[%s]", text);
    }
    freeifaddrs(all);
    return best != NULL;
}

/* The port's text, if it is an address of all interfaces; nobody can click on those. */
static const char *port_of_all(const char *address)
{
    static const char *const alls[] = {"http://[::]:", "http://0.0.0.0:"};

    for (size_t i = 0; i < sizeof alls / sizeof *alls; i++)
        if (!strncmp(address, alls[i], strlen(alls[i])))
            return address + strlen(alls[i]);
    return NULL;
}

static bool is_loopback(const char *address)
{
    return !strncmp(address, "http://127.", 11) || !strncmp(address, "http://[::1]", 12);
}

bool svl_address_for_others(const char *address, char *to, size_t size)
{
    const char *port = port_of_all(address);
    char host[INET6_ADDRSTRLEN + 2];

    if (strncmp(address, "http:", 5) != 0 || is_loopback(address))
        return false;
    if (!port)
        return (size_t)snprintf(to, size, "%s", address) < size;
    return machine_address(host, sizeof host) &&
           (size_t)snprintf(to, size, "http://%s:%s", host, port) < size;
}

/* Returns whether other machines can reach it there. */
static bool show_address(const char *address)
{
    bool is_unix = strncmp(address, "http:", 5) != 0;
    const char *port = port_of_all(address);
    char url[256];

    if (is_unix || is_loopback(address)) {
        printf("  ➜ %s  %s\n", is_unix ? "socket " : "local  ", address);
        return is_unix; /* whoever asks for a socket knows who reaches it */
    }
    if (port)
        printf("  ➜ local    http://127.0.0.1:%s\n", port);
    if (svl_address_for_others(address, url, sizeof url))
        printf("  ➜ network  %s\n", url);
    return true;
}

static void say_to_people(const struct svl_server *server, const struct svl_foreground *about)
{
    unsigned workers = svl_server_workers(server);
    char host[INET6_ADDRSTRLEN + 2];
    const char *address;
    bool reached = false;

    if (about->title)
        printf("%s\n", about->title);
    for (unsigned i = 0; (address = svl_server_address(server, i)); i++)
        reached |= show_address(address);
    if (about->private && !reached && machine_address(host, sizeof host))
        printf("  ➜ network  %s %s\n", about->private, host);
    if (about->note)
        printf("  %s\n", about->note);
    printf("  %s%s%u worker%s · %s\n", about->facts ? about->facts : "", about->facts ? " · " : "",
           workers, workers == 1 ? "" : "s", about->keys ? about->keys : "Ctrl-C stops");
    if (about->picture)
        printf("\n%s", about->picture);
}

static void say_what_was_done(const struct svl_server *server, time_t since)
{
    unsigned long long seconds = (unsigned long long)(time(NULL) - since);
    struct svl_counts counts;

    svl_server_counts(server, &counts);
    printf("answered %llu request%s on %llu connection%s in ", (unsigned long long)counts.requests,
           counts.requests == 1 ? "" : "s", (unsigned long long)counts.connections,
           counts.connections == 1 ? "" : "s");
    if (seconds < 60)
        printf("%llu s\n", seconds);
    else if (seconds < 3600)
        printf("%llu min %llu s\n", seconds / 60, seconds % 60);
    else
        printf("%llu h %llu min\n", seconds / 3600, seconds / 60 % 60);
}

int svl_server_foreground(struct svl_server *server, const struct svl_foreground *about)
{
    enum audience who = about->quiet ? NOBODY : isatty(STDOUT_FILENO) ? PEOPLE : PROGRAMS;
    time_t since = time(NULL);
    int err;

    running = server;
    audience = who;
    handle_signals();
    if (who == PEOPLE)
        say_to_people(server, about);
    else if (who == PROGRAMS)
        say_to_program(server, about);
    fflush(stdout);
    err = svl_server_run(server);
    running = NULL;
    if (who == PEOPLE)
        say_what_was_done(server, since);
    fflush(stdout);
    return err;
}
