#include "serval/text.h"

#include "support/exact.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool prints_uint(uint64_t value, const char *text)
{
    char to[SVL_UINT_LEN];

    return svl_str_eq((svl_str){to, svl_uint_print(to, value)}, svl_str_of(text));
}

Test(text, unsigned_numbers_are_printed)
{
    char want[32];

    cr_assert(prints_uint(0, "0"));
    cr_assert(prints_uint(UINT64_MAX, "18446744073709551615"));
    for (uint64_t power = 1; power < UINT64_C(10000000000000000000); power *= 10) {
        for (int around = -1; around <= 1; around++) {
            snprintf(want, sizeof want, "%llu", (unsigned long long)power + (unsigned)around);
            cr_assert(prints_uint(power + (unsigned)around, want), "%s", want);
        }
    }
}

Test(text, signed_numbers_are_printed_and_read_back)
{
    static const int64_t values[] = {0, 1, -1, 42, -42, INT64_MAX, INT64_MIN};

    for (size_t i = 0; i < COUNT(values); i++) {
        char to[SVL_INT_LEN];
        int64_t again = 7;
        svl_str s = {to, svl_int_print(to, values[i])};

        cr_assert(svl_int_parse(s, &again) && again == values[i], "%lld", (long long)values[i]);
    }
}

Test(text, only_digits_that_fit_are_an_unsigned_number)
{
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "123w",
                                      "0x10",
                                      "1234.545",
                                      "1_000",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "100000000000000000000"};
    uint64_t value = 7;

    for (size_t i = 0; i < COUNT(bad); i++)
        cr_assert(!svl_uint_parse(svl_str_of(bad[i]), &value) && value == 7, "%s", bad[i]);
    cr_assert(svl_uint_parse(SVL_STR("00012"), &value) && value == 12);
    cr_assert(svl_uint_parse(SVL_STR("18446744073709551615"), &value) && value == UINT64_MAX);
    cr_assert(svl_uint_parse(SVL_STR("00000000000000000000000001"), &value) && value == 1);
}

/* Digits are read several at a time: all lengths, the odd byte at each place. */
Test(text, numbers_of_every_length_are_read_and_refused)
{
    static const char odd[] = {'/', ':', ' ', '\0', '\x80', '\xb1', '\xff'};

    for (size_t n = 1; n <= 19; n++) {
        svl_str s = exact(svl_str_head(SVL_STR("9182736450918273645"), n));
        char *p = (char *)s.p;
        uint64_t value = 7, want = strtoull("9182736450918273645", NULL, 10);

        for (size_t i = n; i < 19; i++)
            want /= 10;
        cr_assert(svl_uint_parse(s, &value) && value == want, "%zu", n);
        for (size_t at = 0; at < n; at++)
            for (size_t i = 0; i < COUNT(odd); i++) {
                char digit = p[at];

                p[at] = odd[i];
                cr_assert(!svl_uint_parse(s, &value) && value == want, "%zu %zu", n, at);
                p[at] = digit;
            }
        exact_free(s);
    }
}

Test(text, signed_numbers_end_where_their_type_ends)
{
    int64_t value = 7;

    cr_assert(svl_int_parse(SVL_STR("9223372036854775807"), &value) && value == INT64_MAX);
    cr_assert(svl_int_parse(SVL_STR("-9223372036854775808"), &value) && value == INT64_MIN);
    cr_assert(!svl_int_parse(SVL_STR("9223372036854775808"), &value));
    cr_assert(!svl_int_parse(SVL_STR("-9223372036854775809"), &value));
    cr_assert(!svl_int_parse(SVL_STR("-"), &value) && !svl_int_parse(SVL_STR("--1"), &value));
    cr_assert(svl_int_parse(SVL_STR("+5"), &value) && value == 5);
}

Test(text, hex_is_printed_and_read_back)
{
    static const uint64_t values[] = {0, 1, 9, 10, 15, 16, 255, 256, 0xdeadbeef, UINT64_MAX};

    for (size_t i = 0; i < COUNT(values); i++) {
        char to[SVL_HEX_LEN], want[20];
        uint64_t again = 7;
        svl_str s = {to, svl_hex_print(to, values[i])};

        snprintf(want, sizeof want, "%llx", (unsigned long long)values[i]);
        cr_assert(svl_str_eq(s, svl_str_of(want)), "%s", want);
        cr_assert(svl_hex_parse(s, &again) && again == values[i]);
    }
}

Test(text, hex_takes_both_cases_and_nothing_else)
{
    uint64_t value = 7;

    cr_assert(svl_hex_parse(SVL_STR("aBcDeF09"), &value) && value == 0xabcdef09);
    cr_assert(!svl_hex_parse(SVL_STR(""), &value) && !svl_hex_parse(SVL_STR("0x1"), &value));
    cr_assert(!svl_hex_parse(SVL_STR("10000000000000000"), &value));
    cr_assert(!svl_hex_parse(SVL_STR("\xff"), &value));
}

