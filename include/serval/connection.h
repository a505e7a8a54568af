/* The connection that a request came on. All calls: loop thread of the ctx, computed when asked. */
#ifndef SVL_CONNECTION_H
#define SVL_CONNECTION_H

#include "serval/server.h"

/* Its id, its peer and how many requests it has brought: `requests` is this one's number, from 1. Still
 * right when the client has gone. */
void svl_connection_of(const struct svl_ctx *ctx, struct svl_connection *to);

/* Our end of it. False in memory, and when the client has gone. */
bool svl_local(const struct svl_ctx *ctx, struct svl_address *to);

/* Its socket, to ask the kernel about: nothing may be read, written or closed. -1 in memory, and when the
 * client has gone. */
int svl_socket(const struct svl_ctx *ctx);

/* Whether it is encrypted by this server. It never is so far: TLS ends in front of it. */
bool svl_is_tls(const struct svl_ctx *ctx);

/* Who is at the other end of a Unix socket, as the kernel knows it. False for other connections, and
 * when the client has gone. */
struct svl_credentials {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};
bool svl_peer_credentials(const struct svl_ctx *ctx, struct svl_credentials *to);

/* When the first bytes and the whole head had come, by svl_now_ms(). */
uint64_t svl_first_byte_ms(const struct svl_ctx *ctx);
uint64_t svl_head_ms(const struct svl_ctx *ctx);

#endif
