/* fs: answers with the files of a folder. The module's hooks, its config, and the short way of a
 * request: a file that the cache has. */
#include "internal.h"

#include "serval/error.h"
#include "serval/log.h"
#include "serval/uri.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Configuration --------------------------------------------------------------------------------*/

static bool is_name(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int check_index(const char *const *index)
{
    for (; *index; index++) {
        if (!is_name(*index)) {
            svl_log(SVL_ALERT, "fs: index file: \"%s\" is not a file name; it may not hold a slash",
                    *index);
            return SVL_ECONFIG;
        }
    }
    return 0;
}

/* The one file that is given must be one that requests would get. */
static int check_only(const struct fs_root *root, const struct svl_fs_config *config)
{
    struct stat st = {0};
    int err, fd;

    if (!is_name(config->only) || strlen(config->only) > NAME_MAX || config->upload) {
        svl_log(SVL_ALERT, "fs: only: \"%s\" %s", config->only,
                config->upload ? "and uploads exclude each other; serve the folder"
                               : "is not a file name; it may not hold a slash");
        return SVL_ECONFIG;
    }
    fd = svl_fs_open(root, config->only, O_RDONLY);
    err = fd < 0 ? fd : fstat(fd, &st) ? -errno : 0;
    if (fd >= 0)
        close(fd);
    if (err == -EXDEV || err == -ELOOP)
        svl_log(SVL_ALERT, "fs: %s/%s: a link that is not followed; give the file it leads to",
                config->root, config->only);
    else if (err)
        svl_log(SVL_ALERT, "fs: %s/%s: %s", config->root, config->only, svl_strerror(err));
    else if (!S_ISREG(st.st_mode))
        svl_log(SVL_ALERT, "fs: %s/%s: is not a file", config->root, config->only);
    return err == -EACCES || err == -EPERM ? err : err || !S_ISREG(st.st_mode) ? SVL_ECONFIG : 0;
}

/* Now, rather than with the first request. */
static int check_root(const struct svl_fs_config *config)
{
    struct fs_root root = {.fd = -1};
    int err = svl_fs_root_init(&root, config);

    if (!err && faccessat(root.fd, ".", X_OK, AT_EACCESS))
        err = -errno;
    if (err)
        svl_log(SVL_ALERT, "fs: %s: %s", config->root, svl_strerror(err));
    else if (config->only)
        err = check_only(&root, config);
    else if (!root.openat2 && config->symlinks == SVL_FS_INSIDE)
        svl_log(SVL_INFO, "fs: %s: symbolic links are refused: this kernel has no openat2",
                config->root);
    svl_fs_root_finish(&root);
    return err;
}

static int check_prefix(struct svl_fs_config *config)
{
    size_t n = config->prefix ? strlen(config->prefix) : 0;

    if (n == 0 || strcmp(config->prefix, "/") == 0) {
        config->prefix = NULL;
        return 0;
    }
    if (config->prefix[0] != '/' || !svl_path_is_clean(svl_str_of(config->prefix))) {
        svl_log(SVL_ALERT, "fs: prefix: \"%s\" is not a path; write it like /files",
                config->prefix);
        return SVL_ECONFIG;
    }
    if (config->prefix[n - 1] != '/')
        return 0;
    svl_log(SVL_ALERT, "fs: prefix: \"%s\" ends with a slash", config->prefix);
    return SVL_ECONFIG;
}

static int setup(void *config)
{
    static const char *const index[] = {"index.html", NULL};
    struct svl_fs_config *cfg = config;

    if (!cfg->root)
        cfg->root = ".";
    if (!cfg->index)
        cfg->index = index;
    if (!cfg->default_type)
        cfg->default_type = "application/octet-stream";
    if (!cfg->cache_control)
        cfg->cache_control = "no-cache";
    if (!cfg->revalidate_us)
        cfg->revalidate_us = 100;
    if (!cfg->cache_bytes)
        cfg->cache_bytes = (size_t)16 << 20;
    if (!cfg->cache_file_bytes)
        cfg->cache_file_bytes = (size_t)64 << 10;
    if (!cfg->cache_entries)
        cfg->cache_entries = 4096;
    if (!cfg->cache_fds)
        cfg->cache_fds = 64;
    if (!cfg->upload_max)
        cfg->upload_max = (size_t)1 << 30;
    if (cfg->only) { /* asked for by its name; what lies beside it was not */
        cfg->show_hidden = true;
        cfg->no_sidecars = true;
    }
    svl_fs_crc32_init();
    if (check_index(cfg->index) || check_prefix(cfg))
        return SVL_ECONFIG;
    return check_root(cfg);
}

static int worker_init(struct svl_link *self, struct svl_worker *worker)
{
    const struct svl_fs_config *cfg = self->config;
    struct fs_worker *w = calloc(1, sizeof *w);
    int err;

    (void)worker;
    if (!w)
        return -ENOMEM;
    err = svl_fs_root_init(&w->root, cfg);
    if (err) {
        svl_log(SVL_ALERT, "fs: %s: %s", cfg->root, svl_strerror(err));
        free(w);
        return err;
    }
    if (!cfg->no_cache)
        w->cache = svl_fs_cache_open(cfg);
    w->cache_control = svl_str_of(cfg->cache_control);
    if (cfg->only)
        snprintf(w->only, sizeof w->only, "/%s", cfg->only);
    self->state = w;
    return 0;
}

static void worker_exit(struct svl_link *self, struct svl_worker *worker)
{
    struct fs_worker *w = self->state;

    (void)worker;
    if (!w)
        return;
    svl_fs_cache_close(w->cache);
    svl_fs_root_finish(&w->root);
    free(w);
    self->state = NULL;
}

/* Requests -------------------------------------------------------------------------------------*/

static enum svl_verdict other_method(const struct svl_fs_config *config, struct svl_ctx *ctx)
{
    if (config->fallthrough)
        return SVL_NEXT;
    svl_header_set_static(ctx, SVL_H_ALLOW,
                          config->upload ? SVL_STR("GET, HEAD, OPTIONS, POST, PUT")
                                         : SVL_STR("GET, HEAD, OPTIONS"));
    if (ctx->req.method != SVL_OPTIONS)
        return svl_fail(ctx, 405, NULL);
    svl_status(ctx, 204);
    return SVL_DONE;
}

/* The path behind the prefix; p is NULL for one that is not below it. */
static svl_str strip(const struct svl_fs_config *config, svl_str path)
{
    svl_str prefix = svl_str_of(config->prefix), rest;

    if (!svl_str_starts(path, prefix))
        return SVL_STR_NONE;
    rest = svl_str_from(path, prefix.n);
    return rest.n == 0 || rest.p[0] == '/' ? rest : SVL_STR_NONE;
}

/* Where there is one file alone, it is the folder, too. */
static bool names_only(svl_str path, svl_str only)
{
    return svl_str_eq(path, SVL_STR("/")) || svl_str_eq(path, only);
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_fs_config *config = self->config;
    const struct fs_worker *w = self->state;
    svl_str path = ctx->req.path;
    struct fs_file *f;

    if (config->prefix) {
        path = strip(config, path);
        if (!path.p)
            return SVL_NEXT;
    }
    if (w->only[0] && path.n) {
        if (!names_only(path, svl_str_of(w->only)))
            return config->fallthrough ? SVL_NEXT : svl_fail(ctx, 404, NULL);
        path = svl_str_of(w->only);
    }
    if (config->upload && (ctx->req.method == SVL_PUT || ctx->req.method == SVL_POST))
        return svl_fs_upload(self, ctx, path);
    if (ctx->req.method != SVL_GET && ctx->req.method != SVL_HEAD)
        return other_method(config, ctx);
    if (path.n == 0)
        return svl_fs_redirect(ctx, w->cache_control);
    f = w->cache ? svl_fs_cache_find(w->cache, path) : NULL;
    if (f && svl_fs_is_current(w, config, f))
        return svl_fs_give(w, config, ctx, f);
    return svl_fs_look_up(self, ctx, path, f);
}

const struct svl_module svl_fs_module = {
    .name = "fs",
    .summary = "files of a folder",
    .config_size = sizeof(struct svl_fs_config),
    .setup = setup,
    .worker_init = worker_init,
    .worker_exit = worker_exit,
    .on_request = on_request,
};
