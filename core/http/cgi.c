#include "http/cgi.h"

#include "http/chars.h"
#include "serval/error.h"

size_t svl_cgi_head_length(svl_str bytes, size_t seen)
{
    size_t at = seen > 2 ? seen - 2 : 0; /* an end that was cut in the middle */

    if (svl_str_starts(bytes, SVL_STR("\n")) || svl_str_starts(bytes, SVL_STR("\r\n")))
        return svl_str_find(bytes, '\n') + 1;
    while (at < bytes.n) {
        const char *line_end = memchr(bytes.p + at, '\n', bytes.n - at);
        size_t next;

        if (!line_end)
            return 0;
        next = (size_t)(line_end - bytes.p) + 1;
        if (next < bytes.n && bytes.p[next] == '\n')
            return next + 1;
        if (next + 1 < bytes.n && bytes.p[next] == '\r' && bytes.p[next + 1] == '\n')
            return next + 2;
        at = next;
    }
    return 0;
}

static bool is_token(svl_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!svl_char_is(s.p[i], SVL_CHAR_TOKEN))
            return false;
    return s.n > 0;
}

int svl_cgi_field(svl_str *head, svl_str *name, svl_str *value)
{
    svl_str line;
    size_t colon;

    if (!svl_str_split(head, '\n', &line))
        return 0;
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n == 0)
        return 0;
    colon = svl_str_find(line, ':');
    *name = svl_str_head(line, colon);
    *value = svl_str_trim(svl_str_from(line, colon + 1));
    return colon < line.n && is_token(*name) ? 1 : SVL_ESYNTAX;
}

int svl_cgi_status(svl_str value, int *status, svl_str *reason)
{
    unsigned long long code;

    if (!svl_str_u64(svl_str_head(value, 3), &code) || value.n < 3 || code < 200 || code > 599)
        return SVL_ESYNTAX;
    if (value.n > 3 && value.p[3] != ' ')
        return SVL_ESYNTAX;
    *status = (int)code;
    *reason = svl_str_trim(svl_str_from(value, 3));
    return 0;
}
