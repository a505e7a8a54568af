#include "serval/connection.h"

#include "net/listener.h"
#include "run/exchange.h"

static const struct svl_exchange *of(const struct svl_ctx *ctx)
{
    return (const struct svl_exchange *)ctx;
}

/* The socket, or -1. */
static int about(const struct svl_exchange *x, struct svl_connection *to)
{
    if (x->wire && x->wire->ops->about)
        return x->wire->ops->about(x->wire, to);
    *to = x->gone ? *x->gone : (struct svl_connection){.peer = x->peer, .worker = x->pub.worker};
    return -1;
}

void svl_connection_of(const struct svl_ctx *ctx, struct svl_connection *to)
{
    about(of(ctx), to);
}

bool svl_local(const struct svl_ctx *ctx, struct svl_address *to)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof address;
    struct svl_connection connection;
    int fd = about(of(ctx), &connection);

    if (fd < 0 || getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return false;
    svl_address_from(to, &address);
    return true;
}

int svl_socket(const struct svl_ctx *ctx)
{
    struct svl_connection connection;

    return about(of(ctx), &connection);
}

bool svl_is_tls(const struct svl_ctx *ctx)
{
    (void)ctx;
    return false;
}

bool svl_peer_credentials(const struct svl_ctx *ctx, struct svl_credentials *to)
{
    struct svl_connection connection;
    struct ucred cred;
    socklen_t len = sizeof cred;
    int fd = about(of(ctx), &connection);

    if (fd < 0 || connection.peer.family != AF_UNIX ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
        return false;
    *to = (struct svl_credentials){cred.pid, cred.uid, cred.gid};
    return true;
}

uint64_t svl_head_ms(const struct svl_ctx *ctx)
{
    return of(ctx)->head_ms ? of(ctx)->head_ms : svl_now_ms(ctx->worker);
}

uint64_t svl_first_byte_ms(const struct svl_ctx *ctx)
{
    return of(ctx)->first_ms ? of(ctx)->first_ms : svl_head_ms(ctx);
}
