/* HTTP/1.1 on a connection, the server's side (RFC 9112): reads requests, carries them through
 * the chain one after the other, writes the answers in order, and decides when it ends. */
#ifndef SVL_RUN_H1_H
#define SVL_RUN_H1_H

#include "net/conn.h"
#include "run/exchange.h"

/* What is served: svl_worker::service points at one. */
struct svl_service {
    const struct svl_chain *chain;
    struct svl_limits limits;
    unsigned header_ms, body_ms, idle_ms, write_ms, linger_ms;
    unsigned min_body_rate, min_write_rate; /* bytes per second; 0 = any progress will do */
    unsigned retry_after;                   /* seconds, when memory is full */
    unsigned max_requests;                  /* per connection; 0 = no limit */
    svl_error_fn *on_error;
    svl_accept_fn *on_accept;
    svl_state_fn *on_state;
    void *hook_arg;
};

extern const struct svl_protocol svl_h1;

#endif
