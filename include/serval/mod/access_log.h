/* access_log: one line per answer, written by a thread of its own. */
#ifndef SVL_MOD_ACCESS_LOG_H
#define SVL_MOD_ACCESS_LOG_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_ACCESS_LOG
#error "module access_log is not built in: cmake -DSVL_MODULE_ACCESS_LOG=ON"
#endif

enum svl_access_log_format {
    SVL_LOG_AUTO, /* pretty on a terminal, combined otherwise */
    SVL_LOG_PRETTY,
    SVL_LOG_COMBINED,
    SVL_LOG_COMMON,   /* combined without Referer and User-Agent */
    SVL_LOG_JSON,     /* an object a line */
    SVL_LOG_LOGFMT,   /* key=value */
    SVL_LOG_TEMPLATE, /* `template`, see the module's README for its variables */
};

struct svl_access_log_writer;
struct svl_access_log_template;

/* Zero means "the default" everywhere. */
struct svl_access_log_config {
    const char *path; /* NULL or "-" = stdout; a file is made if needed, and appended to */
    enum svl_access_log_format format;
    const char *template;                   /* "$client $method $path $status ${dur_ms:.2f}" */
    struct svl_access_log_writer *writer;   /* the module's own, made in setup */
    struct svl_access_log_template *pieces; /* the same */
};

extern const struct svl_module svl_access_log_module;

#endif
