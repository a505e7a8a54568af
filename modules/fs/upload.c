/* Files that clients put into a folder: PUT of one, and the form of the directory page. The bytes go
 * to a nameless file in that folder as they come; when they are all there it gets a name, which must be
 * free: nothing that is there is ever replaced, and nothing is seen before it is whole. */
#include "internal.h"

#include "serval/error.h"
#include "serval/field.h"
#include "serval/form.h"
#include "serval/log.h"
#include "serval/uri.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE 0644
#define FILES_MAX 64
#define COPIES_MAX 999 /* of a name: "a (999).txt" */
#define QUERY_MAX 2000 /* of what the page is told; a longer one would be refused as too long */

struct upload {
    const struct svl_fs_config *config;
    int folder;    /* -1 once closed */
    char proc[32]; /* the folder, for calls that want a name */
    svl_str name;  /* of a PUT */
};

static void close_folder(void *arg)
{
    struct upload *up = arg;

    close(up->folder);
}

static enum svl_verdict refuse(struct svl_ctx *ctx, int status, const char *why)
{
    return svl_fail(ctx, status, why);
}

static enum svl_verdict fail(struct svl_ctx *ctx, int err)
{
    switch (-err) {
    case EEXIST: return refuse(ctx, 409, "there is something of that name");
    case ENOSPC:
    case EDQUOT: return refuse(ctx, 507, NULL);
    case EROFS: return refuse(ctx, 403, NULL);
    case ENAMETOOLONG: return refuse(ctx, 400, "the name is too long");
    default: break;
    }
    if (svl_fs_status_of(err) == 500)
        svl_log(SVL_WARN, "fs: upload: %s", svl_strerror(err));
    return refuse(ctx, svl_fs_status_of(err), NULL);
}

/* Who asks -------------------------------------------------------------------------------------*/

/* A page of somebody else can have a browser send a form here, with the password that the browser
 * remembers. Browsers say where a request comes from; programs say nothing, and no page drives them. */
static bool is_from_elsewhere(const struct svl_ctx *ctx)
{
    svl_str site = svl_headers_find(&ctx->req.headers, SVL_STR("Sec-Fetch-Site"));
    svl_str origin = svl_header(ctx, SVL_H_ORIGIN);
    size_t at;

    if (site.p)
        return !svl_str_eq(site, SVL_STR("same-origin")) && !svl_str_eq(site, SVL_STR("none"));
    if (!origin.p)
        return false;
    at = svl_str_find(origin, '/'); /* "https://host" */
    return !svl_str_starts(svl_str_from(origin, at), SVL_STR("//")) ||
           !svl_str_ieq(svl_str_from(origin, at + 2), ctx->req.host);
}

/* Names ----------------------------------------------------------------------------------------*/

/* A name that is one everywhere: no control bytes, no separators, not "..". */
static bool is_plain(svl_str name)
{
    char cleaned[NAME_MAX + 1];

    return name.n > 0 && name.n <= NAME_MAX && svl_filename_clean(cleaned, name) == name.n;
}

/* "page.html.br" beside a page.html would be given in its place. */
static bool is_sidecar(const struct upload *up, const char *name)
{
    static const char *const endings[] = {".br", ".zst", ".gz"};
    char original[NAME_MAX + 1];
    size_t n = strlen(name);
    struct stat st;

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t k = strlen(endings[i]);

        if (n <= k || strcmp(name + n - k, endings[i]) != 0)
            continue;
        memcpy(original, name, n - k);
        original[n - k] = 0;
        return fstatat(up->folder, original, &st, AT_SYMLINK_NOFOLLOW) == 0;
    }
    return false;
}

/* Returns NULL, and *name is a copy with a NUL at its end; or what is wrong with it. */
static const char *check_name(struct svl_ctx *ctx, const struct upload *up, svl_str *name)
{
    if (!is_plain(*name))
        return "that is no name for a file";
    if (name->p[0] == '.' && !up->config->show_hidden)
        return "names with a leading dot are hidden here";
    *name = svl_copy(ctx, *name);
    if (!up->config->no_sidecars && is_sidecar(up, name->p))
        return "that would be given in place of the file beside it";
    return NULL;
}

/* Keeping --------------------------------------------------------------------------------------*/

