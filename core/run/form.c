/* Forms of a request: fields go to a list, files stay in memory or go to nameless files. */
#include "serval/form.h"

#include "run/values.h"
#include "serval/error.h"
#include "serval/field.h"
#include "serval/request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A growing text in the arena, with an end. */
struct text {
    char *p;
    size_t n, room;
};

enum how {
    UNDECIDED,
    VIEW, /* of the buffered body: pieces lie one behind the other there */
    COPY,
    SPILL, /* to the file's fd */
};

struct svl_form {
    struct svl_ctx *ctx;
    struct svl_form_config config;
    struct svl_args fields;
    struct svl_form_file *files;
    unsigned n_files, room;

    struct svl_multipart *parser; /* NULL: urlencoded */
    svl_str whole;                /* the buffered body, if it is there at once */
    struct text text;             /* of the part going on, or of the urlencoded body */

    struct svl_form_file part; /* the part going on */
    bool is_file;
    enum how how;
    svl_str view;
};

static int append(struct svl_form *form, const char *data, size_t n, size_t max)
{
    struct text *text = &form->text;

    if (n > max || text->n > max - n)
        return SVL_ELIMIT;
    if (text->room - text->n < n) {
        size_t room = text->room ? text->room : 256;
        char *p;

        while (room - text->n < n)
            room *= 2;
        p = svl_try_alloc(form->ctx, room);
        if (!p)
            return SVL_ELIMIT;
        if (text->n > 0)
            memcpy(p, text->p, text->n);
        text->p = p;
        text->room = room;
    }
    memcpy(text->p + text->n, data, n);
    text->n += n;
    return 0;
}

/* Temporary files -------------------------------------------------------------------------- */

static const char *folder_of(const struct svl_form *form)
{
    const char *folder = form->config.folder ? form->config.folder : getenv("TMPDIR");

    return folder && *folder ? folder : "/tmp";
}

/* Without O_TMPFILE (old kernels, some file systems) the name exists for a moment. */
static int open_named(const char *folder)
{
    char path[512];
    int fd;

    if ((size_t)snprintf(path, sizeof path, "%s/serval-XXXXXX", folder) >= sizeof path)
        return -ENAMETOOLONG;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    unlink(path);
    return fd;
}

static int open_nameless(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0)
        return fd;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT)
        return -errno;
    return open_named(folder);
}

static int write_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, data, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        data += done;
        n -= (size_t)done;
    }
    return 0;
}

static void close_fd(void *arg)
{
    close((int)(intptr_t)arg);
}

static int spill(struct svl_form *form)
{
    int fd = open_nameless(folder_of(form));

    if (fd < 0)
        return fd;
    svl_on_free(form->ctx, close_fd, (void *)(intptr_t)fd);
    form->part.fd = fd;
    form->how = SPILL;
    return write_all(fd, form->text.p, form->text.n);
}

/* Parts ------------------------------------------------------------------------------------ */

static int on_part(void *arg, const struct svl_multipart_part *part)
{
    struct svl_form *form = arg;
    struct svl_ctx *ctx = form->ctx;

    form->is_file = part->filename.p != NULL;
    form->how = UNDECIDED;
    form->text = (struct text){0};
    form->part = (struct svl_form_file){.name = svl_copy(ctx, part->name), .fd = -1};
    if (!form->is_file)
        return 0;
    if (form->n_files == form->config.max_files)
        return SVL_ELIMIT;
    form->part.filename = svl_copy(ctx, part->filename);
    if (part->content_type.p)
        form->part.content_type = svl_copy(ctx, part->content_type);
    return 0;
}

static bool is_in(svl_str whole, const char *p)
{
    return whole.p && (uintptr_t)p - (uintptr_t)whole.p < whole.n;
}

static int on_data(void *arg, const char *data, size_t n)
{
    struct svl_form *form = arg;
    size_t max = form->is_file ? form->config.memory : form->config.max_field;

    form->part.size += n;
    if (form->is_file && form->config.max_file && form->part.size > form->config.max_file)
        return SVL_ELIMIT;
    if (form->how == UNDECIDED) {
        form->how = is_in(form->whole, data) ? VIEW : COPY;
        form->view = (svl_str){data, 0};
    }
    if (form->how == VIEW) {
        form->view.n += n;
        return form->is_file || form->view.n <= max ? 0 : SVL_ELIMIT;
    }
    if (form->how == COPY && form->is_file && form->text.n + n > max) {
        int err = spill(form);

        if (err)
            return err;
    }
    if (form->how == SPILL)
        return write_all(form->part.fd, data, n);
    return append(form, data, n, max);
}

static void add_file(struct svl_form *form, svl_str bytes)
{
    if (form->n_files == form->room) {
        unsigned room = form->room ? form->room * 2 : 4;
        struct svl_form_file *files = svl_alloc(form->ctx, room * sizeof *files);

        if (form->n_files > 0)
            memcpy(files, form->files, form->n_files * sizeof *files);
        form->files = files;
        form->room = room;
    }
    if (form->part.fd < 0)
        form->part.bytes = bytes;
    form->files[form->n_files++] = form->part;
}

static int on_end(void *arg)
{
    struct svl_form *form = arg;
    svl_str bytes = form->how == VIEW ? form->view : (svl_str){form->text.p, form->text.n};

    if (!bytes.p)
        bytes = SVL_STR("");
    if (!form->is_file)
        return svl_args_add(&form->fields, form->part.name, bytes);
    add_file(form, bytes);
    return 0;
}

