/* Handlers written for libmicrohttpd in a chain of serval's. */
/* pkg-config: nettle */
#include "serval/mod/adaptor.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <nettle/md5.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct loopback *l;
static char trail[4096];
static int completed, freed;
static enum MHD_RequestTerminationCode how;
static enum MHD_Result (*at_end)(struct MHD_Connection *c, const char *url);
static struct MHD_Connection *now;

static void note(const char *format, ...)
{
    size_t n = strlen(trail);
    va_list args;

    va_start(args, format);
    vsnprintf(trail + n, sizeof trail - n, format, args);
    va_end(args);
}

static void count_free(void *cls)
{
    (void)cls;
    freed++;
}

static enum MHD_Result queue(struct MHD_Connection *c, unsigned status, struct MHD_Response *r)
{
    enum MHD_Result result = MHD_queue_response(c, status, r);

    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result say(struct MHD_Connection *c, const char *text)
{
    return queue(
        c, 200, MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY));
}

/* Notes each call; takes all of the body; the end is at_end's. */
static enum MHD_Result handler(void *cls, struct MHD_Connection *c, const char *url,
                               const char *method, const char *version, const char *data, size_t *n,
                               void **con_cls)
{
    now = c;
    cr_assert_eq(cls, &l);
    if (!*con_cls) {
        *con_cls = strdup(url);
        note("%s %s %s;", method, url, version);
        cr_assert_eq(*n, 0);
        return MHD_YES;
    }
    cr_assert_str_eq(*con_cls, url);
    if (*n) {
        note("%.*s;", (int)*n, data);
        *n = 0;
        return MHD_YES;
    }
    note("end;");
    return at_end ? at_end(c, url) : say(c, "hello\n");
}

static void on_completed(void *cls, struct MHD_Connection *c, void **con_cls,
                         enum MHD_RequestTerminationCode toe)
{
    (void)cls;
    cr_assert_not_null(*con_cls);
    cr_assert_geq(MHD_get_connection_values(c, MHD_HEADER_KIND, NULL, NULL), 0);
    free(*con_cls);
    *con_cls = NULL;
    completed++;
    how = toe;
}

static void begin(void)
{
    l = LOOPBACK(SVL_USE(adaptor, .handler = handler, .cls = &l, .completed = on_completed));
}

