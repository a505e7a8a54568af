/* fs: files of a folder. Each use of it answers for everything below it in the chain. */
#ifndef SVL_MOD_FS_H
#define SVL_MOD_FS_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_FS
#error "module fs is not built in: cmake -DSVL_MODULE_FS=ON"
#endif

/* Which symbolic links are followed. What is refused looks like a missing file. */
enum svl_fs_symlinks {
    SVL_FS_INSIDE, /* those that stay below the root all the way; needs openat2(2), without it
                    * as SVL_FS_DENY. An absolute link counts as leaving. */
    SVL_FS_DENY,   /* none */
    SVL_FS_FOLLOW, /* all of them: the root is no border for whoever can make links */
};

/* What a folder without an index file is. */
enum svl_fs_listing {
    SVL_FS_LISTING_OFF,  /* missing: 404 */
    SVL_FS_LISTING_ON,   /* a page; JSON or plain text for those who ask for it by Accept */
    SVL_FS_LISTING_JSON, /* always JSON */
};

/* The order of folder pages, as long as the query says nothing. */
enum svl_fs_sort {
    SVL_FS_NAME,
    SVL_FS_SIZE,
    SVL_FS_TIME,
    SVL_FS_NAME_DESC,
    SVL_FS_SIZE_DESC, /* the largest first */
    SVL_FS_TIME_DESC, /* the newest first */
};

/* What becomes of a file that is uploaded under a name that is taken. Replacing is not among it. */
enum svl_fs_conflict {
    SVL_FS_CONFLICT_ERROR,  /* 409 */
    SVL_FS_CONFLICT_RENAME, /* it is kept as "a (1).txt", which Location or the page says */
};

struct svl_fs_type {
    const char *extension; /* "wasm", "tar.gz"; the case does not matter */
    const char *type;      /* "application/wasm" */
};

/* Zero means "the default" everywhere. */
struct svl_fs_config {
    const char *root; /* the folder; NULL = "." */
    const char *only; /* a name in the root: "/" and "/NAME" are that file, hidden or not, and all
                       * else is missing, also what lies beside it; NULL = the whole folder */
    const char *const *index;        /* names tried for a folder, NULL at the end;
                                      * NULL = {"index.html", NULL} */
    const struct svl_fs_type *types; /* asked before svl_mime(); {NULL, NULL} at the end */
    const char *default_type;        /* for unknown names; NULL = "application/octet-stream" */
    const char *cache_control;       /* NULL = "no-cache", "" = none is sent */
    const char *const *immutable;    /* files that never change under their name: patterns as of
                                      * fnmatch(3) for the name, or with a '/' for the path below the
                                      * root; NULL at the end */
    const char *prefix; /* "/files": only paths below that, which is taken off; others go on along
                         * the chain; NULL = all */
    bool pretty_urls;   /* "/about" is about.html if there is no such file */
    const char *spa;    /* "index.html": given for what is not there to who asks for HTML by a name
                         * without a dot; NULL = none */
    bool no_sidecars;   /* file.br, file.zst and file.gz are not looked for */
    enum svl_fs_symlinks symlinks;
    bool show_hidden; /* names with a leading dot too, not only /.well-known */
    enum svl_fs_listing listing;
    enum svl_fs_sort sort; /* of listings */
    bool archive;          /* "?archive=zip" and "?archive=tar" of a folder: all that is in it */
    const char *const *download; /* patterns as those of `immutable`, of files that browsers save
                                  * and do not show */
    bool upload; /* PUT of a file and POST of a form put new files there. For everybody who gets
                          * here: basic_auth stands outside of it */
    size_t upload_max; /* bytes of one such request; 0 = 1 GiB */
    enum svl_fs_conflict conflict;
    bool fallthrough; /* what is not found, and other methods, go on along the chain */

    int revalidate_us;       /* a cached file is believed so long without a look, microseconds;
                              * 0 = 100, -1 = each request looks */
    bool no_cache;           /* nothing is kept between requests */
    size_t cache_bytes;      /* contents kept in memory, per worker; 0 = 16 MiB */
    size_t cache_file_bytes; /* files up to so long are kept in memory; 0 = 64 KiB */
    unsigned cache_entries;  /* files kept in memory, per worker; 0 = 4096 */
    unsigned cache_fds;      /* longer files kept open, per worker; 0 = 64 */

    bool no_openat2; /* for tests: as if the kernel did not have it */
};

extern const struct svl_module svl_fs_module;

/* For handlers ---------------------------------------------------------------------------------
 *
 * Answers with one file, as fs does: conditions, ranges, one version of it. Nothing is kept between
 * requests. `return svl_fs_send(ctx, &(struct svl_fs_send){.dir = fd, .path = "report.pdf"});` */
struct svl_fs_send {
    int dir;                   /* a folder's descriptor, or AT_FDCWD */
    const char *path;          /* relative to it; never leads out of it, also by links */
    const char *type;          /* NULL = by the name */
    const char *cache_control; /* NULL = "no-cache", "" = none is sent; static */
    const char *download;      /* browsers save it under that name; NULL = they show it */
};

/* Returns SVL_DONE; what cannot be had is 403, 404, 500 or 503. */
enum svl_verdict svl_fs_send(struct svl_ctx *ctx, const struct svl_fs_send *send);

#endif
