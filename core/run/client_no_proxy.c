/* no_proxy: which hosts are reached without the proxy. There is no standard for it; what is read here is
 * what curl, Go and Python agree on, and what one of them knows and the others do not mind. */
#include "run/client.h"

#include "serval/ip.h"

#define ADDRESS_BITS 128

/* An IPv4 address has the bits of its IPv4-mapped form (RFC 4291 2.5.5.2): both are the same host. */
struct network {
    uint8_t ip[ADDRESS_BITS / 8];
    unsigned bits;
};

static svl_str without_brackets(svl_str s)
{
    if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
        return (svl_str){s.p + 1, s.n - 2};
    return s;
}

/* Returns how many bits the address has as it is written, 0 if it is none. */
static unsigned parse_address(svl_str text, uint8_t ip[ADDRESS_BITS / 8])
{
    text = without_brackets(text);
    if (svl_ipv6_parse(text, ip))
        return 128;
    memset(ip, 0, 10);
    ip[10] = ip[11] = 0xff;
    return svl_ipv4_parse(text, ip + 12) ? 32 : 0;
}

/* "10.0.0.0/8", "fd00::/8", "[fd00::]/8", or an address alone. */
static bool parse_network(svl_str text, struct network *network)
{
    size_t slash = svl_str_find(text, '/');
    unsigned own = parse_address(svl_str_head(text, slash), network->ip);
    unsigned long long bits = own;

    if (own == 0)
        return false;
    if (slash < text.n && (!svl_str_u64(svl_str_from(text, slash + 1), &bits) || bits > own))
        return false;
    network->bits = (unsigned)bits + (ADDRESS_BITS - own);
    return true;
}

static bool contains(const struct network *network, const uint8_t ip[ADDRESS_BITS / 8])
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;

    if (memcmp(network->ip, ip, whole) != 0)
        return false;
    return rest == 0 || (network->ip[whole] ^ ip[whole]) >> (8 - rest) == 0;
}

/* Takes ":8080" off its end; false if it is another port. An IPv6 address with one has brackets. */
static bool take_port(svl_str *entry, unsigned port)
{
    size_t bracket = svl_str_find(*entry, ']');
    size_t from = bracket < entry->n ? bracket : 0;
    size_t colon = from + svl_str_find(svl_str_from(*entry, from), ':');
    unsigned long long number;
    svl_str text;

    if (colon >= entry->n)
        return true;
    text = svl_str_from(*entry, colon + 1);
    if (svl_str_find(text, ':') < text.n)
        return true; /* an address without brackets */
    *entry = svl_str_head(*entry, colon);
    return svl_str_u64(text, &number) && number == port;
}

static svl_str without_last_dot(svl_str s)
{
    return s.n > 0 && s.p[s.n - 1] == '.' ? svl_str_head(s, s.n - 1) : s;
}

/* "example.com", ".example.com" and "*.example.com" stand for it and all below. */
static bool has_name(svl_str entry, svl_str host)
{
    if (svl_str_starts(entry, SVL_STR("*.")))
        entry = svl_str_from(entry, 1);
    if (svl_str_starts(entry, SVL_STR(".")))
        entry = svl_str_from(entry, 1);
    entry = without_last_dot(entry);
    host = without_last_dot(host);
    if (entry.n == 0 || host.n < entry.n)
        return false;
    if (!svl_str_ieq(svl_str_from(host, host.n - entry.n), entry))
        return false;
    return host.n == entry.n || host.p[host.n - entry.n - 1] == '.';
}

static bool listed(svl_str entry, svl_str host, unsigned port)
{
    struct network network;
    uint8_t ip[ADDRESS_BITS / 8];
    bool is_address;

    if (!take_port(&entry, port))
        return false;
    if (svl_str_eq(entry, SVL_STR("*")))
        return true;
    is_address = parse_address(host, ip) > 0;
    if (parse_network(entry, &network))
        return is_address && contains(&network, ip);
    return !is_address && has_name(entry, host);
}

bool svl_no_proxy(svl_str list, svl_str host, unsigned port)
{
    svl_str part, entry;

    while (svl_str_split(&list, ',', &part))
        while (svl_str_split(&part, ' ', &entry))
            if (listed(svl_str_trim(entry), host, port))
                return true;
    return false;
}
