/* ctest-labels: threads */
#include <criterion/criterion.h>

#include "base/check.h"
#include "net/pipe.h"
#include "run/server.h"
#include "serval/serval.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET "GET /x HTTP/1.1\r\nHost: test\r\n\r\n"

static enum svl_verdict hello(struct svl_ctx *ctx, void *arg)
{
    char who[64];
    size_t n = svl_address_text(svl_peer(ctx), who, sizeof who);

    (void)arg;
    svl_content_type(ctx, SVL_STR("text/plain"));
    return svl_text(ctx, 200, svl_printf(ctx, "hello %.*s", (int)n, who));
}

static enum svl_verdict echo(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, ctx->req.body);
}

static struct svl_server *open_server(svl_handler_fn *handler, void *arg)
{
    struct svl_server *server;
    int err = svl_server_open(
        &server, &(struct svl_server_config){
                     .handler = handler, .handler_arg = arg, .workers = 1, .max_body = 4 << 20});

    cr_assert_eq(err, 0);
    return server;
}

static void *run_server(void *server)
{
    svl_server_run(server);
    return NULL;
}

/* Reads until there are n bytes, the end, or nothing comes for 5 s; returns how many. */
static size_t read_n(struct svl_pipe *end, char *to, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = svl_pipe_read(end, to + done, n - done, 5000);

        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

/* An answer with Content-Length; returns the length of its body, which is behind `to`. */
static size_t read_answer(struct svl_pipe *end, char *to, size_t room, const char **body)
{
    size_t n = 0, length;
    const char *field;

    while (n < 4 || memcmp(to + n - 4, "\r\n\r\n", 4) != 0) {
        cr_assert_lt(n, room - 1);
        cr_assert_eq(read_n(end, to + n, 1), 1, "the answer ends after %zu bytes", n);
        n++;
    }
    to[n] = '\0';
    field = strstr(to, "Content-Length: ");
    cr_assert_not_null(field);
    length = strtoul(field + 16, NULL, 10);
    cr_assert_leq(n + length, room);
    cr_assert_eq(read_n(end, to + n, length), length);
    *body = to + n;
    return length;
}

/* Plain ends ------------------------------------------------------------------------------- */

Test(pipe, both_ways_in_order)
{
    struct svl_pipe *ends[2];
    char got[8];

    svl_pipe_pair(ends);
    cr_assert_eq(svl_pipe_read(ends[0], got, sizeof got, 0), -EAGAIN);
    cr_assert_eq(svl_pipe_write(ends[0], SVL_STR("abc"), 0), 3);
    cr_assert_eq(svl_pipe_write(ends[0], SVL_STR("defghij"), 0), 7);
    cr_assert_eq(svl_pipe_write(ends[1], SVL_STR("back"), 0), 4);
    cr_assert_eq(svl_pipe_read(ends[1], got, sizeof got, 0), 8);
    cr_assert_arr_eq(got, "abcdefgh", 8);
    cr_assert_eq(svl_pipe_read(ends[1], got, sizeof got, 0), 2);
    cr_assert_eq(svl_pipe_read(ends[0], got, sizeof got, 0), 4);
    cr_assert_arr_eq(got, "back", 4);
    svl_pipe_close(ends[0]);
    svl_pipe_close(ends[1]);
    svl_pipe_close(NULL);
}

Test(pipe, an_end_that_sends_no_more_still_reads)
{
    struct svl_pipe *ends[2];
    char got[8];

    svl_pipe_pair(ends);
    svl_pipe_write(ends[0], SVL_STR("x"), 0);
    svl_pipe_shut(ends[0]);
    cr_assert_eq(svl_pipe_read(ends[1], got, sizeof got, 0), 1);
    cr_assert_eq(svl_pipe_read(ends[1], got, sizeof got, 0), 0);
    cr_assert_eq(svl_pipe_write(ends[1], SVL_STR("y"), 0), 1);
    cr_assert_eq(svl_pipe_read(ends[0], got, sizeof got, 0), 1);
    svl_pipe_close(ends[0]);
    cr_assert_eq(svl_pipe_write(ends[1], SVL_STR("z"), 0), -EPIPE);
    svl_pipe_close(ends[1]);
}

Test(pipe, what_was_written_can_be_read_after_the_close)
{
    struct svl_pipe *ends[2];
    char got[8];

    svl_pipe_pair(ends);
    svl_pipe_write(ends[0], SVL_STR("last"), 0);
    svl_pipe_close(ends[0]);
    cr_assert_eq(svl_pipe_read(ends[1], got, sizeof got, 0), 4);
    cr_assert_eq(svl_pipe_read(ends[1], got, sizeof got, SVL_NEVER), 0);
    svl_pipe_close(ends[1]);
}

Test(pipe, a_full_one_takes_no_more_and_wraps_around)
{
    static char out[100000], in[100000];
    struct svl_pipe *ends[2];
    size_t sent = 0, seen = 0;

    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (char)(i * 31 + i / 251);
    svl_pipe_pair(ends);
    cr_assert_eq(svl_pipe_write(ends[0], (svl_str){out, sizeof out}, 1), 65536);
    sent = 65536;
    while (seen < sizeof out) {
        ssize_t n = svl_pipe_read(ends[1], in + seen, 7001, 0);

        cr_assert_gt(n, 0);
        seen += (size_t)n;
        sent += (size_t)svl_pipe_write(ends[0], (svl_str){out + sent, sizeof out - sent}, 0);
    }
    cr_assert_arr_eq(in, out, sizeof out);
    svl_pipe_close(ends[0]);
    svl_pipe_close(ends[1]);
}

static void *write_a_lot(void *end)
{
    for (int i = 0; i < 3000; i++) {
        char line[400];

        memset(line, 'a' + i % 26, sizeof line);
        if (svl_pipe_write(end, (svl_str){line, sizeof line}, SVL_NEVER) != sizeof line)
            break;
    }
    svl_pipe_close(end);
    return NULL;
}

Test(pipe, a_writer_waits_for_its_reader_on_another_thread)
{
    struct svl_pipe *ends[2];
    pthread_t thread;
    size_t total = 0;
    char got[977];
    ssize_t n;

    svl_pipe_pair(ends);
    pthread_create(&thread, NULL, write_a_lot, ends[0]);
    while ((n = svl_pipe_read(ends[1], got, sizeof got, SVL_NEVER)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            cr_assert_eq(got[i], 'a' + (int)((total + (size_t)i) / 400 % 26));
        total += (size_t)n;
    }
    cr_assert_eq(total, 3000 * 400);
    pthread_join(thread, NULL);
    svl_pipe_close(ends[1]);
}

/* A server at the other end ---------------------------------------------------------------- */

Test(pipe, a_server_on_the_same_thread)
{
    struct svl_server *server = open_server(hello, NULL);
    struct svl_address from = {.family = AF_INET, .port = 7, .ip = {192, 0, 2, 9}};
    struct svl_pipe *one = svl_server_dial(server, NULL), *two = svl_server_dial(server, &from);
    char got[1024];
    ssize_t n;

    svl_pipe_write(one, SVL_STR(GET), 0);
    svl_pipe_write(two, SVL_STR(GET), 0);
    while ((n = svl_pipe_read(one, got, sizeof got - 1, 0)) == -EAGAIN)
        svl_server_poll(server, true);
    got[n] = '\0';
    cr_assert(strstr(got, "HTTP/1.1 200 OK\r\n") == got && strstr(got, "hello memory"));
    while ((n = svl_pipe_read(two, got, sizeof got - 1, 0)) == -EAGAIN)
        svl_server_poll(server, true);
    got[n] = '\0';
    cr_assert(strstr(got, "hello 192.0.2.9"), "%s", got);
    svl_pipe_close(one);
    svl_server_close(server);
    cr_assert_eq(svl_pipe_read(two, got, sizeof got, SVL_NEVER), 0);
    svl_pipe_close(two);
}

static void *ask_often(void *server)
{
    struct svl_pipe *end = svl_server_dial(server, NULL);
    char got[1024];
    const char *body;

    for (int i = 0; i < 200; i++) {
        svl_pipe_write(end, SVL_STR(GET), SVL_NEVER);
        cr_assert_eq(read_answer(end, got, sizeof got, &body), 12);
        cr_assert_arr_eq(body, "hello memory", 12);
    }
    svl_pipe_close(end);
    return NULL;
}

Test(pipe, many_threads_ask_a_server_of_two_workers)
{
    struct svl_server_config config = {.handler = hello, .workers = 2};
    struct svl_server *server;
    struct svl_counts counts;
    pthread_t runner, clients[4];

    cr_assert_eq(svl_server_open(&server, &config), 0);
    pthread_create(&runner, NULL, run_server, server);
    for (int i = 0; i < 4; i++)
        pthread_create(&clients[i], NULL, ask_often, server);
    for (int i = 0; i < 4; i++)
        pthread_join(clients[i], NULL);
    svl_server_counts(server, &counts);
    cr_assert_eq(counts.requests, 800);
    cr_assert_eq(counts.connections, 4);
    svl_server_stop(server);
    pthread_join(runner, NULL);
    svl_server_close(server);
}

struct upload {
    struct svl_pipe *end;
    svl_str head, body;
};

static void *send_upload(void *arg)
{
    struct upload *upload = arg;

    svl_pipe_write(upload->end, upload->head, SVL_NEVER);
    svl_pipe_write(upload->end, upload->body, SVL_NEVER);
    return NULL;
}

Test(pipe, bodies_larger_than_the_pipe_both_ways)
{
    static char body[1 << 20], got[(1 << 20) + 1024];
    struct svl_server *server = open_server(echo, NULL);
    struct upload upload = {
        svl_server_dial(server, NULL),
        SVL_STR("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1048576\r\n\r\n"),
        {body, sizeof body}};
    pthread_t runner, sender;
    const char *back;

    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)(i * 7 + i / 1000);
    pthread_create(&runner, NULL, run_server, server);
    pthread_create(&sender, NULL, send_upload, &upload);
    cr_assert_eq(read_answer(upload.end, got, sizeof got, &back), sizeof body);
    cr_assert_arr_eq(back, body, sizeof body);
    pthread_join(sender, NULL);
    svl_pipe_close(upload.end);
    svl_server_stop(server);
    pthread_join(runner, NULL);
    svl_server_close(server);
}

static enum svl_verdict this_file(struct svl_ctx *ctx, void *arg)
{
    svl_status(ctx, 200);
    svl_body_file(ctx, *(int *)arg, 0, 300000, false);
    return SVL_DONE;
}

Test(pipe, files)
{
    static char bytes[300000], got[301024];
    char name[] = "/tmp/serval_pipe_XXXXXX";
    int fd = mkstemp(name);
    struct svl_server *server = open_server(this_file, &fd);
    struct svl_pipe *end = svl_server_dial(server, NULL);
    pthread_t runner;
    const char *back;

    unlink(name);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 13 + i / 777);
    cr_assert_eq(write(fd, bytes, sizeof bytes), sizeof bytes);
    pthread_create(&runner, NULL, run_server, server);
    svl_pipe_write(end, SVL_STR(GET), SVL_NEVER);
    cr_assert_eq(read_answer(end, got, sizeof got, &back), sizeof bytes);
    cr_assert_arr_eq(back, bytes, sizeof bytes);
    svl_pipe_close(end);
    svl_server_stop(server);
    pthread_join(runner, NULL);
    svl_server_close(server);
    close(fd);
}

