#include "serval/form.h"

#include "serval/serval.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is(svl_str s, const char *want)
{
    return want ? s.p && svl_str_eq(s, svl_str_of(want)) : !s.p;
}

static svl_handler_fn *handler;

static enum svl_verdict run(struct svl_ctx *ctx, void *arg)
{
    handler(ctx, arg);
    return svl_text(ctx, 200, SVL_STR(""));
}

static void post(svl_handler_fn *with, const char *type, svl_str body)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){.handler = run});
    char head[256];

    handler = with;
    snprintf(head, sizeof head,
             "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type,
             body.n);
    loopback_send(l, head);
    loopback_send_bytes(l, body);
    cr_assert_eq(loopback_status(loopback_take(l)), 200);
    loopback_close(l);
}

#define MULTIPART "multipart/form-data; boundary=xyz"
#define FIELD(name, value)                                                                         \
    "--xyz\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_PART(name, file, value)                                                               \
    "--xyz\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"" file                 \
    "\"\r\nContent-Type: text/x\r\n\r\n" value "\r\n"

static enum svl_verdict urlencoded(struct svl_ctx *ctx, void *arg)
{
    struct svl_form *form;
    unsigned n;

    (void)arg;
    cr_assert_eq(svl_form_read(ctx, NULL, &form), 0);
    cr_assert_eq(svl_form_fields(form)->n, 3);
    cr_assert_null(svl_form_files(form, &n));
    cr_assert(is(svl_form(ctx, SVL_STR("b r")), "b z=") && is(svl_form(ctx, SVL_STR("foo")), ""));
    cr_assert(is(svl_form(ctx, SVL_STR("none")), NULL));
    return SVL_DONE;
}

Test(form, urlencoded_bodies_are_read)
{
    post(urlencoded, "application/x-www-form-urlencoded", SVL_STR("foo&b%20r=b+z=&qwe"));
    post(urlencoded, "Application/X-WWW-Form-Urlencoded ; charset=utf-8",
         SVL_STR("foo&b%20r=b+z=&qwe"));
}

static enum svl_verdict multipart(struct svl_ctx *ctx, void *arg)
{
    const struct svl_form_file *file = svl_form_file(ctx, SVL_STR("f"));
    struct svl_form *form;
    unsigned n;

    (void)arg;
    cr_assert(is(svl_form(ctx, SVL_STR("a")), "1") && is(svl_form(ctx, SVL_STR("c")), "\r\n3"));
    cr_assert_eq(svl_form_read(ctx, NULL, &form), 0);
    cr_assert(svl_form_files(form, &n) == file && n == 2);
    cr_assert(is(file->filename, "x.txt") && is(file->content_type, "text/x") &&
              is(file->content.bytes, "data\r\n-") && file->content.size == 7 &&
              file->content.fd == -1);
    cr_assert(is(file[1].name, "g") && is(file[1].content.bytes, "") && file[1].content.size == 0);
    cr_assert_null(svl_form_file(ctx, SVL_STR("a")));
    return SVL_DONE;
}

Test(form, multipart_bodies_are_read)
{
    post(multipart, MULTIPART,
         SVL_STR(FIELD("a", "1") FILE_PART("f", "x.txt", "data\r\n-") FIELD("c", "\r\n3")
                     FILE_PART("g", "", "") "--xyz--\r\n"));
}

static enum svl_verdict broken(struct svl_ctx *ctx, void *arg)
{
    struct svl_form *form;

    (void)arg;
    cr_assert_eq(svl_form_read(ctx, NULL, &form), SVL_ESYNTAX);
    cr_assert_eq(svl_form_read(ctx, NULL, &form), SVL_ESYNTAX);
    cr_assert(form && is(svl_form(ctx, SVL_STR("zzz")), NULL));
    return SVL_DONE;
}

Test(form, what_is_no_form_is_said_so)
{
    post(broken, "text/plain", SVL_STR("a=b"));
    post(broken, "multipart/form-data", SVL_STR(FIELD("a", "1") "--xyz--"));
    post(broken, MULTIPART, SVL_STR(FIELD("a", "1")));
    post(broken, MULTIPART, SVL_STR(""));
}

/* In pieces of 7 bytes, with files above 10 bytes going to the disk. */
static char folder[] = "/tmp/serval-form-XXXXXX";
static struct svl_form_config config;

static int push_all(struct svl_ctx *ctx, struct svl_form **form)
{
    svl_str rest = ctx->req.body;
    int err = svl_form_open(ctx, &config, form);

    for (; !err && rest.n > 0; rest = svl_str_from(rest, 7))
        err = svl_form_push(*form, rest.p, rest.n < 7 ? rest.n : 7);
    return err ? err : svl_form_end(*form);
}

static svl_str contents(const char *path)
{
    static char text[64];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text);

    close(fd);
    return (svl_str){text, n > 0 ? (size_t)n : 0};
}

