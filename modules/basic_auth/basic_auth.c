/* basic_auth: asks for a name and a password. An unknown name costs as much time as a wrong
 * password; right ones are remembered for a while, as a keyed hash, in each worker. */
#include "serval/mod/basic_auth.h"

#include "serval/async.h"
#include "serval/error.h"
#include "serval/log.h"
#include "serval/request.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

#if SVL_BASIC_AUTH_CRYPT
#include <crypt.h>
#ifdef XCRYPT_VERSION_MAJOR /* its own call: sanitizers put a broken crypt_r in front of the library's */
#define HASH(password, setting, data) crypt_rn(password, setting, data, sizeof *(data))
#else
#define HASH(password, setting, data) crypt_r(password, setting, data)
#endif
#endif

#define CREDENTIALS_MAX 512 /* bytes of name and password */
#define REMEMBERED 256      /* in each worker; a power of two */

static const char key[] = "serval.basic_auth";

struct remembered {
    uint64_t hash[2];
    uint64_t until_ms;
};

struct state {
    uint64_t keys[4]; /* of the hash; nobody knows them */
    struct remembered right[REMEMBERED];
};

/* One password being checked: in the memory of its ctx. */
struct job {
    const struct svl_link *link;
    svl_str name, password;
    uint64_t hash[2];
    bool right;
};

/* --- comparing ------------------------------------------------------------------------------ */

/* Takes the same time wherever they differ. */
static bool same(const char *a, const char *b, size_t n)
{
    volatile unsigned char differ = 0;

    for (size_t i = 0; i < n; i++)
        differ |= (unsigned char)(a[i] ^ b[i]);
    return differ == 0;
}

static bool same_text(svl_str a, svl_str b)
{
    char left[CREDENTIALS_MAX] = {0}, right[CREDENTIALS_MAX] = {0};

    if (a.n > sizeof left || b.n > sizeof right)
        return false;
    if (a.n)
        memcpy(left, a.p, a.n);
    if (b.n)
        memcpy(right, b.p, b.n);
    return same(left, right, sizeof left) & (a.n == b.n);
}

#define ROTATE(x, by) ((x) << (by) | (x) >> (64 - (by)))

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = ROTATE(v[1], 13) ^ v[0];
    v[3] = ROTATE(v[3], 16) ^ v[2];
    v[0] = ROTATE(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = ROTATE(v[3], 21) ^ v[0];
    v[1] = ROTATE(v[1], 17) ^ v[2];
    v[2] = ROTATE(v[2], 32);
}

