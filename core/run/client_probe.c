/* Probes: back ends are asked how they are, by a client of their own, so that calls which wait for a
 * connection do not make a back end look ill. Each loop that uses the client looks which back ends are
 * due; the first one to look takes them. */
#include "run/client.h"

#include "serval/error.h"

#include <stdlib.h>

struct probe {
    struct svl_client *client;
    struct svl_backend *backend;
    char url[];
};

int svl_probes_open(struct svl_client *client)
{
    struct svl_client_config config = client->config;

    if (!config.probe_path)
        return 0;
    if (config.probe_path[0] != '/')
        return SVL_ECONFIG;
    client->probe_path = strdup(config.probe_path);
    if (!client->probe_path)
        return SVL_ECONFIG;
    memset(config.backends, 0, sizeof config.backends);
    config.probe_path = NULL;
    config.pipeline = config.max_tries = 1;
    config.max_per_host = SVL_MAX_BACKENDS; /* several may be the same host with other paths */
    config.retry = NULL;
    return svl_client_open(&client->prober, &config);
}

void svl_probes_close(struct svl_client *client)
{
    svl_client_close(client->prober);
    free(client->probe_path);
}

static enum svl_probed judge(const struct svl_client_config *config, const struct svl_reply *reply)
{
    bool well;

    if (reply->error == SVL_EGONE) /* the loop ends: that says nothing about the back end */
        return SVL_PROBED_NOTHING;
    if (config->probe_healthy)
        well = config->probe_healthy(reply, config->probe_arg);
    else
        well = reply->error == 0 && reply->status >= 200 && reply->status < 400;
    return well ? SVL_PROBED_WELL : SVL_PROBED_ILL;
}

static void on_probed(struct svl_reply *reply, void *arg)
{
    struct probe *probe = arg;
    const char *why = reply->error ? reply->why : "its answer to a probe is not a good one";

    svl_backend_probed(probe->client, probe->backend, judge(&probe->client->config, reply), why);
    free(probe);
}

/* A connection of its own each time: whether there can be one is half of the question. */
static void ask(struct svl_agent *agent, const struct svl_due *due)
{
    struct svl_client *client = agent->client;
    size_t path = strlen(client->probe_path);
    struct probe *probe = svl_malloc(sizeof *probe + due->base.n + path);
    struct svl_fetch fetch = {.url = {probe->url, due->base.n + path},
                              .timeout_ms = client->config.probe_timeout_ms,
                              .close = true};

    probe->client = client;
    probe->backend = due->backend;
    memcpy(probe->url, due->base.p, due->base.n);
    memcpy(probe->url + due->base.n, client->probe_path, path);
    svl_call(client->prober, agent->worker, &fetch, on_probed, probe);
}

static void on_time(struct svl_timer *timer)
{
    struct svl_agent *agent = svl_container(timer, struct svl_agent, probe);
    struct svl_worker *w = agent->worker;
    struct svl_due due[SVL_MAX_BACKENDS];
    uint64_t next;
    unsigned n;

    if (w->stopping) /* which waits for the last connection */
        return;
    n = svl_backends_due(agent->client, svl_now_ms(w), due, &next);
    for (unsigned i = 0; i < n; i++)
        ask(agent, &due[i]);
    svl_timer_set_at(&w->timers, timer, next);
}

void svl_probes_begin(struct svl_agent *agent)
{
    if (!agent->client->prober)
        return;
    agent->client->prober->open = agent->client->open;
    agent->client->prober->open_arg = agent->client->open_arg;
    agent->probe.fire = on_time;
    svl_timer_set_at(&agent->worker->timers, &agent->probe, svl_now_ms(agent->worker));
}
