/* From bytes to responses, the client's side of RFC 9112: a head is read once, line by line, by one strict
 * reader, which takes nothing that llhttp would refuse or read differently (tests/fuzz/fuzz_response.c).
 * What frames its body is decided here as well; chunks are read by the same reader as a request's.
 *
 * The bytes of a head must lie one behind the other: the views of the reply point into them. */
#ifndef SVL_HTTP_RESPONSE_PARSE_H
#define SVL_HTTP_RESPONSE_PARSE_H

#include "http/parse.h"
#include "serval/client.h"

enum svl_framed {
    SVL_FRAMED_NONE,   /* no body */
    SVL_FRAMED_LENGTH, /* reply->content_length bytes */
    SVL_FRAMED_CHUNKED,
    SVL_FRAMED_EOF, /* all there is until the end of the connection */
};

struct svl_head_reader {
    struct svl_reply *reply; /* status, minor, reason, headers, content_length are filled */
    size_t max_head;
    unsigned max_fields;
    bool to_head;    /* the request was HEAD: no body whatever the fields say */
    bool to_connect; /* CONNECT: nor behind a 2xx, which makes a tunnel of the connection */

    size_t at;      /* of the first line that is not read yet */
    size_t scanned; /* no line ends before */
    enum svl_framed framed;
    bool keep_alive; /* the connection may serve again after this response */
    const char *why; /* static text, when it is refused */
    int error;       /* with it: SVL_ERESPONSE or SVL_ELIMIT */
};

/* reply->headers has a table with some room; the arena is for larger ones. */
void svl_head_reader_begin(struct svl_head_reader *r, struct svl_reply *reply);

/* Reads on; `data` is the head from its first byte, with what follows. SVL_PARSE_MORE, or SVL_PARSE_HEAD
 * with its length in r->at, or SVL_PARSE_REFUSED. If data has moved, begin anew. */
enum svl_parsed svl_head_reader_read(struct svl_head_reader *r, struct svl_arena *arena,
                                     const char *data, size_t len);

/* Whether an interim response (RFC 9110 15.2): another head follows. 101 is final. */
static inline bool svl_status_is_interim(int status)
{
    return status < 200 && status != 101;
}

/* Sets a parser up for a body in chunks: svl_parser_body() takes it from here. `spare` is the
 * parser's, zeroed, as long as it is used. */
void svl_parser_chunks(struct svl_parser *p, struct svl_request *spare,
                       const struct svl_limits *limits, struct svl_arena *arena);

#endif
