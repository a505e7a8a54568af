/* limits: a token bucket and a counter for each somebody, in a table of fixed size that all workers
 * share without locks.
 *
 * A bucket is one number, the time at which it will be full again (GCRA): a request moves it on by
 * the time that one request stands for, and is refused if it would lie too far ahead. An entry is
 * found by a hash with random keys; two clients with one hash share a bucket, once in 2^64. */
#include "serval/mod/limits.h"

#include "serval/error.h"
#include "serval/log.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>

#define WAYS 8 /* entries in which one key may stand */

struct entry {
    _Atomic uint64_t key;     /* 0 = free */
    _Atomic uint64_t full_us; /* when the bucket is full again */
    _Atomic uint32_t running;
};

struct svl_limits_table {
    uint64_t keys[2];
    uint64_t step_us;  /* what one request stands for */
    uint64_t ahead_us; /* how far ahead a bucket may lie */
    size_t mask;       /* of groups of WAYS */
    struct entry entries[];
};

/* What a request holds until it is over. */
struct slot {
    struct entry *entry; /* its counter was raised */
    uint64_t left, reset_s;
    bool counted;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
    a = (a ^ b) * UINT64_C(0x9e3779b97f4a7c15);
    a ^= a >> 29;
    a *= UINT64_C(0xbf58476d1ce4e5b9);
    return a ^ a >> 32;
}

/* Never 0. */
static uint64_t hash(const struct svl_limits_table *table, svl_str s)
{
    uint64_t h = table->keys[0] ^ s.n;

    while (s.n > 0) {
        uint64_t word = 0;
        size_t n = s.n < 8 ? s.n : 8;

        memcpy(&word, s.p, n);
        h = mix(h ^ word, table->keys[1]) + (word ^ table->keys[0]) * (table->keys[1] | 1);
        s = svl_str_from(s, n);
    }
    h = mix(h, table->keys[0]);
    return h ? h : 1;
}

/* --- setup ---------------------------------------------------------------------------------- */

static int check(const struct svl_limits_config *cfg)
{
    const char *why = NULL;

    if (cfg->rate < 0 || cfg->rate > 1e6)
        why = "rate: 0 to 1000000 a second";
    else if (cfg->rate == 0 && cfg->running == 0)
        why = "neither a rate nor a number of running requests";
    else if (cfg->by == SVL_LIMITS_HEADER && !cfg->header && !cfg->key)
        why = "by header, but of which name?";
    else if (cfg->status != 0 && (cfg->status < 400 || cfg->status > 599))
        why = "status: not one of an error";
    if (why)
        svl_log(SVL_ALERT, "limits: %s", why);
    return why ? SVL_ECONFIG : 0;
}

static int setup(void *config)
{
    struct svl_limits_config *cfg = config;
    struct svl_limits_table *table;
    size_t groups = 1;
    int err = check(cfg);

    if (err)
        return err;
    if (cfg->status == 0)
        cfg->status = 429;
    if (cfg->entries == 0)
        cfg->entries = 16384;
    if (cfg->burst == 0)
        cfg->burst = cfg->rate >= 1 ? (unsigned)cfg->rate : 1;
    while (groups * WAYS < cfg->entries)
        groups *= 2;
    table = calloc(1, sizeof *table + groups * WAYS * sizeof *table->entries);
    if (!table || getrandom(table->keys, sizeof table->keys, 0) != sizeof table->keys)
        abort();
    table->mask = groups - 1;
    if (cfg->rate > 0) {
        table->step_us = (uint64_t)(1e6 / cfg->rate + 0.5);
        table->ahead_us = table->step_us * cfg->burst;
    }
    cfg->table = table;
    return 0;
}

static void teardown(void *config)
{
    struct svl_limits_config *cfg = config;

    free(cfg->table);
    cfg->table = NULL;
}

/* --- keys ----------------------------------------------------------------------------------- */

static svl_str address_key(const struct svl_ctx *ctx, unsigned v4, unsigned v6)
{
    const struct svl_address *peer = svl_peer(ctx);

    return (svl_str){(const char *)peer->ip, peer->family == AF_INET    ? v4
                                             : peer->family == AF_INET6 ? v6
                                                                        : 0};
}

static svl_str key_of(const struct svl_limits_config *cfg, struct svl_ctx *ctx)
{
    svl_str field;

    if (cfg->key)
        return cfg->key(ctx, cfg->arg);
    switch (cfg->by) {
    case SVL_LIMITS_NET: return address_key(ctx, 3, 6);
    case SVL_LIMITS_ALL: return SVL_STR("");
    case SVL_LIMITS_HEADER:
        field = svl_headers_find(&ctx->req.headers, svl_str_of(cfg->header));
        if (field.p)
            return field;
        break;
    case SVL_LIMITS_ADDRESS: break;
    }
    return address_key(ctx, 4, 8);
}

/* --- entries -------------------------------------------------------------------------------- */

static bool is_idle(const struct entry *entry, uint64_t now)
{
    return atomic_load_explicit(&entry->full_us, memory_order_relaxed) <= now &&
           atomic_load_explicit(&entry->running, memory_order_relaxed) == 0;
}

/* An entry whose owner has nothing to remember may change hands. When all of a group do, the one
 * that is nearest to being full: to forget it costs the least. NULL when all are running. */
