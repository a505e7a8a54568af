/* Server-sent events: their text, and the stream that carries it. */
#include "run/stream.h"

#include "base/check.h"
#include "serval/error.h"

#include <stdio.h>

#define KEEP_ALIVE_MS 15000

static bool one_line(svl_str s)
{
    return svl_str_find(s, '\n') == s.n && svl_str_find(s, '\r') == s.n &&
           svl_str_find(s, '\0') == s.n;
}

static char *put(char *to, svl_str s)
{
    if (s.n)
        memcpy(to, s.p, s.n);
    return to + s.n;
}

static char *put_field(char *to, svl_str name, svl_str value)
{
    return put(put(put(to, name), value), SVL_STR("\n"));
}

/* CRLF, CR and LF all end a line for the client, which joins them by LF. */
static char *put_data(char *to, svl_str data)
{
    size_t n = 0;

    while (n < data.n) {
        if (data.p[n] != '\n' && data.p[n] != '\r') {
            n++;
            continue;
        }
        to = put_field(to, SVL_STR("data: "), svl_str_head(data, n));
        n += data.p[n] == '\r' && n + 1 < data.n && data.p[n + 1] == '\n' ? 2 : 1;
        data = svl_str_from(data, n);
        n = 0;
    }
    return put_field(to, SVL_STR("data: "), data);
}

size_t svl_event_bound(const struct svl_event *e)
{
    size_t lines = 1;

    if (!one_line(e->name) || !one_line(e->id))
        return 0;
    for (size_t i = 0; i < e->data.n; i++)
        lines += e->data.p[i] == '\n' || e->data.p[i] == '\r';
    return e->data.n + 7 * lines + e->name.n + e->id.n + 64;
}

size_t svl_event_put(char *to, const struct svl_event *e)
{
    char *begin = to;

    if (e->retry_ms)
        to += sprintf(to, "retry: %u\n", e->retry_ms);
    if (e->id.n)
        to = put_field(to, SVL_STR("id: "), e->id);
    if (e->name.n)
        to = put_field(to, SVL_STR("event: "), e->name);
    if (e->data.n || e->name.n)
        to = put_data(to, e->data);
    to = put(to, SVL_STR("\n"));
    return (size_t)(to - begin);
}

/* A stream that is full needs no sign of life. */
static void stay_alive(struct svl_ctx *ctx, void *arg)
{
    struct svl_stream *stream = arg;

    (void)ctx;
    if (svl_stream_write(stream, SVL_STR(":\n\n")) == SVL_ELIMIT)
        svl_alarm_set(stream->keep_alive, stream->keep_alive_ms);
}

struct svl_stream *svl_events_open(struct svl_ctx *ctx, svl_stream_fn *on_gone, void *arg,
                                   unsigned keep_alive_ms)
{
    struct svl_stream *stream = svl_stream_open(ctx, NULL, on_gone, arg);

    svl_content_type(ctx, SVL_STR("text/event-stream"));
    svl_header_set_static(ctx, SVL_H_CACHE_CONTROL, SVL_STR("no-store"));
    svl_header_set_name(ctx, SVL_STR("X-Accel-Buffering"), SVL_STR("no")); /* proxies */
    if (keep_alive_ms == SVL_NEVER)
        return stream;
    stream->keep_alive_ms = keep_alive_ms ? keep_alive_ms : KEEP_ALIVE_MS;
    stream->keep_alive = svl_alarm_new(ctx, stay_alive, stream);
    svl_alarm_set(stream->keep_alive, stream->keep_alive_ms);
    return stream;
}

int svl_events_send(struct svl_stream *stream, const struct svl_event *event)
{
    size_t room = svl_event_bound(event);
    struct svl_chunk *chunk;
    int err;

    if (room == 0)
        return SVL_ESYNTAX;
    chunk = svl_chunk_new(&stream->ctx->worker->chunks, room);
    chunk->len = svl_event_put(chunk->bytes, event);
    err = svl_stream_write(stream, (svl_str){chunk->bytes, chunk->len});
    svl_chunk_unref(chunk);
    return err;
}

svl_str svl_events_last_id(const struct svl_ctx *ctx)
{
    return svl_header(ctx, SVL_H_LAST_EVENT_ID);
}
