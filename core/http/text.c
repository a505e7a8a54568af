/* Numbers, case and tokens. The C library is asked only for floats that need more than a
 * multiplication, and there in the "C" locale. */
#include "serval/text.h"

#include "http/bytes.h"
#include "http/chars.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- Printing numbers ----------------------------------------------------------------------- */

static const char two_digits[] = "00010203040506070809101112131415161718192021222324"
                                 "25262728293031323334353637383940414243444546474849"
                                 "50515253545556575859606162636465666768697071727374"
                                 "75767778798081828384858687888990919293949596979899";

static size_t digits_of(uint64_t value)
{
    size_t n = 1;

    for (; value >= 10000; value /= 10000)
        n += 4;
    return n + (value >= 10) + (value >= 100) + (value >= 1000);
}

size_t svl_uint_print(char *to, uint64_t value)
{
    size_t n = digits_of(value), at = n;

    while (value >= 100) {
        at -= 2;
        memcpy(to + at, two_digits + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10)
        memcpy(to, two_digits + 2 * value, 2);
    else
        to[0] = (char)('0' + value);
    return n;
}

size_t svl_int_print(char *to, int64_t value)
{
    if (value >= 0)
        return svl_uint_print(to, (uint64_t)value);
    to[0] = '-';
    return 1 + svl_uint_print(to + 1, -(uint64_t)value);
}

size_t svl_hex_print(char *to, uint64_t value)
{
    unsigned bits = value ? 64 - (unsigned)__builtin_clzll(value) : 1;
    size_t n = (bits + 3) / 4;

    for (size_t at = n; at-- > 0; value >>= 4)
        to[at] = "0123456789abcdef"[value & 15];
    return n;
}

/* What stands between the digits is the locale's idea of a point. */
static size_t plain_point(char *to, size_t n)
{
    size_t from = 0, end;

    while (from < n && (to[from] == '-' || (to[from] >= '0' && to[from] <= '9')))
        from++;
    if (from == n || to[from] == 'e')
        return n;
    for (end = from; end < n && !(to[end] >= '0' && to[end] <= '9'); end++)
        continue;
    to[from] = '.';
    memmove(to + from + 1, to + end, n - end);
    return n - (end - from) + 1;
}

size_t svl_float_print(char *to, double value)
{
    static const char *const special[] = {"nan", "inf", "-inf"};
    char text[64];
    int n = 0;

    if (!isfinite(value)) {
        const char *name = special[isnan(value) ? 0 : value > 0 ? 1 : 2];

        memcpy(to, name, strlen(name));
        return strlen(name);
    }
    if (fabs(value) < 1e15 && value == (double)(int64_t)value && !(value == 0 && signbit(value)))
        return svl_int_print(to, (int64_t)value);
    for (int digits = 15; digits <= 17; digits++) {
        double again;

        n = (int)plain_point(text, (size_t)snprintf(text, sizeof text, "%.*g", digits, value));
        if (svl_float_parse((svl_str){text, (size_t)n}, &again) && again == value)
            break;
    }
    memcpy(to, text, (size_t)n);
    return (size_t)n;
}

/* --- Reading numbers ------------------------------------------------------------------------ */

static bool parse_long(svl_str s, uint64_t *value)
{
    uint64_t v = 0;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';

        if (digit > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
            return false;
    }
    *value = v;
    return true;
}

bool svl_uint_parse(svl_str s, uint64_t *value)
{
    uint64_t v = 0;

    if (s.n - 1 > 18) /* 19 digits always fit */
        return parse_long(s, value);
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';

        if (digit > 9)
            return false;
        v = v * 10 + digit;
    }
    *value = v;
    return true;
}

bool svl_int_parse(svl_str s, int64_t *value)
{
    bool minus = s.n > 0 && s.p[0] == '-';
    uint64_t v;

    if (s.n > 0 && (minus || s.p[0] == '+'))
        s = svl_str_from(s, 1);
    if (!svl_uint_parse(s, &v) || v > (uint64_t)INT64_MAX + minus)
        return false;
    *value = minus ? (int64_t)-v : (int64_t)v;
    return true;
}

