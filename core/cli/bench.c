/* serval bench URL: loads a server. With --rate, requests begin when the plan says so, whatever the server does,
 * and are timed from then; without, each connection asks again when it was answered, and what that leaves
 * out (a server that stalls is not asked meanwhile) is put in afterwards, as if it had been asked at
 * the usual pace. */
#include "cli/cli.h"
#include "cli/latency.h"

#include "serval/client.h"
#include "serval/error.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS 12 /* of the histogram */
#define WIDTH 40

static struct {
    const char *url;
    const char *const *fields;
    unsigned connections, duration_ms, rate, pipeline, timeout_ms;
    bool json, check;
} wanted = {.connections = 16, .duration_ms = 10000, .pipeline = 1, .timeout_ms = 10000};

static const struct svl_option options[] = {
    {.name = "connections",
     .letter = 'c',
     .value = "N",
     .initial = "16",
     .common = true,
     .help = "connections, each with one request at a time",
     SVL_NUMBER(&wanted.connections),
     .min = 1,
     .max = 10000},
    {.name = "duration",
     .letter = 'd',
     .value = "TIME",
     .initial = "10s",
     .common = true,
     .help = "how long",
     SVL_TIME(&wanted.duration_ms),
     .min = 10,
     .max = 86400000},
    {.name = "rate",
     .letter = 'r',
     .value = "N",
     .common = true,
     .help = "requests per second, evenly; as many as possible otherwise",
     SVL_NUMBER(&wanted.rate),
     .min = 1,
     .max = 10000000},
    {.name = "pipeline",
     .value = "N",
     .initial = "1",
     .help = "requests on their way on each connection",
     SVL_NUMBER(&wanted.pipeline),
     .min = 1,
     .max = 1000},
    {.name = "timeout",
     .value = "TIME",
     .initial = "10s",
     .help = "a request that takes longer has failed",
     SVL_TIME(&wanted.timeout_ms),
     .min = 1,
     .max = 86400000},
    {.name = "header",
     .letter = 'H',
     .value = "FIELD",
     .repeat = true,
     .help = "send this field, \"Name: value\"",
     SVL_LIST(&wanted.fields)},
    {.name = "check",
     .help = "a body that is not the same as the first one is a failure",
     SVL_FLAG(&wanted.check)},
    {.name = "json", .help = "one line of JSON", SVL_FLAG(&wanted.json)},
    {0},
};

static struct {
    struct svl_client *client;
    struct svl_worker *worker;
    struct svl_fetch fetch;
    atomic_bool stopping;
    atomic_ulong in_flight; /* requests, and posts that may begin some */
    uint64_t begin_us, end_us;
    struct svl_plan plan; /* with --rate */
    struct svl_latency latency;
    uint64_t done, failed, bytes, by_class[6];
    char first_error[100];
    uint64_t body_hash; /* of the first body; 0 = there was none yet */
} bench;

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Requests ---------------------------------------------------------------------------------- */

struct sample {
    uint64_t due_us; /* when it should have begun */
};

static void begin(struct sample *sample);

static uint64_t hash_of(svl_str body)
{
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < body.n; i++)
        hash = (hash ^ (unsigned char)body.p[i]) * 1099511628211u;
    return hash | 1;
}

static bool is_other_body(svl_str body)
{
    uint64_t hash = wanted.check ? hash_of(body) : 0;

    if (!bench.body_hash)
        bench.body_hash = hash;
    return hash != bench.body_hash;
}

static void count_failure(const char *why)
{
    if (!bench.failed++)
        snprintf(bench.first_error, sizeof bench.first_error, "%s", why);
}

static void on_done(struct svl_reply *reply, void *arg)
{
    struct sample *sample = arg;
    uint64_t now = now_us();

    if (reply->error) {
        count_failure(reply->why);
    } else if (is_other_body(reply->body)) {
        count_failure("a body is not the same as the first one");
    } else {
        bench.done++;
        bench.bytes += reply->body.n;
        bench.by_class[reply->status / 100 < 6 ? reply->status / 100 : 0]++;
        svl_latency_add(&bench.latency, sample->due_us, now);
    }
    bench.end_us = now;
    if (wanted.rate || atomic_load(&bench.stopping)) {
        free(sample);
        atomic_fetch_sub(&bench.in_flight, 1);
        return;
    }
    sample->due_us = now;
    begin(sample);
}

static void begin(struct sample *sample)
{
    svl_call(bench.client, bench.worker, &bench.fetch, on_done, sample);
}

static void begin_at(uint64_t due_us)
{
    struct sample *sample = malloc(sizeof *sample);

    if (!sample)
        abort();
    sample->due_us = due_us;
    atomic_fetch_add(&bench.in_flight, 1);
    begin(sample);
}

static void begin_all(struct svl_worker *worker, void *arg)
{
    (void)arg;
    bench.worker = worker;
    for (unsigned i = 0; i < wanted.connections * wanted.pipeline; i++)
        begin_at(bench.begin_us);
    atomic_fetch_sub(&bench.in_flight, 1);
}

static void begin_due(struct svl_worker *worker, void *arg)
{
    uint64_t now = now_us(), due;

    (void)arg;
    bench.worker = worker;
    while (!atomic_load(&bench.stopping) && svl_plan_next(&bench.plan, now, &due))
        begin_at(due);
    atomic_fetch_sub(&bench.in_flight, 1);
}

static void post(svl_client_post_fn *fn)
{
    atomic_fetch_add(&bench.in_flight, 1);
    if (svl_client_post(bench.client, fn, NULL) != 0)
        atomic_fetch_sub(&bench.in_flight, 1);
}

