/* Any bytes as multipart/form-data: however they are cut, the same comes out. The first byte says
 * where to cut. */
#include "serval/error.h"
#include "serval/form.h"

#include <assert.h>
#include <stdlib.h>

struct seen {
    uint64_t hash;
    size_t data;
    unsigned begun, ended;
};

static void mix(struct seen *seen, char mark, const char *p, size_t n)
{
    seen->hash = (seen->hash ^ (unsigned char)mark) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < n; i++)
        seen->hash = (seen->hash ^ (unsigned char)p[i]) * UINT64_C(0x100000001b3);
}

static int on_part(void *arg, const struct svl_multipart_part *part)
{
    struct seen *seen = arg;
    char clean[SVL_MULTIPART_HEAD];

    assert(seen->begun == seen->ended && part->name.p);
    seen->begun++;
    mix(seen, 'p', part->name.p, part->name.n);
    if (part->filename.p) {
        size_t n = svl_filename_clean(clean, part->filename);

        assert(n <= part->filename.n && !memchr(clean, '/', n) && !memchr(clean, '\0', n));
        mix(seen, 'f', part->filename.p, part->filename.n);
    }
    return 0;
}

static int on_data(void *arg, const char *data, size_t n)
{
    struct seen *seen = arg;

    assert(n > 0 && seen->begun == seen->ended + 1);
    for (size_t i = 0; i < n; i++) /* pieces differ, their sum must not */
        mix(seen, 'd', data + i, 1);
    seen->data += n;
    return 0;
}

static int on_end(void *arg)
{
    struct seen *seen = arg;

    seen->ended++;
    assert(seen->begun == seen->ended);
    mix(seen, 'e', NULL, 0);
    return 0;
}

static int parse(struct seen *seen, const char *p, size_t size, size_t step)
{
    static const struct svl_multipart_events events = {on_part, on_data, on_end};
    static struct svl_multipart m;

    *seen = (struct seen){0};
    assert(svl_multipart_begin(&m, SVL_STR("xyz"), NULL, &events, seen) == 0);
    for (size_t at = 0; at < size; at += step) {
        size_t n = size - at < step ? size - at : step;
        char *piece = malloc(n);

        memcpy(piece, p + at, n);
        svl_multipart_push(&m, piece, n);
        free(piece);
    }
    return svl_multipart_end(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole, cut;
    int err, again;

    if (size == 0)
        return 0;
    err = parse(&whole, (const char *)data + 1, size - 1, size);
    again = parse(&cut, (const char *)data + 1, size - 1, 1 + data[0] % 16);
    assert(err == again && whole.hash == cut.hash);
    assert(err == 0 || err == SVL_ESYNTAX || err == SVL_ELIMIT);
    assert(err != 0 || whole.begun == whole.ended);
    assert(whole.data <= size);
    return 0;
}
