/* cgi: programs of a folder, asked through a server in memory. */
#include "serval/mod/cgi.h"
#include "support/logged.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[] = "/tmp/serval-cgi-XXXXXX";
static struct loopback *l;
static const char *const env[] = {"COLOR=blue", NULL};

static void program(const char *name, int mode, const char *text)
{
    char path[256];
    int fd;

    snprintf(path, sizeof path, "%s/%s", root, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    chmod(path, (mode_t)mode);
}

static void script(const char *name, const char *lines)
{
    char text[2048];

    snprintf(text, sizeof text, "#!/bin/sh\n%s", lines);
    program(name, 0755, text);
}

static enum svl_verdict inner(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(
        ctx, 200,
        svl_printf(ctx, "inner %.*s %.*s", SVL_FMT(ctx->req.method_text), SVL_FMT(ctx->req.path)));
}

static void open_with(const struct svl_cgi_config *cfg)
{
    const struct svl_use chain[] = {{&svl_cgi_module, cfg}, SVL_USE_END};

    l = loopback_open(&(struct svl_server_config){.chain = chain, .handler = inner});
}

static void begin(void)
{
    char path[256];

    cr_assert_not_null(mkdtemp(root));
    snprintf(path, sizeof path, "%s/sub", root);
    mkdir(path, 0755);
    logged_begin();
    open_with(&(struct svl_cgi_config){.root = root, .env = env});
}

static void end(void)
{
    char command[300];

    loopback_close(l);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "all programs are reaped");
    logged_end();
    snprintf(command, sizeof command, "rm -rf %s", root);
    cr_assert_eq(system(command), 0);
}

TestSuite(cgi, .init = begin, .fini = end, .timeout = 60);

static svl_str answer;

static bool answered(void *arg)
{
    static char all[4 << 20];
    static size_t n;
    svl_str more = loopback_take(l);

    if (arg)
        n = 0;
    memcpy(all + n, more.p, more.n);
    n += more.n;
    answer = (svl_str){all, n};
    if (!memmem(all, n, "\r\n\r\n", 4))
        return false;
    if (loopback_field(answer, "Transfer-Encoding").p)
        return svl_str_ends(answer, SVL_STR("0\r\n\r\n")) || loopback_closed(l);
    if (loopback_field(answer, "Content-Length").p) {
        unsigned long long length;

        cr_assert(svl_str_u64(loopback_field(answer, "Content-Length"), &length));
        return loopback_body(answer).n >= length || loopback_closed(l);
    }
    return true;
}

/* Sends a request and waits for its answer. */
static void ask(const char *request)
{
    bool fresh = true;

    answered(&fresh);
    loopback_send(l, request);
    loopback_until(l, answered, NULL);
}

static void get(const char *target, const char *fields)
{
    char request[1024];

    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: example.com:81\r\n%s\r\n", target,
             fields);
    ask(request);
}

/* The body without the lines of its chunks. */
static svl_str body_of(void)
{
    static char plain[4 << 20];
    svl_str rest = loopback_body(answer), line;
    size_t n = 0;

    if (!loopback_field(answer, "Transfer-Encoding").p)
        return rest;
    while (svl_str_split(&rest, '\n', &line)) {
        size_t length = strtoul(line.p, NULL, 16);

        if (length == 0 || length > rest.n)
            break;
        memcpy(plain + n, rest.p, length);
        n += length;
        rest = svl_str_from(rest, length + 2);
    }
    return (svl_str){plain, n};
}

static void expect(int status, const char *body)
{
    cr_expect_eq(loopback_status(answer), status, "%.*s %s", SVL_FMT(answer), logged);
    if (body)
        cr_expect(svl_str_eq(body_of(), svl_str_of(body)), "%.*s", SVL_FMT(answer));
}

static bool says(const char *text)
{
    return memmem(answer.p, answer.n, text, strlen(text)) != NULL;
}

Test(cgi, a_short_answer_goes_out_whole)
{
    script("hello", "printf 'Content-Type: text/plain\\n\\nhello'");
    get("/cgi-bin/hello", "");
    expect(200, "hello");
    cr_expect(svl_str_eq(loopback_field(answer, "Content-Type"), SVL_STR("text/plain")));
    get("/cgi-bin/hello", "");
    expect(200, "hello");
}

