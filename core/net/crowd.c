#include "net/crowd.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

struct svl_crowd_entry {
    struct svl_crowd_entry *next;
    unsigned connections; /* > 0 */
    uint8_t key[17];      /* family's length, then the bits that count, others 0 */
};

#define FIRST_BUCKETS 64

void svl_crowd_init(struct svl_crowd *crowd, unsigned max, unsigned prefix)
{
    *crowd = (struct svl_crowd){.max = max, .prefix = prefix, .n_buckets = FIRST_BUCKETS};
    pthread_mutex_init(&crowd->lock, NULL);
    crowd->buckets = svl_calloc(crowd->n_buckets * sizeof *crowd->buckets);
    if (getrandom(&crowd->seed, sizeof crowd->seed, GRND_NONBLOCK) < 0)
        crowd->seed = (uintptr_t)crowd->buckets;
}

void svl_crowd_finish(struct svl_crowd *crowd)
{
    if (!crowd->buckets)
        return;
    for (size_t i = 0; i < crowd->n_buckets; i++) {
        while (crowd->buckets[i]) {
            struct svl_crowd_entry *entry = crowd->buckets[i];

            crowd->buckets[i] = entry->next;
            free(entry);
        }
    }
    free(crowd->buckets);
    pthread_mutex_destroy(&crowd->lock);
    crowd->buckets = NULL;
}

static bool make_key(uint8_t key[17], const struct svl_crowd *crowd, const struct svl_address *a)
{
    unsigned bits = a->family == AF_INET6 ? crowd->prefix : 32;

    if (a->family != AF_INET && a->family != AF_INET6)
        return false;
    memset(key, 0, 17);
    key[0] = a->family == AF_INET6 ? 6 : 4;
    memcpy(key + 1, a->ip, bits / 8);
    if (bits % 8)
        key[1 + bits / 8] = (uint8_t)(a->ip[bits / 8] & (0xff00u >> bits % 8));
    return true;
}

static size_t place(const struct svl_crowd *crowd, const uint8_t key[17])
{
    uint64_t hash = crowd->seed;

    for (int i = 0; i < 17; i++) {
        hash = (hash ^ key[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return (size_t)hash & (crowd->n_buckets - 1);
}

static struct svl_crowd_entry **find(struct svl_crowd *crowd, const uint8_t key[17])
{
    struct svl_crowd_entry **at = &crowd->buckets[place(crowd, key)];

    while (*at && memcmp((*at)->key, key, sizeof(*at)->key) != 0)
        at = &(*at)->next;
    return at;
}

static void grow(struct svl_crowd *crowd)
{
    struct svl_crowd_entry **old = crowd->buckets;
    size_t n_old = crowd->n_buckets;

    crowd->n_buckets *= 4;
    crowd->buckets = svl_calloc(crowd->n_buckets * sizeof *crowd->buckets);
    for (size_t i = 0; i < n_old; i++) {
        while (old[i]) {
            struct svl_crowd_entry *entry = old[i], **to;

            old[i] = entry->next;
            to = &crowd->buckets[place(crowd, entry->key)];
            entry->next = *to;
            *to = entry;
        }
    }
    free(old);
}

static struct svl_crowd_entry *add(struct svl_crowd *crowd, const uint8_t key[17])
{
    struct svl_crowd_entry *entry = svl_calloc(sizeof *entry), **to;

    if (crowd->n_entries++ == crowd->n_buckets)
        grow(crowd);
    memcpy(entry->key, key, sizeof entry->key);
    to = &crowd->buckets[place(crowd, key)];
    entry->next = *to;
    *to = entry;
    return entry;
}

bool svl_crowd_enter(struct svl_crowd *crowd, const struct svl_address *address)
{
    struct svl_crowd_entry *entry;
    uint8_t key[17];
    bool welcome;

    if (!make_key(key, crowd, address))
        return true;
    pthread_mutex_lock(&crowd->lock);
    entry = *find(crowd, key);
    welcome = !entry || entry->connections < crowd->max;
    if (welcome && !entry)
        entry = add(crowd, key);
    if (welcome)
        entry->connections++;
    pthread_mutex_unlock(&crowd->lock);
    return welcome;
}

void svl_crowd_leave(struct svl_crowd *crowd, const struct svl_address *address)
{
    struct svl_crowd_entry **at, *entry;
    uint8_t key[17];

    if (!make_key(key, crowd, address))
        return;
    pthread_mutex_lock(&crowd->lock);
    at = find(crowd, key);
    entry = *at;
    SVL_ASSERT(entry && entry->connections > 0);
    if (--entry->connections == 0) {
        *at = entry->next;
        crowd->n_entries--;
        free(entry);
    }
    pthread_mutex_unlock(&crowd->lock);
}
