#include "net/conn.h"

#include "base/check.h"
#include "net/crowd.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static void check(const struct svl_conn *c)
{
    SVL_ASSERT(c->magic == SVL_CONN_MAGIC);
}

static void on_timer(struct svl_timer *timer)
{
    struct svl_conn *c = svl_container(timer, struct svl_conn, timer);

    check(c);
    c->protocol->on_timer(c);
}

static void gather_reset(struct svl_gather *g)
{
    g->owner = NULL;
    g->len = 0;
    g->tail.kind = SVL_TAIL_NONE;
}

struct svl_conn *svl_conn_new(struct svl_worker *w, const struct svl_transport *transport,
                              const struct svl_protocol *protocol)
{
    struct svl_conn *c = svl_pool_get(&w->conns);

    memset(c, 0, sizeof *c);
    c->magic = SVL_CONN_MAGIC;
    c->fd = -1;
    c->transport = transport;
    c->protocol = protocol;
    c->outgoing = protocol->outgoing;
    c->worker = w;
    c->timer.fire = on_timer;
    return c;
}

static void watch(struct svl_conn *c, int wanted)
{
    c->wanted = (uint8_t)wanted;
    if (c->watching == c->wanted || c->closed)
        return;
    c->watching = c->wanted;
    c->transport->watch(c, wanted);
}

void svl_conn_start(struct svl_conn *c)
{
    svl_list_append(&c->worker->open, &c->link);
    c->worker->n_open++;
    if (svl_likely(!c->outgoing)) {
        svl_tally_add(&c->worker->tally.accepted, 1);
        svl_tally_add(&c->worker->tally.open, 1);
        c->id = (uint64_t)svl_tally_read(&c->worker->tally.accepted) << 8 | c->worker->index;
    }
    watch(c, SVL_WATCH_READ);
    c->protocol->on_open(c);
}

static void drop_out(struct svl_conn *c)
{
    if (!c->out)
        return;
    svl_chunk_unref(c->out->chunk);
    svl_pool_put(&c->worker->outs, c->out);
    c->out = NULL;
}

void svl_conn_free(struct svl_conn *c)
{
    struct svl_worker *w = c->worker;

    check(c);
    drop_out(c);
    c->magic = 0;
    svl_pool_put(&w->conns, c);
}

void svl_conn_close(struct svl_conn *c)
{
    struct svl_worker *w = c->worker;

    check(c);
    if (c->closed)
        return;
    c->closed = true;
    if (w->gather.owner == c)
        gather_reset(&w->gather);
    svl_timer_clear(&c->timer);
    svl_list_remove(&c->link);
    w->n_open--;
    if (svl_likely(!c->outgoing))
        svl_tally_add(&w->tally.open, -1);
    if (svl_unlikely(c->crowded))
        svl_crowd_leave(w->crowd, &c->peer);
    svl_prefetch_forget(c);
    c->protocol->on_gone(c);
    drop_out(c);
    c->transport->close(c);
    svl_worker_conn_gone(w);
}

/* The kernel's mask is only made smaller when something comes that is not wanted: a request
 * whose answer takes its time costs no system call if the peer just waits for it. */
void svl_conn_read(struct svl_conn *c, bool on)
{
    if (c->eof)
        return;
    if (on)
        watch(c, (c->wanted | SVL_WATCH_READ) & ~SVL_WATCH_GONE);
    else
        c->wanted &= (uint8_t)~SVL_WATCH_READ;
}

static void readable(struct svl_conn *c)
{
    struct svl_worker *w = c->worker;
    char *to = c->read_at;
    size_t room = c->read_room;
    ssize_t n;

    if (!to) {
        struct svl_chunk *chunk = svl_worker_reading(w);

        to = chunk->bytes + chunk->len;
        room = chunk->cap - chunk->len;
    }
    n = c->transport->read(c, to, room);
    if (n > 0) {
        bool shared = !c->read_at;

        c->protocol->on_data(c, to, (size_t)n);
        if (shared)
            svl_worker_read_done(w, (size_t)n);
    } else if (n == 0) {
        c->eof = true;
        watch(c, (c->wanted & ~SVL_WATCH_READ) | SVL_WATCH_GONE);
        c->protocol->on_eof(c);
    } else if (n != -EAGAIN) {
        svl_conn_close(c);
    }
}

/* The kernel is asked again once it is known what is wanted next: the next piece of a body may
 * block as well. */
static void writable(struct svl_conn *c)
{
    if (!c->out || svl_conn_flush(c) != SVL_FLUSHED)
        return;
    c->wanted &= (uint8_t)~SVL_WATCH_WRITE;
    c->protocol->on_drained(c);
    if (c->watching & ~c->wanted & SVL_WATCH_WRITE)
        watch(c, c->wanted);
}

void svl_conn_ready(struct svl_conn *c, int events)
{
    check(c);
    if (events & SVL_WATCH_GONE) {
        svl_conn_close(c);
        return;
    }
    if (events & SVL_WATCH_WRITE)
        writable(c);
    if (!(events & SVL_WATCH_READ) || c->closed)
        return;
    if (c->wanted & SVL_WATCH_READ)
        readable(c);
    else
        watch(c, c->outgoing ? c->wanted : c->wanted | SVL_WATCH_GONE);
}

