/* Bodies that a source gives piece by piece, on their way to an HTTP/1.1 connection: asked for as
 * long as the client takes them, a bounded number of pieces each turn of the loop; chunked where
 * the length is not known (RFC 9112 7.1). */
#ifndef SVL_RUN_SOURCE_H
#define SVL_RUN_SOURCE_H

#include "net/conn.h"
#include "run/exchange.h"

enum svl_pumped {
    SVL_PUMP_OVER,    /* the whole body was written, not all of it flushed */
    SVL_PUMP_WAITING, /* for the source, the client, or the next turn */
    SVL_PUMP_CLOSED,  /* the connection has gone, and x with it */
};

/* Asks x's source until it ends, has nothing, or the client is slow. */
enum svl_pumped svl_source_pump(struct svl_conn *c, struct svl_exchange *x);

#endif