Test(text, floats_are_what_the_library_reads)
{
    static const char *const good[] = {
        "0",
        "-0",
        "1.",
        ".1",
        "-.5",
        "123.456",
        "1234e23",
        "1234E-51",
        "1e22",
        "1e23",
        "1.234e+32",
        "1e-22",
        "1e-23",
        "9007199254740993",
        "4.9e-324",
        "1e-400",
        "1.7976931348623157e308",
        "2.2250738585072011e-308",
        "123456789012345678901234567890",
        "0.1",
        "0.30000000000000004",
        "18446744073709551616",
        "1844674407370955161600000",
        "100000000000000000000000000",
        "0.000000000000000000000000000000000000000000000000000000001"};

    for (size_t i = 0; i < COUNT(good); i++) {
        double value = 7, want = strtod(good[i], NULL);

        cr_assert(svl_float_parse(svl_str_of(good[i]), &value), "%s", good[i]);
        cr_assert(value == want && signbit(value) == signbit(want), "%s: %.17g", good[i], value);
    }
}

static bool read_as_by_the_library(const char *text)
{
    double value = 7, want = strtod(text, NULL);

    return svl_float_parse(svl_str_of(text), &value) ? value == want : !isfinite(want);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Digits of every number, with every power of ten; from 20 digits on some are left out. */
Test(text, floats_of_all_sizes_are_what_the_library_reads)
{
    uint64_t seed = 88172645463325252;
    char text[64];

    for (int exponent = -370; exponent <= 320; exponent++)
        for (int digits = 1; digits <= 40; digits++) {
            for (int i = 0; i < digits; i++)
                text[i] = (char)('0' + next_random(&seed) % 10);
            snprintf(text + digits, sizeof text - (size_t)digits, "e%d", exponent);
            cr_assert(read_as_by_the_library(text), "%s", text);
        }
}

/* Odd numbers of 54 bits lie in the middle between two doubles. */
Test(text, floats_between_two_others_are_what_the_library_reads)
{
    uint64_t seed = 1;
    char text[64];

    for (int i = 0; i < 20000; i++) {
        uint64_t middle = (UINT64_C(1) << 53 | next_random(&seed) >> 11 | 1) << i % 10;

        snprintf(text, sizeof text, "%llu", (unsigned long long)middle);
        cr_assert(read_as_by_the_library(text), "%s", text);
        snprintf(text, sizeof text, "%llu.%d", (unsigned long long)middle, i % 3);
        cr_assert(read_as_by_the_library(text), "%s", text);
        snprintf(text, sizeof text, "%llue%d", (unsigned long long)middle, i % 60 - 30);
        cr_assert(read_as_by_the_library(text), "%s", text);
    }
}

Test(text, what_is_not_a_float_is_refused)
{
    static const char *const bad[] = {
        "",    ".",    "-",   "+",     "e5",  "1e",      "1e+",     "1 ",       " 1",    "1.3.4",
        "inf", "-Inf", "nan", "0x1p3", "1,5", "123e5e6", "123534e", "123E+SS5", "1e999", "1e309"};
    double value = 7;

    for (size_t i = 0; i < COUNT(bad); i++)
        cr_assert(!svl_float_parse(svl_str_of(bad[i]), &value) && value == 7, "%s", bad[i]);
}

Test(text, a_float_of_255_bytes_is_read_and_a_longer_one_not)
{
    char text[256];
    double value;

    memset(text, '0', sizeof text);
    text[254] = '1';
    cr_assert(svl_float_parse((svl_str){text, 255}, &value) && value == 1);
    cr_assert(!svl_float_parse((svl_str){text, 256}, &value));
}

Test(text, floats_are_printed_as_short_as_they_can_be_read_back)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},          {1, "1"},
                 {-1.5, "-1.5"},    {0.1, "0.1"},
                 {1e15, "1e+15"},   {123456789, "123456789"},
                 {1e100, "1e+100"}, {0.1 + 0.2, "0.30000000000000004"},
                 {1e-7, "1e-07"},   {-0.0, "-0"},
                 {INFINITY, "inf"}, {-INFINITY, "-inf"}};
    char to[SVL_FLOAT_LEN];

    for (size_t i = 0; i < COUNT(cases); i++) {
        svl_str s = {to, svl_float_print(to, cases[i].value)};

        cr_assert(svl_str_eq(s, svl_str_of(cases[i].text)), "%.*s", SVL_FMT(s));
    }
    cr_assert_eq(svl_float_print(to, NAN), 3);
}

Test(text, the_locale_changes_nothing)
{
    char to[SVL_FLOAT_LEN];
    double value;

    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
        return; /* no such locale on this machine */
    cr_assert(svl_str_eq((svl_str){to, svl_float_print(to, 0.30000000000000004)},
                         SVL_STR("0.30000000000000004")));
    cr_assert(svl_float_parse(SVL_STR("1.5e300"), &value) && value == 1.5e300);
}