/* Writing ---------------------------------------------------------------------------------- */

static enum svl_flush flush(struct svl_conn *c);

/* Two connections may answer in one round (a resume from another's handler): whoever comes
 * second sends the first one's answers, which are whole, on their way. */
static struct svl_gather *claim(struct svl_conn *c)
{
    struct svl_gather *g = &c->worker->gather;

    if (g->owner == c)
        return g;
    if (g->owner)
        flush(g->owner);
    g->owner = c;
    return g;
}

static struct svl_out *make_out(struct svl_conn *c, size_t room)
{
    struct svl_out *out = svl_pool_get(&c->worker->outs);

    out->chunk = svl_chunk_new(&c->worker->chunks, room);
    out->at = 0;
    out->tail.kind = SVL_TAIL_NONE;
    c->out = out;
    return out;
}

static char *reserve_in_backlog(struct svl_conn *c, size_t n)
{
    struct svl_out *out = c->out ? c->out : make_out(c, n);
    struct svl_chunk *old = out->chunk, *chunk;

    SVL_ASSERT(out->tail.kind == SVL_TAIL_NONE);
    if (old->cap - old->len >= n)
        return old->bytes + old->len;
    chunk = svl_chunk_new(&c->worker->chunks, old->len - out->at + n);
    chunk->len = old->len - out->at;
    memcpy(chunk->bytes, old->bytes + out->at, chunk->len);
    svl_chunk_unref(old);
    out->chunk = chunk;
    out->at = 0;
    return chunk->bytes + chunk->len;
}

char *svl_conn_reserve(struct svl_conn *c, size_t n)
{
    struct svl_gather *g;

    if (svl_unlikely(c->out != NULL))
        return reserve_in_backlog(c, n);
    g = claim(c);
    if (svl_unlikely(c->broken))
        g->len = 0; /* nobody will see it: the next svl_conn_flush() closes */
    SVL_ASSERT(g->tail.kind == SVL_TAIL_NONE);
    if (svl_likely(SVL_GATHER_SIZE - g->len >= n))
        return g->bytes + g->len;
    if (flush(c) != SVL_BLOCKED && n <= SVL_GATHER_SIZE)
        return claim(c)->bytes;
    return reserve_in_backlog(c, n);
}

void svl_conn_commit(struct svl_conn *c, size_t n)
{
    if (svl_unlikely(c->out != NULL))
        c->out->chunk->len += n;
    else
        c->worker->gather.len += n;
}

/* A file that has to wait for the peer may change meanwhile, and what sendfile() has handed over
 * changes with it. So each further piece is sent only of the version that the first one was of. A
 * file that has only grown is somebody's log: its beginning is what it was. */
static void note_version(struct svl_out *out)
{
    struct stat st;

    if (out->tail.kind != SVL_TAIL_FILE)
        return;
    if (fstat(out->tail.fd, &st))
        memset(&st, 0, sizeof st);
    out->size = st.st_size;
    out->mtime = st.st_mtim;
}

static bool has_changed(const struct svl_out *out)
{
    struct stat st;

    if (out->tail.kind != SVL_TAIL_FILE)
        return false;
    if (fstat(out->tail.fd, &st))
        return true;
    if (st.st_size != out->size)
        return st.st_size < out->size;
    return st.st_mtim.tv_sec != out->mtime.tv_sec || st.st_mtim.tv_nsec != out->mtime.tv_nsec;
}

void svl_conn_tail(struct svl_conn *c, const struct svl_tail *tail)
{
    if (!c->out) {
        claim(c)->tail = *tail;
        return;
    }
    c->out->tail = *tail;
    note_version(c->out);
}

/* Bytes, and `share` of those that the tail points at. */
static ssize_t write_bytes(struct svl_conn *c, const char *bytes, size_t n,
                           const struct svl_tail *tail, size_t share)
{
    struct iovec iov[2] = {{.iov_base = (char *)bytes, .iov_len = n}};
    int count = n > 0;

    if (share > 0)
        iov[count++] = (struct iovec){(char *)tail->bytes, share};
    if (count == 0)
        return 0;
    return c->transport->writev(c, iov, count, tail->kind == SVL_TAIL_FILE && tail->left > 0);
}

/* Takes what was written off the bytes, then off the tail. */
static void advance(size_t done, const char **bytes, size_t *n, struct svl_tail *tail)
{
    size_t first = done < *n ? done : *n;

    *bytes += first;
    *n -= first;
    done -= first;
    if (tail->kind != SVL_TAIL_BYTES)
        return;
    tail->bytes += done;
    tail->left -= done;
}

/* Returns 1 when the file is through, 0 when the peer or the disk is not ready, < 0 on errors.
 * A file that has become shorter is one: the length was announced already. */
