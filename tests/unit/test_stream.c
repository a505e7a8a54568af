/* Streams, events and channels, through the loopback; and a channel across workers.
 * ctest-labels: threads */
#include "serval/async.h"
#include "serval/stream.h"

#include "net/worker.h"
#include "support/exact.h"
#include "support/loopback.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct svl_stream *stream;
static struct svl_channel *channel;
static int gone, rooms;
static size_t to_write; /* what on_room still has to write */

static void on_gone(struct svl_stream *s, void *arg)
{
    cr_expect_str_eq(arg, "arg");
    cr_expect_lt(svl_stream_write(s, SVL_STR("nobody")), 0);
    gone++;
    stream = NULL;
}

static void on_room(struct svl_stream *s, void *arg)
{
    static const char bytes[1000];

    (void)arg;
    rooms++;
    while (to_write > 0 && svl_stream_write(s, (svl_str){bytes, sizeof bytes}) == 0)
        to_write -= sizeof bytes;
    if (to_write == 0)
        svl_stream_end(s);
}

static enum svl_verdict on_message(struct svl_ctx *ctx, svl_str message, void *arg)
{
    if (!message.p)
        return svl_fail(ctx, 204, NULL);
    if (svl_str_eq(message, SVL_STR("not this one")))
        return svl_channel_wait(channel, ctx, 1000, on_message, arg);
    svl_text(ctx, 200, SVL_STR(""));
    svl_body_copy(ctx, message);
    return SVL_DONE;
}

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    svl_str path = ctx->req.path;

    (void)arg;
    if (svl_str_eq(path, SVL_STR("/events")))
        stream = svl_events_open(ctx, on_gone, "arg", 1000);
    else if (svl_str_eq(path, SVL_STR("/wait")))
        return svl_channel_wait(channel, ctx, 1000, on_message, NULL);
    else if (svl_str_eq(path, SVL_STR("/produce")))
        stream = svl_stream_open(ctx, on_room, on_gone, "arg");
    else
        stream = svl_stream_open(ctx, NULL, on_gone, "arg");
    if (svl_str_eq(path, SVL_STR("/produce")))
        on_room(stream, NULL);
    if (channel)
        svl_channel_join(channel, stream);
    return SVL_DONE;
}

static struct loopback *open_it(void)
{
    gone = rooms = 0;
    stream = NULL;
    return loopback_open(&(struct svl_server_config){.handler = handler});
}

static svl_str next(struct loopback *l)
{
    loopback_round(l);
    loopback_round(l);
    return loopback_take(l);
}

static void expect_text(svl_str is, svl_str text)
{
    cr_expect(svl_str_eq(is, text), "%.*s", SVL_FMT(is));
}

#define EXPECT_TEXT(is, text) expect_text(is, SVL_STR(text))

Test(stream, what_was_written_in_one_round_leaves_together)
{
    struct loopback *l = open_it();
    svl_str answer = loopback_get(l, "/", "");

    cr_expect_eq(loopback_status(answer), 200);
    EXPECT_TEXT(loopback_body(answer), "");
    svl_stream_write(stream, SVL_STR("one "));
    svl_stream_write(stream, SVL_STR("two"));
    cr_expect_eq(loopback_take(l).n, 0);
    EXPECT_TEXT(next(l), "00000007\r\none two\r\n");
    svl_stream_write(stream, SVL_STR("end"));
    svl_stream_end(stream);
    EXPECT_TEXT(next(l), "00000003\r\nend\r\n0\r\n\r\n");
    cr_expect_eq(gone, 0);
    cr_expect_eq(loopback_exchanges(l), 0);
    cr_expect_not(loopback_closed(l));
    loopback_close(l);
}

