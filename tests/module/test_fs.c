/* fs: what is answered for a path, and what never is. Each test has a folder of its own, with a
 * file beside the root that must not be seen. */
#include "serval/mod/fs.h"

#include "support/loopback.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static char base[] = "/tmp/serval-fs-XXXXXX";
static char root[64];

static struct loopback *l; /* the server of the test; closed behind it */

/* --- The folder ----------------------------------------------------------------------------- */

static void write_bytes(const char *name, const void *bytes, size_t n)
{
    FILE *file = fopen(name, "wb");

    cr_assert(file && fwrite(bytes, 1, n, file) == n && fclose(file) == 0, "%s: %s", name,
              strerror(errno));
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

/* As a deployment does it: the name leads to the old file or to the new one. */
static void replace_text(const char *name, const char *text)
{
    write_text(".new", text);
    cr_assert_eq(rename(".new", name), 0);
}

static void set_mtime(const char *name, time_t seconds)
{
    struct timeval times[2] = {{seconds, 0}, {seconds, 0}};

    cr_assert_eq(utimes(name, times), 0);
}

static void make_folder(void)
{
    cr_assert(mkdtemp(base));
    snprintf(root, sizeof root, "%s/root", base);
    cr_assert(chdir(base) == 0 && mkdir("root", 0755) == 0);
    write_text("secret", "secret");
    cr_assert_eq(chdir("root"), 0);
    write_text("a.txt", "hello, file\n"); /* 12 bytes */
    set_mtime("a.txt", 1000000000);       /* Sun, 09 Sep 2001 01:46:40 GMT */
    write_text("empty", "");
    mkdir("dir", 0755);
    mkdir("site", 0755);
    write_text("site/index.html", "<p>index");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_folder(void)
{
    if (getuid() == 0)
        cr_assert_eq(seteuid(0), 0); /* some tests were nobody */
    if (l)
        loopback_close(l);
    cr_assert_eq(chdir("/"), 0);
    nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(fs, .init = make_folder, .fini = remove_folder);

static void link_to(const char *target, const char *path)
{
    cr_assert_eq(symlink(target, path), 0);
}

/* --- Asking --------------------------------------------------------------------------------- */

#define SERVE(...) (l = LOOPBACK(SVL_USE(fs, .root = root, __VA_ARGS__)))

/* A long answer takes several rounds, in each of which the client has read something. */
static void rounds(unsigned client)
{
    for (int i = 0; i < 100; i++) {
        loopback_round(l);
        loopback_send_on(l, client, SVL_STR(""));
    }
}

static svl_str ask(const char *method, const char *target, const char *fields)
{
    char request[20000];

    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: test\r\n%s\r\n", method, target,
             fields);
    if (loopback_shut(l))
        loopback_reconnect(l);
    loopback_take(l);
    loopback_send(l, request);
    rounds(0);
    return loopback_take(l);
}

static svl_str get(const char *target)
{
    return ask("GET", target, "");
}

static void expect_status(svl_str answer, int status, const char *what)
{
    cr_assert_eq(loopback_status(answer), status, "%s: %d instead of %d", what,
                 loopback_status(answer), status);
}

static void expect_field(svl_str answer, const char *name, const char *value)
{
    svl_str got = loopback_field(answer, name);

    if (!value)
        cr_assert_null(got.p, "%s: %.*s", name, SVL_FMT(got));
    else
        cr_assert(svl_str_eq(got, svl_str_of(value)), "%s: \"%.*s\" instead of \"%s\"", name,
                  SVL_FMT(got), value);
}

static void expect_body(svl_str answer, const char *body)
{
    svl_str got = loopback_body(answer);

    cr_assert(svl_str_eq(got, svl_str_of(body)), "\"%.*s\" instead of \"%s\"", SVL_FMT(got), body);
}

static void expect_file(const char *target, const char *body)
{
    svl_str answer = get(target);

    expect_status(answer, 200, target);
    expect_body(answer, body);
}

static void expect_missing(const char *target)
{
    svl_str answer = get(target);

    expect_status(answer, 404, target);
    cr_assert_null(memmem(answer.p, answer.n, "secret", 6), "%s", target);
}

static bool holds(svl_str text, const char *what)
{
    return memmem(text.p, text.n, what, strlen(what)) != NULL;
}

/* The value of a field, kept until the next four. */
static const char *field_of(const char *target, const char *name)
{
    static char copies[4][128];
    static unsigned next;
    svl_str value = loopback_field(get(target), name);
    char *copy = copies[next++ % 4];

    cr_assert(value.p && value.n < sizeof copies[0], "%s has no %s", target, name);
    svl_str_copy(copy, sizeof copies[0], value);
    return copy;
}

/* --- Plain files ---------------------------------------------------------------------------- */

Test(fs, a_file_is_answered_with_all_its_fields)
{
    svl_str answer;

    SERVE();
    answer = get("/a.txt");
    expect_status(answer, 200, "a.txt");
    expect_body(answer, "hello, file\n");
    expect_field(answer, "Content-Type", "text/plain; charset=utf-8");
    expect_field(answer, "Content-Length", "12");
    expect_field(answer, "Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT");
    expect_field(answer, "Accept-Ranges", "bytes");
    expect_field(answer, "Cache-Control", "no-cache");
    expect_field(answer, "X-Content-Type-Options", "nosniff");
    cr_assert_eq(loopback_field(answer, "ETag").p[0], '"');
}

Test(fs, head_is_get_without_the_body)
{
    svl_str answer;

    SERVE();
    answer = ask("HEAD", "/a.txt", "");
    expect_status(answer, 200, "HEAD");
    expect_field(answer, "Content-Length", "12");
    expect_body(answer, "");
    expect_file("/a.txt", "hello, file\n"); /* on the same connection */
}

Test(fs, an_empty_file_is_an_empty_answer)
{
    svl_str answer;

    SERVE();
    answer = get("/empty");
    expect_status(answer, 200, "empty");
    expect_field(answer, "Content-Length", "0");
    expect_body(answer, "");
}

Test(fs, files_longer_than_the_cache_takes_are_whole)
{
    size_t n = 300001;
    char *bytes = malloc(n);
    svl_str answer;

    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * i >> 3);
    write_bytes("big", bytes, n);
    SERVE();
    for (int i = 0; i < 3; i++) { /* opened, then from the open descriptor */
        answer = loopback_body(get("/big"));
        cr_assert(svl_str_eq(answer, (svl_str){bytes, n}), "%zu bytes", answer.n);
    }
    answer = ask("GET", "/big", "Range: bytes=299990-\r\n");
    expect_status(answer, 206, "range of a big file");
    cr_assert(svl_str_eq(loopback_body(answer), (svl_str){bytes + 299990, 11}));
    sleep(2); /* old enough for sendfile(2): the ctime cannot be set */
    answer = loopback_body(get("/big"));
    cr_assert(svl_str_eq(answer, (svl_str){bytes, n}), "%zu bytes", answer.n);
    answer = ask("GET", "/big", "Range: bytes=100000-200000\r\n");
    cr_assert(svl_str_eq(loopback_body(answer), (svl_str){bytes + 100000, 100001}));
    free(bytes);
}

Test(fs, other_methods_are_refused_with_the_ones_allowed)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "PATCH", "PROPFIND", "BREW"};

    SERVE();
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        svl_str answer = ask(methods[i], "/a.txt", "Content-Length: 0\r\n");

        expect_status(answer, 405, methods[i]);
        expect_field(answer, "Allow", "GET, HEAD, OPTIONS");
    }
    for (int i = 0; i < 2; i++) {
        svl_str answer = ask("OPTIONS", i ? "*" : "/a.txt", "");

        expect_status(answer, 204, "OPTIONS");
        expect_field(answer, "Allow", "GET, HEAD, OPTIONS");
    }
}

Test(fs, types_of_the_config_come_before_the_table)
{
    static const struct svl_fs_type types[] = {
        {"tar.gz", "application/x-archive"}, {"TXT", "text/x-mine"}, {NULL, NULL}};

    write_text("b.tar.gz", "x");
    write_text("c.gz", "x");
    write_text(".tar.gz", "x");
    SERVE(.types = types, .default_type = "x/unknown", .show_hidden = true);
    expect_field(get("/a.txt"), "Content-Type", "text/x-mine");
    expect_field(get("/b.tar.gz"), "Content-Type", "application/x-archive");
    expect_field(get("/empty"), "Content-Type", "x/unknown");
    expect_field(get("/c.gz"), "Content-Type", "application/gzip");
}

Test(fs, unknown_types_are_octets_and_cache_control_can_be_left_out)
{
    svl_str answer;

    SERVE(.cache_control = "");
    answer = get("/empty");
    expect_field(answer, "Content-Type", "application/octet-stream");
    expect_field(answer, "Cache-Control", NULL);
}

