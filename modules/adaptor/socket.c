/* A daemon's listening socket. */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static socklen_t any(struct sockaddr_storage *to, bool v6, uint16_t port)
{
    const struct svl_address address = {.family = v6 ? AF_INET6 : AF_INET, .port = port};

    return mhd_sockaddr(to, &address);
}

static int failed(const struct MHD_Daemon *d, int fd, const char *what)
{
    mhd_log(d, "%s: %s", what, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static socklen_t length(const struct sockaddr *address)
{
    return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

int mhd_listen(const struct options *o, const struct MHD_Daemon *d, uint16_t port)
{
    bool v6 = d->flags & MHD_USE_IPv6;
    struct sockaddr_storage own;
    const struct sockaddr *address = o->address ? o->address : (struct sockaddr *)&own;
    socklen_t len = any(&own, v6, port);
    int on = 1, only_v6 = (d->flags & MHD_USE_DUAL_STACK) != MHD_USE_DUAL_STACK, queue;
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return failed(d, fd, "socket");
    if (o->address)
        len = length(o->address);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (o->reuse && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
        return failed(d, fd, "SO_REUSEPORT");
    if (v6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6);
    if (bind(fd, address, len) != 0)
        return failed(d, fd, "bind");
    queue = (int)o->fastopen;
    if (queue && setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof queue) != 0)
        mhd_log(d, "TCP_FASTOPEN: %s", strerror(errno));
    if (listen(fd, (int)o->backlog) != 0)
        return failed(d, fd, "listen");
    return fd;
}
