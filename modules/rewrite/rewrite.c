/* rewrite: gives requests another path and query, or sends clients there. Each rule is tried once, in
 * order, so that nothing can go round in circles; what comes out is made clean by the core and so
 * stays below the root. */
#include "internal.h"

#include "serval/error.h"
#include "serval/log.h"
#include "serval/uri.h"

#include <errno.h>
#include <stdlib.h>

static int setup(void *config)
{
    struct svl_rewrite_config *cfg = config;

    if (!cfg->match_limit)
        cfg->match_limit = 100000;
    return svl_rewrite_compile(cfg);
}

static void teardown(void *config)
{
    struct svl_rewrite_config *cfg = config;

    svl_rewrite_free(cfg->compiled);
}

#if SVL_REWRITE_PCRE2
static int worker_init(struct svl_link *self, struct svl_worker *worker)
{
    const struct svl_rewrite_config *cfg = self->config;

    (void)worker;
    self->state = svl_rewrite_matcher(cfg->match_limit);
    return self->state ? 0 : -ENOMEM;
}

static void worker_exit(struct svl_link *self, struct svl_worker *worker)
{
    (void)worker;
    svl_rewrite_matcher_free(self->state);
}
#endif

/* Which requests -------------------------------------------------------------------------------*/

/* The host without its port, and without a dot at its end. */
static svl_str host_name(svl_str host)
{
    size_t n = host.n;

    while (n > 0 && host.p[n - 1] >= '0' && host.p[n - 1] <= '9')
        n--;
    if (n > 0 && host.p[n - 1] == ':')
        host.n = n - 1;
    if (host.n > 0 && host.p[host.n - 1] == '.')
        host.n--;
    return host;
}

static bool host_matches(svl_str host, svl_str wanted)
{
    if (svl_str_starts(wanted, SVL_STR("*."))) {
        wanted = svl_str_from(wanted, 1);
        return host.n > wanted.n && svl_str_ieq(svl_str_from(host, host.n - wanted.n), wanted);
    }
    return svl_str_ieq(host, wanted);
}

/* The longest prefix of the map that the path is below. */
static const struct target *longest_prefix(const struct rule *rule, svl_str path)
{
    svl_str prefix = path;

    for (;;) {
        const struct target *t = svl_rewrite_lookup(rule, prefix);

        if (t || prefix.n == 0)
            return t;
        do
            prefix.n--;
        while (prefix.n > 0 && path.p[prefix.n] != '/');
    }
}

/* Whether a rule is for this request, by its path; *target and *rest are what makes the new one. */
static int matches(const struct rule *rule, const struct svl_link *self, svl_str path,
                   struct found *found, const struct target **target, svl_str *rest)
{
    (void)self;
    *rest = SVL_STR("");
    *target = rule->targets;
    if (rule->is->map)
        return (*target = svl_rewrite_lookup(rule, path)) != NULL;
    if (rule->is->prefix_map) {
        *target = longest_prefix(rule, path);
        if (*target)
            *rest = svl_str_from(path, (*target)->from.n);
        return *target != NULL;
    }
    if (rule->exact.p)
        return svl_str_eq(path, rule->exact);
    if (rule->prefix.p) {
        if (!svl_rewrite_below(path, rule->prefix))
            return 0;
        *rest = svl_str_from(path, rule->prefix.n);
        return 1;
    }
#if SVL_REWRITE_PCRE2
    if (rule->pattern)
        return svl_rewrite_match(rule->pattern, self->state, path, found);
#endif
    (void)found;
    return 1;
}

/* What becomes of them -------------------------------------------------------------------------*/

static svl_str join(struct svl_ctx *ctx, svl_str a, svl_str b)
{
    char *to = svl_alloc(ctx, a.n + b.n + 1);

    memcpy(to, a.p, a.n);
    memcpy(to + a.n, b.p, b.n);
    return (svl_str){to, a.n + b.n};
}

static svl_str strip(svl_str path, unsigned segments)
{
    while (segments-- > 0 && path.n > 1) {
        path = svl_str_from(path, 1);
        path = svl_str_from(path, svl_str_find(path, '/'));
    }
    return path.n > 0 ? path : SVL_STR("/");
}

