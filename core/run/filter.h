/* Body filters, the core's side: include/serval/filter.h is the modules'. */
#ifndef SVL_RUN_FILTER_H
#define SVL_RUN_FILTER_H

#include "run/exchange.h"
#include "serval/filter.h"

/* All for exchanges whose `filtering` is not NULL. */

/* The answer is ready: its body becomes what the filters make of it. */
void svl_filters_apply(struct svl_exchange *x);

/* Closes the filters, the first added first; twice is fine. */
void svl_filters_close(struct svl_exchange *x);

/* The same, and there are none any more. */
void svl_filters_drop(struct svl_exchange *x);

#endif
