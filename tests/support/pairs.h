/* What one of the walks over "name=value" finds in a text. */
#ifndef SVL_TESTS_PAIRS_H
#define SVL_TESTS_PAIRS_H

#include "serval/text.h"

/* "name=value|name=value", and "!" behind it when the walk has left something. The text is given to
 * `next` with nothing around it, so that ASan sees a read past its end. Valid until the next call. */
const char *pairs_of(const char *text, bool (*next)(svl_str *rest, struct svl_pair *pair));

#endif