Test(fs, a_time_in_the_future_is_not_told)
{
    svl_str answer;

    set_mtime("a.txt", 4000000000);
    SERVE();
    answer = get("/a.txt");
    cr_assert(svl_str_eq(loopback_field(answer, "Last-Modified"), loopback_field(answer, "Date")));
}

/* --- Folders -------------------------------------------------------------------------------- */

Test(fs, a_folder_shows_its_index_file)
{
    static const char *const index[] = {"none", "dir", "home.html", "index.html", NULL};

    SERVE(.index = index);
    expect_file("/site/", "<p>index");
    expect_field(get("/site/"), "Content-Type", "text/html; charset=utf-8");
    write_text("home.html", "home");
    expect_file("/", "home");
    expect_missing("/dir/");
}

Test(fs, a_folder_without_its_slash_is_redirected)
{
    static const struct {
        const char *target, *location;
    } table[] = {
        {"/site", "/site/"},
        {"/site?a=b&c=%20", "/site/?a=b&c=%20"},
        {"/site?", "/site/?"},
        {"//site", "/site/"},
        {"///site", "/site/"},
        {"/%73ite", "/%73ite/"},
        {"//evil.example/../site", "/evil.example/../site/"},
        {"/%5cevil.example/../site", "/%5cevil.example/../site/"},
        {"http://test/site", "/site/"},
    };

    SERVE();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        svl_str answer = get(table[i].target);

        expect_status(answer, 301, table[i].target);
        expect_field(answer, "Location", table[i].location);
        expect_field(answer, "Cache-Control", "no-cache");
    }
}

Test(fs, a_redirect_never_leads_to_another_host)
{
    static const char *const targets[] = {"//site", "/\\site", "/\\/site", "//\\site",
                                          "/./%2fsite"};

    mkdir("\\site", 0755);
    SERVE();
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        svl_str answer = get(targets[i]), location = loopback_field(answer, "Location");

        if (loopback_status(answer) == 400 || loopback_status(answer) == 404)
            continue;
        expect_status(answer, 301, targets[i]);
        cr_assert(location.n > 1 && location.p[0] == '/' && location.p[1] != '/' &&
                      location.p[1] != '\\',
                  "%s leads to %.*s", targets[i], SVL_FMT(location));
    }
}

Test(fs, a_file_is_no_folder)
{
    SERVE(.listing = true);
    expect_missing("/a.txt/");
    expect_missing("/a.txt/index.html");
    expect_missing("/site/index.html/");
}

Test(fs, a_folder_that_may_not_be_read_still_has_its_files)
{
    chmod("site", 0711);
    cr_assert_eq(chmod(base, 0755), 0);
    cr_assert(geteuid() != 0 || seteuid(65534) == 0);
    SERVE(.listing = true);
    expect_status(get("/site"), 301, "/site");
    expect_file("/site/", "<p>index");
}

Test(fs, what_may_not_be_read_is_forbidden)
{
    cr_assert(chmod("a.txt", 0) == 0 && chmod("dir", 0) == 0 && chmod(base, 0755) == 0);
    cr_assert(geteuid() != 0 || seteuid(65534) == 0);
    SERVE(.listing = true);
    expect_status(get("/a.txt"), 403, "a file");
    expect_status(get("/dir/"), 403, "a folder");
    expect_status(get("/dir/x"), 403, "in a folder");
}

/* --- What is not to be seen ----------------------------------------------------------------- */

static const char *const traversals[] = {
    "/../secret",
    "/../../../../../../etc/passwd",
    "/dir/../../secret",
    "/%2e%2e/secret",
    "/%2E%2E/secret",
    "/.%2e/secret",
    "/%2e./secret",
    "/..%2fsecret",
    "/%2e%2e%2fsecret",
    "/..%2Fsecret",
    "/dir/..%2f..%2fsecret",
    "/..%5csecret",
    "/..\\secret",
    "/%2e%2e%5csecret",
    "/%252e%252e/secret",
    "/%252e%252e%252fsecret",
    "/%c0%ae%c0%ae/secret",
    "/%c0%ae%c0%ae%c0%afsecret",
    "/%e0%80%ae%e0%80%ae/secret",
    "/%uff0e%uff0e/secret",
    "/..;/secret",
    "/..%00/secret",
    "/../secret%00.txt",
    "/a.txt/../../secret",
    "/./../secret",
    "//../secret",
    "/....//secret",
    "/.../secret",
    "/../root/../secret",
    "/%2f..%2fsecret",
    "http://test/../secret",
    "/~/../../secret",
    "/out",
    "/out/",
    "/dir/out",
    "/up/secret",
    "/up",
    "/up/",
    "/absolute",
    "/self",
    "/circle",
    "/proc/self/root/etc/passwd",
    "/dangling",
    "/%2ehidden",
    "/.hidden",
    "/.folder/x",
    "/.folder/",
    "/dir/.hidden",
    "/.well-known/.hidden",
    "/.well-known2/x",
    "/dir/.well-known/x",
};

static void make_traps(void)
{
    cr_assert_eq(symlink("../secret", "out"), 0);
    cr_assert_eq(symlink("../../secret", "dir/out"), 0);
    cr_assert_eq(symlink("..", "up"), 0);
    cr_assert_eq(symlink("/etc/passwd", "absolute"), 0);
    cr_assert_eq(symlink("/proc/self/exe", "self"), 0);
    cr_assert_eq(symlink("circle", "circle"), 0);
    cr_assert_eq(symlink("nothing", "dangling"), 0);
    write_text(".hidden", "secret");
    write_text("dir/.hidden", "secret");
    mkdir(".folder", 0755);
    write_text(".folder/x", "secret");
    mkdir(".well-known", 0755);
    write_text(".well-known/.hidden", "secret");
    write_text(".well-known/x", "known");
    mkdir(".well-known2", 0755);
    write_text(".well-known2/x", "secret");
    mkdir("dir/.well-known", 0755);
    write_text("dir/.well-known/x", "secret");
}

static void try_traversals(void)
{
    for (size_t i = 0; i < sizeof traversals / sizeof *traversals; i++) {
        svl_str answer = get(traversals[i]);
        int status = loopback_status(answer);

        cr_assert(status == 404 || status == 400, "%s: %d", traversals[i], status);
        cr_assert(!holds(loopback_body(answer), "secret") && !holds(answer, "root:"), "%s",
                  traversals[i]);
    }
    expect_file("/.well-known/x", "known");
}

Test(fs, nothing_outside_of_the_root_is_reached)
{
    make_traps();
    SERVE(.listing = true);
    try_traversals();
}

Test(fs, nothing_outside_of_the_root_is_reached_without_openat2)
{
    make_traps();
    SERVE(.listing = true, .no_openat2 = true);
    try_traversals();
}

Test(fs, paths_that_only_look_like_traversal_are_files)
{
    mkdir("...", 0755);
    write_text("a..b", "1");
    write_text("c..", "2");
    write_text("%2e%2e", "3");
    write_text("b\\c", "4");
    SERVE();
    expect_file("/a..b", "1");
    expect_file("/c..", "2");
    expect_file("/%252e%252e", "3");
    expect_file("/b%5Cc", "4");
    expect_file("/dir/../a..b", "1");
    expect_file("/./dir/.././/a..b", "1");
}

Test(fs, links_inside_of_the_root_are_followed)
{
    link_to("../a.txt", "dir/in");
    link_to("site", "alias");
    SERVE(.symlinks = SVL_FS_INSIDE);
    expect_file("/dir/in", "hello, file\n");
    expect_file("/alias/", "<p>index");
    expect_status(get("/alias"), 301, "/alias");
}

Test(fs, links_are_not_followed_when_denied)
{
    link_to("../a.txt", "dir/in");
    link_to("site", "alias");
    SERVE(.symlinks = SVL_FS_DENY);
    expect_missing("/dir/in");
    expect_missing("/alias/");
    expect_missing("/alias");
    expect_file("/a.txt", "hello, file\n");
}

Test(fs, without_openat2_links_are_denied)
{
    link_to("../a.txt", "dir/in");
    link_to("site", "alias");
    SERVE(.no_openat2 = true);
    expect_missing("/dir/in");
    expect_missing("/alias/index.html");
    expect_missing("/alias");
    expect_file("/site/", "<p>index");
    expect_file("/site/index.html", "<p>index");
    expect_status(get("/site"), 301, "/site");
}

Test(fs, links_lead_anywhere_only_if_asked_for)
{
    link_to("../secret", "out");
    SERVE(.symlinks = SVL_FS_FOLLOW);
    expect_file("/out", "secret");
}

Test(fs, a_folder_that_becomes_a_link_out_is_noticed)
{
    write_text("dir/x", "inside");
    SERVE();
    expect_file("/dir/x", "inside");
    mkdir("../elsewhere", 0755);
    write_text("../elsewhere/x", "secret");
    rename("dir", "dir2");
    link_to("../elsewhere", "dir");
    usleep(2000);
    expect_missing("/dir/x");
}

