/* Header fields (RFC 9110 section 5): an ordered list, as they came or as they will be sent. */
#ifndef SVL_HEADERS_H
#define SVL_HEADERS_H

#include "serval/names.h"
#include "serval/str.h"

#include <stdint.h>

struct svl_ctx;

/* One field line. The bytes belong to the ctx, or are static. */
struct svl_header {
    const char *name, *value;
    uint32_t value_len;
    uint16_t name_len;
    uint16_t id; /* enum svl_header_id; SVL_H_OTHER when the name is not a known one */
};

struct svl_headers {
    struct svl_header *at; /* at[0, n) in order */
    uint16_t n, room;
    uint8_t first[SVL_H_COUNT]; /* 1 + place of the first field with that id; 0 = none */
};

static inline svl_str svl_header_name(const struct svl_header *h)
{
    return (svl_str){h->name, h->name_len};
}

static inline svl_str svl_header_value(const struct svl_header *h)
{
    return (svl_str){h->value, h->value_len};
}

/* The value of the first field with a known name, without a search. p is NULL if there is none. */
static inline svl_str svl_headers_get(const struct svl_headers *headers, enum svl_header_id id)
{
    unsigned at = headers->first[id];

    return at ? svl_header_value(&headers->at[at - 1]) : SVL_STR_NONE;
}

/* The same by any name, whatever its case. */
svl_str svl_headers_find(const struct svl_headers *headers, svl_str name);

/* The next field with that id from place *at on (start with 0), or NULL. */
const struct svl_header *svl_headers_next(const struct svl_headers *headers, enum svl_header_id id,
                                          unsigned *at);

/* Whether a comma-separated list (RFC 9110 5.6.1) in fields of that id names `token`. */
bool svl_headers_has_token(const struct svl_headers *headers, enum svl_header_id id, svl_str token);

/* The id of a name, whatever its case, or SVL_H_OTHER; and back (p is NULL for SVL_H_OTHER). */
enum svl_header_id svl_header_id(svl_str name);
svl_str svl_header_text(enum svl_header_id id);

/* Fields of the answer ---------------------------------------------------------------------
 *
 * May be called in any order, as often as wanted, until the answer is on its way. Names are
 * checked to be tokens (RFC 9110 5.1) and values to hold no CR, LF or NUL; a bad one changes
 * nothing and returns SVL_EHEADER. Framing (Content-Length, Transfer-Encoding, Connection) is
 * the core's: setting those names returns SVL_EHEADER, use svl_close() and the body calls.
 *
 * `value` is copied, except by the _static calls, where it must stay valid until on_done. */
int svl_header_set(struct svl_ctx *ctx, enum svl_header_id id, svl_str value);
int svl_header_set_static(struct svl_ctx *ctx, enum svl_header_id id, svl_str value);
int svl_header_add(struct svl_ctx *ctx, enum svl_header_id id, svl_str value);
int svl_header_set_name(struct svl_ctx *ctx, svl_str name, svl_str value);
int svl_header_add_name(struct svl_ctx *ctx, svl_str name, svl_str value);
void svl_header_del(struct svl_ctx *ctx, enum svl_header_id id);
void svl_header_del_name(struct svl_ctx *ctx, svl_str name);

/* Whether it is a name. To be asked about names that come from elsewhere: to set one that is none is a
 * mistake, which stops the program in debug builds. */
bool svl_header_name_ok(svl_str name);

#endif
