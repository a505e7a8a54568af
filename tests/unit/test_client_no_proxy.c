/* Which hosts are reached without the proxy. */
#include "run/client.h"

#include <criterion/criterion.h>

static bool without(const char *list, const char *host, unsigned port)
{
    return svl_no_proxy(svl_str_of(list), svl_str_of(host), port);
}

static void yes(const char *list, const char *host)
{
    cr_assert(without(list, host, 80), "%s: %s", list, host);
}

static void no(const char *list, const char *host)
{
    cr_assert_not(without(list, host, 80), "%s: %s", list, host);
}

Test(client_no_proxy, names_and_what_is_below)
{
    static const char *const lists[] = {"example.com",  ".example.com",   "*.example.com",
                                        "EXAMPLE.com.", "a, example.com", "a  .Example.Com\t,b"};

    for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++) {
        yes(lists[i], "example.com");
        yes(lists[i], "Www.example.com");
        yes(lists[i], "a.b.example.com.");
        no(lists[i], "notexample.com");
        no(lists[i], "example.com.evil");
        no(lists[i], "com");
        no(lists[i], "10.0.0.1");
    }
}

Test(client_no_proxy, all_and_nothing)
{
    yes("*", "x");
    yes("a,*", "10.0.0.1");
    yes("*", "[::1]");
    no("", "x");
    no(",, ,", "x");
    no(".", "x");
    no("*.", "x");
    no("*x", "x");
    no(":80", "x");
    no("[]", "x");
    no("/8", "10.0.0.1");
}

Test(client_no_proxy, addresses)
{
    yes("10.0.0.1", "10.0.0.1");
    no("0.0.1", "10.0.0.1");
    no("10.0.0.1", "10.0.0.12");
    no("10.0.0.1", "2.10.0.0.1"); /* a name, and addresses have nothing below them */
    yes("::1", "[::1]");
    yes("[::1]", "[::1]");
    yes("0:0:0::1", "[::1]");
    no("::1", "[::2]");
    yes("10.0.0.1", "[::ffff:10.0.0.1]");
    yes("::ffff:10.0.0.1", "10.0.0.1");
}

Test(client_no_proxy, networks)
{
    yes("10.0.0.0/8", "10.255.255.255");
    yes("10.1.2.3/8", "10.0.0.1");
    no("10.0.0.0/8", "11.0.0.0");
    yes("192.168.1.128/25", "192.168.1.200");
    no("192.168.1.128/25", "192.168.1.127");
    yes("192.168.1.77/32", "192.168.1.77");
    no("192.168.1.77/32", "192.168.1.76");
    yes("192.168.1.76/31", "192.168.1.77");
    yes("0.0.0.0/0", "1.2.3.4");
    no("0.0.0.0/0", "[2001:db8::1]");
    yes("::/0", "[2001:db8::1]");
    yes("fd00::/8", "[fd12:3456::1]");
    yes("[fd00::]/8", "[fd12:3456::1]");
    no("fd00::/8", "[fe80::1]");
    yes("fe80::/10", "[febf::1]");
    no("fe80::/10", "[fec0::1]");
    no("10.0.0.0/8", "ten.test"); /* names are not looked up for it */
    no("10.0.0.0/33", "10.0.0.0");
    no("10.0.0.0/", "10.0.0.0");
    no("10.0.0.0/8x", "10.0.0.0");
    no("10.0.0/8", "10.0.0.0");
    no("::/129", "[::1]");
}

Test(client_no_proxy, ports)
{
    cr_assert(without("x.test:8080", "x.test", 8080));
    cr_assert(without("x.test:8080", "a.x.test", 8080));
    cr_assert_not(without("x.test:8080", "x.test", 80));
    cr_assert(without("*:8080", "y", 8080));
    cr_assert_not(without("*:8080", "y", 80));
    cr_assert(without("10.0.0.1:81", "10.0.0.1", 81));
    cr_assert_not(without("10.0.0.1:81", "10.0.0.1", 80));
    cr_assert(without("10.0.0.0/8:81", "10.2.3.4", 81));
    cr_assert_not(without("10.0.0.0/8:81", "10.2.3.4", 80));
    cr_assert(without("[::1]:81", "[::1]", 81));
    cr_assert_not(without("[::1]:81", "[::1]", 80));
    cr_assert(without("[fd00::]/8:81", "[fd00::1]", 81));
    cr_assert_not(without("[fd00::]/8:81", "[fd00::1]", 80));
    cr_assert_not(without("x.test:", "x.test", 80));
    cr_assert_not(without("x.test:80x", "x.test", 80));
    cr_assert_not(without("x.test:99999999999999999999", "x.test", 80));
}
