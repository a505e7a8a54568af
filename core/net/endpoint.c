/* Addresses to listen on, and their sockets. */
#include "net/listener.h"

#include "serval/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int bad(const char **why, const char *text)
{
    *why = text;
    return SVL_EBADADDR;
}

static int parse_unix(struct svl_endpoint *e, svl_str path, const char **why)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&e->address;
    size_t comma = svl_str_find(path, ',');
    svl_str option = svl_str_from(path, comma);

    path = svl_str_head(path, comma);
    if (option.n > 0) {
        char *end;

        if (!svl_str_starts(option, SVL_STR(",mode=")) || option.n == 6)
            return bad(why, "behind a socket's path only ,mode=660 may follow");
        e->mode = (int)strtol(option.p + 6, &end, 8);
        if (*end || e->mode < 0 || e->mode > 0777)
            return bad(why, "a mode is an octal number like 660");
    }
    if (path.n == 0 || path.n >= sizeof un->sun_path)
        return bad(why, "the path of a socket has 1 to 107 bytes");
    e->family = un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.p, path.n);
    e->address_len = sizeof *un;
    return 0;
}

static int parse_fd(struct svl_endpoint *e, svl_str number, const char **why)
{
    unsigned long long fd;
    socklen_t len = sizeof(int);
    int listening = 0;

    if (!svl_str_u64(number, &fd) || fd > 65535)
        return bad(why, "fd: needs the number of a descriptor");
    if (getsockopt((int)fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || !listening)
        return bad(why, "that descriptor is not a listening socket");
    e->fd = (int)fd;
    return 0;
}

static int parse_ip(struct svl_endpoint *e, svl_str host, in_port_t port, const char **why)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&e->address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&e->address;
    bool bracket = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    char text[INET6_ADDRSTRLEN];

    if (host.n == 0 || svl_str_eq(host, SVL_STR("*"))) {
        e->any = true;
        host = SVL_STR("[::]");
        bracket = true;
    }
    if (bracket)
        host = (svl_str){host.p + 1, host.n - 2};
    else if (svl_str_eq(host, SVL_STR("localhost")))
        host = SVL_STR("127.0.0.1");
    if (host.n >= sizeof text)
        return bad(why, "that is not an IP address");
    svl_str_copy(text, sizeof text, host);
    if (bracket && inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
        e->family = in6->sin6_family = AF_INET6;
        in6->sin6_port = port;
        e->address_len = sizeof *in6;
        return 0;
    }
    if (!bracket && inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        e->family = in->sin_family = AF_INET;
        in->sin_port = port;
        e->address_len = sizeof *in;
        return 0;
    }
    return bad(why, "use an IP address like 127.0.0.1 or [::1] before the port");
}

int svl_endpoint_parse(struct svl_endpoint *e, const char *text, const char **why)
{
    svl_str s = svl_str_of(text), host = SVL_STR("");
    unsigned long long port;
    size_t colon = s.n;

    *e = (struct svl_endpoint){.mode = -1, .fd = -1};
    if (svl_str_starts(s, SVL_STR("unix:")))
        return parse_unix(e, svl_str_from(s, 5), why);
    if (svl_str_starts(s, SVL_STR("fd:")))
        return parse_fd(e, svl_str_from(s, 3), why);
    while (colon > 0 && s.p[colon - 1] != ':')
        colon--;
    if (colon > 0)
        host = svl_str_head(s, colon - 1);
    if (!svl_str_u64(svl_str_from(s, colon), &port) || port > 65535)
        return bad(why, "a port is a number from 0 to 65535");
    return parse_ip(e, host, htons((in_port_t)port), why);
}

/* A socket file that nobody listens on any more is removed; one that is in use is not. */
static int clear_path(const struct svl_endpoint *e)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&e->address;
    struct stat st;
    int fd, err;

    if (lstat(un->sun_path, &st) != 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    err = connect(fd, (const struct sockaddr *)un, e->address_len) == 0 ? 0 : errno;
    close(fd);
    if (err != ECONNREFUSED)
        return -EADDRINUSE;
    return unlink(un->sun_path) == 0 ? 0 : -errno;
}

static int bind_socket(struct svl_endpoint *e, int fd, bool shared)
{
    struct sockaddr *address = (struct sockaddr *)&e->address;
    int on = 1, off = 0;

    if (e->family == AF_UNIX) {
        const char *path = ((struct sockaddr_un *)address)->sun_path;
        int err = clear_path(e);

        if (err)
            return err;
        if (bind(fd, address, e->address_len) != 0)
            return -errno;
        return e->mode >= 0 && chmod(path, (mode_t)e->mode) != 0 ? -errno : 0;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
        return -errno;
    if (e->family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, e->any ? &off : &on, sizeof on);
    return bind(fd, address, e->address_len) == 0 ? 0 : -errno;
}

static int open_socket(struct svl_endpoint *e, unsigned backlog, bool shared)
{
    int fd = socket(e->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

    if (fd < 0)
        return -errno;
    err = bind_socket(e, fd, shared);
    if (!err && listen(fd, (int)backlog) != 0)
        err = -errno;
    if (!err && e->family != AF_UNIX) {
        socklen_t len = sizeof e->address;

        getsockname(fd, (struct sockaddr *)&e->address, &len); /* port 0 has become one */
    }
    if (!err)
        return fd;
    close(fd);
    return err;
}

/* A machine without IPv6 still has all of its IPv4 addresses. */
static void use_ipv4(struct svl_endpoint *e)
{
    in_port_t port = ((struct sockaddr_in6 *)&e->address)->sin6_port;
    struct sockaddr_in *in = (struct sockaddr_in *)&e->address;

    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
    e->family = AF_INET;
    e->address_len = sizeof *in;
}

int svl_endpoint_listen(struct svl_endpoint *e, unsigned backlog, bool shared)
{
    int fd;

    if (e->family == 0) {
        fcntl(e->fd, F_SETFD, FD_CLOEXEC); /* it was inherited, but not for our children */
        return fcntl(e->fd, F_SETFL, O_NONBLOCK) == 0 ? e->fd : -errno;
    }
    fd = open_socket(e, backlog, shared);
    if (fd != -EAFNOSUPPORT || !e->any || e->family != AF_INET6)
        return fd;
    use_ipv4(e);
    return open_socket(e, backlog, shared);
}

size_t svl_endpoint_text(const struct svl_endpoint *e, char *to, size_t size)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&e->address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&e->address;
    char ip[INET6_ADDRSTRLEN] = "";
    int n;

    if (e->family == AF_INET)
        n = snprintf(to, size, "http://%s:%u/", inet_ntop(AF_INET, &in->sin_addr, ip, sizeof ip),
                     ntohs(in->sin_port));
    else if (e->family == AF_INET6)
        n = snprintf(to, size, "http://[%s]:%u/",
                     inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof ip), ntohs(in6->sin6_port));
    else if (e->family == AF_UNIX)
        n = snprintf(to, size, "unix:%s", ((const struct sockaddr_un *)&e->address)->sun_path);
    else
        n = snprintf(to, size, "fd:%d", e->fd);
    return n < 0 ? 0 : (size_t)n;
}
