/* Streams: answers that are written bit by bit, as long as the client listens; server-sent events;
 * channels that bring one message to many streams and long polls. docs/async.md shows examples. */
#ifndef SVL_STREAM_H
#define SVL_STREAM_H

#include "serval/ctx.h"

/* A stream lives on the loop thread of its ctx. It is valid until on_gone has been called or
 * svl_stream_end() or svl_stream_abort() was. */
struct svl_stream;
typedef void svl_stream_fn(struct svl_stream *stream, void *arg);

/* In a hook, which then returns SVL_DONE: the body of the answer will be what is written.
 * on_room is called when there is room again after a write has found none. on_gone is called once
 * if it ends before svl_stream_end(): the client has left or is too slow (write_ms), the server
 * closes, or the answer has no body (HEAD); nothing can be written then. Both may be NULL.
 * A client that sends no more counts as gone, see svl_gone_at_eof(). */
struct svl_stream *svl_stream_open(struct svl_ctx *ctx, svl_stream_fn *on_room,
                                   svl_stream_fn *on_gone, void *arg);

/* Takes a copy of all of it or, when more than the limit would be waiting for the client, nothing
 * and returns SVL_ELIMIT. What was written in one round of the loop leaves at its end, together:
 * there is nothing to flush, and no write frees the stream. */
int svl_stream_write(struct svl_stream *stream, svl_str bytes);

/* How many bytes may wait for the client; 64 KiB at first, and never more than a quarter of
 * max_connection_memory. One larger write is fine when none do. */
void svl_stream_limit(struct svl_stream *stream, size_t bytes);

/* What was written is the whole body. / It will never be complete: the connection closes, so that
 * the client sees that. */
void svl_stream_end(struct svl_stream *stream);
void svl_stream_abort(struct svl_stream *stream);

struct svl_ctx *svl_stream_ctx(struct svl_stream *stream);

/* From now on a client that has closed its sending side counts as gone, so that who waits for a
 * long time is told at once. Otherwise it may still be reading (RFC 9112 9.6), and that it has
 * left is noticed when something is written to it. */
void svl_gone_at_eof(struct svl_ctx *ctx);

/* Server-sent events (HTML Living Standard 9.2) ---------------------------------------------*/

/* Empty texts are left out. id and name hold no line ends; data may: it arrives the same. */
struct svl_event {
    svl_str data, name, id;
    unsigned retry_ms; /* how long the client waits before it comes back; 0 = not said */
};

/* The same as svl_stream_open() for a text/event-stream. Every keep_alive_ms without an event a
 * comment is sent, which finds out whether the client is there; 0 = 15 s, SVL_NEVER = none. */
struct svl_stream *svl_events_open(struct svl_ctx *ctx, svl_stream_fn *on_gone, void *arg,
                                   unsigned keep_alive_ms);

/* 0, SVL_ELIMIT as svl_stream_write(), or SVL_ESYNTAX when id or name cannot be sent. */
int svl_events_send(struct svl_stream *stream, const struct svl_event *event);

/* The id of the last event that a client which comes back has seen; p is NULL at its first time. */
svl_str svl_events_last_id(const struct svl_ctx *ctx);

/* Channels ----------------------------------------------------------------------------------
 *
 * One message to all who listen, on all workers. Make them before the server starts, free them
 * when it is closed. */
struct svl_channel;

enum svl_slow {
    SVL_SLOW_END,  /* a stream without room for a message is aborted: the client comes back */
    SVL_SLOW_DROP, /* it misses the message */
};

struct svl_channel *svl_channel_new(enum svl_slow slow);
void svl_channel_free(struct svl_channel *channel);

/* Loop thread of the stream, which leaves by itself when it ends. One channel at a time. */
void svl_channel_join(struct svl_channel *channel, struct svl_stream *stream);

/* Any thread, while the servers of the listeners are open. The bytes are copied once per worker,
 * not once per stream. Messages of one thread arrive in its order. */
void svl_channel_publish(struct svl_channel *channel, svl_str bytes);
int svl_channel_publish_event(struct svl_channel *channel, const struct svl_event *event);

/* Long poll: `return svl_channel_wait(...)` in a hook. answer(ctx, message, arg) is asked as a hook
 * when the next message comes; after ms without one, message.p is NULL. The bytes are valid during
 * the call. Not asked when the client has left. */
typedef enum svl_verdict svl_message_fn(struct svl_ctx *ctx, svl_str message, void *arg);
enum svl_verdict svl_channel_wait(struct svl_channel *channel, struct svl_ctx *ctx, unsigned ms,
                                  svl_message_fn *answer, void *arg);

#endif