static enum svl_verdict spilled(struct svl_ctx *ctx, void *arg)
{
    const struct svl_form_file *f, *g;
    struct svl_form *form;
    char path[64], text[32];
    struct stat st;

    (void)arg;
    cr_assert_eq(push_all(ctx, &form), 0);
    f = svl_form_file(ctx, SVL_STR("f"));
    g = svl_form_file(ctx, SVL_STR("g"));
    cr_assert(is(f->content.bytes, "0123456789") && f->content.fd == -1);
    cr_assert(!g->content.bytes.p && g->content.fd >= 0 && g->content.size == 11);
    cr_assert(pread(g->content.fd, text, sizeof text, 0) == 11 &&
              memcmp(text, "0123456789a", 11) == 0);
    cr_assert(is(svl_form(ctx, SVL_STR("a")), "a field is never a file"));

    snprintf(path, sizeof path, "%s/f", folder);
    cr_assert_eq(svl_spooled_save(&f->content, path), 0);
    cr_assert(is(contents(path), "0123456789"));
    cr_assert_eq(svl_spooled_save(&f->content, path), -EEXIST);
    cr_assert_eq(svl_spooled_save(&g->content, path), -EEXIST);
    cr_assert(is(contents(path), "0123456789"));
    unlink(path);
    cr_assert_eq(svl_spooled_save(&g->content, path), 0);
    cr_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    cr_assert(is(contents(path), "0123456789a"));
    unlink(path);
    cr_assert_eq(svl_spooled_save(&g->content, "/nowhere/f"), -ENOENT);
    return SVL_DONE;
}

Test(form, files_above_the_threshold_go_to_the_disk_and_can_be_kept)
{
    cr_assert(mkdtemp(folder));
    config = (struct svl_form_config){.memory = 10, .folder = folder};
    post(spilled, MULTIPART,
         SVL_STR(FIELD("a", "a field is never a file") FILE_PART("f", "f", "0123456789")
                     FILE_PART("g", "g", "0123456789a") "--xyz--"));
    cr_assert_eq(rmdir(folder), 0); /* nothing was left in it */
}

static enum svl_verdict piecewise(struct svl_ctx *ctx, void *arg)
{
    struct svl_form *form;

    (void)arg;
    cr_assert_eq(push_all(ctx, &form), 0);
    cr_assert(is(svl_form(ctx, SVL_STR("foo")), "bar baz") && is(svl_form(ctx, SVL_STR("q")), "1"));
    return SVL_DONE;
}

Test(form, urlencoded_bodies_may_come_in_pieces)
{
    config = (struct svl_form_config){0};
    post(piecewise, "application/x-www-form-urlencoded", SVL_STR("foo=bar+baz&q=1"));
}

static int limited;

static enum svl_verdict over_limit(struct svl_ctx *ctx, void *arg)
{
    struct svl_form *form;

    (void)arg;
    cr_assert_eq(push_all(ctx, &form), limited);
    return SVL_DONE;
}

/* What fits, and the same with one byte (or part) less allowed. */
static void limit(struct svl_form_config good, struct svl_form_config bad, const char *type,
                  svl_str body)
{
    config = good;
    limited = 0;
    post(over_limit, type, body);
    config = bad;
    limited = SVL_ELIMIT;
    post(over_limit, type, body);
}

#define CONFIG(...) ((struct svl_form_config){__VA_ARGS__})

Test(form, sizes_and_numbers_have_limits)
{
    svl_str body = SVL_STR(FIELD("a", "12345") FILE_PART("f", "f", "1234567")
                               FILE_PART("g", "g", "") "--xyz--");

    limit(CONFIG(.max_field = 5), CONFIG(.max_field = 4), MULTIPART, body);
    limit(CONFIG(.max_file = 7), CONFIG(.max_file = 6), MULTIPART, body);
    limit(CONFIG(.max_files = 2), CONFIG(.max_files = 1), MULTIPART, body);
    limit(CONFIG(.limits.max_parts = 3), CONFIG(.limits.max_parts = 2), MULTIPART, body);
    limit(CONFIG(.limits.max_total = body.n), CONFIG(.limits.max_total = body.n - 1), MULTIPART,
          body);
    body = SVL_STR("a=1&b=2&c=3");
    limit(CONFIG(.max_field = 11), CONFIG(.max_field = 10), "application/x-www-form-urlencoded",
          body);
    limit(CONFIG(.limits.max_parts = 3), CONFIG(.limits.max_parts = 2),
          "application/x-www-form-urlencoded", body);
}

static enum svl_verdict no_room(struct svl_ctx *ctx, void *arg)
{
    struct svl_form *form;

    (void)arg;
    cr_assert_eq(push_all(ctx, &form), -ENOENT);
    return SVL_DONE;
}

Test(form, a_disk_that_fails_is_an_error)
{
    config = (struct svl_form_config){.memory = 1, .folder = "/nowhere"};
    post(no_room, MULTIPART, SVL_STR(FILE_PART("f", "f", "12345") "--xyz--"));
}
