/* What is written to servers and made of what they answer, good and bad. */
#include "run/client.h"

#include "serval/error.h"
#include "support/peer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct asked a, b;

static void begin(void)
{
    peers_open(&(struct svl_client_config){.name = "t", .max_tries = 1});
}

TestSuite(client_wire, .init = begin, .fini = peers_close);

static void ends_with(const struct asked *asked, int status, const char *body)
{
    cr_assert_eq(asked->done, 1);
    cr_assert_eq(asked->error, 0, "%s", svl_strerror(asked->error));
    cr_assert_eq(asked->status, status);
    cr_assert_str_eq(asked->body, body);
}

static void fails_with(const struct asked *asked, int error)
{
    cr_assert_eq(asked->done, 1);
    cr_assert_eq(asked->error, error, "%s", svl_strerror(asked->error));
}

Test(client_wire, a_get_and_its_answer)
{
    peers_ask_url(&a, "http://foobar1.com/aaa/bbb");
    cr_assert_str_eq(peer_take(0),
                     "GET /aaa/bbb HTTP/1.1\r\nHost: foobar1.com\r\nUser-Agent: t\r\n\r\n");
    cr_assert_eq(a.done, 0);
    peer_say(0, OK);
    ends_with(&a, 200, "ok");
    cr_assert(peer_open(0));
    cr_assert_str_eq(a.url, "http://foobar1.com/aaa/bbb");

    peers_ask_url(&a, "http://foobar1.com?x");
    cr_assert_str_eq(peer_take(0),
                     "GET /?x HTTP/1.1\r\nHost: foobar1.com\r\nUser-Agent: t\r\n\r\n");
    peer_say(0, OK);
    ends_with(&a, 200, "ok");
    cr_assert(a.reused);
    cr_assert_eq(peers_made(), 1);
}

Test(client_wire, answers_may_come_byte_by_byte)
{
    static const char *const answers[] = {
        OK,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nA: "
        "b\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" OK,
    };

    for (unsigned i = 0; i < 3; i++) {
        peers_ask_url(&a, "http://x/");
        for (const char *at = answers[i]; *at; at++) {
            cr_assert_eq(a.done, 0);
            peer_say_bytes(0, (svl_str){at, 1});
            if (strlen(at) % 40 == 0)
                peer_take(0);
        }
        ends_with(&a, 200, "ok");
        peers_close();
        begin();
    }
}

Test(client_wire, framing_of_requests)
{
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .method = SVL_DELETE});
    cr_assert_not_null(strstr(peer_take(0), "DELETE / HTTP/1.1\r\n"));
    peers_ask(&b, &(struct svl_fetch){.url = SVL_STR("http://y/"), .method = SVL_DELETE});
    cr_assert_not_null(strstr(peer_take(1), "\r\nContent-Length: 0\r\n"));
    peers_ask(&b, &(struct svl_fetch){
                      .url = SVL_STR("http://z/"), .method = SVL_GET, .body = SVL_STR("abc")});
    cr_assert_not_null(
        strstr(peer_take(2),
               "GET / HTTP/1.1\r\nHost: z\r\nUser-Agent: t\r\nContent-Length: 3\r\n\r\nabc"));
    peers_ask(&b, &(struct svl_fetch){.url = SVL_STR("http://w/"),
                                      .type = SVL_STR("a/b"),
                                      .body = SVL_STR("abc"),
                                      .close = true});
    cr_assert_not_null(strstr(peer_take(3),
                              "POST / HTTP/1.1\r\nHost: w\r\nUser-Agent: t\r\nContent-Type: "
                              "a/b\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"));
    peer_say(3, OK);
    ends_with(&b, 200, "ok");
    cr_assert(!peer_open(3));
}

Test(client_wire, fields)
{
    const struct svl_field fields[] = {{SVL_STR("user-agent"), SVL_STR("me")},
                                       {SVL_STR("X-Y"), SVL_STR("1")}};

    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x:80/"),
                                      .host = SVL_STR("other"),
                                      .fields = fields,
                                      .n_fields = 2});
    cr_assert_str_eq(peer_take(0),
                     "GET / HTTP/1.1\r\nHost: other\r\nuser-agent: me\r\nX-Y: 1\r\n\r\n");
}

