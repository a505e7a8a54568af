#include "run/h1.h"

#include "base/check.h"
#include "net/crowd.h"
#include "net/pace.h"
#include "run/raw.h"
#include "run/response.h"
#include "run/source.h"
#include "serval/error.h"

#include <errno.h>
#include <stdio.h>
#include <sys/uio.h>

#define COPY_MAX                                                                                   \
    16384 /* bodies up to this are gathered, larger ones are sent from where they are */
#define DRAIN_MAX 65536    /* bytes of an unwanted body that are read to keep the connection */
#define LINGER_MAX 1048576 /* bytes that are read and dropped after the last answer */

/* A connection's state.
 *
 * Bytes that were read and not yet parsed are [at, at + left), in `chunk`. A head that is not
 * complete lies in `chunk` from `begin` on. While x is with a module or its answer is blocked,
 * nothing behind it is parsed. */
struct h1 {
    struct svl_wire wire; /* first */
    struct svl_exchange *x;
    struct svl_chunk *chunk;
    char *begin, *at;
    const struct svl_raw_events *raw; /* takes over when the answer is out */
    void *raw_arg;
    uint32_t left;
    uint32_t requests;
    uint32_t lingered;
    bool busy : 1;      /* in process(): who queues an answer need not flush */
    bool closing : 1;   /* the last answer was given */
    bool unread : 1;    /* the client may still be sending: close gently */
    bool lingering : 1; /* only waiting for the client to close */
    bool stopping : 1;  /* the server stops */
    bool pulling : 1;   /* x's body comes from its source */
    bool head_timed : 1;
    bool continued : 1; /* 100 was sent */
    bool kicked : 1;    /* the timer stands for "go on" */
    bool active : 1;    /* as on_state was told last */
    bool waiting : 1;   /* for the client, since pace.since */
    unsigned paced : 2; /* enum paced: what the pace is of */
    struct svl_pace pace;
};

enum paced { PACE_NONE, PACE_BODY, PACE_WRITE };

_Static_assert(sizeof(struct h1) <= SVL_CONN_STATE, "state of a connection");

static void process(struct svl_conn *c, const char *data, size_t n, bool own);
static void go_on(struct svl_conn *c);

static struct h1 *h1_of(struct svl_conn *c)
{
    return (struct h1 *)c->state;
}

static struct svl_conn *conn_of(struct svl_wire *wire)
{
    return svl_container(wire, struct svl_conn, state);
}

static const struct svl_service *service(const struct svl_conn *c)
{
    return c->worker->service;
}

static void tell(struct svl_conn *c, enum svl_connection_state state)
{
    const struct svl_service *s = service(c);
    struct svl_connection connection = {c->id, c->peer, h1_of(c)->requests, c->worker};

    if (!s->on_state)
        return;
    h1_of(c)->active = state == SVL_CONNECTION_ACTIVE;
    s->on_state(state, &connection, s->hook_arg);
}

/* Answering -------------------------------------------------------------------------------- */

/* The answer, or what is left to read of the request, is over: maybe both. Frees x then. */
static void finish_if_over(struct h1 *h)
{
    struct svl_exchange *x = h->x;

    if (!x->sent || !(x->received || h->closing))
        return;
    h->raw = x->raw;
    h->raw_arg = x->raw_arg;
    x->raw = NULL;
    h->x = NULL;
    svl_exchange_sent(x);
}

/* An unwanted body is read if little is left of it, else the connection ends: its bytes must
 * never be taken for a request. */
static bool worth_draining(const struct h1 *h, const struct svl_exchange *x)
{
    int64_t length = x->pub.req.content_length;

    if (x->lender || (x->parser.expects_continue && !h->continued))
        return false;
    return length < 0 || length - (int64_t)x->parser.body_len <= DRAIN_MAX;
}

static bool may_keep(const struct svl_conn *c, const struct h1 *h, const struct svl_exchange *x)
{
    unsigned max = service(c)->max_requests;

    if (x->raw)
        return x->received;
    if (!x->parser.keep_alive || h->stopping || (max && h->requests >= max))
        return false;
    if (c->eof && h->left == 0)
        return false;
    return x->received || svl_exchange_streams(x) || worth_draining(h, x);
}