static int rename_free(int folder, const char *from, const char *to)
{
    if (renameat2(folder, from, folder, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    return linkat(folder, from, folder, to, 0) ? -errno : 0; /* a file system without it */
}

/* Where the number of a copy goes: in front of the extension. */
static size_t stem_of(svl_str name)
{
    size_t dot = name.n;

    while (dot > 1 && name.p[dot - 1] != '.')
        dot--;
    return dot > 1 ? dot - 1 : name.n;
}

/* Others may be looking for a free name at the same time, so each is tried by taking it. */
static int rename_like(struct svl_ctx *ctx, const struct upload *up, const char *from,
                       svl_str *name)
{
    size_t stem = stem_of(*name);
    char copy[NAME_MAX + 16];
    int err = -EEXIST;

    for (unsigned i = 1; err == -EEXIST && i <= COPIES_MAX; i++) {
        int n = snprintf(copy, sizeof copy, "%.*s (%u)%s", (int)stem, name->p, i, name->p + stem);

        if (n > NAME_MAX)
            return -ENAMETOOLONG;
        if (up->config->no_sidecars || !is_sidecar(up, copy))
            err = rename_free(up->folder, from, copy);
    }
    if (!err)
        *name = svl_copy(ctx, svl_str_of(copy));
    return err;
}

/* By its descriptor: a sandbox forbids it by name. */
static int set_mode(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), err;

    if (fd < 0)
        return -errno;
    err = fchmod(fd, MODE) ? -errno : 0;
    close(fd);
    return err;
}

/* Under a hidden name first: with its mode, and whole also where it has to be copied. *name becomes
 * another one if it is taken and that is wanted. */
static int keep(struct svl_ctx *ctx, struct upload *up, const struct svl_spooled *content,
                svl_str *name)
{
    const uint64_t key[2] = {(uint64_t)svl_fs_now_us(), (uintptr_t)ctx};
    svl_str path = svl_printf(ctx, "%s/.serval-%016llx", up->proc,
                              (unsigned long long)svl_fs_hash(key, name->p, name->n));
    const char *temporary = path.p + strlen(up->proc) + 1;
    int err = svl_spooled_save(content, path.p);

    if (err)
        return err;
    err = set_mode(up->folder, temporary);
    if (!err)
        err = rename_free(up->folder, temporary, name->p);
    if (err == -EEXIST && up->config->conflict == SVL_FS_CONFLICT_RENAME)
        err = rename_like(ctx, up, temporary, name);
    unlinkat(up->folder, temporary, 0); /* gone already, if it was renamed */
    return err;
}

static svl_str path_of(struct svl_ctx *ctx)
{
    return svl_printf(ctx, "%.*s%.*s", SVL_FMT(svl_mounted_at(ctx)), SVL_FMT(ctx->req.raw_path));
}

/* The last part of the path is another one. An escaped slash is one, too. */
static svl_str path_beside(struct svl_ctx *ctx, svl_str name)
{
    svl_str path = path_of(ctx);
    char *escaped = svl_alloc(ctx, 3 * name.n + 1);
    int n = (int)svl_path_escape(escaped, name);

    while (path.n && path.p[path.n - 1] != '/' &&
           (path.n < 3 || !svl_str_ieq((svl_str){path.p + path.n - 3, 3}, SVL_STR("%2f"))))
        path.n--;
    return svl_printf(ctx, "%.*s%.*s", SVL_FMT(path), n, escaped);
}

/* PUT ------------------------------------------------------------------------------------------*/

static enum svl_verdict put_body(struct svl_ctx *ctx, void *arg, const struct svl_spooled *body)
{
    struct upload *up = arg;
    svl_str name = up->name;
    int err = keep(ctx, up, body, &name);

    if (err)
        return fail(ctx, err);
    svl_status(ctx, 201);
    svl_header_set(ctx, SVL_H_LOCATION,
                   name.p == up->name.p ? path_of(ctx) : path_beside(ctx, name));
    return SVL_DONE;
}

static enum svl_verdict put(struct svl_ctx *ctx, struct upload *up)
{
    struct svl_spool_config spool = {
        .memory = 1, .max = up->config->upload_max, .folder = up->proc};
    const char *wrong = check_name(ctx, up, &up->name);
    struct stat st;

    if (wrong)
        return refuse(ctx, 403, wrong);
    if (svl_header(ctx, SVL_H_CONTENT_RANGE).p) /* RFC 9110 14.5 */
        return refuse(ctx, 400, "a part of a file cannot be put");
    if (up->config->conflict == SVL_FS_CONFLICT_ERROR &&
        fstatat(up->folder, up->name.p, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return fail(ctx, -EEXIST); /* before the body is sent for nothing */
    return svl_spool_body(ctx, &spool, put_body, up);
}

/* The form -------------------------------------------------------------------------------------*/

/* Some clients send a whole path. */
static svl_str clean(struct svl_ctx *ctx, svl_str filename)
{
    char *to = svl_alloc(ctx, filename.n);

    return (svl_str){to, svl_filename_clean(to, filename)};
}

/* So that the page can say under which other names files were kept. */
static svl_str add_kept(struct svl_ctx *ctx, svl_str query, svl_str name)
{
    char *escaped = svl_alloc(ctx, 3 * name.n + 1);
    size_t n = svl_query_escape(escaped, name);

    if (query.n + n > QUERY_MAX)
        return query;
    return svl_printf(ctx, "%.*s%ckept=%.*s", SVL_FMT(query), query.n ? '&' : '?', (int)n, escaped);
}

/* All of them or none: what was kept before one that cannot be is taken away again. */
static enum svl_verdict take_form(struct svl_ctx *ctx, void *arg, struct svl_form *form)
{
    struct upload *up = arg;
    unsigned n, kept = 0;
    const struct svl_form_file *files = svl_form_files(form, &n);
    svl_str *names = svl_alloc(ctx, (n + 1) * sizeof *names);
    const char *wrong = NULL;
    svl_str query = SVL_STR(""), asked, path = path_of(ctx);
    int err = 0;

    for (unsigned i = 0; i < n; i++) {
        if (files[i].filename.n == 0) /* the field was left empty */
            continue;
        names[i] = clean(ctx, files[i].filename);
        wrong = check_name(ctx, up, &names[i]);
        asked = names[i];
        if (!wrong)
            err = keep(ctx, up, &files[i].content, &names[i]);
        if (wrong || err) {
            for (unsigned k = 0; k < i; k++) {
                if (names[k].n)
                    unlinkat(up->folder, names[k].p, 0);
            }
            return wrong ? refuse(ctx, 403, wrong) : fail(ctx, err);
        }
        if (names[i].p != asked.p)
            query = add_kept(ctx, query, names[i]);
        kept++;
    }
    if (kept == 0)
        return refuse(ctx, 400, "no file was chosen");
    return svl_redirect(ctx, 303, svl_printf(ctx, "%.*s%.*s", SVL_FMT(path), SVL_FMT(query)));
}

static enum svl_verdict post(struct svl_ctx *ctx, struct upload *up)
{
    struct svl_form_config form = {.limits.max_total = up->config->upload_max,
                                   .max_files = FILES_MAX,
                                   .memory = 1,
                                   .folder = up->proc};

    return svl_await_form(ctx, &form, take_form, up);
}

enum svl_verdict svl_fs_upload(const struct svl_link *self, struct svl_ctx *ctx, svl_str path)
{
    const struct fs_worker *w = self->state;
    struct upload *up = svl_alloc(ctx, sizeof *up);
    svl_str name = svl_path_last(path), folder = svl_str_head(path, path.n - name.n);
    bool is_put = ctx->req.method == SVL_PUT;
    int fd;

    if (is_from_elsewhere(ctx))
        return refuse(ctx, 403, "only pages of this server may send files here");
    if (path.n == 0 || is_put != (name.n > 0))
        return refuse(ctx, is_put ? 409 : 405, is_put ? "give the file a name" : NULL);
    if (!((const struct svl_fs_config *)self->config)->show_hidden && svl_fs_is_hidden(folder))
        return svl_fail(ctx, 404, NULL);
    folder = svl_copy(ctx, folder.n > 1 ? svl_str_head(svl_str_from(folder, 1), folder.n - 2)
                                        : SVL_STR("."));
    fd = svl_fs_open(&w->root, folder.p, O_PATH | O_DIRECTORY);
    if (fd < 0)
        return fail(ctx, fd);
    *up = (struct upload){.config = self->config, .folder = fd, .name = name};
    snprintf(up->proc, sizeof up->proc, "/proc/self/fd/%d", fd);
    svl_on_free(ctx, close_folder, up);
    return is_put ? put(ctx, up) : post(ctx, up);
}
