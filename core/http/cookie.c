/* Cookies as text. Whoever makes one is held to what RFC 6265 section 4 allows; what others sent
 * is read as section 5 says, so that what is not well formed cannot smuggle in an attribute. */
#include "serval/cookie.h"

#include "http/bytes.h"
#include "http/chars.h"
#include "http/scan.h"
#include "serval/date.h"
#include "serval/error.h"

/* --- Reading Cookie ------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline svl_str trim(svl_str s)
{
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    for (; s.n > 0 && is_blank(s.p[0]); s.n--)
        s.p++;
    return s;
}

static svl_str unquote(svl_str s)
{
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
        return (svl_str){s.p + 1, s.n - 2};
    return s;
}

/* A quote or a backslash in the middle: somebody may read the pair's end elsewhere than we do. */
static bool is_torn(svl_str value)
{
    return value.n > 0 && svl_find_quote(value.p, value.p + value.n) < value.p + value.n;
}

static bool split_pair(svl_str text, struct svl_pair *cookie)
{
    size_t at = svl_str_find(text, '=');

    if (at == text.n) {
        cookie->name = SVL_STR("");
        cookie->value = trim(text);
    } else {
        cookie->name = trim(svl_str_head(text, at));
        cookie->value = unquote(trim(svl_str_from(text, at + 1)));
    }
    return (cookie->name.n > 0 || cookie->value.n > 0) && !is_torn(cookie->value);
}

bool svl_cookie_next(svl_str *rest, struct svl_pair *cookie)
{
    while (rest->n > 0) {
        size_t n = svl_str_find(*rest, ';');
        svl_str text = svl_str_head(*rest, n);

        *rest = svl_str_from(*rest, n + 1);
        if (split_pair(text, cookie))
            return true;
    }
    return false;
}

/* --- Writing Set-Cookie --------------------------------------------------------------------- */

static bool all(svl_str s, unsigned char class)
{
    return s.n == 0 || svl_chars_skip(s.p, s.p + s.n, class) == s.p + s.n;
}

/* av-octets: printable ASCII but ';' (RFC 6265 4.1.1) */
static bool is_attribute(svl_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < ' ' || s.p[i] >= 0x7f || s.p[i] == ';')
            return false;
    return true;
}

static bool starts_any_case(svl_str s, svl_str prefix)
{
    return s.n >= prefix.n && svl_str_ieq(svl_str_head(s, prefix.n), prefix);
}

/* Browsers compare the prefixes without regard to case (RFC 6265bis 4.1.3). */
static bool prefix_kept(const struct svl_set_cookie *c)
{
    if (c->name.n == 0 || c->name.p[0] != '_')
        return true;
    if (starts_any_case(c->name, SVL_STR("__Secure-")))
        return c->secure;
    if (starts_any_case(c->name, SVL_STR("__Host-")))
        return c->secure && c->domain.n == 0 && svl_str_eq(c->path, SVL_STR("/"));
    return true;
}

static bool is_good(const struct svl_set_cookie *c)
{
    if (!svl_is_token(c->name) || !all(c->value, SVL_CHAR_COOKIE))
        return false;
    if (c->path.n > 0 && (c->path.p[0] != '/' || !is_attribute(c->path)))
        return false;
    if (!all(c->domain, SVL_CHAR_UNRESERVED) || (c->domain.n > 0 && c->domain.p[0] == '.'))
        return false;
    if ((c->partitioned || c->same_site == SVL_SAME_SITE_NONE) && !c->secure)
        return false;
    return prefix_kept(c);
}

static char *put(char *to, svl_str s)
{
    if (s.n > 0)
        memcpy(to, s.p, s.n);
    return to + s.n;
}

static char *put_named(char *to, svl_str name, svl_str value)
{
    return value.n > 0 ? put(put(to, name), value) : to;
}

