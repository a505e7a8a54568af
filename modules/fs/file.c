/* One version of a file: what of it is kept, and how it is made sure that it is one version.
 *
 * A short file is read into memory between two looks at its stamp, and again when they differ. If
 * it changed a moment ago and there may be a writer, two readings must give the same. Its ETag is a
 * hash of the content, so even a version that was half written never shares it with another. Of a
 * longer file only the descriptor is kept, and its ETag is made of time and size. */
#include "internal.h"

#include "serval/date.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_MAGIC 0x5f11e5f1u
#define READ_TRIES 6
#define SETTLE_MS 50

void svl_fs_stamp(struct fs_stamp *stamp, const struct stat *st)
{
    *stamp = (struct fs_stamp){
        .dev = st->st_dev,
        .ino = st->st_ino,
        .size = st->st_size,
        .mtime = st->st_mtim,
        .ctime = st->st_ctim,
    };
}

static bool time_eq(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool svl_fs_stamp_eq(const struct fs_stamp *a, const struct fs_stamp *b)
{
    return a->ino == b->ino && a->dev == b->dev && a->size == b->size &&
           time_eq(a->mtime, b->mtime) && time_eq(a->ctime, b->ctime);
}

bool svl_fs_stamp_holds(const struct fs_stamp *stamp, int fd)
{
    struct stat st;

    if (fstat(fd, &st))
        return false;
    if (st.st_size != stamp->size)
        return st.st_size > stamp->size;
    return time_eq(st.st_mtim, stamp->mtime);
}

/* The ctime comes from the real clock of the file system, so that is what it is compared with;
 * where they disagree about the order, the change is taken for an old one. */
int64_t svl_fs_stamp_age(const struct fs_stamp *stamp)
{
    struct timespec now;
    int64_t age;

    clock_gettime(CLOCK_REALTIME, &now);
    age = ((int64_t)now.tv_sec - stamp->ctime.tv_sec) * 1000 +
          (now.tv_nsec - stamp->ctime.tv_nsec) / 1000000;
    return age >= 0 ? age : INT64_MAX;
}

bool svl_fs_stamp_settled(const struct fs_stamp *stamp)
{
    return svl_fs_stamp_age(stamp) > SETTLE_MS;
}

/* A read lease is given only if nobody has the file open for writing. Giving it back at once keeps
 * a writer that comes just then from waiting; the signal it would cause is one that is ignored. */
int svl_fs_has_writer(int fd)
{
#ifdef F_SETLEASE
    if (fcntl(fd, F_SETSIG, SIGURG) < 0)
        return -1;
    if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
        fcntl(fd, F_SETLEASE, F_UNLCK);
        return 0;
    }
    return errno == EAGAIN ? 1 : -1; /* EACCES: somebody else's file */
#else
    (void)fd;
    return -1;
#endif
}

/* What is not in the page cache is not waited for: -EAGAIN. File systems that cannot tell wait. */
static ssize_t read_at_hand(int fd, char *to, size_t n, size_t offset)
{
    struct iovec part = {to, n};
    ssize_t got = preadv2(fd, &part, 1, (off_t)offset, RWF_NOWAIT);

    return got < 0 && errno == EOPNOTSUPP ? pread(fd, to, n, (off_t)offset) : got;
}

