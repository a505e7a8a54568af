/* Servers for a client under test, in memory: each connection that the client makes is a peer, which
 * collects what it was sent and answers with what the test says. No sockets, no threads, no waiting. */
#ifndef SVL_TESTS_PEER_H
#define SVL_TESTS_PEER_H

#include "serval/client.h"

/* A client with that config whose connections are peers, on a loop of the test's. */
void peers_open(const struct svl_client_config *config);
void peers_close(void);

extern struct svl_client *peers_client;
extern struct svl_worker *peers_worker;

/* How many connections were made; whether the n-th (from 0) is still open. */
unsigned peers_made(void);
bool peer_open(unsigned n);

/* The next connections fail. */
void peers_refuse(bool refuse);

/* What it has sent and was not taken yet; NUL-terminated; valid until the next call. */
const char *peer_take(unsigned n);

/* The server's side: bytes, the end of its sending, a reset; how many bytes it takes before it blocks. */
void peer_say(unsigned n, const char *bytes);
void peer_say_bytes(unsigned n, svl_str bytes);
void peer_eof(unsigned n);

/* Bytes that are there, but the loop has not come round to them. */
void peer_say_unseen(unsigned n, const char *bytes);
void peer_reset(unsigned n);
void peer_room(unsigned n, size_t room);

/* A round of the loop; `ms` pass for its deadlines. */
void peers_round(void);
void peers_pass(unsigned ms);

/* A call of the test's, and what came of it: copies. */
struct asked {
    struct svl_call *call;
    int done; /* calls of done() */
    int error, status;
    char body[4096];
    size_t body_n;
    char url[256];
    unsigned tries, redirects;
    bool reused, decoded;
    struct svl_timing timing;
};
void peers_ask(struct asked *asked, const struct svl_fetch *ask);
void peers_ask_url(struct asked *asked, const char *url);

#endif