Test(text, truths_have_many_words)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True", "y", "yes", "on"};
    static const char *const no[] = {"0", "f", "false", "n", "no", "NO", "off"};
    static const char *const neither[] = {"", "2", "123", "ye", "yess", "-1"};
    bool value;

    for (size_t i = 0; i < COUNT(yes); i++)
        cr_assert(svl_bool_parse(svl_str_of(yes[i]), &value) && value, "%s", yes[i]);
    for (size_t i = 0; i < COUNT(no); i++)
        cr_assert(svl_bool_parse(svl_str_of(no[i]), &value) && !value, "%s", no[i]);
    for (size_t i = 0; i < COUNT(neither); i++)
        cr_assert(!svl_bool_parse(svl_str_of(neither[i]), &value), "%s", neither[i]);
}

static char canonical_byte(char before, char c)
{
    bool starts = before == '-';

    if (starts && c >= 'a' && c <= 'z')
        return (char)(c - 'a' + 'A');
    return !starts && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static char lower_byte(char before, char c)
{
    (void)before;
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* What `change` makes of s, into other memory and in place, is what `byte` makes of each byte. */
static void compare_bytewise(svl_str s, void (*change)(char *to, svl_str s),
                             char (*byte)(char before, char c))
{
    svl_str to = exact(s);

    change((char *)to.p, s);
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < s.n; i++)
            cr_assert_eq(to.p[i], byte(i ? s.p[i - 1] : '-', s.p[i]), "%zu of %zu", i, s.n);
        memcpy((char *)to.p, s.p, s.n);
        change((char *)to.p, to);
    }
    exact_free(to);
}

Test(text, case_changes_in_texts_of_every_length)
{
    static const char some[] = "aAzZmM--@[`{/0\xe1\xc1\x80\x01";
    uint64_t seed = 7;
    char text[80];

    for (size_t n = 1; n < 80; n++)
        for (int round = 0; round < 20; round++) {
            svl_str s;

            for (size_t i = 0; i < n; i++)
                text[i] = some[next_random(&seed) % (sizeof some - 1)];
            s = exact((svl_str){text, n});
            compare_bytewise(s, svl_header_canonical, canonical_byte);
            compare_bytewise(s, svl_lower, lower_byte);
            exact_free(s);
        }
}

Test(text, only_ascii_letters_change_case)
{
    char all[256], lower[256], upper[256];

    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    for (size_t from = 0; from < 16; from++) {
        svl_str s = exact((svl_str){all + from, 256 - from});

        svl_lower(lower, s);
        svl_upper(upper, s);
        for (size_t i = 0; i < s.n; i++) {
            char c = s.p[i];

            cr_assert_eq(lower[i], c >= 'A' && c <= 'Z' ? c + 32 : c);
            cr_assert_eq(upper[i], c >= 'a' && c <= 'z' ? c - 32 : c);
        }
        exact_free(s);
    }
}

Test(text, header_names_are_written_as_usual)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"a", "A"},
        {"foO-bAr-BAZ", "Foo-Bar-Baz"},
        {"x-forwarded-FOR", "X-Forwarded-For"},
        {"content-security-policy-report-only", "Content-Security-Policy-Report-Only"},
        {"-a--b-", "-A--B-"},
        {"1a-2b", "1a-2b"},
        {"eightxx-y", "Eightxx-Y"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        svl_str name = exact(svl_str_of(cases[i][0]));

        svl_header_canonical((char *)name.p, name);
        cr_assert(svl_str_eq(name, svl_str_of(cases[i][1])), "%s", cases[i][0]);
        exact_free(name);
    }
}

Test(text, tokens_are_what_rfc_9110_says)
{
    cr_assert(svl_is_token(SVL_STR("!#$%&'*+-.^_`|~09azAZ")));
    for (const char *c = " \t\r\n\"(),/:;<=>?@[\\]{}\x7f\x80"; *c; c++) {
        char text[3] = {'a', *c, 'b'};

        cr_assert(!svl_is_token((svl_str){text, 3}), "%c", *c);
    }
    cr_assert(!svl_is_token(SVL_STR("")) && !svl_is_token((svl_str){"a\0b", 3}));
}

Test(text, the_nearest_name_is_found)
{
    static const char *const names[] = {"port", "listen", "log", "log-file", NULL};

    cr_expect_str_eq(svl_nearest(names, SVL_STR("prot")), "port");
    cr_expect_str_eq(svl_nearest(names, SVL_STR("lisen")), "listen");
    cr_expect_str_eq(svl_nearest(names, SVL_STR("log-flie")), "log-file");
    cr_expect_null(svl_nearest(names, SVL_STR("verbosity")));
    cr_expect_null(svl_nearest(names, SVL_STR("")));
    cr_expect_null(svl_nearest(names, SVL_STR_NONE));
    cr_expect_null(svl_nearest(names, SVL_STR("loglogloglogloglogloglogloglogloglog")));
}
