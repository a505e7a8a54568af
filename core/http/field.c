/* Values with parameters: Content-Type, Content-Disposition and their like. */
#include "serval/field.h"

#include "http/chars.h"
#include "http/scan.h"

static inline const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

svl_str svl_field_value(svl_str field)
{
    return svl_str_trim(svl_str_head(field, svl_str_find(field, ';')));
}

/* The first '"' or '\\' from `at` on, or `end`. Strings are short as a rule: for them a guess of every byte
 * by the CPU is faster than waiting for a block. */
static inline const char *skip_quoted(const char *at, const char *end)
{
    const char *stop = end - at > 32 ? at + 32 : end;

    for (; stop - at >= 4; at += 4) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            if (at[i] == '"' || at[i] == '\\')
                return at + i;
    }
    return svl_find_quote(at, end);
}

/* The closing quote of a string that begins at `at`, behind its opening one; `end` without one. */
static inline const char *closing_quote(const char *at, const char *end)
{
    for (;; at += 2) {
        at = skip_quoted(at, end);
        if (at == end || *at == '"')
            return at;
        if (end - at < 2)
            return end;
    }
}

/* The value at `at`, behind its '='. Returns the place behind it, or NULL if there is none. */
static inline const char *read_value(const char *at, const char *end, svl_str *value)
{
    const char *stop;

    if (at < end && *at == '"') {
        stop = closing_quote(at + 1, end);
        *value = (svl_str){at + 1, (size_t)(stop - at) - 1};
        return stop < end ? stop + 1 : NULL;
    }
    stop = svl_chars_skip(at, end, SVL_CHAR_TOKEN);
    *value = (svl_str){at, (size_t)(stop - at)};
    return stop > at ? stop : NULL;
}

static inline bool end_here(svl_str *rest, const char *at, const char *end)
{
    *rest = (svl_str){at, (size_t)(end - at)};
    return false;
}

bool svl_field_next(svl_str *rest, struct svl_pair *parameter)
{
    const char *at = rest->p, *end = rest->n ? at + rest->n : at, *name, *stop;

    if (at < end && *at != ';')
        at = svl_find_byte(at, end, ';');
    /* Empty parameters, as in "a;;b=c" or "a;", are allowed and name nothing. */
    while (at < end && *at == ';')
        at = skip_blanks(at + 1, end);
    if (at == end)
        return end_here(rest, at, end);
    name = at;
    stop = svl_chars_skip(at, end, SVL_CHAR_TOKEN);
    if (stop == end || *stop != '=' || stop == name)
        return end_here(rest, name, end);
    parameter->name = (svl_str){name, (size_t)(stop - name)};
    at = read_value(stop + 1, end, &parameter->value);
    if (!at)
        return end_here(rest, name, end);
    at = skip_blanks(at, end);
    if (at < end && *at != ';')
        return end_here(rest, name, end);
    *rest = (svl_str){at, (size_t)(end - at)};
    return true;
}

svl_str svl_field_parameter(svl_str field, svl_str name)
{
    struct svl_pair parameter;

    while (svl_field_next(&field, &parameter))
        if (svl_str_ieq(parameter.name, name))
            return parameter.value;
    return SVL_STR_NONE;
}

size_t svl_unquote(char *to, svl_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n)
            i++;
        to[n++] = s.p[i];
    }
    return n;
}

size_t svl_quote(char *to, svl_str s)
{
    size_t n = 0;

    to[n++] = '"';
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '"' || c == '\\')
            to[n++] = '\\';
        to[n++] = (c < ' ' && c != '\t') || c == 0x7f ? ' ' : (char)c;
    }
    to[n++] = '"';
    return n;
}

static bool is_boundary(svl_str s)
{
    static const char others[] = "'()+_,-./:=? ";

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c && strchr(others, c))))
            return false;
    }
    return s.n > 0 && s.n <= 70 && s.p[s.n - 1] != ' ';
}

svl_str svl_field_boundary(svl_str content_type)
{
    svl_str boundary;

    if (!svl_str_ieq(svl_field_value(content_type), SVL_STR("multipart/form-data")))
        return SVL_STR_NONE;
    boundary = svl_field_parameter(content_type, SVL_STR("boundary"));
    return is_boundary(boundary) ? boundary : SVL_STR_NONE;
}
