/* How hosts are reached: directly, where connect_to says, or through a proxy; and the handshake with a
 * proxy that opens a way to a host: CONNECT (RFC 9110 9.3.6) or SOCKS5 (RFC 1928, 1929). */
#include "run/client.h"

#include "base/check.h"
#include "serval/error.h"
#include "serval/ip.h"
#include "serval/uri.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Routes ------------------------------------------------------------------------------------ */

static int parse_place(struct svl_route *route, svl_str text)
{
    struct svl_uri uri;
    char whole[300];
    int n;

    if (svl_str_starts(text, SVL_STR("unix:"))) {
        *route = (struct svl_route){.kind = SVL_ROUTE_UNIX, .name = svl_str_from(text, 5)};
        return route->name.n > 0 ? 0 : SVL_ESYNTAX;
    }
    n = snprintf(whole, sizeof whole, "http://%.*s", SVL_FMT(text));
    if (n >= (int)sizeof whole || svl_uri_parse(&uri, (svl_str){whole, (size_t)n}) != 0 ||
        uri.host.n == 0 || !uri.port.n || uri.path.n > 0 || uri.userinfo.p ||
        svl_uri_port(&uri) == 0)
        return SVL_ESYNTAX;
    *route = (struct svl_route){.kind = SVL_ROUTE_DIRECT,
                                .port = svl_uri_port(&uri),
                                .name = svl_str_head(text, uri.host.n)};
    return 0;
}

static int parse_places(struct svl_client *client, svl_str list)
{
    svl_str text;

    while (svl_str_split(&list, ',', &text)) {
        if (client->n_routes == SVL_MAX_ROUTES ||
            parse_place(&client->routes[client->n_routes], svl_str_trim(text)) != 0)
            return SVL_ESYNTAX;
        client->n_routes++;
    }
    return 0;
}

static int parse_proxy(struct svl_client *client, svl_str text)
{
    struct svl_uri uri;
    unsigned port;

    if (svl_uri_parse(&uri, text) != 0 || uri.host.n == 0)
        return SVL_ESYNTAX;
    port = svl_uri_port(&uri);
    client->proxy = (struct svl_route){.name = uri.host, .auth = uri.userinfo, .port = port};
    if (svl_str_ieq(uri.scheme, SVL_STR("http"))) {
        client->proxy.kind = client->config.tunnel ? SVL_ROUTE_TUNNEL : SVL_ROUTE_HTTP;
    } else if (svl_str_ieq(uri.scheme, SVL_STR("socks5")) ||
               svl_str_ieq(uri.scheme, SVL_STR("socks5h"))) {
        client->proxy.kind = SVL_ROUTE_SOCKS;
        client->proxy.port = port ? port : 1080;
    } else {
        return SVL_ESYNTAX;
    }
    return 0;
}

static void make_proxy_line(struct svl_client *client)
{
    svl_str auth = client->proxy.auth;
    char *line = client->proxy_line = svl_calloc(SVL_BASIC_AUTH(auth) + 64), *to = line;

    if (auth.n == 0)
        return;
    to += sprintf(to, "Proxy-Authorization: ");
    to += svl_basic_auth(to, auth).n;
    memcpy(to, "\r\n", 2);
}

static const char *from_env(const char *lower, const char *upper)
{
    const char *text = getenv(lower);

    return text && *text ? text : upper ? getenv(upper) : NULL;
}

/* HTTP_PROXY is not asked: under CGI a client of the server sets it. */
int svl_routes_open(struct svl_client *client, const char **why)
{
    const struct svl_client_config *config = &client->config;
    const char *proxy = config->proxy;

    *why = "connect_to is a list of host:port and unix:/path";
    if (config->connect_to && parse_places(client, svl_str_of(config->connect_to)) != 0)
        return SVL_ECONFIG;
    if (!proxy && config->proxy_from_env) {
        proxy = from_env("http_proxy", NULL);
        if (!proxy || !*proxy)
            proxy = from_env("all_proxy", "ALL_PROXY");
        client->no_proxy = from_env("no_proxy", "NO_PROXY");
    }
    *why = "a proxy is http://host:port or socks5://host:port";
    if (proxy && *proxy) {
        client->proxy_text = strdup(proxy);
        if (!client->proxy_text || parse_proxy(client, svl_str_of(client->proxy_text)) != 0)
            return SVL_ECONFIG;
    }
    if (client->no_proxy)
        client->no_proxy = strdup(client->no_proxy);
    make_proxy_line(client);
    return 0;
}

void svl_routes_close(struct svl_client *client)
{
    free(client->proxy_line);
    free(client->proxy_text);
    free((char *)client->no_proxy);
}

bool svl_host_is_proxied(const struct svl_host *host)
{
    const struct svl_client *client = host->agent->client;

    if (!client->proxy.name.p || client->n_routes > 0)
        return false;
    return !svl_no_proxy(svl_str_of(client->no_proxy), host->name, host->port);
}