Test(client_wire, nothing_can_be_injected)
{
    const struct svl_field bad[] = {{SVL_STR("A"), SVL_STR("b\r\nC: d")},
                                    {SVL_STR("A\r\n"), SVL_STR("b")},
                                    {SVL_STR("A:"), SVL_STR("b")},
                                    {SVL_STR(""), SVL_STR("b")},
                                    {SVL_STR("Host"), SVL_STR("b")},
                                    {SVL_STR("Content-Length"), SVL_STR("5")},
                                    {SVL_STR("transfer-encoding"), SVL_STR("chunked")},
                                    {SVL_STR("Connection"), SVL_STR("x")}};
    static const char *const urls[] = {"http://x/a b",
                                       "http://x/\r\nA: b",
                                       "http://x\r\n/",
                                       "http://x/?a\nb",
                                       "http://",
                                       "http:///a",
                                       "http://x:0/",
                                       "http://x:99999/",

                                       "x",
                                       "",
                                       "http://a%20b/"};

    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        peers_ask(
            &a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .fields = &bad[i], .n_fields = 1});
        peers_round();
        fails_with(&a, SVL_EHEADER);
    }
    for (unsigned i = 0; i < sizeof urls / sizeof *urls; i++) {
        peers_ask_url(&a, urls[i]);
        peers_round();
        fails_with(&a, SVL_ESYNTAX);
    }
    peers_ask(
        &a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .method_text = SVL_STR("GET /\r\n")});
    peers_round();
    fails_with(&a, SVL_ESYNTAX);
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .host = SVL_STR("a\r\nb")});
    peers_round();
    fails_with(&a, SVL_EHEADER);
    peers_ask_url(&a, "https://x/");
    peers_round();
    fails_with(&a, SVL_ESCHEME);
    peers_ask_url(&a, "/path");
    peers_round();
    fails_with(&a, SVL_EBACKEND);
    cr_assert_eq(peers_made(), 0);
}

Test(client_wire, odd_bytes_of_a_url_are_escaped)
{
    peers_ask_url(&a, "http://x/a|b\xc3\xa4?c^d#frag");
    cr_assert_str_eq(peer_take(0),
                     "GET /a%7Cb%C3%A4?c%5Ed HTTP/1.1\r\nHost: x\r\nUser-Agent: t\r\n\r\n");
}

Test(client_wire, userinfo)
{
    static const char *const urls[][2] = {
        {"http://user:pass@x/", "Authorization: Basic dXNlcjpwYXNz\r\n"},
        {"http://foo:@x/", "Authorization: Basic Zm9vOg==\r\n"},
        {"http://a%40b@x/", "Authorization: Basic YUBiOg==\r\n"},
        {"http://:@x/", NULL},
        {"http://@x/", NULL}};

    for (unsigned i = 0; i < 5; i++) {
        const char *sent;

        peers_ask_url(&a, urls[i][0]);
        sent = peer_take(0);
        if (urls[i][1])
            cr_assert_not_null(strstr(sent, urls[i][1]), "%s", sent);
        else
            cr_assert_null(strstr(sent, "Authorization"));
        peer_say(0, OK);
    }
}

Test(client_wire, a_body_until_the_end)
{
    peers_ask_url(&a, "http://x/");
    peer_say(0, "HTTP/1.1 200 OK\r\n\r\nabc");
    peer_say(0, "def");
    cr_assert_eq(a.done, 0);
    peer_eof(0);
    ends_with(&a, 200, "abcdef");
    cr_assert(!peer_open(0));
}

Test(client_wire, no_body)
{
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .method = SVL_HEAD});
    peer_say(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    ends_with(&a, 200, "");
    cr_assert(peer_open(0));
    peers_ask_url(&a, "http://x/");
    peer_say(0, "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n");
    ends_with(&a, 204, "");
    peers_ask_url(&a, "http://x/");
    peer_say(0, "HTTP/1.1 304 No\r\nContent-Length: 1235\r\n\r\n");
    ends_with(&a, 304, "");
    peers_ask_url(&a, "http://x/");
    peer_say(0, "HTTP/1.1 200 No\r\nContent-Length: 0\r\n\r\n");
    ends_with(&a, 200, "");
    cr_assert_eq(peers_made(), 1);
}

