/* A server: sockets, workers and the chain they serve, from one config. */
#include "run/server.h"

#include "base/check.h"
#include "net/crowd.h"
#include "net/listener.h"
#include "net/offload.h"
#include "net/pipe.h"
#include "run/h1.h"
#include "run/links.h"
#include "run/stream.h"
#include "run/switches.h"
#include "run/watchdog.h"
#include "serval/error.h"
#include "serval/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_WORKERS 256
#define LEAST_HELD 262144 /* a chunk for what was read, one for what waits, and some more */
#define SPARE_FILES 64    /* descriptors that are not for connections */

struct place {
    struct svl_endpoint endpoint;
    char text[160];
};

struct runner {
    struct svl_worker worker;
    struct svl_service service;
    struct svl_links links;
    pthread_t thread;
    bool threaded;
    atomic_bool alone; /* no thread could be had for it: nothing is given to it */
};

struct svl_server {
    struct svl_server_config config; /* with the defaults filled in */
    struct place places[SVL_MAX_LISTEN];
    unsigned n_places;
    struct svl_plan plan;
    struct svl_offload offload;
    struct svl_crowd crowd;
    struct runner *runners;
    unsigned n_runners;
    unsigned n_closed; /* of them, by svl_server_close() */
    atomic_uint turn;  /* whose connection the next one that is handed over is */
};

/* The config's handler, as the innermost module --------------------------------------------- */

struct handler_config {
    svl_handler_fn *handler;
    void *arg;
};

static enum svl_verdict handle(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct handler_config *cfg = self->config;

    return cfg->handler ? cfg->handler(ctx, cfg->arg) : SVL_NEXT;
}

static const struct svl_module handler_module = {
    .name = "handler",
    .summary = "the program's own handler",
    .config_size = sizeof(struct handler_config),
    .needs_body = true,
    .on_request = handle,
};

/* Config ----------------------------------------------------------------------------------- */

static unsigned cpus(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

/* As many as the descriptor limit allows, which is raised as far as it may be. */
static unsigned connections_by_files(unsigned workers)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1000;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur > 1000000)
        return 1000000;
    if (limit.rlim_cur < 2 * (SPARE_FILES + 8ul * workers))
        return (unsigned)limit.rlim_cur / 2 + 1;
    return (unsigned)limit.rlim_cur - SPARE_FILES - 8 * workers;
}

/* Of the machine, or of the control group if that has less. */
static size_t half_of_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t all = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : (size_t)1 << 30;
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");
    unsigned long long limit;

    if (!file)
        return all / 2;
    if (fscanf(file, "%llu", &limit) == 1 && limit > 0 && limit < all) /* "max" is no number */
        all = (size_t)limit;
    fclose(file);
    return all / 2;
}

#define DEFAULT(field, value) ((field) = (field) ? (field) : (value))

/* What the other limits may add up to, so that they are those a request meets first. */
static size_t enough_for_a_connection(const struct svl_server_config *c)
{
    size_t usual = 16 << 20;

    if (c->max_body > SIZE_MAX / 16)
        return SIZE_MAX;
    return 8 * c->max_body + 65536 > usual ? 8 * c->max_body + 65536 : usual;
}

static struct svl_limits limits_of(const struct svl_server_config *c)
{
    struct svl_limits limits = {
        .max_target = c->max_target,
        .max_head = c->max_head,
        .max_fields = c->max_fields,
        .max_body = c->max_body,
        .max_chunk_overhead = c->max_head,
        .max_held = c->max_connection_memory,
    };

    /* A text that grows to the body's size has up to twice the room. */
    limits.max_made = svl_held_share(&limits);
    if (c->max_body < SIZE_MAX / 4 && 2 * c->max_body + SVL_ARENA_BLOCK < limits.max_made)
        limits.max_made = 2 * c->max_body + SVL_ARENA_BLOCK;
    return limits;
}

