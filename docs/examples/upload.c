/* Forms and uploads of any size: files go to a folder, nothing large is held in memory.
 *
 *     curl -F 'note=hello' -F 'file=@/etc/passwd' http://127.0.0.1:8080/form
 *     curl -T /etc/services http://127.0.0.1:8080/raw/services
 */
#include "serval/foreground.h"
#include "serval/serval.h"

#include <errno.h>
#include <stdio.h>

#define MAX_UPLOAD (1 << 30)

static const char *folder;

static const char page[] =
    "<!doctype html><title>upload</title>\n"
    "<form method=post action=/form enctype=multipart/form-data>\n"
    "<input name=note placeholder=note><input type=file name=file multiple>\n"
    "<button>Send</button></form>\n";

/* Under the name the client says, but only its last part, and never in the place of another. */
static int save(struct svl_ctx *ctx, const struct svl_spooled *content, svl_str name)
{
    char *clean = svl_alloc(ctx, name.n + 1);
    size_t n = svl_filename_clean(clean, name);

    if (n == 0 || clean[0] == '.')
        return -EINVAL;
    return svl_spooled_save(content, svl_printf(ctx, "%s/%.*s", folder, (int)n, clean).p);
}

static enum svl_verdict refused(struct svl_ctx *ctx, int err)
{
    switch (err) {
    case -EEXIST: return svl_fail(ctx, 409, "there is one of that name");
    case -EINVAL: return svl_fail(ctx, 400, "not a name to keep a file under");
    default: return svl_fail(ctx, 500, NULL);
    }
}

static enum svl_verdict got_form(struct svl_ctx *ctx, void *arg, struct svl_form *form)
{
    unsigned n;
    const struct svl_form_file *files = svl_form_files(form, &n);

    (void)arg;
    svl_text(ctx, 201, svl_printf(ctx, "note: %.*s\n", SVL_FMT(svl_form(ctx, SVL_STR("note")))));
    for (unsigned i = 0; i < n; i++) {
        int err = save(ctx, &files[i].content, files[i].filename);

        if (err)
            return refused(ctx, err);
        svl_body_printf(ctx, "%.*s: %llu bytes%s\n", SVL_FMT(files[i].filename),
                        (unsigned long long)files[i].content.size,
                        files[i].content.fd >= 0 ? ", never in memory" : "");
    }
    return SVL_DONE;
}

static enum svl_verdict got_body(struct svl_ctx *ctx, void *arg, const struct svl_spooled *body)
{
    int err = save(ctx, body, svl_path_last(ctx->req.path));

    (void)arg;
    return err ? refused(ctx, err) : svl_text(ctx, 201, SVL_STR("kept\n"));
}

/* A module, because a server's handler is asked with the whole body in memory. */
static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    if (ctx->req.method == SVL_POST && svl_str_eq(ctx->req.path, SVL_STR("/form")))
        return svl_await_form(ctx, &(struct svl_form_config){.limits.max_total = MAX_UPLOAD},
                              got_form, NULL);
    if (ctx->req.method == SVL_PUT && svl_str_starts(ctx->req.path, SVL_STR("/raw/")))
        return svl_spool_body(ctx, &(struct svl_spool_config){.max = MAX_UPLOAD}, got_body, NULL);
    if (ctx->req.method != SVL_GET)
        return svl_fail(ctx, 405, NULL);
    svl_text(ctx, 200, svl_str_of(page));
    svl_content_type(ctx, SVL_STR("text/html; charset=utf-8"));
    return SVL_DONE;
}

static const struct svl_module upload = {.name = "upload", .on_request = on_request};

int main(int argc, char **argv)
{
    struct svl_use chain[] = {{&upload, NULL}, SVL_USE_END};
    struct svl_server_config config = {.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"},
                                       .chain = chain};
    struct svl_server *server;

    folder = argc > 2 ? argv[2] : "/tmp";
    if (svl_server_open(&server, &config))
        return 3;
    svl_server_foreground(server, &(struct svl_foreground){.title = "upload"});
    svl_server_close(server);
    return 0;
}
