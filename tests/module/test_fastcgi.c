/* fastcgi: against a server that this test plays itself, record by record. */
#include "serval/mod/fastcgi.h"
#include "../../modules/fastcgi/record.h"
#include "support/logged.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/serval-fcgi-XXXXXX";
static char address[2][100];
static int listener[2];
static struct loopback *l;
static bool keep_none;

/* The server's side ------------------------------------------------------------------------- */

static int listen_at(unsigned i)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    snprintf(address[i], sizeof address[i], "unix:%s/%u", folder, i);
    strcpy(at.sun_path, address[i] + 5);
    unlink(at.sun_path);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(listen(fd, 16), 0);
    return fd;
}

/* A request as it has come over one connection. */
static struct peer {
    int fd;
    char in[400000], params[20000], body[400000];
    size_t n_in, n_params, n_body;
    bool keep, complete, aborted;
} one, two;

static void peer_accept(struct peer *p, int from)
{
    while ((p->fd = accept4(from, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
        loopback_round(l);
    p->n_in = p->n_params = p->n_body = 0;
    p->complete = p->aborted = false;
}

static size_t param_length(const unsigned char **at)
{
    size_t n = *(*at)++;

    if (n < 128)
        return n;
    n = (n & 0x7f) << 24 | (size_t)(*at)[0] << 16 | (size_t)(*at)[1] << 8 | (*at)[2];
    *at += 3;
    return n;
}

/* Into "NAME=value\n" lines. */
static void decode_params(struct peer *p)
{
    static unsigned char raw[20000];
    const unsigned char *at = raw, *end = raw + p->n_params;
    size_t n = 0;

    memcpy(raw, p->params, p->n_params);
    p->params[n++] = '\n';
    while (at < end) {
        size_t name = param_length(&at), value = param_length(&at);

        n += (size_t)sprintf(p->params + n, "%.*s=%.*s\n", (int)name, (const char *)at, (int)value,
                             (const char *)at + name);
        at += name + value;
    }
    p->params[n] = 0;
}

/* One record off the bytes; false when there is none that is whole. */
static bool take_record(struct peer *p)
{
    const unsigned char *h = (const unsigned char *)p->in;
    size_t length, whole;
    const char *content = p->in + 8;

    if (p->n_in < 8)
        return false;
    length = (size_t)h[4] << 8 | h[5];
    whole = 8 + length + h[6];
    if (p->n_in < whole)
        return false;
    cr_assert(h[0] == 1 && h[2] == 0 && h[3] == 1);
    switch (h[1]) {
    case FCGI_BEGIN_REQUEST:
        p->keep = content[2] & FCGI_KEEP_CONN;
        p->n_params = p->n_body = 0;
        p->complete = false;
        break;
    case FCGI_ABORT_REQUEST: p->aborted = true; break;
    case FCGI_PARAMS:
        memcpy(p->params + p->n_params, content, length);
        p->n_params += length;
        if (length == 0)
            decode_params(p);
        break;
    case FCGI_STDIN:
        memcpy(p->body + p->n_body, content, length);
        p->n_body += length;
        p->complete = length == 0;
        break;
    default: cr_assert_fail("type %d", h[1]);
    }
    memmove(p->in, p->in + whole, p->n_in - whole);
    p->n_in -= whole;
    return true;
}

/* Returns false at the end of the connection. */
static bool peer_read(struct peer *p)
{
    ssize_t n = read(p->fd, p->in + p->n_in, sizeof p->in - p->n_in);

    if (n == 0 || (n < 0 && errno != EAGAIN))
        return false;
    p->n_in += n > 0 ? (size_t)n : 0;
    while (take_record(p))
        ;
    return true;
}

static void peer_request(struct peer *p)
{
    p->complete = false;
    while (!p->complete) {
        cr_assert(peer_read(p));
        loopback_round(l);
    }
}

static void peer_gone(struct peer *p)
{
    while (peer_read(p))
        loopback_round(l);
    close(p->fd);
}

static void peer_write(struct peer *p, const void *bytes, size_t n)
{
    const char *at = bytes;

    while (n > 0) {
        ssize_t done = write(p->fd, at, n);

        if (done < 0)
            loopback_round(l);
        else
            at += done, n -= (size_t)done;
    }
}

static size_t record(unsigned char *to, unsigned type, const char *content, size_t n,
                     size_t padding)
{
    fcgi_header(to, type, n);
    to[6] = (unsigned char)padding;
    memcpy(to + 8, content, n);
    memset(to + 8 + n, 0, padding);
    return 8 + n + padding;
}

static size_t end_record(unsigned char *to, unsigned protocol)
{
    char body[8] = {0, 0, 0, 0, (char)protocol, 0, 0, 0};

    return record(to, FCGI_END_REQUEST, body, 8, 0);
}

static size_t whole_answer(unsigned char *to, const char *text)
{
    size_t n = record(to, FCGI_STDOUT, text, strlen(text), 5);

    n += record(to + n, FCGI_STDOUT, "", 0, 0);
    return n + end_record(to + n, 0);
}

static void peer_answer(struct peer *p, const char *text)
{
    unsigned char bytes[1000];

    peer_write(p, bytes, whole_answer(bytes, text));
}

/* The client's side ------------------------------------------------------------------------- */

static svl_str answer;

static void hear(void)
{
    do {
        loopback_round(l);
        answer = loopback_take(l);
    } while (answer.n == 0);
}

static void expect(int status, const char *body)
{
    cr_expect_eq(loopback_status(answer), status, "%.*s %s", SVL_FMT(answer), logged);
    if (body)
        cr_expect(svl_str_eq(loopback_body(answer), svl_str_of(body)), "%.*s", SVL_FMT(answer));
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define HELLO "Content-Type: text/plain\r\n\r\nhello"

static enum svl_verdict inner(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, SVL_STR("inner"));
}

static void open_with(const struct svl_fastcgi_config *cfg)
{
    struct svl_fastcgi_config keeping = *cfg;
    const struct svl_use chain[] = {{&svl_fastcgi_module, keep_none ? cfg : &keeping}, SVL_USE_END};

    keeping.max_idle = 8;
    if (l)
        loopback_close(l);
    l = loopback_open(&(struct svl_server_config){.chain = chain, .handler = inner});
}

static void begin(void)
{
    cr_assert_not_null(mkdtemp(folder));
    listener[0] = listen_at(0);
    listener[1] = listen_at(1);
    logged_begin();
    open_with(&(struct svl_fastcgi_config){.servers = {address[0]}});
}

static void end(void)
{
    char command[300];

    loopback_close(l);
    logged_end();
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(fastcgi, .init = begin, .fini = end, .timeout = 60);

Test(fastcgi, a_connection_answers_one_request_after_the_other)
{
    loopback_send(l, GET("/a/b%20c?d"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    cr_expect(one.keep);
    cr_expect_eq(one.n_body, 0);
    cr_expect_not_null(strstr(one.params, "\nPATH_INFO=/a/b c\n"));
    cr_expect_not_null(strstr(one.params, "\nSCRIPT_NAME=\n"));
    cr_expect_not_null(strstr(one.params, "\nQUERY_STRING=d\n"));
    cr_expect_not_null(strstr(one.params, "\nREQUEST_METHOD=GET\n"));
    peer_answer(&one, HELLO);
    hear();
    expect(200, "hello");
    cr_expect_not_null(loopback_field(answer, "Content-Length").p, "it came whole");
    loopback_send(l, GET("/again"));
    peer_request(&one);
    peer_answer(&one, "Status: 404\r\n\r\nno");
    hear();
    expect(404, "no");
    cr_expect_lt(accept(listener[0], NULL, NULL), 0, "no second connection");
}

Test(fastcgi, a_connection_is_kept_only_when_asked_for)
{
    keep_none = true;
    open_with(&(struct svl_fastcgi_config){.servers = {address[0]}});
    for (int i = 0; i < 2; i++) {
        loopback_send(l, GET("/"));
        peer_accept(&one, listener[0]);
        peer_request(&one);
        cr_expect_not(one.keep);
        peer_answer(&one, HELLO);
        hear();
        expect(200, "hello");
        peer_gone(&one);
    }
}

Test(fastcgi, records_may_be_cut_anywhere)
{
    unsigned char bytes[1000];
    size_t n = whole_answer(bytes, HELLO);

    loopback_send(l, GET("/"));
    peer_accept(&one, listener[0]);
    for (int round = 0; round < 2; round++) { /* on the same connection */
        if (round)
            loopback_send(l, GET("/"));
        peer_request(&one);
        for (size_t i = 0; i < n; i++) {
            peer_write(&one, bytes + i, 1);
            loopback_round(l);
        }
        hear();
        cr_expect_eq(loopback_status(answer), 200);
    }
}

Test(fastcgi, the_body_goes_as_it_comes)
{
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
    peer_accept(&one, listener[0]);
    while (one.n_body < 3) {
        peer_read(&one);
        loopback_round(l);
    }
    cr_expect_not(one.complete);
    loopback_send(l, "def");
    peer_request(&one);
    cr_expect(svl_str_eq((svl_str){one.body, one.n_body}, SVL_STR("abcdef")));
    cr_expect_not_null(strstr(one.params, "\nCONTENT_LENGTH=6\n"));
    peer_answer(&one, HELLO);
    hear();
    expect(200, "hello");
}

Test(fastcgi, a_server_that_does_not_read_holds_the_client)
{
    enum { SIZE = 390000 };
    static char body[SIZE];

    memset(body, 'x', sizeof body);
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 390000\r\n\r\n");
    loopback_offer(l, (svl_str){body, SIZE});
    peer_accept(&one, listener[0]);
    peer_request(&one);
    cr_expect_eq(one.n_body, SIZE);
    peer_answer(&one, HELLO);
    hear();
    expect(200, "hello");
}

Test(fastcgi, a_client_that_does_not_read_holds_the_server)
{
    static unsigned char bytes[65000];
    static char content[60000];
    size_t written = 0, taken = 0, n = record(bytes, FCGI_STDOUT, content, sizeof content, 0);

    loopback_room(l, 100);
    loopback_send(l, GET("/"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    peer_write(&one, bytes, record(bytes, FCGI_STDOUT, "X: y\n\n", 6, 0));
    n = record(bytes, FCGI_STDOUT, content, sizeof content, 0);
    for (int still = 0; still < 20;) {
        ssize_t done = write(one.fd, bytes + written % n, n - written % n);

        still = done > 0 ? 0 : still + 1;
        written += done > 0 ? (size_t)done : 0;
        cr_assert_lt(written, 2000000, "it is not held");
        loopback_round(l);
    }
    loopback_room(l, SIZE_MAX);
    peer_write(&one, bytes + written % n, n - written % n);
    peer_write(&one, bytes, end_record(bytes, 0));
    do {
        hear();
        taken += answer.n;
    } while (!svl_str_ends(answer, SVL_STR("0\r\n\r\n")));
    cr_expect_gt(taken, written);
}

Test(fastcgi, what_is_flushed_is_sent_at_once)
{
    unsigned char bytes[200];

    loopback_send(l, GET("/"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    peer_write(&one, bytes, record(bytes, FCGI_STDOUT, "A: b\n\nfirst", 11, 3));
    hear();
    cr_expect_not_null(memmem(answer.p, answer.n, "first", 5));
    peer_write(&one, bytes, record(bytes, FCGI_STDOUT, "second", 6, 2));
    hear();
    cr_expect_not_null(memmem(answer.p, answer.n, "second", 6));
    peer_write(&one, bytes, end_record(bytes, 0));
    hear();
    cr_expect(svl_str_eq(answer, SVL_STR("0\r\n\r\n")));
}

Test(fastcgi, stderr_goes_to_the_log)
{
    unsigned char bytes[200];

    loopback_send(l, GET("/"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    peer_write(&one, bytes, record(bytes, FCGI_STDERR, "PHP Warning: x\nmore", 19, 0));
    peer_answer(&one, HELLO);
    hear();
    expect(200, "hello");
    cr_expect_not_null(strstr(logged, "fastcgi: stderr: PHP Warning: x\n"));
    cr_expect_not_null(strstr(logged, "fastcgi: stderr: more\n"));
}

static void refused(const unsigned char *bytes, size_t n, int status)
{
    loopback_send(l, GET("/"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    peer_write(&one, bytes, n);
    hear();
    expect(status, NULL);
    peer_gone(&one);
}

Test(fastcgi, answers_that_are_none_are_502)
{
    unsigned char bytes[200];

    refused(bytes, end_record(bytes, FCGI_OVERLOADED), 503);
    refused(bytes, end_record(bytes, FCGI_CANT_MPX_CONN), 502);
    refused((const unsigned char *)"HTTP/1.1 200 OK\r\n\r\n", 19, 502);
    refused(bytes, record(bytes, FCGI_STDOUT, "no head\n\n", 9, 0), 502);
    fcgi_header(bytes, FCGI_STDOUT, 0);
    bytes[3] = 2; /* another request */
    refused(bytes, 8, 502);
    fcgi_header(bytes, FCGI_END_REQUEST, 3);
    refused(bytes, 11, 502);
}

Test(fastcgi, an_answer_without_a_head_is_502)
{
    unsigned char bytes[200];

    loopback_send(l, GET("/"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    peer_write(&one, bytes, end_record(bytes, 0));
    hear();
    expect(502, NULL);
}

Test(fastcgi, a_connection_that_was_closed_while_idle_is_made_anew)
{
    loopback_send(l, GET("/"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    peer_answer(&one, HELLO);
    hear();
    close(one.fd); /* we learn of it when the request is on its way */
    loopback_send(l, GET("/"));
    peer_accept(&two, listener[0]);
    peer_request(&two);
    peer_answer(&two, HELLO);
    hear();
    expect(200, "hello");
}

Test(fastcgi, what_may_have_been_done_is_not_done_again)
{
    loopback_send(l, GET("/"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    peer_answer(&one, HELLO);
    hear();
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    peer_request(&one);
    close(one.fd);
    hear();
    expect(502, NULL);
    cr_expect_lt(accept(listener[0], NULL, NULL), 0);
}

Test(fastcgi, a_server_that_closes_in_the_middle_is_seen)
{
    unsigned char bytes[200];

    loopback_send(l, GET("/"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    peer_write(&one, bytes, record(bytes, FCGI_STDOUT, "A: b\n\nfirst", 11, 3));
    hear();
    close(one.fd);
    while (!loopback_closed(l))
        loopback_round(l);
}

Test(fastcgi, the_next_server_is_asked_when_one_is_down)
{
    open_with(&(struct svl_fastcgi_config){.servers = {address[0], address[1]}});
    close(listener[0]);
    unlink(address[0] + 5);
    for (int i = 0; i < 3; i++) {
        loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        if (i == 0)
            peer_accept(&one, listener[1]);
        peer_request(&one);
        cr_expect_eq(one.n_body, 3);
        peer_answer(&one, HELLO);
        hear();
        expect(200, "hello");
    }
    cr_expect_not_null(strstr(logged, "fastcgi: unix:"));
}

Test(fastcgi, no_server_is_502)
{
    close(listener[0]);
    unlink(address[0] + 5);
    loopback_send(l, GET("/"));
    hear();
    expect(502, NULL);
}

Test(fastcgi, a_port_where_nobody_listens_is_502)
{
    open_with(&(struct svl_fastcgi_config){.servers = {"127.0.0.1:1"}});
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    hear();
    expect(502, NULL);
}

Test(fastcgi, requests_wait_for_a_connection)
{
    open_with(&(struct svl_fastcgi_config){
        .servers = {address[0]}, .max_connections = 1, .max_waiting = 1});
    loopback_send(l, GET("/first"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    loopback_send_on(l, 1, SVL_STR(GET("/second")));
    loopback_send_on(l, 2, SVL_STR(GET("/third")));
    cr_expect_eq(loopback_status(loopback_take_on(l, 2)), 503, "the line is full");
    peer_answer(&one, HELLO);
    hear();
    peer_request(&one);
    cr_expect_not_null(strstr(one.params, "REQUEST_URI=/second\n"));
    peer_answer(&one, HELLO);
    while (loopback_status(loopback_take_on(l, 1)) != 200)
        loopback_round(l);
}

Test(fastcgi, nobody_waits_longer_than_said)
{
    open_with(&(struct svl_fastcgi_config){
        .servers = {address[0]}, .max_connections = 1, .wait_ms = 3000});
    loopback_send(l, GET("/first"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    loopback_send_on(l, 1, SVL_STR(GET("/second")));
    loopback_send_on(l, 2, SVL_STR(GET("/third")));
    loopback_reset_on(l, 2); /* leaves the line */
    loopback_pass(l, 3001);
    loopback_round(l);
    cr_expect_eq(loopback_status(loopback_take_on(l, 1)), 503);
    peer_answer(&one, HELLO);
    hear();
    expect(200, "hello");
}

Test(fastcgi, a_client_that_leaves_aborts_its_request)
{
    loopback_send(l, GET("/"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    loopback_reset(l);
    peer_gone(&one);
    cr_expect(one.aborted);
}

Test(fastcgi, a_late_answer_is_504)
{
    loopback_send(l, GET("/"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    loopback_pass(l, 60001);
    hear();
    expect(504, NULL);
    peer_gone(&one);
    cr_expect(one.aborted);
}

Test(fastcgi, an_early_answer_ends_the_connection)
{
    loopback_send(l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
    peer_accept(&one, listener[0]);
    while (one.n_body < 3) {
        peer_read(&one);
        loopback_round(l);
    }
    peer_answer(&one, "Status: 413\n\nno");
    hear();
    expect(413, "no");
    peer_gone(&one);
    loopback_send(l, "def" GET("/next"));
    peer_accept(&two, listener[0]);
    peer_request(&two);
    peer_answer(&two, HELLO);
    hear();
    expect(200, "hello");
}

Test(fastcgi, idle_connections_are_closed_in_time)
{
    loopback_send(l, GET("/"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    peer_answer(&one, HELLO);
    hear();
    loopback_pass(l, 30001);
    peer_gone(&one);
}

Test(fastcgi, bytes_that_nobody_asked_for_end_the_connection)
{
    unsigned char bytes[1000];
    size_t n = whole_answer(bytes, HELLO);

    loopback_send(l, GET("/"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    n += whole_answer(bytes + n, "X: surplus\n\n");
    peer_write(&one, bytes, n);
    hear();
    expect(200, "hello");
    peer_gone(&one);
}

static void touch(const char *name)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
}

Test(fastcgi, only_scripts_that_are_there_are_asked_for)
{
    static const char *const index[] = {"index.php", NULL}, *const params[] = {"A=b=c", "D", NULL};
    char line[200];

    touch("index.php");
    touch("style.css");
    open_with(&(struct svl_fastcgi_config){.servers = {address[0]},
                                           .root = folder,
                                           .suffix = ".php",
                                           .index = index,
                                           .server_root = "/there",
                                           .params = params});
    cr_expect_eq(loopback_status(loopback_get(l, "/none.php", "")), 404);
    cr_expect_not_null(strstr(loopback_get(l, "/none", "").p, "inner"));
    cr_expect_not_null(strstr(loopback_get(l, "/style.css", "").p, "inner"));
    cr_expect_not_null(strstr(loopback_get(l, "/style.css/x.php", "").p, "inner"));
    loopback_send(l, GET("/index.php/info?q"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    cr_expect_not_null(strstr(one.params, "\nSCRIPT_FILENAME=/there/index.php\n"));
    cr_expect_not_null(strstr(one.params, "\nDOCUMENT_ROOT=/there\n"));
    cr_expect_not_null(strstr(one.params, "\nPATH_INFO=/info\n"));
    cr_expect_not_null(strstr(one.params, "\nPATH_TRANSLATED=/there/info\n"));
    cr_expect_not_null(strstr(one.params, "\nA=b=c\nD=\n"));
    peer_answer(&one, HELLO);
    hear();
    loopback_send(l, GET("/"));
    peer_request(&one);
    snprintf(line, sizeof line, "\nSCRIPT_NAME=/index.php\n");
    cr_expect_not_null(strstr(one.params, line));
    peer_answer(&one, HELLO);
    hear();
}

Test(fastcgi, a_front_takes_what_is_no_file)
{
    touch("index.php");
    touch("style.css");
    open_with(&(struct svl_fastcgi_config){
        .servers = {address[0]}, .root = folder, .suffix = ".php", .front = "/index.php"});
    cr_expect_not_null(strstr(loopback_get(l, "/style.css", "").p, "inner"));
    loopback_send(l, GET("/pretty/url?q=1"));
    peer_accept(&one, listener[0]);
    peer_request(&one);
    cr_expect_not_null(strstr(one.params, "/index.php\nDOCUMENT_ROOT="));
    cr_expect_not_null(strstr(one.params, "\nREQUEST_URI=/pretty/url?q=1\n"));
    peer_answer(&one, HELLO);
    hear();
    expect(200, "hello");
}

Test(fastcgi, many_and_long_parameters_take_several_records)
{
    static char value[15000], request[16000];

    memset(value, 'v', sizeof value - 1);
    snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\n\r\n", value);
    loopback_send(l, request);
    peer_accept(&one, listener[0]);
    peer_request(&one);
    cr_expect_not_null(strstr(one.params, value));
    peer_answer(&one, HELLO);
    hear();
    expect(200, "hello");
}

Test(fastcgi, a_config_that_cannot_work_is_refused)
{
    static const struct svl_fastcgi_config wrong[] = {
        {.prefix = "/"},
        {.servers = {"nowhere"}},
        {.servers = {"127.0.0.1:0"}},
        {.servers = {"host.example:9000"}},
        {.servers = {"unix:"}},
        {.servers = {"127.0.0.1:9000"}, .front = "/x"},
        {.servers = {"127.0.0.1:9000"}, .prefix = "x"},
        {.servers = {"127.0.0.1:9000"}, .root = "/none"},
    };
    struct svl_server *s;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const struct svl_use chain[] = {{&svl_fastcgi_module, &wrong[i]}, SVL_USE_END};

        cr_expect_lt(svl_server_open(&s, &(struct svl_server_config){.chain = chain}), 0, "%zu", i);
    }
}
