/* From uses to chains. A *part* is one use of a module: its copy of the config, set up once for the
 * server, and its state in each worker. Parts form the server's own chain and the inner chains that
 * modules lead into (svl_module::inner).
 *
 * For each worker an inner chain is compiled into a whole one: the links up to the module that leads
 * into it, then its own, then those behind that module. It agrees with the chain it is entered from up
 * to that module, so entering is an exchange of x->chain and nothing else: places, slots, deadlines,
 * splits and the way out go on counting. A chain without inner ones pays nothing. */
#ifndef SVL_RUN_LINKS_H
#define SVL_RUN_LINKS_H

#include "run/exchange.h"

#define SVL_MAX_DEPTH 128      /* links of a chain with those of the inner ones it is made of */
#define SVL_MAX_COMPILED 65536 /* links of all chains of one worker */

struct svl_part;

struct svl_parts {
    struct svl_part **at;
    unsigned n;
};

/* What the server is made of. Zeroed before the first use. */
struct svl_plan {
    struct svl_parts all;  /* in the order of their setup */
    struct svl_parts main; /* the server's own chain */
};

/* One more at the inner end, with what it leads into: copied and set up. Returns 0, or <0 after saying
 * why; the plan is to be closed either way. */
int svl_plan_add(struct svl_plan *plan, const struct svl_module *module, const void *config);
void svl_plan_close(struct svl_plan *plan);

/* One worker's chains. Zeroed before the first use. */
struct svl_links {
    const struct svl_plan *plan;
    struct svl_chain main;
    struct svl_link *own;          /* one for each of plan->all, as worker_init saw it */
    unsigned ready;                /* own[0, ready) had their worker_init */
    struct svl_link_block *blocks; /* memory of the chains */
    unsigned compiled;             /* links in them */
};

/* worker_init of all, then the chains. As svl_plan_add(). */
int svl_links_open(struct svl_links *links, const struct svl_plan *plan, struct svl_worker *worker);
void svl_links_close(struct svl_links *links, struct svl_worker *worker);

#endif
