/* Routes of all groups, into trees; what is wrong with them is said in one go. */
#include "around.h"
#include "tree.h"

#include "serval/error.h"
#include "serval/log.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_PARTS 32 /* groups within each other, and a path */

struct build {
    struct svl_router *r;
    struct heap *keep; /* what lookups need */
    struct heap heap;  /* what only the building does */
    struct host *hosts;
    struct tree **roots; /* [0] for every host, then one for each host */
    unsigned n_hosts;
    struct svl_target *targets;
    struct pattern *patterns; /* of targets */
    unsigned n_targets;
    struct place *places;
    struct check *checks; /* [0] is none */
    unsigned n_checks;
    struct named *named;
    unsigned n_named;
    struct around around;
    int errors;
};

/* Where the walk through the groups is. */
struct scope {
    struct level level;
    uint32_t place;
    svl_str parts[MAX_PARTS];
    unsigned n_parts;
    const char *host;
};

static const char *where(const struct svl_route *route, char *to, size_t size)
{
    to[0] = '\0';
    if (route->file)
        snprintf(to, size, " (%s:%d)", route->file, route->line);
    return to;
}

static void wrong(struct build *b, const struct svl_route *route, svl_str pattern, const char *why)
{
    char at[512];

    b->errors++;
    svl_log(SVL_ALERT, "router: %s %.*s%s: %s", route->method ? route->method : "*",
            SVL_FMT(pattern), where(route, at, sizeof at), why);
}

static svl_str join(struct heap *heap, const svl_str *parts, unsigned n)
{
    size_t length = 0;
    char *to;

    for (unsigned i = 0; i < n; i++)
        length += parts[i].n;
    to = heap_alloc(heap, length + 1);
    length = 0;
    for (unsigned i = 0; i < n; i++) {
        if (parts[i].n)
            memcpy(to + length, parts[i].p, parts[i].n);
        length += parts[i].n;
    }
    return (svl_str){to, length};
}

/* The pattern of an expansion, as it would have been written. */
static svl_str pattern_text(struct heap *heap, const struct pattern *pattern)
{
    svl_str *parts = heap_alloc(heap, (size_t)pattern->n * 5 * sizeof *parts);
    unsigned n = 0;

    for (unsigned i = 0; i < pattern->n; i++) {
        const struct token *token = &pattern->tokens[i];

        if (token->kind == TOKEN_TEXT) {
            parts[n++] = token->text;
            continue;
        }
        parts[n++] = SVL_STR("{");
        parts[n++] = token->text;
        if (token->kind == TOKEN_REST)
            parts[n++] = SVL_STR(":*");
        else if (token->check.p) {
            parts[n++] = SVL_STR(":");
            parts[n++] = token->check;
        }
        parts[n++] = SVL_STR("}");
    }
    return join(heap, parts, n);
}

/* --- hosts, expressions, methods ------------------------------------------------------------ */

static void grow_hosts(struct build *b)
{
    struct host *hosts = heap_alloc(b->keep, (b->n_hosts + 1) * sizeof *hosts);
    struct tree **roots = heap_alloc(&b->heap, (b->n_hosts + 2) * sizeof *roots);

    if (b->n_hosts)
        memcpy(hosts, b->hosts, b->n_hosts * sizeof *hosts);
    memcpy(roots, b->roots, (b->n_hosts + 1) * sizeof *roots);
    b->hosts = hosts;
    b->roots = roots;
}

