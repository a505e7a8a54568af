/* Which connection serves a call, who waits, and what is tried again. */
#include "run/client.h"

#include "serval/error.h"
#include "support/peer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct asked a, b, c, d;

TestSuite(client_host, .fini = peers_close);

static void open_with(struct svl_client_config config)
{
    config.name = "";
    peers_open(&config);
}

#define OPEN(...) open_with((struct svl_client_config){__VA_ARGS__})

static void post(struct asked *asked)
{
    peers_ask(asked, &(struct svl_fetch){.url = SVL_STR("http://x/"), .method = SVL_POST});
}

static void ok(const struct asked *asked)
{
    cr_assert_eq(asked->done, 1);
    cr_assert_eq(asked->error, 0, "%s", svl_strerror(asked->error));
    cr_assert_str_eq(asked->body, "ok");
}

static struct svl_client_counts counts(void)
{
    struct svl_client_counts it;

    svl_client_count(peers_client, peers_worker, &it);
    return it;
}

static void two_idle(void)
{
    peers_ask_url(&a, "http://x/");
    peers_ask_url(&b, "http://x/");
    peer_say(0, OK);
    peer_say(1, OK);
    ok(&a);
    ok(&b);
    peer_take(0);
    peer_take(1);
    cr_assert_eq(counts().idle, 2);
}

Test(client_host, the_last_one_serves_first)
{
    OPEN(0);
    two_idle();
    peers_ask_url(&c, "http://x/");
    cr_assert_str_eq(peer_take(0), "");
    cr_assert_str_neq(peer_take(1), "");
}

Test(client_host, the_first_one_serves_first_when_asked_for)
{
    OPEN(.fifo = true);
    two_idle();
    peers_ask_url(&c, "http://x/");
    cr_assert_str_neq(peer_take(0), "");
}

Test(client_host, calls_wait_in_their_order)
{
    OPEN(.max_per_host = 1);
    peers_ask_url(&a, "http://x/1");
    peers_ask_url(&b, "http://x/2");
    peers_ask_url(&c, "http://x/3");
    cr_assert_eq(peers_made(), 1);
    cr_assert_eq(counts().waiting, 2);
    cr_assert_not_null(strstr(peer_take(0), "GET /1"));
    peer_say(0, OK);
    cr_assert_not_null(strstr(peer_take(0), "GET /2"));
    svl_call_cancel(c.call);
    peer_say(0, OK);
    ok(&b);
    cr_assert_str_eq(peer_take(0), "");
    cr_assert_eq(c.done, 0);
    cr_assert_eq(counts().waiting, 0);
    cr_assert_eq(counts().idle, 1);
}

Test(client_host, no_wait)
{
    OPEN(.max_per_host = 1, .no_wait = true);
    peers_ask_url(&a, "http://x/1");
    peers_ask_url(&b, "http://x/2");
    peers_round();
    cr_assert_eq(b.error, SVL_EBUSY);
    peer_say(0, OK);
    ok(&a);
}

Test(client_host, too_many_wait)
{
    OPEN(.max_per_host = 1, .max_waiting = 1);
    peers_ask_url(&a, "http://x/1");
    peers_ask_url(&b, "http://x/2");
    peers_ask_url(&c, "http://x/3");
    peers_round();
    cr_assert_eq(c.error, SVL_EBUSY);
    peer_say(0, OK);
    peer_say(0, OK);
    ok(&a);
    ok(&b);
}

Test(client_host, too_many_wait_and_the_oldest_goes)
{
    OPEN(.max_per_host = 1, .max_waiting = 1, .drop_oldest = true);
    peers_ask_url(&a, "http://x/1");
    peers_ask_url(&b, "http://x/2");
    peers_ask_url(&c, "http://x/3");
    peers_round();
    cr_assert_eq(b.error, SVL_EBUSY);
    peer_say(0, OK);
    peer_say(0, OK);
    ok(&c);
}

