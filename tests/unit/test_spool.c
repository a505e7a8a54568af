/* Bodies and forms that come in pieces, to memory and to files without a name. */
#include "serval/spool.h"

#include "serval/serval.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static struct svl_spool_config config;
static struct svl_form_config form_config;
static unsigned called;
static bool in_file;
static char folder[] = "/tmp/serval-spool-XXXXXX";

static unsigned open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* Answers with the body. */
static enum svl_verdict send_back(struct svl_ctx *ctx, void *arg, const struct svl_spooled *body)
{
    (void)arg;
    called++;
    in_file = body->fd >= 0;
    cr_assert(in_file ? !body->bytes.p : body->bytes.n == body->size);
    svl_status(ctx, 200);
    if (in_file)
        svl_body_file(ctx, body->fd, 0, (int64_t)body->size, false);
    else
        svl_body_bytes(ctx, body->bytes);
    return SVL_DONE;
}

/* Modules, not the server's handler, which waits for the whole body. */
static enum svl_verdict take_body(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    return svl_spool_body(ctx, &config, send_back, NULL);
}

static const struct svl_module svl_spools_module = {.name = "spools", .on_request = take_body};

static enum svl_verdict tell_form(struct svl_ctx *ctx, void *arg, struct svl_form *form)
{
    const struct svl_form_file *file = svl_form_file(ctx, SVL_STR("f"));
    svl_str a = svl_form(ctx, SVL_STR("a"));

    (void)arg;
    called++;
    cr_assert(svl_args_get(svl_form_fields(form), SVL_STR("a")).p == a.p);
    in_file = file && file->content.fd >= 0;
    return svl_text(ctx, 200,
                    svl_printf(ctx, "a=%.*s f=%llu", SVL_FMT(a),
                               file ? (unsigned long long)file->content.size : 0));
}

static enum svl_verdict take_form(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    return svl_await_form(ctx, &form_config, tell_form, NULL);
}

static const struct svl_module svl_forms_module = {.name = "forms", .on_request = take_form};

static struct loopback *open_with(const struct svl_module *module, size_t max_body)
{
    struct svl_use chain[] = {{module, NULL}, {NULL, NULL}};

    called = 0;
    return loopback_open(&(struct svl_server_config){.chain = chain, .max_body = max_body});
}

static void begin(struct loopback *l, const char *type, size_t n)
{
    char head[256];

    snprintf(head, sizeof head,
             "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type,
             n);
    loopback_send(l, head);
}

