#include "run/links.h"

#include "base/check.h"
#include "serval/error.h"
#include "serval/log.h"

#include <errno.h>
#include <stdlib.h>

/* What else is wrong a module says itself. */
static void say_if_no_memory(const struct svl_module *module, int err)
{
    if (err == -ENOMEM)
        svl_log(SVL_ALERT, "%s: no memory left", module->name);
}

struct svl_part {
    const struct svl_module *module;
    void *config;
    const struct svl_use *use;     /* which one of its opener's; NULL in the server's own chain */
    const struct svl_part *opener; /* who leads into it; NULL in the server's own chain */
    struct svl_parts *inner;
    unsigned n_inner;
    unsigned number; /* place in plan->all */
    unsigned index;  /* place in the first chain it stands in */
    bool ready;      /* setup has succeeded */
};

/* Parts ------------------------------------------------------------------------------------ */

static void append(struct svl_parts *parts, struct svl_part *part)
{
    parts->at = svl_realloc(parts->at, (parts->n + 1) * sizeof(struct svl_part *));
    parts->at[parts->n++] = part;
}

static int add_inner(struct svl_plan *plan, struct svl_part *opener);

static int make(struct svl_plan *plan, struct svl_part **made, const struct svl_use *use,
                const struct svl_part *opener, unsigned index)
{
    const struct svl_module *module = use->module;
    struct svl_part *part = svl_calloc(sizeof *part);
    int err;

    *part = (struct svl_part){.module = module, .opener = opener, .index = index};
    part->use = opener ? use : NULL;
    part->number = plan->all.n;
    part->config = svl_calloc(module->config_size + 1);
    if (use->config)
        memcpy(part->config, use->config, module->config_size);
    append(&plan->all, part);
    *made = part;
    if (index >= SVL_MAX_DEPTH) {
        svl_log(SVL_ALERT, "server: chains within chains: more than %d modules deep",
                SVL_MAX_DEPTH);
        return SVL_ECONFIG;
    }
    err = module->setup ? module->setup(part->config) : 0;
    say_if_no_memory(module, err);
    if (err)
        return err < 0 ? err : SVL_ECONFIG;
    part->ready = true;
    return module->inner ? add_inner(plan, part) : 0;
}

/* The same use in several inner chains of a module is one part. */
static struct svl_part *find(const struct svl_plan *plan, const struct svl_part *opener,
                             const struct svl_use *use)
{
    for (unsigned i = opener->number + 1; i < plan->all.n; i++)
        if (plan->all.at[i]->opener == opener && plan->all.at[i]->use == use)
            return plan->all.at[i];
    return NULL;
}

static int add_inner(struct svl_plan *plan, struct svl_part *opener)
{
    const struct svl_use *const *uses;

    while ((uses = opener->module->inner(opener->config, opener->n_inner))) {
        struct svl_parts parts = {0};

        opener->inner = svl_realloc(opener->inner, (opener->n_inner + 1) * sizeof parts);
        opener->inner[opener->n_inner++] = parts;
        for (; *uses; uses++) {
            struct svl_parts *list = &opener->inner[opener->n_inner - 1];
            struct svl_part *part = find(plan, opener, *uses);
            int err = part ? 0 : make(plan, &part, *uses, opener, opener->index + 1 + list->n);

            append(list, part);
            if (err)
                return err;
        }
    }
    return 0;
}

int svl_plan_add(struct svl_plan *plan, const struct svl_module *module, const void *config)
{
    struct svl_use use = {module, config};
    struct svl_part *part;
    int err = make(plan, &part, &use, NULL, plan->main.n);

    append(&plan->main, part);
    return err;
}

void svl_plan_close(struct svl_plan *plan)
{
    while (plan->all.n > 0) {
        struct svl_part *part = plan->all.at[--plan->all.n];

        if (part->ready && part->module->teardown)
            part->module->teardown(part->config);
        for (unsigned i = 0; i < part->n_inner; i++)
            free(part->inner[i].at);
        free(part->inner);
        free(part->config);
        free(part);
    }
    free(plan->all.at);
    free(plan->main.at);
    *plan = (struct svl_plan){0};
}

/* Chains ----------------------------------------------------------------------------------- */

struct svl_link_block {
    struct svl_link_block *next;
    _Alignas(16) char bytes[];
};

