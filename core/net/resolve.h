/* Names to addresses: getaddrinfo() on libuv's threads, so that the loop goes on, and what it found is
 * kept for a while. Who asks for a name that is being looked up waits for the same look-up. One loop's. */
#ifndef SVL_NET_RESOLVE_H
#define SVL_NET_RESOLVE_H

#include "net/worker.h"

#define SVL_MAX_ADDRESSES 16 /* of one name; more are dropped */
#define SVL_MAX_NAMES 512    /* kept; then the oldest one goes */

/* In the order in which they should be tried: the system's (RFC 6724), families taking turns
 * (RFC 8305 4). The port is 0. */
struct svl_addresses {
    unsigned n;
    struct svl_address at[SVL_MAX_ADDRESSES];
};

struct svl_lookup;

/* error: 0, or UV_EAI_*. `found` is valid during the call; NULL with an error. */
typedef void svl_resolved_fn(struct svl_lookup *lookup, int error,
                             const struct svl_addresses *found);

/* Embedded in who waits. Zeroed at first. */
struct svl_lookup {
    struct svl_list link;
    svl_resolved_fn *done;
};

struct svl_resolver {
    struct svl_worker *worker;
    unsigned keep_ms;
    bool ipv4_only;
    unsigned n;
    struct svl_list names; /* the one that was asked for last is the last one */
};

void svl_resolver_init(struct svl_resolver *resolver, struct svl_worker *worker, unsigned keep_ms,
                       bool ipv4_only);

/* Look-ups end without a call of done. */
void svl_resolver_finish(struct svl_resolver *resolver);

/* done() follows once, maybe before this returns: for addresses as text ("192.0.2.1", "[::1]"),
 * "localhost", and names that are kept. */
void svl_resolve(struct svl_resolver *resolver, svl_str host, struct svl_lookup *lookup);

/* done() is not called. */
static inline void svl_resolve_cancel(struct svl_lookup *lookup)
{
    svl_list_remove(&lookup->link);
}

/* Names that are not being looked up now are asked for again next time. */
void svl_resolver_forget(struct svl_resolver *resolver);

#endif
