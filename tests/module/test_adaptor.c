/* Handlers written for libmicrohttpd in a chain of serval's: when they are asked, and what about. */
/* ctest-module: adaptor */
#include "support/foreign.h"

#include <criterion/criterion.h>

TestSuite(adaptor, .init = foreign_begin, .fini = foreign_end);
TestSuite(adaptor_own, .fini = foreign_end);

Test(adaptor, asks_at_the_head_and_at_the_end)
{
    foreign_expect(loopback_get(foreign.l, "/a/../b%20c?x=1", ""), "hello\n");
    cr_assert_str_eq(foreign.trail, "GET /b c HTTP/1.1;end;");
    cr_assert_eq(foreign.completed, 1);
    cr_assert_eq(foreign.how, MHD_REQUEST_TERMINATED_COMPLETED_OK);
}

Test(adaptor, asks_for_each_piece_of_a_body)
{
    loopback_send(foreign.l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n");
    cr_assert_str_eq(foreign.trail, "POST / HTTP/1.1;");
    loopback_send(foreign.l, "abc");
    loopback_send(foreign.l, "def");
    foreign_expect(loopback_take(foreign.l), "hello\n");
    cr_assert_str_eq(foreign.trail, "POST / HTTP/1.1;abc;def;end;");
}

Test(adaptor, continues_a_client_that_expects_it)
{
    loopback_send(foreign.l, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n");
    cr_assert(svl_str_starts(loopback_take(foreign.l), SVL_STR("HTTP/1.1 100 ")));
    loopback_send(foreign.l, "3\r\nabc\r\n0\r\nFoot: er\r\n\r\n");
    foreign_expect(loopback_take(foreign.l), "hello\n");
}

FOREIGN_HANDLER(slowly)
{
    if (!*con_cls) {
        *con_cls = foreign.trail;
        return MHD_YES;
    }
    if (*n == 0)
        return foreign_say(c, "all of it");
    if (*n < 3 && strlen(foreign.trail) < 6)
        return MHD_YES;
    foreign_note("%.*s", (int)(*n < 2 ? *n : 2), data);
    *n -= *n < 2 ? *n : 2;
    return MHD_YES;
}

Test(adaptor_own, what_the_handler_leaves_comes_again)
{
    foreign.l = LOOPBACK(SVL_USE(adaptor, .handler = slowly));
    loopback_send(foreign.l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nab");
    cr_assert_str_eq(foreign.trail, "");
    loopback_send(foreign.l, "cde");
    cr_assert_str_eq(foreign.trail, "abcd");
    loopback_send(foreign.l, "fgh");
    foreign_expect(loopback_take(foreign.l), "all of it");
    cr_assert_str_eq(foreign.trail, "abcdefgh");
}

FOREIGN_HANDLER(at_once)
{
    cr_assert_eq(*n, 0);
    return foreign_say(c, "early");
}

Test(adaptor_own, an_early_answer_needs_no_body)
{
    foreign.l = LOOPBACK(SVL_USE(adaptor, .handler = at_once));
    foreign_expect(loopback_get(foreign.l, "/", ""), "early");
    loopback_send(foreign.l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
    foreign_expect(loopback_take(foreign.l), "early");
    loopback_send(foreign.l, "hello");
    foreign_expect(loopback_get(foreign.l, "/", ""), "early");
}

static enum MHD_Result with_a_colon(struct MHD_Connection *c, const char *url)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(2, (void *)(uintptr_t) "ok", MHD_RESPMEM_PERSISTENT);

    (void)url;
    cr_assert_eq(MHD_add_response_header(r, "A:B", "x"), MHD_YES, "as libmicrohttpd does");
    return foreign_queue(c, 200, r);
}

Test(adaptor, a_name_that_is_none_is_left_out)
{
    svl_str answer = foreign_get(with_a_colon);

    foreign_expect(answer, "ok");
    cr_assert_null(memmem(answer.p, answer.n, "A:B", 3));
}

static enum MHD_Result no(struct MHD_Connection *c, const char *url)
{
    (void)c;
    (void)url;
    return MHD_NO;
}

Test(adaptor, no_closes_without_an_answer)
{
    cr_assert_eq(foreign_get(no).n, 0);
    cr_assert(loopback_closed(foreign.l));
    cr_assert_eq(foreign.how, MHD_REQUEST_TERMINATED_WITH_ERROR);
}

FOREIGN_HANDLER(refuse_piece)
{
    return *n ? MHD_NO : MHD_YES;
}

Test(adaptor_own, no_to_a_piece_closes_too)
{
    foreign.l = LOOPBACK(SVL_USE(adaptor, .handler = refuse_piece));
    loopback_send(foreign.l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhel");
    cr_assert(loopback_closed(foreign.l));
    cr_assert_eq(loopback_take(foreign.l).n, 0);
}

Test(adaptor, a_client_that_leaves_during_its_body_completes_the_request)
{
    loopback_send(foreign.l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhel");
    loopback_reset(foreign.l);
    cr_assert_eq(foreign.completed, 1);
    cr_assert_eq(foreign.how, MHD_REQUEST_TERMINATED_CLIENT_ABORT);
}

Test(adaptor, a_body_that_does_not_come_is_told_as_late)
{
    loopback_send(foreign.l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhel");
    loopback_pass(foreign.l, 11000);
    cr_assert_eq(loopback_status(loopback_take(foreign.l)), 408);
    cr_assert_eq(foreign.completed, 1);
}

Test(adaptor_own, as_a_handler_it_gets_the_body_whole)
{
    struct svl_adaptor_config cfg = {
        .handler = foreign_handler, .cls = &foreign.l, .completed = foreign_on_completed};

    foreign.l = loopback_open(&(struct svl_server_config){.handler = svl_mhd, .handler_arg = &cfg});
    loopback_send(foreign.l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
    loopback_send(foreign.l, "def");
    foreign_expect(loopback_take(foreign.l), "hello\n");
    cr_assert_str_eq(foreign.trail, "POST / HTTP/1.1;abcdef;end;");
    cr_assert_eq(foreign.completed, 1);
}

/* What a request holds ------------------------------------------------------------------------- */

static enum MHD_Result list(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)cls;
    foreign_note("%d %s=%s;", (int)kind, name, value ? value : "NULL");
    return MHD_YES;
}

static enum MHD_Result list_all(struct MHD_Connection *c, const char *url)
{
    (void)url;
    foreign.trail[0] = '\0';
    MHD_set_connection_value(c, MHD_POSTDATA_KIND, "set", "by the program");
    cr_assert_eq(MHD_get_connection_values(c, (enum MHD_ValueKind)31, list, NULL), 10);
    cr_assert_str_eq(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "HOST"), "x");
    cr_assert_null(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "a"));
    return foreign_say(c, "");
}

Test(adaptor, values_are_those_of_libmicrohttpd)
{
    foreign.at_end = list_all;
    loopback_send(foreign.l,
                  "POST /?a=1%202&b&c=+ HTTP/1.1\r\nHost: x\r\nCookie: n=v; m=\"w x\"\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n0\r\nFoot: er\r\n\r\n");
    cr_assert_eq(loopback_status(loopback_take(foreign.l)), 200);
    cr_assert_str_eq(foreign.trail,
                     "8 a=1 2;8 b=NULL;8 c= ;1 Host=x;1 Cookie=n=v; m=\"w x\";"
                     "1 Transfer-Encoding=chunked;2 n=v;2 m=w x;16 Foot=er;4 set=by the program;");
}

static enum MHD_Result infos(struct MHD_Connection *c, const char *url)
{
    const union MHD_ConnectionInfo *info;

    (void)url;
    info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    cr_assert_eq(info->client_addr->sa_family, AF_UNIX);
    info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    cr_assert_eq(info->connect_fd, -1);
    cr_assert_null(MHD_get_connection_info(c, MHD_CONNECTION_INFO_CIPHER_ALGO));
    cr_assert_null(MHD_get_connection_info(c, MHD_CONNECTION_INFO_HTTP_STATUS));
    foreign_say(c, "");
    info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_HTTP_STATUS);
    cr_assert_eq(info->http_status, 200);
    return MHD_YES;
}

Test(adaptor, a_request_can_be_asked_about)
{
    cr_assert_eq(loopback_status(foreign_get(infos)), 200);
}
