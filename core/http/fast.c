/* The fast lane: a complete head of a GET or HEAD without a body, in plain shape, is read here in
 * one pass. Everything else, and so every message that has or might have a body, is llhttp's.
 *
 * It takes nothing that llhttp and the gate would refuse or read differently; a fuzz target
 * compares the two (tests/fuzz/fuzz_lanes.c, docs/decisions/001-fast-lane.md). */
#include "base/check.h"
#include "http/chars.h"
#include "http/parse.h"
#include "http/scan.h"

#include <string.h>

#define SHORTEST 18 /* "GET / HTTP/1.0\r\n\r\n" */

/* Connection with one plain word. More than that is llhttp's. */
static bool read_connection(struct svl_parser *p, svl_str value)
{
    if (svl_str_ieq(value, SVL_STR("keep-alive")))
        p->says_keep_alive = true;
    else if (svl_str_ieq(value, SVL_STR("close")))
        p->says_close = true;
    else
        return false;
    return true;
}

/* Fields that frame a body, or change what follows, are not for this lane. */
static bool read_known(struct svl_parser *p, enum svl_header_id id, svl_str value)
{
    switch (id) {
    case SVL_H_CONTENT_LENGTH:
    case SVL_H_TRANSFER_ENCODING:
    case SVL_H_UPGRADE:
    case SVL_H_PROXY_CONNECTION: return false;
    case SVL_H_CONNECTION: return read_connection(p, value);
    default: return true;
    }
}

/* One line; returns what follows it, or NULL. A name that is known needs no look at its bytes. */
static const char *read_field(struct svl_parser *p, const char *at, const char *end)
{
    const char *colon = svl_find_byte(at, end, ':'), *value;
    svl_str name = {at, (size_t)(colon - at)};
    enum svl_header_id id;
    struct svl_header *h;

    if (name.n == 0 || colon == end || name.n > UINT16_MAX)
        return NULL;
    id = svl_header_id(name);
    if (id == SVL_H_OTHER && svl_chars_skip(at, colon, SVL_CHAR_TOKEN) != colon)
        return NULL;
    value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    at = svl_find_control(value, end);
    while (at < end && *at == '\t')
        at = svl_find_control(at + 1, end);
    if (end - at < 2 || at[0] != '\r' || at[1] != '\n')
        return NULL;
    h = svl_parser_add_field(p, name.p, name.n);
    if (!h)
        return NULL;
    h->id = (uint16_t)id;
    h->value = value;
    h->value_len = (uint32_t)(at - value);
    return read_known(p, id, (svl_str){value, (size_t)(at - value)}) ? at + 2 : NULL;
}

static const char *read_line(struct svl_request *req, const char *at, const char *end)
{
    const char *target;

    if (memcmp(at, "GET ", 4) == 0) {
        req->method = SVL_GET;
        target = at + 4;
    } else if (memcmp(at, "HEAD ", 5) == 0) {
        req->method = SVL_HEAD;
        target = at + 5;
    } else {
        return NULL;
    }
    req->method_text = (svl_str){at, (size_t)(target - at - 1)};
    if (*target != '/')
        return NULL;
    at = svl_chars_skip(target, end, SVL_CHAR_TARGET);
    if (end - at < 13 || memcmp(at, " HTTP/1.", 8) != 0 || (at[8] != '1' && at[8] != '0') ||
        at[9] != '\r' || at[10] != '\n')
        return NULL;
    req->target = (svl_str){target, (size_t)(at - target)};
    req->minor = (uint8_t)(at[8] - '0');
    return at + 11;
}

static const char *read_head(struct svl_parser *p, const char *at, const char *end)
{
    at = read_line(p->req, at, end);
    if (!at || p->req->target.n > p->limits->max_target)
        return NULL;
    while (at && at < end && *at != '\r')
        at = read_field(p, at, end);
    return at && end - at >= 2 && at[0] == '\r' && at[1] == '\n' ? at + 2 : NULL;
}

/* As if nothing had been read: llhttp starts from the first byte. */
static bool give_up(struct svl_parser *p)
{
    p->req->headers.n = 0;
    p->req->target = SVL_STR_NONE;
    p->says_close = p->says_keep_alive = false;
    p->status = 0;
    p->why = NULL;
    return false;
}

bool svl_fast_head(struct svl_parser *p, const char *data, size_t len, size_t *used)
{
    const char *end;

    if (len < SHORTEST)
        return false;
    end = read_head(p, data, data + len);
    if (!end || (size_t)(end - data) > p->limits->max_head)
        return give_up(p);
    *used = p->head_len = (size_t)(end - data);
    p->fast = true;
    p->ended = true;
    p->req->content_length = 0;
    return true;
}
