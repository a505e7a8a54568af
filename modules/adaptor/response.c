/* Answers as a program makes them: a body of some kind, fields, and a count of who has them. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct MHD_Response *make(enum kind kind, uint64_t size)
{
    struct MHD_Response *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->refs = 1;
    r->kind = kind;
    r->size = size;
    r->fd = -1;
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

void mhd_response_ref(struct MHD_Response *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
}

void MHD_destroy_response(struct MHD_Response *r)
{
    struct entry *e, *next;

    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    if (r->fd >= 0)
        close(r->fd);
    if (r->free)
        r->free(r->cls);
    for (e = r->fields.first; e; e = next) {
        next = e->next;
        free(e);
    }
    pthread_mutex_destroy(&r->lock);
    free(r->vector);
    free(r);
}

/* Bodies --------------------------------------------------------------------------------------- */

struct MHD_Response *MHD_create_response_from_callback(uint64_t size, size_t block_size,
                                                       MHD_ContentReaderCallback crc, void *crc_cls,
                                                       MHD_ContentReaderFreeCallback crfc)
{
    struct MHD_Response *r;

    if (!crc || block_size == 0)
        return NULL;
    r = make(READER, size);
    if (!r)
        return NULL;
    r->read = crc;
    r->block = block_size;
    r->cls = crc_cls;
    r->free = crfc;
    return r;
}

struct MHD_Response *MHD_create_response_from_buffer_with_free_callback_cls(
    size_t size, void *buffer, MHD_ContentReaderFreeCallback crfc, void *crfc_cls)
{
    struct MHD_Response *r;

    if (!buffer && size > 0)
        return NULL;
    r = make(BUFFER, size);
    if (!r)
        return NULL;
    r->data = buffer;
    r->free = crfc;
    r->cls = crfc_cls;
    return r;
}

struct MHD_Response *MHD_create_response_from_buffer_with_free_callback(
    size_t size, void *buffer, MHD_ContentReaderFreeCallback crfc)
{
    return MHD_create_response_from_buffer_with_free_callback_cls(size, buffer, crfc, buffer);
}

struct MHD_Response *MHD_create_response_from_data(size_t size, void *data, int must_free,
                                                   int must_copy)
{
    struct MHD_Response *r;
    void *copy = data;

    if (!data && size > 0)
        return NULL;
    if (must_copy && size > 0) {
        copy = malloc(size);
        if (!copy)
            return NULL;
        memcpy(copy, data, size);
    }
    r = MHD_create_response_from_buffer_with_free_callback_cls(
        size, copy, copy != data || must_free ? free : NULL, copy);
    if (!r && copy != data)
        free(copy);
    return r;
}

struct MHD_Response *MHD_create_response_from_buffer(size_t size, void *buffer,
                                                     enum MHD_ResponseMemoryMode mode)
{
    return MHD_create_response_from_data(size, buffer, mode == MHD_RESPMEM_MUST_FREE,
                                         mode == MHD_RESPMEM_MUST_COPY);
}

struct MHD_Response *MHD_create_response_from_fd_at_offset64(uint64_t size, int fd, uint64_t offset)
{
    struct MHD_Response *r;

    if (offset > INT64_MAX || size > INT64_MAX || size + offset > INT64_MAX)
        return NULL;
    r = make(FILE_PART, size);
    if (!r)
        return NULL;
    r->fd = fd;
    r->offset = offset;
    return r;
}

#undef MHD_create_response_from_fd_at_offset /* the header makes it a macro for new programs */
struct MHD_Response *MHD_create_response_from_fd_at_offset(size_t size, int fd, off_t offset);
struct MHD_Response *MHD_create_response_from_fd_at_offset(size_t size, int fd, off_t offset)
{
    return MHD_create_response_from_fd_at_offset64(size, fd, (uint64_t)offset);
}

struct MHD_Response *MHD_create_response_from_fd(size_t size, int fd)
{
    return MHD_create_response_from_fd_at_offset64(size, fd, 0);
}

struct MHD_Response *MHD_create_response_from_fd64(uint64_t size, int fd)
{
    return MHD_create_response_from_fd_at_offset64(size, fd, 0);
}

struct MHD_Response *MHD_create_response_from_pipe(int fd)
{
    struct MHD_Response *r = make(PIPE, MHD_SIZE_UNKNOWN);

    if (r)
        r->fd = fd;
    return r;
}

