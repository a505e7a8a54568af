/* multipart/form-data, byte by byte (RFC 7578, RFC 2046 5.1).
 *
 * A delimiter is CR LF "--" boundary. Its CR cannot occur again inside it, so a mismatch after k
 * matching bytes means that those k bytes were data, and that the search starts anew at the byte
 * that did not match: no backing up, whatever the pieces look like. */
#include "serval/form.h"

#include "http/chars.h"
#include "serval/error.h"
#include "serval/field.h"

enum {
    PREAMBLE, /* before the first delimiter: dropped */
    DATA,     /* of a part */
    BEHIND,   /* behind a delimiter: "--", blanks or CR LF */
    DASH,     /* one '-' was seen behind a delimiter */
    PADDING,  /* blanks before the CR */
    LINE_END, /* the LF that follows */
    HEAD,     /* of a part */
    EPILOGUE, /* behind the last delimiter: dropped */
};

#define DEFAULT_PARTS 1000
#define DEFAULT_NAME 1024
#define PADDING_MAX 64 /* blanks behind a boundary */

static int fail(struct svl_multipart *m, int error)
{
    m->error = error;
    return error;
}

int svl_multipart_begin(struct svl_multipart *m, svl_str boundary,
                        const struct svl_multipart_limits *limits,
                        const struct svl_multipart_events *events, void *arg)
{
    m->events = events;
    m->arg = arg;
    m->limits = limits ? *limits : (struct svl_multipart_limits){0};
    if (m->limits.max_parts == 0)
        m->limits.max_parts = DEFAULT_PARTS;
    if (m->limits.max_head == 0 || m->limits.max_head > SVL_MULTIPART_HEAD)
        m->limits.max_head = SVL_MULTIPART_HEAD;
    if (m->limits.max_name == 0)
        m->limits.max_name = DEFAULT_NAME;
    m->state = PREAMBLE;
    m->error = 0;
    m->mixed = false;
    m->parts = 0;
    m->matched = m->borrowed = 2; /* the first delimiter needs no CR LF in front */
    m->head_len = 0;
    m->total = 0;
    if (boundary.n < 1 || boundary.n > 70)
        return fail(m, SVL_ESYNTAX);
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary.p, boundary.n);
    m->delimiter_len = 4 + (unsigned)boundary.n;
    return 0;
}

/* --- Heads ---------------------------------------------------------------------------------- */

/* Browsers write a quote in a name as %22 and leave backslashes alone, so a backslash counts only
 * in front of a quote or another one. */
static size_t unquote(char *p, size_t n)
{
    size_t to = 0;

    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\\' && i + 1 < n && (p[i + 1] == '"' || p[i + 1] == '\\'))
            i++;
        p[to++] = p[i];
    }
    return to;
}

/* The value in m->head, which is ours to change. */
static svl_str own_unquoted(struct svl_multipart *m, svl_str s)
{
    if (!s.p)
        return s;
    s.n = unquote(m->head + (s.p - m->head), s.n);
    return s;
}

static int read_disposition(struct svl_multipart *m, svl_str value, struct svl_multipart_part *part)
{
    struct svl_pair parameter;
    svl_str rest = value;

    if (!m->mixed && (part->name.p || !svl_str_ieq(svl_field_value(value), SVL_STR("form-data"))))
        return SVL_ESYNTAX;
    while (svl_field_next(&rest, &parameter)) {
        if (svl_str_ieq(parameter.name, SVL_STR("name")) && !part->name.p)
            part->name = parameter.value;
        else if (svl_str_ieq(parameter.name, SVL_STR("filename")) && !part->filename.p)
            part->filename = parameter.value;
    }
    if (rest.n > 0 || (!part->name.p && !m->mixed))
        return SVL_ESYNTAX;
    if (part->name.n > m->limits.max_name || part->filename.n > m->limits.max_name)
        return SVL_ELIMIT;
    return 0;
}

static int read_line(struct svl_multipart *m, svl_str line, struct svl_multipart_part *part)
{
    size_t colon = svl_str_find(line, ':');
    svl_str name = svl_str_head(line, colon), value = svl_str_trim(svl_str_from(line, colon + 1));

    if (colon == line.n || !svl_is_token(name) || memchr(line.p, '\0', line.n))
        return SVL_ESYNTAX;
    if (svl_str_ieq(name, SVL_STR("Content-Disposition")))
        return read_disposition(m, value, part);
    if (svl_str_ieq(name, SVL_STR("Content-Type")))
        part->content_type = value;
    return 0;
}

/* m->head ends in an empty line. */
static int read_head(struct svl_multipart *m)
{
    struct svl_multipart_part part = {.head = {m->head, m->head_len - 2}};
    svl_str rest = part.head;

    while (rest.n > 0) {
        const char *end = memmem(rest.p, rest.n, "\r\n", 2);
        int err = read_line(m, svl_str_head(rest, (size_t)(end - rest.p)), &part);

        if (err)
            return err;
        rest = svl_str_from(rest, (size_t)(end - rest.p) + 2);
    }
    if (!part.name.p && !m->mixed)
        return SVL_ESYNTAX;
    part.name = own_unquoted(m, part.name);
    part.filename = own_unquoted(m, part.filename);
    return m->events->on_part(m->arg, &part);
}

