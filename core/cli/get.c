/* serval get URL: fetches one thing. The body goes to a file or to stdout, everything else to stderr. */
#include "cli/cli.h"

#include "serval/client.h"
#include "serval/error.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BAR 30 /* columns, at most */
#define BAR_LEAST 5
#define REDIRECTS 10
#define EVERY_MS 100 /* the progress line is drawn anew */

static struct {
    const char *url, *output, *method, *data;
    const char *const *fields;
    unsigned timeout_ms;
    bool resume, head, compressed, timing, quiet;
} wanted;

static const struct svl_option options[] = {
    {.name = "output",
     .letter = 'o',
     .value = "FILE",
     .common = true,
     .help = "write the body there instead of to stdout",
     SVL_TEXT(&wanted.output)},
    {.name = "resume",
     .letter = 'c',
     .common = true,
     .help = "go on where --output ends",
     SVL_FLAG(&wanted.resume)},
    {.name = "header",
     .letter = 'H',
     .value = "FIELD",
     .repeat = true,
     .common = true,
     .help = "send this field, \"Name: value\"",
     SVL_LIST(&wanted.fields)},
    {.name = "method",
     .letter = 'X',
     .value = "NAME",
     .help = "ask with this method",
     SVL_TEXT(&wanted.method)},
    {.name = "data",
     .letter = 'd',
     .value = "TEXT",
     .help = "send this body",
     SVL_TEXT(&wanted.data)},
    {.name = "include",
     .letter = 'i',
     .common = true,
     .help = "show the head of the response",
     SVL_FLAG(&wanted.head)},
    {.name = "compressed",
     .help = "ask for a compressed response and undo it",
     SVL_FLAG(&wanted.compressed)},
    {.name = "timing",
     .letter = 't',
     .common = true,
     .help = "show what took how long",
     SVL_FLAG(&wanted.timing)},
    {.name = "timeout",
     .value = "TIME",
     .help = "give up after so long; never otherwise",
     SVL_TIME(&wanted.timeout_ms),
     .min = 1,
     .max = 86400000},
    {.name = "quiet", .letter = 'q', .help = "no progress, no messages", SVL_FLAG(&wanted.quiet)},
    {0},
};

/* One transfer. on_head and on_piece are called on the client's thread while ours waits. */
struct transfer {
    FILE *out;
    uint64_t had; /* bytes that were there before */
    uint64_t got;
    int64_t total; /* -1 = not known; else never below had + got */
    bool bar;
    bool drop; /* the body says why there is nothing to go on with */
    uint64_t drawn_ms, began_ms;
};

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static const char *size_text(char to[16], double n)
{
    static const char units[] = "BKMGT";
    int unit = 0;

    for (; n >= 1000 && unit < 4; unit++)
        n /= 1024;
    snprintf(to, 16, unit ? "%.1f%c" : "%.0f%c", n, units[unit]);
    return to;
}

static unsigned columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* "1.0M of 4.8M  1.2M/s  0:03 left"; at the end how long it took. */
static const char *state_text(char to[96], const struct transfer *t, uint64_t ms)
{
    uint64_t at = t->had + t->got, seconds = ms / 1000;
    double rate = 1000.0 * (double)t->got / (double)(ms + 1);
    char one[16], two[16], three[16];
    bool more = t->total > (int64_t)at;

    size_text(one, (double)at);
    size_text(two, rate);
    if (t->total < 0) {
        snprintf(to, 96, "%6s  %6s/s", one, two);
        return to;
    }
    if (more)
        seconds = (uint64_t)((double)(t->total - (int64_t)at) / (rate < 1 ? 1 : rate));
    snprintf(to, 96, "%6s of %s  %6s/s  %llu:%02u%s", one, size_text(three, (double)t->total), two,
             (unsigned long long)(seconds / 60), (unsigned)(seconds % 60), more ? " left" : "");
    return to;
}

/* One line that is never as wide as the terminal, which would break it. The bar goes first. */
static void draw(struct transfer *t, bool last)
{
    uint64_t now = now_ms();
    char state[96], bar[BAR + 1] = "";
    int room = (int)columns() - 1, width;

    if (!t->bar || (!last && now - t->drawn_ms < EVERY_MS))
        return;
    t->drawn_ms = now;
    state_text(state, t, now - t->began_ms);
    width = room - (int)strlen(state) - (int)strlen("[] 100%  ");
    width = width < BAR ? width : BAR;
    if (t->total > 0 && width >= BAR_LEAST) {
        double part = (double)(t->had + t->got) / (double)t->total;

        memset(bar, '.', (size_t)width);
        memset(bar, '#', (size_t)((double)width * part));
        fprintf(stderr, "\r[%s] %3.0f%%  %s\033[K", bar, floor(100 * part), state);
    } else {
        fprintf(stderr, "\r%.*s\033[K", room, state);
    }
    if (last)
        fputc('\n', stderr);
}

static void show_head(const struct svl_reply *reply)
{
    fprintf(stderr, "HTTP/1.%u %d %.*s\n", reply->minor, reply->status, SVL_FMT(reply->reason));
    for (unsigned i = 0; i < reply->headers.n; i++)
        fprintf(stderr, "%.*s: %.*s\n", SVL_FMT(svl_header_name(&reply->headers.at[i])),
                SVL_FMT(svl_header_value(&reply->headers.at[i])));
    fputc('\n', stderr);
}