static void end(void)
{
    cr_assert_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

TestSuite(adaptor, .init = begin, .fini = end);
TestSuite(adaptor_own, .fini = end);

static svl_str get(enum MHD_Result (*what)(struct MHD_Connection *c, const char *url))
{
    at_end = what;
    return loopback_get(l, "/a", "");
}

static void expect_body(svl_str answer, const char *body)
{
    cr_assert_eq(loopback_status(answer), 200, "%.*s", SVL_FMT(answer));
    cr_assert(svl_str_eq(loopback_body(answer), svl_str_of(body)), "%.*s", SVL_FMT(answer));
}

/* Calls ------------------------------------------------------------------------------------------ */

Test(adaptor, asks_at_the_head_and_at_the_end)
{
    expect_body(loopback_get(l, "/a/../b%20c?x=1", ""), "hello\n");
    cr_assert_str_eq(trail, "GET /b c HTTP/1.1;end;");
    cr_assert_eq(completed, 1);
    cr_assert_eq(how, MHD_REQUEST_TERMINATED_COMPLETED_OK);
}

Test(adaptor, asks_for_each_piece_of_a_body)
{
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n");
    cr_assert_str_eq(trail, "POST / HTTP/1.1;");
    loopback_send(l, "abc");
    loopback_send(l, "def");
    expect_body(loopback_take(l), "hello\n");
    cr_assert_str_eq(trail, "POST / HTTP/1.1;abc;def;end;");
}

Test(adaptor, continues_a_client_that_expects_it)
{
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n");
    cr_assert(svl_str_starts(loopback_take(l), SVL_STR("HTTP/1.1 100 ")));
    loopback_send(l, "3\r\nabc\r\n0\r\nFoot: er\r\n\r\n");
    expect_body(loopback_take(l), "hello\n");
}

static enum MHD_Result slowly(void *cls, struct MHD_Connection *c, const char *url,
                              const char *method, const char *version, const char *data, size_t *n,
                              void **con_cls)
{
    (void)cls;
    (void)url;
    (void)method;
    (void)version;
    if (!*con_cls) {
        *con_cls = trail;
        return MHD_YES;
    }
    if (*n == 0)
        return say(c, "all of it");
    if (*n < 3 && strlen(trail) < 6)
        return MHD_YES;
    note("%.*s", (int)(*n < 2 ? *n : 2), data);
    *n -= *n < 2 ? *n : 2;
    return MHD_YES;
}

Test(adaptor_own, what_the_handler_leaves_comes_again)
{
    l = LOOPBACK(SVL_USE(adaptor, .handler = slowly));
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nab");
    cr_assert_str_eq(trail, "");
    loopback_send(l, "cde");
    cr_assert_str_eq(trail, "abcd");
    loopback_send(l, "fgh");
    expect_body(loopback_take(l), "all of it");
    cr_assert_str_eq(trail, "abcdefgh");
}

static enum MHD_Result at_once(void *cls, struct MHD_Connection *c, const char *url,
                               const char *method, const char *version, const char *data, size_t *n,
                               void **con_cls)
{
    (void)cls;
    (void)url;
    (void)method;
    (void)version;
    (void)data;
    (void)con_cls;
    cr_assert_eq(*n, 0);
    return say(c, "early");
}

Test(adaptor_own, an_early_answer_needs_no_body)
{
    l = LOOPBACK(SVL_USE(adaptor, .handler = at_once));
    expect_body(loopback_get(l, "/", ""), "early");
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
    expect_body(loopback_take(l), "early");
    loopback_send(l, "hello");
    expect_body(loopback_get(l, "/", ""), "early");
}

static enum MHD_Result no(struct MHD_Connection *c, const char *url)
{
    (void)c;
    (void)url;
    return MHD_NO;
}

Test(adaptor, no_closes_without_an_answer)
{
    cr_assert_eq(get(no).n, 0);
    cr_assert(loopback_closed(l));
    cr_assert_eq(how, MHD_REQUEST_TERMINATED_WITH_ERROR);
}

static enum MHD_Result refuse_piece(void *cls, struct MHD_Connection *c, const char *url,
                                    const char *method, const char *version, const char *data,
                                    size_t *n, void **con_cls)
{
    (void)cls;
    (void)c;
    (void)url;
    (void)method;
    (void)version;
    (void)data;
    (void)con_cls;
    return *n ? MHD_NO : MHD_YES;
}

Test(adaptor_own, no_to_a_piece_closes_too)
{
    l = LOOPBACK(SVL_USE(adaptor, .handler = refuse_piece));
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhel");
    cr_assert(loopback_closed(l));
    cr_assert_eq(loopback_take(l).n, 0);
}

Test(adaptor, a_client_that_leaves_during_its_body_completes_the_request)
{
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhel");
    loopback_reset(l);
    cr_assert_eq(completed, 1);
    cr_assert_eq(how, MHD_REQUEST_TERMINATED_CLIENT_ABORT);
}

Test(adaptor, a_body_that_does_not_come_is_told_as_late)
{
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhel");
    loopback_pass(l, 11000);
    cr_assert_eq(loopback_status(loopback_take(l)), 408);
    cr_assert_eq(completed, 1);
}

Test(adaptor_own, as_a_handler_it_gets_the_body_whole)
{
    struct svl_adaptor_config cfg = {.handler = handler, .cls = &l, .completed = on_completed};

    l = loopback_open(&(struct svl_server_config){.handler = svl_mhd, .handler_arg = &cfg});
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
    loopback_send(l, "def");
    expect_body(loopback_take(l), "hello\n");
    cr_assert_str_eq(trail, "POST / HTTP/1.1;abcdef;end;");
    cr_assert_eq(completed, 1);
}

/* Answers ----------------------------------------------------------------------------------------- */

static enum MHD_Result with_fields(struct MHD_Connection *c, const char *url)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(2, (void *)"ok", MHD_RESPMEM_PERSISTENT);

    (void)url;
    cr_assert_eq(MHD_add_response_header(r, "Content-Type", "text/x"), MHD_YES);
    cr_assert_eq(MHD_add_response_header(r, "set-cookie", "a=1"), MHD_YES);
    cr_assert_eq(MHD_add_response_header(r, "Set-Cookie", "b=2"), MHD_YES);
    cr_assert_eq(MHD_add_response_header(r, "X-Gone", "1"), MHD_YES);
    cr_assert_eq(MHD_del_response_header(r, "X-Gone", "1"), MHD_YES);
    cr_assert_eq(MHD_del_response_header(r, "X-Gone", "1"), MHD_NO);
    cr_assert_eq(MHD_add_response_header(r, "X-Bad", "a\r\nb"), MHD_NO);
    cr_assert_eq(MHD_add_response_header(r, "X Bad", "a"), MHD_NO);
    cr_assert_eq(MHD_add_response_header(r, "Content-Length", "7"), MHD_NO);
    cr_assert_eq(MHD_add_response_header(r, "Connection", "close, x"), MHD_YES);
    cr_assert_str_eq(MHD_get_response_header(r, "connection"), "close, x");
    cr_assert_eq(MHD_del_response_header(r, "Connection", "x"), MHD_YES);
    cr_assert_str_eq(MHD_get_response_header(r, "connection"), "close");
    cr_assert_eq(MHD_get_response_headers(r, NULL, NULL), 4);
    return queue(c, 299, r);
}

