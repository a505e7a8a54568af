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
