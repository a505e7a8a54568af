#include "net/dial.h"

#include "base/check.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#define HEAD_START_MS 250 /* Connection Attempt Delay (RFC 8305 8) */

/* One socket that is connecting. Outlives the dial by the closing of its handle. */
struct svl_attempt {
    uv_poll_t poll;
    struct svl_attempt *next;
    struct svl_dial *dial;
    struct svl_address peer;
    int fd;
};

static void on_closed(uv_handle_t *handle)
{
    free(svl_container(handle, struct svl_attempt, poll));
}

/* Returns its socket, which stays open. */
static int end_attempt(struct svl_attempt *attempt)
{
    struct svl_attempt **at = &attempt->dial->attempts;
    int fd = attempt->fd;

    while (*at != attempt)
        at = &(*at)->next;
    *at = attempt->next;
    uv_close((uv_handle_t *)&attempt->poll, on_closed);
    return fd;
}

void svl_dial_cancel(struct svl_dial *dial)
{
    svl_timer_clear(&dial->timer);
    svl_timer_clear(&dial->deadline);
    while (dial->attempts)
        close(end_attempt(dial->attempts));
}

static void finish(struct svl_dial *dial, int fd, const struct svl_address *peer)
{
    svl_dial_cancel(dial);
    dial->done(dial, fd, peer);
}

static void go_on(struct svl_dial *dial);

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct svl_attempt *attempt = svl_container(poll, struct svl_attempt, poll);
    struct svl_dial *dial = attempt->dial;
    struct svl_address peer = attempt->peer;
    socklen_t len = sizeof(int);
    int error = -status, fd;

    (void)events;
    if (status == 0 || status == UV_EBADF)
        getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    fd = end_attempt(attempt);
    if (error == 0) {
        finish(dial, fd, &peer);
        return;
    }
    close(fd);
    dial->error = -error;
    go_on(dial);
}

/* `fd` is connecting. */
static int watch(struct svl_dial *dial, int fd, const struct svl_address *peer)
{
    struct svl_attempt *attempt = svl_calloc(sizeof *attempt);
    int err = uv_poll_init(dial->worker->loop, &attempt->poll, fd);

    if (err) {
        free(attempt);
        return err;
    }
    attempt->dial = dial;
    attempt->fd = fd;
    attempt->peer = *peer;
    attempt->next = dial->attempts;
    dial->attempts = attempt;
    uv_poll_start(&attempt->poll, UV_WRITABLE, on_poll);
    return 0;
}

static socklen_t to_sockaddr(struct sockaddr_storage *to, const struct svl_address *from)
{
    struct sockaddr_in *in = (struct sockaddr_in *)to;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;

    memset(to, 0, sizeof *to);
    to->ss_family = from->family;
    if (from->family == AF_INET) {
        in->sin_port = htons(from->port);
        memcpy(&in->sin_addr, from->ip, 4);
        return sizeof *in;
    }
    in6->sin6_port = htons(from->port);
    memcpy(&in6->sin6_addr, from->ip, 16);
    return sizeof *in6;
}

static int begin(struct svl_dial *dial, const struct sockaddr_storage *to, socklen_t len,
                 const struct svl_address *peer)
{
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err = 0;
    struct sockaddr_storage from;

    if (fd < 0)
        return -errno;
    if (dial->from.family && dial->from.family == peer->family) {
        socklen_t from_len = to_sockaddr(&from, &dial->from);

        err = bind(fd, (struct sockaddr *)&from, from_len) == 0 ? 0 : -errno;
    }
    if (!err && connect(fd, (const struct sockaddr *)to, len) != 0 && errno != EINPROGRESS)
        err = -errno;
    if (!err)
        err = watch(dial, fd, peer);
    if (err)
        close(fd);
    return err;
}

static int begin_next(struct svl_dial *dial)
{
    const struct svl_address *peer = &dial->to.at[dial->next++];
    struct sockaddr_storage to;
    socklen_t len = to_sockaddr(&to, peer);

    return begin(dial, &to, len, peer);
}

static void go_on(struct svl_dial *dial)
{
    struct svl_worker *w = dial->worker;
    bool begun = false;

    while (!begun && dial->next < dial->to.n) {
        int err = begin_next(dial);

        begun = err == 0;
        if (err)
            dial->error = err;
    }
    if (dial->next < dial->to.n)
        svl_timer_set(&w->timers, &dial->timer, svl_now_ms(w), HEAD_START_MS);
    else if (!dial->attempts)
        finish(dial, dial->error, NULL);
}

static void on_timer(struct svl_timer *timer)
{
    go_on(svl_container(timer, struct svl_dial, timer));
}

static void on_deadline(struct svl_timer *timer)
{
    finish(svl_container(timer, struct svl_dial, deadline), UV_ETIMEDOUT, NULL);
}

/* Everything begins when the loop comes round, so that done() never comes too early. */
static void prepare(struct svl_dial *dial, struct svl_worker *w, unsigned ms, svl_dialed_fn *done)
{
    SVL_ASSERT(!dial->attempts);
    dial->worker = w;
    dial->done = done;
    dial->next = dial->to.n = 0;
    dial->error = UV_ECONNREFUSED;
    dial->timer.fire = on_timer;
    dial->deadline.fire = on_deadline;
    svl_timer_set(&w->timers, &dial->timer, svl_now_ms(w), 0);
    svl_timer_set(&w->timers, &dial->deadline, svl_now_ms(w), ms);
}

void svl_dial_start(struct svl_dial *dial, struct svl_worker *w, const struct svl_addresses *to,
                    uint16_t port, const struct svl_address *from, unsigned ms, svl_dialed_fn *done)
{
    prepare(dial, w, ms, done);
    dial->to = *to;
    dial->from = *from;
    for (unsigned i = 0; i < dial->to.n; i++)
        dial->to.at[i].port = port;
}

void svl_dial_unix(struct svl_dial *dial, struct svl_worker *w, svl_str path, unsigned ms,
                   svl_dialed_fn *done)
{
    struct sockaddr_storage to = {0};
    struct sockaddr_un *un = (struct sockaddr_un *)&to;

    prepare(dial, w, ms, done);
    dial->from.family = 0;
    un->sun_family = AF_UNIX;
    if (svl_str_copy(un->sun_path, sizeof un->sun_path, path) >= sizeof un->sun_path)
        dial->error = UV_ENAMETOOLONG;
    else
        dial->error = begin(dial, &to, sizeof *un, &(struct svl_address){.family = AF_UNIX});
    if (dial->attempts)
        svl_timer_clear(&dial->timer);
}

void svl_dial_fd(struct svl_dial *dial, struct svl_worker *w, int fd, unsigned ms,
                 svl_dialed_fn *done)
{
    prepare(dial, w, ms, done);
    dial->error = fd < 0 ? fd : watch(dial, fd, &(struct svl_address){0});
    if (dial->attempts)
        svl_timer_clear(&dial->timer);
    else if (fd >= 0)
        close(fd);
}
