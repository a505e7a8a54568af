/* What a request knows of its connection. ctest-labels: threads */
#include "serval/connection.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct svl_ctx *held;
static struct svl_connection seen;
static struct svl_credentials who;
static struct svl_address local;
static bool has_local, has_who;

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_connection_of(ctx, &seen);
    has_local = svl_local(ctx, &local);
    has_who = svl_peer_credentials(ctx, &who);
    held = ctx;
    if (svl_str_eq(ctx->req.path, SVL_STR("/hold")))
        return svl_pend(ctx, NULL, NULL);
    svl_close(ctx);
    return svl_text(ctx, 200, svl_is_tls(ctx) ? SVL_STR("tls") : SVL_STR("plain"));
}

Test(connection, is_known_in_memory_and_after_the_client_has_gone)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){.handler = handler});
    struct svl_connection later;
    uint64_t first;

    loopback_send(l, "GET /hold HT");
    first = svl_now_ms(loopback_worker(l));
    loopback_send(l, "TP/1.1\r\nHost: x\r\n\r\n");
    cr_assert_neq(seen.id, 0);
    cr_assert_eq(seen.requests, 1);
    cr_assert_not(has_local || has_who);
    cr_assert_eq(svl_first_byte_ms(held), first);
    cr_assert_geq(svl_head_ms(held), first);
    svl_resume(held, SVL_DONE);
    loopback_get(l, "/hold", "");
    cr_assert_eq(seen.requests, 2);
    loopback_reset(l);
    svl_connection_of(held, &later);
    cr_assert_eq(later.id, seen.id);
    cr_assert_eq(later.requests, 2);
    svl_resume(held, SVL_DONE);
    loopback_close(l);
}

static void *serve(void *arg)
{
    svl_server_run(arg);
    return NULL;
}

Test(connection, over_a_unix_socket_tells_who_is_there)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct svl_server_config config = {.workers = 1, .handler = handler};
    struct svl_server *server;
    pthread_t thread;
    char listen[128], got[1000];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(to.sun_path, sizeof to.sun_path, "/tmp/svl-connection-%d", (int)getpid());
    snprintf(listen, sizeof listen, "unix:%s", to.sun_path);
    config.listen[0] = listen;
    cr_assert_eq(svl_server_open(&server, &config), 0);
    pthread_create(&thread, NULL, serve, server);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    cr_assert_gt(write(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27), 0);
    while (read(fd, got, sizeof got) > 0)
        ;
    close(fd);
    svl_server_stop(server);
    pthread_join(thread, NULL);
    cr_assert(has_who);
    cr_assert_eq(who.pid, getpid());
    cr_assert_eq(who.uid, getuid());
    cr_assert(has_local);
    cr_assert_eq(local.family, AF_UNIX);
    svl_server_close(server);
}
