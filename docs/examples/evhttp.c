/* A program written for libevent's evhttp. One include makes it serval's (docs/gateway.md); with
 * WITH_LIBEVENT it is libevent's again, and answers the same.
 *
 *     evhttp 8080        curl 127.0.0.1:8080/echo?x=1 -d hello
 */
#ifdef WITH_LIBEVENT
#include <event2/http.h>
#else
#include <serval/features.h>
#if SVL_HAVE_EVHTTP
#include <serval/mod/evhttp.h>
#define WITH_LIBEVENT
#endif
#endif

#ifdef WITH_LIBEVENT
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/keyvalq_struct.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

static struct event_base *base;

/* What came in, as text. */
static void echo(struct evhttp_request *req, void *arg)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(req), *out = evbuffer_new();
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    const char *host = evhttp_request_get_host(req);
    struct evkeyvalq query;
    struct evkeyval *pair;

    (void)arg;
    evbuffer_add_printf(out, "method %d\nuri %s\nhost %s\n", (int)evhttp_request_get_command(req),
                        evhttp_request_get_uri(req), host ? host : "none");
    evbuffer_add_printf(out, "path %s\n", evhttp_uri_get_path(uri));
    if (evhttp_uri_get_query(uri) &&
        evhttp_parse_query_str(evhttp_uri_get_query(uri), &query) == 0) {
        TAILQ_FOREACH(pair, &query, next)
        evbuffer_add_printf(out, "query %s=%s\n", pair->key, pair->value);
        evhttp_clear_headers(&query);
    }
    TAILQ_FOREACH(pair, evhttp_request_get_input_headers(req), next)
    {
        if (strncmp(pair->key, "X-", 2) == 0)
            evbuffer_add_printf(out, "field %s: %s\n", pair->key, pair->value);
    }
    evbuffer_add_printf(out, "body %zu ", evbuffer_get_length(in));
    evbuffer_add_buffer(out, in);
    evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", "text/plain");
    evhttp_add_header(evhttp_request_get_output_headers(req), "X-Kind", "echo");
    evhttp_send_reply(req, 200, "OK", out);
    evbuffer_free(out);
}

/* Answers bit by bit, each when the one before has left. */
struct count {
    struct evhttp_request *req;
    int left;
};

static void next(struct evhttp_connection *con, void *arg)
{
    struct count *count = arg;
    struct evbuffer *out;

    (void)con;
    if (count->left-- == 0) {
        evhttp_connection_set_closecb(evhttp_request_get_connection(count->req), NULL, NULL);
        evhttp_send_reply_end(count->req);
        free(count);
        return;
    }
    out = evbuffer_new();
    evbuffer_add_printf(out, "%d\n", count->left);
    evhttp_send_reply_chunk_with_cb(count->req, out, next, count);
    evbuffer_free(out);
}

static void on_close(struct evhttp_connection *con, void *arg)
{
    (void)con;
    free(arg);
}

static void count_down(struct evhttp_request *req, void *arg)
{
    struct count *count = calloc(1, sizeof *count);

    (void)arg;
    count->req = req;
    count->left = 1000;
    evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_close, count);
    evhttp_send_reply_start(req, 200, "Counting");
    next(NULL, count);
}

/* Answers later, from a timer of the program's own. */
static void on_time(evutil_socket_t fd, short what, void *arg)
{
    struct evbuffer *out = evbuffer_new();

    (void)fd, (void)what;
    evbuffer_add_printf(out, "later\n");
    evhttp_send_reply(arg, 202, "Late", out);
    evbuffer_free(out);
}

static void later(struct evhttp_request *req, void *arg)
{
    struct timeval soon = {0, 20000};

    (void)arg;
    event_base_once(base, -1, EV_TIMEOUT, on_time, req, &soon);
}

static void large(struct evhttp_request *req, void *arg)
{
    struct evbuffer *out = evbuffer_new();

    (void)arg;
    for (int i = 0; i < 200000; i++)
        evbuffer_add_printf(out, "line %d\n", i);
    evhttp_send_reply(req, 200, NULL, out);
    evbuffer_free(out);
}

static void other(struct evhttp_request *req, void *arg)
{
    (void)arg;
    evhttp_send_error(req, 404, NULL);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    event_base_loopbreak(base);
}

int main(int argc, char **argv)
{
    struct evhttp *http;
    struct evhttp_bound_socket *bound;
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    struct event *stop, *interrupt;

    base = event_base_new();
    http = evhttp_new(base);
    evhttp_set_cb(http, "/echo", echo, NULL);
    evhttp_set_cb(http, "/count", count_down, NULL);
    evhttp_set_cb(http, "/later", later, NULL);
    evhttp_set_cb(http, "/large", large, NULL);
    evhttp_set_gencb(http, other, NULL);
    bound = evhttp_bind_socket_with_handle(http, "127.0.0.1",
                                           (uint16_t)(argc > 1 ? atoi(argv[1]) : 8080));
    if (!bound) {
        fputs("cannot listen\n", stderr);
        return 1;
    }
    getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&at, &len);
    printf("listen=http://127.0.0.1:%d/\n", ntohs(at.sin_port));
    fflush(stdout);
    stop = evsignal_new(base, SIGTERM, on_signal, NULL);
    interrupt = evsignal_new(base, SIGINT, on_signal, NULL);
    event_add(stop, NULL);
    event_add(interrupt, NULL);
    event_base_dispatch(base);
    evhttp_free(http);
    event_free(stop);
    event_free(interrupt);
    event_base_free(base);
    return 0;
}
#else
int main(void)
{
    return 0;
}
#endif
