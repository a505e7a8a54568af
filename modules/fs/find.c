/* The long way of a request: the file system is asked what the path leads to. */
#include "internal.h"

#include "serval/error.h"
#include "serval/field.h"
#include "serval/log.h"
#include "serval/mime.h"
#include "serval/uri.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* While somebody has a file open and changes it, its last whole version is given for so long. */
#define HOLD_US 1000000
/* An empty file that somebody has open for writing is not given for so long. */
#define FILL_MS 1000
/* fs_file::resolve_us: looking by stat(2) does not notice when a folder of the path has become a
 * link to the same file outside of the root. After so long, the path is opened anew. */
#define RESOLVE_US 1000000

/* One request on its way through the file system. */
struct look {
    const struct svl_fs_config *config;
    struct fs_worker *worker;
    struct svl_ctx *ctx;
    struct fs_file *old; /* what the cache has, out of date; or NULL */
    svl_str place;       /* the request's path behind the prefix */
    bool lost;           /* look->path is not what was asked for, but what is given instead */
    size_t n;
    char path[PATH_MAX]; /* relative, for the kernel; path[n] is 0 */
};

/* Answers without a file -----------------------------------------------------------------------*/

static bool give_instead(struct look *look, enum svl_verdict *verdict);

static enum svl_verdict not_found(struct look *look)
{
    enum svl_verdict verdict;

    if (look->config->spa && !look->lost && give_instead(look, &verdict))
        return verdict;
    return look->config->fallthrough ? SVL_NEXT : svl_fail(look->ctx, 404, NULL);
}

static enum svl_verdict fail(struct look *look, int err)
{
    int status = svl_fs_status_of(err);

    if (status == 404)
        return not_found(look);
    if (status == 500)
        svl_log(SVL_WARN, "fs: %s: %s", look->path, svl_strerror(err));
    if (status == 503)
        svl_header_set_static(look->ctx, SVL_H_RETRY_AFTER, SVL_STR("1"));
    return svl_fail(look->ctx, status, NULL);
}

/* How long a file of the cache is good --------------------------------------------------------*/

int64_t svl_fs_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* `f` was opened, or compared with what was opened, just now. A file that changed a moment ago is
 * opened and read again for each request. */
static void plan_checks(const struct svl_fs_config *config, struct fs_file *f)
{
    int64_t now = svl_fs_now_us();

    f->check_us = f->resolve_us = f->hold_us = 0;
    if (!f->settled)
        return;
    if (f->content && config->revalidate_us > 0)
        f->check_us = now + config->revalidate_us;
    f->resolve_us = now + RESOLVE_US;
}

/* The name is only compared: whatever it leads to, nothing is read that was not opened below the
 * root. */
bool svl_fs_is_current(const struct fs_worker *w, const struct svl_fs_config *config,
                       struct fs_file *f)
{
    int64_t now = svl_fs_now_us();
    struct fs_stamp stamp;
    struct stat st;

    if (now < f->check_us)
        return true;
    if (now >= f->resolve_us || fstatat(w->root.fd, f->path, &st, 0))
        return false;
    svl_fs_stamp(&stamp, &st);
    if (!svl_fs_stamp_eq(&stamp, &f->stamp))
        return false;
    if (f->content && config->revalidate_us > 0)
        f->check_us = now + config->revalidate_us;
    return true;
}

/* From path to descriptor ----------------------------------------------------------------------*/

bool svl_fs_is_hidden(svl_str path)
{
    svl_str well_known = SVL_STR("/.well-known");

    if (svl_str_starts(path, well_known) && (path.n == well_known.n || path.p[well_known.n] == '/'))
        path = svl_str_from(path, well_known.n);
    for (size_t i = 0; i + 1 < path.n; i++) {
        if (path.p[i] == '/' && path.p[i + 1] == '.')
            return true;
    }
    return false;
}

static bool set_path(struct look *look, svl_str request_path)
{
    svl_str rest = svl_str_from(request_path, 1);

    if (rest.n == 0)
        rest = SVL_STR(".");
    if (rest.n >= sizeof look->path)
        return false;
    look->n = svl_str_copy(look->path, sizeof look->path, rest);
    return true;
}

