/* The body of an answer as a client sees it: without its framing. */
#ifndef SVL_TESTS_BODY_H
#define SVL_TESTS_BODY_H

#include "support/loopback.h"

/* The body, chunks joined. p is NULL when it is not complete or its framing is wrong. Valid until
 * the next call. */
svl_str body_of(svl_str answer);

/* The same of what has come so far of a body in chunks. */
svl_str body_so_far(svl_str answer);

#endif
