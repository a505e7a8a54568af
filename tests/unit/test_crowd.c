/* Counting connections by address. */
#include "net/crowd.h"

#include "serval/ip.h"

#include <criterion/criterion.h>
#include <sys/socket.h>

static struct svl_address v4(uint32_t n)
{
    return (struct svl_address){
        .family = AF_INET,
        .ip = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

static struct svl_address v6(const char *text)
{
    struct svl_address address = {.family = AF_INET6};

    cr_assert(svl_ipv6_parse(svl_str_of(text), address.ip));
    return address;
}

Test(crowd, takes_as_many_as_it_may_and_again_when_one_has_left)
{
    struct svl_address a = v4(0xc0000201), b = v4(0xc0000202);
    struct svl_crowd crowd;

    svl_crowd_init(&crowd, 2, 64);
    cr_assert(svl_crowd_enter(&crowd, &a));
    cr_assert(svl_crowd_enter(&crowd, &a));
    cr_assert_not(svl_crowd_enter(&crowd, &a));
    cr_assert(svl_crowd_enter(&crowd, &b));
    svl_crowd_leave(&crowd, &a);
    cr_assert(svl_crowd_enter(&crowd, &a));
    svl_crowd_finish(&crowd);
}

Test(crowd, counts_ipv6_clients_by_their_prefix)
{
    static const struct {
        unsigned bits;
        const char *one, *other;
        bool same;
    } cases[] = {
        {64, "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
        {64, "2001:db8:0:1::1", "2001:db8:0:2::1", false},
        {56, "2001:db8:0:1ff::1", "2001:db8:0:100::1", true},
        {57, "2001:db8:0:1ff::1", "2001:db8:0:100::1", false},
        {128, "2001:db8::1", "2001:db8::2", false},
        {1, "2001:db8::1", "7fff::", true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct svl_address one = v6(cases[i].one), other = v6(cases[i].other);
        struct svl_crowd crowd;

        svl_crowd_init(&crowd, 1, cases[i].bits);
        cr_assert(svl_crowd_enter(&crowd, &one));
        cr_assert_eq(svl_crowd_enter(&crowd, &other), !cases[i].same, "case %zu", i);
        svl_crowd_finish(&crowd);
    }
}

Test(crowd, welcomes_what_has_no_address)
{
    struct svl_address local = {.family = AF_UNIX}, memory = {.family = 0};
    struct svl_crowd crowd;

    svl_crowd_init(&crowd, 1, 64);
    for (int i = 0; i < 3; i++) {
        cr_assert(svl_crowd_enter(&crowd, &local));
        cr_assert(svl_crowd_enter(&crowd, &memory));
    }
    svl_crowd_leave(&crowd, &local);
    svl_crowd_finish(&crowd);
}

Test(crowd, grows_and_forgets)
{
    struct svl_crowd crowd;

    svl_crowd_init(&crowd, 1, 64);
    for (uint32_t i = 0; i < 5000; i++) {
        struct svl_address a = v4(i);

        cr_assert(svl_crowd_enter(&crowd, &a));
    }
    for (uint32_t i = 0; i < 5000; i++) {
        struct svl_address a = v4(i);

        cr_assert_not(svl_crowd_enter(&crowd, &a));
        svl_crowd_leave(&crowd, &a);
    }
    cr_assert_eq(crowd.n_entries, 0);
    svl_crowd_finish(&crowd);
}
