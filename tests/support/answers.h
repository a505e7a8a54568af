/* Takes the bytes that a server has sent apart, and is strict about it. */
#ifndef SVL_TESTS_ANSWERS_H
#define SVL_TESTS_ANSWERS_H

#include "serval/str.h"

struct answer {
    int status;
    svl_str head;  /* status line and fields, with the empty line */
    svl_str body;  /* as it came, still chunked if it is */
    bool close;    /* says Connection: close */
    bool bodiless; /* a body was announced and none follows: an answer to HEAD */
    bool whole;    /* the body is there up to its end */
};

/* The next answer of *rest, which goes on behind it. Returns 1, 0 at the end, or -1 with *why:
 * what is there cannot be the beginning of an answer. `rest` may end in the middle of a body.
 * A body must not begin with "HTTP/1.1 ": that is taken for the next answer, behind one to HEAD. */
int answer_next(svl_str *rest, struct answer *answer, const char **why);

/* The value of a field, p is NULL without it; `nth` from 0 on. */
svl_str answer_field(const struct answer *answer, const char *name, unsigned nth);

#endif