Test(fs, fifos_sockets_and_devices_are_not_files)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    cr_assert_eq(mkfifo("fifo", 0644), 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    link_to("/dev/zero", "zero");
    SERVE(.symlinks = SVL_FS_FOLLOW);
    expect_missing("/fifo"); /* and does not wait for a writer */
    expect_missing("/socket");
    expect_missing("/zero");
    close(fd);
}

Test(fs, hidden_files_can_be_shown)
{
    write_text(".hidden", "shown");
    SERVE(.show_hidden = true);
    expect_file("/.hidden", "shown");
    expect_missing("/../secret");
}

Test(fs, names_too_long_for_the_system_are_missing)
{
    char target[9000];

    SERVE(.listing = true);
    for (size_t n = 250; n < 8000; n += 250) {
        memset(target, 'x', n);
        target[0] = '/';
        target[n] = 0;
        expect_missing(target);
        for (size_t i = 2; i < n; i += 2)
            target[i] = '/';
        expect_missing(target);
    }
}

Test(fs, every_byte_of_a_name_can_be_asked_for)
{
    char name[3] = "xx", target[16];

    SERVE();
    for (int c = 1; c < 256; c++) {
        if (c == '/')
            continue;
        name[1] = (char)c;
        write_text(name, name);
        snprintf(target, sizeof target, "/x%%%02x", c);
        expect_file(target, name);
    }
}

/* --- Conditions ----------------------------------------------------------------------------- */

#define TIME "Sun, 09 Sep 2001 01:46:40 GMT"
#define BEFORE "Sun, 09 Sep 2001 01:46:39 GMT"
#define AFTER "Sun, 09 Sep 2001 01:46:41 GMT"
#define T "@" /* stands for the ETag */

/* RFC 9110 13.2.2, in its order. */
static const struct {
    int status;
    const char *fields;
} conditions[] = {
    {200, ""},
    {304, "If-None-Match: " T "\r\n"},
    {304, "If-None-Match: W/" T "\r\n"},
    {304, "If-None-Match: \"a\", " T "\r\n"},
    {304, "If-None-Match: " T ",\"a\"\r\n"},
    {304, "If-None-Match: ,, \"a,b\" ,\t" T " ,\r\n"},
    {304, "If-None-Match: \"a\"\r\nIf-None-Match: " T "\r\n"},
    {304, "If-None-Match: *\r\n"},
    {304, "If-None-Match:   *  \r\n"},
    {200, "If-None-Match: \"a\"\r\n"},
    {200, "If-None-Match: \r\n"},
    {200, "If-None-Match: \"\r\n"},
    {200, "If-None-Match: W/\r\n"},
    {200, "If-None-Match: unquoted, \"a\r\n"},
    {304, "If-None-Match: unquoted, " T "\r\n"},
    {200, "If-None-Match: \"*\"\r\n"},
    {304, "If-Modified-Since: " TIME "\r\n"},
    {304, "If-Modified-Since: " AFTER "\r\n"},
    {304, "If-Modified-Since: Sunday, 09-Sep-01 01:46:40 GMT\r\n"},
    {304, "If-Modified-Since: Sun Sep  9 01:46:40 2001\r\n"},
    {200, "If-Modified-Since: " BEFORE "\r\n"},
    {200, "If-Modified-Since: yesterday\r\n"},
    {200, "If-Modified-Since: 1000000000\r\n"},
    {200, "If-Modified-Since: " TIME "\r\nIf-Modified-Since: " TIME "\r\n"},
    /* If-None-Match makes If-Modified-Since void. */
    {200, "If-None-Match: \"a\"\r\nIf-Modified-Since: " AFTER "\r\n"},
    {304, "If-None-Match: " T "\r\nIf-Modified-Since: " BEFORE "\r\n"},
    {200, "If-Match: " T "\r\n"},
    {200, "If-Match: *\r\n"},
    {200, "If-Match: \"a\", " T "\r\n"},
    {412, "If-Match: \"a\"\r\n"},
    {412, "If-Match: W/" T "\r\n"},
    {412, "If-Match: \r\n"},
    {200, "If-Unmodified-Since: " TIME "\r\n"},
    {412, "If-Unmodified-Since: " BEFORE "\r\n"},
    {200, "If-Unmodified-Since: yesterday\r\n"},
    /* If-Match makes If-Unmodified-Since void. */
    {200, "If-Match: " T "\r\nIf-Unmodified-Since: " BEFORE "\r\n"},
    /* Preconditions come before the cache's, and those before the range's. */
    {412, "If-Match: \"a\"\r\nIf-None-Match: " T "\r\n"},
    {304, "If-Match: " T "\r\nIf-None-Match: " T "\r\n"},
    {412, "If-Unmodified-Since: " BEFORE "\r\nIf-None-Match: " T "\r\n"},
    {412, "If-Match: \"a\"\r\nRange: bytes=0-1\r\n"},
    {304, "If-None-Match: " T "\r\nRange: bytes=0-1\r\n"},
    {304, "If-None-Match: " T "\r\nRange: bytes=99-\r\n"},
    {206, "If-None-Match: \"a\"\r\nRange: bytes=0-1\r\n"},
    {206, "Range: bytes=0-1\r\nIf-Range: " T "\r\n"},
    {200, "Range: bytes=0-1\r\nIf-Range: W/" T "\r\n"},
    {200, "Range: bytes=0-1\r\nIf-Range: \"a\"\r\n"},
    {200, "Range: bytes=0-1\r\nIf-Range: " T ", " T "\r\n"},
    {206, "Range: bytes=0-1\r\nIf-Range: " TIME "\r\n"},
    {200, "Range: bytes=0-1\r\nIf-Range: " AFTER "\r\n"},
    {200, "Range: bytes=0-1\r\nIf-Range: " BEFORE "\r\n"},
    {200, "Range: bytes=0-1\r\nIf-Range: nonsense\r\n"},
    {200, "Range: bytes=99-\r\nIf-Range: \"a\"\r\n"},
    {416, "Range: bytes=99-\r\nIf-Range: " T "\r\n"},
    {200, "If-Range: \"a\"\r\n"},
};

static void try_conditions(const char *target)
{
    const char *etag = field_of(target, "ETag");
    char fields[512];

    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        const char *from = conditions[i].fields;
        char *to = fields;
        svl_str answer;

        for (; *from; from++)
            to += sprintf(to, *from == T[0] ? "%s" : "%.1s", *from == T[0] ? etag : from);
        *to = 0;
        answer = ask("GET", target, fields);
        expect_status(answer, conditions[i].status, fields);
        if (conditions[i].status == 304) {
            expect_field(answer, "ETag", etag);
            expect_field(answer, "Cache-Control", "no-cache");
            expect_field(answer, "Content-Type", NULL);
            expect_body(answer, "");
        }
        if (!strstr(fields, "Range"))
            expect_status(ask("HEAD", target, fields), conditions[i].status, fields);
    }
}

Test(fs, conditions_are_those_of_rfc_9110)
{
    SERVE();
    try_conditions("/a.txt");
}

Test(fs, conditions_of_a_long_file_are_the_same)
{
    cr_assert_eq(truncate("a.txt", 40), 0);
    set_mtime("a.txt", 1000000000);
    SERVE(.cache_file_bytes = 16);
    try_conditions("/a.txt");
}

/* --- Ranges --------------------------------------------------------------------------------- */

static const struct {
    const char *range, *content_range, *body; /* body NULL: 416; content_range NULL: 200 */
} ranges[] = {
    {"bytes=0-0", "bytes 0-0/10", "0"},
    {"bytes=2-4", "bytes 2-4/10", "234"},
    {"bytes=9-9", "bytes 9-9/10", "9"},
    {"bytes=0-", "bytes 0-9/10", "0123456789"},
    {"bytes=7-", "bytes 7-9/10", "789"},
    {"bytes=-1", "bytes 9-9/10", "9"},
    {"bytes=-10", "bytes 0-9/10", "0123456789"},
    {"bytes=-11", "bytes 0-9/10", "0123456789"},
    {"bytes=5-99", "bytes 5-9/10", "56789"},
    {"bytes=5-99999999999999999999999", "bytes 5-9/10", "56789"},
    {"bytes=-99999999999999999999999", "bytes 0-9/10", "0123456789"},
    {"BYTES=0-0", "bytes 0-0/10", "0"},
    {"bytes=10-", "bytes */10", NULL},
    {"bytes=10-20", "bytes */10", NULL},
    {"bytes=-0", "bytes */10", NULL},
    {"bytes=9223372036854775807-", "bytes */10", NULL},
    {"bytes=18446744073709551615-", "bytes */10", NULL},
    {"bytes=99999999999999999999999-", "bytes */10", NULL},
    {"bytes=10-,20-", "bytes */10", NULL},
    {"bytes=5-2", NULL, "0123456789"},
    {"bytes=", NULL, "0123456789"},
    {"bytes=-", NULL, "0123456789"},
    {"bytes=a-b", NULL, "0123456789"},
    {"bytes=0x1-2", NULL, "0123456789"},
    {"bytes=+1-2", NULL, "0123456789"},
    {"bytes=--1", NULL, "0123456789"},
    {"bytes 0-1", NULL, "0123456789"},
    {"lines=0-1", NULL, "0123456789"},
    {"", NULL, "0123456789"},
    {"bytes=0-1,4-5", "bytes 0-5/10", "012345"},
    {"bytes=0-0\r\nRange: bytes=1-1", NULL, "0123456789"},
};

