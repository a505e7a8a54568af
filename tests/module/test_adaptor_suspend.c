/* Handlers written for libmicrohttpd that suspend their request. */
/* ctest-module: adaptor */
#include "support/foreign.h"

#include <criterion/criterion.h>

TestSuite(adaptor_suspend, .init = foreign_begin, .fini = foreign_end);
TestSuite(adaptor_suspend_own, .fini = foreign_end);

static int asked;

static enum MHD_Result suspend_twice(struct MHD_Connection *c, const char *url)
{
    (void)url;
    if (asked++ < 2) {
        MHD_suspend_connection(c);
        return MHD_YES;
    }
    return foreign_say(c, "resumed");
}

Test(adaptor_suspend, a_suspended_request_waits_until_it_is_resumed)
{
    cr_assert_eq(foreign_get(suspend_twice).n, 0);
    loopback_round(foreign.l);
    cr_assert_eq(asked, 1);
    MHD_resume_connection(foreign.now);
    MHD_resume_connection(foreign.now);
    loopback_round(foreign.l);
    cr_assert_eq(asked, 2);
    cr_assert_eq(loopback_take(foreign.l).n, 0);
    MHD_resume_connection(foreign.now);
    loopback_round(foreign.l);
    foreign_expect(loopback_take(foreign.l), "resumed");
}

static bool is_completed(void *arg)
{
    (void)arg;
    return foreign.completed > 0;
}

static enum MHD_Result resume_at_once(struct MHD_Connection *c, const char *url)
{
    (void)url;
    if (asked++ > 0)
        return foreign_say(c, "resumed");
    MHD_suspend_connection(c);
    MHD_resume_connection(c);
    return MHD_YES;
}

Test(adaptor_suspend, a_request_may_be_resumed_before_its_callback_returns)
{
    svl_str answer = foreign_get(resume_at_once);

    loopback_until(foreign.l, is_completed, NULL);
    foreign_expect(answer.n ? answer : loopback_take(foreign.l), "resumed");
    cr_assert_eq(asked, 2);
}

Test(adaptor_suspend, a_suspended_request_outlives_its_client)
{
    foreign_get(suspend_twice);
    loopback_reset(foreign.l);
    cr_assert_eq(foreign.completed, 0);
    MHD_resume_connection(foreign.now);
    loopback_round(foreign.l);
    cr_assert_eq(foreign.completed, 1);
}

FOREIGN_HANDLER(suspend_pieces)
{
    foreign.now = c;
    foreign_note("%zu;", *n);
    if (*n > 1) { /* takes one byte, and rests */
        --*n;
        MHD_suspend_connection(c);
        return MHD_YES;
    }
    if (*n == 0 && asked++ > 0)
        return foreign_say(c, "all");
    *n = 0;
    return MHD_YES;
}

Test(adaptor_suspend_own, a_request_may_be_suspended_within_its_body)
{
    foreign.l = LOOPBACK(SVL_USE(adaptor, .handler = suspend_pieces));
    loopback_send(foreign.l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    for (int i = 0; i < 2; i++) {
        MHD_resume_connection(foreign.now);
        loopback_round(foreign.l);
        loopback_pass(foreign.l, 1);
    }
    foreign_expect(loopback_take(foreign.l), "all");
    cr_assert_str_eq(foreign.trail, "0;3;2;1;0;");
}

FOREIGN_HANDLER(drop_pieces)
{
    foreign.now = c;
    if (*n && asked++ > 0)
        return MHD_NO;
    if (*n)
        MHD_suspend_connection(c);
    return MHD_YES;
}

Test(adaptor_suspend_own, no_after_a_suspension_closes)
{
    foreign.l = LOOPBACK(SVL_USE(adaptor, .handler = drop_pieces));
    loopback_send(foreign.l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc");
    MHD_resume_connection(foreign.now);
    loopback_round(foreign.l);
    cr_assert(loopback_closed(foreign.l));
}
