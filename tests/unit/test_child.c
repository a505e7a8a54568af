/* Child processes, and connections of our own over their pipes and over sockets.
 * ctest-labels: threads */
#include "serval/child.h"
#include "serval/hijack.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct loopback *l;
static struct svl_child *child;
static struct svl_child_pipes pipes;
static int status, exits;

/* What one of our connections has seen. */
struct seen {
    char text[256];
    size_t n, total;
    int eofs, gone, drained;
} out, err;

static void on_data(struct svl_raw *raw, void *arg, svl_str data)
{
    struct seen *seen = arg;

    (void)raw;
    for (size_t i = 0; i < data.n && seen->n < sizeof seen->text - 1; i++)
        seen->text[seen->n++] = data.p[i];
    seen->total += data.n;
}

static void on_eof(struct svl_raw *raw, void *arg)
{
    ((struct seen *)arg)->eofs++;
    svl_raw_close(raw);
}

static void on_drained(struct svl_raw *raw, void *arg)
{
    (void)raw;
    ((struct seen *)arg)->drained++;
}

static void on_gone(struct svl_raw *raw, void *arg)
{
    (void)raw;
    ((struct seen *)arg)->gone++;
}

static const struct svl_raw_events events = {
    .on_data = on_data, .on_eof = on_eof, .on_drained = on_drained, .on_gone = on_gone};

static void on_exit_of(struct svl_child *c, void *arg, int s)
{
    cr_assert_eq(c, child);
    cr_assert_eq(arg, &exits);
    status = s;
    exits++;
}

static int start_with(const struct svl_child_config *config)
{
    return svl_child_start(&child, loopback_worker(l), config, &pipes, on_exit_of, &exits);
}

static int start(const char *script)
{
    const char *argv[] = {"sh", "-c", script, NULL}, *env[] = {"A=b", NULL};

    return start_with(&(struct svl_child_config){
        .path = "/bin/sh", .argv = argv, .env = env, .dir = "/", .no_input = true});
}

static struct svl_raw *connect_to(int fd, struct seen *seen)
{
    struct svl_raw *raw = svl_raw_open(loopback_worker(l), fd, &events, seen);

    cr_assert_not_null(raw);
    return raw;
}

/* Runs the script until it has ended and both its outputs have. */
static bool over(void *arg)
{
    (void)arg;
    return exits && out.gone && err.gone;
}

static void run(const char *script)
{
    cr_assert_eq(start(script), 0);
    connect_to(pipes.out, &out);
    connect_to(pipes.err, &err);
    loopback_until(l, over, NULL);
}

static void begin(void)
{
    l = loopback_open(&(struct svl_server_config){.handler = NULL});
}

static void end(void)
{
    loopback_close(l);
}

TestSuite(child, .init = begin, .fini = end, .timeout = 60);

Test(child, writes_to_both_outputs_and_is_reaped)
{
    run("echo $A; pwd; echo oops >&2; exit 7");
    cr_assert_str_eq(out.text, "b\n/\n");
    cr_assert_str_eq(err.text, "oops\n");
    cr_assert_eq(out.eofs, 1);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_assert_eq(errno, ECHILD);
}

Test(child, has_three_descriptors_and_no_more)
{
    int leak = open("/dev/null", O_RDONLY); /* not close-on-exec */

    run("ls /proc/self/fd; exec 2>&-");
    cr_assert_str_eq(out.text, "0\n1\n2\n3\n"); /* 3 is the folder that ls reads */
    close(leak);
}

