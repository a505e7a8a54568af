/* access_log: one line per answer. Formats it on the loop, hands it to the writer's ring. */
#include "serval/mod/access_log.h"

#include "line.h"
#include "variables.h"
#include "writer.h"

#include "serval/error.h"
#include "serval/log.h"
#include "serval/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MAX_LINE (32 * 1024)
#define MAX_METHOD 64
#define MAX_USER 256
#define MAX_TARGET (16 * 1024)
#define MAX_FIELD (4 * 1024)
#define TARGET_COLUMN 40 /* pretty: where the sizes begin, when the target is short */

/* One worker's part of one use. */
struct log {
    struct ring *ring;
    bool colours;
    int64_t stamp_second; /* what stamp says; -1 = nothing yet */
    char stamp[LINE_STAMP_LEN];
    struct svl_address peer; /* what peer_text says */
    char peer_text[64];
    size_t peer_len;
    char line[MAX_LINE];
};

/* When the request came, for formats that say how long it took. Zero if nobody asked on_request. */
struct times {
    struct timespec start;
};

/* Common and combined (NCSA) ---------------------------------------------------------------------------*/

static void field(struct line *l, svl_str value)
{
    svl_line_text(l, SVL_STR(" \""));
    if (value.n)
        svl_line_escaped(l, value, MAX_FIELD);
    else
        svl_line_char(l, '-');
    svl_line_char(l, '"');
}

static void request_line(struct line *l, const struct svl_request *req)
{
    svl_line_text(l, SVL_STR(" \""));
    if (req->method_text.n && req->target.n) {
        svl_line_escaped(l, req->method_text, MAX_METHOD);
        svl_line_char(l, ' ');
        svl_line_escaped(l, req->target, MAX_TARGET);
        svl_line_text(l, req->minor ? SVL_STR(" HTTP/1.1") : SVL_STR(" HTTP/1.0"));
    } else {
        svl_line_char(l, '-');
    }
    svl_line_char(l, '"');
}

static void user(struct line *l, const struct svl_ctx *ctx)
{
    const svl_str *name = svl_value_get(ctx, "serval.basic_auth"); /* what that module leaves */

    if (!name || !name->n) {
        svl_line_char(l, '-');
        return;
    }
    for (size_t i = 0; i < name->n && i < MAX_USER; i++) { /* one word, for those who read words */
        if (name->p[i] == ' ')
            svl_line_text(l, SVL_STR("\\x20"));
        else
            svl_line_escaped(l, (svl_str){name->p + i, 1}, 8);
    }
}

static void common(struct line *l, struct svl_ctx *ctx, svl_str peer, svl_str stamp, int status)
{
    svl_line_text(l, peer);
    svl_line_text(l, SVL_STR(" - "));
    user(l, ctx);
    svl_line_char(l, ' ');
    svl_line_text(l, stamp);
    request_line(l, &ctx->req);
    svl_line_char(l, ' ');
    svl_line_number(l, (uint64_t)status);
    svl_line_char(l, ' ');
    svl_line_number(l, ctx->res.sent);
}

static void combined(struct line *l, struct svl_ctx *ctx, svl_str peer, svl_str stamp, int status)
{
    common(l, ctx, peer, stamp, status);
    field(l, svl_header(ctx, SVL_H_REFERER));
    field(l, svl_header(ctx, SVL_H_USER_AGENT));
}

/* Pretty ------------------------------------------------------------------------------------*/

static const char *status_colour(int status)
{
    switch (status / 100) {
    case 2: return "\033[32m";
    case 3: return "\033[36m";
    case 4: return "\033[33m";
    case 5: return "\033[31m";
    default: return "\033[35m";
    }
}

static void human_size(char *to, size_t size, uint64_t n)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)n / 1000;
    unsigned u = 0;

    if (n < 1000) {
        snprintf(to, size, "%u B", (unsigned)n);
        return;
    }
    for (; v >= 999.95 && u < 5; u++)
        v /= 1000;
    snprintf(to, size, "%.1f %s", v, units[u]);
}

static bool is_timed(const struct times *times)
{
    return times && (times->start.tv_sec || times->start.tv_nsec);
}

