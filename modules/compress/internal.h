/* compress: what its files share. */
#ifndef COMPRESS_INTERNAL_H
#define COMPRESS_INTERNAL_H

#include "serval/filter.h"
#include "serval/mod/compress.h"

enum coding { CODING_BR, CODING_ZSTD, CODING_GZIP, CODING_DEFLATE, CODINGS, IDENTITY = CODINGS };

/* accept.c: RFC 9110 12.5.3 ------------------------------------------------------------------*/

/* What of `offered` (in our order of preference, n of them) the client wants most: IDENTITY where it
 * wants none of them, or says nothing. *identity = whether it accepts a body without coding. */
enum coding svl_compress_choose(const struct svl_headers *headers, const enum coding *offered,
                                unsigned n, bool *identity);

/* Encoders -----------------------------------------------------------------------------------*/

/* Where compressed bytes go. Returns 0, or <0: stop. */
struct outlet {
    int (*put)(struct outlet *outlet, const char *bytes, size_t n);
};

/* One kind of encoder. A context is used for one body after the other. */
struct encoder {
    const char *name;
    size_t memory;            /* about what a context takes while it works */
    void *(*open)(int level); /* NULL: no memory */
    void (*close)(void *context);
    /* Before each body; length is -1 when it is not known. */
    int (*begin)(void *context, int64_t length);
    int (*push)(void *context, svl_str data, enum svl_flow flow, struct outlet *outlet);
    /* All in one call, for which `push` is not used; may be NULL. Needs no begin. */
    int (*whole)(void *context, svl_str data, struct outlet *outlet);
};

extern const struct encoder svl_compress_br, svl_compress_zstd, svl_compress_gzip,
    svl_compress_deflate;

/* The encoder of a coding, or NULL if it is not built in. */
const struct encoder *svl_compress_encoder(enum coding coding);

/* The name of a coding ("br"), and back; CODINGS for what is none. */
const char *svl_compress_name(enum coding coding);
enum coding svl_compress_coding(svl_str name);

/* One worker's encoders. */
#define MAX_IDLE 4

struct encoders {
    void *idle[CODINGS][MAX_IDLE];
    unsigned n_idle[CODINGS];
    int level[CODINGS];
    size_t busy, limit; /* bytes of those at work, reckoned by encoder::memory */
};

/* Sets memory aside for a body; false when there is none left. Each is given back once. */
bool svl_compress_reserve(struct encoders *encoders, enum coding coding);
void svl_compress_unreserve(struct encoders *encoders, enum coding coding);

void *svl_compress_open(struct encoders *encoders, enum coding coding);
void svl_compress_close(struct encoders *encoders, enum coding coding, void *context);
void svl_compress_close_all(struct encoders *encoders);

/* cache.c: compressed bodies, the one used longest ago goes first -------------------------------*/

struct cache;

#define COMPRESS_KEY_MAX 2048

struct compressed {
    char *bytes;
    size_t n;
};

struct cache *svl_compress_cache_open(const struct svl_compress_config *config);
void svl_compress_cache_close(struct cache *cache);

/* NULL: not there. What is found stays valid until the ctx is over. */
const struct compressed *svl_compress_cache_find(struct cache *cache, struct svl_ctx *ctx,
                                                 svl_str key);

/* Takes `bytes` over, which were malloc'ed. */
void svl_compress_cache_add(struct cache *cache, svl_str key, char *bytes, size_t n);

/* The codings of the list that are built in. Returns how many, or -1 and what is none in *wrong. */
int svl_compress_read_codings(const char *text, enum coding *offered, svl_str *wrong);

/* disk.c: the same in a folder -----------------------------------------------------------------*/

struct compress_disk;

/* Makes the folder if it is not there. NULL when it cannot be had, after a line in the log. A thread
 * writes, which starts with the first file. Close writes what waits. */
struct compress_disk *svl_compress_disk_open(const char *path, size_t max_bytes);
void svl_compress_disk_close(struct compress_disk *disk); /* NULL is fine */

/* Any thread; blocks. The body that is kept under the key if it is not longer than max, to be freed;
 * or NULL. */
char *svl_compress_disk_read(struct compress_disk *disk, svl_str key, size_t max, size_t *n);

/* Any thread; copies, and does not block. */
void svl_compress_disk_write(struct compress_disk *disk, svl_str key, const char *bytes, size_t n);

/* answer.c: the way of one answer ----------------------------------------------------------------*/

struct compress_worker {
    struct encoders encoders;
    struct cache *cache; /* NULL: off */
    enum coding offered[CODINGS];
    unsigned n_offered;
};

/* What is compressed unless somebody says otherwise. */
extern const char *const svl_compress_types[];

/* Whether a Content-Type is one of `types`. */
bool svl_compress_is_type(const char *const *types, svl_str type);

enum svl_verdict svl_compress_answer(const struct svl_link *self, struct svl_ctx *ctx);

#endif
