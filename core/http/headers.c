/* Looking into the fields of a request. Setting those of an answer is elsewhere. */
#include "serval/headers.h"

svl_str svl_headers_find(const struct svl_headers *headers, svl_str name)
{
    enum svl_header_id id = svl_header_id(name);

    if (id != SVL_H_OTHER)
        return svl_headers_get(headers, id);
    for (unsigned i = 0; i < headers->n; i++) {
        const struct svl_header *h = &headers->at[i];

        if (h->id == SVL_H_OTHER && svl_str_ieq(svl_header_name(h), name))
            return svl_header_value(h);
    }
    return SVL_STR_NONE;
}

const struct svl_header *svl_headers_next(const struct svl_headers *headers, enum svl_header_id id,
                                          unsigned *at)
{
    while (*at < headers->n) {
        const struct svl_header *h = &headers->at[(*at)++];

        if (h->id == id)
            return h;
    }
    return NULL;
}

/* Length of the list element at the start of s. A comma in a quoted string does not end it, or
 * private="x, no-store" would name no-store. */
static size_t element_len(svl_str s)
{
    bool quoted = false;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c == '"')
            quoted = !quoted;
        else if (c == '\\' && quoted)
            i++;
        else if (c == ',' && !quoted)
            return i;
    }
    return s.n;
}

static bool list_has(svl_str list, svl_str token)
{
    while (list.n > 0) {
        size_t n = element_len(list);

        if (svl_str_ieq(svl_str_trim(svl_str_head(list, n)), token))
            return true;
        list = svl_str_from(list, n + 1);
    }
    return false;
}

bool svl_headers_has_token(const struct svl_headers *headers, enum svl_header_id id, svl_str token)
{
    const struct svl_header *h;
    unsigned at = headers->first[id];

    /* Empty elements are allowed in a list, and name nothing. */
    if (at == 0 || token.n == 0)
        return false;
    for (at--; (h = svl_headers_next(headers, id, &at));)
        if (list_has(svl_header_value(h), token))
            return true;
    return false;
}
