/* Channels: one message to many streams and long polls. A message is made once, copied once for
 * each worker that has listeners, and lies there in one chunk that all their streams point at. */
#include "base/check.h"
#include "run/exchange.h"
#include "run/stream.h"
#include "serval/error.h"

#include <pthread.h>
#include <stdlib.h>

/* The listeners of one worker, whose thread alone touches the lists. */
struct local {
    struct local *next;
    struct svl_channel *channel;
    struct svl_worker *worker;
    struct svl_list streams; /* svl_stream::link */
    struct svl_list waiters; /* waiter::link, longest first */
};

struct svl_channel {
    enum svl_slow slow;
    pthread_mutex_t lock; /* of the list of locals, which only grows */
    struct local *locals;
};

/* What is published, on its way to the workers. */
struct message {
    atomic_uint refs;
    size_t n;
    char bytes[];
};

struct letter {
    struct svl_mail mail;
    struct local *to;
    struct message *message;
};

struct waiter {
    struct svl_list link;
    struct svl_ctx *ctx;
    struct svl_alarm *alarm;
    svl_message_fn *answer;
    void *arg;
    svl_str message; /* valid while answer() is asked */
};

struct svl_channel *svl_channel_new(enum svl_slow slow)
{
    struct svl_channel *channel = svl_calloc(sizeof *channel);

    channel->slow = slow;
    pthread_mutex_init(&channel->lock, NULL);
    return channel;
}

void svl_channel_free(struct svl_channel *channel)
{
    if (!channel)
        return;
    while (channel->locals) {
        struct local *local = channel->locals;

        SVL_MISUSE_IF(!svl_list_empty(&local->streams) || !svl_list_empty(&local->waiters),
                      "svl_channel_free: close the server first");
        channel->locals = local->next;
        free(local);
    }
    pthread_mutex_destroy(&channel->lock);
    free(channel);
}

static struct local *local_of(struct svl_channel *channel, struct svl_worker *w)
{
    struct local *local;

    pthread_mutex_lock(&channel->lock);
    for (local = channel->locals; local && local->worker != w;)
        local = local->next;
    if (!local) {
        local = svl_calloc(sizeof *local);
        local->channel = channel;
        local->worker = w;
        svl_list_init(&local->streams);
        svl_list_init(&local->waiters);
        local->next = channel->locals;
        channel->locals = local;
    }
    pthread_mutex_unlock(&channel->lock);
    return local;
}

void svl_channel_join(struct svl_channel *channel, struct svl_stream *stream)
{
    struct local *local = local_of(channel, stream->ctx->worker);

    svl_list_remove(&stream->link);
    if (!stream->ended && !stream->aborted)
        svl_list_append(&local->streams, &stream->link);
}

/* Arriving --------------------------------------------------------------------------------- */

static void to_streams(struct local *local, struct svl_chunk *chunk)
{
    struct svl_list *at = local->streams.next;

    while (at != &local->streams) {
        struct svl_stream *stream = svl_container(at, struct svl_stream, link);

        at = at->next; /* an aborted stream leaves the list */
        if (svl_stream_share(stream, chunk) == SVL_ELIMIT && local->channel->slow == SVL_SLOW_END)
            svl_stream_abort(stream);
    }
}

static enum svl_verdict ask_waiter(struct svl_ctx *ctx, void *arg)
{
    struct waiter *waiter = arg;

    return waiter->answer(ctx, waiter->message, waiter->arg);
}

/* Who waits again, for the next message, is not asked twice: it joins the list behind us. */
static void to_waiters(struct local *local, svl_str bytes)
{
    struct svl_list now;

    svl_list_init(&now);
    while (!svl_list_empty(&local->waiters)) {
        struct svl_list *first = local->waiters.next;

        svl_list_remove(first);
        svl_list_append(&now, first);
    }
    while (!svl_list_empty(&now)) {
        struct waiter *waiter = svl_container(now.next, struct waiter, link);

        svl_list_remove(&waiter->link);
        svl_alarm_stop(waiter->alarm);
        waiter->message = bytes;
        svl_resume_with(waiter->ctx, ask_waiter, waiter);
    }
}

static void message_unref(struct message *message)
{
    if (atomic_fetch_sub_explicit(&message->refs, 1, memory_order_acq_rel) == 1)
        free(message);
}

static void arrive(struct svl_mail *mail)
{
    struct letter *letter = svl_container(mail, struct letter, mail);
    struct local *local = letter->to;
    struct message *message = letter->message;

    free(letter);
    if (!svl_list_empty(&local->streams)) {
        struct svl_chunk *chunk = svl_chunk_new(&local->worker->chunks, message->n);

        memcpy(chunk->bytes, message->bytes, message->n);
        chunk->len = message->n;
        to_streams(local, chunk);
        svl_chunk_unref(chunk);
    }
    to_waiters(local, (svl_str){message->bytes, message->n});
    message_unref(message);
}

/* Publishing ------------------------------------------------------------------------------- */

static struct message *message_new(size_t room)
{
    struct message *message = svl_malloc(sizeof *message + room);

    atomic_init(&message->refs, 1);
    return message;
}

/* Takes our reference. */
static void publish(struct svl_channel *channel, struct message *message)
{
    pthread_mutex_lock(&channel->lock);
    for (struct local *local = channel->locals; local; local = local->next) {
        struct letter *letter = svl_malloc(sizeof *letter);

        letter->mail.run = arrive;
        letter->to = local;
        letter->message = message;
        atomic_fetch_add_explicit(&message->refs, 1, memory_order_relaxed);
        svl_mail_send(local->worker, &letter->mail);
    }
    pthread_mutex_unlock(&channel->lock);
    message_unref(message);
}

void svl_channel_publish(struct svl_channel *channel, svl_str bytes)
{
    struct message *message = message_new(bytes.n);

    memcpy(message->bytes, bytes.p, bytes.n);
    message->n = bytes.n;
    publish(channel, message);
}

int svl_channel_publish_event(struct svl_channel *channel, const struct svl_event *event)
{
    size_t room = svl_event_bound(event);
    struct message *message;

    if (room == 0)
        return SVL_ESYNTAX;
    message = message_new(room);
    message->n = svl_event_put(message->bytes, event);
    publish(channel, message);
    return 0;
}

/* Long polls ------------------------------------------------------------------------------- */

static void in_vain(struct svl_ctx *ctx, void *arg)
{
    struct waiter *waiter = arg;

    svl_list_remove(&waiter->link);
    svl_resume_with(ctx, ask_waiter, waiter);
}

static void left(struct svl_ctx *ctx, void *arg)
{
    struct waiter *waiter = arg;

    svl_list_remove(&waiter->link);
    svl_alarm_stop(waiter->alarm);
    svl_resume(ctx, SVL_DONE);
}

enum svl_verdict svl_channel_wait(struct svl_channel *channel, struct svl_ctx *ctx, unsigned ms,
                                  svl_message_fn *answer, void *arg)
{
    struct waiter *waiter = svl_alloc(ctx, sizeof *waiter);

    *waiter = (struct waiter){.ctx = ctx, .answer = answer, .arg = arg};
    waiter->alarm = svl_alarm_new(ctx, in_vain, waiter);
    svl_alarm_set(waiter->alarm, ms);
    svl_list_append(&local_of(channel, ctx->worker)->waiters, &waiter->link);
    svl_gone_at_eof(ctx);
    return svl_pend(ctx, left, waiter);
}