static void on_cancel(struct svl_ctx *ctx, void *arg)
{
    *(bool *)arg = true;
    svl_resume(ctx, SVL_DONE);
}

static enum svl_verdict wait_for_ever(struct svl_ctx *ctx, void *arg)
{
    return svl_pend(ctx, on_cancel, arg);
}

Test(pipe, a_client_that_goes_cancels_what_it_waits_for)
{
    bool cancelled = false;
    struct svl_server *server = open_server(wait_for_ever, &cancelled);
    struct svl_pipe *end = svl_server_dial(server, NULL);

    svl_pipe_write(end, SVL_STR(GET), 0);
    svl_server_poll(server, true);
    svl_pipe_close(end);
    for (int i = 0; i < 10 && !cancelled; i++)
        svl_server_poll(server, true);
    cr_assert(cancelled);
    svl_server_close(server);
}

Test(pipe, a_client_that_sends_no_more_gets_its_answer)
{
    struct svl_server *server = open_server(hello, NULL);
    struct svl_pipe *end = svl_server_dial(server, NULL);
    char got[1024];
    const char *body;

    svl_pipe_write(end, SVL_STR(GET), 0);
    svl_pipe_shut(end);
    for (int i = 0; i < 5; i++)
        svl_server_poll(server, false);
    cr_assert_eq(read_answer(end, got, sizeof got, &body), 12);
    cr_assert_eq(svl_pipe_read(end, got, sizeof got, 0), 0);
    svl_pipe_close(end);
    svl_server_close(server);
}

