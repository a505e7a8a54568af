/* Connections of a client: requests go out in order, their responses come back in that order, and a
 * connection about which there is any doubt serves nobody else. */
#include "run/client.h"

#include "base/check.h"
#include "http/write.h"
#include "serval/decode.h"
#include "serval/error.h"

#include <errno.h>
#include <stdlib.h>

#define COPIED 16384         /* request bodies up to this size are gathered with their head */
#define PIECE 16384          /* of a streamed request body */
#define PIECES_PER_TURN 64   /* then others have a turn */
#define MAX_INTERIM 32       /* responses before the final one */
#define DROPPED 65536        /* bytes of a body that nobody wants; above it the connection goes */
#define CHUNK_OVERHEAD 16384 /* of chunk extensions and trailers */
#define FIRST_HEAD 4000      /* room for a head that comes in pieces */

static unsigned io_ms(const struct svl_wire_state *wire)
{
    return wire->host->agent->client->config.io_ms;
}

static struct svl_call *first_call(struct svl_wire_state *wire)
{
    return svl_list_empty(&wire->calls) ? NULL
                                        : svl_container(wire->calls.next, struct svl_call, place);
}

static void watch_progress(struct svl_conn *c, struct svl_wire_state *wire)
{
    wire->progress = (uint32_t)c->written;
    svl_conn_deadline(c, io_ms(wire));
}

/* The call leaves the connection. */
static void take_off(struct svl_conn *c, struct svl_call *call)
{
    struct svl_wire_state *wire = svl_wire_of(c);

    svl_list_remove(&call->place);
    wire->n_calls--;
    call->conn = NULL;
    call->held = call->wanted = false;
    svl_timer_clear(&call->patience);
    c->read_at = NULL;
    if (call->paused)
        svl_conn_read(c, true);
    if (wire->sending == call)
        wire->sending = NULL;
}

/* It fails, and the connection with it. */
static void fail(struct svl_conn *c, struct svl_call *call, int error, const char *why)
{
    take_off(c, call);
    svl_conn_close(c);
    svl_call_failed(call, error, why);
}

/* The same without another try: what came is what the server meant, or the user does not want it. */
static void refuse(struct svl_conn *c, struct svl_call *call, int error, const char *why)
{
    take_off(c, call);
    svl_conn_close(c);
    svl_call_give_up(call, error, why);
}

void svl_wire_abandon(struct svl_call *call)
{
    struct svl_conn *c = call->conn;

    take_off(c, call);
    svl_conn_close(c);
}

/* Requests --------------------------------------------------------------------------------- */

static bool flush(struct svl_conn *c)
{
    return svl_conn_flush(c) != SVL_GONE;
}

void svl_wire_flush(struct svl_agent *agent)
{
    struct svl_conn *c = agent->dirty;

    agent->dirty = NULL;
    if (c)
        flush(c);
}

/* Pipelined requests leave together, at the end of the round. */
static void flush_later(struct svl_agent *agent, struct svl_conn *c)
{
    if (agent->dirty != c)
        svl_wire_flush(agent);
    agent->dirty = c;
    svl_worker_later(agent->worker, &agent->task);
}

static void put_piece(struct svl_conn *c, bool chunked, const char *piece, size_t n)
{
    char *to = svl_conn_reserve(c, n + SVL_CHUNK_LINE + 2), *at = to;

    if (chunked) {
        svl_chunk_line(at, n);
        at += SVL_CHUNK_LINE;
    }
    memcpy(at, piece, n);
    at += n;
    if (chunked) {
        memcpy(at, "\r\n", 2);
        at += 2;
    }
    svl_conn_commit(c, (size_t)(at - to));
}

static ssize_t ask_for_piece(struct svl_call *call, char *to)
{
    int64_t left = call->ask.give_length - (int64_t)call->given;
    ssize_t n;

    if (call->ask.give_length == 0 || (call->ask.give_length > 0 && left == 0))
        return 0;
    call->body_begun = true;
    call->on_stack = true;
    n = call->ask.give(call, call->ask.arg, to, left > 0 && left < PIECE ? (size_t)left : PIECE);
    call->on_stack = false;
    if (call->cancelled)
        return -ECANCELED;
    SVL_ASSERT(n <= PIECE);
    return n == 0 && left > 0 ? -EIO : n; /* fewer bytes than it had said */
}

