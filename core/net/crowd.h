/* How many connections each client address has, over all workers of a server. */
#ifndef SVL_NET_CROWD_H
#define SVL_NET_CROWD_H

#include "serval/ctx.h"

#include <pthread.h>

/* One address, or one IPv6 prefix; in a bucket's list while it has connections. */
struct svl_crowd_entry;

struct svl_crowd {
    pthread_mutex_t lock; /* of everything here */
    unsigned max;         /* connections of one address */
    unsigned prefix;      /* bits of an IPv6 address that count */
    struct svl_crowd_entry **buckets;
    size_t n_buckets; /* a power of two */
    size_t n_entries;
    uint64_t seed; /* so that clients cannot choose their bucket */
};

void svl_crowd_init(struct svl_crowd *crowd, unsigned max, unsigned prefix);
void svl_crowd_finish(struct svl_crowd *crowd);

/* Any thread. False: that address has as many as it may. Others than IP addresses are not counted,
 * and always welcome. */
bool svl_crowd_enter(struct svl_crowd *crowd, const struct svl_address *address);

/* Any thread: undoes one svl_crowd_enter() that returned true. */
void svl_crowd_leave(struct svl_crowd *crowd, const struct svl_address *address);

#endif