static int64_t microseconds_since(const struct times *times)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)(now.tv_sec - times->start.tv_sec) * 1000000 +
           (now.tv_nsec - times->start.tv_nsec) / 1000;
}

static void human_time(char *to, size_t size, const struct times *times)
{
    double ms;

    if (!is_timed(times)) {
        snprintf(to, size, "-");
        return;
    }
    ms = (double)microseconds_since(times) / 1e3;
    if (ms < 9999.5)
        snprintf(to, size, ms < 99.95 ? "%.2f ms" : "%.0f ms", ms);
    else
        snprintf(to, size, "%.1f s", ms / 1e3);
}

/* 14:03:22  200  GET   /docs/                   12.4 kB    0.38 ms  127.0.0.1 */
static void pretty(struct line *l, struct svl_ctx *ctx, svl_str peer, svl_str stamp, int status,
                   const struct times *times, bool colours)
{
    const struct svl_request *req = &ctx->req;
    char size[16], time[16], tail[64];
    svl_str coding = svl_headers_get(&ctx->res.headers, SVL_H_CONTENT_ENCODING);
    const char *from;

    human_size(size, sizeof size, ctx->res.sent);
    human_time(time, sizeof time, times);
    snprintf(tail, sizeof tail, " %9s  %9s  ", size, time);

    svl_line_text(l, stamp);
    svl_line_text(l, SVL_STR("  "));
    if (colours)
        svl_line_text(l, svl_str_of(status_colour(status)));
    svl_line_number(l, (uint64_t)status);
    if (colours)
        svl_line_text(l, SVL_STR("\033[0m"));
    svl_line_text(l, SVL_STR("  "));
    from = l->at;
    svl_line_escaped(l, req->method_text.n ? req->method_text : SVL_STR("-"), MAX_METHOD);
    svl_line_pad(l, from, 4);
    svl_line_text(l, SVL_STR("  "));
    from = l->at;
    svl_line_escaped(l, req->target.n ? req->target : SVL_STR("-"), MAX_TARGET);
    svl_line_pad(l, from, TARGET_COLUMN);
    svl_line_text(l, svl_str_of(tail));
    svl_line_text(l, peer);
    if (coding.p) {
        svl_line_text(l, SVL_STR("  "));
        svl_line_escaped(l, coding, MAX_METHOD);
    }
}

/* All --------------------------------------------------------------------------------------*/

/* Text of the address; the last one is kept, as a connection usually asks more than once. */
static svl_str peer_of(struct log *log, const struct svl_ctx *ctx)
{
    const struct svl_address *peer = svl_peer(ctx);

    if (!log->peer_len || log->peer.family != peer->family ||
        memcmp(log->peer.ip, peer->ip, sizeof peer->ip)) {
        log->peer = *peer;
        log->peer_len = svl_address_text(peer, log->peer_text, sizeof log->peer_text);
    }
    return (svl_str){log->peer_text, log->peer_len};
}

static svl_str stamp_of(struct log *log, struct svl_ctx *ctx, bool is_pretty)
{
    int64_t now = svl_wall_seconds(ctx->worker);

    if (now != log->stamp_second) {
        log->stamp_second = now;
        if (is_pretty)
            svl_line_clock(log->stamp, now);
        else
            svl_line_stamp(log->stamp, now);
    }
    return (svl_str){log->stamp, is_pretty ? LINE_CLOCK_LEN : LINE_STAMP_LEN};
}

static struct record record_of(struct svl_ctx *ctx, svl_str peer, int status,
                               const struct times *times)
{
    struct record r = {.ctx = ctx, .peer = peer, .status = status, .timed = is_timed(times)};
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    r.seconds = now.tv_sec;
    r.fraction = (unsigned)(now.tv_nsec / 1000);
    if (r.timed)
        r.us = (uint64_t)microseconds_since(times);
    return r;
}

