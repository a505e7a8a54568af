/* Hosts: which connection serves a call, who waits for one, and when another is dialed. A dial is not for
 * one call: whoever waits longest takes the connection, or the error. */
#include "run/client.h"

#include "base/check.h"
#include "net/pipe.h"
#include "serval/error.h"

#include <errno.h>
#include <stdlib.h>

/* A connection on its way: a look-up, then a dial, then perhaps a handshake with a proxy. */
struct dialing {
    struct svl_list link; /* svl_host::dialing */
    struct svl_host *host;
    struct svl_route route;
    struct svl_lookup lookup;
    struct svl_dial dial;
    uint64_t began_ms;
    uint64_t resolved_us; /* svl_call_clock(); 0 = there is no name to look up */
};

static uint64_t now(const struct svl_host *host)
{
    return svl_now_ms(host->agent->worker);
}

static const struct svl_client_config *config_of(const struct svl_host *host)
{
    return &host->agent->client->config;
}

/* Making and ending ------------------------------------------------------------------------- */

static struct svl_list *bucket_of(struct svl_agent *agent, svl_str authority)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < authority.n; i++)
        hash = (hash ^ (unsigned char)authority.p[i]) * 16777619u;
    return &agent->buckets[hash % SVL_HOST_BUCKETS];
}

static svl_str put(char **to, svl_str s)
{
    svl_str copy = {*to, s.n};

    memcpy(*to, s.p, s.n);
    *to += s.n;
    return copy;
}

/* The two fields that every request to it has, ready to be copied. */
static void make_preamble(struct svl_host *host, char *to, svl_str agent_name)
{
    char *begin = to;

    put(&to, SVL_STR("Host: "));
    put(&to, host->authority);
    put(&to, SVL_STR("\r\n"));
    host->host_line = (size_t)(to - begin);
    if (agent_name.n > 0) {
        put(&to, SVL_STR("User-Agent: "));
        put(&to, agent_name);
        put(&to, SVL_STR("\r\n"));
    }
    host->preamble = (svl_str){begin, (size_t)(to - begin)};
}

struct svl_host *svl_host_get(struct svl_agent *agent, svl_str authority, svl_str name,
                              unsigned port)
{
    struct svl_list *bucket = bucket_of(agent, authority);
    svl_str agent_name = svl_str_of(agent->client->config.name);
    struct svl_host *host;
    char *text;

    for (struct svl_list *at = bucket->next; at != bucket; at = at->next) {
        host = svl_container(at, struct svl_host, link);
        if (svl_str_eq(host->authority, authority))
            return agent->last = host;
    }
    host = svl_calloc(sizeof *host + 2 * authority.n + agent_name.n + 32);
    text = (char *)(host + 1);
    host->agent = agent;
    host->authority = put(&text, authority);
    host->name = svl_str_head(host->authority, name.n);
    host->port = port;
    make_preamble(host, text, agent_name);
    host->proxied = svl_host_is_proxied(host);
    host->absolute = host->proxied && agent->client->proxy.kind == SVL_ROUTE_HTTP;
    svl_list_init(&host->idle);
    svl_list_init(&host->open);
    svl_list_init(&host->waiting);
    svl_list_init(&host->dialing);
    svl_list_append(bucket, &host->link);
    agent->n_hosts++;
    return agent->last = host;
}

/* A host that nobody names and nothing is connected to is forgotten. */
static void free_if_unused(struct svl_host *host)
{
    struct svl_agent *agent = host->agent;

    if (host->refs > 0 || host->n_wires > 0 || host->n_dials > 0)
        return;
    if (agent->last == host)
        agent->last = NULL;
    svl_list_remove(&host->starved);
    svl_list_remove(&host->link);
    agent->n_hosts--;
    free(host);
}

void svl_host_ref(struct svl_host *host)
{
    host->refs++;
}

void svl_host_unref(struct svl_host *host)
{
    SVL_ASSERT(host->refs > 0);
    host->refs--;
    free_if_unused(host);
}

/* Dialing ----------------------------------------------------------------------------------- */

static void feed_the_starved(struct svl_agent *agent)
{
    while (!svl_list_empty(&agent->short_of_dials) &&
           agent->n_dials < agent->client->config.max_dials) {
        struct svl_host *host = svl_container(agent->short_of_dials.next, struct svl_host, starved);

        svl_list_remove(&host->starved);
        svl_host_refill(host);
    }
}

static void end_dialing(struct dialing *d)
{
    struct svl_host *host = d->host;

    svl_resolve_cancel(&d->lookup);
    svl_dial_cancel(&d->dial);
    svl_list_remove(&d->link);
    host->n_dials--;
    host->agent->n_dials--;
    free(d);
}

