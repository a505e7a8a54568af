/* Daemons: a server of serval's for each, whose chain is the access handler alone. The callbacks run on
 * the threads that libmicrohttpd would run them on: the one internal thread, one of a pool (a worker
 * each), or, with a thread for each connection, one that may block as long as it likes. */
#include "daemon.h"

#include "serval/log.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOREVER_MS 2000000000u /* 23 days: no deadline */
#define HEAD_MAX 59000         /* serval keeps a head in one chunk of 64 KiB */
#define PEER_LISTS 1024
#define MAX_ROUNDS 16 /* of the loop, for one MHD_run() */

struct serving {
    struct svl_server *server;
    pthread_t thread;
    bool threaded;
    int listen_fd; /* -1 = none, or given back */
    char listen[16];
    union MHD_DaemonInfo info[MHD_DAEMON_INFO_BIND_PORT + 1]; /* what was asked last */
    MHD_AcceptPolicyCallback accepts;
    void *accepts_cls;

    pthread_mutex_t lock; /* of the peers */
    struct peer *peers[PEER_LISTS];
};

/* The chain ------------------------------------------------------------------------------------- */

static _Thread_local bool on_loop; /* this thread is a loop, and in a callback of the program */

struct daemon_config {
    struct MHD_Daemon *d;
};

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct daemon_config *cfg = self->config;

    on_loop = true;
    return mhd_begin(mhd_connection_new(ctx, &cfg->d->app, cfg->d));
}

static const struct svl_module daemon_module = {
    .name = "daemon",
    .summary = "the access handler of a program written for libmicrohttpd",
    .config_size = sizeof(struct daemon_config),
    .on_request = on_request,
};

/* Who is connected, for programs that want to be told -------------------------------------------- */

static struct peer **place_of(struct serving *s, uint64_t id)
{
    struct peer **at = &s->peers[(id >> 8 ^ id) % PEER_LISTS];

    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static struct peer *peer_of(struct MHD_Daemon *d, struct svl_ctx *ctx)
{
    struct svl_connection connection;
    struct peer *peer;

    svl_connection_of(ctx, &connection);
    pthread_mutex_lock(&d->serving->lock);
    peer = *place_of(d->serving, connection.id);
    if (peer)
        peer->refs++;
    pthread_mutex_unlock(&d->serving->lock);
    return peer;
}

static void notify(struct MHD_Daemon *d, struct peer *peer,
                   enum MHD_ConnectionNotificationCode what)
{
    struct MHD_Connection c = {
        .daemon = d, .app = &d->app, .peer = peer, .from = peer->address, .socket = -1};

