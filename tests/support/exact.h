/* A copy of a text with nothing around it, so that ASan sees a read past either end. */
#ifndef TESTS_EXACT_H
#define TESTS_EXACT_H

#include "serval/str.h"

#include <stdlib.h>

static inline svl_str exact(svl_str s)
{
    char *p = malloc(s.n > 0 ? s.n : 1);

    if (!p)
        abort();
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return (svl_str){p, s.n};
}

static inline void exact_free(svl_str s)
{
    free((char *)s.p);
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

#endif
