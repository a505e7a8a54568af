/* A folder as a zip or tar file. The walk holds one descriptor for each folder on its way down and
 * one for the file that is read, whatever the folder holds. What a request for it would not get is left
 * out: hidden names, what may not be read, links as the policy says; a link to a folder always, as
 * it may lead in a circle. A file that changes while it is read ends the connection. */
#include "archive.h"

#include "serval/args.h"
#include "serval/error.h"
#include "serval/log.h"
#include "serval/uri.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* CRC-32, eight bytes at a time ----------------------------------------------------------------*/

static uint32_t table[8][256];

void svl_fs_crc32_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        table[0][i] = crc;
    }
    for (int t = 1; t < 8; t++) {
        for (int i = 0; i < 256; i++)
            table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 0xff];
    }
}

uint32_t svl_fs_crc32(uint32_t crc, const char *bytes, size_t n)
{
    const unsigned char *p = (const unsigned char *)bytes;

    crc = ~crc;
    for (; n >= 8; p += 8, n -= 8) {
        uint32_t low =
            crc ^ (p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);

        crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^
              table[4][low >> 24] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^
              table[0][p[7]];
    }
    while (n-- > 0)
        crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xff];
    return ~crc;
}

/* Reading --------------------------------------------------------------------------------------*/

static void close_fd(struct fs_archive *a)
{
    if (a->fd >= 0 && a->own_fd)
        close(a->fd);
    a->fd = -1;
}

static void archive_free(void *arg)
{
    struct fs_archive *a = arg;

    close_fd(a);
    while (a->depth > 0)
        closedir(a->levels[--a->depth].dir);
    if (a->index)
        fclose(a->index);
    free(a);
}

/* Bytes of the file that is open. Returns how many, or -errno. */
static ssize_t read_some(struct fs_archive *a, char *to, size_t room)
{
    size_t want = (int64_t)room < a->size - a->at ? room : (size_t)(a->size - a->at);
    ssize_t n;

    do
        n = pread(a->fd, to, want, a->at);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return -EIO;
    a->at += n;
    if (a->part == ITEMS)
        a->item.crc = svl_fs_crc32(a->item.crc, to, (size_t)n);
    return n;
}

/* Walking --------------------------------------------------------------------------------------*/

static void set_text(struct fs_archive *a, size_t n)
{
    a->text_at = 0;
    a->text_n = n;
}

static bool is_utf8(svl_str s)
{
    while (s.n > 0) {
        size_t n = svl_fs_character(s);

        if (n == 0)
            return false;
        s = svl_str_from(s, n);
    }
    return true;
}

/* The head of what a->path names and a->st says. */
static void begin_item(struct fs_archive *a)
{
    bool folder = S_ISDIR(a->st.st_mode);
    int n = snprintf(a->name, sizeof a->name, "%s%s", a->path + a->top, folder ? "/" : "");

    a->item = (struct fs_item){
        .name = {a->name, (size_t)n},
        .folder = folder,
        .mode = a->st.st_mode,
        .size = folder ? 0 : a->st.st_size,
        .mtime = a->st.st_mtime,
        .offset = a->given,
    };
    a->item.utf8 = is_utf8(a->item.name);
    svl_fs_stamp(&a->stamp, &a->st);
    a->at = 0;
    a->size = a->item.size;
    set_text(a, a->packing->head(a));
}

static int enter(struct fs_archive *a, int fd)
{
    DIR *dir = a->depth < ARCHIVE_DEPTH ? fdopendir(fd) : NULL;

    if (!dir) {
        close(fd);
        return -ELOOP;
    }
    a->levels[a->depth].dir = dir;
    a->levels[a->depth++].n = a->n;
    return 0;
}

static bool is_left_out(const struct fs_archive *a, const char *name)
{
    return name[0] == '.' && (!a->show_hidden || strcmp(name, ".") == 0 || strcmp(name, "..") == 0);
}

/* Opens the name of the folder on top of the stack. Returns 1 if it is part of the archive, 0, or
 * -errno. */
static int open_item(struct fs_archive *a, const struct dirent *d)
{
    size_t n = a->levels[a->depth - 1].n;
    bool link = d->d_type == DT_LNK;
    int fd, len = snprintf(a->path + n, sizeof a->path - n, "/%s", d->d_name);

    if (is_left_out(a, d->d_name) ||
        (!link && d->d_type != DT_REG && d->d_type != DT_DIR && d->d_type != DT_UNKNOWN))
        return 0;
    if ((size_t)len >= sizeof a->path - n)
        return -ENAMETOOLONG;
    a->n = n + (size_t)len;
    fd = svl_fs_open(a->root, a->path, 0);
    if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
        return fd;
    if (fd < 0)
        return 0;
    if (d->d_type == DT_UNKNOWN &&
        fstatat(dirfd(a->levels[a->depth - 1].dir), d->d_name, &a->st, AT_SYMLINK_NOFOLLOW) == 0)
        link = S_ISLNK(a->st.st_mode);
    if (fstat(fd, &a->st) || !(S_ISREG(a->st.st_mode) || (S_ISDIR(a->st.st_mode) && !link))) {
        close(fd);
        return 0;
    }
    if (S_ISDIR(a->st.st_mode))
        return enter(a, fd) ? -ELOOP : 1;
    a->fd = fd;
    a->own_fd = true;
    return 1;
}

