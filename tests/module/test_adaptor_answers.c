/* What handlers written for libmicrohttpd may answer with. */
/* ctest-module: adaptor */
#include "support/foreign.h"

#include <criterion/criterion.h>

TestSuite(adaptor_answers, .init = foreign_begin, .fini = foreign_end);

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
    return foreign_queue(c, 299, r);
}

Test(adaptor_answers, fields_are_the_programs)
{
    svl_str answer = foreign_get(with_fields);

    cr_assert(svl_str_starts(answer, SVL_STR("HTTP/1.1 299 Non-Standard Status\r\n")));
    cr_assert(svl_str_eq(loopback_field(answer, "Content-Type"), SVL_STR("text/x")));
    cr_assert_not_null(memmem(answer.p, answer.n, "set-cookie: a=1\r\n", 17));
    cr_assert_not_null(memmem(answer.p, answer.n, "Set-Cookie: b=2\r\n", 17));
    cr_assert_null(loopback_field(answer, "X-Gone").p);
    cr_assert(loopback_shut(foreign.l));
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
    return foreign_queue(
        c, 200, MHD_create_response_from_callback(10, 3, count_up, NULL, foreign_count_free));
}

static enum MHD_Result from_endless_reader(struct MHD_Connection *c, const char *url)
{
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 3, count_up, NULL, foreign_count_free);

    (void)url;
    MHD_add_response_footer(r, "Foot", "er");
    return foreign_queue(c, 200, r);
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
    return foreign_queue(
        c, 200,
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 3, fail, NULL, foreign_count_free));
}

Test(adaptor_answers, readers_give_bodies_of_known_length)
{
    svl_str answer = foreign_get(from_reader);

    foreign_expect(answer, "0123456789");
    cr_assert(svl_str_eq(loopback_field(answer, "Content-Length"), SVL_STR("10")));
    cr_assert_eq(foreign.freed, 1);
    cr_assert_eq(foreign.how, MHD_REQUEST_TERMINATED_COMPLETED_OK);
}

Test(adaptor_answers, readers_give_bodies_in_chunks_with_footers)
{
    svl_str answer = foreign_get(from_endless_reader);

    cr_assert(svl_str_eq(loopback_field(answer, "Transfer-Encoding"), SVL_STR("chunked")));
    cr_assert(svl_str_ends(answer, SVL_STR("\r\n0\r\nFoot: er\r\n\r\n")), "%.*s", SVL_FMT(answer));
    cr_assert_eq(foreign.freed, 1);
}

Test(adaptor_answers, a_reader_that_fails_closes)
{
    foreign_get(from_failing_reader);
    cr_assert(loopback_closed(foreign.l));
    cr_assert_eq(foreign.freed, 1);
    cr_assert_eq(foreign.how, MHD_REQUEST_TERMINATED_CLIENT_ABORT);
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
    return foreign_queue(
        c, 200, MHD_create_response_from_callback(3, 100, now_and_then, NULL, foreign_count_free));
}

static bool is_freed(void *arg)
{
    (void)arg;
    return foreign.freed > 0;
}

Test(adaptor_answers, a_reader_with_nothing_is_asked_again)
{
    foreign_get(from_hesitant_reader);
    loopback_until(foreign.l, is_freed, NULL);
    cr_assert_eq(waits, 6);
    cr_assert_eq(foreign.how, MHD_REQUEST_TERMINATED_COMPLETED_OK);
}

static enum MHD_Result from_file(struct MHD_Connection *c, const char *url)
{
    char name[] = "/tmp/svl-adaptor-XXXXXX";
    int fd = mkstemp(name);

    (void)url;
    unlink(name);
    cr_assert_eq(write(fd, "0123456789", 10), 10);
    return foreign_queue(c, 200, MHD_create_response_from_fd_at_offset64(5, fd, 3));
}

static enum MHD_Result from_pipe(struct MHD_Connection *c, const char *url)
{
    int ends[2];

    (void)url;
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(write(ends[1], "through", 7), 7);
    close(ends[1]);
    return foreign_queue(c, 200, MHD_create_response_from_pipe(ends[0]));
}

static enum MHD_Result from_vector(struct MHD_Connection *c, const char *url)
{
    const struct MHD_IoVec parts[] = {{"one ", 4}, {NULL, 0}, {"two ", 4}, {"three", 5}};

    (void)url;
    return foreign_queue(c, 200,
                         MHD_create_response_from_iovec(parts, 4, foreign_count_free, NULL));
}

static enum MHD_Result from_forced_chunks(struct MHD_Connection *c, const char *url)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer_with_free_callback(4, (void *)"four", foreign_count_free);

    (void)url;
    cr_assert_eq(MHD_add_response_header(r, "Transfer-Encoding", "gzip"), MHD_NO);
    cr_assert_eq(MHD_add_response_header(r, "Transfer-Encoding", "chunked"), MHD_YES);
    return foreign_queue(c, 200, r);
}

Test(adaptor_answers, files_pipes_and_vectors_are_bodies)
{
    svl_str answer;

    foreign_expect(foreign_get(from_file), "34567");
    foreign_expect(foreign_get(from_vector), "one two three");
    cr_assert_eq(foreign.freed, 1);
    answer = foreign_get(from_pipe);
    cr_assert_not_null(memmem(answer.p, answer.n, "through\r\n0\r\n\r\n", 14));
    answer = foreign_get(from_forced_chunks);
    cr_assert_not_null(memmem(answer.p, answer.n, "four\r\n0\r\n\r\n", 11));
    cr_assert_eq(foreign.freed, 2);
}

static struct MHD_Response *shared;

static enum MHD_Result from_shared(struct MHD_Connection *c, const char *url)
{
    (void)url;
    return MHD_queue_response(c, 200, shared);
}

Test(adaptor_answers, an_answer_is_shared_and_freed_by_the_last)
{
    shared =
        MHD_create_response_from_buffer_with_free_callback(4, (void *)"same", foreign_count_free);
    foreign_expect(foreign_get(from_shared), "same");
    foreign_expect(foreign_get(from_shared), "same");
    cr_assert_eq(foreign.freed, 0);
    MHD_destroy_response(shared);
    cr_assert_eq(foreign.freed, 1);
}

static enum MHD_Result twice(struct MHD_Connection *c, const char *url)
{
    (void)url;
    cr_assert_eq(foreign_say(c, "first"), MHD_YES);
    cr_assert_eq(foreign_say(c, "second"), MHD_NO);
    return MHD_YES;
}

Test(adaptor_answers, only_one_answer_is_taken)
{
    foreign_expect(foreign_get(twice), "first");
}

Test(adaptor_answers, head_has_no_body_and_asks_no_reader)
{
    foreign.at_end = from_reader;
    loopback_send(foreign.l, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert_eq(loopback_body(loopback_take(foreign.l)).n, 0);
    cr_assert_eq(foreign.how, MHD_REQUEST_TERMINATED_COMPLETED_OK);
}