static int complete(struct svl_server_config *c)
{
    if (c->loop)
        c->workers = 1;
    DEFAULT(c->workers, cpus());
    DEFAULT(c->backlog, 1024);
    DEFAULT(c->name, "serval");
    DEFAULT(c->max_target, 8192);
    DEFAULT(c->max_head, 16384);
    DEFAULT(c->max_fields, 100);
    DEFAULT(c->max_body, 1024 * 1024);
    DEFAULT(c->header_ms, 10000);
    DEFAULT(c->body_ms, 10000);
    DEFAULT(c->idle_ms, 60000);
    DEFAULT(c->write_ms, 60000);
    DEFAULT(c->linger_ms, 2000);
    DEFAULT(c->grace_ms, 10000);
    DEFAULT(c->min_body_rate, 240);
    DEFAULT(c->min_write_rate, 240);
    DEFAULT(c->offload_threads, 4 * c->workers);
    DEFAULT(c->offload_queue, 1024);
    DEFAULT(c->watchdog_ms, 200);
    DEFAULT(c->address_prefix, 64);
    DEFAULT(c->retry_after, 1);
    DEFAULT(c->max_memory, half_of_memory());
    DEFAULT(c->max_connection_memory, enough_for_a_connection(c));
    if (c->no_keep_alive)
        c->max_requests = 1;
    DEFAULT(c->max_connections, connections_by_files(c->workers));
    if (c->workers > MAX_WORKERS || c->max_fields > 250) {
        svl_log(SVL_ALERT, "server: at most %d workers and 250 header fields", MAX_WORKERS);
        return SVL_ECONFIG;
    }
    if (c->max_connection_memory < LEAST_HELD) {
        svl_log(SVL_ALERT,
                "server: max_connection_memory: give at least %d bytes, a connection needs them",
                LEAST_HELD);
        return SVL_ECONFIG;
    }
    if (c->address_prefix > 128) {
        svl_log(SVL_ALERT, "server: address_prefix: an IPv6 address has 128 bits");
        return SVL_ECONFIG;
    }
    if (c->max_connections < c->workers)
        c->max_connections = c->workers;
    return 0;
}

static int setup_chain(struct svl_server *s)
{
    const struct svl_server_config *c = &s->config;
    struct handler_config last = {c->handler, c->handler_arg};
    struct svl_switches_config first = {s, c};
    int err = 0;

    if (svl_switches_wanted(c))
        err = svl_plan_add(&s->plan, &svl_switches, &first);
    for (const struct svl_use *use = c->chain; !err && use && use->module; use++)
        err = svl_plan_add(&s->plan, use->module, use->config);
    if (!err && (c->handler || !c->chain || !c->chain->module))
        err = svl_plan_add(&s->plan, &handler_module, &last);
    if (!err && s->plan.main.n > SVL_MAX_LINKS) {
        svl_log(SVL_ALERT, "server: at most %d modules in a chain", SVL_MAX_LINKS - 1);
        return SVL_ECONFIG;
    }
    return err;
}

/* Listening -------------------------------------------------------------------------------- */

static int cannot_listen(const struct place *place, int err)
{
    char owner[128];

    if (err == -EADDRINUSE && svl_port_owner(&place->endpoint, owner, sizeof owner))
        svl_log(SVL_ALERT, "listener: %s is in use by %s; stop it, or take another port",
                place->text, owner);
    else if (err == -EADDRNOTAVAIL)
        svl_log(SVL_ALERT, "listener: %s: this machine does not have that address", place->text);
    else if (err == -EACCES && place->endpoint.family != AF_UNIX)
        svl_log(
            SVL_ALERT,
            "listener: %s: permission denied; ports below 1024 are for root, or for programs with "
            "cap_net_bind_service (setcap)",
            place->text);
    else
        svl_log(SVL_ALERT, "listener: %s: %s", place->text, svl_strerror(err));
    return err;
}

static int add_listener(struct svl_server *s, unsigned worker, int fd, bool own)
{
    int err = svl_listener_add(&s->runners[worker].worker, fd, own, &svl_h1);

    if (err && own)
        close(fd);
    return err;
}

/* TCP: a socket per worker, so that the kernel spreads connections. A first one without
 * SO_REUSEPORT shows whether the address is free: with it, another program that also sets it
 * would silently share the port with us. */
static int listen_tcp(struct svl_server *s, struct place *place)
{
    unsigned backlog = s->config.backlog;
    bool shared = s->n_runners > 1;
    int fd = svl_endpoint_listen(&place->endpoint, backlog, false);

    if (fd >= 0 && shared) {
        close(fd);
        fd = svl_endpoint_listen(&place->endpoint, backlog, true);
    }
    for (unsigned i = 0; i < s->n_runners; i++) {
        int err;

        if (i > 0)
            fd = svl_endpoint_listen(&place->endpoint, backlog, true);
        if (fd < 0)
            return cannot_listen(place, fd);
        err = add_listener(s, i, fd, true);
        if (err)
            return cannot_listen(place, err);
    }
    return 0;
}

/* Unix sockets and inherited ones: one socket, all workers accept from it. Each has a
 * descriptor of its own, because one can be watched by one loop only once. */