/* The next file or folder. Returns 1, 0 behind the last one, or -errno. */
static int next_item(struct fs_archive *a)
{
    while (a->depth > 0) {
        const struct dirent *d;
        int got;

        errno = 0;
        d = readdir(a->levels[a->depth - 1].dir);
        if (!d && errno)
            return -errno;
        if (!d) {
            closedir(a->levels[--a->depth].dir);
            continue;
        }
        got = open_item(a, d);
        if (got < 0)
            return got;
        if (got > 0) {
            begin_item(a);
            return 1;
        }
    }
    return 0;
}

static int end_item(struct fs_archive *a)
{
    size_t n;

    if (a->fd >= 0 && !svl_fs_stamp_holds(&a->stamp, a->fd))
        return -EIO;
    close_fd(a);
    n = a->packing->tail(a);
    if (n == SIZE_MAX)
        return -EIO;
    a->item.name = SVL_STR_NONE;
    set_text(a, n);
    return 0;
}

static int begin_index(struct fs_archive *a)
{
    struct stat st;

    a->part = INDEX;
    a->fd = a->packing->index(a);
    a->own_fd = false;
    if (a->fd == -1)
        return 0;
    if (a->fd < 0 || fstat(a->fd, &st))
        return -EIO;
    a->at = 0;
    a->size = st.st_size;
    return 0;
}

/* All that was begun has been given. Returns 1, 0 when that was all, or -errno. */
static int go_on(struct fs_archive *a)
{
    int got;

    if (a->part == END)
        return 0;
    if (a->part == INDEX) {
        a->fd = -1;
        a->part = END;
        set_text(a, a->packing->end(a));
        return 1;
    }
    if (a->item.name.p)
        got = end_item(a);
    else if ((got = next_item(a)) == 0)
        got = begin_index(a);
    return got < 0 ? got : 1;
}

static ssize_t pull(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    struct fs_archive *a = arg;
    size_t given = 0;

    (void)ctx;
    while (given < room) {
        ssize_t n = (ssize_t)(a->text_n - a->text_at);

        if (n > 0) {
            n = (size_t)n < room - given ? n : (ssize_t)(room - given);
            memcpy(to + given, a->text + a->text_at, (size_t)n);
            a->text_at += (size_t)n;
        } else if (a->fd >= 0 && a->at < a->size) {
            n = read_some(a, to + given, room - given);
        } else {
            n = go_on(a);
            if (n == 0)
                break;
            if (n > 0)
                continue;
        }
        if (n < 0) {
            svl_log(SVL_WARN, "fs: archive: %s: %s", a->path, svl_strerror((int)n));
            return n;
        }
        given += (size_t)n;
        a->given += (uint64_t)n;
    }
    return (ssize_t)given;
}

/* Answering ------------------------------------------------------------------------------------*/

static const struct fs_packing *packing_of(svl_str query)
{
    struct svl_pair arg;

    while (svl_args_next(&query, &arg)) {
        if (!svl_str_eq(arg.name, SVL_STR("archive")))
            continue;
        if (svl_str_eq(arg.value, SVL_STR("zip")))
            return &svl_fs_zip;
        if (svl_str_eq(arg.value, SVL_STR("tar")))
            return &svl_fs_tar;
    }
    return NULL;
}

bool svl_fs_wants_archive(const struct svl_ctx *ctx)
{
    return ctx->req.query.n > 0 && packing_of(ctx->req.query);
}

enum svl_verdict svl_fs_archive(struct svl_ctx *ctx, const struct fs_root *root,
                                const struct svl_fs_config *config, int fd, const char *path,
                                svl_str place)
{
    struct fs_archive *a = calloc(1, sizeof *a);
    svl_str name = svl_path_last(svl_str_head(place, place.n - 1));
    int err = -ENOMEM;

    if (a) {
        a->packing = packing_of(ctx->req.query);
        a->root = root;
        a->show_hidden = config->show_hidden;
        a->fd = -1;
        a->n = (size_t)snprintf(a->path, sizeof a->path, "%s", path);
        a->top = name.n ? a->n - name.n : a->n + 1; /* "docs/a" for "x/docs"; "a" for "." */
        err = enter(a, fd);
    }
    if (err) {
        free(a);
        return svl_fail(ctx, 503, NULL);
    }
    svl_on_free(ctx, archive_free, a);
    svl_status(ctx, 200);
    svl_content_type(ctx, a->packing->type);
    svl_header_set_static(ctx, SVL_H_CACHE_CONTROL, SVL_STR("no-store"));
    svl_header_set_static(ctx, SVL_H_X_CONTENT_TYPE_OPTIONS, SVL_STR("nosniff"));
    name = svl_printf(ctx, "%.*s%.*s", (int)(name.n ? name.n : 5), name.n ? name.p : "files",
                      SVL_FMT(a->packing->extension));
    svl_header_set(ctx, SVL_H_CONTENT_DISPOSITION, svl_fs_disposition(ctx, name));
    svl_body_source(ctx, pull, a, -1);
    return SVL_DONE;
}