Test(fs, ranges)
{
    char fields[256];

    write_text("digits", "0123456789");
    SERVE();
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        int status = !ranges[i].body ? 416 : ranges[i].content_range ? 206 : 200;
        svl_str answer;

        snprintf(fields, sizeof fields, "Range: %s\r\n", ranges[i].range);
        answer = ask("GET", "/digits", fields);
        expect_status(answer, status, ranges[i].range);
        expect_field(answer, "Content-Range", ranges[i].content_range);
        if (ranges[i].body)
            expect_body(answer, ranges[i].body);
        expect_status(ask("HEAD", "/digits", fields), 200, ranges[i].range);
    }
}

Test(fs, no_range_of_an_empty_file_can_be_given)
{
    SERVE();
    expect_status(ask("GET", "/empty", "Range: bytes=0-\r\n"), 416, "0-");
    expect_field(ask("GET", "/empty", "Range: bytes=0-0\r\n"), "Content-Range", "bytes */0");
}

static void try_parts(const char *target)
{
    char boundary[64], expected[1000], *at = expected;
    svl_str answer = ask("GET", target, "Range: bytes=900-901,0-1, 500-509,505-511\r\n");
    svl_str type = loopback_field(answer, "Content-Type"),
            mark = SVL_STR("multipart/byteranges; boundary=");

    expect_status(answer, 206, target);
    expect_field(answer, "Content-Range", NULL);
    cr_assert(svl_str_starts(type, mark));
    svl_str_copy(boundary, sizeof boundary, svl_str_from(type, mark.n));
    for (int i = 0; i < 3; i++) {
        static const char *const places[] = {"0-1", "500-511", "900-901"};
        static const char *const bytes[] = {"00", "500500500500", "90"};

        at += sprintf(at,
                      "%s--%s\r\nContent-Type: application/octet-stream\r\n"
                      "Content-Range: bytes %s/1500\r\n\r\n%.*s",
                      i ? "\r\n" : "", boundary, places[i], (int)strlen(bytes[i]), bytes[i]);
    }
    sprintf(at, "\r\n--%s--\r\n", boundary);
    expect_body(answer, expected);
}

/* In memory, and read from the file. */
Test(fs, several_ranges_come_as_parts_in_order_and_joined)
{
    char digits[1520];

    for (int i = 0; i < 500; i++)
        snprintf(digits + 3 * i, 16, "%03d", i * 3);
    memcpy(digits, "00", 2);
    memcpy(digits + 500, "500500500500", 12);
    memcpy(digits + 900, "90", 2);
    write_bytes("many", digits, 1500);
    SERVE(.no_cache = true);
    try_parts("/many");
    loopback_close(l);
    SERVE(.cache_file_bytes = 1);
    try_parts("/many");
    expect_status(ask("GET", "/many", "Range: bytes=0-1,5-6,2000-\r\n"), 206, "nearly one");
    expect_field(ask("GET", "/many", "Range: bytes=0-1,5-6,2000-\r\n"), "Content-Range",
                 "bytes 0-6/1500");
    expect_field(ask("GET", "/many", "Range: bytes=0-,0-,0-\r\n"), "Content-Range",
                 "bytes 0-1499/1500");
    expect_status(ask("GET", "/many", "Range: bytes=2000-,3000-\r\n"), 416, "none of them");
    expect_status(ask("HEAD", "/many", "Range: bytes=0-1,500-501\r\n"), 200, "HEAD");
    expect_status(ask("GET", "/many", "Range: bytes=0-1,500-501\r\nIf-Range: \"x\"\r\n"), 200,
                  "another version");
    expect_status(ask("GET", "/many",
                      "Range: bytes=0-1,2-3,4-5,6-7,8-9,10-11,12-13,14-15,16-17,18-19,20-21,22-23,"
                      "24-25,26-27,28-29,30-31,32-33\r\n"),
                  200, "too many");
}

Test(fs, ranges_far_into_a_huge_file)
{
    svl_str answer;
    int fd = open("huge", O_WRONLY | O_CREAT, 0644);
    int64_t size = 5LL << 30;

    cr_assert(ftruncate(fd, size) == 0 && pwrite(fd, "end", 3, size - 3) == 3 && close(fd) == 0);
    SERVE();
    answer = ask("GET", "/huge", "Range: bytes=5368709117-\r\n");
    expect_status(answer, 206, "huge");
    expect_field(answer, "Content-Range", "bytes 5368709117-5368709119/5368709120");
    expect_body(answer, "end");
    expect_field(ask("HEAD", "/huge", ""), "Content-Length", "5368709120");
    expect_status(ask("GET", "/huge", "Range: bytes=5368709120-\r\n"), 416, "behind the end");
}

/* Whether this file system tells who is writing. */
static void need_leases(void)
{
    int fd = open("empty", O_RDONLY), got = fcntl(fd, F_SETLEASE, F_RDLCK);

    close(fd);
    if (got < 0)
        cr_skip_test("no leases here");
}

/* --- Files that change ---------------------------------------------------------------------- */

Test(fs, a_change_is_seen_at_once_when_each_request_looks)
{
    char text[32];

    SERVE(.revalidate_us = -1);
    for (int i = 0; i < 200; i++) { /* same length, mostly within one tick of the clock */
        snprintf(text, sizeof text, "version %03d", i);
        if (i % 2)
            replace_text("a.txt", text);
        else
            write_text("a.txt", text);
        expect_file("/a.txt", text);
    }
    unlink("a.txt");
    expect_missing("/a.txt");
    mkdir("a.txt", 0755);
    expect_status(get("/a.txt"), 301, "now a folder");
}

Test(fs, a_change_is_soon_seen_by_default)
{
    char text[32];

    SERVE();
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof text, "version %03d", i);
        replace_text("a.txt", text);
        usleep(200);
        expect_file("/a.txt", text);
        expect_file("/a.txt", text);
    }
}

Test(fs, an_etag_belongs_to_one_content)
{
    const char *first, *second, *third;

    SERVE(.revalidate_us = -1);
    replace_text("a.txt", "one");
    first = field_of("/a.txt", "ETag");
    replace_text("a.txt", "two"); /* the same size, the same second */
    second = field_of("/a.txt", "ETag");
    replace_text("a.txt", "one");
    third = field_of("/a.txt", "ETag");
    cr_assert_str_neq(first, second);
    cr_assert_str_eq(first, third);
    loopback_close(l);
    SERVE(.revalidate_us = -1);
    cr_assert_str_eq(third, field_of("/a.txt", "ETag"), "another after a restart");
}

Test(fs, a_long_file_has_another_etag_when_it_changes)
{
    const char *first;

    SERVE(.cache_file_bytes = 1);
    first = field_of("/a.txt", "ETag");
    usleep(20000); /* a tick of the clock */
    write_text("a.txt", "Hello, file\n");
    cr_assert_str_neq(first, field_of("/a.txt", "ETag"));
    expect_file("/a.txt", "Hello, file\n");
    replace_text("a.txt", "Hallo, Datei");
    expect_file("/a.txt", "Hallo, Datei");
    unlink("a.txt");
    expect_missing("/a.txt");
}

Test(fs, an_old_version_is_given_while_the_new_one_is_written)
{
    int fd;

    need_leases();
    SERVE();
    expect_file("/a.txt", "hello, file\n");
    usleep(200);
    fd = open("a.txt", O_WRONLY | O_TRUNC);
    expect_file("/a.txt", "hello, file\n");
    cr_assert_eq(write(fd, "half", 4), 4);
    expect_file("/a.txt", "hello, file\n");
    cr_assert_eq(write(fd, " and whole", 10), 10);
    close(fd);
    expect_file("/a.txt", "half and whole");
}

Test(fs, a_long_file_that_is_overwritten_is_a_clean_error_until_it_is_done)
{
    svl_str answer;
    int fd;

    need_leases();
    SERVE(.cache_file_bytes = 1);
    expect_file("/a.txt", "hello, file\n");
    usleep(20000); /* a tick of the clock */
    fd = open("a.txt", O_WRONLY);
    cr_assert_eq(write(fd, "HELLO,", 6), 6);
    for (int i = 0; i < 2; i++) {
        answer = get("/a.txt");
        expect_status(answer, 503, "half written");
        expect_field(answer, "Retry-After", "1");
    }
    cr_assert_eq(write(fd, " FILE\n", 6), 6);
    close(fd);
    expect_file("/a.txt", "HELLO, FILE\n");
}