static int listen_single(struct svl_server *s, struct place *place)
{
    int fd = svl_endpoint_listen(&place->endpoint, s->config.backlog, false);

    if (fd < 0)
        return cannot_listen(place, fd);
    for (unsigned i = 0; i < s->n_runners; i++) {
        int own = i + 1 < s->n_runners ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : fd;
        int err = own < 0 ? -errno : add_listener(s, i, own, true);

        if (err)
            return cannot_listen(place, err);
    }
    return 0;
}

static int listen_all(struct svl_server *s)
{
    for (unsigned i = 0; i < SVL_MAX_LISTEN && s->config.listen[i]; i++) {
        struct place *place = &s->places[i];
        const char *why = "";
        int err = svl_endpoint_parse(&place->endpoint, s->config.listen[i], &why);

        if (err) {
            svl_log(SVL_ALERT, "listener: %s: %s", s->config.listen[i], why);
            return err;
        }
        svl_endpoint_text(&place->endpoint, place->text, sizeof place->text);
        if (place->endpoint.family == AF_INET || place->endpoint.family == AF_INET6)
            err = listen_tcp(s, place);
        else
            err = listen_single(s, place);
        if (err)
            return err;
        s->n_places = i + 1;
        svl_endpoint_text(&place->endpoint, place->text, sizeof place->text);
    }
    return 0;
}

/* Workers ---------------------------------------------------------------------------------- */

static void remove_sockets(struct svl_server *s)
{
    for (unsigned i = 0; i < s->n_places; i++)
        if (s->places[i].endpoint.family == AF_UNIX)
            unlink(((struct sockaddr_un *)&s->places[i].endpoint.address)->sun_path);
}

static void free_server(struct svl_server *s)
{
    svl_offload_finish(&s->offload);
    svl_crowd_finish(&s->crowd);
    svl_plan_close(&s->plan);
    free(s->runners);
    free(s);
}

static void on_worker_closed(struct svl_worker *w)
{
    struct runner *r = svl_container(w, struct runner, worker);
    struct svl_server *s = w->server;

    svl_links_close(&r->links, w);
    if (++s->n_closed == s->n_runners)
        free_server(s);
}

static void on_worker_ended(struct svl_worker *w)
{
    const struct svl_server_config *c = &w->server->config;

    if (c->on_stopped)
        c->on_stopped(w->server, c->hook_arg);
}

static int open_worker(struct svl_server *s, struct runner *r, unsigned index)
{
    const struct svl_server_config *c = &s->config;
    struct svl_worker *w = &r->worker;

    w->server = s;
    w->index = index;
    w->loop = c->loop;
    w->on_ended = on_worker_ended;
    w->on_closed = on_worker_closed;
    w->cpu = c->pin_workers ? (int)(index % cpus()) : -1;
    w->offload = &s->offload;
    w->max_open = c->max_connections / c->workers;
    w->max_memory = c->max_memory / c->workers;
    w->grace_ms = c->grace_ms;
    w->name = svl_str_of(c->name);
    w->no_date = c->no_date;
    w->reduce_memory = c->reduce_memory;
    w->crowd = c->max_per_address ? &s->crowd : NULL;
    w->service = &r->service;
    svl_pool_init(&w->exchanges, sizeof(struct svl_exchange), 16);
    svl_pool_init(&w->segments, sizeof(struct svl_segment), 64);
    r->service = (struct svl_service){
        .chain = &r->links.main,
        .limits = limits_of(c),
        .header_ms = c->header_ms,
        .body_ms = c->body_ms,
        .idle_ms = c->idle_ms,
        .write_ms = c->write_ms,
        .linger_ms = c->linger_ms,
        .retry_after = c->retry_after,
        .min_body_rate = c->min_body_rate == SVL_NEVER ? 0 : c->min_body_rate,
        .min_write_rate = c->min_write_rate == SVL_NEVER ? 0 : c->min_write_rate,
        .max_requests = c->max_requests,
        .on_error = c->on_error,
        .on_accept = c->on_accept,
        .on_state = c->on_state,
        .hook_arg = c->hook_arg,
    };
    return svl_worker_open(w);
}

static int open_workers(struct svl_server *s)
{
    if (s->config.max_per_address)
        svl_crowd_init(&s->crowd, s->config.max_per_address, s->config.address_prefix);
    svl_offload_init(&s->offload, s->config.offload_threads, s->config.offload_queue);
    s->runners = svl_calloc(s->config.workers * sizeof *s->runners);
    for (unsigned i = 0; i < s->config.workers; i++) {
        int err = open_worker(s, &s->runners[i], i);

        if (err) {
            svl_log(SVL_ALERT, "worker: %s", svl_strerror(err));
            return err;
        }
        s->n_runners = i + 1;
        err = svl_links_open(&s->runners[i].links, &s->plan, &s->runners[i].worker);
        if (err)
            return err;
    }
    return 0;
}

