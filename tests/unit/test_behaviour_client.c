/* Behaviours by number, the client: tests/behaviours.md says what was decided about each. */
#include "serval/error.h"
#include "serval/serval.h"
#include "support/peer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct asked a, b, c;

TestSuite(behaviour_client, .fini = peers_close);

static void open_with(struct svl_client_config config)
{
    config.name = "";
    peers_open(&config);
}

#define OPEN(...) open_with((struct svl_client_config){__VA_ARGS__})

/* One question, one answer, and what came of it. */
static void answered(const char *answer)
{
    peers_ask_url(&a, "http://x/");
    peer_say(peers_made() - 1, answer);
}

static void gives(const char *answer, int status, const char *body)
{
    answered(answer);
    cr_assert_eq(a.done, 1, "%s", answer);
    cr_assert_eq(a.error, 0, "%s: %s", answer, svl_strerror(a.error));
    cr_assert_eq(a.status, status);
    cr_assert_str_eq(a.body, body);
}

static void fails(const char *answer, int error)
{
    answered(answer);
    cr_assert_eq(a.done, 1, "%s", answer);
    cr_assert_eq(a.error, error, "%s: %s", answer, svl_strerror(a.error));
}

Test(behaviour_client, b062_a_bare_lf_ends_no_line)
{
    OPEN(.max_tries = 1);
    fails("HTTP/1.1 200 OK\r\nContent-Length:34\r\nContent-Type: sss\n\r\naaaa", SVL_ERESPONSE);
    answered("HTTP/1.1 200 OK\r\nContent-Length:2\r\nContent-Type: sss\r\n\r\nok");
    cr_assert_str_eq(a.body, "ok");
}

Test(behaviour_client, b063_status_lines)
{
    OPEN(.max_tries = 1);
    fails("HTTP/1.1   200 OK\r\nContent-Length: 0\r\n\r\n", SVL_ERESPONSE);
    gives("HTTP/1.1 456\r\nContent-Length: 0\r\n\r\n", 456, "");
    fails("HTTP/1.1 123foobar\r\n\r\n", SVL_ERESPONSE);
    fails("HTTP/1.1 s\r\n\r\n", SVL_ERESPONSE);
    fails("HTTP/1.1 \r\n\r\n", SVL_ERESPONSE);
}

Test(behaviour_client, b064_no_framing)
{
    OPEN(0);
    answered("HTTP/1.1 200 OK\r\n\r\nabc");
    cr_assert_eq(a.done, 0);
    peer_eof(0);
    cr_assert_str_eq(a.body, "abc");
    gives("HTTP/1.1 204 x\r\n\r\n", 204, "");
    gives("HTTP/1.1 304 x\r\n\r\n", 304, "");
    cr_assert_eq(peers_made(), 2);
}

Test(behaviour_client, b065_codings)
{
    OPEN(.max_tries = 1);
    fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: deflate\r\n\r\n", SVL_ERESPONSE);
    fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", SVL_ERESPONSE);
    fails("HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n", SVL_ERESPONSE);
    fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", SVL_ERESPONSE);
    fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
          SVL_ERESPONSE);
    fails("HTTP/1.0 200 OK\r\nTransfer-Encoding: deflate\r\n\r\n", SVL_ERESPONSE);
}

Test(behaviour_client, b066_chunked_and_length)
{
    OPEN(.max_tries = 1);
    fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 123\r\n\r\n",
          SVL_ERESPONSE);
    fails("HTTP/1.1 200 OK\r\nContent-Length: nope\r\nTransfer-Encoding: chunked\r\n\r\n",
          SVL_ERESPONSE);
}

Test(behaviour_client, b067_two_lengths)
{
    OPEN(.max_tries = 1);
    fails("HTTP/1.1 200 OK\r\nContent-Length: 456\r\nContent-Length: 321\r\n\r\n", SVL_ERESPONSE);
}

