/* Chains that lead into others: what is compiled, and that places, slots, deadlines and splits go on
 * counting in them. Inner chains by hand; what the router makes of them is in test_router_serve.c. */
#include "serval/async.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static char trail[1024];
static unsigned setups, states;
static struct svl_ctx *held;
static const struct svl_link *holder; /* whose hook has held it */

static void say(const char *before, const char *who, const char *after)
{
    size_t n = strlen(trail);

    snprintf(trail + n, sizeof trail - n, "%s%s%s ", before, who, after);
}

/* A module that says its name, and may lead into inner chains: the path's next byte is the number of
 * the one it enters, a dash for none. */
struct config {
    const char *name;
    const struct svl_use *const *const *inner;
    enum { PASS, ANSWER, HOLD, BREAK, MEND, CLOCK } does;
};

struct slot {
    char name[8];
};

struct state {
    const char *name;
};

static int set_up(void *config)
{
    (void)config;
    setups++;
    return 0;
}

static void tear_down(void *config)
{
    (void)config;
    setups--;
}

static int worker_init(struct svl_link *self, struct svl_worker *worker)
{
    const struct config *cfg = self->config;
    struct state *state = malloc(sizeof *state);

    (void)worker;
    state->name = cfg->name;
    self->state = state;
    states++;
    return 0;
}

static void worker_exit(struct svl_link *self, struct svl_worker *worker)
{
    (void)worker;
    states--;
    free(self->state);
}

static const struct svl_use *const *inner(const void *config, unsigned i)
{
    const struct config *cfg = config;

    for (unsigned n = 0; cfg->inner && cfg->inner[n]; n++)
        if (n == i)
            return cfg->inner[n];
    return NULL;
}

static void enter(const struct svl_link *self, struct svl_ctx *ctx)
{
    struct svl_str *path = &ctx->req.path;

    if (path->n > 1 && path->p[1] >= '0' && path->p[1] <= '9')
        svl_enter(self, ctx, (unsigned)(path->p[1] - '0'));
    if (path->n > 1)
        *path = svl_str_from(*path, 1);
}

static enum svl_verdict in(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct config *cfg = self->config;
    const struct state *state = self->state;
    struct slot *slot = svl_slot(self, ctx);

    cr_assert_str_eq(state->name, cfg->name);
    snprintf(slot->name, sizeof slot->name, "%s", cfg->name);
    say("", cfg->name, ">");
    if (cfg->inner)
        enter(self, ctx);
    switch (cfg->does) {
    case ANSWER: return svl_text(ctx, 200, SVL_STR("ok"));
    case HOLD:
        held = ctx;
        holder = self;
        return svl_pend(ctx, NULL, NULL);
    case BREAK: return SVL_ERROR;
    case CLOCK: svl_deadline(self, ctx, 10, 504); return SVL_NEXT;
    default: return SVL_NEXT;
    }
}

static void look(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct config *cfg = self->config;
    const struct slot *slot = svl_slot(self, ctx);

    cr_assert_str_eq(slot->name, cfg->name);
}

static enum svl_verdict out(const struct svl_link *self, struct svl_ctx *ctx)
{
    look(self, ctx);
    say("<", ((const struct config *)self->config)->name, "");
    return SVL_NEXT;
}

static void done(const struct svl_link *self, struct svl_ctx *ctx)
{
    look(self, ctx);
    say("", ((const struct config *)self->config)->name, ".");
}

static enum svl_verdict mend(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct config *cfg = self->config;

    if (cfg->does != MEND)
        return SVL_NEXT;
    say("", cfg->name, "!");
    cr_assert_geq(ctx->res.status, 400);
    return svl_text(ctx, 418, SVL_STR("mended"));
}

static const struct svl_module module = {
    .name = "test",
    .config_size = sizeof(struct config),
    .slot_size = sizeof(struct slot),
    .setup = set_up,
    .teardown = tear_down,
    .inner = inner,
    .worker_init = worker_init,
    .worker_exit = worker_exit,
    .on_request = in,
    .on_response = out,
    .on_failure = mend,
    .on_done = done,
};