/* Returns 1 when all of the body is gathered, 0 when there is nothing yet or the server does not take
 * more, < 0 when there is no connection any more. */
static int send_pieces(struct svl_conn *c, struct svl_call *call)
{
    bool chunked = call->ask.give_length < 0;
    char piece[PIECE];

    for (int i = 0; !svl_conn_blocked(c); i++) {
        ssize_t n;

        if (i == PIECES_PER_TURN) {
            svl_conn_yield(c);
            return 0;
        }
        n = ask_for_piece(call, piece);
        if (n == -EAGAIN)
            return 0;
        if (n < 0) {
            refuse(c, call, (int)n, "the body of the request could not be given");
            return -1;
        }
        if (n == 0) {
            if (chunked) {
                memcpy(svl_conn_reserve(c, 5), "0\r\n\r\n", 5);
                svl_conn_commit(c, 5);
            }
            return 1;
        }
        call->given += (uint64_t)n;
        put_piece(c, chunked, piece, (size_t)n);
        if (!flush(c))
            return -1;
    }
    return 0;
}

/* Small ones are copied, others stay where they are. */
static void put_body(struct svl_conn *c, svl_str body)
{
    if (body.n == 0)
        return;
    if (body.n <= COPIED) {
        memcpy(svl_conn_reserve(c, body.n), body.p, body.n);
        svl_conn_commit(c, body.n);
    } else {
        svl_conn_tail(c,
                      &(struct svl_tail){.kind = SVL_TAIL_BYTES, .bytes = body.p, .left = body.n});
    }
}

static void send_body(struct svl_conn *c, struct svl_call *call)
{
    struct svl_wire_state *wire = svl_wire_of(c);
    int sent = 1;

    if (call->held)
        return;
    if (call->ask.give)
        sent = send_pieces(c, call);
    else
        put_body(c, call->ask.body);
    if (sent <= 0)
        return;
    wire->sending = NULL;
    if (flush(c))
        watch_progress(c, wire);
}

/* The server wants the body, or has said nothing for too long: it may not know the expectation. */
static void let_go(struct svl_call *call)
{
    struct svl_conn *c = call->conn;

    call->held = false;
    svl_timer_clear(&call->patience);
    if (!svl_conn_blocked(c))
        send_body(c, call);
    if (!c->closed && !svl_wire_of(c)->sending) /* others have waited behind it */
        svl_host_feed(svl_wire_of(c)->host, c);
}

static void on_patience(struct svl_timer *timer)
{
    let_go(svl_container(timer, struct svl_call, patience));
}

static bool has_expectation(const struct svl_call *call)
{
    const struct svl_fetch *ask = &call->ask;

    return ask->expect && !call->no_expect && !call->no_body &&
           (ask->give ? ask->give_length != 0 : ask->body.n > 0);
}

static void hold_body(struct svl_call *call)
{
    struct svl_worker *w = call->agent->worker;

    call->held = true;
    call->patience.fire = on_patience;
    svl_timer_set(&w->timers, &call->patience, svl_now_ms(w),
                  call->agent->client->config.expect_ms);
}

static bool is_old(const struct svl_wire_state *wire)
{
    const struct svl_agent *agent = wire->host->agent;
    unsigned max = agent->client->config.max_age_ms;

    return max && svl_now_ms(agent->worker) - wire->born_ms >= max;
}

static void begin_reading(struct svl_call *call)
{
    const struct svl_client_config *config = &call->agent->client->config;

    call->reader.max_head = config->max_head;
    call->reader.max_fields = config->max_fields;
    call->reader.to_head = svl_str_eq(call->method, SVL_STR("HEAD"));
    svl_head_reader_begin(&call->reader, &call->reply);
}

