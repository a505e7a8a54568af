#include "http/parse.h"

#include "base/check.h"
#include "http/chars.h"
#include "http/response_parse.h"

#include <string.h>

enum { METHOD, HEAD, BODY, TRAILERS };

#define MAX_METHOD 32         /* longest method token, bytes */
#define MAX_BLANK_LINES 4     /* empty lines before a request (RFC 9112 2.2) */
#define OVERHEAD_PER_CHUNK 24 /* a chunk line without extensions, generously */

static struct svl_parser *parser_of(llhttp_t *ll)
{
    return svl_container(ll, struct svl_parser, ll);
}

static int refuse(struct svl_parser *p, int status, const char *why)
{
    p->status = status;
    p->why = why;
    return -1;
}

/* A limit that is passed in a head is only noted, and reported when the head is over: spans come
 * in pieces, and what is answered must not depend on how the bytes were cut. */
static int note(struct svl_parser *p, int status, const char *why)
{
    if (!p->status)
        refuse(p, status, why);
    return 0;
}

static int on_url(llhttp_t *ll, const char *at, size_t len)
{
    struct svl_parser *p = parser_of(ll);
    svl_str *target = &p->req->target;

    if (!target->p)
        target->p = at;
    target->n += len;
    if (target->n > p->limits->max_target)
        note(p, 414, "the request target is too long");
    return 0;
}

/* The table doubles; the old one stays in the arena until the request ends. */
void svl_parser_grow(struct svl_parser *p)
{
    struct svl_headers *headers = &p->req->headers;
    unsigned room = headers->room * 2u;
    struct svl_header *at = svl_arena_alloc(p->arena, room * sizeof *at);

    memcpy(at, headers->at, headers->n * sizeof *at);
    headers->at = at;
    headers->room = (uint16_t)room;
}

static int on_field(llhttp_t *ll, const char *at, size_t len)
{
    struct svl_parser *p = parser_of(ll);
    struct svl_headers *headers = &p->req->headers;
    struct svl_header *last;

    if (p->status)
        return 0;
    if (len > UINT16_MAX)
        return note(p, 431, "a header name is too long");
    last = headers->n ? &headers->at[headers->n - 1] : NULL;
    if (!last || last->value || last->name + last->name_len != at)
        return svl_parser_add_field(p, at, len) ? 0 : note(p, 431, "too many header fields");
    if (last->name_len + len > UINT16_MAX)
        return note(p, 431, "a header name is too long");
    last->name_len = (uint16_t)(last->name_len + len);
    return 0;
}

static int on_value(llhttp_t *ll, const char *at, size_t len)
{
    struct svl_parser *p = parser_of(ll);
    struct svl_headers *headers = &p->req->headers;
    struct svl_header *last;

    if (p->status)
        return 0;
    last = &headers->at[headers->n - 1];
    if (!last->value) {
        last->value = at;
        last->value_len = (uint32_t)len;
        return 0;
    }
    if (last->value + last->value_len != at)
        return note(p, 400, "a header value goes on in the next line");
    last->value_len += (uint32_t)len;
    return 0;
}

static int on_head(llhttp_t *ll)
{
    struct svl_parser *p = parser_of(ll);

    p->chunked = ll->flags & F_CHUNKED;
    p->req->content_length = p->chunked ? -1 : (int64_t)ll->content_length;
    p->upgrade = ll->upgrade != 0;
    ll->upgrade = 0; /* what follows is a body or the next request until a handler takes over */
    return p->req->content_length != 0 ? HPE_PAUSED : 0;
}

static int on_body(llhttp_t *ll, const char *at, size_t len)
{
    struct svl_parser *p = parser_of(ll);
    int status;

    p->body_len += len;
    if (!p->on_body)
        return 0;
    status = p->on_body(p->body_arg, at, len);
    if (status == SVL_BODY_STOP) {
        p->stopped = true;
        return HPE_PAUSED;
    }
    if (status == 413 && !p->why)
        p->why = "the body is too large";
    return status ? refuse(p, status, p->why) : 0;
}

/* What follows the last chunk is not llhttp's. */
static int on_chunk(llhttp_t *ll)
{
    struct svl_parser *p = parser_of(ll);

    p->chunks++;
    if (ll->content_length > INT64_MAX)
        return refuse(p, 413, "the body is too large");
    if (ll->content_length > 0)
        return 0;
    p->phase = TRAILERS;
    return HPE_PAUSED;
}

static int on_end(llhttp_t *ll)
{
    parser_of(ll)->ended = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_chunk_header = on_chunk,
    .on_message_complete = on_end,
};

void svl_parser_begin(struct svl_parser *p, struct svl_request *req,
                      const struct svl_limits *limits, struct svl_arena *arena)
{
    p->req = req;
    p->limits = limits;
    p->arena = arena;
    p->on_body = NULL;
    p->body_arg = NULL;
    p->head_len = 0;
    p->body_len = 0;
    p->overhead = 0;
    p->trailers.n = p->trailers.room = 0;
    p->chunks = 0;
    p->phase = METHOD;
    p->trailer = 0;
    p->ended = false;
    p->fast = false;
    p->says_close = false;
    p->says_keep_alive = false;
    p->chunked = false;
    p->keep_alive = false;
    p->expects_continue = false;
    p->upgrade = false;
    p->status = 0;
    p->why = NULL;
}

