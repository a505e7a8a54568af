/* compress: gives answers a content coding that the client accepts. The module's config and hooks. */
#include "internal.h"

#include "serval/error.h"
#include "serval/log.h"

#include <errno.h>
#include <stdlib.h>

const char *const svl_compress_types[] = {
    "text/",
    "application/json",
    "application/javascript",
    "application/x-javascript",
    "application/xml",
    "application/wasm",
    "application/rtf",
    "application/x-ndjson",
    "application/vnd.ms-fontobject",
    "application/x-sh",
    "font/ttf",
    "font/otf",
    "font/collection",
    "image/bmp",
    "image/x-icon",
    "image/vnd.microsoft.icon",
    "model/gltf-binary",
    "*+json",
    "*+xml", /* image/svg+xml too */
    NULL,
};

int svl_compress_read_codings(const char *text, enum coding *offered, svl_str *wrong)
{
    svl_str rest = svl_str_of(text), name;
    int n = 0;

    if (strcmp(text, "off") == 0)
        return 0;
    while (svl_str_split(&rest, ',', &name)) {
        enum coding coding = svl_compress_coding(svl_str_trim(name));

        *wrong = name;
        if (coding == CODINGS || n == CODINGS)
            return -1;
        if (svl_compress_encoder(coding))
            offered[n++] = coding;
    }
    return n;
}

static int default_level(int *level, int value, int most, const char *name)
{
    if (!*level)
        *level = value;
    if (*level >= 1 && *level <= most)
        return 0;
    svl_log(SVL_ALERT, "compress: %s_level %d: give 1 to %d", name, *level, most);
    return SVL_ECONFIG;
}

static int setup(void *config)
{
    struct svl_compress_config *cfg = config;
    enum coding offered[CODINGS];
    svl_str wrong;

    if (!cfg->codings)
        cfg->codings = "br, zstd, gzip, deflate";
    if (!cfg->types)
        cfg->types = svl_compress_types;
    if (!cfg->min_bytes)
        cfg->min_bytes = 256;
    if (!cfg->memory)
        cfg->memory = (size_t)64 << 20;
    if (!cfg->cache_bytes)
        cfg->cache_bytes = (size_t)16 << 20;
    if (!cfg->cache_body_bytes)
        cfg->cache_body_bytes = (size_t)1 << 20;
    if (!cfg->cache_entries)
        cfg->cache_entries = 1024;
    if (default_level(&cfg->gzip_level, 6, 9, "gzip") ||
        default_level(&cfg->br_level, 4, 11, "br") ||
        default_level(&cfg->zstd_level, 3, 19, "zstd"))
        return SVL_ECONFIG;
    if (svl_compress_read_codings(cfg->codings, offered, &wrong) < 0) {
        svl_log(SVL_ALERT,
                "compress: codings \"%s\": not understood at \"%.*s\"; it knows br, zstd, gzip, "
                "deflate and off",
                cfg->codings, SVL_FMT(wrong));
        return SVL_ECONFIG;
    }
    if (!cfg->cache_dir_bytes)
        cfg->cache_dir_bytes = (size_t)256 << 20;
    cfg->disk = cfg->cache_dir && !cfg->no_cache
                    ? svl_compress_disk_open(cfg->cache_dir, cfg->cache_dir_bytes)
                    : NULL;
    return 0;
}

static void teardown(void *config)
{
    struct svl_compress_config *cfg = config;

    svl_compress_disk_close(cfg->disk);
}

static int worker_init(struct svl_link *self, struct svl_worker *worker)
{
    const struct svl_compress_config *cfg = self->config;
    struct compress_worker *w = calloc(1, sizeof *w);
    svl_str wrong;

    (void)worker;
    if (!w)
        return -ENOMEM;
    self->state = w;
    w->n_offered = (unsigned)svl_compress_read_codings(cfg->codings, w->offered, &wrong);
    w->encoders.limit = cfg->memory;
    w->encoders.level[CODING_GZIP] = w->encoders.level[CODING_DEFLATE] = cfg->gzip_level;
    w->encoders.level[CODING_BR] = cfg->br_level;
    w->encoders.level[CODING_ZSTD] = cfg->zstd_level;
    if (!cfg->no_cache)
        w->cache = svl_compress_cache_open(cfg);
    return 0;
}

static void worker_exit(struct svl_link *self, struct svl_worker *worker)
{
    struct compress_worker *w = self->state;

    (void)worker;
    svl_compress_cache_close(w->cache);
    svl_compress_close_all(&w->encoders);
    free(w);
}

const struct svl_module svl_compress_module = {
    .name = "compress",
    .summary = "compresses answers: gzip, deflate, brotli, zstd",
    .config_size = sizeof(struct svl_compress_config),
    .setup = setup,
    .teardown = teardown,
    .worker_init = worker_init,
    .worker_exit = worker_exit,
    .on_response = svl_compress_answer,
};
