/* Where vars count: each thread has an array of cells, made when it first counts and kept for the
 * readers when it has ended. */
#include "internal.h"

#include "serval/error.h"
#include "serval/log.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#define CELLS 4096 /* of all vars */

struct cells {
    struct cells *next;
    cell at[CELLS];
};

static struct cells *_Atomic all; /* of every thread that has ever counted */
static _Thread_local struct cells *mine;
static unsigned used;
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

static const double usual_bounds[] = {.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05,
                                      .1,    .25,    .5,    1,    2.5,   5,    10,  0};

unsigned var_bounds(const struct svl_var *var, const double **bounds)
{
    unsigned n = 0;

    *bounds = var->bounds ? var->bounds : usual_bounds;
    while (n < SVL_VAR_BOUNDS && (*bounds)[n] > 0)
        n++;
    return n;
}

static bool name_ok(const char *name)
{
    if (!name || !*name || (*name >= '0' && *name <= '9'))
        return false;
    for (; *name; name++)
        if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
              (*name >= '0' && *name <= '9') || *name == '_'))
            return false;
    return true;
}

/* Cells of a histogram: one for each bound, all, and the sum as a double's bits. */
static unsigned cells_of(const struct svl_var *var)
{
    const double *bounds;

    if (var->kind == SVL_VAR_HISTOGRAM)
        return var_bounds(var, &bounds) + 2;
    return var->kind == SVL_VAR_FUNCTION ? 0 : 1;
}

int var_open(struct svl_var *var)
{
    unsigned n = cells_of(var);
    const char *why = NULL;

    pthread_mutex_lock(&opening);
    if (!name_ok(var->name))
        why = "not a name: letters, digits and '_'";
    else if (var->cell == 0 && used + n > CELLS)
        why = "too many vars";
    else if (var->cell == 0) {
        var->cell = 1 + used;
        used += n;
    }
    pthread_mutex_unlock(&opening);
    if (why)
        svl_log(SVL_ALERT, "vars: \"%s\": %s", var->name ? var->name : "", why);
    return why ? SVL_ECONFIG : 0;
}

static struct cells *make(void)
{
    struct cells *cells = calloc(1, sizeof *cells);

    if (!cells)
        abort();
    cells->next = atomic_load(&all);
    while (!atomic_compare_exchange_weak(&all, &cells->next, cells))
        ;
    return cells;
}

static cell *cell_of(const struct svl_var *var)
{
    if (var->cell == 0)
        return NULL;
    if (!mine)
        mine = make();
    return &mine->at[var->cell - 1];
}

void svl_var_add(struct svl_var *var, int64_t n)
{
    cell *at = cell_of(var);

    if (at && var->kind <= SVL_VAR_GAUGE)
        cell_add(at, (uint64_t)n);
}

static void add_double(cell *c, double value)
{
    uint64_t bits = cell_read(c);
    double sum;

    memcpy(&sum, &bits, sizeof sum);
    sum += value;
    memcpy(&bits, &sum, sizeof bits);
    atomic_store_explicit(c, bits, memory_order_relaxed);
}

void svl_var_observe(struct svl_var *var, double value)
{
    cell *at = cell_of(var);
    const double *bounds;
    unsigned n, i = 0;

    if (!at || var->kind != SVL_VAR_HISTOGRAM || isnan(value))
        return;
    n = var_bounds(var, &bounds);
    while (i < n && value > bounds[i])
        i++;
    if (i < n)
        cell_add(&at[i], 1);
    cell_add(&at[n], 1);
    add_double(&at[n + 1], value);
}

uint64_t var_cell(const struct svl_var *var, unsigned at)
{
    uint64_t sum = 0;

    if (var->cell == 0)
        return 0;
    for (const struct cells *cells = atomic_load(&all); cells; cells = cells->next)
        sum += cell_read(&cells->at[var->cell - 1 + at]);
    return sum;
}

double var_sum(const struct svl_var *var)
{
    const double *bounds;
    unsigned at = var_bounds(var, &bounds) + 1;
    double sum = 0;

    for (const struct cells *cells = var->cell ? atomic_load(&all) : NULL; cells;
         cells = cells->next) {
        uint64_t bits = cell_read(&cells->at[var->cell - 1 + at]);
        double one;

        memcpy(&one, &bits, sizeof one);
        sum += one;
    }
    return sum;
}

int64_t svl_var_read(const struct svl_var *var)
{
    const double *bounds;

    if (var->kind == SVL_VAR_FUNCTION)
        return var->value ? (int64_t)var->value(var->arg) : 0;
    return (int64_t)var_cell(var, var->kind == SVL_VAR_HISTOGRAM ? var_bounds(var, &bounds) : 0);
}
