#include "serval/date.h"

#include "support/exact.h"

#include <criterion/criterion.h>
#include <time.h>

static bool parse(const char *text, size_t n, int64_t *seconds)
{
    svl_str s = exact((svl_str){text, n});
    bool ok = svl_date_parse(s, seconds);

    exact_free(s);
    return ok;
}

static void assert_reads(const char *text, int64_t want)
{
    int64_t got = -1;

    cr_assert(parse(text, strlen(text), &got), "%s", text);
    cr_assert_eq(got, want, "%s: %lld", text, (long long)got);
}

static void assert_refused(const char *text, size_t n)
{
    int64_t got = 42;

    cr_assert_not(parse(text, n, &got), "%s", text);
    cr_assert_eq(got, 42);
}

Test(date, imf_fixdate_is_read)
{
    assert_reads("Sun, 06 Nov 1994 08:49:37 GMT", 784111777);
    assert_reads("Thu, 01 Jan 1970 00:00:00 GMT", 0);
    assert_reads("Wed, 31 Dec 1969 23:59:59 GMT", -1);
    assert_reads("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799);
    assert_reads("Sat, 01 Jan 0000 00:00:00 GMT", -62167219200);
    assert_reads("Tue, 19 Jan 2038 03:14:08 GMT", 2147483648);
}

Test(date, rfc850_form_is_read)
{
    assert_reads("Sunday, 06-Nov-94 08:49:37 GMT", 784111777);
    assert_reads("Wednesday, 09-Nov-94 08:49:37 GMT", 784370977);
    assert_reads("Monday, 07-Nov-94 08:49:37 GMT", 784198177);
}

Test(date, rfc850_years_before_70_are_of_this_century)
{
    assert_reads("Thursday, 01-Jan-70 00:00:00 GMT", 0);
    assert_reads("Friday, 31-Dec-99 23:59:59 GMT", 946684799);
    assert_reads("Saturday, 01-Jan-00 00:00:00 GMT", 946684800);
    assert_reads("Tuesday, 31-Dec-69 23:59:59 GMT", 3155759999);
}

Test(date, asctime_form_is_read)
{
    assert_reads("Sun Nov  6 08:49:37 1994", 784111777);
    assert_reads("Wed Nov 16 08:49:37 1994", 784975777);
    assert_reads("Sun Nov 06 08:49:37 1994", 784111777);
}

Test(date, leap_days_exist_in_leap_years_only)
{
    assert_reads("Tue, 29 Feb 2000 00:00:00 GMT", 951782400);
    assert_reads("Thu, 29 Feb 2024 12:00:00 GMT", 1709208000);
    static const char *const bad[] = {
        "Mon, 29 Feb 1900 00:00:00 GMT",  "Mon, 29 Feb 2100 00:00:00 GMT",
        "Wed, 29 Feb 2023 00:00:00 GMT",  "Fri, 30 Feb 2024 00:00:00 GMT",
        "Monday, 29-Feb-99 00:00:00 GMT",
    };

    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(bad[i], strlen(bad[i]));
}

Test(date, a_leap_second_is_the_first_of_the_next_minute)
{
    assert_reads("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800);
    assert_reads("Saturday, 31-Dec-16 23:59:60 GMT", 1483228800);
    assert_reads("Sat Dec 31 23:59:60 2016", 1483228800);
}

Test(date, a_day_name_that_does_not_fit_the_date_is_let_pass)
{
    assert_reads("Mon, 06 Nov 1994 08:49:37 GMT", 784111777);
}

Test(date, anything_else_is_refused)
{
    static const char *const bad[] = {
        "",
        "0",
        "784111777",
        "now",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "SUN, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sux, 06 Nov 1994 08:49:37 GMT",
        "Sun,  6 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun; 06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 32 Dec 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 08-49:37 GMT",
        "Sun, 06 Nov 1994 08:49-37 GMT",
        "Sun, 06 Nov 1994  8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:+7 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, 06 Nov 19:4 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:3\xb7 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06 Nov 94 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sundae, 06-Nov-94 08:49:37 GMT",
        "Sunday 06-Nov-94 08:49:37 GMT",
        "Sunday,06-Nov-94 08:49:37 GMT ",
        "Monday, 06-Nov-94 08:49:37 GM",
        "Monday, 06-Nov-xx 08:49:37 GMT",
        "Sunday, 06/Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov/94 08:49:37 GMT",
        "Sunday, 06-Nov-94T08:49:37 GMT",
        "sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
        "Sun Nov  0 08:49:37 1994",
        "Sun Nov   08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 ",
        "Sun Nov  6 08:49:37-1994",
        "SunxNov  6 08:49:37 1994",
        "Sun Novx 6 08:49:37 1994",
        "Sun Nov  6x08:49:37 1994",
        "1994-11-06T08:49:37Z",
        "Sunday, 06-Nov-94 08:49:37 GMT, Sunday, 06-Nov-94",
    };

    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(bad[i], strlen(bad[i]));
    int64_t seconds;
    cr_assert_not(svl_date_parse(SVL_STR_NONE, &seconds));
}

Test(date, every_cut_and_every_nul_is_refused)
{
    static const char *const forms[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                        "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};

    for (size_t f = 0; f < COUNT(forms); f++) {
        size_t n = strlen(forms[f]);

        for (size_t i = 0; i < n; i++) {
            char text[64];

            assert_refused(forms[f], i);
            memcpy(text, forms[f], n);
            text[i] = '\0';
            assert_refused(text, n);
        }
    }
}

static void assert_prints(int64_t seconds, const char *want)
{
    char to[SVL_DATE_LEN + 1];

    memset(to, '#', sizeof to);
    svl_date_print(to, seconds);
    cr_assert(memcmp(to, want, SVL_DATE_LEN) == 0, "%.29s", to);
    cr_assert_eq(to[SVL_DATE_LEN], '#');
}

Test(date, seconds_are_printed)
{
    assert_prints(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_prints(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_prints(951868799, "Tue, 29 Feb 2000 23:59:59 GMT");
    assert_prints(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
}

Test(date, seconds_outside_are_clamped)
{
    assert_prints(-1, "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_prints(INT64_MIN, "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_prints(253402300800, "Fri, 31 Dec 9999 23:59:59 GMT");
    assert_prints(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
}

Test(date, every_day_agrees_with_the_c_library)
{
    for (int64_t t = 12345; t <= 253402300799; t += 86400 + 1) {
        time_t seconds = (time_t)t;
        char want[64], got[SVL_DATE_LEN];
        struct tm tm;
        int64_t back;

        strftime(want, sizeof want, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&seconds, &tm));
        svl_date_print(got, t);
        cr_assert(memcmp(got, want, SVL_DATE_LEN) == 0, "%s", want);
        cr_assert(svl_date_parse((svl_str){got, SVL_DATE_LEN}, &back) && back == t, "%s", want);
    }
}
