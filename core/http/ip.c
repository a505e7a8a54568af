/* IP addresses: no scope, no octal, no shortcuts like "127.1". */
#include "serval/ip.h"

#include "http/chars.h"
#include "serval/text.h"

bool svl_ipv4_parse(svl_str s, uint8_t ip[4])
{
    uint8_t bytes[4];
    size_t i = 0;

    for (int part = 0; part < 4; part++) {
        unsigned value = 0;
        size_t begin;

        if (part > 0 && (i == s.n || s.p[i++] != '.'))
            return false;
        for (begin = i; i < s.n && i - begin < 3; i++) {
            unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';

            if (digit > 9)
                break;
            value = value * 10 + digit;
        }
        if (i == begin || value > 255 || (i - begin > 1 && s.p[begin] == '0'))
            return false;
        bytes[part] = (uint8_t)value;
    }
    if (i != s.n)
        return false;
    memcpy(ip, bytes, 4);
    return true;
}

static char *print_byte(char *to, unsigned value)
{
    unsigned tens = value / 10;

    if (value >= 100) {
        *to++ = (char)('0' + value / 100);
        tens %= 10;
    }
    if (value >= 10)
        *to++ = (char)('0' + tens);
    *to++ = (char)('0' + value % 10);
    return to;
}

size_t svl_ipv4_print(char *to, const uint8_t ip[4])
{
    char *at = print_byte(to, ip[0]);

    for (int i = 1; i < 4; i++) {
        *at++ = '.';
        at = print_byte(at, ip[i]);
    }
    return (size_t)(at - to);
}

/* Up to four hex digits at the front of *s, which are taken off; -1 without one. */
static int take_group(svl_str *s)
{
    int value = 0;
    size_t i = 0;

    for (; i < s->n && i < 4 && svl_hex_digit(s->p[i]) >= 0; i++)
        value = value << 4 | svl_hex_digit(s->p[i]);
    *s = svl_str_from(*s, i);
    return i > 0 ? value : -1;
}

/* Groups separated by ':' until "::" or the end; an IPv4 address may be the last two. Returns how
 * many were written, or -1. */
static int take_groups(svl_str *s, uint8_t *to, int max)
{
    int n = 0;

    while (s->n > 0 && s->p[0] != ':') {
        svl_str before = *s;
        int group = take_group(s);

        if (group < 0 || n == max)
            return -1;
        if (s->n > 0 && s->p[0] == '.') {
            if (n + 2 > max || !svl_ipv4_parse(before, to + 2 * n))
                return -1;
            *s = svl_str_from(*s, s->n);
            return n + 2;
        }
        to[2 * n] = (uint8_t)(group >> 8);
        to[2 * n + 1] = (uint8_t)group;
        n++;
        if (s->n == 0)
            break;
        if (s->p[0] != ':' || s->n == 1)
            return -1;
        if (s->p[1] != ':')
            *s = svl_str_from(*s, 1);
    }
    return n;
}

bool svl_ipv6_parse(svl_str s, uint8_t ip[16])
{
    uint8_t head[16], tail[16];
    int front, back;

    if (s.n < 2)
        return false;
    front = take_groups(&s, head, 8);
    if (front < 0)
        return false;
    if (s.n == 0) {
        if (front != 8)
            return false;
        memcpy(ip, head, 16);
        return true;
    }
    if (front == 8 || s.n < 2 || s.p[1] != ':')
        return false;
    s = svl_str_from(s, 2);
    back = take_groups(&s, tail, 7 - front);
    if (back < 0 || s.n > 0)
        return false;
    memset(ip, 0, 16);
    memcpy(ip, head, 2 * (size_t)front);
    memcpy(ip + 16 - 2 * back, tail, 2 * (size_t)back);
    return true;
}

static unsigned group_of(const uint8_t ip[16], int i)
{
    return (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
}

/* The first of the longest runs of zero groups, if it has at least two (RFC 5952 4.2). */
static int longest_run(const uint8_t ip[16], int *len)
{
    int best = -1, best_len = 1, n = 0;

    for (int i = 0; i < 8; i++) {
        n = group_of(ip, i) ? 0 : n + 1;
        if (n > best_len) {
            best_len = n;
            best = i + 1 - n;
        }
    }
    *len = best_len;
    return best;
}

size_t svl_ipv6_print(char *to, const uint8_t ip[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    int run_len, run = longest_run(ip, &run_len);
    size_t n = 0;

    if (memcmp(ip, mapped, 12) == 0) {
        memcpy(to, "::ffff:", 7);
        return 7 + svl_ipv4_print(to + 7, ip + 12);
    }
    for (int i = 0; i < 8; i++) {
        if (i == run) {
            to[n++] = ':';
            if (i + run_len == 8)
                to[n++] = ':';
            i += run_len - 1;
            continue;
        }
        if (i > 0)
            to[n++] = ':';
        n += svl_hex_print(to + n, group_of(ip, i));
    }
    return n;
}