Test(adaptor, fields_are_the_programs)
{
    svl_str answer = get(with_fields);

    cr_assert(svl_str_starts(answer, SVL_STR("HTTP/1.1 299 Non-Standard Status\r\n")));
    cr_assert(svl_str_eq(loopback_field(answer, "Content-Type"), SVL_STR("text/x")));
    cr_assert_not_null(memmem(answer.p, answer.n, "set-cookie: a=1\r\n", 17));
    cr_assert_not_null(memmem(answer.p, answer.n, "Set-Cookie: b=2\r\n", 17));
    cr_assert_null(loopback_field(answer, "X-Gone").p);
    cr_assert(loopback_shut(l));
}

static ssize_t count_up(void *cls, uint64_t pos, char *to, size_t max)
{
    (void)cls;
    cr_assert_leq(max, 3);
    if (pos >= 10)
        return MHD_CONTENT_READER_END_OF_STREAM;
    for (size_t i = 0; i < max; i++)
        to[i] = (char)('0' + (pos + i) % 10);
    return (ssize_t)(max < 10 - pos ? max : 10 - pos);
}

static enum MHD_Result from_reader(struct MHD_Connection *c, const char *url)
{
    (void)url;
    return queue(c, 200, MHD_create_response_from_callback(10, 3, count_up, NULL, count_free));
}

static enum MHD_Result from_endless_reader(struct MHD_Connection *c, const char *url)
{
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 3, count_up, NULL, count_free);

    (void)url;
    MHD_add_response_footer(r, "Foot", "er");
    return queue(c, 200, r);
}

static ssize_t fail(void *cls, uint64_t pos, char *to, size_t max)
{
    (void)cls;
    (void)to;
    (void)max;
    return pos ? MHD_CONTENT_READER_END_WITH_ERROR : 1;
}

static enum MHD_Result from_failing_reader(struct MHD_Connection *c, const char *url)
{
    (void)url;
    return queue(c, 200,
                 MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 3, fail, NULL, count_free));
}

Test(adaptor, readers_give_bodies_of_known_length)
{
    svl_str answer = get(from_reader);

    expect_body(answer, "0123456789");
    cr_assert(svl_str_eq(loopback_field(answer, "Content-Length"), SVL_STR("10")));
    cr_assert_eq(freed, 1);
    cr_assert_eq(how, MHD_REQUEST_TERMINATED_COMPLETED_OK);
}

Test(adaptor, readers_give_bodies_in_chunks_with_footers)
{
    svl_str answer = get(from_endless_reader);

    cr_assert(svl_str_eq(loopback_field(answer, "Transfer-Encoding"), SVL_STR("chunked")));
    cr_assert(svl_str_ends(answer, SVL_STR("\r\n0\r\nFoot: er\r\n\r\n")), "%.*s", SVL_FMT(answer));
    cr_assert_eq(freed, 1);
}

