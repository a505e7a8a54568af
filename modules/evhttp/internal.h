/* What the files of evhttp share. A request is no memory of the ctx: who has it may keep it after the
 * client has gone. It ends when both its ctx is over and it has been answered (or freed by its owner).
 *
 * A program may use libevent's client beside this: its requests are libevent's own, told apart by their
 * first word, and go on to libevent's function of the same name. */
#ifndef EVHTTP_INTERNAL_H
#define EVHTTP_INTERNAL_H

#define SVL_EVHTTP_OWN_NAMES
#include "serval/mod/evhttp.h"

#include "serval/async.h"
#include "serval/error.h"
#include "serval/log.h"

#include <event2/keyvalq_struct.h>

#define EVHTTP_MAGIC 0x5e7a1e7e5e7a1e7eull

struct evhttp_connection {
    uint64_t magic;
    struct evhttp_request *req;
    char address[64];
    ev_uint16_t port;
    void (*on_close)(struct evhttp_connection *con, void *arg);
    void *on_close_arg;
};

struct evhttp_request {
    uint64_t magic;
    struct svl_ctx *ctx; /* NULL when it is over */
    struct evhttp *http; /* NULL in a chain */
    struct evhttp_bound_socket *bound;
    struct evkeyvalq in_headers, out_headers;
    struct evbuffer *in, *out; /* out: what was not sent yet */
    char *uri, *host;
    struct evhttp_uri *parsed;
    enum evhttp_cmd_type command;
    int code;
    struct evhttp_connection con;
    struct svl_alarm *alarm; /* goes on when the call that has answered is over */
    void (*on_sent)(struct evhttp_connection *con, void *arg); /* out has become empty */
    void *on_sent_arg;
    svl_evhttp_fn *on_complete;
    void *on_complete_arg;
    bool running; /* its callback is on the stack */
    bool pulling; /* its bytes are being taken */
    bool started; /* the head was given */
    bool resumed; /* the chain has it back */
    bool ended;   /* it was answered completely */
    bool gone;    /* the client, before that */
    bool owned;
};

struct evhttp_path {
    struct evhttp_path *next;
    char *path;
    svl_evhttp_fn *callback;
    void *arg;
};

struct evhttp_bound_socket {
    struct evhttp_bound_socket *next;
    struct evhttp *http;
    struct svl_server *server;
    struct event *readable, *timer;
    evutil_socket_t fd;
    bool polling; /* its server is on the stack */
    bool closing; /* what is left ends with it, as with libevent */
};

struct evhttp {
    struct event_base *base;
    struct evhttp_path *paths;
    svl_evhttp_fn *callback;
    void *arg;
    struct evhttp_bound_socket *bound;
    ev_uint16_t methods;
    char *type; /* of answers that have none; NULL = none */
    size_t max_head, max_body;
    unsigned timeout_ms;
};

/* request.c: asks the callback for ctx, which has its whole body. */
enum svl_verdict evhttp_ask(struct svl_ctx *ctx, struct evhttp *http,
                            struct evhttp_bound_socket *bound, svl_evhttp_fn *callback, void *arg);
enum evhttp_cmd_type evhttp_command_of(enum svl_method method);

/* It is answered completely, and may be gone when this returns. */
void evhttp_over(struct evhttp_request *req);

/* server.c: the loop has something to do soon. */
void evhttp_wake(struct evhttp_bound_socket *bound);

#endif