Test(stream, the_client_leaves)
{
    struct loopback *l = open_it();

    loopback_get(l, "/", "");
    svl_stream_write(stream, SVL_STR("on its way"));
    loopback_reset(l);
    cr_expect_eq(gone, 1);
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

Test(stream, a_client_that_sends_no_more_is_gone)
{
    struct loopback *l = open_it();

    loopback_get(l, "/", "");
    loopback_eof(l);
    loopback_round(l);
    cr_expect_eq(gone, 1);
    cr_expect(loopback_closed(l));
    loopback_close(l);
}

Test(stream, closing_the_server_ends_it)
{
    struct loopback *l = open_it();

    loopback_get(l, "/", "");
    loopback_close(l);
    cr_expect_eq(gone, 1);
}

Test(stream, head_has_no_body_to_write)
{
    struct loopback *l = open_it();

    loopback_ask(l, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_expect_eq(gone, 1);
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

Test(stream, http_1_0_is_ended_by_closing)
{
    struct loopback *l = open_it();

    loopback_ask(l, "GET / HTTP/1.0\r\n\r\n");
    svl_stream_write(stream, SVL_STR("all"));
    svl_stream_end(stream);
    EXPECT_TEXT(next(l), "all");
    cr_expect(loopback_shut(l));
    loopback_close(l);
}

Test(stream, an_aborted_one_is_seen_to_be_short)
{
    struct loopback *l = open_it();

    loopback_get(l, "/", "");
    svl_stream_abort(stream);
    cr_expect_eq(next(l).n, 0);
    cr_expect(loopback_closed(l));
    cr_expect_eq(gone, 0);
    loopback_close(l);
}

Test(stream, a_slow_client_fills_it_and_is_asked_again_when_there_is_room)
{
    struct loopback *l = open_it();
    size_t got;

    to_write = 1000000;
    loopback_room(l, 1000);
    got = loopback_get(l, "/produce", "").n;
    cr_expect_gt(to_write, 700000); /* the limit, and what the connection has taken over */
    for (int i = 0; i < 10000 && stream && to_write > 0; i++) {
        loopback_room(l, 5000);
        loopback_round(l);
        got += loopback_take(l).n;
    }
    loopback_room(l, SIZE_MAX);
    for (int i = 0; i < 100; i++)
        got += next(l).n;
    cr_expect_eq(to_write, 0);
    cr_expect_gt(rooms, 10);
    cr_expect_gt(got, 1000000);
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

Test(stream, more_than_the_limit_is_not_taken)
{
    struct loopback *l = open_it();
    static const char big[100];

    loopback_room(l, 0);
    loopback_get(l, "/", "");
    svl_stream_limit(stream, 50);
    cr_expect_eq(svl_stream_write(stream, (svl_str){big, 100}), 0); /* nothing waits yet */
    cr_expect_lt(svl_stream_write(stream, (svl_str){big, 1}), 0);
    loopback_close(l);
}

Test(stream, events_have_all_their_fields)
{
    struct loopback *l = open_it();
    svl_str answer = loopback_get(l, "/events", "");

    EXPECT_TEXT(loopback_field(answer, "Content-Type"), "text/event-stream");
    EXPECT_TEXT(loopback_field(answer, "Cache-Control"), "no-store");
    svl_events_send(stream, &(struct svl_event){.data = SVL_STR("a\nb\r\nc\rd"),
                                                .name = SVL_STR("n"),
                                                .id = SVL_STR("7"),
                                                .retry_ms = 5});
    EXPECT_TEXT(next(l), "00000039\r\nretry: 5\nid: 7\nevent: n\n"
                         "data: a\ndata: b\ndata: c\ndata: d\n\n\r\n");
    svl_events_send(stream, &(struct svl_event){.data = SVL_STR("ends\n")});
    EXPECT_TEXT(next(l), "00000013\r\ndata: ends\ndata: \n\n\r\n");
    cr_expect_lt(svl_events_send(stream, &(struct svl_event){.id = SVL_STR("1\n2")}), 0);
    cr_expect_lt(svl_events_send(stream, &(struct svl_event){.name = SVL_STR("1\r2")}), 0);
    loopback_close(l);
}

Test(stream, a_comment_is_sent_when_there_are_no_events)
{
    struct loopback *l = open_it();

    loopback_get(l, "/events", "");
    loopback_pass(l, 500);
    cr_expect_eq(next(l).n, 0);
    loopback_pass(l, 1000);
    EXPECT_TEXT(next(l), "00000003\r\n:\n\n\r\n");
    loopback_pass(l, 1000);
    EXPECT_TEXT(next(l), "00000003\r\n:\n\n\r\n");
    loopback_close(l);
}

Test(stream, a_channel_reaches_all_of_its_streams)
{
    struct loopback *l = open_it();

    channel = svl_channel_new(SVL_SLOW_END);
    for (unsigned i = 1; i < 5; i++) {
        loopback_send_on(l, i, SVL_STR("GET /events HTTP/1.1\r\nHost: x\r\n\r\n"));
        loopback_take_on(l, i);
    }
    svl_channel_publish_event(channel, &(struct svl_event){.data = SVL_STR("hi")});
    svl_channel_publish(channel, SVL_STR(": raw\n\n"));
    next(l);
    for (unsigned i = 1; i < 5; i++)
        EXPECT_TEXT(loopback_take_on(l, i), "00000011\r\ndata: hi\n\n: raw\n\n\r\n");
    stream = NULL;
    for (unsigned i = 1; i < 5; i++)
        svl_channel_publish(channel, SVL_STR("x"));
    loopback_reset_on(l, 2);
    next(l);
    EXPECT_TEXT(loopback_take_on(l, 3), "00000004\r\nxxxx\r\n");
    loopback_close(l);
    svl_channel_free(channel);
}

static void fill(struct loopback *l, enum svl_slow slow)
{
    static char bytes[30000];

    channel = svl_channel_new(slow);
    loopback_room(l, 0);
    loopback_get(l, "/", "");
    for (int i = 0; i < 5; i++) {
        svl_channel_publish(channel, (svl_str){bytes, sizeof bytes});
        next(l);
    }
}

Test(stream, a_slow_listener_is_aborted)
{
    struct loopback *l = open_it();

    fill(l, SVL_SLOW_END);
    loopback_room(l, SIZE_MAX);
    for (int i = 0; i < 10; i++)
        next(l);
    cr_expect(loopback_closed(l));
    loopback_close(l);
    svl_channel_free(channel);
}

Test(stream, or_it_misses_messages)
{
    struct loopback *l = open_it();

    fill(l, SVL_SLOW_DROP);
    loopback_room(l, SIZE_MAX);
    for (int i = 0; i < 10; i++)
        next(l);
    cr_expect_not(loopback_closed(l));
    svl_channel_publish(channel, SVL_STR("still here"));
    EXPECT_TEXT(next(l), "0000000a\r\nstill here\r\n");
    loopback_close(l);
    svl_channel_free(channel);
}

Test(stream, a_long_poll_is_answered_by_the_next_message)
{
    struct loopback *l = open_it();

    channel = svl_channel_new(SVL_SLOW_END);
    cr_expect_eq(loopback_get(l, "/wait", "").n, 0);
    svl_channel_publish(channel, SVL_STR("not this one"));
    cr_expect_eq(next(l).n, 0);
    svl_channel_publish(channel, SVL_STR("this one"));
    EXPECT_TEXT(loopback_body(next(l)), "this one");

    loopback_get(l, "/wait", "");
    loopback_pass(l, 1000);
    cr_expect_eq(loopback_status(next(l)), 204);

    loopback_get(l, "/wait", "");
    loopback_eof(l); /* the client leaves: told at once */
    loopback_round(l);
    cr_expect_eq(loopback_exchanges(l), 0);
    svl_channel_publish(channel, SVL_STR("nobody"));
    next(l);
    loopback_close(l);
    svl_channel_free(channel);
}

/* Across workers --------------------------------------------------------------------------- */

#define CLIENTS 16
#define MESSAGES 200

static enum svl_verdict join(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_channel_join(channel, svl_stream_open(ctx, NULL, NULL, NULL));
    return SVL_DONE;
}

static void *serve(void *arg)
{
    svl_server_run(arg);
    return NULL;
}

static int connect_to(const struct svl_server *server)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char bytes[1024];

    to.sin_port = htons((uint16_t)atoi(strrchr(svl_server_address(server, 0), ':') + 1));
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    cr_assert_gt(write(fd, "GET / HTTP/1.0\r\n\r\n", 18), 0);
    cr_assert_gt(read(fd, bytes, sizeof bytes), 0); /* the head: it has joined */
    return fd;
}

static size_t read_all(int fd, size_t n)
{
    char bytes[4096];
    size_t got = 0;
    ssize_t more;

    while (got < n && (more = read(fd, bytes, sizeof bytes)) > 0)
        got += (size_t)more;
    return got;
}

static void *publish_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < MESSAGES; i++)
        svl_channel_publish(channel, SVL_STR("0123456789"));
    return NULL;
}

Test(stream, a_channel_reaches_streams_of_all_workers_from_any_thread)
{
    struct svl_server_config config = {
        .listen = {"127.0.0.1:0"}, .handler = join, .workers = 2, .grace_ms = 50};
    struct svl_server *server;
    pthread_t thread, publishers[2];
    int fds[CLIENTS];

    channel = svl_channel_new(SVL_SLOW_END);
    cr_assert_eq(svl_server_open(&server, &config), 0);
    pthread_create(&thread, NULL, serve, server);
    for (unsigned i = 0; i < CLIENTS; i++)
        fds[i] = connect_to(server);
    for (unsigned i = 0; i < 2; i++)
        pthread_create(&publishers[i], NULL, publish_many, NULL);
    for (unsigned i = 0; i < CLIENTS; i++)
        cr_expect_eq(read_all(fds[i], 2 * MESSAGES * 10), 2 * MESSAGES * 10);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(publishers[i], NULL);
    svl_server_stop(server);
    pthread_join(thread, NULL);
    svl_server_close(server);
    svl_channel_free(channel);
    for (unsigned i = 0; i < CLIENTS; i++)
        close(fds[i]);
}
