/* limits: how often, and how many at a time, somebody may ask. */
#ifndef SVL_MOD_LIMITS_H
#define SVL_MOD_LIMITS_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_LIMITS
#error "module limits is not built in: cmake -DSVL_MODULE_LIMITS=ON"
#endif

/* Who counts as somebody. */
enum svl_limits_by {
    SVL_LIMITS_ADDRESS, /* the client's address: IPv4 whole, of IPv6 the first 64 bits */
    SVL_LIMITS_NET,     /* the first 24 bits of IPv4, 48 of IPv6 */
    SVL_LIMITS_HEADER,  /* a field of the request; without it, the address */
    SVL_LIMITS_ALL,     /* everybody together */
};

struct svl_limits_table;

/* Zero means "the default" everywhere. At least rate or running must be given. */
struct svl_limits_config {
    enum svl_limits_by by;
    const char *header;                             /* for SVL_LIMITS_HEADER: "X-API-Key" */
    svl_str (*key)(struct svl_ctx *ctx, void *arg); /* instead of `by`; p NULL = no limit for it */
    void *arg;
    const char *prefix; /* only paths that begin so; NULL = all */

    double rate;    /* requests a second, on average; 0 = any number */
    unsigned burst; /* requests at once after a quiet time; 0 = what a second brings, at least 1 */
    unsigned running; /* requests being answered at a time; 0 = any number */
    int status;       /* for what is above; 0 = 429 */
    bool quiet;       /* no RateLimit-Limit, -Remaining and -Reset in answers */

    unsigned entries; /* somebodies remembered at a time; 0 = 16384. Rounded up to a power of two */

    struct svl_limits_table *table; /* the module's own, made in setup; the workers share it */
};

extern const struct svl_module svl_limits_module;

#endif
