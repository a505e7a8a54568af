#include "net/pipe.h"

#include "base/check.h"
#include "serval/async.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LANE_SIZE 65536

/* One direction, a ring. */
struct lane {
    char *bytes; /* NULL until something was written */
    size_t at, len;
};

struct both;

struct svl_pipe {
    struct both *both;
    struct lane in; /* what the other end wrote */
    bool shut;      /* this end sends no more */
    bool closed;    /* nor does it read */

    /* When it is a connection. */
    struct svl_conn *conn;
    struct svl_worker *worker;
    int watching;         /* loop thread */
    struct svl_task turn; /* to look what is ready, when the worker itself asks for it, */
    struct svl_mail mail; /* and when somebody else does */
    bool mailed;          /* it is on its way */
    const struct svl_protocol *protocol; /* on its way to become a connection */
    struct svl_address peer;
};

struct both {
    pthread_mutex_t lock; /* of all that is not the loop thread's */
    pthread_cond_t news;  /* for ends that wait */
    unsigned waiting;
    unsigned refs; /* open ends, mail on its way, and who looks at it */
    struct svl_pipe ends[2];
};

struct pipe_conn {
    struct svl_conn conn; /* first */
    struct svl_pipe *end;
};

static struct svl_pipe *end_of(struct svl_conn *c)
{
    return ((struct pipe_conn *)c)->end;
}

static struct svl_pipe *other(struct svl_pipe *end)
{
    return &end->both->ends[end == &end->both->ends[0]];
}

static void lock(struct svl_pipe *end)
{
    pthread_mutex_lock(&end->both->lock);
}

static void unlock(struct svl_pipe *end)
{
    pthread_mutex_unlock(&end->both->lock);
}

/* With the lock, which is given back. */
static void unref_unlock(struct both *both)
{
    bool last = --both->refs == 0;

    pthread_mutex_unlock(&both->lock);
    if (!last)
        return;
    free(both->ends[0].in.bytes);
    free(both->ends[1].in.bytes);
    pthread_cond_destroy(&both->news);
    pthread_mutex_destroy(&both->lock);
    free(both);
}

/* Lanes ------------------------------------------------------------------------------------ */

static size_t put(struct lane *lane, const char *bytes, size_t n)
{
    size_t room = LANE_SIZE - lane->len, to = (lane->at + lane->len) % LANE_SIZE, first;

    if (!lane->bytes)
        lane->bytes = svl_malloc(LANE_SIZE);
    n = n < room ? n : room;
    first = n < LANE_SIZE - to ? n : LANE_SIZE - to;
    memcpy(lane->bytes + to, bytes, first);
    memcpy(lane->bytes, bytes + first, n - first);
    lane->len += n;
    return n;
}

static size_t take(struct lane *lane, char *to, size_t room)
{
    size_t n = lane->len < room ? lane->len : room;
    size_t first = n < LANE_SIZE - lane->at ? n : LANE_SIZE - lane->at;

    if (n == 0)
        return 0;
    memcpy(to, lane->bytes + lane->at, first);
    memcpy(to + first, lane->bytes, n - first);
    lane->len -= n;
    lane->at = lane->len ? (lane->at + n) % LANE_SIZE : 0; /* from the front: it is in the cache */
    return n;
}

/* News ------------------------------------------------------------------------------------- */

/* With the lock: something has changed for that end. */
static void tell(struct svl_pipe *end, struct svl_worker *from)
{
    if (end->both->waiting > 0)
        pthread_cond_broadcast(&end->both->news);
    if (!end->conn)
        return;
    if (end->worker == from) {
        svl_worker_later(from, &end->turn);
    } else if (!end->mailed) {
        end->mailed = true;
        end->both->refs++;
        svl_mail_send(end->worker, &end->mail);
    }
}

/* With the lock. */
static int ready(struct svl_pipe *end)
{
    struct svl_pipe *peer = other(end);
    int events = 0;

    if (end->in.len > 0 || peer->shut)
        events |= SVL_WATCH_READ;
    if (peer->in.len < LANE_SIZE || peer->closed)
        events |= SVL_WATCH_WRITE;
    if (peer->closed)
        events |= SVL_WATCH_GONE;
    return events & end->watching;
}

