/* Behaviours by number, files and what modules do to answers: tests/behaviours.md says what was
 * decided about each. ctest-module: fs */
#include "support/behaviour.h"
#include "support/fs_folder.h"

#include "serval/mod/fs.h"
#if SVL_HAVE_COMPRESS
#include "serval/mod/compress.h"
#endif
#if SVL_HAVE_REWRITE
#include "serval/mod/rewrite.h"
#endif
#if SVL_HAVE_VARS
#include "serval/mod/vars.h"
#endif

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(behaviour_files, .init = make_folder, .fini = remove_folder);

/* Compressing ------------------------------------------------------------------------------- */

#if SVL_HAVE_COMPRESS
static const char *vary;
static const struct svl_use once[] = {SVL_USE(compress, 0), SVL_USE_END};
static const struct svl_use twice[] = {SVL_USE(compress, 0), SVL_USE(compress, 0), SVL_USE_END};

static enum svl_verdict long_text(struct svl_ctx *ctx, void *arg)
{
    static char text[2000];

    (void)arg;
    memset(text, 'x', sizeof text);
    if (vary)
        svl_header_set(ctx, SVL_H_VARY, svl_str_of(vary));
    return svl_text(ctx, 200, (svl_str){text, sizeof text});
}

static svl_str compressed(const char *accept, unsigned times)
{
    char field[128];

    if (l)
        loopback_close(l);
    l = loopback_open(
        &(struct svl_server_config){.handler = long_text, .chain = times == 2 ? twice : once});
    snprintf(field, sizeof field, "Accept-Encoding: %s\r\n", accept);
    return loopback_get(l, "/", field);
}

Test(behaviour_files, b108_there_is_one_Vary)
{
    svl_str answer;

    vary = "Accept";
    answer = compressed("gzip", 1);
    cr_assert(has(loopback_field(answer, "Vary"), "Accept") &&
              has(loopback_field(answer, "Vary"), "Accept-Encoding"));
    vary = "Accept-Encoding";
    cr_assert(is(loopback_field(compressed("gzip", 1), "Vary"), "Accept-Encoding"));
}

Test(behaviour_files, b109_a_coding_is_chosen_and_applied_once) /* stricter: weights (12.5.3) */
{
    vary = NULL;
#if SVL_COMPRESS_GZIP
    expect_field(compressed("gzip, deflate, sdhc", 1), "Content-Encoding", "gzip");
    expect_field(compressed("gzip", 2), "Content-Encoding", "gzip");
#endif
#if SVL_COMPRESS_DEFLATE
    expect_field(compressed("foobar, deflate, sdhc", 1), "Content-Encoding", "deflate");
    expect_field(compressed("gzip;q=0.1, deflate", 1), "Content-Encoding", "deflate");
#endif
#if SVL_COMPRESS_BROTLI
    expect_field(compressed("gzip, deflate, br", 1), "Content-Encoding", "br");
#endif
    expect_field(compressed("gzip;q=0", 1), "Content-Encoding", NULL);
}

Test(behaviour_files, b110_names_of_codings_are_whole)
{
    static const char *const none[] = {"gzi", "zip", "flate", "def"};

    vary = NULL;
    for (int i = 0; i < 4; i++)
        expect_field(compressed(none[i], 1), "Content-Encoding", NULL);
}
#endif

/* Files ------------------------------------------------------------------------------------- */

Test(behaviour_files, b167_a_part_of_a_file_is_206)
{
    svl_str answer;

    SERVE();
    answer = ask("GET", "/a.txt", "Range: bytes=2-5\r\n");
    expect_status(answer, 206, "a part");
    expect_field(answer, "Content-Range", "bytes 2-5/12");
    expect_body(answer, "llo,");
    expect_status(ask("GET", "/empty", "Range: bytes=-5\r\n"), 416, "nothing of nothing");
}

Test(behaviour_files, b171_what_is_beside_the_root_is_not_there)
{
    char with_slash[80], with_dot[80];
    const char *const roots[] = {root, with_slash, with_dot};

    snprintf(with_slash, sizeof with_slash, "%s/", root);
    snprintf(with_dot, sizeof with_dot, "%s/./", root);
    for (int i = 0; i < 3; i++) {
        if (l)
            loopback_close(l);
        l = LOOPBACK(SVL_USE(fs, .root = roots[i]));
        expect_status(get("/a.txt"), 200, roots[i]);
        expect_missing("/secret");
        expect_missing("/../secret");
        expect_missing("/%2e%2e/secret");
    }
}

Test(behaviour_files, b173_head_folders_and_types)
{
    svl_str answer;

    write_bytes("p.png", "\x89PNG", 4);
    SERVE();
    answer = ask("HEAD", "/a.txt", "");
    expect_field(answer, "Content-Length", "12");
    expect_body(answer, "");
    answer = get("/site");
    cr_assert_eq(loopback_status(answer) / 100, 3);
    cr_assert(has(loopback_field(answer, "Location"), "/site/"));
    expect_status(get("/site/"), 200, "a folder with an index");
    expect_field(get("/p.png"), "Content-Type", "image/png");
}

