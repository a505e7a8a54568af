/* Requests by route, method and status: the route is the pattern that a router found, never the
 * path, so that nobody can make up new ones. */
#include "internal.h"

#include <stdlib.h>

const double request_bounds[REQUEST_BOUNDS + 1] = {
    .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 0};

static struct series *make(struct page *page, svl_str route, svl_str method, int status)
{
    struct series *series = calloc(1, sizeof *series);

    if (!series)
        abort();
    series->route = route;
    series->method = method;
    series->status = status;
    atomic_store_explicit(&series->next, atomic_load_explicit(&page->first, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(&page->first, series, memory_order_release);
    return series;
}

static struct series *find(struct page *page, unsigned most, svl_str route, svl_str method,
                           int status)
{
    uintptr_t mix = (uintptr_t)route.p / 8 * 31 + (uintptr_t)method.p * 7 + (uintptr_t)status;
    struct series **at = &page->hash[mix % SERIES_HASH], *series;

    for (series = *at; series; series = series->same)
        if (series->route.p == route.p && series->method.p == method.p && series->status == status)
            return series;
    if (page->n == most) {
        if (!page->other)
            page->other = make(page, SVL_STR("other"), SVL_STR("other"), 0);
        return page->other;
    }
    page->n++;
    series = make(page, route, method, status);
    series->same = *at;
    *at = series;
    return series;
}

void series_count(struct page *page, const struct svl_vars_config *cfg, const struct svl_ctx *ctx,
                  uint64_t took_us)
{
    static const svl_str none = {"", 0}, other = {"other", 5};
    svl_str method = svl_method_text(ctx->req.method);
    struct series *series = find(page, cfg->series, ctx->req.match ? ctx->req.match->pattern : none,
                                 method.p ? method : other, ctx->res.status);

    cell_add(&series->count, 1);
    cell_add(&series->sum_us, took_us);
    cell_add(&series->bytes, ctx->res.sent);
    for (unsigned i = 0; i < REQUEST_BOUNDS; i++)
        if ((double)took_us <= request_bounds[i] * 1e6) {
            cell_add(&series->buckets[i], 1);
            break;
        }
}

void page_free(struct page *page)
{
    struct series *series = atomic_load(&page->first), *next;

    for (; series; series = next) {
        next = atomic_load(&series->next);
        free(series);
    }
    free(page);
}