static char *put_times(char *to, const struct svl_set_cookie *c)
{
    if (c->expires != 0) {
        to = put(to, SVL_STR("; Expires="));
        svl_date_print(to, c->expires);
        to += SVL_DATE_LEN;
    }
    if (c->max_age != 0) {
        to = put(to, SVL_STR("; Max-Age="));
        to += svl_int_print(to, c->max_age > 0 ? c->max_age : 0);
    }
    return to;
}

static char *put_flags(char *to, const struct svl_set_cookie *c)
{
    static const svl_str same_site[] = {
        [SVL_SAME_SITE_UNSET] = {"", 0},
        [SVL_SAME_SITE_LAX] = {"; SameSite=Lax", 14},
        [SVL_SAME_SITE_STRICT] = {"; SameSite=Strict", 17},
        [SVL_SAME_SITE_NONE] = {"; SameSite=None", 15},
    };

    if (c->secure)
        to = put(to, SVL_STR("; Secure"));
    if (c->http_only)
        to = put(to, SVL_STR("; HttpOnly"));
    to = put(to, same_site[c->same_site & 3]);
    if (c->partitioned)
        to = put(to, SVL_STR("; Partitioned"));
    return to;
}

#define MOST_ATTRIBUTES 192 /* bytes of all attributes and separators, without path and domain */

ptrdiff_t svl_cookie_print(char *to, const struct svl_set_cookie *c)
{
    char *begin = to;

    if (!is_good(c))
        return SVL_EHEADER;
    if (c->name.n > SVL_COOKIE_MAX || c->value.n > SVL_COOKIE_MAX || c->path.n > SVL_COOKIE_MAX ||
        c->domain.n > SVL_COOKIE_MAX ||
        c->name.n + c->value.n + c->path.n + c->domain.n > SVL_COOKIE_MAX - MOST_ATTRIBUTES)
        return SVL_ELIMIT;
    to = put(to, c->name);
    *to++ = '=';
    to = put(to, c->value);
    to = put_times(to, c);
    to = put_named(to, SVL_STR("; Domain="), c->domain);
    to = put_named(to, SVL_STR("; Path="), c->path);
    to = put_flags(to, c);
    return to - begin;
}

/* --- Reading Set-Cookie --------------------------------------------------------------------- */