struct MHD_Response *MHD_create_response_from_iovec(const struct MHD_IoVec *iov,
                                                    unsigned int iovcnt,
                                                    MHD_ContentReaderFreeCallback free_cb,
                                                    void *cls)
{
    struct MHD_Response *r;
    uint64_t size = 0;

    if (!iov && iovcnt > 0)
        return NULL;
    for (unsigned i = 0; i < iovcnt; i++) {
        if ((!iov[i].iov_base && iov[i].iov_len > 0) || iov[i].iov_len > INT64_MAX - size)
            return NULL;
        size += iov[i].iov_len;
    }
    r = make(VECTOR, size);
    if (!r)
        return NULL;
    r->vector = malloc((iovcnt + 1) * sizeof *iov);
    if (!r->vector) {
        MHD_destroy_response(r);
        return NULL;
    }
    if (iovcnt > 0)
        memcpy(r->vector, iov, iovcnt * sizeof *iov);
    r->n_vector = iovcnt;
    r->free = free_cb;
    r->cls = cls;
    return r;
}

struct MHD_Response *MHD_create_response_for_upgrade(MHD_UpgradeHandler upgrade_handler,
                                                     void *upgrade_handler_cls)
{
    struct MHD_Response *r;

    if (!upgrade_handler)
        return NULL;
    r = make(UPGRADE, 0);
    if (!r)
        return NULL;
    r->upgrade = upgrade_handler;
    r->cls = upgrade_handler_cls;
    if (MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "Upgrade") == MHD_YES)
        return r;
    MHD_destroy_response(r);
    return NULL;
}

enum MHD_Result MHD_set_response_options(struct MHD_Response *r, enum MHD_ResponseFlags flags, ...)
{
    if (!r)
        return MHD_NO;
    r->flags = flags;
    return MHD_YES;
}

/* Fields --------------------------------------------------------------------------------------- */

static bool is(const char *a, const char *b)
{
    return svl_str_ieq(svl_str_of(a), svl_str_of(b));
}

/* One allocation: the entry, its name, its value. */
static struct entry *entry_new(enum MHD_ValueKind kind, svl_str name, svl_str value)
{
    struct entry *e = malloc(sizeof *e + name.n + value.n + 2);
    char *text;

    if (!e)
        return NULL;
    text = (char *)(e + 1);
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    memcpy(text + name.n + 1, value.p, value.n);
    text[name.n + 1 + value.n] = '\0';
    *e = (struct entry){.kind = kind,
                        .id = svl_header_id(name),
                        .canonical = svl_str_eq(svl_header_text(svl_header_id(name)), name),
                        .name = text,
                        .name_len = name.n,
                        .value = text + name.n + 1,
                        .value_len = value.n};
    return e;
}

static enum MHD_Result add(struct MHD_Response *r, enum MHD_ValueKind kind, const char *name,
                           const char *value)
{
    struct entry *e;

    if (!r || !name || !value || !*name || !*value || strpbrk(name, " \t\r\n") ||
        strpbrk(value, "\r\n"))
        return MHD_NO;
    e = entry_new(kind, svl_str_of(name), svl_str_of(value));
    if (!e)
        return MHD_NO;
    mhd_entries_add(&r->fields, e);
    return MHD_YES;
}

static void take_out(struct MHD_Response *r, struct entry *gone)
{
    struct entry **at = &r->fields.first, *before = NULL;

    while (*at != gone) {
        before = *at;
        at = &before->next;
    }
    *at = gone->next;
    if (!gone->next)
        r->fields.last = before;
    free(gone);
}

/* What a list of tokens says of Connection: all of it stands in one field, "close" once, in front. */
static enum MHD_Result add_connection(struct MHD_Response *r, svl_str value)
{
    struct entry *old = mhd_entries_find(&r->fields, MHD_HEADER_KIND, "Connection", 10), *e;
    svl_str rest = value, token;
    size_t n = 0, room = value.n + (old ? old->value_len : 0) + 16;
    char *text;

