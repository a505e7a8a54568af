/* A folder of files for the tests of fs, and asking for what is in it. Each test has a folder of its
 * own, with a file beside the root that must not be seen. */
#include "support/fs_folder.h"

#include "serval/text.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

char base[] = "/tmp/serval-fs-XXXXXX";
char root[64];
struct loopback *l;

/* --- The folder ----------------------------------------------------------------------------- */

void write_bytes(const char *name, const void *bytes, size_t n)
{
    FILE *file = fopen(name, "wb");

    cr_assert(file && fwrite(bytes, 1, n, file) == n && fclose(file) == 0, "%s: %s", name,
              strerror(errno));
}

void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

void replace_text(const char *name, const char *text)
{
    write_text(".new", text);
    cr_assert_eq(rename(".new", name), 0);
}

void set_mtime(const char *name, time_t seconds)
{
    struct timeval times[2] = {{seconds, 0}, {seconds, 0}};

    cr_assert_eq(utimes(name, times), 0);
}

void make_folder(void)
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

void remove_folder(void)
{
    if (getuid() == 0)
        cr_assert_eq(seteuid(0), 0); /* some tests were nobody */
    if (l)
        loopback_close(l);
    cr_assert_eq(chdir("/"), 0);
    nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void link_to(const char *target, const char *path)
{
    cr_assert_eq(symlink(target, path), 0);
}

/* --- Asking --------------------------------------------------------------------------------- */

/* A long answer takes several rounds, in each of which the client has read something. */
void rounds(unsigned client)
{
    for (int i = 0; i < 100; i++) {
        loopback_round(l);
        loopback_send_on(l, client, SVL_STR(""));
    }
}

svl_str ask(const char *method, const char *target, const char *fields)
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

svl_str get(const char *target)
{
    return ask("GET", target, "");
}

void expect_status(svl_str answer, int status, const char *what)
{
    cr_assert_eq(loopback_status(answer), status, "%s: %d instead of %d", what,
                 loopback_status(answer), status);
}

void expect_field(svl_str answer, const char *name, const char *value)
{
    svl_str got = loopback_field(answer, name);

    if (!value)
        cr_assert_null(got.p, "%s: %.*s", name, SVL_FMT(got));
    else
        cr_assert(svl_str_eq(got, svl_str_of(value)), "%s: \"%.*s\" instead of \"%s\"", name,
                  SVL_FMT(got), value);
}

void expect_body(svl_str answer, const char *body)
{
    svl_str got = loopback_body(answer);

    cr_assert(svl_str_eq(got, svl_str_of(body)), "\"%.*s\" instead of \"%s\"", SVL_FMT(got), body);
}

void expect_file(const char *target, const char *body)
{
    svl_str answer = get(target);

    expect_status(answer, 200, target);
    expect_body(answer, body);
}

void expect_missing(const char *target)
{
    svl_str answer = get(target);

    expect_status(answer, 404, target);
    cr_assert_null(memmem(answer.p, answer.n, "secret", 6), "%s", target);
}

bool holds(svl_str text, const char *what)
{
    return memmem(text.p, text.n, what, strlen(what)) != NULL;
}

/* The value of a field, kept until the next four. */
const char *field_of(const char *target, const char *name)
{
    static char copies[4][128];
    static unsigned next;
    svl_str value = loopback_field(get(target), name);
    char *copy = copies[next++ % 4];

    cr_assert(value.p && value.n < sizeof copies[0], "%s has no %s", target, name);
    svl_str_copy(copy, sizeof copies[0], value);
    return copy;
}

/* The page of a folder, put together from its chunks. */
svl_str page_of(const char *target)
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

void make_traps(void)
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
