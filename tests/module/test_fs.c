/* fs: what is answered for a path: files, folders, other paths, and fs among other modules. */
#include "serval/mod/fs.h"

#include "support/fs_folder.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(fs, .init = make_folder, .fini = remove_folder);

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
                   "fs: index file: \"../secret\" is not a file name; it may not hold a slash");
    chmod("dir", 0);
    cr_assert(geteuid() != 0 || seteuid(65534) == 0);
    expect_refused(&(struct svl_fs_config){.root = "dir"}, "fs: dir: Permission denied");
}

Test(fs, files_that_are_to_be_saved_have_a_name)
{
    static const char *const saved[] = {"*.exe", "/site/*", NULL};

    SERVE(.download = saved);
    write_text("a \"b\".exe", "x");
    expect_field(get("/a%20%22b%22.exe"), "Content-Disposition",
                 "attachment; filename=\"a \\\"b\\\".exe\"; filename*=UTF-8''a%20%22b%22.exe");
    expect_field(get("/site/"), "Content-Disposition",
                 "attachment; filename=\"index.html\"; filename*=UTF-8''index.html");
    expect_field(get("/a.txt"), "Content-Disposition", NULL);
}