Test(cgi, the_request_is_in_variables)
{
    script("sub/env", "echo Content-Type: text/plain; echo; pwd; env | sort");
    get("/cgi-bin/sub/env/more%20path/x?a=b+c",
        "X-One: 1\r\nX-One: 2\r\nCookie: a=1\r\nCookie: b=2\r\n"
        "Proxy: http://evil\r\nX_Two: no\r\nAuthorization: Basic eA==\r\n"
        "Transfer: x\r\nConnection: keep-alive\r\n");
    expect(200, NULL);
    cr_expect(says("\nGATEWAY_INTERFACE=CGI/1.1\n"));
    cr_expect(says("\nPATH_INFO=/more path/x\n"));
    cr_expect(says("/more path/x\nQUERY_STRING=a=b+c\n") || says("PATH_TRANSLATED="));
    cr_expect(says("\nQUERY_STRING=a=b+c\n"));
    cr_expect(says("\nREQUEST_METHOD=GET\n"));
    cr_expect(says("\nREQUEST_URI=/cgi-bin/sub/env/more%20path/x?a=b+c\n"));
    cr_expect(says("\nSCRIPT_NAME=/cgi-bin/sub/env\n"));
    cr_expect(says("/sub/env\n"));
    cr_expect(says("\nSERVER_NAME=example.com\n"));
    cr_expect(says("\nSERVER_PROTOCOL=HTTP/1.1\n"));
    cr_expect(says("\nSERVER_SOFTWARE=serval/"));
    cr_expect(says("\nREMOTE_ADDR=memory\n"));
    cr_expect(says("\nHTTP_X_ONE=1, 2\n"));
    cr_expect(says("\nHTTP_COOKIE=a=1; b=2\n"));
    cr_expect(says("\nCOLOR=blue\n"));
    cr_expect(says("\nPATH=/usr/local/bin:/usr/bin:/bin\n"));
    cr_expect_not(says("HTTP_PROXY"), "httpoxy");
    cr_expect_not(says("X_TWO"), "the same name as X-Two");
    cr_expect_not(says("AUTHORIZATION"));
    cr_expect_not(says("HTTP_CONNECTION"));
    cr_expect_not(says("CONTENT_LENGTH"));
    cr_expect_not(says("HOME="), "our own environment");
    cr_expect(says("/sub\n"), "it starts in its folder");
}

Test(cgi, the_folder_is_not_left)
{
    char to[300], from[300];

    script("ok", "printf 'Content-Type: text/plain\\n\\nok'");
    program("plain", 0644, "secret");
    script(".hidden", "printf 'Content-Type: text/plain\\n\\nno'");
    snprintf(from, sizeof from, "%s/out", root);
    cr_assert_eq(symlink("/bin/sh", from), 0);
    snprintf(from, sizeof from, "%s/in", root);
    snprintf(to, sizeof to, "sub/../ok");
    cr_assert_eq(symlink(to, from), 0);
    get("/cgi-bin/../../../../bin/sh", "");
    expect(200, "inner GET /bin/sh");
    get("/cgi-bin/out", "");
    expect(200, "inner GET /cgi-bin/out");
    get("/cgi-bin/in", "");
    expect(200, "ok");
    get("/cgi-bin/.hidden", "");
    expect(200, "inner GET /cgi-bin/.hidden");
    get("/cgi-bin/none", "");
    expect(200, "inner GET /cgi-bin/none");
    get("/cgi-bin/sub", "");
    expect(200, "inner GET /cgi-bin/sub");
    get("/cgi-binx/ok", "");
    expect(200, "inner GET /cgi-binx/ok");
    get("/cgi-bin/plain", "");
    expect(403, NULL);
    script("nph-x", "printf 'HTTP/1.1 200 OK\\r\\n\\r\\n'");
    get("/cgi-bin/nph-x", "");
    expect(501, NULL);
}