/* Place of a host in b->roots; *name is the param that holds its label. */
static unsigned host_root(struct build *b, const char *text, svl_str *name)
{
    struct host host = {0};
    svl_str s = svl_str_of(text), low;

    *name = SVL_STR_NONE;
    if (!text)
        return 0;
    if (svl_str_starts(s, SVL_STR("*."))) {
        host.wild = true;
        s = svl_str_from(s, 1);
    } else if (s.n > 0 && s.p[0] == '{') {
        size_t end = svl_str_find(s, '}');

        *name = heap_copy(b->keep, svl_str_from(svl_str_head(s, end), 1));
        s = svl_str_from(s, end + 1);
        host.named = true;
    }
    low = heap_copy(b->keep, s);
    for (char *p = (char *)low.p; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 'a' - 'A') : *p;
    host.text = low;
    host.port = svl_str_find(s, ':') < s.n && (s.p[0] != '[' || s.p[s.n - 1] != ']');
    for (unsigned i = 0; i < b->n_hosts; i++)
        if (b->hosts[i].wild == host.wild && b->hosts[i].named == host.named &&
            svl_str_eq(b->hosts[i].text, host.text))
            return b->hosts[i].root;
    grow_hosts(b);
    host.root = b->n_hosts + 1;
    b->hosts[b->n_hosts++] = host;
    b->roots[host.root] = heap_alloc(&b->heap, sizeof(struct tree));
    return host.root;
}

static int find_check(struct build *b, svl_str text, uint32_t *at, char *why, size_t size)
{
    for (*at = 1; *at < b->n_checks; ++*at)
        if (svl_str_eq(b->checks[*at].text, text))
            return 0;
    HEAP_GROW(b->keep, b->checks, b->n_checks);
    return check_compile(&b->checks[b->n_checks++], heap_copy(b->keep, text), why, size);
}

/* Numbers of the expressions of a pattern's tokens, 0 where there is none. */
static uint32_t *find_checks(struct build *b, const struct pattern *pattern, char *why, size_t size)
{
    uint32_t *checks = heap_alloc(&b->heap, (pattern->n + 1) * sizeof *checks);

    for (unsigned i = 0; i < pattern->n; i++)
        if (pattern->tokens[i].check.p &&
            find_check(b, pattern->tokens[i].check, &checks[i], why, size))
            return NULL;
    return checks;
}

/* Bit of a method, METHOD_ANY for "*", 0 when it cannot be one. */
static uint64_t find_method(struct svl_router *r, struct heap *heap, svl_str text)
{
    enum svl_method known = svl_method_of(text);
    uint64_t bit;

    if (svl_str_eq(text, SVL_STR("*")))
        return METHOD_ANY;
    if (known != SVL_METHOD_OTHER)
        return METHOD_BIT(known);
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", text.p[i]))
            return 0;
    bit = text.n ? method_bit(r, SVL_METHOD_OTHER, text) : 0;
    if (bit == METHOD_ANY) {
        if (r->n_custom == SVL_ROUTER_CUSTOM)
            return 0;
        r->custom[r->n_custom++] = heap_copy(heap, text);
        bit = METHOD_BIT(SVL_METHOD_COUNT + r->n_custom - 1);
    }
    return bit;
}

/* --- routes --------------------------------------------------------------------------------- */

static void conflict(struct build *b, const struct svl_target *new, const struct svl_target *old,
                     const char *why)
{
    char here[512], there[512];

    b->errors++;
    svl_log(SVL_ALERT, "router: %.*s %.*s%s: %s %.*s %.*s%s", SVL_FMT(new->method),
            SVL_FMT(new->pattern), where(new->route, here, sizeof here), why, SVL_FMT(old->method),
            SVL_FMT(old->pattern), where(old->route, there, sizeof there));
}

/* The last of the targets takes its place among those of its path. */
static void enter(struct build *b, struct mark *mark, uint64_t bit)
{
    const struct svl_router_config *config = &b->r->config;
    uint32_t me = b->n_targets - 1, *at;
    unsigned number = (unsigned)__builtin_ctzll(bit);
    bool taken;

    at = bit == METHOD_ANY ? &mark->any : &mark->target[number];
    taken = bit == METHOD_ANY ? mark->any > 0 : (mark->methods & bit) != 0;
    if (taken && config->policy == SVL_ROUTER_ORDERED)
        return;
    if (taken && !config->replace) {
        conflict(b, &b->targets[me], &b->targets[*at - (bit == METHOD_ANY)],
                 "the path is already taken by");
        return;
    }
    *at = me + (bit == METHOD_ANY);
    if (bit != METHOD_ANY)
        mark->methods |= bit;
    b->r->all |= bit == METHOD_ANY ? 0 : bit;
}

