/* What a daemon is started with, and what it serves with. */
#ifndef SVL_ADAPTOR_DAEMON_H
#define SVL_ADAPTOR_DAEMON_H

#include "internal.h"

#include <stdarg.h>

/* The options, with their defaults. */
struct options {
    unsigned connections; /* at once */
    unsigned per_address; /* of them; 0 = no limit */
    unsigned threads;     /* of a pool; 0 = there is none */
    unsigned backlog;
    unsigned fastopen; /* 0 = not asked for */
    bool reuse;
    size_t stack_size;
    const struct sockaddr *address; /* NULL = any */
    int listen_fd;                  /* -1 = make one */
};

/* Reads them into `o` and what requests want to know into `d`. False = one of them cannot be kept, and
 * the log says which. */
bool mhd_options_read(struct options *o, struct MHD_Daemon *d, va_list args);

/* socket.c: a listening socket for those flags; its address is any with `port` unless `o` has one. -1 =
 * there is none, and the log says why. */
int mhd_listen(const struct options *o, const struct MHD_Daemon *d, uint16_t port);

#endif
