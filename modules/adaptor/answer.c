/* From an answer of libmicrohttpd's to one of serval's. */
#include "internal.h"

#include "serval/log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_MAX 65536 /* bytes a reader on a thread is asked for at once */

/* Fields --------------------------------------------------------------------------------------- */

/* Framing, Connection and Date are the server's, and so is Server, unless it has none to send. */
static bool is_ours(const struct MHD_Connection *c, enum svl_header_id id)
{
    return id == SVL_H_CONNECTION || id == SVL_H_TRANSFER_ENCODING || id == SVL_H_CONTENT_LENGTH ||
           id == SVL_H_DATE || (id == SVL_H_SERVER && !c->daemon) ||
           (id == SVL_H_UPGRADE && c->response->kind == UPGRADE);
}

static void add_field(struct svl_ctx *ctx, const struct entry *e)
{
    svl_str name = {e->name, e->name_len}, value = {e->value, e->value_len};

    if (e->id == SVL_H_CONTENT_TYPE)
        svl_content_type(ctx, value);
    else if (!e->canonical && !svl_header_name_ok(name))
        svl_log(SVL_WARN, "adaptor: this is not a header name: \"%.*s\"", SVL_FMT(name));
    else if (!e->canonical)
        svl_header_add_name(ctx, name, value);
    else if (ctx->res.headers.first[e->id])
        svl_header_add(ctx, e->id, value);
    else
        svl_header_set_static(ctx, e->id, value);
}

static void add_footers(struct MHD_Connection *c)
{
    for (const struct entry *e = c->response->fields.first; e; e = e->next)
        if (e->kind == MHD_FOOTER_KIND)
            svl_trailer_set(c->ctx, (svl_str){e->name, e->name_len},
                            (svl_str){e->value, e->value_len});
}

void mhd_add_fields(struct MHD_Connection *c)
{
    for (const struct entry *e = c->response->fields.first; e; e = e->next)
        if (e->kind == MHD_HEADER_KIND && !is_ours(c, e->id))
            add_field(c->ctx, e);
    add_footers(c);
}

/* Bodies that are copied piece by piece --------------------------------------------------------- */

static ssize_t pull_memory(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    struct MHD_Connection *c = arg;
    const struct MHD_Response *r = c->response;
    size_t n = (size_t)(r->size - c->position);

    (void)ctx;
    if (n > room)
        n = room;
    if (n > 0)
        memcpy(to, (const char *)r->data + c->position, n);
    c->position += n;
    c->read_over = c->position == r->size;
    return (ssize_t)n;
}

static ssize_t pull_vector(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    struct MHD_Connection *c = arg;
    const struct MHD_Response *r = c->response;
    uint64_t begin = 0;
    size_t n = 0;

    (void)ctx;
    for (unsigned i = 0; i < r->n_vector && n < room; begin += r->vector[i++].iov_len) {
        uint64_t skip = c->position - begin;
        size_t len = r->vector[i].iov_len;

        if (skip >= len)
            continue;
        len -= skip;
        if (len > room - n)
            len = room - n;
        memcpy(to + n, (const char *)r->vector[i].iov_base + skip, len);
        n += len;
        c->position += len;
    }
    c->read_over = c->position == r->size;
    return (ssize_t)n;
}

/* A pipe whose writer takes its time must not hold the loop. */
static ssize_t pull_pipe(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    struct MHD_Connection *c = arg;
    struct pollfd ready = {.fd = c->response->fd, .events = POLLIN};
    ssize_t n = -1;

    (void)ctx;
    errno = EAGAIN;
    if (poll(&ready, 1, 0) > 0)
        n = read(c->response->fd, to, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        mhd_later(c);
        return -EAGAIN;
    }
    c->alarm_ms = 0;
    c->read_over = n == 0;
    return n < 0 ? -errno : n;
}

/* Readers --------------------------------------------------------------------------------------- */

static ssize_t read_some(struct MHD_Connection *c, char *to, size_t room)
{
    struct MHD_Response *r = c->response;
    ssize_t n;

    pthread_mutex_lock(&r->lock);
    n = r->read(r->cls, c->position, to, room);
    pthread_mutex_unlock(&r->lock);
    return n;
}

/* It may have added footers meanwhile. */
static ssize_t reader_end(struct MHD_Connection *c)
{
    c->read_over = true;
    add_footers(c);
    return 0;
}

/* What a reader has returned, as a source says it. */
static ssize_t result(struct MHD_Connection *c, ssize_t n, size_t room)
{
    if (n > 0 && (size_t)n <= room) {
        c->alarm_ms = 0;
        c->position += (uint64_t)n;
        c->read_over = c->position == c->response->size;
        return n;
    }
    if (n == 0) { /* not now: it has suspended the connection, or wants to be asked again */
        if (!atomic_load(&c->suspended))
            mhd_later(c);
        return -EAGAIN;
    }
    /* Only a length that was announced has to be kept. */
    if (n == MHD_CONTENT_READER_END_OF_STREAM && c->ctx->res.body.length < 0)
        return reader_end(c);
    return -EIO;
}

/* How much is wanted next: 0 = that was all. */
static size_t wanted(const struct MHD_Connection *c, size_t room)
{
    const struct MHD_Response *r = c->response;

    if (c->read_over)
        return 0;
    if (room > r->block)
        room = r->block;
    return room < r->size - c->position ? room : (size_t)(r->size - c->position);
}