/* Who has waited longest is told. The host stays at least until then. */
void svl_host_dial_failed(struct svl_host *host, int error, const char *why)
{
    host->refs++;
    if (!svl_list_empty(&host->waiting)) {
        struct svl_call *call = svl_container(host->waiting.next, struct svl_call, place);

        svl_host_withdraw(host, call);
        svl_call_give_up(call, error, why);
    }
    if (!host->agent->closing) {
        svl_host_refill(host);
        feed_the_starved(host->agent);
    }
    svl_host_unref(host);
}

static void fail(struct dialing *d, int error, const char *why)
{
    struct svl_host *host = d->host;

    host->refs++;
    end_dialing(d);
    svl_host_dial_failed(host, error, why);
    svl_host_unref(host);
}

static bool needs_handshake(const struct svl_route *route)
{
    return route->kind == SVL_ROUTE_TUNNEL || route->kind == SVL_ROUTE_SOCKS;
}

static void connected(struct svl_host *host, struct svl_conn *c, const struct svl_route *route,
                      uint64_t resolved_us)
{
    host->n_wires++;
    if (needs_handshake(route))
        svl_proxy_begin(c, host, route, resolved_us);
    else
        svl_wire_begin(c, host, resolved_us);
}

static void on_dialed(struct svl_dial *dial, int fd, const struct svl_address *peer)
{
    struct dialing *d = svl_container(dial, struct dialing, dial);
    struct svl_host *host = d->host;
    struct svl_route route = d->route;
    uint64_t resolved_us = d->resolved_us;
    struct svl_agent *agent = host->agent;
    struct svl_conn *c;

    if (fd < 0) {
        fail(d, fd, fd == -ETIMEDOUT ? "the connection was not made in time" : NULL);
        return;
    }
    host->refs++;
    end_dialing(d);
    c = svl_conn_open_outgoing(agent->worker, fd,
                               needs_handshake(&route) ? &svl_proxy_handshake : &svl_client_wire);
    if (c) {
        c->peer = *peer;
        connected(host, c, &route, resolved_us);
    } else {
        svl_host_dial_failed(host, -EMFILE, NULL);
    }
    feed_the_starved(agent);
    svl_host_unref(host);
}

static unsigned time_left(const struct dialing *d)
{
    uint64_t spent = now(d->host) - d->began_ms, all = config_of(d->host)->connect_ms;

    return spent < all ? (unsigned)(all - spent) : 0;
}

static void on_resolved(struct svl_lookup *lookup, int error, const struct svl_addresses *found)
{
    struct dialing *d = svl_container(lookup, struct dialing, lookup);
    struct svl_agent *agent = d->host->agent;

    if (!error) {
        d->resolved_us = svl_call_clock();
        svl_dial_start(&d->dial, agent->worker, found, (uint16_t)d->route.port,
                       &agent->client->from, time_left(d), on_dialed);
        return;
    }
    /* Told when the loop comes round, like everything that fails. */
    svl_dial_fd(&d->dial, agent->worker, error, time_left(d), on_dialed);
}

static struct svl_conn *open_pipe(struct svl_agent *agent)
{
    const struct svl_client_config *config = &agent->client->config;
    struct svl_pipe *end = config->dial_pipe(config->dial_arg);

    return end ? svl_pipe_conn(end, agent->worker, &svl_client_wire, NULL) : NULL;
}

static void dial_in_memory(struct svl_host *host)
{
    struct svl_client *client = host->agent->client;
    struct svl_conn *c = client->open
                             ? client->open(client->open_arg, host->agent->worker, &svl_client_wire)
                             : open_pipe(host->agent);

    if (c)
        connected(host, c, &(struct svl_route){0}, 0);
    else
        svl_host_dial_failed(host, -ECONNREFUSED, NULL);
}

static void dial(struct svl_host *host)
{
    struct svl_agent *agent = host->agent;
    const struct svl_client_config *config = config_of(host);
    struct dialing *d;

    if (agent->client->open || config->dial_pipe) {
        dial_in_memory(host);
        return;
    }
    d = svl_calloc(sizeof *d);
    d->host = host;
    d->began_ms = now(host);
    d->lookup.done = on_resolved;
    svl_route_of(host, &d->route);
    svl_list_append(&host->dialing, &d->link);
    host->n_dials++;
    agent->n_dials++;
    if (d->route.kind == SVL_ROUTE_UNIX)
        svl_dial_unix(&d->dial, agent->worker, d->route.name, config->connect_ms, on_dialed);
    else if (config->dial)
        svl_dial_fd(&d->dial, agent->worker,
                    config->dial(d->route.name, d->route.port, config->dial_arg),
                    config->connect_ms, on_dialed);
    else
        svl_resolve(&agent->resolver, d->route.name, &d->lookup);
}

/* One for each call that waits, as long as there may be more connections. */
void svl_host_refill(struct svl_host *host)
{
    struct svl_agent *agent = host->agent;
    const struct svl_client_config *config = config_of(host);

    host->refs++;
    while (host->n_waiting > host->n_dials * config->pipeline && !agent->closing &&
           host->n_wires + host->n_dials < config->max_per_host) {
        unsigned before = host->n_waiting;

        if (agent->n_dials >= config->max_dials) {
            if (!svl_list_linked(&host->starved))
                svl_list_append(&agent->short_of_dials, &host->starved);
            break;
        }
        dial(host);
        if (host->n_dials == 0 && host->n_waiting == before)
            break; /* in memory, where it is there at once or never */
    }
    svl_host_unref(host);
}

