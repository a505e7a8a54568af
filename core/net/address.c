#include "serval/ctx.h"

#include <arpa/inet.h>
#include <stdio.h>

size_t svl_address_text(const struct svl_address *address, char *to, size_t size)
{
    if (address->family == AF_INET || address->family == AF_INET6) {
        if (!inet_ntop(address->family, address->ip, to, (socklen_t)size))
            to[0] = '\0';
        return strlen(to);
    }
    return (size_t)snprintf(to, size, "%s", address->family == AF_UNIX ? "unix" : "memory");
}
