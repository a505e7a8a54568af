/* access_log: lines, as they end up in the file. ctest-labels: threads */
#include "serval/mod/access_log.h"

#include "../../modules/access_log/line.h"
#include "../../modules/access_log/variables.h"
#include "../../modules/access_log/writer.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char path[] = "/tmp/serval-access-log-XXXXXX";
static char *text; /* what the log held at the end */

static void make_path(void)
{
    close(mkstemp(path));
    setenv("TZ", "UTC", 1);
}

static void remove_path(void)
{
    unlink(path);
    free(text);
}

TestSuite(access_log, .init = make_path, .fini = remove_path);

static enum svl_verdict answer(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    if (ctx->req.method == SVL_DELETE)
        return svl_fail(ctx, 405, NULL);
    return svl_text(ctx, 200, SVL_STR("hello"));
}

static struct loopback *open_log(enum svl_access_log_format format)
{
    const struct svl_use chain[] = {SVL_USE(access_log, .path = path, .format = format),
                                    SVL_USE_END};

    return loopback_open(&(struct svl_server_config){.chain = chain, .handler = answer});
}

/* Closes the server and reads what it logged. */
static const char *close_log(struct loopback *l)
{
    FILE *file;
    size_t n, room = 1 << 20;

    loopback_close(l);
    file = fopen(path, "r");
    text = malloc(room);
    n = fread(text, 1, room - 1, file);
    text[n] = '\0';
    fclose(file);
    return text;
}

