/* fastcgi: answers of a FastCGI server (php-fpm, fcgiwrap ...) over Unix or TCP sockets. */
#ifndef SVL_MOD_FASTCGI_H
#define SVL_MOD_FASTCGI_H

#include "serval/features.h"
#include "serval/gateway.h"
#include "serval/module.h"

#if !SVL_HAVE_FASTCGI
#error "module fastcgi is not built in: cmake -DSVL_MODULE_FASTCGI=ON"
#endif

#define SVL_FASTCGI_SERVERS 8

/* Zero means "the default" everywhere. Connections are a worker's own: their numbers count in each. */
struct svl_fastcgi_config {
    /* "unix:/run/php/php8.2-fpm.sock", "127.0.0.1:9000", "[::1]:9000"; NULL behind the last one. In
     * turn; one that cannot be connected to is left out for a while. */
    const char *servers[SVL_FASTCGI_SERVERS];

    /* With a root, only files below it are asked for, and what is no file is left to the modules
     * further in: so a server never sees the name of a script that is not there. Without one, every
     * path below the prefix is, and what follows the prefix is PATH_INFO. */
    const char *root;
    const char *prefix;       /* URL path; NULL = "/" */
    const char *suffix;       /* only files whose names end so: ".php"; NULL = all */
    const char *const *index; /* names that stand for their folder, NULL at the end; NULL = none */
    const char *front;        /* "/index.php": takes the paths that are no file; NULL = none does */
    const char *server_root;  /* what the root is called where the server runs; NULL = as here */
    const char *const *params; /* "NAME=value" besides, NULL at the end; they come last */
    bool hide_authorization;   /* the Authorization field is not given on */

    unsigned max_connections; /* at a time; 0 = 32; requests wait for one */
    unsigned max_waiting;     /* requests that wait; 0 = 256; 503 */
    unsigned wait_ms;         /* for a connection; 0 = 10 s; 503 */
    unsigned connect_ms;      /* 0 = 5 s; then the next server, or 502 */
    /* Connections that are kept for other requests. 0 = none: a child of php-fpm serves one connection
     * at a time, an idle one holds it back from others. So all workers together should keep fewer
     * than the server has children. */
    unsigned max_idle;
    unsigned idle_ms;               /* for so long; 0 = 30 s */
    struct svl_relay_config limits; /* times and sizes; `who` is set to "fastcgi" */
};

extern const struct svl_module svl_fastcgi_module;

#endif