/* Opens look->path if it is a regular file or a folder. Returns the descriptor or -errno. */
static int open_path(struct look *look, int flags, struct stat *st)
{
    int fd = svl_fs_open(&look->worker->root, look->path, flags);
    int err;

    if ((fd == -EMFILE || fd == -ENFILE) && look->worker->cache &&
        svl_fs_cache_drop_fds(look->worker->cache))
        fd = svl_fs_open(&look->worker->root, look->path, flags);
    if (fd < 0)
        return fd;
    err = fstat(fd, st) ? -errno : 0;
    if (!err && !S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
        err = -ENXIO;
    if (err)
        close(fd);
    return err ? err : fd;
}

/* The first index file of the folder look->path (which ends in '/', or is "."), whose name then
 * stands in look->path. */
static int open_index(struct look *look, struct stat *st)
{
    bool is_root = strcmp(look->path, ".") == 0;
    size_t n = is_root ? 0 : look->n;

    for (const char *const *name = look->config->index; *name; name++) {
        int fd;

        look->n = n + strlen(*name);
        if (look->n >= sizeof look->path)
            continue;
        memcpy(look->path + n, *name, look->n - n + 1);
        fd = open_path(look, 0, st);
        if (fd >= 0 && S_ISREG(st->st_mode))
            return fd;
        if (fd >= 0)
            close(fd);
        else if (svl_fs_status_of(fd) != 404)
            return fd;
    }
    look->n = is_root ? svl_str_copy(look->path, sizeof look->path, SVL_STR(".")) : n;
    look->path[look->n] = 0;
    return -ENOENT;
}

/* A folder that may be searched but not read is one all the same. */
static int open_any(struct look *look, struct stat *st)
{
    int fd = open_path(look, 0, st);

#ifdef O_PATH
    if (fd == -EACCES) {
        fd = open_path(look, O_PATH | O_DIRECTORY, st);
        if (fd < 0)
            fd = -EACCES;
    }
#endif
    return fd;
}

/* From descriptor to answer --------------------------------------------------------------------*/

static svl_str base_name(const struct look *look)
{
    svl_str name = {look->path, look->n};

    for (size_t i = name.n; i > 0; i--) {
        if (name.p[i - 1] == '/')
            return svl_str_from(name, i);
    }
    return name;
}

static bool has_extension(svl_str name, svl_str extension)
{
    return name.n > extension.n + 1 && name.p[name.n - extension.n - 1] == '.' &&
           svl_str_ieq(svl_str_from(name, name.n - extension.n), extension);
}

svl_str svl_fs_type_of(const struct svl_fs_type *types, const char *default_type, svl_str name)
{
    svl_str type;

    for (const struct svl_fs_type *t = types; t && t->extension; t++) {
        if (has_extension(name, svl_str_of(t->extension)))
            return svl_str_of(t->type);
    }
    type = svl_mime(name);
    return type.p ? type : svl_str_of(default_type);
}

static svl_str type_of(const struct svl_fs_config *config, svl_str name)
{
    return svl_fs_type_of(config->types, config->default_type, name);
}

/* Whether one of the patterns is for a file: those with a slash for its path, others for its name. */
static bool is_meant(const char *const *patterns, const char *path)
{
    const char *slash = strrchr(path, '/');

    for (const char *const *p = patterns; p && *p; p++) {
        bool whole = strchr(*p, '/') != NULL;
        const char *pattern = **p == '/' ? *p + 1 : *p;

        if (fnmatch(pattern, whole || !slash ? path : slash + 1, whole ? FNM_PATHNAME : 0) == 0)
            return true;
    }
    return false;
}

/* What lies beside a file ----------------------------------------------------------------------*/

/* The best first, for who has no preference. */
static const struct fs_coding codings[] = {
    {".br", {"br", 2}},
    {".zst", {"zstd", 4}},
    {".gz", {"gzip", 4}},
};
#define CODINGS (sizeof codings / sizeof *codings)

static bool beside(char to[PATH_MAX], const struct fs_file *f, size_t coding)
{
    int n = snprintf(to, PATH_MAX, "%s%s", f->path, codings[coding].extension);

    return n > 0 && n < PATH_MAX;
}

static bool is_older(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* Asked when the path is opened anew, so at most once a second for a hot file. */
static void find_sidecars(const struct fs_worker *w, const struct svl_fs_config *config,
                          struct fs_file *f)
{
    char path[PATH_MAX];
    struct stat st;

    f->sidecars = 0;
    for (size_t i = 0; i < CODINGS && !config->no_sidecars; i++) {
        int fd = beside(path, f, i) ? svl_fs_open(&w->root, path, O_PATH) : -ENOENT;

        if (fd < 0)
            continue;
        if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !is_older(&st.st_mtim, &f->stamp.mtime))
            f->sidecars |= (uint8_t)(1 << i);
        close(fd);
    }
}

/* A current version of what lies beside f, with a reference for the caller; NULL if it cannot be
 * had, or is older by now. It has a place of its own in the cache, under its own path. */
static struct fs_file *open_sidecar(const struct fs_worker *w, const struct svl_fs_config *config,
                                    const struct fs_file *f, size_t coding)
{
    char path[PATH_MAX + 1] = "/";
    struct fs_stamp stamp;
    struct fs_file *s;
    struct stat st;
    svl_str key;
    int fd;

    if (!beside(path + 1, f, coding))
        return NULL;
    key = svl_str_of(path);
    s = w->cache ? svl_fs_cache_find(w->cache, key) : NULL;
    if (s && svl_fs_is_current(w, config, s)) {
        s->refs++;
        return s;
    }
    fd = svl_fs_open(&w->root, path + 1, 0);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        close(fd);
        return NULL;
    }
    svl_fs_stamp(&stamp, &st);
    if (s && s->settled && svl_fs_stamp_eq(&s->stamp, &stamp)) {
        close(fd);
        plan_checks(config, s);
        s->refs++;
        return s;
    }
    if (s)
        svl_fs_cache_drop(w->cache, s);
    if (svl_fs_file_make(&s, fd, &stamp, svl_str_from(key, 1), key.n, type_of(config, key),
                         config->cache_file_bytes))
        return NULL;
    plan_checks(config, s);
    if (w->cache)
        svl_fs_cache_add(w->cache, s);
    return s;
}