static enum svl_parsed refused(struct svl_parser *p, int status, const char *why)
{
    refuse(p, status, why);
    return SVL_PARSE_REFUSED;
}

/* Length of the empty lines at the start, or -1 when there is something else than CRLF. */
static ptrdiff_t blank_lines(const char *data, size_t len)
{
    size_t at = 0;

    while (at < len && (data[at] == '\r' || data[at] == '\n')) {
        if (data[at] != (at % 2 ? '\n' : '\r') || at >= 2 * MAX_BLANK_LINES)
            return -1;
        at++;
    }
    return at % 2 && at < len ? -1 : (ptrdiff_t)at;
}

/* llhttp knows a fixed list of methods; we take any token, and hide it behind GET, which frames
 * like every method but CONNECT. */
static enum svl_parsed read_method(struct svl_parser *p, const char *data, size_t len, size_t *used)
{
    struct svl_request *req = p->req;
    size_t n = 0;

    while (n < len && n <= MAX_METHOD && svl_char_is(data[n], SVL_CHAR_TOKEN))
        n++;
    if (n > MAX_METHOD)
        return refused(p, 501, "the method is not known");
    if (n == len)
        return SVL_PARSE_MORE;
    if (n == 0 || data[n] != ' ')
        return refused(p, 400, "this does not begin like a request");

    req->method_text = (svl_str){data, n};
    req->method = svl_method_of(req->method_text);
    if (req->method == SVL_CONNECT || req->method == SVL_TRACE)
        return refused(p, 501, "this method is not supported");
    llhttp_init(&p->ll, HTTP_REQUEST, &settings);
    if (llhttp_execute(&p->ll, "GET ", 4) != HPE_OK)
        return refused(p, 400, "this does not begin like a request");
    p->phase = HEAD;
    p->head_len = n + 1;
    *used = n + 1;
    return SVL_PARSE_HEAD;
}

/* HTTP/1.2 and above, and 0.9, are not ours to answer: say which it is where it can be seen. */
static enum svl_parsed refuse_head(struct svl_parser *p, llhttp_errno_t error)
{
    switch (error) {
    case HPE_INVALID_VERSION: return refused(p, 505, "this version of HTTP is not supported");
    case HPE_INVALID_URL: return refused(p, 400, "the request target is not well formed");
    case HPE_INVALID_TRANSFER_ENCODING:
        return refused(p, 400, "Transfer-Encoding must end in chunked");
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return refused(p, 400, "Content-Length is not well formed, or not alone");
    default: return refused(p, 400, "the request is not well formed");
    }
}

static enum svl_parsed finish_head(struct svl_parser *p, const char *end)
{
    int status = p->status ? p->status : svl_gate_head(p, end);

    if (status)
        return refused(p, status, p->why);
    p->phase = BODY;
    return SVL_PARSE_HEAD;
}

enum svl_parsed svl_parser_head(struct svl_parser *p, const char *data, size_t len, size_t *used)
{
    const char *begin = data;
    llhttp_errno_t error;
    size_t done, room;

    *used = 0;
    if (p->phase == METHOD) {
        ptrdiff_t blank = len && *data <= '\n' + 3 ? blank_lines(data, len) : 0;
        enum svl_parsed parsed;

        if (blank == 0 && svl_fast_head(p, data, len, used))
            return finish_head(p, data + *used);
        if (blank < 0)
            return refused(p, 400, "this does not begin like a request");
        data += blank;
        len -= (size_t)blank;
        if (len == 0 || (len == 1 && *data == '\r'))
            return SVL_PARSE_MORE;
        parsed = read_method(p, data, len, &done);
        if (parsed != SVL_PARSE_HEAD)
            return parsed;
        data += done;
        len -= done;
    }

    room = p->head_len < p->limits->max_head ? p->limits->max_head - p->head_len : 0;
    if (len > room)
        len = room;
    error = llhttp_execute(&p->ll, data, len);
    if (error == HPE_OK) {
        *used = (size_t)(data + len - begin);
        p->head_len += len;
        if (len < room)
            return SVL_PARSE_MORE;
        note(p, 431, "the header section is too large");
        return SVL_PARSE_REFUSED;
    }
    if (error != HPE_PAUSED)
        return refuse_head(p, error);

    done = (size_t)(llhttp_get_error_pos(&p->ll) - data);
    llhttp_resume(&p->ll);
    p->head_len += done;
    *used = (size_t)(data + done - begin);
    return finish_head(p, data + done);
}

enum { LINE, NAME, VALUE, LINE_CR, END_CR };

/* Whether a byte may stand here in the trailers; *at moves on. They are never fields of the head
 * (RFC 9110 6.5.1), and whoever hides a request in them must not get through: lines as in a head, CRLF only. */
