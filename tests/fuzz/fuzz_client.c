/* A client's connections: any bytes as the answers to three calls, one after the other or pipelined. Each is done
 * once, and nothing is left. However the bytes are cut, the same comes of it; but for calls that are not on
 * their way yet, what came too early ends the connection, and what comes later is their answer. */
#include "base/check.h"
#include "net/worker.h"
#include "support/peer.h"

#include <stdlib.h>

#define HEADER 2 /* bytes of an input that say how it is sent */
#define CALLS 3

enum { PIPELINED = 1, EOF_BEHIND = 2, EXPECTING = 4 };

static struct asked asked[2][CALLS];

static void run(struct asked to[CALLS], svl_str bytes, size_t step, uint8_t how)
{
    peers_open(&(struct svl_client_config){.name = "",
                                           .max_per_host = 1,
                                           .pipeline = how & PIPELINED ? 2 : 1,
                                           .max_tries = 1,
                                           .max_head = 300,
                                           .max_fields = 6,
                                           .max_body = 100});
    peers_ask_url(&to[0], "http://x/");
    peers_ask(&to[1], &(struct svl_fetch){.url = SVL_STR("http://x/"), .method = SVL_HEAD});
    peers_ask(&to[2], &(struct svl_fetch){.url = SVL_STR("http://x/"),
                                          .method = SVL_POST,
                                          .body = how & EXPECTING ? SVL_STR("body") : SVL_STR(""),
                                          .expect = true,
                                          .decode = true});
    peers_round();
    for (; bytes.n > 0 && peer_open(0); bytes = svl_str_from(bytes, step))
        peer_say_bytes(0, svl_str_head(bytes, step));
    if ((how & EOF_BEHIND) && peer_open(0))
        peer_eof(0);
    for (unsigned n = 1; n < peers_made(); n++)
        if (peer_open(n))
            peer_reset(n);
    peers_close();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    svl_str bytes;

    if (len <= HEADER)
        return -1;
    bytes = (svl_str){(const char *)data + HEADER, len - HEADER};
    run(asked[0], bytes, bytes.n, data[0]);
    run(asked[1], bytes, 1 + data[1] % 32, data[0]);
    for (int i = 0; i < CALLS; i++) {
        const struct asked *a = &asked[0][i], *b = &asked[1][i];

        SVL_ASSERT(a->done == 1 && b->done == 1);
        if (i > 0 && !(data[0] & PIPELINED))
            continue;
        SVL_ASSERT(a->error == b->error && a->status == b->status);
        if (a->error == 0)
            SVL_ASSERT(a->body_n == b->body_n && memcmp(a->body, b->body, a->body_n) == 0);
    }
    return 0;
}
