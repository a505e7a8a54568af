/* request_id: an id for each request. Ids are random enough never to meet again, but no secret. */
#include "serval/mod/request_id.h"

#include "serval/error.h"
#include "serval/log.h"
#include "serval/request.h"
#include "serval/text.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

#define ID_LEN 36 /* "018f3c1e-5b7a-4c3d-9e2f-1a2b3c4d5e6f" */
#define ID_MAX 128

static const char key[] = "serval.request_id";

/* xoshiro256** (Blackman, Vigna), one a worker. */
struct state {
    uint64_t s[4];
};

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static uint64_t next(struct state *state)
{
    uint64_t *s = state->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

static int setup(void *config)
{
    struct svl_request_id_config *cfg = config;

    if (!cfg->header)
        cfg->header = "X-Request-ID";
    if (svl_is_token(svl_str_of(cfg->header)))
        return 0;
    svl_log(SVL_ALERT, "request_id: header \"%s\": not the name of a field", cfg->header);
    return SVL_ECONFIG;
}

static int worker_init(struct svl_link *self, struct svl_worker *worker)
{
    struct state *state = malloc(sizeof *state);

    (void)worker;
    if (!state)
        return -ENOMEM;
    if (getrandom(state, sizeof *state, 0) != sizeof *state) {
        free(state);
        return -EIO;
    }
    self->state = state;
    return 0;
}

static void worker_exit(struct svl_link *self, struct svl_worker *worker)
{
    (void)worker;
    free(self->state);
}

static bool acceptable(svl_str id)
{
    if (id.n == 0 || id.n > ID_MAX)
        return false;
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              c == '-' || c == '_' || c == '.' || c == ':'))
            return false;
    }
    return true;
}

/* A UUID of version 4 (RFC 9562 5.4). */
static svl_str make(struct state *state, struct svl_ctx *ctx)
{
    uint64_t words[2] = {next(state), next(state)};
    char *to = svl_alloc(ctx, ID_LEN + 1);
    size_t n = 0;

    words[0] = (words[0] & ~UINT64_C(0xf000)) | 0x4000;
    words[1] = (words[1] & (UINT64_MAX >> 2)) | UINT64_C(1) << 63;
    for (int i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            to[n++] = '-';
        to[n++] = "0123456789abcdef"[words[i / 16] >> (60 - 4 * (i % 16)) & 15];
    }
    return (svl_str){to, n};
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_request_id_config *cfg = self->config;
    svl_str *id = svl_slot(self, ctx);

    if (cfg->trust) {
        svl_str theirs = svl_headers_find(&ctx->req.headers, svl_str_of(cfg->header));

        if (acceptable(theirs))
            *id = theirs;
    }
    if (!id->p)
        *id = make(self->state, ctx);
    svl_value_set(ctx, key, id, NULL);
    return SVL_NEXT;
}

static enum svl_verdict on_response(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_request_id_config *cfg = self->config;
    const svl_str *id = svl_slot(self, ctx);

    if (!cfg->silent)
        svl_header_set_name(ctx, svl_str_of(cfg->header), *id);
    return SVL_NEXT;
}

svl_str svl_request_id(const struct svl_ctx *ctx)
{
    const svl_str *id = svl_value_get(ctx, key);

    return id ? *id : SVL_STR_NONE;
}

const struct svl_module svl_request_id_module = {
    .name = "request_id",
    .summary = "an id for each request, in its answer and in logs",
    .config_size = sizeof(struct svl_request_id_config),
    .slot_size = sizeof(svl_str),
    .setup = setup,
    .worker_init = worker_init,
    .worker_exit = worker_exit,
    .on_request = on_request,
    .on_response = on_response,
};