Test(behaviour_client, b068_interim_answers)
{
    OPEN(.max_tries = 1);
    gives("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 329 x\r\nContent-Length: 1\r\n\r\na", 329, "a");
    gives("HTTP/1.1 199 x\r\n\r\nHTTP/1.1 103 x\r\n\r\n" OK, 200, "ok");
    fails("HTTP/1.1 101 x\r\n\r\nbytes", SVL_ERESPONSE);
}

Test(behaviour_client, b069_statuses_without_a_body)
{
    OPEN(0);
    gives("HTTP/1.1 304 x\r\nContent-Length: 1235\r\n\r\n", 304, "");
    gives("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", 204, "");
    gives(OK, 200, "ok");
    cr_assert_eq(peers_made(), 1);
}

static char trailers[64];

static void on_trailers(struct svl_reply *reply, void *arg)
{
    (void)arg;
    snprintf(trailers, sizeof trailers, "%.*s", SVL_FMT(reply->trailers));
}

Test(behaviour_client, b070_trailers)
{
    OPEN(0);
    svl_call(peers_client, peers_worker, &(struct svl_fetch){.url = SVL_STR("http://x/")},
             on_trailers, NULL);
    peer_say(
        0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nfoo: bar\r\n\r\n");
    cr_assert_str_eq(trailers, "foo: bar\r\n");
}

Test(behaviour_client, b071_limit)
{
    OPEN(.max_body = 3);
    fails("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", SVL_ELIMIT);
    fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n", SVL_ELIMIT);
    fails("HTTP/1.1 200 OK\r\n\r\nabcd", SVL_ELIMIT);
    gives("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc");
}

Test(behaviour_client, b073_old_answers)
{
    OPEN(0);
    gives("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\n\r\na", 200, "a");
    cr_assert(peer_open(0));
    gives("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 200, "a");
    cr_assert(!peer_open(0));
}

Test(behaviour_client, b074_upgrade_that_nobody_asked_for)
{
    OPEN(0);
    gives("HTTP/1.1 200 OK\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 1\r\n\r\na",
          200, "a");
    cr_assert(peer_open(0));
}

static const char *authorization_of(const char *url)
{
    static char value[100];
    const char *sent, *at;

    peers_ask_url(&a, url);
    sent = peer_take(0);
    at = strstr(sent, "Authorization: ");
    snprintf(value, sizeof value, "%.*s", at ? (int)strcspn(at + 15, "\r") : 0, at ? at + 15 : "");
    peer_say(0, OK);
    return value;
}

Test(behaviour_client, b164_the_host_field_may_differ_from_the_url)
{
    OPEN(0);
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/y"), .host = SVL_STR("other")});
    cr_assert_not_null(strstr(peer_take(0), "GET /y HTTP/1.1\r\nHost: other\r\n"));
    peer_say(0, OK);
    peers_ask_url(&a, "http://x/y");
    cr_assert_not_null(strstr(peer_take(0), "GET /y HTTP/1.1\r\nHost: x\r\n"));
    peer_say(0, OK);
}

Test(behaviour_client, b180_credentials)
{
    OPEN(0);
    cr_assert_str_eq(authorization_of("http://user:pass@x/"), "Basic dXNlcjpwYXNz");
    cr_assert_str_eq(authorization_of("http://foo:@x/"), "Basic Zm9vOg==");
    cr_assert_str_eq(authorization_of("http://:@x/"), "");
    cr_assert_str_eq(authorization_of("http://@x/"), "");
}

Test(behaviour_client, b181_a_second_request_in_a_url)
{
    OPEN(0);
    peers_ask_url(&a, "http://x/ HTTP/1.1\r\nHost: y\r\n\r\nGET /z");
    peers_round();
    cr_assert_eq(a.error, SVL_ESYNTAX);
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"),
                                      .method_text = SVL_STR("GET / HTTP/1.1\r\n")});
    peers_round();
    cr_assert_eq(a.error, SVL_ESYNTAX);
    cr_assert_eq(peers_made(), 0);
}