Test(fs, a_new_file_is_given_once_there_is_something_in_it)
{
    int fd = open("new", O_WRONLY | O_CREAT, 0644);

    need_leases();
    SERVE();
    expect_status(get("/new"), 503, "empty, with a writer");
    cr_assert_eq(write(fd, "x", 1), 1);
    expect_file("/new", "x");
    cr_assert_eq(ftruncate(fd, 0), 0);
    close(fd);
    expect_file("/new", ""); /* nobody is writing: that is what it is */
}

Test(fs, a_file_replaced_while_it_is_sent_arrives_in_its_old_version)
{
    size_t n = 1000000;
    char *old = malloc(n), *new = malloc(n);
    size_t given;
    svl_str rest;

    memset(old, 'o', n);
    memset(new, 'n', n);
    for (int memory = 0; memory < 2; memory++) {
        write_bytes("big", old, n);
        SERVE(.cache_file_bytes = memory ? 2 * n : 1);
        loopback_room(l, 5000);
        loopback_send(l, "GET /big HTTP/1.1\r\nHost: test\r\n\r\n");
        given = loopback_body(loopback_take(l)).n;
        write_bytes(".new", new, n);
        cr_assert_eq(rename(".new", "big"), 0);
        usleep(200);
        loopback_room(l, SIZE_MAX);
        rounds(0);
        rest = loopback_take(l);
        cr_assert_eq(given + rest.n, n);
        cr_assert_null(memchr(rest.p, 'n', rest.n));
        rest = loopback_body(get("/big"));
        cr_assert(rest.n == n && rest.p[0] == 'n' && rest.p[n - 1] == 'n');
        loopback_close(l);
        l = NULL;
    }
    free(old);
    free(new);
}

/* The beginning of a long file, for a client that then waits. Returns the bytes of body it got. */
static size_t begin_big(size_t n)
{
    char *bytes = malloc(n);

    memset(bytes, 'o', n);
    write_bytes("big", bytes, n);
    free(bytes);
    SERVE();
    loopback_room(l, 5000);
    loopback_send(l, "GET /big HTTP/1.1\r\nHost: test\r\n\r\n");
    usleep(20000); /* a tick of the clock */
    return loopback_body(loopback_take(l)).n;
}

static svl_str rest_of_big(void)
{
    loopback_room(l, SIZE_MAX);
    rounds(0);
    return loopback_take(l);
}

Test(fs, a_file_that_shrinks_while_it_is_sent_ends_the_connection)
{
    size_t got = begin_big(1000000);

    cr_assert_eq(truncate("big", 100000), 0);
    got += rest_of_big().n;
    cr_assert_lt(got, 1000000);
    cr_assert(loopback_closed(l));
    cr_assert_eq(loopback_body(get("/big")).n, 100000);
}

Test(fs, a_file_overwritten_while_it_is_sent_ends_the_connection)
{
    size_t got = begin_big(1000000);
    int fd = open("big", O_WRONLY);

    cr_assert(pwrite(fd, "new", 3, 900000) == 3 && close(fd) == 0);
    got += rest_of_big().n;
    cr_assert_lt(got, 1000000);
    cr_assert(loopback_closed(l));
    expect_status(get("/big"), 200, "the new version");
}

Test(fs, a_file_that_grows_while_it_is_sent_arrives_as_long_as_announced)
{
    size_t got = begin_big(1000000);
    int fd = open("big", O_WRONLY | O_APPEND);

    cr_assert(write(fd, "more", 4) == 4 && close(fd) == 0);
    got += rest_of_big().n;
    cr_assert_eq(got, 1000000);
    cr_assert_eq(loopback_body(get("/big")).n, 1000004);
}

Test(fs, a_file_deleted_while_it_is_sent_arrives)
{
    size_t got = begin_big(1000000);

    cr_assert_eq(unlink("big"), 0);
    got += rest_of_big().n;
    cr_assert_eq(got, 1000000);
    expect_missing("/big");
}

Test(fs, a_log_that_grows_is_given_as_it_is)
{
    FILE *file = fopen("log", "a");
    size_t before = 0;

    SERVE(.revalidate_us = -1);
    for (int i = 0; i < 20; i++) { /* longer than the old version may be given */
        size_t n;

        fprintf(file, "line\n");
        fflush(file);
        usleep(60000);
        n = loopback_body(get("/log")).n;
        cr_assert(n >= before && n % 5 == 0);
        before = n;
    }
    cr_assert_gt(before, 50);
    fclose(file);
}

/* --- The cache ------------------------------------------------------------------------------ */

static void ask_for_many(unsigned files, unsigned rounds)
{
    char name[16], target[32], text[600];

    for (unsigned i = 0; i < files * rounds; i++) {
        unsigned file = i % files;

        snprintf(name, sizeof name, "f%u", file);
        snprintf(target, sizeof target, "/%s", name);
        snprintf(text, sizeof text, "%0*u", (int)(file * 7 % 500) + 1, file);
        if (i < files)
            write_text(name, text);
        expect_file(target, text);
    }
}

Test(fs, the_cache_stays_within_its_limits)
{
    SERVE(.cache_bytes = 4000, .cache_entries = 7, .cache_fds = 3, .cache_file_bytes = 300);
    ask_for_many(40, 3);
}

Test(fs, files_are_the_same_without_a_cache)
{
    SERVE(.no_cache = true);
    ask_for_many(10, 2);
    expect_file("/site/", "<p>index");
}

Test(fs, many_clients_hold_files_that_the_cache_has_forgotten)
{
    char request[64];
    size_t n = 400000;
    char *bytes = malloc(n);

    SERVE(.cache_fds = 1, .cache_entries = 1);
    for (unsigned i = 0; i < 8; i++) {
        char name[] = {(char)('A' + i), 0};

        memset(bytes, 'A' + (int)i, n);
        write_bytes(name, bytes, n);
    }
    for (unsigned i = 0; i < 8; i++) {
        snprintf(request, sizeof request, "GET /%c HTTP/1.1\r\nHost: test\r\n\r\n", 'A' + (int)i);
        loopback_send_on(l, i + 1, svl_str_of(request));
    }
    for (unsigned i = 0; i < 8; i++) {
        svl_str body;

        rounds(i + 1);
        body = loopback_body(loopback_take_on(l, i + 1));

        cr_assert(body.n == n && body.p[0] == 'A' + (int)i && body.p[n - 1] == 'A' + (int)i);
    }
    free(bytes);
}

Test(fs, without_descriptors_the_answer_is_503_and_what_is_in_memory_goes_on)
{
    struct rlimit limit;
    svl_str answer;
    int fd;

    write_text("other", "other");
    SERVE(.cache_file_bytes = 13);
    expect_file("/a.txt", "hello, file\n");
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    fd = dup(0);
    limit.rlim_cur = (rlim_t)fd;
    close(fd);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    expect_file("/a.txt", "hello, file\n");
    answer = get("/other");
    expect_status(answer, 503, "other");
    expect_field(answer, "Retry-After", "1");
    limit.rlim_cur = limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    expect_file("/other", "other");
}

static svl_str page_of(const char *target);

/* --- What lies beside a file ---------------------------------------------------------------- */

static void make_sidecars(void)
{
    write_text("page.html", "<p>plain");
    write_text("page.html.br", "brotli");
    write_text("page.html.gz", "gzipped");
    write_text("page.html.zst", "old");
    set_mtime("page.html", 2000);
    set_mtime("page.html.br", 2000);
    set_mtime("page.html.gz", 3000);
    set_mtime("page.html.zst", 1999);
}

static void expect_coding(const char *accept, const char *coding, const char *body)
{
    char field[200];
    svl_str answer;

    snprintf(field, sizeof field, "Accept-Encoding: %s\r\n", accept);
    for (int i = 0; i < 2; i++) { /* from the disk, from the cache */
        answer = ask("GET", "/page.html", field);
        expect_status(answer, 200, accept);
        expect_field(answer, "Content-Encoding", coding);
        expect_field(answer, "Content-Type", "text/html; charset=utf-8");
        expect_field(answer, "Vary", "Accept-Encoding");
        expect_body(answer, body);
    }
}

static void try_sidecars(void)
{
    expect_coding("gzip, br", "br", "brotli");
    expect_coding("gzip, br;q=0.5", "gzip", "gzipped");
    expect_coding("br;q=0, *", "gzip", "gzipped");
    expect_coding("zstd", NULL, "<p>plain"); /* it is older */
    expect_coding("zstd, identity;q=0.1, gzip;q=0.05", NULL, "<p>plain");
    expect_coding("deflate", NULL, "<p>plain");
    expect_coding("", NULL, "<p>plain");
    expect_field(get("/page.html"), "Content-Encoding", NULL);
    expect_field(get("/page.html"), "Vary", "Accept-Encoding");
    expect_field(get("/a.txt"), "Vary", NULL);
    expect_field(get("/page.html.gz"), "Content-Encoding", NULL);
    expect_field(get("/page.html.gz"), "Content-Type", "application/gzip");
}

