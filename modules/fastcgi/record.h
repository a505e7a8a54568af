/* Records of FastCGI 1.0: a header of 8 bytes, content, padding. No sockets, no memory. */
#ifndef FASTCGI_RECORD_H
#define FASTCGI_RECORD_H

#include "serval/str.h"

#include <stdint.h>

enum {
    FCGI_BEGIN_REQUEST = 1,
    FCGI_ABORT_REQUEST = 2,
    FCGI_END_REQUEST = 3,
    FCGI_PARAMS = 4,
    FCGI_STDIN = 5,
    FCGI_STDOUT = 6,
    FCGI_STDERR = 7,
};

enum { FCGI_RESPONDER = 1, FCGI_KEEP_CONN = 1 };

/* protocolStatus of FCGI_END_REQUEST */
enum { FCGI_REQUEST_COMPLETE, FCGI_CANT_MPX_CONN, FCGI_OVERLOADED, FCGI_UNKNOWN_ROLE };

#define FCGI_HEADER 8
#define FCGI_MAX_CONTENT 65528 /* the most, so that the next record begins at a multiple of 8 */
#define FCGI_ID 1              /* the only request of a connection */

/* Writing: at least this much room for n bytes of content; returns what was written. */
size_t fcgi_header(unsigned char *to, unsigned type, size_t n);
size_t fcgi_begin(unsigned char *to, bool keep); /* 16 bytes */

/* The length of a name or value in front of it: 1 or 4 bytes. */
size_t fcgi_length(unsigned char *to, size_t n);

/* Reading: zeroed at first. */
struct fcgi_reader {
    unsigned char head[FCGI_HEADER], end[8];
    uint8_t n_head, n_end; /* of which so much has come */
    uint8_t padding;
    uint16_t left; /* of the content */
};

struct fcgi_event {
    unsigned type;          /* FCGI_STDOUT, FCGI_STDERR or FCGI_END_REQUEST */
    svl_str piece;          /* of the first two: some bytes, as they come */
    unsigned app, protocol; /* of the last: its statuses */
};

/* Takes one event off *bytes: 1 = there is one, 0 = more bytes are needed, SVL_ESYNTAX = this is not
 * FastCGI, or about a request that was not asked for. Records of other types are passed over. */
int fcgi_read(struct fcgi_reader *reader, svl_str *bytes, struct fcgi_event *event);

/* Whether a record has begun and not ended. */
bool fcgi_within(const struct fcgi_reader *reader);

#endif