static void expect_match(const char *got, const char *pattern)
{
    regex_t re;

    cr_assert_eq(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    cr_expect_eq(regexec(&re, got, 0, NULL, 0), 0, "%s\ndoes not match\n%s", got, pattern);
    regfree(&re);
}

#define STAMP "\\[[0-3][0-9]/[A-Z][a-z][a-z]/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} \\+0000\\]"

Test(access_log, combined_is_what_log_readers_know)
{
    struct loopback *l = open_log(SVL_LOG_COMBINED);

    loopback_get(l, "/a/../b?c=%20d", "Referer: http://r/?x\r\nUser-Agent: agent/1.0 (x; y)\r\n");
    loopback_ask(l, "DELETE /x HTTP/1.0\r\n\r\n");
    expect_match(close_log(l),
                 "^memory - - " STAMP " \"GET /a/\\.\\./b\\?c=%20d HTTP/1\\.1\" 200 5 "
                 "\"http://r/\\?x\" \"agent/1\\.0 \\(x; y\\)\"\n"
                 "memory - - " STAMP " \"DELETE /x HTTP/1\\.0\" 405 [0-9]+ \"-\" \"-\"\n$");
}

Test(access_log, pretty_is_for_people)
{
    struct loopback *l = open_log(SVL_LOG_PRETTY);

    loopback_get(l, "/docs/", "");
    expect_match(close_log(l), "^[0-2][0-9]:[0-5][0-9]:[0-6][0-9]  200  GET   /docs/ +5 B +"
                               "[0-9.]+ ms  memory\n$");
}

Test(access_log, a_file_is_combined_unless_told_otherwise)
{
    struct loopback *l = open_log(SVL_LOG_AUTO);

    loopback_get(l, "/", "");
    expect_match(close_log(l), "^memory - - ");
}

Test(access_log, common_is_combined_without_its_fields)
{
    struct loopback *l = open_log(SVL_LOG_COMMON);

    loopback_get(l, "/x", "Referer: http://r/\r\n");
    expect_match(close_log(l), "^memory - - " STAMP " \"GET /x HTTP/1\\.1\" 200 5\n$");
}

#define TIME "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{6}Z"

Test(access_log, json_has_an_object_a_line)
{
    struct loopback *l = open_log(SVL_LOG_JSON);

    loopback_get(l, "/a%20b?c=d&token=s3cret&api_key=k&monkey=m", "User-Agent: \"\xff\t\\\r\n");
    loopback_ask(l, "GET /no-host HTTP/1.1\r\n\r\n");
    loopback_reconnect(l);
    loopback_ask(l, "\x16\x03\x01 hello\r\n\r\n");
    expect_match(
        close_log(l),
        "^\\{\"ts\":\"" TIME "\",\"client\":\"memory\",\"method\":\"GET\",\"host\":\"[^\"]*\","
        "\"path\":\"/a%20b\",\"query\":\"c=d&token=\\.\\.\\.&api_key=\\.\\.\\.&monkey=m\","
        "\"proto\":\"HTTP/1\\.1\",\"status\":200,\"bytes_out\":5,\"dur_us\":[0-9]+,"
        "\"ua\":\"\\\\\"\\\\ufffd\\\\u0009\\\\\\\\\"\\}\n"
        "\\{\"ts\":\"" TIME "\",\"client\":\"memory\",[^\n]*\"status\":400,[^\n]*\\}\n"
        "\\{\"ts\":\"" TIME "\",\"client\":\"memory\",\"status\":400,\"bytes_out\":[0-9]+\\}\n$");
}

Test(access_log, logfmt_quotes_what_has_to_be)
{
    struct loopback *l = open_log(SVL_LOG_LOGFMT);

    loopback_get(l, "/a?b=c", "User-Agent: x y\r\nReferer: http://r/\r\n");
    expect_match(close_log(l),
                 "^ts=" TIME " client=memory method=GET host=[^ ]* path=/a query=\"b=c\" "
                 "proto=HTTP/1\\.1 status=200 bytes_out=5 dur_us=[0-9]+ "
                 "referer=http://r/ ua=\"x y\"\n$");
}

static struct loopback *open_template(const char *template)
{
    const struct svl_use chain[] = {
        SVL_USE(access_log, .path = path, .format = SVL_LOG_TEMPLATE, .template = template),
        SVL_USE_END};

    return loopback_open(&(struct svl_server_config){.chain = chain, .handler = answer});
}

Test(access_log, a_template_says_what_is_asked_for)
{
    struct loopback *l =
        open_template("$$[$client|${method}x|$target|$query|$status|${dur_ms:.1f}|$dur_s|"
                      "$user|$http_x_a|$sent_http_x|$type|$ts|$time]$$");

    loopback_get(l, "/a?b&Token=x", "X-A: \"\r\n");
    expect_match(
        close_log(l),
        "^\\$\\[memory\\|GETx\\|/a\\?b&Token=\\.\\.\\.\\|b&Token=\\.\\.\\.\\|200\\|[0-9]+\\.[0-9]"
        "\\|[0-9]+\\.[0-9]{3}\\|-\\|\\\\x22\\|-\\|text/plain[^|]*\\|" TIME "\\|" STAMP "\\]\\$\n$");
}

Test(access_log, a_template_of_any_length_stays_one_line)
{
    static char template[20000];
    struct loopback *l;

    for (size_t i = 0; i + 7 < sizeof template; i += 7)
        memcpy(template + i, "$target", 7);
    l = open_template(template);
    loopback_get(l, "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "");
    close_log(l);
    cr_expect_gt(strlen(text), 32 * 1024 - 64);
    cr_expect_leq(strlen(text), 32 * 1024);
    cr_expect_eq(strcspn(text, "\n"), strlen(text) - 1);
}

/* The longest fields a server takes are cut, and the objects stay whole. */
Test(access_log, long_fields_leave_an_object_whole)
{
    struct loopback *l;
    static char request[65536];
    char *at = request;
    const struct svl_use chain[] = {SVL_USE(access_log, .path = path, .format = SVL_LOG_JSON),
                                    SVL_USE_END};

    l = loopback_open(&(struct svl_server_config){
        .chain = chain, .handler = answer, .max_head = 65536, .max_target = 40000});
    at += sprintf(at, "GET /%0*d?%0*d HTTP/1.1\r\nHost: x\r\n", 12000, 1, 12000, 2);
    at += sprintf(at, "Referer: %0*d\r\nUser-Agent: ", 9000, 3);
    memset(at, '"', 9000);
    strcpy(at + 9000, "\r\n\r\n");
    loopback_ask(l, request);
    close_log(l);
    cr_expect_gt(strlen(text), 20000);
    expect_match(text, "^\\{[^\n]*\"dur_us\":[0-9]+,[^\n]*\\.\\.\\.\"\\}\n$");
}

Test(access_log, a_head_answer_has_no_bytes)
{
    struct loopback *l = open_log(SVL_LOG_COMBINED);

    loopback_ask(l, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_match(close_log(l), "\"HEAD / HTTP/1\\.1\" 200 0 ");
}

Test(access_log, refused_messages_have_their_line)
{
    struct loopback *l = open_log(SVL_LOG_COMBINED);

    loopback_ask(l, "GET /no-host HTTP/1.1\r\n\r\n");
    loopback_reconnect(l);
    loopback_ask(l, "\x16\x03\x01 hello\r\n\r\n");
    expect_match(close_log(l), "^memory - - " STAMP " \"(GET /no-host HTTP/1\\.1|-)\" 400 [0-9]+ "
                               "\"-\" \"-\"\nmemory - - " STAMP " \"-\" 400 [0-9]+ \"-\" \"-\"\n$");
}

Test(access_log, no_client_can_forge_a_line)
{
    struct loopback *l = open_log(SVL_LOG_COMBINED);
    const char *got;

    loopback_get(l, "/x", "User-Agent: \" 200 5\t\\ \xc3\xa9\r\nReferer: \"\"\r\n");
    loopback_get(l, "/\"quoted\"", "");
    got = close_log(l);
    expect_match(got, "\"\\\\x22\\\\x22\" \"\\\\x22 200 5\\\\x09\\\\x5c \\\\xc3\\\\xa9\"\n");
    for (const char *p = got; *p; p++)
        cr_expect(*p == '\n' || (*p >= 0x20 && *p < 0x7f));
}

Test(access_log, a_client_that_left_before_the_answer_is_499)
{
    extern const struct svl_module svl_test_never_module;
    const struct svl_use chain[] = {
        SVL_USE(access_log, .path = path), {&svl_test_never_module, NULL}, SVL_USE_END};
    struct loopback *l = loopback_open(&(struct svl_server_config){.chain = chain});

    loopback_send(l, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    loopback_reset(l);
    loopback_round(l);
    expect_match(close_log(l), "\"GET /slow HTTP/1\\.1\" 499 0 \"-\" \"-\"\n$");
}

static void give_back(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_resume(ctx, SVL_NEXT);
}

static enum svl_verdict never(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    return svl_pend(ctx, give_back, NULL);
}

const struct svl_module svl_test_never_module = {.name = "never", .on_request = never};

Test(access_log, two_uses_write_two_files)
{
    const struct svl_use chain[] = {
        SVL_USE(access_log, .path = path),
        SVL_USE(access_log, .path = path, .format = SVL_LOG_PRETTY),
        SVL_USE_END,
    };
    struct loopback *l =
        loopback_open(&(struct svl_server_config){.chain = chain, .handler = answer});

    loopback_get(l, "/x", "");
    close_log(l);
    expect_match(text, "(^|\n)memory - - ");
    expect_match(text, "  GET   /x ");
}

Test(access_log, every_line_is_there_after_the_end)
{
    struct loopback *l = open_log(SVL_LOG_COMBINED);
    unsigned lines = 0;

    for (int i = 0; i < 1000; i++)
        loopback_get(l, "/x", "");
    for (const char *p = close_log(l); *p; p++)
        lines += *p == '\n';
    cr_expect_eq(lines, 1000);
}

/* Lines of the program that are about the access log. */
static char said[4096];

static void remember(enum svl_level level, const char *line, void *arg)
{
    (void)level, (void)arg;
    snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", line);
}

Test(access_log, a_file_that_cannot_be_opened_stops_the_start)
{
    const struct svl_use chain[] = {SVL_USE(access_log, .path = "/nowhere/x.log"), SVL_USE_END};
    struct svl_server *server;

    svl_log_to(remember, NULL);
    cr_expect_eq(svl_server_open(&server, &(struct svl_server_config){.chain = chain}), -ENOENT);
    expect_match(said, "^access_log: /nowhere/x\\.log: [^\n]*\n$");
}

Test(access_log, a_wrong_template_stops_the_start_and_is_mended)
{
    static const struct {
        const char *template, *said;
    } cases[] = {
        {"$statu", "there is no \\$statu; did you mean \\$status\\?"},
        {"$frobnicate", "there is no \\$frobnicate; it knows"},
        {"${status", "write \\$name, \\$\\{name\\} or"},
        {"${dur_ms:.9f}", "write \\$name"},
        {"x $", "write \\$name"},
        {"${}", "write \\$name"},
    };
    struct svl_server *server;

    svl_log_to(remember, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct svl_use chain[] = {SVL_USE(access_log, .path = path,
                                                .format = SVL_LOG_TEMPLATE,
                                                .template = cases[i].template),
                                        SVL_USE_END};

        said[0] = '\0';
        cr_expect_eq(svl_server_open(&server, &(struct svl_server_config){.chain = chain}),
                     SVL_ECONFIG);
        expect_match(said, cases[i].said);
    }
}

/* The pieces ----------------------------------------------------------------------------------*/

static const char *escaped(svl_str s, size_t size, size_t room)
{
    static char out[256];
    struct line l = {out, out + size};

    svl_line_escaped(&l, s, room);
    cr_assert_leq(l.at, out + size);
    *l.at = '\0';
    return out;
}

Test(access_log_line, only_plain_bytes_stay_as_they_are)
{
    cr_expect_str_eq(escaped(SVL_STR("a b~!#[]'<>%"), 200, 200), "a b~!#[]'<>%");
    cr_expect_str_eq(escaped(SVL_STR("\"\\\x01\x1f\x7f\x80\xff"), 200, 200),
                     "\\x22\\x5c\\x01\\x1f\\x7f\\x80\\xff");
    cr_expect_str_eq(escaped((svl_str){"a\0b", 3}, 200, 200), "a\\x00b");
    cr_expect_str_eq(escaped(SVL_STR_NONE, 200, 200), "");
}

static const char *as_json(svl_str s, size_t size, size_t room)
{
    static char out[256];
    struct line l = {out, out + size};

    svl_line_json(&l, s, room);
    cr_assert_leq(l.at, out + size);
    *l.at = '\0';
    return out;
}

Test(access_log_line, json_keeps_utf8_and_nothing_else)
{
    static const char *const kept[] = {"",
                                       "a b/~",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const lost[] = {"\x80",
                                       "\xff",
                                       "\xc3",
                                       "\xc0\x80",
                                       "\xe0\x80\x80",
                                       "\xed\xa0\x80",
                                       "\xf4\x90\x80\x80",
                                       "\xf0\x80\x80\x80",
                                       "\xe2\x82",
                                       "\xf5\x80"};

    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        cr_expect_str_eq(as_json(svl_str_of(kept[i]), 200, 200), kept[i]);
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
        const char *got = as_json(svl_str_of(lost[i]), 200, 200);

        cr_expect_eq(strncmp(got, "\\ufffd", 6), 0, "%zu: %s", i, got);
        for (; *got; got++)
            cr_expect((unsigned char)*got < 0x80);
    }
    cr_expect_str_eq(as_json(SVL_STR("\"\\\n\x7f"), 200, 200), "\\\"\\\\\\u000a\\u007f");
    for (size_t room = 0; room < 40; room++) {
        cr_expect_leq(strlen(as_json(SVL_STR("\n\xc3\xa9\"abcdefghijklmnopqrstuvwxyz"), 200, room)),
                      room);
        cr_expect_leq(strlen(as_json(SVL_STR("\n\xc3\xa9\"abcdefghijklmnopqrstuvwxyz"), room, 200)),
                      room);
    }
}

Test(access_log_line, times_and_thousandths)
{
    char time[LINE_TIME_LEN + 1] = "", out[64];
    struct line l = {out, out + sizeof out};

    svl_line_time(time, 971211336, 7);
    cr_expect_str_eq(time, "2000-10-10T20:55:36.000007Z");
    svl_line_time(time, INT64_MAX, 999999);
    svl_line_time(time, INT64_MIN, 999999);
    for (unsigned digits = 0; digits < 5; digits++) {
        svl_line_thousandths(&l, 12045, digits);
        svl_line_char(&l, ' ');
    }
    *l.at = '\0';
    cr_expect_str_eq(out, "12 12.0 12.04 12.045 12.045 ");
}

Test(access_log_line, what_is_too_long_is_cut_and_says_so)
{
    static const char stuff[] = "abcdef\n\nghijklmnopqrstuvwxyz";

    for (size_t room = 0; room < 60; room++) {
        const char *got = escaped(svl_str_of(stuff), 200, room);
        size_t n = strlen(got);

        cr_expect_leq(n, room);
        if (room >= 8 && room < 30)
            cr_expect(n >= 3 && !strcmp(got + n - 3, "..."), "%zu: %s", room, got);
        cr_expect_str_eq(escaped(svl_str_of(stuff), room, 200), got);
    }
    cr_expect_str_eq(escaped(svl_str_of(stuff), 200, 60), "abcdef\\x0a\\x0aghijklmnopqrstuvwxyz");
}

Test(access_log_line, stamps_show_local_time)
{
    char stamp[LINE_STAMP_LEN + 1] = "", clock[LINE_CLOCK_LEN + 1] = "";

    setenv("TZ", "America/St_Johns", 1);
    tzset();
    svl_line_stamp(stamp, 971211336);
    cr_expect(!strcmp(stamp, "[10/Oct/2000:18:25:36 -0230]") || /* or there are no time zones */
              !strcmp(stamp, "[10/Oct/2000:20:55:36 +0000]"));
    setenv("TZ", "XXX-5:30", 1);
    tzset();
    svl_line_stamp(stamp, 971211336);
    cr_expect_str_eq(stamp, "[11/Oct/2000:02:25:36 +0530]");
    svl_line_clock(clock, 971211336);
    cr_expect_str_eq(clock, "02:25:36");
    svl_line_stamp(stamp, INT64_MAX);
    svl_line_stamp(stamp, INT64_MIN);
}

/* Three workers write as fast as they can; their lines must be whole and in order. */
enum { PRODUCERS = 3, LINES = 20000 };

static void *produce(void *arg)
{
    struct ring *ring = arg;
    char line[64];

    for (int i = 0; i < LINES; i++) {
        int n = snprintf(line, sizeof line, "%p %d%.*s\n", arg, i, i % 30,
                         " ...............................");

        svl_log_put(ring, (svl_str){line, (size_t)n});
        if (i % 256 == 0) /* lets the writer have a turn; dropped lines are fine as well */
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    return NULL;
}

Test(access_log_writer, lines_of_several_threads_stay_whole_and_in_order)
{
    char file[] = "/tmp/serval-access-log-XXXXXX", line[128];
    struct svl_access_log_writer *writer;
    struct ring *rings[PRODUCERS];
    pthread_t threads[PRODUCERS];
    int last[PRODUCERS] = {-1, -1, -1}, total = 0, dropped = 0;
    FILE *in;

    close(mkstemp(file));
    svl_log_to(remember, NULL);
    cr_assert_eq(svl_log_writer_open(&writer, file), 0);
    for (int i = 0; i < PRODUCERS; i++) {
        rings[i] = svl_log_writer_ring(writer);
        pthread_create(&threads[i], NULL, produce, rings[i]);
    }
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    svl_log_writer_close(writer);

    in = fopen(file, "r");
    while (fgets(line, sizeof line, in)) {
        void *ring;
        int number, end = 0, i = 0;

        cr_assert_eq(sscanf(line, "%p %d%n", &ring, &number, &end), 2);
        while (i < PRODUCERS && rings[i] != ring)
            i++;
        cr_assert_lt(i, PRODUCERS);
        cr_assert_gt(number, last[i]);
        cr_assert_eq((int)strlen(line), end + number % 30 + 1);
        last[i] = number;
        total++;
    }
    fclose(in);
    unlink(file);
    for (const char *p = said; (p = strstr(p, "access_log: ")); p++)
        dropped += atoi(strstr(p + 12, ": ") + 2);
    cr_expect_eq(total + dropped, PRODUCERS * LINES);
}

Test(access_log_writer, lines_of_all_workers_are_in_the_order_of_time)
{
    char file[] = "/tmp/serval-access-log-XXXXXX", line[600];
    struct svl_access_log_writer *writer;
    struct ring *rings[PRODUCERS];
    int next = 0;
    FILE *in;

    close(mkstemp(file));
    cr_assert_eq(svl_log_writer_open(&writer, file), 0);
    for (int i = 0; i < PRODUCERS; i++)
        rings[i] = svl_log_writer_ring(writer);
    for (int i = 0; i < 2000; i++) { /* less than the rings hold, in any case */
        int n = snprintf(line, sizeof line, "%d %*s\n", i, i % 200, "");

        svl_log_put(rings[i * 7 / 3 % PRODUCERS], (svl_str){line, (size_t)n});
    }
    svl_log_writer_close(writer);

    in = fopen(file, "r");
    while (fgets(line, sizeof line, in))
        cr_assert_eq(atoi(line), next++);
    fclose(in);
    unlink(file);
    cr_expect_eq(next, 2000);
}

static void put_line(struct svl_access_log_writer *writer, const char *line)
{
    svl_log_put(svl_log_writer_ring(writer), svl_str_of(line));
}

static void wait_for_bytes(const char *file, off_t n)
{
    struct stat st;

    for (int i = 0; i < 6000 && (stat(file, &st) || st.st_size < n); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    cr_assert_eq(st.st_size, n);
}

static void expect_file(const char *file, const char *content)
{
    char got[64] = "";
    FILE *in = fopen(file, "r");

    cr_assert_not_null(in, "%s", file);
    got[fread(got, 1, sizeof got - 1, in)] = '\0';
    fclose(in);
    cr_expect_str_eq(got, content);
    unlink(file);
}

Test(access_log_writer, a_file_that_was_moved_away_is_opened_anew)
{
    char file[] = "/tmp/serval-access-log-XXXXXX", moved[64];
    struct svl_access_log_writer *writer;

    close(mkstemp(file));
    snprintf(moved, sizeof moved, "%s.1", file);
    cr_assert_eq(svl_log_writer_open(&writer, file), 0);
    put_line(writer, "one\n");
    wait_for_bytes(file, 4);
    rename(file, moved);
    put_line(writer, "two\n");
    wait_for_bytes(file, 4);
    expect_file(moved, "one\n");
    expect_file(file, "two\n"); /* and deletes it */
    put_line(writer, "three\n");
    wait_for_bytes(file, 6);
    unlink(file);
    mkdir(file, 0700); /* something in its place: better into the old one than nowhere */
    put_line(writer, "four\n");
    svl_log_writer_close(writer);
    cr_expect_eq(rmdir(file), 0);
}

Test(access_log_writer, a_reader_that_stopped_costs_lines_and_nothing_else)
{
    struct svl_access_log_writer *writer;
    struct ring *ring;
    char line[1024], fifo[] = "/tmp/serval-access-log-XXXXXX";
    int reader;

    close(mkstemp(fifo));
    unlink(fifo);
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    svl_log_to(remember, NULL);
    cr_expect_eq(svl_log_writer_open(&writer, fifo),
                 -ENXIO); /* nobody reads: no start that hangs */
    reader = open(fifo, O_RDONLY | O_NONBLOCK);
    cr_assert_eq(svl_log_writer_open(&writer, fifo), 0);
    ring = svl_log_writer_ring(writer);

    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (int i = 0; i < 1000; i++)
        svl_log_put(ring, (svl_str){line, sizeof line});
    svl_log_writer_close(writer);
    expect_match(said, "lines dropped");
    expect_match(said, "bytes lost");
    close(reader);
    unlink(fifo);
}
