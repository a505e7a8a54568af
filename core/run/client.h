/* The client from within. An *agent* is a client on one loop: it owns *hosts*, a host owns connections and
 * the queue of calls that wait for one, and a *call* is one request until its reply. A call is in exactly
 * one place: in its host's queue, in flight on a connection, or over. Whatever happens to a connection ends
 * in svl_call_failed(), which decides whether the call is tried again. */
#ifndef SVL_RUN_CLIENT_H
#define SVL_RUN_CLIENT_H

#include "base/arena.h"
#include "base/check.h"
#include "http/response_parse.h"
#include "net/conn.h"
#include "net/dial.h"
#include "serval/client.h"

#include <pthread.h>

#define SVL_CALL_MAGIC 0xca11ab1eu
#define SVL_CALL_FIELDS 16 /* response fields before the table grows */
#define SVL_CALL_ARENA 256 /* bytes of arena before a block is taken */
#define SVL_HOST_BUCKETS 64
#define SVL_MAX_ROUTES 16

struct svl_backends;
struct svl_thread;

/* How a host is reached. */
enum svl_route_kind {
    SVL_ROUTE_DIRECT,
    SVL_ROUTE_UNIX,
    SVL_ROUTE_HTTP,
    SVL_ROUTE_TUNNEL,
    SVL_ROUTE_SOCKS
};

/* The other end of a connection: the host itself, what connect_to names, or a proxy. */
struct svl_route {
    uint8_t kind; /* enum svl_route_kind */
    unsigned port;
    svl_str name; /* a name, an address, or a path */
    svl_str auth; /* "user:password" for the proxy; p is NULL = none */
};

struct svl_client {
    struct svl_client_config config; /* with the defaults filled in, and texts of our own */
    struct svl_address from;
    struct svl_route routes[SVL_MAX_ROUTES]; /* connect_to */
    unsigned n_routes;
    struct svl_route proxy; /* name.p is NULL = none */
    char *proxy_line;       /* "Proxy-Authorization: ... CRLF", or empty */
    const char *no_proxy;
    char *name, *connect_to, *proxy_text; /* texts of our own */
    struct svl_backends *backends;
    struct svl_client
        *prober; /* client_probe.c: asks the back ends how they are; NULL = nobody does */
    char *probe_path;

    pthread_mutex_t lock;
    struct svl_thread *thread; /* client_sync.c: started when it is first needed */
    atomic_uint agents;

    /* For tests and benchmarks: opens a connection in memory instead of dialing. */
    struct svl_conn *(*open)(void *arg, struct svl_worker *worker,
                             const struct svl_protocol *protocol);
    void *open_arg;
};

struct svl_agent {
    struct svl_attached attached;
    struct svl_client *client;
    struct svl_worker *worker;
    struct svl_resolver resolver;
    struct svl_pool pool;   /* of calls */
    struct svl_list calls;  /* svl_call::link, all that are not over */
    struct svl_list failed; /* svl_call::place: done() follows in `task` */
    struct svl_task task;
    struct svl_conn *dirty;                    /* what was gathered for it is sent in `task` */
    struct svl_list buckets[SVL_HOST_BUCKETS]; /* svl_host::link */
    struct svl_host *last;                     /* the one that was asked last */
    unsigned n_hosts, n_calls, n_dials;
    struct svl_list short_of_dials; /* svl_host::starved: over max_dials */
    struct svl_timer probe;         /* client_probe.c */
    unsigned turn;                  /* of connect_to */
    bool closing, ended;
};

struct svl_host {
    struct svl_list link;
    struct svl_list starved;
    struct svl_agent *agent;
    svl_str authority; /* as in the URL: "example.com:8080" */
    svl_str name;
    unsigned port;
    svl_str preamble;        /* "Host: ... CRLF", */
    size_t host_line;        /* of which this much is not User-Agent */
    bool absolute;           /* a proxy is asked for the whole URL (RFC 9112 3.2.2) */
    bool proxied;            /* reached through the client's proxy */
    struct svl_list idle;    /* wires without a call, the one that was used last is the last one */
    struct svl_list open;    /* wires with room for another call (pipelining) */
    struct svl_list waiting; /* svl_call::place */
    unsigned n_waiting, n_wires, n_dials, n_idle;
    unsigned refs;           /* calls that name it */
    struct svl_list dialing; /* struct dialing, client_host.c */
};

