/* Back ends: which one gets a call whose URL is a path. They are the client's, not a loop's: the fewest
 * calls on their way, counted over all threads, then the fewest so far. A failure counts as a call for a
 * while, so that one that is not well is asked less, and never not at all. One whose probes fail
 * (client_probe.c) is asked only when all others are no better. */
#include "run/client.h"

#include "base/check.h"
#include "serval/error.h"
#include "serval/log.h"
#include "serval/uri.h"

#include <stdlib.h>

#define MAX_PENALTIES 300

struct svl_backend {
    unsigned refs;    /* the table, and calls on their way */
    unsigned pending; /* calls on their way */
    uint64_t total;
    uint64_t failed_ms[MAX_PENALTIES]; /* a ring: when they end, of [first, first + n) */
    unsigned first, n;
    bool probing, down;
    unsigned falls, rises;  /* probes on end that failed, or did not */
    uint64_t next_probe_ms; /* 0 = at once */
    svl_str base;           /* "http://10.0.0.1:8080" */
    char text[];
};

struct svl_backends {
    struct svl_backend *at[SVL_MAX_BACKENDS];
    unsigned n;
};

static void unref(struct svl_backend *backend)
{
    if (--backend->refs == 0)
        free(backend);
}

/* With the lock. */
static unsigned place_of(const struct svl_backends *backends, svl_str base)
{
    unsigned i = 0;

    while (i < backends->n && !svl_str_eq(backends->at[i]->base, base))
        i++;
    return i;
}

static int check(svl_str *url)
{
    struct svl_uri uri;

    if (svl_uri_parse(&uri, *url) != 0 || !svl_str_ieq(uri.scheme, SVL_STR("http")) ||
        uri.host.n == 0 || uri.query.p || uri.fragment.p || uri.userinfo.p)
        return SVL_ESYNTAX;
    while (url->n > 0 && url->p[url->n - 1] == '/')
        url->n--;
    return 0;
}

int svl_client_add_backend(struct svl_client *client, svl_str url)
{
    struct svl_backends *backends = client->backends;
    struct svl_backend *backend;
    int err = check(&url);

    if (err)
        return err;
    pthread_mutex_lock(&client->lock);
    if (backends->n == SVL_MAX_BACKENDS) {
        err = SVL_ELIMIT;
    } else if (place_of(backends, url) == backends->n) {
        backend = svl_calloc(sizeof *backend + url.n);
        memcpy(backend->text, url.p, url.n);
        backend->base = (svl_str){backend->text, url.n};
        backend->refs = 1;
        backends->at[backends->n++] = backend;
    }
    pthread_mutex_unlock(&client->lock);
    return err;
}

int svl_client_remove_backend(struct svl_client *client, svl_str url)
{
    struct svl_backends *backends = client->backends;
    unsigned i;
    int err = check(&url);

    if (err)
        return err;
    pthread_mutex_lock(&client->lock);
    i = place_of(backends, url);
    if (i == backends->n) {
        err = SVL_EGONE;
    } else {
        unref(backends->at[i]);
        backends->at[i] = backends->at[--backends->n];
    }
    pthread_mutex_unlock(&client->lock);
    return err;
}

int svl_backends_open(struct svl_client *client)
{
    const struct svl_client_config *config = &client->config;

    client->backends = svl_calloc(sizeof *client->backends);
    for (unsigned i = 0; i < SVL_MAX_BACKENDS && config->backends[i]; i++) {
        int err = svl_client_add_backend(client, svl_str_of(config->backends[i]));

        if (err)
            return err;
    }
    return 0;
}

void svl_backends_close(struct svl_client *client)
{
    for (unsigned i = 0; client->backends && i < client->backends->n; i++)
        unref(client->backends->at[i]);
    free(client->backends);
}

int svl_client_backend_is_up(struct svl_client *client, svl_str url)
{
    struct svl_backends *backends = client->backends;
    unsigned i;
    int result = check(&url);

    if (result)
        return result;
    pthread_mutex_lock(&client->lock);
    i = place_of(backends, url);
    result = i == backends->n ? SVL_EGONE : !backends->at[i]->down;
    pthread_mutex_unlock(&client->lock);
    return result;
}

