/* Connections that were taken over: the protocol they are given. */
#ifndef SVL_RUN_RAW_H
#define SVL_RUN_RAW_H

#include "net/conn.h"
#include "serval/hijack.h"

/* c changes its protocol; its state is made anew. `rest` was read behind the request. */
void svl_raw_begin(struct svl_conn *c, const struct svl_raw_events *events, void *arg,
                   svl_str rest);

#endif
