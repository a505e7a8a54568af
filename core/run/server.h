/* What tests and embedding need of a server beyond serval/server.h. */
#ifndef SVL_RUN_SERVER_H
#define SVL_RUN_SERVER_H

#include "net/worker.h"
#include "serval/server.h"

struct svl_worker *svl_server_worker(struct svl_server *server, unsigned index);

#endif
