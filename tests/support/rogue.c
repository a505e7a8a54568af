#include "support/rogue.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define PORTS 8
#define ROOM 65536

/* The first port is for all; each of the others has an act that does not wait to be asked. */
struct port {
    int fd;
    unsigned number;
    const struct rogue_act *act;
    pthread_t thread;
};

struct connection {
    int fd;
    const struct rogue_act *unasked;
    size_t n;
    char in[ROOM];
};

static const struct rogue_act *acts;
static unsigned n_acts, n_ports;
static struct port ports[PORTS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_gone = PTHREAD_COND_INITIALIZER;
static unsigned n_connections;

static bool say(struct connection *c, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(c->fd, bytes, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool drip(struct connection *c, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!say(c, bytes + i, 1))
            return false;
        usleep(1000);
    }
    return true;
}

static void flood(struct connection *c, const char *text)
{
    size_t n = strlen(text), times = ROOM / n;
    char *many = svl_malloc(times * n);

    for (size_t i = 0; i < times; i++)
        memcpy(many + i * n, text, n);
    while (say(c, many, times * n))
        ;
    free(many);
}

static void await_end(struct connection *c)
{
    while (recv(c->fd, c->in, sizeof c->in, 0) > 0)
        ;
}

static void reset(struct connection *c)
{
    struct linger none = {.l_onoff = 1};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

/* Returns whether the next request is awaited. */
static bool perform(struct connection *c, const struct rogue_act *act)
{
    bool there = act->slowly ? drip(c, act->say.p, act->say.n) : say(c, act->say.p, act->say.n);

    if (!there)
        return false;
    switch (act->then) {
    case ROGUE_KEEP: return true;
    case ROGUE_CLOSE: return false;
    case ROGUE_RESET: reset(c); return false;
    case ROGUE_HALF: shutdown(c->fd, SHUT_WR); break;
    case ROGUE_FLOOD: flood(c, act->again); return false;
    case ROGUE_DRIP:
        while (drip(c, act->again, strlen(act->again)))
            ;
        return false;
    case ROGUE_HANG: break;
    }
    await_end(c);
    return false;
}

static const struct rogue_act *act_of(const char *head)
{
    char name[40];

    if (sscanf(head, "%*s /%39[^? ]", name) != 1)
        return NULL;
    for (unsigned i = 0; i < n_acts; i++)
        if (strcmp(acts[i].name, name) == 0)
            return &acts[i];
    return NULL;
}

/* Bytes that were read already, then others. */
static bool skip(struct connection *c, size_t n)
{
    size_t there = n < c->n ? n : c->n;
    char waste[4096];

    c->n -= there;
    memmove(c->in, c->in + there, c->n);
    for (n -= there; n > 0;) {
        ssize_t got = recv(c->fd, waste, n < sizeof waste ? n : sizeof waste, 0);

        if (got <= 0)
            return false;
        n -= (size_t)got;
    }
    return true;
}

static bool next_request(struct connection *c, const struct rogue_act **act)
{
    const char *length;
    char *end;

    c->in[c->n] = '\0';
    while (!(end = strstr(c->in, "\r\n\r\n"))) {
        ssize_t n = recv(c->fd, c->in + c->n, ROOM - 1 - c->n, 0);

        if (n <= 0)
            return false;
        c->n += (size_t)n;
        c->in[c->n] = '\0';
    }
    *end = '\0';
    *act = act_of(c->in);
    if (*act && (*act)->deaf)
        return true;
    length = strstr(c->in, "Content-Length: ");
    return skip(c, (size_t)(end + 4 - c->in) + (length ? strtoul(length + 16, NULL, 10) : 0));
}

static void *serve(void *arg)
{
    struct connection *c = arg;
    const struct rogue_act *act = c->unasked;
    bool more = !act || perform(c, act);

    while (more && next_request(c, &act))
        more = act ? perform(c, act) : say(c, OK, strlen(OK));
    close(c->fd);
    free(c);
    pthread_mutex_lock(&lock);
    if (--n_connections == 0)
        pthread_cond_signal(&all_gone);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void begin(int fd, const struct port *port)
{
    struct connection *c = svl_calloc(sizeof *c);
    pthread_t thread;

    c->fd = fd;
    c->unasked = port->act;
    pthread_mutex_lock(&lock);
    n_connections++;
    pthread_mutex_unlock(&lock);
    SVL_ASSERT(pthread_create(&thread, NULL, serve, c) == 0);
    pthread_detach(thread);
}

static void *accept_all(void *arg)
{
    const struct port *port = arg;
    int fd;

    while ((fd = accept(port->fd, NULL, NULL)) >= 0)
        begin(fd, port);
    return NULL;
}

static void open_port(const struct rogue_act *act)
{
    struct port *port = &ports[n_ports++];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;

    SVL_ASSERT(n_ports <= PORTS);
    port->act = act;
    port->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SVL_ASSERT(port->fd >= 0 && bind(port->fd, (struct sockaddr *)&at, sizeof at) == 0);
    SVL_ASSERT(listen(port->fd, 128) == 0);
    getsockname(port->fd, (struct sockaddr *)&at, &n);
    port->number = ntohs(at.sin_port);
    SVL_ASSERT(pthread_create(&port->thread, NULL, accept_all, port) == 0);
}

void rogue_open(const struct rogue_act *them, unsigned n)
{
    acts = them;
    n_acts = n;
    n_ports = 0;
    open_port(NULL);
    for (unsigned i = 0; i < n; i++)
        if (them[i].unasked)
            open_port(&them[i]);
}

const char *rogue_url(char to[100], const struct rogue_act *act)
{
    unsigned number = ports[0].number;

    for (unsigned i = 1; i < n_ports; i++)
        if (ports[i].act == act)
            number = ports[i].number;
    snprintf(to, 100, "http://127.0.0.1:%u/%s", number, act ? act->name : "");
    return to;
}

void rogue_close(void)
{
    for (unsigned i = 0; i < n_ports; i++) {
        shutdown(ports[i].fd, SHUT_RDWR); /* which accept() returns from */
        pthread_join(ports[i].thread, NULL);
        close(ports[i].fd);
    }
    pthread_mutex_lock(&lock);
    while (n_connections > 0)
        pthread_cond_wait(&all_gone, &lock);
    pthread_mutex_unlock(&lock);
}
