#include "net/transport.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The conn carries the pointer where a socket's would carry the poll handle. */
struct mem_conn {
    struct svl_conn conn; /* first */
    struct svl_mem *mem;
};

static struct svl_mem *mem_of(struct svl_conn *c)
{
    return ((struct mem_conn *)c)->mem;
}

static ssize_t mem_read(struct svl_conn *c, char *to, size_t room)
{
    struct svl_mem *mem = mem_of(c);
    size_t n = mem->left < room ? mem->left : room;

    if (n == 0)
        return mem->eof ? 0 : -EAGAIN;
    memcpy(to, mem->in, n);
    mem->in += n;
    mem->left -= n;
    return (ssize_t)n;
}

static ssize_t mem_writev(struct svl_conn *c, const struct iovec *iov, int n, bool more)
{
    struct svl_mem *mem = mem_of(c);
    size_t total = 0;

    (void)more;
    if (mem->broken)
        return -EPIPE;
    for (int i = 0; i < n; i++) {
        size_t taken = mem->on_write(mem, iov[i].iov_base, iov[i].iov_len);

        total += taken;
        if (taken < iov[i].iov_len)
            break;
    }
    return total ? (ssize_t)total : -EAGAIN;
}

static ssize_t mem_sendfile(struct svl_conn *c, int fd, int64_t offset, size_t n)
{
    struct svl_mem *mem = mem_of(c);
    char bytes[16384];
    ssize_t got = pread(fd, bytes, n < sizeof bytes ? n : sizeof bytes, offset);
    size_t taken;

    if (got <= 0)
        return got < 0 ? -errno : 0;
    taken = mem->on_write(mem, bytes, (size_t)got);
    return taken ? (ssize_t)taken : -EAGAIN;
}

static void mem_watch(struct svl_conn *c, int events)
{
    mem_of(c)->watching = events;
}

static void mem_shutdown(struct svl_conn *c)
{
    struct svl_mem *mem = mem_of(c);

    if (mem->on_shutdown)
        mem->on_shutdown(mem);
}

/* What was written has arrived. */
static void mem_discard(struct svl_conn *c)
{
    (void)c;
}

/* The struct must outlive this call, as a socket's does: it is freed in the loop's next round,
 * by a timer that is due at once. */
static void on_free(struct svl_timer *timer)
{
    svl_conn_free(svl_container(timer, struct svl_conn, timer));
}

static void mem_close(struct svl_conn *c)
{
    struct svl_mem *mem = mem_of(c);

    mem->conn = NULL;
    mem->watching = 0;
    c->timer.fire = on_free;
    svl_timer_set(&c->worker->timers, &c->timer, svl_now_ms(c->worker), 0);
    if (mem->on_closed)
        mem->on_closed(mem);
}

static const struct svl_transport memory = {
    .read = mem_read,
    .writev = mem_writev,
    .sendfile = mem_sendfile,
    .watch = mem_watch,
    .shutdown = mem_shutdown,
    .discard = mem_discard,
    .close = mem_close,
};

void svl_mem_open(struct svl_mem *mem, struct svl_worker *w, const struct svl_protocol *protocol)
{
    struct svl_conn *c;

    SVL_ASSERT(sizeof(struct mem_conn) <= svl_conn_size());
    c = svl_conn_new(w, &memory, protocol);
    ((struct mem_conn *)c)->mem = mem;
    c->peer = mem->peer;
    mem->conn = c;
    mem->left = 0;
    mem->eof = false;
    svl_conn_start(c);
}

/* Writing goes on as long as it gets anywhere: a connection that gives others a turn is not
 * blocked by its peer. */
static void pump_writes(struct svl_mem *mem)
{
    uint64_t before;

    while (mem->conn && mem->watching & SVL_WATCH_WRITE) {
        struct svl_conn *c = mem->conn;

        before = c->written;
        svl_conn_ready(c, SVL_WATCH_WRITE);
        if (!mem->conn || c->written == before)
            return;
    }
}

void svl_mem_pump(struct svl_mem *mem)
{
    pump_writes(mem);
    while (mem->conn && mem->watching & SVL_WATCH_READ && (mem->left > 0 || mem->eof)) {
        svl_conn_ready(mem->conn, SVL_WATCH_READ);
        pump_writes(mem);
    }
}

size_t svl_mem_feed(struct svl_mem *mem, const char *bytes, size_t n)
{
    SVL_ASSERT(mem->left == 0);
    mem->in = bytes;
    mem->left = n;
    svl_mem_pump(mem);
    return mem->conn ? mem->left : 0;
}

void svl_mem_eof(struct svl_mem *mem)
{
    mem->eof = true;
    svl_mem_pump(mem);
}

void svl_mem_reset(struct svl_mem *mem)
{
    if (mem->conn)
        svl_conn_ready(mem->conn, SVL_WATCH_GONE);
}
