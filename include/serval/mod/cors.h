/* cors: tells browsers which other sites may read the answers (Fetch standard, CORS protocol). */
#ifndef SVL_MOD_CORS_H
#define SVL_MOD_CORS_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_CORS
#error "module cors is not built in: cmake -DSVL_MODULE_CORS=ON"
#endif

/* Zero means "the default" everywhere. */
struct svl_cors_config {
    /* "https://a.example", "https://a.example:8443", "https://" "*.example" (any subdomain, not the
     * domain itself), "null"; NULL at the end. NULL or {"*", NULL} = all sites. */
    const char *const *origins;
    const char *methods; /* NULL = "GET, HEAD, POST, PUT, PATCH, DELETE" */
    const char *headers; /* fields that scripts may send; NULL = those they ask for */
    const char *expose;  /* fields that scripts may read besides the harmless ones; NULL = none */
    bool credentials;    /* cookies and passwords are allowed: not together with all sites */
    int max_age;         /* seconds that a browser need not ask again; 0 = 600, -1 = always ask */

    char max_age_text[12]; /* the module's own, made in setup */
};

extern const struct svl_module svl_cors_module;

#endif