static const svl_str *names_of(struct build *b, const struct pattern *pattern, svl_str label,
                               unsigned *n)
{
    svl_str *names = heap_alloc(b->keep, (pattern->n + 1u) * sizeof *names);

    *n = 0;
    if (label.p)
        names[(*n)++] = label;
    for (unsigned i = 0; i < pattern->n; i++)
        if (pattern->tokens[i].kind != TOKEN_TEXT)
            names[(*n)++] = heap_copy(b->keep, pattern->tokens[i].text);
    return names;
}

struct declared {
    const struct svl_route *route;
    const struct scope *scope;
    svl_str text, host, label;
    unsigned root;
    uint32_t around;
};

static void add_target(struct build *b, const struct declared *d, const struct pattern *pattern,
                       svl_str method)
{
    uint64_t bit = find_method(b->r, b->keep, method);
    struct svl_target target = {.route = d->route,
                                .place = &b->places[d->scope->place],
                                .pattern = d->text,
                                .name = svl_str_of(d->route->name),
                                .method = method,
                                .host = d->host,
                                .around = d->around,
                                .rest = pattern->n > 0 &&
                                        pattern->tokens[pattern->n - 1].kind == TOKEN_REST,
                                .order = b->n_targets};
    char why[256];
    uint32_t *checks;

    if (!bit) {
        wrong(b, d->route, d->text, "not a method, or too many of them");
        return;
    }
    checks = find_checks(b, pattern, why, sizeof why);
    if (!checks) {
        wrong(b, d->route, d->text, why);
        return;
    }
    target.label = join(b->keep, (const svl_str[]){method, SVL_STR(" "), d->text}, 3).p;
    target.names = names_of(b, pattern, d->label, &target.n_names);
    if (target.n_names > SVL_ROUTER_PARAMS) {
        wrong(b, d->route, d->text, "too many params");
        return;
    }
    HEAP_GROW(&b->heap, b->targets, b->n_targets);
    HEAP_GROW(&b->heap, b->patterns, b->n_targets);
    b->patterns[b->n_targets] = *pattern;
    b->targets[b->n_targets++] = target;
    enter(b, tree_mark(b->roots[d->root], &b->heap, pattern, checks), bit);
}

static void add_methods(struct build *b, const struct declared *d, const struct pattern *pattern)
{
    svl_str methods = svl_str_of(d->route->method ? d->route->method : "*"), method;

    while (svl_str_split(&methods, ',', &method))
        add_target(b, d, pattern, heap_copy(b->keep, svl_str_trim(method)));
}

static void add_name(struct build *b, const struct declared *d, const struct pattern *pattern)
{
    svl_str name = svl_str_of(d->route->name);

    for (unsigned i = 0; name.p && i < b->n_named; i++) {
        if (!svl_str_eq(b->named[i].name, name))
            continue;
        if (svl_str_eq(pattern_text(&b->heap, &b->named[i].pattern),
                       pattern_text(&b->heap, pattern)))
            return; /* the same path with another method */
        wrong(b, d->route, d->text, "another route has its name");
        return;
    }
    if (!name.p)
        return;
    HEAP_GROW(b->keep, b->named, b->n_named);
    b->named[b->n_named++] = (struct named){.name = name, .pattern = *pattern};
}

/* The pattern of parts[0, n), and of a mount's rest behind it, which is the same in every dialect. */
static int parse(struct build *b, struct pattern *pattern, svl_str *parts, unsigned n, char *why,
                 size_t size)
{
    svl_str rest = SVL_STR(SVL_MOUNT_REST);
    svl_str *last = &parts[n - 1];
    bool mount = svl_str_ends(*last, rest);
    int err;

    if (mount)
        *last = svl_str_head(*last, last->n - rest.n + 1); /* with the slash */
    err = pattern_parse(pattern, b->keep, parts, n, b->r->config.syntax, why, size);
    if (err || !mount)
        return err;
    HEAP_GROW(b->keep, pattern->tokens, pattern->n);
    pattern->tokens[pattern->n++] = (struct token){.kind = TOKEN_REST, .text = SVL_STR("svl_rest")};
    return 0;
}