/* The place in codings[] of what the client wants most, or CODINGS for the file itself. */
static size_t choose(const struct svl_ctx *ctx, unsigned sidecars)
{
    svl_str offers[CODINGS + 1];
    size_t places[CODINGS + 1], n = 0;
    int best;

    for (size_t i = 0; i < CODINGS; i++) {
        if (sidecars & 1u << i) {
            places[n] = i;
            offers[n++] = codings[i].name;
        }
    }
    places[n] = CODINGS;
    offers[n++] = SVL_STR("identity");
    best = svl_negotiate(&ctx->req.headers, SVL_H_ACCEPT_ENCODING, offers, n);
    return best < 0 ? CODINGS : places[best];
}

enum svl_verdict svl_fs_give(const struct fs_worker *w, const struct svl_fs_config *config,
                             struct svl_ctx *ctx, struct fs_file *f)
{
    svl_str cache_control =
        f->immutable ? SVL_STR("public, max-age=31536000, immutable") : w->cache_control;
    enum svl_verdict verdict;
    struct fs_file *s = NULL;
    size_t coding;

    if (f->download)
        svl_header_set_static(ctx, SVL_H_CONTENT_DISPOSITION,
                              svl_fs_disposition(ctx, svl_path_last(svl_str_of(f->path))));
    if (!f->sidecars)
        return svl_fs_answer(ctx, f, cache_control);
    svl_header_set_static(ctx, SVL_H_VARY, SVL_STR("Accept-Encoding"));
    coding = svl_header(ctx, SVL_H_ACCEPT_ENCODING).p ? choose(ctx, f->sidecars) : CODINGS;
    f->refs++; /* the cache may have to make room */
    if (coding < CODINGS)
        s = open_sidecar(w, config, f, coding);
    if (s && !is_older(&s->stamp.mtime, &f->stamp.mtime))
        verdict = svl_fs_answer_coded(ctx, s, cache_control, &codings[coding], f->type);
    else
        verdict = svl_fs_answer(ctx, f, cache_control);
    if (s)
        svl_fs_file_put(s);
    svl_fs_file_put(f);
    return verdict;
}