struct svl_call {
    struct svl_reply reply; /* first */
    uint32_t magic;
    bool starting; /* svl_call() is on the stack: done() may not be called yet */
    bool in_done, kept;
    bool on_stack, cancelled; /* a callback of the ask runs; it was cancelled there */
    bool body_begun;          /* `give` was asked: it cannot be sent again */
    bool no_body;             /* a redirect has dropped it */
    bool stripped;            /* a redirect has led elsewhere: no credentials */
    bool following;           /* the response is a redirect that is followed: its body is dropped */
    bool handed_out;          /* on_head or on_piece have seen something of a response */
    bool has_agent, has_auth, has_accept; /* fields of the ask */
    bool head_read, paused;
    bool held;       /* the body: until the server says 100, or `patience` is at its end */
    bool wanted;     /* 100 has come */
    bool no_expect;  /* somebody on the way does not know it */
    uint8_t interim; /* responses so far */

    struct svl_agent *agent;
    struct svl_fetch ask;
    svl_done_fn *done;
    void *arg;
    struct svl_list link, place;
    struct svl_host *host;
    struct svl_conn *conn; /* in flight on it */
    struct svl_timer deadline, patience;
    uint64_t began_us;

    svl_str method;
    svl_str target; /* path and query, as they are sent */
    svl_str auth;   /* Authorization's value from the URL; p is NULL = none */
    svl_str host_field;
    struct svl_backend *backend;

    /* Reading. */
    struct svl_head_reader reader;
    struct svl_chunk *head; /* what the views point into; NULL = the read going on */
    char *body;             /* of several pieces: malloc */
    size_t body_len, body_cap;
    uint64_t body_left;  /* SVL_FRAMED_LENGTH */
    uint64_t given;      /* bytes of the request's body */
    uint64_t body_limit; /* decoded */
    struct svl_decoder *decoder;
    int error;                /* of what takes the body */
    struct svl_parser parser; /* SVL_FRAMED_CHUNKED */
    struct svl_request spare;

    struct svl_arena arena;
    struct svl_header fields[SVL_CALL_FIELDS];
    _Alignas(16) char memory[SVL_CALL_ARENA];
};

/* client.c: the client on that loop, made when it is first asked for. */
struct svl_agent *svl_agent_of(struct svl_client *client, struct svl_worker *worker);
void svl_agent_task(struct svl_agent *agent);

/* Its worker is closing: it stays as long as replies that were kept, which are its own. */
void svl_agent_free_if_over(struct svl_agent *agent);

/* client_call.c: the time since the call began, once for each try and if it was asked for. */
void svl_call_stamp(const struct svl_call *call, uint64_t *at);

/* A try begins on that connection, if it was asked for. */
struct svl_wire_state;
void svl_call_stamp_way(struct svl_call *call, const struct svl_wire_state *wire);
uint64_t svl_call_clock(void); /* microseconds */

/* `error` on the way; tried again or over. The call is in no place. */
void svl_call_failed(struct svl_call *call, int error, const char *why);

/* Another try: nothing of this one counts. */
void svl_call_again(struct svl_call *call);

/* The same, and it is over. */
void svl_call_give_up(struct svl_call *call, int error, const char *why);

/* Wherever it is, it is over. */
void svl_call_end(struct svl_call *call, int error, const char *why);

/* A whole response is there. */
void svl_call_complete(struct svl_call *call);

/* The head is there: whether it will be followed. Returns 0, or an error that ends the call. */
int svl_call_head(struct svl_call *call);

/* client_redirect.c: the call is aimed at where its response says, or -1 with *why. */
int svl_call_redirect(struct svl_call *call, const char **why);
bool svl_call_may_follow(const struct svl_call *call);

/* A reply that was kept is not needed any more. */
void svl_call_release(struct svl_call *call);

/* client_aim.c: sets host and target by a URL. Returns 0 or an error with *why. */
int svl_call_aim(struct svl_call *call, svl_str url, const char **why);

/* "Basic ..." for "user:password", whose escapes are undone (RFC 7617). */
svl_str svl_basic_auth(char *to, svl_str userinfo);
#define SVL_BASIC_AUTH(userinfo) (2 * (userinfo).n + 16) /* room for it */

/* client_host.c */
struct svl_host *svl_host_get(struct svl_agent *agent, svl_str authority, svl_str name,
                              unsigned port);
void svl_host_ref(struct svl_host *host);
void svl_host_unref(struct svl_host *host);

/* The call is sent, or waits for a connection. */
void svl_host_submit(struct svl_host *host, struct svl_call *call);

/* It waits no more. */
void svl_host_withdraw(struct svl_host *host, struct svl_call *call);

