/* Any bytes as what a FastCGI server sends, whole and byte by byte: both must give the same streams,
 * the same ends, and fail at the same place. */
#include "../../modules/fastcgi/record.h"

#include "serval/error.h"

#include <assert.h>
#include <string.h>

struct result {
    uint64_t hash[8]; /* of each stream's bytes */
    size_t length[8];
    unsigned ends;
    int last;
    bool within;
};

static void take(struct result *r, const struct fcgi_event *event)
{
    assert(event->type == FCGI_STDOUT || event->type == FCGI_STDERR ||
           event->type == FCGI_END_REQUEST);
    if (event->type == FCGI_END_REQUEST) {
        r->ends = r->ends * 31 + event->app + event->protocol + 1;
        return;
    }
    assert(event->piece.n > 0);
    r->length[event->type] += event->piece.n;
    for (size_t i = 0; i < event->piece.n; i++)
        r->hash[event->type] = r->hash[event->type] * 131 + (unsigned char)event->piece.p[i];
}

static struct result feed(const uint8_t *data, size_t size, size_t step)
{
    struct fcgi_reader reader = {.left = 0};
    struct result r;

    memset(&r, 0, sizeof r);
    for (size_t at = 0; at < size && r.last >= 0; at += step) {
        svl_str piece = {(const char *)data + at, size - at < step ? size - at : step};
        struct fcgi_event event;

        while ((r.last = fcgi_read(&reader, &piece, &event)) > 0)
            take(&r, &event);
        assert(r.last < 0 || piece.n == 0);
    }
    assert(r.last == 0 || r.last == SVL_ESYNTAX);
    r.within = fcgi_within(&reader);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole, cut;

    if (size == 0)
        return 0;
    whole = feed(data, size, size);
    for (size_t step = 1; step < 12; step += 5) {
        cut = feed(data, size, step);
        assert(memcmp(&whole, &cut, sizeof whole) == 0);
    }
    return 0;
}