Test(client_host, deadlines_count_while_waiting_and_while_reading)
{
    OPEN(.max_per_host = 1);
    peers_ask_url(&a, "http://x/1");
    peers_ask(&b, &(struct svl_fetch){.url = SVL_STR("http://x/"), .timeout_ms = 50});
    peers_pass(60);
    cr_assert_eq(b.error, -ETIMEDOUT);
    cr_assert_eq(a.done, 0);
    peer_say(0, OK);
    ok(&a);
    peers_ask(&b, &(struct svl_fetch){.url = SVL_STR("http://x/"), .timeout_ms = 50});
    peer_say(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    peers_pass(60);
    cr_assert_eq(b.error, -ETIMEDOUT);
    cr_assert_eq(b.tries, 1);
    cr_assert(!peer_open(0));
}

/* Half an hour off, so that a slow machine does not come near it; the clock of the tests jumps there. */
#define HALF_AN_HOUR 1800000

Test(client_host, a_point_in_time_holds_over_tries_redirects_and_waiting)
{
    struct svl_fetch ask = {
        .url = SVL_STR("http://x/"), .timeout_ms = SVL_NEVER, .max_redirects = 5};

    OPEN(.io_ms = 2 * HALF_AN_HOUR, .idle_ms = 2 * HALF_AN_HOUR, .max_per_host = 1);
    ask.deadline_ns = svl_in_ms(HALF_AN_HOUR);
    peers_ask(&a, &ask);
    peers_ask(&b, &ask);
    peer_say(0, "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n");
    peers_pass(HALF_AN_HOUR / 2);
    peer_reset(0);
    peers_pass(HALF_AN_HOUR / 3);
    cr_assert_eq(a.done + b.done, 0);
    cr_assert_eq(peers_made(), 2);
    peers_pass(HALF_AN_HOUR);
    cr_assert_eq(a.done, 1);
    cr_assert_eq(a.error, -ETIMEDOUT);
    cr_assert_eq(b.done, 1);
    cr_assert_eq(b.error, -ETIMEDOUT);
    cr_assert_eq(counts().calls, 0);
    cr_assert_eq(counts().connections, 0);
}

Test(client_host, the_nearer_of_duration_and_point_in_time_counts)
{
    struct svl_fetch ask = {.url = SVL_STR("http://x/"), .timeout_ms = 2 * HALF_AN_HOUR};

    OPEN(.io_ms = 4 * HALF_AN_HOUR);
    ask.deadline_ns = svl_in_ms(HALF_AN_HOUR);
    peers_ask(&a, &ask);
    ask.timeout_ms = HALF_AN_HOUR / 3;
    peers_ask(&b, &ask);
    peers_pass(HALF_AN_HOUR / 2);
    cr_assert_eq(a.done, 0);
    cr_assert_eq(b.error, -ETIMEDOUT);
    peers_pass(HALF_AN_HOUR);
    cr_assert_eq(a.error, -ETIMEDOUT);
}

Test(client_host, after_its_point_in_time_nothing_is_sent)
{
    OPEN(.backends = {"http://one"});
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("/"), .deadline_ns = svl_in_ms(0)});
    cr_assert_eq(a.done, 0);
    peers_round();
    cr_assert_eq(a.done, 1);
    cr_assert_eq(a.error, -ETIMEDOUT);
    cr_assert_eq(a.tries, 0);
    cr_assert_eq(peers_made(), 0);
}

Test(client_host, idle_connections_are_closed)
{
    OPEN(.idle_ms = 100);
    two_idle();
    peers_pass(90);
    cr_assert_eq(counts().idle, 2);
    peers_pass(110);
    cr_assert_eq(counts().idle, 0);
    cr_assert_eq(counts().hosts, 0);
    cr_assert(!peer_open(0));
}

Test(client_host, idle_connections_are_closed_when_asked)
{
    OPEN(0);
    two_idle();
    peers_ask_url(&c, "http://x/");
    svl_client_close_idle(peers_client, peers_worker);
    cr_assert(!peer_open(0));
    peer_say(1, OK);
    ok(&c);
}