void svl_route_of(const struct svl_host *host, struct svl_route *route)
{
    struct svl_agent *agent = host->agent;
    const struct svl_client *client = agent->client;

    if (client->n_routes > 0)
        *route = client->routes[agent->turn++ % client->n_routes];
    else if (host->proxied)
        *route = client->proxy;
    else
        *route = (struct svl_route){.name = host->name, .port = host->port};
}

/* Handshakes -------------------------------------------------------------------------------- */

enum stage { CONNECT, GREETING, PASSWORD, REQUEST };

struct handshake {
    struct svl_host *host;
    enum stage stage;
    int error;
    const char *why;
    uint64_t resolved_us;
    size_t n; /* of in */
    struct svl_head_reader reader;
    struct svl_reply reply;
    struct svl_arena arena;
    struct svl_header fields[8];
    char in[4096];
};

/* All that the connection has of it; before svl_proxy_begin() NULL. */
static struct handshake *of(struct svl_conn *c)
{
    return *(struct handshake **)c->state;
}

static const struct svl_route *proxy_of(const struct handshake *h)
{
    return &h->host->agent->client->proxy;
}

const struct svl_host *svl_proxy_host(struct svl_conn *c)
{
    return of(c) ? of(c)->host : NULL;
}

static void say(struct svl_conn *c, const void *bytes, size_t n)
{
    memcpy(svl_conn_reserve(c, n), bytes, n);
    svl_conn_commit(c, n);
    svl_conn_flush(c);
}

static void fail(struct svl_conn *c, int error, const char *why)
{
    struct handshake *h = of(c);

    h->error = error;
    h->why = why;
    svl_conn_close(c);
}

static void forget(struct handshake *h)
{
    svl_arena_finish(&h->arena);
    free(h);
}

static void opened(struct svl_conn *c)
{
    struct handshake *h = of(c);
    struct svl_host *host = h->host;
    uint64_t resolved_us = h->resolved_us;

    forget(h);
    memset(c->state, 0, sizeof c->state);
    svl_timer_clear(&c->timer);
    c->protocol = &svl_client_wire;
    c->protocol->on_open(c);
    svl_wire_begin(c, host, resolved_us);
}

static void say_connect(struct svl_conn *c, struct handshake *h)
{
    const struct svl_client *client = h->host->agent->client;
    char text[1024];
    int n = snprintf(text, sizeof text, "CONNECT %.*s:%u HTTP/1.1\r\nHost: %.*s:%u\r\n%s\r\n",
                     SVL_FMT(h->host->name), h->host->port, SVL_FMT(h->host->name), h->host->port,
                     client->proxy_line);

    h->stage = CONNECT;
    if (n < (int)sizeof text)
        say(c, text, (size_t)n);
    else
        fail(c, SVL_ELIMIT, "the name of the host is too long for the proxy");
}

static void say_greeting(struct svl_conn *c, struct handshake *h)
{
    static const unsigned char plain[] = {5, 1, 0}, both[] = {5, 2, 0, 2};

    h->stage = GREETING;
    if (proxy_of(h)->auth.n > 0)
        say(c, both, sizeof both);
    else
        say(c, plain, sizeof plain);
}

static void say_password(struct svl_conn *c, struct handshake *h)
{
    svl_str auth = proxy_of(h)->auth, user, password;
    size_t colon = svl_str_find(auth, ':');
    unsigned char text[520];

    h->stage = PASSWORD;
    user = svl_str_head(auth, colon);
    password = svl_str_from(auth, colon + 1);
    if (user.n > 255 || password.n > 255) {
        fail(c, SVL_EPROXY, "the password for the proxy is too long");
        return;
    }
    user.n = svl_unescape((char *)text + 2, user, false);
    password.n = svl_unescape((char *)text + 3 + user.n, password, false);
    text[0] = 1;
    text[1] = (unsigned char)user.n;
    text[2 + user.n] = (unsigned char)password.n;
    say(c, text, 3 + user.n + password.n);
}

/* The proxy looks names up; addresses are sent as such. */
static void say_request(struct svl_conn *c, struct handshake *h)
{
    svl_str name = h->host->name;
    unsigned char text[300] = {5, 1, 0};
    size_t n = 4;

    h->stage = REQUEST;
    if (name.n > 2 && name.p[0] == '[')
        name = (svl_str){name.p + 1, name.n - 2};
    if (svl_ipv4_parse(name, text + 4)) {
        text[3] = 1;
        n += 4;
    } else if (svl_ipv6_parse(name, text + 4)) {
        text[3] = 4;
        n += 16;
    } else if (name.n > 255) {
        fail(c, SVL_ELIMIT, "the name of the host is too long for the proxy");
        return;
    } else {
        text[3] = 3;
        text[4] = (unsigned char)name.n;
        memcpy(text + 5, name.p, name.n);
        n += 1 + name.n;
    }
    text[n] = (unsigned char)(h->host->port >> 8);
    text[n + 1] = (unsigned char)h->host->port;
    say(c, text, n + 2);
}

