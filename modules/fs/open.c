/* Opens paths below the root. That nothing outside of it is reached is the kernel's work, not a
 * comparison of strings: openat2(2) with RESOLVE_BENEATH, or, where that is missing, one
 * openat(2) per component without following links. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__linux__) && defined(SYS_openat2)
#include <linux/openat2.h>
#define HAVE_OPENAT2 1
#else
#define HAVE_OPENAT2 0
#endif

#ifdef O_PATH
#define THROUGH O_PATH /* only the right to search a folder is needed */
#else
#define THROUGH O_RDONLY
#endif

/* O_NONBLOCK: opening a FIFO does not wait for its writer. */
#define READ_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

/* A rename elsewhere in the tree can make RESOLVE_BENEATH give up with EAGAIN. */
#define RACE_TRIES 16

static int open_resolved(const struct fs_root *root, const char *path, int flags)
{
#if HAVE_OPENAT2
    struct open_how how = {
        .flags = (unsigned long long)flags,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };

    if (root->symlinks == SVL_FS_DENY)
        how.resolve |= RESOLVE_NO_SYMLINKS;
    for (int i = 0; i < RACE_TRIES; i++) {
        long fd = syscall(SYS_openat2, root->fd, path, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    return -EAGAIN;
#else
    (void)root, (void)path, (void)flags;
    return -ENOSYS;
#endif
}

static int open_at(int dir, const char *path, int flags)
{
    int fd;

    do
        fd = openat(dir, path, flags);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

static bool is_dots(const char *name)
{
    return strcmp(name, "..") == 0;
}

/* Folder by folder; a link in the place of one is ENOTDIR, in the place of the file ELOOP. */
static int open_walking(const struct fs_root *root, const char *path, int flags)
{
    char name[NAME_MAX + 1];
    int dir = root->fd, fd;

    for (;;) {
        const char *slash = strchrnul(path, '/');
        size_t n = (size_t)(slash - path);
        bool last = *slash == 0;

        if (n == 0 || n > NAME_MAX) {
            fd = n ? -ENAMETOOLONG : -ENOENT;
        } else {
            memcpy(name, path, n);
            name[n] = 0;
            fd = is_dots(name)
                     ? -EXDEV
                     : open_at(dir, name,
                               O_NOFOLLOW | (last ? flags : THROUGH | O_DIRECTORY | O_CLOEXEC));
        }
        if (dir != root->fd)
            close(dir);
        if (last || fd < 0)
            return fd;
        dir = fd;
        path = slash + 1;
    }
}

int svl_fs_open(const struct fs_root *root, const char *path, int flags)
{
    flags |= READ_FLAGS;
#ifdef O_PATH
    if (flags & O_PATH)
        flags &= O_PATH | O_CLOEXEC | O_DIRECTORY; /* openat2 takes no others with it */
#endif
    if (root->symlinks == SVL_FS_FOLLOW)
        return open_at(root->fd, path, flags);
    return root->openat2 ? open_resolved(root, path, flags) : open_walking(root, path, flags);
}

int svl_fs_root_init(struct fs_root *root, const struct svl_fs_config *config)
{
    int probe;

    root->symlinks = config->symlinks;
    root->openat2 = true;
    root->fd = open_at(AT_FDCWD, config->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root->fd < 0)
        return root->fd;

    /* An old kernel says ENOSYS, a seccomp filter mostly EPERM. */
    probe = config->no_openat2 ? -ENOSYS : open_resolved(root, ".", READ_FLAGS);
    if (probe >= 0)
        close(probe);
    root->openat2 = probe != -ENOSYS && probe != -EPERM;
    return 0;
}

void svl_fs_root_finish(struct fs_root *root)
{
    if (root->fd >= 0)
        close(root->fd);
    root->fd = -1;
}

int svl_fs_status_of(int err)
{
    switch (-err) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP: /* a link that is not to be followed, or a circle */
    case EXDEV: /* out of the root */
    case ENXIO: /* a socket, or a device without a driver */
    case ENODEV:
    case EINVAL: /* bytes the file system does not have in names */
    case EILSEQ:
    case ESTALE: return 404;
    case EACCES:
    case EPERM: return 403;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN: /* the tree is being renamed all the time */
    case EBUSY: return 503;
    default: return 500;
    }
}