void svl_server_close(struct svl_server *s)
{
    unsigned n = s ? s->n_runners : 0;

    if (!s)
        return;
    svl_offload_stop(&s->offload);
    remove_sockets(s);
    for (unsigned i = 0; i < n; i++)
        svl_worker_close(&s->runners[i].worker); /* the last one frees the server */
    if (n == 0)
        free_server(s);
}

int svl_server_open(struct svl_server **server, const struct svl_server_config *config)
{
    struct svl_server *s = svl_calloc(sizeof *s);
    int err;

    signal(SIGPIPE, SIG_IGN); /* libraries below may write without MSG_NOSIGNAL: sendfile does */
    s->config = *config;
    err = complete(&s->config);
    if (!err)
        err = setup_chain(s);
    if (!err)
        err = open_workers(s);
    if (!err)
        err = listen_all(s);
    if (err) {
        svl_server_close(s);
        s = NULL;
    }
    *server = s;
    return err;
}

static void close_listeners(void *worker)
{
    svl_listeners_close(worker);
}

void svl_server_quiesce(struct svl_server *s)
{
    for (unsigned i = 0; i < s->n_runners; i++)
        svl_post(&s->runners[i].worker, close_listeners, &s->runners[i].worker);
}

const char *svl_server_address(const struct svl_server *s, unsigned index)
{
    return index < s->n_places ? s->places[index].text : NULL;
}

unsigned svl_server_workers(const struct svl_server *s)
{
    return s->n_runners;
}

struct svl_worker *svl_server_worker(struct svl_server *s, unsigned index)
{
    return &s->runners[index].worker;
}

/* Connections from elsewhere ---------------------------------------------------------------- */

static struct svl_worker *next_worker(struct svl_server *s)
{
    struct runner *r;

    do /* the first one is never alone */
        r = &s->runners[atomic_fetch_add(&s->turn, 1) % s->n_runners];
    while (atomic_load(&r->alone));
    return &r->worker;
}

void svl_server_take_pipe(struct svl_server *s, struct svl_worker *w, struct svl_pipe *end,
                          const struct svl_address *from)
{
    if (w && svl_worker_takes(w))
        svl_pipe_conn(end, w, &svl_h1, from);
    else
        svl_pipe_hand_over(end, w ? w : next_worker(s), &svl_h1, from);
}

struct svl_pipe *svl_server_dial(struct svl_server *s, const struct svl_address *from)
{
    struct svl_pipe *ends[2];

    svl_pipe_pair(ends);
    svl_server_take_pipe(s, NULL, ends[1], from);
    return ends[0];
}

struct taken {
    struct svl_mail mail;
    struct svl_worker *worker;
    int fd;
    struct svl_address peer;
};

static void on_taken(struct svl_mail *mail)
{
    struct taken *taken = svl_container(mail, struct taken, mail);

    if (!svl_worker_takes(taken->worker))
        close(taken->fd);
    else
        svl_conn_open_fd(taken->worker, taken->fd, &taken->peer, &svl_h1);
    free(taken);
}

/* Makes it as accept4() would have. */
static int peer_of(int fd, struct svl_address *peer)
{
    struct sockaddr_storage from = {0};
    socklen_t len = sizeof from;
    int flags;

    if (getpeername(fd, (struct sockaddr *)&from, &len) != 0)
        return -errno;
    flags = fcntl(fd, F_GETFL);
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return -errno;
    svl_address_from(peer, &from);
    return 0;
}

int svl_server_take(struct svl_server *s, int fd)
{
    struct svl_worker *w = next_worker(s);
    struct svl_address peer;
    struct taken *taken;
    int err = peer_of(fd, &peer);

    if (!err && svl_tally_read(&w->tally.open) >= w->max_open)
        err = SVL_ELIMIT;
    if (err) {
        close(fd);
        return err;
    }
    taken = svl_calloc(sizeof *taken);
    *taken = (struct taken){.mail.run = on_taken, .worker = w, .fd = fd, .peer = peer};
    svl_mail_send(w, &taken->mail);
    return 0;
}

static void take(void *arg, int fd)
{
    svl_server_take(arg, fd);
}

/* Running ---------------------------------------------------------------------------------- */

struct svl_server *svl_worker_server(const struct svl_worker *w)
{
    return w->server;
}

static void *run_thread(void *arg)
{
    svl_worker_run(arg);
    return NULL;
}

