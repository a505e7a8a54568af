#include "run/source.h"

#include "base/check.h"
#include "run/response.h"
#include "serval/log.h"

#include <errno.h>

#define PULL_ROOM 16384 /* bytes asked of a source at once */
#define PULL_ROUNDS 16  /* pieces per turn of the loop, if there is no crowd */

/* One piece of a source into the gathered bytes. Returns the source's result. */
static ssize_t pull(struct svl_conn *c, struct svl_exchange *x, bool chunked)
{
    struct svl_body *body = &x->pub.res.body;
    size_t room = PULL_ROOM, before = chunked ? SVL_CHUNK_LINE : 0;
    char *to;
    ssize_t n;

    if (body->length >= 0 && (uint64_t)body->length - x->pub.res.sent < room)
        room = (size_t)((uint64_t)body->length - x->pub.res.sent);
    if (room == 0)
        return 0;
    to = svl_conn_reserve(c, before + room + 2);
    n = body->pull(&x->pub, body->arg, to + before, room);
    if (n <= 0)
        return n;
    SVL_MISUSE_IF((size_t)n > room, "a source has written more than there was room for");
    x->pub.res.sent += (uint64_t)n;
    if (chunked) {
        svl_chunk_line(to, (size_t)n);
        memcpy(to + before + n, "\r\n", 2);
    }
    svl_conn_commit(c, before + (size_t)n + (chunked ? 2 : 0));
    return n;
}

static bool is_chunked(const struct svl_exchange *x)
{
    return x->pub.res.body.length < 0 && x->pub.req.minor == 1;
}

static bool end_of_source(struct svl_conn *c, struct svl_exchange *x)
{
    const struct svl_body *body = &x->pub.res.body;

    if (body->length >= 0 && x->pub.res.sent < (uint64_t)body->length) {
        svl_log(SVL_WARN, "answer: a source ended %llu bytes short",
                (unsigned long long)((uint64_t)body->length - x->pub.res.sent));
        SVL_MISUSE_IF(SVL_STRICT, "a source that cannot give all of its length returns an error");
        return false;
    }
    if (is_chunked(x)) {
        size_t n = svl_extra_trailer_length(x) + 5;
        char *to = svl_conn_reserve(c, n);

        memcpy(to, "0\r\n", 3);
        memcpy(svl_extra_trailer_write(to + 3, x), "\r\n", 2);
        svl_conn_commit(c, n);
    }
    return true;
}

/* Asks the source until it ends, has nothing, or the client is slow. */
enum svl_pumped svl_source_pump(struct svl_conn *c, struct svl_exchange *x)
{
    size_t rounds = svl_share_bytes(c->worker, PULL_ROUNDS * PULL_ROOM) / PULL_ROOM;
    bool chunked = is_chunked(x);

    for (size_t round = 0; round < rounds; round++) {
        ssize_t n = pull(c, x, chunked);

        if (n == -EAGAIN)
            return svl_conn_flush(c) == SVL_GONE ? SVL_PUMP_CLOSED : SVL_PUMP_WAITING;
        if (n < 0 || (n == 0 && !end_of_source(c, x))) {
            if (svl_conn_flush(c) != SVL_GONE) /* the client shall see that it is short */
                svl_conn_close(c);
            return SVL_PUMP_CLOSED;
        }
        if (n == 0)
            return SVL_PUMP_OVER;
        if (svl_conn_blocked(c))
            return SVL_PUMP_WAITING;
    }
    switch (svl_conn_flush(c)) {
    case SVL_FLUSHED: svl_conn_yield(c); return SVL_PUMP_WAITING;
    case SVL_BLOCKED: return SVL_PUMP_WAITING;
    case SVL_GONE: break;
    }
    return SVL_PUMP_CLOSED;
}
