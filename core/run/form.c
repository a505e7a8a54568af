/* Forms of a request: fields go to a list, files to spools. */
#include "serval/form.h"

#include "run/spool.h"
#include "run/values.h"
#include "serval/error.h"
#include "serval/field.h"
#include "serval/request.h"

enum how {
    UNDECIDED,
    VIEW, /* of the buffered body: pieces lie one behind the other there */
    COPY,
};

struct svl_form {
    struct svl_ctx *ctx;
    struct svl_form_config config;
    struct svl_args fields;
    struct svl_form_file *files;
    unsigned n_files, room;

    struct svl_multipart *parser; /* NULL: urlencoded */
    svl_str whole;                /* the buffered body, if it is there at once */
    struct svl_text text;         /* of the field going on, or of the urlencoded body */
    struct svl_spool spool;       /* of the file going on */

    struct svl_form_file part; /* the part going on */
    bool is_file;
    enum how how;
    svl_str view;

    svl_form_fn *then; /* svl_await_form() */
    void *then_arg;
};

static int append(struct svl_form *form, const char *data, size_t n, size_t max)
{
    struct svl_text *text = &form->text;

    if (n > max || text->n > max - n)
        return SVL_ELIMIT;
    return svl_arena_append(form->ctx->arena, text, data, n) ? 0 : SVL_ELIMIT;
}

/* Parts ------------------------------------------------------------------------------------ */

static int on_part(void *arg, const struct svl_multipart_part *part)
{
    struct svl_form *form = arg;
    struct svl_ctx *ctx = form->ctx;

    form->is_file = part->filename.p != NULL;
    form->how = UNDECIDED;
    form->text = (struct svl_text){0};
    form->spool =
        (struct svl_spool){ctx, form->config.memory, form->config.folder, .so_far.fd = -1};
    form->part = (struct svl_form_file){.name = svl_copy(ctx, part->name)};
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
    uint64_t max = form->is_file ? form->config.max_file : form->config.max_field;

    form->part.content.size += n;
    if (max && form->part.content.size > max)
        return SVL_ELIMIT;
    if (form->how == UNDECIDED) {
        form->how = is_in(form->whole, data) ? VIEW : COPY;
        form->view = (svl_str){data, 0};
    }
    if (form->how == COPY && form->is_file)
        return svl_spool_add(&form->spool, data, n);
    if (form->how == COPY)
        return append(form, data, n, form->config.max_field);
    form->view.n += n;
    return 0;
}

static void add_file(struct svl_form *form)
{
    if (form->n_files == form->room) {
        unsigned room = form->room ? form->room * 2 : 4;
        struct svl_form_file *files = svl_alloc(form->ctx, room * sizeof *files);

        if (form->n_files > 0)
            memcpy(files, form->files, form->n_files * sizeof *files);
        form->files = files;
        form->room = room;
    }
    if (form->how == VIEW)
        form->part.content = (struct svl_spooled){form->view.n, form->view, -1};
    else
        form->part.content = svl_spool_end(&form->spool);
    form->files[form->n_files++] = form->part;
}

static int on_end(void *arg)
{
    struct svl_form *form = arg;
    svl_str text = form->how == VIEW ? form->view : svl_text_view(&form->text);

    if (!form->is_file)
        return svl_args_add(&form->fields, form->part.name, text);
    add_file(form);
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
    return failed(form, svl_args_parse(&form->fields, svl_text_view(&form->text)));
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

/* In pieces -------------------------------------------------------------------------------- */

static enum svl_verdict on_piece(struct svl_ctx *ctx, void *arg, svl_str piece, enum svl_piece kind)
{
    struct svl_form *form = arg;
    int err;

    if (kind == SVL_PIECE_GONE)
        return SVL_ERROR;
    err = svl_form_push(form, piece.p, piece.n);
    if (!err && kind == SVL_PIECE)
        return SVL_PENDING;
    if (!err)
        err = svl_form_end(form);
    return err ? svl_spool_fail(ctx, err) : form->then(ctx, form->then_arg, form);
}

enum svl_verdict svl_await_form(struct svl_ctx *ctx, const struct svl_form_config *config,
                                svl_form_fn *then, void *arg)
{
    struct svl_form *form;
    int err;

    if (ctx->req.body.p) {
        err = svl_form_read(ctx, config, &form);
        return err ? svl_spool_fail(ctx, err) : then(ctx, arg, form);
    }
    if (svl_form_open(ctx, config, &form) != 0)
        return svl_fail(ctx, 415, "a form is expected");
    form->then = then;
    form->then_arg = arg;
    svl_spool_limit(ctx, form->config.limits.max_total);
    return svl_stream_body(ctx, on_piece, form);
}
