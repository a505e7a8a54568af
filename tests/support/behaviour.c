#include "support/behaviour.h"

bool is(svl_str s, const char *want)
{
    return want ? s.p && svl_str_eq(s, svl_str_of(want)) : !s.p;
}

bool has(svl_str s, const char *part)
{
    return !*part || (s.n > 0 && memmem(s.p, s.n, part, strlen(part)) != NULL);
}

unsigned answers_in(svl_str rest)
{
    unsigned n = 0;
    const char *at;

    while (rest.n > 0 && (at = memmem(rest.p, rest.n, "HTTP/1.1 ", 9))) {
        n++;
        rest = svl_str_from(rest, (size_t)(at - rest.p) + 9);
    }
    return n;
}
