/* fs: what must never be answered: nothing from outside of the root, nothing hidden, nothing that is no file.
 * ctest-module: fs */
#include "serval/mod/fs.h"
#if SVL_HAVE_REWRITE
#include "serval/mod/rewrite.h"
#endif
#if SVL_HAVE_ROUTER
#include "serval/mod/router.h"
#endif

#include "support/fs_folder.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

TestSuite(fs_root, .init = make_folder, .fini = remove_folder);

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

Test(fs_root, nothing_outside_of_the_root_is_reached)
{
    make_traps();
    SERVE(.listing = true);
    try_traversals();
}

Test(fs_root, nothing_outside_of_the_root_is_reached_without_openat2)
{
    make_traps();
    SERVE(.listing = true, .no_openat2 = true);
    try_traversals();
}

Test(fs_root, paths_that_only_look_like_traversal_are_files)
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

Test(fs_root, links_inside_of_the_root_are_followed)
{
    link_to("../a.txt", "dir/in");
    link_to("site", "alias");
    SERVE(.symlinks = SVL_FS_INSIDE);
    expect_file("/dir/in", "hello, file\n");
    expect_file("/alias/", "<p>index");
    expect_status(get("/alias"), 301, "/alias");
}

Test(fs_root, links_are_not_followed_when_denied)
{
    link_to("../a.txt", "dir/in");
    link_to("site", "alias");
    SERVE(.symlinks = SVL_FS_DENY);
    expect_missing("/dir/in");
    expect_missing("/alias/");
    expect_missing("/alias");
    expect_file("/a.txt", "hello, file\n");
}

Test(fs_root, without_openat2_links_are_denied)
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

Test(fs_root, links_lead_anywhere_only_if_asked_for)
{
    link_to("../secret", "out");
    SERVE(.symlinks = SVL_FS_FOLLOW);
    expect_file("/out", "secret");
}

Test(fs_root, a_folder_that_becomes_a_link_out_is_noticed)
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

Test(fs_root, fifos_sockets_and_devices_are_not_files)
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

Test(fs_root, hidden_files_can_be_shown)
{
    write_text(".hidden", "shown");
    SERVE(.show_hidden = true);
    expect_file("/.hidden", "shown");
    expect_missing("/../secret");
}

Test(fs_root, names_too_long_for_the_system_are_missing)
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

Test(fs_root, every_byte_of_a_name_can_be_asked_for)
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

#if SVL_HAVE_REWRITE
/* Virtual hosts by folder: rewrite puts the host in front of the path. */
Test(fs_root, a_host_is_a_folder_of_the_root_and_nothing_else)
{
    static const struct svl_rewrite_rule rules[] = {{.vhost = true}, SVL_REWRITE_END};
    static const struct {
        const char *host, *target;
        int status;
    } cases[] = {
        {"a.example", "/", 200},       {"A.Example:8080", "/", 200},
        {"b.example", "/", 404},       {"a.example", "/../a.txt", 404},
        {"dir", "/../../secret", 404}, {"..", "/a.txt", 404},
        {".", "/a.txt", 404},          {".hidden", "/", 404},
        {"[::1]", "/", 404},           {"a.example", "/docs", 301},
    };
    char request[200];

    make_traps();
    mkdir("a.example", 0755);
    mkdir("a.example/docs", 0755);
    write_text("a.example/index.html", "a");
    l = LOOPBACK(SVL_USE(rewrite, .rules = rules), SVL_USE(fs, .root = root));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        svl_str answer;

        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", cases[i].target,
                 cases[i].host);
        if (loopback_shut(l) || loopback_closed(l))
            loopback_reconnect(l);
        answer = loopback_ask(l, request);
        cr_expect(loopback_status(answer) == cases[i].status ||
                      (cases[i].status == 404 && loopback_status(answer) == 400),
                  "%s %s: %d", cases[i].host, cases[i].target, loopback_status(answer));
        cr_expect(!holds(answer, "secret"));
        if (cases[i].status == 301)
            expect_field(answer, "Location", "/docs/");
    }
}
#endif

#if SVL_HAVE_ROUTER
Test(fs_root, a_mounted_folder_redirects_below_its_prefix)
{
    const struct svl_use files[] = {SVL_USE(fs, .root = root, .upload = true), SVL_USE_END};
    const struct svl_route mounts[] = {SVL_MOUNT("/my files", files), SVL_ROUTE_END};

    make_traps();
    mkdir("a b", 0755);
    l = LOOPBACK(SVL_USE(router, .routes = mounts));
    expect_field(get("/my%20files/a%20b?x"), "Location", "/my%20files/a%20b/?x");
    expect_field(get("/my%20files//./a%20b"), "Location", "/my%20files/a%20b/");
    expect_field(loopback_ask(l, "PUT /my%20files/new%20one HTTP/1.1\r\nHost: test\r\n"
                                 "Content-Length: 1\r\n\r\nx"),
                 "Location", "/my%20files/new%20one");
}
#endif
