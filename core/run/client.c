/* Clients and what they are on each loop. */
#include "run/client.h"

#include "base/check.h"
#include "serval/error.h"
#include "serval/ip.h"
#include "serval/log.h"

#include <stdlib.h>
#include <sys/socket.h>

#define DEFAULT(field, value) ((field) = (field) ? (field) : (value))

static int complete(struct svl_client_config *c)
{
    DEFAULT(c->name, "serval");
    DEFAULT(c->max_per_host, 512);
    DEFAULT(c->pipeline, 1);
    DEFAULT(c->max_waiting, 1024);
    DEFAULT(c->idle_ms, 10000);
    DEFAULT(c->max_tries, 5);
    DEFAULT(c->timeout_ms, 60000);
    DEFAULT(c->connect_ms, 10000);
    DEFAULT(c->expect_ms, 1000);
    DEFAULT(c->io_ms, 60000);
    DEFAULT(c->max_head, 65536);
    DEFAULT(c->max_fields, 200);
    DEFAULT(c->max_body, 16 * 1024 * 1024);
    DEFAULT(c->resolve_ms, 60000);
    DEFAULT(c->max_dials, 128);
    DEFAULT(c->penalty_ms, 3000);
    DEFAULT(c->probe_ms, 5000);
    DEFAULT(c->probe_timeout_ms, 1000);
    DEFAULT(c->probe_falls, 3);
    DEFAULT(c->probe_rises, 2);
    if (c->max_fields <= 250)
        return 0;
    svl_log(SVL_ALERT, "client: at most 250 header fields");
    return SVL_ECONFIG;
}

static int parse_from(struct svl_client *client)
{
    svl_str text = svl_str_of(client->config.local_address);

    if (!text.p)
        return 0;
    if (svl_ipv4_parse(text, client->from.ip))
        client->from.family = AF_INET;
    else if (svl_ipv6_parse(text, client->from.ip))
        client->from.family = AF_INET6;
    else
        return SVL_ECONFIG;
    return 0;
}

static bool is_one_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static int set_up(struct svl_client *client)
{
    const char *why = "local_address is an IP address";
    int err = parse_from(client);

    if (!err)
        err = svl_routes_open(client, &why);
    if (!err && svl_backends_open(client) != 0) {
        why = "a back end is http://host:port";
        err = SVL_ECONFIG;
    }
    if (!err && svl_probes_open(client) != 0) {
        why = "probe_path is a path, like /health";
        err = SVL_ECONFIG;
    }
    if (!err && !is_one_line(client->config.name)) {
        why = "the name is one line of text";
        err = SVL_ECONFIG;
    }
    if (err)
        svl_log(SVL_ALERT, "client: %s", why);
    return err;
}

static char *copy(const char *text)
{
    size_t n = strlen(text) + 1;

    return memcpy(svl_malloc(n), text, n);
}

int svl_client_open(struct svl_client **client, const struct svl_client_config *config)
{
    struct svl_client *cl = svl_calloc(sizeof *cl);
    int err;

    pthread_mutex_init(&cl->lock, NULL);
    cl->config = *config;
    err = complete(&cl->config);
    cl->config.name = cl->name = copy(cl->config.name);
    if (config->connect_to)
        cl->config.connect_to = cl->connect_to = copy(config->connect_to);
    if (!err)
        err = set_up(cl);
    if (err) {
        svl_client_close(cl);
        cl = NULL;
    }
    *client = cl;
    return err;
}

void svl_client_close(struct svl_client *client)
{
    if (!client)
        return;
    svl_client_thread_stop(client);
    SVL_MISUSE_IF(
        atomic_load(&client->agents) > 0,
        "svl_client_close: close the servers and loops that use it first, free kept replies");
    svl_probes_close(client);
    svl_routes_close(client);
    svl_backends_close(client);
    pthread_mutex_destroy(&client->lock);
    free(client->connect_to);
    free(client->name);
    free(client);
}

/* Agents ------------------------------------------------------------------------------------ */

static void each_host(struct svl_agent *agent, void (*fn)(struct svl_host *host))
{
    for (unsigned i = 0; i < SVL_HOST_BUCKETS; i++)
        for (struct svl_list *at = agent->buckets[i].next, *next; at != &agent->buckets[i];
             at = next) {
            next = at->next;
            fn(svl_container(at, struct svl_host, link));
        }
}

static void end_calls(struct svl_agent *agent)
{
    while (!svl_list_empty(&agent->calls)) {
        struct svl_call *call = svl_container(agent->calls.next, struct svl_call, link);

        svl_call_end(call, SVL_EGONE, "the client was closed");
    }
}

