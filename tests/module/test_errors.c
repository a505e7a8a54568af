/* errors: the form of an error is the client's choice, its text is not an attacker's. */
#include "serval/mod/errors.h"
#include "support/loopback.h"

#include <criterion/criterion.h>

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_header_set_name(ctx, SVL_STR("X-Request-ID"), SVL_STR("id-\"7<"));
    if (svl_str_eq(ctx->req.path, SVL_STR("/own")))
        return svl_text(ctx, 418, SVL_STR("a teapot"));
    if (svl_str_eq(ctx->req.path, SVL_STR("/ok")))
        return svl_text(ctx, 200, SVL_STR("200 OK"));
    return svl_fail(ctx, 422, "no <b> \"here\"");
}

static struct loopback *open_with(const struct svl_errors_config *config)
{
    return loopback_open(&(struct svl_server_config){
        .chain = (const struct svl_use[]){{&svl_errors_module, config}, SVL_USE_END},
        .handler = handler});
}

#define EXPECT(l, target, fields, type, text)                                                      \
    do {                                                                                           \
        svl_str a_ = loopback_get(l, target, fields);                                              \
        cr_expect(svl_str_eq(loopback_field(a_, "Content-Type"), SVL_STR(type)), "%.*s",           \
                  SVL_FMT(a_));                                                                    \
        cr_expect(svl_str_eq(loopback_body(a_), SVL_STR(text)), "%.*s", SVL_FMT(a_));              \
    } while (0)

Test(errors, the_form_is_what_is_accepted)
{
    struct loopback *l = open_with(&(struct svl_errors_config){0});
    svl_str answer;

    EXPECT(l, "/", "", "text/plain; charset=utf-8",
           "422 Unprocessable Content: no <b> \"here\"\nrequest id-\"7<\n");
    EXPECT(l, "/", "Accept: application/json\r\n", "application/problem+json",
           "{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\",\"status\":422,"
           "\"detail\":\"no <b> \\\"here\\\"\",\"request_id\":\"id-\\\"7<\"}\n");
    EXPECT(l, "/", "Accept: text/html;q=0.1, text/plain\r\n", "text/plain; charset=utf-8",
           "422 Unprocessable Content: no <b> \"here\"\nrequest id-\"7<\n");
    answer = loopback_get(l, "/", "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n");
    cr_expect(memmem(answer.p, answer.n, "<h1>422 Unprocessable Content</h1>", 34), "%.*s",
              SVL_FMT(answer));
    cr_expect(memmem(answer.p, answer.n, "no &lt;b&gt;", 12), "%.*s", SVL_FMT(answer));
    cr_expect_null(memmem(answer.p, answer.n, "<b>", 3));
    cr_expect(svl_str_eq(loopback_field(answer, "Vary"), SVL_STR("Accept")));
    loopback_close(l);
}

Test(errors, own_bodies_and_good_answers_stay)
{
    struct loopback *l = open_with(&(struct svl_errors_config){0});

    EXPECT(l, "/own", "Accept: text/html\r\n", "text/plain; charset=utf-8", "a teapot");
    EXPECT(l, "/ok", "Accept: text/html\r\n", "text/plain; charset=utf-8", "200 OK");
    loopback_close(l);
    l = open_with(&(struct svl_errors_config){.all = true});
    EXPECT(l, "/own", "Accept: text/plain\r\n", "text/plain; charset=utf-8",
           "418 Unknown Status\nrequest id-\"7<\n");
    loopback_close(l);
}

static const struct svl_error_page pages[] = {
    {404, "{status} {path} {"}, {0, "{} {x} {title}"}, {0, NULL}};

Test(errors, pages_are_filled_in_and_escaped)
{
    struct loopback *l = LOOPBACK(SVL_USE(errors, .pages = pages));

    EXPECT(l, "/%3Cscript%3E", "Accept: text/html\r\n", "text/html; charset=utf-8",
           "404 /&lt;script&gt; {");
    loopback_close(l);
    l = open_with(&(struct svl_errors_config){.pages = pages});
    EXPECT(l, "/", "Accept: text/html\r\n", "text/html; charset=utf-8",
           "{} {x} Unprocessable Content");
    loopback_close(l);
}

Test(errors, who_sends_json_gets_json)
{
    struct loopback *l = open_with(&(struct svl_errors_config){0});

    svl_str answer = loopback_get(l, "/", "Content-Type: application/json\r\nAccept: */*\r\n");
    cr_expect(
        svl_str_eq(loopback_field(answer, "Content-Type"), SVL_STR("application/problem+json")));
    loopback_close(l);
}