static void put_head(struct svl_conn *c, struct svl_exchange *x, const struct svl_framing *f,
                     svl_str body)
{
    const struct svl_preamble *preamble = svl_worker_preamble(c->worker);
    struct svl_response *res = &x->pub.res;
    char *to = svl_conn_reserve(c, svl_head_bound(res, preamble) + body.n);
    size_t n = svl_head_write(to, res, f, preamble);

    if (body.n)
        memcpy(to + n, body.p, body.n);
    svl_conn_commit(c, n + body.n);
    res->sent += body.n;
}

/* Small files go out with their head, if they are in the page cache. False = they are not, or
 * the file is shorter than announced, which the long way deals with. */
static bool put_small_file(struct svl_conn *c, struct svl_exchange *x, const struct svl_framing *f)
{
    const struct svl_preamble *preamble = svl_worker_preamble(c->worker);
    struct svl_body *body = &x->pub.res.body;
    size_t bound = svl_head_bound(&x->pub.res, preamble), n;
    char *to = svl_conn_reserve(c, bound + (size_t)body->length);
    struct iovec iov = {to + bound, (size_t)body->length};

    if (preadv2(body->fd, &iov, 1, body->offset, RWF_NOWAIT) != (ssize_t)body->length)
        return false;
    n = svl_head_write(to, &x->pub.res, f, preamble);
    memmove(to + n, to + bound, (size_t)body->length);
    svl_conn_commit(c, n + (size_t)body->length);
    x->pub.res.sent += (uint64_t)body->length;
    return true;
}

static void set_tail(struct svl_conn *c, struct svl_exchange *x)
{
    const struct svl_body *body = &x->pub.res.body;
    struct svl_tail tail = {.kind = SVL_TAIL_BYTES};

    if (body->kind == SVL_BODY_FILE) {
        tail = (struct svl_tail){.kind = SVL_TAIL_FILE,
                                 .fd = body->fd,
                                 .offset = body->offset,
                                 .left = (uint64_t)body->length};
    } else {
        tail.bytes = body->bytes.p;
        tail.left = body->bytes.n;
    }
    x->pub.res.sent += tail.left;
    svl_conn_tail(c, &tail);
}

/* The head and, where it is at hand, the body. False = the rest of the body has to follow. */
static bool put_answer(struct svl_conn *c, struct svl_exchange *x, const struct svl_framing *f)
{
    const struct svl_body *body = &x->pub.res.body;

    if (f->no_body || body->kind == SVL_BODY_NONE) {
        put_head(c, x, f, SVL_STR(""));
        return true;
    }
    if (body->kind == SVL_BODY_BYTES && body->bytes.n <= COPY_MAX) {
        put_head(c, x, f, body->bytes);
        return true;
    }
    if (body->kind == SVL_BODY_FILE && body->length <= COPY_MAX && put_small_file(c, x, f))
        return true;
    put_head(c, x, f, SVL_STR(""));
    if (body->kind == SVL_BODY_FILE && body->length == 0)
        return true;
    if (body->kind == SVL_BODY_SOURCE)
        h1_of(c)->pulling = true;
    else
        set_tail(c, x);
    return false;
}

/* Returns false when the connection has gone, and x with it. */
static bool send_rest(struct svl_conn *c, struct svl_exchange *x)
{
    enum svl_flush flushed;

    if (h1_of(c)->pulling) {
        enum svl_pumped pumped = svl_source_pump(c, x);

        if (pumped == SVL_PUMP_CLOSED)
            return false;
        x->sent = pumped == SVL_PUMP_OVER;
        h1_of(c)->pulling = !x->sent;
        return true;
    }
    flushed = svl_conn_flush(c);
    if (flushed == SVL_GONE)
        return false;
    x->sent = flushed == SVL_FLUSHED;
    return true;
}