Test(fs, what_lies_beside_a_file_is_given_to_who_prefers_it)
{
    make_sidecars();
    SERVE(0);
    try_sidecars();
    loopback_close(l);
    SERVE(.cache_file_bytes = 1);
    try_sidecars();
    loopback_close(l);
    SERVE(.no_cache = true);
    try_sidecars();
    loopback_close(l);
    SERVE(.no_sidecars = true);
    expect_field(ask("GET", "/page.html", "Accept-Encoding: br\r\n"), "Content-Encoding", NULL);
}

Test(fs, each_coding_has_a_tag_of_its_own)
{
    char plain[64], coded[64], fields[200];

    make_sidecars();
    SERVE(0);
    svl_str_copy(plain, sizeof plain, loopback_field(get("/page.html"), "ETag"));
    svl_str_copy(coded, sizeof coded,
                 loopback_field(ask("GET", "/page.html", "Accept-Encoding: br\r\n"), "ETag"));
    cr_assert_str_neq(plain, coded);
    cr_assert(svl_str_ends(svl_str_of(coded), SVL_STR("-br\"")));
    snprintf(fields, sizeof fields, "Accept-Encoding: br\r\nIf-None-Match: %s\r\n", plain);
    expect_status(ask("GET", "/page.html", fields), 200, "the other one's tag");
    snprintf(fields, sizeof fields, "Accept-Encoding: br\r\nIf-None-Match: %s\r\n", coded);
    expect_status(ask("GET", "/page.html", fields), 304, "its own tag");
    expect_field(ask("GET", "/page.html", fields), "Vary", "Accept-Encoding");
    snprintf(fields, sizeof fields, "Accept-Encoding: br\r\nIf-Range: %s\r\nRange: bytes=1-2\r\n",
             coded);
    expect_body(ask("GET", "/page.html", fields), "ro");
}

Test(fs, a_file_that_is_newer_than_what_lies_beside_it_is_given_itself)
{
    make_sidecars();
    SERVE(.revalidate_us = -1);
    expect_coding("gzip", "gzip", "gzipped");
    replace_text("page.html", "<p>new");
    expect_field(ask("GET", "/page.html", "Accept-Encoding: gzip\r\n"), "Content-Encoding", NULL);
    expect_file("/page.html", "<p>new");
}

Test(fs, a_link_out_of_the_root_beside_a_file_is_not_followed)
{
    cr_assert_eq(symlink("../secret", "a.txt.br"), 0);
    SERVE(0);
    expect_body(ask("GET", "/a.txt", "Accept-Encoding: br\r\n"), "hello, file\n");
}

/* --- Other paths ---------------------------------------------------------------------------- */

Test(fs, a_prefix_is_taken_off_and_other_paths_go_on)
{
    const struct svl_use chain[] = {
        SVL_USE(fs, .root = root, .prefix = "/files", .listing = SVL_FS_LISTING_ON),
        SVL_USE(fs, .root = root, .prefix = "/more/of"), SVL_USE_END};

    l = loopback_open(&(struct svl_server_config){.chain = chain});
    for (int i = 0; i < 2; i++) {
        expect_file("/files/a.txt", "hello, file\n");
        expect_file("/more/of/a.txt", "hello, file\n");
        expect_file("/files/site/", "<p>index");
    }
    expect_missing("/a.txt");
    expect_missing("/filesa.txt");
    expect_missing("/files/../a.txt");
    expect_status(get("/files"), 301, "the prefix");
    expect_field(get("/files"), "Location", "/files/");
    expect_field(get("/files/site"), "Location", "/files/site/");
    cr_assert(!holds(page_of("/files/"), "href=\"../\""));
}

Test(fs, pretty_urls_leave_html_out)
{
    write_text("about.html", "<p>about");
    SERVE(.pretty_urls = true);
    for (int i = 0; i < 2; i++)
        expect_file("/about", "<p>about");
    expect_field(get("/about"), "Content-Type", "text/html; charset=utf-8");
    expect_file("/about.html", "<p>about");
    expect_missing("/about/");
    expect_missing("/nothing");
    expect_status(get("/dir"), 301, "a folder");
}

Test(fs, a_program_in_the_browser_gets_its_page_for_paths_of_its_own)
{
    const char *html = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";

    write_text("index.html", "<p>app");
    SERVE(.spa = "index.html");
    for (int i = 0; i < 3; i++)
        expect_body(ask("GET", "/users/7", html), "<p>app");
    expect_body(ask("GET", "/dir/", html), "<p>app");
    expect_status(ask("HEAD", "/users/7", html), 200, "HEAD");
    expect_status(ask("GET", "/app.js", html), 404, "a file");
    expect_status(ask("GET", "/users/7", "Accept: */*\r\n"), 404, "a script");
    expect_status(get("/users/7"), 404, "no Accept");
    expect_status(ask("GET", "/.git/x", html), 404, "hidden");
    expect_status(ask("POST", "/users/7", html), 405, "POST");
    replace_text("index.html", "<p>new");
    expect_body(ask("GET", "/users/8", html), "<p>new");
    cr_assert_eq(unlink("index.html"), 0);
    expect_status(ask("GET", "/users/9", html), 404, "no page");
}

Test(fs, files_that_never_change_say_so)
{
    static const char *const patterns[] = {"*.[0-9a-f][0-9a-f].js", "/dir/*", NULL};

    write_text("app.1f.js", "1");
    write_text("dir/app.1f.js", "1");
    write_text("dir/x", "1");
    mkdir("dir/sub", 0755);
    write_text("dir/sub/x", "1");
    SERVE(.immutable = patterns);
    for (int i = 0; i < 2; i++) {
        expect_field(get("/app.1f.js"), "Cache-Control", "public, max-age=31536000, immutable");
        expect_field(get("/dir/app.1f.js"), "Cache-Control", "public, max-age=31536000, immutable");
        expect_field(get("/dir/x"), "Cache-Control", "public, max-age=31536000, immutable");
        expect_field(get("/dir/sub/x"), "Cache-Control", "no-cache");
        expect_field(get("/a.txt"), "Cache-Control", "no-cache");
    }
}

/* --- For handlers --------------------------------------------------------------------------- */

static enum svl_verdict send_one(struct svl_ctx *ctx, void *arg)
{
    struct svl_fs_send *send = arg;

    send->path = svl_copy(ctx, svl_str_from(ctx->req.query, 0)).p;
    return svl_fs_send(ctx, send);
}

Test(fs, handlers_send_files_as_the_module_does)
{
    struct svl_fs_send send = {.dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    svl_str answer;

    cr_assert_geq(send.dir, 0);
    make_traps();
    l = loopback_open(&(struct svl_server_config){.handler = send_one, .handler_arg = &send});
    answer = get("/?a.txt");
    expect_status(answer, 200, "a.txt");
    expect_body(answer, "hello, file\n");
    expect_field(answer, "Content-Type", "text/plain; charset=utf-8");
    expect_field(answer, "Cache-Control", "no-cache");
    expect_body(ask("GET", "/?a.txt", "Range: bytes=0-4\r\n"), "hello");
    expect_status(get("/?../secret"), 404, "outside");
    expect_status(get("/?/etc/passwd"), 404, "absolute");
    expect_status(get("/?missing"), 404, "missing");
    expect_status(get("/?dir"), 404, "a folder");
    expect_status(get("/?"), 404, "nothing");
    send.download = "r\xc3\xa9sum\xc3\xa9 \"1\".txt";
    send.type = "text/x-own";
    answer = get("/?a.txt");
    expect_field(answer, "Content-Type", "text/x-own");
    expect_field(answer, "Content-Disposition",
                 "attachment; filename=\"r__sum__ \\\"1\\\".txt\"; "
                 "filename*=UTF-8''r%C3%A9sum%C3%A9%20%221%22.txt");
    close(send.dir);
}

/* --- In the chain --------------------------------------------------------------------------- */

static enum svl_verdict behind(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, SVL_STR("behind"));
}

Test(fs, with_fallthrough_others_answer_for_what_is_not_there)
{
    const struct svl_use chain[] = {SVL_USE(fs, .root = root, .fallthrough = true), SVL_USE_END};

    l = loopback_open(&(struct svl_server_config){.chain = chain, .handler = behind});
    expect_file("/a.txt", "hello, file\n");
    expect_file("/missing", "behind");
    expect_file("/dir/", "behind");
    expect_file("/.hidden", "behind");
    expect_body(ask("POST", "/a.txt", "Content-Length: 0\r\n"), "behind");
    expect_status(get("/dir"), 301, "/dir");
}

