/* What the files of cgi share. */
#ifndef CGI_INTERNAL_H
#define CGI_INTERNAL_H

#include "serval/mod/cgi.h"

/* Of a worker. */
struct cgi_state {
    struct svl_gateway_folder folder;
    unsigned running; /* programs */
};

/* run.c: starts the program and relays. */
enum svl_verdict cgi_run(const struct svl_link *self, struct svl_ctx *ctx,
                         const struct svl_gateway_target *target);

#endif
