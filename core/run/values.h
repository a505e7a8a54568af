/* What is made of a request when somebody asks: parsed arguments, its form, users' values. */
#ifndef SVL_RUN_VALUES_H
#define SVL_RUN_VALUES_H

#include "run/exchange.h"
#include "serval/args.h"

struct svl_form;
struct svl_value;

struct svl_values {
    struct svl_args query;
    bool has_query;
    struct svl_form *form;
    int form_error;
    struct svl_value *first; /* the one set last */
};

/* Those of the ctx, made on the first call. */
struct svl_values *svl_values_of(struct svl_ctx *ctx);

/* `fresh` answers for `x` from now on: it sees the users' values, which stay x's. */
void svl_values_split(struct svl_exchange *fresh, const struct svl_exchange *x);

#endif