#define USE(...)                                                                                   \
    {                                                                                              \
        &module, &(const struct config)                                                            \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define LIST(...)                                                                                  \
    (const struct svl_use *const[])                                                                \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define LISTS(...)                                                                                 \
    (const struct svl_use *const *const[])                                                         \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define WITH(...)                                                                                  \
    loopback_open(                                                                                 \
        &(struct svl_server_config){.chain = (const struct svl_use[]){__VA_ARGS__, SVL_USE_END}})

/*  a, R -> 0: b            z
 *          1: b, S -> 0: c
 *                     1: (nothing)
 *          2: hold, 3: broken */
static const struct svl_use b = USE(.name = "b"), c = USE(.name = "c"),
                            hold = USE(.name = "h", .does = HOLD),
                            broken = USE(.name = "x", .does = BREAK);
static const struct svl_use *const nothing[] = {NULL};
static const struct svl_use S = USE(.name = "S", .inner = LISTS(LIST(&c), nothing));
#define R USE(.name = "R", .inner = LISTS(LIST(&b), LIST(&b, &S), LIST(&hold), LIST(&broken)))
static const struct svl_use mender = USE(.name = "m", .does = MEND);
static const struct svl_use clocked = USE(.name = "T", .does = CLOCK);
#define Z USE(.name = "z", .does = ANSWER)

#define EXPECT(l, path, status, text)                                                              \
    do {                                                                                           \
        svl_str answer_;                                                                           \
        trail[0] = '\0';                                                                           \
        answer_ = loopback_get(l, path, "");                                                       \
        cr_expect_str_eq(trail, text " ", "%s: %s", path, trail);                                  \
        cr_expect_eq(loopback_status(answer_), status, "%s -> %.*s", path, SVL_FMT(answer_));      \
    } while (0)

Test(links, an_inner_chain_stands_between_its_module_and_those_behind)
{
    struct loopback *l = WITH(USE(.name = "a"), R, Z);

    EXPECT(l, "/-", 200, "a> R> z> <R <a z. R. a.");
    EXPECT(l, "/0", 200, "a> R> b> z> <b <R <a z. b. R. a.");
    EXPECT(l, "/1-", 200, "a> R> b> S> z> <S <b <R <a z. S. b. R. a.");
    EXPECT(l, "/10", 200, "a> R> b> S> c> z> <c <S <b <R <a z. c. S. b. R. a.");
    EXPECT(l, "/11", 200, "a> R> b> S> z> <S <b <R <a z. S. b. R. a.");
    EXPECT(l, "/-", 200, "a> R> z> <R <a z. R. a.");
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

Test(links, a_use_in_several_inner_chains_is_set_up_once)
{
    struct loopback *l = WITH(USE(.name = "a"), R, Z);

    cr_expect_eq(setups, 8, "%u: a R z b S c h x", setups);
    cr_expect_eq(states, 8);
    loopback_close(l);
    cr_expect_eq(setups, 0);
    cr_expect_eq(states, 0);
}

Test(links, two_modules_that_lead_somewhere_may_follow_each_other)
{
    struct loopback *l = WITH(R, R, Z);

    EXPECT(l, "/00", 200, "R> b> R> b> z> <b <R <b <R z. b. R. b. R.");
    EXPECT(l, "/-10", 200, "R> R> b> S> c> z> <c <S <b <R <R z. c. S. b. R. R.");
    EXPECT(l, "/101", 200, "R> b> S> c> R> b> S> z> <S <b <R <c <S <b <R z. S. b. R. c. S. b. R.");
    loopback_close(l);
}

Test(links, the_end_of_an_inner_chain_may_be_the_end)
{
    struct loopback *l = WITH(USE(.name = "a"), R);

    EXPECT(l, "/0", 404, "a> R> b> <b <R <a b. R. a.");
    EXPECT(l, "/11", 404, "a> R> b> S> <S <b <R <a S. b. R. a.");
    loopback_close(l);
}

Test(links, a_split_parts_an_inner_chain)
{
    static const struct svl_use *const slow[] = {&clocked, &b, &hold, NULL};
    struct loopback *l = WITH(USE(.name = "a"), USE(.name = "R", .inner = LISTS(slow)), Z);

    trail[0] = '\0';
    cr_expect_eq(loopback_get(l, "/0", "").n, 0);
    loopback_pass(l, 20);
    cr_expect_eq(loopback_status(loopback_take(l)), 504);
    cr_expect_str_eq(trail, "a> R> T> b> h> <R <a T. R. a. ");
    EXPECT(l, "/-", 200, "a> R> z> <R <a z. R. a.");
    trail[0] = '\0';
    svl_resume(held, SVL_DONE);
    cr_expect_str_eq(trail, "h. b. ");
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

Test(links, a_module_outside_splits_it_too)
{
    struct loopback *l = WITH(USE(.name = "T", .does = CLOCK), R, Z);

    trail[0] = '\0';
    loopback_get(l, "/2", "");
    loopback_pass(l, 20);
    cr_expect_eq(loopback_status(loopback_take(l)), 504);
    cr_expect_str_eq(trail, "T> R> h> T. ");
    svl_resume(held, SVL_NEXT);
    cr_expect_str_eq(trail, "T> R> h> T. h. R. ");
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

Test(links, who_holds_the_ctx_goes_on_along_the_inner_chain)
{
    static const struct svl_use *const slow[] = {&hold, &b, NULL};
    struct loopback *l = WITH(USE(.name = "R", .inner = LISTS(slow)), Z);

    trail[0] = '\0';
    loopback_get(l, "/0", "");
    svl_resume(held, SVL_NEXT);
    cr_expect_eq(loopback_status(loopback_take(l)), 200);
    cr_expect_str_eq(trail, "R> h> b> z> <b <h <R z. b. h. R. ");
    loopback_close(l);
}

Test(links, a_module_may_enter_late)
{
    static const struct svl_use *const list[] = {&b, NULL};
    struct loopback *l = WITH(USE(.name = "R", .inner = LISTS(nothing, list), .does = HOLD), Z);

    trail[0] = '\0';
    loopback_get(l, "/-", "");
    svl_enter(holder, held, 1);
    svl_resume(held, SVL_NEXT);
    cr_expect_eq(loopback_status(loopback_take(l)), 200);
    cr_expect_str_eq(trail, "R> b> z> <b <R z. b. R. ");
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

Test(links, failures_are_seen_to_from_the_inside_out)
{
    static const struct svl_use *const mended[] = {&mender, &broken, NULL};
    struct loopback *l = WITH(USE(.name = "M", .does = MEND),
                              USE(.name = "R", .inner = LISTS(LIST(&broken), mended)), Z);

    EXPECT(l, "/0", 418, "M> R> x> M! <R <M x. R. M.");
    EXPECT(l, "/1", 418, "M> R> m> x> m! <m <R <M x. m. R. M.");
    loopback_close(l);
    l = WITH(USE(.name = "a"), R, Z);
    EXPECT(l, "/3", 500, "a> R> x> <R <a x. R. a.");
    loopback_close(l);
}

/* A chain that leads into itself has no end. */
static const struct svl_use *const *const *own_inner;
static const struct svl_use *const *endless(const void *config, unsigned i)
{
    (void)config;
    return i == 0 ? own_inner[0] : NULL;
}

Test(links, a_chain_that_leads_into_itself_is_an_error)
{
    static const struct svl_module loop = {.name = "loop", .inner = endless};
    static const struct svl_use me = {&loop, NULL};
    static const struct svl_use *const list[] = {&me, NULL};
    static const struct svl_use *const *const lists[] = {list, NULL};
    struct svl_server *server;

    own_inner = lists;
    cr_expect_lt(
        svl_server_open(&server,
                        &(struct svl_server_config){
                            .chain = (const struct svl_use[]){{&loop, NULL}, SVL_USE_END}}),
        0);
    cr_expect_null(server);
}
