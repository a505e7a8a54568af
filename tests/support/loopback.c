#include "support/loopback.h"

#include "base/check.h"
#include "net/transport.h"
#include "run/h1.h"
#include "run/server.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct client {
    struct svl_mem mem;
    bool open, shut;
    size_t room; /* bytes it takes before it blocks */
    char *got;   /* what came back: [taken, len) is new */
    size_t taken, len, cap;
    char *offered; /* what mem reads from; NULL = nothing */
};

struct loopback {
    struct svl_server *server;
    struct svl_worker *worker;
    struct client clients[LOOPBACK_CLIENTS];
};

static size_t on_write(struct svl_mem *mem, const char *bytes, size_t n)
{
    struct client *client = svl_container(mem, struct client, mem);

    if (n > client->room)
        n = client->room;
    if (client->room != SIZE_MAX)
        client->room -= n;
    if (client->cap - client->len < n + 1) {
        client->cap = 2 * (client->len + n) + 4096;
        client->got = svl_realloc(client->got, client->cap);
    }
    memcpy(client->got + client->len, bytes, n);
    client->len += n;
    return n;
}

static void on_shutdown(struct svl_mem *mem)
{
    svl_container(mem, struct client, mem)->shut = true;
}

static void on_closed(struct svl_mem *mem)
{
    svl_container(mem, struct client, mem)->open = false;
}

static struct client *client_of(struct loopback *l, unsigned number)
{
    struct client *client = &l->clients[number];

    SVL_ASSERT(number < LOOPBACK_CLIENTS);
    if (client->mem.on_write)
        return client;
    client->mem = (struct svl_mem){.on_write = on_write,
                                   .on_shutdown = on_shutdown,
                                   .on_closed = on_closed,
                                   .peer = client->mem.peer};
    client->open = true;
    client->shut = false;
    client->room = SIZE_MAX;
    client->taken = client->len = 0;
    svl_mem_open(&client->mem, l->worker, &svl_h1);
    return client;
}

void loopback_address(struct loopback *l, unsigned number, const struct svl_address *address)
{
    SVL_ASSERT(number < LOOPBACK_CLIENTS && !l->clients[number].mem.on_write);
    l->clients[number].mem.peer = *address;
}

struct loopback *loopback_open(const struct svl_server_config *config)
{
    struct loopback *l = svl_calloc(sizeof *l);
    struct svl_server_config mine = *config;
    int err;

    memset(mine.listen, 0, sizeof mine.listen);
    mine.workers = 1;
    err = svl_server_open(&l->server, &mine);
    SVL_ASSERT(err == 0);
    l->worker = svl_server_worker(l->server, 0);
    client_of(l, 0);
    return l;
}

void loopback_close(struct loopback *l)
{
    svl_server_close(l->server);
    for (unsigned i = 0; i < LOOPBACK_CLIENTS; i++)
        free(l->clients[i].got);
    for (unsigned i = 0; i < LOOPBACK_CLIENTS; i++)
        free(l->clients[i].offered);
    free(l);
}

void loopback_send_on(struct loopback *l, unsigned number, svl_str bytes)
{
    struct client *client = client_of(l, number);
    char *copy = svl_malloc(bytes.n + 1); /* so that a read behind the end is seen */
    size_t left;

    if (bytes.n > 0)
        memcpy(copy, bytes.p, bytes.n);
    left = client->open ? svl_mem_feed(&client->mem, copy, bytes.n) : 0;
    for (int i = 0; i < 100000 && left > 0 && client->open; i++) {
        loopback_round(l);
        svl_mem_pump(&client->mem);
        left = client->mem.left;
    }
    client->mem.left = 0; /* what is not read by now never will be */
    free(copy);
}

static void pump(struct client *client)
{
    svl_mem_pump(&client->mem);
    if (client->mem.left == 0 || !client->open) {
        client->mem.left = 0;
        free(client->offered);
        client->offered = NULL;
    }
}

void loopback_offer(struct loopback *l, svl_str bytes)
{
    struct client *client = client_of(l, 0);
    size_t left = client->mem.left;
    char *all;

    if (!client->open || bytes.n == 0)
        return;
    all = svl_malloc(left + bytes.n);
    if (left > 0)
        memcpy(all, client->mem.in, left);
    memcpy(all + left, bytes.p, bytes.n);
    free(client->offered);
    client->offered = all;
    client->mem.in = all;
    client->mem.left = left + bytes.n;
    pump(client);
}

