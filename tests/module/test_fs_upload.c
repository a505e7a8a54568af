/* fs: files that clients put into a folder.
 * ctest-module: fs */
#include "serval/mod/fs.h"

#include "support/fs_folder.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(fs_upload, .init = make_folder, .fini = remove_folder);

#define BOUNDARY "xyz"
#define TYPE "Content-Type: multipart/form-data; boundary=" BOUNDARY "\r\n"

static svl_str send_body(const char *method, const char *target, const char *fields, svl_str body)
{
    char head[2000];

    snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: test\r\nContent-Length: %zu\r\n%s\r\n",
             method, target, body.n, fields);
    if (loopback_shut(l) || loopback_closed(l))
        loopback_reconnect(l);
    loopback_take(l);
    loopback_send(l, head);
    loopback_send_bytes(l, body);
    rounds(0);
    return loopback_take(l);
}

static int put(const char *target, const char *fields, const char *body)
{
    return loopback_status(send_body("PUT", target, fields, svl_str_of(body)));
}

/* A form with up to two files. */
static svl_str form(const char *name, const char *content, const char *name2, const char *content2)
{
    static char text[2000];
    size_t n = 0;

    n += (size_t)sprintf(text,
                         "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"file\"; "
                         "filename=\"%s\"\r\n\r\n%s\r\n",
                         name, content);
    if (name2)
        n += (size_t)sprintf(text + n,
                             "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"file\"; "
                             "filename=\"%s\"\r\n\r\n%s\r\n",
                             name2, content2);
    n += (size_t)sprintf(text + n, "--" BOUNDARY "--\r\n");
    return (svl_str){text, n};
}

static int post(const char *target, const char *name, const char *content)
{
    return loopback_status(send_body("POST", target, TYPE, form(name, content, NULL, NULL)));
}

/* Names in a folder, without the two that all have: nothing temporary is left behind. */
static unsigned names_in(const char *path)
{
    DIR *dir = opendir(path);
    unsigned n = 0;

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n - 2;
}

Test(fs_upload, nothing_is_taken_unless_asked_for)
{
    SERVE();
    cr_assert_eq(put("/new.txt", "", "new"), 405);
    cr_assert_eq(post("/dir/", "new.txt", "new"), 405);
    cr_assert_eq(access("new.txt", F_OK), -1);
}

Test(fs_upload, a_file_is_put_and_given_back)
{
    svl_str answer;
    struct stat st;

    SERVE(.upload = true);
    answer = send_body("PUT", "/dir/new%20one.txt", "", SVL_STR("bytes of it"));
    expect_status(answer, 201, "PUT");
    expect_field(answer, "Location", "/dir/new%20one.txt");
    expect_file("/dir/new%20one.txt", "bytes of it");
    cr_assert_eq(put("/dir/empty", "", ""), 201);
    expect_file("/dir/empty", "");
    cr_assert(stat("dir/new one.txt", &st) == 0 && (st.st_mode & 0777) == 0644);
    cr_assert_eq(names_in("dir"), 2);
}

Test(fs_upload, a_long_file_arrives_whole)
{
    size_t n = 3 << 20;
    char *bytes = malloc(n);
    FILE *file;

    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    SERVE(.upload = true);
    cr_assert_eq(loopback_status(send_body("PUT", "/long", "", (svl_str){bytes, n})), 201);
    file = fopen("long", "rb");
    cr_assert(file);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(fgetc(file), (unsigned char)bytes[i], "byte %zu", i);
    cr_assert_eq(fgetc(file), EOF);
    fclose(file);
    free(bytes);
}

Test(fs_upload, nothing_that_is_there_is_replaced)
{
    SERVE(.upload = true);
    link_to("nowhere", "dangling");
    cr_assert_eq(put("/a.txt", "", "new"), 409);
    cr_assert_eq(put("/dir", "", "new"), 409);
    cr_assert_eq(put("/dangling", "", "new"), 409);
    cr_assert_eq(post("/", "a.txt", "new"), 409);
    expect_file("/a.txt", "hello, file\n");
    cr_assert_eq(access("nowhere", F_OK), -1);
}

