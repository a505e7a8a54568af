#include "support/answers.h"

#include <stdlib.h>

static int bad(const char **why, const char *text)
{
    *why = text;
    return -1;
}

/* A line without its CRLF. Returns false when there is no whole line, or a bare CR or LF. */
static bool line_of(svl_str *rest, svl_str *line)
{
    size_t n = svl_str_find(*rest, '\n');

    if (n == rest->n || n == 0 || rest->p[n - 1] != '\r')
        return false;
    *line = svl_str_head(*rest, n - 1);
    *rest = svl_str_from(*rest, n + 1);
    return svl_str_find(*line, '\r') == line->n && svl_str_find(*line, '\0') == line->n;
}

static bool is_token(svl_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", s.p[i]))
            return false;
    return s.n > 0;
}

svl_str answer_field(const struct answer *answer, const char *name, unsigned nth)
{
    svl_str rest = answer->head, line;

    while (line_of(&rest, &line)) {
        size_t colon = svl_str_find(line, ':');

        if (colon < line.n && svl_str_ieq(svl_str_head(line, colon), svl_str_of(name)) &&
            nth-- == 0)
            return svl_str_trim(svl_str_from(line, colon + 1));
    }
    return SVL_STR_NONE;
}

static bool status_line(svl_str line, int *status)
{
    if (!svl_str_starts(line, SVL_STR("HTTP/1.1 ")) || line.n < 13 || line.p[12] != ' ')
        return false;
    *status = atoi(line.p + 9);
    return *status >= 100 && *status <= 999;
}

/* Length of a chunked body at the start of s, or -1 while it is not complete, or -2. */
static ptrdiff_t chunked_length(svl_str s)
{
    svl_str rest = s, line;

    for (;;) {
        size_t size = 0;

        if (svl_str_find(rest, '\n') == rest.n)
            return -1;
        if (!line_of(&rest, &line) || line.n == 0 || line.n > 16)
            return -2;
        for (size_t i = 0; i < line.n; i++) {
            const char *digits = "0123456789abcdef", *at = strchr(digits, line.p[i]);

            if (!at)
                return -2;
            size = size * 16 + (size_t)(at - digits);
        }
        if (size > rest.n || rest.n - size < 2)
            return -1;
        if (memcmp(rest.p + size, "\r\n", 2) != 0)
            return -2;
        rest = svl_str_from(rest, size + 2);
        if (size == 0)
            return rest.p - s.p;
    }
}

static bool may_have_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static int check_fields(struct answer *a, svl_str head, const char **why)
{
    svl_str line;

    while (head.n > 0) {
        size_t colon;

        if (!line_of(&head, &line))
            return bad(why, "a line of the head does not end in CRLF, or holds CR or NUL");
        if (line.n == 0)
            break;
        colon = svl_str_find(line, ':');
        if (colon == line.n || !is_token(svl_str_head(line, colon)))
            return bad(why, "a field line is not well formed");
    }
    if (answer_field(a, "Content-Length", 1).p || answer_field(a, "Transfer-Encoding", 1).p ||
        answer_field(a, "Date", 1).p || answer_field(a, "Connection", 1).p)
        return bad(why, "a field comes twice");
    if (answer_field(a, "Content-Length", 0).p && answer_field(a, "Transfer-Encoding", 0).p)
        return bad(why, "an answer has two lengths");
    if (a->status >= 200 && !answer_field(a, "Date", 0).p)
        return bad(why, "an answer has no Date");
    if (a->status < 200 && answer_field(a, "Content-Length", 0).p)
        return bad(why, "an interim answer has a length");
    a->close = svl_str_ieq(answer_field(a, "Connection", 0), SVL_STR("close"));
    return 0;
}

static int take_body(svl_str *rest, struct answer *a, const char **why)
{
    svl_str length = answer_field(a, "Content-Length", 0);
    unsigned long long n = 0;
    bool chunked = answer_field(a, "Transfer-Encoding", 0).p != NULL;

    a->body = svl_str_head(*rest, 0);
    a->whole = true;
    if (!may_have_body(a->status))
        return 1;
    if (length.p && !svl_str_u64(length, &n))
        return bad(why, "Content-Length is not a number");
    if ((chunked || !length.p || n > 0) &&
        (rest->n == 0 || svl_str_starts(*rest, SVL_STR("HTTP/1.1 ")))) {
        a->bodiless = true;
        return 1;
    }
    if (chunked) {
        ptrdiff_t end = chunked_length(*rest);

        if (end == -2)
            return bad(why, "the chunks of an answer are not well formed");
        a->whole = end >= 0;
        n = end >= 0 ? (unsigned long long)end : rest->n;
    } else if (!length.p) {
        if (!a->close)
            return bad(why, "an answer has no length and does not close");
        n = rest->n;
    }
    if (n > rest->n) {
        a->whole = false;
        n = rest->n;
    }
    a->body = svl_str_head(*rest, (size_t)n);
    *rest = svl_str_from(*rest, (size_t)n);
    return 1;
}

int answer_next(svl_str *rest, struct answer *a, const char **why)
{
    const char *end;
    svl_str after, line;

    *a = (struct answer){0};
    if (rest->n == 0)
        return 0;
    end = memmem(rest->p, rest->n, "\r\n\r\n", 4);
    if (!end)
        return bad(why, "a head is not complete");
    a->head = svl_str_head(*rest, (size_t)(end + 4 - rest->p));
    *rest = svl_str_from(*rest, a->head.n);
    after = a->head;
    if (!line_of(&after, &line) || !status_line(line, &a->status))
        return bad(why, "a status line is not well formed");
    if (check_fields(a, after, why) < 0)
        return -1;
    return take_body(rest, a, why);
}
