/* fs: what is kept between requests, and what lies beside a file.
 * ctest-module: fs */
#include "serval/mod/fs.h"

#include "support/fs_folder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

TestSuite(fs_cache, .init = make_folder, .fini = remove_folder);

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

Test(fs_cache, the_cache_stays_within_its_limits)
{
    SERVE(.cache_bytes = 4000, .cache_entries = 7, .cache_fds = 3, .cache_file_bytes = 300);
    ask_for_many(40, 3);
}

Test(fs_cache, files_are_the_same_without_a_cache)
{
    SERVE(.no_cache = true);
    ask_for_many(10, 2);
    expect_file("/site/", "<p>index");
}

Test(fs_cache, many_clients_hold_files_that_the_cache_has_forgotten)
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

Test(fs_cache, without_descriptors_the_answer_is_503_and_what_is_in_memory_goes_on)
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

Test(fs_cache, what_lies_beside_a_file_is_given_to_who_prefers_it)
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

Test(fs_cache, each_coding_has_a_tag_of_its_own)
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

Test(fs_cache, a_file_that_is_newer_than_what_lies_beside_it_is_given_itself)
{
    make_sidecars();
    SERVE(.revalidate_us = -1);
    expect_coding("gzip", "gzip", "gzipped");
    replace_text("page.html", "<p>new");
    expect_field(ask("GET", "/page.html", "Accept-Encoding: gzip\r\n"), "Content-Encoding", NULL);
    expect_file("/page.html", "<p>new");
}

Test(fs_cache, a_link_out_of_the_root_beside_a_file_is_not_followed)
{
    cr_assert_eq(symlink("../secret", "a.txt.br"), 0);
    SERVE(0);
    expect_body(ask("GET", "/a.txt", "Accept-Encoding: br\r\n"), "hello, file\n");
}
