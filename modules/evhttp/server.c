/* struct evhttp: a server per bound socket, on a thread that waits by libevent. */
#include "internal.h"

#include "serval/server.h"

#include <event2/event.h>
#include <event2/util.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netdb.h>
#include <unistd.h>

#define DEFAULT_METHODS                                                                            \
    (EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE)
#define DEFAULT_TYPE "text/html; charset=ISO-8859-1" /* libevent's */

/* The loop --------------------------------------------------------------------------------- */

static void set_timer(struct evhttp_bound_socket *b)
{
    int ms = svl_server_timeout(b->server);
    struct timeval time = {ms / 1000, ms % 1000 * 1000};

    if (ms < 0)
        event_del(b->timer);
    else
        event_add(b->timer, &time);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct evhttp_bound_socket *b = arg;

    (void)fd, (void)what;
    b->polling = true;
    svl_server_poll(b->server, false);
    b->polling = false;
    set_timer(b);
}

void evhttp_wake(struct evhttp_bound_socket *b)
{
    if (b && !b->polling)
        event_active(b->timer, EV_TIMEOUT, 0);
}

/* Paths ------------------------------------------------------------------------------------ */

static enum svl_verdict dispatch(struct svl_ctx *ctx, void *arg)
{
    struct evhttp_bound_socket *b = arg;
    struct evhttp *http = b->http;
    enum evhttp_cmd_type command = evhttp_command_of(ctx->req.method);

    if (!(http->methods & command))
        return svl_fail(ctx, 501, NULL);
    for (const struct evhttp_path *p = http->paths; p; p = p->next)
        if (svl_str_eq(ctx->req.path, svl_str_of(p->path)))
            return evhttp_ask(ctx, http, b, p->callback, p->arg);
    if (http->callback)
        return evhttp_ask(ctx, http, b, http->callback, http->arg);
    return svl_fail(ctx, 404, NULL);
}

int svl_evhttp_del_cb(struct evhttp *http, const char *path)
{
    struct evhttp_path **place = &http->paths, *p;

    while (*place && strcmp((*place)->path, path) != 0)
        place = &(*place)->next;
    p = *place;
    if (!p)
        return -1;
    *place = p->next;
    free(p->path);
    free(p);
    return 0;
}

int svl_evhttp_set_cb(struct evhttp *http, const char *path, svl_evhttp_fn *callback, void *arg)
{
    struct evhttp_path *p;

    for (p = http->paths; p; p = p->next)
        if (strcmp(p->path, path) == 0)
            return -1;
    p = calloc(1, sizeof *p);
    if (!p)
        return -2;
    *p = (struct evhttp_path){http->paths, strdup(path), callback, arg};
    http->paths = p;
    return 0;
}

void svl_evhttp_set_gencb(struct evhttp *http, svl_evhttp_fn *callback, void *arg)
{
    http->callback = callback;
    http->arg = arg;
}

/* Settings: what is about connections holds for sockets that are bound afterwards -------------- */

void svl_evhttp_set_timeout_tv(struct evhttp *http, const struct timeval *time)
{
    long long ms = time ? (long long)time->tv_sec * 1000 + time->tv_usec / 1000 : 0;

    http->timeout_ms = ms > 0 && ms < UINT_MAX ? (unsigned)ms : 0;
}

void svl_evhttp_set_timeout(struct evhttp *http, int seconds)
{
    svl_evhttp_set_timeout_tv(http, &(struct timeval){seconds > 0 ? seconds : 0, 0});
}

void svl_evhttp_set_max_headers_size(struct evhttp *http, ev_ssize_t bytes)
{
    http->max_head = bytes > 0 ? (size_t)bytes : 0;
}

void svl_evhttp_set_max_body_size(struct evhttp *http, ev_ssize_t bytes)
{
    http->max_body = bytes > 0 ? (size_t)bytes : 0;
}

void svl_evhttp_set_allowed_methods(struct evhttp *http, ev_uint16_t methods)
{
    http->methods = methods;
}

void svl_evhttp_set_default_content_type(struct evhttp *http, const char *type)
{
    free(http->type);
    http->type = type ? strdup(type) : NULL;
}

