#include "record.h"

#include "serval/error.h"

size_t fcgi_header(unsigned char *to, unsigned type, size_t n)
{
    to[0] = 1;
    to[1] = (unsigned char)type;
    to[2] = 0;
    to[3] = FCGI_ID;
    to[4] = (unsigned char)(n >> 8);
    to[5] = (unsigned char)n;
    to[6] = to[7] = 0;
    return FCGI_HEADER;
}

size_t fcgi_begin(unsigned char *to, bool keep)
{
    static const unsigned char body[8] = {0, FCGI_RESPONDER};

    fcgi_header(to, FCGI_BEGIN_REQUEST, sizeof body);
    memcpy(to + FCGI_HEADER, body, sizeof body);
    to[FCGI_HEADER + 2] = keep ? FCGI_KEEP_CONN : 0;
    return FCGI_HEADER + sizeof body;
}

size_t fcgi_length(unsigned char *to, size_t n)
{
    if (n < 128) {
        to[0] = (unsigned char)n;
        return 1;
    }
    to[0] = (unsigned char)(n >> 24 | 0x80);
    to[1] = (unsigned char)(n >> 16);
    to[2] = (unsigned char)(n >> 8);
    to[3] = (unsigned char)n;
    return 4;
}

/* Up to `want` bytes to their place; returns how many are there then. */
static size_t gather(unsigned char *to, size_t have, size_t want, svl_str *bytes)
{
    size_t n = want - have < bytes->n ? want - have : bytes->n;

    if (n > 0)
        memcpy(to + have, bytes->p, n);
    *bytes = svl_str_from(*bytes, n);
    return have + n;
}

/* The header is complete. Returns 0, or SVL_ESYNTAX. */
static int begin_record(struct fcgi_reader *r)
{
    unsigned type = r->head[1], id = (unsigned)r->head[2] << 8 | r->head[3];

    r->left = (uint16_t)(r->head[4] << 8 | r->head[5]);
    r->padding = r->head[6];
    r->n_end = 0;
    if (r->head[0] != 1)
        return SVL_ESYNTAX;
    if (type != FCGI_STDOUT && type != FCGI_STDERR && type != FCGI_END_REQUEST)
        return 0;
    return id == FCGI_ID && (type != FCGI_END_REQUEST || r->left == 8) ? 0 : SVL_ESYNTAX;
}

/* Content of an end: kept until it is whole. Returns whether it is. */
static bool read_end(struct fcgi_reader *r, svl_str *bytes, struct fcgi_event *event)
{
    size_t n = gather(r->end, r->n_end, sizeof r->end, bytes);

    r->left = (uint16_t)(r->left - (n - r->n_end));
    r->n_end = (uint8_t)n;
    if (n < sizeof r->end)
        return false;
    event->app = (unsigned)r->end[0] << 24 | (unsigned)r->end[1] << 16 | (unsigned)r->end[2] << 8 |
                 r->end[3];
    event->protocol = r->end[4];
    return true;
}

int fcgi_read(struct fcgi_reader *r, svl_str *bytes, struct fcgi_event *event)
{
    while (bytes->n > 0) {
        size_t n;

        if (r->n_head < FCGI_HEADER) {
            r->n_head = (uint8_t)gather(r->head, r->n_head, FCGI_HEADER, bytes);
            if (r->n_head < FCGI_HEADER)
                return 0;
            if (begin_record(r))
                return SVL_ESYNTAX;
        }
        event->type = r->head[1];
        if (r->left > 0 && event->type == FCGI_END_REQUEST) {
            if (!read_end(r, bytes, event))
                return 0;
            if (r->padding == 0)
                r->n_head = 0;
            return 1;
        }
        n = r->left < bytes->n ? r->left : bytes->n;
        event->piece = svl_str_head(*bytes, n);
        *bytes = svl_str_from(*bytes, n);
        r->left = (uint16_t)(r->left - n);
        if (r->left == 0) {
            size_t skip = r->padding < bytes->n ? r->padding : bytes->n;

            *bytes = svl_str_from(*bytes, skip);
            r->padding = (uint8_t)(r->padding - skip);
            if (r->padding == 0)
                r->n_head = 0;
        }
        if (n > 0 && (event->type == FCGI_STDOUT || event->type == FCGI_STDERR))
            return 1;
    }
    return 0;
}

bool fcgi_within(const struct fcgi_reader *r)
{
    return r->n_head > 0;
}
