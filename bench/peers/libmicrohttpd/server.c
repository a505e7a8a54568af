/* libmicrohttpd as a peer: hello, and POST is echoed. One thread, epoll. */

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct body {
    char *bytes;
    size_t n, room;
};

static void append(struct body *body, const char *data, size_t n)
{
    if (body->n + n > body->room) {
        body->room = 2 * (body->n + n);
        body->bytes = realloc(body->bytes, body->room);
    }
    memcpy(body->bytes + body->n, data, n);
    body->n += n;
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct MHD_Response *response,
                                   const char *type)
{
    enum MHD_Result result;

    MHD_add_response_header(response, "Content-Type", type);
    result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_len, void **state)
{
    struct body *body = *state;
    enum MHD_Result result;

    (void)cls;
    (void)url;
    (void)version;
    /* Answered at the first call, which comes before the body, the connection would be closed. */
    if (!body) {
        static struct body none;

        *state = strcmp(method, "POST") == 0 ? calloc(1, sizeof *body) : &none;
        return MHD_YES;
    }
    if (strcmp(method, "POST") != 0)
        return send_answer(
            connection,
            MHD_create_response_from_buffer(13, (void *)"Hello, World!", MHD_RESPMEM_PERSISTENT),
            "text/plain");
    if (*data_len) {
        append(body, data, *data_len);
        *data_len = 0;
        return MHD_YES;
    }
    result = send_answer(
        connection, MHD_create_response_from_buffer(body->n, body->bytes, MHD_RESPMEM_MUST_FREE),
        "application/octet-stream");
    free(body);
    *state = NULL;
    return result;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct rlimit files;

    if (argc != 3)
        return 2;
    address.sin_port = htons((unsigned short)atoi(strrchr(argv[2], ':') + 1));
    getrlimit(RLIMIT_NOFILE, &files);
    if (!MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, 0, NULL, NULL, answer,
                          NULL, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_CONNECTION_LIMIT,
                          (unsigned)files.rlim_cur - 100, MHD_OPTION_LISTEN_BACKLOG_SIZE, 4096u,
                          MHD_OPTION_END))
        return 3;
    for (;;)
        pause();
}
