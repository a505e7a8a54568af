/* A program that uses nearly all of libmicrohttpd, for test_adaptor.py: it runs on the real library and on
 * serval's, and must answer the same. Its argument says who calls: internal, epoll, pool, threads, select,
 * wait. It ends with its stdin. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
    char *text; /* what was found, or the body */
    size_t n;
    struct MHD_PostProcessor *form;
    int suspended;
};

static void put(struct request *r, const char *bytes, size_t n)
{
    r->text = realloc(r->text, r->n + n + 1);
    memcpy(r->text + r->n, bytes, n);
    r->n += n;
    r->text[r->n] = '\0';
}

static void put_text(struct request *r, const char *text)
{
    put(r, text ? text : "(null)", strlen(text ? text : "(null)"));
}

static enum MHD_Result queue(struct MHD_Connection *c, unsigned status, struct MHD_Response *r)
{
    enum MHD_Result result;

    MHD_add_response_header(r, "X-Program", "all");
    result = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return result;
}

static struct MHD_Response *text_of(const char *text)
{
    return MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);
}

/* Bodies ---------------------------------------------------------------------------------------- */

static ssize_t letters(void *cls, uint64_t pos, char *to, size_t max)
{
    size_t n = 0;

    if (pos >= 100000)
        return MHD_CONTENT_READER_END_OF_STREAM;
    for (; n < max && pos + n < 100000; n++)
        to[n] = (char)('a' + (pos + n) % 26);
    return (ssize_t)n;
}

static ssize_t broken(void *cls, uint64_t pos, char *to, size_t max)
{
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static enum MHD_Result file(struct MHD_Connection *c)
{
    char name[] = "/tmp/adaptor-XXXXXX";
    int fd = mkstemp(name);

    unlink(name);
    for (int i = 0; i < 10000; i++)
        if (write(fd, "0123456789", 10) != 10)
            return MHD_NO;
    return queue(c, 200, MHD_create_response_from_fd_at_offset64(99990, fd, 7));
}

static enum MHD_Result through_pipe(struct MHD_Connection *c)
{
    int ends[2];

    if (pipe(ends) != 0 || write(ends[1], "through a pipe", 14) != 14)
        return MHD_NO;
    close(ends[1]);
    return queue(c, 200, MHD_create_response_from_pipe(ends[0]));
}

static enum MHD_Result vector(struct MHD_Connection *c)
{
    static char much[50000];
    const struct MHD_IoVec parts[] = {{"head ", 5}, {much, sizeof much}, {" tail", 5}};

    memset(much, 'm', sizeof much);
    return queue(c, 200, MHD_create_response_from_iovec(parts, 3, NULL, NULL));
}

static enum MHD_Result chunked(struct MHD_Connection *c)
{
    struct MHD_Response *r = text_of("in chunks");

    MHD_add_response_header(r, "Transfer-Encoding", "chunked");
    MHD_add_response_footer(r, "X-Foot", "er");
    return queue(c, 200, r);
}

static enum MHD_Result copy(struct MHD_Connection *c)
{
    struct MHD_Response *r = text_of("copied");

    MHD_add_response_header(r, "Set-Cookie", "a=1");
    MHD_add_response_header(r, "Set-Cookie", "b=2");
    MHD_add_response_header(r, "x-lower", "kept");
    MHD_add_response_header(r, "X-Gone", "x");
    MHD_del_response_header(r, "X-Gone", "x");
    MHD_add_response_header(r, "Content-Length", "1");
    MHD_add_response_header(r, "X-Bad", "a\nb");
    return queue(c, 201, r);
}

/* Requests ---------------------------------------------------------------------------------------- */

static enum MHD_Result list(void *cls, enum MHD_ValueKind kind, const char *name, size_t n,
                            const char *value, size_t m)
{
    char kind_text[20];

    if (kind == MHD_HEADER_KIND && strncasecmp(name, "X-", 2) != 0)
        return MHD_YES; /* the client's own */
    snprintf(kind_text, sizeof kind_text, "%d ", (int)kind);
    put_text(cls, kind_text);
    put(cls, name, n);
    put_text(cls, "=");
    if (value)
        put(cls, value, m);
    else
        put_text(cls, NULL);
    put_text(cls, "\n");
    return MHD_YES;
}

static enum MHD_Result values(struct MHD_Connection *c, struct request *r, const char *url)
{
    char count[30];

    put_text(r, url);
    put_text(r, "\n");
    MHD_get_connection_values_n(c, MHD_GET_ARGUMENT_KIND, list, r);
    MHD_get_connection_values_n(c, MHD_COOKIE_KIND, list, r);
    MHD_get_connection_values_n(c, MHD_HEADER_KIND, list, r);
    snprintf(count, sizeof count, "%d\n",
             MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, NULL, NULL));
    put_text(r, count);
    put_text(r, MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "A"));
    put_text(r, MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "none"));
    put_text(r, MHD_lookup_connection_value(c, MHD_HEADER_KIND, "x-one"));
    MHD_set_connection_value(c, MHD_COOKIE_KIND, "added", "yes");
    put_text(r, MHD_lookup_connection_value(c, MHD_COOKIE_KIND, "added"));
    return queue(c, 200, text_of(r->text));
}

