#include "support/pairs.h"

#include "support/exact.h"

#include <stdio.h>

const char *pairs_of(const char *text, bool (*next)(svl_str *rest, struct svl_pair *pair))
{
    static char found[256];
    svl_str copy = exact(svl_str_of(text)), rest = copy;
    struct svl_pair pair;
    size_t n = 0;

    found[0] = '\0';
    while (next(&rest, &pair))
        n += (size_t)snprintf(found + n, sizeof found - n, "%s%.*s=%.*s", n ? "|" : "",
                              SVL_FMT(pair.name), SVL_FMT(pair.value));
    if (rest.n > 0)
        snprintf(found + n, sizeof found - n, "!");
    exact_free(copy);
    return found;
}