    c.collected = c.footed = true;
    d->notify(d->notify_cls, &c, &peer->context, what);
}

/* The end is told when the last request of the connection is over too. */
static void peer_unref(struct MHD_Daemon *d, struct peer *peer)
{
    struct serving *s = d->serving;
    bool over;

    pthread_mutex_lock(&s->lock);
    over = --peer->refs == 0;
    pthread_mutex_unlock(&s->lock);
    if (!over)
        return;
    notify(d, peer, MHD_CONNECTION_NOTIFY_CLOSED);
    free(peer);
}

static void peer_begins(struct MHD_Daemon *d, const struct svl_connection *connection)
{
    struct peer *peer = calloc(1, sizeof *peer), **at;

    if (!peer)
        abort();
    peer->id = connection->id;
    peer->address = connection->peer;
    peer->refs = 1;
    notify(d, peer, MHD_CONNECTION_NOTIFY_STARTED);
    pthread_mutex_lock(&d->serving->lock);
    at = place_of(d->serving, peer->id);
    *at = peer;
    pthread_mutex_unlock(&d->serving->lock);
}

static void peer_ends(struct MHD_Daemon *d, const struct svl_connection *connection)
{
    struct peer **at, *peer;

    pthread_mutex_lock(&d->serving->lock);
    at = place_of(d->serving, connection->id);
    peer = *at;
    if (peer)
        *at = peer->next;
    pthread_mutex_unlock(&d->serving->lock);
    if (peer)
        peer_unref(d, peer);
}

static void on_state(enum svl_connection_state state, const struct svl_connection *connection,
                     void *arg)
{
    struct MHD_Daemon *d = arg;

    if (state == SVL_CONNECTION_NEW)
        peer_begins(d, connection);
    else if (state == SVL_CONNECTION_CLOSED || state == SVL_CONNECTION_HIJACKED)
        peer_ends(d, connection);
}

static bool on_accept(const struct svl_address *from, void *arg)
{
    struct MHD_Daemon *d = arg;
    struct sockaddr_storage address;
    socklen_t len = mhd_sockaddr(&address, from);

    return d->serving->accepts(d->serving->accepts_cls, (struct sockaddr *)&address, len) ==
           MHD_YES;
}

/* Starting ---------------------------------------------------------------------------------------- */

/* The program's own thread serves, when it calls MHD_run(). */
static bool is_external(const struct MHD_Daemon *d)
{
    return !(d->flags & MHD_USE_INTERNAL_POLLING_THREAD);
}

static bool check_flags(struct MHD_Daemon *d, const struct options *o)
{
    if (d->flags & MHD_USE_TLS)
        mhd_log(d, "serval does not speak TLS: let it end in front of this program");
    else if (o->threads > 1 && is_external(d))
        mhd_log(d, "a pool of threads needs MHD_USE_INTERNAL_POLLING_THREAD");
    else if (o->threads > 1 && d->flags & MHD_USE_THREAD_PER_CONNECTION)
        mhd_log(d, "a pool of threads and a thread for each connection exclude each other");
    else
        return true;
    return false;
}

static int open_server(struct MHD_Daemon *d, const struct options *o)
{
    struct serving *s = d->serving;
    struct daemon_config config = {d};
    struct svl_use chain[] = {{&daemon_module, &config}, SVL_USE_END};
    unsigned ms =
        d->timeout_s && d->timeout_s < FOREVER_MS / 1000 ? 1000 * d->timeout_s : FOREVER_MS;
    size_t head = d->memory < 1024 ? 1024 : d->memory > HEAD_MAX ? HEAD_MAX : d->memory;
    struct svl_server_config server = {
        .chain = chain,
        .workers = o->threads > 1 ? o->threads : 1,
        .name = "",
        .watchdog_ms = SVL_NEVER,
        .max_target = head,
        .max_head = head + 64, /* so that a target that is too long is the reason */
        .max_fields = 250,
        .max_connections = o->connections,
        .max_per_address = o->per_address,
        .header_ms = ms,
        .body_ms = ms,
        .idle_ms = ms,
        .write_ms = ms,
        .min_body_rate = SVL_NEVER,
        .min_write_rate = SVL_NEVER,
        .no_date = d->flags & MHD_USE_SUPPRESS_DATE_NO_CLOCK,
        .on_accept = s->accepts ? on_accept : NULL,
        .on_state = d->notify ? on_state : NULL,
        .hook_arg = d,
    };
    struct sigaction pipe;
    int err, fd;

    if (s->listen_fd >= 0) {
        fd = dup(s->listen_fd); /* the server closes its own */
        snprintf(s->listen, sizeof s->listen, "fd:%d", fd);
        server.listen[0] = s->listen;
    }
    sigaction(SIGPIPE, NULL, &pipe);
    err = svl_server_open(&s->server, &server);
    if (!is_external(d))
        sigaction(SIGPIPE, &pipe, NULL); /* our threads block it instead */
    return err;
}

/* What was begun to be watched in one round is so from the next one on. */
static void run(struct MHD_Daemon *d)
{
    int rounds = 0;

    do
        svl_server_poll(d->serving->server, false);
    while (svl_server_timeout(d->serving->server) == 0 && ++rounds < MAX_ROUNDS);
}

static void *serve(void *server)
{
    sigset_t pipe;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    svl_server_run(server);
    return NULL;
}

static void daemon_free(struct MHD_Daemon *d)
{
    struct serving *s = d->serving;

    mhd_threads_free(d->threads); /* their last calls are for the server */
    svl_server_close(s->server);
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    mhd_nonces_finish(&d->nonces);
    pthread_mutex_destroy(&s->lock);
    free(s);
    free(d);
}

static bool start(struct MHD_Daemon *d, const struct options *o, uint16_t port)
{
    struct serving *s = d->serving;

    if (!check_flags(d, o))
        return false;
    s->listen_fd = o->listen_fd;
    if (s->listen_fd < 0 && !(d->flags & MHD_USE_NO_LISTEN_SOCKET))
        s->listen_fd = mhd_listen(o, d, port);
    if (s->listen_fd < 0 && !(d->flags & MHD_USE_NO_LISTEN_SOCKET))
        return false;
    if (d->flags & MHD_USE_THREAD_PER_CONNECTION) {
        d->threads = mhd_threads_new(o->stack_size);
        if (!d->threads)
            return false;
    }
    if (open_server(d, o) != 0)
        return false;
    if (is_external(d)) {
        run(d);
        return true;
    }
    s->threaded = pthread_create(&s->thread, NULL, serve, s->server) == 0;
    return s->threaded;
}

struct MHD_Daemon *MHD_start_daemon_va(unsigned int flags, uint16_t port,
                                       MHD_AcceptPolicyCallback apc, void *apc_cls,
                                       MHD_AccessHandlerCallback dh, void *dh_cls, va_list ap)
{
    struct options o = {.connections = 1020, .backlog = SOMAXCONN, .listen_fd = -1};
    struct MHD_Daemon *d = calloc(1, sizeof *d);

    if (!d || !dh || !(d->serving = calloc(1, sizeof *d->serving))) {
        free(d);
        return NULL;
    }
    if (flags & MHD_USE_THREAD_PER_CONNECTION)
        flags |= MHD_USE_INTERNAL_POLLING_THREAD;
    d->flags = flags;
    d->memory = 32768;
    d->app.handler = dh;
    d->app.cls = dh_cls;
    d->peer_of = peer_of;
    d->peer_unref = peer_unref;
    d->serving->listen_fd = -1;
    d->serving->accepts = apc;
    d->serving->accepts_cls = apc_cls;
    pthread_mutex_init(&d->nonces.lock, NULL);
    pthread_mutex_init(&d->serving->lock, NULL);
    if (mhd_options_read(&o, d, ap)) {
        d->tells = d->notify != NULL;
        if (start(d, &o, port))
            return d;
    }
    daemon_free(d);
    return NULL;
}

struct MHD_Daemon *MHD_start_daemon(unsigned int flags, uint16_t port, MHD_AcceptPolicyCallback apc,
                                    void *apc_cls, MHD_AccessHandlerCallback dh, void *dh_cls, ...)
{
    struct MHD_Daemon *d;
    va_list ap;

    va_start(ap, dh_cls);
    d = MHD_start_daemon_va(flags, port, apc, apc_cls, dh, dh_cls, ap);
    va_end(ap);
    return d;
}

/* Stopping ---------------------------------------------------------------------------------------- */

void MHD_stop_daemon(struct MHD_Daemon *d)
{
    if (!d)
        return;
    atomic_store(&d->stopping, true);
    svl_server_stop(d->serving->server);
    svl_server_stop(d->serving->server); /* without waiting for connections, as libmicrohttpd */
    if (d->serving->threaded)
        pthread_join(d->serving->thread, NULL);
    daemon_free(d);
}

struct rendezvous {
    pthread_mutex_t lock;
    pthread_cond_t all;
    unsigned missing;
};

static void arrive(void *arg)
{
    struct rendezvous *r = arg;

    pthread_mutex_lock(&r->lock);
    r->missing--;
    pthread_cond_signal(&r->all);
    pthread_mutex_unlock(&r->lock);
}

/* Until every loop has come to what was asked of it before. Not on a loop. */
static void wait_for_loops(struct MHD_Daemon *d)
{
    struct svl_server *server = d->serving->server;
    struct rendezvous r = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
                           svl_server_workers(server)};

