/* vars: what its files share. cells.c counts, series.c counts requests, show.c prints. */
#ifndef SVL_VARS_INTERNAL_H
#define SVL_VARS_INTERNAL_H

#include "serval/mod/vars.h"

#include <stdatomic.h>
#include <stdint.h>

/* One number that one thread writes and others read. */
typedef _Atomic uint64_t cell;

static inline void cell_add(cell *c, uint64_t n)
{
    /* Only its own thread writes it, so no locked instruction is needed. */
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline uint64_t cell_read(const cell *c)
{
    return atomic_load_explicit((cell *)c, memory_order_relaxed);
}

/* Requests of one route, method and status in one worker. Written by its thread; the links are
 * published with release. Durations in microseconds. */
#define REQUEST_BOUNDS 14
extern const double request_bounds[REQUEST_BOUNDS + 1];

struct series {
    struct series *_Atomic next; /* of the worker's list */
    struct series *same;         /* of its hash; the worker's own */
    svl_str route, method;       /* owner: the router, names.h, or static */
    int status;
    cell count, sum_us, bytes;
    cell buckets[REQUEST_BOUNDS];
};

#define SERIES_HASH 256

/* What one worker counts. */
struct page {
    struct page *next;
    struct series *_Atomic first;
    struct series *hash[SERIES_HASH];
    struct series *other; /* for what is over the limit */
    unsigned n;
    cell started, ended;
};

struct svl_vars_book {
    struct page *_Atomic pages;
};

void series_count(struct page *page, const struct svl_vars_config *cfg, const struct svl_ctx *ctx,
                  uint64_t took_us);
void page_free(struct page *page);

/* Registers a var: gives it its cells. Returns 0 or SVL_ECONFIG. */
int var_open(struct svl_var *var);
unsigned var_bounds(const struct svl_var *var, const double **bounds);
uint64_t var_cell(const struct svl_var *var, unsigned at);
double var_sum(const struct svl_var *var);

/* Text that grows in the memory of a ctx. */
struct text {
    struct svl_ctx *ctx;
    char *p;
    size_t n, room;
};
void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

void show_metrics(struct text *text, const struct svl_vars_config *cfg);
int show_json(struct text *text, const struct svl_vars_config *cfg, const char *filter);

#endif