bool svl_hex_parse(svl_str s, uint64_t *value)
{
    uint64_t v = 0;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        int digit = svl_hex_digit(s.p[i]);

        if (digit < 0 || v >> 60)
            return false;
        v = v << 4 | (unsigned)digit;
    }
    *value = v;
    return true;
}

/* A number taken apart: digits * 10^exponent. */
struct number {
    uint64_t digits; /* the first 19 that count */
    int exponent;
    bool exact; /* no digit was left out */
    bool any;
};

static void add_digit(struct number *x, unsigned digit, bool behind_point)
{
    x->any = true;
    if (x->digits < UINT64_C(1000000000000000000)) {
        x->digits = x->digits * 10 + digit;
        x->exponent -= behind_point;
        return;
    }
    x->exact &= digit == 0;
    x->exponent += !behind_point;
}

static size_t read_digits(struct number *x, svl_str s, size_t i)
{
    bool point = false;

    for (; i < s.n; i++) {
        unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';

        if (digit <= 9)
            add_digit(x, digit, point);
        else if (s.p[i] == '.' && !point)
            point = true;
        else
            break;
    }
    return i;
}

/* "e-12" at the end of s. */
static bool read_exponent(struct number *x, svl_str s)
{
    svl_str digits = svl_str_from(s, 1);
    int64_t e;

    if (!svl_int_parse(digits, &e))
        return false;
    e = e > 100000 ? 100000 : e < -100000 ? -100000 : e;
    x->exponent += (int)e;
    return true;
}

/* Doubles hold integers up to 2^53 and powers of ten up to 10^22 exactly, so that one operation
 * on two of them is rounded only once, as it should be. Larger exponents may still do when the
 * digits have room for what is above 22. */
static bool simple_value(const struct number *x, double *value)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const uint64_t most = UINT64_C(1) << 53;
    uint64_t digits = x->digits;
    int exponent = x->exponent;

    if (!x->exact || digits > most || exponent < -22)
        return false;
    for (; exponent > 22 && digits > 0 && digits <= most / 10; exponent--)
        digits *= 10;
    if (exponent > 22)
        return false;
    *value = exponent < 0 ? (double)digits / powers[-exponent] : (double)digits * powers[exponent];
    return true;
}

static double library_value(svl_str s)
{
    static locale_t plain; /* glibc's own constant: nothing to free, the same for every thread */
    locale_t mine = __atomic_load_n(&plain, __ATOMIC_ACQUIRE);
    char text[256];

    if (!mine) {
        mine = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        __atomic_store_n(&plain, mine, __ATOMIC_RELEASE);
    }
    svl_str_copy(text, sizeof text, s);
    return strtod_l(text, NULL, mine);
}

bool svl_float_parse(svl_str s, double *value)
{
    struct number x = {.exact = true};
    bool minus = s.n > 0 && s.p[0] == '-';
    double v;
    size_t at;

    if (s.n > 255)
        return false;
    at = read_digits(&x, s, minus || (s.n > 0 && s.p[0] == '+'));
    if (!x.any)
        return false;
    if (at < s.n && ((s.p[at] | 0x20) != 'e' || !read_exponent(&x, svl_str_from(s, at))))
        return false;
    if (!simple_value(&x, &v))
        v = fabs(library_value(s));
    if (!isfinite(v))
        return false;
    *value = minus ? -v : v;
    return true;
}