    for (unsigned i = 0; i < svl_server_workers(server); i++)
        svl_post(svl_server_worker(server, i), arrive, &r);
    pthread_mutex_lock(&r.lock);
    while (r.missing > 0)
        pthread_cond_wait(&r.all, &r.lock);
    pthread_mutex_unlock(&r.lock);
}

/* Nobody but the program accepts when this returns; in a callback, soon after. */
MHD_socket MHD_quiesce_daemon(struct MHD_Daemon *d)
{
    int fd;

    if (!d || d->serving->listen_fd < 0)
        return MHD_INVALID_SOCKET;
    fd = d->serving->listen_fd;
    d->serving->listen_fd = -1;
    svl_server_quiesce(d->serving->server);
    if (is_external(d))
        run(d);
    else if (!on_loop)
        wait_for_loops(d);
    return fd;
}

/* Served by the program --------------------------------------------------------------------------- */

enum MHD_Result MHD_run(struct MHD_Daemon *d)
{
    if (!d || !is_external(d))
        return MHD_NO;
    run(d);
    return MHD_YES;
}

enum MHD_Result MHD_run_wait(struct MHD_Daemon *d, int32_t millisec)
{
    struct pollfd ready = {.events = POLLIN};
    int timeout;

    if (!d || !is_external(d))
        return MHD_NO;
    ready.fd = svl_server_fd(d->serving->server);
    timeout = svl_server_timeout(d->serving->server);
    if (millisec >= 0 && (timeout < 0 || timeout > millisec))
        timeout = millisec;
    poll(&ready, 1, timeout);
    return MHD_run(d);
}

