#include "support/peer.h"

#include "base/check.h"
#include "net/transport.h"
#include "run/client.h"

#include <stdlib.h>

#define PEERS 64

struct peer {
    struct svl_mem mem;
    bool open;
    size_t room;
    char *got;
    size_t taken, len;
    char **said; /* copies with an exact end */
    unsigned n_said;
};

struct svl_client *peers_client;
struct svl_worker *peers_worker;

static struct svl_worker worker;
static struct peer *peers[PEERS];
static unsigned n_peers;
static bool refusing;

static size_t on_write(struct svl_mem *mem, const char *bytes, size_t n)
{
    struct peer *peer = svl_container(mem, struct peer, mem);

    n = n < peer->room ? n : peer->room;
    if (peer->room != SIZE_MAX)
        peer->room -= n;
    peer->got = svl_realloc(peer->got, peer->len + n + 1);
    memcpy(peer->got + peer->len, bytes, n);
    peer->len += n;
    peer->got[peer->len] = '\0';
    return n;
}

static void on_closed(struct svl_mem *mem)
{
    svl_container(mem, struct peer, mem)->open = false;
}

static struct svl_conn *open_peer(void *arg, struct svl_worker *w,
                                  const struct svl_protocol *protocol)
{
    struct peer *peer;

    (void)arg;
    if (refusing)
        return NULL;
    SVL_ASSERT(n_peers < PEERS);
    peer = peers[n_peers++] = svl_calloc(sizeof *peer);
    peer->mem = (struct svl_mem){.on_write = on_write, .on_closed = on_closed};
    peer->open = true;
    peer->room = SIZE_MAX;
    svl_mem_open(&peer->mem, w, protocol);
    return peer->mem.conn;
}

static void on_worker_closed(struct svl_worker *w)
{
    (void)w;
}

void peers_open(const struct svl_client_config *config)
{
    worker = (struct svl_worker){.cpu = -1, .on_closed = on_worker_closed};
    SVL_ASSERT(svl_worker_open(&worker) == 0);
    SVL_ASSERT(svl_client_open(&peers_client, config) == 0);
    peers_worker = &worker;
    peers_client->open = open_peer;
    n_peers = 0;
    refusing = false;
}

void peers_close(void)
{
    svl_worker_close(&worker);
    svl_client_close(peers_client);
    for (unsigned i = 0; i < n_peers; i++) {
        for (unsigned j = 0; j < peers[i]->n_said; j++)
            free(peers[i]->said[j]);
        free(peers[i]->said);
        free(peers[i]->got);
        free(peers[i]);
    }
}

unsigned peers_made(void)
{
    return n_peers;
}

void peers_refuse(bool refuse)
{
    refusing = refuse;
}

static struct peer *peer_of(unsigned n)
{
    SVL_ASSERT(n < n_peers);
    return peers[n];
}

bool peer_open(unsigned n)
{
    return peer_of(n)->open;
}

const char *peer_take(unsigned n)
{
    struct peer *peer = peer_of(n);
    size_t from = peer->taken;

    peers_round();
    peer->taken = peer->len;
    return peer->got ? peer->got + from : "";
}

static char *keep(struct peer *peer, svl_str bytes)
{
    char *copy = svl_malloc(bytes.n ? bytes.n : 1);

    memcpy(copy, bytes.p, bytes.n);
    peer->said = svl_realloc(peer->said, (peer->n_said + 1) * sizeof *peer->said);
    return peer->said[peer->n_said++] = copy;
}

void peer_say_bytes(unsigned n, svl_str bytes)
{
    struct peer *peer = peer_of(n);
    char *copy = keep(peer, bytes);

    if (peer->open)
        svl_mem_feed(&peer->mem, copy, bytes.n);
}

void peer_say_unseen(unsigned n, const char *bytes)
{
    struct peer *peer = peer_of(n);

    peer->mem.in = keep(peer, svl_str_of(bytes));
    peer->mem.left = strlen(bytes);
}

void peer_say(unsigned n, const char *bytes)
{
    peer_say_bytes(n, svl_str_of(bytes));
}

void peer_eof(unsigned n)
{
    svl_mem_eof(&peer_of(n)->mem);
}

void peer_reset(unsigned n)
{
    svl_mem_reset(&peer_of(n)->mem);
}

void peer_room(unsigned n, size_t room)
{
    struct peer *peer = peer_of(n);

    peer->room = room;
    if (peer->open)
        svl_mem_pump(&peer->mem);
}

void peers_round(void)
{
    svl_worker_poll(&worker, false);
}

void peers_pass(unsigned ms)
{
    worker.ahead_ms += ms;
    svl_timers_run(&worker.timers, svl_now_ms(&worker));
    peers_round();
}

static void on_done(struct svl_reply *reply, void *arg)
{
    struct asked *asked = arg;

    SVL_ASSERT((reply->error == 0) == (reply->why == NULL));
    asked->done++;
    asked->error = reply->error;
    asked->status = reply->status;
    asked->body_n = reply->body.n < sizeof asked->body ? reply->body.n : sizeof asked->body - 1;
    memcpy(asked->body, reply->body.p, asked->body_n);
    asked->body[asked->body_n] = '\0';
    svl_str_copy(asked->url, sizeof asked->url, reply->url);
    asked->tries = reply->tries;
    asked->redirects = reply->redirects;
    asked->reused = reply->reused;
    asked->decoded = reply->decoded;
    asked->timing = reply->timing;
    asked->call = NULL;
}

void peers_ask(struct asked *asked, const struct svl_fetch *what)
{
    struct svl_call *call;

    memset(asked, 0, sizeof *asked);
    call = svl_call(peers_client, peers_worker, what, on_done, asked);
    SVL_ASSERT(!asked->done);
    asked->call = call;
}

void peers_ask_url(struct asked *asked, const char *url)
{
    peers_ask(asked, &(struct svl_fetch){.url = svl_str_of(url)});
}
