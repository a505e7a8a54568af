/* Connections in memory: both ends of a pipe, without sockets. For tests of a server, for
 * benchmarks, and for two parts of a program that speak HTTP with each other.
 *
 * An end is used from any one thread at a time; its other end may be on another thread, and may
 * be a connection of a server (svl_server_dial()) or of a client. Each direction holds 64 KiB
 * before its writer has to wait. */
#ifndef SVL_PIPE_H
#define SVL_PIPE_H

#include "serval/str.h"

#include <sys/types.h>

struct svl_pipe; /* one end */

/* Two ends that are connected to each other. Each is closed by svl_pipe_close(). */
void svl_pipe_pair(struct svl_pipe *ends[2]);

/* Reads what has come, up to `room` bytes; waits for some at most wait_ms (0 = not at all,
 * SVL_NEVER of async.h = as long as it takes). Returns how many; 0 = the other end sends no more;
 * UV_EAGAIN (-EAGAIN) = nothing came in time. */
ssize_t svl_pipe_read(struct svl_pipe *end, char *to, size_t room, unsigned wait_ms);

/* Writes all of it, waiting for room at most wait_ms each time. Returns how much was written,
 * less than all when the time was up; UV_EPIPE when the other end was closed. */
ssize_t svl_pipe_write(struct svl_pipe *end, svl_str bytes, unsigned wait_ms);

/* Sends no more; may still read. */
void svl_pipe_shut(struct svl_pipe *end);

/* What the other end has not read yet it still can. NULL is fine. */
void svl_pipe_close(struct svl_pipe *end);

#endif