/* Adds what belongs to the head; *at moves behind it. A bare LF does not end a line. */
static int push_head(struct svl_multipart *m, const char **at, const char *end)
{
    while (*at < end) {
        char c = *(*at)++;

        if (m->head_len == m->limits.max_head)
            return SVL_ELIMIT;
        m->head[m->head_len++] = c;
        if (c != '\n')
            continue;
        if (m->head_len < 2 || m->head[m->head_len - 2] != '\r')
            return SVL_ESYNTAX;
        if (m->head_len == 2 || (m->head_len >= 4 && m->head[m->head_len - 3] == '\n')) {
            m->state = DATA;
            m->matched = m->borrowed = 2; /* a part may end with its head (RFC 2046 5.1.1) */
            return read_head(m);
        }
    }
    return 0;
}

/* --- Data ----------------------------------------------------------------------------------- */

static int hand_on(struct svl_multipart *m, const char *data, size_t n)
{
    return m->state == DATA && n > 0 ? m->events->on_data(m->arg, data, n) : 0;
}

static int delimited(struct svl_multipart *m)
{
    int err = m->state == DATA ? m->events->on_end(m->arg) : 0;

    m->state = BEHIND;
    m->matched = m->borrowed = 0;
    return err;
}

/* Goes on in the middle of what may be a delimiter. */
static int push_match(struct svl_multipart *m, const char **at, const char *end)
{
    unsigned matched = m->matched, begin;

    while (*at < end && matched < m->delimiter_len && **at == m->delimiter[matched]) {
        matched++;
        (*at)++;
    }
    m->matched = matched;
    if (matched == m->delimiter_len)
        return delimited(m);
    if (*at == end)
        return 0;
    begin = m->borrowed;
    m->matched = m->borrowed = 0;
    return hand_on(m, m->delimiter + begin, matched - begin);
}

/* Data up to the next CR that may begin a delimiter. */
static int push_data(struct svl_multipart *m, const char **at, const char *end)
{
    const char *begin = *at, *p = begin;

    if (m->matched > 0)
        return push_match(m, at, end);
    while ((p = memchr(p, '\r', (size_t)(end - p))) && p + 1 < end && p[1] != '\n')
        p++;
    *at = p ? p + 1 : end;
    m->matched = p != NULL;
    return hand_on(m, begin, (size_t)((p ? p : end) - begin));
}

/* --- Behind a delimiter --------------------------------------------------------------------- */

static int push_behind(struct svl_multipart *m, char c)
{
    bool blank = c == ' ' || c == '\t';

    if (m->state == BEHIND && c == '-') {
        m->state = DASH;
    } else if (m->state == DASH && c == '-') {
        m->state = EPILOGUE;
    } else if ((m->state == BEHIND || m->state == PADDING) && c == '\r') {
        m->state = LINE_END;
    } else if ((m->state == BEHIND || m->state == PADDING) && blank && ++m->matched < PADDING_MAX) {
        m->state = PADDING;
    } else if (m->state == LINE_END && c == '\n') {
        m->state = HEAD;
        m->head_len = 0;
        if (++m->parts > m->limits.max_parts)
            return SVL_ELIMIT;
    } else {
        /* A line that only begins like a delimiter: other readers may take it for one. */
        return SVL_ESYNTAX;
    }
    return 0;
}

int svl_multipart_push(struct svl_multipart *m, const char *data, size_t n)
{
    const char *at = data, *end = n ? data + n : data;
    int err = 0;

    if (m->error)
        return m->error;
    m->total += n;
    if (m->limits.max_total && m->total > m->limits.max_total)
        return fail(m, SVL_ELIMIT);
    while (at < end && !err && m->state != EPILOGUE) {
        if (m->state == HEAD)
            err = push_head(m, &at, end);
        else if (m->state == PREAMBLE || m->state == DATA)
            err = push_data(m, &at, end);
        else
            err = push_behind(m, *at++);
    }
    return err ? fail(m, err) : 0;
}

int svl_multipart_end(struct svl_multipart *m)
{
    if (!m->error && m->state != EPILOGUE)
        m->error = SVL_ESYNTAX;
    return m->error;
}

size_t svl_filename_clean(char *to, svl_str name)
{
    size_t n = 0;

    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];

        if (c == '/' || c == '\\')
            n = 0;
        else if (c >= ' ' && c != 0x7f)
            to[n++] = (char)c;
    }
    if ((n == 1 && to[0] == '.') || (n == 2 && to[0] == '.' && to[1] == '.'))
        return 0;
    return n;
}
