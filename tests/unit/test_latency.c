/* What serval bench reports of a server that stalls, by a clock of the test's: the same numbers each time. The
 * server answers one request after the other, each in 1 ms, but for one that takes half a second. */
#include "cli/latency.h"

#include <criterion/criterion.h>
#include <string.h>

#define MS UINT64_C(1000)
#define REQUESTS 2000
#define STALLED 700 /* this one */
#define STALL (500 * MS)
#define SERVICE (1 * MS)

static uint64_t service_of(unsigned n)
{
    return n == STALLED ? STALL : SERVICE;
}

/* Buckets are 1.6 % wide, and say where they begin. */
static void about(uint64_t got_us, uint64_t expected_us)
{
    cr_assert(got_us <= expected_us && got_us >= expected_us * 97 / 100, "%llu us, not %llu",
              (unsigned long long)got_us, (unsigned long long)expected_us);
}

/* One connection that asks again when it was answered. */
static void ask_when_answered(struct svl_latency *latency)
{
    uint64_t now = 0;

    for (unsigned n = 0; n < REQUESTS; n++) {
        uint64_t due = now;

        now += service_of(n);
        svl_latency_add(latency, due, now);
    }
}

/* What somebody saw who came by every millisecond, whether the server was busy or not. */
static void come_by(struct svl_latency *latency)
{
    uint64_t end = (REQUESTS - 1) * SERVICE + STALL;
    uint64_t from = STALLED * SERVICE, to = from + STALL;

    for (uint64_t now = 0; now < end; now += SERVICE)
        svl_latency_add(latency, now, now >= from && now < to ? to : now + SERVICE);
}

Test(latency, a_stall_is_hidden_from_who_waits_for_it)
{
    static struct svl_latency measured, seen;

    ask_when_answered(&measured);
    come_by(&seen);
    about(svl_latency_part_us(&measured, 0.99), SERVICE); /* one in 2000 is not in the last 1 % */
    about(svl_latency_part_us(&seen, 0.99), STALL - 24 * MS);

    svl_latency_put_in_omitted(&measured, svl_latency_part_us(&measured, 0.5));
    for (unsigned part = 500; part < 1000; part++) {
        uint64_t truth = svl_latency_part_us(&seen, part / 1000.0);
        uint64_t got = svl_latency_part_us(&measured, part / 1000.0);

        cr_assert(
            got + 2 * SERVICE + truth / 30 >= truth && got <= truth + 2 * SERVICE + truth / 30,
            "%u: %llu us, not %llu", part, (unsigned long long)got, (unsigned long long)truth);
    }
    cr_assert_eq(measured.max_us, STALL);
}

Test(latency, without_a_stall_nothing_is_put_in)
{
    static struct svl_latency latency, before;

    for (unsigned n = 0; n < 1000; n++)
        svl_latency_add(&latency, 0, n % 2 ? 1000 : 1900);
    before = latency;
    svl_latency_put_in_omitted(&latency, 1000);
    cr_assert_eq(memcmp(&latency, &before, sizeof before), 0);
    svl_latency_put_in_omitted(&latency, 0);
    cr_assert_eq(memcmp(&latency, &before, sizeof before), 0);
}

#define LATE (2 * MS)

/* At a rate: 100 per second, which come on one connection, so that one waits for the other. The bench looks
 * what is due each 5 ms, and always 2 ms late. `by_plan` = timed from when it was due, else from when it
 * could be sent. */
static void ask_at_a_rate(struct svl_latency *latency, bool by_plan)
{
    struct svl_plan plan = {.begin_us = 5, .rate = 100};
    uint64_t free_at = 0, due;
    unsigned n = 0;

    for (uint64_t now = plan.begin_us + LATE; n < REQUESTS; now += 5 * MS)
        while (n < REQUESTS && svl_plan_next(&plan, now, &due)) {
            uint64_t sent = free_at > now ? free_at : now;

            cr_assert_eq(due, 5 + n * 10 * MS);
            free_at = sent + service_of(n++);
            svl_latency_add(latency, by_plan ? due : sent, free_at);
        }
}

Test(latency, at_a_rate_requests_are_timed_from_when_they_were_due)
{
    static struct svl_latency planned, sent;

    ask_at_a_rate(&planned, true);
    ask_at_a_rate(&sent, false);
    about(svl_latency_part_us(&sent, 0.99), SERVICE);
    /* The stall keeps the 50 requests that are due in it, and some more until all are caught up: each
     * 9 ms less than the one before it: 20 of 2000 took longer than this. */
    about(svl_latency_part_us(&planned, 0.99), LATE + STALL - 20 * 9 * MS);
    about(planned.max_us, LATE + STALL);
}

Test(latency, a_plan_goes_on_while_the_server_stalls)
{
    struct svl_plan plan = {.begin_us = 1000000, .rate = 3};
    uint64_t due = 0;
    unsigned n = 0;

    cr_assert_not(svl_plan_next(&plan, 999999, &due));
    while (svl_plan_next(&plan, 3000000, &due)) /* nobody has looked for two seconds */
        cr_assert_eq(due, 1000000 + 1000000 * n++ / 3);
    cr_assert_eq(n, 7);
    cr_assert_eq(plan.next, 7);
    cr_assert_eq(due, 1000000 + 7000000 / 3);
}

Test(latency, buckets)
{
    static const uint64_t times[] = {0, 1, 63, 64, 65, 127, 128, 1000, 1000000, 60000000};

    for (unsigned i = 0; i < sizeof times / sizeof *times; i++) {
        struct svl_latency latency = {0};

        cr_assert_eq(svl_latency_part_us(&latency, 0.5), 0);
        svl_latency_add(&latency, 7, 7 + times[i]);
        about(svl_latency_part_us(&latency, 0), times[i]);
        about(svl_latency_part_us(&latency, 1), times[i]);
        cr_assert_eq(latency.max_us, times[i]);
    }
}