Test(adaptor, a_reader_that_fails_closes)
{
    get(from_failing_reader);
    cr_assert(loopback_closed(l));
    cr_assert_eq(freed, 1);
    cr_assert_eq(how, MHD_REQUEST_TERMINATED_CLIENT_ABORT);
}

static int waits;

static ssize_t now_and_then(void *cls, uint64_t pos, char *to, size_t max)
{
    (void)cls;
    (void)max;
    if (waits++ % 2 == 0)
        return 0;
    to[0] = 'x';
    return pos < 3 ? 1 : MHD_CONTENT_READER_END_OF_STREAM;
}

static enum MHD_Result from_hesitant_reader(struct MHD_Connection *c, const char *url)
{
    (void)url;
    return queue(c, 200, MHD_create_response_from_callback(3, 100, now_and_then, NULL, count_free));
}

static bool is_freed(void *arg)
{
    (void)arg;
    return freed > 0;
}

Test(adaptor, a_reader_with_nothing_is_asked_again)
{
    get(from_hesitant_reader);
    loopback_until(l, is_freed, NULL);
    cr_assert_eq(waits, 6);
    cr_assert_eq(how, MHD_REQUEST_TERMINATED_COMPLETED_OK);
}

static enum MHD_Result from_file(struct MHD_Connection *c, const char *url)
{
    char name[] = "/tmp/svl-adaptor-XXXXXX";
    int fd = mkstemp(name);

    (void)url;
    unlink(name);
    cr_assert_eq(write(fd, "0123456789", 10), 10);
    return queue(c, 200, MHD_create_response_from_fd_at_offset64(5, fd, 3));
}

static enum MHD_Result from_pipe(struct MHD_Connection *c, const char *url)
{
    int ends[2];

    (void)url;
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(write(ends[1], "through", 7), 7);
    close(ends[1]);
    return queue(c, 200, MHD_create_response_from_pipe(ends[0]));
}

static enum MHD_Result from_vector(struct MHD_Connection *c, const char *url)
{
    const struct MHD_IoVec parts[] = {{"one ", 4}, {NULL, 0}, {"two ", 4}, {"three", 5}};

    (void)url;
    return queue(c, 200, MHD_create_response_from_iovec(parts, 4, count_free, NULL));
}

static enum MHD_Result from_forced_chunks(struct MHD_Connection *c, const char *url)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer_with_free_callback(4, (void *)"four", count_free);

    (void)url;
    cr_assert_eq(MHD_add_response_header(r, "Transfer-Encoding", "gzip"), MHD_NO);
    cr_assert_eq(MHD_add_response_header(r, "Transfer-Encoding", "chunked"), MHD_YES);
    return queue(c, 200, r);
}

Test(adaptor, files_pipes_and_vectors_are_bodies)
{
    svl_str answer;

    expect_body(get(from_file), "34567");
    expect_body(get(from_vector), "one two three");
    cr_assert_eq(freed, 1);
    answer = get(from_pipe);
    cr_assert_not_null(memmem(answer.p, answer.n, "through\r\n0\r\n\r\n", 14));
    answer = get(from_forced_chunks);
    cr_assert_not_null(memmem(answer.p, answer.n, "four\r\n0\r\n\r\n", 11));
    cr_assert_eq(freed, 2);
}

static struct MHD_Response *shared;

static enum MHD_Result from_shared(struct MHD_Connection *c, const char *url)
{
    (void)url;
    return MHD_queue_response(c, 200, shared);
}

Test(adaptor, an_answer_is_shared_and_freed_by_the_last)
{
    shared = MHD_create_response_from_buffer_with_free_callback(4, (void *)"same", count_free);
    expect_body(get(from_shared), "same");
    expect_body(get(from_shared), "same");
    cr_assert_eq(freed, 0);
    MHD_destroy_response(shared);
    cr_assert_eq(freed, 1);
}

static enum MHD_Result twice(struct MHD_Connection *c, const char *url)
{
    (void)url;
    cr_assert_eq(say(c, "first"), MHD_YES);
    cr_assert_eq(say(c, "second"), MHD_NO);
    return MHD_YES;
}

Test(adaptor, only_one_answer_is_taken)
{
    expect_body(get(twice), "first");
}

