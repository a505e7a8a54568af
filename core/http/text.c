/* Numbers, case and tokens. The C library is asked only for the few floats that 64 bits do not decide,
 * and there in the "C" locale. */
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

/* Four to eight digits, which are added up in pairs, pairs of pairs, and so on. What is in front of
 * them in the word counts as zeros. */
static bool parse_word(svl_str s, uint64_t *value)
{
    unsigned unused = 64 - 8 * (unsigned)s.n;
    uint64_t word = svl_load(s.p, 4) << unused | svl_load(s.p + s.n - 4, 4) << 32;

    word ^= SVL_EACH_BYTE('0') << unused;
    if ((word | (word + SVL_EACH_BYTE(0x80 - 10))) & SVL_EACH_BYTE(0x80))
        return false;
    word = (word * 10 + (word >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
    word = (word * 100 + (word >> 16)) & UINT64_C(0x0000ffff0000ffff);
    *value = (word * 10000 + (word >> 32)) & 0xffffffff;
    return true;
}

bool svl_uint_parse(svl_str s, uint64_t *value)
{
    uint64_t v = 0;

    if (s.n - 4 <= 4)
        return parse_word(s, value);
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

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 product;

/* mantissa / 2^63 * 2^exponent, the highest bit of the mantissa being set. Always rounded down. */
struct wide {
    uint64_t mantissa;
    int exponent;
};

#define LEAP 27       /* 5^27 is the highest power that has 64 bits */
#define FIRST_LEAP 13 /* 10^-351 */
#define LAST_LEAP 11  /* 10^297 */

/* 10^0, 10^1, ...: exact */
static const uint64_t steps[LEAP] = {
    0x8000000000000000, 0xa000000000000000, 0xc800000000000000, 0xfa00000000000000,
    0x9c40000000000000, 0xc350000000000000, 0xf424000000000000, 0x9896800000000000,
    0xbebc200000000000, 0xee6b280000000000, 0x9502f90000000000, 0xba43b74000000000,
    0xe8d4a51000000000, 0x9184e72a00000000, 0xb5e620f480000000, 0xe35fa931a0000000,
    0x8e1bc9bf04000000, 0xb1a2bc2ec5000000, 0xde0b6b3a76400000, 0x8ac7230489e80000,
    0xad78ebc5ac620000, 0xd8d726b7177a8000, 0x878678326eac9000, 0xa968163f0a57b400,
    0xd3c21bcecceda100, 0x84595161401484a0, 0xa56fa5b99019a5c8,
};

/* 10^-351, 10^-324, ... */
static const uint64_t leaps[FIRST_LEAP + 1 + LAST_LEAP] = {
    0x8049a4ac0c5811ae, 0xcf42894a5dce35ea, 0xa76c582338ed2621, 0x873e4f75e2224e68,
    0xda7f5bf590966848, 0xb080392cc4349dec, 0x8e938662882af53e, 0xe65829b3046b0afa,
    0xba121a4650e4ddeb, 0x964e858c91ba2655, 0xf2d56790ab41c2a2, 0xc428d05aa4751e4c,
    0x9e74d1b791e07e48, 0x8000000000000000, 0xcecb8f27f4200f3a, 0xa70c3c40a64e6c51,
    0x86f0ac99b4e8dafd, 0xda01ee641a708de9, 0xb01ae745b101e9e4, 0x8e41ade9fbebc27d,
    0xe5d3ef282a242e81, 0xb9a74a0637ce2ee1, 0x95f83d0a1fb69cd9, 0xf24a01a73cf2dccf,
    0xc3b8358109e84f07,
};

static struct wide wide_times(struct wide a, struct wide b)
{
    product p = (product)a.mantissa * b.mantissa;
    int more = (int)(p >> 127); /* the product of the two fractions is 2 or more */

    return (struct wide){(uint64_t)(p >> (63 + more)), a.exponent + b.exponent + more};
}

static struct wide power_of_ten(uint64_t mantissa, int exponent)
{
    return (struct wide){mantissa, exponent * 217706 >> 16}; /* log2(10) = 217706 / 65536 */
}

/* Multiplies in 64 bits, of which a double keeps 53, and knows how far off that may be: not right
 * are the table (by less than 1), two products (1 each), and up to 16 for digits that were left
 * out; a product may double what comes in. False if the result might be rounded either way. */
static bool wide_value(const struct number *x, double *value)
{
    unsigned error = x->exact ? 8 : 40, dropped, zeros;
    int leap = (x->exponent + FIRST_LEAP * LEAP) / LEAP - FIRST_LEAP;
    struct wide v;
    uint64_t bits;

    if (x->digits == 0 || x->exponent < -FIRST_LEAP * LEAP || leap > LAST_LEAP)
        return false;
    zeros = (unsigned)__builtin_clzll(x->digits);
    v = (struct wide){x->digits << zeros, 63 - (int)zeros};
    v = wide_times(v, power_of_ten(steps[x->exponent - leap * LEAP], x->exponent - leap * LEAP));
    if (leap)
        v = wide_times(v, power_of_ten(leaps[leap + FIRST_LEAP], leap * LEAP));
    dropped = v.mantissa & 0x7ff;
    if ((dropped <= 0x400 && dropped + error >= 0x400) || v.exponent < -1022 || v.exponent > 1022)
        return false;
    /* The highest bit is 1 in the field of the exponent, and what carries into it is right, too. */
    bits = (v.mantissa >> 11) + (dropped > 0x400);
    bits += (uint64_t)(v.exponent + 1022) << 52;
    memcpy(value, &bits, 8);
    return true;
}
#else
static bool wide_value(const struct number *x, double *value)
{
    (void)x;
    (void)value;
    return false;
}
#endif

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
    if (!simple_value(&x, &v) && !wide_value(&x, &v))
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

static void flip_blocks(char *to, svl_str s, char first, char last)
{
    svl_block block;

    for (size_t i = 0; i + 16 < s.n; i += 16) {
        block = svl_load_block(s.p + i);
        svl_store_block(to + i, block ^ (svl_block_in_range(block, first, last) & 0x20));
    }
    block = svl_load_block(s.p + s.n - 16);
    svl_store_block(to + s.n - 16, block ^ (svl_block_in_range(block, first, last) & 0x20));
}

/* The last block or word overlaps the one before: letters that were changed lie outside the range by
 * then. So `to` may be s.p. */
static void flip_range(char *to, svl_str s, char first, char last)
{
    uint64_t head, tail;

    if (s.n >= 16) {
        flip_blocks(to, s, first, last);
        return;
    }
    if (s.n >= 8) {
        memcpy(&head, s.p, 8);
        memcpy(&tail, s.p + s.n - 8, 8);
        head ^= in_range(head, first, last) >> 2;
        tail ^= in_range(tail, first, last) >> 2;
        memcpy(to, &head, 8);
        memcpy(to + s.n - 8, &tail, 8);
        return;
    }
    for (size_t i = 0; i < s.n; i++)
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

static void canonical_block(char *to, const char *p)
{
    svl_block block = svl_load_block(p), before = svl_load_block(p - 1);
    svl_block starts = (svl_block)(before == '-');

    block |= svl_block_in_range(block, 'A', 'Z') & 0x20;
    block ^= svl_block_in_range(block, 'a', 'z') & starts & 0x20;
    svl_store_block(to, block);
}

/* For more than sixteen bytes. Each is judged by the one before it, and no '-' is changed, so blocks may
 * overlap, and `to` may be name.p. */
static void canonical_blocks(char *to, svl_str name)
{
    svl_upper(to, svl_str_head(name, 1));
    for (size_t i = 1; i + 16 < name.n; i += 16)
        canonical_block(to + i, name.p + i);
    canonical_block(to + name.n - 16, name.p + name.n - 16);
}

/* Letters behind a '-' (and the first one) are upper, others lower: the first byte of a word is
 * judged by the last byte of the word before it. */
void svl_header_canonical(char *to, svl_str name)
{
    uint64_t before = '-', word;

    if (name.n > 16) {
        canonical_blocks(to, name);
        return;
    }
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
    return s.n > 0 && svl_chars_skip(s.p, s.p + s.n, SVL_CHAR_TOKEN) == s.p + s.n;
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
