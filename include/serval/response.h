/* More ways to make an answer than ctx.h has: bodies that grow, trailers, hints, redirects. */
#ifndef SVL_RESPONSE_H
#define SVL_RESPONSE_H

#include "serval/ctx.h"

/* Another text behind the status than the standard one; copied. Returns 0, or SVL_EHEADER when it
 * holds CR, LF or NUL. svl_fail() and svl_response_reset() bring the standard one back. */
int svl_reason(struct svl_ctx *ctx, svl_str reason);

/* Adds to the body, which becomes bytes of the ctx if it was static or none. A file or a source cannot
 * be added to: that is a mistake of the caller's, and becomes a 500. */
void svl_body_append(struct svl_ctx *ctx, svl_str bytes);
void svl_body_printf(struct svl_ctx *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Fields behind the body (RFC 9110 6.5): the body is then sent in chunks, and Trailer announces the
 * names that are known when its head is sent. Again with the same name replaces the value, also while
 * a source gives the body: so set it empty first, and the checksum at the end. They are left out
 * towards HTTP/1.0, behind files and sources of known length, and where there is no body. Returns 0, or
 * SVL_EHEADER for names that must not be trailers: those that frame, route, authenticate or describe
 * the content (6.5.1). */
int svl_trailer_set(struct svl_ctx *ctx, svl_str name, svl_str value);

/* The trailers of the request, when its body has come to the end in chunks; empty otherwise, and
 * without those that svl_trailer_set() would refuse. Never NULL; valid until on_done. */
const struct svl_headers *svl_request_trailers(struct svl_ctx *ctx);

/* 103 (RFC 8297) with the Link fields that were set so far, at once or with what is sent next; they
 * stay in the answer too. Returns 0, or SVL_ESTATE when it cannot be sent: to HTTP/1.0 clients, without
 * a Link, or when nobody waits any more. */
int svl_early_hints(struct svl_ctx *ctx);

/* No answer: the connection closes, and the client sees that it got none. In a hook, which then returns
 * SVL_ERROR, or while its ctx is pending, which still has to be resumed; what takes pieces of a body
 * gets SVL_PIECE_GONE. Not in a source, which returns a negative number instead. */
void svl_drop(struct svl_ctx *ctx);

/* svl_redirect() to a reference that is resolved against the request's own URI and made absolute. */
enum svl_verdict svl_redirect_absolute(struct svl_ctx *ctx, int status, svl_str reference);

/* 304 (RFC 9110 15.4.5): no body and no content type, the other fields stay. Returns SVL_DONE. */
enum svl_verdict svl_not_modified(struct svl_ctx *ctx);

#endif
