/* A connection that sends a file: of one version of it, or not to its end. */
#include "base/check.h"
#include "net/transport.h"
#include "run/h1.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define LENGTH 300000

static char name[] = "/tmp/serval-conn-XXXXXX";
static int file;
static struct loopback *l;

static enum svl_verdict send_it(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    svl_status(ctx, 200);
    svl_body_file(ctx, file, 0, LENGTH, false);
    return SVL_DONE;
}

/* Of long ago, so that a change gives it another time whatever the clock's tick. */
static void make_file(void)
{
    static char bytes[LENGTH];
    struct timeval past[2] = {{1000000000, 0}, {1000000000, 0}};

    file = mkstemp(name);
    memset(bytes, 'o', LENGTH);
    cr_assert(file >= 0 && write(file, bytes, LENGTH) == LENGTH && utimes(name, past) == 0);
    l = loopback_open(&(struct svl_server_config){.handler = send_it});
}

static void remove_file(void)
{
    loopback_close(l);
    close(file);
    unlink(name);
}

TestSuite(conn, .init = make_file, .fini = remove_file);

static void overwrite(void)
{
    cr_assert_eq(pwrite(file, "new", 3, LENGTH - 3), 3);
}

static void begin(void)
{
    loopback_room(l, 50000);
    loopback_send(l, "GET / HTTP/1.1\r\nHost: test\r\n\r\n");
}

/* All that arrives of the body; "new" does not stand in it. */
static size_t rest(void)
{
    svl_str body;

    loopback_room(l, SIZE_MAX);
    for (int i = 0; i < 100; i++)
        loopback_send(l, "");
    body = loopback_body(loopback_take(l));
    cr_assert_null(memmem(body.p, body.n, "new", 3));
    return body.n;
}

Test(conn, a_file_that_waits_and_does_not_change_arrives)
{
    begin();
    cr_assert_eq(rest(), LENGTH);
    cr_assert(!loopback_closed(l));
}

Test(conn, a_file_overwritten_while_it_waits_ends_the_connection)
{
    begin();
    overwrite();
    cr_assert_lt(rest(), LENGTH);
    cr_assert(loopback_closed(l));
}

Test(conn, a_file_that_shrinks_while_it_waits_ends_the_connection)
{
    begin();
    cr_assert_eq(ftruncate(file, 1000), 0);
    cr_assert_lt(rest(), LENGTH);
    cr_assert(loopback_closed(l));
}

Test(conn, a_file_that_only_grows_while_it_waits_arrives_as_long_as_announced)
{
    begin();
    cr_assert_eq(pwrite(file, "more", 4, LENGTH), 4);
    cr_assert_eq(rest(), LENGTH);
    cr_assert(!loopback_closed(l));
}

Test(conn, a_file_deleted_while_it_waits_arrives)
{
    begin();
    unlink(name);
    cr_assert_eq(rest(), LENGTH);
}

/* Behind the last look but one, when all bytes are with the kernel. */
struct late {
    struct svl_mem mem;
    size_t got;
    bool closed;
};

static size_t on_write(struct svl_mem *mem, const char *bytes, size_t n)
{
    struct late *late = svl_container(mem, struct late, mem);

    (void)bytes;
    late->got += n;
    if (late->got > LENGTH)
        overwrite();
    return n;
}

static void on_closed(struct svl_mem *mem)
{
    svl_container(mem, struct late, mem)->closed = true;
}

Test(conn, a_file_overwritten_with_its_last_piece_ends_the_connection)
{
    struct late late = {.mem = {.on_write = on_write, .on_closed = on_closed}};
    static const char request[] = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

    svl_mem_open(&late.mem, loopback_worker(l), &svl_h1);
    svl_mem_feed(&late.mem, request, sizeof request - 1);
    for (int i = 0; i < 100 && !late.closed; i++)
        svl_mem_pump(&late.mem);
    cr_assert_gt(late.got, LENGTH);
    cr_assert(late.closed);
    loopback_round(l);
}