static void h1_send(struct svl_wire *wire, struct svl_exchange *x)
{
    struct svl_conn *c = conn_of(wire);
    struct h1 *h = h1_of(c);
    struct svl_framing f;

    if (x->pub.res.status == 0)
        x->pub.res.status = 200;
    if (svl_unlikely(x->extra != NULL))
        svl_extra_prepare(x);
    f = svl_framing_of(&x->pub.req, &x->pub.res, may_keep(c, h, x));
    if (f.close) {
        h->closing = true;
        h->unread = h->unread || !x->received;
    }
    x->parser.on_body = NULL; /* what still comes of the body is dropped */
    x->sent = put_answer(c, x, &f);
    if (!x->sent && !send_rest(c, x))
        return;
    finish_if_over(h);
    if (!h->busy)
        go_on(c);
}

static void h1_more(struct svl_wire *wire, struct svl_exchange *x)
{
    struct svl_conn *c = conn_of(wire);
    struct h1 *h = h1_of(c);

    if (!h->pulling || h->busy || svl_conn_blocked(c) || !send_rest(c, x))
        return;
    finish_if_over(h);
    go_on(c);
}

static int h1_hint(struct svl_wire *wire, struct svl_exchange *x, int status)
{
    struct svl_conn *c = conn_of(wire);
    const struct svl_headers *headers = &x->pub.res.headers;
    const struct svl_header *field;
    svl_str text = svl_status_text(status);
    unsigned at = 0;
    size_t n = 32 + text.n;
    char *to;

    if (x->pub.req.minor == 0)
        return SVL_ESTATE;
    while ((field = svl_headers_next(headers, SVL_H_LINK, &at)))
        n += field->value_len + 8;
    to = svl_conn_reserve(c, n);
    n = (size_t)snprintf(to, n, "HTTP/1.1 %d %.*s\r\n", status, SVL_FMT(text));
    at = 0;
    while ((field = svl_headers_next(headers, SVL_H_LINK, &at))) {
        memcpy(to + n, "Link: ", 6);
        memcpy(to + n + 6, field->value, field->value_len);
        memcpy(to + n + 6 + field->value_len, "\r\n", 2);
        n += field->value_len + 8;
    }
    memcpy(to + n, "\r\n", 2);
    svl_conn_commit(c, n + 2);
    if (!h1_of(c)->busy && !svl_conn_blocked(c))
        svl_conn_flush(c);
    return 0;
}

static int h1_about(struct svl_wire *wire, struct svl_connection *to)
{
    struct svl_conn *c = conn_of(wire);

    *to = (struct svl_connection){c->id, c->peer, h1_of(c)->requests, c->worker};
    return c->fd;
}

/* What was answered before still goes out. */
static void h1_drop(struct svl_wire *wire)
{
    struct svl_conn *c = conn_of(wire);

    if (svl_conn_blocked(c) || svl_conn_flush(c) != SVL_GONE)
        svl_conn_close(c);
}

static void h1_replace(struct svl_wire *wire, struct svl_exchange *old, struct svl_exchange *fresh)
{
    struct h1 *h = h1_of(conn_of(wire));

    SVL_ASSERT(h->x == old);
    h->x = fresh;
}

/* Bodies in -------------------------------------------------------------------------------- */

/* Bytes of memory that the connection holds. */
static size_t held_by(struct svl_conn *c)
{
    struct h1 *h = h1_of(c);
    size_t held = svl_conn_size();

    if (h->chunk && !(h->x && (h->x->head_chunk == h->chunk || h->x->body_chunk == h->chunk)))
        held += h->chunk->cap;
    if (c->out)
        held += c->out->chunk->cap;
    return h->x ? held + svl_exchange_held(h->x) : held;
}

/* How much room what has come to n bytes gets: four times that, but no more than the connection may
 * hold. 0 = not even n. */
static size_t room_for(struct svl_conn *c, size_t n)
{
    const struct svl_limits *limits = &service(c)->limits;
    size_t most = limits->max_held ? limits->max_held - svl_held_share(limits) : SIZE_MAX;
    size_t held = held_by(c), left = held < most ? most - held : 0;

    if (left < n)
        return 0;
    return left / 4 < n ? left : 4 * n;
}

