/* fs: files that change, between requests and while they are sent.
 * ctest-module: fs */
#include "serval/mod/fs.h"

#include "support/fs_folder.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(fs_changes, .init = make_folder, .fini = remove_folder);

/* Whether this file system tells who is writing. */
static void need_leases(void)
{
    int fd = open("empty", O_RDONLY), got = fcntl(fd, F_SETLEASE, F_RDLCK);

    close(fd);
    if (got < 0)
        cr_skip_test("no leases here");
}

/* --- Files that change ---------------------------------------------------------------------- */

Test(fs_changes, a_change_is_seen_at_once_when_each_request_looks)
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

Test(fs_changes, a_change_is_soon_seen_by_default)
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

Test(fs_changes, an_etag_belongs_to_one_content)
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

Test(fs_changes, a_long_file_has_another_etag_when_it_changes)
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

Test(fs_changes, an_old_version_is_given_while_the_new_one_is_written)
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

Test(fs_changes, a_long_file_that_is_overwritten_is_a_clean_error_until_it_is_done)
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

Test(fs_changes, a_new_file_is_given_once_there_is_something_in_it)
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

Test(fs_changes, a_file_replaced_while_it_is_sent_arrives_in_its_old_version)
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

Test(fs_changes, a_file_that_shrinks_while_it_is_sent_ends_the_connection)
{
    size_t got = begin_big(1000000);

    cr_assert_eq(truncate("big", 100000), 0);
    got += rest_of_big().n;
    cr_assert_lt(got, 1000000);
    cr_assert(loopback_closed(l));
    cr_assert_eq(loopback_body(get("/big")).n, 100000);
}

Test(fs_changes, a_file_overwritten_while_it_is_sent_ends_the_connection)
{
    size_t got = begin_big(1000000);
    int fd = open("big", O_WRONLY);

    cr_assert(pwrite(fd, "new", 3, 900000) == 3 && close(fd) == 0);
    got += rest_of_big().n;
    cr_assert_lt(got, 1000000);
    cr_assert(loopback_closed(l));
    expect_status(get("/big"), 200, "the new version");
}

Test(fs_changes, a_file_that_grows_while_it_is_sent_arrives_as_long_as_announced)
{
    size_t got = begin_big(1000000);
    int fd = open("big", O_WRONLY | O_APPEND);

    cr_assert(write(fd, "more", 4) == 4 && close(fd) == 0);
    got += rest_of_big().n;
    cr_assert_eq(got, 1000000);
    cr_assert_eq(loopback_body(get("/big")).n, 1000004);
}

Test(fs_changes, a_file_deleted_while_it_is_sent_arrives)
{
    size_t got = begin_big(1000000);

    cr_assert_eq(unlink("big"), 0);
    got += rest_of_big().n;
    cr_assert_eq(got, 1000000);
    expect_missing("/big");
}

Test(fs_changes, a_log_that_grows_is_given_as_it_is)
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
