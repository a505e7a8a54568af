/* adaptor: handlers that were written for GNU libmicrohttpd, as part of a chain. They call what that
 * library's own <microhttpd.h> declares; the functions are serval's (docs/adaptor.md lists them), so link
 * serval instead of libmicrohttpd. For programs that start daemons there is libserval-microhttpd. */
#ifndef SVL_MOD_ADAPTOR_H
#define SVL_MOD_ADAPTOR_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_ADAPTOR
#error                                                                                             \
    "module adaptor is not built in: cmake -DSVL_MODULE_ADAPTOR=ON, with libmicrohttpd-dev installed"
#endif

#include <microhttpd.h>

/* Zero means "none" everywhere. The callbacks run on the loop's thread: one that blocks holds it up. */
struct svl_adaptor_config {
    MHD_AccessHandlerCallback
        handler; /* asked at the head, for each piece of the body, at the end */
    void *cls;
    MHD_RequestCompletedCallback completed; /* the request is over, and *con_cls is not needed */
    void *completed_cls;
};

/* SVL_USE(adaptor, .handler = answer): the innermost module. It sees the path as the modules further
 * out do, decoded and clean. */
extern const struct svl_module svl_adaptor_module;

/* The same as a handler, for a route or svl_server_config: arg is a struct svl_adaptor_config, which
 * must stay valid. There the handler gets the body in one piece. */
enum svl_verdict svl_mhd(struct svl_ctx *ctx, void *arg);

#endif
