#include "net/share.h"

#include "base/check.h"
#include "net/worker.h"

static void on_over(struct svl_task *task)
{
    struct svl_turn *turn = svl_container(task, struct svl_turn, over);

    turn->bytes = 0;
    turn->requests = 0;
}

static struct svl_turn *this_turn(struct svl_worker *w)
{
    w->turn.over.run = on_over;
    svl_worker_later(w, &w->turn.over);
    return &w->turn;
}

/* Of those who are waiting for their peer many may be ready in the next turn, so each gets a part of
 * the allowance only; whoever is alone gets much. */
size_t svl_share_bytes(struct svl_worker *w, size_t want)
{
    size_t most = SVL_TURN_BYTES / (1 + w->outs.live / SVL_TURN_READY);
    struct svl_turn *turn;

    if (most > SVL_TURN_BYTES_MAX)
        most = SVL_TURN_BYTES_MAX;
    if (want <= SVL_SHARE_BYTES)
        return want;
    turn = this_turn(w);
    if (most < SVL_SHARE_BYTES || turn->bytes >= SVL_TURN_BYTES)
        return SVL_SHARE_BYTES;
    if (want > most)
        want = most;
    turn->bytes += want;
    return want;
}

void svl_share_return(struct svl_worker *w, size_t asked, size_t sent)
{
    SVL_ASSERT(sent <= asked);
    if (asked <= SVL_SHARE_BYTES) /* its own share, not of the allowance */
        return;
    SVL_ASSERT(w->turn.bytes >= asked - sent);
    w->turn.bytes -= asked - sent;
}

unsigned svl_share_requests(struct svl_worker *w)
{
    struct svl_turn *turn = this_turn(w);

    if (turn->requests >= SVL_TURN_REQUESTS)
        return 0;
    turn->requests += SVL_SHARE_REQUESTS;
    return SVL_SHARE_REQUESTS;
}
