/* Streams: bodies that are written bit by bit, on top of pull sources. What is written waits in
 * segments and leaves when the loop comes round, so that no write can end the stream that is written
 * to, and what belongs together leaves together. */
#include "run/stream.h"

#include "base/check.h"
#include "run/exchange.h"
#include "serval/error.h"

#include <errno.h>

#define LIMIT 65536
#define SMALL                                                                                      \
    1024 /* less is copied when a client is slow, rather than held in chunks of their own */

static bool has_room(const struct svl_stream *s, size_t n)
{
    return s->waiting == 0 || s->waiting + n <= s->limit;
}

/* Something has changed: the connection asks when the loop comes round. */
static void touch(struct svl_stream *s)
{
    if (!s->pulling)
        svl_worker_later(s->ctx->worker, &s->task);
}

static void on_turn(struct svl_task *task)
{
    svl_body_more(svl_container(task, struct svl_stream, task)->ctx); /* may end it: last use */
}

static void drop_first(struct svl_stream *s)
{
    struct svl_segment *segment = s->first;

    s->first = segment->next;
    if (!s->first)
        s->last = NULL;
    svl_chunk_unref(segment->chunk);
    svl_pool_put(&s->ctx->worker->segments, segment);
}

static struct svl_segment *add_segment(struct svl_stream *s, struct svl_chunk *chunk, bool own)
{
    struct svl_segment *segment = svl_pool_get(&s->ctx->worker->segments);

    *segment = (struct svl_segment){.chunk = chunk, .end = chunk->len, .own = own};
    if (s->last)
        s->last->next = segment;
    else
        s->first = segment;
    s->last = segment;
    return segment;
}

static size_t take(struct svl_stream *s, char *to, size_t room)
{
    size_t done = 0;

    while (s->first && done < room) {
        struct svl_segment *segment = s->first;
        size_t n = segment->end - segment->at;

        if (n > room - done)
            n = room - done;
        memcpy(to + done, segment->chunk->bytes + segment->at, n);
        segment->at += n;
        done += n;
        if (segment->at == segment->end)
            drop_first(s);
    }
    s->waiting -= done;
    return done;
}

static void ask_for_more(struct svl_stream *s)
{
    s->wants_room = false;
    s->pulling = true;
    s->on_room(s, s->arg);
    s->pulling = false;
}

static ssize_t pull(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    struct svl_stream *s = arg;
    size_t n;

    (void)ctx;
    if (s->aborted)
        return -ECANCELED;
    n = take(s, to, room);
    if (s->wants_room && !s->ended && s->on_room && s->waiting <= s->limit / 2) {
        ask_for_more(s);
        if (n == 0)
            n = take(s, to, room);
    }
    if (n > 0)
        return (ssize_t)n;
    if (s->aborted)
        return -ECANCELED;
    return s->ended ? 0 : -EAGAIN;
}

static void over(void *arg)
{
    struct svl_stream *s = arg;

    s->pulling = true; /* nothing is sent any more */
    svl_list_remove(&s->task.link);
    svl_list_remove(&s->link);
    while (s->first)
        drop_first(s);
    if (!s->ended && !s->aborted && s->on_gone) {
        s->ended = true; /* writes in on_gone go nowhere */
        s->on_gone(s, s->arg);
    }
}

struct svl_stream *svl_stream_open(struct svl_ctx *ctx, svl_stream_fn *on_room,
                                   svl_stream_fn *on_gone, void *arg)
{
    struct svl_stream *s = svl_alloc(ctx, sizeof *s);

    *s = (struct svl_stream){
        .task.run = on_turn,
        .ctx = ctx,
        .on_room = on_room,
        .on_gone = on_gone,
        .arg = arg,
    };
    svl_stream_limit(s, LIMIT);
    svl_on_free(ctx, over, s);
    svl_gone_at_eof(ctx);
    svl_body_source(ctx, pull, s, -1);
    return s;
}

static bool writable(struct svl_stream *s, size_t n)
{
    if (has_room(s, n))
        return true;
    s->wants_room = true;
    return false;
}

static void written(struct svl_stream *s, size_t n)
{
    s->waiting += n;
    if (s->keep_alive)
        svl_alarm_set(s->keep_alive, s->keep_alive_ms);
    touch(s);
}

void svl_stream_push(struct svl_stream *s, svl_str bytes)
{
    struct svl_segment *segment = s->last;
    struct svl_chunk *chunk;

    if (s->ended || s->aborted || bytes.n == 0)
        return;
    if (!segment || !segment->own || segment->chunk->cap - segment->chunk->len < bytes.n)
        segment = add_segment(s, svl_chunk_new(&s->ctx->worker->chunks, bytes.n), true);
    chunk = segment->chunk;
    memcpy(chunk->bytes + chunk->len, bytes.p, bytes.n);
    chunk->len += bytes.n;
    segment->end = chunk->len;
    written(s, bytes.n);
}

int svl_stream_write(struct svl_stream *s, svl_str bytes)
{
    if (s->ended || s->aborted)
        return SVL_EGONE;
    if (bytes.n > 0 && !writable(s, bytes.n))
        return SVL_ELIMIT;
    svl_stream_push(s, bytes);
    return 0;
}

int svl_stream_share(struct svl_stream *s, struct svl_chunk *chunk)
{
    if (s->ended || s->aborted)
        return SVL_EGONE;
    if (s->waiting > 0 && chunk->len < SMALL)
        return svl_stream_write(s, (svl_str){chunk->bytes, chunk->len});
    if (!writable(s, chunk->len))
        return SVL_ELIMIT;
    add_segment(s, svl_chunk_ref(chunk), false);
    written(s, chunk->len);
    return 0;
}

void svl_stream_limit(struct svl_stream *s, size_t bytes)
{
    size_t most = svl_held_share(svl_exchange_of(s->ctx)->parser.limits);

    s->limit = bytes < most ? bytes : most;
}

static void close_now(struct svl_stream *s)
{
    if (s->keep_alive)
        svl_alarm_stop(s->keep_alive);
    svl_list_remove(&s->link);
    touch(s);
}

void svl_stream_end(struct svl_stream *s)
{
    s->ended = true;
    close_now(s);
}

void svl_stream_abort(struct svl_stream *s)
{
    s->aborted = true;
    close_now(s);
}

struct svl_ctx *svl_stream_ctx(struct svl_stream *s)
{
    return s->ctx;
}

void svl_gone_at_eof(struct svl_ctx *ctx)
{
    svl_exchange_of(ctx)->gone_at_eof = true;
}
