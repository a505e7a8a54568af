#include "http/response_parse.h"

#include "base/check.h"
#include "http/chars.h"
#include "http/scan.h"
#include "serval/error.h"

#include <string.h>

#define SHORTEST 12 /* "HTTP/1.1 200", a status line without its end */

static enum svl_parsed refuse(struct svl_head_reader *r, int error, const char *why)
{
    r->error = error;
    r->why = why;
    return SVL_PARSE_REFUSED;
}

static enum svl_parsed malformed(struct svl_head_reader *r, const char *why)
{
    return refuse(r, SVL_ERESPONSE, why);
}

void svl_head_reader_begin(struct svl_head_reader *r, struct svl_reply *reply)
{
    r->reply = reply;
    r->at = r->scanned = 0;
    r->why = NULL;
    reply->status = 0;
    reply->headers.n = 0;
    memset(reply->headers.first, 0, sizeof reply->headers.first);
}

/* HTTP-version SP 3DIGIT [SP reason] (RFC 9112 4). Many servers leave out the blank in front of a reason
 * that is empty. */
static enum svl_parsed read_status_line(struct svl_head_reader *r, const char *at, const char *end)
{
    struct svl_reply *reply = r->reply;

    if (end - at < SHORTEST || memcmp(at, "HTTP/", 5) != 0)
        return malformed(r, "this does not begin like a response");
    if (memcmp(at + 5, "1.", 2) != 0 || (at[7] != '1' && at[7] != '0'))
        return malformed(r, "this version of HTTP is not supported");
    if (at[8] != ' ' || at[9] < '1' || at[9] > '9' || at[10] < '0' || at[10] > '9' ||
        at[11] < '0' || at[11] > '9' || (end - at > SHORTEST && at[SHORTEST] != ' '))
        return malformed(r, "the status line is not well formed");
    reply->minor = (uint8_t)(at[7] - '0');
    reply->status = (at[9] - '0') * 100 + (at[10] - '0') * 10 + (at[11] - '0');
    at += end - at > SHORTEST ? SHORTEST + 1 : SHORTEST;
    reply->reason = (svl_str){at, (size_t)(end - at)};
    while ((at = svl_find_control(at, end)) < end && *at == '\t')
        at++;
    return at == end ? SVL_PARSE_MORE : malformed(r, "the status line is not well formed");
}

static struct svl_header *add_field(struct svl_head_reader *r, struct svl_arena *arena)
{
    struct svl_headers *headers = &r->reply->headers;

    if (headers->n >= r->max_fields)
        return NULL;
    if (headers->n == headers->room) {
        unsigned room = headers->room * 2u;
        struct svl_header *at = svl_arena_alloc(arena, room * sizeof *at);

        memcpy(at, headers->at, headers->n * sizeof *at);
        headers->at = at;
        headers->room = (uint16_t)room;
    }
    return &headers->at[headers->n++];
}

/* name ":" OWS value OWS (RFC 9112 5). A name that is known needs no look at its bytes. */
static enum svl_parsed read_field(struct svl_head_reader *r, struct svl_arena *arena,
                                  const char *at, const char *end)
{
    const char *colon = svl_find_byte(at, end, ':'), *value = colon + 1, *control;
    svl_str name = {at, (size_t)(colon - at)};
    enum svl_header_id id = svl_header_id(name);
    struct svl_header *h;

    if (name.n == 0 || colon == end || name.n > UINT16_MAX)
        return malformed(r, "a header line has no name, or goes on from the line before");
    for (size_t i = 0; id == SVL_H_OTHER && i < name.n; i++)
        if (!svl_char_is(at[i], SVL_CHAR_TOKEN))
            return malformed(r, "a header name is not well formed");
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    for (control = svl_find_control(value, end); control < end && *control == '\t';)
        control = svl_find_control(control + 1, end);
    if (control < end)
        return malformed(r, "there is a control byte in a header value");
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    h = add_field(r, arena);
    if (!h)
        return refuse(r, SVL_ELIMIT, "the response has too many header fields");
    *h = (struct svl_header){at, value, (uint32_t)(end - value), (uint16_t)name.n, (uint16_t)id};
    if (id != SVL_H_OTHER && !r->reply->headers.first[id])
        r->reply->headers.first[id] = (uint8_t)r->reply->headers.n;
    return SVL_PARSE_MORE;
}

