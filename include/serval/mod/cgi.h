/* cgi: runs a program of a folder for each request (RFC 3875). */
#ifndef SVL_MOD_CGI_H
#define SVL_MOD_CGI_H

#include "serval/features.h"
#include "serval/gateway.h"
#include "serval/module.h"

#if !SVL_HAVE_CGI
#error "module cgi is not built in: cmake -DSVL_MODULE_CGI=ON"
#endif

/* Zero means "the default" everywhere. */
struct svl_cgi_config {
    const char *root;         /* the folder of the programs; needed */
    const char *prefix;       /* the URL path that is this folder; NULL = "/cgi-bin" */
    const char *suffix;       /* only files whose names end so: ".php"; NULL = all */
    const char *interpreter;  /* runs them; NULL = they are programs themselves */
    const char *const *index; /* names that stand for their folder, NULL at the end; NULL = none */

    /* "NAME=value", NULL at the end: what the programs see besides the request. Nothing of our own
     * environment is given on. PATH is set if it is not among them. */
    const char *const *env;
    bool pass_authorization; /* they see the Authorization field (see RFC 3875 9.2) */

    unsigned max_running; /* programs at a time, in each worker; 0 = 32; 503 */
    unsigned kill_ms;     /* from SIGTERM to SIGKILL, when nobody wants the answer; 0 = 2 s */
    struct svl_relay_config limits; /* times and sizes; `who` is set to "cgi" */
};

extern const struct svl_module svl_cgi_module;

#endif
