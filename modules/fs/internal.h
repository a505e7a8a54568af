/* What the files of this module know of each other. In reading order: open.c opens paths
 * below the root, file.c reads one version of a file, cache.c keeps it, answer.c with conditions.c
 * makes an answer of it, listing.c makes a page of a folder, find.c leads from a request's path to
 * one of these, fs.c is the module. */
#ifndef SVL_FS_INTERNAL_H
#define SVL_FS_INTERNAL_H

#include "serval/mod/fs.h"
#include "serval/range.h"

#include <limits.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

/* open.c: containment ------------------------------------------------------------------------*/

struct fs_root {
    int fd;
    enum svl_fs_symlinks symlinks;
    bool openat2; /* the kernel resolves whole paths for us */
};

/* Opens the folder itself. Returns 0 or -errno; *root is finished with svl_fs_root_finish(). */
int svl_fs_root_init(struct fs_root *root, const struct svl_fs_config *config);
void svl_fs_root_finish(struct fs_root *root);

/* Opens `path`, which is relative ("." is the root), for reading or with more O_* flags; never
 * blocks, whatever kind of file it is. Returns a descriptor or -errno. */
int svl_fs_open(const struct fs_root *root, const char *path, int flags);

/* The status for what svl_fs_open() returned: 403, 404, 500 or 503. */
int svl_fs_status_of(int err);

/* file.c: one version of one file ------------------------------------------------------------*/

/* Which version of which file: what fstat() says that changes with the content. */
struct fs_stamp {
    dev_t dev;
    ino_t ino;
    int64_t size;
    struct timespec mtime, ctime;
};

void svl_fs_stamp(struct fs_stamp *stamp, const struct stat *st);
bool svl_fs_stamp_eq(const struct fs_stamp *a, const struct fs_stamp *b);

/* Whether what has been read of fd so far is of that version. Not by the ctime: it changes when the
 * name goes, too. What only got longer is somebody's log. */
bool svl_fs_stamp_holds(const struct fs_stamp *stamp, int fd);

/* Milliseconds since the last change, by the ctime, which nobody can set. */
int64_t svl_fs_stamp_age(const struct fs_stamp *stamp);

/* Changed so long ago that the next change cannot get the same time stamp. */
bool svl_fs_stamp_settled(const struct fs_stamp *stamp);

/* Whether somebody has the file open for writing: 1, 0, or -1 when that cannot be known. */
int svl_fs_has_writer(int fd);

/* A version of a file, with all that answers need: content or an open descriptor, and the texts
 * of its fields. Shared by the cache and the answers that are being sent; the last one frees. */
struct fs_file {
    unsigned magic, refs;
    struct fs_stamp stamp;
    const char *content; /* stamp.size bytes; NULL: read from fd */
    int fd;              /* -1 when content is there */
    bool settled;        /* as long as the stamp stays, so does the content */
    bool whole;          /* the content is one version for sure */
    bool immutable;      /* as the config says */
    bool download;       /* likewise */
    uint8_t sidecars;    /* which codings of svl_fs_codings[] lie beside it */
    bool written;        /* somebody had it open for writing, and it had just changed */
    uint64_t version;    /* what the ETag is made of, besides the size */
    svl_str type;        /* owner: the config, or static */
    svl_str etag;        /* these two: etag_text, date_text */
    svl_str last_modified;
    char etag_text[40], date_text[29];

    /* cache.c's. */
    struct fs_file *chain, *newer, *older;
    uint64_t hash;
    int64_t check_us, resolve_us, hold_us; /* times of svl_fs_now_us(), see find.c */
    bool cached;
    svl_str key;      /* the request's path; owner: this */
    const char *path; /* relative, for the kernel; owner: this */
};

/* Takes over `fd`, a regular file of that stamp, and makes *file with one reference. `path` is
 * what was opened, and its first key_n - 1 bytes are the request's path without its slash.
 * Returns 0 or -errno; the fd is closed then. EBUSY: it changes faster than it can be read. */
int svl_fs_file_make(struct fs_file **file, int fd, const struct fs_stamp *stamp, svl_str path,
                     size_t key_n, svl_str type, size_t content_max);
void svl_fs_file_put(void *file);

/* SipHash-1-3. */
uint64_t svl_fs_hash(const uint64_t key[2], const char *data, size_t n);

/* cache.c: files by request path, one cache per worker ---------------------------------------*/

struct fs_cache;

struct fs_cache *svl_fs_cache_open(const struct svl_fs_config *config);
void svl_fs_cache_close(struct fs_cache *cache);

/* The file under `key`, or NULL. It may be out of date. */
struct fs_file *svl_fs_cache_find(struct fs_cache *cache, svl_str key);

