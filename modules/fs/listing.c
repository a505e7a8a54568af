/* The answer to a request for a folder. What is asked for is read from the query, the folder is
 * read by scan.c - in a large one on another thread - and written down row by row as the client
 * takes it. */
#include "listing.h"

#include "serval/args.h"
#include "serval/async.h"
#include "serval/error.h"
#include "serval/field.h"
#include "serval/log.h"
#include "serval/uri.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Folders whose own size is larger are read on another thread: some thousand names. Not all file
 * systems tell; what they tell costs nothing. */
#define LARGE (256 << 10)
#define FILTER_MAX 100
#define KEPT_MAX 2000 /* bytes of names; the rest is left unsaid */

enum part { HEAD, ROWS, FOOT, END };

struct answer {
    struct fs_listing l;
    const struct fs_format *format;
    const struct svl_fs_config *config;
    int err;
    enum part part; /* the one that comes next */
    bool streamed;  /* the rows come from the folder, not from what was read */
    size_t next;
    svl_str piece; /* what is left of the one before */
};

static void answer_free(void *arg)
{
    struct answer *a = arg;

    svl_fs_scan_finish(&a->l.scan);
    closedir(a->l.scan.dir);
    free(a->l.readme);
    free(a);
}

/* What is asked for ----------------------------------------------------------------------------*/

/* "d0/name", "f1234/name": as svl_fs_query() writes it. */
static void read_cursor(struct fs_scan *s, svl_str text)
{
    svl_str number;
    int64_t key;

    if (text.n < 2 || !svl_str_split(&text, '/', &number) || !text.p ||
        !svl_int_parse(svl_str_from(number, 1), &key))
        return;
    s->has_cursor = true;
    s->cursor = (struct fs_entry){.kind = number.p[0] == 'd' ? FS_FOLDER : FS_FILE,
                                  .size = key,
                                  .mtime = key,
                                  .name = text.p};
}

/* Of what the upload form's answer leads to. Only what is there is said: a link to here cannot put words
 * on the page. */
