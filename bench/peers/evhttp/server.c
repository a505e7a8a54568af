/* libevent's evhttp as a peer: hello, and POST is echoed. One thread. */

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void answer(struct evhttp_request *request, void *arg)
{
    struct evbuffer *body = arg;
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

    if (evhttp_request_get_command(request) == EVHTTP_REQ_POST) {
        evhttp_add_header(headers, "Content-Type", "application/octet-stream");
        evhttp_send_reply(request, 200, "OK", evhttp_request_get_input_buffer(request));
        return;
    }
    evhttp_add_header(headers, "Content-Type", "text/plain");
    evbuffer_add_reference(body, "Hello, World!", 13, NULL, NULL);
    evhttp_send_reply(request, 200, "OK", body);
}

int main(int argc, char **argv)
{
    struct event_base *base = event_base_new();
    struct evhttp *http = evhttp_new(base);
    struct rlimit files;

    if (argc != 3)
        return 2;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    evhttp_set_gencb(http, answer, evbuffer_new());
    evhttp_set_max_body_size(http, 16 << 20);
    evhttp_set_timeout(http, 300);
    if (evhttp_bind_socket(http, "127.0.0.1", (unsigned short)atoi(strrchr(argv[2], ':') + 1)) != 0)
        return 3;
    return event_base_dispatch(base);
}
