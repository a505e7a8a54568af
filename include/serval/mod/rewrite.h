/* rewrite: gives requests another path and query, or sends clients there. */
#ifndef SVL_MOD_REWRITE_H
#define SVL_MOD_REWRITE_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_REWRITE
#error "module rewrite is not built in: cmake -DSVL_MODULE_REWRITE=ON"
#endif

/* One entry of a map. The `to` of svl_rewrite_rule has the rules. */
struct svl_rewrite_pair {
    const char *from, *to;
};

/* A program's own rule. *path and *query hold those of the request, decoded and as it came; they may be
 * pointed at others that live as long as the ctx. SVL_NEXT: take them. SVL_DONE: ctx->res is the answer.
 * SVL_ERROR: 500. */
typedef enum svl_verdict svl_rewrite_fn(struct svl_ctx *ctx, void *arg, svl_str *path,
                                        svl_str *query);

/* Which requests, and what becomes of them. Of exact, prefix, pattern, map and prefix_map at most one;
 * without any, every path. Of to, strip, add, vhost and fn exactly one, none with a map. */
struct svl_rewrite_rule {
    const char *host;    /* only requests for that host; "*.example.org" = all below it */
    const char *exact;   /* this path */
    const char *prefix;  /* "/old": this path and all below it */
    const char *pattern; /* a regular expression (PCRE2), on the decoded path's bytes */
    const struct svl_rewrite_pair *map;        /* many exact paths; {NULL, NULL} at the end */
    const struct svl_rewrite_pair *prefix_map; /* many prefixes, the longest wins */

    /* The new path, not escaped, in which $0 to $9 and ${10} are what the pattern's groups found and $$ is
     * a dollar. What follows a '?' is the new query, escaped but for the groups, which are escaped then; a
     * '?' alone takes the query away; without one the query stays. For a prefix it takes the place of
     * the prefix. With `redirect` it may begin with "https://host". */
    const char *to;
    unsigned strip;  /* takes so many segments off the front: 2 makes /c of /a/b/c */
    const char *add; /* puts this in front of the path */
    bool vhost; /* puts the host in front: /example.org/path, without port, in lower case; what is
                       * not a host name becomes /invalid-host */
    svl_rewrite_fn *fn;
    void *arg;

    int redirect; /* 301, 302, 303, 307, 308: tells the client to go there; 0 = the next modules see
                   * the new path */
    bool append;  /* the request's query goes behind the one in `to` */
    bool
        go_on; /* the rules below are tried as well; otherwise the first that matches is the last */
};

#define SVL_REWRITE_END                                                                            \
    {                                                                                              \
        0                                                                                          \
    }

struct rewrite_rules;

/* Zero means "the default" everywhere. */
struct svl_rewrite_config {
    const struct svl_rewrite_rule *rules; /* tried in this order, each once; SVL_REWRITE_END last */
    unsigned match_limit;           /* steps of a regular expression; 0 = 100000; beyond it: 400 */
    struct rewrite_rules *compiled; /* the module's own, made in setup */
};

extern const struct svl_module svl_rewrite_module;

#endif
