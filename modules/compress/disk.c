/* Compressed bodies in a folder, so that they are there after a restart and for other workers.
 *
 * A file is named after a hash of its key and begins with the key itself. One thread writes them: to
 * a name that only the first who wants it can create, then fsync, then rename, so that what has
 * its name is whole. Whatever goes wrong costs the file and nothing else. Above its limit the folder
 * loses the oldest files. */
#include "internal.h"

#include "serval/error.h"
#include "serval/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x31637653u /* "Svc1" */
#define WAITING_MAX 64    /* files to be written; more are dropped */
#define STALE_S 60        /* a creator that takes so long has died */
#define NAME_LEN 32

struct head {
    uint32_t magic, key_n;
    uint64_t body_n;
};

struct job {
    struct job *next;
    size_t n; /* of bytes: head, key, body */
    char name[NAME_LEN + 1];
    char bytes[];
};

struct compress_disk {
    int folder;
    uint64_t bytes, max_bytes; /* the writer's */
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t some;
    struct job *first, **last;
    unsigned waiting;
    bool runs; /* the thread: from the first file on, so that it is inside of a sandbox */
    bool stop, failed;
};

/* Names ----------------------------------------------------------------------------------------*/

static uint64_t hash(svl_str key, uint64_t seed)
{
    for (size_t i = 0; i < key.n; i++)
        seed = (seed ^ (unsigned char)key.p[i]) * 0x100000001b3u;
    return seed ^ seed >> 29;
}

/* Two keys with one name only take turns: a file says whose it is. */
static void name_of(char name[NAME_LEN + 1], svl_str key)
{
    snprintf(name, NAME_LEN + 1, "%016llx%016llx",
             (unsigned long long)hash(key, 0xcbf29ce484222325u),
             (unsigned long long)hash(key, 0x9ae16a3b2f90404fu));
}

static bool is_ours(const char *name)
{
    return strspn(name, "0123456789abcdef") == NAME_LEN;
}

/* Reading --------------------------------------------------------------------------------------*/

static bool read_all(int fd, void *to, size_t n, off_t at)
{
    size_t got = 0;

    while (got < n) {
        ssize_t r = pread(fd, (char *)to + got, n - got, at + (off_t)got);

        if (r <= 0 && !(r < 0 && errno == EINTR))
            return false;
        got += r > 0 ? (size_t)r : 0;
    }
    return true;
}

static char *read_file(int fd, svl_str key, size_t max, size_t *n)
{
    char of[COMPRESS_KEY_MAX], *bytes;
    struct head head;
    struct stat st;

    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !read_all(fd, &head, sizeof head, 0) ||
        head.magic != MAGIC || head.key_n != key.n || head.body_n > max || head.body_n == 0 ||
        (uint64_t)st.st_size != sizeof head + head.key_n + head.body_n ||
        !read_all(fd, of, key.n, sizeof head) || memcmp(of, key.p, key.n) != 0)
        return NULL;
    bytes = malloc(head.body_n);
    *n = head.body_n;
    if (bytes && read_all(fd, bytes, *n, (off_t)(sizeof head + key.n)))
        return bytes;
    free(bytes);
    return NULL;
}

char *svl_compress_disk_read(struct compress_disk *disk, svl_str key, size_t max, size_t *n)
{
    char name[NAME_LEN + 1], *bytes;
    int fd;

    name_of(name, key);
    fd = openat(disk->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    bytes = read_file(fd, key, max, n);
    close(fd);
    return bytes;
}

/* Writing --------------------------------------------------------------------------------------*/

static int write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        bytes += done;
        n -= (size_t)done;
    }
    return 0;
}

