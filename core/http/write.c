#include "http/write.h"

#include "serval/text.h"

#include <stdio.h>
#include <string.h>

static char *put(char *to, svl_str s)
{
    memcpy(to, s.p, s.n);
    return to + s.n;
}

#define PUT(to, literal) (memcpy(to, literal, sizeof(literal) - 1), (to) + sizeof(literal) - 1)

void svl_preamble_make(struct svl_preamble *preamble, svl_str name, int64_t second, bool date)
{
    char *to = preamble->text;

    if (name.n > 0) {
        to = PUT(to, "Server: ");
        to = put(to, svl_str_head(name, 64));
        to = PUT(to, "\r\n");
    }
    if (date) {
        to = PUT(to, "Date: ");
        svl_date_print(to, second);
        to += SVL_DATE_LEN;
        to = PUT(to, "\r\n");
    }
    preamble->len = (size_t)(to - preamble->text);
    preamble->second = second;
}

static int64_t body_length(const struct svl_body *body)
{
    switch (body->kind) {
    case SVL_BODY_BYTES: return (int64_t)body->bytes.n;
    case SVL_BODY_FILE:
    case SVL_BODY_SOURCE: return body->length;
    case SVL_BODY_NONE: break;
    }
    return 0;
}

struct svl_framing svl_framing_of(const struct svl_request *req, const struct svl_response *res,
                                  bool keep_alive)
{
    struct svl_framing f = {
        .close = !keep_alive || res->close,
        .length = body_length(&res->body),
    };

    if (res->status == 204 || res->status < 200) {
        f.no_length = f.no_body = true;
    } else if (res->status == 205) { /* says by its length that nothing follows (RFC 9110 15.3.6) */
        f.no_body = true;
        f.length = 0;
    } else if (res->status == 304) {
        f.no_body = true;
        f.no_length = res->body.kind == SVL_BODY_NONE || f.length < 0;
    } else if (f.length < 0) {
        f.no_length = true;
        if (req->minor == 1)
            f.chunked = true;
        else
            f.close = true;
    }
    f.no_type = f.no_body;
    if (req->method == SVL_HEAD)
        f.no_body = true;
    f.keep_10 = !f.close && req->minor == 0;
    return f;
}

static size_t fields_length(const struct svl_headers *headers)
{
    size_t n = 0;

    for (unsigned i = 0; i < headers->n; i++)
        n += headers->at[i].name_len + headers->at[i].value_len + 4u;
    return n;
}

size_t svl_head_bound(const struct svl_response *res, const struct svl_preamble *preamble)
{
    return 192 + preamble->len + res->reason.n + res->content_type.n + fields_length(&res->headers);
}

static char *put_status_line(char *to, const struct svl_response *res)
{
    if (res->status == 200 && !res->reason.p)
        return PUT(to, "HTTP/1.1 200 OK\r\n");
    to = PUT(to, "HTTP/1.1 ");
    to += svl_uint_print(to, (uint64_t)res->status);
    *to++ = ' ';
    to = put(to, res->reason.p ? res->reason : svl_status_text(res->status));
    return PUT(to, "\r\n");
}

static char *put_fields(char *to, const struct svl_headers *headers)
{
    for (unsigned i = 0; i < headers->n; i++) {
        const struct svl_header *h = &headers->at[i];

        to = put(to, svl_header_name(h));
        *to++ = ':';
        *to++ = ' ';
        to = put(to, svl_header_value(h));
        *to++ = '\r';
        *to++ = '\n';
    }
    return to;
}

size_t svl_status_line_write(char *to, const struct svl_response *res)
{
    return (size_t)(put_status_line(to, res) - to);
}

size_t svl_head_write(char *to, const struct svl_response *res, const struct svl_framing *framing,
                      const struct svl_preamble *preamble)
{
    char *begin = to;

    to = put_status_line(to, res);
    memcpy(to, preamble->text, preamble->len);
    to += preamble->len;
    if (res->content_type.p && !framing->no_type) {
        to = PUT(to, "Content-Type: ");
        to = put(to, res->content_type);
        to = PUT(to, "\r\n");
    }
    if (framing->chunked) {
        to = PUT(to, "Transfer-Encoding: chunked\r\n");
    } else if (!framing->no_length) {
        to = PUT(to, "Content-Length: ");
        to += svl_uint_print(to, (uint64_t)framing->length);
        to = PUT(to, "\r\n");
    }
    to = put_fields(to, &res->headers);
    if (framing->close)
        to = PUT(to, "Connection: close\r\n");
    else if (framing->keep_10)
        to = PUT(to, "Connection: keep-alive\r\n");
    to = PUT(to, "\r\n");
    return (size_t)(to - begin);
}

void svl_chunk_line(char *to, size_t size)
{
    for (int i = 7; i >= 0; i--) {
        to[i] = "0123456789abcdef"[size & 15];
        size >>= 4;
    }
    to[8] = '\r';
    to[9] = '\n';
}