/* What is not an answer, or more than one, and what becomes of the connection: it is gone. */
Test(client_wire, bad_answers)
{
    static const struct {
        const char *text;
        int error;
        bool eof;
    } bad[] = {
        {"SSH-2.0\r\n", SVL_ERESPONSE, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", SVL_ECLOSED, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", SVL_ECLOSED, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nab", SVL_ERESPONSE, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;\na\r\n0\r\n\r\n", SVL_ERESPONSE,
         false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
         SVL_ERESPONSE, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", SVL_ERESPONSE, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", SVL_ELIMIT, false},
        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", SVL_ERESPONSE, false},
        {"HTTP/1.1 200 OK\r\nA", SVL_ECLOSED, true},
        {"", SVL_ECLOSED, true},
    };

    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        peers_ask_url(&a, "http://x/");
        peer_say(i, bad[i].text);
        if (bad[i].eof)
            peer_eof(i);
        fails_with(&a, bad[i].error);
        cr_assert(!peer_open(i));
    }
}

Test(client_wire, endless_heads_and_interim_answers)
{
    char head[70000] = "HTTP/1.1 200 OK\r\nA: ";

    memset(head + strlen(head), 'x', sizeof head - 100);
    peers_ask_url(&a, "http://x/");
    peer_say(0, head);
    fails_with(&a, SVL_ELIMIT);
    peers_ask_url(&a, "http://x/");
    for (int i = 0; i < 32; i++)
        peer_say(1, "HTTP/1.1 103 x\r\n\r\n");
    cr_assert_eq(a.done, 0);
    peer_say(1, "HTTP/1.1 103 x\r\n\r\n");
    fails_with(&a, SVL_ERESPONSE);
    cr_assert(!peer_open(1));
}

Test(client_wire, surplus_bytes_end_the_connection)
{
    peers_ask_url(&a, "http://x/");
    peer_say(0, OK "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    ends_with(&a, 200, "ok");
    cr_assert(!peer_open(0));
    peers_ask_url(&a, "http://x/");
    peer_say(1, OK);
    ends_with(&a, 200, "ok");
    peer_say(1, "H");
    cr_assert(!peer_open(1));
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .method = SVL_HEAD});
    peer_say(2, OK);
    ends_with(&a, 200, "");
    cr_assert(!peer_open(2));
}