/* Whoever creates this name is the one to make the file; unless he died over it. */
static int create(struct compress_disk *disk, const char *name)
{
    int fd = openat(disk->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct stat st;

    if (fd >= 0 || errno != EEXIST)
        return fd < 0 ? -errno : fd;
    if (fstatat(disk->folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        time(NULL) - st.st_mtime > STALE_S)
        unlinkat(disk->folder, name, 0);
    return -EEXIST;
}

static int store(struct compress_disk *disk, const struct job *job)
{
    char temporary[NAME_LEN + 5];
    int fd, err;

    snprintf(temporary, sizeof temporary, "%s.new", job->name);
    if (faccessat(disk->folder, job->name, F_OK, 0) == 0)
        return 0;
    fd = create(disk, temporary);
    if (fd < 0)
        return fd;
    err = write_all(fd, job->bytes, job->n);
    if (!err && fsync(fd))
        err = -errno;
    close(fd);
    if (!err && renameat(disk->folder, temporary, disk->folder, job->name))
        err = -errno;
    if (err)
        unlinkat(disk->folder, temporary, 0);
    else
        disk->bytes += job->n;
    return err;
}

/* The limit ------------------------------------------------------------------------------------*/

struct old {
    char name[NAME_LEN + 1];
    int64_t time, size;
};

static int oldest_first(const void *a, const void *b)
{
    int64_t x = ((const struct old *)a)->time, y = ((const struct old *)b)->time;

    return (x > y) - (x < y);
}

/* All files of ours; *n of them, to be freed. */
static struct old *list(struct compress_disk *disk, size_t *n)
{
    int fd = openat(disk->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct old *all = NULL;
    const struct dirent *d;
    size_t room = 0;
    struct stat st;

    *n = 0;
    disk->bytes = 0;
    while (dir && (d = readdir(dir))) {
        if (!is_ours(d->d_name) || d->d_name[NAME_LEN] ||
            fstatat(disk->folder, d->d_name, &st, AT_SYMLINK_NOFOLLOW))
            continue;
        if (*n == room) {
            struct old *more = realloc(all, (room = 2 * room + 64) * sizeof *all);

            if (!more)
                break;
            all = more;
        }
        memcpy(all[*n].name, d->d_name, NAME_LEN + 1);
        all[*n].time = st.st_mtime;
        all[(*n)++].size = st.st_size;
        disk->bytes += (uint64_t)st.st_size;
    }
    if (dir)
        closedir(dir);
    return all;
}

/* To three quarters, so that it is not looked through for each file. */
static void make_room(struct compress_disk *disk)
{
    size_t n;
    struct old *all = list(disk, &n);

    qsort(all, n, sizeof *all, oldest_first);
    for (size_t i = 0; i < n && disk->bytes > disk->max_bytes / 4 * 3; i++) {
        if (unlinkat(disk->folder, all[i].name, 0) == 0)
            disk->bytes -= (uint64_t)all[i].size;
    }
    free(all);
}

/* The thread -----------------------------------------------------------------------------------*/

static struct job *next_job(struct compress_disk *disk)
{
    struct job *job;

    pthread_mutex_lock(&disk->lock);
    while (!disk->first && !disk->stop)
        pthread_cond_wait(&disk->some, &disk->lock);
    job = disk->first;
    if (job) {
        disk->first = job->next;
        disk->last = disk->first ? disk->last : &disk->first;
        disk->waiting--;
    }
    pthread_mutex_unlock(&disk->lock);
    return job;
}

static void *write_files(void *arg)
{
    struct compress_disk *disk = arg;
    struct job *job;
    size_t n;

    free(list(disk, &n));
    while ((job = next_job(disk))) {
        int err = store(disk, job);

        if (err && err != -EEXIST && !disk->failed) {
            disk->failed = true; /* said once */
            svl_log(SVL_WARN, "compress: cache folder: %s", svl_strerror(err));
        }
        if (disk->bytes > disk->max_bytes)
            make_room(disk);
        free(job);
    }
    return NULL;
}

void svl_compress_disk_write(struct compress_disk *disk, svl_str key, const char *bytes, size_t n)
{
    struct head head = {MAGIC, (uint32_t)key.n, n};
    struct job *job = malloc(sizeof *job + sizeof head + key.n + n);

    if (!job)
        return;
    job->next = NULL;
    job->n = sizeof head + key.n + n;
    name_of(job->name, key);
    memcpy(job->bytes, &head, sizeof head);
    memcpy(job->bytes + sizeof head, key.p, key.n);
    memcpy(job->bytes + sizeof head + key.n, bytes, n);

    pthread_mutex_lock(&disk->lock);
    if (!disk->runs)
        disk->runs = pthread_create(&disk->thread, NULL, write_files, disk) == 0;
    if (disk->runs && disk->waiting < WAITING_MAX) {
        *disk->last = job;
        disk->last = &job->next;
        disk->waiting++;
        job = NULL;
        pthread_cond_signal(&disk->some);
    }
    pthread_mutex_unlock(&disk->lock);
    free(job);
}

struct compress_disk *svl_compress_disk_open(const char *path, size_t max_bytes)
{
    struct compress_disk *disk = calloc(1, sizeof *disk);

    if (!disk)
        return NULL;
    disk->max_bytes = max_bytes;
    disk->last = &disk->first;
    pthread_mutex_init(&disk->lock, NULL);
    pthread_cond_init(&disk->some, NULL);
    mkdir(path, 0700);
    disk->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk->folder >= 0)
        return disk;
    svl_log(SVL_WARN, "compress: %s: %s: nothing is kept there", path, svl_strerror(-errno));
    free(disk);
    return NULL;
}

void svl_compress_disk_close(struct compress_disk *disk)
{
    if (!disk)
        return;
    pthread_mutex_lock(&disk->lock);
    disk->stop = true;
    pthread_cond_signal(&disk->some);
    pthread_mutex_unlock(&disk->lock);
    if (disk->runs)
        pthread_join(disk->thread, NULL);
    pthread_mutex_destroy(&disk->lock);
    pthread_cond_destroy(&disk->some);
    close(disk->folder);
    free(disk);
}