static struct svl_chunk *grow(struct svl_conn *c, struct svl_chunk *old, size_t room)
{
    struct svl_chunk *chunk = svl_chunk_new(&c->worker->chunks, room);

    if (old) {
        memcpy(chunk->bytes, old->bytes, old->len);
        chunk->len = old->len;
        svl_chunk_unref(old);
    }
    return chunk;
}

/* Memory is full: who asks again a little later may have more luck. */
static int full(struct svl_conn *c, struct svl_exchange *x)
{
    svl_tally_add(&c->worker->tally.refused, 1);
    svl_header_set(&x->pub, SVL_H_RETRY_AFTER, svl_printf(&x->pub, "%u", service(c)->retry_after));
    return 503;
}

/* A body that came in one piece is used where it lies. Another gets room for four times what has
 * come: who announces much and sends little must not hold much. */
static int collect(void *arg, const char *data, size_t n)
{
    struct svl_exchange *x = arg;
    struct svl_conn *c = conn_of(x->wire);
    struct svl_chunk *chunk = x->body_chunk;
    int64_t length = x->pub.req.content_length;
    size_t room;

    if (x->parser.body_len > x->body_limit)
        return 413;
    if (!chunk && length == (int64_t)n) {
        x->pub.req.body = (svl_str){data, n};
        x->body_here = true;
        return 0;
    }
    if (!chunk || chunk->cap - chunk->len < n) {
        if (svl_worker_is_full(c->worker))
            return full(c, x);
        room = room_for(c, (chunk ? chunk->len : 0) + n);
        if (room == 0) {
            x->parser.why = "the body needs more memory than a connection may hold";
            return 413;
        }
        if (length > 0 && room > (size_t)length)
            room = (size_t)length;
        x->body_chunk = chunk = grow(c, chunk, room);
    }
    memcpy(chunk->bytes + chunk->len, data, n);
    chunk->len += n;
    return 0;
}

/* Nothing but the place is noted while llhttp is on the stack: who takes the piece may answer. */
static int note_piece(void *arg, const char *data, size_t n)
{
    struct svl_exchange *x = arg;

    if (x->parser.body_len > x->body_limit)
        return 413;
    x->pub.req.body = (svl_str){data, n};
    return SVL_BODY_STOP;
}

static svl_str collected(const struct svl_exchange *x)
{
    if (x->body_here)
        return x->pub.req.body;
    if (x->body_chunk)
        return (svl_str){x->body_chunk->bytes, x->body_chunk->len};
    return SVL_STR("");
}

static void h1_want_body(struct svl_wire *wire, struct svl_exchange *x)
{
    struct svl_conn *c = conn_of(wire);
    struct h1 *h = h1_of(c);

    if (x->state != SVL_SENDING)
        x->parser.on_body = collect;
    x->parser.body_arg = x;
    if (x->parser.expects_continue && !h->continued && x->parser.body_len == 0) {
        static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

        memcpy(svl_conn_reserve(c, sizeof text - 1), text, sizeof text - 1);
        svl_conn_commit(c, sizeof text - 1);
        h->continued = true;
    }
    if (h->busy)
        return;
    h->kicked = true; /* a resume brought us here: go on when it has returned */
    svl_conn_deadline(c, 0);
}

static const struct svl_wire_ops ops = {
    .send = h1_send,
    .want_body = h1_want_body,
    .more = h1_more,
    .hint = h1_hint,
    .about = h1_about,
    .drop = h1_drop,
    .replace = h1_replace,
};

/* Requests in ------------------------------------------------------------------------------ */

static struct svl_exchange *open_exchange(struct svl_conn *c, struct h1 *h)
{
    const struct svl_service *s = service(c);

    if (svl_unlikely(s->on_state != NULL) && !h->active)
        tell(c, SVL_CONNECTION_ACTIVE);
    h->head_timed = h->continued = false;
    h->paced = PACE_NONE;
    return svl_exchange_open(c->worker, &h->wire, s->chain, &s->limits, &c->peer);
}

