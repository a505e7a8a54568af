/* Content-Encoding undone: gzip, deflate and br, never to more bytes than the caller allows. */
#ifndef SVL_DECODE_H
#define SVL_DECODE_H

#include "serval/str.h"

#include <stdint.h>

struct svl_ctx;
struct svl_decoder;

/* Piece by piece ------------------------------------------------------------------------------
 *
 * A decoder belongs to one thread. It allocates its window (32 KiB, br up to 16 MiB) when it is
 * opened or first used. */

/* Takes decoded bytes; returns 0, or a negative number that ends it and is handed on. */
typedef int svl_decoded_fn(void *arg, const char *data, size_t n);

/* `encoding` is a value of Content-Encoding: "gzip", "x-gzip", "deflate" (with or without the zlib
 * header), "br", "identity", or up to 4 of them in the order they were applied, "deflate, gzip".
 * limit: decoded bytes of the last stage. Returns 0, SVL_ESYNTAX for an encoding that is not
 * known, SVL_ELIMIT for too many of them. */
int svl_decoder_open(struct svl_decoder **decoder, svl_str encoding, uint64_t limit,
                     svl_decoded_fn *decoded, void *arg);

/* Returns 0; SVL_ESYNTAX for broken input or bytes behind its end; SVL_ELIMIT as soon as more
 * than `limit` bytes (or 64 times that in a stage before the last) come out, at most `limit` of
 * them having been handed over; or what decoded() returned. After an error every call returns it. */
int svl_decoder_push(struct svl_decoder *decoder, svl_str data);

/* There is no more. SVL_ESYNTAX if it was cut short. */
int svl_decoder_end(struct svl_decoder *decoder);

/* NULL is fine. */
void svl_decoder_close(struct svl_decoder *decoder);

/* Whole bodies --------------------------------------------------------------------------------*/

/* The body of the request without its Content-Encoding, into memory of the ctx; without one, the
 * body itself. Returns 0, or as the calls above; SVL_ESTATE if the body was not awaited. */
int svl_body_decoded(struct svl_ctx *ctx, size_t limit, svl_str *body);

#endif
