/* Listening: from "127.0.0.1:8080" to sockets, and from sockets to connections. */
#ifndef SVL_NET_LISTENER_H
#define SVL_NET_LISTENER_H

#include "net/conn.h"

#include <sys/socket.h>

/* Where to listen, as svl_server_config::listen says it. */
struct svl_endpoint {
    int family; /* AF_INET, AF_INET6, AF_UNIX; 0 = fd */
    bool any;   /* all addresses: IPv6 that takes IPv4 too, where there is IPv6 */
    int mode;   /* of a Unix socket; -1 = as umask says */
    int fd;     /* inherited; -1 = none */
    struct sockaddr_storage address;
    socklen_t address_len;
};

/* Returns 0, or SVL_EBADADDR with *why set. */
int svl_endpoint_parse(struct svl_endpoint *endpoint, const char *text, const char **why);

/* Opens a listening socket. shared: more sockets will listen on the same TCP address
 * (SO_REUSEPORT). An endpoint with port 0 is given the one it got, so that the next call takes
 * the same. Returns the descriptor, or UV_E*. */
int svl_endpoint_listen(struct svl_endpoint *endpoint, unsigned backlog, bool shared);

/* "http://127.0.0.1:8080/", "unix:/run/x.sock", "fd:3". Returns its length. */
size_t svl_endpoint_text(const struct svl_endpoint *endpoint, char *to, size_t size);

/* What the kernel calls an address, as we do: IPv4 within IPv6 is IPv4. */
void svl_address_from(struct svl_address *to, const struct sockaddr_storage *from);

/* whose.c: "pid 4312 (node)" for whoever listens on that port, where /proc tells. False if not. */
bool svl_port_owner(const struct svl_endpoint *endpoint, char *to, size_t size);

/* Accepts on fd, which is the worker's from now on if `own`, and gives each connection that
 * protocol. Returns 0 or UV_E*. */
int svl_listener_add(struct svl_worker *worker, int fd, bool own,
                     const struct svl_protocol *protocol);

/* A connection has gone: accept again where that waited for one. */
void svl_listeners_resume(struct svl_worker *worker);
/* Before they are closed while others listen on: the connections that wait for the worker to accept
 * them, and would be reset, are somebody else's. Of its own sockets only. */
void svl_listeners_give(struct svl_worker *worker, void (*give)(void *arg, int fd), void *arg);
void svl_listeners_close(struct svl_worker *worker);

#endif
