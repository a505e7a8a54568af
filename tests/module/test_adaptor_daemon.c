/* Daemons of programs written for libmicrohttpd, over real sockets: in a thread of their own, in a pool,
 * with a thread for each connection, and served by the program itself. */
/* ctest-labels: threads */
/* ctest-module: adaptor */
#include <criterion/criterion.h>

#include "serval/log.h"
#include "serval/str.h"
#include "support/foreign.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#define INTERNAL MHD_USE_INTERNAL_POLLING_THREAD
#define WAIT_MS 10000 /* for anything that should happen */

static struct MHD_Daemon *d;
static atomic_int completed, in_handler, started, closed;

/* Clients ---------------------------------------------------------------------------------------- */

static uint16_t port(void)
{
    return MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port;
}

static int dial(uint16_t to)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_port = htons(to);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void send_text(int fd, const char *text)
{
    cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void get(int fd, const char *path)
{
    char ask[300];

    snprintf(ask, sizeof ask, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    send_text(fd, ask);
}

/* Reads until what came ends with `end`, or the connection does. */
static void expect_end(int fd, const char *end)
{
    static _Thread_local char got[65536];
    size_t n = 0;
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    for (;;) {
        ssize_t more;

        if (n > 0 && end && svl_str_ends((svl_str){got, n}, svl_str_of(end)))
            return;
        cr_assert_eq(poll(&ready, 1, WAIT_MS), 1, "never: %s, but %.*s", end ? end : "the end",
                     (int)n, got);
        more = recv(fd, got + n, sizeof got - n, 0);
        if (more <= 0)
            break;
        n += (size_t)more;
    }
    cr_assert(!end, "the end instead of %s: %.*s", end, (int)n, got);
}

static void expect_end_of_connection(int fd)
{
    expect_end(fd, NULL);
    close(fd);
}

static bool eventually(atomic_int *value, int wanted)
{
    for (int i = 0; i < WAIT_MS && atomic_load(value) != wanted; i++)
        usleep(1000);
    return atomic_load(value) == wanted;
}

/* Handlers ---------------------------------------------------------------------------------------- */

static void count_completed(void *cls, struct MHD_Connection *c, void **con_cls,
                            enum MHD_RequestTerminationCode toe)
{
    (void)cls;
    (void)toe;
    MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host");
    free(*con_cls);
    completed++;
}

struct request {
    size_t n;
    char body[1000];
};

/* Echoes a body; without one says where it was asked. */
FOREIGN_HANDLER(echo)
{
    struct request *r = *con_cls;

    if (!r) {
        *con_cls = calloc(1, sizeof *r);
        return MHD_YES;
    }
    if (*n > 0) {
        cr_assert_lt(r->n + *n, sizeof r->body);
        memcpy(r->body + r->n, data, *n);
        r->n += *n;
        *n = 0;
        return MHD_YES;
    }
    return foreign_say(c, strcmp(method, "POST") == 0 ? r->body : url);
}

static pthread_barrier_t two;

/* Returns only when another request is in here too. */
FOREIGN_HANDLER(meet)
{
    in_handler++;
    pthread_barrier_wait(&two);
    return foreign_say(c, "met");
}

static void start(unsigned flags, MHD_AccessHandlerCallback handler, unsigned threads)
{
    d = MHD_start_daemon(flags | MHD_USE_ERROR_LOG, 0, NULL, NULL, handler, NULL,
                         MHD_OPTION_NOTIFY_COMPLETED, count_completed, NULL,
                         MHD_OPTION_THREAD_POOL_SIZE, threads, MHD_OPTION_END);
    cr_assert_not_null(d);
}

static void serve_clients(void)
{
    int fd = dial(port());

    get(fd, "/one");
    expect_end(fd, "\r\n\r\n/one");
    send_text(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
    usleep(1000);
    send_text(fd, "def");
    expect_end(fd, "\r\n\r\nabcdef");
    send_text(fd, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_end(fd, "\r\n\r\n/two");
    close(fd);
    cr_assert(eventually(&completed, 4));
}

Test(adaptor_daemon, serves_in_a_thread_of_its_own)
{
    start(INTERNAL, echo, 0);
    serve_clients();
    MHD_stop_daemon(d);
}

Test(adaptor_daemon, serves_in_a_pool_of_threads)
{
    start(INTERNAL | MHD_USE_EPOLL, echo, 3);
    serve_clients();
    MHD_stop_daemon(d);
}

Test(adaptor_daemon, serves_with_a_thread_for_each_connection)
{
    start(MHD_USE_THREAD_PER_CONNECTION, echo, 0);
    serve_clients();
    MHD_stop_daemon(d);
}

Test(adaptor_daemon, with_threads_a_callback_may_block)
{
    int one, other;

    pthread_barrier_init(&two, NULL, 2);
    start(MHD_USE_THREAD_PER_CONNECTION | INTERNAL, meet, 0);
    one = dial(port());
    other = dial(port());
    get(one, "/");
    cr_assert(eventually(&in_handler, 1));
    get(other, "/");
    expect_end(one, "met");
    expect_end(other, "met");
    close(one);
    close(other);
    MHD_stop_daemon(d);
}

Test(adaptor_daemon, stopping_waits_for_callbacks)
{
    int one;

    pthread_barrier_init(&two, NULL, 2);
    start(MHD_USE_THREAD_PER_CONNECTION | INTERNAL, meet, 0);
    one = dial(port());
    get(one, "/");
    cr_assert(eventually(&in_handler, 1));
    close(one); /* its client does not wait for it */
    pthread_barrier_wait(&two);
    MHD_stop_daemon(d);
    cr_assert_eq(completed, 1);
}

/* Readers on threads -------------------------------------------------------------------------------- */

static ssize_t slow_letters(void *cls, uint64_t pos, char *to, size_t max)
{
    (void)cls;
    if (pos == 5)
        return MHD_CONTENT_READER_END_OF_STREAM;
    usleep(2000);
    to[0] = (char)('a' + pos);
    return max > 0 ? 1 : 0;
}

FOREIGN_HANDLER(stream)
{
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 100, slow_letters, NULL, NULL);
    enum MHD_Result result = MHD_queue_response(c, 200, r);

    MHD_destroy_response(r);
    return result;
}

Test(adaptor_daemon, with_threads_a_reader_may_block)
{
    int one, leaver;

    start(MHD_USE_THREAD_PER_CONNECTION | INTERNAL, stream, 0);
    one = dial(port());
    leaver = dial(port());
    get(leaver, "/");
    get(one, "/");
    close(leaver);
    expect_end(one, "\r\ne\r\n0\r\n\r\n");
    close(one);
    cr_assert(eventually(&completed, 2));
    MHD_stop_daemon(d);
}

/* Suspending ----------------------------------------------------------------------------------------- */

static void *resume(void *c)
{
    usleep(1000);
    MHD_resume_connection(c);
    return NULL;
}

/* Is resumed by another thread. */
FOREIGN_HANDLER(suspend)
{
    static atomic_int times;
    pthread_t thread;

    if (times++ % 3 == 2)
        return foreign_say(c, "resumed");
    MHD_suspend_connection(c);
    pthread_create(&thread, NULL, resume, c);
    pthread_detach(thread);
    return MHD_YES;
}

static void suspend_in(unsigned flags)
{
    int fd;

    start(flags | MHD_ALLOW_SUSPEND_RESUME, suspend, 0);
    fd = dial(port());
    for (int i = 0; i < 20; i++) {
        get(fd, "/");
        expect_end(fd, "resumed");
    }
    close(fd);
    MHD_stop_daemon(d);
}

Test(adaptor_daemon, another_thread_may_resume)
{
    suspend_in(INTERNAL);
    suspend_in(MHD_USE_THREAD_PER_CONNECTION);
}

/* Connections ----------------------------------------------------------------------------------------- */

static enum MHD_Result no_to_ports(void *cls, const struct sockaddr *address, socklen_t n)
{
    cr_assert_eq(address->sa_family, AF_INET);
    cr_assert_eq(n, sizeof(struct sockaddr_in));
    return *(int *)cls ? MHD_YES : MHD_NO;
}

Test(adaptor_daemon, a_policy_refuses_connections)
{
    int yes = 0, fd;

    d = MHD_start_daemon(INTERNAL, 0, no_to_ports, &yes, echo, NULL, MHD_OPTION_NOTIFY_COMPLETED,
                         count_completed, NULL, MHD_OPTION_END);
    expect_end_of_connection(dial(port()));
    MHD_stop_daemon(d);
    yes = 1;
    d = MHD_start_daemon(INTERNAL, 0, no_to_ports, &yes, echo, NULL, MHD_OPTION_NOTIFY_COMPLETED,
                         count_completed, NULL, MHD_OPTION_END);
    fd = dial(port());
    get(fd, "/yes");
    expect_end(fd, "/yes");
    close(fd);
    MHD_stop_daemon(d);
}

static void notify(void *cls, struct MHD_Connection *c, void **context,
                   enum MHD_ConnectionNotificationCode what)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

    (void)cls;
    cr_assert_eq(info->client_addr->sa_family, AF_INET);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = malloc(10);
        strcpy(*context, "context");
        started++;
        return;
    }
    cr_assert_str_eq(*context, "context");
    free(*context);
    closed++;
}

FOREIGN_HANDLER(tell_context)
{
    return foreign_say(
        c, MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context);
}

Test(adaptor_daemon, a_program_is_told_of_connections)
{
    int fds[5];

    d = MHD_start_daemon(INTERNAL, 0, NULL, NULL, tell_context, NULL, MHD_OPTION_NOTIFY_CONNECTION,
                         notify, NULL, MHD_OPTION_END);
    for (int i = 0; i < 5; i++) {
        fds[i] = dial(port());
        get(fds[i], "/");
        expect_end(fds[i], "context");
    }
    cr_assert_eq(started, 5);
    cr_assert_eq(MHD_get_daemon_info(d, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections, 5);
    close(fds[1]);
    close(fds[3]);
    cr_assert(eventually(&closed, 2));
    MHD_stop_daemon(d);
    cr_assert_eq(closed, 5);
    close(fds[0]);
    close(fds[2]);
    close(fds[4]);
}

Test(adaptor_daemon, a_quiet_daemon_gives_its_socket_back_and_serves_on)
{
    uint16_t to;
    int fd, listener, waiting;

    start(INTERNAL, echo, 0);
    to = port();
    fd = dial(to);
    get(fd, "/before");
    expect_end(fd, "/before");
    listener = MHD_quiesce_daemon(d);
    cr_assert_geq(listener, 0);
    cr_assert_eq(MHD_quiesce_daemon(d), MHD_INVALID_SOCKET);
    get(fd, "/after"); /* when this is answered the loop has closed its own */
    expect_end(fd, "/after");
    waiting = dial(to); /* the kernel takes it: the socket still listens */
    cr_assert_geq(waiting, 0);
    close(accept(listener, NULL, NULL));
    expect_end_of_connection(waiting);
    close(listener);
    cr_assert_eq(dial(to), -1);
    MHD_stop_daemon(d);
    expect_end_of_connection(fd);
}

Test(adaptor_daemon, a_socket_can_be_given)
{
    int ends[2];

    d = MHD_start_daemon(INTERNAL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, echo, NULL,
                         MHD_OPTION_NOTIFY_COMPLETED, count_completed, NULL, MHD_OPTION_END);
    cr_assert_not_null(d);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    cr_assert_eq(MHD_add_connection(d, ends[1], NULL, 0), MHD_YES);
    get(ends[0], "/given");
    expect_end(ends[0], "/given");
    close(ends[0]);
    MHD_stop_daemon(d);
}

Test(adaptor_daemon, a_listening_socket_can_be_given)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd;

    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(listener, 5), 0);
    d = MHD_start_daemon(
        INTERNAL, 1, NULL, NULL, echo, NULL, MHD_OPTION_ARRAY,
        (struct MHD_OptionItem[]){{MHD_OPTION_LISTEN_SOCKET, listener, NULL},
                                  {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)count_completed, NULL},
                                  {MHD_OPTION_END, 0, NULL}},
        MHD_OPTION_END);
    cr_assert_not_null(d);
    fd = dial(port());
    get(fd, "/there");
    expect_end(fd, "/there");
    close(fd);
    MHD_stop_daemon(d);
}

