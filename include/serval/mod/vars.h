/* vars: counters, gauges and histograms of a program, as JSON and for Prometheus. */
#ifndef SVL_MOD_VARS_H
#define SVL_MOD_VARS_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_VARS
#error "module vars is not built in: cmake -DSVL_MODULE_VARS=ON"
#endif

enum svl_var_kind { SVL_VAR_COUNTER, SVL_VAR_GAUGE, SVL_VAR_HISTOGRAM, SVL_VAR_FUNCTION };

#define SVL_VAR_BOUNDS 20 /* of a histogram */

/* One figure, declared statically. Each thread counts in memory of its own, without locks; a
 * reader adds up. */
struct svl_var {
    enum svl_var_kind kind;
    const char *name; /* "app_orders_total": letters, digits and '_' */
    const char *help;
    const double
        *bounds; /* HISTOGRAM: upper ends, ascending, 0 at the end; NULL = 100 us to 10 s */
    double (*value)(void *arg); /* FUNCTION: asked on the thread that reads */
    void *arg;
    unsigned cell; /* the module's own: 1 + where each thread counts */
};

/* static struct svl_var orders = SVL_COUNTER("app_orders_total", "Orders taken."); */
#define SVL_COUNTER(n, h)                                                                          \
    {                                                                                              \
        .kind = SVL_VAR_COUNTER, .name = n, .help = h                                              \
    }
#define SVL_GAUGE(n, h)                                                                            \
    {                                                                                              \
        .kind = SVL_VAR_GAUGE, .name = n, .help = h                                                \
    }
#define SVL_HISTOGRAM(n, h, b)                                                                     \
    {                                                                                              \
        .kind = SVL_VAR_HISTOGRAM, .name = n, .help = h, .bounds = b                               \
    }
#define SVL_FIGURE(n, h, fn, a)                                                                    \
    {                                                                                              \
        .kind = SVL_VAR_FUNCTION, .name = n, .help = h, .value = fn, .arg = a                      \
    }

/* Any thread, for vars that a use of the module lists; does nothing for others. Gauges are sums of
 * what threads add: take off where you like what was added elsewhere. */
void svl_var_add(struct svl_var *var, int64_t n);
void svl_var_observe(struct svl_var *var, double value);

/* Any thread: the sum of all threads; of a histogram how many were observed. */
int64_t svl_var_read(const struct svl_var *var);

/* Zero means "the default" everywhere. */
struct svl_vars_config {
    struct svl_var *const *vars; /* NULL at the end */
    const char *json;            /* NULL = "/debug/vars", "" = not served */
    const char *metrics;         /* NULL = "/metrics", "" = not served */
    bool open;        /* anybody may read; otherwise only from this machine, others get 404 */
    bool no_requests; /* without http_requests_total and its like */
    unsigned series;  /* routes times statuses that are told apart, per worker; 0 = 1000 */

    struct svl_vars_book *book; /* the module's own, made in setup */
};

extern const struct svl_module svl_vars_module;

#endif
