/* HTTP dates. The C library is not asked: its calls depend on locale and time zone, and are slow. */
#include "serval/date.h"

#define DAY 86400
#define LAST_SECOND 253402300799 /* Fri, 31 Dec 9999 23:59:59 */

static const char day_names[7][10] = {"Thursday", "Friday",  "Saturday", "Sunday",
                                      "Monday",   "Tuesday", "Wednesday"}; /* from 1 Jan 1970 on */
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct moment {
    int year, month, day; /* month and day from 1 */
    int hour, minute, second;
};

/* --- Days and the calendar -------------------------------------------------------------------
 *
 * Years are counted from March: then the leap day is the last of its year, and the lengths of the
 * months before it follow the line (153 m + 2) / 5. 719468 days lie between 1 March of year 0 and
 * 1 January 1970; 146097 are in 400 years. Good for years from 0 on. */

static int64_t days_of_date(int year, int month, int day)
{
    int y = month > 2 ? year : year - 1;
    int m = month > 2 ? month - 3 : month + 9;
    int era = (y + 400) / 400 - 1; /* the year before 0 is in era -1 */
    int in_era = y - era * 400;
    int in_year = (153 * m + 2) / 5 + day - 1;

    return (int64_t)era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static void date_of_days(struct moment *to, int days) /* days >= 0 */
{
    int z = days + 719468;
    int era = z / 146097;
    int day_of_era = z % 146097;
    int year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int in_year = day_of_era - (365 * year + year / 4 - year / 100);
    int m = (5 * in_year + 2) / 153;

    to->day = in_year - (153 * m + 2) / 5 + 1;
    to->month = m < 10 ? m + 3 : m - 9;
    to->year = era * 400 + year + (to->month <= 2);
}

static int days_in_month(int year, int month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 2 && leap ? 29 : days[month - 1];
}

/* --- Printing ------------------------------------------------------------------------------- */

static void put_two(char *to, int value)
{
    to[0] = (char)('0' + value / 10);
    to[1] = (char)('0' + value % 10);
}

void svl_date_print(char *to, int64_t seconds)
{
    seconds = seconds < 0 ? 0 : seconds > LAST_SECOND ? LAST_SECOND : seconds;
    int days = (int)(seconds / DAY), rest = (int)(seconds % DAY);
    struct moment t;

    date_of_days(&t, days);
    memcpy(to, "ddd, 00 mmm 0000 00:00:00 GMT", SVL_DATE_LEN);
    memcpy(to, day_names[days % 7], 3);
    put_two(to + 5, t.day);
    memcpy(to + 8, month_names[t.month - 1], 3);
    put_two(to + 12, t.year / 100);
    put_two(to + 14, t.year % 100);
    put_two(to + 17, rest / 3600);
    put_two(to + 20, rest / 60 % 60);
    put_two(to + 23, rest % 60);
}

/* --- Reading --------------------------------------------------------------------------------
 *
 * Numbers and names that are not there read as -1, which no range check lets through. */

static int two(const char *p)
{
    unsigned a = (unsigned char)p[0] - '0', b = (unsigned char)p[1] - '0';

    return a < 10 && b < 10 ? (int)(a * 10 + b) : -1;
}

static int four(const char *p)
{
    int a = two(p), b = two(p + 2);

    return a < 0 || b < 0 ? -1 : a * 100 + b;
}

static int month_of(const char *p)
{
    for (int i = 0; i < 12; i++)
        if (memcmp(p, month_names[i], 3) == 0)
            return i + 1;
    return -1;
}

/* Case counts in dates (RFC 9110 5.6.7). Whether the day name fits the date is not asked: the
 * date says it all, and a client's slip would cost it a whole answer instead of a 304. */
static bool is_day(const char *p, size_t n)
{
    for (int i = 0; i < 7; i++)
        if (memcmp(p, day_names[i], n) == 0 && (n == 3 || day_names[i][n] == '\0'))
            return true;
    return false;
}

static bool read_time(struct moment *t, const char *p) /* 08:49:37 */
{
    if (p[2] != ':' || p[5] != ':')
        return false;
    t->hour = two(p);
    t->minute = two(p + 3);
    t->second = two(p + 6);
    return true;
}

static bool read_imf(struct moment *t, svl_str s) /* Sun, 06 Nov 1994 08:49:37 GMT */
{
    const char *p = s.p;

    if (!is_day(p, 3) || memcmp(p + 3, ", ", 2) != 0 || p[7] != ' ' || p[11] != ' ' ||
        p[16] != ' ' || memcmp(p + 25, " GMT", 4) != 0)
        return false;
    t->day = two(p + 5);
    t->month = month_of(p + 8);
    t->year = four(p + 12);
    return read_time(t, p + 17);
}

static bool read_rfc850(struct moment *t, svl_str s) /* Sunday, 06-Nov-94 08:49:37 GMT */
{
    size_t n = svl_str_find(s, ',');

    if (s.n != n + 24 || !is_day(s.p, n)) /* so 6 <= n <= 9 */
        return false;
    const char *p = s.p + n + 2;

    if (p[-1] != ' ' || p[2] != '-' || p[6] != '-' || p[9] != ' ' || memcmp(p + 18, " GMT", 4) != 0)
        return false;
    t->day = two(p);
    t->month = month_of(p + 3);
    t->year = two(p + 7);
    /* RFC 9110 wants the century from the clock (at most 50 years ahead). A fixed one keeps this a
     * function of its text; they differ for years nobody's file was changed in. */
    if (t->year >= 0)
        t->year += t->year < 70 ? 2000 : 1900;
    return read_time(t, p + 10);
}

static bool read_asctime(struct moment *t, svl_str s) /* Sun Nov  6 08:49:37 1994 */
{
    const char *p = s.p;
    char day[2] = {p[8] == ' ' ? '0' : p[8], p[9]};

    if (!is_day(p, 3) || p[3] != ' ' || p[7] != ' ' || p[10] != ' ' || p[19] != ' ')
        return false;
    t->day = two(day);
    t->month = month_of(p + 4);
    t->year = four(p + 20);
    return read_time(t, p + 11);
}

static bool read_moment(struct moment *t, svl_str s)
{
    if (s.n == SVL_DATE_LEN && s.p[3] == ',')
        return read_imf(t, s);
    if (s.n == 24)
        return read_asctime(t, s);
    if (s.n >= 30 && s.n <= 33)
        return read_rfc850(t, s);
    return false;
}

static bool is_real(const struct moment *t)
{
    return t->year >= 0 && t->month >= 1 && t->day >= 1 &&
           t->day <= days_in_month(t->year, t->month) && t->hour >= 0 && t->hour <= 23 &&
           t->minute >= 0 && t->minute <= 59 && t->second >= 0 &&
           t->second <= 60; /* a leap second is the first of the next minute */
}

bool svl_date_parse(svl_str text, int64_t *seconds)
{
    struct moment t;

    if (!read_moment(&t, text) || !is_real(&t))
        return false;
    *seconds =
        days_of_date(t.year, t.month, t.day) * DAY + t.hour * 3600 + t.minute * 60 + t.second;
    return true;
}