Test(adaptor, head_has_no_body_and_asks_no_reader)
{
    at_end = from_reader;
    loopback_send(l, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert_eq(loopback_body(loopback_take(l)).n, 0);
    cr_assert_eq(how, MHD_REQUEST_TERMINATED_COMPLETED_OK);
}

/* What a request holds ------------------------------------------------------------------------- */

static enum MHD_Result list(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)cls;
    note("%d %s=%s;", (int)kind, name, value ? value : "NULL");
    return MHD_YES;
}

static enum MHD_Result list_all(struct MHD_Connection *c, const char *url)
{
    (void)url;
    trail[0] = '\0';
    MHD_set_connection_value(c, MHD_POSTDATA_KIND, "set", "by the program");
    cr_assert_eq(MHD_get_connection_values(c, (enum MHD_ValueKind)31, list, NULL), 10);
    cr_assert_str_eq(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "HOST"), "x");
    cr_assert_null(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "a"));
    return say(c, "");
}

Test(adaptor, values_are_those_of_libmicrohttpd)
{
    at_end = list_all;
    loopback_send(l, "POST /?a=1%202&b&c=+ HTTP/1.1\r\nHost: x\r\nCookie: n=v; m=\"w x\"\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n0\r\nFoot: er\r\n\r\n");
    cr_assert_eq(loopback_status(loopback_take(l)), 200);
    cr_assert_str_eq(trail,
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
    say(c, "");
    info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_HTTP_STATUS);
    cr_assert_eq(info->http_status, 200);
    return MHD_YES;
}

Test(adaptor, a_request_can_be_asked_about)
{
    cr_assert_eq(loopback_status(get(infos)), 200);
}

/* Forms --------------------------------------------------------------------------------------------*/

static size_t cut;

static enum MHD_Result form_value(void *cls, enum MHD_ValueKind kind, const char *key,
                                  const char *filename, const char *type, const char *encoding,
                                  const char *data, uint64_t off, size_t size)
{
    (void)cls;
    cr_assert_eq(kind, MHD_POSTDATA_KIND);
    if (off == 0)
        note("[%s|%s|%s|%s]", key, filename ? filename : "", type ? type : "",
             encoding ? encoding : "");
    note("%.*s", (int)size, data);
    return MHD_YES;
}

/* The body is given to the post processor in pieces of `cut` bytes. */
static enum MHD_Result form(void *cls, struct MHD_Connection *c, const char *url,
                            const char *method, const char *version, const char *data, size_t *n,
                            void **con_cls)
{
    (void)cls;
    (void)url;
    (void)method;
    (void)version;
    if (!*con_cls) {
        *con_cls = MHD_create_post_processor(c, 256, form_value, NULL);
        return *con_cls ? MHD_YES : say(c, "no form");
    }
    for (size_t i = 0; i < *n; i += cut)
        if (MHD_post_process(*con_cls, data + i, cut < *n - i ? cut : *n - i) != MHD_YES)
            note("!");
    if (*n) {
        *n = 0;
        return MHD_YES;
    }
    note(MHD_destroy_post_processor(*con_cls) == MHD_YES ? "." : "?");
    return say(c, "form");
}

static void post_cut(const char *type, const char *body, size_t first, const char *expected)
{
    char ask[2048];

    if (l)
        loopback_close(l);
    l = LOOPBACK(SVL_USE(adaptor, .handler = form));
    snprintf(ask, sizeof ask,
             "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
             type, strlen(body), body);
    for (cut = first; cut <= strlen(body); cut++) {
        trail[0] = '\0';
        loopback_send(l, ask);
        expect_body(loopback_take(l), "form");
        cr_assert_str_eq(trail, expected, "cut at %zu: %s", cut, trail);
    }
}

static void post(const char *type, const char *body, const char *expected)
{
    post_cut(type, body, 1, expected);
}

Test(adaptor_own, urlencoded_forms_are_read_however_they_are_cut)
{
    post("application/x-www-form-urlencoded", "a=1&b%20c=x+y%3D%z%4&empty=&bare&last=%c3%a4%",
         "[a|||]1[b c|||]x y=%z%4[empty|||][bare|||][last|||]\xc3\xa4%.");
}