void svl_wire_send(struct svl_conn *c, struct svl_call *call)
{
    struct svl_wire_state *wire = svl_wire_of(c);
    struct svl_agent *agent = call->agent;
    bool streamed = call->ask.give && !call->no_body;
    svl_str body = streamed || call->no_body ? SVL_STR("") : call->ask.body;
    size_t bound = svl_request_bound(call);
    char *to;

    wire->last = call->ask.close || is_old(wire);
    svl_list_append(&wire->calls, &call->place);
    wire->n_calls++;
    call->conn = c;
    call->reply.tries++;
    call->reply.reused = wire->served;
    call->reply.peer = c->peer;
    if (svl_unlikely(call->ask.timing))
        svl_call_stamp_way(call, wire);
    begin_reading(call);
    if (svl_unlikely(has_expectation(call))) {
        hold_body(call);
        body = SVL_STR("");
    }

    to = svl_conn_reserve(c, bound + (body.n <= COPIED ? body.n : 0)); /* in one piece */
    svl_conn_commit(c, svl_request_write(to, call, wire->last));
    put_body(c, body);
    watch_progress(c, wire);
    if (call->paused)
        svl_conn_read(c, false);
    svl_call_stamp(call, &call->reply.timing.sent);
    if (streamed || call->held) {
        wire->sending = call;
        call->given = 0;
        if (flush(c))
            send_body(c, call);
    } else if (agent->client->config.pipeline > 1 && body.n <= COPIED) {
        flush_later(agent, c);
    } else {
        flush(c);
    }
}

void svl_wire_more(struct svl_call *call)
{
    if (svl_wire_of(call->conn)->sending == call && !svl_conn_blocked(call->conn) &&
        !call->on_stack)
        send_body(call->conn, call);
}

/* Bodies ------------------------------------------------------------------------------------ */

static int append(struct svl_call *call, const char *data, size_t n)
{
    if (n > call->body_limit - call->body_len)
        return SVL_ELIMIT;
    if (n > call->body_cap - call->body_len) {
        size_t cap = 2 * (call->body_len + n);

        call->body = svl_realloc(call->body, cap);
        call->body_cap = cap;
    }
    memcpy(call->body + call->body_len, data, n);
    call->body_len += n;
    return 0;
}

/* What is left when codings are undone. */
static int sink(void *arg, const char *data, size_t n)
{
    struct svl_call *call = arg;
    int err;

    if (n == 0)
        return 0;
    if (!call->ask.on_piece)
        return append(call, data, n);
    if (n > call->body_limit - call->body_len)
        return SVL_ELIMIT;
    call->body_len += n;
    call->handed_out = true;
    call->on_stack = true;
    err = call->ask.on_piece(call, (svl_str){data, n}, call->ask.arg);
    call->on_stack = false;
    return call->cancelled ? -ECANCELED : err;
}

static int deliver(struct svl_call *call, const char *data, size_t n)
{
    if (call->following) {
        call->body_len += n;
        return 0;
    }
    if (call->decoder)
        return svl_decoder_push(call->decoder, (svl_str){data, n});
    return sink(call, data, n);
}

static int on_chunk(void *arg, const char *data, size_t n)
{
    struct svl_call *call = arg;

    call->error = deliver(call, data, n);
    return call->error ? 400 : 0;
}

/* Where the rest of a body of known length lands. */
static void read_into_body(struct svl_conn *c, struct svl_call *call)
{
    c->read_at = call->body + call->body_len;
    c->read_room = (size_t)call->body_left;
}

/* A body that is wanted whole and as it comes: in place if it is all there, else read to where it stays. */
static void take_whole(struct svl_conn *c, struct svl_call *call, const char *data, size_t n)
{
    call->body_left -= n;
    if (!call->body && call->body_left == 0 && !call->head) {
        call->reply.body = (svl_str){data, n};
        return;
    }
    if (!call->body) {
        call->body_cap = (size_t)call->reply.content_length;
        call->body = svl_malloc(call->body_cap);
    }
    if (data != call->body + call->body_len)
        memcpy(call->body + call->body_len, data, n);
    call->body_len += n;
    if (call->body_left > 0)
        read_into_body(c, call);
}

enum { MORE, COMPLETE };