bool svl_bool_parse(svl_str s, bool *value)
{
    static const struct {
        char text[6];
        bool value;
    } words[] = {{"1", true},      {"t", true},  {"true", true}, {"y", true},
                 {"yes", true},    {"on", true}, {"0", false},   {"f", false},
                 {"false", false}, {"n", false}, {"no", false},  {"off", false}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (svl_str_ieq(s, svl_str_of(words[i].text))) {
            *value = words[i].value;
            return true;
        }
    return false;
}

/* --- Case -----------------------------------------------------------------------------------
 *
 * Eight bytes at once: bit 7 of each byte of `letters` tells whether it lies in the range. A byte
 * above 127 is left alone. */

static uint64_t in_range(uint64_t word, char first, char last)
{
    uint64_t low = word & SVL_EACH_BYTE(0x7f);
    uint64_t from = low + SVL_EACH_BYTE(0x80 - (unsigned char)first);
    uint64_t behind = low + SVL_EACH_BYTE(0x7f - (unsigned char)last);

    return (from ^ behind) & ~word & SVL_EACH_BYTE(0x80);
}

/* The last word overlaps the one before: letters that were changed lie outside the range by then.
 * So `to` may be s.p. */
static void flip_range(char *to, svl_str s, char first, char last)
{
    uint64_t word, tail;
    size_t i = 0;

    if (s.n >= 8) {
        for (; i + 8 < s.n; i += 8) {
            memcpy(&word, s.p + i, 8);
            word ^= in_range(word, first, last) >> 2;
            memcpy(to + i, &word, 8);
        }
        memcpy(&tail, s.p + s.n - 8, 8);
        tail ^= in_range(tail, first, last) >> 2;
        memcpy(to + s.n - 8, &tail, 8);
        return;
    }
    for (; i < s.n; i++)
        to[i] = s.p[i] >= first && s.p[i] <= last ? (char)(s.p[i] ^ 0x20) : s.p[i];
}

void svl_lower(char *to, svl_str s)
{
    flip_range(to, s, 'A', 'Z');
}

void svl_upper(char *to, svl_str s)
{
    flip_range(to, s, 'a', 'z');
}

/* Letters behind a '-' (and the first one) are upper, others lower: the first byte of a word is
 * judged by the last byte of the word before it. */
void svl_header_canonical(char *to, svl_str name)
{
    uint64_t before = '-', word;

    for (size_t i = 0; i < name.n; i += 8) {
        size_t n = name.n - i < 8 ? name.n - i : 8;
        uint64_t dash, starts;

        word = svl_load(name.p + i, n);
        word |= in_range(word, 'A', 'Z') >> 2;
        dash = word ^ SVL_EACH_BYTE('-');
        dash = ~((dash & SVL_EACH_BYTE(0x7f)) + SVL_EACH_BYTE(0x7f)) & ~dash & SVL_EACH_BYTE(0x80);
        starts = dash << 8 | (before == '-' ? 0x80 : 0);
        before = word >> 56;
        word ^= (in_range(word, 'a', 'z') & starts) >> 2;
        svl_store(to + i, word, n);
    }
}

/* --- Tokens --------------------------------------------------------------------------------- */

bool svl_is_token(svl_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!svl_char_is(s.p[i], SVL_CHAR_TOKEN))
            return false;
    return s.n > 0;
}

/* --- Near misses ---------------------------------------------------------------------------- */

#define MAX_NAME 31
#define MAX_MISTAKES 2 /* letters, in a name that is still recognised */

/* How many letters to add, drop or change to make `b` of `a`. */
static size_t distance(svl_str a, svl_str b)
{
    size_t row[MAX_NAME + 1];

    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t corner = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t best = corner + (a.p[i - 1] != b.p[j - 1]);

            corner = row[j];
            if (best > row[j] + 1)
                best = row[j] + 1;
            if (best > row[j - 1] + 1)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b.n];
}

const char *svl_nearest(const char *const *names, svl_str name)
{
    size_t best = MAX_MISTAKES + 1;
    const char *found = NULL;

    for (; *names && name.n <= MAX_NAME; names++) {
        svl_str known = svl_str_head(svl_str_of(*names), MAX_NAME);
        size_t d = distance(name, known);

        if (d < best && d < known.n) {
            best = d;
            found = *names;
        }
    }
    return found;
}