static void refuse(struct h1 *h, int status, const char *why)
{
    h->unread = true;
    svl_exchange_refuse(h->x, status, why);
}

#define HEAD_ROOM 512 /* bytes that shall be free behind what has come of a head */

/* Returns false when more bytes are needed, or nothing is parsed any more. */
static bool parse_head(struct h1 *h, const char **data, size_t *n)
{
    struct svl_exchange *x = h->x;
    size_t used;
    enum svl_parsed parsed = svl_parser_head(&x->parser, *data, *n, &used);

    *data += used;
    *n -= used;
    if (parsed == SVL_PARSE_MORE) {
        if (room_for(conn_of(x->wire), x->parser.head_len + *n + HEAD_ROOM) == 0)
            refuse(h, 431, "the head needs more memory than a connection may hold");
        return false;
    }
    if (parsed == SVL_PARSE_REFUSED) {
        refuse(h, x->parser.status, x->parser.why);
        return false;
    }
    h->requests++;
    x->received = x->parser.ended;
    svl_exchange_start(x);
    return true;
}

/* What is refused when the answer is given already is not answered, the connection just ends. */
static void body_refused(struct h1 *h, int status, const char *why)
{
    struct svl_exchange *x = h->x;

    h->unread = true;
    if (x->awaits_body) {
        svl_exchange_body_failed(x, status, why);
        return;
    }
    if (svl_exchange_streams(x))
        svl_exchange_pieces_lost(x);
    h->closing = true;
    finish_if_over(h);
}

static void body_complete(struct h1 *h)
{
    struct svl_exchange *x = h->x;

    x->received = true;
    if (!x->awaits_body) {
        if (svl_exchange_streams(x))
            svl_exchange_piece(x, SVL_STR(""), true);
        finish_if_over(h);
    } else if (x->on_piece) {
        svl_exchange_piece(x, SVL_STR(""), true);
    } else {
        svl_exchange_body(x, collected(x));
    }
}

/* As parse_head(). */
static bool parse_body(struct h1 *h, const char **data, size_t *n)
{
    struct svl_exchange *x = h->x;
    bool streams = svl_exchange_streams(x);
    enum svl_parsed parsed;
    size_t used;

    if (streams)
        x->parser.on_body = note_piece;
    else if (x->state == SVL_SENDING)
        x->parser.on_body = NULL;
    parsed = svl_parser_body(&x->parser, *data, *n, &used);
    *data += used;
    *n -= used;
    if (parsed == SVL_PARSE_REFUSED) {
        x->pub.req.body = SVL_STR_NONE;
        body_refused(h, x->parser.status, x->parser.why);
        return false;
    }
    if (streams && x->pub.req.body.p) {
        svl_str piece = x->pub.req.body;

        x->pub.req.body = SVL_STR_NONE;
        svl_exchange_piece(x, piece, false);
        if (h->x != x)
            return true;
    }
    if (parsed == SVL_PARSE_END) {
        body_complete(h);
        return true;
    }
    if (!x->sent || x->parser.body_len <= DRAIN_MAX)
        return true;
    h->unread = h->closing = true;
    finish_if_over(h);
    return false;
}

/* Whether the bytes behind the head are parsed now. */
static bool takes_body(const struct svl_exchange *x)
{
    if (x->received)
        return false;
    return x->sent || ((x->awaits_body || svl_exchange_streams(x)) && !x->body_paused);
}

