/* Nanoseconds per lookup of the router on lists of routes (bench/routes/): each route is asked for
 * with its own pattern as the path, as published router benchmarks do. In order is the order of
 * the list; shuffled is a fixed random sequence, which a branch predictor cannot learn.
 *
 *     micro_router FILE...   ->   serval github 203 12.3 15.1 0 17424
 *     (who, set, routes, ns in order, ns shuffled, allocations, bytes of tree) */
#include "serval/features.h"

#include <stdio.h>

#if SVL_HAVE_ROUTER

#include "serval/mod/router.h"

#include <malloc.h>
#include <stdlib.h>
#include <time.h>

#define MAX_ROUTES 1024
#define SHUFFLED 4096
#define ROUNDS 200 /* short ones: the best of them had the processor for itself */
#define ROUND_NS 2000000

struct set {
    char name[64];
    char text[65536];
    struct svl_route routes[MAX_ROUTES + 1];
    struct svl_ask asks[MAX_ROUTES];
    unsigned n;
    uint16_t order[SHUFFLED];
};

static struct set set;

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return SVL_DONE;
}

static int load(const char *path)
{
    FILE *file = fopen(path, "r");
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t size;
    uint32_t random = 1;

    if (!file)
        return -1;
    size = fread(set.text, 1, sizeof set.text - 1, file);
    fclose(file);
    set.text[size] = '\0';
    snprintf(set.name, sizeof set.name, "%.*s", (int)strcspn(name, "."), name);
    memset(set.routes, 0, sizeof set.routes);
    set.n = 0;
    for (char *line = strtok(set.text, "\n"); line && set.n < MAX_ROUTES;
         line = strtok(NULL, "\n")) {
        char *blank = strchr(line, ' ');

        *blank = '\0';
        set.routes[set.n] =
            (struct svl_route){.method = line, .path = blank + 1, .handler = handler};
        set.asks[set.n].method = svl_method_of(svl_str_of(line));
        set.asks[set.n++].path = svl_str_of(blank + 1);
    }
    for (unsigned i = 0; i < SHUFFLED; i++) {
        random = random * 1664525 + 1013904223;
        set.order[i] = (uint16_t)((random >> 8) % set.n);
    }
    return 0;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* One pass; returns how many of the lookups found what they should. */
static unsigned pass(const struct svl_router *router, bool shuffled)
{
    struct svl_found found;
    unsigned right = 0, n = shuffled ? SHUFFLED : set.n;

    for (unsigned i = 0; i < n; i++) {
        unsigned k = shuffled ? set.order[i] : i;

        right += svl_router_find(router, &set.asks[k], &found) && found.route == &set.routes[k];
    }
    return right;
}

/* The best of some rounds. */
static double measure(const struct svl_router *router, bool shuffled)
{
    unsigned n = shuffled ? SHUFFLED : set.n;
    double best = 1e18;

    for (int round = 0; round < ROUNDS; round++) {
        double begin = now(), end;
        unsigned long passes = 0;

        do {
            if (pass(router, shuffled) != n) {
                fprintf(stderr, "%s: a lookup is wrong\n", set.name);
                exit(1);
            }
            passes++;
            end = now();
        } while (end - begin < ROUND_NS);
        end = (end - begin) / ((double)passes * n);
        best = end < best ? end : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct svl_router *router;
        double ordered, shuffled;
        size_t before;

        if (load(argv[i]) < 0 ||
            svl_router_open(&router, &(struct svl_router_config){.routes = set.routes})) {
            fprintf(stderr, "%s: cannot be loaded\n", argv[i]);
            return 1;
        }
        before = mallinfo2().uordblks;
        ordered = measure(router, false);
        shuffled = measure(router, true);
        printf("serval %s %u %.1f %.1f %zu %zu\n", set.name, set.n, ordered, shuffled,
               mallinfo2().uordblks - before, svl_router_bytes(router));
        svl_router_close(router);
    }
    return 0;
}

#else

int main(void)
{
    fprintf(stderr, "module router is not built in\n");
    return 1;
}

#endif