Test(behaviour_client, b182_the_shortest_time)
{
    OPEN(0);
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .timeout_ms = 1});
    peers_pass(1);
    cr_assert_eq(a.error, -ETIMEDOUT);
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .deadline_ns = 1});
    peers_round();
    cr_assert_eq(a.error, -ETIMEDOUT);
    cr_assert_eq(a.tries, 0);
}

Test(behaviour_client, b183_a_get_with_a_body)
{
    OPEN(0);
    peers_ask(&a, &(struct svl_fetch){
                      .url = SVL_STR("http://x/"), .method = SVL_GET, .body = SVL_STR("abc")});
    cr_assert_str_eq(peer_take(0), "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
}

static const char *redirected(enum svl_method method, const char *status)
{
    char answer[200];

    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/a"),
                                      .method = method,
                                      .body = SVL_STR("hello"),
                                      .max_redirects = 3});
    peer_take(0);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 %s x\r\nContent-Length: 0\r\nLocation: /xyz/*/456\r\n\r\n", status);
    peer_say(0, answer);
    return peer_take(0);
}

Test(behaviour_client, b184_redirects)
{
    OPEN(0);
    cr_assert_str_eq(redirected(SVL_POST, "303"), "GET /xyz/*/456 HTTP/1.1\r\nHost: x\r\n\r\n");
    peer_say(0, OK);
    cr_assert_str_eq(redirected(SVL_POST, "302"), "GET /xyz/*/456 HTTP/1.1\r\nHost: x\r\n\r\n");
    peer_say(0, OK);
    cr_assert_str_eq(redirected(SVL_POST, "307"), "POST /xyz/*/456 HTTP/1.1\r\nHost: x\r\n"
                                                  "Content-Length: 5\r\n\r\nhello");
}

Test(behaviour_client, b186_retries)
{
    OPEN(0);
    peers_ask_url(&a, "http://x/");
    peer_say(0, "garbage");
    peer_reset(1);
    peer_eof(2);
    peer_say(3, OK);
    cr_assert_str_eq(a.body, "ok");
    cr_assert_eq(peers_made(), 4);
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://y/"), .method = SVL_POST});
    peer_reset(4);
    cr_assert_eq(a.error, SVL_ECLOSED);
    cr_assert_eq(peers_made(), 5);
}

Test(behaviour_client, b189_waiting_for_a_connection)
{
    OPEN(.max_per_host = 1);
    peers_ask_url(&a, "http://x/");
    peers_ask(&b, &(struct svl_fetch){.url = SVL_STR("http://x/"), .timeout_ms = 10});
    peers_ask_url(&c, "http://x/");
    peers_pass(20);
    cr_assert_eq(b.error, -ETIMEDOUT);
    peer_say(0, OK);
    peer_say(0, OK);
    cr_assert_str_eq(a.body, "ok");
    cr_assert_str_eq(c.body, "ok");
}

Test(behaviour_client, b192_a_body_behind_the_answer_to_head)
{
    OPEN(0);
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .method = SVL_HEAD});
    peer_say(0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n");
    cr_assert_eq(a.status, 200);
    gives(OK, 200, "ok");
    cr_assert_eq(peers_made(), 2);
}

Test(behaviour_client, b193_lower_case_fields)
{
    OPEN(0);
    gives("HTTP/1.1 200 OK\r\ncontent-type: a\r\ntransfer-encoding: "
          "chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
          200, "ok");
}

/* The head comes in two pieces, so that it is not where it was read any more. */
static int names_of(struct svl_call *call, const struct svl_reply *reply, void *arg)
{
    char *to = arg;

    (void)call;
    for (unsigned i = 0; i < reply->headers.n; i++) {
        svl_str name = svl_header_name(&reply->headers.at[i]);

        to += sprintf(to, "%.*s,", SVL_FMT(name));
    }
    cr_assert(svl_str_eq(svl_reply_header(reply, SVL_H_ETAG), SVL_STR("\"A-b\"")));
    return 0;
}

