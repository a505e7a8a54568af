#include "cli/latency.h"

#include <math.h>
#include <string.h>

#define SUB SVL_LATENCY_SUB
#define BUCKETS SVL_LATENCY_BUCKETS

static unsigned bucket_of(uint64_t us)
{
    unsigned shift = us < SUB ? 0 : 63 - 6 - (unsigned)__builtin_clzll(us) + 1;
    unsigned bucket = us < SUB ? (unsigned)us : shift * SUB + (unsigned)(us >> (shift - 1)) - SUB;

    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

uint64_t svl_latency_bucket_us(unsigned bucket)
{
    unsigned shift = bucket / SUB;

    return shift == 0 ? bucket : (uint64_t)(bucket % SUB + SUB) << (shift - 1);
}

void svl_latency_add(struct svl_latency *latency, uint64_t due_us, uint64_t now_us)
{
    uint64_t us = now_us - due_us;

    latency->counts[bucket_of(us)]++;
    if (us > latency->max_us)
        latency->max_us = us;
}

void svl_latency_put_in_omitted(struct svl_latency *latency, uint64_t interval_us)
{
    uint64_t added[BUCKETS] = {0};

    if (interval_us == 0)
        return;
    for (unsigned i = 0; i < BUCKETS; i++)
        for (uint64_t us = svl_latency_bucket_us(i);
             latency->counts[i] > 0 && us >= 2 * interval_us;) {
            us -= interval_us;
            added[bucket_of(us)] += latency->counts[i];
        }
    for (unsigned i = 0; i < BUCKETS; i++)
        latency->counts[i] += added[i];
}

uint64_t svl_latency_part_us(const struct svl_latency *latency, double part)
{
    uint64_t all = 0, want, seen = 0;

    for (unsigned i = 0; i < BUCKETS; i++)
        all += latency->counts[i];
    want = (uint64_t)ceil(part * (double)all);
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += latency->counts[i];
        if (seen >= want && seen > 0)
            return svl_latency_bucket_us(i);
    }
    return 0;
}

bool svl_plan_next(struct svl_plan *plan, uint64_t now_us, uint64_t *due_us)
{
    *due_us = plan->begin_us + plan->next * 1000000 / plan->rate;
    if (*due_us > now_us)
        return false;
    plan->next++;
    return true;
}