static int read_length(struct svl_conn *c, struct svl_call *call, const char *data, size_t n,
                       size_t *used)
{
    size_t take = n < call->body_left ? n : (size_t)call->body_left;
    int err = 0;

    *used = take;
    if (call->decoder || call->ask.on_piece || call->following) {
        call->body_left -= take;
        err = deliver(call, data, take);
    } else {
        take_whole(c, call, data, take);
    }
    if (err)
        return err;
    return call->body_left == 0 ? COMPLETE : MORE;
}

static int read_chunks(struct svl_call *call, const char *data, size_t n, size_t *used)
{
    switch (svl_parser_body(&call->parser, data, n, used)) {
    case SVL_PARSE_MORE: return MORE;
    case SVL_PARSE_END:
        call->reply.trailers =
            svl_str_head((svl_str){call->parser.trailers.text, call->parser.trailers.n},
                         call->parser.trailers.n < 2 ? 0 : call->parser.trailers.n - 2);
        return COMPLETE;
    default: return call->error ? call->error : SVL_ERESPONSE;
    }
}

static int read_body(struct svl_conn *c, struct svl_call *call, const char *data, size_t n,
                     size_t *used)
{
    int result;

    switch (call->reader.framed) {
    case SVL_FRAMED_LENGTH: result = read_length(c, call, data, n, used); break;
    case SVL_FRAMED_CHUNKED: result = read_chunks(call, data, n, used); break;
    case SVL_FRAMED_EOF:
        *used = n;
        result = deliver(call, data, n);
        break;
    default: *used = 0; return COMPLETE;
    }
    if (result == MORE && call->following && call->body_len > DROPPED) {
        call->reader.keep_alive = false;
        return COMPLETE;
    }
    return result;
}

static int begin_body(struct svl_call *call)
{
    static const struct svl_limits limits = {.max_chunk_overhead = CHUNK_OVERHEAD};
    struct svl_reply *reply = &call->reply;
    int err;

    if (reply->status == 101)
        return SVL_ERESPONSE;
    call->head_read = true;
    call->error = 0;
    err = svl_call_head(call);
    if (err)
        return err;
    if (reply->decoded && call->reader.framed != SVL_FRAMED_NONE) {
        svl_str coding = svl_reply_header(reply, SVL_H_CONTENT_ENCODING);

        err = svl_decoder_open(&call->decoder, coding, call->body_limit, sink, call);
        if (err == SVL_ESYNTAX) /* one that was not asked for: the body is as it came */
            reply->decoded = false;
        else if (err)
            return err;
    }
    if (call->reader.framed == SVL_FRAMED_LENGTH && !call->decoder && !call->following &&
        (uint64_t)reply->content_length > call->body_limit)
        return SVL_ELIMIT;
    if (call->reader.framed == SVL_FRAMED_LENGTH)
        call->body_left = (uint64_t)reply->content_length;
    if (call->reader.framed == SVL_FRAMED_CHUNKED) {
        memset(&call->spare, 0, sizeof call->spare);
        svl_parser_chunks(&call->parser, &call->spare, &limits, &call->arena);
        call->parser.on_body = on_chunk;
        call->parser.body_arg = call;
    }
    return 0;
}

/* Heads ------------------------------------------------------------------------------------- */

/* A head that has not come whole stays here; what is read next lands behind it. */
static void keep_head(struct svl_call *call, const char *data, size_t n)
{
    struct svl_chunk *old = call->head, *chunk;
    size_t have = old ? old->len : 0;

    if (!old || old->cap - have < n) {
        size_t room = 2 * (have + n);

        chunk = svl_chunk_new(&call->agent->worker->chunks, room < FIRST_HEAD ? FIRST_HEAD : room);
        if (old)
            memcpy(chunk->bytes, old->bytes, have);
        chunk->len = have;
        svl_chunk_unref(old);
        call->head = chunk;
        svl_head_reader_begin(&call->reader, &call->reply); /* its views have moved */
    }
    memcpy(call->head->bytes + have, data, n);
    call->head->len = have + n;
}