void svl_agent_free_if_over(struct svl_agent *agent)
{
    if (!agent->ended || agent->pool.live > 0)
        return;
    svl_pool_finish(&agent->pool);
    atomic_fetch_sub(&agent->client->agents, 1);
    free(agent);
}

static void close_connections(struct svl_agent *agent)
{
    struct svl_worker *w = agent->worker;

    for (struct svl_list *at = w->open.next, *next; at != &w->open; at = next) {
        struct svl_conn *c = svl_container(at, struct svl_conn, link);
        const struct svl_host *host = NULL;

        next = at->next;
        if (c->protocol == &svl_client_wire)
            host = svl_wire_of(c)->host;
        else if (c->protocol == &svl_proxy_handshake)
            host = svl_proxy_host(c);
        if (host && host->agent == agent)
            svl_conn_close(c);
    }
}

static void close_agent(struct svl_attached *attached)
{
    struct svl_agent *agent = svl_container(attached, struct svl_agent, attached);

    agent->closing = true;
    svl_list_remove(&attached->link);
    svl_timer_clear(&agent->probe);
    end_calls(agent);
    each_host(agent, svl_host_drop);
    close_connections(agent);
    svl_list_remove(&agent->task.link);
    svl_resolver_finish(&agent->resolver);
    SVL_ASSERT(agent->n_calls == 0 && agent->n_hosts == 0 && agent->n_dials == 0);
    agent->ended = true;
    svl_agent_free_if_over(agent);
}

static void on_task(struct svl_task *task)
{
    svl_agent_task(svl_container(task, struct svl_agent, task));
}

static struct svl_agent *make(struct svl_client *client, struct svl_worker *w)
{
    struct svl_agent *agent = svl_calloc(sizeof *agent);

    agent->attached.close = close_agent;
    agent->client = client;
    agent->worker = w;
    agent->task.run = on_task;
    svl_resolver_init(&agent->resolver, w, client->config.resolve_ms, client->config.ipv4_only);
    svl_pool_init(&agent->pool, sizeof(struct svl_call), 16);
    svl_list_init(&agent->calls);
    svl_list_init(&agent->failed);
    svl_list_init(&agent->short_of_dials);
    for (unsigned i = 0; i < SVL_HOST_BUCKETS; i++)
        svl_list_init(&agent->buckets[i]);
    svl_list_append(&w->attached, &agent->attached.link);
    atomic_fetch_add(&client->agents, 1);
    svl_probes_begin(agent);
    return agent;
}

static struct svl_agent *find(struct svl_client *client, struct svl_worker *w)
{
    for (struct svl_list *at = w->attached.next; at != &w->attached; at = at->next) {
        struct svl_attached *attached = svl_container(at, struct svl_attached, link);
        struct svl_agent *agent = svl_container(attached, struct svl_agent, attached);

        if (attached->close == close_agent && agent->client == client)
            return agent;
    }
    return NULL;
}

struct svl_agent *svl_agent_of(struct svl_client *client, struct svl_worker *w)
{
    struct svl_agent *agent = find(client, w);

    return agent ? agent : make(client, w);
}

void svl_client_close_idle(struct svl_client *client, struct svl_worker *w)
{
    struct svl_agent *agent = find(client, w);

    if (agent)
        each_host(agent, svl_host_close_idle);
}

void svl_client_forget_names(struct svl_client *client, struct svl_worker *w)
{
    struct svl_agent *agent = find(client, w);

    if (agent)
        svl_resolver_forget(&agent->resolver);
}

void svl_client_count(struct svl_client *client, struct svl_worker *w,
                      struct svl_client_counts *counts)
{
    struct svl_agent *agent = find(client, w);

    *counts = (struct svl_client_counts){0};
    if (!agent)
        return;
    counts->calls = agent->n_calls;
    counts->hosts = agent->n_hosts;
    for (unsigned i = 0; i < SVL_HOST_BUCKETS; i++)
        for (struct svl_list *at = agent->buckets[i].next; at != &agent->buckets[i];
             at = at->next) {
            const struct svl_host *host = svl_container(at, struct svl_host, link);

            counts->waiting += host->n_waiting;
            counts->connections += host->n_wires + host->n_dials;
            counts->idle += host->n_idle;
        }
}

/* Loops of others --------------------------------------------------------------------------- */

static void on_freed(struct svl_worker *w)
{
    free(w);
}

int svl_loop_open(struct svl_worker **worker, struct uv_loop_s *loop)
{
    struct svl_worker *w = svl_calloc(sizeof *w);
    int err;

    w->cpu = -1;
    w->loop = loop;
    w->on_closed = on_freed;
    err = svl_worker_open(w);
    if (err) {
        free(w);
        w = NULL;
    }
    *worker = w;
    return err;
}

void svl_loop_close(struct svl_worker *w)
{
    svl_worker_close(w);
}
