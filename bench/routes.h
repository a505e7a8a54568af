/* Reads a list of routes, "METHOD /path/:name" a line, for the programs here that route. */
#ifndef ROUTES_H
#define ROUTES_H

#include <serval/mod/router.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All of them lead to the handler. Never freed: routes live as long as their server. */
static inline const struct svl_route *routes_read(const char *file, svl_handler_fn *handler)
{
    FILE *f = fopen(file, "r");
    struct svl_route *routes = NULL;
    size_t n = 0;
    char line[512];

    if (!f) {
        perror(file);
        exit(2);
    }
    while (fgets(line, sizeof line, f)) {
        char *method = strtok(line, " \n"), *path = strtok(NULL, " \n");

        if (line[0] == '#' || !path)
            continue;
        routes = realloc(routes, (n + 2) * sizeof *routes);
        routes[n++] =
            (struct svl_route){.method = strdup(method), .path = strdup(path), .handler = handler};
    }
    fclose(f);
    if (!n) {
        fprintf(stderr, "%s: no routes\n", file);
        exit(2);
    }
    routes[n] = (struct svl_route)SVL_ROUTE_END;
    return routes;
}

#endif
