/* Child processes, what the worker needs of them. The kernel tells by a descriptor of the process
 * (pidfd) that it has ended: no signal handler, so that any number of workers and the program around
 * them may have children. */
#ifndef SVL_NET_CHILD_H
#define SVL_NET_CHILD_H

#include "net/worker.h"
#include "serval/child.h"

/* Kills and reaps all that are left. */
void svl_children_close(struct svl_worker *worker);

#endif