static bool is_control(char c)
{
    return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

/* Whether a word may hold a byte below ' ' or a 0x7f; a tab counts, too. */
static bool is_suspect(uint64_t word)
{
    uint64_t low = word & SVL_EACH_BYTE(0x7f);
    uint64_t printable = (low + SVL_EACH_BYTE(0x60)) & ~(low + SVL_EACH_BYTE(1));

    return (~(printable | word) & SVL_EACH_BYTE(0x80)) != 0;
}

/* The same for a block. */
static bool is_suspect_block(svl_block block)
{
    return svl_block_any((svl_block)(block < ' ') | (svl_block)(block == 0x7f));
}

/* Of a text of four bytes or more. The last word or block overlaps the one before. */
static bool is_suspect_text(const char *p, size_t n)
{
    bool suspect = false;

    if (n < 8)
        return is_suspect(svl_load(p, 4) | svl_load(p + n - 4, 4) << 32);
    if (n < 16)
        return is_suspect(svl_load(p, 8)) || is_suspect(svl_load(p + n - 8, 8));
    for (size_t i = 0; i + 16 < n; i += 16)
        suspect |= is_suspect_block(svl_load_block(p + i));
    return suspect || is_suspect_block(svl_load_block(p + n - 16));
}

static bool has_control(svl_str s)
{
    if (s.n >= 4 && !is_suspect_text(s.p, s.n))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (is_control(s.p[i]))
            return true;
    return false;
}

static void read_max_age(struct svl_set_cookie *c, svl_str value)
{
    int64_t seconds;
    bool minus = value.n > 0 && value.p[0] == '-';
    svl_str digits = svl_str_from(value, minus);

    for (size_t i = 0; i < digits.n; i++)
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return;
    if (digits.n == 0)
        return;
    if (!svl_int_parse(value, &seconds)) /* only too large by now */
        seconds = minus ? -1 : INT64_MAX;
    c->max_age = seconds > 0 ? seconds : SVL_COOKIE_EXPIRED;
}

static void read_same_site(struct svl_set_cookie *c, svl_str value)
{
    if (svl_str_ieq(value, SVL_STR("Lax")))
        c->same_site = SVL_SAME_SITE_LAX;
    else if (svl_str_ieq(value, SVL_STR("Strict")))
        c->same_site = SVL_SAME_SITE_STRICT;
    else if (svl_str_ieq(value, SVL_STR("None")))
        c->same_site = SVL_SAME_SITE_NONE;
    else
        c->same_site = SVL_SAME_SITE_UNSET;
}

static void read_domain(struct svl_set_cookie *c, svl_str value)
{
    if (value.n > 0 && value.p[0] == '.')
        value = svl_str_from(value, 1);
    c->domain = value.n > 0 ? value : SVL_STR_NONE;
}

static void read_attribute(struct svl_set_cookie *c, svl_str name, svl_str value)
{
    switch (name.n) {
    case 4:
        if (svl_str_ieq(name, SVL_STR("Path")))
            c->path = value.n > 0 && value.p[0] == '/' ? value : SVL_STR_NONE;
        break;
    case 6:
        if (svl_str_ieq(name, SVL_STR("Domain")))
            read_domain(c, value);
        else if (svl_str_ieq(name, SVL_STR("Secure")))
            c->secure = true;
        break;
    case 7:
        if (svl_str_ieq(name, SVL_STR("Max-Age")))
            read_max_age(c, value);
        else if (svl_str_ieq(name, SVL_STR("Expires")))
            svl_date_parse(value, &c->expires);
        break;
    case 8:
        if (svl_str_ieq(name, SVL_STR("HttpOnly")))
            c->http_only = true;
        else if (svl_str_ieq(name, SVL_STR("SameSite")))
            read_same_site(c, value);
        break;
    case 11:
        if (svl_str_ieq(name, SVL_STR("Partitioned")))
            c->partitioned = true;
        break;
    default: break;
    }
}

/* Takes one piece up to ';' off *rest, and splits it at '='; value.p is NULL without one. Most names
 * and values are tokens and cookie octets, none of which is a ';'. */
static inline bool next_piece(svl_str *rest, svl_str *name, svl_str *value)
{
    const char *begin = rest->p, *end = begin + rest->n, *at, *equals;

    if (rest->n == 0)
        return false;
    while (begin < end && is_blank(*begin))
        begin++;
    at = svl_chars_skip(begin, end, SVL_CHAR_TOKEN);
    while (at < end && *at != '=' && *at != ';')
        at++;
    *name = trim((svl_str){begin, (size_t)(at - begin)});
    *value = SVL_STR_NONE;
    if (at < end && *at == '=') {
        equals = at;
        at = svl_find_byte(svl_chars_skip(at + 1, end, SVL_CHAR_COOKIE), end, ';');
        *value = trim((svl_str){equals + 1, (size_t)(at - equals) - 1});
    }
    at += at < end;
    *rest = (svl_str){at, (size_t)(end - at)};
    return true;
}

int svl_cookie_parse(struct svl_set_cookie *c, svl_str field)
{
    svl_str rest = field, name, value;

    *c = (struct svl_set_cookie){0};
    if (has_control(field) || !next_piece(&rest, &c->name, &c->value))
        return SVL_ESYNTAX;
    if (!c->value.p) { /* "foo" is a value without a name */
        c->value = c->name;
        c->name = SVL_STR("");
    }
    if (c->name.n == 0 && c->value.n == 0)
        return SVL_ESYNTAX;
    c->value = unquote(c->value);
    if (is_torn(c->value))
        return SVL_ESYNTAX;
    while (next_piece(&rest, &name, &value))
        read_attribute(c, name, value);
    return prefix_kept(c) ? 0 : SVL_EHEADER;
}
