/* What was counted, as text: for Prometheus (exposition format 0.0.4), and as JSON. */
#include "internal.h"

#include "serval/async.h"
#include "serval/error.h"
#include "serval/log.h"
#include "serval/server.h"

#include <dirent.h>
#include <math.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

void text_add(struct text *text, const char *format, ...)
{
    va_list args, again;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(text->p ? text->p + text->n : NULL, text->room - text->n, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n >= text->room - text->n) {
        size_t room = 2 * (text->n + (size_t)n) + 4096;
        char *p = svl_alloc(text->ctx, room);

        if (text->n)
            memcpy(p, text->p, text->n);
        text->p = p;
        text->room = room;
        n = vsnprintf(p + text->n, room - text->n, format, again);
    }
    va_end(again);
    text->n += n > 0 ? (size_t)n : 0;
}

/* In quotes, for either format. */
static void add_quoted(struct text *text, svl_str s)
{
    text_add(text, "\"");
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '"' || c == '\\')
            text_add(text, "\\%c", c);
        else if (c == '\n')
            text_add(text, "\\n");
        else
            text_add(text, "%c", c < 0x20 || c == 0x7f ? '?' : c);
    }
    text_add(text, "\"");
}

/* --- the process ---------------------------------------------------------------------------- */

static double cpu_seconds(void *arg)
{
    struct rusage use;

    (void)arg;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static double resident_bytes(void *arg)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long total = 0, resident = 0;

    (void)arg;
    if (!file)
        return 0;
    if (fscanf(file, "%lu %lu", &total, &resident) != 2)
        resident = 0;
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double threads(void *arg)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    double n = 0;

    (void)arg;
    while (file && n == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, "Threads:", 8) == 0)
            n = strtod(line + 8, NULL);
    if (file)
        fclose(file);
    return n;
}

static double max_fds(void *arg)
{
    struct rlimit limit = {0};

    (void)arg;
    getrlimit(RLIMIT_NOFILE, &limit);
    return (double)limit.rlim_cur;
}