/* SipHash-2-4 (Aumasson, Bernstein). */
static uint64_t sip_hash(const uint64_t keys[2], svl_str s)
{
    uint64_t v[4] = {keys[0] ^ UINT64_C(0x736f6d6570736575), keys[1] ^ UINT64_C(0x646f72616e646f6d),
                     keys[0] ^ UINT64_C(0x6c7967656e657261),
                     keys[1] ^ UINT64_C(0x7465646279746573)};

    for (size_t i = 0; i <= s.n / 8; i++) {
        uint64_t word = i == s.n / 8 ? (uint64_t)s.n << 56 : 0;

        for (size_t j = 0; j < 8 && i * 8 + j < s.n; j++)
            word |= (uint64_t)(unsigned char)s.p[i * 8 + j] << (8 * j);
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* --- passwords ------------------------------------------------------------------------------ */

static bool is_plain(const char *password)
{
    return strncmp(password, "plain:", 6) == 0;
}

#if SVL_BASIC_AUTH_CRYPT

static bool hash_fits(const char *hash, svl_str password)
{
    struct crypt_data *data = calloc(1, sizeof *data);
    char text[CREDENTIALS_MAX + 1];
    const char *made;
    bool right;

    if (!data)
        return false;
    svl_str_copy(text, sizeof text, password);
    made = HASH(text, hash, data);
    right =
        made && made[0] != '*' && strlen(made) == strlen(hash) && same(made, hash, strlen(hash));
    explicit_bzero(text, sizeof text);
    explicit_bzero(data, sizeof *data);
    free(data);
    return right;
}

bool svl_basic_auth_is_hash(const char *text)
{
    struct crypt_data *data = text[0] == '$' ? calloc(1, sizeof *data) : NULL;
    const char *made = data ? HASH("", text, data) : NULL;
    bool known = made && made[0] != '*' && strlen(made) == strlen(text);

    free(data);
    return known;
}

/* What the hash is made with: a method and a salt nobody has had before. */
static bool new_setting(char *to, size_t size)
{
    static const char letters[] =
        "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    unsigned char random[16];

    if (getrandom(random, sizeof random, 0) != sizeof random)
        return false;
#ifdef CRYPT_GENSALT_OUTPUT_SIZE
    if (crypt_gensalt_rn("$y$", 0, (const char *)random, sizeof random, to, (int)size))
        return true;
#endif
    if (size < 3 + sizeof random + 2)
        return false;
    memcpy(to, "$6$", 3);
    for (size_t i = 0; i < sizeof random; i++)
        to[3 + i] = letters[random[i] % 64];
    memcpy(to + 3 + sizeof random, "$", 2);
    return true;
}

int svl_basic_auth_hash(svl_str password, char *to)
{
    struct crypt_data *data = calloc(1, sizeof *data);
    char text[CREDENTIALS_MAX], setting[192];
    const char *made = NULL;
    int err = SVL_ECONFIG;

    if (data && password.n > 0 && password.n < sizeof text &&
        new_setting(setting, sizeof setting)) {
        svl_str_copy(text, sizeof text, password);
        made = HASH(text, setting, data);
    }
    if (made && made[0] != '*' && strlen(made) < SVL_BASIC_AUTH_HASH) {
        memcpy(to, made, strlen(made) + 1);
        err = 0;
    }
    explicit_bzero(text, sizeof text);
    free(data);
    return err;
}

#else

static bool hash_fits(const char *hash, svl_str password)
{
    (void)hash;
    (void)password;
    return false;
}

bool svl_basic_auth_is_hash(const char *text)
{
    (void)text;
    return false;
}

int svl_basic_auth_hash(svl_str password, char *to)
{
    (void)password;
    (void)to;
    return SVL_ECONFIG;
}

#endif

static bool password_fits(const char *stored, svl_str password)
{
    if (is_plain(stored))
        return same_text(svl_str_of(stored + 6), password);
    return hash_fits(stored, password);
}

/* On a pool thread. A name that is not known is checked against somebody's password all the same. */
static void check(void *arg)
{
    struct job *job = arg;
    const struct svl_basic_auth_config *cfg = job->link->config;
    const struct svl_basic_auth_user *user = cfg->users, *found = NULL;

    for (; user && user->name; user++)
        if (same_text(svl_str_of(user->name), job->name) && !found)
            found = user;
    user = found ? found : cfg->users;
    if (user && user->name && password_fits(user->password, job->password))
        job->right = found != NULL;
    if (!job->right && cfg->check)
        job->right = cfg->check(job->name, job->password, cfg->arg);
}

/* --- setup ---------------------------------------------------------------------------------- */

static int check_user(const struct svl_basic_auth_user *user)
{
    const char *why = NULL;

    if (strchr(user->name, ':'))
        why = "a name cannot hold a colon";
    else if (!user->password)
        why = "no password";
    else if (!is_plain(user->password) && !svl_basic_auth_is_hash(user->password))
        why = "the password is not a hash that crypt(3) knows here, nor \"plain:...\"";
    if (!why)
        return 0;
    svl_log(SVL_ALERT, "basic_auth: user \"%s\": %s", user->name, why);
    return SVL_ECONFIG;
}

static int setup(void *config)
{
    struct svl_basic_auth_config *cfg = config;
    int err = 0;

    if (!cfg->realm)
        cfg->realm = "serval";
    if (cfg->remember_s == 0)
        cfg->remember_s = 60;
    if (cfg->realm[strcspn(cfg->realm, "\"\\\r\n")]) {
        svl_log(SVL_ALERT, "basic_auth: realm: no quotes, backslashes or line ends");
        err = SVL_ECONFIG;
    }
    if ((!cfg->users || !cfg->users->name) && !cfg->check) {
        svl_log(SVL_ALERT, "basic_auth: nobody could get in: neither users nor check");
        err = SVL_ECONFIG;
    }
    for (const struct svl_basic_auth_user *user = cfg->users; user && user->name; user++)
        if (check_user(user))
            err = SVL_ECONFIG;
    return err;
}

static int worker_init(struct svl_link *self, struct svl_worker *worker)
{
    struct state *state = calloc(1, sizeof *state);

    (void)worker;
    if (!state)
        return -ENOMEM;
    self->state = state;
    return getrandom(state->keys, sizeof state->keys, 0) == sizeof state->keys ? 0 : -EIO;
}

static void worker_exit(struct svl_link *self, struct svl_worker *worker)
{
    (void)worker;
    free(self->state);
}

/* --- requests ------------------------------------------------------------------------------- */

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Base64 (RFC 4648 4), with or without its padding. Returns the length or -1. */
static ptrdiff_t decode(char *to, svl_str s)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    ptrdiff_t n = 0;

    while (s.n > 0 && s.p[s.n - 1] == '=')
        s.n--;
    for (size_t i = 0; i < s.n; i++) {
        int value = digit(s.p[i]);

        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            to[n++] = (char)(bits >> n_bits & 0xff);
        }
    }
    return n;
}

