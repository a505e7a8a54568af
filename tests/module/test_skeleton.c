/* skeleton: what the module promises, seen from a client. */
#include "serval/mod/skeleton.h"

#include "support/loopback.h"

#include <criterion/criterion.h>

/* Answers everything, further in than the module. */
static enum svl_verdict inner(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, SVL_STR("inner\n"));
}

static struct loopback *open_with(const struct svl_use *chain)
{
    return loopback_open(&(struct svl_server_config){.chain = chain, .handler = inner});
}

#define CHAIN(...) ((const struct svl_use[]){SVL_USE(skeleton, __VA_ARGS__), SVL_USE_END})

Test(skeleton, greets_on_its_path)
{
    struct loopback *l = LOOPBACK(SVL_USE(skeleton, .path = NULL));
    svl_str answer = loopback_get(l, "/skeleton", "");

    cr_expect_eq(loopback_status(answer), 200);
    cr_expect(svl_str_eq(loopback_body(answer), SVL_STR("hello from the skeleton\n")));
    loopback_close(l);
}

Test(skeleton, path_and_greeting_can_be_chosen)
{
    struct loopback *l = open_with(CHAIN(.path = "/hi", .greeting = "hi\n"));

    cr_expect(svl_str_eq(loopback_body(loopback_get(l, "/hi", "")), SVL_STR("hi\n")));
    cr_expect(svl_str_eq(loopback_body(loopback_get(l, "/skeleton", "")), SVL_STR("inner\n")));
    loopback_close(l);
}

Test(skeleton, stamps_the_answers_of_inner_modules_only)
{
    struct loopback *l = open_with(CHAIN(.path = "/hi"));

    cr_expect(svl_str_eq(loopback_field(loopback_get(l, "/other", ""), "X-Skeleton"),
                         SVL_STR("was here")));
    cr_expect_null(loopback_field(loopback_get(l, "/hi", ""), "X-Skeleton").p);
    loopback_close(l);
}

Test(skeleton, other_methods_get_405_with_allow)
{
    struct loopback *l = open_with(CHAIN(.path = "/hi"));
    svl_str answer = loopback_ask(l, "DELETE /hi HTTP/1.1\r\nHost: x\r\n\r\n");

    cr_expect_eq(loopback_status(answer), 405);
    cr_expect(svl_str_eq(loopback_field(answer, "Allow"), SVL_STR("GET, HEAD")));
    loopback_close(l);
}

static void drop(enum svl_level level, const char *line, void *arg)
{
    (void)level, (void)line;
    ++*(int *)arg;
}

Test(skeleton, a_path_without_a_slash_stops_the_start)
{
    struct svl_server_config config = {.chain = CHAIN(.path = "hi")};
    struct svl_server *server;
    int lines = 0;

    svl_log_to(drop, &lines);
    cr_expect_lt(svl_server_open(&server, &config), 0);
    cr_expect_eq(lines, 1);
}