static void *block(struct svl_links *l, size_t size)
{
    struct svl_link_block *b = svl_calloc(sizeof *b + size);

    b->next = l->blocks;
    l->blocks = b;
    return b->bytes;
}

static int compile(struct svl_links *l, struct svl_chain *chain, const struct svl_parts *parts,
                   const struct svl_link *outer, unsigned from);

/* parts[0, at], the parts of one inner chain of parts[at], parts[at + 1, n). */
static int compile_inner(struct svl_links *l, struct svl_chain *chain,
                         const struct svl_parts *parts, const struct svl_parts *inner, unsigned at,
                         const struct svl_link *outer)
{
    unsigned n = parts->n + inner->n;
    struct svl_part *all[SVL_MAX_DEPTH];

    if (n > SVL_MAX_DEPTH || l->compiled + n > SVL_MAX_COMPILED) {
        svl_log(SVL_ALERT, "server: chains within chains: more than %d modules deep, or %d in all",
                SVL_MAX_DEPTH, SVL_MAX_COMPILED);
        return SVL_ECONFIG;
    }
    for (unsigned i = 0; i <= at; i++)
        all[i] = parts->at[i];
    for (unsigned i = 0; i < inner->n; i++)
        all[at + 1 + i] = inner->at[i];
    for (unsigned i = at + 1; i < parts->n; i++)
        all[inner->n + i] = parts->at[i];
    return compile(l, chain, &(struct svl_parts){all, n}, outer, at + 1);
}

/* What links[at] leads into; *deepest grows. */
static int compile_inners(struct svl_links *l, struct svl_link *links,
                          const struct svl_parts *parts, unsigned at, unsigned *deepest)
{
    const struct svl_part *part = parts->at[at];
    struct svl_chain *chains = block(l, part->n_inner * sizeof *chains);

    links[at].inner = chains;
    links[at].n_inner = part->n_inner;
    for (unsigned i = 0; i < part->n_inner; i++) {
        int err = compile_inner(l, &chains[i], parts, &part->inner[i], at, links);

        if (err)
            return err;
        if (*deepest < chains[i].deepest)
            *deepest = chains[i].deepest;
    }
    return 0;
}

/* The link of that part further out. */
static const struct svl_link *opener_of(const struct svl_parts *parts, const struct svl_link *links,
                                        unsigned at)
{
    for (unsigned i = at; i-- > 0;)
        if (parts->at[i] == parts->at[at]->opener)
            return &links[i];
    return NULL;
}

/* links[0, from) are outer's. */
static int compile(struct svl_links *l, struct svl_chain *chain, const struct svl_parts *parts,
                   const struct svl_link *outer, unsigned from)
{
    struct svl_link *links = block(l, parts->n * sizeof *links);
    unsigned deepest = parts->n;

    l->compiled += parts->n;
    for (unsigned i = 0; i < parts->n; i++) {
        links[i] = i < from ? outer[i] : l->own[parts->at[i]->number];
        links[i].index = i;
        links[i].opener = opener_of(parts, links, i);
    }
    for (unsigned i = from; i < parts->n; i++) {
        int err = parts->at[i]->n_inner ? compile_inners(l, links, parts, i, &deepest) : 0;

        if (err)
            return err;
    }
    *chain = (struct svl_chain){links, parts->n, deepest};
    return 0;
}

int svl_links_open(struct svl_links *l, const struct svl_plan *plan, struct svl_worker *worker)
{
    l->plan = plan;
    l->own = svl_calloc((plan->all.n + 1) * sizeof *l->own);
    for (unsigned i = 0; i < plan->all.n; i++) {
        const struct svl_part *part = plan->all.at[i];
        struct svl_link *own = &l->own[i];
        int err;

        *own =
            (struct svl_link){.module = part->module, .config = part->config, .index = part->index};
        err = part->module->worker_init ? part->module->worker_init(own, worker) : 0;
        say_if_no_memory(part->module, err);
        if (err)
            return err;
        l->ready = i + 1;
    }
    return compile(l, &l->main, &plan->main, NULL, 0);
}

void svl_links_close(struct svl_links *l, struct svl_worker *worker)
{
    while (l->ready > 0) {
        struct svl_link *own = &l->own[--l->ready];

        if (own->module->worker_exit)
            own->module->worker_exit(own, worker);
    }
    while (l->blocks) {
        struct svl_link_block *b = l->blocks;

        l->blocks = b->next;
        free(b);
    }
    free(l->own);
    *l = (struct svl_links){0};
}