static enum svl_verdict answer(const struct look *look, struct fs_file *f)
{
    return svl_fs_give(look->worker, look->config, look->ctx, f);
}

/* Whether look->old can be given although it was time to look. */
static bool old_is_good(const struct look *look, const struct fs_stamp *stamp)
{
    struct fs_file *old = look->old;

    if (!old || !old->settled || !svl_fs_stamp_eq(&old->stamp, stamp))
        return false;
    plan_checks(look->config, old);
    find_sidecars(look->worker, look->config, old);
    return true;
}

/* Rather than half of a new version, the old one for a moment. */
static bool hold_old(const struct look *look)
{
    struct fs_file *old = look->old;
    int64_t now = svl_fs_now_us();

    if (!old || !old->whole)
        return false;
    if (!old->hold_us)
        old->hold_us = now + HOLD_US;
    return now < old->hold_us;
}

/* A file that has changed in place and has not only grown, while its writer is still there.
 * `old` is kept, to compare with once more. */
static bool is_being_overwritten(const struct fs_file *f, const struct fs_file *old)
{
    return old && f->written && !f->settled && f->stamp.ino == old->stamp.ino &&
           f->stamp.dev == old->stamp.dev && f->stamp.size <= old->stamp.size;
}

/* Not yet a version that anybody meant. */
static bool is_about_to_be_filled(const struct fs_file *f)
{
    return f->stamp.size == 0 && f->written && svl_fs_stamp_age(&f->stamp) < FILL_MS;
}

static void forget_old(struct look *look)
{
    if (look->old && look->old->cached)
        svl_fs_cache_drop(look->worker->cache, look->old);
    look->old = NULL;
}

static enum svl_verdict give_file(struct look *look, int fd, const struct stat *st)
{
    const struct svl_fs_config *config = look->config;
    enum svl_verdict verdict;
    struct fs_stamp stamp;
    struct fs_file *f;
    int err;

    svl_fs_stamp(&stamp, st);
    if (old_is_good(look, &stamp)) {
        close(fd);
        return answer(look, look->old);
    }
    err = svl_fs_file_make(&f, fd, &stamp, (svl_str){look->path, look->n},
                           look->lost ? look->n + 1 : look->place.n,
                           type_of(config, base_name(look)), config->cache_file_bytes);
    if ((err == -EBUSY || (!err && f->written)) && hold_old(look)) {
        if (!err)
            svl_fs_file_put(f);
        return answer(look, look->old);
    }
    if (!err && is_being_overwritten(f, look->old)) {
        svl_fs_file_put(f);
        return fail(look, -EBUSY);
    }
    if (!err && is_about_to_be_filled(f)) {
        svl_fs_file_put(f);
        err = -EBUSY;
    }
    forget_old(look);
    if (err)
        return fail(look, err);

    plan_checks(config, f);
    f->immutable = is_meant(config->immutable, f->path);
    f->download = is_meant(config->download, f->path);
    find_sidecars(look->worker, config, f);
    if (look->worker->cache)
        svl_fs_cache_add(look->worker->cache, f);
    verdict = answer(look, f);
    svl_fs_file_put(f);
    return verdict;
}

static enum svl_verdict give_nothing(struct look *look, int err)
{
    if (look->old && svl_fs_status_of(err) == 503) /* the machine's trouble, not the file's */
        return answer(look, look->old);
    forget_old(look);
    return fail(look, err);
}

/* The folder itself, written down by `give`. */
static enum svl_verdict give_contents(struct look *look, svl_fs_folder_fn *give)
{
    struct stat st;
    int fd;

    forget_old(look);
    if (look->n > 1 && look->path[look->n - 1] == '/')
        look->path[--look->n] = 0;
    fd = open_path(look, O_DIRECTORY, &st);
    if (fd < 0)
        return fail(look, fd);
    return give(look->ctx, &look->worker->root, look->config, fd, look->path, look->place);
}

