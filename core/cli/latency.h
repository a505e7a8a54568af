/* How long requests took, for serval bench: a histogram, and what keeps a server that stalls from hiding it
 * (coordinated omission): who waits for an answer before it asks again does not ask during a stall, and so
 * measures it once, where everybody else would have waited. Knows no clock. */
#ifndef SVL_CLI_LATENCY_H
#define SVL_CLI_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#define SVL_LATENCY_SUB 64 /* buckets for each doubling: 1.6 % wide; exact below 64 us */
#define SVL_LATENCY_BUCKETS (SVL_LATENCY_SUB * 32) /* up to 2^31 times 1 us */

/* Zeroed at first. */
struct svl_latency {
    uint64_t counts[SVL_LATENCY_BUCKETS], max_us;
};

/* A request that should have begun at due_us and was answered at now_us. */
void svl_latency_add(struct svl_latency *latency, uint64_t due_us, uint64_t now_us);

/* For requests that begin when the one before was answered: at the usual pace there would have been
 * another every `interval_us`. Once, when all are there. */
void svl_latency_put_in_omitted(struct svl_latency *latency, uint64_t interval_us);

/* The time that such a part (0 to 1) was not above; 0 if there are none. */
uint64_t svl_latency_part_us(const struct svl_latency *latency, double part);

/* Where a bucket begins. */
uint64_t svl_latency_bucket_us(unsigned bucket);

/* Requests at a rate begin by a plan, whatever the server does. */
struct svl_plan {
    uint64_t begin_us;
    unsigned rate; /* per second */
    uint64_t next; /* requests begun */
};

/* Whether another one is due, and since when. */
bool svl_plan_next(struct svl_plan *plan, uint64_t now_us, uint64_t *due_us);

#endif
