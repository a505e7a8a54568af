/* A server that misbehaves, on a port of 127.0.0.1, with a thread for each connection. Asked for "/name" it
 * does what the act of that name says; asked for anything else it answers "ok", and keeps the connection. */
#ifndef SVL_TESTS_ROGUE_H
#define SVL_TESTS_ROGUE_H

#include "serval/str.h"

/* What follows `say`. */
enum rogue_then {
    ROGUE_KEEP,  /* the next request */
    ROGUE_CLOSE, /* the connection */
    ROGUE_RESET,
    ROGUE_HANG,  /* until the client goes */
    ROGUE_HALF,  /* no more sending; reads until the client goes */
    ROGUE_FLOOD, /* `again`, again and again, until the client goes */
    ROGUE_DRIP   /* the same, a byte now and then */
};

struct rogue_act {
    const char *name;
    svl_str say;
    enum rogue_then then;
    const char *again;
    bool slowly;  /* `say`, a byte at a time */
    bool unasked; /* says it as soon as the connection is there, on a port of its own */
    bool deaf;    /* does not read the body of the request */
};

void rogue_open(const struct rogue_act *acts, unsigned n);
const char *rogue_url(char to[100], const struct rogue_act *act); /* NULL = one that is answered */

/* The clients have closed their connections. */
void rogue_close(void);

#endif