static int send_file(struct svl_conn *c, struct svl_tail *tail)
{
    size_t window = svl_share_bytes(c->worker, (size_t)tail->left);
    ssize_t n;

    if (window == 0)
        return 1;
    if (!svl_prefetch_ready(c, tail->fd, tail->offset, window)) {
        svl_share_return(c->worker, window, 0);
        return 0;
    }
    n = c->transport->sendfile(c, tail->fd, tail->offset, window);
    svl_share_return(c->worker, window, n > 0 ? (size_t)n : 0);
    if (n == -EAGAIN)
        return 0;
    if (n <= 0)
        return n < 0 ? (int)n : -EIO;
    c->written += (uint64_t)n;
    tail->offset += n;
    tail->left -= (uint64_t)n;
    return tail->left == 0;
}

/* Sends bytes, then the tail, as far as this turn's share goes; what remains is in *bytes, *n and
 * *tail. As send_file(). */
static int send_all(struct svl_conn *c, const char **bytes, size_t *n, struct svl_tail *tail)
{
    bool file = tail->kind == SVL_TAIL_FILE, more = tail->kind == SVL_TAIL_BYTES;
    size_t share = more ? svl_share_bytes(c->worker, (size_t)tail->left) : 0;
    size_t want = *n + share;
    ssize_t done;

    if (want > 0) {
        done = write_bytes(c, *bytes, *n, tail, share);
        svl_share_return(c->worker, share, done > (ssize_t)*n ? (size_t)done - *n : 0);
        if (done == -EAGAIN)
            return 0;
        if (done < 0)
            return (int)done;
        c->written += (uint64_t)done;
        advance((size_t)done, bytes, n, tail);
        if ((size_t)done < want || (more && tail->left > 0))
            return 0;
    }
    return file ? send_file(c, tail) : 1;
}

/* For the peer, or for the disk. A mask that also has what is no longer wanted is left as it is. */
static void wait_to_write(struct svl_conn *c)
{
    if (c->prefetch)
        watch(c, c->wanted & ~SVL_WATCH_WRITE);
    else if (c->watching & SVL_WATCH_WRITE)
        c->wanted |= SVL_WATCH_WRITE;
    else
        watch(c, c->wanted | SVL_WATCH_WRITE);
}

static enum svl_flush flush_out(struct svl_conn *c)
{
    struct svl_out *out = c->out;
    const char *bytes = out->chunk->bytes + out->at;
    size_t n = out->chunk->len - out->at;
    int sent = has_changed(out) ? -EIO : send_all(c, &bytes, &n, &out->tail);

    out->at = out->chunk->len - n;
    if (sent == 1 && has_changed(out)) { /* all of it is on its way, of two versions maybe */
        c->transport->discard(c);
        sent = -EIO;
    }
    if (sent < 0)
        c->unsent = out->tail.kind == SVL_TAIL_NONE ? 0 : out->tail.left;
    if (sent != 0)
        drop_out(c);
    if (sent != 0)
        return sent < 0 ? SVL_GONE : SVL_FLUSHED;
    wait_to_write(c);
    return SVL_BLOCKED;
}

static enum svl_flush flush_gather(struct svl_conn *c, struct svl_gather *g)
{
    const char *bytes = g->bytes;
    size_t n = g->len;
    struct svl_tail tail = g->tail;
    struct svl_out *out;
    int sent = send_all(c, &bytes, &n, &tail);

    gather_reset(g);
    if (svl_likely(sent == 1))
        return SVL_FLUSHED;
    if (sent < 0) {
        c->unsent = tail.kind == SVL_TAIL_NONE ? 0 : tail.left;
        return SVL_GONE;
    }
    out = make_out(c, n);
    memcpy(out->chunk->bytes, bytes, n);
    out->chunk->len = n;
    out->tail = tail;
    note_version(out);
    wait_to_write(c);
    return SVL_BLOCKED;
}

/* Does not close what has failed: that would call the protocol, which may be in the middle of
 * adding an answer. */
static enum svl_flush flush(struct svl_conn *c)
{
    struct svl_gather *g = &c->worker->gather;
    enum svl_flush result = SVL_FLUSHED;

    if (c->broken) {
        if (g->owner == c)
            gather_reset(g);
        return SVL_GONE;
    }
    if (c->out)
        result = flush_out(c);
    else if (g->owner == c)
        result = flush_gather(c, g);
    c->broken = result == SVL_GONE;
    return result;
}

enum svl_flush svl_conn_flush(struct svl_conn *c)
{
    enum svl_flush result = c->closed ? SVL_GONE : flush(c);

    if (result == SVL_GONE)
        svl_conn_close(c);
    return result;
}

uint64_t svl_conn_delivered(struct svl_conn *c)
{
    size_t waits = c->transport->unread ? c->transport->unread(c) : 0;

    return waits < c->written ? c->written - waits : 0;
}

void svl_conn_yield(struct svl_conn *c)
{
    SVL_ASSERT(!c->out);
    make_out(c, 0);
    watch(c, c->wanted | SVL_WATCH_WRITE);
}
