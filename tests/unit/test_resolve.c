/* Names to addresses. "127.1" is one that every system's resolver knows without asking anybody, and that
 * is not an address to us. */
#include "net/resolve.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/socket.h>

static struct svl_worker worker;
static struct svl_resolver resolver;

struct asked {
    struct svl_lookup lookup; /* first */
    int done, error;
    struct svl_addresses found;
};

static void on_closed(struct svl_worker *w)
{
    (void)w;
}

static void begin(void)
{
    worker = (struct svl_worker){.cpu = -1, .on_closed = on_closed};
    cr_assert_eq(svl_worker_open(&worker), 0);
    svl_resolver_init(&resolver, &worker, 1000, false);
}

static void end(void)
{
    svl_resolver_finish(&resolver);
    svl_worker_close(&worker);
}

TestSuite(resolve, .init = begin, .fini = end);

static void on_resolved(struct svl_lookup *lookup, int error, const struct svl_addresses *found)
{
    struct asked *asked = (struct asked *)lookup;

    asked->done++;
    asked->error = error;
    if (found)
        asked->found = *found;
}

static void look_up(struct asked *asked, const char *name)
{
    memset(asked, 0, sizeof *asked);
    asked->lookup.done = on_resolved;
    svl_resolve(&resolver, svl_str_of(name), &asked->lookup);
}

static void wait_for(const struct asked *asked)
{
    while (!asked->done)
        svl_worker_poll(&worker, false);
}

static void is_loopback(const struct asked *asked)
{
    cr_assert_eq(asked->done, 1);
    cr_assert_eq(asked->error, 0);
    cr_assert_geq(asked->found.n, 1);
    cr_assert_eq(asked->found.at[0].family, AF_INET);
    cr_assert_eq(memcmp(asked->found.at[0].ip, "\x7f\0\0\1", 4), 0);
}

Test(resolve, addresses_need_no_look_up)
{
    struct asked a;

    look_up(&a, "127.0.0.1");
    is_loopback(&a);
    look_up(&a, "localhost");
    is_loopback(&a);
    cr_assert_eq(a.found.n, 2);
    cr_assert_eq(a.found.at[1].family, AF_INET6);
    look_up(&a, "[::1]");
    cr_assert_eq(a.found.n, 1);
    cr_assert_eq(a.found.at[0].family, AF_INET6);
    cr_assert_eq(resolver.n, 0);
}

Test(resolve, what_was_found_is_kept)
{
    struct asked a, b;

    look_up(&a, "127.1");
    look_up(&b, "127.1");
    cr_assert_eq(a.done, 0);
    cr_assert_eq(resolver.n, 1);
    wait_for(&a);
    is_loopback(&a);
    is_loopback(&b);
    look_up(&a, "127.1");
    is_loopback(&a);
    svl_resolver_forget(&resolver);
    look_up(&a, "127.1");
    cr_assert_eq(a.done, 0);
    wait_for(&a);
}

Test(resolve, but_not_for_ever)
{
    struct asked a;

    look_up(&a, "127.1");
    wait_for(&a);
    worker.ahead_ms += 1001;
    look_up(&a, "127.1");
    cr_assert_eq(a.done, 0);
    wait_for(&a);
}

Test(resolve, what_is_no_name)
{
    static char name[300];
    struct asked a;

    look_up(&a, "");
    cr_assert_lt(a.error, 0);
    memset(name, 'x', 299);
    look_up(&a, name);
    cr_assert_lt(a.error, 0);
}

Test(resolve, who_does_not_wait_is_not_told)
{
    struct asked a, b;

    look_up(&a, "127.1");
    look_up(&b, "127.1");
    svl_resolve_cancel(&a.lookup);
    wait_for(&b);
    cr_assert_eq(a.done, 0);
}

Test(resolve, its_end_does_not_wait)
{
    struct asked a;

    look_up(&a, "127.1");
    svl_resolver_finish(&resolver);
    cr_assert_eq(a.done, 0);
    cr_assert_eq(resolver.n, 0);
}

Test(resolve, names_have_a_limit)
{
    struct asked a;
    char name[20];

    for (int i = 0; i < SVL_MAX_NAMES + 20; i++) {
        snprintf(name, sizeof name, "127.%d", i + 1);
        look_up(&a, name);
        wait_for(&a);
    }
    cr_assert_eq(resolver.n, SVL_MAX_NAMES);
}