/* Own memory for what must not go when this read is over: chunk[begin, at + left). */
static void keep_head(struct svl_conn *c, struct h1 *h, const char *begin, const char *at,
                      size_t left)
{
    size_t parsed = (size_t)(at - begin), n = parsed + left;
    struct svl_chunk *old = h->chunk, *chunk = old;

    if (!h->x->first_ms)
        h->x->first_ms = svl_now_ms(c->worker);
    if (!old || begin != old->bytes || old->refs > 1 || old->cap - n < HEAD_ROOM) {
        size_t room = n < 3500 ? 4000 : room_for(c, n);

        if (room <
            n + HEAD_ROOM) /* answers in front of it have begun to wait since it was parsed */
            room = n + HEAD_ROOM;
        chunk = svl_chunk_new(&c->worker->chunks, room);
        memcpy(chunk->bytes, begin, n);
        svl_parser_moved(&h->x->parser, begin, chunk->bytes);
        svl_chunk_unref(old);
        h->chunk = chunk;
    }
    chunk->len = n;
    h->begin = chunk->bytes;
    h->at = chunk->bytes + parsed;
    h->left = (uint32_t)left;
    c->read_at = chunk->bytes + n;
    c->read_room = chunk->cap - n;
}

/* x outlives this read: what its views point into must too. */
static void keep_views(struct svl_conn *c, struct h1 *h, bool own)
{
    struct svl_exchange *x = h->x;

    if (!x->in_flight && !x->lender)
        svl_tally_add(&c->worker->tally.in_flight, 1);
    x->in_flight = !x->lender;
    if (!x->head_ms)
        x->head_ms = svl_now_ms(c->worker);
    if (!x->head_chunk)
        x->head_chunk = own ? svl_chunk_ref(h->chunk) : svl_worker_pin(c->worker);
    if (x->body_here && !x->body_chunk)
        x->body_chunk = own ? svl_chunk_ref(h->chunk) : svl_worker_pin(c->worker);
}

/* What comes behind x waits where it lies. */
static void keep_rest(struct svl_conn *c, struct h1 *h, const char *at, size_t left, bool own)
{
    if (left > 0 && !own)
        h->chunk = svl_worker_pin(c->worker);
    if (left == 0 && own) {
        svl_chunk_unref(h->chunk);
        h->chunk = NULL;
    }
    h->at = (char *)at;
    h->left = (uint32_t)left;
    c->read_at = NULL;
}

static void body_is_late(struct svl_conn *c)
{
    struct h1 *h = h1_of(c);

    if (h->x->awaits_body)
        body_refused(h, 408, "the body did not arrive in time");
    else
        svl_conn_close(c); /* it is answered already */
}

static void linger_or_close(struct svl_conn *c, struct h1 *h)
{
    if (!h->unread || c->eof) {
        svl_conn_close(c);
        return;
    }
    h->lingering = true;
    c->transport->shutdown(c);
    svl_conn_read(c, true);
    svl_conn_deadline(c, service(c)->linger_ms);
}

/* The connection is somebody else's from now on, and so are the bytes behind the request. */
static void hand_over(struct svl_conn *c, struct h1 *h)
{
    const struct svl_raw_events *events = h->raw;
    struct svl_chunk *chunk = h->chunk;
    void *arg = h->raw_arg;
    svl_str rest = {h->at, h->left};

    h->raw = NULL;
    tell(c, SVL_CONNECTION_HIJACKED);
    svl_raw_begin(c, events, arg, rest);
    svl_chunk_unref(chunk);
}

/* Waits for the client, who has `ms` to do something and must move `rate` bytes per second on the
 * whole. Returns false when it did not: then nobody waits. */
static bool wait_for_client(struct svl_conn *c, enum paced of, unsigned ms, unsigned rate)
{
    struct h1 *h = h1_of(c);
    bool fresh = h->paced != of;
    uint64_t moved;

    if (fresh || h->pace.waited >= ms) {
        moved = of == PACE_BODY ? h->x->parser.body_len : svl_conn_delivered(c);
        if (!fresh && svl_pace_is_slow(&h->pace, moved, rate))
            return false;
        svl_pace_begin(&h->pace, moved);
    }
    h->paced = of;
    h->waiting = true;
    svl_pace_wait(&h->pace, svl_now_ms(c->worker));
    svl_conn_deadline(c, ms);
    return true;
}

static void stop_waiting(struct svl_conn *c, struct h1 *h)
{
    if (!h->waiting)
        return;
    h->waiting = false;
    svl_pace_waited(&h->pace, svl_now_ms(c->worker));
}