/* Calls ------------------------------------------------------------------------------------- */

void svl_host_withdraw(struct svl_host *host, struct svl_call *call)
{
    svl_list_remove(&call->place);
    host->n_waiting--;
}

static bool has_room(const struct svl_host *host, struct svl_conn *c)
{
    const struct svl_wire_state *wire = svl_wire_of(c);

    return !c->closed && !wire->last && !wire->sending && !svl_conn_blocked(c) &&
           wire->n_calls < config_of(host)->pipeline;
}

static struct svl_conn *pick_idle(struct svl_host *host)
{
    while (!svl_list_empty(&host->idle)) {
        struct svl_list *at = config_of(host)->fifo ? host->idle.next : host->idle.prev;
        struct svl_conn *c = svl_wire_conn(svl_container(at, struct svl_wire_state, place));

        if (!svl_wire_fresh(c)) /* which closes it, and so takes it out of the list */
            continue;
        svl_list_remove(at);
        host->n_idle--;
        return c;
    }
    return NULL;
}

/* With pipelining: an idle connection first, then another one, then behind the calls of the least busy. */
static struct svl_conn *pick_open(struct svl_host *host)
{
    struct svl_wire_state *best = NULL;

    if (host->n_wires + host->n_dials < config_of(host)->max_per_host)
        return NULL;
    for (struct svl_list *at = host->open.next; at != &host->open; at = at->next) {
        struct svl_wire_state *wire = svl_container(at, struct svl_wire_state, place);

        if (has_room(host, svl_wire_conn(wire)) && (!best || wire->n_calls < best->n_calls))
            best = wire;
    }
    return best ? svl_wire_conn(best) : NULL;
}

static void enqueue(struct svl_host *host, struct svl_call *call)
{
    const struct svl_client_config *config = config_of(host);
    bool all_busy = host->n_wires + host->n_dials >= config->max_per_host;

    if (config->no_wait && all_busy) {
        svl_call_give_up(call, SVL_EBUSY, "all connections are busy");
        return;
    }
    svl_list_append(&host->waiting, &call->place);
    host->n_waiting++;
    if (host->n_waiting > config->max_waiting) {
        struct svl_call *out =
            config->drop_oldest ? svl_container(host->waiting.next, struct svl_call, place) : call;

        svl_host_withdraw(host, out);
        svl_call_give_up(out, SVL_EBUSY, NULL);
        if (out == call)
            return;
    }
    svl_host_refill(host);
}

void svl_host_submit(struct svl_host *host, struct svl_call *call)
{
    struct svl_conn *c = NULL;

    if (svl_list_empty(&host->waiting)) {
        c = pick_idle(host);
        if (!c && config_of(host)->pipeline > 1)
            c = pick_open(host);
    }
    if (c)
        svl_wire_send(c, call);
    else
        enqueue(host, call);
}

void svl_host_feed(struct svl_host *host, struct svl_conn *c)
{
    struct svl_wire_state *wire = svl_wire_of(c);

    svl_list_remove(&wire->place);
    while (has_room(host, c) && !svl_list_empty(&host->waiting)) {
        struct svl_call *call = svl_container(host->waiting.next, struct svl_call, place);

        if (wire->n_calls == 0 && !svl_wire_fresh(c))
            return;
        svl_host_withdraw(host, call);
        svl_wire_send(c, call);
    }
    if (!has_room(host, c))
        return;
    if (wire->n_calls > 0) {
        svl_list_append(&host->open, &wire->place);
        return;
    }
    if (c->worker->stopping) { /* which waits for the last connection */
        svl_conn_close(c);
        return;
    }
    svl_list_append(&host->idle, &wire->place);
    host->n_idle++;
    svl_conn_deadline(c, config_of(host)->idle_ms);
}

/* A connection has gone; its calls were told. */
void svl_host_lost(struct svl_host *host, struct svl_conn *c)
{
    struct svl_wire_state *wire = svl_wire_of(c);

    if (wire->n_calls == 0 && svl_list_linked(&wire->place))
        host->n_idle--;
    svl_list_remove(&wire->place);
    host->n_wires--;
}

void svl_host_close_idle(struct svl_host *host)
{
    host->refs++;
    while (!svl_list_empty(&host->idle))
        svl_conn_close(svl_wire_conn(svl_container(host->idle.next, struct svl_wire_state, place)));
    svl_host_unref(host);
}

void svl_host_drop(struct svl_host *host)
{
    host->refs++;
    while (!svl_list_empty(&host->dialing))
        end_dialing(svl_container(host->dialing.next, struct dialing, link));
    svl_host_unref(host);
}
