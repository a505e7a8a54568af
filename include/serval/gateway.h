/* Gateways: what CGI, FastCGI and the like have in common (RFC 3875). A request becomes variables; its
 * body goes out piece by piece; the answer comes back as bytes, a head and a body, from a *relay*,
 * which turns them into the ctx's answer. A module only moves bytes between a relay and its back end. */
#ifndef SVL_GATEWAY_H
#define SVL_GATEWAY_H

#include "serval/module.h"

/* Variables ----------------------------------------------------------------------------------*/

/* What the URL path of a request means; p is NULL for what there is not. Not escaped. */
struct svl_gateway_target {
    svl_str script_name;     /* the part of the path that names the program */
    svl_str path_info;       /* what follows it */
    svl_str script_filename; /* the program's file */
    svl_str document_root;   /* the folder that stands for "/"; for PATH_TRANSLATED too */
    bool authorization;      /* HTTP_AUTHORIZATION is given on; the RFC would rather not (9.2) */
};

typedef void svl_variable_fn(void *arg, svl_str name, svl_str value);

/* Calls fn for each meta-variable (RFC 3875 4.1) and those that everybody expects besides
 * (REQUEST_URI, DOCUMENT_ROOT, REDIRECT_STATUS ...). The views are valid during the call. Fields whose
 * names hold anything but letters, digits and '-' are left out, because others would come out the same;
 * so are Proxy and those of the connection. Fields that came several times are joined. */
void svl_gateway_variables(struct svl_ctx *ctx, const struct svl_gateway_target *target,
                           svl_variable_fn *fn, void *arg);

/* Which file of a folder a path means ----------------------------------------------------------
 *
 * For programs and scripts that lie in a folder. The folder is never left, not even by a link. */
struct svl_gateway_folder {
    const char *root;         /* as it was given; absolute after svl_gateway_folder_open() */
    const char *prefix;       /* the URL path that it stands for; NULL = "/" */
    const char *suffix;       /* only names that end so: ".php"; NULL = all */
    const char *const *index; /* names that stand for their folder, NULL at the end; NULL = none */
    int fd;
};

/* Returns 0 or UV_E*. `prefix`, `suffix` and `index` must stay valid until it is closed. */
int svl_gateway_folder_open(struct svl_gateway_folder *folder);
void svl_gateway_folder_close(struct svl_gateway_folder *folder);

enum svl_gateway_found {
    SVL_GATEWAY_FILE, /* *to is filled in: its file is there, what follows in the path is path_info */
    SVL_GATEWAY_OTHER,   /* there is a file, whose name does not end as it should */
    SVL_GATEWAY_NOTHING, /* there is none */
    SVL_GATEWAY_MOVED,   /* it is a folder with an index, and the path lacks its last '/' */
};

/* The first part of ctx->req.path that is a file. Its texts are memory of the ctx, and
 * script_filename is NUL-terminated. `mode` as of stat(2). */
enum svl_gateway_found svl_gateway_find(struct svl_ctx *ctx,
                                        const struct svl_gateway_folder *folder,
                                        struct svl_gateway_target *to, mode_t *mode);

/* Relays -------------------------------------------------------------------------------------*/

/* Memory of the ctx. Valid until on_over, svl_relay_end() or svl_relay_fail(), whichever is first;
 * nothing is called after that. */
struct svl_relay;

/* Zero means "the default". Must stay valid as long as the relay. */
struct svl_relay_config {
    const char *who;   /* for log lines: "cgi" */
    unsigned head_ms;  /* from the end of the request's body to the answer's head; 0 = 60 s; 504 */
    unsigned read_ms;  /* between two pieces of the answer; 0 = 60 s; the connection closes */
    unsigned total_ms; /* for all of it; 0 = no limit */
    size_t max_head;   /* bytes of the answer's head; 0 = 32 KiB; 502 */
    uint64_t max_body; /* bytes of the request's body; 0 = 64 MiB; 413 */
    bool keep_half_open; /* a client that sends no more is waited for, and may have left */
};

struct svl_relay_events {
    /* A piece of the request's body, valid during the call; every request has a last one, which may be
     * empty. False = no more before svl_relay_ready(). It may come while the answer is written. */
    bool (*on_body)(struct svl_relay *relay, void *arg, svl_str piece, bool last);
    void (*on_room)(struct svl_relay *relay, void *arg); /* after svl_relay_write() said false */
    void (*on_over)(struct svl_relay *relay,
                    void *arg); /* nobody wants the rest: stop the back end */
};

/* `return svl_relay_begin(...)` in on_request of `self`. *relay is set before on_body is called. When
 * the answer is "Location: /path" (RFC 3875 6.2.2), the request becomes one for that path, on_over is
 * called, and on_request is asked again. */
enum svl_verdict svl_relay_begin(struct svl_relay **relay, const struct svl_link *self,
                                 struct svl_ctx *ctx, const struct svl_relay_config *config,
                                 const struct svl_relay_events *events, void *arg);

/* Bytes of the answer, head first, copied. on_over comes before it returns when they make no sense. False = the client does not keep up: stop reading the
 * back end until on_room; the bytes are kept. Not from within on_body. */
bool svl_relay_write(struct svl_relay *relay, svl_str bytes);

/* The answer is complete. */
void svl_relay_end(struct svl_relay *relay);

/* It never will be: `status` answers, or, when the answer is on its way, the connection closes so that
 * the client sees it. `why` is for the log, static. */
void svl_relay_fail(struct svl_relay *relay, int status, const char *why);

/* The back end takes more of the request's body. */
void svl_relay_ready(struct svl_relay *relay);

struct svl_ctx *svl_relay_ctx(struct svl_relay *relay);

/* Lines of a back end's stderr -----------------------------------------------------------------
 *
 * Zeroed at first, but for who. Complete lines go to the log as "who: line"; long ones are cut. */
struct svl_gateway_lines {
    svl_str who; /* copied nowhere */
    size_t n;
    char text[480];
};

void svl_gateway_lines_add(struct svl_gateway_lines *lines, svl_str bytes);
void svl_gateway_lines_end(struct svl_gateway_lines *lines);

#endif