Test(pipe, a_server_that_stops_closes_idle_ones_and_takes_no_more)
{
    struct svl_server *server = open_server(hello, NULL);
    struct svl_pipe *idle = svl_server_dial(server, NULL), *late;
    char got[16];

    svl_server_poll(server, false);
    svl_server_stop(server);
    cr_assert_eq(svl_server_run(server), 0);
    cr_assert_eq(svl_pipe_read(idle, got, sizeof got, 0), 0);
    late = svl_server_dial(server, NULL);
    svl_server_close(server);
    cr_assert_eq(svl_pipe_read(late, got, sizeof got, 0), 0);
    cr_assert_eq(svl_pipe_write(late, SVL_STR("x"), 0), -EPIPE);
    svl_pipe_close(idle);
    svl_pipe_close(late);
}

Test(pipe, above_max_connections_it_is_closed)
{
    struct svl_server_config config = {.handler = hello, .workers = 1, .max_connections = 1};
    struct svl_server *server;
    struct svl_pipe *first, *second;
    char got[1024];
    const char *body;

    cr_assert_eq(svl_server_open(&server, &config), 0);
    first = svl_server_dial(server, NULL);
    second = svl_server_dial(server, NULL);
    svl_server_poll(server, false);
    cr_assert_eq(svl_pipe_read(second, got, sizeof got, 0), 0);
    svl_pipe_write(first, SVL_STR(GET), 0);
    svl_server_poll(server, true);
    cr_assert_eq(read_answer(first, got, sizeof got, &body), 12);
    svl_pipe_close(first);
    svl_pipe_close(second);
    svl_server_close(server);
}