/* As a poll would: as long as it is ready, it is told so once in each round. */
static void look(struct svl_pipe *end)
{
    int events = 0;

    lock(end);
    end->both->refs++;
    if (end->conn)
        events = ready(end);
    unlock(end);
    if (events)
        svl_conn_ready(end->conn, events);
    lock(end);
    if (end->conn && ready(end))
        svl_worker_later(end->worker, &end->turn);
    unref_unlock(end->both);
}

static void on_turn(struct svl_task *task)
{
    look(svl_container(task, struct svl_pipe, turn));
}

static void on_mail(struct svl_mail *mail)
{
    struct svl_pipe *end = svl_container(mail, struct svl_pipe, mail);

    lock(end);
    end->mailed = false;
    unlock(end);
    look(end);
    lock(end);
    unref_unlock(end->both);
}

/* The transport ---------------------------------------------------------------------------- */

static ssize_t pipe_read(struct svl_conn *c, char *to, size_t room)
{
    struct svl_pipe *end = end_of(c);
    size_t n;
    bool eof;

    lock(end);
    n = take(&end->in, to, room);
    eof = other(end)->shut;
    if (n > 0)
        tell(other(end), c->worker);
    unlock(end);
    return n > 0 || eof ? (ssize_t)n : -EAGAIN;
}

static ssize_t pipe_writev(struct svl_conn *c, const struct iovec *iov, int n, bool more)
{
    struct svl_pipe *end = end_of(c), *peer = other(end);
    size_t total = 0;
    bool gone;

    (void)more;
    lock(end);
    gone = peer->closed;
    for (int i = 0; i < n && !gone; i++)
        total += put(&peer->in, iov[i].iov_base, iov[i].iov_len);
    if (total > 0)
        tell(peer, c->worker);
    unlock(end);
    if (gone)
        return -EPIPE;
    return total > 0 ? (ssize_t)total : -EAGAIN;
}

/* Only this end makes the room smaller, so it is still there after the read. */
static ssize_t pipe_sendfile(struct svl_conn *c, int fd, int64_t offset, size_t n)
{
    struct svl_pipe *end = end_of(c);
    char bytes[16384];
    struct iovec iov = {bytes, 0};
    ssize_t got;
    size_t room;

    lock(end);
    room = LANE_SIZE - other(end)->in.len;
    unlock(end);
    if (room == 0)
        return -EAGAIN;
    n = n < room ? n : room;
    got = pread(fd, bytes, n < sizeof bytes ? n : sizeof bytes, offset);
    if (got <= 0)
        return got < 0 ? -errno : 0;
    iov.iov_len = (size_t)got;
    return pipe_writev(c, &iov, 1, false);
}

static void pipe_watch(struct svl_conn *c, int events)
{
    struct svl_pipe *end = end_of(c);

    lock(end);
    end->watching = events;
    if (ready(end))
        svl_worker_later(c->worker, &end->turn);
    unlock(end);
}

static void pipe_shutdown(struct svl_conn *c)
{
    struct svl_pipe *end = end_of(c);

    lock(end);
    end->shut = true;
    tell(other(end), c->worker);
    unlock(end);
}

/* The struct must outlive this call, as a socket's does: it is freed in the loop's next round. */
static void on_free(struct svl_timer *timer)
{
    svl_conn_free(svl_container(timer, struct svl_conn, timer));
}

static void close_end(struct svl_pipe *end, struct svl_worker *from)
{
    lock(end);
    end->shut = end->closed = true;
    end->conn = NULL;
    end->in.len = 0;
    tell(other(end), from);
    unref_unlock(end->both);
}

static void pipe_close(struct svl_conn *c)
{
    struct svl_pipe *end = end_of(c);

    svl_list_remove(&end->turn.link);
    c->timer.fire = on_free;
    svl_timer_set(&c->worker->timers, &c->timer, svl_now_ms(c->worker), 0);
    close_end(end, c->worker);
}