Test(client_host, old_connections_say_close)
{
    OPEN(.max_age_ms = 1);
    peers_ask_url(&a, "http://x/");
    cr_assert_null(strstr(peer_take(0), "close"));
    peer_say(0, OK);
    while (svl_now_ms(peers_worker) <
           2 + svl_wire_of(svl_wire_conn(svl_container(
                               svl_agent_of(peers_client, peers_worker)->last->idle.next,
                               struct svl_wire_state, place)))
                   ->born_ms)
        peers_round();
    peers_ask_url(&a, "http://x/");
    cr_assert_not_null(strstr(peer_take(0), "Connection: close\r\n"));
    peer_say(0, OK);
    ok(&a);
    cr_assert(!peer_open(0));
}

Test(client_host, what_is_safe_is_tried_again)
{
    OPEN(0);
    peers_ask_url(&a, "http://x/");
    peer_say(0, "garbage");
    peer_reset(1);
    peer_eof(2);
    cr_assert_eq(a.done, 0);
    peer_say(3, OK);
    ok(&a);
    cr_assert_eq(a.tries, 4);
}

Test(client_host, tries_have_an_end)
{
    OPEN(.max_tries = 3);
    peers_ask_url(&a, "http://x/");
    for (unsigned i = 0; i < 3; i++)
        peer_eof(i);
    cr_assert_eq(a.error, SVL_ECLOSED);
    cr_assert_eq(a.tries, 3);
    cr_assert_eq(peers_made(), 3);
}

Test(client_host, what_is_not_safe_is_not)
{
    OPEN(0);
    post(&a);
    peer_eof(0);
    cr_assert_eq(a.error, SVL_ECLOSED);
    cr_assert_eq(a.tries, 1);
}

static int asked_to_retry;

static bool retry(const struct svl_fetch *what, unsigned attempt, int error, void *arg)
{
    (void)arg;
    cr_assert_eq(what->method, SVL_POST);
    cr_assert_eq(error, SVL_ECLOSED);
    asked_to_retry++;
    return attempt < 2;
}

Test(client_host, unless_the_hook_says_so)
{
    OPEN(.retry = retry);
    post(&a);
    peer_eof(0);
    peer_eof(1);
    cr_assert_eq(a.error, SVL_ECLOSED);
    cr_assert_eq(asked_to_retry, 2);
    cr_assert_eq(a.tries, 2);
}

static int on_piece(struct svl_call *call, svl_str piece, void *arg)
{
    (void)call;
    (void)piece;
    (void)arg;
    return 0;
}

Test(client_host, what_was_handed_out_is_not_tried_again)
{
    OPEN(0);
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .on_piece = on_piece});
    peer_say(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    peer_eof(0);
    cr_assert_eq(a.error, SVL_ECLOSED);
    cr_assert_eq(a.status, 200);
}

Test(client_host, silence_is_tried_again_and_ends)
{
    OPEN(.io_ms = 100, .max_tries = 2);
    peers_ask_url(&a, "http://x/");
    peers_pass(110);
    cr_assert_eq(a.done, 0);
    cr_assert(!peer_open(0));
    peers_pass(220);
    cr_assert_eq(a.error, -ETIMEDOUT);
}

Test(client_host, who_cannot_connect)
{
    OPEN(0);
    peers_refuse(true);
    peers_ask_url(&a, "http://x/");
    cr_assert_eq(a.done, 0);
    peers_round();
    cr_assert_eq(a.error, -ECONNREFUSED);
    cr_assert_eq(counts().hosts, 0);
}