/* A body of n bytes, in pieces of `step`, chunked or not. */
static svl_str send_body(struct loopback *l, size_t n, size_t step, bool chunked)
{
    char piece[4096], size[32];

    loopback_take(l);
    if (chunked)
        loopback_send(l, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    else
        begin(l, "x/y", n);
    for (size_t at = 0; at < n; at += step) {
        size_t part = n - at < step ? n - at : step;

        for (size_t i = 0; i < part; i++)
            piece[i] = (char)('a' + (at + i) % 23);
        if (chunked) {
            snprintf(size, sizeof size, "%zx\r\n", part);
            loopback_send(l, size);
        }
        loopback_send_bytes(l, (svl_str){piece, part});
        if (chunked)
            loopback_send(l, "\r\n");
    }
    if (chunked)
        loopback_send(l, "0\r\n\r\n");
    return loopback_take(l);
}

static void comes_back(struct loopback *l, size_t n, size_t step, bool chunked)
{
    svl_str answer = send_body(l, n, step, chunked), body = loopback_body(answer);

    cr_assert_eq(loopback_status(answer), 200, "%.*s", SVL_FMT(answer));
    cr_assert_eq(body.n, n);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(body.p[i], (char)('a' + i % 23));
}

Test(spool, short_bodies_stay_in_memory_and_others_do_not)
{
    struct loopback *l = open_with(&svl_spools_module, 0);
    unsigned before = open_files();

    config = (struct svl_spool_config){.memory = 1000};
    for (int chunked = 0; chunked < 2; chunked++) {
        comes_back(l, 0, 7, chunked);
        comes_back(l, 1, 7, chunked);
        comes_back(l, 999, 7, chunked);
        comes_back(l, 1000, 7, chunked);
        cr_assert(!in_file);
        comes_back(l, 1001, 7, chunked);
        cr_assert(in_file);
        comes_back(l, 100000, 4096, chunked);
        cr_assert(in_file);
    }
    cr_assert_eq(open_files(), before);
    loopback_close(l);
}

Test(spool, what_came_with_the_head_is_not_copied)
{
    struct loopback *l = open_with(&svl_spools_module, 0);
    svl_str answer = loopback_ask(l, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");

    config = (struct svl_spool_config){0};
    cr_assert_eq(loopback_status(answer), 200);
    cr_assert(svl_str_eq(loopback_body(answer), SVL_STR("abc")) && !in_file && called == 1);
    loopback_close(l);
}

Test(spool, a_body_has_its_limit)
{
    for (int chunked = 0; chunked < 2; chunked++) {
        struct loopback *l = open_with(&svl_spools_module, 0);

        config = (struct svl_spool_config){.max = 500};
        comes_back(l, 499, 100, chunked);
        comes_back(l, 500, 100, chunked);
        cr_assert_eq(loopback_status(send_body(l, 501, 100, chunked)), 413);
        cr_assert_eq(called, 2);
        loopback_close(l);
    }
}

Test(spool, without_one_it_is_the_servers)
{
    struct loopback *l = open_with(&svl_spools_module, 300);

    config = (struct svl_spool_config){0};
    comes_back(l, 300, 100, true);
    cr_assert_eq(loopback_status(send_body(l, 301, 100, true)), 413);
    loopback_close(l);
}

/* Memory is short when the server allows only small bodies: the file takes over. */
Test(spool, what_memory_cannot_hold_goes_to_the_file_early)
{
    struct loopback *l = open_with(&svl_spools_module, 3000);

    config = (struct svl_spool_config){.memory = 100000, .max = 100000};
    comes_back(l, 50000, 1000, true);
    cr_assert(in_file);
    loopback_close(l);
}

Test(spool, a_client_that_leaves_leaves_nothing)
{
    struct loopback *l = open_with(&svl_spools_module, 0);
    unsigned before = open_files();

    config = (struct svl_spool_config){.memory = 1};
    begin(l, "x/y", 100);
    loopback_send(l, "some of it");
    cr_assert_eq(open_files(), before + 1);
    loopback_reset(l);
    cr_assert_eq(open_files(), before);
    cr_assert(called == 0 && loopback_exchanges(l) == 0);
    loopback_close(l);
}

Test(spool, without_a_folder_it_is_500)
{
    struct loopback *l = open_with(&svl_spools_module, 0);

    config = (struct svl_spool_config){.memory = 1, .folder = "/nowhere"};
    cr_assert_eq(loopback_status(send_body(l, 100, 100, false)), 500);
    cr_assert_eq(called, 0);
    loopback_close(l);
}

/* The nearest to a full disk that needs no rights: files may be 1,000 bytes long. */
static void fill_the_disk(void)
{
    struct rlimit limit = {1000, 1000};

    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(spool, without_room_on_the_disk_it_is_507)
{
    struct loopback *l = open_with(&svl_spools_module, 0);
    unsigned before = open_files();

    config = (struct svl_spool_config){.memory = 10};
    fill_the_disk();
    comes_back(l, 1000, 100, false);
    cr_assert_eq(loopback_status(send_body(l, 1001, 100, false)), 507);
    cr_assert_eq(open_files(), before);
    loopback_close(l);
}

static enum svl_verdict keep(struct svl_ctx *ctx, void *arg, const struct svl_spooled *body)
{
    (void)arg;
    cr_assert_eq(svl_spooled_save(body, svl_printf(ctx, "%s/kept", folder).p), 0);
    cr_assert_eq(svl_spooled_save(body, svl_printf(ctx, "%s/kept", folder).p), -EEXIST);
    return svl_text(ctx, 201, SVL_STR("kept"));
}

static enum svl_verdict keep_body(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    return svl_spool_body(ctx, &config, keep, NULL);
}

static const struct svl_module svl_keeps_module = {.name = "keeps", .on_request = keep_body};

Test(spool, it_is_kept_when_it_is_saved)
{
    char path[64];

    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/kept", folder);
    for (size_t n = 10; n <= 5000; n += 4990) {
        struct loopback *l = open_with(&svl_keeps_module, 0);

        config = (struct svl_spool_config){.memory = 100, .folder = folder};
        cr_assert_eq(loopback_status(send_body(l, n, 1000, false)), 201);
        loopback_close(l);
        cr_assert_eq(truncate(path, (off_t)n), 0);
        cr_assert_eq(unlink(path), 0);
    }
    cr_assert_eq(rmdir(folder), 0);
}

/* Forms ------------------------------------------------------------------------------------ */

#define MULTIPART "multipart/form-data; boundary=xyz"
#define FIELD(name, value)                                                                         \
    "--xyz\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_PART(name, file, value)                                                               \
    "--xyz\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"" file                 \
    "\"\r\n\r\n" value "\r\n"
#define FORM FIELD("a", "1") FILE_PART("f", "x", "0123456789") "--xyz--"

static svl_str send_form(struct loopback *l, const char *type, const char *form)
{
    size_t n = strlen(form);

    loopback_take(l);
    begin(l, type, n);
    for (size_t at = 0; at < n; at += 5)
        loopback_send_bytes(l, (svl_str){form + at, n - at < 5 ? n - at : 5});
    return loopback_take(l);
}

static int status_of(const char *type, const char *form)
{
    struct loopback *l = open_with(&svl_forms_module, 0);
    int status = loopback_status(send_form(l, type, form));

    cr_assert_eq(called, status == 200);
    loopback_close(l);
    return status;
}

Test(spool, forms_are_read_as_they_come)
{
    struct loopback *l = open_with(&svl_forms_module, 0);

    form_config = (struct svl_form_config){.memory = 9};
    cr_assert(svl_str_eq(loopback_body(send_form(l, MULTIPART, FORM)), SVL_STR("a=1 f=10")));
    cr_assert(in_file);
    form_config.memory = 10;
    cr_assert(svl_str_eq(loopback_body(send_form(l, MULTIPART, FORM)), SVL_STR("a=1 f=10")));
    cr_assert(!in_file);
    cr_assert(
        svl_str_eq(loopback_body(send_form(l, "application/x-www-form-urlencoded", "b=2&a=1")),
                   SVL_STR("a=1 f=0")));
    cr_assert(svl_str_eq(loopback_body(loopback_ask(
                             l, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
                                "Content-Type: application/x-www-form-urlencoded\r\n\r\na=7")),
                         SVL_STR("a=7 f=0")));
    loopback_close(l);
}

Test(spool, forms_that_cannot_be_taken_are_answered)
{
    form_config = (struct svl_form_config){0};
    cr_assert_eq(status_of(MULTIPART, FORM), 200);
    cr_assert_eq(status_of("text/plain", "a=1"), 415);
    cr_assert_eq(status_of(MULTIPART, FIELD("a", "1")), 400);
    form_config = (struct svl_form_config){.limits.max_total = sizeof FORM - 1};
    cr_assert_eq(status_of(MULTIPART, FORM), 200);
    form_config.limits.max_total--;
    cr_assert_eq(status_of(MULTIPART, FORM), 413);
    form_config = (struct svl_form_config){.max_file = 10};
    cr_assert_eq(status_of(MULTIPART, FORM), 200);
    form_config.max_file = 9;
    cr_assert_eq(status_of(MULTIPART, FORM), 413);
    form_config = (struct svl_form_config){.memory = 1, .folder = "/nowhere"};
    cr_assert_eq(status_of(MULTIPART, FORM), 500);
}

Test(spool, a_file_of_a_form_without_room_on_the_disk_is_507)
{
    static char form[3000] = FILE_PART("f", "x", "");

    memset(form + strlen(form) - 2, 'x', 1500);
    strcat(form, "\r\n--xyz--");
    form_config = (struct svl_form_config){.memory = 10};
    cr_assert_eq(status_of(MULTIPART, form), 200);
    fill_the_disk();
    cr_assert_eq(status_of(MULTIPART, form), 507);
}

/* Each is below the threshold, all of them are more than the memory of a request may be. */
Test(spool, many_files_do_not_fill_the_memory)
{
    struct loopback *l = open_with(&svl_forms_module, 20000);
    static char form[200000];
    svl_str answer;
    size_t n = 0;

    for (int i = 0; i < 30; i++)
        n += (size_t)sprintf(form + n, FILE_PART("f", "x", "%04000d"), i);
    strcpy(form + n, "--xyz--");
    form_config = (struct svl_form_config){.limits.max_total = 1 << 20};
    answer = send_form(l, MULTIPART, form);
    cr_assert_eq(loopback_status(answer), 200, "%.*s", SVL_FMT(answer));
    cr_assert(svl_str_eq(loopback_body(answer), SVL_STR("a= f=4000")));
    loopback_close(l);
}
