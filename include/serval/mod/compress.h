/* compress: gives answers a content coding that the client accepts. */
#ifndef SVL_MOD_COMPRESS_H
#define SVL_MOD_COMPRESS_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_COMPRESS
#error "module compress is not built in: cmake -DSVL_MODULE_COMPRESS=ON"
#endif

struct compress_disk;

/* Zero means "the default" everywhere. */
struct svl_compress_config {
    const char *codings; /* in order of preference where the client has none; those that are not
                               * built in are left out; "off" = none;
                               * NULL = "br, zstd, gzip, deflate" */
    const char *const *types; /* "text/html", "text/" (all of text), "*+json"; NULL at the end;
                               * NULL = text, and what is text by another name */
    const char *const *skip;  /* paths that begin so are left alone; NULL at the end; NULL = none */
    size_t min_bytes;         /* shorter bodies are left alone; 0 = 256 */

    int gzip_level; /* 1 to 9, also of deflate; 0 = 6 */
    int br_level;   /* 1 to 11; 0 = 4 */
    int zstd_level; /* 1 to 19; 0 = 3 */

    size_t memory;      /* of encoders at work, per worker; what would go beyond that is sent as
                              * it is; 0 = 64 MiB */
    size_t cache_bytes; /* compressed bodies kept, per worker; 0 = 16 MiB */
    size_t cache_body_bytes; /* longer compressed bodies are not kept; 0 = 1 MiB */
    unsigned cache_entries;  /* compressed bodies kept, per worker; 0 = 1024 */
    bool no_cache;           /* none are kept */
    const char
        *cache_dir; /* a folder of its own, in which they are kept as well, for the next start;
                              * NULL = none */
    size_t cache_dir_bytes; /* in it, roughly; the oldest go first; 0 = 256 MiB */

    struct compress_disk *disk; /* the module's own, made in setup */
};

extern const struct svl_module svl_compress_module;

/* Sidecars: compressed files next to those of a folder, for a file server to send. */
struct svl_precompress {
    const char *codings; /* NULL = "br, zstd, gzip", what of it is built in; deflate has no files */
    const char *const *types; /* as in the config, by the names of the files */
    size_t min_bytes;         /* shorter files are left alone; 0 = 256 */
    unsigned threads;         /* 0 = one per CPU this process may use */
    bool progress;            /* a bar on stderr */

    /* Filled in. */
    unsigned files;               /* that were looked at */
    unsigned written;             /* sidecars */
    unsigned current;             /* sidecars that were there and not older */
    unsigned useless;             /* sidecars that would have saved less than a twentieth */
    unsigned failed;              /* after a line in the log */
    uint64_t bytes_in, bytes_out; /* of what was written */
};

/* Writes a.css.br, a.css.zst and a.css.gz next to a.css, for all files below `folder` that have one of
 * the types, at the highest levels. Each appears whole or not at all, with the time of its original.
 * Hidden names and symbolic links are left alone. Returns 0, or <0 when it could not begin. */
int svl_precompress(const char *folder, struct svl_precompress *job);

#endif