static bool trailer_byte(uint8_t *at, char c)
{
    switch (*at) {
    case LINE: *at = c == '\r' ? END_CR : NAME; return c == '\r' || svl_char_is(c, SVL_CHAR_TOKEN);
    case NAME: *at = c == ':' ? VALUE : NAME; return c == ':' || svl_char_is(c, SVL_CHAR_TOKEN);
    case VALUE:
        *at = c == '\r' ? LINE_CR : VALUE;
        return c == '\r' || c == '\t' || ((unsigned char)c >= ' ' && c != 0x7f);
    default: *at = LINE; return c == '\n';
    }
}

static size_t max_overhead(const struct svl_parser *p)
{
    return p->limits->max_chunk_overhead + (size_t)p->chunks * OVERHEAD_PER_CHUNK;
}

/* How much there can be is limited with the chunk lines. */
static void keep_trailers(struct svl_parser *p, const char *data, size_t len)
{
    bool none = p->trailers.n == 0 && len > 0 && (*data == '\r' || *data == '\n');

    if (!p->on_body || len == 0 || none)
        return;
    if (p->trailers.room - p->trailers.n < len) {
        size_t room = 2 * (p->trailers.n + len) + 128;
        char *text = svl_arena_alloc(p->arena, room);

        if (p->trailers.n)
            memcpy(text, p->trailers.text, p->trailers.n);
        p->trailers.text = text;
        p->trailers.room = room;
    }
    memcpy(p->trailers.text + p->trailers.n, data, len);
    p->trailers.n += len;
}

static enum svl_parsed read_trailers(struct svl_parser *p, const char *data, size_t len,
                                     size_t *used)
{
    for (*used = 0; *used < len; ++*used) {
        p->ended = p->trailer == END_CR;
        if (!trailer_byte(&p->trailer, data[*used]))
            return refused(p, 400, "the trailers of the body are not well formed");
        if (++p->overhead > max_overhead(p))
            return refused(p, 400, "chunk extensions or trailers are too large");
        if (p->ended) {
            ++*used;
            keep_trailers(p, data, *used);
            return SVL_PARSE_END;
        }
    }
    keep_trailers(p, data, *used);
    return SVL_PARSE_MORE;
}

static enum svl_parsed read_body(struct svl_parser *p, const char *data, size_t len, size_t *used)
{
    uint64_t before = p->body_len;
    llhttp_errno_t error = llhttp_execute(&p->ll, data, len);

    *used = len;
    if (error == HPE_PAUSED) {
        *used = (size_t)(llhttp_get_error_pos(&p->ll) - data);
        llhttp_resume(&p->ll);
        /* Stopped behind its last piece, llhttp would want another byte to see the end. */
        if (p->req->content_length == (int64_t)p->body_len)
            p->ended = true;
    } else if (error != HPE_OK) {
        return p->status ? SVL_PARSE_REFUSED
                         : refused(p, 400, "the chunks of the body are not well formed");
    }
    p->overhead += *used - (size_t)(p->body_len - before);
    if (p->overhead > max_overhead(p))
        return refused(p, 400, "chunk extensions or trailers are too large");
    return p->ended ? SVL_PARSE_END : SVL_PARSE_MORE;
}

enum svl_parsed svl_parser_body(struct svl_parser *p, const char *data, size_t len, size_t *used)
{
    enum svl_parsed parsed;
    size_t n;

    p->stopped = false;
    for (*used = 0; p->phase == BODY && !p->stopped; *used += n) {
        size_t left = len - *used, room = max_overhead(p) + 1 - p->overhead;

        if (left == 0)
            return SVL_PARSE_MORE;
        /* In steps that end where the limit may be passed, so that cuts make no difference. */
        if (p->chunked && left > room)
            left = room;
        parsed = read_body(p, data + *used, left, &n);
        if (parsed != SVL_PARSE_MORE) {
            *used += n;
            return parsed;
        }
    }
    if (p->stopped)
        return SVL_PARSE_MORE;
    parsed = read_trailers(p, data + *used, len - *used, &n);
    *used += n;
    return parsed;
}

/* A request that ends where the chunks begin: behind that llhttp does not know whose they are. */
void svl_parser_chunks(struct svl_parser *p, struct svl_request *spare,
                       const struct svl_limits *limits, struct svl_arena *arena)
{
    static const char head[] = "POST / HTTP/1.1\r\nTransfer-Encoding:chunked\r\n\r\n";

    svl_parser_begin(p, spare, limits, arena);
    p->status = 400; /* its fields are noted nowhere */
    llhttp_init(&p->ll, HTTP_REQUEST, &settings);
    SVL_ASSERT(llhttp_execute(&p->ll, head, sizeof head - 1) == HPE_PAUSED);
    llhttp_resume(&p->ll);
    p->status = 0;
    p->phase = BODY;
}

static void move(const char **view, const char *from, const char *to)
{
    if (*view)
        *view = to + (*view - from);
}

void svl_parser_moved(struct svl_parser *p, const char *from, const char *to)
{
    struct svl_request *req = p->req;

    move(&req->method_text.p, from, to);
    move(&req->target.p, from, to);
    for (unsigned i = 0; i < req->headers.n; i++) {
        move(&req->headers.at[i].name, from, to);
        move(&req->headers.at[i].value, from, to);
    }
}