Test(cgi, the_body_is_its_input)
{
    script("count",
           "echo Content-Type: text/plain; echo; echo $CONTENT_LENGTH $CONTENT_TYPE; wc -c");
    ask("POST /cgi-bin/count HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Length: "
        "5\r\n\r\nhello");
    expect(200, "5 a/b\n5\n");
    ask("POST /cgi-bin/count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
    expect(200, "7\n7\n");
    ask("POST /cgi-bin/count HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    expect(200, "0\n0\n");
}

Test(cgi, more_than_any_buffer_goes_through_in_both_directions_at_once)
{
    enum { SIZE = 3 << 20 };
    static char body[SIZE];
    char head[200];
    svl_str got;
    size_t n = 0;

    for (size_t i = 0; i < SIZE; i++)
        body[i] = (char)('a' + i % 23);
    script("cat", "printf 'Content-Type: text/plain\\nContent-Length: 3145728\\n\\n'; exec cat");
    snprintf(head, sizeof head,
             "POST /cgi-bin/cat HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", SIZE);
    answered(l); /* forgets */
    loopback_send(l, head);
    loopback_send_bytes(l, (svl_str){body, SIZE});
    loopback_until(l, answered, NULL);
    got = loopback_body(answer);
    cr_assert_eq(got.n, SIZE);
    while (n < SIZE && got.p[n] == body[n])
        n++;
    cr_assert_eq(n, SIZE);
}

Test(cgi, a_program_need_not_read_its_input)
{
    static char body[300000];
    char head[200];

    script("deaf", "exec <&-; printf 'Content-Type: text/plain\\n\\nfine'");
    memset(body, 'x', sizeof body);
    snprintf(head, sizeof head,
             "POST /cgi-bin/deaf HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", sizeof body);
    loopback_send(l, head);
    loopback_send_bytes(l, (svl_str){body, sizeof body});
    loopback_until(l, answered, NULL);
    expect(200, "fine");
}

Test(cgi, status_and_fields_are_the_programs)
{
    script(
        "status",
        "printf 'Status: 404 Gone Fishing\\r\\nX-A: b\\r\\nSet-Cookie: a\\r\\nSet-Cookie: b\\r\\n"
        "Connection: close\\r\\nTransfer-Encoding: chunked\\r\\nDate: x\\r\\nContent-Type: "
        "text/html\\r\\n\\r\\n<p>'");
    get("/cgi-bin/status", "");
    expect(404, "<p>");
    cr_expect(says("HTTP/1.1 404 Gone Fishing\r\n"));
    cr_expect(says("Set-Cookie: a\r\nSet-Cookie: b\r\n"));
    cr_expect_not(says("Date: x"));
    cr_expect_not(loopback_closed(l));
}

Test(cgi, redirects)
{
    script("away", "printf 'Location: http://example.org/x\\n\\n'");
    script("own", "printf 'Location: /moved\\nStatus: 301\\n\\n'");
    script("local", "printf 'Location: /some%%20where?q=1\\n\\n'");
    script("again", "printf 'Location: /cgi-bin/target?q=7\\n\\n'");
    script("target", "printf 'Content-Type: text/plain\\n\\n'; echo $REQUEST_METHOD $QUERY_STRING "
                     "$CONTENT_LENGTH");
    script("loop", "printf 'Location: /cgi-bin/loop\\n\\n'");
    get("/cgi-bin/away", "");
    expect(302, NULL);
    cr_expect(says("Location: http://example.org/x\r\n"));
    get("/cgi-bin/own", "");
    expect(301, NULL);
    cr_expect(says("Location: /moved\r\n"));
    get("/cgi-bin/local", "");
    expect(200, "inner GET /some where");
    ask("POST /cgi-bin/again HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    expect(200, "GET q=7\n");
    get("/cgi-bin/loop", "");
    expect(502, NULL);
}

Test(cgi, what_makes_no_sense_is_502)
{
    script("silent", "exit 3");
    script("headless", "echo no head here");
    script("folded", "printf 'A: b\\n c\\n\\n'");
    script("empty", "printf '\\nbody'");
    script("odd", "printf 'Status: 99\\n\\n'");
    script("long", "head -c 40000 /dev/zero | tr '\\\\0' a");
    script("split", "printf 'X: a\\rb\\n\\n'");
    program("garbage", 0755, "not a program");
    for (const char *const *name = (const char *const[]){"silent", "headless", "folded", "empty",
                                                         "odd", "long", "split", "garbage", NULL};
         *name; name++) {
        char target[64];

        snprintf(target, sizeof target, "/cgi-bin/%s", *name);
        get(target, "");
        cr_expect_eq(loopback_status(answer), 502, "%s: %.*s", *name, SVL_FMT(answer));
    }
    cr_expect_not_null(strstr(logged, "cgi: /cgi-bin/silent: the answer has no head"));
}

Test(cgi, a_length_that_is_wrong_is_not_believed)
{
    script("short", "printf 'Content-Type: text/plain\\nContent-Length: 9\\n\\nabc'");
    script("more", "printf 'Content-Type: text/plain\\nContent-Length: 2\\n\\nabc'");
    get("/cgi-bin/short", "");
    cr_expect(loopback_closed(l), "seen to be short");
    loopback_reconnect(l);
    get("/cgi-bin/more", "");
    expect(200, "ab");
    get("/cgi-bin/more", "");
    expect(200, "ab");
}

Test(cgi, an_error_has_nothing_of_the_programs_head)
{
    script("bad",
           "printf 'Content-Encoding: gzip\\nSet-Cookie: a\\nStatus: 404 Odd\\nno field\\n\\n'");
    script("on", "printf 'X-A: b\\nLocation: /inner\\n\\n'");
    get("/cgi-bin/bad", "");
    expect(502, NULL);
    cr_expect_not(says("gzip"));
    cr_expect_not(says("Set-Cookie"));
    cr_expect_not(says("Odd"));
    get("/cgi-bin/on", "");
    expect(200, "inner GET /inner");
    cr_expect_not(says("X-A"));
}

Test(cgi, head_has_the_length_and_no_body)
{
    script("hello", "printf 'Content-Type: text/plain\\n\\nhello'");
    loopback_send(l, "HEAD /cgi-bin/hello HTTP/1.1\r\nHost: x\r\n\r\n");
    do
        loopback_round(l);
    while ((answer = loopback_take(l)).n == 0);
    expect(200, "");
    cr_expect(says("Content-Length: 5\r\n"));
}

Test(cgi, a_type_is_guessed_when_there_is_none)
{
    script("html", "printf 'X-A: b\\n\\n <!DOCTYPE html><p>'");
    script("bytes", "printf 'X-A: b\\n\\n\\001\\002'");
    get("/cgi-bin/html", "");
    cr_expect(
        svl_str_eq(loopback_field(answer, "Content-Type"), SVL_STR("text/html; charset=utf-8")));
    get("/cgi-bin/bytes", "");
    cr_expect(
        svl_str_eq(loopback_field(answer, "Content-Type"), SVL_STR("application/octet-stream")));
}

Test(cgi, stderr_goes_to_the_log_line_by_line)
{
    script("loud", "echo one >&2; printf 'Content-Type: text/plain\\n\\nx'; printf 'two\\033[2J' "
                   ">/dev/stderr");
    get("/cgi-bin/loud", "");
    expect(200, "x");
    while (!strstr(logged, "two"))
        loopback_round(l);
    cr_expect_not_null(strstr(logged, "cgi: /cgi-bin/loud: one\n"));
    cr_expect_null(strchr(logged, '\033'));
}

Test(cgi, what_was_flushed_is_sent_at_once)
{
    script("slow", "printf 'Content-Type: text/plain\\n\\nfirst'; read x < fifo; printf second");
    {
        char path[300];

        snprintf(path, sizeof path, "%s/fifo", root);
        cr_assert_eq(mkfifo(path, 0600), 0);
        loopback_send(l, "GET /cgi-bin/slow HTTP/1.1\r\nHost: x\r\n\r\n");
        do
            loopback_round(l);
        while ((answer = loopback_take(l)).n == 0);
        cr_expect(says("first"));
        cr_expect(says("Transfer-Encoding: chunked"));
        close(open(path, O_WRONLY));
    }
    do
        loopback_round(l);
    while ((answer = loopback_take(l)).n == 0);
    cr_expect(says("second"));
}

static bool all_reaped(void *arg)
{
    siginfo_t info;

    (void)arg;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

Test(cgi, a_client_that_leaves_ends_the_program)
{
    script("sleepy", "trap '' TERM; sleep 1000 & wait");
    loopback_send(l, "GET /cgi-bin/sleepy HTTP/1.1\r\nHost: x\r\n\r\n");
    loopback_round(l);
    cr_assert_not(all_reaped(NULL));
    loopback_reset(l);
    loopback_round(l);
    loopback_pass(l, 2001);
    loopback_until(l, all_reaped, NULL);
}

Test(cgi, a_program_that_is_late_is_504_and_ended)
{
    script("sleepy", "sleep 1000");
    loopback_send(l, "GET /cgi-bin/sleepy HTTP/1.1\r\nHost: x\r\n\r\n");
    loopback_round(l);
    loopback_pass(l, 60001);
    loopback_round(l);
    answer = loopback_take(l);
    expect(504, NULL);
    loopback_until(l, all_reaped, NULL);
}

Test(cgi, an_answer_that_stops_coming_is_seen_to_be_short)
{
    script("stuck", "printf 'Content-Type: text/plain\\n\\nfirst'; sleep 1000");
    loopback_send(l, "GET /cgi-bin/stuck HTTP/1.1\r\nHost: x\r\n\r\n");
    do
        loopback_round(l);
    while ((answer = loopback_take(l)).n == 0);
    loopback_pass(l, 60001);
    loopback_round(l);
    cr_assert(loopback_closed(l));
    loopback_until(l, all_reaped, NULL);
}

Test(cgi, a_client_that_does_not_read_holds_the_program)
{
    size_t taken = 0;

    script("flood", "printf 'Content-Type: text/plain\\n\\n'; head -c 2000000 /dev/zero");
    loopback_room(l, 1000);
    loopback_send(l, "GET /cgi-bin/flood HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 200; i++) {
        loopback_round(l);
        usleep(100);
    }
    cr_assert_not(all_reaped(NULL), "it cannot write all that it has");
    loopback_room(l, SIZE_MAX);
    do {
        loopback_round(l);
        answer = loopback_take(l);
        taken += answer.n;
    } while (!svl_str_ends(answer, SVL_STR("0\r\n\r\n")));
    cr_assert_gt(taken, 2000000);
}

Test(cgi, only_so_many_run_at_a_time)
{
    loopback_close(l);
    open_with(&(struct svl_cgi_config){.root = root, .max_running = 1});
    script("sleepy", "sleep 1000");
    loopback_send_on(l, 1, SVL_STR("GET /cgi-bin/sleepy HTTP/1.1\r\nHost: x\r\n\r\n"));
    get("/cgi-bin/sleepy", "");
    expect(503, NULL);
    cr_expect(says("Retry-After: 1"));
    loopback_reset_on(l, 1);
    script("hello", "printf 'Content-Type: text/plain\\n\\nhello'");
    loopback_until(l, all_reaped, NULL);
    get("/cgi-bin/hello", "");
    expect(200, "hello");
}

Test(cgi, an_interpreter_runs_what_is_no_program)
{
    static const char *const index[] = {"index.sh", NULL};

    loopback_close(l);
    program("page.sh", 0644, "printf 'Content-Type: text/plain\\n\\n'; echo $0 $PATH_INFO");
    program("index.sh", 0644, "printf 'Content-Type: text/plain\\n\\nindex'");
    program("notes.txt", 0644, "text");
    open_with(&(struct svl_cgi_config){
        .root = root, .prefix = "/", .suffix = ".sh", .interpreter = "/bin/sh", .index = index});
    get("/page.sh/info", "");
    cr_expect(says("page.sh /info\n"));
    get("/", "");
    expect(200, "index");
    get("/notes.txt", "");
    expect(200, "inner GET /notes.txt");
    program("sub/index.sh", 0644, "printf 'Content-Type: text/plain\\n\\nsub'");
    get("/sub", "");
    expect(301, NULL);
    cr_expect(svl_str_eq(loopback_field(answer, "Location"), SVL_STR("/sub/")));
    get("/sub/", "");
    expect(200, "sub");
}

Test(cgi, a_server_that_closes_ends_its_programs)
{
    script("sleepy", "sleep 1000");
    loopback_send(l, "GET /cgi-bin/sleepy HTTP/1.1\r\nHost: x\r\n\r\n");
    loopback_round(l);
    loopback_close(l);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
    open_with(&(struct svl_cgi_config){.root = root});
}

Test(cgi, a_config_that_cannot_work_is_refused)
{
    struct svl_server *s;
    static const struct svl_cgi_config wrong[] = {{.root = NULL},
                                                  {.root = "/none"},
                                                  {.root = "/tmp", .prefix = "x"},
                                                  {.root = "/tmp", .interpreter = "sh"}};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const struct svl_use chain[] = {{&svl_cgi_module, &wrong[i]}, SVL_USE_END};

        cr_expect_lt(svl_server_open(&s, &(struct svl_server_config){.chain = chain}), 0);
    }
}