/* There is one descriptor to wait for; which connections are ready is known to it. */
enum MHD_Result MHD_run_from_select(struct MHD_Daemon *d, const fd_set *read_fd_set,
                                    const fd_set *write_fd_set, const fd_set *except_fd_set)
{
    (void)read_fd_set;
    (void)write_fd_set;
    (void)except_fd_set;
    return MHD_run(d);
}

enum MHD_Result MHD_get_fdset2(struct MHD_Daemon *d, fd_set *read_fd_set, fd_set *write_fd_set,
                               fd_set *except_fd_set, MHD_socket *max_fd, unsigned int fd_setsize)
{
    int fd;

    (void)write_fd_set;
    (void)except_fd_set;
    if (!d || !read_fd_set || !is_external(d))
        return MHD_NO;
    fd = svl_server_fd(d->serving->server);
    if ((unsigned)fd >= fd_setsize)
        return MHD_NO;
    FD_SET(fd, read_fd_set);
    if (max_fd && fd > *max_fd)
        *max_fd = fd;
    return MHD_YES;
}

#undef MHD_get_fdset /* the header makes it a macro for new programs */
enum MHD_Result MHD_get_fdset(struct MHD_Daemon *d, fd_set *read_fd_set, fd_set *write_fd_set,
                              fd_set *except_fd_set, MHD_socket *max_fd)
{
    return MHD_get_fdset2(d, read_fd_set, write_fd_set, except_fd_set, max_fd, FD_SETSIZE);
}

enum MHD_Result MHD_get_timeout(struct MHD_Daemon *d, MHD_UNSIGNED_LONG_LONG *timeout)
{
    int ms = d && is_external(d) ? svl_server_timeout(d->serving->server) : -1;

    if (ms < 0)
        return MHD_NO;
    *timeout = (MHD_UNSIGNED_LONG_LONG)ms;
    return MHD_YES;
}

/* addr is what the kernel says of the socket anyway. */
enum MHD_Result MHD_add_connection(struct MHD_Daemon *d, MHD_socket client_socket,
                                   const struct sockaddr *addr, socklen_t addrlen)
{
    (void)addr;
    (void)addrlen;
    return svl_server_take(d->serving->server, client_socket) == 0 ? MHD_YES : MHD_NO;
}

/* Asking about it ---------------------------------------------------------------------------------- */

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
    socklen_t len = sizeof address;

    if (fd < 0 || getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    return ntohs(in->sin_port); /* where it stands in a sockaddr_in6 too */
}

const union MHD_DaemonInfo *MHD_get_daemon_info(struct MHD_Daemon *d, enum MHD_DaemonInfoType type,
                                                ...)
{
    union MHD_DaemonInfo *info;
    struct svl_counts counts;

    if (!d || (unsigned)type > MHD_DAEMON_INFO_BIND_PORT)
        return NULL;
    info = &d->serving->info[type];
    switch (type) {
    case MHD_DAEMON_INFO_LISTEN_FD: info->listen_fd = d->serving->listen_fd; return info;
    case MHD_DAEMON_INFO_EPOLL_FD:
        info->epoll_fd = svl_server_fd(d->serving->server);
        return is_external(d) && d->flags & MHD_USE_EPOLL ? info : NULL;
    case MHD_DAEMON_INFO_FLAGS: info->flags = (enum MHD_FLAG)d->flags; return info;
    case MHD_DAEMON_INFO_BIND_PORT: info->port = port_of(d->serving->listen_fd); return info;
    case MHD_DAEMON_INFO_CURRENT_CONNECTIONS:
        svl_server_counts(d->serving->server, &counts);
        info->num_connections = (unsigned)counts.open;
        return info;
    default: return NULL;
    }
}