static const struct svl_transport transport = {
    .read = pipe_read,
    .writev = pipe_writev,
    .sendfile = pipe_sendfile,
    .watch = pipe_watch,
    .shutdown = pipe_shutdown,
    .close = pipe_close,
};

struct svl_conn *svl_pipe_conn(struct svl_pipe *end, struct svl_worker *w,
                               const struct svl_protocol *protocol, const struct svl_address *peer)
{
    struct svl_conn *c = svl_conn_new(w, &transport, protocol);

    SVL_ASSERT(sizeof(struct pipe_conn) <= svl_conn_size());
    ((struct pipe_conn *)c)->end = end;
    if (peer)
        c->peer = *peer;
    end->turn.run = on_turn;
    end->mail.run = on_mail;
    lock(end);
    end->worker = w;
    end->conn = c;
    unlock(end);
    svl_conn_start(c);
    return c;
}

static void on_handed_over(struct svl_mail *mail)
{
    struct svl_pipe *end = svl_container(mail, struct svl_pipe, mail);
    struct svl_worker *w = end->worker;

    if (svl_worker_takes(w))
        svl_pipe_conn(end, w, end->protocol, &end->peer);
    else
        close_end(end, w);
}

void svl_pipe_hand_over(struct svl_pipe *end, struct svl_worker *w,
                        const struct svl_protocol *protocol, const struct svl_address *peer)
{
    end->worker = w;
    end->protocol = protocol;
    if (peer)
        end->peer = *peer;
    end->mail.run = on_handed_over;
    svl_mail_send(w, &end->mail);
}

/* Plain ends ------------------------------------------------------------------------------- */

void svl_pipe_pair(struct svl_pipe *ends[2])
{
    struct both *both = svl_calloc(sizeof *both);
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&both->news, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&both->lock, NULL);
    both->refs = 2;
    for (int i = 0; i < 2; i++) {
        both->ends[i].both = both;
        ends[i] = &both->ends[i];
    }
}

static struct timespec in_ms(unsigned ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* With the lock: waits for news. False when the time was up. */
static bool wait_for_news(struct both *both, unsigned ms, const struct timespec *until)
{
    int err = ETIMEDOUT;

    both->waiting++;
    if (ms == SVL_NEVER)
        err = pthread_cond_wait(&both->news, &both->lock);
    else if (ms > 0)
        err = pthread_cond_timedwait(&both->news, &both->lock, until);
    both->waiting--;
    return err == 0;
}

ssize_t svl_pipe_read(struct svl_pipe *end, char *to, size_t room, unsigned wait_ms)
{
    struct timespec until = in_ms(wait_ms);
    size_t n;
    bool eof;

    lock(end);
    while (end->in.len == 0 && !other(end)->shut)
        if (!wait_for_news(end->both, wait_ms, &until))
            break;
    n = take(&end->in, to, room);
    eof = other(end)->shut;
    if (n > 0)
        tell(other(end), NULL);
    unlock(end);
    return n > 0 || eof ? (ssize_t)n : -EAGAIN;
}

ssize_t svl_pipe_write(struct svl_pipe *end, svl_str bytes, unsigned wait_ms)
{
    struct timespec until = in_ms(wait_ms);
    struct svl_pipe *peer = other(end);
    size_t done = 0;
    bool gone;

    lock(end);
    while (!peer->closed && done < bytes.n) {
        size_t n = put(&peer->in, bytes.p + done, bytes.n - done);

        done += n;
        if (n > 0) {
            tell(peer, NULL);
            until = in_ms(wait_ms);
        } else if (!wait_for_news(end->both, wait_ms, &until)) {
            break;
        }
    }
    gone = peer->closed;
    unlock(end);
    return gone ? -EPIPE : (ssize_t)done;
}

void svl_pipe_shut(struct svl_pipe *end)
{
    lock(end);
    end->shut = true;
    tell(other(end), NULL);
    unlock(end);
}

void svl_pipe_close(struct svl_pipe *end)
{
    if (end)
        close_end(end, NULL);
}
