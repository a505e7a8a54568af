/* health: says whether the program lives, and whether it is ready for requests. */
#ifndef SVL_MOD_HEALTH_H
#define SVL_MOD_HEALTH_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_HEALTH
#error "module health is not built in: cmake -DSVL_MODULE_HEALTH=ON"
#endif

/* Something that has to be well for the program to be ready. Asked on the loop thread for each
 * request, so it must not block: look at what something else keeps up to date. */
struct svl_health_check {
    const char *name;
    const char *(*check)(void *arg); /* NULL = well, else a static text that says what is not */
    void *arg;
};

/* Zero means "the default" everywhere. */
struct svl_health_config {
    const char *live;                      /* NULL = "/healthz" */
    const char *ready;                     /* NULL = "/readyz" */
    const struct svl_health_check *checks; /* name NULL at the end */
};

extern const struct svl_module svl_health_module;

/* Any thread: the program takes itself out of service, or comes back. It is ready at first. */
void svl_health_set_ready(bool ready);

#endif