/* What is on its way when the next call would begin must not be taken for its answer. */
Test(client_wire, surplus_bytes_that_were_not_read_yet)
{
    peers_ask_url(&a, "http://x/");
    peer_say(0, OK);
    ends_with(&a, 200, "ok");
    peer_say_unseen(0, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    peers_ask_url(&a, "http://x/");
    cr_assert_eq(peers_made(), 2);
    cr_assert(!peer_open(0));
    peer_say(1, OK);
    ends_with(&a, 200, "ok");
}

Test(client_wire, the_server_has_the_last_word_on_keep_alive)
{
    peers_ask_url(&a, "http://x/");
    peer_say(0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    ends_with(&a, 200, "ok");
    cr_assert(!peer_open(0));
    peers_ask_url(&a, "http://x/");
    peer_say(1, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok");
    ends_with(&a, 200, "ok");
    cr_assert(peer_open(1));
}

static void check_large(struct svl_reply *reply, void *arg)
{
    cr_assert_eq(reply->error, 0);
    cr_assert_eq(reply->body.n, 3000000);
    for (size_t i = 0; i < reply->body.n; i++)
        cr_assert_eq(reply->body.p[i], 'y');
    *(bool *)arg = true;
}

Test(client_wire, large_bodies_both_ways)
{
    size_t n = 3000000;
    char *body = malloc(n);
    bool done = false;

    memset(body, 'y', n);
    peers_ask_url(&a, "http://x/");
    peer_say(0, OK);
    peer_room(0, 1000);
    svl_call(peers_client, peers_worker,
             &(struct svl_fetch){.url = SVL_STR("http://x/"), .body = {body, n}}, check_large,
             &done);
    cr_assert_eq(strlen(peer_take(0)),
                 1000 + strlen("GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: t\r\n\r\n"));
    peer_room(0, SIZE_MAX);
    cr_assert_str_eq(
        peer_take(0) + n - 1000 +
            strlen(
                "POST / HTTP/1.1\r\nHost: x\r\nUser-Agent: t\r\nContent-Length: 3000000\r\n\r\n") -
            3,
        "yyy");
    peer_say(0, "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n");
    for (size_t at = 0; at < n; at += 100000)
        peer_say_bytes(0, (svl_str){body + at, 100000});
    cr_assert(done);
    free(body);
}

static char given[64];
static size_t given_at;
static bool given_later;

static ssize_t give(struct svl_call *call, void *arg, char *to, size_t room)
{
    size_t n = strlen(given + given_at);

    (void)call;
    (void)arg;
    if (given_later)
        return -EAGAIN;
    n = n < 3 ? n : 3;
    n = n < room ? n : room;
    memcpy(to, given + given_at, n);
    given_at += n;
    return (ssize_t)n;
}

Test(client_wire, bodies_that_are_given)
{
    given_at = 0;
    strcpy(given, "abcde");
    peers_ask(&a,
              &(struct svl_fetch){.url = SVL_STR("http://x/"), .give = give, .give_length = -1});
    cr_assert_str_eq(peer_take(0),
                     "POST / HTTP/1.1\r\nHost: x\r\nUser-Agent: t\r\nTransfer-Encoding: "
                     "chunked\r\n\r\n00000003\r\nabc\r\n00000002\r\nde\r\n0\r\n\r\n");
    peer_say(0, OK);
    ends_with(&a, 200, "ok");
    cr_assert(peer_open(0));

    given_at = 0;
    given_later = true;
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .give = give, .give_length = 4});
    cr_assert_str_eq(peer_take(0),
                     "POST / HTTP/1.1\r\nHost: x\r\nUser-Agent: t\r\nContent-Length: 4\r\n\r\n");
    given_later = false;
    svl_call_more(a.call);
    cr_assert_str_eq(peer_take(0), "abcd");
    peer_say(0, OK);
    ends_with(&a, 200, "ok");

    given_at = 0; /* five bytes are not ten */
    peers_ask(&a,
              &(struct svl_fetch){.url = SVL_STR("http://x/"), .give = give, .give_length = 10});
    peers_round();
    fails_with(&a, -EIO);
    cr_assert(!peer_open(0));

    given_at = 0; /* an answer before the body is through */
    given_later = true;
    peers_ask(&a,
              &(struct svl_fetch){.url = SVL_STR("http://x/"), .give = give, .give_length = -1});
    peer_say(1, "HTTP/1.1 413 no\r\nContent-Length: 2\r\n\r\nno");
    given_later = false;
    ends_with(&a, 413, "no");
    cr_assert(!peer_open(1));
}

static char pieces[256];
static unsigned heads;
static int piece_result;

static int on_piece(struct svl_call *call, svl_str piece, void *arg)
{
    (void)call;
    (void)arg;
    strncat(pieces, piece.p, piece.n);
    strcat(pieces, "|");
    return piece_result;
}

static int on_head(struct svl_call *call, const struct svl_reply *reply, void *arg)
{
    (void)call;
    (void)arg;
    cr_assert_eq(reply->status, 200);
    heads++;
    return 0;
}

Test(client_wire, bodies_that_are_streamed)
{
    const struct svl_fetch streamed = {
        .url = SVL_STR("http://x/"), .on_head = on_head, .on_piece = on_piece};

    peers_ask(&a, &streamed);
    peer_say(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    cr_assert_eq(heads, 1);
    peer_say(0, "abc");
    cr_assert_str_eq(pieces, "abc|");
    svl_call_pause(a.call);
    peer_say(0, "de");
    cr_assert_str_eq(pieces, "abc|");
    svl_call_continue(a.call);
    cr_assert_eq(a.done, 0);
    peers_round();
    peer_room(0, SIZE_MAX); /* lets it read on */
    ends_with(&a, 200, "");
    cr_assert_str_eq(pieces, "abc|de|");
    pieces[0] = '\0';
    peers_ask(&a, &streamed);
    peer_say(
        0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    ends_with(&a, 200, "");
    cr_assert_str_eq(pieces, "abc|de|");
    piece_result = -ENOSPC;
    peers_ask(&a, &streamed);
    peer_say(0, OK);
    fails_with(&a, -ENOSPC);
    cr_assert(!peer_open(0));
}

static int cancel_piece(struct svl_call *call, svl_str piece, void *arg)
{
    (void)piece;
    (void)arg;
    svl_call_cancel(call);
    return 0;
}

Test(client_wire, a_call_may_be_cancelled_by_its_own_callback)
{
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .on_piece = cancel_piece});
    peer_say(0, OK);
    cr_assert_eq(a.done, 0);
    cr_assert(!peer_open(0));
}

static svl_str gzipped(const char *text)
{
    static char out[4096];
    z_stream z = {0};

    cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)text;
    z.avail_in = (unsigned)strlen(text);
    z.next_out = (unsigned char *)out;
    z.avail_out = sizeof out;
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return (svl_str){out, z.total_out};
}

