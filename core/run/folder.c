/* From a path to a file of a folder: the first part of the path that is one. That the folder is not
 * left, not even by a link, is the kernel's work: openat2(2) with RESOLVE_BENEATH. */
#include "serval/gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RACE_TRIES 16 /* a rename elsewhere can make it give up with EAGAIN */

int svl_gateway_folder_open(struct svl_gateway_folder *f)
{
    f->root = realpath(f->root, NULL);
    f->fd = f->root ? open(f->root, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (f->fd >= 0)
        return 0;
    svl_gateway_folder_close(f);
    return -errno;
}

void svl_gateway_folder_close(struct svl_gateway_folder *f)
{
    int err = errno;

    if (f->fd >= 0)
        close(f->fd);
    free((char *)f->root);
    f->root = NULL;
    f->fd = -1;
    errno = err;
}

/* The mode of what the path below the root is; 0 = there is no such thing. */
static mode_t mode_of(const struct svl_gateway_folder *f, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    struct stat st;
    long fd = -1;

    for (int i = 0; fd < 0 && i < RACE_TRIES; i++) {
        fd = syscall(SYS_openat2, f->fd, path, &how, sizeof how);
        if (fd < 0 && errno != EAGAIN && errno != EINTR)
            return 0;
    }
    if (fd < 0)
        return 0;
    if (fstat((int)fd, &st) != 0)
        st.st_mode = 0;
    close((int)fd);
    return st.st_mode;
}

/* What stands behind the prefix; p is NULL for other paths. */
static svl_str below_prefix(svl_str path, const char *prefix)
{
    svl_str p = svl_str_of(prefix ? prefix : "/");

    if (p.n > 0 && p.p[p.n - 1] == '/')
        p.n--;
    if (!svl_str_starts(path, p) || (path.n > p.n && path.p[p.n] != '/'))
        return SVL_STR_NONE;
    return svl_str_from(path, p.n);
}

/* below[0, length) and `index` behind it name a file. */
static enum svl_gateway_found found(struct svl_ctx *ctx, const struct svl_gateway_folder *f,
                                    svl_str below, size_t length, svl_str index,
                                    struct svl_gateway_target *to)
{
    svl_str path = ctx->req.path, name = index.n ? index : svl_str_head(below, length);
    svl_str rest = svl_str_from(below, length);

    if (f->suffix && !svl_str_ends(name, svl_str_of(f->suffix)))
        return SVL_GATEWAY_OTHER;
    to->document_root = svl_str_of(f->root);
    to->script_filename =
        svl_printf(ctx, "%s%.*s%.*s", f->root, (int)length, below.p, SVL_FMT(index));
    to->script_name = svl_str_head(path, path.n - rest.n);
    if (index.n)
        to->script_name = svl_printf(ctx, "%.*s%.*s", SVL_FMT(path), SVL_FMT(index));
    to->path_info = rest.n > 0 ? rest : SVL_STR_NONE;
    return SVL_GATEWAY_FILE;
}

/* The path is a folder: is there a file that stands for it? */
static enum svl_gateway_found by_index(struct svl_ctx *ctx, const struct svl_gateway_folder *f,
                                       svl_str below, struct svl_gateway_target *to, mode_t *mode)
{
    bool slash = below.n > 0 && below.p[below.n - 1] == '/';

    for (unsigned i = 0; f->index && f->index[i]; i++) {
        svl_str name = svl_str_of(f->index[i]);

        *mode = mode_of(f, svl_printf(ctx, ".%.*s/%s", SVL_FMT(below), name.p).p);
        if (*mode && !S_ISDIR(*mode))
            return slash ? found(ctx, f, below, below.n, name, to) : SVL_GATEWAY_MOVED;
    }
    return SVL_GATEWAY_NOTHING;
}

enum svl_gateway_found svl_gateway_find(struct svl_ctx *ctx, const struct svl_gateway_folder *f,
                                        struct svl_gateway_target *to, mode_t *mode)
{
    svl_str below = below_prefix(ctx->req.path, f->prefix);
    size_t end = 0;

    if (!below.p)
        return SVL_GATEWAY_NOTHING;
    while (end + 1 < below.n) {
        if (below.p[end + 1] == '.') /* hidden */
            return SVL_GATEWAY_NOTHING;
        end += 1 + svl_str_find(svl_str_from(below, end + 1), '/');
        *mode = mode_of(f, svl_printf(ctx, ".%.*s", (int)end, below.p).p);
        if (!*mode)
            return SVL_GATEWAY_NOTHING;
        if (!S_ISDIR(*mode))
            return found(ctx, f, below, end, SVL_STR(""), to);
    }
    return by_index(ctx, f, below, to, mode);
}
