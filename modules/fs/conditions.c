/* Conditional requests and ranges: RFC 9110 13 and 14, as a pure function of the request and the
 * validators. The order is that of 13.2.2. */
#include "internal.h"

#include "serval/date.h"
#define GAP_MAX 80 /* a boundary and two fields are about as long */

/* An entity-tag at the start of *list, behind blanks and commas; it is taken off. Returns false
 * at the end. What is not an entity-tag is skipped: it is equal to nothing. */
static bool next_tag(svl_str *list, svl_str *tag, bool *weak)
{
    while (list->n > 0) {
        size_t skip = 0, end;

        while (skip < list->n && strchr(", \t", list->p[skip]))
            skip++;
        *list = svl_str_from(*list, skip);
        *weak = svl_str_starts(*list, SVL_STR("W/\""));
        if (*weak)
            *list = svl_str_from(*list, 2);
        if (list->n == 0 || list->p[0] != '"') {
            *list = svl_str_from(*list, svl_str_find(*list, ','));
            continue;
        }
        end = 1 + svl_str_find(svl_str_from(*list, 1), '"');
        if (end >= list->n)
            return false; /* not closed */
        *tag = svl_str_head(*list, end + 1);
        *list = svl_str_from(*list, end + 1);
        return true;
    }
    return false;
}

static bool is_listed(svl_str list, svl_str etag, bool weak_counts)
{
    svl_str tag;
    bool weak;

    if (svl_str_eq(svl_str_trim(list), SVL_STR("*")))
        return true;
    while (next_tag(&list, &tag, &weak)) {
        if (svl_str_eq(tag, etag) && (weak_counts || !weak))
            return true;
    }
    return false;
}

/* In any of the fields with that id: they are one list. */
static bool any_listed(const struct svl_request *req, enum svl_header_id id, svl_str etag,
                       bool weak_counts)
{
    const struct svl_header *h;
    unsigned at = 0;

    while ((h = svl_headers_next(&req->headers, id, &at))) {
        if (is_listed(svl_header_value(h), etag, weak_counts))
            return true;
    }
    return false;
}

static bool has(const struct svl_request *req, enum svl_header_id id)
{
    return svl_headers_get(&req->headers, id).p != NULL;
}

static bool is_single(const struct svl_request *req, enum svl_header_id id)
{
    unsigned at = 0;

    return svl_headers_next(&req->headers, id, &at) && !svl_headers_next(&req->headers, id, &at);
}

/* The date of a field that may stand there only once; anything else is as if it was not there. */
static bool date_of(const struct svl_request *req, enum svl_header_id id, int64_t *seconds)
{
    return is_single(req, id) && svl_date_parse(svl_headers_get(&req->headers, id), seconds);
}

bool svl_fs_is_known(const struct svl_request *req, svl_str etag)
{
    return any_listed(req, SVL_H_IF_NONE_MATCH, etag, true);
}

static bool precondition_failed(const struct svl_request *req, const struct fs_validators *v)
{
    int64_t date;

    if (has(req, SVL_H_IF_MATCH))
        return !any_listed(req, SVL_H_IF_MATCH, v->etag, false);
    return date_of(req, SVL_H_IF_UNMODIFIED_SINCE, &date) && v->modified > date;
}

static bool not_modified(const struct svl_request *req, const struct fs_validators *v)
{
    int64_t date;

    if (has(req, SVL_H_IF_NONE_MATCH))
        return any_listed(req, SVL_H_IF_NONE_MATCH, v->etag, true);
    return date_of(req, SVL_H_IF_MODIFIED_SINCE, &date) && v->modified <= date;
}

/* Both kinds of validator must be exactly the current one, and strong. */
static bool range_still_wanted(const struct svl_request *req, const struct fs_validators *v)
{
    svl_str value = svl_str_trim(svl_headers_get(&req->headers, SVL_H_IF_RANGE));
    int64_t date;

    if (!has(req, SVL_H_IF_RANGE))
        return true;
    if (!is_single(req, SVL_H_IF_RANGE))
        return false;
    if (value.n > 0 && value.p[0] == '"')
        return svl_str_eq(value, v->etag);
    return svl_date_parse(value, &date) && date == v->modified;
}

/* Sorts, and joins what overlaps or is closer than what would have to stand between two parts: so no
 * byte is sent twice, however the ranges were chosen (RFC 9110 14.2, 17.15). */
static void join_ranges(struct fs_ranges *r)
{
    int n = 0;

    for (int i = 1; i < r->n; i++) {
        struct svl_range range = r->at[i];
        int k = i;

        for (; k > 0 && r->at[k - 1].offset > range.offset; k--)
            r->at[k] = r->at[k - 1];
        r->at[k] = range;
    }
    for (int i = 1; i < r->n; i++) {
        struct svl_range *last = &r->at[n], *next = &r->at[i];
        int64_t end = next->offset + next->length;

        if (next->offset - (last->offset + last->length) > GAP_MAX)
            r->at[++n] = *next;
        else if (end > last->offset + last->length)
            last->length = end - last->offset;
    }
    r->n = n + 1;
}

int svl_fs_decide(const struct svl_request *req, const struct fs_validators *v, int64_t size,
                  struct fs_ranges *ranges)
{
    if (precondition_failed(req, v))
        return 412;
    if (not_modified(req, v))
        return 304;
    if (req->method != SVL_GET || !is_single(req, SVL_H_RANGE) || !range_still_wanted(req, v))
        return 200;

    /* Too many ranges: the whole file, which RFC 9110 14.2 allows. */
    ranges->n = svl_range_parse(svl_headers_get(&req->headers, SVL_H_RANGE), size, ranges->at,
                                FS_RANGES_MAX);
    if (ranges->n <= 0)
        return ranges->n == 0 ? 416 : 200;
    join_ranges(ranges);
    return 206;
}