static enum svl_verdict give_folder(struct look *look)
{
    struct stat st;
    int fd;

    if (look->config->archive && svl_fs_wants_archive(look->ctx))
        return give_contents(look, svl_fs_archive);
    fd = open_index(look, &st);
    if (fd >= 0)
        return give_file(look, fd, &st);
    if (fd != -ENOENT || !look->config->listing)
        return give_nothing(look, fd);
    return give_contents(look, svl_fs_list);
}

/* "about.html" for "about". */
static int open_pretty(struct look *look, struct stat *st, int err)
{
    svl_str html = SVL_STR(".html");
    size_t n = look->n;
    int fd;

    if (n + html.n >= sizeof look->path)
        return err;
    memcpy(look->path + n, html.p, html.n + 1);
    look->n += html.n;
    fd = open_path(look, 0, st);
    if (fd >= 0 && S_ISREG(st->st_mode))
        return fd;
    if (fd >= 0)
        close(fd);
    look->path[look->n = n] = 0;
    return err;
}

static enum svl_verdict give_path(struct look *look)
{
    struct stat st;
    int fd = open_any(look, &st);

    if (fd < 0 && look->config->pretty_urls && svl_fs_status_of(fd) == 404)
        fd = open_pretty(look, &st, fd);
    if (fd < 0)
        return give_nothing(look, fd);
    if (S_ISREG(st.st_mode))
        return give_file(look, fd, &st);
    close(fd);
    forget_old(look);
    return svl_fs_redirect(look->ctx, look->worker->cache_control);
}

/* Whether the client names HTML: what only takes anything is a script that should see the 404. */
static bool wants_html(const struct svl_ctx *ctx)
{
    svl_str rest = svl_header(ctx, SVL_H_ACCEPT);
    struct svl_preference p;

    while (rest.n > 0 && svl_preference_next(&rest, &p)) {
        if (p.weight > 0 && svl_str_ieq(svl_field_value(p.value), SVL_STR("text/html")))
            return true;
    }
    return false;
}

/* The page of a program that runs in the browser and knows its own paths. */
static bool give_instead(struct look *look, enum svl_verdict *verdict)
{
    svl_str name = svl_path_last(look->place);
    struct fs_file *f;
    struct stat st;
    svl_str key;
    int fd;

    if (memchr(name.p, '.', name.n) || !wants_html(look->ctx))
        return false;
    look->lost = true;
    look->n = svl_str_copy(look->path, sizeof look->path, svl_str_of(look->config->spa));
    key = svl_printf(look->ctx, "/%s", look->path);
    f = look->worker->cache ? svl_fs_cache_find(look->worker->cache, key) : NULL;
    if (f && svl_fs_is_current(look->worker, look->config, f)) {
        *verdict = answer(look, f);
        return true;
    }
    fd = open_path(look, 0, &st);
    if (fd >= 0 && !S_ISREG(st.st_mode)) {
        close(fd);
        fd = -ENOENT;
    }
    if (fd < 0)
        return false;
    look->old = f;
    if (f)
        f->refs++;
    *verdict = give_file(look, fd, &st);
    if (f)
        svl_fs_file_put(f);
    return true;
}

enum svl_verdict svl_fs_look_up(const struct svl_link *self, struct svl_ctx *ctx, svl_str path,
                                struct fs_file *old)
{
    enum svl_verdict verdict;
    struct look look;

    look.config = self->config;
    look.worker = self->state;
    look.ctx = ctx;
    look.old = old;
    look.place = path;
    look.lost = false;
    if (path.n == 0 || path.p[0] != '/' || (!look.config->show_hidden && svl_fs_is_hidden(path)) ||
        !set_path(&look, path)) {
        look.lost = true;
        return not_found(&look);
    }

    if (old)
        old->refs++; /* the cache may be emptied meanwhile */
    verdict = path.p[path.n - 1] == '/' ? give_folder(&look) : give_path(&look);
    if (old)
        svl_fs_file_put(old);
    return verdict;
}
