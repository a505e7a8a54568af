/* Files by request path. One cache per worker, so nothing is locked. A chained hash table of
 * fixed size, and two lists in order of last use: files with their content in memory, and open
 * descriptors; each is cut at its own limits. Files that are not there are not remembered. */
#include "internal.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

struct use_list {
    struct fs_file *newest, *oldest; /* fs_file::newer, older */
    unsigned n, max;
    size_t bytes, max_bytes;
};

struct fs_cache {
    uint64_t key[2]; /* random, so that nobody can choose paths that collide */
    struct use_list memory, fds;
    size_t mask;
    struct fs_file *table[]; /* fs_file::chain */
};

struct fs_cache *svl_fs_cache_open(const struct svl_fs_config *config)
{
    unsigned entries = config->cache_entries + config->cache_fds;
    size_t size = 64;
    struct fs_cache *cache;

    while (size < entries && size < (size_t)1 << 20)
        size *= 2;
    cache = calloc(1, sizeof *cache + size * sizeof cache->table[0]);
    if (!cache)
        return NULL;
    if (getrandom(cache->key, sizeof cache->key, GRND_NONBLOCK) != sizeof cache->key) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now); /* early at boot: better than nothing */
        cache->key[0] = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u ^ (uintptr_t)cache;
    }
    cache->mask = size - 1;
    cache->memory.max = config->cache_entries;
    cache->memory.max_bytes = config->cache_bytes;
    cache->fds.max = config->cache_fds;
    cache->fds.max_bytes = SIZE_MAX;
    return cache;
}

static struct use_list *list_of(struct fs_cache *cache, const struct fs_file *f)
{
    return f->content ? &cache->memory : &cache->fds;
}

static size_t cost(const struct fs_file *f)
{
    return sizeof *f + strlen(f->path) + 2 + (f->content ? (size_t)f->stamp.size : 0);
}

static void unlink_use(struct use_list *list, struct fs_file *f)
{
    *(f->newer ? &f->newer->older : &list->newest) = f->older;
    *(f->older ? &f->older->newer : &list->oldest) = f->newer;
}

static void link_newest(struct use_list *list, struct fs_file *f)
{
    f->newer = NULL;
    f->older = list->newest;
    *(f->older ? &f->older->newer : &list->oldest) = f;
    list->newest = f;
}

struct fs_file *svl_fs_cache_find(struct fs_cache *cache, svl_str key)
{
    uint64_t hash = svl_fs_hash(cache->key, key.p, key.n);
    struct fs_file *f = cache->table[hash & cache->mask];

    while (f && (f->hash != hash || !svl_str_eq(f->key, key)))
        f = f->chain;
    if (f && f->newer) {
        struct use_list *list = list_of(cache, f);
        unlink_use(list, f);
        link_newest(list, f);
    }
    return f;
}

void svl_fs_cache_drop(struct fs_cache *cache, struct fs_file *f)
{
    struct use_list *list = list_of(cache, f);
    struct fs_file **at = &cache->table[f->hash & cache->mask];

    assert(f->cached);
    while (*at != f)
        at = &(*at)->chain;
    *at = f->chain;
    unlink_use(list, f);
    list->n--;
    list->bytes -= cost(f);
    f->cached = false;
    svl_fs_file_put(f);
}

void svl_fs_cache_add(struct fs_cache *cache, struct fs_file *f)
{
    struct use_list *list = list_of(cache, f);
    struct fs_file **head;

    assert(!f->cached);
    if (cost(f) > list->max_bytes || list->max == 0)
        return;
    while (list->n >= list->max || list->bytes > list->max_bytes - cost(f))
        svl_fs_cache_drop(cache, list->oldest);

    f->hash = svl_fs_hash(cache->key, f->key.p, f->key.n);
    head = &cache->table[f->hash & cache->mask];
    f->chain = *head;
    *head = f;
    link_newest(list, f);
    list->n++;
    list->bytes += cost(f);
    f->cached = true;
    f->refs++;
}

bool svl_fs_cache_drop_fds(struct fs_cache *cache)
{
    bool some = cache->fds.n > 0;

    while (cache->fds.oldest)
        svl_fs_cache_drop(cache, cache->fds.oldest);
    return some;
}

void svl_fs_cache_close(struct fs_cache *cache)
{
    if (!cache)
        return;
    svl_fs_cache_drop_fds(cache);
    while (cache->memory.oldest)
        svl_fs_cache_drop(cache, cache->memory.oldest);
    assert(cache->memory.bytes == 0 && cache->fds.bytes == 0);
    free(cache);
}