/* Behind an interim response: the next head begins at *data. */
static void next_head(struct svl_call *call, const char **data, size_t *n)
{
    *data += call->reader.at;
    *n -= call->reader.at;
    if (call->head) {
        memmove(call->head->bytes, *data, *n);
        call->head->len = *n;
        *data = call->head->bytes;
    }
    svl_head_reader_begin(&call->reader, &call->reply);
}

/* Returns COMPLETE when the final head is there and *used bytes of data belong to it. */
static int read_head(struct svl_call *call, const char *data, size_t n, size_t *used)
{
    const char *at = data;
    size_t len = n;

    *used = n;
    if (call->head) {
        keep_head(call, data, n);
        at = call->head->bytes;
        len = call->head->len;
    }
    while (len > 0) {
        enum svl_parsed parsed = svl_head_reader_read(&call->reader, &call->arena, at, len);

        if (parsed == SVL_PARSE_REFUSED)
            return call->reader.error;
        if (parsed == SVL_PARSE_MORE)
            break;
        if (!svl_status_is_interim(call->reply.status)) {
            *used = n - (len - call->reader.at);
            return COMPLETE;
        }
        if (++call->interim > MAX_INTERIM)
            return SVL_ERESPONSE;
        call->wanted |= call->reply.status == 100;
        next_head(call, &at, &len);
    }
    if (!call->head && len > 0)
        keep_head(call, at, len);
    return MORE;
}

/* Responses --------------------------------------------------------------------------------- */

static void complete(struct svl_conn *c, struct svl_call *call, bool surplus)
{
    struct svl_wire_state *wire = svl_wire_of(c);
    struct svl_host *host = call->host;
    bool sent = wire->sending != call;
    int err = call->decoder ? svl_decoder_end(call->decoder) : 0;

    take_off(c, call);
    wire->served = true;
    if (call->reply.body.n == 0 && !call->following && !call->ask.on_piece)
        call->reply.body = (svl_str){call->body ? call->body : "", call->body_len};
    /* What is still being sent is of the last request on the connection, this one or another. */
    if (!call->reader.keep_alive || !sent ||
        ((surplus || wire->last || svl_conn_blocked(c)) && wire->n_calls == 0))
        svl_conn_close(c);
    else
        svl_host_feed(host, c);
    if (err)
        svl_call_give_up(call, err, "the coding of the body is broken");
    else
        svl_call_complete(call);
}

static const char *why_of(const struct svl_call *call, int error)
{
    if (call->reader.why)
        return call->reader.why;
    if (error == SVL_ELIMIT)
        return "the body of the response is too large";
    if (call->interim > MAX_INTERIM)
        return "there are too many interim responses";
    if (call->reply.status == 101)
        return "the server has switched protocols without being asked";
    if (error == SVL_ERESPONSE && call->head_read)
        return "the chunks of the response are not well formed";
    if (error == SVL_ESYNTAX)
        return "the coding of the body is broken";
    return NULL;
}

/* 417 says that somebody on the way does not know expectations, not what the server thinks of the
 * request (RFC 9110 10.1.1). */
static void ask_plainly(struct svl_conn *c, struct svl_call *call)
{
    call->no_expect = true;
    take_off(c, call);
    svl_conn_close(c);
    svl_call_again(call);
}

/* Returns how much of data was the call's; it may be over. */
static size_t read_response(struct svl_conn *c, struct svl_call *call, const char *data, size_t n)
{
    size_t used = 0, more = 0;
    int result = COMPLETE;

    if (!call->head_read) {
        svl_call_stamp(call, &call->reply.timing.first_byte);
        result = read_head(call, data, n, &used);
        if (result == COMPLETE && svl_unlikely(call->held)) {
            svl_timer_clear(&call->patience);
            if (call->reply.status == 417 && !call->wanted) {
                ask_plainly(c, call);
                return n;
            }
        }
        if (result == COMPLETE) {
            result = begin_body(call);
            if (result == 0)
                result = used < n || call->reader.framed == SVL_FRAMED_NONE ? COMPLETE : MORE;
        }
    }
    if (result == COMPLETE)
        result = read_body(c, call, data + used, n - used, &more);
    used += more;
    if (result == COMPLETE)
        complete(c, call, used < n);
    else if (result == SVL_ERESPONSE && call->interim <= MAX_INTERIM)
        fail(c, call, result, why_of(call, result));
    else if (result < 0)
        refuse(c, call, result, why_of(call, result));
    return used;
}

