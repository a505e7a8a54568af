/* errors: gives plain error answers the form that the client asks for: text, HTML or JSON. */
#ifndef SVL_MOD_ERRORS_H
#define SVL_MOD_ERRORS_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_ERRORS
#error "module errors is not built in: cmake -DSVL_MODULE_ERRORS=ON"
#endif

/* A page of one's own for a status. {status}, {title}, {detail}, {path} and {id} in it are replaced,
 * escaped for HTML. */
struct svl_error_page {
    int status; /* 404; 0 = every other one */
    const char *html;
};

/* Zero means "the default" everywhere. */
struct svl_errors_config {
    const struct svl_error_page *pages; /* html NULL at the end */
    bool text_first; /* who accepts everything (curl) gets text; otherwise JSON if it sent JSON */
    bool all;        /* also errors to which a handler gave a body of its own */
};

extern const struct svl_module svl_errors_module;

#endif