static void add_route(struct build *b, const struct scope *scope, const struct svl_route *route)
{
    struct declared d = {.route = route, .scope = scope};
    const char *host = route->host ? route->host : scope->host;
    struct pattern pattern;
    svl_str parts[MAX_PARTS + 1];
    unsigned optionals;
    char why[256];

    memcpy(parts, scope->parts, scope->n_parts * sizeof *parts);
    parts[scope->n_parts] = svl_str_of(route->path ? route->path : "");
    d.text = join(b->keep, parts, scope->n_parts + 1);
    if (!route->handler && !(route->flags & SVL_ROUTE_ONWARD)) {
        wrong(b, route, d.text, "no handler");
        return;
    }
    if (parse(b, &pattern, parts, scope->n_parts + 1, why, sizeof why)) {
        wrong(b, route, d.text, why);
        return;
    }
    d.around = around_route(&b->around, &scope->level, route);
    d.root = host_root(b, host, &d.label);
    d.host = svl_str_of(host);
    add_name(b, &d, &pattern);
    optionals = pattern_optionals(&pattern);
    for (unsigned keep = 0; keep <= optionals; keep++) {
        struct pattern one = pattern_expand(&pattern, b->keep, keep);

        add_methods(b, &d, &one);
    }
}

/* --- groups --------------------------------------------------------------------------------- */

/* The prefix itself (`below` false) or what is below it, as a pattern. */
static bool prefix_pattern(struct build *b, const struct scope *scope, bool below,
                           struct pattern *pattern)
{
    svl_str parts[MAX_PARTS + 1];
    char why[256];

    memcpy(parts, scope->parts, scope->n_parts * sizeof *parts);
    parts[scope->n_parts] = SVL_STR("/");
    if (pattern_parse(pattern, b->keep, parts, scope->n_parts + below, b->r->config.syntax, why,
                      sizeof why))
        return false; /* its routes say so; or there is no prefix */
    if (below) {
        HEAP_GROW(b->keep, pattern->tokens, pattern->n);
        pattern->tokens[pattern->n++] = (struct token){.kind = TOKEN_REST};
    }
    return true;
}

/* So that a miss below the group's prefix finds the group. */
static void mark_misses(struct build *b, const struct scope *scope)
{
    const struct svl_group *group = scope->level.group;
    struct pattern pattern;
    svl_str name;
    unsigned root;
    char why[256];

    if (!group->not_found && !group->not_allowed && !group->options && !group->always)
        return;
    root = host_root(b, scope->host, &name);
    for (int below = 0; below < 2; below++) {
        uint32_t *checks;
        struct mark *mark;

        if (!prefix_pattern(b, scope, below, &pattern))
            continue;
        checks = find_checks(b, &pattern, why, sizeof why);
        if (!checks)
            continue;
        mark = tree_mark(b->roots[root], &b->heap, &pattern, checks);
        if (!mark->miss)
            mark->miss = 1 + scope->place;
    }
}

static unsigned count_groups(const struct svl_group *group)
{
    unsigned n = 1;

    for (unsigned i = 0; group->groups && group->groups[i]; i++)
        n += count_groups(group->groups[i]);
    return n;
}

static bool is_route(const struct svl_route *route)
{
    return route->method || route->path || route->handler;
}

static bool prefix_ok(struct build *b, svl_str prefix)
{
    if (prefix.n == 0 || (prefix.p[0] == '/' && prefix.p[prefix.n - 1] != '/'))
        return true;
    b->errors++;
    svl_log(SVL_ALERT,
            "router: group \"%.*s\": a prefix begins with a slash and does not end in one",
            SVL_FMT(prefix));
    return false;
}