static double open_fds(void *arg)
{
    DIR *dir = opendir("/proc/self/fd");
    double n = -3; /* ".", ".." and the folder itself */

    (void)arg;
    if (!dir)
        return 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static struct svl_var process[] = {
    {.kind = SVL_VAR_FUNCTION,
     .name = "process_cpu_seconds_total",
     .help = "CPU time of the process in seconds.",
     .value = cpu_seconds},
    {.kind = SVL_VAR_FUNCTION,
     .name = "process_resident_memory_bytes",
     .help = "Memory of the process that is resident.",
     .value = resident_bytes},
    {.kind = SVL_VAR_FUNCTION,
     .name = "process_open_fds",
     .help = "Descriptors that are open.",
     .value = open_fds},
    {.kind = SVL_VAR_FUNCTION,
     .name = "process_max_fds",
     .help = "Descriptors that may be open.",
     .value = max_fds},
    {.kind = SVL_VAR_FUNCTION,
     .name = "process_threads",
     .help = "Threads of the process.",
     .value = threads},
};
#define N_PROCESS (sizeof process / sizeof *process)

/* --- the server ----------------------------------------------------------------------------- */

#define N_SERVER 6

static double number(void *arg)
{
    return *(const double *)arg;
}

/* What the server of the ctx says of itself; the vars point into `numbers`. */
static void ask_server(struct svl_ctx *ctx, struct svl_var *vars, double *numbers)
{
    static const struct svl_var named[N_SERVER] = {
        SVL_FIGURE("serval_workers", "Loops that serve.", number, NULL),
        SVL_FIGURE("serval_connections_total", "Connections taken.", number, NULL),
        SVL_FIGURE("serval_connections_open", "Connections that are open.", number, NULL),
        SVL_FIGURE("serval_requests_total", "Heads of requests that were not refused.", number,
                   NULL),
        SVL_FIGURE("serval_refused_total", "Connections and requests above a limit.", number, NULL),
        SVL_FIGURE("serval_stalls_total", "Hooks that the watchdog found holding a loop.", number,
                   NULL),
    };
    const struct svl_server *server = svl_worker_server(ctx->worker);
    struct svl_counts counts;

    svl_server_counts(server, &counts);
    numbers[0] = svl_server_workers(server);
    numbers[1] = (double)counts.connections;
    numbers[2] = (double)counts.open;
    numbers[3] = (double)counts.requests;
    numbers[4] = (double)counts.refused;
    numbers[5] = (double)svl_server_stalls(server);
    for (size_t i = 0; i < N_SERVER; i++) {
        vars[i] = named[i];
        vars[i].arg = &numbers[i];
    }
}

/* --- Prometheus ----------------------------------------------------------------------------- */

static void head(struct text *text, const char *name, const char *help, const char *type)
{
    text_add(text, "# HELP %s ", name);
    for (help = help ? help : name; *help; help++) {
        if (*help == '\\' || *help == '\n')
            text_add(text, *help == '\n' ? "\\n" : "\\\\");
        else
            text_add(text, "%c", *help);
    }
    text_add(text, "\n# TYPE %s %s\n", name, type);
}

static void metrics_histogram(struct text *text, const struct svl_var *var)
{
    const double *bounds;
    unsigned n = var_bounds(var, &bounds);
    uint64_t sum = 0, all = var_cell(var, n);

    for (unsigned i = 0; i < n; i++) {
        sum += var_cell(var, i);
        text_add(text, "%s_bucket{le=\"%g\"} %llu\n", var->name, bounds[i],
                 (unsigned long long)sum);
    }
    all = all < sum ? sum : all; /* somebody counts meanwhile */
    text_add(text, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %g\n%s_count %llu\n", var->name,
             (unsigned long long)all, var->name, var_sum(var), var->name, (unsigned long long)all);
}

static bool is_total(const char *name)
{
    size_t n = strlen(name);

    return n > 6 && strcmp(name + n - 6, "_total") == 0;
}

static void metrics_var(struct text *text, const struct svl_var *var)
{
    bool counts =
        var->kind == SVL_VAR_COUNTER || (var->kind == SVL_VAR_FUNCTION && is_total(var->name));

    head(text, var->name, var->help,
         var->kind == SVL_VAR_HISTOGRAM ? "histogram"
         : counts                       ? "counter"
                                        : "gauge");
    if (var->kind == SVL_VAR_HISTOGRAM)
        metrics_histogram(text, var);
    else if (var->kind == SVL_VAR_FUNCTION)
        text_add(text, "%s %.15g\n", var->name, var->value ? var->value(var->arg) : 0);
    else
        text_add(text, "%s %lld\n", var->name, (long long)svl_var_read(var));
}

/* Series of all workers as one list, equal ones added up: a copy, so that it stands still. */
static struct series *collect(struct text *text, const struct svl_vars_book *book, unsigned *n)
{
    struct series *list = NULL;
    unsigned room = 0;

    *n = 0;
    for (const struct page *page = atomic_load(&book->pages); page; page = page->next)
        for (struct series *s =
                 atomic_load_explicit(&((struct page *)page)->first, memory_order_acquire);
             s; s = atomic_load_explicit(&s->next, memory_order_acquire)) {
            unsigned at = 0;

            while (at < *n &&
                   !(svl_str_eq(list[at].route, s->route) && list[at].status == s->status &&
                     svl_str_eq(list[at].method, s->method)))
                at++;
            if (at == room) {
                struct series *more = svl_alloc(text->ctx, (2 * room + 16) * sizeof *more);

                if (room)
                    memcpy((void *)more, (void *)list, room * sizeof *more);
                list = more;
                room = 2 * room + 16;
            }
            if (at == *n) {
                ++*n;
                list[at].route = s->route;
                list[at].method = s->method;
                list[at].status = s->status;
            }
            cell_add(&list[at].count, cell_read(&s->count));
            cell_add(&list[at].sum_us, cell_read(&s->sum_us));
            cell_add(&list[at].bytes, cell_read(&s->bytes));
            for (unsigned i = 0; i < REQUEST_BOUNDS; i++)
                cell_add(&list[at].buckets[i], cell_read(&s->buckets[i]));
        }
    return list;
}

static void labels(struct text *text, const char *name, const struct series *s, const char *le)
{
    text_add(text, "%s{route=", name);
    add_quoted(text, s->route);
    text_add(text, ",method=");
    add_quoted(text, s->method);
    text_add(text, ",code=\"%d\"", s->status);
    if (le)
        text_add(text, ",le=\"%s\"", le);
    text_add(text, "} ");
}

static void metrics_durations(struct text *text, const struct series *s)
{
    uint64_t sum = 0, count = cell_read(&s->count);
    char le[32];

    for (unsigned i = 0; i < REQUEST_BOUNDS; i++) {
        sum += cell_read(&s->buckets[i]);
        snprintf(le, sizeof le, "%g", request_bounds[i]);
        labels(text, "http_request_duration_seconds_bucket", s, le);
        text_add(text, "%llu\n", (unsigned long long)sum);
    }
    count = count < sum ? sum : count;
    labels(text, "http_request_duration_seconds_bucket", s, "+Inf");
    text_add(text, "%llu\n", (unsigned long long)count);
    labels(text, "http_request_duration_seconds_sum", s, NULL);
    text_add(text, "%.6f\n", (double)cell_read(&s->sum_us) / 1e6);
    labels(text, "http_request_duration_seconds_count", s, NULL);
    text_add(text, "%llu\n", (unsigned long long)count);
}

static long long in_flight(const struct svl_vars_book *book)
{
    uint64_t n = 0;

    for (const struct page *page = atomic_load(&book->pages); page; page = page->next)
        n += cell_read(&page->started) - cell_read(&page->ended);
    return (long long)n;
}

static void metrics_requests(struct text *text, const struct svl_vars_book *book)
{
    unsigned n;
    const struct series *list = collect(text, book, &n);

    head(text, "http_requests_in_flight", "Requests being answered.", "gauge");
    text_add(text, "http_requests_in_flight %lld\n", in_flight(book));
    if (n == 0)
        return;
    head(text, "http_requests_total", "Requests that are over, by pattern of the route.",
         "counter");
    for (unsigned i = 0; i < n; i++) {
        labels(text, "http_requests_total", &list[i], NULL);
        text_add(text, "%llu\n", (unsigned long long)cell_read(&list[i].count));
    }
    head(text, "http_response_body_bytes_total", "Bytes of bodies that were sent.", "counter");
    for (unsigned i = 0; i < n; i++) {
        labels(text, "http_response_body_bytes_total", &list[i], NULL);
        text_add(text, "%llu\n", (unsigned long long)cell_read(&list[i].bytes));
    }
    head(text, "http_request_duration_seconds",
         "From the head of a request to the end of its answer.", "histogram");
    for (unsigned i = 0; i < n; i++)
        metrics_durations(text, &list[i]);
}

void show_metrics(struct text *text, const struct svl_vars_config *cfg)
{
    struct svl_var server[N_SERVER];
    double numbers[N_SERVER];

    ask_server(text->ctx, server, numbers);
    for (size_t i = 0; i < N_PROCESS; i++)
        metrics_var(text, &process[i]);
    for (size_t i = 0; i < N_SERVER; i++)
        metrics_var(text, &server[i]);
    for (struct svl_var *const *var = cfg->vars; var && *var; var++)
        metrics_var(text, *var);
    if (!cfg->no_requests)
        metrics_requests(text, cfg->book);
}

/* --- JSON ----------------------------------------------------------------------------------- */

struct json {
    struct text *text;
    const regex_t *filter;
    bool begun;
};

/* The key of a member, if the filter wants it. */
static bool member(struct json *json, const char *name)
{
    if (json->filter && regexec(json->filter, name, 0, NULL, 0) != 0)
        return false;
    text_add(json->text, json->begun ? ",\n" : "\n");
    add_quoted(json->text, svl_str_of(name));
    text_add(json->text, ": ");
    json->begun = true;
    return true;
}

static void add_number(struct text *text, double value)
{
    text_add(text, isfinite(value) ? "%.15g" : "null", value);
}

static void json_histogram(struct text *text, const struct svl_var *var)
{
    const double *bounds;
    unsigned n = var_bounds(var, &bounds);

    text_add(text, "{\"count\": %llu, \"sum\": ", (unsigned long long)var_cell(var, n));
    add_number(text, var_sum(var));
    text_add(text, ", \"buckets\": {");
    for (unsigned i = 0; i < n; i++)
        text_add(text, "%s\"%g\": %llu", i ? ", " : "", bounds[i],
                 (unsigned long long)var_cell(var, i));
    text_add(text, "}}");
}

static void json_var(struct json *json, const struct svl_var *var)
{
    if (!member(json, var->name))
        return;
    if (var->kind == SVL_VAR_HISTOGRAM)
        json_histogram(json->text, var);
    else if (var->kind == SVL_VAR_FUNCTION)
        add_number(json->text, var->value ? var->value(var->arg) : 0);
    else
        text_add(json->text, "%lld", (long long)svl_var_read(var));
}

static void json_requests(struct json *json, const struct svl_vars_book *book)
{
    struct text *text = json->text;
    const struct series *list;
    unsigned n;

    if (member(json, "http_requests_in_flight"))
        text_add(text, "%lld", in_flight(book));
    if (!member(json, "http_requests"))
        return;
    list = collect(text, book, &n);
    text_add(text, "[");
    for (unsigned i = 0; i < n; i++) {
        text_add(text, "%s{\"route\": ", i ? ",\n  " : "");
        add_quoted(text, list[i].route);
        text_add(text, ", \"method\": ");
        add_quoted(text, list[i].method);
        text_add(text,
                 ", \"code\": %d, \"count\": %llu, \"bytes\": %llu, \"seconds\": %.6f, "
                 "\"buckets\": {",
                 list[i].status, (unsigned long long)cell_read(&list[i].count),
                 (unsigned long long)cell_read(&list[i].bytes),
                 (double)cell_read(&list[i].sum_us) / 1e6);
        for (unsigned at = 0; at < REQUEST_BOUNDS; at++)
            text_add(text, "%s\"%g\": %llu", at ? ", " : "", request_bounds[at],
                     (unsigned long long)cell_read(&list[i].buckets[at]));
        text_add(text, "}}");
    }
    text_add(text, "]");
}

int show_json(struct text *text, const struct svl_vars_config *cfg, const char *filter)
{
    struct json json = {.text = text};
    struct svl_var server[N_SERVER];
    double numbers[N_SERVER];
    regex_t regex;

    if (filter) {
        if (regcomp(&regex, filter, REG_EXTENDED | REG_NOSUB) != 0)
            return SVL_ESYNTAX;
        json.filter = &regex;
    }
    ask_server(text->ctx, server, numbers);
    text_add(text, "{");
    for (size_t i = 0; i < N_PROCESS; i++)
        json_var(&json, &process[i]);
    for (size_t i = 0; i < N_SERVER; i++)
        json_var(&json, &server[i]);
    for (struct svl_var *const *var = cfg->vars; var && *var; var++)
        json_var(&json, *var);
    if (!cfg->no_requests)
        json_requests(&json, cfg->book);
    text_add(text, "\n}\n");
    if (filter)
        regfree(&regex);
    return 0;
}