Test(fs, pipelined_requests_are_answered_in_order)
{
    svl_str all;

    SERVE();
    all = loopback_ask(l, "GET /a.txt HTTP/1.1\r\nHost: t\r\n\r\n"
                          "GET /nothing HTTP/1.1\r\nHost: t\r\n\r\n"
                          "HEAD /a.txt HTTP/1.1\r\nHost: t\r\n\r\n"
                          "GET /site/ HTTP/1.1\r\nHost: t\r\nRange: bytes=0-2\r\n\r\n");
    cr_assert(svl_str_ends(all, SVL_STR("\r\n\r\n<p>")));
    cr_assert(holds(all, "200 OK") && holds(all, "404 Not Found") && holds(all, "206 Partial"));
    cr_assert_eq(loopback_exchanges(l), 0);
}

static char logged[512];

static void remember(enum svl_level level, const char *line, void *arg)
{
    (void)arg;
    if (level == SVL_ALERT)
        snprintf(logged, sizeof logged, "%s", line);
}

static void expect_refused(const struct svl_fs_config *config, const char *line)
{
    const struct svl_use chain[] = {{&svl_fs_module, config}, SVL_USE_END};
    struct svl_server *server;

    logged[0] = 0;
    cr_assert_lt(svl_server_open(&server, &(struct svl_server_config){.chain = chain}), 0);
    cr_assert_str_eq(logged, line);
}

Test(fs, a_root_that_cannot_be_served_stops_the_start)
{
    static const char *const bad[] = {"../secret", NULL};

    svl_log_to(remember, NULL);
    expect_refused(&(struct svl_fs_config){.root = "nowhere"},
                   "fs: nowhere: No such file or directory");
    expect_refused(&(struct svl_fs_config){.root = "a.txt"}, "fs: a.txt: Not a directory");
    expect_refused(&(struct svl_fs_config){.index = bad},
                   "fs: index file: \"../secret\" is not a file name");
    chmod("dir", 0);
    cr_assert(geteuid() != 0 || seteuid(65534) == 0);
    expect_refused(&(struct svl_fs_config){.root = "dir"}, "fs: dir: Permission denied");
}

/* --- The page of a folder ------------------------------------------------------------------- */

/* The page of a folder, put together from its chunks. */
static svl_str page_of(const char *target)
{
    static char page[4 << 20];
    svl_str answer = get(target), body;
    size_t n = 0;

    for (int i = 0; i < 1000 && answer.n == 0; i++) { /* read on another thread */
        usleep(5000);
        rounds(0);
        answer = loopback_take(l);
    }
    body = loopback_body(answer);
    expect_status(answer, 200, target);
    expect_field(answer, "Transfer-Encoding", "chunked");
    for (;;) {
        char *end;
        size_t chunk = strtoul(body.p, &end, 16);

        cr_assert(end > body.p && memcmp(end, "\r\n", 2) == 0);
        body = svl_str_from(body, (size_t)(end - body.p) + 2);
        cr_assert(chunk + 2 <= body.n && n + chunk < sizeof page);
        if (chunk == 0)
            break;
        memcpy(page + n, body.p, chunk);
        n += chunk;
        body = svl_str_from(body, chunk + 2);
    }
    cr_assert_eq(body.n, 2);
    page[n] = 0;
    return (svl_str){page, n};
}

Test(fs, a_folder_without_an_index_file_is_missing_by_default)
{
    SERVE();
    expect_missing("/");
    expect_missing("/dir/");
}

Test(fs, the_page_lists_folders_first_and_what_can_be_had)
{
    svl_str page;

    make_traps();
    link_to("../a.txt", "dir/in");
    write_text("dir/Big", "0123456789");
    write_text("dir/alpha", "x");
    mkdir("dir/zoo", 0755);
    mkfifo("dir/fifo", 0644);
    SERVE(.listing = true);
    page = get("/dir/");
    expect_status(page, 200, "page");
    expect_field(page, "Content-Type", "text/html; charset=utf-8");
    expect_field(page, "X-Content-Type-Options", "nosniff");
    cr_assert(holds(loopback_field(page, "Content-Security-Policy"), "default-src 'none'"));
    page = page_of("/dir/");
    cr_assert(holds(page, "href=\"../\"") && holds(page, "1 folder, "));
    cr_assert(holds(page, "<bdi>fifo</bdi> <small>(not a file)"));
    cr_assert(!holds(page, "\"./fifo") && !holds(page, "\"./out") && !holds(page, "./.hidden"));
    cr_assert_lt((void *)memmem(page.p, page.n, "./zoo/", 6),
                 (void *)memmem(page.p, page.n, "./alpha", 7));
    cr_assert_lt((void *)memmem(page.p, page.n, "./alpha", 7),
                 (void *)memmem(page.p, page.n, "./Big", 5));
    cr_assert(holds(page, "title=\"10 bytes\">10 B"));
    cr_assert(!holds(page_of("/"), "href=\"../\""));
    expect_status(ask("HEAD", "/dir/", ""), 200, "HEAD");
    expect_body(ask("HEAD", "/dir/", ""), "");
}

Test(fs, the_page_of_an_empty_folder_is_whole)
{
    SERVE(.listing = true);
    cr_assert(holds(page_of("/dir/"), "This folder is empty."));
    cr_assert(svl_str_ends(page_of("/dir/"), SVL_STR("</script></body></html>\n")));
}

Test(fs, entries_that_cannot_be_had_say_why_and_lead_nowhere)
{
    svl_str page;

    cr_assert_eq(symlink("nothing", "dir/dangling"), 0);
    cr_assert_eq(symlink("../../secret", "dir/outside"), 0);
    write_text("dir/closed", "x");
    cr_assert(chmod("dir/closed", 0) == 0 && chmod(base, 0755) == 0);
    cr_assert(geteuid() != 0 || seteuid(65534) == 0);
    SERVE(.listing = true);
    page = page_of("/dir/");
    cr_assert(holds(page, "dangling</bdi> <small>(leads nowhere)"));
    cr_assert(holds(page, "outside</bdi> <small>(leads out of here)"));
    cr_assert(holds(page, "closed</bdi> <small>(no permission)"));
    cr_assert(!holds(page, "href=\"./"));
}

Test(fs, numbers_in_names_sort_by_value)
{
    svl_str page;

    write_text("dir/a10", "");
    write_text("dir/A2", "");
    write_text("dir/a002b", "");
    SERVE(.listing = SVL_FS_LISTING_ON);
    page = loopback_body(ask("GET", "/dir/?format=text", ""));
    cr_assert(holds(page, "A2\na002b\na10\n"), "%.*s", SVL_FMT(page));
}

Test(fs, listings_sort_and_filter)
{
    static const struct {
        const char *query, *names;
    } cases[] = {
        {"sort=name&order=desc", "zoo/\nc.txt\nb.log\na.txt\n"},
        {"sort=size", "zoo/\nb.log\na.txt\nc.txt\n"},
        {"sort=size&order=desc", "zoo/\nc.txt\na.txt\nb.log\n"},
        {"sort=time", "zoo/\nc.txt\na.txt\nb.log\n"},
        {"q=.TXT", "a.txt\nc.txt\n"},
        {"q=%2e%54x", "a.txt\nc.txt\n"},
        {"q=nothing", ""},
        {"after=f0/a.txt", "b.log\nc.txt\n"},
        {"before=f0/b.log", "zoo/\na.txt\n"},
        {"sort=size&after=f5/a.txt", "c.txt\n"},
        {"after=x", "zoo/\na.txt\nb.log\nc.txt\n"},
        {"sort=%00&q=%00&after&before=&=", "zoo/\na.txt\nb.log\nc.txt\n"},
    };
    char target[200];

    cr_assert_eq(mkdir("dir/zoo", 0755), 0);
    write_text("dir/a.txt", "12345");
    write_text("dir/b.log", "1");
    write_text("dir/c.txt", "1234567");
    set_mtime("dir/c.txt", 1000);
    set_mtime("dir/a.txt", 2000);
    set_mtime("dir/b.log", 3000);
    SERVE(.listing = true);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        svl_str answer, body;

        snprintf(target, sizeof target, "/dir/?format=text&%s", cases[i].query);
        answer = get(target);
        expect_field(answer, "Content-Type", "text/plain; charset=utf-8");
        body = loopback_body(answer);
        cr_assert(svl_str_eq(body, SVL_STR("0\r\n\r\n"))
                      ? !*cases[i].names
                      : *cases[i].names && holds(body, cases[i].names),
                  "%s: %.*s", cases[i].query, SVL_FMT(body));
    }
}

