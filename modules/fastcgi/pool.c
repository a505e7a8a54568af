/* The connections of a worker: made when needed, kept for a while, to the servers in turn. */
#include "internal.h"

#include "serval/error.h"
#include "serval/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#define DOWN_MS 2000 /* a server that cannot be connected to is left out for so long */

/* Servers ---------------------------------------------------------------------------------- */

static bool parse_ip(struct fcgi_server *s, svl_str host, unsigned port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&s->address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&s->address;
    char text[INET6_ADDRSTRLEN];

    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
        svl_str_copy(text, sizeof text, (svl_str){host.p + 1, host.n - 2});
        *in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
        s->length = sizeof *in6;
        return inet_pton(AF_INET6, text, &in6->sin6_addr) == 1;
    }
    svl_str_copy(text, sizeof text,
                 svl_str_eq(host, SVL_STR("localhost")) ? SVL_STR("127.0.0.1") : host);
    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    s->length = sizeof *in;
    return inet_pton(AF_INET, text, &in->sin_addr) == 1;
}

static bool parse_server(struct fcgi_server *s, const char *name)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&s->address;
    svl_str text = svl_str_of(name);
    const char *colon = strrchr(name, ':');
    unsigned long long port;

    s->name = name;
    if (svl_str_starts(text, SVL_STR("unix:"))) {
        text = svl_str_from(text, 5);
        un->sun_family = AF_UNIX;
        s->length = sizeof *un;
        return text.n > 0 &&
               svl_str_copy(un->sun_path, sizeof un->sun_path, text) < sizeof un->sun_path;
    }
    if (!colon || !svl_str_u64(svl_str_of(colon + 1), &port) || port == 0 || port > 65535)
        return false;
    return parse_ip(s, svl_str_head(text, (size_t)(colon - name)), (unsigned)port);
}

int fcgi_servers_parse(struct fcgi_state *state)
{
    const char *const *names = state->config->servers;

    for (unsigned i = 0; i < SVL_FASTCGI_SERVERS && names[i]; i++) {
        if (!parse_server(&state->servers[i], names[i])) {
            svl_log(SVL_ALERT, "fastcgi: %s: give unix:/path, 127.0.0.1:9000 or [::1]:9000",
                    names[i]);
            return SVL_ECONFIG;
        }
        state->n_servers = i + 1;
    }
    return 0;
}

/* Connections ------------------------------------------------------------------------------ */

static void take_off_idle(struct fcgi_conn *conn)
{
    struct fcgi_state *state = conn->state;
    struct fcgi_conn **place = &state->idle;

    while (*place && *place != conn)
        place = &(*place)->next;
    if (!*place)
        return;
    *place = conn->next;
    state->n_idle--;
}

void fcgi_conn_enter(struct fcgi_conn *conn)
{
    conn->busy = true;
}

void fcgi_conn_leave(struct fcgi_conn *conn)
{
    conn->busy = false;
    if (conn->gone)
        free(conn);
    else if (conn->doomed)
        svl_raw_abort(conn->raw);
}

static void on_data(struct svl_raw *raw, void *arg, svl_str data)
{
    struct fcgi_conn *conn = arg;

    conn->connected = true;
    if (conn->req)
        fcgi_request_data(conn, data);
    else
        svl_raw_abort(raw); /* nothing was asked */
}

static void on_drained(struct svl_raw *raw, void *arg)
{
    struct fcgi_conn *conn = arg;

    (void)raw;
    conn->connected = true;
    conn->blocked = false;
    if (conn->req)
        fcgi_request_ready(conn->req);
}

static void on_stop(struct svl_raw *raw, void *arg)
{
    struct fcgi_conn *conn = arg;

    conn->state->stopping = true;
    if (!conn->req)
        svl_raw_abort(raw);
}

static void on_gone(struct svl_raw *raw, void *arg)
{
    struct fcgi_conn *conn = arg;
    struct fcgi_state *state = conn->state;
    struct fcgi_request *req = conn->req;
    struct fcgi_conn was = *conn;

    (void)raw;
    svl_gateway_lines_end(&conn->lines);
    take_off_idle(conn);
    state->n_conns--;
    conn->req = NULL;
    conn->gone = true;
    if (!was.connected)
        was.server->down_until = svl_now_ms(state->worker) + DOWN_MS;
    if (!conn->busy)
        free(conn);
    if (req)
        fcgi_request_lost(req, &was);
    fcgi_next_in_line(state);
}

