#include "serval/ip.h"

#include "support/exact.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>

Test(ip, ipv4_has_four_numbers_up_to_255)
{
    static const char *const bad[] = {
        "",         "1.2.3",  "1.2.3.4.5", "123.456.789.11", "b.1.2.3",    "1.2.3.",
        ".1.2.3",   "1..2.3", "1.2.3.256", "01.2.3.4",       "1.2.3.0004", " 1.2.3.4",
        "1.2.3.4 ", "::1",    "127.1",     "0x1.2.3.4",      "1.2.3.+4",   "1.2.3.99999999999"};
    uint8_t ip[4] = {9, 9, 9, 9};

    for (size_t i = 0; i < COUNT(bad); i++) {
        svl_str s = exact(svl_str_of(bad[i]));

        cr_assert(!svl_ipv4_parse(s, ip) && ip[0] == 9, "%s", bad[i]);
        exact_free(s);
    }
    cr_assert(svl_ipv4_parse(SVL_STR("0.10.200.255"), ip));
    cr_assert(ip[0] == 0 && ip[1] == 10 && ip[2] == 200 && ip[3] == 255);
}

Test(ip, every_byte_of_ipv4_is_printed_and_read_back)
{
    for (unsigned i = 0; i < 256; i++) {
        uint8_t ip[4] = {(uint8_t)i, 0, (uint8_t)(255 - i), 1}, again[4];
        char to[SVL_IPV4_LEN], want[INET_ADDRSTRLEN];
        svl_str s = {to, svl_ipv4_print(to, ip)};

        cr_assert(svl_str_eq(s, svl_str_of(inet_ntop(AF_INET, ip, want, sizeof want))));
        cr_assert(svl_ipv4_parse(s, again) && memcmp(ip, again, 4) == 0);
    }
}

static const char *const addresses[] = {"::",
                                        "::1",
                                        "1::",
                                        "1::2",
                                        "2001:db8::1",
                                        "1:2:3:4:5:6:7:8",
                                        "1:2:3:4:5:6:7::",
                                        "::2:3:4:5:6:7:8",
                                        "fe80::1:0:0:2",
                                        "ABCD:EF01::2345",
                                        "::ffff:192.0.2.1",
                                        "64:ff9b::192.0.2.33",
                                        "1:2:3:4:5:6:1.2.3.4",
                                        "::1.2.3.4",
                                        "1:0:0:2::3",
                                        "0:0:0:0:0:0:0:0",
                                        "1:0:1:0:1:0:1:0"};

Test(ip, ipv6_is_read_as_the_library_reads_it)
{
    for (size_t i = 0; i < COUNT(addresses); i++) {
        svl_str s = exact(svl_str_of(addresses[i]));
        uint8_t ip[16], want[16];

        cr_assert_eq(inet_pton(AF_INET6, addresses[i], want), 1);
        cr_assert(svl_ipv6_parse(s, ip) && memcmp(ip, want, 16) == 0, "%s", addresses[i]);
        exact_free(s);
    }
}

Test(ip, what_the_library_refuses_is_not_ipv6)
{
    static const char *const bad[] = {"",
                                      ":",
                                      ":::",
                                      "1",
                                      "1:",
                                      ":1",
                                      "1:2:3:4:5:6:7",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1::2::3",
                                      "12345::",
                                      "g::",
                                      "::ffff:192.0.2.300",
                                      "1:2:3:4:5:6:7:1.2.3.4",
                                      "0:0::vulndetector.com",
                                      "[::1]",
                                      "::1%eth0",
                                      "1:::2",
                                      "::1 ",
                                      "1.2.3.4",
                                      "::1.2.3",
                                      "1:2:3:4:5:6:7:8::",
                                      "::1.2.3.4:5"};
    uint8_t ip[16];

    for (size_t i = 0; i < COUNT(bad); i++) {
        svl_str s = exact(svl_str_of(bad[i]));

        cr_assert(!svl_ipv6_parse(s, ip), "%s", bad[i]);
        exact_free(s);
    }
}

Test(ip, ipv6_is_printed_as_rfc_5952_wants_it)
{
    static const char *const cases[][2] = {
        {"2001:0db8::0001", "2001:db8::1"},
        {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"ABCD::", "abcd::"},
        {"0:0:0:0:0:0:0:0", "::"},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
        {"1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t ip[16];
        char to[SVL_IPV6_LEN];

        cr_assert(svl_ipv6_parse(svl_str_of(cases[i][0]), ip));
        cr_assert(svl_str_eq((svl_str){to, svl_ipv6_print(to, ip)}, svl_str_of(cases[i][1])), "%s",
                  cases[i][0]);
    }
}
