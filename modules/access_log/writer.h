/* Carries lines from the loops to a file without ever blocking a loop.
 *
 * Each worker owns a ring (one producer, one consumer, no locks); one thread per writer empties
 * them all, and brings their lines into the order in which they came. */
#ifndef SVL_ACCESS_LOG_WRITER_H
#define SVL_ACCESS_LOG_WRITER_H

#include "serval/str.h"

struct svl_access_log_writer;
struct ring;

#define RING_SIZE (256 * 1024) /* a power of two */

/* Opens `path` (NULL or "-" = stdout) and starts the thread. Returns 0, or -errno. */
int svl_log_writer_open(struct svl_access_log_writer **writer, const char *path);

/* Writes what is in the rings, ends the thread, frees everything. NULL is fine. If whoever reads
 * the other end of a pipe has stopped reading, it gives up after a second. */
void svl_log_writer_close(struct svl_access_log_writer *writer);

/* The descriptor it writes to. */
int svl_log_writer_fd(const struct svl_access_log_writer *writer);

/* Any thread: a new ring, for one producer; freed by svl_log_writer_close(). NULL without memory. */
struct ring *svl_log_writer_ring(struct svl_access_log_writer *writer);

/* The ring's producer: takes a whole line of at most 32 KiB, or drops and counts it when there is no room. */
void svl_log_put(struct ring *ring, svl_str line);

#endif
