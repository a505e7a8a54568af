#include "internal.h"

#include "serval/error.h"
#include "serval/log.h"

#include <stdlib.h>

static bool has_action(const struct svl_rewrite_rule *r)
{
    return r->to || r->strip || r->add || r->vhost || r->fn;
}

static bool is_last(const struct svl_rewrite_rule *r)
{
    return !has_action(r) && !r->map && !r->prefix_map;
}

static svl_str without_slash(const char *prefix)
{
    svl_str s = svl_str_of(prefix);

    if (s.n > 0 && s.p[s.n - 1] == '/')
        s.n--;
    return s;
}

bool svl_rewrite_below(svl_str path, svl_str prefix)
{
    return svl_str_starts(path, prefix) && (path.n == prefix.n || path.p[prefix.n] == '/');
}

static int compare(svl_str a, svl_str b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int by_from(const void *a, const void *b)
{
    return compare(((const struct target *)a)->from, ((const struct target *)b)->from);
}

const struct target *svl_rewrite_lookup(const struct rule *rule, svl_str path)
{
    struct target key = {.from = path};

    return bsearch(&key, rule->targets, rule->n_targets, sizeof key, by_from);
}

/* Compiling: each returns NULL, or what is wrong. */

static const char *add_target(struct rule *rule, svl_str from, const char *to, unsigned groups)
{
    struct target *t = &rule->targets[rule->n_targets++];
    const char *why;

    t->from = from;
    why = svl_rewrite_template(&t->to, to, groups);
    if (!why && t->to.origin.n > 0 && !rule->is->redirect)
        why = "another host needs .redirect";
    return why;
}

static const char *read_map(struct rule *rule, const struct svl_rewrite_pair *map, bool prefixes)
{
    unsigned n = 0;

    while (map[n].from)
        n++;
    rule->targets = calloc(n + 1, sizeof *rule->targets);
    if (!rule->targets)
        return "no memory";
    for (; map->from; map++) {
        svl_str from = prefixes ? without_slash(map->from) : svl_str_of(map->from);
        const char *why;

        if (map->from[0] != '/')
            return "a path of the map does not begin with a slash";
        why = map->to ? add_target(rule, from, map->to, 0) : "a path of the map leads nowhere";
        if (why)
            return why;
    }
    qsort(rule->targets, n, sizeof *rule->targets, by_from);
    for (unsigned i = 1; i < n; i++)
        if (svl_str_eq(rule->targets[i - 1].from, rule->targets[i].from))
            return "a path stands in the map twice";
    return NULL;
}

static const char *read_pattern(struct rule *rule, char *room, size_t size)
{
#if SVL_REWRITE_PCRE2
    rule->pattern = svl_rewrite_pattern(rule->is->pattern, room, size);
    return rule->pattern ? NULL : room;
#else
    (void)rule;
    (void)room;
    (void)size;
    return "built without regular expressions: cmake -DSVL_REWRITE_PCRE2=ON, with libpcre2";
#endif
}

static unsigned groups_of(const struct rule *rule)
{
#if SVL_REWRITE_PCRE2
    if (rule->pattern)
        return svl_rewrite_pattern_groups(rule->pattern);
#endif
    (void)rule;
    return 0;
}

static const char *check(const struct svl_rewrite_rule *r)
{
    bool map = r->map || r->prefix_map;
    int which = !!r->exact + !!r->prefix + !!r->pattern + !!r->map + !!r->prefix_map;
    int what = !!r->to + !!r->strip + !!r->add + r->vhost + !!r->fn;

    if (which > 1)
        return "give one of exact, prefix, pattern, map and prefix_map";
    if (what != !map)
        return "give one of to, strip, add, vhost and fn, and none with a map";
    if ((r->exact && r->exact[0] != '/') || (r->prefix && r->prefix[0] != '/') ||
        (r->add && r->add[0] != '/'))
        return "a path begins with a slash";
    if (r->redirect && r->redirect != 301 && r->redirect != 302 && r->redirect != 303 &&
        r->redirect != 307 && r->redirect != 308)
        return "a redirect is 301, 302, 303, 307 or 308";
    return NULL;
}

static const char *compile(struct rule *rule, const struct svl_rewrite_rule *r, char *room,
                           size_t size)
{
    const char *why = check(r);

    rule->is = r;
    rule->host = svl_str_of(r->host);
    rule->exact = svl_str_of(r->exact);
    rule->prefix = r->prefix ? without_slash(r->prefix) : SVL_STR_NONE;
    rule->add = svl_str_of(r->add);
    if (!why && r->pattern)
        why = read_pattern(rule, room, size);
    if (!why && (r->map || r->prefix_map))
        why = read_map(rule, r->map ? r->map : r->prefix_map, !r->map);
    if (!why && r->to) {
        rule->targets = calloc(1, sizeof *rule->targets);
        why = rule->targets ? add_target(rule, SVL_STR_NONE, r->to, groups_of(rule)) : "no memory";
    }
    return why;
}

int svl_rewrite_compile(struct svl_rewrite_config *config)
{
    struct rewrite_rules *all = calloc(1, sizeof *all);
    unsigned n = 0;
    char room[200];

    while (config->rules && !is_last(&config->rules[n]))
        n++;
    if (all)
        all->rules = calloc(n + 1, sizeof *all->rules);
    if (!all || !all->rules) {
        free(all);
        return SVL_ECONFIG;
    }
    config->compiled = all;
    for (all->n = 0; all->n < n;) {
        const char *why = compile(&all->rules[all->n], &config->rules[all->n], room, sizeof room);

        all->n++;
        if (why) {
            svl_log(SVL_ALERT, "rewrite: rule %u: %s", all->n, why);
            svl_rewrite_free(all);
            config->compiled = NULL;
            return SVL_ECONFIG;
        }
    }
    return 0;
}

void svl_rewrite_free(struct rewrite_rules *all)
{
    if (!all)
        return;
    for (unsigned i = 0; i < all->n; i++) {
        struct rule *rule = &all->rules[i];

        for (unsigned j = 0; j < rule->n_targets; j++)
            svl_rewrite_template_finish(&rule->targets[j].to);
        free(rule->targets);
#if SVL_REWRITE_PCRE2
        svl_rewrite_pattern_free(rule->pattern);
#endif
    }
    free(all->rules);
    free(all);
}
