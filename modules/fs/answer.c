/* Answers made of a file, as the request's conditions ask for it. Knows nothing of paths, so that
 * handlers can have the same for files of their own. */
#include "internal.h"

#include "serval/date.h"
#include "serval/uri.h"

#include <errno.h>
#include <unistd.h>

static bool is_conditional(const struct svl_ctx *ctx)
{
    const uint8_t *first = ctx->req.headers.first;

    return first[SVL_H_IF_NONE_MATCH] | first[SVL_H_IF_MODIFIED_SINCE] | first[SVL_H_RANGE] |
           first[SVL_H_IF_MATCH] | first[SVL_H_IF_UNMODIFIED_SINCE];
}

/* A file that changed so recently may well change while it is sent. */
#define RECENT_MS 2000

/* A part of a file that is read and compared piece by piece. sendfile(2) cannot do that: it hands
 * out the file's own pages, which change even after they were sent. */
struct checked {
    struct fs_file *file;
    int64_t at, end;
};

static ssize_t pull_checked(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    struct checked *c = arg;
    ssize_t n;

    (void)ctx;
    if (room > (size_t)(c->end - c->at))
        room = (size_t)(c->end - c->at);
    if (room == 0)
        return 0;
    do
        n = pread(c->file->fd, to, room, c->at);
    while (n < 0 && errno == EINTR);
    if (n <= 0 || !svl_fs_stamp_holds(&c->file->stamp, c->file->fd))
        return -EIO; /* the client sees that the answer is short */
    c->at += n;
    return n;
}

static void set_body(struct svl_ctx *ctx, struct fs_file *f, int64_t offset, int64_t length)
{
    struct checked *c;

    if (f->content) {
        svl_body_bytes(ctx, (svl_str){f->content + offset, (size_t)length});
        return;
    }
    if (svl_fs_stamp_age(&f->stamp) >= RECENT_MS) {
        svl_body_file(ctx, f->fd, offset, length, false);
        return;
    }
    c = svl_alloc(ctx, sizeof *c);
    *c = (struct checked){f, offset, offset + length};
    svl_body_source(ctx, pull_checked, c, length);
}

/* Several ranges: multipart/byteranges (RFC 9110 14.6). ----------------------------------------*/

struct parts {
    struct fs_file *file;
    struct fs_ranges ranges;
    svl_str heads[FS_RANGES_MAX], tail; /* owner: the ctx */
    int part;                           /* the current one; ranges.n: the tail; then the end */
    svl_str text;                       /* what is left of its head, or of the tail */
    int64_t at, end;                    /* what is left of its range */
};

static void next_part(struct parts *p)
{
    p->part++;
    p->at = p->end = 0;
    p->text = p->part < p->ranges.n    ? p->heads[p->part]
              : p->part == p->ranges.n ? p->tail
                                       : SVL_STR("");
    if (p->part < p->ranges.n) {
        p->at = p->ranges.at[p->part].offset;
        p->end = p->at + p->ranges.at[p->part].length;
    }
}

static ssize_t read_part(struct parts *p, char *to, size_t room)
{
    struct checked c = {p->file, p->at, p->end};
    ssize_t n;

    if (!p->file->content) {
        n = pull_checked(NULL, &c, to, room);
        return n == 0 ? -EIO : n;
    }
    if (room > (size_t)(p->end - p->at))
        room = (size_t)(p->end - p->at);
    memcpy(to, p->file->content + p->at, room);
    return (ssize_t)room;
}

static ssize_t pull_parts(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    struct parts *p = arg;
    size_t given = 0;

    (void)ctx;
    while (given < room && p->part <= p->ranges.n) {
        size_t n = p->text.n < room - given ? p->text.n : room - given;
        ssize_t got = 0;

        if (n > 0)
            memcpy(to + given, p->text.p, n);
        p->text = svl_str_from(p->text, n);
        given += n;
        if (p->text.n == 0 && p->at < p->end && given < room) {
            got = read_part(p, to + given, room - given);
            if (got < 0)
                return got;
            p->at += got;
            given += (size_t)got;
        }
        if (p->text.n == 0 && p->at == p->end)
            next_part(p);
    }
    return (ssize_t)given;
}

static void set_parts(struct svl_ctx *ctx, struct fs_file *f, const struct fs_ranges *ranges,
                      svl_str type)
{
    const uint64_t key[2] = {(uint64_t)svl_fs_now_us(), (uintptr_t)ctx};
    unsigned long long boundary = svl_fs_hash(key, f->etag.p, f->etag.n);
    struct parts *p = svl_alloc(ctx, sizeof *p);
    int64_t length;

    p->file = f;
    p->ranges = *ranges;
    p->tail = svl_printf(ctx, "\r\n--serval-%016llx--\r\n", boundary);
    length = (int64_t)p->tail.n;
    for (int i = 0; i < ranges->n; i++) {
        const struct svl_range *r = &ranges->at[i];

        p->heads[i] = svl_printf(ctx,
                                 "%s--serval-%016llx\r\nContent-Type: %.*s\r\n"
                                 "Content-Range: bytes %lld-%lld/%lld\r\n\r\n",
                                 i ? "\r\n" : "", boundary, SVL_FMT(type), (long long)r->offset,
                                 (long long)(r->offset + r->length - 1), (long long)f->stamp.size);
        length += (int64_t)p->heads[i].n + r->length;
    }
    p->part = -1;
    next_part(p);
    svl_content_type(ctx,
                     svl_printf(ctx, "multipart/byteranges; boundary=serval-%016llx", boundary));
    svl_body_source(ctx, pull_parts, p, length);
}

