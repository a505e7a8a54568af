/* Whether a peer moves bytes fast enough: in each window of time that was spent waiting for it, so
 * many bytes per second must have moved. Time in which we were busy ourselves does not count, so a
 * handler that pauses, a slow disk or a busy loop are not held against the peer. */
#ifndef SVL_NET_PACE_H
#define SVL_NET_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct svl_pace {
    uint32_t since;  /* low bits of the clock's ms: when this wait began */
    uint32_t waited; /* ms of this window, without this wait */
    uint64_t moved;  /* bytes that had moved when the window began */
};

/* A window begins; `moved` bytes have moved so far. */
static inline void svl_pace_begin(struct svl_pace *pace, uint64_t moved)
{
    pace->waited = 0;
    pace->moved = moved;
}

static inline void svl_pace_wait(struct svl_pace *pace, uint64_t now)
{
    pace->since = (uint32_t)now;
}

/* After svl_pace_wait(): something has come, or the time is up. */
static inline void svl_pace_waited(struct svl_pace *pace, uint64_t now)
{
    pace->waited += (uint32_t)now - pace->since;
}

/* At the end of a window: less than `rate` bytes per second have moved, or none at all. */
static inline bool svl_pace_is_slow(const struct svl_pace *pace, uint64_t moved, unsigned rate)
{
    uint64_t due = (uint64_t)pace->waited * rate / 1000;

    return moved <= pace->moved || moved - pace->moved < due;
}

#endif