Test(client_host, pipelined_answers_come_in_order)
{
    OPEN(.max_per_host = 1, .pipeline = 3);
    peers_ask_url(&a, "http://x/1");
    peers_ask_url(&b, "http://x/2");
    peers_ask_url(&c, "http://x/3");
    peers_ask_url(&d, "http://x/4");
    cr_assert_eq(peers_made(), 1);
    cr_assert_str_eq(peer_take(0),
                     "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
                     "GET /3 HTTP/1.1\r\nHost: x\r\n\r\n");
    peer_say(0, "HTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 "
                "OK\r\nContent-Length: 1\r\n\r\n2HTTP/1.1 200");
    cr_assert_str_eq(a.body, "1");
    cr_assert_str_eq(b.body, "2");
    cr_assert_eq(c.done, 0);
    cr_assert_not_null(strstr(peer_take(0), "GET /4"));
    peer_say(0, " OK\r\nContent-Length: 1\r\n\r\n3");
    cr_assert_str_eq(c.body, "3");
    peer_say(0, OK);
    ok(&d);
    cr_assert_eq(counts().idle, 1);
}

Test(client_host, a_pipelined_call_that_is_late_shifts_nothing)
{
    OPEN(.max_per_host = 1, .pipeline = 3);
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/1"), .timeout_ms = 50});
    peers_ask_url(&b, "http://x/2");
    post(&c);
    peers_pass(60);
    cr_assert_eq(a.error, -ETIMEDOUT);
    cr_assert(!peer_open(0));
    cr_assert_eq(c.error, SVL_ECLOSED);
    cr_assert_eq(b.done, 0);
    cr_assert_not_null(strstr(peer_take(1), "GET /2"));
    peer_say(1, OK);
    ok(&b);
}

Test(client_host, pipelined_and_closed_in_the_middle)
{
    OPEN(.max_per_host = 1, .pipeline = 3);
    peers_ask_url(&a, "http://x/1");
    peers_ask_url(&b, "http://x/2");
    peer_say(0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    ok(&a);
    cr_assert(!peer_open(0));
    peer_say(1, OK);
    ok(&b);
    cr_assert_eq(b.tries, 2);
}

static void ask_again(struct svl_reply *reply, void *arg)
{
    cr_assert_eq(reply->error, 0);
    peers_ask_url(arg, "http://x/again");
}

Test(client_host, done_may_ask_again_on_the_same_connection)
{
    OPEN(0);
    svl_call(peers_client, peers_worker, &(struct svl_fetch){.url = SVL_STR("http://x/")},
             ask_again, &a);
    peer_say(0, OK);
    cr_assert_not_null(strstr(peer_take(0), "GET /again"));
    peer_say(0, OK);
    ok(&a);
    cr_assert_eq(peers_made(), 1);
}

static struct svl_reply *kept;

static void keep(struct svl_reply *reply, void *arg)
{
    (void)arg;
    svl_reply_keep(reply);
    kept = reply;
}

Test(client_host, a_reply_that_is_kept_stays_as_it_was)
{
    OPEN(0);
    svl_call(peers_client, peers_worker, &(struct svl_fetch){.url = SVL_STR("http://x/")}, keep,
             NULL);
    peer_say(0, "HTTP/1.1 200 OK\r\nServer: one\r\nContent-Length: 4\r\n\r\nbody");
    for (int i = 0; i < 50; i++) {
        peers_ask_url(&a, "http://x/");
        peer_say(0, "HTTP/1.1 200 OK\r\nServer: two\r\nContent-Length: 4\r\n\r\nbidy");
        cr_assert_eq(a.done, 1);
    }
    cr_assert(svl_str_eq(svl_reply_header(kept, SVL_H_SERVER), SVL_STR("one")));
    cr_assert(svl_str_eq(kept->body, SVL_STR("body")));
    svl_reply_free(kept);
}

Test(client_host, calls_end_with_their_loop)
{
    OPEN(.max_per_host = 1);
    peers_ask_url(&a, "http://x/");
    peers_ask_url(&b, "http://x/");
    peers_close();
    cr_assert_eq(a.error, SVL_EGONE);
    cr_assert_eq(b.error, SVL_EGONE);
    OPEN(0);
}

/* An idle connection would keep the loop from ending. */
Test(client_host, a_loop_that_stops_keeps_no_connection)
{
    OPEN(.max_per_host = 1);
    peers_ask_url(&a, "http://x/");
    peers_ask_url(&b, "http://x/");
    peer_say(0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    ok(&a);
    peers_worker->stopping = 1;
    peer_say(1, OK);
    ok(&b);
    cr_assert(!peer_open(1));
}

static void redirect_to(const char *status, const char *location)
{
    char text[300];

    snprintf(text, sizeof text, "HTTP/1.1 %s x\r\nContent-Length: 4\r\nLocation: %s\r\n\r\nmove",
             status, location);
    peer_say(peers_made() - 1, text);
}

static void expect_after(const char *status, enum svl_method method, const char *line,
                         const char *body)
{
    const struct svl_field coding = {SVL_STR("Content-Encoding"), SVL_STR("x")};
    const char *sent;

    OPEN(0);
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/a/b?c"),
                                      .method = method,
                                      .body = SVL_STR("hello"),
                                      .type = SVL_STR("t/t"),
                                      .fields = &coding,
                                      .n_fields = 1,
                                      .max_redirects = 2});
    peer_take(0);
    redirect_to(status, "../d");
    sent = peer_take(0);
    cr_assert(strncmp(sent, line, strlen(line)) == 0, "%s", sent);
    cr_assert_eq(strstr(sent, "hello") != NULL, *body != '\0');
    cr_assert_eq(strstr(sent, "t/t") != NULL, *body != '\0');
    cr_assert_eq(strstr(sent, "Content-Encoding") != NULL, *body != '\0');
    peer_say(0, OK);
    ok(&a);
    cr_assert_eq(a.redirects, 1);
    cr_assert_str_eq(a.url, "http://x/d");
    peers_close();
}