static void read_kept(struct answer *a, svl_str name)
{
    char *text = svl_alloc(a->l.ctx, 6 * name.n + 1);
    struct stat st;

    if (!a->config->upload || a->l.kept.n > KEPT_MAX || memchr(name.p, '/', name.n) ||
        (svl_fs_is_hidden(name) && !a->config->show_hidden) ||
        fstatat(dirfd(a->l.scan.dir), name.p, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
        return;
    a->l.kept = svl_printf(a->l.ctx, "%.*s%s<bdi>%.*s</bdi>", SVL_FMT(a->l.kept),
                           a->l.kept.n ? ", " : "", (int)svl_html_escape(text, name), text);
}

static void read_query(struct answer *a)
{
    struct fs_scan *s = &a->l.scan;
    svl_str rest = a->l.ctx->req.query;
    bool has_order = false;
    struct svl_pair arg;

    s->by = (enum fs_sort)(a->config->sort % 3);
    s->down = a->config->sort >= SVL_FS_NAME_DESC;
    s->filter = "";
    while (svl_args_next(&rest, &arg)) {
        char *text = svl_alloc(a->l.ctx, arg.value.n + 1);
        svl_str value = {text, svl_unescape(text, arg.value, true)};

        if (memchr(text, 0, value.n))
            continue;
        if (svl_str_eq(arg.name, SVL_STR("sort"))) {
            s->down = has_order && s->down;
            s->by = svl_str_eq(value, SVL_STR("size"))   ? FS_BY_SIZE
                    : svl_str_eq(value, SVL_STR("time")) ? FS_BY_TIME
                                                         : FS_BY_NAME;
        } else if (svl_str_eq(arg.name, SVL_STR("order"))) {
            s->down = svl_str_eq(value, SVL_STR("desc"));
            has_order = true;
        } else if (svl_str_eq(arg.name, SVL_STR("q")) && value.n <= FILTER_MAX)
            s->filter = value.p;
        else if (svl_str_eq(arg.name, SVL_STR("kept")))
            read_kept(a, value);
        else if (svl_str_eq(arg.name, SVL_STR("after")))
            read_cursor(s, value);
        else if (svl_str_eq(arg.name, SVL_STR("before"))) {
            s->backwards = true;
            read_cursor(s, value);
        } else if (svl_str_eq(arg.name, SVL_STR("format")))
            a->format = svl_str_eq(value, SVL_STR("json"))   ? &svl_fs_json
                        : svl_str_eq(value, SVL_STR("text")) ? &svl_fs_text
                                                             : a->format;
    }
}

static const struct fs_format *negotiate(const struct svl_ctx *ctx)
{
    static const struct fs_format *const formats[] = {&svl_fs_html, &svl_fs_json, &svl_fs_text};
    const svl_str offers[] = {SVL_STR("text/html"), SVL_STR("application/json"),
                              SVL_STR("text/plain")};
    int best = svl_negotiate(&ctx->req.headers, SVL_H_ACCEPT, offers, 3);

    return formats[best < 0 ? 0 : best];
}

/* Writing --------------------------------------------------------------------------------------*/

/* Fills a->piece with the next row, or goes on to the foot. Returns 0 or -errno. */
static int next_row(struct answer *a)
{
    struct fs_scan *s = &a->l.scan;
    struct fs_entry own, *e = &own;
    int got = 1;

    if (a->streamed)
        got = svl_fs_scan_next(s, &own);
    else if (a->next < s->n)
        e = s->entries[a->next++];
    else
        got = 0;
    if (got <= 0) {
        a->part = FOOT;
        return got;
    }
    a->piece = (svl_str){a->l.row, a->format->row(&a->l, e)};
    a->l.printed++;
    return 0;
}

static int next_piece(struct answer *a)
{
    switch (a->part) {
    case HEAD:
        a->piece = a->format->head(&a->l);
        a->part = ROWS;
        return 0;
    case ROWS: return next_row(a);
    case FOOT:
        a->piece = a->format->foot(&a->l);
        a->part = END;
        return 0;
    case END: break;
    }
    return 0;
}

static ssize_t pull(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    struct answer *a = arg;
    size_t given = 0;

    (void)ctx;
    while (given < room) {
        size_t n = a->piece.n < room - given ? a->piece.n : room - given;

        if (n)
            memcpy(to + given, a->piece.p, n);
        a->piece = svl_str_from(a->piece, n);
        given += n;
        if (a->piece.n == 0 && a->part == END)
            break;
        if (a->piece.n == 0) {
            int err = next_piece(a);
            if (err)
                return err;
        }
    }
    return (ssize_t)given;
}

/* Answering ------------------------------------------------------------------------------------*/

/* Weak: of what is told about the entries, not of the bytes. */
static svl_str make_etag(struct answer *a)
{
    static const uint64_t key[2] = {3, 4};
    svl_str parts[] = {svl_str_of(a->format->policy),
                       a->l.ctx->req.query,
                       a->l.place,
                       {a->l.readme, a->l.readme_n}};
    uint64_t hash = a->l.scan.hash ^ a->config->sort;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        hash =
            (hash << 1 | hash >> 63) ^ svl_fs_hash(key, parts[i].p ? parts[i].p : "", parts[i].n);
    return svl_printf(a->l.ctx, "W/\"%016llx\"", (unsigned long long)hash);
}

static void link_to_next(struct answer *a)
{
    const struct fs_scan *s = &a->l.scan;
    svl_str query;

    if (a->streamed || s->n == 0 || s->first + s->n >= s->matched)
        return;
    query = svl_fs_query(&a->l, s->by, s->down, "after", s->entries[s->n - 1], "&");
    svl_header_set(a->l.ctx, SVL_H_LINK,
                   svl_printf(a->l.ctx, "<%.*s>; rel=\"next\"", SVL_FMT(query)));
}

static enum svl_verdict reply(struct svl_ctx *ctx, void *arg)
{
    struct answer *a = arg;

    if (a->err) {
        svl_log(SVL_WARN, "fs: %s: %s", a->l.scan.path, svl_strerror(a->err));
        return svl_fail(ctx, svl_fs_status_of(a->err), NULL);
    }
    a->streamed = a->format != &svl_fs_html && a->l.scan.matched > a->l.scan.n &&
                  !a->l.scan.has_cursor && !a->l.scan.backwards;
    svl_header_set_static(ctx, SVL_H_VARY, SVL_STR("Accept"));
    if (a->config->cache_control[0])
        svl_header_set_static(ctx, SVL_H_CACHE_CONTROL, svl_str_of(a->config->cache_control));
    if (a->streamed) {
        rewinddir(a->l.scan.dir);
    } else {
        svl_str etag = make_etag(a);

        svl_header_set_static(ctx, SVL_H_ETAG, etag);
        if (svl_fs_is_known(&ctx->req, svl_str_from(etag, 2))) {
            svl_status(ctx, 304);
            return SVL_DONE;
        }
    }
    link_to_next(a);
    svl_status(ctx, 200);
    svl_content_type(ctx, a->format->type);
    svl_header_set_static(ctx, SVL_H_X_CONTENT_TYPE_OPTIONS, SVL_STR("nosniff"));
    svl_header_set_static(ctx, SVL_H_CONTENT_SECURITY_POLICY, svl_str_of(a->format->policy));
    svl_header_set_static(ctx, SVL_H_REFERRER_POLICY, SVL_STR("same-origin"));
    svl_body_source(ctx, pull, a, -1);
    return SVL_DONE;
}

/* Any thread. */
static void work(void *arg)
{
    struct answer *a = arg;
    struct fs_scan *s = &a->l.scan;

    a->err = svl_fs_scan(s);
    if (!a->err && s->readme[0] && a->format == &svl_fs_html && !s->has_cursor && !s->backwards)
        a->l.readme = svl_fs_readme(s->root, s->path, s->readme, &a->l.readme_n);
}

enum svl_verdict svl_fs_list(struct svl_ctx *ctx, const struct fs_root *root,
                             const struct svl_fs_config *config, int fd, const char *path,
                             svl_str place)
{
    struct answer *a = calloc(1, sizeof *a);
    DIR *dir = a ? fdopendir(fd) : NULL;
    struct stat st;

    if (!dir) {
        free(a);
        close(fd);
        return svl_fail(ctx, 503, NULL);
    }
    a->l.ctx = ctx;
    a->l.place = place;
    a->l.scan.root = root;
    a->l.scan.dir = dir;
    a->l.scan.path = svl_copy(ctx, svl_str_of(path)).p;
    a->l.scan.show_hidden = config->show_hidden;
    a->l.upload = config->upload;
    a->l.archive = config->archive;
    a->config = config;
    a->piece = SVL_STR("");
    a->l.kept = SVL_STR("");
    svl_on_free(ctx, answer_free, a);
    a->format = config->listing == SVL_FS_LISTING_JSON ? &svl_fs_json : negotiate(ctx);
    read_query(a);
    if (config->listing == SVL_FS_LISTING_JSON)
        a->format = &svl_fs_json;
    /* What is not on a page comes as the folder has it. */
    a->l.scan.one_page = a->format != &svl_fs_html && !a->l.scan.has_cursor && !a->l.scan.backwards;
    if (fstat(dirfd(dir), &st) == 0 && st.st_size > LARGE)
        return svl_offload(ctx, work, reply, a);
    work(a);
    return reply(ctx, a);
}
