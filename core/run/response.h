/* What few answers have: a body that grows, trailers. And what few requests have: trailers too. */
#ifndef SVL_RUN_RESPONSE_H
#define SVL_RUN_RESPONSE_H

#include "run/exchange.h"

struct svl_trailer {
    struct svl_trailer *next;
    svl_str name, value;
};

struct svl_extra {
    char *body;                   /* the arena's; what svl_body_append() writes to */
    size_t room;                  /* of body */
    struct svl_trailer *trailers; /* of the answer, in order */
    struct svl_headers *received; /* the request's trailers; NULL = not looked at yet */
};

void svl_extra_reset(struct svl_extra *extra);

/* Before an answer with an extra is framed: announces its trailers, and has its body sent in chunks if
 * it can be. */
void svl_extra_prepare(struct svl_exchange *x);

/* What follows the last chunk: bytes, and the writing of them. */
size_t svl_extra_trailer_length(const struct svl_exchange *x);
char *svl_extra_trailer_write(char *to, const struct svl_exchange *x);

/* answer.c: a name is a token (RFC 9110 5.1); no CR, LF or NUL gets from a value to the wire. */
bool svl_field_value_ok(svl_str value);

#endif