Test(client_host, redirects_and_their_methods)
{
    expect_after("303", SVL_POST, "GET /d ", "");
    expect_after("303", SVL_PUT, "GET /d ", "");
    expect_after("301", SVL_POST, "GET /d ", "");
    expect_after("302", SVL_POST, "GET /d ", "");
    expect_after("302", SVL_PUT, "PUT /d ", "hello");
    expect_after("307", SVL_POST, "POST /d ", "hello");
    expect_after("308", SVL_POST, "POST /d ", "hello");
    OPEN(0);
}

Test(client_host, redirects_have_an_end)
{
    OPEN(0);
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .max_redirects = 2});
    for (int i = 0; i < 3; i++)
        redirect_to("302", "/");
    cr_assert_eq(a.error, SVL_EREDIRECT);
    cr_assert_eq(a.redirects, 2);
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .max_redirects = 2});
    peer_say(0, "HTTP/1.1 302 x\r\nContent-Length: 0\r\n\r\n");
    cr_assert_eq(a.error, SVL_EREDIRECT);
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .max_redirects = 2});
    redirect_to("302", "https://x/");
    peers_round();
    cr_assert_eq(a.error, SVL_ESCHEME);
    peers_ask_url(&a, "http://x/");
    redirect_to("302", "/");
    cr_assert_eq(a.status, 302);
    cr_assert_str_eq(a.body, "move");
}

static bool keeps_credentials(const char *location)
{
    const struct svl_field fields[] = {{SVL_STR("authorization"), SVL_STR("secret")},
                                       {SVL_STR("Cookie"), SVL_STR("secret")},
                                       {SVL_STR("X"), SVL_STR("y")}};
    const char *sent;
    bool kept_them;

    OPEN(0);
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://www.example.com:8080/"),
                                      .fields = fields,
                                      .n_fields = 3,
                                      .max_redirects = 2});
    cr_assert_not_null(strstr(peer_take(0), "secret"));
    redirect_to("302", location);
    sent = peer_take(peers_made() - 1);
    cr_assert_not_null(strstr(sent, "X: y"));
    kept_them = strstr(sent, "secret") != NULL;
    peers_close();
    return kept_them;
}