/* Sockets ---------------------------------------------------------------------------------- */

static void unbind(struct evhttp_bound_socket *b)
{
    b->closing = true;
    if (b->readable)
        event_free(b->readable);
    if (b->timer)
        event_free(b->timer);
    svl_server_close(b->server);
    free(b);
}

static int open_server(struct evhttp_bound_socket *b)
{
    const struct evhttp *http = b->http;
    char listen[24];
    int err;

    snprintf(listen, sizeof listen, "fd:%d", (int)b->fd);
    err = svl_server_open(&b->server, &(struct svl_server_config){
                                          .listen = {listen},
                                          .workers = 1,
                                          .handler = dispatch,
                                          .handler_arg = b,
                                          .max_head = http->max_head,
                                          .max_body = http->max_body ? http->max_body : 64 << 20,
                                          .idle_ms = http->timeout_ms,
                                          .body_ms = http->timeout_ms,
                                          .write_ms = http->timeout_ms,
                                      });
    if (err)
        return err;
    b->readable =
        event_new(http->base, svl_server_fd(b->server), EV_READ | EV_PERSIST, on_event, b);
    b->timer = event_new(http->base, -1, 0, on_event, b);
    if (!b->readable || !b->timer)
        return -1;
    event_add(b->readable, NULL);
    event_active(b->timer, EV_TIMEOUT, 0); /* the first round tells the kernel what to watch */
    return 0;
}

struct evhttp_bound_socket *svl_evhttp_accept_socket_with_handle(struct evhttp *http,
                                                                 evutil_socket_t fd)
{
    struct evhttp_bound_socket *b = calloc(1, sizeof *b);

    if (!b)
        return NULL;
    b->http = http;
    b->fd = fd;
    if (open_server(b)) {
        unbind(b);
        return NULL;
    }
    b->next = http->bound;
    http->bound = b;
    return b;
}

int svl_evhttp_accept_socket(struct evhttp *http, evutil_socket_t fd)
{
    return svl_evhttp_accept_socket_with_handle(http, fd) ? 0 : -1;
}

static evutil_socket_t listen_on(const struct addrinfo *at)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, 128) == 0)
        return fd;
    close(fd);
    return -1;
}

struct evhttp_bound_socket *svl_evhttp_bind_socket_with_handle(struct evhttp *http,
                                                               const char *address, uint16_t port)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_ADDRCONFIG, .ai_socktype = SOCK_STREAM},
                    *at;
    struct evhttp_bound_socket *b;
    evutil_socket_t fd;
    char service[8];

    snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(address, service, &hints, &at) != 0)
        return NULL;
    fd = listen_on(at);
    freeaddrinfo(at);
    if (fd < 0)
        return NULL;
    b = svl_evhttp_accept_socket_with_handle(http, fd);
    if (!b)
        close(fd);
    return b;
}

int svl_evhttp_bind_socket(struct evhttp *http, const char *address, uint16_t port)
{
    return svl_evhttp_bind_socket_with_handle(http, address, port) ? 0 : -1;
}

evutil_socket_t svl_evhttp_bound_socket_get_fd(struct evhttp_bound_socket *bound)
{
    return bound->fd;
}

void svl_evhttp_del_accept_socket(struct evhttp *http, struct evhttp_bound_socket *bound)
{
    struct evhttp_bound_socket **place = &http->bound;

    while (*place && *place != bound)
        place = &(*place)->next;
    if (!*place)
        return;
    *place = bound->next;
    unbind(bound);
}

struct evhttp *svl_evhttp_new(struct event_base *base)
{
    struct evhttp *http = calloc(1, sizeof *http);

    if (!http)
        return NULL;
    http->base = base;
    http->methods = DEFAULT_METHODS;
    http->type = strdup(DEFAULT_TYPE);
    return http;
}

void svl_evhttp_free(struct evhttp *http)
{
    while (http->bound)
        svl_evhttp_del_accept_socket(http, http->bound);
    while (http->paths)
        svl_evhttp_del_cb(http, http->paths->path);
    free(http->type);
    free(http);
}