static void add_group(struct build *b, const struct scope *outer, const struct svl_group *group)
{
    struct scope scope = {.level = {outer ? &outer->level : NULL, group},
                          .place = b->r->n_places++};
    struct place *place = &b->places[scope.place];
    svl_str prefix = svl_str_of(group->prefix ? group->prefix : "");

    if (outer) {
        memcpy(scope.parts, outer->parts, sizeof scope.parts);
        scope.n_parts = outer->n_parts;
        scope.host = outer->host;
    }
    if (!prefix_ok(b, prefix))
        return;
    if (scope.n_parts == MAX_PARTS) {
        b->errors++;
        svl_log(SVL_ALERT, "router: group \"%.*s\": too deep", SVL_FMT(prefix));
        return;
    }
    scope.parts[scope.n_parts++] = prefix;
    if (group->host)
        scope.host = group->host;
    *place = (struct place){.group = group, .outer = outer ? &b->places[outer->place] : NULL};
    place->around = group->always ? around_misses(&b->around, &scope.level) : 0;
    mark_misses(b, &scope);
    for (const struct svl_route *route = group->routes; route && is_route(route); route++)
        add_route(b, &scope, route);
    for (unsigned i = 0; group->groups && group->groups[i]; i++)
        add_group(b, &scope, group->groups[i]);
}

/* --- the whole ------------------------------------------------------------------------------ */

static bool same_methods(const struct svl_target *a, const struct svl_target *b)
{
    return svl_str_eq(a->method, b->method) || svl_str_eq(a->method, SVL_STR("*")) ||
           svl_str_eq(b->method, SVL_STR("*"));
}

static void report_ambiguous(struct build *b)
{
    for (unsigned i = 0; i < b->n_targets; i++)
        for (unsigned j = 0; j < i; j++) {
            const struct svl_target *new = &b->targets[i], *old = &b->targets[j];

            if (new->route != old->route && svl_str_eq(new->host, old->host) &&
                same_methods(new, old) && pattern_overlap(&b->patterns[i], &b->patterns[j]))
                conflict(b, new, old, "some path fits both, this and");
        }
}

/* Exact hosts first, then one label, then any number; longer ones before shorter ones. */
static int by_weight(const void *left, const void *right)
{
    const struct host *a = left, *b = right;
    int x = a->wild * 2 + a->named, y = b->wild * 2 + b->named;

    if (x != y)
        return x - y;
    return (a->text.n < b->text.n) - (a->text.n > b->text.n);
}

static void finish(struct build *b)
{
    struct svl_router *r = b->r;
    uint32_t *places = heap_alloc(&b->heap, (b->n_hosts + 1) * sizeof *places);
    struct svl_target *targets = heap_alloc(b->keep, (b->n_targets + 1) * sizeof *targets);

    if (b->n_targets)
        memcpy(targets, b->targets, b->n_targets * sizeof *targets);
    router_flatten(r, &b->heap, b->roots, places, b->n_hosts + 1);
    r->root = places[0];
    for (unsigned i = 0; i < b->n_hosts; i++)
        b->hosts[i].root = places[b->hosts[i].root];
    if (b->n_hosts)
        qsort(b->hosts, b->n_hosts, sizeof *b->hosts, by_weight);
    r->hosts = b->hosts;
    r->n_hosts = b->n_hosts;
    r->targets = targets;
    r->n_targets = b->n_targets;
    r->named = b->named;
    r->n_named = b->n_named;
    r->places = b->places;
    r->lists = b->around.lists;
    r->n_lists = b->around.n_lists;
}

int router_build(struct svl_router *r)
{
    struct build b = {.r = r, .keep = &r->heap, .around.keep = &r->heap};

    b.roots = heap_alloc(&b.heap, sizeof *b.roots);
    b.roots[0] = heap_alloc(&b.heap, sizeof(struct tree));
    b.places = heap_alloc(b.keep, count_groups(&r->own) * sizeof *b.places);
    HEAP_GROW(b.keep, b.checks, b.n_checks);
    b.n_checks = 1;
    add_group(&b, NULL, &r->own);
    if (r->config.policy == SVL_ROUTER_STRICT)
        report_ambiguous(&b);
    r->checks = b.checks;
    r->n_checks = b.n_checks;
    if (b.errors == 0)
        finish(&b);
    heap_finish(&b.heap);
    return b.errors ? SVL_ECONFIG : 0;
}