/* Two connections of one loop -------------------------------------------------------------- */

static struct {
    unsigned answers, wanted;
    bool gone;
} asking;

static void ask(struct svl_conn *c)
{
    memcpy(svl_conn_reserve(c, sizeof GET - 1), GET, sizeof GET - 1);
    svl_conn_commit(c, sizeof GET - 1);
    svl_conn_flush(c);
}

static void on_answer(struct svl_conn *c, const char *data, size_t n)
{
    cr_assert(n > 12 && memcmp(data, "HTTP/1.1 200", 12) == 0);
    if (++asking.answers < asking.wanted)
        ask(c);
}

static void ignore(struct svl_conn *c)
{
    (void)c;
}

static void note_gone(struct svl_conn *c)
{
    (void)c;
    asking.gone = true;
}

static const struct svl_protocol asks = {
    .name = "asks",
    .on_open = ask,
    .on_data = on_answer,
    .on_eof = svl_conn_close,
    .on_drained = ignore,
    .on_timer = ignore,
    .on_stop = svl_conn_close,
    .on_gone = note_gone,
};

static void note_timer(struct svl_timer *timer)
{
    timer->fire = NULL;
}

Test(pipe, client_and_server_on_one_loop_let_others_have_their_turn)
{
    struct svl_server *server = open_server(hello, NULL);
    struct svl_worker *w = svl_server_worker(server, 0);
    struct svl_timer timer = {.fire = note_timer};
    struct svl_pipe *ends[2];

    asking.wanted = UINT_MAX; /* for ever */
    svl_pipe_pair(ends);
    svl_server_take_pipe(server, w, ends[1], NULL);
    svl_pipe_conn(ends[0], w, &asks, NULL);
    cr_assert_eq(w->n_open, 2);
    svl_timer_set(&w->timers, &timer, svl_now_ms(w), 2);
    while (timer.fire || asking.answers < 20)
        svl_server_poll(server, true);
    svl_server_close(server);
    cr_assert(asking.gone);
}

