/* Streams, what channel.c and events.c need of them. */
#ifndef SVL_RUN_STREAM_H
#define SVL_RUN_STREAM_H

#include "base/chunk.h"
#include "net/worker.h"
#include "serval/async.h"
#include "serval/stream.h"

/* Bytes [at, end) of a chunk, which many streams may share. From svl_worker::segments. */
struct svl_segment {
    struct svl_segment *next;
    struct svl_chunk *chunk;
    size_t at, end;
    bool own; /* no other stream has the chunk: more may be added to it */
};

struct svl_stream {
    struct svl_task task; /* there is something to send */
    struct svl_ctx *ctx;
    svl_stream_fn *on_room, *on_gone;
    void *arg;
    struct svl_segment *first, *last;
    size_t waiting, limit; /* bytes in segments */
    struct svl_list link;  /* of a channel's streams */
    struct svl_alarm *keep_alive;
    unsigned keep_alive_ms;
    bool ended, aborted;
    bool wants_room; /* a write has found none */
    bool pulling;    /* on_room may be on the stack: what is written is taken at once */
};

/* svl_stream_write() without a limit, for who keeps one of its own and sets wants_room. */
void svl_stream_push(struct svl_stream *stream, svl_str bytes);

/* Takes a reference of the chunk, all of whose bytes are sent. 0 or SVL_ELIMIT. */
int svl_stream_share(struct svl_stream *stream, struct svl_chunk *chunk);

/* events.c: at least as many bytes as the event's text has, 0 when it cannot be sent; the text. */
size_t svl_event_bound(const struct svl_event *event);
size_t svl_event_put(char *to, const struct svl_event *event);

#endif
