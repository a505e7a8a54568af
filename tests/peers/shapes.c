/* The client against servers that people run: requests of every shape, each answer compared byte by byte.
 *
 *     shapes fill DIR                    files for a server to serve
 *     shapes echo                        a server that answers with the body of the request
 *     shapes ask URL N [pipelined]       N requests; says what they were and a checksum of what came
 *
 * URL serves DIR, passes /echo on to the echo or does the same, and answers /moved/X with a redirect to /X.
 * tests/e2e/test_client.py has servers set up like that. */
#include "serval/error.h"
#include "serval/foreground.h"
#include "serval/serval.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define AT_ONCE 16
#define LARGEST 1000000
#define PATIENCE_MS 60000
#define COMPLAINTS 10 /* are printed, of all there are */

static const unsigned sizes[] = {0, 1, 2, 100, 1023, 4096, 16384, 65535, 65536, 200000, LARGEST};
#define SIZES (sizeof sizes / sizeof *sizes)

enum shape {
    GET,
    GET_PIECES,
    GET_DECODED,
    HEAD,
    RANGE,
    SUFFIX,
    CONDITION,
    MISSING,
    REDIRECT,
    POST,
    PUT,
    POST_NOTHING,
    POST_EXPECTING,
    POST_STREAMED,
    PUT_CHUNKED,
    SHAPES
};

static const char *const names[SHAPES] = {
    "GET",    "GET in pieces", "GET decoded", "HEAD",     "range",
    "suffix", "condition",     "missing",     "redirect", "POST",
    "PUT",    "empty POST",    "expecting",   "streamed", "chunked",
};

static char content[SIZES][LARGEST]; /* text that compresses somewhat, another one for each size */
static char etags[SIZES][100];
static uint64_t dice = 88172645463325252u;

static unsigned roll(unsigned sides)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (unsigned)((dice >> 20) % sides);
}

static void make_content(void)
{
    for (unsigned i = 0; i < SIZES; i++)
        for (unsigned at = 0; at < sizes[i]; at++)
            content[i][at] = "serval, a cat\n"[((at + i * 77) * 2654435761u >> 13) % 14];
}

/* Filling and echoing ----------------------------------------------------------------------- */