static void sleep_ms(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

/* The plan is kept by this thread, a millisecond at a time; the requests are the client's thread's. */
static void run_plan(void)
{
    uint64_t end = bench.begin_us + 1000ull * wanted.duration_ms;

    if (!wanted.rate)
        post(begin_all);
    while (now_us() < end) {
        if (wanted.rate)
            post(begin_due);
        sleep_ms(wanted.rate ? 1 : 10);
    }
    atomic_store(&bench.stopping, true);
    for (unsigned ms = 0; atomic_load(&bench.in_flight) > 0 && ms < wanted.timeout_ms + 1000;
         ms += 5)
        sleep_ms(5);
}

/* What came of it --------------------------------------------------------------------------- */

static double percentile_ms(double part)
{
    return (double)svl_latency_part_us(&bench.latency, part) / 1000;
}

/* Rows of equal width on a logarithmic scale, from the least to the most. */
static void show_histogram(void)
{
    const uint64_t *counts = bench.latency.counts;
    uint64_t rows[ROWS] = {0}, most = 1;
    unsigned low = 0, high = SVL_LATENCY_BUCKETS - 1;

    while (low < high && !counts[low])
        low++;
    while (high > low && !counts[high])
        high--;
    for (unsigned i = low; i <= high; i++)
        rows[(uint64_t)(i - low) * ROWS / (high - low + 1)] += counts[i];
    for (unsigned i = 0; i < ROWS; i++)
        most = rows[i] > most ? rows[i] : most;
    for (unsigned i = 0; i < ROWS; i++) {
        unsigned from = low + (unsigned)((uint64_t)i * (high - low + 1) / ROWS);
        int width = (int)((rows[i] * WIDTH + most - 1) / most);

        printf("  %9.3f ms  %-*.*s %llu\n", (double)svl_latency_bucket_us(from) / 1000, WIDTH,
               width, "########################################", (unsigned long long)rows[i]);
    }
}

static void show_text(double seconds)
{
    static const double parts[] = {0.5, 0.75, 0.9, 0.99, 0.999, 0.9999};

    printf("%llu requests in %.2f s: %.0f per second, %.1f MB/s of bodies\n",
           (unsigned long long)bench.done, seconds, (double)bench.done / seconds,
           (double)bench.bytes / seconds / 1e6);
    for (int i = 1; i < 6; i++)
        if (bench.by_class[i])
            printf("  %dxx %llu\n", i, (unsigned long long)bench.by_class[i]);
    if (bench.failed)
        printf("  failed %llu, the first: %s\n", (unsigned long long)bench.failed,
               bench.first_error);
    if (!bench.done)
        return;
    printf("latency, %s\n", wanted.rate ? "from when a request was due"
                                        : "with what stalls have kept from being asked");
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
        printf("  %7.4g %% %10.3f ms\n", 100 * parts[i], percentile_ms(parts[i]));
    printf("  %9s %10.3f ms\n", "longest", (double)bench.latency.max_us / 1000);
    show_histogram();
}

static void show_json(double seconds)
{
    printf("{\"requests\":%llu,\"failed\":%llu,\"seconds\":%.3f,\"per_second\":%.1f,\"bytes\":%llu,"
           "\"2xx\":%llu,\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_"
           "ms\":%.3f}\n",
           (unsigned long long)bench.done, (unsigned long long)bench.failed, seconds,
           (double)bench.done / seconds, (unsigned long long)bench.bytes,
           (unsigned long long)bench.by_class[2], percentile_ms(0.5), percentile_ms(0.9),
           percentile_ms(0.99), percentile_ms(0.999), (double)bench.latency.max_us / 1000);
}

static struct svl_field *make_fields(unsigned *n)
{
    struct svl_field *fields = NULL;

    for (*n = 0; wanted.fields && wanted.fields[*n]; ++*n) {
        const char *name, *value;
        struct svl_field *field = svl_cli_add(&fields, sizeof *fields);

        if (!svl_cli_split(wanted.fields[*n], ':', &name, &value))
            svl_cli_refuse(SVL_CLI_VALUE, "bench: --header wants \"Name: value\"");
        *field = (struct svl_field){svl_str_of(name), svl_str_of(value)};
    }
    return fields;
}

static int run(const struct svl_program *program)
{
    struct svl_client_config config = {.max_per_host = wanted.connections,
                                       .pipeline = wanted.pipeline,
                                       .max_waiting = 10000000,
                                       .max_tries = 1};
    double seconds;

    (void)program;
    bench.fetch.url =
        svl_str_of(strstr(wanted.url, "://") ? wanted.url : svl_cli_say("http://%s", wanted.url));
    bench.fetch.fields = make_fields(&bench.fetch.n_fields);
    bench.fetch.timeout_ms = wanted.timeout_ms;
    if (svl_client_open(&bench.client, &config) != 0)
        return SVL_EXIT_FAILED;
    bench.begin_us = bench.end_us = now_us();
    bench.plan = (struct svl_plan){.begin_us = bench.begin_us, .rate = wanted.rate};
    run_plan();
    svl_client_close(bench.client); /* joins the thread that has counted */
    seconds = (double)(bench.end_us - bench.begin_us + 1) / 1e6;
    if (!wanted.rate && bench.done)
        svl_latency_put_in_omitted(&bench.latency, svl_latency_part_us(&bench.latency, 0.5));
    if (wanted.json)
        show_json(seconds);
    else
        show_text(seconds);
    return bench.done > 0 && bench.failed == 0 ? 0 : SVL_EXIT_FAILED;
}

const struct svl_command svl_cmd_bench = {
    .name = "bench",
    .summary = "load a server, and say how long its answers take",
    .options = options,
    .operand = {.name = "URL",
                .help = "what to ask for; http:// may be left out",
                SVL_TEXT(&wanted.url)},
    .operand_needed = true,
    .run = run,
};