static bool only_one(const struct svl_headers *headers, enum svl_header_id id)
{
    unsigned at = headers->first[id];

    return svl_headers_next(headers, id, &at) == NULL;
}

/* Framing is checked even where no body follows: a server that is wrong there is not to be trusted with
 * what comes next. Both fields, or one of them twice, are how responses are smuggled (RFC 9112 6.3). */
static enum svl_parsed check_framing(struct svl_head_reader *r)
{
    struct svl_reply *reply = r->reply;
    const struct svl_headers *headers = &reply->headers;
    svl_str coding = svl_headers_get(headers, SVL_H_TRANSFER_ENCODING);
    svl_str length = svl_headers_get(headers, SVL_H_CONTENT_LENGTH);
    unsigned long long n;

    r->framed = SVL_FRAMED_EOF;
    reply->content_length = -1;
    if (length.p) {
        if (coding.p)
            return malformed(r, "there are Transfer-Encoding and Content-Length");
        if (!svl_str_u64(length, &n) || n > INT64_MAX || !only_one(headers, SVL_H_CONTENT_LENGTH))
            return malformed(r, "Content-Length is not well formed, or not alone");
        reply->content_length = (int64_t)n;
        r->framed = n ? SVL_FRAMED_LENGTH : SVL_FRAMED_NONE;
    }
    if (coding.p) {
        if (reply->minor == 0)
            return malformed(r, "HTTP/1.0 has no Transfer-Encoding");
        if (!svl_str_ieq(coding, SVL_STR("chunked")) || !only_one(headers, SVL_H_TRANSFER_ENCODING))
            return malformed(r, "this Transfer-Encoding is not supported");
        r->framed = SVL_FRAMED_CHUNKED;
    }
    if (svl_status_is_interim(reply->status) && (length.p || coding.p))
        return malformed(r, "an interim response says that it has a body");
    if (r->to_head || reply->status < 200 || reply->status == 204 || reply->status == 304 ||
        (r->to_connect && reply->status < 300))
        r->framed = SVL_FRAMED_NONE;
    return SVL_PARSE_HEAD;
}

static void check_keep_alive(struct svl_head_reader *r)
{
    const struct svl_headers *headers = &r->reply->headers;

    r->keep_alive = r->reply->minor == 1;
    if (headers->first[SVL_H_CONNECTION]) {
        if (svl_headers_has_token(headers, SVL_H_CONNECTION, SVL_STR("close")))
            r->keep_alive = false;
        else if (svl_headers_has_token(headers, SVL_H_CONNECTION, SVL_STR("keep-alive")))
            r->keep_alive = true;
    }
    if (r->framed == SVL_FRAMED_EOF || r->reply->status == 101)
        r->keep_alive = false;
}

/* Without waiting for the end of a line that will never come: what is not HTTP is seen at once. */
static bool may_become_head(const char *data, size_t len)
{
    static const char begin[] = "HTTP/1.";
    size_t n = sizeof begin - 1;

    return memcmp(data, begin, len < n ? len : n) == 0;
}

enum svl_parsed svl_head_reader_read(struct svl_head_reader *r, struct svl_arena *arena,
                                     const char *data, size_t len)
{
    size_t limit = len < r->max_head ? len : r->max_head;

    while (limit > r->scanned) {
        const char *at = data + r->at, *end;
        const char *newline = memchr(data + r->scanned, '\n', limit - r->scanned);
        enum svl_parsed parsed;

        r->scanned = newline ? (size_t)(newline + 1 - data) : limit;
        if (!newline)
            break;
        end = newline - 1;
        if (newline == at || *end != '\r')
            return malformed(r, "a line does not end in CRLF");
        if (end == at && r->at > 0) {
            r->at = r->scanned;
            parsed = check_framing(r);
            check_keep_alive(r);
            return parsed;
        }
        parsed = r->at == 0 ? read_status_line(r, at, end) : read_field(r, arena, at, end);
        if (parsed != SVL_PARSE_MORE)
            return parsed;
        r->at = r->scanned;
    }
    if (r->at == 0 && !may_become_head(data, len))
        return malformed(r, "this does not begin like a response");
    if (len < r->max_head)
        return SVL_PARSE_MORE;
    return refuse(r, SVL_ELIMIT, "the head of the response is too large");
}
