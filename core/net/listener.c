#include "net/listener.h"

#include "base/check.h"
#include "serval/error.h"
#include "serval/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#define ACCEPT_ROUND 64 /* connections taken per round of the loop */
#define RETRY_MS 200    /* after an error that only time heals */

struct svl_listener {
    uv_poll_t poll;
    struct svl_worker *worker;
    struct svl_listener *next;
    const struct svl_protocol *protocol;
    struct svl_timer retry;
    int fd;
    int reserve; /* a descriptor to give up when there is none left */
    bool own, paused;
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void resume(struct svl_listener *l)
{
    l->paused = false;
    l->worker->rewatched = true;
    uv_poll_start(&l->poll, UV_READABLE, on_poll);
}

/* The kernel queues what comes meanwhile. */
static void pause_for(struct svl_listener *l, unsigned ms)
{
    l->paused = true;
    uv_poll_stop(&l->poll);
    if (ms)
        svl_timer_set(&l->worker->timers, &l->retry, svl_now_ms(l->worker), ms);
}

static void on_retry(struct svl_timer *timer)
{
    resume(svl_container(timer, struct svl_listener, retry));
}

void svl_address_from(struct svl_address *peer, const struct sockaddr_storage *from)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)from;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;

    *peer = (struct svl_address){.family = AF_UNIX};
    if (from->ss_family == AF_INET) {
        peer->family = AF_INET;
        peer->port = ntohs(in->sin_port);
        memcpy(peer->ip, &in->sin_addr, 4);
    } else if (from->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        peer->family = AF_INET;
        peer->port = ntohs(in6->sin6_port);
        memcpy(peer->ip, in6->sin6_addr.s6_addr + 12, 4);
    } else if (from->ss_family == AF_INET6) {
        peer->family = AF_INET6;
        peer->port = ntohs(in6->sin6_port);
        memcpy(peer->ip, &in6->sin6_addr, 16);
    }
}

/* Out of descriptors a connection would stay in the kernel's queue and wake us for ever: take it
 * with the reserve, and close it, so that its client learns at once. */
static void shed(struct svl_listener *l)
{
    int fd;

    if (l->reserve >= 0)
        close(l->reserve);
    fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        close(fd);
    l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Returns false when accepting has to wait. Errors of the connection that is being taken count
 * as nothing (accept(2) says to treat them like EAGAIN). */
static bool accept_failed(struct svl_listener *l, int err)
{
    switch (err) {
    case EAGAIN:
#if EAGAIN != EWOULDBLOCK
    case EWOULDBLOCK:
#endif
        return false;
    case EMFILE:
    case ENFILE:
        svl_log(SVL_WARN, "listener: accept: %s: a connection was closed", strerror(err));
        shed(l);
        pause_for(l, RETRY_MS);
        return false;
    case ENOBUFS:
    case ENOMEM:
        svl_log(SVL_WARN, "listener: accept: %s", strerror(err));
        pause_for(l, RETRY_MS);
        return false;
    default: return true;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct svl_listener *l = svl_container(poll, struct svl_listener, poll);
    struct svl_worker *w = l->worker;

    (void)events;
    if (status < 0) {
        svl_log(SVL_WARN, "listener: %s", svl_strerror(status));
        pause_for(l, RETRY_MS);
        return;
    }
    for (int i = 0; i < ACCEPT_ROUND; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof from;
        struct svl_address peer;
        int fd;

        if (svl_tally_read(&w->tally.open) >= w->max_open) {
            pause_for(l, 0);
            return;
        }
        from.ss_family = AF_UNSPEC;
        fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (!accept_failed(l, errno))
                return;
            continue;
        }
        svl_address_from(&peer, &from);
        if (svl_conn_open_fd(w, fd, &peer, l->protocol) != 0)
            return;
    }
}

int svl_listener_add(struct svl_worker *w, int fd, bool own, const struct svl_protocol *protocol)
{
    struct svl_listener *l = svl_calloc(sizeof *l);
    int err = uv_poll_init(w->loop, &l->poll, fd);

    if (err) {
        free(l);
        return err;
    }
    l->worker = w;
    l->fd = fd;
    l->own = own;
    l->protocol = protocol;
    l->retry.fire = on_retry;
    l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    l->next = w->listeners;
    w->listeners = l;
    resume(l);
    return 0;
}

void svl_listeners_resume(struct svl_worker *w)
{
    for (struct svl_listener *l = w->listeners; l; l = l->next)
        if (svl_unlikely(l->paused) && !svl_list_linked(&l->retry.link) &&
            svl_tally_read(&w->tally.open) < w->max_open)
            resume(l);
}

static void on_closed(uv_handle_t *handle)
{
    free(svl_container(handle, struct svl_listener, poll));
}

void svl_listeners_give(struct svl_worker *w, void (*give)(void *arg, int fd), void *arg)
{
    int fd;

    for (struct svl_listener *l = w->listeners; l; l = l->next)
        while (l->own && (fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
            give(arg, fd);
}

void svl_listeners_close(struct svl_worker *w)
{
    while (w->listeners) {
        struct svl_listener *l = w->listeners;

        w->listeners = l->next;
        svl_timer_clear(&l->retry);
        uv_close((uv_handle_t *)&l->poll, on_closed);
        if (l->reserve >= 0)
            close(l->reserve);
        if (l->own)
            close(l->fd);
    }
}
