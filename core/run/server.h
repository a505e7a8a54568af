/* What tests and embedding need of a server beyond serval/server.h. */
#ifndef SVL_RUN_SERVER_H
#define SVL_RUN_SERVER_H

#include "net/worker.h"
#include "serval/async.h"
#include "serval/pipe.h"
#include "serval/server.h"

/* Any thread: an end of a pipe becomes a connection of the server. With `worker`, one of this
 * server's and on its thread, it is there at once. `from` as in svl_server_dial(). */
void svl_server_take_pipe(struct svl_server *server, struct svl_worker *worker,
                          struct svl_pipe *end, const struct svl_address *from);

#endif
