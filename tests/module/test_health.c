/* health: alive, ready, and not. */
#include "serval/mod/health.h"
#include "support/loopback.h"

#include <criterion/criterion.h>

static const char *state;

static const char *check(void *arg)
{
    return arg ? arg : state;
}

static const struct svl_health_check checks[] = {{"db", check, NULL}, {.name = NULL}};

#define BODY(answer, text)                                                                         \
    cr_expect(svl_str_eq(loopback_body(answer), SVL_STR(text)), "%.*s", SVL_FMT(answer))

Test(health, lives_and_is_ready)
{
    struct loopback *l = LOOPBACK(SVL_USE(health, .live = NULL));

    BODY(loopback_get(l, "/healthz", ""), "ok\n");
    BODY(loopback_get(l, "/readyz", ""), "ok\n");
    cr_expect_eq(loopback_status(loopback_get(l, "/healthz/", "")), 404, "only the exact path");
    cr_expect_eq(loopback_status(loopback_ask(l, "POST /healthz HTTP/1.1\r\nHost: t\r\n\r\n")),
                 405);
    loopback_close(l);
}

Test(health, checks_say_what_is_not_well)
{
    struct loopback *l = LOOPBACK(SVL_USE(health, .checks = checks, .ready = "/r"));

    BODY(loopback_get(l, "/r", ""), "ok\ndb: ok\n");
    BODY(loopback_get(l, "/r", "Accept: application/json\r\n"),
         "{\"status\":\"ok\",\"db\":\"ok\"}\n");
    state = "no connection";
    cr_expect_eq(loopback_status(loopback_get(l, "/r", "")), 503);
    BODY(loopback_get(l, "/r", ""), "unavailable\ndb: no connection\n");
    BODY(loopback_get(l, "/r", "Accept: application/json\r\n"),
         "{\"status\":\"unavailable\",\"db\":\"no connection\"}\n");
    BODY(loopback_get(l, "/healthz", ""), "ok\n");
    loopback_close(l);
}

Test(health, a_program_can_take_itself_out_of_service)
{
    struct loopback *l = LOOPBACK(SVL_USE(health, .live = NULL));

    svl_health_set_ready(false);
    cr_expect_eq(loopback_status(loopback_get(l, "/readyz", "")), 503);
    svl_health_set_ready(true);
    cr_expect_eq(loopback_status(loopback_get(l, "/readyz", "")), 200);
    loopback_close(l);
}