static enum MHD_Result form_value(void *cls, enum MHD_ValueKind kind, const char *key,
                                  const char *filename, const char *type, const char *encoding,
                                  const char *data, uint64_t off, size_t size)
{
    if (off == 0) {
        put_text(cls, "\n");
        put_text(cls, key);
        put_text(cls, ":");
        put_text(cls, filename);
        put_text(cls, ":");
        put_text(cls, type);
        put_text(cls, ":");
        put_text(cls, encoding);
        put_text(cls, "=");
    }
    put(cls, data ? data : "", size);
    return MHD_YES;
}

static void *resume(void *c)
{
    usleep(2000);
    MHD_resume_connection(c);
    return NULL;
}

static enum MHD_Result suspend(struct MHD_Connection *c, struct request *r)
{
    pthread_t thread;

    if (r->suspended++ == 2)
        return queue(c, 200, text_of("resumed twice"));
    MHD_suspend_connection(c);
    pthread_create(&thread, NULL, resume, c);
    pthread_detach(thread);
    return MHD_YES;
}

static enum MHD_Result basic(struct MHD_Connection *c)
{
    char *password = NULL, *user = MHD_basic_auth_get_username_password(c, &password);
    int right = user && strcmp(user, "u") == 0 && strcmp(password, "p") == 0;
    struct MHD_Response *r = text_of("no entry");
    enum MHD_Result result;

    MHD_free(user);
    MHD_free(password);
    result = right ? queue(c, 200, text_of("come in"))
                   : MHD_queue_basic_auth_fail_response(c, "here", r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result digest(struct MHD_Connection *c, enum MHD_DigestAuthAlgorithm algorithm)
{
    int said = MHD_digest_auth_check2(c, "here", "u", "p", 300, algorithm);
    struct MHD_Response *r;
    enum MHD_Result result;

    if (said == MHD_YES)
        return queue(c, 200, text_of("come in"));
    r = text_of("no entry");
    result =
        MHD_queue_auth_fail_response2(c, "here", "opaque", r, said == MHD_INVALID_NONCE, algorithm);
    MHD_destroy_response(r);
    return result;
}

/* Upgrades ---------------------------------------------------------------------------------------- */

struct upgraded {
    int fd;
    struct MHD_UpgradeResponseHandle *handle;
};

static void *shout(void *arg)
{
    struct upgraded *u = arg;
    struct pollfd ready = {.fd = u->fd, .events = POLLIN};
    char text[100];
    ssize_t n;

    while (poll(&ready, 1, 10000) == 1 && (n = recv(u->fd, text, sizeof text, 0)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            text[i] &= (char)~0x20;
        send(u->fd, text, (size_t)n, MSG_NOSIGNAL);
    }
    MHD_upgrade_action(u->handle, MHD_UPGRADE_ACTION_CLOSE);
    free(u);
    return NULL;
}

static void on_upgrade(void *cls, struct MHD_Connection *c, void *con_cls, const char *extra,
                       size_t n, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
    struct upgraded *u = malloc(sizeof *u);
    pthread_t thread;

    *u = (struct upgraded){fd, handle};
    pthread_create(&thread, NULL, shout, u);
    pthread_detach(thread);
}

static enum MHD_Result upgrade(struct MHD_Connection *c)
{
    struct MHD_Response *r = MHD_create_response_for_upgrade(on_upgrade, NULL);

    MHD_add_response_header(r, "Upgrade", "echo");
    return queue(c, 101, r);
}

/* The handler -------------------------------------------------------------------------------------- */

static enum MHD_Result route(struct MHD_Connection *c, struct request *r, const char *url)
{
    if (strcmp(url, "/buffer") == 0)
        return queue(c, 200,
                     MHD_create_response_from_buffer(5, (void *)"bytes", MHD_RESPMEM_PERSISTENT));
    if (strcmp(url, "/copy") == 0)
        return copy(c);
    if (strcmp(url, "/file") == 0)
        return file(c);
    if (strcmp(url, "/pipe") == 0)
        return through_pipe(c);
    if (strcmp(url, "/vector") == 0)
        return vector(c);
    if (strcmp(url, "/reader") == 0)
        return queue(c, 200, MHD_create_response_from_callback(100000, 1000, letters, NULL, NULL));
    if (strcmp(url, "/endless") == 0)
        return queue(
            c, 200, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, letters, NULL, NULL));
    if (strcmp(url, "/error") == 0)
        return queue(c, 200,
                     MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 10, broken, NULL, NULL));
    if (strcmp(url, "/chunked") == 0)
        return chunked(c);
    if (strcmp(url, "/empty") == 0)
        return queue(c, 200, MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT));
    if (strncmp(url, "/status/", 8) == 0)
        return queue(c, (unsigned)atoi(url + 8), text_of("with a body"));
    if (strcmp(url, "/suspend") == 0)
        return suspend(c, r);
    if (strcmp(url, "/basic") == 0)
        return basic(c);
    if (strcmp(url, "/md5") == 0)
        return digest(c, MHD_DIGEST_ALG_MD5);
    if (strcmp(url, "/sha256") == 0)
        return digest(c, MHD_DIGEST_ALG_SHA256);
    if (strcmp(url, "/upgrade") == 0)
        return upgrade(c);
    if (strncmp(url, "/values", 7) == 0)
        return values(c, r, url);
    if (strcmp(url, "/no") == 0)
        return MHD_NO;
    return queue(
        c, 200,
        MHD_create_response_from_buffer(r->n, r->text ? r->text : "", MHD_RESPMEM_MUST_COPY));
}

