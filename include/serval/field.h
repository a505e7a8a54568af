/* What stands in header fields: values with parameters, and preferences. All functions: any
 * thread, no allocation, views of the text they are given. */
#ifndef SVL_FIELD_H
#define SVL_FIELD_H

#include "serval/headers.h"
#include "serval/text.h"

/* Parameters (RFC 9110 5.6.6) -----------------------------------------------------------------
 *
 * `text/html; charset="utf-8"; q=0.5`: a value, and parameters behind it. */

/* "text/html": what stands before the first ';', without blanks. */
svl_str svl_field_value(svl_str field);

/* Each parameter in turn. *rest is the field at first. A quoted value comes without its quotes,
 * and maybe with backslashes, see svl_unquote(). Returns false behind the last one, and where the
 * field stops being well formed: *rest then is what could not be read, and n is 0 otherwise. */
bool svl_field_next(svl_str *rest, struct svl_pair *parameter);

/* The first parameter of that name, whatever its case; p is NULL if there is none. */
svl_str svl_field_parameter(svl_str field, svl_str name);

/* Takes the backslashes off what stood between quotes. `to` needs s.n bytes and may be s.p.
 * Returns the length. */
size_t svl_unquote(char *to, svl_str s);

/* Writes s as a quoted string, with its quotes. `to` needs 2 * s.n + 2 bytes. Control bytes but
 * the tab become blanks, as they may not be in there. Returns the length. */
size_t svl_quote(char *to, svl_str s);

/* "boundary" of a Content-Type multipart/form-data; p is NULL if it is another type, or the
 * boundary is not 1 to 70 of the bytes that RFC 2046 5.1.1 allows. */
svl_str svl_field_boundary(svl_str content_type);

/* Preferences (RFC 9110 12) -------------------------------------------------------------------
 *
 * Weights are in thousandths: q=0.5 is 500, and no q is 1000. */

struct svl_preference {
    svl_str value; /* "text/html;level=1", "gzip", "de-CH"; parameters but q belong to it */
    int weight;    /* 0 = not acceptable */
};

/* Each element of Accept, Accept-Encoding, Accept-Language or Accept-Charset in turn; *rest is the
 * field at first. One that is not well formed is left out. Returns false behind the last one. */
bool svl_preference_next(svl_str *rest, struct svl_preference *preference);

/* How much `offer` is wanted, 0 to 1000. The most specific element decides: a full type before
 * a type with any subtype before any type; for languages the longest range that is a prefix (RFC 4647 3.3.1).
 * A field that is not there (p is NULL) accepts everything; an empty Accept-Encoding only
 * "identity". "identity" is acceptable unless it or "*" has q=0 (RFC 9110 12.5.3). `id` is one
 * of the four Accept fields. */
int svl_preference_of(svl_str field, enum svl_header_id id, svl_str offer);

/* Which of n offers to send, by all fields of that id in a request: the one with the highest
 * weight, of equals the first. Returns its place, or -1 if none is acceptable. */
int svl_negotiate(const struct svl_headers *headers, enum svl_header_id id, const svl_str *offers,
                  size_t n);

#endif