Test(client_host, credentials_stay_with_their_host)
{
    cr_assert(keeps_credentials("/x"));
    cr_assert(keeps_credentials("http://WWW.example.com:8080/"));
    cr_assert(!keeps_credentials("http://www.example.com/"));
    cr_assert(!keeps_credentials("http://example.com:8080/"));
    cr_assert(!keeps_credentials("http://a.www.example.com:8080/"));
    cr_assert(!keeps_credentials("http://evil.example/"));
    cr_assert(!keeps_credentials("//evil.example/"));
    OPEN(0);
}

Test(client_host, back_ends_share_the_work_and_the_sick_get_less)
{
    unsigned at_first = 0;

    OPEN(.backends = {"http://one", "http://two:81/"});
    peers_ask_url(&a, "/1");
    peers_ask_url(&b, "/2");
    cr_assert_eq(peers_made(), 2);
    cr_assert_not_null(strstr(peer_take(0), "GET /1 HTTP/1.1\r\nHost: one\r\n"));
    cr_assert_not_null(strstr(peer_take(1), "GET /2 HTTP/1.1\r\nHost: two:81\r\n"));
    peer_say(1, OK);
    peer_say(0, "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n");
    cr_assert_eq(a.status, 500);
    peer_take(0);
    for (int i = 0; i < 6; i++) {
        peers_ask_url(&c, "/3");
        if (*peer_take(0)) {
            at_first++;
            peer_say(0, OK);
        } else {
            peer_say(1, OK);
        }
        cr_assert_eq(c.done, 1);
    }
    cr_assert_eq(at_first, 0);
}

Test(client_host, back_ends_come_and_go)
{
    OPEN(0);
    peers_ask_url(&a, "/");
    peers_round();
    cr_assert_eq(a.error, SVL_EBACKEND);
    cr_assert_eq(svl_client_add_backend(peers_client, SVL_STR("ftp://x")), SVL_ESYNTAX);
    cr_assert_eq(svl_client_add_backend(peers_client, SVL_STR("http://x")), 0);
    peers_ask_url(&a, "/");
    cr_assert_eq(svl_client_remove_backend(peers_client, SVL_STR("http://x/")), 0);
    cr_assert_eq(svl_client_remove_backend(peers_client, SVL_STR("http://x/")), SVL_EGONE);
    peer_say(0, OK);
    ok(&a);
    peers_ask_url(&a, "/");
    peers_round();
    cr_assert_eq(a.error, SVL_EBACKEND);
}

static void timed(struct asked *asked, const char *url)
{
    peers_ask(asked, &(struct svl_fetch){.url = svl_str_of(url), .timing = true});
}

Test(client_host, who_waits_is_not_charged_with_the_connection_of_another)
{
    OPEN(.max_per_host = 1);
    timed(&a, "http://x/1");
    timed(&b, "http://x/2");
    peer_say(0, OK);
    peer_say(0, OK);
    ok(&a);
    ok(&b);
    cr_assert_eq(a.timing.resolved, 0); /* in memory */
    cr_assert_gt(a.timing.connected, 0);
    cr_assert_geq(a.timing.sent, a.timing.connected);
    cr_assert(b.reused);
    cr_assert_eq(b.timing.connected, 0);
    cr_assert_gt(b.timing.sent, 0);
}

Test(client_host, times_are_those_of_the_last_try)
{
    OPEN(0);
    timed(&a, "http://x/1");
    peer_say(0, OK);
    timed(&b, "http://x/2");
    peer_eof(0);
    cr_assert_eq(b.done, 0);
    peer_say(1, OK);
    ok(&b);
    cr_assert_eq(b.tries, 2);
    cr_assert_gt(b.timing.connected, 0);
    cr_assert_geq(b.timing.sent, b.timing.connected);
    cr_assert_geq(b.timing.first_byte, b.timing.sent);
}