Test(child, has_default_signals_though_the_server_ignores_some)
{
    run("kill -PIPE $$");
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

Test(child, gets_what_is_written_until_it_is_closed)
{
    const char *argv[] = {"wc", "-c", NULL}, *env[] = {NULL};
    struct seen in = {.n = 0};
    static char many[300000]; /* more than a pipe takes */
    struct svl_raw *raw;

    memset(many, 'x', sizeof many);
    cr_assert_eq(
        start_with(&(struct svl_child_config){.path = "/usr/bin/wc", .argv = argv, .env = env}), 0);
    raw = connect_to(pipes.in, &in);
    connect_to(pipes.out, &out);
    connect_to(pipes.err, &err);
    cr_assert_not(svl_raw_write(raw, (svl_str){many, sizeof many}), "it does not keep up yet");
    svl_raw_close(raw);
    loopback_until(l, over, NULL);
    cr_assert_str_eq(out.text, "300000\n");
    cr_assert_eq(in.gone, 1);
}

Test(child, that_reads_nothing_does_not_end_us)
{
    const char *argv[] = {"true", NULL}, *env[] = {NULL};
    struct seen in = {.n = 0};
    struct svl_raw *raw;

    cr_assert_eq(
        start_with(&(struct svl_child_config){.path = "/bin/true", .argv = argv, .env = env}), 0);
    raw = connect_to(pipes.in, &in);
    connect_to(pipes.out, &out);
    connect_to(pipes.err, &err);
    loopback_until(l, over, NULL);
    if (!in.gone)
        svl_raw_write(raw, SVL_STR("nobody"));
    cr_assert_eq(in.gone, 1);
}

Test(child, nothing_is_lost_while_it_is_not_read)
{
    struct svl_raw *raw;

    cr_assert_eq(start("echo kept"), 0);
    raw = connect_to(pipes.out, &out);
    svl_raw_read(raw, false);
    connect_to(pipes.err, &err);
    while (!exits || !err.gone)
        loopback_round(l);
    for (int i = 0; i < 5; i++)
        loopback_round(l);
    cr_assert_eq(out.gone, 0);
    svl_raw_read(raw, true);
    loopback_until(l, over, NULL);
    cr_assert_str_eq(out.text, "kept\n");
}

Test(child, is_killed_with_all_that_it_has_started)
{
    cr_assert_eq(start("trap '' TERM; sleep 1000 & echo ready; wait"), 0);
    connect_to(pipes.out, &out);
    connect_to(pipes.err, &err);
    while (!out.total)
        loopback_round(l);
    svl_child_kill(child, 5000);
    loopback_round(l);
    cr_assert_eq(exits, 0, "it does not listen to SIGTERM");
    loopback_pass(l, 5001);
    loopback_until(l, over, NULL); /* sleep had the pipes too */
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

Test(child, that_is_left_when_the_server_closes_is_reaped)
{
    cr_assert_eq(start("sleep 1000"), 0);
    close(pipes.out);
    close(pipes.err);
    loopback_close(l);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_assert_eq(exits, 1);
    begin();
}

Test(child, that_cannot_start_leaves_nothing_behind)
{
    const char *argv[] = {"none", NULL}, *env[] = {NULL};
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC), after;

    close(before);
    cr_assert_eq(start_with(&(struct svl_child_config){.path = "/none", .argv = argv, .env = env}),
                 -ENOENT);
    cr_assert_eq(
        start_with(&(struct svl_child_config){.path = "/dev/null", .argv = argv, .env = env}),
        -EACCES);
    after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(after, before);
    close(after);
}

/* Sockets of our own ----------------------------------------------------------------------- */

static int start_connecting(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    cr_assert(connect(fd, (const struct sockaddr *)to, sizeof *to) == 0 || errno == EINPROGRESS);
    return fd;
}

static int listen_somewhere(struct sockaddr_in *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof *at;

    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(bind(fd, (struct sockaddr *)at, sizeof *at), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

static bool is_gone(void *arg)
{
    return ((struct seen *)arg)->gone;
}

static bool has_text(void *arg)
{
    return ((struct seen *)arg)->n > 0;
}

Test(child, a_socket_that_is_still_connecting_sends_what_was_written)
{
    struct sockaddr_in at;
    int listener = listen_somewhere(&at), peer;
    struct svl_raw *raw;
    char got[8] = "";

    listen(listener, 1);
    raw = connect_to(start_connecting(&at), &out);
    svl_raw_write(raw, SVL_STR("hello"));
    peer = accept(listener, NULL, NULL);
    while (recv(peer, got, sizeof got - 1, MSG_DONTWAIT) < 0)
        loopback_round(l);
    cr_assert_str_eq(got, "hello");
    cr_assert_eq(write(peer, "you", 3), 3);
    loopback_until(l, has_text, &out);
    close(peer);
    loopback_until(l, is_gone, &out);
    cr_assert_str_eq(out.text, "you");
    close(listener);
}

Test(child, a_socket_that_cannot_connect_is_gone)
{
    struct sockaddr_in at;
    int closed = listen_somewhere(&at);

    connect_to(start_connecting(&at), &out); /* bound, and nobody listens */
    loopback_until(l, is_gone, &out);
    cr_assert_eq(out.total, 0);
    close(closed);
}

Test(child, a_connection_of_our_own_is_no_client)
{
    struct svl_counts counts;
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    loopback_get(l, "/", "");
    connect_to(pair[0], &out);
    svl_server_counts(loopback_server(l), &counts);
    cr_assert_eq(counts.open, 1);
    cr_assert_eq(counts.connections, 1);
    cr_assert_eq(out.gone, 0);
    loopback_stop(l);
    loopback_round(l);
    cr_assert_eq(out.gone, 1, "the server stops, and it has nothing to say to that");
    close(pair[1]);
}

Test(child, an_aborted_connection_does_not_wait_for_what_was_written)
{
    static char many[1 << 20];
    struct svl_raw *raw;
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    raw = connect_to(pair[0], &out);
    cr_assert_not(svl_raw_write(raw, (svl_str){many, sizeof many}));
    svl_raw_close(raw);
    cr_assert_eq(out.gone, 0);
    svl_raw_abort(raw);
    cr_assert_eq(out.gone, 1);
    close(pair[1]);
}