/* Sockets from elsewhere ------------------------------------------------------------------- */

static size_t ask_socket(int fd, char *to, size_t room)
{
    size_t done = 0;
    ssize_t n;

    cr_assert_eq(send(fd, GET, sizeof GET - 1, 0), sizeof GET - 1);
    shutdown(fd, SHUT_WR);
    while ((n = recv(fd, to + done, room - 1 - done, 0)) > 0)
        done += (size_t)n;
    to[done] = '\0';
    return done;
}

Test(pipe, a_socket_is_taken)
{
    struct svl_server *server = open_server(hello, NULL);
    pthread_t runner;
    char got[1024];
    int fds[2];

    pthread_create(&runner, NULL, run_server, server);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cr_assert_eq(svl_server_take(server, fds[1]), 0);
    ask_socket(fds[0], got, sizeof got);
    cr_assert(strstr(got, "hello unix"), "%s", got);
    close(fds[0]);
    svl_server_stop(server);
    pthread_join(runner, NULL);
    svl_server_close(server);
}

Test(pipe, what_is_no_socket_is_not)
{
    struct svl_server *server = open_server(hello, NULL);
    int fds[2];

    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(svl_server_take(server, fds[0]), -ENOTSOCK);
    cr_assert_eq(close(fds[0]), -1, "it was closed");
    close(fds[1]);
    svl_server_close(server);
}

Test(pipe, above_max_connections_a_socket_is_refused)
{
    struct svl_server_config config = {.handler = hello, .workers = 1, .max_connections = 1};
    struct svl_server *server;
    char got[16];
    int one[2], two[2], three[2];

    cr_assert_eq(svl_server_open(&server, &config), 0);
    socketpair(AF_UNIX, SOCK_STREAM, 0, one);
    socketpair(AF_UNIX, SOCK_STREAM, 0, two);
    socketpair(AF_UNIX, SOCK_STREAM, 0, three);
    cr_assert_eq(svl_server_take(server, one[1]), 0);
    cr_assert_eq(svl_server_take(server, two[1]), 0, "not known yet");
    svl_server_poll(server, false);
    cr_assert_eq(recv(two[0], got, sizeof got, 0), 0);
    cr_assert_eq(svl_server_take(server, three[1]), SVL_ELIMIT);
    cr_assert_eq(recv(three[0], got, sizeof got, 0), 0);
    close(one[0]);
    close(two[0]);
    close(three[0]);
    svl_server_close(server);
}

static void *serve_one(void *fd)
{
    static int result;

    result = svl_serve_conn(&(struct svl_server_config){.handler = hello}, *(int *)fd);
    return &result;
}