static void wait_for_reading(struct svl_conn *c)
{
    const struct svl_service *s = service(c);

    svl_conn_read(c, false);
    if (c->prefetch)
        svl_conn_deadline(c, s->write_ms);
    else if (!wait_for_client(c, PACE_WRITE, s->write_ms, s->min_write_rate))
        svl_conn_close(c);
}

static void wait_for_body(struct svl_conn *c)
{
    const struct svl_service *s = service(c);

    svl_conn_read(c, true);
    if (!wait_for_client(c, PACE_BODY, s->body_ms, s->min_body_rate))
        body_is_late(c);
}

/* What is waited for, and how long. */
static void settle(struct svl_conn *c, struct h1 *h)
{
    const struct svl_service *s = service(c);
    struct svl_exchange *x = h->x;

    stop_waiting(c, h);
    if (svl_unlikely(h->raw != NULL) && !svl_conn_blocked(c) && !h->closing) {
        hand_over(c, h);
        return;
    }
    if (svl_conn_blocked(c)) {
        wait_for_reading(c);
    } else if (h->closing && !x) {
        linger_or_close(c, h);
    } else if ((!x || x->state == SVL_READING) && (c->eof || (!x && h->stopping))) {
        svl_conn_close(c);
    } else if (!x) {
        if (svl_unlikely(h->active))
            tell(c, SVL_CONNECTION_IDLE);
        svl_conn_read(c, true);
        svl_conn_deadline(c, s->idle_ms);
    } else if (x->state == SVL_READING) {
        svl_conn_read(c, true);
        if (!h->head_timed)
            svl_conn_deadline(c, s->header_ms);
        h->head_timed = true;
    } else if (takes_body(x)) {
        wait_for_body(c);
    } else if (x->gone_at_eof && c->eof) {
        svl_conn_close(c);
    } else {
        svl_conn_read(c, x->gone_at_eof && h->left == 0);
        svl_timer_clear(&c->timer);
    }
}

/* The last answer was given, and nobody wants the rest of its request. */
static bool parses_no_more(const struct h1 *h)
{
    return h->closing && !(h->x && svl_exchange_streams(h->x));
}

static void process(struct svl_conn *c, const char *data, size_t n, bool own)
{
    struct h1 *h = h1_of(c);
    const char *begin = own && h->x && h->x->state == SVL_READING ? h->begin : data;
    uint32_t requests = h->requests;
    unsigned share = SVL_SHARE_REQUESTS;

    h->busy = true;
    while (n > 0 && !parses_no_more(h) && !h->raw && !svl_conn_blocked(c)) {
        bool more;

        if (!h->x) {
            if (svl_unlikely(share == 0) && (share = svl_share_requests(c->worker)) == 0)
                break;
            share--;
            begin = data;
            h->x = open_exchange(c, h);
            if (svl_unlikely(svl_worker_is_full(c->worker))) {
                refuse(h, full(c, h->x), NULL);
                break;
            }
        }
        if (h->x->state == SVL_READING)
            more = parse_head(h, &data, &n);
        else if (takes_body(h->x))
            more = parse_body(h, &data, &n);
        else
            break;
        if (c->closed || !more)
            break;
    }
    svl_tally_add(&c->worker->tally.requests, h->requests - requests);
    if (c->closed)
        return;
    h->busy = false;
    if (n > 0 && parses_no_more(h)) {
        h->unread = true;
        n = 0;
    }
    if (!svl_conn_blocked(c) && svl_conn_flush(c) == SVL_GONE)
        return;
    if (h->x && h->x->state == SVL_READING) {
        keep_head(c, h, begin, data, n);
    } else {
        if (h->x)
            keep_views(c, h, own);
        keep_rest(c, h, data, n, own);
        if (svl_unlikely(share == 0) && n > 0 && !h->x && !svl_conn_blocked(c))
            svl_conn_yield(c);
    }
    settle(c, h);
}

/* What was in the way is over: parse what waits, or wait for more. */
static void go_on(struct svl_conn *c)
{
    struct h1 *h = h1_of(c);

    /* A connection that gave others a turn is blocked too: a flush would end that. */
    if (!svl_conn_blocked(c) && svl_conn_flush(c) == SVL_GONE)
        return;
    if (h->left > 0)
        process(c, h->at, h->left, true);
    else
        settle(c, h);
}

