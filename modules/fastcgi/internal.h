/* What the files of fastcgi share: requests that are answered by connections, of which a worker has
 * a pool. A connection does one request at a time. */
#ifndef FASTCGI_INTERNAL_H
#define FASTCGI_INTERNAL_H

#include "record.h"
#include "serval/async.h"
#include "serval/hijack.h"
#include "serval/mod/fastcgi.h"

#include <sys/socket.h>

struct fcgi_server {
    struct sockaddr_storage address;
    socklen_t length;
    const char *name;
    uint64_t down_until; /* ms of the loop's clock */
};

/* Grows, is used again and again. */
struct fcgi_buffer {
    unsigned char *bytes;
    size_t n, room;
};

/* Of a worker. */
struct fcgi_state {
    const struct svl_fastcgi_config *config;
    struct svl_worker *worker;
    struct svl_gateway_folder folder;
    struct fcgi_server servers[SVL_FASTCGI_SERVERS];
    unsigned n_servers, next_server;
    unsigned n_conns, n_idle, n_waiting;
    struct fcgi_conn *idle;            /* last used first */
    struct fcgi_request *first, *last; /* that wait for a connection */
    struct fcgi_buffer out, params;
    bool stopping;
};

/* Memory of the ctx. */
struct fcgi_request {
    const struct svl_link *self;
    struct svl_ctx *ctx;
    struct fcgi_state *state;
    struct svl_gateway_target target;
    struct svl_relay *relay;   /* NULL when it is over */
    struct fcgi_conn *conn;    /* NULL when it has none */
    struct svl_alarm *alarm;   /* while it waits for a connection, or that connects */
    struct fcgi_request *next; /* in the line */
    svl_str kept;              /* of the body, as long as all of it can be sent once more */
    unsigned tries;
    bool began;     /* the relay has */
    bool body_done; /* the last piece was sent */
    bool spent;     /* a part of the body was sent and is not kept */
};

struct fcgi_conn {
    struct svl_raw *raw;
    struct fcgi_state *state;
    struct fcgi_server *server;
    struct fcgi_request *req; /* NULL = idle, or doomed */
    struct fcgi_conn *next;   /* of the idle ones */
    struct fcgi_reader reader;
    struct svl_gateway_lines lines;
    bool connected;
    bool used;    /* it has answered a request before */
    bool heard;   /* something was answered to this one */
    bool blocked; /* what was written has not left yet */
    bool busy;    /* a call that works on it is on the stack: it is not freed before that ends */
    bool doomed;  /* to be closed when that ends */
    bool gone;    /* it was closed meanwhile */
};

/* pool.c -------------------------------------------------------------------------------------*/

int fcgi_servers_parse(struct fcgi_state *state);

/* A connection for req, or NULL: with *status = 0 all are taken, else that is the answer. */
struct fcgi_conn *fcgi_conn_get(struct fcgi_state *state, int *status);

/* Its request is over. reusable: it may answer another one. */
void fcgi_conn_put(struct fcgi_conn *conn, bool reusable);

/* Closes at once, or when the call that works on it ends. */
void fcgi_conn_drop(struct fcgi_conn *conn);

/* Sends what stands in state->out. The connection may be gone then, and the request have another. */
void fcgi_conn_flush(struct fcgi_conn *conn);

/* Around calls that may end a connection. */
void fcgi_conn_enter(struct fcgi_conn *conn);
void fcgi_conn_leave(struct fcgi_conn *conn);

void fcgi_pool_close(struct fcgi_state *state);

/* request.c ----------------------------------------------------------------------------------*/

enum svl_verdict fcgi_answer(struct fcgi_request *req);

/* What has happened to its connection. */
void fcgi_request_ready(struct fcgi_request *req); /* what was written has left */
void fcgi_request_data(struct fcgi_conn *conn, svl_str data);
void fcgi_request_lost(struct fcgi_request *req, const struct fcgi_conn *conn);

/* A connection has become free. */
void fcgi_next_in_line(struct fcgi_state *state);

#endif
