#include "internal.h"

#include <stdlib.h>

#define BUCKETS 1024 /* a power of two */

/* Lives in one chain of a bucket and in the list of uses. `refs` counts the cache and the answers
 * that send it. */
struct entry {
    struct compressed body; /* first */
    uint64_t hash;
    unsigned refs;
    struct entry *same;          /* next in the bucket */
    struct entry *newer, *older; /* by last use; circular through cache::uses */
    svl_str key;                 /* behind the struct */
};

struct cache {
    struct entry *buckets[BUCKETS];
    struct entry uses; /* newer = used longest ago, older = used last */
    size_t bytes, max_bytes;
    unsigned n, max;
};

static uint64_t hash_of(svl_str key)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a: the table is small, whoever steers it */

    for (size_t i = 0; i < key.n; i++)
        hash = (hash ^ (unsigned char)key.p[i]) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

static size_t cost(const struct entry *e)
{
    return sizeof *e + e->key.n + e->body.n;
}

static void unref(void *entry)
{
    struct entry *e = entry;

    if (--e->refs > 0)
        return;
    free(e->body.bytes);
    free(e);
}

static void unlink_use(struct entry *e)
{
    e->newer->older = e->older;
    e->older->newer = e->newer;
}

static void link_use(struct cache *c, struct entry *e)
{
    e->older = c->uses.older;
    e->newer = &c->uses;
    e->older->newer = e;
    c->uses.older = e;
}

static void drop(struct cache *c, struct entry *e)
{
    struct entry **at = &c->buckets[e->hash % BUCKETS];

    while (*at != e)
        at = &(*at)->same;
    *at = e->same;
    unlink_use(e);
    c->bytes -= cost(e);
    c->n--;
    unref(e);
}

static struct entry *find(struct cache *c, svl_str key, uint64_t hash)
{
    struct entry *e = c->buckets[hash % BUCKETS];

    while (e && !(e->hash == hash && svl_str_eq(e->key, key)))
        e = e->same;
    return e;
}

struct cache *svl_compress_cache_open(const struct svl_compress_config *config)
{
    struct cache *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->uses.newer = c->uses.older = &c->uses;
    c->max_bytes = config->cache_bytes;
    c->max = config->cache_entries;
    return c;
}

void svl_compress_cache_close(struct cache *c)
{
    if (!c)
        return;
    while (c->uses.newer != &c->uses)
        drop(c, c->uses.newer);
    free(c);
}

const struct compressed *svl_compress_cache_find(struct cache *c, struct svl_ctx *ctx, svl_str key)
{
    struct entry *e = find(c, key, hash_of(key));

    if (!e)
        return NULL;
    unlink_use(e);
    link_use(c, e);
    e->refs++;
    svl_on_free(ctx, unref, e);
    return &e->body;
}

void svl_compress_cache_add(struct cache *c, svl_str key, char *bytes, size_t n)
{
    uint64_t hash = hash_of(key);
    struct entry *e = find(c, key, hash) ? NULL : malloc(sizeof *e + key.n);

    if (!e || sizeof *e + key.n + n > c->max_bytes) {
        free(e);
        free(bytes);
        return;
    }
    memcpy(e + 1, key.p, key.n);
    *e = (struct entry){
        .body = {bytes, n}, .hash = hash, .refs = 1, .key = {(char *)(e + 1), key.n}};
    while (c->n > 0 && (c->n >= c->max || c->bytes + cost(e) > c->max_bytes))
        drop(c, c->uses.newer);
    e->same = c->buckets[hash % BUCKETS];
    c->buckets[hash % BUCKETS] = e;
    link_use(c, e);
    c->bytes += cost(e);
    c->n++;
}
