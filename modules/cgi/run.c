/* One program that runs for one request: three pipes, a relay, a process. It outlives the request as
 * long as one of those is left: what it still says on stderr is logged, and it is reaped. */
#include "internal.h"

#include "serval/child.h"
#include "serval/error.h"
#include "serval/hijack.h"
#include "serval/log.h"
#include "serval/uri.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Not the ctx's memory. `relay` is NULL when the request is over, the others when they have gone. */
struct run {
    const struct svl_link *self;
    struct svl_relay *relay;
    struct svl_child *child;
    struct svl_raw *in, *out, *err;
    struct svl_gateway_lines lines;
    bool begun; /* before that nothing is freed */
    char name[120];
};

static void free_if_over(struct run *run)
{
    struct cgi_state *state = run->self->state;

    if (!run->begun || run->relay || run->child || run->in || run->out || run->err)
        return;
    svl_gateway_lines_end(&run->lines);
    state->running--;
    free(run);
}

/* Pipes ------------------------------------------------------------------------------------ */

/* Nobody wants what it would still say to the client. */
static void drop(struct svl_raw *raw)
{
    if (raw)
        svl_raw_abort(raw);
}

static void on_stop(struct svl_raw *raw, void *arg)
{
    const struct run *run = arg;

    if (!run->relay)
        svl_raw_abort(raw);
}

/* Its stdin: nothing comes from there. */
static void on_in_data(struct svl_raw *raw, void *arg, svl_str data)
{
    (void)raw, (void)arg, (void)data;
}

static void on_in_drained(struct svl_raw *raw, void *arg)
{
    struct run *run = arg;

    (void)raw;
    if (run->relay)
        svl_relay_ready(run->relay);
}

/* It does not want to read more, which is its right: the rest of the body goes nowhere. */
static void on_in_gone(struct svl_raw *raw, void *arg)
{
    struct run *run = arg;

    (void)raw;
    run->in = NULL;
    if (run->relay)
        svl_relay_ready(run->relay);
    free_if_over(run);
}

static void on_out_data(struct svl_raw *raw, void *arg, svl_str data)
{
    struct run *run = arg;

    if (run->relay && !svl_relay_write(run->relay, data))
        svl_raw_read(raw, false);
}

static void on_out_gone(struct svl_raw *raw, void *arg)
{
    struct run *run = arg;
    struct svl_relay *relay = run->relay;

    (void)raw;
    run->relay = NULL;
    if (relay)
        svl_relay_end(relay);
    drop(run->in); /* does not end the run: run->out is still set */
    run->out = NULL;
    free_if_over(run);
}

static void on_err_data(struct svl_raw *raw, void *arg, svl_str data)
{
    (void)raw;
    svl_gateway_lines_add(&((struct run *)arg)->lines, data);
}

static void on_err_gone(struct svl_raw *raw, void *arg)
{
    struct run *run = arg;

    (void)raw;
    run->err = NULL;
    free_if_over(run);
}

static const struct svl_raw_events in_events = {
    .on_data = on_in_data, .on_drained = on_in_drained, .on_stop = on_stop, .on_gone = on_in_gone};
static const struct svl_raw_events out_events = {
    .on_data = on_out_data, .on_stop = on_stop, .on_gone = on_out_gone};
static const struct svl_raw_events err_events = {
    .on_data = on_err_data, .on_stop = on_stop, .on_gone = on_err_gone};

static void on_exit_of(struct svl_child *child, void *arg, int status)
{
    struct run *run = arg;

    (void)child, (void)status; /* that it has failed shows by what it has not said */
    run->child = NULL;
    free_if_over(run);
}

/* The relay -------------------------------------------------------------------------------- */

static bool on_body(struct svl_relay *relay, void *arg, svl_str piece, bool last)
{
    struct run *run = arg;
    bool room;

    (void)relay;
    if (!run->in)
        return true;
    room = svl_raw_write(run->in, piece);
    if (last && run->in)
        svl_raw_close(run->in);
    return room || !run->in;
}

static void on_room(struct svl_relay *relay, void *arg)
{
    struct run *run = arg;

    (void)relay;
    svl_raw_read(run->out, true);
}