static void cache_fields(struct svl_ctx *ctx, svl_str etag, svl_str cache_control)
{
    svl_header_set_static(ctx, SVL_H_ETAG, etag);
    if (cache_control.n)
        svl_header_set_static(ctx, SVL_H_CACHE_CONTROL, cache_control);
}

/* A time in the future must not be told: RFC 9110 8.8.2.1 wants that of the answer instead. */
static void set_last_modified(struct svl_ctx *ctx, const struct fs_file *f)
{
    int64_t now = svl_wall_seconds(ctx->worker);
    char *text;

    if (f->stamp.mtime.tv_sec <= now) {
        svl_header_set_static(ctx, SVL_H_LAST_MODIFIED, f->last_modified);
        return;
    }
    text = svl_alloc(ctx, SVL_DATE_LEN);
    svl_date_print(text, now);
    svl_header_set_static(ctx, SVL_H_LAST_MODIFIED, (svl_str){text, SVL_DATE_LEN});
}

static enum svl_verdict refuse_range(struct svl_ctx *ctx, const struct fs_file *f)
{
    svl_header_set(ctx, SVL_H_CONTENT_RANGE,
                   svl_printf(ctx, "bytes */%lld", (long long)f->stamp.size));
    return svl_fail(ctx, 416, NULL);
}

static void set_range(struct svl_ctx *ctx, const struct fs_file *f, const struct svl_range *range)
{
    svl_str text =
        svl_printf(ctx, "bytes %lld-%lld/%lld", (long long)range->offset,
                   (long long)(range->offset + range->length - 1), (long long)f->stamp.size);

    svl_header_set_static(ctx, SVL_H_CONTENT_RANGE, text);
}

enum svl_verdict svl_fs_answer(struct svl_ctx *ctx, struct fs_file *f, svl_str cache_control)
{
    return svl_fs_answer_coded(ctx, f, cache_control, NULL, f->type);
}

/* "1234-5" becomes "1234-5-br": what is beside a file may have its time and its size. */
static svl_str coded_etag(struct svl_ctx *ctx, svl_str etag, svl_str coding)
{
    return svl_printf(ctx, "%.*s-%.*s\"", (int)etag.n - 1, etag.p, SVL_FMT(coding));
}

enum svl_verdict svl_fs_answer_coded(struct svl_ctx *ctx, struct fs_file *f, svl_str cache_control,
                                     const struct fs_coding *coding, svl_str type)
{
    svl_str etag = coding ? coded_etag(ctx, f->etag, coding->name) : f->etag;
    struct fs_validators v = {etag, f->stamp.mtime.tv_sec};
    struct fs_ranges ranges = {1, {{0, f->stamp.size}}};
    int status = 200;

    if (is_conditional(ctx))
        status = svl_fs_decide(&ctx->req, &v, f->stamp.size, &ranges);
    if (status != 206)
        ranges = (struct fs_ranges){1, {{0, f->stamp.size}}};
    if (status == 416)
        return refuse_range(ctx, f);
    if (status == 412)
        return svl_fail(ctx, 412, NULL);

    f->refs++;
    svl_on_free(ctx, svl_fs_file_put, f);
    svl_status(ctx, status);
    cache_fields(ctx, etag, cache_control);
    if (status == 304)
        return SVL_DONE;
    if (coding)
        svl_header_set_static(ctx, SVL_H_CONTENT_ENCODING, coding->name);

    svl_content_type(ctx, type);
    set_last_modified(ctx, f);
    svl_header_set_static(ctx, SVL_H_ACCEPT_RANGES, SVL_STR("bytes"));
    svl_header_set_static(ctx, SVL_H_X_CONTENT_TYPE_OPTIONS, SVL_STR("nosniff"));
    if (ranges.n > 1) {
        set_parts(ctx, f, &ranges, type);
        return SVL_DONE;
    }
    if (status == 206)
        set_range(ctx, f, &ranges.at[0]);
    set_body(ctx, f, ranges.at[0].offset, ranges.at[0].length);
    return SVL_DONE;
}

/* What may stand in a path as it is: pchar and '/' of RFC 3986, and '%' of escapes that are
 * already there. A backslash is not among them: browsers would take it for a slash. */
static bool is_path_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("-._~!$&'()*+,;=:@%/", c));
}

enum svl_verdict svl_fs_redirect(struct svl_ctx *ctx, svl_str cache_control)
{
    svl_str raw = ctx->req.raw_path, query = ctx->req.query, mount = svl_mounted_at(ctx);
    char *text = svl_alloc(ctx, mount.n + 3 * raw.n + query.n + 3);
    size_t n = mount.n, skip = 0;

    /* The path as the client knows it; never "//host". */
    if (n > 0)
        memcpy(text, mount.p, n);
    while (skip < raw.n && (raw.p[skip] == '/' || raw.p[skip] == '\\'))
        skip++;
    raw = svl_str_from(raw, skip);
    text[n++] = '/';
    for (size_t i = 0; i < raw.n; i++) {
        if (is_path_byte(raw.p[i]))
            text[n++] = raw.p[i];
        else
            n += svl_path_escape(text + n, (svl_str){raw.p + i, 1});
    }
    text[n++] = '/';
    if (query.p) {
        text[n++] = '?';
        if (query.n)
            memcpy(text + n, query.p, query.n);
        n += query.n;
    }
    if (cache_control.n) /* a 301 is kept for ever by default */
        svl_header_set_static(ctx, SVL_H_CACHE_CONTROL, cache_control);
    return svl_redirect(ctx, 301, (svl_str){text, n});
}