static void say_gzipped(unsigned n, const char *text, size_t cut)
{
    svl_str body = gzipped(text);
    char answer[5000];
    int at = snprintf(answer, sizeof answer,
                      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
                      body.n);

    memcpy(answer + at, body.p, body.n);
    peer_say_bytes(n, (svl_str){answer, (size_t)at + body.n - cut});
}

Test(client_wire, codings_are_undone_within_the_limit)
{
    struct svl_fetch what = {.url = SVL_STR("http://x/"), .decode = true, .max_body = 12};

    peers_ask(&a, &what);
    cr_assert_not_null(strstr(peer_take(0), "Accept-Encoding: gzip, deflate, br\r\n"));
    say_gzipped(0, "hello hello", 0);
    ends_with(&a, 200, "hello hello");
    cr_assert(a.decoded);
    peers_ask(&a, &what);
    say_gzipped(0, "hello hello hello", 0);
    fails_with(&a, SVL_ELIMIT);
    peers_ask(&a, &what);
    peer_say(1, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc");
    fails_with(&a, SVL_ESYNTAX);
    peers_ask(&a, &what);
    peer_say(2, "HTTP/1.1 200 OK\r\nContent-Encoding: x-own\r\nContent-Length: 3\r\n\r\nabc");
    ends_with(&a, 200, "abc");
    cr_assert(!a.decoded);
}

/* Expect: 100-continue ----------------------------------------------------------------------- */

static ssize_t give_hello(struct svl_call *call, void *arg, char *to, size_t room)
{
    bool *over = arg;

    (void)call;
    (void)room;
    if (*over)
        return 0;
    *over = true;
    memcpy(to, "hello", 5);
    return 5;
}

static void ask_expecting(struct asked *asked, bool streamed)
{
    static bool over;

    over = false;
    peers_ask(asked, &(struct svl_fetch){.url = SVL_STR("http://x/"),
                                         .method = SVL_POST,
                                         .expect = true,
                                         .body = streamed ? SVL_STR("") : SVL_STR("hello"),
                                         .give = streamed ? give_hello : NULL,
                                         .give_length = -1,
                                         .arg = &over});
}

#define EXPECTING "POST / HTTP/1.1\r\nHost: x\r\nUser-Agent: t\r\nExpect: 100-continue\r\n"

Test(client_wire, a_body_waits_until_it_is_wanted)
{
    for (int streamed = 0; streamed < 2; streamed++) {
        ask_expecting(&a, streamed);
        cr_assert_str_eq(peer_take(0), streamed ? EXPECTING "Transfer-Encoding: chunked\r\n\r\n"
                                                : EXPECTING "Content-Length: 5\r\n\r\n");
        peer_say(0, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 10");
        cr_assert_str_eq(peer_take(0), "");
        peer_say(0, "0 Continue\r\n\r\n");
        cr_assert_str_eq(peer_take(0), streamed ? "00000005\r\nhello\r\n0\r\n\r\n" : "hello");
        peer_say(0, OK);
        ends_with(&a, 200, "ok");
        cr_assert(peer_open(0));
    }
}

Test(client_wire, a_body_does_not_wait_for_ever)
{
    ask_expecting(&a, false);
    peer_take(0);
    peers_pass(500);
    cr_assert_str_eq(peer_take(0), "");
    peers_pass(500);
    cr_assert_str_eq(peer_take(0), "hello");
    peer_say(0, "HTTP/1.1 100 Continue\r\n\r\n" OK);
    ends_with(&a, 200, "ok");
    cr_assert(peer_open(0));
}

Test(client_wire, a_body_that_is_not_wanted_stays_here)
{
    static const char *const answers[] = {
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\n",
    };

    for (unsigned i = 0; i < 3; i++) {
        ask_expecting(&a, i == 1);
        peer_take(i);
        peer_say(i, answers[i]);
        cr_assert_str_eq(peer_take(i), "");
        peers_pass(2000); /* that is the answer, however long it takes */
        cr_assert_str_eq(peer_take(i), "");
        peer_say(i, "ok");
        ends_with(&a, (int[]){401, 200, 413}[i], "ok");
        cr_assert(!peer_open(i), "the server may still wait for the body");
    }
}

Test(client_wire, who_does_not_know_expectations_is_asked_without)
{
    ask_expecting(&a, false);
    peer_take(0);
    peer_say(0, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
    cr_assert(!peer_open(0));
    cr_assert_str_eq(peer_take(1), "POST / HTTP/1.1\r\nHost: x\r\nUser-Agent: t\r\n"
                                   "Content-Length: 5\r\n\r\nhello");
    peer_say(1, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
    ends_with(&a, 417, "no");
    cr_assert_eq(peers_made(), 2);
}

Test(client_wire, without_a_body_nothing_is_expected)
{
    peers_ask(&a, &(struct svl_fetch){.url = SVL_STR("http://x/"), .expect = true});
    cr_assert_null(strstr(peer_take(0), "Expect"));
    peer_say(0, OK);
    ends_with(&a, 200, "ok");
}

Test(client_wire, ended_while_the_body_waits)
{
    ask_expecting(&a, false);
    svl_call_cancel(a.call);
    cr_assert(!peer_open(0));
    ask_expecting(&a, true);
    peer_reset(1);
    fails_with(&a, SVL_ECLOSED);
    ask_expecting(&a, false);
    peers_pass(60000);
    fails_with(&a, -ETIMEDOUT);
    peers_pass(2000);
    ask_expecting(&a, false); /* the agent goes with it */
}

Test(client_wire, the_next_one_waits_for_the_body_before_it)
{
    struct asked first;

    peers_close();
    peers_open(&(struct svl_client_config){.name = "t", .pipeline = 4, .max_per_host = 1});
    peers_ask_url(&first, "http://x/");
    ask_expecting(&a, false);
    peer_take(0);
    peers_ask_url(&b, "http://x/2");
    cr_assert_str_eq(peer_take(0), "");
    peer_say(0, OK);
    ends_with(&first, 200, "ok");
    peer_say(0, "HTTP/1.1 100 Continue\r\n\r\n");
    cr_assert_str_eq(peer_take(0), "helloGET /2 HTTP/1.1\r\nHost: x\r\nUser-Agent: t\r\n\r\n");
    peer_say(0, OK OK);
    ends_with(&a, 200, "ok");
    ends_with(&b, 200, "ok");
}

Test(client_wire, the_last_request_of_a_connection_does_not_end_those_before_it)
{
    struct svl_fetch last = {.url = SVL_STR("http://x/last"), .method = SVL_POST, .close = true};

    peers_close();
    peers_open(&(struct svl_client_config){.name = "t", .pipeline = 4, .max_per_host = 1});
    peers_ask_url(&a, "http://x/1");
    peers_ask(&b, &last);
    cr_assert_not_null(strstr(peer_take(0), "Connection: close\r\n"));
    peer_say(0, OK);
    ends_with(&a, 200, "ok");
    cr_assert_eq(b.done, 0);
    peer_say(0, OK);
    ends_with(&b, 200, "ok");
    cr_assert(!peer_open(0));
    cr_assert_eq(peers_made(), 1);
}

Test(client_wire, an_answer_may_come_while_the_request_behind_it_is_being_sent)
{
    static char large[50000];
    struct svl_fetch post = {.url = SVL_STR("http://x/post"), .body = {large, sizeof large}};

    peers_close();
    peers_open(&(struct svl_client_config){.name = "t", .pipeline = 4, .max_per_host = 1});
    peers_ask_url(&a, "http://x/1");
    peer_take(0);
    peer_room(0, 1000);
    peers_ask(&b, &post);
    peer_say(0, OK);
    ends_with(&a, 200, "ok");
    cr_assert(peer_open(0));
    peer_room(0, 100000);
    peer_say(0, OK);
    ends_with(&b, 200, "ok");
    cr_assert_eq(peers_made(), 1);
}
