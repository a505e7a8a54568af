/* vars: counts requests that pass, and shows what was counted. */
#include "internal.h"

#include "serval/error.h"
#include "serval/log.h"
#include "serval/request.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define FILTER_MAX 256 /* bytes of ?r= */

struct slot {
    uint64_t begun_us;
};

static uint64_t clock_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int setup(void *config)
{
    struct svl_vars_config *cfg = config;

    if (!cfg->json)
        cfg->json = "/debug/vars";
    if (!cfg->metrics)
        cfg->metrics = "/metrics";
    if (cfg->series == 0)
        cfg->series = 1000;
    for (struct svl_var *const *var = cfg->vars; var && *var; var++)
        if (var_open(*var))
            return SVL_ECONFIG;
    cfg->book = calloc(1, sizeof *cfg->book);
    return cfg->book ? 0 : -ENOMEM;
}

static void teardown(void *config)
{
    struct svl_vars_config *cfg = config;
    struct page *page = cfg->book ? atomic_load(&cfg->book->pages) : NULL, *next;

    for (; page; page = next) {
        next = page->next;
        page_free(page);
    }
    free(cfg->book);
    cfg->book = NULL;
}

/* The page outlives its worker: other workers may be reading it. */
static int worker_init(struct svl_link *self, struct svl_worker *worker)
{
    const struct svl_vars_config *cfg = self->config;
    struct page *page = calloc(1, sizeof *page);

    (void)worker;
    if (!page)
        return -ENOMEM;
    page->next = atomic_load(&cfg->book->pages);
    while (!atomic_compare_exchange_weak(&cfg->book->pages, &page->next, page))
        ;
    self->state = page;
    return 0;
}

/* Our own machine: loopback, a Unix socket, memory. */
static bool is_local(const struct svl_ctx *ctx)
{
    static const uint8_t six[16] = {[15] = 1}, mapped[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    const struct svl_address *peer = svl_peer(ctx);

    if (peer->family == AF_INET)
        return peer->ip[0] == 127;
    if (peer->family == AF_INET6)
        return memcmp(peer->ip, six, 16) == 0 || memcmp(peer->ip, mapped, 13) == 0;
    return true;
}

static enum svl_verdict show(const struct svl_vars_config *cfg, struct svl_ctx *ctx, bool json)
{
    struct text text = {.ctx = ctx};
    svl_str filter = json ? svl_query(ctx, SVL_STR("r")) : SVL_STR_NONE;

    svl_header_set_static(ctx, SVL_H_CACHE_CONTROL, SVL_STR("no-store"));
    if (filter.n > FILTER_MAX)
        return svl_fail(ctx, 400, "r is too long");
    if (!json)
        show_metrics(&text, cfg);
    else if (show_json(&text, cfg, filter.n ? svl_copy(ctx, filter).p : NULL))
        return svl_fail(ctx, 400, "r is not a regular expression");
    svl_text(ctx, 200, (svl_str){text.p, text.n});
    svl_content_type(ctx, json ? SVL_STR("application/json; charset=utf-8")
                               : SVL_STR("text/plain; version=0.0.4; charset=utf-8"));
    return SVL_DONE;
}

static bool is_path(const struct svl_ctx *ctx, const char *path)
{
    return path[0] && svl_str_eq(ctx->req.path, svl_str_of(path));
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_vars_config *cfg = self->config;
    struct page *page = self->state;
    bool json = is_path(ctx, cfg->json);

    if (!cfg->no_requests) {
        struct slot *slot = svl_slot(self, ctx);

        slot->begun_us = clock_us();
        cell_add(&page->started, 1);
    }
    if (!json && !is_path(ctx, cfg->metrics))
        return SVL_NEXT;
    if (!cfg->open && !is_local(ctx))
        return svl_fail(ctx, 404, NULL);
    if (ctx->req.method != SVL_GET && ctx->req.method != SVL_HEAD) {
        svl_header_set_static(ctx, SVL_H_ALLOW, SVL_STR("GET, HEAD"));
        return svl_fail(ctx, 405, NULL);
    }
    return show(cfg, ctx, json);
}

static void on_done(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_vars_config *cfg = self->config;
    struct page *page = self->state;
    struct slot *slot;

    if (cfg->no_requests)
        return;
    slot = svl_slot(self, ctx);
    cell_add(&page->ended, 1);
    series_count(page, cfg, ctx, clock_us() - slot->begun_us);
}

const struct svl_module svl_vars_module = {
    .name = "vars",
    .summary = "counters, gauges and histograms as JSON and for Prometheus",
    .config_size = sizeof(struct svl_vars_config),
    .slot_size = sizeof(struct slot),
    .setup = setup,
    .teardown = teardown,
    .worker_init = worker_init,
    .on_request = on_request,
    .on_done = on_done,
};
