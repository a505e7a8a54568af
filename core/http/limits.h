/* What one request may cost. */
#ifndef SVL_HTTP_LIMITS_H
#define SVL_HTTP_LIMITS_H

#include <stddef.h>

struct svl_limits {
    size_t max_target;         /* bytes; above it 414 */
    size_t max_head;           /* bytes from the method to the empty line; above it 431 */
    unsigned max_fields;       /* above it 431; at most 250 */
    size_t max_body;           /* bytes of a body that is awaited whole; above it 413 */
    size_t max_chunk_overhead; /* bytes of chunk extensions and trailers; above it 400 */
};

#endif
