/* Values with parameters: Content-Type, Content-Disposition and their like. */
#include "serval/field.h"

#include "http/chars.h"

static size_t skip_blanks(svl_str s, size_t i)
{
    while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
        i++;
    return i;
}

svl_str svl_field_value(svl_str field)
{
    return svl_str_trim(svl_str_head(field, svl_str_find(field, ';')));
}

/* Place of the closing quote of a string whose opening one is at i; s.n without one. */
static size_t closing_quote(svl_str s, size_t i)
{
    for (i++; i < s.n && s.p[i] != '"'; i++)
        i += s.p[i] == '\\';
    return i < s.n ? i : s.n;
}

/* The value behind '=' at i. Returns the place behind it, or 0 if there is none. */
static size_t read_value(svl_str s, size_t i, svl_str *value)
{
    size_t begin = i, end;

    if (i < s.n && s.p[i] == '"') {
        end = closing_quote(s, i);
        if (end == s.n)
            return 0;
        *value = (svl_str){s.p + i + 1, end - i - 1};
        return end + 1;
    }
    while (i < s.n && svl_char_is(s.p[i], SVL_CHAR_TOKEN))
        i++;
    *value = (svl_str){s.p + begin, i - begin};
    return i > begin ? i : 0;
}

static bool end_here(svl_str *rest, size_t at)
{
    *rest = svl_str_from(*rest, at);
    return false;
}

bool svl_field_next(svl_str *rest, struct svl_pair *parameter)
{
    svl_str s = *rest;
    size_t i = s.n > 0 && s.p[0] == ';' ? 0 : svl_str_find(s, ';'), name, end, value;

    /* Empty parameters, as in "a;;b=c" or "a;", are allowed and name nothing. */
    while (i < s.n && s.p[i] == ';')
        i = skip_blanks(s, i + 1);
    if (i == s.n)
        return end_here(rest, s.n);
    for (name = i; i < s.n && svl_char_is(s.p[i], SVL_CHAR_TOKEN); i++)
        continue;
    end = i;
    if (end == name || end == s.n || s.p[end] != '=')
        return end_here(rest, name);
    value = read_value(s, end + 1, &parameter->value);
    i = skip_blanks(s, value);
    if (value == 0 || (i < s.n && s.p[i] != ';'))
        return end_here(rest, name);
    parameter->name = (svl_str){s.p + name, end - name};
    *rest = svl_str_from(s, i);
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