/* Name and password that came, in the memory of the ctx. */
static bool read_credentials(struct svl_ctx *ctx, struct job *job)
{
    svl_str field = svl_header(ctx, SVL_H_AUTHORIZATION), text;
    size_t blank = svl_str_find(field, ' '), colon;
    char *to;
    ptrdiff_t n;

    if (!field.p || !svl_str_ieq(svl_str_head(field, blank), SVL_STR("Basic")))
        return false;
    field = svl_str_trim(svl_str_from(field, blank));
    if (field.n > CREDENTIALS_MAX / 3 * 4)
        return false;
    to = svl_alloc(ctx, field.n + 1);
    n = decode(to, field);
    text = (svl_str){to, n > 0 ? (size_t)n : 0};
    colon = svl_str_find(text, ':');
    if (colon == text.n || svl_str_find(text, '\0') < text.n)
        return false;
    job->name = svl_str_head(text, colon);
    job->password = svl_str_from(text, colon + 1);
    return true;
}

static enum svl_verdict refuse(const struct svl_basic_auth_config *cfg, struct svl_ctx *ctx)
{
    svl_str value = svl_printf(ctx, "Basic realm=\"%s\", charset=\"UTF-8\"", cfg->realm);

    svl_header_set_static(ctx, SVL_H_WWW_AUTHENTICATE, value);
    return svl_fail(ctx, 401, NULL);
}

static enum svl_verdict let_in(struct svl_ctx *ctx, struct job *job)
{
    svl_value_set(ctx, key, &job->name, NULL);
    return SVL_NEXT;
}

static struct remembered *place_of(struct state *state, const struct job *job)
{
    return &state->right[job->hash[0] % REMEMBERED];
}

static bool is_remembered(struct state *state, const struct svl_ctx *ctx, const struct job *job)
{
    const struct remembered *r = place_of(state, job);

    return r->until_ms > svl_now_ms(ctx->worker) &&
           same((const char *)r->hash, (const char *)job->hash, sizeof r->hash);
}

static enum svl_verdict reply(struct svl_ctx *ctx, void *arg)
{
    struct job *job = arg;
    const struct svl_basic_auth_config *cfg = job->link->config;
    struct remembered *r = place_of(job->link->state, job);

    if (!job->right)
        return refuse(cfg, ctx);
    memcpy(r->hash, job->hash, sizeof r->hash);
    r->until_ms = svl_now_ms(ctx->worker) + 1000ull * cfg->remember_s;
    return let_in(ctx, job);
}

static bool only_reads(enum svl_method method)
{
    return method == SVL_GET || method == SVL_HEAD || method == SVL_OPTIONS;
}

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    const struct svl_basic_auth_config *cfg = self->config;
    struct state *state = self->state;
    struct job *job;
    svl_str both;

    if (cfg->prefix && !svl_str_starts(ctx->req.path, svl_str_of(cfg->prefix)))
        return SVL_NEXT;
    if (cfg->writes && only_reads(ctx->req.method))
        return SVL_NEXT;
    job = svl_alloc(ctx, sizeof *job);
    job->link = self;
    if (!read_credentials(ctx, job))
        return refuse(cfg, ctx);
    both = (svl_str){job->name.p, job->name.n + 1 + job->password.n};
    job->hash[0] = sip_hash(state->keys, both);
    job->hash[1] = sip_hash(state->keys + 2, both);
    if (!cfg->forget && is_remembered(state, ctx, job))
        return let_in(ctx, job);
    return svl_offload(ctx, check, reply, job);
}

svl_str svl_basic_auth_name(const struct svl_ctx *ctx)
{
    const svl_str *name = svl_value_get(ctx, key);

    return name ? *name : SVL_STR_NONE;
}

const struct svl_module svl_basic_auth_module = {
    .name = "basic_auth",
    .summary = "ask for a name and a password",
    .config_size = sizeof(struct svl_basic_auth_config),
    .setup = setup,
    .worker_init = worker_init,
    .worker_exit = worker_exit,
    .on_request = on_request,
};
