/* Body filters through the whole server, with handlers that add them. */
#include "serval/filter.h"

#include "base/check.h"
#include "support/body.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* What a filter went through. */
struct seen {
    int pushes, flushes, ends, closes;
    size_t bytes, most; /* most = the longest piece */
};

static struct seen seen;

static void note(svl_str data, enum svl_flow flow)
{
    seen.pushes++;
    seen.flushes += flow == SVL_FLUSH;
    seen.ends += flow == SVL_END;
    seen.bytes += data.n;
    if (data.n > seen.most)
        seen.most = data.n;
}

static void on_close(struct svl_filter_use *use, struct svl_ctx *ctx)
{
    (void)use;
    (void)ctx;
    seen.closes++;
}

/* Every letter becomes the next one. */
static int next_push(struct svl_filter_use *use, struct svl_ctx *ctx, svl_str data,
                     enum svl_flow flow)
{
    char *to = malloc(data.n + 1);
    int err;

    note(data, flow);
    for (size_t i = 0; i < data.n; i++)
        to[i] = (char)(data.p[i] + 1);
    err = svl_push(use->next, ctx, (svl_str){to, data.n}, flow);
    free(to);
    return err;
}

static const struct svl_filter next = {"next", next_push, on_close};

/* Writes its state's text behind the body. */
static int tail_push(struct svl_filter_use *use, struct svl_ctx *ctx, svl_str data,
                     enum svl_flow flow)
{
    int err = svl_push(use->next, ctx, data, flow == SVL_END ? SVL_MORE : flow);

    if (err || flow != SVL_END)
        return err;
    return svl_push(use->next, ctx, svl_str_of(use->state), SVL_END);
}

static const struct svl_filter tail = {"tail", tail_push, NULL};

/* Tells how many bytes it has swallowed, when it is flushed and at the end. */
static int count_push(struct svl_filter_use *use, struct svl_ctx *ctx, svl_str data,
                      enum svl_flow flow)
{
    char text[32];

    note(data, flow);
    if (flow == SVL_MORE)
        return 0;
    snprintf(text, sizeof text, "%zu;", seen.bytes);
    return svl_push(use->next, ctx, svl_str_of(text), flow);
}

static const struct svl_filter count = {"count", count_push, on_close};

/* Each byte becomes a thousand. */
static int grow_push(struct svl_filter_use *use, struct svl_ctx *ctx, svl_str data,
                     enum svl_flow flow)
{
    char thousand[1000];
    int err = 0;

    for (size_t i = 0; i < data.n && !err; i++) {
        memset(thousand, data.p[i], sizeof thousand);
        err = svl_push(use->next, ctx, (svl_str){thousand, sizeof thousand}, SVL_MORE);
    }
    return err ? err : svl_push(use->next, ctx, SVL_STR(""), flow);
}

static const struct svl_filter grow = {"grow", grow_push, on_close};

/* Fails with the second piece, or with the first if that is all. */
static int fail_push(struct svl_filter_use *use, struct svl_ctx *ctx, svl_str data,
                     enum svl_flow flow)
{
    note(data, flow);
    if (seen.pushes == 2 || flow == SVL_END)
        return -EIO;
    return svl_push(use->next, ctx, data, flow);
}

static const struct svl_filter failing = {"failing", fail_push, on_close};

/* Bodies ------------------------------------------------------------------------------------- */

static char *letters;
static size_t n_letters;

static svl_str make_letters(size_t n)
{
    letters = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        letters[i] = (char)('a' + i * 7 % 25);
    letters[n] = '\0';
    n_letters = n;
    return (svl_str){letters, n};
}

static void expect_next(svl_str body)
{
    cr_assert_eq(body.n, n_letters, "%zu of %zu", body.n, n_letters);
    for (size_t i = 0; i < n_letters; i++)
        cr_assert_eq(body.p[i], letters[i] + 1, "byte %zu", i);
}

static int letters_file(void)
{
    char path[] = "/tmp/serval-filter-XXXXXX";
    int fd = mkstemp(path);

    unlink(path);
    cr_assert_eq(write(fd, letters, n_letters), (ssize_t)n_letters);
    return fd;
}

/* A source that gives `letters`; `until` is where it has nothing yet, or fails. */
struct feed {
    size_t at, until;
    int then;
    struct svl_ctx *ctx;
};

static struct feed feed;