static void on_data(struct svl_conn *c, const char *data, size_t n)
{
    struct svl_wire_state *wire = svl_wire_of(c);
    bool shared = !c->read_at;
    struct svl_call *call;

    while (n > 0 && !c->closed) {
        size_t used;

        call = first_call(wire);
        if (!call) { /* nobody has asked for that */
            svl_conn_close(c);
            return;
        }
        used = read_response(c, call, data, n);
        data += used;
        n -= used;
    }
    if (c->closed || wire->n_calls == 0)
        return;
    call = first_call(wire);
    if (svl_unlikely(call->held && call->wanted && !call->head_read)) {
        let_go(call);
        if (c->closed)
            return;
    }
    if (shared && call->head_read && !call->head) /* the rest comes later: its head must stay */
        call->head = svl_worker_pin(c->worker);
    if (!call->paused)
        watch_progress(c, wire);
}

/* Events ------------------------------------------------------------------------------------ */

static void on_open(struct svl_conn *c)
{
    struct svl_wire_state *wire = svl_wire_of(c);

    svl_list_init(&wire->calls);
}

void svl_wire_begin(struct svl_conn *c, struct svl_host *host, uint64_t resolved_us)
{
    struct svl_wire_state *wire = svl_wire_of(c);

    wire->host = host;
    wire->born_ms = svl_now_ms(c->worker);
    wire->resolved_us = resolved_us;
    wire->connected_us = svl_call_clock();
    svl_host_feed(host, c);
}

bool svl_wire_fresh(struct svl_conn *c)
{
    char byte;

    if (svl_wire_of(c)->served && c->transport->read(c, &byte, 1) != -EAGAIN) {
        svl_conn_close(c);
        return false;
    }
    return true;
}

static void on_eof(struct svl_conn *c)
{
    struct svl_call *call = first_call(svl_wire_of(c));

    if (call && call->head_read && call->reader.framed == SVL_FRAMED_EOF)
        complete(c, call, false);
    else
        svl_conn_close(c);
}

static void on_drained(struct svl_conn *c)
{
    struct svl_wire_state *wire = svl_wire_of(c);

    watch_progress(c, wire);
    if (wire->sending)
        send_body(c, wire->sending);
    else if (wire->n_calls > 0)
        svl_host_feed(wire->host, c);
}

static void on_timer(struct svl_conn *c)
{
    struct svl_wire_state *wire = svl_wire_of(c);
    struct svl_call *call = first_call(wire);

    if (!call)
        svl_conn_close(c);
    else if ((svl_conn_blocked(c) || wire->sending) && wire->progress != (uint32_t)c->written)
        watch_progress(c, wire);
    else
        fail(c, call, -ETIMEDOUT, "nothing came or went for too long");
}

static void on_stop(struct svl_conn *c)
{
    struct svl_wire_state *wire = svl_wire_of(c);

    wire->last = true;
    if (wire->n_calls == 0)
        svl_conn_close(c);
}

static void on_gone(struct svl_conn *c)
{
    struct svl_wire_state *wire = svl_wire_of(c);
    struct svl_host *host = wire->host;
    struct svl_agent *agent;
    struct svl_call *call;

    if (!host) /* before svl_wire_begin() */
        return;
    agent = host->agent;
    svl_host_ref(host);
    svl_host_lost(host, c);
    if (agent->dirty == c)
        agent->dirty = NULL;
    while ((call = first_call(wire))) {
        take_off(c, call);
        svl_call_failed(call, SVL_ECLOSED, NULL);
    }
    svl_host_refill(host);
    svl_host_unref(host);
}

const struct svl_protocol svl_client_wire = {
    .name = "http/1.1 client",
    .outgoing = true,
    .on_open = on_open,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_timer = on_timer,
    .on_stop = on_stop,
    .on_gone = on_gone,
};