Test(adaptor_own, multipart_forms_are_read_however_they_are_cut)
{
    post("multipart/form-data; boundary=XX",
         "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n"
         "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\n"
         "Content-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\ntwo\r\n\r\n"
         "--XX\r\nContent-Disposition: form-data; name=\"none\"\r\n\r\n\r\n--XX--\r\n",
         "[a|||]one[f|f.txt|text/plain|binary]two\r\n[none|||].");
}

/* RFC 7578 4.3: senders of old do so; the parts have the name of the value that they stand in. */
Test(adaptor_own, parts_of_a_nested_multipart_mixed_are_values)
{
    static const char *const types[] = {"multipart/mixed; boundary=YY",
                                        "Multipart/Mixed, boundary=\"YY\""};
    char body[1024];

    for (unsigned i = 0; i < 2; i++) {
        snprintf(body, sizeof body,
                 "--XX\r\nContent-Disposition: form-data; name=\"pics\"\r\nContent-Type: %s\r\n\r\n"
                 "--YY\r\nContent-Disposition: attachment; filename=\"1.txt\"\r\n"
                 "Content-Type: text/plain\r\n\r\none\r\n"
                 "--YY\r\nContent-Disposition: file; filename=2.gif\r\nContent-Type: image/gif\r\n"
                 "Content-Transfer-Encoding: binary\r\n\r\ntwo\r\n--Y\r\n"
                 "--YY\r\n\r\n\r\n--YY--\r\n"
                 "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nthree\r\n--XX--",
                 types[i]);
        post("multipart/form-data; boundary=XX", body,
             "[pics|1.txt|text/plain|]one[pics|2.gif|image/"
             "gif|binary]two\r\n--Y[pics|||][a|||]three.");
    }
}

Test(adaptor_own, a_nested_multipart_mixed_that_does_not_end_is_told)
{
    static const char head[] =
        "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: multipart/mixed";
    char body[512];

    snprintf(body, sizeof body, "%s; boundary=YY\r\n\r\n--YY\r\n\r\none\r\n--XX--", head);
    post_cut("multipart/form-data; boundary=XX", body, strlen(body), "[a|||]one!?");
    snprintf(body, sizeof body, "%s\r\n\r\n--YY\r\n\r\none\r\n--YY--\r\n--XX--", head);
    post_cut("multipart/form-data; boundary=XX", body, strlen(body), "!?");
}

Test(adaptor_own, a_form_that_does_not_end_is_told)
{
    post("multipart/form-data; boundary=XX",
         "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none", "[a|||]one?");
}

Test(adaptor_own, what_is_no_form_has_no_post_processor)
{
    l = LOOPBACK(SVL_USE(adaptor, .handler = form));
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
                     "Content-Length: 0\r\n\r\n");
    expect_body(loopback_take(l), "no form");
}

/* Suspending -------------------------------------------------------------------------------------- */

static int asked;

static enum MHD_Result suspend_twice(struct MHD_Connection *c, const char *url)
{
    (void)url;
    if (asked++ < 2) {
        MHD_suspend_connection(c);
        return MHD_YES;
    }
    return say(c, "resumed");
}

Test(adaptor, a_suspended_request_waits_until_it_is_resumed)
{
    cr_assert_eq(get(suspend_twice).n, 0);
    loopback_round(l);
    cr_assert_eq(asked, 1);
    MHD_resume_connection(now);
    MHD_resume_connection(now);
    loopback_round(l);
    cr_assert_eq(asked, 2);
    cr_assert_eq(loopback_take(l).n, 0);
    MHD_resume_connection(now);
    loopback_round(l);
    expect_body(loopback_take(l), "resumed");
}

static bool is_completed(void *arg)
{
    (void)arg;
    return completed > 0;
}

static enum MHD_Result resume_at_once(struct MHD_Connection *c, const char *url)
{
    (void)url;
    if (asked++ > 0)
        return say(c, "resumed");
    MHD_suspend_connection(c);
    MHD_resume_connection(c);
    return MHD_YES;
}

Test(adaptor, a_request_may_be_resumed_before_its_callback_returns)
{
    svl_str answer = get(resume_at_once);

    loopback_until(l, is_completed, NULL);
    expect_body(answer.n ? answer : loopback_take(l), "resumed");
    cr_assert_eq(asked, 2);
}

