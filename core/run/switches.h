/* What stands outside the chain when the config asks for it: a module like others, so that it costs
 * nothing when it is not there. */
#ifndef SVL_RUN_SWITCHES_H
#define SVL_RUN_SWITCHES_H

#include "serval/server.h"

struct svl_switches_config {
    const struct svl_server *server;
    const struct svl_server_config *config; /* the server's, complete */
};

extern const struct svl_module svl_switches;

/* Whether the config asks for it. */
bool svl_switches_wanted(const struct svl_server_config *config);

#endif
