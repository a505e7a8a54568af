/* One file for a handler. */
#include "internal.h"

#include "serval/error.h"
#include "serval/field.h"
#include "serval/log.h"
#include "serval/uri.h"

#include <errno.h>
#include <unistd.h>

#define CONTENT_MAX ((size_t)64 << 10) /* what is longer is not read but sent with sendfile */

static int open_below(int dir, const char *path, struct stat *st)
{
    struct fs_root root = {.fd = dir, .symlinks = SVL_FS_INSIDE, .openat2 = true};
    int err, fd = svl_fs_open(&root, path, 0);

    if (fd == -ENOSYS || fd == -EPERM) { /* as in svl_fs_root_init() */
        root.openat2 = false;
        fd = svl_fs_open(&root, path, 0);
    }
    if (fd < 0)
        return fd;
    err = fstat(fd, st) ? -errno : S_ISREG(st->st_mode) ? 0 : -ENXIO;
    if (err)
        close(fd);
    return err ? err : fd;
}

svl_str svl_fs_disposition(struct svl_ctx *ctx, svl_str s)
{
    char *quoted = svl_alloc(ctx, 2 * s.n + 2), *escaped = svl_alloc(ctx, 3 * s.n + 1);
    int n = (int)svl_quote(quoted, s);
    svl_str path = {escaped, svl_path_escape(escaped, s)};

    for (int i = 0; i < n; i++) {
        if ((unsigned char)quoted[i] >= 0x80)
            quoted[i] = '_';
    }
    return svl_printf(ctx, "attachment; filename=%.*s; filename*=UTF-8''%.*s", n, quoted,
                      SVL_FMT(path));
}

static enum svl_verdict refuse(struct svl_ctx *ctx, const char *path, int err)
{
    int status = svl_fs_status_of(err);

    if (status == 500)
        svl_log(SVL_WARN, "fs: %s: %s", path, svl_strerror(err));
    if (status == 503)
        svl_header_set_static(ctx, SVL_H_RETRY_AFTER, SVL_STR("1"));
    return svl_fail(ctx, status, NULL);
}

enum svl_verdict svl_fs_send(struct svl_ctx *ctx, const struct svl_fs_send *send)
{
    svl_str path = svl_str_of(send->path), type;
    enum svl_verdict verdict;
    struct fs_stamp stamp;
    struct fs_file *f;
    struct stat st;
    int err, fd = path.n ? open_below(send->dir, send->path, &st) : -ENOENT;

    if (fd < 0)
        return refuse(ctx, send->path, fd);
    type = send->type ? svl_copy(ctx, svl_str_of(send->type))
                      : svl_fs_type_of(NULL, "application/octet-stream", path);
    svl_fs_stamp(&stamp, &st);
    err = svl_fs_file_make(&f, fd, &stamp, path, path.n + 1, type, CONTENT_MAX);
    if (err)
        return refuse(ctx, send->path, err);
    if (send->download)
        svl_header_set(ctx, SVL_H_CONTENT_DISPOSITION,
                       svl_fs_disposition(ctx, svl_str_of(send->download)));
    verdict =
        svl_fs_answer(ctx, f, svl_str_of(send->cache_control ? send->cache_control : "no-cache"));
    svl_fs_file_put(f);
    return verdict;
}