static enum MHD_Result handler(void *cls, struct MHD_Connection *c, const char *url,
                               const char *method, const char *version, const char *data, size_t *n,
                               void **con_cls)
{
    struct request *r = *con_cls;

    if (!r) {
        r = *con_cls = calloc(1, sizeof *r);
        if (strcmp(url, "/form") == 0)
            r->form = MHD_create_post_processor(c, 1024, form_value, r);
        return MHD_YES;
    }
    if (*n && r->form)
        MHD_post_process(r->form, data, *n);
    else if (*n)
        put(r, data, *n);
    if (*n) {
        *n = 0;
        return MHD_YES;
    }
    if (r->form)
        MHD_destroy_post_processor(r->form);
    r->form = NULL;
    return route(c, r, url);
}

static void completed(void *cls, struct MHD_Connection *c, void **con_cls,
                      enum MHD_RequestTerminationCode toe)
{
    struct request *r = *con_cls;

    if (r && r->form)
        MHD_destroy_post_processor(r->form);
    free(r ? r->text : NULL);
    free(r);
}

/* Serving -------------------------------------------------------------------------------------------- */

static struct MHD_Daemon *start(const char *mode)
{
    unsigned flags = MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG;
    unsigned pool = strcmp(mode, "pool") == 0 ? 3 : 0;

    if (strcmp(mode, "threads") == 0)
        flags |= MHD_USE_THREAD_PER_CONNECTION;
    if (strcmp(mode, "epoll") == 0)
        flags |= MHD_USE_EPOLL;
    if (strcmp(mode, "select") != 0 && strcmp(mode, "wait") != 0)
        flags |= MHD_USE_INTERNAL_POLLING_THREAD;
    return MHD_start_daemon(flags, 8080, NULL, NULL, handler, NULL, MHD_OPTION_NOTIFY_COMPLETED,
                            completed, NULL, MHD_OPTION_CONNECTION_TIMEOUT, 30u,
                            MHD_OPTION_DIGEST_AUTH_RANDOM, (size_t)8, "12345678",
                            MHD_OPTION_THREAD_POOL_SIZE, pool, MHD_OPTION_END);
}

static void serve_by_select(struct MHD_Daemon *d)
{
    for (;;) {
        struct timeval wait = {.tv_sec = 1};
        MHD_UNSIGNED_LONG_LONG ms;
        fd_set in, out, except;
        int max = 0;

        FD_ZERO(&in);
        FD_ZERO(&out);
        FD_ZERO(&except);
        FD_SET(0, &in);
        MHD_get_fdset(d, &in, &out, &except, &max);
        if (MHD_get_timeout(d, &ms) == MHD_YES && ms < 1000)
            wait = (struct timeval){.tv_usec = (suseconds_t)(1000 * ms)};
        select(max + 1, &in, &out, &except, &wait);
        if (FD_ISSET(0, &in))
            return;
        MHD_run_from_select(d, &in, &out, &except);
    }
}

static void serve_by_waiting(struct MHD_Daemon *d)
{
    struct pollfd end = {.fd = 0, .events = POLLIN};

    while (poll(&end, 1, 0) == 0)
        MHD_run_wait(d, 100);
}

int main(int argc, char **argv)
{
    struct MHD_Daemon *d;

    if (argc != 2)
        return 2;
    d = start(argv[1]);
    if (!d)
        return 3;
    if (strcmp(argv[1], "select") == 0)
        serve_by_select(d);
    else if (strcmp(argv[1], "wait") == 0)
        serve_by_waiting(d);
    else
        getchar();
    MHD_stop_daemon(d);
    return 0;
}
