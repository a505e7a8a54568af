#include "run/raw.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>

/* In conn->state. struct svl_raw is the connection itself, seen from outside. */
struct raw {
    const struct svl_raw_events *events;
    void *arg;
    svl_str rest; /* what was read behind the request, during on_open */
    unsigned idle_ms;
    bool busy;    /* a callback is on the stack: it flushes when it returns */
    bool closing; /* svl_raw_close() */
};

_Static_assert(sizeof(struct raw) <= SVL_CONN_STATE, "state of a connection");

static struct svl_conn *conn_of(const struct svl_raw *raw)
{
    return (struct svl_conn *)raw;
}

static struct svl_raw *raw_of(struct svl_conn *c)
{
    return (struct svl_raw *)c;
}

static struct raw *state(struct svl_conn *c)
{
    return (struct raw *)c->state;
}

static void touch(struct svl_conn *c)
{
    if (state(c)->idle_ms)
        svl_conn_deadline(c, state(c)->idle_ms);
}

/* Whether a flush is blocked already. More than the gather takes is in the backlog at once. */
static bool waits(const struct svl_conn *c)
{
    return svl_conn_blocked(c) && c->wanted & SVL_WATCH_WRITE;
}

/* After a callback: what it wrote goes out, and what it asked for is done. */
static void settle(struct svl_conn *c)
{
    struct raw *r = state(c);

    r->busy = false;
    if (c->closed || waits(c))
        return;
    switch (svl_conn_flush(c)) {
    case SVL_FLUSHED:
        if (r->closing)
            svl_conn_close(c);
        return;
    case SVL_BLOCKED:
    case SVL_GONE: return;
    }
}

static void call(struct svl_conn *c, void (*event)(struct svl_raw *raw, void *arg))
{
    struct raw *r = state(c);

    if (!event || r->closing)
        return;
    r->busy = true;
    event(raw_of(c), r->arg);
}

static void on_data(struct svl_conn *c, const char *data, size_t n)
{
    struct raw *r = state(c);

    if (r->closing)
        return;
    touch(c);
    r->busy = true;
    r->events->on_data(raw_of(c), r->arg, (svl_str){data, n});
    settle(c);
}

static void on_eof(struct svl_conn *c)
{
    if (!state(c)->events->on_eof) {
        svl_raw_close(raw_of(c));
        return;
    }
    call(c, state(c)->events->on_eof);
    settle(c);
}

static void on_drained(struct svl_conn *c)
{
    touch(c);
    call(c, state(c)->events->on_drained);
    settle(c);
}

static void on_stop(struct svl_conn *c)
{
    if (!state(c)->events->on_stop) {
        svl_raw_close(raw_of(c));
        return;
    }
    call(c, state(c)->events->on_stop);
    settle(c);
}

static void on_gone(struct svl_conn *c)
{
    struct raw *r = state(c);

    if (r->events->on_gone)
        r->events->on_gone(raw_of(c), r->arg);
}

/* Of outgoing ones: who opens them sees that they are open. */
static void on_open(struct svl_conn *c)
{
    (void)c;
}

static const struct svl_protocol raw_protocol = {
    .name = "raw",
    .on_open = on_open,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_timer = svl_conn_close,
    .on_stop = on_stop,
    .on_gone = on_gone,
};

void svl_raw_begin(struct svl_conn *c, const struct svl_raw_events *events, void *arg, svl_str rest)
{
    memset(c->state, 0, sizeof c->state);
    *state(c) = (struct raw){.events = events, .arg = arg, .rest = rest};
    c->protocol = &raw_protocol;
    c->read_at = NULL;
    svl_timer_clear(&c->timer);
    svl_conn_read(c, true);
    call(c, events->on_open);
    state(c)->rest = SVL_STR_NONE;
    if (rest.n > 0 && !c->closed)
        on_data(c, rest.p, rest.n);
    else
        settle(c);
}

struct svl_raw *svl_raw_open(struct svl_worker *w, int fd, const struct svl_raw_events *events,
                             void *arg)
{
    struct svl_conn *c = svl_conn_open_outgoing(w, fd, &raw_protocol);

    SVL_MISUSE_IF(!events->on_data, "svl_raw_open: on_data is needed");
    if (!c)
        return NULL;
    *state(c) = (struct raw){.events = events, .arg = arg};
    return raw_of(c);
}

bool svl_raw_write(struct svl_raw *raw, svl_str bytes)
{
    struct svl_conn *c = conn_of(raw);

    if (c->closed)
        return false;
    if (bytes.n > 0)
        memcpy(svl_conn_reserve(c, bytes.n), bytes.p, bytes.n);
    svl_conn_commit(c, bytes.n);
    if (!state(c)->busy)
        settle(c);
    return !c->closed && !svl_conn_blocked(c);
}

void svl_raw_read(struct svl_raw *raw, bool on)
{
    svl_conn_read(conn_of(raw), on);
}

void svl_raw_idle(struct svl_raw *raw, unsigned ms)
{
    struct svl_conn *c = conn_of(raw);

    state(c)->idle_ms = ms;
    if (ms)
        touch(c);
    else
        svl_timer_clear(&c->timer);
}

void svl_raw_close(struct svl_raw *raw)
{
    struct svl_conn *c = conn_of(raw);

    state(c)->closing = true;
    if (!state(c)->busy)
        settle(c);
}

void svl_raw_abort(struct svl_raw *raw)
{
    svl_conn_close(conn_of(raw));
}

/* A copy of the descriptor outlives ours, and closing ours tells the peer nothing. */
int svl_raw_take(struct svl_raw *raw, svl_str *rest)
{
    struct svl_conn *c = conn_of(raw);
    int fd = c->fd < 0 ? -1 : fcntl(c->fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        return c->fd < 0 ? -ENOTSOCK : -errno;
    *rest = state(c)->rest;
    svl_conn_close(c);
    return fd;
}

const struct svl_address *svl_raw_peer(const struct svl_raw *raw)
{
    return &conn_of(raw)->peer;
}

struct svl_worker *svl_raw_worker(const struct svl_raw *raw)
{
    return conn_of(raw)->worker;
}
