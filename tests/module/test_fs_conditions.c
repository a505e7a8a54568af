/* fs: conditional requests and ranges, RFC 9110 13 and 14.
 * ctest-module: fs */
#include "serval/mod/fs.h"

#include "support/fs_folder.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

TestSuite(fs_conditions, .init = make_folder, .fini = remove_folder);

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

Test(fs_conditions, conditions_are_those_of_rfc_9110)
{
    SERVE();
    try_conditions("/a.txt");
}

Test(fs_conditions, conditions_of_a_long_file_are_the_same)
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

Test(fs_conditions, ranges)
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

Test(fs_conditions, no_range_of_an_empty_file_can_be_given)
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
Test(fs_conditions, several_ranges_come_as_parts_in_order_and_joined)
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

Test(fs_conditions, ranges_far_into_a_huge_file)
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

/* --- Conditions again, with any bytes ------------------------------------------------------- */

Test(fs_conditions, any_field_is_survived)
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
