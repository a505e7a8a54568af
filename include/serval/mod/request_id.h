/* request_id: gives each request an id, which the answer carries and logs can print. */
#ifndef SVL_MOD_REQUEST_ID_H
#define SVL_MOD_REQUEST_ID_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_REQUEST_ID
#error "module request_id is not built in: cmake -DSVL_MODULE_REQUEST_ID=ON"
#endif

/* Zero means "the default" everywhere. */
struct svl_request_id_config {
    const char *header; /* of request and answer; NULL = "X-Request-ID" */
    bool trust;  /* the client's own id is taken, if it has 1 to 128 of A-Z a-z 0-9 - _ . : */
    bool silent; /* the answer does not carry it */
};

extern const struct svl_module svl_request_id_module;

/* The id of a request; p is NULL if the module has not seen it. Valid as long as the ctx. */
svl_str svl_request_id(const struct svl_ctx *ctx);

#endif
