/* headers: sets, adds and removes fields of answers; a preset of those that make browsers careful. */
#ifndef SVL_MOD_HEADERS_H
#define SVL_MOD_HEADERS_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_HEADERS
#error "module headers is not built in: cmake -DSVL_MODULE_HEADERS=ON"
#endif

enum svl_header_how {
    SVL_HEADER_SET,     /* in place of what is there */
    SVL_HEADER_ADD,     /* one more line */
    SVL_HEADER_DEFAULT, /* if there is none */
    SVL_HEADER_REMOVE,
};

struct svl_header_rule {
    enum svl_header_how how;
    const char *name, *value; /* value: not for REMOVE */
    const char *prefix;       /* only for paths that begin so; NULL = all */
};

/* Zero means "the default" everywhere. */
struct svl_headers_config {
    const struct svl_header_rule *rules; /* in order; name NULL at the end */

    /* X-Content-Type-Options: nosniff, X-Frame-Options, Referrer-Policy and
     * Cross-Origin-Opener-Policy: same-origin, where the answer does not have them; and the two
     * below if they are given. */
    bool security;
    const char *frame_options;   /* NULL = "SAMEORIGIN", "" = none is sent */
    const char *referrer_policy; /* NULL = "strict-origin-when-cross-origin", "" = none is sent */
    const char *opener_policy;   /* NULL = "same-origin", "" = none is sent */
    const char *csp;             /* Content-Security-Policy; NULL = none is sent */
    bool csp_report_only;        /* browsers only report what the policy would forbid */
    unsigned hsts_seconds;       /* Strict-Transport-Security; 0 = none is sent */
    bool hsts_subdomains, hsts_preload;

    char hsts[80]; /* the module's own, made in setup */
};

extern const struct svl_module svl_headers_module;

#endif
