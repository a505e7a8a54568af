/* evhttp: callbacks for libevent in a chain, and how long a request lives.
 * links: serval_evhttp */
#include "serval/mod/evhttp.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <event2/event.h>
#include <event2/keyvalq_struct.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loopback *l;
static struct evhttp_request *held;
static int closed, completed;

static void on_close(struct evhttp_connection *con, void *arg)
{
    (void)con;
    cr_assert_eq(arg, &closed);
    closed++;
}

static void on_complete(struct evhttp_request *req, void *arg)
{
    (void)req;
    cr_assert_eq(arg, &completed);
    completed++;
}

static void add(struct evhttp_request *req, const char *text)
{
    struct evbuffer *bytes = evbuffer_new();

    evbuffer_add(bytes, text, strlen(text));
    evhttp_send_reply_chunk(req, bytes);
    cr_expect_eq(evbuffer_get_length(bytes), 0, "the bytes are taken");
    evbuffer_free(bytes);
}

static void on_data(struct svl_raw *raw, void *arg, svl_str data)
{
    (void)arg;
    svl_raw_write(raw, data);
}

static void callback(struct evhttp_request *req, void *arg)
{
    const char *uri = evhttp_request_get_uri(req);

    cr_assert_eq(arg, &held);
    held = req;
    evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_close, &closed);
    evhttp_request_set_on_complete_cb(req, on_complete, &completed);
    if (strcmp(uri, "/twice") == 0)
        evhttp_send_reply(req, 200, NULL, NULL);
    if (strcmp(uri, "/start") == 0 || strcmp(uri, "/own") == 0)
        evhttp_send_reply_start(req, 200, NULL);
    if (strcmp(uri, "/own") == 0)
        evhttp_request_own(req);
    if (strcmp(uri, "/hijack") == 0) {
        static const struct svl_raw_events echo = {.on_data = on_data};

        svl_hijack(svl_evhttp_ctx(req), &echo, NULL);
        evhttp_send_reply(req, 200, NULL, NULL);
    }
    if (strcmp(uri, "/body") == 0)
        evhttp_send_reply(req, 200, "Fine", evhttp_request_get_input_buffer(req));
    if (strcmp(uri, "/bad") == 0) {
        cr_expect_eq(evhttp_add_header(evhttp_request_get_output_headers(req), "A", "b\r\nC: d"),
                     -1);
        evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Length", "99");
        evhttp_add_header(evhttp_request_get_output_headers(req), "Transfer-Encoding", "chunked");
        evhttp_send_reply(req, 204, NULL, NULL);
    }
}

static void begin(void)
{
    const struct svl_use chain[] = {svl_evhttp(callback, &held), SVL_USE_END};

    l = loopback_open(&(struct svl_server_config){.chain = chain});
}