Test(pipe, serve_conn_returns_when_the_connection_has_ended)
{
    pthread_t runner;
    char got[1024];
    void *result;
    int fds[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    pthread_create(&runner, NULL, serve_one, &fds[1]);
    ask_socket(fds[0], got, sizeof got);
    cr_assert(strstr(got, "hello unix"), "%s", got);
    pthread_join(runner, &result);
    cr_assert_eq(*(int *)result, 0);
    close(fds[0]);
}

/* Waiting elsewhere, and sockets that leave ---------------------------------------------------- */

static int accepted;

static bool accept_every_other(const struct svl_address *peer, void *arg)
{
    cr_assert_eq(peer->family, AF_UNIX);
    cr_assert_eq(arg, &accepted);
    return accepted++ % 2 == 0;
}

static void count_state(enum svl_connection_state state, const struct svl_connection *connection,
                        void *arg)
{
    (void)state, (void)connection, (void)arg;
    accepted += 100;
}

Test(pipe, who_is_not_accepted_is_closed_and_nobody_is_told)
{
    struct svl_server_config config = {.handler = hello,
                                       .workers = 1,
                                       .on_accept = accept_every_other,
                                       .on_state = count_state,
                                       .hook_arg = &accepted};
    struct svl_server *server;
    int one[2], two[2];
    char byte;

    cr_assert_eq(svl_server_open(&server, &config), 0);
    socketpair(AF_UNIX, SOCK_STREAM, 0, one);
    socketpair(AF_UNIX, SOCK_STREAM, 0, two);
    svl_server_take(server, one[1]);
    svl_server_take(server, two[1]);
    svl_server_poll(server, false);
    cr_assert_eq(accepted, 102); /* two were asked about, one is NEW */
    cr_assert_eq(recv(one[0], &byte, 1, MSG_DONTWAIT), -1);
    cr_assert_eq(recv(two[0], &byte, 1, MSG_DONTWAIT), 0);
    close(one[0]);
    close(two[0]);
    svl_server_close(server);
}

/* Rounds of the loop as a program has them that waits by poll(2). */
static void serve_elsewhere(struct svl_server *server)
{
    struct pollfd ready = {.fd = svl_server_fd(server), .events = POLLIN};

    cr_assert_geq(poll(&ready, 1, svl_server_timeout(server)), 0);
    svl_server_poll(server, false);
}

Test(pipe, a_server_can_be_waited_for_with_other_things)
{
    struct svl_server *server = open_server(hello, NULL);
    char answer[500];
    ssize_t n = 0;
    int ends[2];

    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    svl_server_take(server, ends[1]);
    serve_elsewhere(server);
    cr_assert_eq(svl_server_timeout(server), 0, "the socket is not watched yet");
    svl_server_poll(server, false);
    cr_assert_gt(svl_server_timeout(server), 1000, "the deadline of the head");
    cr_assert_eq(write(ends[0], GET, sizeof GET - 1), sizeof GET - 1);
    for (int i = 0; i < 100 && n <= 0; i++) {
        serve_elsewhere(server);
        n = recv(ends[0], answer, sizeof answer, MSG_DONTWAIT);
    }
    cr_assert_gt(n, 0);
    cr_assert_eq(memcmp(answer, "HTTP/1.1 200", 12), 0);
    close(ends[0]);
    svl_server_close(server);
}

static int taken = -1;
static int gone;
static char rest_of_it[16];

static void take_socket(struct svl_raw *raw, void *arg)
{
    svl_str rest = SVL_STR_NONE;

    (void)arg;
    taken = svl_raw_take(raw, &rest);
    if (taken >= 0)
        svl_str_copy(rest_of_it, sizeof rest_of_it, rest);
    else
        svl_raw_close(raw);
}

static void ignore_data(struct svl_raw *raw, void *arg, svl_str data)
{
    (void)raw, (void)arg, (void)data;
}

static void count_gone(struct svl_raw *raw, void *arg)
{
    (void)raw, (void)arg;
    gone++;
}

static enum svl_verdict give_socket(struct svl_ctx *ctx, void *arg)
{
    static const struct svl_raw_events events = {
        .on_open = take_socket, .on_data = ignore_data, .on_gone = count_gone};

    (void)arg;
    svl_hijack(ctx, &events, NULL);
    return svl_text(ctx, 200, SVL_STR("yours"));
}

Test(pipe, a_socket_can_be_taken_out_of_the_server)
{
    struct svl_server *server = open_server(give_socket, NULL);
    char answer[500] = "";
    int ends[2];

    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    cr_assert_eq(write(ends[0], GET "more", sizeof GET + 3), sizeof GET + 3);
    svl_server_take(server, ends[1]);
    for (int i = 0; i < 100 && !gone; i++)
        svl_server_poll(server, true);
    cr_assert_eq(gone, 1);
    cr_assert_geq(taken, 0);
    cr_assert_str_eq(rest_of_it, "more");
    svl_server_close(server); /* it does not need the server any more */
    cr_assert_eq(write(taken, "hello", 5), 5);
    cr_assert_gt(recv(ends[0], answer, sizeof answer - 1, 0), 5);
    cr_assert_str_eq(answer + strlen(answer) - 10, "yourshello");
    close(taken);
    close(ends[0]);
}

Test(pipe, in_memory_there_is_no_socket_to_take)
{
    struct svl_server *server = open_server(give_socket, NULL);
    struct svl_pipe *end = svl_server_dial(server, NULL);

    svl_pipe_write(end, SVL_STR(GET), 0);
    for (int i = 0; i < 100 && !gone; i++)
        svl_server_poll(server, true);
    cr_assert_eq(taken, -ENOTSOCK);
    svl_pipe_close(end);
    svl_server_close(server);
}
