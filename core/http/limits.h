/* What one request may cost. */
#ifndef SVL_HTTP_LIMITS_H
#define SVL_HTTP_LIMITS_H

#include <stddef.h>
#include <stdint.h>

struct svl_limits {
    size_t max_target;         /* bytes; above it 414 */
    size_t max_head;           /* bytes from the method to the empty line; above it 431 */
    unsigned max_fields;       /* above it 431; at most 250 */
    size_t max_body;           /* bytes of a body that is awaited whole; above it 413 */
    size_t max_chunk_overhead; /* bytes of chunk extensions and trailers; above it 400 */
    size_t max_made;           /* bytes of memory for what is made of a body; above it 413 */
    size_t max_held;           /* bytes of memory that its connection holds; 0 = no limit */
};

/* Of max_held, a quarter is for what is made of a body, and one for what waits in a stream; what
 * was read has room up to three quarters. */
static inline size_t svl_held_share(const struct svl_limits *limits)
{
    return limits->max_held ? limits->max_held / 4 : SIZE_MAX;
}

#endif