static void end(void)
{
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

TestSuite(evhttp, .init = begin, .fini = end, .timeout = 20);

static svl_str later(void)
{
    loopback_pass(l, 1);
    loopback_round(l);
    return loopback_take(l);
}

Test(evhttp, a_body_comes_and_goes)
{
    svl_str got =
        loopback_ask(l, "POST /body HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\nhello");

    cr_assert_eq(loopback_status(got), 200);
    cr_expect(svl_str_eq(loopback_body(got), SVL_STR("hello")));
    cr_expect_not_null(memmem(got.p, got.n, "200 Fine\r\n", 10));
    cr_expect_eq(completed, 1);
    cr_expect_eq(closed, 0);
}

Test(evhttp, an_answer_may_come_later)
{
    cr_expect_eq(loopback_get(l, "/later", "").n, 0);
    cr_expect_str_eq(evhttp_request_get_host(held), "test");
    evhttp_send_error(held, 503, "Busy");
    held = NULL;
    cr_assert_eq(loopback_status(later()), 503);
    cr_expect_eq(completed, 1);
}

Test(evhttp, and_bit_by_bit)
{
    loopback_get(l, "/start", "");
    add(held, "one");
    cr_expect(svl_str_eq(later(), SVL_STR("00000003\r\none\r\n")));
    add(held, "two");
    add(held, "three");
    evhttp_send_reply_end(held);
    cr_expect(svl_str_eq(later(), SVL_STR("00000008\r\ntwothree\r\n0\r\n\r\n")));
    cr_expect_eq(completed, 1);
}

Test(evhttp, a_request_outlives_its_client_until_it_is_answered)
{
    loopback_get(l, "/later", "");
    loopback_reset(l);
    cr_expect_eq(closed, 1);
    cr_expect_str_eq(evhttp_request_get_uri(held), "/later");
    evhttp_send_reply(held, 200, NULL, NULL);
    later();
    cr_expect_eq(completed, 0);
}

Test(evhttp, in_the_middle_of_an_answer_the_close_callback_ends_it)
{
    loopback_get(l, "/start", "");
    add(held, "one");
    later();
    loopback_reset(l);
    cr_expect_eq(closed, 1); /* and it is freed: LeakSanitizer looks */
}

Test(evhttp, without_one_it_lives_until_it_is_answered)
{
    loopback_get(l, "/start", "");
    evhttp_connection_set_closecb(evhttp_request_get_connection(held), NULL, NULL);
    add(held, "one");
    later();
    loopback_reset(l);
    cr_expect_eq(closed, 0);
    add(held, "two");
    evhttp_send_reply_end(held); /* frees it: LeakSanitizer looks */
    cr_expect_eq(completed, 0);
}

Test(evhttp, who_owns_a_request_frees_it)
{
    loopback_get(l, "/own", "");
    cr_expect(evhttp_request_is_owned(held));
    evhttp_send_reply_end(held);
    later();
    cr_expect_eq(completed, 1);
    cr_expect_str_eq(evhttp_request_get_uri(held), "/own");
    cr_expect_null(svl_evhttp_ctx(held));
    evhttp_request_free(held);
}

Test(evhttp, a_connection_can_be_taken_over)
{
    cr_expect_eq(loopback_status(loopback_get(l, "/hijack", "")), 200);
    loopback_send(l, "anything");
    cr_expect(svl_str_eq(loopback_take(l), SVL_STR("anything")));
    cr_expect_eq(completed, 1);
}

Test(evhttp, head_has_no_body)
{
    svl_str got = loopback_ask(l, "HEAD /twice HTTP/1.1\r\nHost: x\r\n\r\n");

    cr_expect_eq(loopback_status(got), 200);
    cr_expect_eq(loopback_body(got).n, 0);
}

Test(evhttp, framing_is_not_the_callbacks)
{
    svl_str got = loopback_get(l, "/bad", "");

    cr_expect_eq(loopback_status(got), 204);
    cr_expect_null(loopback_field(got, "Content-Length").p);
    cr_expect_null(loopback_field(got, "Transfer-Encoding").p);
    cr_expect_null(loopback_field(got, "C").p);
}

Test(evhttp, libevents_own_requests_stay_libevents)
{
    struct evhttp_request *theirs = evhttp_request_new(NULL, NULL);

    evhttp_add_header(evhttp_request_get_output_headers(theirs), "A", "b");
    cr_expect_str_eq(evhttp_find_header(evhttp_request_get_output_headers(theirs), "A"), "b");
    cr_expect_null(evhttp_request_get_uri(theirs));
    cr_expect_null(svl_evhttp_ctx(theirs));
    evhttp_request_free(theirs);
}

/* Servers of their own ---------------------------------------------------------------------- */

static void hello(struct evhttp_request *req, void *arg)
{
    struct evbuffer *out = evbuffer_new();

    evbuffer_add_printf(out, "hello %s", (const char *)arg);
    evhttp_send_reply(req, 200, NULL, out);
    evbuffer_free(out);
}

Test(evhttp, paths_can_be_set_and_taken_away)
{
    struct event_base *base = event_base_new();
    struct evhttp *http = svl_evhttp_new(base);

    cr_expect_eq(evhttp_set_cb(http, "/a", hello, "a"), 0);
    cr_expect_eq(evhttp_set_cb(http, "/a", hello, "a"), -1);
    cr_expect_eq(evhttp_del_cb(http, "/a"), 0);
    cr_expect_eq(evhttp_del_cb(http, "/a"), -1);
    cr_expect_eq(evhttp_bind_socket(http, "127.0.0.1", 0), 0);
    cr_expect_eq(evhttp_bind_socket(http, "127.0.0.1", 0), 0);
    cr_expect_neq(evhttp_bind_socket(http, "192.0.2.1", 1), 0);
    event_base_loop(base, EVLOOP_NONBLOCK);
    evhttp_free(http);
    event_base_free(base);
}

static int connected_to(struct evhttp_bound_socket *bound)
{
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_eq(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&at, &len), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

/* With libevent it is a mistake to answer them after that, so they have to be gone. */
Test(evhttp, requests_that_wait_end_with_their_server)
{
    struct event_base *base = event_base_new();
    struct evhttp *http = svl_evhttp_new(base);
    struct evhttp_bound_socket *bound;
    const char *const targets[] = {"/later", "/start"};
    int fds[2];

    evhttp_set_gencb(http, callback, &held);
    bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
    for (int i = 0; i < 2; i++) {
        char request[64];
        int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", targets[i]);

        fds[i] = connected_to(bound);
        cr_assert_eq(write(fds[i], request, (size_t)n), n);
        held = NULL;
        while (!held)
            event_base_loop(base, EVLOOP_ONCE);
        if (i == 1)
            evhttp_connection_set_closecb(evhttp_request_get_connection(held), NULL, NULL);
    }
    evhttp_free(http);
    cr_expect_eq(closed, 1);
    event_base_free(base);
    close(fds[0]);
    close(fds[1]);
}