static void on_over(struct svl_relay *relay, void *arg)
{
    struct run *run = arg;
    const struct svl_cgi_config *cfg = run->self->config;

    (void)relay;
    run->relay = NULL;
    run->begun = false; /* not while we are still using it */
    if (run->child)
        svl_child_kill(run->child, cfg->kill_ms);
    drop(run->in);
    drop(run->out);
    run->begun = true;
    free_if_over(run);
}

static const struct svl_relay_events relay_events = {
    .on_body = on_body, .on_room = on_room, .on_over = on_over};

/* Starting --------------------------------------------------------------------------------- */

struct env {
    struct svl_ctx *ctx;
    const char **at;
    unsigned n, room;
};

static void add(void *arg, svl_str name, svl_str value)
{
    struct env *env = arg;

    if (env->n < env->room)
        env->at[env->n++] = svl_printf(env->ctx, "%.*s=%.*s", SVL_FMT(name), SVL_FMT(value)).p;
}

#define VARIABLES 32 /* besides fields */

static const char *const *environment(struct svl_ctx *ctx, const struct svl_cgi_config *cfg,
                                      const struct svl_gateway_target *target)
{
    struct env env = {.ctx = ctx, .room = VARIABLES + ctx->req.headers.n};
    bool path = false;
    unsigned n = 0;

    while (cfg->env && cfg->env[n])
        n++;
    env.room += n;
    env.at = svl_alloc(ctx, (env.room + 2) * sizeof *env.at);
    for (unsigned i = 0; i < n; i++) {
        env.at[env.n++] = cfg->env[i];
        path = path || strncmp(cfg->env[i], "PATH=", 5) == 0;
    }
    if (!path)
        env.at[env.n++] = "PATH=/usr/local/bin:/usr/bin:/bin";
    svl_gateway_variables(ctx, target, add, &env);
    return env.at;
}

static const char *folder_of(struct svl_ctx *ctx, svl_str file)
{
    return svl_copy(ctx, svl_str_head(file, file.n - svl_path_last(file).n)).p;
}

static int start(struct run *run, struct svl_ctx *ctx, const struct svl_gateway_target *target)
{
    const struct svl_cgi_config *cfg = run->self->config;
    const char *argv[] = {target->script_filename.p, NULL, NULL};
    struct svl_child_config config = {
        .path = target->script_filename.p,
        .argv = argv,
        .env = environment(ctx, cfg, target),
        .dir = folder_of(ctx, target->script_filename),
        .no_input = ctx->req.body.p ? ctx->req.body.n == 0 : ctx->req.content_length == 0,
    };
    struct svl_child_pipes pipes;
    int err;

    if (cfg->interpreter) {
        config.path = argv[0] = cfg->interpreter;
        argv[1] = target->script_filename.p;
    }
    err = svl_child_start(&run->child, ctx->worker, &config, &pipes, on_exit_of, run);
    if (err)
        return err;
    if (pipes.in >= 0)
        run->in = svl_raw_open(ctx->worker, pipes.in, &in_events, run);
    run->out = svl_raw_open(ctx->worker, pipes.out, &out_events, run);
    run->err = svl_raw_open(ctx->worker, pipes.err, &err_events, run);
    return run->out ? 0 : -ENOMEM;
}

enum svl_verdict cgi_run(const struct svl_link *self, struct svl_ctx *ctx,
                         const struct svl_gateway_target *target)
{
    const struct svl_cgi_config *cfg = self->config;
    struct run *run = calloc(1, sizeof *run);
    int err;

    if (!run)
        return svl_fail(ctx, 503, NULL);
    run->self = self;
    ((struct cgi_state *)self->state)->running++;
    snprintf(run->name, sizeof run->name, "cgi: %.*s", SVL_FMT(target->script_name));
    run->lines.who = svl_str_of(run->name);
    err = start(run, ctx, target);
    run->begun = true;
    if (err) {
        svl_log(SVL_WARN, "%s: %s", run->name, svl_strerror(err));
        if (run->child)
            svl_child_kill(run->child, 0);
        free_if_over(run);
        return svl_fail(ctx, err == -EAGAIN || err == -EMFILE || err == -ENOMEM ? 503 : 502, NULL);
    }
    return svl_relay_begin(&run->relay, self, ctx, &cfg->limits, &relay_events, run);
}
