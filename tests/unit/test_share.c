/* Turns of the loop while others ask for much, counted: what one turn does must not depend on how
 * much each client asks for, and whoever asks for little is answered in the next turn. */
#include "net/share.h"

#include "base/check.h"
#include "net/conn.h"
#include "run/server.h"
#include "serval/serval.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CROWD 100
#define BIG (3 * 1024 * 1024)
#define MUCH ((size_t)2 * SVL_TURN_BYTES_MAX)
#define GET "GET /small HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_BIG "GET /big HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_FILE "GET /file HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_SOURCE "GET /source HTTP/1.1\r\nHost: x\r\n\r\n"

static char big[BIG];
static int file = -1;

static ssize_t endless(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    (void)ctx;
    (void)arg;
    memset(to, 'e', room);
    return (ssize_t)room;
}

static enum svl_verdict handle(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    if (svl_str_eq(ctx->req.path, SVL_STR("/small")))
        return svl_text(ctx, 200, SVL_STR("small!\n"));
    if (svl_str_eq(ctx->req.path, SVL_STR("/source")))
        svl_body_source(ctx, endless, NULL, -1);
    else if (svl_str_eq(ctx->req.path, SVL_STR("/file")))
        svl_body_file(ctx, file, 0, BIG, false);
    else
        svl_body_bytes(ctx, (svl_str){big, BIG});
    return SVL_DONE;
}

static struct svl_server *server;
static struct svl_worker *worker;
static struct sockaddr_in address;

static void open_server(void)
{
    struct svl_server_config config = {
        .listen = {"127.0.0.1:0"}, .workers = 1, .handler = handle, .max_connections = 1000};
    unsigned port;

    cr_assert_eq(svl_server_open(&server, &config), 0);
    worker = svl_server_worker(server, 0);
    cr_assert_eq(sscanf(svl_server_address(server, 0), "http://127.0.0.1:%u/", &port), 1);
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
}

static int join(const char *bytes, size_t n)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (n > 0)
        cr_assert_eq(send(fd, bytes, n, MSG_DONTWAIT), (ssize_t)n);
    return fd;
}

/* Turns until everybody is connected, and has nothing to say. */
static void join_all(int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        fds[i] = join(NULL, 0);
    for (int turn = 0; turn < 1000 && worker->n_open < n; turn++)
        svl_worker_poll(worker, false);
    cr_assert_eq(worker->n_open, n);
}

static uint64_t written(void)
{
    uint64_t sum = 0;

    for (struct svl_list *at = worker->open.next; at != &worker->open; at = at->next)
        sum += svl_container(at, struct svl_conn, link)->written;
    return sum;
}

static unsigned long requests(void)
{
    return svl_tally_read(&worker->tally.requests);
}

static size_t receive(int fd, char *to, size_t room)
{
    ssize_t n = recv(fd, to, room, MSG_DONTWAIT);

    return n > 0 ? (size_t)n : 0;
}

static unsigned count_of(const char *bytes, size_t n, char c)
{
    unsigned count = 0;

    for (size_t i = 0; i < n; i++)
        count += bytes[i] == c;
    return count;
}

static bool answered(int fd)
{
    char bytes[1000];

    return receive(fd, bytes, sizeof bytes) > 0;
}

/* All clients of a crowd have sent `bytes`; one more asks for little. */
static void crowd_asks(const char *bytes, size_t n)
{
    int fds[CROWD + 1];

    open_server();
    join_all(fds, CROWD + 1);
    for (int i = 0; i < CROWD; i++)
        cr_assert_eq(send(fds[i], bytes, n, MSG_DONTWAIT), (ssize_t)n);
    for (int turn = 0; turn < 20; turn++) {
        uint64_t before = written();
        unsigned long asked = requests();

        cr_assert_eq(send(fds[CROWD], GET, sizeof GET - 1, MSG_DONTWAIT), sizeof GET - 1);
        svl_worker_poll(worker, false);
        cr_assert_leq(written() - before, SVL_TURN_BYTES + SVL_TURN_BYTES_MAX + 2 * CROWD * 65536);
        cr_assert_leq(requests() - asked, SVL_TURN_REQUESTS + (CROWD + 1) * SVL_SHARE_REQUESTS);
        cr_assert(answered(fds[CROWD]), "not in turn %d", turn);
    }
    for (int i = 0; i <= CROWD; i++)
        close(fds[i]);
    svl_server_close(server);
}

