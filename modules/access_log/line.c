#include "line.h"

#include <time.h>

void svl_line_text(struct line *l, svl_str s)
{
    size_t room = (size_t)(l->end - l->at);

    if (s.n > room)
        s.n = room;
    if (s.n)
        memcpy(l->at, s.p, s.n);
    l->at += s.n;
}

void svl_line_char(struct line *l, char c)
{
    if (l->at < l->end)
        *l->at++ = c;
}

void svl_line_pad(struct line *l, const char *since, size_t width)
{
    while (l->at < l->end && (size_t)(l->at - since) < width)
        *l->at++ = ' ';
}

void svl_line_number(struct line *l, uint64_t n)
{
    char digits[20], *p = digits + sizeof digits;

    do
        *--p = (char)('0' + n % 10);
    while (n /= 10);
    svl_line_text(l, (svl_str){p, (size_t)(digits + sizeof digits - p)});
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void svl_line_escaped(struct line *l, svl_str s, size_t room)
{
    static const char hex[] = "0123456789abcdef";
    const char *p = s.p, *end = s.p + s.n, *limit;

    if (room > (size_t)(l->end - l->at))
        room = (size_t)(l->end - l->at);
    if (room < 8) /* one escape and the dots */
        return;
    limit = l->at + room - 7;

    while (p < end && l->at <= limit) {
        const char *from = p;
        size_t most = (size_t)(limit - l->at) + 1;

        while (p < end && (size_t)(p - from) < most && is_plain((unsigned char)*p))
            p++;
        memcpy(l->at, from, (size_t)(p - from));
        l->at += p - from;
        if (p < end && l->at <= limit && !is_plain((unsigned char)*p)) {
            memcpy(l->at, "\\x", 2);
            l->at[2] = hex[(unsigned char)*p >> 4];
            l->at[3] = hex[(unsigned char)*p & 15];
            l->at += 4;
            p++;
        }
    }
    if (p < end)
        svl_line_text(l, SVL_STR("..."));
}

/* JSON ----------------------------------------------------------------------------------------*/

/* How many bytes of a well-formed UTF-8 character begin at p, or 0 (RFC 3629 4). */
static size_t utf8(const unsigned char *p, const unsigned char *end)
{
    size_t n = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
    unsigned char low = *p == 0xe0 ? 0xa0 : *p == 0xf0 ? 0x90 : 0x80;
    unsigned char high = *p == 0xed ? 0x9f : *p == 0xf4 ? 0x8f : 0xbf;

    if (*p < 0xc2 || *p > 0xf4 || (size_t)(end - p) < n || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return n;
}

/* Writes the next character of s to `to` (6 bytes) and says how long it became; *from goes on. */
static size_t json_char(char *to, const unsigned char **from, const unsigned char *end)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *p = *from;
    size_t n = *p < 0x80 ? 1 : utf8(p, end);

    *from += n ? n : 1;
    if (n == 0) {
        memcpy(to, "\\ufffd", 6);
        return 6;
    }
    if (*p == '"' || *p == '\\') {
        to[0] = '\\';
        to[1] = (char)*p;
        return 2;
    }
    if (*p < 0x20 || *p == 0x7f) {
        memcpy(to, "\\u00", 4);
        to[4] = hex[*p >> 4];
        to[5] = hex[*p & 15];
        return 6;
    }
    memcpy(to, p, n);
    return n;
}

void svl_line_json(struct line *l, svl_str s, size_t room)
{
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
    char *limit;

    if (room > (size_t)(l->end - l->at))
        room = (size_t)(l->end - l->at);
    if (room < 9) /* one character and the dots */
        return;
    limit = l->at + room - 9;
    while (p < end && l->at <= limit)
        l->at += json_char(l->at, &p, end);
    if (p < end)
        svl_line_text(l, SVL_STR("..."));
}

/* Numbers and times ---------------------------------------------------------------------------*/

void svl_line_thousandths(struct line *l, uint64_t n, unsigned digits)
{
    char text[4] = {'.', (char)('0' + n / 100 % 10), (char)('0' + n / 10 % 10),
                    (char)('0' + n % 10)};

    svl_line_number(l, n / 1000);
    if (digits > 0)
        svl_line_text(l, (svl_str){text, 1 + (digits < 3 ? digits : 3)});
}

static void two(char *to, int n)
{
    to[0] = (char)('0' + n / 10 % 10);
    to[1] = (char)('0' + n % 10);
}

static struct tm local(int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;

    if (!localtime_r(&t, &tm)) { /* a year that does not fit an int */
        t = 0;
        gmtime_r(&t, &tm);
    }
    return tm;
}

static void clock_of(char *to, const struct tm *tm)
{
    two(to, tm->tm_hour);
    to[2] = to[5] = ':';
    two(to + 3, tm->tm_min);
    two(to + 6, tm->tm_sec);
}

void svl_line_clock(char *to, int64_t seconds)
{
    struct tm tm = local(seconds);

    clock_of(to, &tm);
}

/* By hand, because strftime() would ask the locale for the month. */
void svl_line_stamp(char *to, int64_t seconds)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm = local(seconds);
    int zone = (int)(tm.tm_gmtoff / 60), year = (tm.tm_year + 1900) % 10000;

    to[0] = '[';
    two(to + 1, tm.tm_mday);
    to[3] = '/';
    memcpy(to + 4, months + 3 * (tm.tm_mon % 12), 3);
    to[7] = '/';
    two(to + 8, year / 100);
    two(to + 10, year);
    to[12] = ':';
    clock_of(to + 13, &tm);
    to[21] = ' ';
    to[22] = zone < 0 ? '-' : '+';
    zone = zone < 0 ? -zone : zone;
    two(to + 23, zone / 60);
    two(to + 25, zone % 60);
    to[27] = ']';
}

void svl_line_time(char *to, int64_t seconds, unsigned microseconds)
{
    time_t t = (time_t)seconds;
    struct tm tm = {0};

    if (!gmtime_r(&t, &tm)) { /* a year that does not fit an int */
        t = 0;
        gmtime_r(&t, &tm);
    }
    two(to, (tm.tm_year + 1900) / 100);
    two(to + 2, tm.tm_year + 1900);
    to[4] = to[7] = '-';
    two(to + 5, tm.tm_mon + 1);
    two(to + 8, tm.tm_mday);
    to[10] = 'T';
    clock_of(to + 11, &tm);
    to[19] = '.';
    two(to + 20, (int)(microseconds / 10000));
    two(to + 22, (int)(microseconds / 100));
    two(to + 24, (int)microseconds);
    to[26] = 'Z';
}
