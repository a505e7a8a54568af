/* What can be said of a request, by name: one table, from which JSON, logfmt and templates are made. */
#ifndef SVL_ACCESS_LOG_VARIABLES_H
#define SVL_ACCESS_LOG_VARIABLES_H

#include "line.h"

#include "serval/ctx.h"

/* One answer that is to be logged. */
struct record {
    const struct svl_ctx *ctx;
    svl_str peer;      /* the client's address */
    int status;        /* of the answer; 499 if the client left before there was one */
    bool timed;        /* `us` is known: the request has come as far as the chain */
    uint64_t us;       /* microseconds from there to now */
    int64_t seconds;   /* since 1970, now */
    unsigned fraction; /* microseconds of the second */
};

/* A whole object or line, without its end, never more than 31 KiB. */
void svl_record_json(struct line *l, const struct record *r);
void svl_record_logfmt(struct line *l, const struct record *r);

struct svl_access_log_template;

/* Reads "$client ${dur_ms:.2f}". Returns NULL after saying with svl_log() what is wrong. */
struct svl_access_log_template *svl_template_open(const char *text);
void svl_template_close(struct svl_access_log_template *t); /* NULL is fine */
/* As much of it as the line takes. Text from clients is escaped as in the combined format. */
void svl_template_write(struct line *l, const struct svl_access_log_template *t,
                        const struct record *r);

#endif