/* Up to n bytes from the start. Returns how many, fewer only at the end of the file. */
static ssize_t read_start(int fd, char *to, size_t n)
{
    size_t got = 0;

    while (got < n) {
        ssize_t r = read_at_hand(fd, to + got, n - got, got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

static struct fs_file *file_new(svl_str path, size_t key_n, size_t content_n)
{
    struct fs_file *f = malloc(sizeof *f + path.n + 2 + content_n);
    char *text = (char *)(f + 1);

    if (!f)
        return NULL;
    *f = (struct fs_file){.magic = FILE_MAGIC, .refs = 1, .fd = -1};
    f->content = text;
    text += content_n;
    f->key = (svl_str){text, key_n};
    f->path = text + 1;
    text[0] = '/';
    memcpy(text + 1, path.p, path.n);
    text[1 + path.n] = 0;
    return f;
}

static const uint64_t content_key[2] = {0, 0}; /* the same after each start */

static int read_content(struct fs_file *f, int fd)
{
    size_t size = (size_t)f->stamp.size;
    ssize_t got = read_start(fd, (char *)f->content, size);

    if (got < 0)
        return (int)got;
    f->version = svl_fs_hash(content_key, f->content, (size_t)got);
    return (size_t)got == size;
}

/* Reads f->content, which has room for f->stamp.size bytes. Returns 1 when it is one version, 0
 * when the file changed meanwhile (*now is what it is now), or -errno. */
static int read_version(struct fs_file *f, int fd, struct fs_stamp *now)
{
    struct stat st;
    int got, writer;
    uint64_t version;

    f->settled = svl_fs_stamp_settled(&f->stamp);
    /* Long ago is good enough, but for an empty file, which somebody may be about to fill. */
    writer = f->settled && f->stamp.size > 0 ? 0 : svl_fs_has_writer(fd);
    f->whole = writer == 0 || (writer < 0 && f->settled);
    f->written = writer == 1;
    got = read_content(f, fd);
    if (got < 0)
        return got;
    if (fstat(fd, &st))
        return -errno;
    svl_fs_stamp(now, &st);
    if (!got || !svl_fs_stamp_eq(&f->stamp, now))
        return 0;
    if (f->whole)
        return 1;

    /* A write sets the times before it copies: look whether bytes are still arriving. */
    version = f->version;
    got = read_content(f, fd);
    return got <= 0 ? got : version == f->version;
}

/* A file with the content of fd in memory. *stamp is what fd looks like, and is kept up to date.
 * Returns 0, -errno, -EFBIG when it is, or has become, longer than max, or -EAGAIN when reading it
 * would have to wait for the disk. */
static int make_in_memory(struct fs_file **file, int fd, struct fs_stamp *stamp, svl_str path,
                          size_t key_n, size_t max)
{
    for (int i = 0; i < READ_TRIES && stamp->size <= (int64_t)max; i++) {
        struct fs_file *f = file_new(path, key_n, (size_t)stamp->size);
        int got;

        if (!f)
            return -ENOMEM;
        f->stamp = *stamp;
        got = read_version(f, fd, stamp);
        /* A file that only ever grows is somebody's log: its beginning is a version too. */
        if (got == 0 && i == READ_TRIES - 1 && stamp->size > f->stamp.size) {
            f->settled = f->whole = false;
            got = 1;
        }
        if (got > 0) {
            *file = f;
            return 0;
        }
        svl_fs_file_put(f);
        if (got < 0)
            return got;
    }
    return stamp->size > (int64_t)max ? -EFBIG : -EBUSY;
}

static int make_open(struct fs_file **file, int fd, const struct fs_stamp *stamp, svl_str path,
                     size_t key_n)
{
    struct fs_file *f = file_new(path, key_n, 0);

    if (!f)
        return -ENOMEM;
    f->stamp = *stamp;
    f->content = NULL;
    f->fd = fd;
    f->settled = svl_fs_stamp_settled(stamp);
    f->written = !f->settled && svl_fs_has_writer(fd) == 1;
    f->version = (uint64_t)stamp->mtime.tv_sec * 1000000000u + (uint64_t)stamp->mtime.tv_nsec;
    *file = f;
    return 0;
}

static void print_validators(struct fs_file *f)
{
    int n = snprintf(f->etag_text, sizeof f->etag_text, "\"%016llx-%llx\"",
                     (unsigned long long)f->version, (unsigned long long)f->stamp.size);
    assert(n > 0 && (size_t)n < sizeof f->etag_text);
    f->etag = (svl_str){f->etag_text, (size_t)n};

    svl_date_print(f->date_text, f->stamp.mtime.tv_sec);
    f->last_modified = (svl_str){f->date_text, SVL_DATE_LEN};
}

int svl_fs_file_make(struct fs_file **file, int fd, const struct fs_stamp *stamp, svl_str path,
                     size_t key_n, svl_str type, size_t content_max)
{
    struct fs_stamp now = *stamp;
    int err = make_in_memory(file, fd, &now, path, key_n, content_max);

    assert(key_n >= 1 && key_n <= path.n + 1);
    if (err == -EFBIG || err == -EAGAIN) /* long, or on disk only: the core reads it elsewhere */
        err = make_open(file, fd, &now, path, key_n);
    if (err || (*file)->fd != fd)
        close(fd);
    if (err)
        return err;
    (*file)->type = type;
    print_validators(*file);
    return 0;
}

void svl_fs_file_put(void *file)
{
    struct fs_file *f = file;

    assert(f->magic == FILE_MAGIC && f->refs > 0);
    if (--f->refs > 0)
        return;
    assert(!f->cached);
    if (f->fd >= 0)
        close(f->fd);
    f->magic = 0;
    free(f);
}

/* SipHash --------------------------------------------------------------------------------------*/

struct sip {
    uint64_t a, b, c, d;
};

static uint64_t turn(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static void sip_round(struct sip *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = turn(s->b, 13) ^ s->a;
    s->d = turn(s->d, 16) ^ s->c;
    s->a = turn(s->a, 32);
    s->c += s->b;
    s->a += s->d;
    s->b = turn(s->b, 17) ^ s->c;
    s->d = turn(s->d, 21) ^ s->a;
    s->c = turn(s->c, 32);
}

static uint64_t word(const char *p, size_t n)
{
    uint64_t w = 0;

    memcpy(&w, p, n);
    return le64toh(w);
}

static void sip_word(struct sip *s, uint64_t w)
{
    s->d ^= w;
    sip_round(s);
    s->a ^= w;
}

uint64_t svl_fs_hash(const uint64_t key[2], const char *data, size_t n)
{
    struct sip s = {
        key[0] ^ 0x736f6d6570736575u, /* "somepseu" "dorandom" "lygenera" "tedbytes" */
        key[1] ^ 0x646f72616e646f6du,
        key[0] ^ 0x6c7967656e657261u,
        key[1] ^ 0x7465646279746573u,
    };
    size_t left = n;

    for (; left >= 8; data += 8, left -= 8)
        sip_word(&s, word(data, 8));
    sip_word(&s, word(data, left) | (uint64_t)n << 56);
    s.c ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}