/* One too many is answered before it asks: it must not hold its place for as long as it likes. What
 * it sends meanwhile is dropped, so that the answer is not lost to a reset. */
static void count_in(struct svl_conn *c, struct h1 *h)
{
    c->crowded = svl_crowd_enter(c->worker->crowd, &c->peer);
    if (c->crowded)
        return;
    svl_tally_add(&c->worker->tally.refused, 1);
    h->x = open_exchange(c, h);
    refuse(h, 429, "too many connections from this address");
}

static void on_open(struct svl_conn *c)
{
    struct h1 *h = h1_of(c);

    if (svl_unlikely(service(c)->on_accept != NULL) &&
        !service(c)->on_accept(&c->peer, service(c)->hook_arg)) {
        svl_conn_close(c);
        return;
    }
    h->wire.ops = &ops;
    tell(c, SVL_CONNECTION_NEW);
    svl_conn_deadline(c, service(c)->header_ms);
    if (svl_unlikely(c->worker->crowd != NULL))
        count_in(c, h);
}

static void on_data(struct svl_conn *c, const char *data, size_t n)
{
    struct h1 *h = h1_of(c);

    if (h->lingering) {
        h->lingered += (uint32_t)n;
        if (h->lingered > LINGER_MAX)
            svl_conn_close(c);
        return;
    }
    if (!h->chunk) {
        process(c, data, n, false);
        return;
    }
    h->chunk->len += n;
    process(c, h->at, h->left + n, true);
}

static void on_eof(struct svl_conn *c)
{
    struct h1 *h = h1_of(c);
    struct svl_exchange *x = h->x;

    /* A message that will never be complete cannot be answered; a complete one is. */
    if (svl_conn_blocked(c))
        return;
    if (!x || h->lingering || x->state == SVL_READING || takes_body(x) || x->gone_at_eof)
        svl_conn_close(c);
}

static void on_drained(struct svl_conn *c)
{
    struct h1 *h = h1_of(c);
    struct svl_exchange *x = h->x;

    if (x && x->state == SVL_SENDING && !x->sent) {
        if (!send_rest(c, x))
            return;
        finish_if_over(h);
    }
    go_on(c);
}

static void on_timer(struct svl_conn *c)
{
    struct h1 *h = h1_of(c);
    struct svl_exchange *x = h->x;

    if (h->kicked) {
        h->kicked = false;
        go_on(c);
    } else if (svl_conn_blocked(c)) {
        settle(c, h);
    } else if (x && x->state == SVL_READING && svl_parser_started(&x->parser)) {
        refuse(h, 408, "the request did not arrive in time");
    } else if (x && takes_body(x)) {
        body_is_late(c);
    } else {
        svl_conn_close(c);
    }
}

static void on_stop(struct svl_conn *c)
{
    struct h1 *h = h1_of(c);

    h->stopping = true;
    if (svl_conn_blocked(c))
        return;
    if (!h->x || (h->x->state == SVL_READING && !svl_parser_started(&h->x->parser)))
        svl_conn_close(c);
}

static void on_gone(struct svl_conn *c)
{
    struct h1 *h = h1_of(c);
    struct svl_exchange *x = h->x;

    h->x = NULL;
    svl_chunk_unref(h->chunk);
    h->chunk = NULL;
    if (h->wire.ops)
        tell(c, SVL_CONNECTION_CLOSED);
    if (h->raw && h->raw->on_gone)
        h->raw->on_gone(NULL, h->raw_arg);
    if (!x)
        return;
    if (x->state == SVL_SENDING && !x->sent)
        x->pub.res.sent -= svl_conn_unsent(c);
    svl_exchange_abandon(x);
}

const struct svl_protocol svl_h1 = {
    .name = "http/1.1",
    .on_open = on_open,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_timer = on_timer,
    .on_stop = on_stop,
    .on_gone = on_gone,
};
