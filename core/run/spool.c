#include "run/spool.h"

#include "run/exchange.h"
#include "serval/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_MEMORY (64 * 1024)

/* Temporary files -------------------------------------------------------------------------- */

static const char *folder_of(const struct svl_spool *spool)
{
    const char *folder = spool->folder ? spool->folder : getenv("TMPDIR");

    return folder && *folder ? folder : "/tmp";
}

/* Without O_TMPFILE (old kernels, some file systems) the name exists for a moment. */
static int open_named(const char *folder)
{
    char path[512];
    int fd;

    if ((size_t)snprintf(path, sizeof path, "%s/serval-XXXXXX", folder) >= sizeof path)
        return -ENAMETOOLONG;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    unlink(path);
    return fd;
}

static int open_nameless(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0)
        return fd;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT)
        return -errno;
    return open_named(folder);
}

static int write_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, data, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        data += done;
        n -= (size_t)done;
    }
    return 0;
}

static void close_fd(void *arg)
{
    close((int)(intptr_t)arg);
}

/* From memory to the disk. */
static int spill(struct svl_spool *spool)
{
    int fd = open_nameless(folder_of(spool));

    if (fd < 0)
        return fd;
    svl_on_free(spool->ctx, close_fd, (void *)(intptr_t)fd);
    spool->so_far.fd = fd;
    return write_all(fd, spool->text.p, spool->text.n);
}

int svl_spool_add(struct svl_spool *spool, const char *data, size_t n)
{
    struct svl_spooled *s = &spool->so_far;
    int err;

    s->size += n;
    if (s->fd < 0) {
        if (s->size <= spool->memory && svl_arena_append(spool->ctx->arena, &spool->text, data, n))
            return 0;
        err = spill(spool);
        if (err)
            return err;
    }
    return write_all(s->fd, data, n);
}

struct svl_spooled svl_spool_end(struct svl_spool *spool)
{
    if (spool->so_far.fd < 0)
        spool->so_far.bytes = svl_text_view(&spool->text);
    return spool->so_far;
}

/* Bodies ----------------------------------------------------------------------------------- */

struct taking {
    struct svl_spool spool;
    svl_spooled_fn *then;
    void *arg;
};

enum svl_verdict svl_spool_fail(struct svl_ctx *ctx, int error)
{
    switch (error) {
    case SVL_ELIMIT: return svl_fail(ctx, 413, "the body is too large");
    case SVL_ESYNTAX: return svl_fail(ctx, 400, "the body is not a form");
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG: return svl_fail(ctx, 507, NULL);
    default: return svl_fail(ctx, 500, NULL);
    }
}

void svl_spool_limit(struct svl_ctx *ctx, uint64_t max)
{
    struct svl_exchange *x = svl_exchange_of(ctx);

    if (!x->body_limit)
        x->body_limit = max ? max : x->parser.limits->max_body;
    else if (max && max < x->body_limit)
        x->body_limit = max;
}

static enum svl_verdict on_piece(struct svl_ctx *ctx, void *arg, svl_str piece, enum svl_piece kind)
{
    struct taking *taking = arg;
    struct svl_spooled *body;
    int err;

    if (kind == SVL_PIECE_GONE)
        return SVL_ERROR;
    err = svl_spool_add(&taking->spool, piece.p, piece.n);
    if (err)
        return svl_spool_fail(ctx, err);
    if (kind == SVL_PIECE)
        return SVL_PENDING;
    body = svl_alloc(ctx, sizeof *body);
    *body = svl_spool_end(&taking->spool);
    return taking->then(ctx, taking->arg, body);
}

/* What is in memory already stays there. */
static enum svl_verdict take_whole(struct svl_ctx *ctx, const struct taking *taking)
{
    struct svl_spooled *body = svl_alloc(ctx, sizeof *body);

    *body = (struct svl_spooled){ctx->req.body.n, ctx->req.body, -1};
    if (body->size > svl_exchange_of(ctx)->body_limit)
        return svl_spool_fail(ctx, SVL_ELIMIT);
    return taking->then(ctx, taking->arg, body);
}

enum svl_verdict svl_spool_body(struct svl_ctx *ctx, const struct svl_spool_config *config,
                                svl_spooled_fn *then, void *arg)
{
    static const struct svl_spool_config defaults;
    struct taking *taking = svl_alloc(ctx, sizeof *taking);

    config = config ? config : &defaults;
    *taking = (struct taking){
        {ctx, config->memory ? config->memory : DEFAULT_MEMORY, config->folder, .so_far.fd = -1},
        then,
        arg,
    };
    svl_spool_limit(ctx, config->max);
    if (ctx->req.body.p)
        return take_whole(ctx, taking);
    return svl_stream_body(ctx, on_piece, taking);
}

/* Keeping them ----------------------------------------------------------------------------- */

static int copy_fd(int to, int from, uint64_t size)
{
    char piece[16384];
    off_t at = 0;

    while ((uint64_t)at < size) {
        ssize_t n = pread(from, piece, sizeof piece, at);
        int err;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        err = write_all(to, piece, (size_t)n);
        if (err)
            return err;
        at += n;
    }
    return 0;
}

static int save_copy(const struct svl_spooled *s, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), err;

    if (fd < 0)
        return -errno;
    err = s->fd < 0 ? write_all(fd, s->bytes.p, s->bytes.n) : copy_fd(fd, s->fd, s->size);
    if (close(fd) && !err)
        err = -errno;
    if (err)
        unlink(path);
    return err;
}

int svl_spooled_save(const struct svl_spooled *s, const char *path)
{
    char proc[64];

    if (s->fd < 0)
        return save_copy(s, path);
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", s->fd);
    if (linkat(AT_FDCWD, proc, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    /* Another file system, one that was unlinked after all, or no /proc. */
    return errno == EEXIST ? -EEXIST : save_copy(s, path);
}
