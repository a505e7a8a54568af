/* fs: the page of a folder, and the same for programs.
 * ctest-module: fs */
#include "serval/mod/fs.h"

#include "support/fs_folder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(fs_listing, .init = make_folder, .fini = remove_folder);

/* --- The page of a folder ------------------------------------------------------------------- */

Test(fs_listing, a_folder_without_an_index_file_is_missing_by_default)
{
    SERVE();
    expect_missing("/");
    expect_missing("/dir/");
}

Test(fs_listing, the_page_lists_folders_first_and_what_can_be_had)
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

Test(fs_listing, the_page_of_an_empty_folder_is_whole)
{
    SERVE(.listing = true);
    cr_assert(holds(page_of("/dir/"), "This folder is empty."));
    cr_assert(svl_str_ends(page_of("/dir/"), SVL_STR("</script></body></html>\n")));
}

Test(fs_listing, entries_that_cannot_be_had_say_why_and_lead_nowhere)
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

Test(fs_listing, numbers_in_names_sort_by_value)
{
    svl_str page;

    write_text("dir/a10", "");
    write_text("dir/A2", "");
    write_text("dir/a002b", "");
    SERVE(.listing = SVL_FS_LISTING_ON);
    page = loopback_body(ask("GET", "/dir/?format=text", ""));
    cr_assert(holds(page, "A2\na002b\na10\n"), "%.*s", SVL_FMT(page));
}

Test(fs_listing, listings_sort_and_filter)
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

Test(fs_listing, programs_get_the_listing_as_json)
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

Test(fs_listing, a_site_can_have_json_listings_only)
{
    SERVE(.listing = SVL_FS_LISTING_JSON);
    expect_field(ask("GET", "/dir/?format=text", "Accept: text/html\r\n"), "Content-Type",
                 "application/json");
}

Test(fs_listing, a_listing_that_is_the_same_is_not_sent_again)
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

Test(fs_listing, the_readme_stands_beneath_and_is_harmless)
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

Test(fs_listing, hostile_names_do_no_harm_on_the_page_and_can_be_fetched)
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
Test(fs_listing, the_pages_of_many_names_are_complete)
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

Test(fs_listing, listings_for_programs_are_not_paged)
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
Test(fs_listing, style_and_script_of_the_page_are_those_its_policy_allows)
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