void loopback_send_bytes(struct loopback *l, svl_str bytes)
{
    loopback_send_on(l, 0, bytes);
}

void loopback_send(struct loopback *l, const char *bytes)
{
    loopback_send_on(l, 0, svl_str_of(bytes));
}

svl_str loopback_take_on(struct loopback *l, unsigned number)
{
    struct client *client = client_of(l, number);
    size_t from = client->taken;

    if (!client->got)
        return SVL_STR("");
    client->got[client->len] = '\0';
    client->taken = client->len;
    return (svl_str){client->got + from, client->len - from};
}

svl_str loopback_take(struct loopback *l)
{
    return loopback_take_on(l, 0);
}

svl_str loopback_ask(struct loopback *l, const char *request)
{
    loopback_take(l);
    loopback_send(l, request);
    return loopback_take(l);
}

svl_str loopback_get(struct loopback *l, const char *target, const char *fields)
{
    char request[16384];

    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: test\r\n%s\r\n", target, fields);
    return loopback_ask(l, request);
}

void loopback_eof(struct loopback *l)
{
    svl_mem_eof(&client_of(l, 0)->mem);
}

void loopback_reset_on(struct loopback *l, unsigned number)
{
    svl_mem_reset(&client_of(l, number)->mem);
    loopback_round(l);
}

void loopback_reset(struct loopback *l)
{
    loopback_reset_on(l, 0);
}

void loopback_break(struct loopback *l)
{
    client_of(l, 0)->mem.broken = true;
}

void loopback_room(struct loopback *l, size_t room)
{
    struct client *client = client_of(l, 0);

    client->room = room;
    svl_mem_pump(&client->mem);
}

bool loopback_closed(const struct loopback *l)
{
    return !l->clients[0].open;
}

bool loopback_shut(const struct loopback *l)
{
    return l->clients[0].shut || loopback_closed(l);
}

void loopback_reconnect(struct loopback *l)
{
    if (l->clients[0].open)
        loopback_reset(l);
    l->clients[0].mem.on_write = NULL;
    client_of(l, 0);
}

void loopback_round(struct loopback *l)
{
    svl_worker_poll(l->worker, false);
    for (unsigned i = 0; i < LOOPBACK_CLIENTS; i++)
        if (l->clients[i].offered || (l->clients[i].mem.eof && l->clients[i].open))
            pump(&l->clients[i]);
}

void loopback_until(struct loopback *l, bool (*done)(void *arg), void *arg)
{
    while (!done(arg))
        loopback_round(l);
}

void loopback_pass(struct loopback *l, unsigned ms)
{
    l->worker->ahead_ms += ms;
    svl_timers_run(&l->worker->timers, svl_now_ms(l->worker));
}

void loopback_stop(struct loopback *l)
{
    svl_worker_stop(l->worker);
    loopback_round(l);
}

unsigned loopback_exchanges(const struct loopback *l)
{
    return (unsigned)l->worker->exchanges.live;
}

struct svl_worker *loopback_worker(struct loopback *l)
{
    return l->worker;
}

struct svl_server *loopback_server(struct loopback *l)
{
    return l->server;
}

static size_t head_length(svl_str answer)
{
    const char *end = answer.n ? memmem(answer.p, answer.n, "\r\n\r\n", 4) : NULL;

    return end ? (size_t)(end + 4 - answer.p) : answer.n;
}

int loopback_status(svl_str answer)
{
    return answer.n > 12 && memcmp(answer.p, "HTTP/1.1 ", 9) == 0 ? atoi(answer.p + 9) : -1;
}

svl_str loopback_field(svl_str answer, const char *name)
{
    svl_str head = svl_str_head(answer, head_length(answer)), line;

    while (svl_str_split(&head, '\n', &line)) {
        size_t colon = svl_str_find(line, ':');

        if (!svl_str_ieq(svl_str_head(line, colon), svl_str_of(name)) || colon == line.n)
            continue;
        line = svl_str_from(line, colon + 1);
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        return svl_str_trim(line);
    }
    return SVL_STR_NONE;
}

svl_str loopback_body(svl_str answer)
{
    return svl_str_from(answer, head_length(answer));
}