    if (value.n == 0 || memchr(value.p, '\r', value.n) || memchr(value.p, '\n', value.n))
        return MHD_NO;
    text = malloc(room);
    if (!text)
        return MHD_NO;
    if (old) {
        memcpy(text, old->value, old->value_len);
        n = old->value_len;
    }
    while (svl_str_split(&rest, ',', &token)) {
        token = svl_str_trim(token);
        if (token.n == 0 || svl_str_ieq(token, SVL_STR("keep-alive")))
            continue;
        if (svl_str_ieq(token, SVL_STR("close"))) {
            if (r->close)
                continue;
            r->close = true;
            memmove(text + 5 + (n ? 2 : 0), text, n);
            memcpy(text, n ? "close, " : "close", n ? 7 : 5);
            n += n ? 7 : 5;
            continue;
        }
        n += (size_t)snprintf(text + n, room - n, "%s%.*s", n ? ", " : "", SVL_FMT(token));
    }
    e = n ? entry_new(MHD_HEADER_KIND, SVL_STR("Connection"), (svl_str){text, n}) : NULL;
    free(text);
    if (!e)
        return MHD_NO;
    if (old)
        take_out(r, old);
    e->next = r->fields.first;
    r->fields.first = e;
    if (!r->fields.last)
        r->fields.last = e;
    return MHD_YES;
}

enum MHD_Result MHD_add_response_header(struct MHD_Response *r, const char *name, const char *value)
{
    if (!r || !name || !value)
        return MHD_NO;
    if (is(name, "Connection"))
        return add_connection(r, svl_str_of(value));
    if (is(name, "Transfer-Encoding")) {
        if (!is(value, "chunked"))
            return MHD_NO;
        if (r->chunked)
            return MHD_YES;
        r->chunked = add(r, MHD_HEADER_KIND, name, value) == MHD_YES;
        return r->chunked ? MHD_YES : MHD_NO;
    }
    if (is(name, "Content-Length") && !(r->flags & MHD_RF_INSANITY_HEADER_CONTENT_LENGTH))
        return MHD_NO;
    if (is(name, "Date")) {
        struct entry *old = mhd_entries_find(&r->fields, MHD_HEADER_KIND, name, 4);

        if (old)
            take_out(r, old);
    }
    return add(r, MHD_HEADER_KIND, name, value);
}

enum MHD_Result MHD_add_response_footer(struct MHD_Response *r, const char *name, const char *value)
{
    return add(r, MHD_FOOTER_KIND, name, value);
}

/* Takes the tokens of `value` out of Connection. */
static enum MHD_Result del_connection(struct MHD_Response *r, svl_str value)
{
    struct entry *old = mhd_entries_find(&r->fields, MHD_HEADER_KIND, "Connection", 10);
    svl_str rest, token, gone, others;
    char *text;
    size_t n = 0;
    bool found = false;

    if (!old)
        return MHD_NO;
    text = malloc(old->value_len + 1);
    if (!text)
        return MHD_NO;
    rest = (svl_str){old->value, old->value_len};
    while (svl_str_split(&rest, ',', &token)) {
        bool keep = true;

        token = svl_str_trim(token);
        others = value;
        while (svl_str_split(&others, ',', &gone))
            keep = keep && !svl_str_ieq(svl_str_trim(gone), token);
        found = found || !keep;
        if (!keep)
            continue;
        n += (size_t)snprintf(text + n, old->value_len + 1 - n, "%s%.*s", n ? ", " : "",
                              SVL_FMT(token));
    }
    if (found) {
        take_out(r, old);
        r->close = false;
        if (n)
            add_connection(r, (svl_str){text, n});
    }
    free(text);
    return found ? MHD_YES : MHD_NO;
}

enum MHD_Result MHD_del_response_header(struct MHD_Response *r, const char *name, const char *value)
{
    if (!r || !name || !value)
        return MHD_NO;
    if (is(name, "Connection"))
        return del_connection(r, svl_str_of(value));
    for (struct entry *e = r->fields.first; e; e = e->next) {
        if (strcmp(e->name, name) != 0 || strcmp(e->value, value) != 0)
            continue;
        if (e->id == SVL_H_TRANSFER_ENCODING)
            r->chunked = false;
        take_out(r, e);
        return MHD_YES;
    }
    return MHD_NO;
}

int MHD_get_response_headers(struct MHD_Response *r, MHD_KeyValueIterator iterator,
                             void *iterator_cls)
{
    int n = 0;

    for (const struct entry *e = r->fields.first; e; e = e->next) {
        n++;
        if (iterator && iterator(iterator_cls, e->kind, e->name, e->value) == MHD_NO)
            break;
    }
    return n;
}

const char *MHD_get_response_header(struct MHD_Response *r, const char *key)
{
    struct entry *e;

    if (!r || !key)
        return NULL;
    e = mhd_entries_find(&r->fields, MHD_HEADER_KIND | MHD_FOOTER_KIND, key, strlen(key));
    return e ? e->value : NULL;
}
