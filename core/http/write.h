/* From answers to bytes: how an answer is framed, and its head. */
#ifndef SVL_HTTP_WRITE_H
#define SVL_HTTP_WRITE_H

#include "serval/ctx.h"
#include "serval/date.h"

/* The fields that every answer of a worker begins with; made anew once per second. */
struct svl_preamble {
    int64_t second; /* the Date in it; -1 = not made yet */
    size_t len;
    char text[128 + SVL_DATE_LEN];
};

/* "Server: <name> CRLF Date: <now> CRLF"; no Server without a name, which is cut at 64 bytes. */
void svl_preamble_make(struct svl_preamble *preamble, svl_str name, int64_t second, bool date);

/* What goes on the wire behind the head, and how it ends (RFC 9112 6). */
struct svl_framing {
    bool close;   /* Connection: close */
    bool keep_10; /* Connection: keep-alive, for an HTTP/1.0 client that asked */
    bool chunked;
    bool no_length; /* no Content-Length: 1xx, 204, 304 without one, or ended by closing */
    bool no_body;   /* HEAD, 1xx, 204, 205, 304: nothing follows the head */
    bool no_type;   /* no Content-Type: there is nothing it would describe */
    int64_t length; /* of the representation; -1 = not known */
};

/* keep_alive: the connection may stay open after this answer. */
struct svl_framing svl_framing_of(const struct svl_request *req, const struct svl_response *res,
                                  bool keep_alive);

/* No head of that answer is longer. */
size_t svl_head_bound(const struct svl_response *res, const struct svl_preamble *preamble);

/* Writes "HTTP/1.1 200 OK" and the line's end, returns its length. svl_head_bound() is enough. */
size_t svl_status_line_write(char *to, const struct svl_response *res);

/* Writes the head, returns its length. */
size_t svl_head_write(char *to, const struct svl_response *res, const struct svl_framing *framing,
                      const struct svl_preamble *preamble);

/* "1f\r\n" in front of a chunk of `size` bytes: exactly SVL_CHUNK_LINE bytes, with leading
 * zeros (RFC 9112 7.1 allows them), so that its place can be kept free. */
#define SVL_CHUNK_LINE 10
void svl_chunk_line(char *to, size_t size);

#endif
