/* The client and a server that misbehaves in every way that was thought of, over real sockets: each call ends
 * with the error that fits, says why, and is over by its deadline; the calls beside it and after it are
 * unharmed; in the end no descriptor is left.
 * ctest-labels: threads */
#include "serval/error.h"
#include "serval/serval.h"
#include "support/rogue.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>
#include <zlib.h>

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define BAD "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"
#define HEAD "HTTP/1.1 200 OK\r\n"
#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"
#define LARGE 4000000 /* bytes of a request; more than sockets hold */

#define SOON_MS 100    /* the deadline of calls that end with it */
#define LATER_MS 60000 /* of those that must not */

#define SAY(text) .say = {text, sizeof text - 1}

enum kind { PLAIN, TO_HEAD, POSTED, DECODED, FOLLOWED };

#define ERR(number) .error = number, .status = 0
#define ANSWERS(number, text) .error = 0, .status = number, .body = text

struct deed {
    struct rogue_act act;
    int error, or_error; /* the error, or, where the kernel decides, another one */
    int status;
    const char *body;
    enum kind kind;
    bool for_others; /* answers what was not asked yet: on a pipelined connection nobody can tell */
};

#define ACT(name_, ...) .act = {.name = name_, __VA_ARGS__}

static struct deed deeds[] = {
    /* Slow. */
    {ACT("silence", .then = ROGUE_HANG), ERR(-ETIMEDOUT)},
    {ACT("slow-head", SAY("HTTP/1.1 200 OK\r\nConte"), .then = ROGUE_HANG), ERR(-ETIMEDOUT)},
    {ACT("slow-body", SAY(HEAD "Content-Length: 9\r\n\r\nabc"), .then = ROGUE_HANG),
     ERR(-ETIMEDOUT)},
    {ACT("slow-chunk", SAY(CHUNKED "5\r\nab"), .then = ROGUE_HANG), ERR(-ETIMEDOUT)},
    {ACT("slow-end", SAY(CHUNKED "2\r\nab\r\n"), .then = ROGUE_HANG), ERR(-ETIMEDOUT)},
    {ACT("drips-head", SAY(HEAD "A: "), .then = ROGUE_DRIP, .again = "b"), ERR(-ETIMEDOUT)},
    {ACT("drips-body", SAY(HEAD "\r\n"), .then = ROGUE_DRIP, .again = "b"), ERR(-ETIMEDOUT)},
    {ACT("drips-interim", .then = ROGUE_DRIP, .again = "HTTP/1.1 103 Early Hints\r\n\r\n"),
     ERR(-ETIMEDOUT)},
    {ACT("slow-and-well", SAY(OK), .slowly = true), ANSWERS(200, "ok")},
    {ACT("deaf", .then = ROGUE_HANG, .deaf = true), ERR(-ETIMEDOUT), .kind = POSTED},

    /* Short. */
    {ACT("nothing", .then = ROGUE_CLOSE), ERR(SVL_ECLOSED)},
    {ACT("half-a-line", SAY("HTTP/1.1 2"), .then = ROGUE_CLOSE), ERR(SVL_ECLOSED)},
    {ACT("half-a-head", SAY(HEAD "Content-Le"), .then = ROGUE_CLOSE), ERR(SVL_ECLOSED)},
    {ACT("half-a-body", SAY(HEAD "Content-Length: 9\r\n\r\nabc"), .then = ROGUE_CLOSE),
     ERR(SVL_ECLOSED)},
    {ACT("half-a-chunk", SAY(CHUNKED "5\r\nab"), .then = ROGUE_CLOSE), ERR(SVL_ECLOSED)},
    {ACT("no-last-chunk", SAY(CHUNKED "2\r\nab\r\n"), .then = ROGUE_CLOSE), ERR(SVL_ECLOSED)},
    {ACT("half-a-trailer", SAY(CHUNKED "0\r\nA: b\r\n"), .then = ROGUE_CLOSE), ERR(SVL_ECLOSED)},
    {ACT("only-interim", SAY("HTTP/1.1 103 Early Hints\r\n\r\n"), .then = ROGUE_CLOSE),
     ERR(SVL_ECLOSED)},

