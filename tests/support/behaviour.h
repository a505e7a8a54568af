/* What the tests of numbered behaviours (behaviours.md) share. */
#ifndef SVL_TESTS_BEHAVIOUR_H
#define SVL_TESTS_BEHAVIOUR_H

#include "support/loopback.h"

/* Whether it is that text; NULL = whether there is none. */
bool is(svl_str s, const char *want);
bool has(svl_str s, const char *part);

/* How many answers there are. */
unsigned answers_in(svl_str bytes);

#endif