Test(behaviour_files, b174_a_name_may_hold_what_means_something_in_a_target)
{
    write_text("a b", "blank");
    write_text("a#b", "hash");
    write_text("%61", "percent");
    write_text("a?b", "question");
    SERVE();
    expect_file("/a%20b", "blank");
    expect_file("/a%23b", "hash");
    expect_file("/%2561", "percent");
    expect_file("/a%3Fb", "question");
    expect_missing("/a?b");
}

Test(behaviour_files, b175_a_copy_is_chosen_by_what_the_client_takes)
{
    svl_str answer;

    write_text("a.txt.gz", "as gzip");
    write_text("a.txt.br", "as br");
    write_text("a.txt.zst", "as zstd");
    SERVE();
    answer = ask("GET", "/a.txt", "Accept-Encoding: gzip, zstd, br, wompwomp\r\n");
    expect_field(answer, "Content-Encoding", "br");
    expect_field(answer, "Vary", "Accept-Encoding");
    expect_field(ask("GET", "/a.txt", "Accept-Encoding: gzip, zstd\r\n"), "Content-Encoding",
                 "zstd");
    expect_field(ask("GET", "/a.txt", "Accept-Encoding: gzip\r\n"), "Content-Encoding", "gzip");
    loopback_close(l);
    SERVE(.no_sidecars = true);
    answer = ask("GET", "/a.txt", "Accept-Encoding: gzip, br\r\n");
    expect_field(answer, "Content-Encoding", NULL);
    expect_field(answer, "Vary", NULL);
}

Test(behaviour_files, b178_many_readers_of_one_file)
{
    SERVE();
    for (int round = 0; round < 5; round++)
        for (unsigned i = 1; i < LOOPBACK_CLIENTS; i++) {
            char request[128], want[16];
            unsigned from = i % 12;
            svl_str answer;

            snprintf(request, sizeof request,
                     "GET /a.txt HTTP/1.1\r\nHost: h\r\nRange: bytes=%u-\r\n\r\n", from);
            loopback_send_on(l, i, svl_str_of(request));
            answer = loopback_take_on(l, i);
            expect_status(answer, 206, "a reader");
            snprintf(want, sizeof want, "%s", &"hello, file\n"[from]);
            expect_body(answer, want);
        }
}

/* Rewriting ----------------------------------------------------------------------------------- */

#if SVL_HAVE_REWRITE
static const struct svl_rewrite_rule by_host[] = {{.vhost = true}, SVL_REWRITE_END};

static int vhost_status(const char *host, const char *path)
{
    char request[256];

    if (!l)
        l = LOOPBACK(SVL_USE(rewrite, .rules = by_host), SVL_USE(fs, .root = root));
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);
    return loopback_status(loopback_ask(l, request));
}

Test(behaviour_files, b168_folders_by_host)
{
    cr_assert_eq(mkdir("foobar.com", 0755), 0);
    write_text("foobar.com/baz", "of foobar");
    cr_assert_eq(vhost_status("foobar.com", "/baz"), 200);
    cr_assert_eq(vhost_status("FOOBAR.com:80", "/baz"), 200);
    cr_assert_eq(vhost_status("other.com", "/baz"), 404);
    cr_assert_neq(vhost_status("../foobar.com", "/baz"), 200);
    cr_assert_neq(vhost_status("..", "/secret"), 200);
}

static const struct svl_rewrite_rule out[] = {{.exact = "/1", .to = "/../secret"},
                                              {.exact = "/2", .to = "/site/../../secret"},
                                              {.exact = "/3", .to = "/..hidden/info"},
                                              SVL_REWRITE_END};

Test(behaviour_files, b170_a_rewrite_leads_nowhere_else)
{
    cr_assert_eq(mkdir("..hidden", 0755), 0);
    write_text("..hidden/info", "shown");
    l = LOOPBACK(SVL_USE(rewrite, .rules = out), SVL_USE(fs, .root = root, .show_hidden = true));
    expect_missing("/1");
    expect_missing("/2");
    expect_file("/3", "shown");
}
#endif

/* Figures -------------------------------------------------------------------------------------- */

#if SVL_HAVE_VARS
static struct svl_var orders = SVL_COUNTER("orders_total", "Orders.");
static struct svl_var cancels = SVL_COUNTER("cancels_total", "Cancels.");
static struct svl_var *const vars[] = {&orders, &cancels, NULL};

Test(behaviour_files, b205_figures_are_filtered_by_name)
{
    svl_str body;

    l = LOOPBACK(SVL_USE(vars, .vars = vars, .open = true));
    body = loopback_body(get("/debug/vars"));
    cr_assert(has(body, "orders_total") && has(body, "cancels_total"));
    body = loopback_body(get("/debug/vars?r=orders"));
    cr_assert(has(body, "orders_total") && !has(body, "cancels_total"));
}
#endif