static int fill(const char *folder)
{
    for (unsigned i = 0; i < SIZES; i++) {
        char path[1000];
        FILE *file;

        snprintf(path, sizeof path, "%s/%u.txt", folder, sizes[i]);
        file = fopen(path, "w");
        if (!file || fwrite(content[i], 1, sizes[i], file) != sizes[i] || fclose(file) != 0) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

static enum svl_verdict echo(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_content_type(ctx, SVL_STR("application/octet-stream"));
    svl_status(ctx, 200);
    svl_body_bytes(ctx, ctx->req.body);
    return SVL_DONE;
}

static int run_echo(void)
{
    struct svl_server_config config = {.listen = {"127.0.0.1:0"},
                                       .handler = echo,
                                       .max_body = 2 * LARGEST,
                                       .max_memory = SIZE_MAX};
    struct svl_server *server;

    if (svl_server_open(&server, &config))
        return 3;
    svl_server_foreground(server, &(struct svl_foreground){.title = "echo"});
    svl_server_close(server);
    return 0;
}

/* Asking ------------------------------------------------------------------------------------ */

struct
try {
    enum shape shape;
    unsigned i, from, to; /* the size; the range [from, to) */
    size_t given;
    size_t seen; /* of the pieces, which were as they should be so far */
    bool differs;
    char url[300], field[200];
    struct svl_field fields[1];
};

static const char *base;
static bool pipelined;
static struct svl_client *client;
static struct svl_worker *worker;
static unsigned left, under_way, failures, counts[SHAPES];
static uint64_t bytes;
static uint32_t sum = 2166136261u;

static svl_str whole(const struct try *try)
{
    return (svl_str){content[try->i], sizes[try->i]};
}

static svl_str expected_body(const struct try *try)
{
    svl_str all = whole(try);

    switch (try->shape) {
    case HEAD:
    case CONDITION:
    case POST_NOTHING: return SVL_STR("");
    case RANGE:
    case SUFFIX: return svl_str_head(svl_str_from(all, try->from), try->to - try->from);
    default: return all;
    }
}

static int expected_status(const struct try *try)
{
    switch (try->shape) {
    case RANGE:
    case SUFFIX: return 206;
    case CONDITION: return 304;
    case MISSING: return 404;
    default: return 200;
    }
}

static ssize_t give(struct svl_call *call, void *arg, char *to, size_t room)
{
    struct try *try = arg;
    svl_str rest = svl_str_from(whole(try), try->given);
    size_t n = 1 + roll(20000);

    (void)call;
    n = n < room ? n : room;
    n = n < rest.n ? n : rest.n;
    memcpy(to, rest.p, n);
    try->given += n;
    return (ssize_t)n;
}

static int on_piece(struct svl_call *call, svl_str piece, void *arg)
{
    struct try *try = arg;

    (void)call;
    if (!svl_str_eq(svl_str_head(svl_str_from(whole(try), try->seen), piece.n), piece))
        try->differs = true;
    try->seen += piece.n;
    return 0;
}

static void count(svl_str body)
{
    bytes += body.n;
    for (size_t i = 0; i < body.n; i++)
        sum = (sum ^ (unsigned char)body.p[i]) * 16777619u;
}

static const char *judge(const struct try *try, const struct svl_reply *reply)
{
    if (reply->error)
        return reply->why;
    if (reply->status != expected_status(try))
        return "another status";
    if (try->shape == MISSING)
        return NULL;
    if (try->shape == GET_PIECES)
        return try->differs || try->seen != sizes[try->i] ? "other pieces" : NULL;
    if (!svl_str_eq(reply->body, expected_body(try)))
        return "another body";
    if (try->shape == HEAD && reply->content_length >= 0 && reply->content_length != sizes[try->i])
        return "another length";
    if (try->shape == REDIRECT && reply->redirects != 1)
        return "not redirected";
    return NULL;
}

static void next(void);

static void on_done(struct svl_reply *reply, void *arg)
{
    struct try *try = arg;
    const char *wrong = judge(try, reply);
    svl_str etag = svl_reply_header(reply, SVL_H_ETAG);

    if (wrong && failures++ < COMPLAINTS)
        fprintf(stderr, "%s of %u: %s (status %d, %zu bytes, try %u)\n", names[try->shape],
                sizes[try->i], wrong, reply->status, reply->body.n, reply->tries);
    if (!wrong && try->shape == GET && etag.p)
        svl_str_copy(etags[try->i], sizeof etags[try->i], etag);
    count(try->shape == GET_PIECES && !wrong ? whole(try) : reply->body);
    counts[try->shape]++;
    free(try);
    under_way--;
    next();
    if (left == 0 && under_way == 0)
        svl_loop_close(worker);
}

static bool is_streamed(enum shape shape)
{
    return shape == POST_STREAMED || shape == PUT_CHUNKED;
}

static void say_field(struct try *try, struct svl_fetch *ask, svl_str name)
{
    try->fields[0] = (struct svl_field){name, svl_str_of(try->field)};
    ask->fields = try->fields;
    ask->n_fields = 1;
}

static void choose_range(struct try *try, struct svl_fetch *ask)
{
    unsigned size = sizes[try->i];

    try->from = roll(size);
    try->to = try->shape == SUFFIX ? size : try->from + 1 + roll(size - try->from);
    if (try->shape == SUFFIX)
        snprintf(try->field, sizeof try->field, "bytes=-%u", size - try->from);
    else
        snprintf(try->field, sizeof try->field, "bytes=%u-%u", try->from, try->to - 1);
    say_field(try, ask, SVL_STR("Range"));
}

static void shape_body(struct try *try, struct svl_fetch *ask)
{
    snprintf(try->url, sizeof try->url, "%secho", base);
    ask->method = try->shape == PUT || try->shape == PUT_CHUNKED ? SVL_PUT : SVL_POST;
    ask->type = SVL_STR("application/octet-stream");
    ask->expect = try->shape == POST_EXPECTING;
    if (try->shape == POST_NOTHING)
        return;
    if (!is_streamed(try->shape)) {
        ask->body = whole(try);
        return;
    }
    ask->give = give;
    ask->give_length = try->shape == PUT_CHUNKED ? -1 : (int64_t)sizes[try->i];
}

static void shape_fetch(struct try *try, struct svl_fetch *ask)
{
    snprintf(try->url, sizeof try->url, "%s%s%u.txt", base,
             try->shape == REDIRECT  ? "moved/"
             : try->shape == MISSING ? "nothing/"
                                     : "",
             sizes[try->i]);
    ask->method = try->shape == HEAD ? SVL_HEAD : SVL_GET;
    ask->decode = try->shape == GET_DECODED;
    ask->max_redirects = try->shape == REDIRECT ? 2 : 0;
    ask->on_piece = try->shape == GET_PIECES ? on_piece : NULL;
    if (try->shape == RANGE || try->shape == SUFFIX)
        choose_range(try, ask);
    if (try->shape == CONDITION) {
        snprintf(try->field, sizeof try->field, "%s", etags[try->i]);
        say_field(try, ask, SVL_STR("If-None-Match"));
    }
}

/* Those that need something which is not there become a plain GET; a stream cannot be sent again, which on
 * a pipelined connection may have to be. */
static enum shape possible(enum shape shape, unsigned i)
{
    if ((shape == RANGE || shape == SUFFIX) && sizes[i] == 0)
        return GET;
    if (shape == CONDITION && !*etags[i])
        return GET;
    if (pipelined && (is_streamed(shape) || shape == GET_PIECES))
        return GET;
    return shape;
}

static void begin(void)
{
    struct try *try = calloc(1, sizeof *try);
    struct svl_fetch ask = {.arg = try, .timeout_ms = PATIENCE_MS};

    if (!try)
        abort();
    try->i = roll(8) ? roll(SIZES - 2) : roll(SIZES); /* large ones are rare */
    try->shape = possible(roll(SHAPES), try->i);
    if (try->shape >= POST)
        shape_body(try, &ask);
    else
        shape_fetch(try, &ask);
    ask.url = svl_str_of(try->url);
    ask.close = roll(16) == 0;
    under_way++;
    svl_call(client, worker, &ask, on_done, try);
}

static void next(void)
{
    for (; left > 0 && under_way < AT_ONCE; left--)
        begin();
}

static bool always(const struct svl_fetch *ask, unsigned attempt, int error, void *arg)
{
    (void)attempt;
    (void)arg;
    return error != SVL_ELIMIT && !ask->give;
}

/* Pipelined, requests may be behind one after which the server closes: even a POST goes again then. */
static int ask_all(const char *url, unsigned n)
{
    struct svl_client_config config = {.expect_ms = 100};
    unsigned connections = 4;
    uv_loop_t loop;

    if (pipelined) {
        config.pipeline = 8;
        config.max_tries = 100;
        config.retry = always;
        connections = 2;
    }
    config.max_per_host = connections;
    base = url;
    left = n;
    if (svl_client_open(&client, &config))
        return 3;
    uv_loop_init(&loop);
    if (svl_loop_open(&worker, &loop))
        return 3;
    next();
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    svl_client_close(client);
    for (unsigned i = 0; i < SHAPES; i++)
        printf("%s %u, ", names[i], counts[i]);
    printf("%" PRIu64 " bytes, checksum %08x, %u failures\n", bytes, sum, failures);
    return failures ? 1 : 0;
}

int main(int argc, char **argv)
{
    make_content();
    if (argc == 3 && strcmp(argv[1], "fill") == 0)
        return fill(argv[2]);
    if (argc == 2 && strcmp(argv[1], "echo") == 0)
        return run_echo();
    if (argc >= 4 && strcmp(argv[1], "ask") == 0) {
        pipelined = argc > 4;
        return ask_all(argv[2], (unsigned)strtoul(argv[3], NULL, 10));
    }
    fprintf(stderr, "usage: shapes fill DIR | echo | ask URL N [pipelined]\n");
    return 2;
}
