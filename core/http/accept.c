/* Content negotiation with weights. */
#include "serval/field.h"

/* Length of the list element at the start of s; a comma in a quoted string does not end it. */
static size_t element_len(svl_str s)
{
    bool quoted = false;
    size_t i;

    for (i = 0; i < s.n && (quoted || s.p[i] != ','); i++) {
        if (s.p[i] == '"')
            quoted = !quoted;
        else if (s.p[i] == '\\' && quoted)
            i++;
    }
    return i < s.n ? i : s.n;
}

/* 0, 1, and up to three digits behind a point (RFC 9110 12.4.2). Returns -1 for anything else. */
static int read_weight(svl_str s)
{
    int weight = 0, scale = 100;

    if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
        return -1;
    weight = (s.p[0] - '0') * 1000;
    for (size_t i = 2; i < s.n; i++, scale /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -1;
        weight += (s.p[i] - '0') * scale;
    }
    return weight <= 1000 ? weight : -1;
}

/* Takes "; q=0.5" and what follows it off an element. */
static bool split_weight(svl_str element, struct svl_preference *to)
{
    svl_str rest = element;
    struct svl_pair parameter;

    to->value = svl_str_trim(element);
    to->weight = 1000;
    if (svl_str_find(element, ';') == element.n)
        return to->value.n > 0;
    for (svl_str before = rest; svl_field_next(&rest, &parameter); before = rest) {
        if (!svl_str_ieq(parameter.name, SVL_STR("q")))
            continue;
        to->value = svl_str_trim(svl_str_head(element, (size_t)(before.p - element.p)));
        if (before.p == element.p)
            to->value = svl_field_value(element);
        to->weight = read_weight(parameter.value);
        return to->value.n > 0 && to->weight >= 0;
    }
    return rest.n == 0 && svl_field_value(element).n > 0;
}

bool svl_preference_next(svl_str *rest, struct svl_preference *preference)
{
    while (rest->n > 0) {
        size_t n = element_len(*rest);
        svl_str element = svl_str_head(*rest, n);

        *rest = svl_str_from(*rest, n + 1);
        if (split_weight(element, preference))
            return true;
    }
    return false;
}

/* How closely a range names an offer; 0 = not at all. */
static size_t fits_media(svl_str range, svl_str offer)
{
    size_t slash = svl_str_find(range, '/');

    if (svl_str_eq(range, SVL_STR("*/*")) || svl_str_eq(range, SVL_STR("*")))
        return 1;
    if (svl_str_eq(svl_str_from(range, slash), SVL_STR("/*")))
        return svl_str_ieq(svl_str_head(offer, slash + 1), svl_str_head(range, slash + 1)) ? 2 : 0;
    if (svl_str_ieq(range, offer))
        return 4;
    /* "text/html" takes "text/html; charset=utf-8" too. */
    if (svl_str_find(range, ';') == range.n && svl_str_ieq(range, svl_field_value(offer)))
        return 3;
    return 0;
}

static size_t fits_language(svl_str range, svl_str offer)
{
    if (svl_str_eq(range, SVL_STR("*")))
        return 1;
    if (!svl_str_ieq(svl_str_head(offer, range.n), range))
        return 0;
    return offer.n == range.n || offer.p[range.n] == '-' ? 1 + range.n : 0;
}

static bool is_coding(svl_str a, const char *name, const char *other)
{
    return svl_str_ieq(a, svl_str_of(name)) || svl_str_ieq(a, svl_str_of(other));
}

static size_t fits_name(svl_str range, svl_str offer)
{
    if (svl_str_ieq(range, offer))
        return 2;
    /* Old names that mean the same (RFC 9110 8.4.1). */
    if (is_coding(range, "gzip", "x-gzip") && is_coding(offer, "gzip", "x-gzip"))
        return 2;
    return svl_str_eq(range, SVL_STR("*"));
}

static size_t fits(enum svl_header_id id, svl_str range, svl_str offer)
{
    if (id == SVL_H_ACCEPT)
        return fits_media(range, offer);
    if (id == SVL_H_ACCEPT_LANGUAGE)
        return fits_language(range, offer);
    return fits_name(range, offer);
}

struct verdict {
    size_t fit;
    int weight;
    bool any; /* there is a field at all */
};

static void weigh(struct verdict *v, svl_str field, enum svl_header_id id, svl_str offer)
{
    struct svl_preference preference;

    v->any = true;
    while (svl_preference_next(&field, &preference)) {
        size_t fit = fits(id, preference.value, offer);

        if (fit <= v->fit)
            continue;
        v->fit = fit;
        v->weight = preference.weight;
    }
}

static int result(const struct verdict *v, enum svl_header_id id, svl_str offer)
{
    if (!v->any)
        return 1000;
    if (v->fit > 0)
        return v->weight;
    /* Not named is the least that is acceptable. */
    return id == SVL_H_ACCEPT_ENCODING && svl_str_ieq(offer, SVL_STR("identity")) ? 1 : 0;
}

int svl_preference_of(svl_str field, enum svl_header_id id, svl_str offer)
{
    struct verdict v = {0};

    if (field.p)
        weigh(&v, field, id, offer);
    return result(&v, id, offer);
}

int svl_negotiate(const struct svl_headers *headers, enum svl_header_id id, const svl_str *offers,
                  size_t n)
{
    int best = -1, best_weight = 0;

    for (size_t i = 0; i < n; i++) {
        struct verdict v = {0};
        const struct svl_header *h;
        unsigned at = headers->first[id] ? headers->first[id] - 1u : headers->n;
        int weight;

        while ((h = svl_headers_next(headers, id, &at)))
            weigh(&v, svl_header_value(h), id, offers[i]);
        weight = result(&v, id, offers[i]);
        if (weight > best_weight) {
            best_weight = weight;
            best = (int)i;
        }
    }
    return best;
}