static void names(bool canonical, const char *sent, const char *handed_out)
{
    const struct svl_field fields[] = {{SVL_STR("x-ONE-twO"), SVL_STR("A-b")}};
    char got[200] = "";

    OPEN(.canonical_names = canonical);
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"),
                                      .fields = fields,
                                      .n_fields = 1,
                                      .on_head = names_of,
                                      .arg = got});
    cr_assert_not_null(strstr(peer_take(0), sent));
    peer_say(0, "HTTP/1.1 200 OK\r\nCONTENT-length: 2\r\netag: \"A-b\"\r\nX-on");
    peer_say(0, "E-_a-B: c\r\n\r\nok");
    cr_assert_eq(a.status, 200);
    cr_assert_str_eq(a.body, "ok");
    cr_assert_str_eq(got, handed_out);
}

Test(behaviour_client, names_stay_as_they_are)
{
    names(false, "\r\nx-ONE-twO: A-b\r\n", "CONTENT-length,etag,X-onE-_a-B,");
}

Test(behaviour_client, names_as_they_are_usually_written_when_asked_for)
{
    names(true, "\r\nX-One-Two: A-b\r\n", "Content-Length,Etag,X-One-_a-B,");
}

static ssize_t never(struct svl_call *call, void *arg, char *to, size_t room)
{
    (void)call;
    (void)arg;
    (void)to;
    (void)room;
    return -EAGAIN;
}

Test(behaviour_client, b194_an_answer_before_the_body_is_sent)
{
    OPEN(0);
    peers_ask(&a,
              &(struct svl_fetch){.url = SVL_STR("http://x/"), .give = never, .give_length = -1});
    peer_say(0, "HTTP/1.1 418 x\r\nContent-Length: 2\r\n\r\nno");
    cr_assert_eq(a.status, 418);
    cr_assert_str_eq(a.body, "no");
    cr_assert(!peer_open(0));
}

Test(behaviour_client, b195_an_interim_answer_shifts_nothing)
{
    OPEN(.max_per_host = 1, .pipeline = 2);
    peers_ask_url(&a, "http://x/1");
    peers_ask_url(&b, "http://x/2");
    peers_round();
    peer_say(0, "HTTP/1.1 103 x\r\nLink: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
    cr_assert_str_eq(a.body, "1");
    cr_assert_str_eq(b.body, "2");
}

Test(behaviour_client, b200_balancing)
{
    OPEN(.backends = {"http://one"});
    cr_assert_eq(svl_client_remove_backend(peers_client, SVL_STR("http://one")), 0);
    peers_ask_url(&a, "/");
    peers_round();
    cr_assert_eq(a.error, SVL_EBACKEND);
    cr_assert_eq(svl_client_add_backend(peers_client, SVL_STR("http://two")), 0);
    peers_ask_url(&a, "/");
    peer_say(0, OK);
    cr_assert_str_eq(a.body, "ok");
}

/* Defects of fasthttp's client ------------------------------------------------------------------ */

Test(behaviour_client, d214g_a_retry_needs_no_response)
{
    OPEN(.max_tries = 2);
    peers_ask_url(&a, "http://x/");
    peer_reset(0);
    peer_reset(1);
    cr_assert(a.done == 1 && a.status == 0 && a.tries == 2 && a.error == SVL_ECLOSED);
}

Test(behaviour_client, d214i_a_connection_with_surplus_bytes_is_not_used_again)
{
    OPEN(0);
    gives(OK "surplus", 200, "ok");
    cr_assert(!peer_open(0));
    gives(OK, 200, "ok");
    cr_assert_eq(peers_made(), 2);
}
