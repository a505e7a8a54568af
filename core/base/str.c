/* Views: what is too long to be inline. ASCII only, no locale. */
#include "serval/str.h"

static unsigned char fold(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

bool svl_str_ieq(svl_str a, svl_str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (a.p[i] != b.p[i] && fold((unsigned char)a.p[i]) != fold((unsigned char)b.p[i]))
            return false;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

svl_str svl_str_trim(svl_str s)
{
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    while (s.n > 0 && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    return s;
}

bool svl_str_split(svl_str *rest, char c, svl_str *part)
{
    if (!rest->p) {
        *part = SVL_STR_NONE;
        return false;
    }
    size_t n = svl_str_find(*rest, c);

    *part = svl_str_head(*rest, n);
    /* "a," still has an empty part to come, "a" has not: only the latter ends here. */
    *rest = n < rest->n ? svl_str_from(*rest, n + 1) : SVL_STR_NONE;
    return true;
}

bool svl_str_u64(svl_str s, unsigned long long *value)
{
    const unsigned long long max = ~0ULL;
    unsigned long long v = 0;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';

        if (digit > 9 || v > max / 10 || v * 10 > max - digit)
            return false;
        v = v * 10 + digit;
    }
    *value = v;
    return true;
}

size_t svl_str_copy(char *to, size_t size, svl_str s)
{
    if (size == 0)
        return s.n;
    size_t n = s.n < size ? s.n : size - 1;

    if (n > 0)
        memcpy(to, s.p, n);
    to[n] = '\0';
    return s.n;
}
