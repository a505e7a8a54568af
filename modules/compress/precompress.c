/* Sidecars of a folder's files: found first, then compressed by as many threads as there are CPUs. */
#include "internal.h"

#include "serval/error.h"
#include "serval/log.h"
#include "serval/mime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHOLE_MAX ((size_t)64 << 20) /* longer files are compressed piece by piece */
#define PIECE 65536
#define MAX_THREADS 256

static const struct {
    const char *suffix;
    int level;
} sidecars[CODINGS] = {
    [CODING_BR] = {".br", 11},
    [CODING_ZSTD] = {".zst", 19},
    [CODING_GZIP] = {".gz", 9},
};

struct list {
    char **paths;
    size_t n, room;
};

/* Shared by the threads. */
struct work {
    struct svl_precompress *job;
    struct list files;
    enum coding codings[CODINGS];
    unsigned n_codings;
    atomic_size_t next, done;
    atomic_uint written, current, useless, failed;
    atomic_ullong bytes_in, bytes_out;
};

/* Finding ---------------------------------------------------------------------------------------*/

static bool is_sidecar(svl_str name)
{
    return svl_str_ends(name, SVL_STR(".br")) || svl_str_ends(name, SVL_STR(".zst")) ||
           svl_str_ends(name, SVL_STR(".gz"));
}

static bool is_wanted(const struct svl_precompress *job, const char *name, const struct stat *st)
{
    svl_str s = svl_str_of(name), type = svl_mime(s);

    return S_ISREG(st->st_mode) && (uint64_t)st->st_size >= job->min_bytes && !is_sidecar(s) &&
           type.p && svl_compress_is_type(job->types, type);
}

static int add(struct list *list, char *path)
{
    if (list->n == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        char **paths = realloc(list->paths, room * sizeof *paths);

        if (!paths)
            return -ENOMEM;
        list->paths = paths;
        list->room = room;
    }
    list->paths[list->n++] = path;
    return 0;
}

static int find(struct work *w, const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int err = 0;

    if (!dir)
        return -errno;
    while (!err && (entry = readdir(dir))) {
        char *path = NULL;
        struct stat st;

        if (entry->d_name[0] == '.' && strcmp(entry->d_name, ".well-known") != 0)
            continue;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
            continue;
        if (!S_ISDIR(st.st_mode) && !is_wanted(w->job, entry->d_name, &st))
            continue;
        if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0) {
            err = -ENOMEM;
        } else if (!S_ISDIR(st.st_mode)) {
            err = add(&w->files, path);
        } else {
            int below = find(w, path);

            if (below)
                svl_log(SVL_WARN, "precompress: %s: %s", path, svl_strerror(below));
            free(path);
        }
    }
    closedir(dir);
    return err;
}

/* Compressing -----------------------------------------------------------------------------------*/

struct file_outlet {
    struct outlet outlet; /* first */
    FILE *file;
    uint64_t n;
};

static int put(struct outlet *outlet, const char *bytes, size_t n)
{
    struct file_outlet *to = (struct file_outlet *)outlet;

    to->n += n;
    return fwrite(bytes, 1, n, to->file) == n ? 0 : -EIO;
}

static int encode_whole(const struct encoder *e, void *context, int fd, size_t size,
                        struct outlet *to)
{
    char *bytes = malloc(size + 1);
    size_t n = 0;
    ssize_t got = 1;
    int err;

    while (bytes && n < size && (got = read(fd, bytes + n, size - n)) > 0)
        n += (size_t)got;
    err = !bytes ? -ENOMEM : n < size ? -EIO : e->whole(context, (svl_str){bytes, n}, to);
    free(bytes);
    return err;
}

static int encode_pieces(const struct encoder *e, void *context, int fd, int64_t size,
                         struct outlet *to)
{
    char bytes[PIECE];
    int err = e->begin(context, size);
    ssize_t n = 1;

    while (!err && n > 0) {
        n = read(fd, bytes, sizeof bytes);
        if (n < 0)
            return -errno;
        err = e->push(context, (svl_str){bytes, (size_t)n}, n > 0 ? SVL_MORE : SVL_END, to);
    }
    return err;
}

static int encode(enum coding coding, int fd, int64_t size, struct outlet *to)
{
    const struct encoder *e = svl_compress_encoder(coding);
    bool whole = e->whole && (uint64_t)size <= WHOLE_MAX;
    /* libdeflate has levels above zlib's */
    void *context = e->open(whole ? 12 : sidecars[coding].level);
    int err;

    if (!context)
        return -ENOMEM;
    err = whole ? encode_whole(e, context, fd, (size_t)size, to)
                : encode_pieces(e, context, fd, size, to);
    e->close(context);
    return err;
}