Test(adaptor, a_suspended_request_outlives_its_client)
{
    get(suspend_twice);
    loopback_reset(l);
    cr_assert_eq(completed, 0);
    MHD_resume_connection(now);
    loopback_round(l);
    cr_assert_eq(completed, 1);
}

static enum MHD_Result suspend_pieces(void *cls, struct MHD_Connection *c, const char *url,
                                      const char *method, const char *version, const char *data,
                                      size_t *n, void **con_cls)
{
    (void)cls;
    (void)url;
    (void)method;
    (void)version;
    (void)data;
    (void)con_cls;
    now = c;
    note("%zu;", *n);
    if (*n > 1) { /* takes one byte, and rests */
        --*n;
        MHD_suspend_connection(c);
        return MHD_YES;
    }
    if (*n == 0 && asked++ > 0)
        return say(c, "all");
    *n = 0;
    return MHD_YES;
}

Test(adaptor_own, a_request_may_be_suspended_within_its_body)
{
    l = LOOPBACK(SVL_USE(adaptor, .handler = suspend_pieces));
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    for (int i = 0; i < 2; i++) {
        MHD_resume_connection(now);
        loopback_round(l);
        loopback_pass(l, 1);
    }
    expect_body(loopback_take(l), "all");
    cr_assert_str_eq(trail, "0;3;2;1;0;");
}

static enum MHD_Result drop_pieces(void *cls, struct MHD_Connection *c, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *n, void **con_cls)
{
    (void)cls;
    (void)url;
    (void)method;
    (void)version;
    (void)data;
    (void)con_cls;
    now = c;
    if (*n && asked++ > 0)
        return MHD_NO;
    if (*n)
        MHD_suspend_connection(c);
    return MHD_YES;
}

Test(adaptor_own, no_after_a_suspension_closes)
{
    l = LOOPBACK(SVL_USE(adaptor, .handler = drop_pieces));
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc");
    MHD_resume_connection(now);
    loopback_round(l);
    cr_assert(loopback_closed(l));
}

/* Authentication ---------------------------------------------------------------------------------- */

static enum MHD_Result basic(struct MHD_Connection *c, const char *url)
{
    char *password, *user = MHD_basic_auth_get_username_password(c, &password);
    bool right = user && strcmp(user, "Aladdin") == 0 && strcmp(password, "open sesame") == 0;

    (void)url;
    MHD_free(user);
    MHD_free(user ? password : NULL);
    if (right)
        return say(c, "come in");
    return MHD_queue_basic_auth_fail_response(c, "cave", shared);
}

Test(adaptor, basic_authentication)
{
    static const char *const wrong[] = {"", "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZg==\r\n",
                                        "Authorization: Basic %%%\r\n",
                                        "Authorization: Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"};
    svl_str answer;

    shared = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    at_end = basic;
    for (unsigned i = 0; i < 4; i++) {
        answer = loopback_get(l, "/", wrong[i]);
        cr_assert_eq(loopback_status(answer), 401, "%s", wrong[i]);
        cr_assert(svl_str_eq(loopback_field(answer, "WWW-Authenticate"),
                             SVL_STR("Basic realm=\"cave\"")));
    }
    expect_body(loopback_get(l, "/", "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"),
                "come in");
    MHD_destroy_response(shared);
}

static enum MHD_DigestAuthAlgorithm algorithm;
static unsigned nonce_timeout = 300;

static enum MHD_Result digest(struct MHD_Connection *c, const char *url)
{
    int said = MHD_digest_auth_check2(c, "realm", "me", "secret", nonce_timeout, algorithm);
    char *user = MHD_digest_auth_get_username(c);

    (void)url;
    if (user)
        cr_assert_str_eq(user, "me");
    MHD_free(user);
    if (said == MHD_YES)
        return say(c, "come in");
    return queue(c, 200, NULL) == MHD_NO
               ? MHD_queue_auth_fail_response2(c, "realm", "opaque", shared,
                                               said == MHD_INVALID_NONCE, algorithm)
               : MHD_NO;
}