static const struct svl_raw_events events = {
    .on_data = on_data, .on_drained = on_drained, .on_stop = on_stop, .on_gone = on_gone};

/* Returns a socket that is connected, or about to be, or -errno. */
static int connect_to(const struct fcgi_server *server, bool *connected)
{
    int fd = socket(server->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

    if (fd < 0)
        return -errno;
    *connected = connect(fd, (const struct sockaddr *)&server->address, server->length) == 0;
    if (*connected || errno == EINPROGRESS)
        return fd;
    err = -errno;
    close(fd);
    return err;
}

static struct fcgi_conn *make(struct fcgi_state *state, struct fcgi_server *server, int *err)
{
    struct fcgi_conn *conn;
    bool connected;
    int fd = connect_to(server, &connected);

    *err = fd;
    if (fd < 0)
        return NULL;
    conn = calloc(1, sizeof *conn);
    if (!conn) {
        close(fd);
        *err = -ENOMEM;
        return NULL;
    }
    *conn = (struct fcgi_conn){.state = state, .server = server, .connected = connected};
    conn->lines.who = SVL_STR("fastcgi: stderr");
    conn->raw = svl_raw_open(state->worker, fd, &events, conn);
    if (!conn->raw) {
        free(conn);
        *err = -ENOMEM;
        return NULL;
    }
    state->n_conns++;
    return conn;
}

/* The next server that is not known to be down; when all are, the next one. */
static struct fcgi_conn *make_one(struct fcgi_state *state, int *status)
{
    uint64_t now = svl_now_ms(state->worker);
    int err = 0;

    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < state->n_servers; i++) {
            struct fcgi_server *server = &state->servers[state->next_server++ % state->n_servers];
            struct fcgi_conn *conn;

            if ((server->down_until > now) != (round == 1))
                continue;
            conn = make(state, server, &err);
            if (conn)
                return conn;
            svl_log(SVL_WARN, "fastcgi: %s: %s", server->name, svl_strerror(err));
            server->down_until = now + DOWN_MS;
        }
    }
    *status = err == -EAGAIN || err == -EMFILE || err == -ENOMEM ? 503 : 502;
    return NULL;
}

struct fcgi_conn *fcgi_conn_get(struct fcgi_state *state, int *status)
{
    struct fcgi_conn *conn = state->idle;

    *status = 0;
    if (conn) {
        take_off_idle(conn);
        svl_raw_idle(conn->raw, 0);
        return conn;
    }
    return state->n_conns < state->config->max_connections ? make_one(state, status) : NULL;
}

void fcgi_conn_put(struct fcgi_conn *conn, bool reusable)
{
    struct fcgi_state *state = conn->state;

    conn->req = NULL;
    svl_gateway_lines_end(&conn->lines);
    if (!reusable || state->stopping || state->n_idle >= state->config->max_idle) {
        fcgi_conn_drop(conn);
        return;
    }
    conn->used = true;
    conn->next = state->idle;
    state->idle = conn;
    state->n_idle++;
    svl_raw_read(conn->raw, true);
    svl_raw_idle(conn->raw, state->config->idle_ms);
    fcgi_next_in_line(state);
}

void fcgi_conn_drop(struct fcgi_conn *conn)
{
    conn->req = NULL;
    if (conn->busy)
        conn->doomed = true;
    else
        svl_raw_abort(conn->raw);
}

void fcgi_conn_flush(struct fcgi_conn *conn)
{
    struct fcgi_buffer *out = &conn->state->out;
    svl_str bytes = {(const char *)out->bytes, out->n};
    bool nested = conn->busy, room;

    out->n = 0;
    conn->busy = true;
    room = svl_raw_write(conn->raw, bytes);
    conn->blocked = !room;
    if (!nested)
        fcgi_conn_leave(conn);
}

void fcgi_pool_close(struct fcgi_state *state)
{
    free(state->out.bytes);
    free(state->params.bytes);
}
