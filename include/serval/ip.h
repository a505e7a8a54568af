/* IP addresses in text. All functions: any thread, no allocation. */
#ifndef SVL_IP_H
#define SVL_IP_H

#include "serval/str.h"

#include <stdint.h>

#define SVL_IPV4_LEN 15 /* "255.255.255.255" */
#define SVL_IPV6_LEN 45 /* "ffff:...:255.255.255.255" */

/* Four decimal numbers without leading zeros (RFC 3986 3.2.2); IPv6 as in RFC 4291 2.2, without
 * brackets and zone. Return false, and leave `ip` alone, for anything else. */
bool svl_ipv4_parse(svl_str s, uint8_t ip[4]);
bool svl_ipv6_parse(svl_str s, uint8_t ip[16]);

/* Write at most the number of bytes above, without a NUL; return how many. IPv6 is written as RFC
 * 5952 wants it. */
size_t svl_ipv4_print(char *to, const uint8_t ip[4]);
size_t svl_ipv6_print(char *to, const uint8_t ip[16]);

#endif