Test(fs_upload, a_taken_name_gets_a_number_if_that_is_wanted)
{
    static const char *const cases[][2] = {
        {"a.txt", "a%20%281%29.txt"},
        {"a.txt", "a%20%282%29.txt"},
        {"x.tar.gz", "x.tar.gz"},
        {"plain", "plain"},
        {"plain", "plain%20%281%29"},
        {"x.tar.gz", "x.tar%20%281%29.gz"},
        {"dir%2fx", "dir%2fx"},
        {"dir%2Fx", "dir%2Fx%20%281%29"},
        {"end.", "end."},
        {"end.", "end%20%281%29."},
    };
    char target[300], name[256];
    svl_str answer;

    SERVE(.upload = true, .conflict = SVL_FS_CONFLICT_RENAME, .listing = SVL_FS_LISTING_ON);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(target, sizeof target, "/%s", cases[i][0]);
        answer = send_body("PUT", target, "", SVL_STR("new"));
        expect_status(answer, 201, target);
        snprintf(target, sizeof target, "/%s", cases[i][1]);
        expect_field(answer, "Location", target);
        expect_file(target, "new");
    }
    expect_file("/a.txt", "hello, file\n");
    answer = send_body("POST", "/", TYPE, form("a.txt", "1", "new.txt", "2"));
    expect_status(answer, 303, "POST");
    expect_field(answer, "Location", "/?kept=a+%283%29.txt");
    expect_file("/a%20%283%29.txt", "1");
    cr_assert(holds(page_of("/?kept=a+%283%29.txt"), "kept as <bdi>a (3).txt</bdi>."));
    cr_assert_not(holds(page_of("/?kept=send+me+money&kept=dir&kept=..%2Fa.txt"), "kept as"));
    memset(name, 'n', 255);
    name[255] = 0;
    snprintf(target, sizeof target, "/%s", name);
    cr_assert_eq(put(target, "", "x"), 201);
    cr_assert_eq(put(target, "", "x"), 400); /* there is no room for a number */
}

Test(fs_upload, a_form_brings_several_files_and_leads_back_to_the_folder)
{
    svl_str answer;

    SERVE(.upload = true);
    answer = send_body("POST", "/dir/", TYPE, form("one", "first", "two", "second"));
    expect_status(answer, 303, "POST");
    expect_field(answer, "Location", "/dir/");
    expect_file("/dir/one", "first");
    expect_file("/dir/two", "second");
    cr_assert_eq(names_in("dir"), 2);
}

Test(fs_upload, a_form_is_taken_whole_or_not_at_all)
{
    SERVE(.upload = true);
    expect_status(send_body("POST", "/", TYPE, form("one", "first", "a.txt", "second")), 409,
                  "the second is there");
    cr_assert_eq(access("one", F_OK), -1);
    expect_status(send_body("POST", "/dir/", TYPE, form("same", "1", "same", "2")), 409, "twice");
    expect_status(send_body("POST", "/dir/", TYPE, form("", "", NULL, NULL)), 400, "none chosen");
    expect_status(send_body("POST", "/dir/", "Content-Type: text/plain\r\n", SVL_STR("x")), 415,
                  "no form");
    expect_status(send_body("POST", "/dir/", TYPE, SVL_STR("--xyz\r\nbroken")), 400, "broken");
    cr_assert_eq(names_in("dir"), 0);
}

Test(fs_upload, hostile_names_are_refused)
{
    static const char *const names[] = {".hidden",  "dir/.hidden", "..%2f..%2fsecret2",
                                        "a%0d%0ab", "tab%09",      "back%5cslash"};
    char longest[300];

    make_traps();
    SERVE(.upload = true);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char target[64];
        int status;

        snprintf(target, sizeof target, "/%s", names[i]);
        status = put(target, "", "x");
        cr_assert(status == 403 || (i == 2 && status == 201), "%s: %d", names[i], status);
    }
    cr_assert_eq(access("../secret2", F_OK), -1);
    memset(longest, 'n', sizeof longest);
    longest[0] = '/';
    longest[270] = 0;
    cr_assert_eq(put(longest, "", "x"), 403);
    longest[256] = 0;
    cr_assert_eq(put(longest, "", "x"), 201, "255 bytes");
    cr_assert_eq(put("/.well-known/new", "", "x"), 201);
    cr_assert_eq(put("/missing/x", "", "x"), 404);
    cr_assert_eq(put("/a.txt/x", "", "x"), 404);
    cr_assert_eq(put("/dir/", "", "x"), 409);
}

Test(fs_upload, names_of_a_form_are_cleaned)
{
    SERVE(.upload = true);
    cr_assert_eq(post("/dir/", "../../up.txt", "x"), 303);
    cr_assert_eq(post("/dir/", "C:\\\\docs\\\\win.txt", "x"), 303);
    cr_assert_eq(post("/dir/", "..", "x"), 403);
    cr_assert_eq(post("/dir/", ".profile", "x"), 403);
    cr_assert(access("dir/up.txt", F_OK) == 0 && access("dir/win.txt", F_OK) == 0);
    cr_assert_eq(names_in("dir"), 2);
}

