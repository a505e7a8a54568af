/* Forms: what a browser sends for <form method="post">, urlencoded or as multipart/form-data
 * (RFC 7578). */
#ifndef SVL_FORM_H
#define SVL_FORM_H

#include "serval/args.h"
#include "serval/ctx.h"
#include "serval/spool.h"

/* Parsing multipart/form-data piece by piece ---------------------------------------------------
 *
 * Any thread, no allocation: bytes are pushed in, events come out. */

/* Zero means "the default" everywhere. */
struct svl_multipart_limits {
    unsigned max_parts; /* 0 = 1000 */
    size_t max_head;    /* header section of a part, bytes; 0 and at most SVL_MULTIPART_HEAD */
    size_t max_name;    /* a field's or file's name, bytes; 0 = 1024 */
    uint64_t max_total; /* of all that is pushed, bytes; 0 = no limit */
};

#define SVL_MULTIPART_HEAD 4096

/* The head of a part. The views are valid during the event. */
struct svl_multipart_part {
    svl_str name;         /* of the form's field */
    svl_str filename;     /* as the client says; p is NULL for what is not a file */
    svl_str content_type; /* p is NULL when none was given, which means text/plain */
    svl_str head;         /* all header lines, as they came */
};

/* Each returns 0, or a negative number that ends the parsing and is handed on. */
struct svl_multipart_events {
    int (*on_part)(void *arg, const struct svl_multipart_part *part);
    int (*on_data)(void *arg, const char *data, size_t n); /* n > 0; may come many times */
    int (*on_end)(void *arg);                              /* of the part */
};

/* The fields are the parser's, but for `mixed`. */
struct svl_multipart {
    const struct svl_multipart_events *events;
    void *arg;
    struct svl_multipart_limits limits;
    int state, error;
    bool mixed; /* set behind begin: parts are those of a multipart/mixed (RFC 7578 4.3), any
                   disposition will do, and name.p is NULL without one */
    unsigned parts;
    unsigned matched;  /* bytes of the delimiter that were seen and not yet handed on */
    unsigned borrowed; /* of these, how many stood in front of the part */
    unsigned delimiter_len;
    size_t head_len;
    uint64_t total;
    char delimiter[80]; /* CR LF - - boundary */
    char head[SVL_MULTIPART_HEAD];
};

/* boundary: svl_field_boundary() of the Content-Type; limits may be NULL. Returns 0, or
 * SVL_ESYNTAX if it is not 1 to 70 bytes long. */
int svl_multipart_begin(struct svl_multipart *m, svl_str boundary,
                        const struct svl_multipart_limits *limits,
                        const struct svl_multipart_events *events, void *arg);

/* Returns 0; SVL_ESYNTAX for what is not multipart/form-data; SVL_ELIMIT; or what an event
 * returned. After an error every call returns it. */
int svl_multipart_push(struct svl_multipart *m, const char *data, size_t n);

/* There is no more. Returns 0, SVL_ESYNTAX when the closing boundary is missing, or the error
 * from before. */
int svl_multipart_end(struct svl_multipart *m);

/* The last segment of a file name a client sent, without control bytes, '/' and '\'; "" if that
 * leaves nothing, or "." or "..". Still not a name to trust: it may exist, or begin with a dot.
 * `to` needs name.n bytes. Returns the length. */
size_t svl_filename_clean(char *to, svl_str name);

/* A form of a request -------------------------------------------------------------------------*/

/* Zero means "the default" everywhere. */
struct svl_form_config {
    struct svl_multipart_limits limits; /* max_total is the server's max_body for buffered bodies */
    unsigned max_files;                 /* 0 = 64 */
    size_t memory;                      /* a file part up to so long stays in memory; 0 = 64 KiB */
    size_t max_field;                   /* a part that is not a file, bytes; 0 = 1 MiB */
    uint64_t max_file;                  /* 0 = no limit of its own */
    const char *folder;                 /* for temporary files; NULL = $TMPDIR or /tmp */
};

/* A part that is a file. Owner: the ctx. */
struct svl_form_file {
    svl_str name, filename, content_type;
    struct svl_spooled content; /* svl_spooled_save() keeps it */
};

struct svl_form;

/* The form in ctx->req.body, which must have been awaited; parsed on the first call, with that
 * call's config (NULL = defaults). Returns 0; SVL_ESTATE when the body is not there; SVL_ESYNTAX
 * when it is not a form or broken; SVL_ELIMIT; or -errno of a temporary file. *form (may be NULL)
 * then is what was understood of it, and is never NULL. */
int svl_form_read(struct svl_ctx *ctx, const struct svl_form_config *config,
                  struct svl_form **form);

/* The same for a body that comes in pieces: open by the Content-Type of the request (SVL_ESYNTAX if
 * it is no form), push what comes, end. The form is then the request's: the calls below find it.
 * push and end return as svl_form_read() does. */
int svl_form_open(struct svl_ctx *ctx, const struct svl_form_config *config,
                  struct svl_form **form);
int svl_form_push(struct svl_form *form, const char *data, size_t n);
int svl_form_end(struct svl_form *form);

/* `return svl_await_form(ctx, config, then, arg);` in on_request does that: then() is called with the
 * whole form, however large it is, and its verdict is the hook's. The config's max_total is, if it
 * says nothing, svl_body_limit() or the server's max_body. Without a form an answer is made: 415 for
 * another type, 400 for one that is broken, 413 above a limit, 507 when the disk is full. */
typedef enum svl_verdict svl_form_fn(struct svl_ctx *ctx, void *arg, struct svl_form *form);
enum svl_verdict svl_await_form(struct svl_ctx *ctx, const struct svl_form_config *config,
                                svl_form_fn *then, void *arg);

/* What is in it: the fields in order, and the files in order. */
const struct svl_args *svl_form_fields(const struct svl_form *form);
const struct svl_form_file *svl_form_files(const struct svl_form *form, unsigned *n);

/* The first field of the request's form with that name, or the first file; p is NULL, or NULL, if
 * there is none, or no form. Read the form with the default config, if it was not read before. */
svl_str svl_form(struct svl_ctx *ctx, svl_str name);
const struct svl_form_file *svl_form_file(struct svl_ctx *ctx, svl_str name);

#endif