Test(share, pipelining_clients_get_a_part_of_each_turn)
{
    static char many[60000];
    size_t n = 0;

    while (n + sizeof GET < sizeof many) {
        memcpy(many + n, GET, sizeof GET - 1);
        n += sizeof GET - 1;
    }
    crowd_asks(many, n);
}

Test(share, large_bodies_get_a_part_of_each_turn)
{
    crowd_asks(GET_BIG, sizeof GET_BIG - 1);
}

Test(share, sources_get_a_part_of_each_turn)
{
    crowd_asks(GET_SOURCE, sizeof GET_SOURCE - 1);
}

Test(share, files_get_a_part_of_each_turn)
{
    char name[] = "/tmp/serval-share-XXXXXX";

    file = mkstemp(name);
    cr_assert(file >= 0);
    unlink(name);
    cr_assert_eq(write(file, big, BIG), BIG);
    crowd_asks(GET_FILE, sizeof GET_FILE - 1);
    close(file);
}

/* Nothing of what waited for a later turn is lost, and it is answered once. */
Test(share, what_is_left_for_later_is_answered)
{
    unsigned asked = 0, answers = 0;
    char bytes[65536];
    int fd;

    open_server();
    join_all(&fd, 1);
    while (asked < 6000 && send(fd, GET, sizeof GET - 1, MSG_DONTWAIT) == sizeof GET - 1)
        asked++;
    for (int turn = 0; turn < 1000 && answers < asked; turn++) {
        size_t n;

        svl_worker_poll(worker, false);
        while ((n = receive(fd, bytes, sizeof bytes)) > 0)
            answers += count_of(bytes, n, '!');
    }
    cr_assert_eq(answers, asked);
    cr_assert_eq(requests(), asked);
    close(fd);
    svl_server_close(server);
}

Test(share, who_is_alone_gets_much)
{
    open_server();
    cr_assert_eq(svl_share_bytes(worker, MUCH), SVL_TURN_BYTES_MAX);
    cr_assert_eq(svl_share_bytes(worker, 100), 100);
    for (size_t sum = SVL_TURN_BYTES_MAX; sum < SVL_TURN_BYTES; sum += SVL_TURN_BYTES_MAX)
        svl_share_bytes(worker, MUCH);
    cr_assert_eq(svl_share_bytes(worker, MUCH), SVL_SHARE_BYTES, "the allowance is used up");
    cr_assert_eq(svl_share_bytes(worker, 0), 0);
    svl_worker_poll(worker, false);
    cr_assert_eq(svl_share_bytes(worker, MUCH), SVL_TURN_BYTES_MAX, "a new turn");
    for (int i = 0; i < SVL_TURN_REQUESTS / SVL_SHARE_REQUESTS; i++)
        cr_assert_eq(svl_share_requests(worker), SVL_SHARE_REQUESTS);
    cr_assert_eq(svl_share_requests(worker), 0);
    svl_worker_poll(worker, false);
    cr_assert_eq(svl_share_requests(worker), SVL_SHARE_REQUESTS);
    svl_server_close(server);
}

/* A socket takes what its buffer has room for, whatever it was allowed. */
Test(share, what_was_not_sent_is_there_for_others)
{
    open_server();
    for (int i = 0; i < 100; i++) {
        size_t asked = svl_share_bytes(worker, MUCH);

        cr_assert_eq(asked, SVL_TURN_BYTES_MAX);
        svl_share_return(worker, asked, i % 10 ? 0 : SVL_TURN_BYTES_MAX / 10);
    }
    svl_share_return(worker, 100, 50); /* its own share */
    for (int i = 0; i < SVL_TURN_BYTES / SVL_TURN_BYTES_MAX; i++)
        cr_assert_eq(svl_share_bytes(worker, MUCH), SVL_TURN_BYTES_MAX);
    cr_assert_eq(svl_share_bytes(worker, MUCH), SVL_SHARE_BYTES, "the allowance is used up");
    svl_server_close(server);
}