/* Nothing may follow: the host has not been asked anything yet. */
static void expect_end(struct svl_conn *c, struct handshake *h, size_t used)
{
    if (used == h->n)
        opened(c);
    else
        fail(c, SVL_EPROXY, "the proxy has said more than it should");
}

static void read_connect(struct svl_conn *c, struct handshake *h)
{
    switch (svl_head_reader_read(&h->reader, &h->arena, h->in, h->n)) {
    case SVL_PARSE_MORE: return;
    case SVL_PARSE_HEAD: break;
    default: fail(c, SVL_EPROXY, h->reader.why); return;
    }
    if (h->reply.status >= 200 && h->reply.status < 300)
        expect_end(c, h, h->reader.at);
    else if (h->reply.status == 407)
        fail(c, SVL_EPROXY, "the proxy wants other credentials");
    else
        fail(c, SVL_EPROXY, "the proxy refuses to connect");
}

static void read_method(struct svl_conn *c, struct handshake *h)
{
    if (h->n < 2)
        return;
    if (h->n > 2 || h->in[0] != 5) {
        fail(c, SVL_EPROXY, "this is not a SOCKS5 proxy");
        return;
    }
    h->n = 0;
    if (h->in[1] == 0)
        say_request(c, h);
    else if (h->in[1] == 2 && proxy_of(h)->auth.n > 0)
        say_password(c, h);
    else
        fail(c, SVL_EPROXY, "the proxy wants other credentials");
}

static void read_password(struct svl_conn *c, struct handshake *h)
{
    if (h->n < 2)
        return;
    if (h->n > 2 || h->in[1] != 0) {
        fail(c, SVL_EPROXY, "the proxy wants other credentials");
        return;
    }
    h->n = 0;
    say_request(c, h);
}

static void read_answer(struct svl_conn *c, struct handshake *h)
{
    const unsigned char *in = (const unsigned char *)h->in;
    size_t n;

    if (h->n < 5)
        return;
    if (in[0] != 5 || in[1] != 0) {
        fail(c, SVL_EPROXY, "the proxy cannot connect");
        return;
    }
    n = in[3] == 1 ? 10 : in[3] == 4 ? 22 : in[3] == 3 ? 7u + in[4] : 0;
    if (n == 0)
        fail(c, SVL_EPROXY, "the proxy's answer is not well formed");
    else if (h->n >= n)
        expect_end(c, h, n);
}

static void on_data(struct svl_conn *c, const char *data, size_t n)
{
    struct handshake *h = of(c);

    if (n > sizeof h->in - h->n) {
        fail(c, SVL_EPROXY, "the proxy says too much");
        return;
    }
    memcpy(h->in + h->n, data, n);
    h->n += n;
    switch (h->stage) {
    case CONNECT: read_connect(c, h); break;
    case GREETING: read_method(c, h); break;
    case PASSWORD: read_password(c, h); break;
    case REQUEST: read_answer(c, h); break;
    }
}

static void on_open(struct svl_conn *c)
{
    (void)c;
}

static void on_drained(struct svl_conn *c)
{
    (void)c;
}

static void on_eof(struct svl_conn *c)
{
    fail(c, SVL_EPROXY, "the proxy has closed the connection");
}

static void on_timer(struct svl_conn *c)
{
    fail(c, -ETIMEDOUT, "the proxy has not answered in time");
}

static void on_stop(struct svl_conn *c)
{
    fail(c, SVL_EGONE, NULL);
}

static void on_gone(struct svl_conn *c)
{
    struct handshake *h = of(c);
    struct svl_host *host;
    const char *why;
    int error;

    if (!h)
        return;
    host = h->host;
    error = h->error ? h->error : SVL_EPROXY;
    why = h->error ? h->why : "the connection to the proxy was closed";
    svl_host_ref(host);
    host->n_wires--;
    forget(h);
    svl_host_dial_failed(host, error, why);
    svl_host_unref(host);
}

void svl_proxy_begin(struct svl_conn *c, struct svl_host *host, const struct svl_route *route,
                     uint64_t resolved_us)
{
    struct handshake *h = svl_calloc(sizeof *h);

    h->host = host;
    h->resolved_us = resolved_us;
    h->reply.headers.at = h->fields;
    h->reply.headers.room = 8;
    h->reader =
        (struct svl_head_reader){.max_head = sizeof h->in, .max_fields = 100, .to_connect = true};
    svl_head_reader_begin(&h->reader, &h->reply);
    svl_arena_init(&h->arena, NULL, 0, &c->worker->blocks, 0);
    *(struct handshake **)c->state = h;
    svl_conn_deadline(c, host->agent->client->config.connect_ms);
    if (route->kind == SVL_ROUTE_SOCKS)
        say_greeting(c, h);
    else
        say_connect(c, h);
}

const struct svl_protocol svl_proxy_handshake = {
    .name = "proxy handshake",
    .outgoing = true,
    .on_open = on_open,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_timer = on_timer,
    .on_stop = on_stop,
    .on_gone = on_gone,
};
