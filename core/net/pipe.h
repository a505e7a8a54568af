/* Pipes as connections: an end that belongs to a worker is a svl_conn like one over a socket, so
 * that a client and a server talk in memory, on one loop or on two, and a plain thread with
 * either. Bytes are copied once into the pipe and once out of it. */
#ifndef SVL_NET_PIPE_H
#define SVL_NET_PIPE_H

#include "net/conn.h"
#include "serval/pipe.h"

/* The end becomes a connection of that worker, which closes it from now on. Loop thread of that
 * worker. on_open was called when it returns. `peer` is who it says is at the other end, NULL =
 * "memory". */
struct svl_conn *svl_pipe_conn(struct svl_pipe *end, struct svl_worker *worker,
                               const struct svl_protocol *protocol, const struct svl_address *peer);

/* The same from any thread: it is done when the loop comes round. A worker that stops or has no
 * room closes the end instead. */
void svl_pipe_hand_over(struct svl_pipe *end, struct svl_worker *worker,
                        const struct svl_protocol *protocol, const struct svl_address *peer);

#endif