static void hash(char *hex, const char *text)
{
    uint8_t bytes[SHA256_DIGEST_SIZE];
    size_t n = algorithm == MHD_DIGEST_ALG_MD5 ? MD5_DIGEST_SIZE : SHA256_DIGEST_SIZE;
    struct sha256_ctx sha;
    struct md5_ctx md5;

    sha256_init(&sha);
    md5_init(&md5);
    if (algorithm == MHD_DIGEST_ALG_MD5) {
        md5_update(&md5, strlen(text), (const uint8_t *)text);
        md5_digest(&md5, n, bytes);
    } else {
        sha256_update(&sha, strlen(text), (const uint8_t *)text);
        sha256_digest(&sha, n, bytes);
    }
    for (size_t i = 0; i < n; i++)
        sprintf(hex + 2 * i, "%02x", bytes[i]);
}

/* What a client would send (RFC 7616 3.4.1). */
static svl_str ask_with(const char *nonce, unsigned count, const char *password, const char *uri)
{
    char a1[65], a2[65], response[65], text[512], fields[1024];

    snprintf(text, sizeof text, "me:realm:%s", password);
    hash(a1, text);
    snprintf(text, sizeof text, "GET:%s", uri);
    hash(a2, text);
    snprintf(text, sizeof text, "%s:%s:%08x:cn:auth:%s", a1, nonce, count, a2);
    hash(response, text);
    snprintf(fields, sizeof fields,
             "Authorization: Digest username=\"me\", realm=\"realm\", nonce=\"%s\", uri=\"%s\", "
             "qop=auth, nc=%08x, cnonce=\"cn\", response=\"%s\", algorithm=%s\r\n",
             nonce, uri, count, response, algorithm == MHD_DIGEST_ALG_MD5 ? "MD5" : "SHA-256");
    return loopback_get(l, "/p?q=1", fields);
}

static void take_nonce(char *nonce, svl_str answer)
{
    svl_str field = loopback_field(answer, "WWW-Authenticate");
    const char *at = field.p ? memmem(field.p, field.n, "nonce=\"", 7) : NULL;

    cr_assert_eq(loopback_status(answer), 401, "%.*s", SVL_FMT(answer));
    cr_assert_not_null(at);
    snprintf(nonce, 49, "%s", at + 7);
}

static void expect_stale(svl_str answer, bool stale)
{
    svl_str field = loopback_field(answer, "WWW-Authenticate");

    cr_assert_eq(loopback_status(answer), 401);
    cr_assert_eq(memmem(field.p, field.n, "stale=\"true\"", 12) != NULL, stale, "%.*s",
                 SVL_FMT(field));
}

static void check_digest(void)
{
    char nonce[64], other[64];

    at_end = digest;
    shared = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    take_nonce(nonce, loopback_get(l, "/p", ""));
    MHD_destroy_response(shared);
    shared = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    expect_body(ask_with(nonce, 1, "secret", "/p?q=1"), "come in");
    expect_body(ask_with(nonce, 3, "secret", "/p?q=1"), "come in");
    expect_body(ask_with(nonce, 2, "secret", "/p?q=1"), "come in"); /* one overtook the other */
    expect_stale(ask_with(nonce, 2, "secret", "/p?q=1"), true);     /* replayed */
    MHD_destroy_response(shared);
    shared = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    expect_stale(ask_with(nonce, 4, "wrong", "/p?q=1"), false);
    MHD_destroy_response(shared);
    shared = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    expect_stale(ask_with(nonce, 5, "secret", "/other"), false);
    snprintf(other, sizeof other, "%s", nonce);
    other[3] = other[3] == 'a' ? 'b' : 'a';
    MHD_destroy_response(shared);
    shared = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    expect_stale(ask_with(other, 1, "secret", "/p?q=1"), true); /* not ours */
    MHD_destroy_response(shared);
}

Test(adaptor, digest_authentication_with_md5)
{
    if (MHD_is_feature_supported(MHD_FEATURE_DIGEST_AUTH) != MHD_YES)
        cr_skip_test("built without nettle");
    algorithm = MHD_DIGEST_ALG_MD5;
    check_digest();
}

Test(adaptor, digest_authentication_with_sha_256)
{
    if (MHD_is_feature_supported(MHD_FEATURE_DIGEST_AUTH) != MHD_YES)
        cr_skip_test("built without nettle");
    algorithm = MHD_DIGEST_ALG_SHA256;
    check_digest();
}
