/* Latencies in nanoseconds, counted in buckets less than 1 % wide. */
#ifndef LATENCY_H
#define LATENCY_H

#include <stdint.h>

enum {
    LATENCY_BITS = 7,
    LATENCY_SUB = 1 << LATENCY_BITS,
    LATENCY_BUCKETS = (64 - LATENCY_BITS + 1) * LATENCY_SUB,
};

struct latency {
    uint64_t bucket[LATENCY_BUCKETS];
    uint64_t count, max;
};

static inline unsigned latency_bucket(uint64_t ns)
{
    if (ns < LATENCY_SUB)
        return (unsigned)ns;
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - LATENCY_BITS;
    return (shift + 1) * LATENCY_SUB + (unsigned)((ns >> shift) - LATENCY_SUB);
}

static inline uint64_t latency_middle(unsigned i)
{
    if (i < LATENCY_SUB)
        return i;
    unsigned shift = i / LATENCY_SUB - 1;
    return ((uint64_t)(i % LATENCY_SUB + LATENCY_SUB) << shift) + ((1ull << shift) >> 1);
}

static inline void latency_add(struct latency *l, uint64_t ns)
{
    l->bucket[latency_bucket(ns)]++;
    l->count++;
    if (ns > l->max)
        l->max = ns;
}

/* The quantile (0 to 1) in microseconds; 0 when there is none. */
static inline double latency_us(const struct latency *l, double quantile)
{
    uint64_t rank = (uint64_t)(quantile * (double)l->count + 0.999999);
    uint64_t seen = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        seen += l->bucket[i];
        if (seen >= rank && seen) {
            uint64_t ns = latency_middle(i);
            return (double)(ns < l->max ? ns : l->max) / 1000;
        }
    }
    return 0;
}

#endif