/* 206 goes on where the file ends; any other answer with a body begins anew. */
static int on_head(struct svl_call *call, const struct svl_reply *reply, void *arg)
{
    struct transfer *t = arg;

    (void)call;
    if (wanted.head)
        show_head(reply);
    if (t->had && reply->status == 206) {
        char expected[40];
        svl_str range = svl_reply_header(reply, SVL_H_CONTENT_RANGE);

        snprintf(expected, sizeof expected, "bytes %llu-", (unsigned long long)t->had);
        if (!svl_str_starts(range, svl_str_of(expected)))
            return SVL_ERESPONSE;
    } else if (t->had && reply->status == 200) {
        if (fflush(t->out) != 0 || ftruncate(fileno(t->out), 0) != 0)
            return -errno;
        t->had = 0;
    } else {
        t->drop = t->had > 0;
    }
    if (reply->content_length >= 0 && !reply->decoded)
        t->total = reply->content_length + (int64_t)t->had;
    return 0;
}

static int on_piece(struct svl_call *call, svl_str piece, void *arg)
{
    struct transfer *t = arg;

    (void)call;
    if (t->drop)
        return 0;
    if (fwrite(piece.p, 1, piece.n, t->out) < piece.n)
        return -errno;
    t->got += piece.n;
    draw(t, false);
    return 0;
}

static void open_output(struct transfer *t)
{
    struct stat st;

    t->out = stdout;
    if (!wanted.output) {
        if (wanted.resume)
            svl_cli_refuse(SVL_CLI_TOGETHER, "get: --resume needs --output");
        return;
    }
    if (wanted.resume && wanted.compressed) /* a range is one of the compressed bytes */
        svl_cli_refuse(SVL_CLI_TOGETHER, "get: --resume does not go with --compressed");
    t->out = fopen(wanted.output, wanted.resume ? "a" : "w");
    if (!t->out || fstat(fileno(t->out), &st) != 0)
        svl_cli_refuse(SVL_CLI_FAILED, "get: %s: %s", wanted.output, strerror(errno));
    t->had = wanted.resume ? (uint64_t)st.st_size : 0;
}

/* Those of the command line, and Range. */
static struct svl_field *make_fields(const struct transfer *t, unsigned *n)
{
    unsigned count = 0;
    struct svl_field *fields;

    while (wanted.fields && wanted.fields[count])
        count++;
    fields = calloc(count + 1, sizeof *fields);
    if (!fields)
        abort();
    for (*n = 0; *n < count; ++*n) {
        const char *name, *value;

        if (!svl_cli_split(wanted.fields[*n], ':', &name, &value))
            svl_cli_refuse(SVL_CLI_VALUE, "get: --header wants \"Name: value\"");
        fields[*n] = (struct svl_field){svl_str_of(name), svl_str_of(value)};
    }
    if (t->had)
        fields[(*n)++] = (struct svl_field){
            SVL_STR("Range"), svl_str_of(svl_cli_say("bytes=%llu-", (unsigned long long)t->had))};
    return fields;
}

static void show_timing(const struct svl_timing *timing)
{
    const struct {
        const char *what;
        uint64_t at;
    } rows[] = {{"resolved", timing->resolved},
                {"connected", timing->connected},
                {"request sent", timing->sent},
                {"first byte", timing->first_byte},
                {"all of it", timing->done}};

    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        fprintf(stderr, "%-13s %9.3f ms\n", rows[i].what, (double)rows[i].at / 1000);
}

/* What a shell should know: 0, or that it did not work out. */
static int conclude(struct transfer *t, const struct svl_reply *reply)
{
    bool complete = t->had && reply->status == 416; /* nothing was missing */

    if (reply->error) {
        if (t->drawn_ms)
            fputc('\n', stderr);
        if (!wanted.quiet)
            fprintf(stderr, "serval: get: %s\n", reply->why);
        return SVL_EXIT_FAILED;
    }
    if (t->got > 0)
        draw(t, true);
    if (wanted.timing)
        show_timing(&reply->timing);
    if (reply->status < 400 || complete)
        return 0;
    if (!wanted.quiet)
        fprintf(stderr, "serval: get: %d %.*s\n", reply->status, SVL_FMT(reply->reason));
    return SVL_EXIT_FAILED;
}

static int run(const struct svl_program *program)
{
    struct transfer t = {.total = -1};
    struct svl_client_config config = {
        .name = "serval", .proxy_from_env = true, .timeout_ms = SVL_NEVER};
    struct svl_fetch fetch = {
        .max_redirects = REDIRECTS, .on_head = on_head, .on_piece = on_piece, .arg = &t};
    struct svl_client *client;
    struct svl_reply *reply;
    struct svl_field *fields;
    int status;

    (void)program;
    open_output(&t);
    fields = make_fields(&t, &fetch.n_fields);
    fetch.fields = fields;
    fetch.url =
        svl_str_of(strstr(wanted.url, "://") ? wanted.url : svl_cli_say("http://%s", wanted.url));
    fetch.method_text = svl_str_of(wanted.method);
    fetch.body = svl_str_of(wanted.data);
    fetch.timeout_ms = wanted.timeout_ms;
    fetch.decode = wanted.compressed;
    fetch.timing = wanted.timing;
    t.began_ms = now_ms();
    t.bar = !wanted.quiet && isatty(STDERR_FILENO) && !isatty(fileno(t.out));
    if (svl_client_open(&client, &config) != 0)
        return SVL_EXIT_FAILED;
    svl_http_do(client, &fetch, &reply);
    status = conclude(&t, reply);
    if (fflush(t.out) != 0) {
        fprintf(stderr, "serval: get: %s\n", strerror(errno));
        status = SVL_EXIT_FAILED;
    }
    svl_reply_free(reply);
    svl_client_close(client);
    free(fields);
    return status;
}

const struct svl_command svl_cmd_get = {
    .name = "get",
    .summary = "fetch a URL",
    .options = options,
    .operand = {.name = "URL",
                .help = "what to fetch; http:// may be left out",
                SVL_TEXT(&wanted.url)},
    .operand_needed = true,
    .run = run,
};
