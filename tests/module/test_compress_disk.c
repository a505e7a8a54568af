/* compress: what is kept in a folder.
 * ctest-module: compress
 * ctest-labels: threads */
#include "serval/mod/compress.h"

#include "../../modules/compress/internal.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static char folder[] = "/tmp/serval-zip-XXXXXX";
static const char *etag = "\"v1\"";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void make(void)
{
    cr_assert(mkdtemp(folder) && chdir(folder) == 0);
}

static void clear(void)
{
    cr_assert_eq(chdir("/"), 0);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(compress_disk, .init = make, .fini = clear);

static enum svl_verdict page(struct svl_ctx *ctx, void *arg)
{
    char *text = svl_alloc(ctx, 20000);

    (void)arg;
    memset(text, 'a', 20000);
    svl_status(ctx, 200);
    svl_content_type(ctx, SVL_STR("text/plain"));
    svl_header_set_static(ctx, SVL_H_ETAG, svl_str_of(etag));
    svl_body_bytes(ctx, (svl_str){text, 20000});
    return SVL_DONE;
}

/* The body of one answer by a server of its own: whatever it keeps is written when it has closed. */
static size_t ask(const char *path, char to[20000])
{
    const struct svl_use chain[] = {SVL_USE(compress, .cache_dir = path), SVL_USE_END};
    struct loopback *l =
        loopback_open(&(struct svl_server_config){.chain = chain, .handler = page});
    svl_str answer = loopback_get(l, "/", "Accept-Encoding: gzip\r\n"), body;

    cr_assert_eq(loopback_status(answer), 200);
    cr_assert(svl_str_eq(loopback_field(answer, "Content-Encoding"), SVL_STR("gzip")));
    body = loopback_body(answer);
    cr_assert(body.n > 10 && body.n < 20000);
    memcpy(to, body.p, body.n);
    loopback_close(l);
    return body.n;
}

/* The names in it; *name is one of them. */
static unsigned count(const char *path, char name[300])
{
    DIR *dir = opendir(path);
    const struct dirent *d;
    unsigned n = 0;

    while (dir && (d = readdir(dir))) {
        if (d->d_name[0] == '.')
            continue;
        snprintf(name, 300, "%s/%s", path, d->d_name);
        n++;
    }
    if (dir)
        closedir(dir);
    return n;
}

static void change_last_byte(const char *path)
{
    FILE *file = fopen(path, "r+b");

    cr_assert(file && fseek(file, -1, SEEK_END) == 0 && fputc('!', file) == '!' &&
              fclose(file) == 0);
}

#if SVL_COMPRESS_GZIP
Test(compress_disk, the_next_start_finds_what_was_compressed)
{
    char first[20000], second[20000], name[300];
    size_t n = ask("kept", first);

    cr_assert_eq(count("kept", name), 1);
    change_last_byte(name); /* to see where it comes from */
    cr_assert_eq(ask("kept", second), n);
    cr_assert_eq(second[n - 1], '!');
    second[n - 1] = first[n - 1];
    cr_assert_eq(memcmp(first, second, n), 0);
    cr_assert_eq(count("kept", name), 1);
}

Test(compress_disk, another_version_is_another_file)
{
    char first[20000], name[300];

    ask("kept", first);
    etag = "\"v2\"";
    ask("kept", first);
    cr_assert_eq(count("kept", name), 2);
}

Test(compress_disk, what_is_broken_is_made_again)
{
    char first[20000], second[20000], name[300];
    size_t n = ask("kept", first);

    cr_assert(count("kept", name) == 1 && truncate(name, 60) == 0);
    cr_assert(ask("kept", second) == n && memcmp(first, second, n) == 0);
    cr_assert_eq(truncate(name, 0), 0);
    cr_assert(ask("kept", second) == n && memcmp(first, second, n) == 0);
    cr_assert(unlink(name) == 0 && mkfifo(name, 0600) == 0);
    cr_assert(ask("kept", second) == n && memcmp(first, second, n) == 0);
    cr_assert(unlink(name) == 0 && symlink("/etc/passwd", name) == 0);
    cr_assert(ask("kept", second) == n && memcmp(first, second, n) == 0);
}

Test(compress_disk, a_folder_that_cannot_be_used_costs_only_the_cache)
{
    char first[20000], name[300];

    cr_assert_eq(mkdir("kept", 0500), 0);
    if (getuid() == 0)
        cr_assert_eq(chown(folder, 65534, 65534) + seteuid(65534), 0);
    ask("kept", first);
    cr_assert_eq(count("kept", name), 0);
    ask("missing/kept", first);
    ask("/dev/null", first);
    if (getuid() == 0)
        cr_assert_eq(seteuid(0), 0);
}
#endif

static void *write_much(void *arg)
{
    struct compress_disk *disk = arg;
    static char body[30000];

    for (int i = 0; i < 20; i++)
        svl_compress_disk_write(disk, SVL_STR("one key"), body, sizeof body);
    return NULL;
}

/* Two processes with one folder are two of these. */
Test(compress_disk, several_who_write_the_same_leave_one_whole_file)
{
    struct compress_disk *disks[2];
    pthread_t threads[4];
    char name[300], *got;
    size_t n = 0;

    for (int i = 0; i < 2; i++)
        cr_assert((disks[i] = svl_compress_disk_open("kept", 1 << 20)));
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, write_much, disks[i % 2]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++)
        svl_compress_disk_close(disks[i]);
    cr_assert_eq(count("kept", name), 1);
    cr_assert((disks[0] = svl_compress_disk_open("kept", 1 << 20)));
    got = svl_compress_disk_read(disks[0], SVL_STR("one key"), 1 << 20, &n);
    cr_assert(got && n == 30000);
    free(got);
    cr_assert_null(svl_compress_disk_read(disks[0], SVL_STR("one key"), 29999, &n));
    cr_assert_null(svl_compress_disk_read(disks[0], SVL_STR("two key"), 1 << 20, &n));
    svl_compress_disk_close(disks[0]);
}

Test(compress_disk, a_creator_that_has_died_is_not_waited_for)
{
    struct timeval past[2] = {{1000000000, 0}, {1000000000, 0}};
    struct compress_disk *disk = svl_compress_disk_open("kept", 1 << 20);
    char name[300], temporary[320];

    cr_assert(disk);
    svl_compress_disk_write(disk, SVL_STR("key"), "body", 4);
    svl_compress_disk_close(disk);
    cr_assert_eq(count("kept", name), 1);
    snprintf(temporary, sizeof temporary, "%s.new", name);
    cr_assert(rename(name, temporary) == 0 && utimes(temporary, past) == 0);
    for (int i = 0; i < 2; i++) { /* the first time it is taken away */
        cr_assert((disk = svl_compress_disk_open("kept", 1 << 20)));
        svl_compress_disk_write(disk, SVL_STR("key"), "body", 4);
        svl_compress_disk_close(disk);
    }
    cr_assert_eq(access(name, F_OK), 0);
    cr_assert_eq(access(temporary, F_OK), -1);
}

Test(compress_disk, the_folder_stays_within_its_limit)
{
    struct compress_disk *disk = svl_compress_disk_open("kept", 200000);
    static char body[10000];
    char key[16], name[300];

    cr_assert(disk);
    for (int i = 0; i < 50; i++)
        svl_compress_disk_write(disk, (svl_str){key, (size_t)sprintf(key, "%d", i)}, body,
                                sizeof body);
    svl_compress_disk_close(disk);
    cr_assert_leq(count("kept", name), 20);
    cr_assert_geq(count("kept", name), 10);
}
