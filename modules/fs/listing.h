/* What the files that make listings know of each other: scan.c reads a folder, page.c, plain.c and
 * readme.c write down what was read, listing.c is what the rest of the module sees. */
#ifndef SVL_FS_LISTING_H
#define SVL_FS_LISTING_H

#include "internal.h"

#include <dirent.h>
#include <limits.h>

/* Rows of one page; a folder with more has several. What is held for a request is that many. */
#define PAGE_ROWS 1000

/* A name thrice, as link and twice as text, with what is around it. */
#define ROW_MAX (3 * NAME_MAX + 2 * 6 * NAME_MAX + 768)

/* scan.c -------------------------------------------------------------------------------------*/

enum fs_sort { FS_BY_NAME, FS_BY_SIZE, FS_BY_TIME };
enum fs_kind { FS_GONE = 0, FS_FOLDER = 'd', FS_FILE = 'f', FS_OTHER = 'x' };

struct fs_entry {
    enum fs_kind kind;
    const char *why; /* FS_OTHER: why it cannot be had */
    int64_t size, mtime;
    bool looked; /* kind, size and mtime are known for sure */
    const char *name;
};

struct fs_scan {
    /* What is asked. */
    const struct fs_root *root;
    DIR *dir;
    const char *path; /* as svl_fs_open() wants it */
    bool show_hidden;
    enum fs_sort by;
    bool down;          /* largest first */
    const char *filter; /* part of the names; "" = all */
    bool backwards;     /* the last ones in front of the cursor, not the first ones behind it */
    bool has_cursor;
    struct fs_entry cursor;
    bool
        one_page; /* only if they fit on one page: ends when they do not, with matched > PAGE_ROWS */

    /* What is found: entries[0, n), in order. `first` were in front of them, of `matched`. */
    struct fs_entry **entries;
    size_t n, first, matched, folders, files;
    int64_t bytes; /* of all files, if `sized` */
    bool sized;
    uint64_t hash;   /* of all that a page shows of them */
    char readme[16]; /* the name of a README, or "" */
};

/* Any thread: reads the folder. Returns 0 or -errno. `scan` is finished in any case. */
int svl_fs_scan(struct fs_scan *scan);
void svl_fs_scan_finish(struct fs_scan *scan);

/* The next entry as the folder has it, without order: entry->name is valid until the next call, and
 * it was looked at. Returns 1, 0 at the end, or -errno. */
int svl_fs_scan_next(struct fs_scan *scan, struct fs_entry *entry);

/* readme.c -----------------------------------------------------------------------------------*/

/* Any thread: HTML of a README, to be freed; NULL if it cannot be had. */
char *svl_fs_readme(const struct fs_root *root, const char *folder, const char *name, size_t *n);

/* page.c, plain.c: how it is written ---------------------------------------------------------*/

struct fs_listing {
    struct svl_ctx *ctx;
    struct fs_scan scan;
    svl_str place;        /* the folder, as the client knows it; begins and ends with '/' */
    bool upload, archive; /* are offered */
    svl_str kept;         /* HTML: the names under which files of the last upload were kept */
    char *readme;
    size_t readme_n;
    size_t printed; /* rows */
    char row[ROW_MAX];
};

/* One of the ways to write it. `row` writes to l->row and returns the length. */
struct fs_format {
    svl_str type;
    const char *policy;
    svl_str (*head)(struct fs_listing *l);
    size_t (*row)(struct fs_listing *l, const struct fs_entry *entry);
    svl_str (*foot)(struct fs_listing *l);
};

extern const struct fs_format svl_fs_html, svl_fs_json, svl_fs_text;

/* The query of a page: `by`, `down` and, unless it is NULL, a cursor, as it stands in a link. Memory of
 * the ctx. `amp` is "&" or "&amp;". */
svl_str svl_fs_query(struct fs_listing *l, enum fs_sort by, bool down, const char *cursor_name,
                     const struct fs_entry *cursor, const char *amp);

#endif
