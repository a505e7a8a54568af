/* What tests and embedding need of a server beyond serval/server.h. */
#ifndef SVL_RUN_SERVER_H
#define SVL_RUN_SERVER_H

#include "net/worker.h"
#include "serval/async.h"
#include "serval/server.h"

#endif