    /* Resets. */
    {ACT("reset", .then = ROGUE_RESET), ERR(SVL_ECLOSED)},
    {ACT("reset-in-head", SAY(HEAD "Content-Le"), .then = ROGUE_RESET), ERR(SVL_ECLOSED)},
    {ACT("reset-in-body", SAY(HEAD "Content-Length: 9\r\n\r\nabc"), .then = ROGUE_RESET),
     ERR(SVL_ECLOSED)},
    {ACT("reset-to-the-end", SAY(HEAD "\r\nabc"), .then = ROGUE_RESET), ERR(SVL_ECLOSED)},
    {ACT("reset-in-chunk", SAY(CHUNKED "5\r\nab"), .then = ROGUE_RESET), ERR(SVL_ECLOSED)},
    {ACT("reset-deaf", .then = ROGUE_RESET, .deaf = true), ERR(SVL_ECLOSED), .kind = POSTED},

    /* Half closed. */
    {ACT("half-closed", .then = ROGUE_HALF), ERR(SVL_ECLOSED)},
    {ACT("half-closed-in-head", SAY(HEAD "Conte"), .then = ROGUE_HALF), ERR(SVL_ECLOSED)},
    {ACT("half-closed-in-body", SAY(HEAD "Content-Length: 9\r\n\r\nabc"), .then = ROGUE_HALF),
     ERR(SVL_ECLOSED)},
    {ACT("half-closed-behind", SAY(OK), .then = ROGUE_HALF), ANSWERS(200, "ok")},
    {ACT("to-the-end", SAY(HEAD "\r\nok"), .then = ROGUE_HALF), ANSWERS(200, "ok")},

    /* Long: nobody gets what nobody asked for. */
    {ACT("two-answers", SAY(OK BAD)), ANSWERS(200, "ok"), .for_others = true},
    {ACT("surplus-byte", SAY(OK "b")), ANSWERS(200, "ok")},
    {ACT("surplus-behind-chunks", SAY(CHUNKED "2\r\nok\r\n0\r\n\r\n" BAD)), ANSWERS(200, "ok"),
     .for_others = true},
    {ACT("body-to-head", SAY(HEAD "Content-Length: 3\r\n\r\nbad")), ANSWERS(200, ""),
     .kind = TO_HEAD},
    {ACT("body-of-204", SAY("HTTP/1.1 204 No Content\r\n\r\n" BAD)), ANSWERS(204, ""),
     .for_others = true},
    {ACT("body-of-304", SAY("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nbad")),
     ANSWERS(304, "")},
    {ACT("unasked", SAY(OK BAD), .then = ROGUE_HANG, .unasked = true), ANSWERS(200, "ok"),
     .or_error = SVL_ECLOSED},
    {ACT("unasked-garbage", SAY("SSH-2.0-OpenSSH_9.2p1\r\n"), .then = ROGUE_HANG, .unasked = true),
     ERR(SVL_ERESPONSE), .or_error = SVL_ECLOSED},

    /* Without an end. */
    {ACT("endless-line", SAY("HTTP/1.1 200 O"), .then = ROGUE_FLOOD, .again = "K"),
     ERR(SVL_ELIMIT)},
    {ACT("endless-fields", SAY(HEAD), .then = ROGUE_FLOOD, .again = "A: b\r\n"), ERR(SVL_ELIMIT)},
    {ACT("endless-field", SAY(HEAD "A: "), .then = ROGUE_FLOOD, .again = "b"), ERR(SVL_ELIMIT)},
    {ACT("endless-name", SAY(HEAD), .then = ROGUE_FLOOD, .again = "b"), ERR(SVL_ELIMIT)},
    {ACT("endless-interim", .then = ROGUE_FLOOD, .again = "HTTP/1.1 103 Early Hints\r\n\r\n"),
     ERR(SVL_ERESPONSE)},
    {ACT("endless-body", SAY(HEAD "\r\n"), .then = ROGUE_FLOOD, .again = "b"), ERR(SVL_ELIMIT)},
    {ACT("endless-chunks", SAY(CHUNKED), .then = ROGUE_FLOOD, .again = "2\r\nab\r\n"),
     ERR(SVL_ELIMIT)},
    {ACT("endless-size", SAY(CHUNKED), .then = ROGUE_FLOOD, .again = "0"), ERR(SVL_ERESPONSE)},
    {ACT("endless-extension", SAY(CHUNKED "2;a="), .then = ROGUE_FLOOD, .again = "b"),
     ERR(SVL_ERESPONSE)},
    {ACT("endless-trailers", SAY(CHUNKED "0\r\n"), .then = ROGUE_FLOOD, .again = "A: b\r\n"),
     ERR(SVL_ERESPONSE)},
    {ACT("larger-than-wanted", SAY(HEAD "Content-Length: 9999999999\r\n\r\nabc"),
         .then = ROGUE_HANG),
     ERR(SVL_ELIMIT)},

