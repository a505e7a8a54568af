/* Streaming both ways: what is sent comes back in capitals while it is still being sent, however
 * much it is; a client that does not read is held back instead of filling the memory.
 *
 *     yes hello | head -c 1G | curl -sNT - http://127.0.0.1:8080/ | tail -c 30 */
#include "serval/foreground.h"
#include "serval/serval.h"

struct shout {
    struct svl_stream *stream; /* NULL once nobody reads it */
    struct svl_alarm *begin;
    char loud[65536]; /* the piece going on, which waits here for room if there is none */
    size_t n;
    bool last;
};

/* True when the piece is on its way. */
static bool say(struct shout *s)
{
    if (s->n > 0 && svl_stream_write(s->stream, (svl_str){s->loud, s->n}) != 0)
        return false;
    s->n = 0;
    if (s->last)
        svl_stream_end(s->stream);
    return true;
}

static void on_room(struct svl_stream *stream, void *arg)
{
    struct shout *s = arg;

    if (say(s))
        svl_body_continue(svl_stream_ctx(stream));
}

static void on_gone(struct svl_stream *stream, void *arg)
{
    (void)stream;
    ((struct shout *)arg)->stream = NULL;
}

static enum svl_verdict on_piece(struct svl_ctx *ctx, void *arg, svl_str piece, enum svl_piece kind)
{
    struct shout *s = arg;

    if (kind == SVL_PIECE_GONE)
        svl_alarm_stop(s->begin);
    if (kind == SVL_PIECE_GONE || !s->stream)
        return SVL_DONE;
    svl_upper(s->loud, piece);
    s->n = piece.n;
    s->last = kind == SVL_PIECE_LAST;
    if (!say(s))
        svl_body_pause(ctx);
    return SVL_PENDING;
}

/* The answer begins before the body has ended. */
static void begin(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_resume(ctx, SVL_DONE);
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    struct shout *s = svl_alloc(ctx, sizeof *s);

    (void)self;
    svl_status(ctx, 200);
    svl_content_type(ctx, SVL_STR("text/plain"));
    s->stream = svl_stream_open(ctx, on_room, on_gone, s);
    s->begin = svl_alarm_new(ctx, begin, NULL);
    svl_alarm_set(s->begin, 0);
    return svl_stream_body(ctx, on_piece, s);
}

static const struct svl_module shout = {.name = "shout", .on_request = on_request};

int main(int argc, char **argv)
{
    struct svl_use chain[] = {{&shout, NULL}, SVL_USE_END};
    struct svl_server_config config = {.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"},
                                       .chain = chain};
    struct svl_server *server;

    if (svl_server_open(&server, &config))
        return 3;
    svl_server_foreground(server, &(struct svl_foreground){.title = "shout"});
    svl_server_close(server);
    return 0;
}