static bool same_version(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Time and rights of the original; on the disk before it has its name. */
static int finish(FILE *file, int from, const struct stat *st, const char *temporary,
                  const char *name)
{
    const struct timespec times[2] = {st->st_mtim, st->st_mtim};
    struct stat now;

    if (fflush(file) || fchmod(fileno(file), st->st_mode & 0666) || futimens(fileno(file), times) ||
        fsync(fileno(file)) || fstat(from, &now))
        return -errno;
    if (!same_version(st, &now))
        return -ESTALE;
    return rename(temporary, name) ? -errno : 0;
}

enum outcome { WRITTEN, USELESS };

static int write_sidecar(struct work *w, enum coding coding, const char *name, int from,
                         const struct stat *st)
{
    struct file_outlet to = {.outlet = {put}};
    const char *slash = strrchr(name, '/');
    char *temporary = NULL;
    int err, fd;

    if (asprintf(&temporary, "%.*s.%s.XXXXXX", (int)(slash + 1 - name), name, slash + 1) < 0)
        return -ENOMEM;
    fd = mkostemp(temporary, O_CLOEXEC);
    err = fd < 0 ? -errno : 0;
    if (!err && !(to.file = fdopen(fd, "w"))) {
        err = -errno;
        close(fd);
    }
    if (!err)
        err = lseek(from, 0, SEEK_SET) < 0 ? -errno : encode(coding, from, st->st_size, &to.outlet);
    if (!err && to.n > (uint64_t)st->st_size / 20 * 19) {
        err = USELESS;
    } else if (!err) {
        err = finish(to.file, from, st, temporary, name);
        if (!err) {
            atomic_fetch_add(&w->bytes_in, (unsigned long long)st->st_size);
            atomic_fetch_add(&w->bytes_out, to.n);
        }
    }
    if (to.file)
        fclose(to.file);
    if (err && fd >= 0)
        unlink(temporary);
    free(temporary);
    return err;
}

/* As new as the original, or newer: one that a file server may send. */
static bool is_there(const char *name, const struct stat *original)
{
    struct stat st;

    return lstat(name, &st) == 0 && S_ISREG(st.st_mode) &&
           (st.st_mtim.tv_sec > original->st_mtim.tv_sec ||
            (st.st_mtim.tv_sec == original->st_mtim.tv_sec &&
             st.st_mtim.tv_nsec >= original->st_mtim.tv_nsec));
}

static void one_coding(struct work *w, enum coding coding, const char *path, int fd,
                       const struct stat *st)
{
    char *name = NULL;
    int err;

    if (asprintf(&name, "%s%s", path, sidecars[coding].suffix) < 0)
        return;
    if (is_there(name, st)) {
        atomic_fetch_add(&w->current, 1);
        free(name);
        return;
    }
    err = write_sidecar(w, coding, name, fd, st);
    atomic_fetch_add(err == WRITTEN ? &w->written : err == USELESS ? &w->useless : &w->failed, 1);
    if (err < 0)
        svl_log(SVL_WARN, "precompress: %s: %s", name, svl_strerror(err));
    free(name);
}

static void one_file(struct work *w, const char *path)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st)) {
        svl_log(SVL_WARN, "precompress: %s: %s", path, svl_strerror(-errno));
        atomic_fetch_add(&w->failed, 1);
    } else {
        for (unsigned i = 0; i < w->n_codings; i++)
            one_coding(w, w->codings[i], path, fd, &st);
    }
    if (fd >= 0)
        close(fd);
}

static void *run(void *arg)
{
    struct work *w = arg;

    for (;;) {
        size_t i = atomic_fetch_add(&w->next, 1);

        if (i >= w->files.n)
            return NULL;
        one_file(w, w->files.paths[i]);
        atomic_fetch_add(&w->done, 1);
    }
}

/* Progress --------------------------------------------------------------------------------------*/

static void show(const struct work *w)
{
    enum { WIDTH = 40 };
    size_t done = atomic_load(&w->done);
    int full = w->files.n ? (int)(done * WIDTH / w->files.n) : WIDTH;
    char bar[WIDTH + 1];

    memset(bar, '#', (size_t)full);
    memset(bar + full, '.', (size_t)(WIDTH - full));
    bar[WIDTH] = '\0';
    fprintf(stderr, "\r[%s] %zu of %zu files", bar, done, w->files.n);
    if (done == w->files.n)
        fputc('\n', stderr);
}

static void run_all(struct work *w, unsigned threads)
{
    pthread_t ids[MAX_THREADS];
    unsigned started = 0;

    if (threads > w->files.n)
        threads = (unsigned)w->files.n;
    while (started < threads && !pthread_create(&ids[started], NULL, run, w))
        started++;
    if (started == 0)
        run(w);
    while (w->job->progress && atomic_load(&w->done) < w->files.n) {
        show(w);
        usleep(100000);
    }
    while (started > 0)
        pthread_join(ids[--started], NULL);
    if (w->job->progress)
        show(w);
}

static unsigned cpus(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) ? 1 : (unsigned)CPU_COUNT(&set);
}

/* deflate has no file format of its own. */
static int choose_codings(struct work *w)
{
    svl_str wrong;
    int n = svl_compress_read_codings(w->job->codings ? w->job->codings : "br, zstd, gzip",
                                      w->codings, &wrong);

    for (int i = 0; i < n; i++)
        if (sidecars[w->codings[i]].suffix)
            w->codings[w->n_codings++] = w->codings[i];
    if (w->n_codings > 0)
        return 0;
    svl_log(SVL_ALERT, "precompress: codings \"%s\": none that can be written",
            w->job->codings ? w->job->codings : "");
    return SVL_ECONFIG;
}

int svl_precompress(const char *folder, struct svl_precompress *job)
{
    struct work w = {.job = job};
    unsigned threads = job->threads ? job->threads : cpus();
    int err;

    if (!job->types)
        job->types = svl_compress_types;
    if (!job->min_bytes)
        job->min_bytes = 256;
    err = choose_codings(&w);
    if (!err) {
        err = find(&w, folder);
        if (err)
            svl_log(SVL_ALERT, "precompress: %s: %s", folder, svl_strerror(err));
    }
    if (!err)
        run_all(&w, threads < MAX_THREADS ? threads : MAX_THREADS);
    job->files = (unsigned)w.files.n;
    job->written = atomic_load(&w.written);
    job->current = atomic_load(&w.current);
    job->useless = atomic_load(&w.useless);
    job->failed = atomic_load(&w.failed);
    job->bytes_in = atomic_load(&w.bytes_in);
    job->bytes_out = atomic_load(&w.bytes_out);
    while (w.files.n > 0)
        free(w.files.paths[--w.files.n]);
    free(w.files.paths);
    return err;
}
