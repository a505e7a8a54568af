#include "net/deadline.h"

#include "base/check.h"

void svl_timers_init(struct svl_timers *timers, void (*arm)(struct svl_timers *, uint64_t at))
{
    *timers = (struct svl_timers){.arm = arm, .n = 1};
    svl_list_init(&timers->queues[0].waiting);
}

static struct svl_timer_queue *queue_for(struct svl_timers *timers, unsigned ms)
{
    struct svl_timer_queue *queue;

    for (unsigned i = 1; i < timers->n; i++)
        if (timers->queues[i].ms == ms)
            return &timers->queues[i];
    if (timers->n == SVL_TIMER_QUEUES)
        return &timers->queues[0];
    queue = &timers->queues[timers->n++];
    queue->ms = ms;
    svl_list_init(&queue->waiting);
    return queue;
}

/* From the back: in a queue of one duration the place is always the last. */
static void insert(struct svl_list *waiting, struct svl_timer *timer)
{
    struct svl_list *at = waiting->prev;

    while (at != waiting && svl_container(at, struct svl_timer, link)->due > timer->due)
        at = at->prev;
    timer->link.prev = at;
    timer->link.next = at->next;
    at->next->prev = &timer->link;
    at->next = &timer->link;
}

static void set(struct svl_timers *timers, struct svl_timer *timer, struct svl_timer_queue *queue,
                uint64_t due)
{
    svl_list_remove(&timer->link);
    timer->due = due;
    insert(&queue->waiting, timer);
    if (timers->armed == 0 || timer->due < timers->armed) {
        timers->armed = timer->due;
        timers->arm(timers, timer->due);
    }
}

void svl_timer_set(struct svl_timers *timers, struct svl_timer *timer, uint64_t now, unsigned ms)
{
    set(timers, timer, queue_for(timers, ms), now + ms);
}

/* Points in time are as many as their users: no queue is made for how far off each is. */
void svl_timer_set_at(struct svl_timers *timers, struct svl_timer *timer, uint64_t due)
{
    set(timers, timer, &timers->queues[0], due);
}

/* What is due moves to a list of its own first, so that a callback that sets timers cannot keep
 * this from ending, and one that clears them cannot break the walk. */
void svl_timers_run(struct svl_timers *timers, uint64_t now)
{
    struct svl_list due;
    uint64_t next = 0;

    svl_list_init(&due);
    for (unsigned i = 0; i < timers->n; i++) {
        struct svl_list *waiting = &timers->queues[i].waiting;

        while (!svl_list_empty(waiting)) {
            struct svl_list *first = waiting->next;

            if (svl_container(first, struct svl_timer, link)->due > now)
                break;
            svl_list_remove(first);
            svl_list_append(&due, first);
        }
    }
    timers->armed = 0;
    while (!svl_list_empty(&due)) {
        struct svl_timer *timer = svl_container(due.next, struct svl_timer, link);

        svl_list_remove(&timer->link);
        timer->fire(timer);
    }
    for (unsigned i = 0; i < timers->n; i++) {
        struct svl_list *waiting = &timers->queues[i].waiting;
        uint64_t at;

        if (svl_list_empty(waiting))
            continue;
        at = svl_container(waiting->next, struct svl_timer, link)->due;
        if (next == 0 || at < next)
            next = at;
    }
    if (next && next != timers->armed) {
        timers->armed = next;
        timers->arm(timers, next);
    }
}