static const struct svl_multipart_events events = {on_part, on_data, on_end};

/* The whole -------------------------------------------------------------------------------- */

#define OR(field, value) (field = field ? field : (value))

static struct svl_form *make(struct svl_ctx *ctx, const struct svl_form_config *config)
{
    struct svl_form *form = svl_alloc(ctx, sizeof *form);

    form->ctx = ctx;
    if (config)
        form->config = *config;
    OR(form->config.max_files, 64);
    OR(form->config.memory, 64 * 1024);
    OR(form->config.max_field, 1024 * 1024);
    svl_args_init(&form->fields, ctx->arena);
    if (form->config.limits.max_parts)
        form->fields.max = form->config.limits.max_parts;
    return form;
}

int svl_form_open(struct svl_ctx *ctx, const struct svl_form_config *config, struct svl_form **to)
{
    struct svl_form *form = *to = make(ctx, config);
    svl_str boundary = svl_field_boundary(svl_header(ctx, SVL_H_CONTENT_TYPE));
    struct svl_values *values = svl_values_of(ctx);

    values->form = form;
    values->form_error = 0;
    if (boundary.p) {
        form->parser = svl_alloc(ctx, sizeof *form->parser);
        svl_multipart_begin(form->parser, boundary, &form->config.limits, &events, form);
        return 0;
    }
    if (svl_str_ieq(svl_request_type(ctx), SVL_STR("application/x-www-form-urlencoded")))
        return 0;
    values->form_error = SVL_ESYNTAX;
    return SVL_ESYNTAX;
}

static int failed(struct svl_form *form, int err)
{
    if (err)
        svl_values_of(form->ctx)->form_error = err;
    return err;
}

int svl_form_push(struct svl_form *form, const char *data, size_t n)
{
    int err = svl_values_of(form->ctx)->form_error;
    uint64_t max = form->config.limits.max_total;

    if (err || n == 0)
        return err;
    if (form->parser)
        return failed(form, svl_multipart_push(form->parser, data, n));
    return failed(form, append(form, data, n, max ? max : form->config.max_field));
}

int svl_form_end(struct svl_form *form)
{
    int err = svl_values_of(form->ctx)->form_error;

    if (err)
        return err;
    if (form->parser)
        return failed(form, svl_multipart_end(form->parser));
    return failed(form, svl_args_parse(&form->fields, (svl_str){form->text.p, form->text.n}));
}

static int read_whole(struct svl_form *form, svl_str body)
{
    int err;

    form->whole = body;
    if (!form->parser)
        return failed(form, svl_args_parse(&form->fields, body));
    err = svl_form_push(form, body.p, body.n);
    return err ? err : svl_form_end(form);
}

int svl_form_read(struct svl_ctx *ctx, const struct svl_form_config *config, struct svl_form **to)
{
    struct svl_values *values = svl_values_of(ctx);
    struct svl_form *form = values->form;
    int err = values->form_error;

    if (!form && !ctx->req.body.p) {
        form = make(ctx, config); /* empty, and not kept: the body may still come */
        err = SVL_ESTATE;
    } else if (!form) {
        err = svl_form_open(ctx, config, &form);
        if (!err)
            err = read_whole(form, ctx->req.body);
    }
    if (to)
        *to = form;
    return err;
}

const struct svl_args *svl_form_fields(const struct svl_form *form)
{
    return &form->fields;
}

const struct svl_form_file *svl_form_files(const struct svl_form *form, unsigned *n)
{
    *n = form->n_files;
    return form->files;
}

svl_str svl_form(struct svl_ctx *ctx, svl_str name)
{
    struct svl_form *form;

    svl_form_read(ctx, NULL, &form);
    return svl_args_get(&form->fields, name);
}

const struct svl_form_file *svl_form_file(struct svl_ctx *ctx, svl_str name)
{
    struct svl_form *form;

    svl_form_read(ctx, NULL, &form);
    for (unsigned i = 0; i < form->n_files; i++)
        if (svl_str_eq(form->files[i].name, name))
            return &form->files[i];
    return NULL;
}

/* Keeping files ---------------------------------------------------------------------------- */

static int copy_fd(int to, int from, uint64_t size)
{
    char piece[16384];
    off_t at = 0;

    while ((uint64_t)at < size) {
        ssize_t n = pread(from, piece, sizeof piece, at);
        int err;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        err = write_all(to, piece, (size_t)n);
        if (err)
            return err;
        at += n;
    }
    return 0;
}

static int save_copy(const struct svl_form_file *file, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), err;

    if (fd < 0)
        return -errno;
    err = file->fd < 0 ? write_all(fd, file->bytes.p, file->bytes.n)
                       : copy_fd(fd, file->fd, file->size);
    if (close(fd) && !err)
        err = -errno;
    if (err)
        unlink(path);
    return err;
}

int svl_form_save(const struct svl_form_file *file, const char *path)
{
    char proc[64];

    if (file->fd < 0)
        return save_copy(file, path);
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", file->fd);
    if (linkat(AT_FDCWD, proc, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    /* Another file system, one that was unlinked after all, or no /proc. */
    return errno == EEXIST ? -EEXIST : save_copy(file, path);
}