static struct entry *give_away(struct entry *group, uint64_t key, uint64_t now)
{
    struct entry *least = NULL;

    for (unsigned i = 0; i < WAYS; i++) {
        struct entry *entry = &group[i];

        if (atomic_load_explicit(&entry->running, memory_order_relaxed) > 0)
            continue;
        if (!least || atomic_load_explicit(&entry->full_us, memory_order_relaxed) <
                          atomic_load_explicit(&least->full_us, memory_order_relaxed))
            least = entry;
    }
    if (least) {
        if (!is_idle(least, now))
            atomic_store_explicit(&least->full_us, 0, memory_order_relaxed);
        atomic_store_explicit(&least->key, key, memory_order_relaxed);
    }
    return least;
}

/* Two workers may give one key two entries at the same moment: it is then counted apart, until one
 * of them is forgotten. */
static struct entry *entry_of(struct svl_limits_table *table, uint64_t key, uint64_t now)
{
    struct entry *group = &table->entries[(key >> 20 & table->mask) * WAYS];

    for (unsigned i = 0; i < WAYS; i++)
        if (atomic_load_explicit(&group[i].key, memory_order_relaxed) == key)
            return &group[i];
    return give_away(group, key, now);
}

/* Takes one out of the bucket. Returns 0, or how long to wait until there is one. */
static uint64_t take(const struct svl_limits_table *table, struct entry *entry, uint64_t now,
                     struct slot *slot)
{
    uint64_t full = atomic_load_explicit(&entry->full_us, memory_order_relaxed), next;

    do {
        next = (full > now ? full : now) + table->step_us;
        if (next - now > table->ahead_us) {
            slot->left = 0;
            slot->reset_s = (full - now + 999999) / 1000000;
            return next - now - table->ahead_us;
        }
    } while (!atomic_compare_exchange_weak_explicit(&entry->full_us, &full, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    slot->left = (table->ahead_us - (next - now)) / table->step_us;
    slot->reset_s = (next - now + 999999) / 1000000;
    return 0;
}

static bool enter(struct entry *entry, unsigned most, struct slot *slot)
{
    if (atomic_fetch_add_explicit(&entry->running, 1, memory_order_relaxed) >= most) {
        atomic_fetch_sub_explicit(&entry->running, 1, memory_order_relaxed);
        return false;
    }
    slot->entry = entry;
    return true;
}

/* --- requests ------------------------------------------------------------------------------- */

static void set_number(struct svl_ctx *ctx, svl_str name, uint64_t value)
{
    svl_header_set_name(ctx, name, svl_printf(ctx, "%llu", (unsigned long long)value));
}

static void tell(const struct svl_limits_config *cfg, struct svl_ctx *ctx, const struct slot *slot)
{
    if (cfg->quiet || !slot->counted)
        return;
    set_number(ctx, SVL_STR("RateLimit-Limit"), cfg->burst);
    set_number(ctx, SVL_STR("RateLimit-Remaining"), slot->left);
    set_number(ctx, SVL_STR("RateLimit-Reset"), slot->reset_s);
}

static enum svl_verdict refuse(const struct svl_limits_config *cfg, struct svl_ctx *ctx,
                               uint64_t wait_us, const char *why)
{
    uint64_t seconds = (wait_us + 999999) / 1000000;

    svl_header_set(ctx, SVL_H_RETRY_AFTER,
                   svl_printf(ctx, "%llu", (unsigned long long)(seconds ? seconds : 1)));
    return svl_fail(ctx, cfg->status, why);
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_limits_config *cfg = self->config;
    struct slot *slot = svl_slot(self, ctx);
    uint64_t now = svl_now_ms(ctx->worker) * 1000, wait;
    struct entry *entry;
    svl_str key;

    if (cfg->prefix && !svl_str_starts(ctx->req.path, svl_str_of(cfg->prefix)))
        return SVL_NEXT;
    key = key_of(cfg, ctx);
    if (!key.p)
        return SVL_NEXT;
    entry = entry_of(cfg->table, hash(cfg->table, key), now);
    if (!entry) /* the table is full of others that are running */
        return SVL_NEXT;
    if (cfg->running && !enter(entry, cfg->running, slot))
        return refuse(cfg, ctx, 0, "too many at a time");
    if (cfg->rate == 0)
        return SVL_NEXT;
    slot->counted = true;
    wait = take(cfg->table, entry, now, slot);
    if (wait == 0)
        return SVL_NEXT;
    tell(cfg, ctx, slot);
    return refuse(cfg, ctx, wait, "too many requests");
}

static enum svl_verdict on_response(const struct svl_link *self, struct svl_ctx *ctx)
{
    tell(self->config, ctx, svl_slot(self, ctx));
    return SVL_NEXT;
}

static void on_done(const struct svl_link *self, struct svl_ctx *ctx)
{
    struct slot *slot = svl_slot(self, ctx);

    if (slot->entry)
        atomic_fetch_sub_explicit(&slot->entry->running, 1, memory_order_relaxed);
}

const struct svl_module svl_limits_module = {
    .name = "limits",
    .summary = "how often, and how many at a time, somebody may ask",
    .config_size = sizeof(struct svl_limits_config),
    .slot_size = sizeof(struct slot),
    .setup = setup,
    .teardown = teardown,
    .on_request = on_request,
    .on_response = on_response,
    .on_done = on_done,
};