/* The connection has room: calls that wait are sent on it; without any it is idle. */
void svl_host_feed(struct svl_host *host, struct svl_conn *c);

/* A connection did not come about; it has gone. Its calls were told. */
void svl_host_dial_failed(struct svl_host *host, int error, const char *why);
void svl_host_lost(struct svl_host *host, struct svl_conn *c);

/* Connections have gone or failed to come: whoever waits needs others. */
void svl_host_refill(struct svl_host *host);
void svl_host_close_idle(struct svl_host *host);
void svl_host_drop(struct svl_host *host); /* its dials */

/* client_wire.c: connections. */
struct svl_wire_state {
    struct svl_host *host;
    struct svl_list calls; /* svl_call::place, in the order of their requests */
    struct svl_list place; /* svl_host::idle or open */
    uint64_t born_ms;
    uint64_t resolved_us, connected_us; /* svl_call_clock() */
    struct svl_call *sending;           /* whose body is not out yet; the last one of `calls` */
    unsigned n_calls;
    uint32_t progress; /* c->written, when the deadline was set */
    bool served;
    bool last; /* no more requests on it */
};

_Static_assert(sizeof(struct svl_wire_state) <= SVL_CONN_STATE, "state of a connection");

static inline struct svl_wire_state *svl_wire_of(struct svl_conn *c)
{
    return (struct svl_wire_state *)c->state;
}

static inline struct svl_conn *svl_wire_conn(struct svl_wire_state *wire)
{
    return svl_container((char *)wire, struct svl_conn, state);
}

extern const struct svl_protocol svl_client_wire;

/* `resolved_us`: svl_call_clock() when its name was; 0 = it has none. */
void svl_wire_begin(struct svl_conn *c, struct svl_host *host, uint64_t resolved_us);
void svl_wire_send(struct svl_conn *c, struct svl_call *call);

/* Whether it may be used: nothing has come that was not asked for. Closes it if not. */
bool svl_wire_fresh(struct svl_conn *c);

/* The call is taken off its connection, which cannot be used any more. */
void svl_wire_abandon(struct svl_call *call);
void svl_wire_more(struct svl_call *call);

/* In the agent's task: what was gathered for pipelined requests goes out. */
void svl_wire_flush(struct svl_agent *agent);

/* client_write.c: the head of a request into `to`; and how long it can be. */
size_t svl_request_bound(const struct svl_call *call);
size_t svl_request_write(char *to, const struct svl_call *call, bool last);

/* client_proxy.c: how a host is reached; and the handshake on a connection to a proxy, which ends in
 * svl_wire_begin() or, with an error, in svl_host_dial_failed(). */
int svl_routes_open(struct svl_client *client, const char **why);
void svl_routes_close(struct svl_client *client);
void svl_route_of(const struct svl_host *host, struct svl_route *route);
bool svl_host_is_proxied(const struct svl_host *host);
void svl_proxy_begin(struct svl_conn *c, struct svl_host *host, const struct svl_route *route,
                     uint64_t resolved_us);
const struct svl_host *svl_proxy_host(struct svl_conn *c);
extern const struct svl_protocol svl_proxy_handshake;

/* client_no_proxy.c: whether the list in no_proxy names that host (an IPv6 address in brackets). */
bool svl_no_proxy(svl_str list, svl_str host, unsigned port);

/* client_backends.c */
int svl_backends_open(struct svl_client *client);
void svl_backends_close(struct svl_client *client);
struct svl_backend *svl_backend_pick(struct svl_agent *agent, svl_str *base);
void svl_backend_done(struct svl_call *call);

/* Back ends whose probe is due and taken by who asks, at most SVL_MAX_BACKENDS: each is told of by
 * svl_backend_probed(). *next: when to ask again. */
struct svl_due {
    struct svl_backend *backend;
    svl_str base; /* the back end's, until it is told of */
};
unsigned svl_backends_due(struct svl_client *client, uint64_t now_ms, struct svl_due *due,
                          uint64_t *next);
enum svl_probed { SVL_PROBED_NOTHING, SVL_PROBED_WELL, SVL_PROBED_ILL };
void svl_backend_probed(struct svl_client *client, struct svl_backend *backend,
                        enum svl_probed what, const char *why);

/* client_probe.c */
int svl_probes_open(struct svl_client *client);
void svl_probes_close(struct svl_client *client);
void svl_probes_begin(struct svl_agent *agent);

/* client_sync.c */
void svl_client_thread_stop(struct svl_client *client);

#endif
