/* From bytes to requests: llhttp, and the gate (gate.c) that refuses what llhttp lets through.
 *
 * The bytes of a head must lie one behind the other in memory while it is parsed: the views in
 * the request point into them. If they have to be moved, svl_parser_moved() follows. Nothing
 * here knows sockets; the fuzz targets live off this. */
#ifndef SVL_HTTP_PARSE_H
#define SVL_HTTP_PARSE_H

#include "base/arena.h"
#include "http/limits.h"
#include "serval/ctx.h"

#include <llhttp.h>

enum svl_parsed {
    SVL_PARSE_MORE,    /* all fine so far; more bytes are needed */
    SVL_PARSE_HEAD,    /* the head is complete; `ended` tells whether a body follows */
    SVL_PARSE_END,     /* the message is complete */
    SVL_PARSE_REFUSED, /* answer `status`, then close: framing is in doubt */
};

/* Takes a piece of the body. Returns 0, SVL_BODY_STOP to have svl_parser_body() return behind this
 * piece, or a status that refuses the rest. */
#define SVL_BODY_STOP 1
typedef int svl_body_fn(void *arg, const char *data, size_t len);

struct svl_parser {
    llhttp_t ll;
    struct svl_request *req;
    const struct svl_limits *limits;
    struct svl_arena *arena; /* for a growing field table and decoded paths */

    svl_body_fn *on_body; /* NULL = the body is dropped */
    void *body_arg;

    size_t head_len;   /* bytes of the head so far */
    uint64_t body_len; /* decoded bytes so far */
    size_t overhead;   /* bytes of chunk lines and trailers so far */
    struct {
        char *text; /* the arena's */
        size_t n, room;
    } trailers; /* their lines, of a wanted body, from its last chunk on */
    unsigned chunks;
    uint8_t trailer;                  /* the same: place in a line of the trailers */
    uint8_t phase;                    /* enum in parse.c */
    bool ended;                       /* the message is complete */
    bool stopped;                     /* by SVL_BODY_STOP, behind a piece */
    bool fast;                        /* the head came by the fast lane: llhttp has not seen it */
    bool says_close, says_keep_alive; /* tokens of Connection */
    bool chunked;
    bool keep_alive; /* what the client asked for */
    bool expects_continue;
    bool upgrade;    /* an Upgrade field that Connection names */
    int status;      /* why refused: the answer's status */
    const char *why; /* static text */
};

void svl_parser_begin(struct svl_parser *p, struct svl_request *req,
                      const struct svl_limits *limits, struct svl_arena *arena);

/* Parses on; *used bytes of data are done with. After MORE the rest must be handed in again,
 * with more behind it. After HEAD, svl_parser_body() takes what follows unless p->ended. */
enum svl_parsed svl_parser_head(struct svl_parser *p, const char *data, size_t len, size_t *used);

/* The same for the body: MORE, END or REFUSED. */
enum svl_parsed svl_parser_body(struct svl_parser *p, const char *data, size_t len, size_t *used);

/* The bytes of the unfinished head were copied from `from` to `to`. */
void svl_parser_moved(struct svl_parser *p, const char *from, const char *to);

/* Whether any byte of a request was seen. */
static inline bool svl_parser_started(const struct svl_parser *p)
{
    return p->head_len > 0;
}

/* fast.c: reads a complete head that has no body and nothing unusual, as llhttp would. False =
 * it is not one of those: nothing was used, and llhttp decides what it is. */
bool svl_fast_head(struct svl_parser *p, const char *data, size_t len, size_t *used);

/* parse.c: room for one more field line. */
void svl_parser_grow(struct svl_parser *p);

/* One more field line, with a name and nothing else yet; NULL when there are too many. */
static inline struct svl_header *svl_parser_add_field(struct svl_parser *p, const char *name,
                                                      size_t len)
{
    struct svl_headers *headers = &p->req->headers;
    struct svl_header *h;

    if (headers->n >= p->limits->max_fields)
        return NULL;
    if (headers->n == headers->room)
        svl_parser_grow(p);
    h = &headers->at[headers->n++];
    *h = (struct svl_header){.name = name, .name_len = (uint16_t)len};
    return h;
}

/* gate.c: whether a complete head may pass. Fills the known-name index, host, path, query,
 * keep_alive and expects_continue. `end` points behind the empty line. Returns 0, or the status
 * with p->why set. */
int svl_gate_head(struct svl_parser *p, const char *end);

/* target.c: takes the target apart (RFC 9112 3.2). Returns 0, or the status with *why set. */
int svl_target_read(struct svl_request *req, struct svl_arena *arena, const char **why);

#endif