/* Served by the program --------------------------------------------------------------------------- */

static void *client(void *arg)
{
    int fd = dial(*(uint16_t *)arg);

    for (int i = 0; i < 3; i++) {
        get(fd, "/outside");
        expect_end(fd, "/outside");
    }
    close(fd);
    return NULL;
}

/* As the manual shows it: select() on what MHD_get_fdset() gives, for MHD_get_timeout() at most. */
static void run_by_select(void)
{
    struct timeval wait = {.tv_sec = 1};
    MHD_UNSIGNED_LONG_LONG ms;
    fd_set in, out, except;
    int max = -1;

    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&except);
    cr_assert_eq(MHD_get_fdset(d, &in, &out, &except, &max), MHD_YES);
    if (MHD_get_timeout(d, &ms) == MHD_YES && ms < 1000)
        wait = (struct timeval){.tv_usec = (suseconds_t)(1000 * ms)};
    cr_assert_geq(select(max + 1, &in, &out, &except, &wait), 0);
    cr_assert_eq(MHD_run_from_select(d, &in, &out, &except), MHD_YES);
}

Test(adaptor_daemon, a_program_may_serve_itself)
{
    pthread_t one, other;
    uint16_t to;

    start(MHD_USE_EPOLL, echo, 0);
    to = port();
    cr_assert_geq(MHD_get_daemon_info(d, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, 0);
    pthread_create(&one, NULL, client, &to);
    while (completed < 3)
        run_by_select();
    pthread_join(one, NULL);
    pthread_create(&other, NULL, client, &to);
    while (completed < 6)
        cr_assert_eq(MHD_run_wait(d, 1000), MHD_YES);
    pthread_join(other, NULL);
    cr_assert_eq(MHD_run(d), MHD_YES);
    MHD_stop_daemon(d);
}

Test(adaptor_daemon, a_daemon_with_a_thread_is_not_served_by_the_program)
{
    fd_set in;
    int max = -1;

    FD_ZERO(&in);
    start(INTERNAL, echo, 0);
    cr_assert_eq(MHD_run(d), MHD_NO);
    cr_assert_eq(MHD_run_wait(d, 0), MHD_NO);
    cr_assert_eq(MHD_get_fdset(d, &in, &in, &in, &max), MHD_NO);
    MHD_stop_daemon(d);
}

/* Upgrades ------------------------------------------------------------------------------------------- */

static void *shout(void *arg)
{
    struct MHD_UpgradeResponseHandle *h = ((void **)arg)[0];
    int fd = *(int *)((void **)arg)[1];
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char got[100];
    ssize_t n;

    MHD_upgrade_action(h, MHD_UPGRADE_ACTION_CORK_OFF);
    poll(&ready, 1, WAIT_MS);
    n = recv(fd, got, sizeof got, 0);
    send(fd, "HEARD ", 6, MSG_NOSIGNAL);
    if (n > 0)
        send(fd, got, (size_t)n, MSG_NOSIGNAL);
    MHD_upgrade_action(h, MHD_UPGRADE_ACTION_CLOSE);
    return NULL;
}

static void *upgraded[2];
static int socket_of;
static pthread_t shouter;

static void on_upgrade(void *cls, struct MHD_Connection *c, void *con_cls, const char *extra,
                       size_t n, MHD_socket sock, struct MHD_UpgradeResponseHandle *h)
{
    (void)cls;
    (void)c;
    (void)con_cls;
    cr_assert_eq(n, 5);
    cr_assert_eq(memcmp(extra, "early", 5), 0);
    socket_of = sock;
    upgraded[0] = h;
    upgraded[1] = &socket_of;
    pthread_create(&shouter, NULL, shout, upgraded);
}

FOREIGN_HANDLER(upgrade)
{
    struct MHD_Response *r;
    enum MHD_Result result;

    r = MHD_create_response_for_upgrade(on_upgrade, NULL);
    MHD_add_response_header(r, MHD_HTTP_HEADER_UPGRADE, "shout");
    cr_assert_eq(MHD_queue_response(c, 200, r), MHD_NO);
    result = MHD_queue_response(c, 101, r);
    MHD_destroy_response(r);
    return result;
}

static void upgrade_in(unsigned flags)
{
    int fd;

    completed = 0;
    start(flags | MHD_ALLOW_UPGRADE, upgrade, 0);
    fd = dial(port());
    send_text(fd,
              "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nearly");
    expect_end(fd, "\r\n\r\n");
    send_text(fd, "hello");
    expect_end(fd, "HEARD hello");
    expect_end_of_connection(fd);
    pthread_join(shouter, NULL);
    cr_assert(eventually(&completed, 1));
    MHD_stop_daemon(d);
}

Test(adaptor_daemon, an_upgrade_gives_the_socket_to_the_program)
{
    upgrade_in(INTERNAL);
    upgrade_in(MHD_USE_THREAD_PER_CONNECTION);
}

/* What cannot be kept ------------------------------------------------------------------------------- */

static char said[500];

static void keep_log(void *cls, const char *format, va_list args)
{
    (void)cls;
    vsnprintf(said, sizeof said, format, args);
}

static void keep_line(enum svl_level level, const char *line, void *arg)
{
    (void)level;
    (void)arg;
    snprintf(said, sizeof said, "%s", line);
}

static void panic(void *cls, const char *file, unsigned line, const char *reason)
{
    (void)cls;
    (void)file;
    (void)line;
    (void)reason;
}

Test(adaptor_daemon, a_function_for_panics_is_not_taken_and_that_is_said)
{
    svl_log_to(keep_line, NULL);
    MHD_set_panic_func(panic, NULL);
    cr_assert(strstr(said, "MHD_set_panic_func"), "%s", said);
    said[0] = '\0';
    MHD_set_panic_func(NULL, NULL); /* what it is anyway */
    cr_assert_str_eq(said, "");
}

Test(adaptor_daemon, what_cannot_be_kept_is_refused_and_said)
{
    cr_assert_eq(MHD_is_feature_supported(MHD_FEATURE_TLS), MHD_NO);
    cr_assert_null(MHD_start_daemon(INTERNAL | MHD_USE_TLS | MHD_USE_ERROR_LOG, 0, NULL, NULL, echo,
                                    NULL, MHD_OPTION_EXTERNAL_LOGGER, keep_log, NULL,
                                    MHD_OPTION_END));
    cr_assert(strstr(said, "TLS"), "%s", said);
    cr_assert_null(MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ERROR_LOG, 0, NULL,
                                    NULL, echo, NULL, MHD_OPTION_EXTERNAL_LOGGER, keep_log, NULL,
                                    MHD_OPTION_THREAD_POOL_SIZE, 4u, MHD_OPTION_END));
    cr_assert(strstr(said, "exclude"), "%s", said);
    cr_assert_null(MHD_start_daemon(INTERNAL | MHD_USE_ERROR_LOG, 0, NULL, NULL, echo, NULL,
                                    MHD_OPTION_EXTERNAL_LOGGER, keep_log, NULL, (enum MHD_OPTION)99,
                                    NULL, MHD_OPTION_END));
    cr_assert(strstr(said, "99"), "%s", said);
    cr_assert_null(MHD_start_daemon(INTERNAL, 0, NULL, NULL, NULL, NULL, MHD_OPTION_END));
}

/* Each is reached by its own path, and stops cleanly with clients of all kinds connected. */
Test(adaptor_daemon, daemons_start_and_stop_with_clients_in_any_state)
{
    static const unsigned modes[] = {INTERNAL, MHD_USE_THREAD_PER_CONNECTION, MHD_NO_FLAG};

    for (unsigned i = 0; i < 60; i++) {
        int fds[3];

        start(modes[i % 3], i % 2 ? echo : stream, 0);
        for (int k = 0; k < 3; k++)
            fds[k] = dial(port());
        get(fds[1], "/");
        send_text(fds[2], "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
        if (i % 3 == 2)
            MHD_run(d);
        MHD_stop_daemon(d);
        for (int k = 0; k < 3; k++)
            close(fds[k]);
    }
}
