/* A fair share of each turn of the loop. In a turn every connection that is ready may send 64 KiB and
 * answer 16 requests; what is on top of that comes out of an allowance that all connections of the
 * worker have together. So a turn takes time that grows with the number of connections that are
 * ready, never with what each of them asks for. */
#ifndef SVL_NET_SHARE_H
#define SVL_NET_SHARE_H

#include "base/list.h"

#include <stddef.h>

struct svl_worker;

/* Something to do before the loop waits again. In no list when it is zeroed, and when it runs. */
struct svl_task {
    struct svl_list link;
    void (*run)(struct svl_task *task);
};

#define SVL_SHARE_BYTES 65536             /* each connection's own */
#define SVL_SHARE_REQUESTS 16             /* the same */
#define SVL_TURN_BYTES (32 * 1024 * 1024) /* on top of it, for all */
#define SVL_TURN_REQUESTS 2048
#define SVL_TURN_READY 8 /* seldom more than one in so many of those that wait is ready */

/* For one connection in one call: more than a socket's buffer takes. A full buffer is sent as the
 * acknowledgements come, by whoever gets them; with small pieces it runs empty, and then each piece
 * pays for its own way through the kernel. */
#define SVL_TURN_BYTES_MAX (8 * 1024 * 1024)

/* What was taken out of the allowance in this turn. */
struct svl_turn {
    struct svl_task over;
    size_t bytes;
    unsigned requests;
};

/* How many of `want` bytes may be sent now; not 0 unless want is. The rest is for the next turn. */
size_t svl_share_bytes(struct svl_worker *worker, size_t want);

/* Of `asked`, which svl_share_bytes() returned in this turn, only so many were sent: others may have
 * what the peer's buffer had no room for. */
void svl_share_return(struct svl_worker *worker, size_t asked, size_t sent);

/* How many more requests may be answered now, after the connection's own share; 0 = none. */
unsigned svl_share_requests(struct svl_worker *worker);

#endif
