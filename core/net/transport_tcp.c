/* Connections over sockets, TCP and Unix, and over pipes. The descriptor is ours; libuv only tells
 * when it is ready, so that writev and sendfile can be used and no buffer is held while idle. */
#include "net/conn.h"
#include "net/transport.h"

#include "base/check.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

struct tcp {
    struct svl_conn conn; /* first */
    uv_poll_t poll;
};

static struct tcp *tcp_of(struct svl_conn *c)
{
    return (struct tcp *)c;
}

size_t svl_conn_size(void)
{
    return sizeof(struct tcp);
}

static ssize_t result(ssize_t n)
{
    if (n >= 0)
        return n;
    return errno == EINTR || errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

static ssize_t tcp_read(struct svl_conn *c, char *to, size_t room)
{
    return result(recv(c->fd, to, room, 0));
}

static ssize_t tcp_writev(struct svl_conn *c, const struct iovec *iov, int n, bool more)
{
    int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};

    if (n == 1)
        return result(send(c->fd, iov->iov_base, iov->iov_len, flags));
    return result(sendmsg(c->fd, &message, flags));
}

static ssize_t tcp_sendfile(struct svl_conn *c, int fd, int64_t offset, size_t n)
{
    off_t at = offset;

    return result(sendfile(c->fd, fd, &at, n));
}

/* libuv stops watching a socket with an error; that, and what only comes with a hang-up when
 * nothing else is watched for, means that the peer has gone. A peer that merely sends no more
 * may still read its answer, and is not noticed here. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct svl_conn *c = &svl_container(poll, struct tcp, poll)->conn;
    int ready = 0;

    if (status < 0 || events & UV_PRIORITIZED)
        ready = SVL_WATCH_GONE;
    if (events & UV_READABLE)
        ready |= SVL_WATCH_READ;
    if (events & UV_WRITABLE)
        ready |= SVL_WATCH_WRITE;
    svl_conn_ready(c, ready);
}

static void tcp_watch(struct svl_conn *c, int events)
{
    uv_poll_t *poll = &tcp_of(c)->poll;
    int mask = 0;

    c->worker->rewatched = true;
    if (events & SVL_WATCH_READ)
        mask |= UV_READABLE;
    if (events & SVL_WATCH_WRITE)
        mask |= UV_WRITABLE;
    if (events & SVL_WATCH_GONE)
        mask |= UV_PRIORITIZED;
    if (mask)
        uv_poll_start(poll, mask, on_poll);
    else
        uv_poll_stop(poll);
}

/* A send buffer of megabytes is not writable again for minutes when the peer is slow: what it has
 * acknowledged tells whether it reads. */
static size_t tcp_unread(struct svl_conn *c)
{
    int n = 0;

    return ioctl(c->fd, SIOCOUTQ, &n) == 0 && n > 0 ? (size_t)n : 0;
}

static void tcp_shutdown(struct svl_conn *c)
{
    shutdown(c->fd, SHUT_WR);
}

/* Closing resets the connection then. */
static void tcp_discard(struct svl_conn *c)
{
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
}

static void on_closed(uv_handle_t *handle)
{
    svl_conn_free(&svl_container(handle, struct tcp, poll)->conn);
}

static void tcp_close(struct svl_conn *c)
{
    uv_close((uv_handle_t *)&tcp_of(c)->poll, on_closed);
    close(c->fd);
    c->fd = -1;
}

static const struct svl_transport tcp = {
    .read = tcp_read,
    .writev = tcp_writev,
    .sendfile = tcp_sendfile,
    .watch = tcp_watch,
    .unread = tcp_unread,
    .shutdown = tcp_shutdown,
    .discard = tcp_discard,
    .close = tcp_close,
};

/* Pipes: one direction each, and no flags to give (SIGPIPE is ignored, see run/server.c). */
static ssize_t pipe_read(struct svl_conn *c, char *to, size_t room)
{
    return result(read(c->fd, to, room));
}

static ssize_t pipe_writev(struct svl_conn *c, const struct iovec *iov, int n, bool more)
{
    (void)more;
    return result(writev(c->fd, iov, n));
}

static const struct svl_transport pipes = {
    .read = pipe_read,
    .writev = pipe_writev,
    .sendfile = tcp_sendfile,
    .watch = tcp_watch,
    .shutdown = tcp_shutdown,
    .close = tcp_close,
};

static struct svl_conn *adopt(struct svl_worker *w, const struct svl_transport *transport, int fd,
                              const struct svl_protocol *protocol, int *err)
{
    struct svl_conn *c = svl_conn_new(w, transport, protocol);

    *err = uv_poll_init(w->loop, &tcp_of(c)->poll, fd);
    if (*err) {
        close(fd);
        svl_conn_free(c);
        return NULL;
    }
    c->fd = fd;
    return c;
}

static void no_delay(int fd)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int svl_conn_open_fd(struct svl_worker *w, int fd, const struct svl_address *peer,
                     const struct svl_protocol *protocol)
{
    int err;
    struct svl_conn *c = adopt(w, &tcp, fd, protocol, &err);

    if (!c)
        return err;
    c->peer = *peer;
    if (peer->family == AF_INET || peer->family == AF_INET6)
        no_delay(fd);
    svl_conn_start(c);
    return 0;
}

struct svl_conn *svl_conn_open_outgoing(struct svl_worker *w, int fd,
                                        const struct svl_protocol *protocol)
{
    struct stat st;
    bool pipe = fstat(fd, &st) == 0 && !S_ISSOCK(st.st_mode);
    int err;
    struct svl_conn *c = adopt(w, pipe ? &pipes : &tcp, fd, protocol, &err);

    if (!c)
        return NULL;
    if (!pipe)
        no_delay(fd); /* fails where it means nothing */
    c->outgoing = true;
    svl_conn_start(c);
    return c;
}