/* A file that would be given in the place of another one. */
Test(fs_upload, what_would_stand_in_for_another_file_is_refused)
{
    SERVE(.upload = true);
    cr_assert_eq(put("/a.txt.gz", "", "x"), 403);
    cr_assert_eq(put("/a.txt.br", "", "x"), 403);
    cr_assert_eq(post("/", "a.txt.zst", "x"), 403);
    cr_assert_eq(put("/archive.tar.gz", "", "x"), 201);
}

Test(fs_upload, links_do_not_lead_uploads_out)
{
    link_to("..", "out");
    link_to("dir", "in");
    SERVE(.upload = true);
    cr_assert_eq(put("/out/x", "", "x"), 404);
    cr_assert_eq(access("../x", F_OK), -1);
    cr_assert_eq(put("/in/x", "", "x"), 201);
    expect_file("/dir/x", "x");
}

Test(fs_upload, too_much_is_refused_and_leaves_nothing)
{
    char body[5000];

    memset(body, 'x', sizeof body);
    SERVE(.upload = true, .upload_max = 4000);
    expect_status(send_body("PUT", "/dir/x", "", (svl_str){body, sizeof body}), 413, "announced");
    loopback_reconnect(l);
    loopback_send(
        l, "PUT /dir/x HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n");
    loopback_send_bytes(l, (svl_str){body, sizeof body});
    rounds(0);
    expect_status(loopback_take(l), 413, "in chunks");
    loopback_reconnect(l);
    expect_status(send_body("POST", "/dir/", TYPE, (svl_str){body, sizeof body}), 413, "a form");
    cr_assert_eq(names_in("dir"), 0);
}

Test(fs_upload, a_client_that_leaves_leaves_nothing)
{
    SERVE(.upload = true);
    loopback_send(l, "PUT /dir/x HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nbegin");
    rounds(0);
    cr_assert_eq(names_in("dir"), 0);
    loopback_reset(l);
    loopback_round(l);
    cr_assert_eq(names_in("dir"), 0);
}

/* Pages of others can send forms with the browser's password, but cannot hide that they do. */
Test(fs_upload, pages_of_others_cannot_send_files_here)
{
    static const struct {
        const char *fields;
        int status;
    } cases[] = {
        {"Origin: http://evil.example\r\n", 403},
        {"Origin: null\r\n", 403},
        {"Origin: http://test.evil\r\n", 403},
        {"Origin: \r\n", 403},
        {"Sec-Fetch-Site: cross-site\r\n", 403},
        {"Sec-Fetch-Site: same-site\r\n", 403},
        {"Sec-Fetch-Site: cross-site\r\nOrigin: http://test\r\n", 403},
        {"Sec-Fetch-Site: same-origin\r\nOrigin: http://test\r\n", 201},
        {"Sec-Fetch-Site: none\r\n", 201},
        {"Origin: http://test\r\n", 201},
        {"Origin: https://TEST\r\n", 201},
        {"", 201},
    };

    SERVE(.upload = true);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char target[32];

        snprintf(target, sizeof target, "/dir/%zu", i);
        cr_assert_eq(put(target, cases[i].fields, "x"), cases[i].status, "%s", cases[i].fields);
    }
}

Test(fs_upload, a_part_cannot_be_put)
{
    SERVE(.upload = true);
    cr_assert_eq(put("/part", "Content-Range: bytes 0-2/10\r\n", "abc"), 400);
    cr_assert_eq(access("part", F_OK), -1);
}

Test(fs_upload, a_folder_that_may_not_be_written_to_is_forbidden)
{
    SERVE(.upload = true);
    chmod("dir", 0555);
    if (getuid() == 0)
        cr_assert_eq(seteuid(65534), 0);
    cr_assert_eq(put("/dir/x", "", "x"), 403);
}

Test(fs_upload, the_page_has_a_form_and_options_say_what_can_be_done)
{
    SERVE(.listing = SVL_FS_LISTING_ON, .upload = true);
    cr_assert(holds(page_of("/dir/"), "enctype=\"multipart/form-data\""));
    expect_field(ask("OPTIONS", "/dir/", ""), "Allow", "GET, HEAD, OPTIONS, POST, PUT");
    expect_status(send_body("POST", "/a.txt", TYPE, form("x", "x", NULL, NULL)), 405, "a file");
}