static ssize_t feed_pull(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    struct feed *from = arg;
    size_t n = n_letters - from->at;

    from->ctx = ctx;
    if (from->until && from->at == from->until)
        return from->then;
    if (from->until && n > from->until - from->at)
        n = from->until - from->at;
    if (n > room)
        n = room;
    memcpy(to, letters + from->at, n);
    from->at += n;
    return (ssize_t)n;
}

static struct loopback *serve(svl_handler_fn *handler)
{
    return loopback_open(&(struct svl_server_config){.handler = handler});
}

/* Lets the answer go on until the client is blocked or it is over. */
static void go_on(struct loopback *l, size_t room)
{
    loopback_room(l, room);
    for (int round = 0; room == SIZE_MAX && round < 200; round++)
        loopback_room(l, room);
}

static svl_str ask(struct loopback *l, const char *request)
{
    loopback_send(l, request);
    go_on(l, SIZE_MAX);
    return loopback_take(l);
}

static svl_str get(struct loopback *l)
{
    return ask(l, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
}

static void over(struct loopback *l)
{
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
    free(letters);
    letters = NULL;
}

/* Whole bodies ------------------------------------------------------------------------------- */

static enum svl_verdict short_bytes(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_filter_add(ctx, &next, NULL);
    cr_expect(svl_filtered(ctx));
    return svl_text(ctx, 200, SVL_STR("HAL"));
}

Test(filter, a_short_body_keeps_a_length)
{
    struct loopback *l = serve(short_bytes);
    svl_str answer = get(l);

    cr_expect(svl_str_eq(loopback_field(answer, "Content-Length"), SVL_STR("3")));
    cr_expect(svl_str_eq(body_of(answer), SVL_STR("IBM")));
    cr_expect_eq(seen.pushes, 1);
    cr_expect_eq(seen.ends, 1);
    cr_expect_eq(seen.closes, 1);
    over(l);
}

static enum svl_verdict two_tails(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_filter_add(ctx, &tail, "-inner");
    svl_filter_add(ctx, &tail, "-outer");
    return svl_text(ctx, 200, SVL_STR("body"));
}

Test(filter, the_first_added_is_nearest_to_the_handler)
{
    struct loopback *l = serve(two_tails);

    cr_expect(svl_str_eq(body_of(get(l)), SVL_STR("body-inner-outer")));
    over(l);
}

static enum svl_verdict small_file(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_body_file(ctx, letters_file(), 100, (int64_t)n_letters - 100, true);
    svl_filter_add(ctx, &tail, "!");
    return SVL_DONE;
}

Test(filter, a_short_file_keeps_a_length)
{
    struct loopback *l = serve(small_file);
    svl_str answer, body;

    make_letters(100000);
    answer = get(l);
    body = body_of(answer);
    cr_expect(loopback_field(answer, "Content-Length").p);
    cr_assert_eq(body.n, 99901);
    cr_expect_eq(memcmp(body.p, letters + 100, 99900), 0);
    over(l);
}

static enum svl_verdict failing_short(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_filter_add(ctx, &failing, NULL);
    return svl_text(ctx, 200, SVL_STR("x"));
}

Test(filter, a_whole_body_that_fails_is_an_error_page)
{
    struct loopback *l = serve(failing_short);

    cr_expect_eq(loopback_status(get(l)), 500);
    cr_expect_eq(seen.closes, 1);
    cr_expect(loopback_shut(l));
    over(l);
}

/* No body ------------------------------------------------------------------------------------ */

static enum svl_verdict no_content(struct svl_ctx *ctx, void *arg)
{
    svl_filter_add(ctx, &next, NULL);
    svl_status(ctx, *(int *)arg);
    return SVL_DONE;
}

Test(filter, answers_without_a_body_are_not_filtered)
{
    static const int statuses[] = {204, 304, 200};

    for (int i = 0; i < 3; i++) {
        struct loopback *l = loopback_open(&(struct svl_server_config){
            .handler = no_content, .handler_arg = (void *)&statuses[i]});

        seen = (struct seen){0};
        cr_expect_eq(loopback_status(get(l)), statuses[i]);
        cr_expect_eq(seen.pushes, 0);
        cr_expect_eq(seen.closes, 1);
        over(l);
    }
}

Test(filter, head_gets_no_length_that_is_not_known)
{
    struct loopback *l = serve(short_bytes);
    svl_str answer = loopback_ask(l, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");

    cr_expect_eq(loopback_status(answer), 200);
    cr_expect_null(loopback_field(answer, "Content-Length").p);
    cr_expect_eq(loopback_body(answer).n, 0);
    cr_expect_eq(seen.pushes, 0);
    cr_expect_eq(seen.closes, 1);
    cr_expect(!loopback_closed(l));
    over(l);
}

static enum svl_verdict changes_its_mind(struct svl_ctx *ctx, void *arg)
{
    short_bytes(ctx, arg);
    svl_response_reset(ctx);
    cr_expect(!svl_filtered(ctx));
    cr_expect_eq(seen.closes, 1);
    return svl_text(ctx, 200, SVL_STR("as it is"));
}

Test(filter, a_reset_answer_has_no_filters)
{
    struct loopback *l = serve(changes_its_mind);

    cr_expect(svl_str_eq(body_of(get(l)), SVL_STR("as it is")));
    cr_expect_eq(seen.closes, 1);
    over(l);
}

/* Streams ------------------------------------------------------------------------------------ */

static enum svl_verdict long_bytes(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_filter_add(ctx, &next, NULL);
    return svl_text(ctx, 200, (svl_str){letters, n_letters});
}

static enum svl_verdict long_file(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_body_file(ctx, letters_file(), 0, (int64_t)n_letters, true);
    svl_filter_add(ctx, &next, NULL);
    return SVL_DONE;
}

static enum svl_verdict source(struct svl_ctx *ctx, void *arg)
{
    svl_filter_add(ctx, &next, NULL);
    svl_body_source(ctx, feed_pull, &feed, arg ? *(int64_t *)arg : -1);
    return SVL_DONE;
}

Test(filter, long_bodies_stream)
{
    static svl_handler_fn *const handlers[] = {long_bytes, long_file, source};

    for (int i = 0; i < 3; i++) {
        struct loopback *l = serve(handlers[i]);
        svl_str answer;

        make_letters(MIB + 1234);
        seen = (struct seen){0};
        feed = (struct feed){0};
        answer = get(l);
        cr_expect(svl_str_eq(loopback_field(answer, "Transfer-Encoding"), SVL_STR("chunked")));
        expect_next(body_of(answer));
        cr_expect_eq(seen.ends, 1);
        cr_expect_eq(seen.closes, 1);
        cr_expect_leq(seen.most, 16384);
        over(l);
    }
}

Test(filter, an_old_client_gets_the_body_up_to_the_close)
{
    struct loopback *l = serve(source);
    svl_str answer;

    make_letters(50000);
    answer = loopback_ask(l, "GET / HTTP/1.0\r\n\r\n");
    expect_next(loopback_body(answer));
    cr_expect(loopback_shut(l));
    over(l);
}

Test(filter, a_blocked_client_holds_the_source_back)
{
    struct loopback *l = serve(source);

    make_letters(MIB);
    loopback_room(l, 30000);
    loopback_send(l, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_expect_leq(feed.at, 30000 + 16 * 16384);
    for (size_t n = 0; n < 5; n++) {
        size_t at = feed.at;

        go_on(l, 300000);
        cr_expect(feed.at > at || at == MIB);
        cr_expect_leq(feed.at, at + 300000 + 16 * 16384);
        cr_expect_eq(seen.closes, feed.at == MIB);
    }
    expect_next(body_of(loopback_take(l)));
    cr_expect_eq(seen.ends, 1);
    cr_expect_eq(seen.closes, 1);
    over(l);
}

Test(filter, a_client_that_leaves_closes_the_filters)
{
    struct loopback *l = serve(source);

    make_letters(MIB);
    loopback_room(l, 30000);
    loopback_send(l, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    loopback_reset(l);
    cr_expect_eq(seen.ends, 0);
    cr_expect_eq(seen.closes, 1);
    over(l);
}

static enum svl_verdict counted(struct svl_ctx *ctx, void *arg)
{
    svl_filter_add(ctx, &count, NULL);
    (void)arg;
    svl_body_source(ctx, feed_pull, &feed, -1);
    return SVL_DONE;
}

Test(filter, a_source_that_has_nothing_flushes_what_is_held_back)
{
    struct loopback *l = serve(counted);

    make_letters(1000);
    feed = (struct feed){.until = 10, .then = -EAGAIN};
    cr_expect(svl_str_eq(body_so_far(get(l)), SVL_STR("10;")));
    cr_expect_eq(seen.flushes, 1);
    svl_body_more(feed.ctx); /* there is nothing new: no second flush */
    cr_expect_eq(seen.flushes, 1);
    cr_expect_eq(loopback_take(l).n, 0);
    feed.until = 300;
    svl_body_more(feed.ctx);
    cr_expect_eq(seen.flushes, 2);
    cr_expect(svl_str_ends(loopback_take(l), SVL_STR("300;\r\n")));
    feed.until = 0;
    svl_body_more(feed.ctx);
    cr_expect(svl_str_ends(loopback_take(l), SVL_STR("1000;\r\n0\r\n\r\n")));
    cr_expect_eq(seen.closes, 1);
    over(l);
}

Test(filter, a_filter_that_swallows_all_must_say_something_now_and_then)
{
    struct loopback *l = serve(counted);
    svl_str body;

    make_letters(MIB);
    body = body_of(get(l));
    cr_expect_gt(seen.flushes, 2);
    cr_expect_lt(seen.flushes, 8);
    cr_expect(svl_str_ends(body, SVL_STR(";1048576;")));
    over(l);
}

static enum svl_verdict growing(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_filter_add(ctx, &grow, NULL);
    svl_body_source(ctx, feed_pull, &feed, -1);
    return SVL_DONE;
}

Test(filter, one_piece_may_become_much_more)
{
    struct loopback *l = serve(growing);
    svl_str body;

    make_letters(1000);
    loopback_room(l, 5000);
    loopback_send(l, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    go_on(l, 100000);
    go_on(l, SIZE_MAX);
    body = body_of(loopback_take(l));
    cr_assert_eq(body.n, 1000000);
    for (size_t i = 0; i < body.n; i++)
        cr_assert_eq(body.p[i], letters[i / 1000]);
    over(l);
}

Test(filter, but_not_without_limit)
{
    struct loopback *l = serve(growing);

    make_letters(16000);
    get(l);
    cr_expect(loopback_closed(l));
    cr_expect_eq(seen.closes, 1);
    over(l);
}

static enum svl_verdict failing_source(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_filter_add(ctx, &failing, NULL);
    svl_body_source(ctx, feed_pull, &feed, -1);
    return SVL_DONE;
}

Test(filter, a_stream_that_fails_ends_the_connection)
{
    struct loopback *l = serve(failing_source);
    svl_str answer;

    make_letters(MIB);
    answer = get(l);
    cr_expect(loopback_closed(l));
    cr_expect_null(body_of(answer).p);
    cr_expect_eq(seen.closes, 1);
    over(l);
}

static void cut_source(const int64_t *length, int then)
{
    struct loopback *l = loopback_open(
        &(struct svl_server_config){.handler = source, .handler_arg = (void *)length});
    svl_str answer;

    make_letters(100000);
    seen = (struct seen){0};
    feed = (struct feed){.until = 50000, .then = then};
    answer = get(l);
    cr_expect(loopback_closed(l));
    cr_expect_null(body_of(answer).p);
    cr_expect_eq(seen.ends, 0);
    cr_expect_eq(seen.closes, 1);
    over(l);
}

Test(filter, so_does_a_source_that_fails)
{
    static const int64_t length = 100000;

    cut_source(NULL, -EIO);
    cut_source(&length, -EIO);
}

Test(filter, and_one_that_ends_early_which_is_a_mistake, .signal = SVL_STRICT ? SIGABRT : 0)
{
    static const int64_t length = 100000;

    cut_source(&length, 0);
}

static enum svl_verdict cut_file(struct svl_ctx *ctx, void *arg)
{
    int fd = letters_file();

    (void)arg;
    cr_assert_eq(ftruncate(fd, 70000), 0);
    svl_body_file(ctx, fd, 0, (int64_t)n_letters, true);
    svl_filter_add(ctx, &next, NULL);
    return SVL_DONE;
}

Test(filter, a_file_that_became_shorter_ends_the_connection)
{
    for (size_t n = 100000; n <= MIB; n += MIB - 100000) {
        struct loopback *l = serve(cut_file);
        svl_str answer;

        make_letters(n);
        seen = (struct seen){0};
        answer = get(l);
        cr_expect(loopback_closed(l));
        cr_expect_null(body_of(answer).p);
        cr_expect_eq(seen.closes, 1);
        over(l);
    }
}

Test(filter, filtered_answers_keep_their_order_in_a_pipeline)
{
    struct loopback *l = serve(long_bytes);
    svl_str answer;

    make_letters(300000);
    answer = ask(l, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_expect_eq(seen.ends, 2);
    cr_expect_eq(seen.closes, 2);
    cr_expect_gt(answer.n, 600000);
    over(l);
}
