/* Deadlines: FIFO lists, one per duration, and one timer of the loop for all of them. What is set
 * last with the same duration is due last, so that setting and clearing take constant time. */
#ifndef SVL_NET_DEADLINE_H
#define SVL_NET_DEADLINE_H

#include "base/list.h"

#include <stdint.h>

#define SVL_TIMER_QUEUES 24

struct svl_timers;
struct svl_timer;
typedef void svl_timer_fn(struct svl_timer *timer);

/* Zeroed at first. Embedded in what it is a deadline of. */
struct svl_timer {
    struct svl_list link;
    uint64_t due; /* ms of the clock */
    svl_timer_fn *fire;
};

struct svl_timer_queue {
    unsigned ms;
    struct svl_list waiting; /* svl_timer::link, first due first */
};

struct svl_timers {
    unsigned n;
    struct svl_timer_queue
        queues[SVL_TIMER_QUEUES]; /* the first one takes what has none of its own */
    uint64_t armed;               /* when the loop's timer fires; 0 = it does not */
    void (*arm)(struct svl_timers *timers, uint64_t at);
};

void svl_timers_init(struct svl_timers *timers, void (*arm)(struct svl_timers *, uint64_t at));

/* fire(timer) is called once, ms after now, unless it is set again or cleared before. */
void svl_timer_set(struct svl_timers *timers, struct svl_timer *timer, uint64_t now, unsigned ms);

/* The same at that time of the clock, which may have passed: then in the next run. */
void svl_timer_set_at(struct svl_timers *timers, struct svl_timer *timer, uint64_t due);

static inline void svl_timer_clear(struct svl_timer *timer)
{
    svl_list_remove(&timer->link);
}

/* Fires what is due, then arms for what comes next. */
void svl_timers_run(struct svl_timers *timers, uint64_t now);

#endif