void svl_server_counts(const struct svl_server *s, struct svl_counts *counts)
{
    *counts = (struct svl_counts){0};
    for (unsigned i = 0; i < s->n_runners; i++) {
        const struct svl_tally *tally = &s->runners[i].worker.tally;

        counts->connections += svl_tally_read(&tally->accepted);
        counts->open += svl_tally_read(&tally->open);
        counts->requests += svl_tally_read(&tally->requests);
        counts->in_flight += svl_tally_read(&tally->in_flight);
        counts->refused += svl_tally_read(&tally->refused);
    }
}

unsigned long long svl_server_stalls(const struct svl_server *s)
{
    unsigned long long n = 0;

    for (unsigned i = 0; i < s->n_runners; i++)
        n += atomic_load_explicit(&s->runners[i].worker.watch.stalls, memory_order_relaxed);
    return n;
}

static struct svl_watchdog *start_watchdog(struct svl_server *s)
{
    struct svl_worker *workers[MAX_WORKERS];

    if (s->config.watchdog_ms == SVL_NEVER)
        return NULL;
    for (unsigned i = 0; i < s->n_runners; i++)
        workers[i] = &s->runners[i].worker;
    return svl_watchdog_start(workers, s->n_runners, s->config.watchdog_ms);
}

int svl_server_run(struct svl_server *s)
{
    struct svl_watchdog *dog;
    bool forced;

    if (s->config.loop)
        return SVL_ESTATE;
    dog = start_watchdog(s);
    for (unsigned i = 1; i < s->n_runners; i++) {
        struct runner *r = &s->runners[i];
        sigset_t all, before;
        int err;

        sigfillset(&all); /* signals are for the program's own thread */
        pthread_sigmask(SIG_SETMASK, &all, &before);
        err = pthread_create(&r->thread, NULL, run_thread, &r->worker);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        r->threaded = err == 0;
        if (err) { /* its sockets must not go on collecting clients that nobody accepts */
            svl_log(SVL_WARN, "worker: no thread for it: %s", strerror(err));
            atomic_store(&r->alone, true);
            svl_listeners_give(&r->worker, take, s);
            svl_listeners_close(&r->worker);
        }
    }
    svl_worker_run(&s->runners[0].worker);
    forced = s->runners[0].worker.forced;
    for (unsigned i = 1; i < s->n_runners; i++) {
        struct runner *r = &s->runners[i];

        if (r->threaded)
            pthread_join(r->thread, NULL);
        forced = forced || r->worker.forced;
    }
    svl_watchdog_stop(dog);
    return forced ? SVL_EGONE : 0;
}

void svl_server_poll(struct svl_server *s, bool wait)
{
    SVL_MISUSE_IF(s->n_runners != 1, "svl_server_poll: of a server with one worker");
    svl_worker_poll(&s->runners[0].worker, wait);
}

int svl_server_fd(const struct svl_server *s)
{
    return svl_worker_fd(&s->runners[0].worker);
}

int svl_server_timeout(struct svl_server *s)
{
    return svl_worker_timeout(&s->runners[0].worker);
}

void svl_server_stop(struct svl_server *s)
{
    for (unsigned i = 0; i < s->n_runners; i++)
        svl_worker_stop(&s->runners[i].worker);
}

/* All in one ------------------------------------------------------------------------------- */

static struct svl_server *serving;

static void on_signal(int number)
{
    (void)number;
    svl_server_stop(serving);
}

int svl_serve(const struct svl_server_config *config)
{
    struct sigaction action = {.sa_handler = on_signal}, term, interrupt;
    int err = svl_server_open(&serving, config);

    if (err)
        return err == SVL_ECONFIG || err == SVL_EBADADDR ? 2 : 3;
    sigaction(SIGTERM, &action, &term);
    sigaction(SIGINT, &action, &interrupt);
    for (unsigned i = 0; svl_server_address(serving, i); i++)
        svl_log(SVL_INFO, "listening on %s", svl_server_address(serving, i));
    svl_server_run(serving);
    sigaction(SIGTERM, &term, NULL);
    sigaction(SIGINT, &interrupt, NULL);
    svl_server_close(serving);
    return 0;
}

int svl_serve_conn(const struct svl_server_config *config, int fd)
{
    struct svl_server_config mine = *config;
    struct svl_server *s;
    int err;

    memset(mine.listen, 0, sizeof mine.listen);
    mine.workers = 1;
    mine.loop = NULL;
    err = svl_server_open(&s, &mine);
    if (err) {
        close(fd);
        return err;
    }
    s->runners[0].worker.until_idle = true;
    err = svl_server_take(s, fd);
    if (!err)
        svl_server_run(s);
    svl_server_close(s);
    return err;
}
