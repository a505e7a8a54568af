/* request_id: ids that differ, and ids that clients bring. */
#include "serval/mod/request_id.h"
#include "support/loopback.h"

#include <criterion/criterion.h>

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, svl_request_id(ctx));
}

static struct loopback *open_with(const struct svl_request_id_config *config)
{
    return loopback_open(&(struct svl_server_config){
        .chain = (const struct svl_use[]){{&svl_request_id_module, config}, SVL_USE_END},
        .handler = handler});
}

Test(request_id, each_request_has_its_own)
{
    struct loopback *l = open_with(&(struct svl_request_id_config){0});
    char first[64];
    svl_str answer = loopback_get(l, "/", "X-Request-ID: mine\r\n"), id;

    id = loopback_field(answer, "X-Request-ID");
    cr_expect_eq(id.n, 36);
    cr_expect_eq(id.p[14], '4');
    cr_expect(strchr("89ab", id.p[19]));
    cr_expect(svl_str_eq(id, loopback_body(answer)));
    svl_str_copy(first, sizeof first, id);
    id = loopback_field(loopback_get(l, "/", ""), "X-Request-ID");
    cr_expect_not(svl_str_eq(id, svl_str_of(first)));
    loopback_close(l);
}

Test(request_id, a_clients_id_is_taken_when_trusted_and_harmless)
{
    struct loopback *l = open_with(
        &(struct svl_request_id_config){.trust = true, .header = "X-Trace", .silent = true});
    svl_str answer = loopback_get(l, "/", "X-Trace: a-1.b:2_C\r\n");

    cr_expect(svl_str_eq(loopback_body(answer), SVL_STR("a-1.b:2_C")));
    cr_expect_null(loopback_field(answer, "X-Trace").p);
    cr_expect_eq(loopback_body(loopback_get(l, "/", "X-Trace: <script>\r\n")).n, 36);
    cr_expect_eq(loopback_body(loopback_get(l, "/", "X-Trace: \r\n")).n, 36);
    loopback_close(l);
}

Test(request_id, answers_of_nobody_carry_it_too)
{
    struct loopback *l = LOOPBACK(SVL_USE(request_id, .trust = false));
    svl_str answer = loopback_get(l, "/", "");

    cr_expect_eq(loopback_status(answer), 404);
    cr_expect_eq(loopback_field(answer, "X-Request-ID").n, 36);
    loopback_close(l);
}