    /* Not HTTP, or not quite. */
    {ACT("garbage", SAY("\x16\x03\x01\x02\x00garbage\r\n\r\n"), .then = ROGUE_HANG),
     ERR(SVL_ERESPONSE)},
    {ACT("zeros", SAY("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), .then = ROGUE_HANG), ERR(SVL_ERESPONSE)},
    {ACT("only-text", SAY("<html>hello</html>\n"), .then = ROGUE_CLOSE), ERR(SVL_ERESPONSE)},
    {ACT("http-2", SAY("\0\0\x12\x04\0\0\0\0\0"), .then = ROGUE_HANG), ERR(SVL_ERESPONSE)},
    {ACT("version", SAY("HTTP/3.7 200 OK\r\n\r\n"), .then = ROGUE_HANG), ERR(SVL_ERESPONSE)},
    {ACT("status", SAY("HTTP/1.1 2000 OK\r\n\r\n"), .then = ROGUE_HANG), ERR(SVL_ERESPONSE)},
    {ACT("no-colon", SAY(HEAD "nonsense\r\n\r\n"), .then = ROGUE_HANG), ERR(SVL_ERESPONSE)},
    {ACT("bare-lf", SAY("HTTP/1.1 200 OK\nContent-Length: 3\n\nbad"), .then = ROGUE_HANG),
     ERR(SVL_ERESPONSE)},
    {ACT("nul-in-value", SAY(HEAD "A: b\0c\r\n\r\n"), .then = ROGUE_HANG), ERR(SVL_ERESPONSE)},
    {ACT("switches", SAY("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
         .then = ROGUE_HANG),
     ERR(SVL_ERESPONSE)},

    /* Wrong lengths. */
    {ACT("negative", SAY(HEAD "Content-Length: -2\r\n\r\nok")), ERR(SVL_ERESPONSE)},
    {ACT("signed", SAY(HEAD "Content-Length: +2\r\n\r\nok")), ERR(SVL_ERESPONSE)},
    {ACT("hexadecimal", SAY(HEAD "Content-Length: 0x2\r\n\r\nok")), ERR(SVL_ERESPONSE)},
    {ACT("no-number", SAY(HEAD "Content-Length: two\r\n\r\nok")), ERR(SVL_ERESPONSE)},
    {ACT("no-length", SAY(HEAD "Content-Length:\r\n\r\nok")), ERR(SVL_ERESPONSE)},
    {ACT("overflow", SAY(HEAD "Content-Length: 18446744073709551618\r\n\r\nok")),
     ERR(SVL_ERESPONSE)},
    {ACT("two-lengths", SAY(HEAD "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok")),
     ERR(SVL_ERESPONSE)},
    {ACT("length-and-chunks",
         SAY(HEAD "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")),
     ERR(SVL_ERESPONSE)},
    {ACT("no-coding", SAY(HEAD "Transfer-Encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n")),
     ERR(SVL_ERESPONSE)},
    {ACT("chunk-no-number", SAY(CHUNKED "zz\r\nok\r\n0\r\n\r\n")), ERR(SVL_ERESPONSE)},
    {ACT("chunk-negative", SAY(CHUNKED "-2\r\nok\r\n0\r\n\r\n")), ERR(SVL_ERESPONSE)},
    {ACT("chunk-overflow", SAY(CHUNKED "10000000000000002\r\nok\r\n0\r\n\r\n")),
     ERR(SVL_ERESPONSE)},
    {ACT("chunk-too-long", SAY(CHUNKED "2\r\noks\r\n0\r\n\r\n")), ERR(SVL_ERESPONSE)},
    {ACT("chunk-bare-lf", SAY(CHUNKED "2\nok\n0\n\n")), ERR(SVL_ERESPONSE)},

    /* Codings and redirects. */
    {ACT("no-gzip", SAY(HEAD "Content-Encoding: gzip\r\nContent-Length: 7\r\n\r\nno gzip")),
     ERR(SVL_ESYNTAX), .kind = DECODED},
    {ACT("half-a-gzip",
         SAY(HEAD
             "Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03")),
     ERR(SVL_ESYNTAX), .kind = DECODED},
    {ACT("bomb", .then = ROGUE_CLOSE), ERR(SVL_ELIMIT), .kind = DECODED},
    {ACT("circle", SAY("HTTP/1.1 302 Found\r\nLocation: /circle\r\nContent-Length: 0\r\n\r\n")),
     ERR(SVL_EREDIRECT), .kind = FOLLOWED},
    {ACT("nowhere", SAY("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")), ERR(SVL_EREDIRECT),
     .kind = FOLLOWED},
    {ACT("elsewhere", SAY("HTTP/1.1 302 Found\r\nLocation: ftp://x/\r\nContent-Length: 0\r\n\r\n")),
     ERR(SVL_ESCHEME), .kind = FOLLOWED},
    {ACT("endless-redirect", SAY("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), .then = ROGUE_FLOOD,
         .again = "b"),
     ANSWERS(200, "ok"), .kind = FOLLOWED},
};

#define DEEDS (sizeof deeds / sizeof *deeds)

static struct rogue_act acts[DEEDS];
static struct svl_client *client;
static char large[LARGE];
static int before;

/* 20 MB of nothing. */
static void make_bomb(struct rogue_act *act)
{
    static const char head[] = HEAD "Content-Encoding: gzip\r\nConnection: close\r\n\r\n";
    static char zeros[20000000], packed[sizeof head + 100000];
    z_stream z = {.next_in = (void *)zeros, .avail_in = sizeof zeros};

    memcpy(packed, head, sizeof head - 1);
    z.next_out = (void *)(packed + sizeof head - 1);
    z.avail_out = sizeof packed - sizeof head;
    cr_assert_eq(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    act->say = (svl_str){packed, sizeof head - 1 + z.total_out};
    deflateEnd(&z);
}

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

static void begin(struct svl_client_config config)
{
    uv_loop_t first; /* with it libuv opens what it keeps */

    cr_assert_eq(uv_loop_init(&first), 0);
    cr_assert_eq(uv_loop_close(&first), 0);
    before = open_descriptors();
    for (unsigned i = 0; i < DEEDS; i++) {
        acts[i] = deeds[i].act;
        if (strcmp(acts[i].name, "bomb") == 0)
            make_bomb(&acts[i]);
    }
    rogue_open(acts, DEEDS);
    cr_assert_eq(svl_client_open(&client, &config), 0);
}

static void end(void)
{
    svl_client_close(client);
    rogue_close();
    cr_assert_eq(open_descriptors(), before);
}

/* One call --------------------------------------------------------------------------------- */

struct
try {
    unsigned i; /* the deed */
    uint64_t deadline;
    char url[100];
    bool done;
};

static struct svl_fetch ask_of(struct try *try)
{
    const struct deed *deed = &deeds[try->i];
    bool ends_by_deadline = deed->error == -ETIMEDOUT;

    try->deadline = svl_in_ms(ends_by_deadline ? SOON_MS : LATER_MS);
    return (struct svl_fetch){
        .url = svl_str_of(rogue_url(try->url, &acts[try->i])),
        .method = deed->kind == TO_HEAD ? SVL_HEAD : SVL_METHOD_OTHER,
        .body = deed->kind == POSTED ? (svl_str){large, sizeof large} : SVL_STR(""),
        .decode = deed->kind == DECODED,
        .max_redirects = deed->kind == FOLLOWED ? 3 : 0,
        .deadline_ns = try->deadline,
    };
}

/* Returns what is wrong, or NULL: other threads than the test's own cannot assert. */
static const char *judge(const struct try *try, const struct svl_reply *reply)
{
    const struct deed *deed = &deeds[try->i];

    if (reply->error != deed->error && (!deed->or_error || reply->error != deed->or_error))
        return "another error";
    if (reply->error)
        return reply->why && strlen(reply->why) > 8 ? NULL : "it does not say why";
    if (reply->status != deed->status || !svl_str_eq(reply->body, svl_str_of(deed->body)))
        return "another answer";
    return NULL;
}

static unsigned report(const struct try *try, const struct svl_reply *reply)
{
    const char *wrong = judge(try, reply);

    if (svl_in_ms(0) > try->deadline + 30 * UINT64_C(1000000000))
        wrong = "long after the deadline";
    if (wrong)
        fprintf(stderr, "%s: %s: %d %s, status %d\n", acts[try->i].name, wrong, reply->error,
                reply->error ? reply->why : "", reply->status);
    return wrong != NULL;
}

static unsigned is_fine(const struct svl_reply *reply)
{
    bool fine = reply->error == 0 && reply->status == 200 && svl_str_eq(reply->body, SVL_STR("ok"));

    if (!fine)
        fprintf(stderr, "a good one: %d %s, status %d\n", reply->error,
                reply->error ? reply->why : "", reply->status);
    return !fine;
}

/* Good ones go again: a kept connection may have been closed by the server a moment ago, when its end is not
 * here yet, and nobody can see that. Deeds are tried `arg` times. */
static bool again(const struct svl_fetch *ask, unsigned attempt, int error, void *arg)
{
    (void)error;
    return ask->url.p[ask->url.n - 1] == '/' || attempt < *(unsigned *)arg;
}

static unsigned once = 1, three_times = 3;

#define TRIES(n) .max_tries = 100, .retry = again, .retry_arg = &(n)

/* Blocking ---------------------------------------------------------------------------------- */

static unsigned one_after_the_other(void)
{
    struct svl_reply *reply;
    unsigned bad = 0;

    for (unsigned i = 0; i < DEEDS; i++) {
        struct try try = {.i = i};
        struct svl_fetch ask = ask_of(&try);

        svl_http_do(client, &ask, &reply);
        bad += report(&try, reply);
        svl_reply_free(reply);
        ask = (struct svl_fetch){.url = svl_str_of(rogue_url(try.url, NULL))};
        svl_http_do(client, &ask, &reply);
        bad += is_fine(reply);
        svl_reply_free(reply);
    }
    return bad;
}

static void *in_a_thread(void *bad)
{
    *(unsigned *)bad = one_after_the_other();
    return NULL;
}

static void blocking(struct svl_client_config config)
{
    pthread_t threads[3];
    unsigned bad[3];

    begin(config);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, in_a_thread, &bad[i]);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    end();
    cr_assert_eq(bad[0] + bad[1] + bad[2], 0);
}

Test(client_rogue, blocking_calls)
{
    blocking((struct svl_client_config){TRIES(once)});
}

/* The tries of one call end like one. */
Test(client_rogue, blocking_calls_that_are_tried_again)
{
    blocking((struct svl_client_config){TRIES(three_times)});
}

/* On a loop --------------------------------------------------------------------------------- */

static unsigned n_bad, n_left;
static struct svl_worker *worker;

static void over(void)
{
    if (--n_left == 0)
        svl_loop_close(worker);
}

static void on_deed(struct svl_reply *reply, void *arg)
{
    struct try *try = arg;

    n_bad += report(try, reply) + try->done;
    try->done = true;
    over();
}

static void on_good(struct svl_reply *reply, void *arg)
{
    (void)arg;
    n_bad += is_fine(reply);
    over();
}

/* All at once, each with a good one in front and behind. */
static void on_a_loop(struct svl_client_config config)
{
    static struct try tries[DEEDS];
    char url[100];
    struct svl_fetch good = {0};
    uv_loop_t loop;

    begin(config);
    good.url = svl_str_of(rogue_url(url, NULL));
    uv_loop_init(&loop);
    cr_assert_eq(svl_loop_open(&worker, &loop), 0);
    n_left = 3 * DEEDS;
    n_bad = 0;
    for (unsigned i = 0; i < DEEDS; i++) {
        struct svl_fetch ask;

        tries[i] = (struct try){.i = i};
        ask = ask_of(&tries[i]);
        svl_call(client, worker, &good, on_good, NULL);
        svl_call(client, worker, &ask, on_deed, &tries[i]);
        svl_call(client, worker, &good, on_good, NULL);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    end();
    cr_assert_eq(n_left, 0);
    cr_assert_eq(n_bad, 0);
}

Test(client_rogue, many_at_once)
{
    on_a_loop((struct svl_client_config){TRIES(once)});
}

/* Pipelined: what is behind a misdeed on its connection goes again, on another one. ------------ */

static void behind_each_other(unsigned i)
{
    struct try try = {.i = i};
    char url[100];
    struct svl_fetch good = {.url = svl_str_of(rogue_url(url, NULL))}, ask = ask_of(&try);
    uv_loop_t loop;

    uv_loop_init(&loop);
    cr_assert_eq(svl_loop_open(&worker, &loop), 0);
    n_left = 5;
    svl_call(client, worker, &good, on_good, NULL);
    svl_call(client, worker, &good, on_good, NULL);
    svl_call(client, worker, &ask, on_deed, &try);
    svl_call(client, worker, &good, on_good, NULL);
    svl_call(client, worker, &good, on_good, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    cr_assert_eq(n_left, 0);
}

Test(client_rogue, pipelined)
{
    begin((struct svl_client_config){.pipeline = 8, .max_per_host = 1, TRIES(once)});
    n_bad = 0;
    for (unsigned i = 0; i < DEEDS; i++)
        if (!deeds[i].for_others)
            behind_each_other(i);
    end();
    cr_assert_eq(n_bad, 0);
}
