/* The gate: what llhttp accepts and a server must refuse (RFC 9112). One pass over the fields,
 * which also fills the index of known names. docs/http.md has the table of decisions. */
#include "base/check.h"
#include "http/parse.h"
#include "serval/uri.h"

#include <string.h>

static int refuse(struct svl_parser *p, int status, const char *why)
{
    p->why = why;
    return status;
}

/* The request line must end in exactly " HTTP/1.x CRLF" behind the target, which llhttp has
 * found: it also takes a bare LF, HTTP/0.9 and HTTP/2.0 (RFC 9112 2.2, 2.3, 3). */
static int check_version(struct svl_parser *p, const char *end)
{
    struct svl_request *req = p->req;
    const char *at = req->target.p + req->target.n;

    if (req->target.p != req->method_text.p + req->method_text.n + 1)
        return refuse(p, 400, "there is more than one blank before the request target");
    if (end - at < 13 || memcmp(at, " HTTP/", 6) != 0 || memcmp(at + 9, "\r\n", 2) != 0)
        return refuse(p, 400, "the request line is not well formed");
    if (at[6] != '1' || at[7] != '.')
        return refuse(p, 505, "this version of HTTP is not supported");
    req->minor = (uint8_t)(at[8] - '0');
    return 0;
}

static int check_transfer_encoding(struct svl_parser *p, svl_str value)
{
    if (p->req->minor == 0)
        return refuse(p, 400, "HTTP/1.0 has no Transfer-Encoding");
    if (svl_str_ieq(value, SVL_STR("chunked")))
        return 0;
    return refuse(p, 501, "this Transfer-Encoding is not supported");
}

static int check_expect(struct svl_parser *p, svl_str value)
{
    if (!svl_str_ieq(value, SVL_STR("100-continue")))
        return refuse(p, 417, "only 100-continue can be expected");
    p->expects_continue = p->req->minor == 1;
    return 0;
}

/* llhttp has read the number too; two readers must agree before bytes are skipped by it. */
static int check_content_length(struct svl_parser *p, svl_str value)
{
    unsigned long long length;

    if (!svl_str_u64(value, &length) || (int64_t)length != p->req->content_length)
        return refuse(p, 400, "Content-Length is not well formed, or not alone");
    return 0;
}

static int check_known(struct svl_parser *p, enum svl_header_id id, svl_str value, bool again)
{
    switch (id) {
    case SVL_H_HOST:
        if (again)
            return refuse(p, 400, "there is more than one Host");
        if (!svl_host_valid(value))
            return refuse(p, 400, "Host is not well formed");
        return 0;
    case SVL_H_CONTENT_LENGTH:
        if (again)
            return refuse(p, 400, "there is more than one Content-Length");
        return check_content_length(p, value);
    case SVL_H_TRANSFER_ENCODING:
        if (again)
            return refuse(p, 400, "there is more than one Transfer-Encoding");
        return check_transfer_encoding(p, value);
    case SVL_H_EXPECT: return check_expect(p, value);
    default: return 0;
    }
}

/* llhttp's value runs to the line end; the blanks before it are not part of it (RFC 9112 5.1). */
static void trim(struct svl_header *h)
{
    while (h->value_len > 0 &&
           (h->value[h->value_len - 1] == ' ' || h->value[h->value_len - 1] == '\t'))
        h->value_len--;
}

/* Whether the line that begins at *at is name, colon, value and CRLF, which llhttp does not tell:
 * it takes a bare LF, and goes on with a value in the next line (RFC 9112 2.2, 5.2). For a value
 * without bytes it says nothing, or names a place behind the line's end. */
static bool check_line(struct svl_header *h, const char **at)
{
    const char *value = h->name + h->name_len + 1, *end;

    while (*value == ' ' || *value == '\t')
        value++;
    if (h->value_len == 0)
        h->value = value;
    end = h->value + h->value_len;
    if (h->name != *at || h->value != value || end[0] != '\r' || end[1] != '\n')
        return false;
    *at = end + 2;
    return true;
}

static int check_lines(struct svl_parser *p, const char *end)
{
    struct svl_headers *headers = &p->req->headers;
    const char *at = p->req->target.p + p->req->target.n + sizeof " HTTP/1.1\r\n" - 1;

    for (unsigned i = 0; i < headers->n; i++) {
        struct svl_header *h = &headers->at[i];

        if (h->name_len == 0)
            return refuse(p, 400, "a header field has no name");
        if (!check_line(h, &at))
            return refuse(p, 400, "a header line does not end in CRLF, or goes on in the next");
        h->id = (uint16_t)svl_header_id(svl_header_name(h));
    }
    if (at != end - 2)
        return refuse(p, 400, "a header line does not end in CRLF, or goes on in the next");
    return 0;
}

static int check_fields(struct svl_parser *p)
{
    struct svl_headers *headers = &p->req->headers;

    for (unsigned i = 0; i < headers->n; i++) {
        struct svl_header *h = &headers->at[i];
        enum svl_header_id id;
        int status;

        trim(h);
        id = (enum svl_header_id)h->id;
        if (id == SVL_H_OTHER)
            continue;
        status = check_known(p, id, svl_header_value(h), headers->first[id] != 0);
        if (status)
            return status;
        if (!headers->first[id])
            headers->first[id] = (uint8_t)(i + 1);
    }
    return 0;
}

/* What is one or the other reader's business in the fast lane (fast.c). */
static int check_framing(struct svl_parser *p)
{
    const struct svl_headers *headers = &p->req->headers;
    bool coded = headers->first[SVL_H_TRANSFER_ENCODING] != 0;

    if (coded && headers->first[SVL_H_CONTENT_LENGTH])
        return refuse(p, 400, "there are Transfer-Encoding and Content-Length");
    if (coded != p->chunked)
        return refuse(p, 400, "Transfer-Encoding is not well formed");
    if (!p->chunked && p->req->content_length < 0) /* above 2^63 - 1 */
        return refuse(p, 413, "the body is too large");
    if (headers->first[SVL_H_CONNECTION]) {
        p->says_close = svl_headers_has_token(headers, SVL_H_CONNECTION, SVL_STR("close"));
        p->says_keep_alive =
            svl_headers_has_token(headers, SVL_H_CONNECTION, SVL_STR("keep-alive"));
    }
    return 0;
}

static bool wants_keep_alive(const struct svl_parser *p)
{
    if (p->says_close)
        return false;
    return p->req->minor == 1 || p->says_keep_alive;
}

int svl_gate_head(struct svl_parser *p, const char *end)
{
    struct svl_request *req = p->req;
    int status = p->fast ? 0 : check_version(p, end);

    if (status)
        return status;
    if (memcmp(end - 4, "\r\n\r\n", 4) != 0)
        return refuse(p, 400, "the header section does not end in CRLF CRLF");
    status = p->fast ? 0 : check_lines(p, end);
    if (status)
        return status;
    status = check_fields(p);
    if (status)
        return status;
    status = p->fast ? 0 : check_framing(p);
    if (status)
        return status;
    if (req->minor == 1 && !req->headers.first[SVL_H_HOST])
        return refuse(p, 400, "Host is missing");
    req->host = svl_headers_get(&req->headers, SVL_H_HOST);
    status = svl_target_read(req, p->arena, &p->why);
    if (status)
        return status;
    if (req->host.n > 0 && memchr(req->host.p, '%', req->host.n))
        return refuse(p, 400, "there is an escape in Host");

    p->keep_alive = wants_keep_alive(p);
    return 0;
}
