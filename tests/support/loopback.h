/* The loopback: a whole server whose connections are in memory. A test sends bytes as a client
 * would and looks at the bytes that come back; no sockets, no threads, no waiting. */
#ifndef SVL_TESTS_LOOPBACK_H
#define SVL_TESTS_LOOPBACK_H

#include "serval/serval.h"

struct loopback;

/* A server of one worker with that config; listen is ignored. Fails the test if it cannot. */
struct loopback *loopback_open(const struct svl_server_config *config);

/* The same with a chain and otherwise defaults: LOOPBACK(SVL_USE(fs, .root = "/srv")) */
#define LOOPBACK(...)                                                                              \
    loopback_open(                                                                                 \
        &(struct svl_server_config){.chain = (const struct svl_use[]){__VA_ARGS__, SVL_USE_END}})

void loopback_close(struct loopback *l);

/* Clients: 0 is connected at first, others connect when they are first named. All calls below
 * with _on take the number; those without mean client 0. */
#define LOOPBACK_CLIENTS 16

/* The address of a client that is not connected yet. */
void loopback_address(struct loopback *l, unsigned client, const struct svl_address *address);

/* Sends bytes, one after the other if they are not all read. */
void loopback_send(struct loopback *l, const char *bytes);
void loopback_send_bytes(struct loopback *l, svl_str bytes);
void loopback_send_on(struct loopback *l, unsigned client, svl_str bytes);

/* The same, but does not wait for the server to read them: what is unread stays on its way. */
void loopback_offer(struct loopback *l, svl_str bytes);

/* Everything that has come back and was not taken yet; NUL-terminated behind its end. Valid
 * until the next call. */
svl_str loopback_take(struct loopback *l);
svl_str loopback_take_on(struct loopback *l, unsigned client);

/* Sends a request and returns what comes back: loopback_ask(l, "GET / HTTP/1.1\r\n..."). */
svl_str loopback_ask(struct loopback *l, const char *request);

/* "GET <target>" with Host and no other field; `fields` are whole lines with CRLF, or "". */
svl_str loopback_get(struct loopback *l, const char *target, const char *fields);

/* The client: sends no more; goes away; takes at most `room` more bytes before it blocks
 * (SIZE_MAX = all). After raising the room, what was blocked is written. */
void loopback_eof(struct loopback *l);
void loopback_reset(struct loopback *l);

/* The client is gone, and the server finds out when it writes. */
void loopback_break(struct loopback *l);
void loopback_room(struct loopback *l, size_t room);
void loopback_reset_on(struct loopback *l, unsigned client);

/* Whether the server has closed the connection, or closed its sending side. */
bool loopback_closed(const struct loopback *l);
bool loopback_shut(const struct loopback *l);

/* A new connection for client 0; the old one is reset if it is still open. */
void loopback_reconnect(struct loopback *l);

/* Lets the loop run one round without waiting (jobs of other threads that are done, timers that
 * are due); or until `done(arg)` is true, for work that other threads do. */
void loopback_round(struct loopback *l);
void loopback_until(struct loopback *l, bool (*done)(void *arg), void *arg);

/* Moves the deadlines forward, as if `ms` had passed. */
void loopback_pass(struct loopback *l, unsigned ms);

/* The server begins to stop, as for svl_server_stop(). */
void loopback_stop(struct loopback *l);

/* Objects out of the worker's pools: 0 exchanges and chunks when nothing is going on. */
unsigned loopback_exchanges(const struct loopback *l);
struct svl_worker *loopback_worker(struct loopback *l);
struct svl_server *loopback_server(struct loopback *l);

/* Parts of an answer: its status, the value of a field (p is NULL without one), its body (what
 * follows the head, still chunked if it is). */
int loopback_status(svl_str answer);
svl_str loopback_field(svl_str answer, const char *name);
svl_str loopback_body(svl_str answer);

#endif