static ssize_t pull_reader(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    struct MHD_Connection *c = arg;

    (void)ctx;
    if (atomic_load(&c->suspended))
        return -EAGAIN;
    room = wanted(c, room);
    return room ? result(c, read_some(c, to, room), room) : reader_end(c);
}

/* A block that a thread reads while the loop goes on. */
struct reading {
    size_t room, wanted;
    size_t at, n; /* bytes[at, n) are here, and not yet sent */
    ssize_t said;
    bool ready; /* the reader has returned */
    char bytes[];
};

static void read_done(struct svl_ctx *ctx, void *arg)
{
    struct MHD_Connection *c = arg;

    c->busy = false;
    c->reading->ready = true;
    if (atomic_load(&c->resumed))
        mhd_unsuspend(c);
    if (ctx)
        mhd_go_on(c);
    mhd_connection_unref(c);
}

static void read_on_thread(void *arg)
{
    struct MHD_Connection *c = arg;

    c->reading->said = read_some(c, c->reading->bytes, c->reading->wanted);
    svl_post_ctx(c->ref, read_done, c);
}

static ssize_t begin_reading(struct MHD_Connection *c)
{
    mhd_connection_ref(c);
    c->busy = true;
    if (mhd_threads_run(c->threads, read_on_thread, c))
        return -EAGAIN;
    c->busy = false;
    mhd_connection_unref(c);
    return -ENOMEM;
}

static ssize_t pull_from_thread(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    struct MHD_Connection *c = arg;
    struct reading *b = c->reading;
    ssize_t n;

    (void)ctx;
    if (b->at < b->n) {
        n = (ssize_t)(b->n - b->at < room ? b->n - b->at : room);
        memcpy(to, b->bytes + b->at, (size_t)n);
        b->at += (size_t)n;
        return n;
    }
    if (c->busy || atomic_load(&c->suspended))
        return -EAGAIN;
    b->wanted = wanted(c, b->room);
    if (b->wanted == 0)
        return reader_end(c);
    if (!b->ready)
        return begin_reading(c);
    b->ready = false;
    n = result(c, b->said, b->wanted);
    if (n <= 0)
        return n;
    b->at = 0;
    b->n = (size_t)n;
    return pull_from_thread(ctx, arg, to, room);
}

static void set_reader(struct MHD_Connection *c, int64_t length)
{
    size_t room = c->response->block < READ_MAX ? c->response->block : READ_MAX;

    if (!c->threads) {
        svl_body_source(c->ctx, pull_reader, c, length);
        return;
    }
    c->reading = mhd_keep(c, sizeof *c->reading + room);
    memset(c->reading, 0, sizeof *c->reading);
    c->reading->room = room;
    svl_body_source(c->ctx, pull_from_thread, c, length);
}

/* The answer ------------------------------------------------------------------------------------ */

static void set_body(struct MHD_Connection *c)
{
    struct MHD_Response *r = c->response;
    int64_t length = r->chunked || r->size > INT64_MAX ? -1 : (int64_t)r->size;

    switch (r->kind) {
    case BUFFER:
        if (length < 0)
            svl_body_source(c->ctx, pull_memory, c, -1);
        else
            svl_body_bytes(c->ctx, (svl_str){r->size ? r->data : "", r->size});
        break;
    case FILE_PART:
        svl_body_file(c->ctx, r->fd, (int64_t)r->offset, (int64_t)r->size, false);
        break;
    case PIPE: svl_body_source(c->ctx, pull_pipe, c, -1); break;
    case VECTOR: svl_body_source(c->ctx, pull_vector, c, length); break;
    case READER: set_reader(c, length); break;
    case UPGRADE: break;
    }
}

bool mhd_answer_sent(const struct MHD_Connection *c)
{
    const struct svl_response *res = &c->ctx->res;

    if (c->upgraded || c->ctx->req.method == SVL_HEAD || res->status == 204 || res->status == 304)
        return true;
    if (c->response->size == MHD_SIZE_UNKNOWN || c->response->chunked)
        return c->read_over;
    return res->sent == c->response->size;
}

/* What a server of HTTP/1.0 would close. */
static bool is_as_of_1_0(const struct MHD_Connection *c)
{
    return c->response->flags & MHD_RF_HTTP_1_0_SERVER &&
           !svl_headers_has_token(&c->ctx->req.headers, SVL_H_CONNECTION, SVL_STR("keep-alive"));
}

enum svl_verdict mhd_answer(struct MHD_Connection *c)
{
    struct svl_ctx *ctx = c->ctx;
    struct MHD_Response *r = c->response;

    c->sending = true;
    if (r->kind == UPGRADE)
        return mhd_upgrade(c);
    svl_status(ctx, (int)c->status);
    if (MHD_get_reason_phrase_len_for(c->status) == 0)
        svl_reason(ctx, SVL_STR("Non-Standard Status"));
    if (r->close || r->flags & MHD_RF_HTTP_1_0_COMPATIBLE_STRICT || is_as_of_1_0(c))
        svl_close(ctx);
    mhd_add_fields(c);
    set_body(c);
    return SVL_DONE;
}