/* Letters, digits, '-', '_' and single dots that are not the first: nothing that is a path of its own. */
static svl_str host_folder(struct svl_ctx *ctx)
{
    svl_str host = host_name(ctx->req.host);
    char *to = svl_alloc(ctx, host.n + 2), before = '.';

    to[0] = '/';
    for (size_t i = 0; i < host.n; before = host.p[i++]) {
        char c = host.p[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        to[i + 1] = c;
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
            (c == '.' && before != '.'))
            continue;
        return SVL_STR("/invalid-host");
    }
    return host.n > 0 ? (svl_str){to, host.n + 1} : SVL_STR("/invalid-host");
}

static void by_template(const struct rule *rule, struct svl_ctx *ctx, const struct template *t,
                        const struct found *found, svl_str rest, svl_str *path, svl_str *query)
{
    svl_str old = *query;

    *path = svl_rewrite_path(t, ctx, found, rest);
    if (!t->has_query)
        return;
    *query = svl_rewrite_query(t, ctx, found);
    if (rule->is->append && old.n > 0)
        *query = query->n > 0 ? svl_printf(ctx, "%.*s&%.*s", SVL_FMT(*query), SVL_FMT(old)) : old;
    if (query->n == 0)
        *query = SVL_STR_NONE;
}

/* The request as it would be is put in place, so that what is told the client is clean. To where the
 * client is already nobody is sent: the rule counts as not matching. */
static enum svl_verdict redirect(const struct rule *rule, struct svl_ctx *ctx, svl_str origin,
                                 svl_str path, svl_str query)
{
    svl_str old_path = ctx->req.path, old_query = ctx->req.query;
    char *to;
    size_t n;

    if (svl_rewrite(ctx, path, query))
        return SVL_ERROR;
    path = ctx->req.path;
    query = ctx->req.query;
    if (origin.n == 0 && svl_str_eq(path, old_path) && svl_str_eq(query, old_query))
        return SVL_NEXT;
    to = svl_alloc(ctx, origin.n + 3 * path.n + query.n + 2);
    memcpy(to, origin.n ? origin.p : "", origin.n);
    n = origin.n;
    n += svl_path_escape(to + n, path);
    if (query.p) {
        to[n++] = '?';
        memcpy(to + n, query.p, query.n);
        n += query.n;
    }
    return svl_redirect(ctx, rule->is->redirect, (svl_str){to, n});
}

static enum svl_verdict apply(const struct rule *rule, struct svl_ctx *ctx,
                              const struct target *target, const struct found *found, svl_str rest)
{
    svl_str path = ctx->req.path, query = ctx->req.query;
    enum svl_verdict verdict = SVL_NEXT;

    if (target)
        by_template(rule, ctx, &target->to, found, rest, &path, &query);
    else if (rule->is->strip)
        path = strip(path, rule->is->strip);
    else if (rule->is->add)
        path = join(ctx, rule->add, path);
    else if (rule->is->vhost)
        path = join(ctx, host_folder(ctx), path);
    else
        verdict = rule->is->fn(ctx, rule->is->arg, &path, &query);
    if (verdict != SVL_NEXT)
        return verdict;
    if (rule->is->redirect)
        return redirect(rule, ctx, target ? target->to.origin : SVL_STR_NONE, path, query);
    return svl_rewrite(ctx, path, query) ? SVL_ERROR : SVL_NEXT;
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_rewrite_config *cfg = self->config;
    const struct rewrite_rules *all = cfg->compiled;
    svl_str host = host_name(ctx->req.host);
    struct found found;

    if (ctx->req.path.n == 0 || ctx->req.path.p[0] != '/') /* OPTIONS *, CONNECT */
        return SVL_NEXT;
    for (unsigned i = 0; i < all->n; i++) {
        const struct rule *rule = &all->rules[i];
        const struct target *target;
        enum svl_verdict verdict;
        svl_str rest;
        int match;

        if (rule->host.p && !host_matches(host, rule->host))
            continue;
        match = matches(rule, self, ctx->req.path, &found, &target, &rest);
        if (match < 0)
            return svl_fail(ctx, 400, "the path is too complicated");
        if (!match)
            continue;
        verdict = apply(rule, ctx, target, &found, rest);
        if (verdict != SVL_NEXT || !(rule->is->go_on || rule->is->redirect))
            return verdict;
    }
    return SVL_NEXT;
}

const struct svl_module svl_rewrite_module = {
    .name = "rewrite",
    .summary = "other paths for requests, and redirects",
    .config_size = sizeof(struct svl_rewrite_config),
    .setup = setup,
    .teardown = teardown,
#if SVL_REWRITE_PCRE2
    .worker_init = worker_init,
    .worker_exit = worker_exit,
#endif
    .on_request = on_request,
};