Test(fs, programs_get_the_listing_as_json)
{
    svl_str answer;

    write_text("dir/a \"b\"\n", "12345");
    set_mtime("dir/a \"b\"\n", 1000000000);
    write_text("dir/\xff", "");
    cr_assert_eq(mkdir("dir/zoo", 0755), 0);
    SERVE(.listing = true);
    answer = ask("GET", "/dir/", "Accept: application/json\r\n");
    expect_field(answer, "Content-Type", "application/json");
    expect_field(answer, "Vary", "Accept");
    cr_assert(holds(answer, "{\"name\":\"a \\\"b\\\"\\u000a\",\"type\":\"file\",\"url\":"
                            "\"./a%20%22b%22%0A\",\"size\":5,\"mtime\":\"2001-09-09T01:46:40Z\"}"));
    cr_assert(holds(answer, "{\"name\":\"\\ufffd\",\"type\":\"file\",\"url\":\"./%FF\""));
    cr_assert(holds(answer, "{\"name\":\"zoo\",\"type\":\"directory\",\"url\":\"./zoo/\""));
    answer = ask("GET", "/dir/", "Accept: text/plain\r\n");
    expect_field(answer, "Content-Type", "text/plain; charset=utf-8");
    answer = ask("GET", "/dir/", "Accept: text/html, application/json;q=0.9\r\n");
    expect_field(answer, "Content-Type", "text/html; charset=utf-8");
    expect_field(get("/dir/"), "Content-Type", "text/html; charset=utf-8");
}

Test(fs, a_site_can_have_json_listings_only)
{
    SERVE(.listing = SVL_FS_LISTING_JSON);
    expect_field(ask("GET", "/dir/?format=text", "Accept: text/html\r\n"), "Content-Type",
                 "application/json");
}

Test(fs, a_listing_that_is_the_same_is_not_sent_again)
{
    char field[200];
    svl_str etag;

    write_text("dir/x", "1");
    SERVE(.listing = true);
    etag = loopback_field(get("/dir/"), "ETag");
    cr_assert(svl_str_starts(etag, SVL_STR("W/\"")));
    snprintf(field, sizeof field, "If-None-Match: %.*s\r\n", SVL_FMT(etag));
    expect_status(ask("GET", "/dir/", field), 304, "the same");
    expect_status(ask("HEAD", "/dir/", field), 304, "the same");
    expect_status(ask("GET", "/dir/?sort=size", field), 200, "another order");
    write_text("dir/x", "12"); /* the folder's own times stay */
    expect_status(ask("GET", "/dir/", field), 200, "another size");
}

Test(fs, the_readme_stands_beneath_and_is_harmless)
{
    svl_str page;

    write_text("dir/README.md",
               "# Hello\n\n*it* [is](javascript:alert(1)) <b onclick=x>raw</b>\n"
               "[a](&#x6a;avascript&#58;alert) [b](JAVAscript:x) [c](data:text/html,x)\n"
               "![\"<i>](x.png) [ok](sub/page) [web](https://example.org/?a=b&c)\n");
    SERVE(.listing = true);
    page = page_of("/dir/");
    cr_assert(holds(page, "<h2 id=\"readme\">README.md</h2>"));
    cr_assert(!holds(page, "<b ") && !holds(page, "<i>\"") && !holds(page, "data:text"));
#ifdef SVL_FS_MARKDOWN
    cr_assert(holds(page, "<h3>Hello</h3>") && holds(page, "<em>it</em>"));
    cr_assert(holds(page, "<a href=\"sub/page\""));
#endif
    cr_assert(!holds(page, "href=\"javascript") && !holds(page, "href=\"JAVA"));
    write_text("dir/README.md", "");
    cr_assert(!holds(page_of("/dir/"), "id=\"readme\""));
    cr_assert(unlink("dir/README.md") == 0 && symlink("../../secret", "dir/README.txt") == 0);
    cr_assert(!holds(page_of("/dir/"), "id=\"readme\""));
}

Test(fs, hostile_names_do_no_harm_on_the_page_and_can_be_fetched)
{
    static const char *const names[] = {
        "<script>alert(1)<",
        "\"quote'",
        "a&b;c",
        "new\nline",
        "tab\t",
        "-rf",
        "100%",
        "%2e%2e",
        "q?a=b",
        "h#x",
        "javascript:alert(1)",
        "back\\slash",
        "\xff\xfe",
        "\342\200\256gpj.exe", /* U+202E: what follows is shown from right to left */
        " blank ",
        "c:d",
        "\x1b[31m",
        "+plus",
    };
    const char *page;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        write_text(names[i], names[i]);
    SERVE(.listing = true);
    page = page_of("/").p;
    cr_assert(!strstr(page, "<script>alert") && !strstr(page, "\"quote") &&
              !strstr(page, "href=\"java"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char escaped[800], link[900];
        size_t n = svl_path_escape(escaped + 1, svl_str_of(names[i]));

        escaped[0] = '/';
        escaped[n + 1] = 0;
        snprintf(link, sizeof link, "href=\".%s\"", escaped);
        cr_assert(strstr(page, link), "%s", link);
        expect_file(escaped, names[i]);
    }
}

/* Follows the links to the next page, and counts the rows. */
Test(fs, the_pages_of_many_names_are_complete)
{
    enum { MANY = 2100 };
    char name[300], target[2000] = "/many/";
    int found = 0, pages = 0;

    cr_assert(mkdir("many", 0755) == 0 && chdir("many") == 0);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "%05d-%0*d", i, i % 240 + 1, i);
        write_text(name, "");
    }
    cr_assert_eq(chdir(".."), 0);
    SERVE(.listing = true);
    while (target[0]) {
        svl_str page = page_of(target);
        const char *next;

        for (const char *at = page.p; (at = strstr(at, "<time ")); at++)
            found++;
        next = strstr(page.p, "rel=\"next\" href=\"");
        cr_assert(pages > 0 || next);
        cr_assert(pages > 0 || holds(page, "1\xe2\x80\x93"
                                           "1,000 of 2,100 entries"));
        target[0] = 0;
        if (next) {
            next += strlen("rel=\"next\" href=\"");
            snprintf(target, sizeof target, "/many/%.*s", (int)strcspn(next, "\""), next);
            for (char *amp; (amp = strstr(target, "&amp;"));)
                memmove(amp + 1, amp + 5, strlen(amp + 5) + 1);
        }
        pages++;
    }
    cr_assert_eq(found, MANY);
    cr_assert_eq(pages, 3);
}

Test(fs, listings_for_programs_are_not_paged)
{
    char name[32];
    svl_str text;
    int found = 0;

    cr_assert_eq(mkdir("many", 0755), 0);
    for (int i = 0; i < 1500; i++) {
        snprintf(name, sizeof name, "many/%d", i);
        write_text(name, "");
    }
    SERVE(.listing = true);
    text = page_of("/many/?format=text");
    for (size_t i = 0; i < text.n; i++)
        found += text.p[i] == '\n';
    cr_assert_eq(found, 1500);
    text = page_of("/many/?format=json");
    cr_assert(holds(text, "{\"name\":\"1499\"") && holds(text, "\n]\n"));
}

/* The hash in the policy is that of style and script, or no browser applies it. */
Test(fs, style_and_script_of_the_page_are_those_its_policy_allows)
{
    static const char command[] = "openssl dgst -sha256 -binary style | openssl base64 -A";
    svl_str page, policy;
    const char *from, *to;
    char hash[128], kept[800];
    FILE *pipe;

    if (system("command -v openssl >/dev/null"))
        cr_skip_test("needs openssl");
    SERVE(.listing = true);
    policy = svl_str_head(loopback_field(get("/"), "Content-Security-Policy"), sizeof kept - 1);
    policy = (svl_str){memcpy(kept, policy.p, policy.n), policy.n};
    page = page_of("/");
    from = (const char *)memmem(page.p, page.n, "<style>", 7) + 7;
    to = memmem(page.p, page.n, "</style>", 8);
    write_bytes("style", from, (size_t)(to - from));
    pipe = popen(command, "r");
    cr_assert(pipe && fgets(hash, sizeof hash, pipe));
    pclose(pipe);
    cr_assert(holds(policy, hash), "%s", hash);
    from = (const char *)memmem(page.p, page.n, "<script>", 8) + 8;
    to = memmem(page.p, page.n, "</script>", 9);
    write_bytes("style", from, (size_t)(to - from));
    pipe = popen(command, "r");
    cr_assert(pipe && fgets(hash, sizeof hash, pipe));
    pclose(pipe);
    cr_assert(holds(policy, hash), "%s", hash);
}

/* --- Conditions again, with any bytes ------------------------------------------------------- */

Test(fs, any_field_is_survived)
{
    static const char *const ids[] = {"If-None-Match", "If-Match", "If-Range", "Range",
                                      "If-Modified-Since"};
    static const char alphabet[] = "\"W/*,- \tbytes=0129;aGMT:";
    unsigned seed = 1;
    char fields[200];

    SERVE();
    for (int i = 0; i < 5000; i++) {
        int n = snprintf(fields, 100, "Range: bytes=1-2\r\n%s: ", ids[i % 5]);
        int status;

        for (int k = rand_r(&seed) % 40; k > 0; k--)
            fields[n++] = alphabet[rand_r(&seed) % (int)(sizeof alphabet - 1)];
        snprintf(fields + n, 3, "\r\n");
        status = loopback_status(ask("GET", "/a.txt", fields));
        cr_assert(status == 200 || status == 206 || status == 304 || status == 412 || status == 416,
                  "%d: %s", status, fields);
    }
}