static void log_answer(const struct svl_link *self, struct svl_ctx *ctx, const struct times *times)
{
    const struct svl_access_log_config *cfg = self->config;
    struct log *log = self->state;
    bool is_pretty = cfg->format == SVL_LOG_PRETTY;
    struct line l = {log->line, log->line + sizeof log->line - 1}; /* the newline always fits */
    svl_str peer = peer_of(log, ctx), stamp = stamp_of(log, ctx, is_pretty);
    int status = ctx->res.status ? ctx->res.status : 499; /* it left before there was an answer */
    struct record r;

    switch (cfg->format) {
    case SVL_LOG_PRETTY: pretty(&l, ctx, peer, stamp, status, times, log->colours); break;
    case SVL_LOG_AUTO:
    case SVL_LOG_COMBINED: combined(&l, ctx, peer, stamp, status); break;
    case SVL_LOG_COMMON: common(&l, ctx, peer, stamp, status); break;
    default:
        r = record_of(ctx, peer, status, times);
        if (cfg->format == SVL_LOG_JSON)
            svl_record_json(&l, &r);
        else if (cfg->format == SVL_LOG_LOGFMT)
            svl_record_logfmt(&l, &r);
        else
            svl_template_write(&l, cfg->pieces, &r);
    }
    *l.at++ = '\n';
    svl_log_put(log->ring, (svl_str){log->line, (size_t)(l.at - log->line)});
}

static bool wants_times(const struct svl_access_log_config *cfg)
{
    return cfg->format != SVL_LOG_COMBINED && cfg->format != SVL_LOG_COMMON;
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    if (wants_times(self->config)) {
        struct times *times = svl_slot(self, ctx);

        if (!is_timed(times))
            clock_gettime(CLOCK_MONOTONIC, &times->start);
    }
    return SVL_NEXT;
}

static void on_done(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_access_log_config *cfg = self->config;

    log_answer(self, ctx, wants_times(cfg) ? svl_slot(self, ctx) : NULL);
}

static void on_refused(const struct svl_link *self, struct svl_ctx *ctx)
{
    log_answer(self, ctx, NULL);
}

/* Life --------------------------------------------------------------------------------------*/

static int setup(void *config)
{
    struct svl_access_log_config *cfg = config;
    int err;

    if (cfg->format == SVL_LOG_TEMPLATE) {
        cfg->pieces = svl_template_open(cfg->template ? cfg->template : "");
        if (!cfg->pieces)
            return SVL_ECONFIG;
    }
    err = svl_log_writer_open(&cfg->writer, cfg->path);
    if (err) {
        svl_template_close(cfg->pieces);
        cfg->pieces = NULL;
        svl_log(SVL_ALERT, "access_log: %s: %s", cfg->path ? cfg->path : "stdout",
                svl_strerror(err));
        return err;
    }
    if (cfg->format == SVL_LOG_AUTO)
        cfg->format = isatty(svl_log_writer_fd(cfg->writer)) ? SVL_LOG_PRETTY : SVL_LOG_COMBINED;
    tzset(); /* localtime_r() need not */
    return 0;
}

static void teardown(void *config)
{
    struct svl_access_log_config *cfg = config;

    svl_log_writer_close(cfg->writer);
    cfg->writer = NULL;
    svl_template_close(cfg->pieces);
    cfg->pieces = NULL;
}

static bool wants_colours(int fd)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fd) && !(no && *no) && !(term && !strcmp(term, "dumb"));
}

static int worker_init(struct svl_link *self, struct svl_worker *worker)
{
    const struct svl_access_log_config *cfg = self->config;
    struct log *log = malloc(sizeof *log); /* not cleared: most of `line` is never touched */

    (void)worker;
    if (!log)
        return -ENOMEM;
    log->ring = svl_log_writer_ring(cfg->writer);
    if (!log->ring) {
        free(log);
        return -ENOMEM;
    }
    log->colours = wants_colours(svl_log_writer_fd(cfg->writer));
    log->stamp_second = -1;
    log->peer_len = 0;
    self->state = log;
    return 0;
}

static void worker_exit(struct svl_link *self, struct svl_worker *worker)
{
    (void)worker;
    free(self->state); /* the ring stays with the writer, which may not have emptied it yet */
    self->state = NULL;
}

const struct svl_module svl_access_log_module = {
    .name = "access_log",
    .summary = "one line per answer: pretty, NCSA, JSON, logfmt or a template",
    .config_size = sizeof(struct svl_access_log_config),
    .slot_size = sizeof(struct times),
    .setup = setup,
    .teardown = teardown,
    .worker_init = worker_init,
    .worker_exit = worker_exit,
    .on_request = on_request,
    .on_done = on_done,
    .on_refused = on_refused,
};