/* Both leave the references of others alone. */
void svl_fs_cache_add(struct fs_cache *cache, struct fs_file *file);
void svl_fs_cache_drop(struct fs_cache *cache, struct fs_file *file);

/* Forgets all files that hold a descriptor. Returns whether there was one. */
bool svl_fs_cache_drop_fds(struct fs_cache *cache);

/* conditions.c: RFC 9110 13 and 14 -----------------------------------------------------------*/

struct fs_validators {
    svl_str etag;     /* strong */
    int64_t modified; /* seconds */
};

/* More ranges in one request than that: the whole file. */
#define FS_RANGES_MAX 16

/* What the conditions of the request make of it: 200, 304, 412, 416; or 206 with n ranges filled in,
 * in the order of the file and apart from each other. */
struct fs_ranges {
    int n;
    struct svl_range at[FS_RANGES_MAX];
};
int svl_fs_decide(const struct svl_request *req, const struct fs_validators *v, int64_t size,
                  struct fs_ranges *ranges);

/* Whether If-None-Match names the tag, which has its quotes and no W/ in front. */
bool svl_fs_is_known(const struct svl_request *req, svl_str etag);

/* answer.c -----------------------------------------------------------------------------------*/

/* How a file lies beside another one: a.txt.br, of the coding "br". */
struct fs_coding {
    const char *extension;
    svl_str name;
};

/* Answers with the file as the request asks for it: whole, a range, 304, 412 or 416. Takes a
 * reference of its own. With a coding, it is the sidecar of a file of that type. */
enum svl_verdict svl_fs_answer(struct svl_ctx *ctx, struct fs_file *file, svl_str cache_control);
enum svl_verdict svl_fs_answer_coded(struct svl_ctx *ctx, struct fs_file *file,
                                     svl_str cache_control, const struct fs_coding *coding,
                                     svl_str type);

/* 301 to the same path with a slash behind it, the query kept. */
enum svl_verdict svl_fs_redirect(struct svl_ctx *ctx, svl_str cache_control);

/* find.c -------------------------------------------------------------------------------------*/

struct fs_worker {
    struct fs_root root;
    struct fs_cache *cache;  /* NULL: off */
    svl_str cache_control;   /* owner: the config */
    char only[NAME_MAX + 2]; /* the path of the one file that is given; "" = all are */
};

/* A finer clock than the loop's, and not only once per round: monotonic. */
int64_t svl_fs_now_us(void);

/* Whether a file of the cache can be given without opening anything. */
bool svl_fs_is_current(const struct fs_worker *w, const struct svl_fs_config *config,
                       struct fs_file *f);

/* Answers from the file system. `path` is the request's behind the prefix. `old` is what the cache
 * has for it if that is out of date, or NULL. */
enum svl_verdict svl_fs_look_up(const struct svl_link *self, struct svl_ctx *ctx, svl_str path,
                                struct fs_file *old);

/* Answers with a file that is current, or with what lies beside it in a coding that the client
 * prefers. */
enum svl_verdict svl_fs_give(const struct fs_worker *w, const struct svl_fs_config *config,
                             struct svl_ctx *ctx, struct fs_file *f);

/* The type for a name; `types` may be NULL. */
svl_str svl_fs_type_of(const struct svl_fs_type *types, const char *default_type, svl_str name);

/* Whether a segment begins with a dot, but for a first one that is ".well-known" (RFC 8615). */
bool svl_fs_is_hidden(svl_str path);

/* send.c: "attachment", with the name in both ways (RFC 6266). Memory of the ctx. */
svl_str svl_fs_disposition(struct svl_ctx *ctx, svl_str name);

/* Folders ------------------------------------------------------------------------------------*/

/* Answers with the folder `fd`, which it takes over; `path` is the folder's, as svl_fs_open() wants
 * it, `place` as the client knows it. `root` and `config` must outlive the ctx. */
typedef enum svl_verdict svl_fs_folder_fn(struct svl_ctx *ctx, const struct fs_root *root,
                                          const struct svl_fs_config *config, int fd,
                                          const char *path, svl_str place);

svl_fs_folder_fn svl_fs_list;    /* listing.c: a page */
svl_fs_folder_fn svl_fs_archive; /* archive.c: a file with all that is in it, */
bool svl_fs_wants_archive(const struct svl_ctx *ctx); /* if the query asks for it */
void svl_fs_crc32_init(void);                         /* before the first worker */

/* plain.c: length of the UTF-8 character at the start of s, 0 if there is none. */
size_t svl_fs_character(svl_str s);

/* upload.c: PUT of a file, or POST of a form to a folder. `path` is the request's behind the
 * prefix. */
enum svl_verdict svl_fs_upload(const struct svl_link *self, struct svl_ctx *ctx, svl_str path);

#endif