static unsigned load_of(struct svl_backend *backend, uint64_t now)
{
    while (backend->n > 0 && backend->failed_ms[backend->first] <= now) {
        backend->first = (backend->first + 1) % MAX_PENALTIES;
        backend->n--;
    }
    return backend->pending + backend->n;
}

static bool better(const struct svl_backend *backend, unsigned load, const struct svl_backend *best,
                   unsigned least)
{
    if (!best || backend->down != best->down)
        return !best || best->down;
    return load < least || (load == least && backend->total < best->total);
}

struct svl_backend *svl_backend_pick(struct svl_agent *agent, svl_str *base)
{
    struct svl_client *client = agent->client;
    struct svl_backends *backends = client->backends;
    uint64_t now = svl_now_ms(agent->worker);
    struct svl_backend *best = NULL;
    unsigned least = 0;

    pthread_mutex_lock(&client->lock);
    for (unsigned i = 0; i < backends->n; i++) {
        struct svl_backend *backend = backends->at[i];
        unsigned load = load_of(backend, now);

        if (better(backend, load, best, least)) {
            best = backend;
            least = load;
        }
    }
    if (best) {
        best->refs++;
        best->pending++;
        best->total++;
        *base = best->base;
    }
    pthread_mutex_unlock(&client->lock);
    return best;
}

static bool is_well(const struct svl_call *call)
{
    const struct svl_client_config *config = &call->agent->client->config;

    if (call->cancelled || call->reply.error == SVL_EHEADER)
        return true;
    if (config->healthy)
        return config->healthy(&call->reply, config->healthy_arg);
    return call->reply.error == 0 && call->reply.status < 500;
}

void svl_backend_done(struct svl_call *call)
{
    struct svl_client *client = call->agent->client;
    struct svl_backend *backend = call->backend;
    bool well = is_well(call);

    call->backend = NULL;
    pthread_mutex_lock(&client->lock);
    backend->pending--;
    if (!well && backend->n < MAX_PENALTIES)
        backend->failed_ms[(backend->first + backend->n++) % MAX_PENALTIES] =
            svl_now_ms(call->agent->worker) + client->config.penalty_ms;
    unref(backend);
    pthread_mutex_unlock(&client->lock);
}

/* Probes ------------------------------------------------------------------------------------ */

unsigned svl_backends_due(struct svl_client *client, uint64_t now_ms, struct svl_due *due,
                          uint64_t *next)
{
    struct svl_backends *backends = client->backends;
    unsigned n = 0;

    *next = now_ms + client->config.probe_ms;
    pthread_mutex_lock(&client->lock);
    for (unsigned i = 0; i < backends->n; i++) {
        struct svl_backend *backend = backends->at[i];

        if (backend->probing)
            continue;
        if (backend->next_probe_ms <= now_ms) {
            backend->probing = true;
            backend->refs++;
            backend->next_probe_ms = now_ms + client->config.probe_ms;
            due[n++] = (struct svl_due){backend, backend->base};
        }
        if (backend->next_probe_ms < *next)
            *next = backend->next_probe_ms;
    }
    pthread_mutex_unlock(&client->lock);
    return n;
}

/* Returns whether it has changed. What failed before it went down has been paid for. */
static bool count_probe(const struct svl_client_config *config, struct svl_backend *backend,
                        bool well)
{
    backend->falls = well ? 0 : backend->falls + 1;
    backend->rises = well ? backend->rises + 1 : 0;
    if (backend->down ? backend->rises < config->probe_rises : backend->falls < config->probe_falls)
        return false;
    backend->down = !backend->down;
    backend->n = 0;
    return true;
}

void svl_backend_probed(struct svl_client *client, struct svl_backend *backend,
                        enum svl_probed what, const char *why)
{
    bool well = what == SVL_PROBED_WELL, changed;

    pthread_mutex_lock(&client->lock);
    backend->probing = false;
    /* One that only the probe still holds was removed. */
    changed = backend->refs > 1 && what != SVL_PROBED_NOTHING &&
              count_probe(&client->config, backend, well);
    pthread_mutex_unlock(&client->lock);
    if (changed)
        svl_log(well ? SVL_INFO : SVL_WARN, "client: back end %.*s %s%s", SVL_FMT(backend->base),
                well ? "is back" : "is left out: ", well ? "" : why);
    pthread_mutex_lock(&client->lock);
    unref(backend);
    pthread_mutex_unlock(&client->lock);
}
