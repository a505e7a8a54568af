/* Digest authentication (RFC 7616) with MD5 and SHA-256, qop "auth".
 *
 * A nonce is a time, a number, and a hash of both and the realm with the daemon's secret: whether it is
 * ours and how old it is can be seen from it alone. How often it was used is remembered in a table that
 * new nonces push old ones out of: those then count as stale, and the client asks again. */
#include "internal.h"

#include "serval/field.h"

#if SVL_ADAPTOR_DIGEST
#include <nettle/md5.h>
#include <nettle/sha2.h>
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

bool mhd_has_digest(void)
{
    return SVL_ADAPTOR_DIGEST;
}

#define HASH_MAX 32
#define HEX_MAX (2 * HASH_MAX + 1)
#define NONCE_LEN 48 /* 32 of the hash, 8 of the time, 8 of the number: all hexadecimal */
#define WINDOW 64    /* requests may overtake each other by so much */

struct nonce {
    char text[NONCE_LEN];
    uint64_t highest; /* the largest count that was seen */
    uint64_t seen;    /* bit n: highest - 1 - n was */
    bool taken;
};

/* Hashing ---------------------------------------------------------------------------------------- */

#if SVL_ADAPTOR_DIGEST

/* The hash of some texts with ':' between them. Returns its length. */
static size_t hash(bool sha256, uint8_t *to, const svl_str *parts, unsigned n)
{
    struct sha256_ctx sha;
    struct md5_ctx md5;

    sha256_init(&sha);
    md5_init(&md5);
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *bytes = (const uint8_t *)parts[i].p;

        if (sha256) {
            if (i > 0)
                sha256_update(&sha, 1, (const uint8_t *)":");
            sha256_update(&sha, parts[i].n, bytes);
        } else {
            if (i > 0)
                md5_update(&md5, 1, (const uint8_t *)":");
            md5_update(&md5, parts[i].n, bytes);
        }
    }
    if (sha256)
        sha256_digest(&sha, SHA256_DIGEST_SIZE, to);
    else
        md5_digest(&md5, MD5_DIGEST_SIZE, to);
    return sha256 ? SHA256_DIGEST_SIZE : MD5_DIGEST_SIZE;
}

#else

static size_t hash(bool sha256, uint8_t *to, const svl_str *parts, unsigned n)
{
    (void)sha256;
    (void)to;
    (void)parts;
    (void)n;
    return 0;
}

#endif

static svl_str to_hex(char *to, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        to[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    to[2 * n] = '\0';
    return (svl_str){to, 2 * n};
}

#define HASH(sha256, to, ...)                                                                      \
    hash_hex(sha256, to, (const svl_str[]){__VA_ARGS__},                                           \
             sizeof((const svl_str[]){__VA_ARGS__}) / sizeof(svl_str))

static svl_str hash_hex(bool sha256, char *to, const svl_str *parts, unsigned n)
{
    uint8_t bytes[HASH_MAX];

    return to_hex(to, bytes, hash(sha256, bytes, parts, n));
}

/* Nonces ------------------------------------------------------------------------------------------ */

#define DEFAULT_NONCES 1024

/* Of handlers in a chain, which have no daemon. */
static struct nonces common = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct nonces *nonces_of(struct MHD_Connection *c)
{
    return c->daemon ? &c->daemon->nonces : &common;
}

/* With the lock held: makes what has not been set. */
static bool prepare(struct nonces *t)
{
    if (t->seed_len == 0) {
        if (getrandom(t->made, sizeof t->made, 0) != sizeof t->made)
            return false;
        t->seed = t->made;
        t->seed_len = sizeof t->made;
    }
    if (!t->used) {
        t->n = t->n ? t->n : DEFAULT_NONCES;
        t->used = calloc(t->n, sizeof *t->used);
    }
    return t->used != NULL;
}

void mhd_nonces_finish(struct nonces *t)
{
    free(t->used);
    pthread_mutex_destroy(&t->lock);
}

static uint32_t seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)now.tv_sec;
}

static void nonce_text(const struct nonces *t, char *to, uint32_t time, uint32_t number,
                       svl_str realm)
{
    char stamp[17], hex[HEX_MAX];

    snprintf(stamp, sizeof stamp, "%08x%08x", time, number);
    HASH(true, hex, {t->seed, t->seed_len}, {stamp, 16}, realm);
    memcpy(to, hex, 32);
    memcpy(to + 32, stamp, 16);
}

static bool nonce_new(struct nonces *t, char *to, svl_str realm)
{
    bool ok;

    pthread_mutex_lock(&t->lock);
    ok = prepare(t);
    if (ok) {
        struct nonce *place = &t->used[t->next % t->n];

        nonce_text(t, to, seconds(), t->next, realm);
        memset(place, 0, sizeof *place);
        memcpy(place->text, to, NONCE_LEN);
        place->taken = true;
        t->next++;
    }
    pthread_mutex_unlock(&t->lock);
    return ok;
}

static bool number(svl_str hex, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < hex.n; i++) {
        char c = hex.p[i] | 0x20;

        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return false;
        *value = *value << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return hex.n > 0 && hex.n <= 16;
}

/* Counts are used once each, in nearly any order (RFC 7616 3.4). */
static bool count_is_new(struct nonce *place, uint64_t count)
{
    uint64_t behind;

    if (count > place->highest) {
        uint64_t step = count - place->highest;

        place->seen = step < WINDOW ? place->seen << step : 0;
        if (place->highest > 0 && step <= WINDOW)
            place->seen |= 1ull << (step - 1);
        place->highest = count;
        return true;
    }
    behind = place->highest - count;
    if (count == 0 || behind == 0 || behind > WINDOW || place->seen >> (behind - 1) & 1)
        return false;
    place->seen |= 1ull << (behind - 1);
    return true;
}

/* Whether the nonce is ours, for this realm, and not too old. */
static bool nonce_is_ours(struct nonces *t, svl_str nonce, svl_str realm, unsigned timeout_s)
{
    char expected[NONCE_LEN];
    uint64_t time, n;

    if (nonce.n != NONCE_LEN || !number(svl_str_head(svl_str_from(nonce, 32), 8), &time) ||
        !number(svl_str_from(nonce, 40), &n) || !prepare(t))
        return false;
    nonce_text(t, expected, (uint32_t)time, (uint32_t)n, realm);
    return memcmp(expected, nonce.p, NONCE_LEN) == 0 && seconds() - (uint32_t)time <= timeout_s;
}

/* As above, and whether this count of it was not used before, which it is from now on. */
static bool nonce_use(struct nonces *t, svl_str nonce, uint64_t count)
{
    uint64_t n;
    struct nonce *place;

    number(svl_str_from(nonce, 40), &n);
    place = &t->used[(uint32_t)n % t->n];
    return place->taken && memcmp(place->text, nonce.p, NONCE_LEN) == 0 &&
           count_is_new(place, count);
}

/* The field ---------------------------------------------------------------------------------------*/

struct credentials {
    svl_str username, realm, nonce, uri, cnonce, qop, nc, response, algorithm, userhash;
};

/* Parameters with commas between them, values quoted or not (RFC 9110 11.4): *rest loses one. What
 * stood between quotes keeps its backslashes. Returns false at the end, and where it is not well formed. */
static bool next_parameter(svl_str *rest, struct svl_pair *p)
{
    size_t n = 0;

    while (n < rest->n && strchr(" \t,", rest->p[n]))
        n++;
    *rest = svl_str_from(*rest, n);
    n = svl_str_find(*rest, '=');
    if (n == 0 || n >= rest->n)
        return false;
    p->name = svl_str_trim(svl_str_head(*rest, n));
    *rest = svl_str_trim(svl_str_from(*rest, n + 1));
    if (!svl_str_starts(*rest, SVL_STR("\""))) {
        n = svl_str_find(*rest, ',');
        p->value = svl_str_trim(svl_str_head(*rest, n));
        *rest = svl_str_from(*rest, n);
        return true;
    }
    for (n = 1; n < rest->n && rest->p[n] != '"'; n++)
        if (rest->p[n] == '\\')
            n++;
    if (n >= rest->n)
        return false;
    p->value = (svl_str){rest->p + 1, n - 1};
    *rest = svl_str_from(*rest, n + 1);
    return true;
}

static bool parse(struct credentials *to, svl_str field)
{
    const struct {
        const char *name;
        svl_str *value;
    } known[] = {
        {"username", &to->username},
        {"realm", &to->realm},
        {"nonce", &to->nonce},
        {"uri", &to->uri},
        {"cnonce", &to->cnonce},
        {"qop", &to->qop},
        {"nc", &to->nc},
        {"response", &to->response},
        {"algorithm", &to->algorithm},
        {"userhash", &to->userhash},
    };
    struct svl_pair p;

    memset(to, 0, sizeof *to);
    if (!svl_str_ieq(svl_str_head(field, 7), SVL_STR("Digest ")))
        return false;
    field = svl_str_from(field, 7);
    while (next_parameter(&field, &p))
        for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
            if (svl_str_ieq(p.name, svl_str_of(known[i].name)))
                *known[i].value = p.value;
    return to->username.p && to->realm.p && to->nonce.p && to->uri.p && to->response.p;
}

static svl_str field_of(struct MHD_Connection *c)
{
    return svl_str_of(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization"));
}

/* Whether a quoted value says `text`. */
static bool says(struct MHD_Connection *c, svl_str quoted, svl_str text)
{
    char *to = mhd_keep_text(c, quoted);

    return svl_str_eq((svl_str){to, svl_unquote(to, quoted)}, text);
}

char *MHD_digest_auth_get_username(struct MHD_Connection *c)
{
    struct credentials cred;
    char *name;

    if (!parse(&cred, field_of(c)))
        return NULL;
    name = malloc(cred.username.n + 1);
    if (name)
        name[svl_unquote(name, cred.username)] = '\0';
    return name;
}

/* Checking ----------------------------------------------------------------------------------------*/

/* The request is for what the client has signed (RFC 7616 3.4.6): target as it came. */
static bool same_target(struct MHD_Connection *c, svl_str uri)
{
    return svl_str_eq(uri, c->target);
}

static bool algorithm_is(svl_str named, bool sha256)
{
    return !named.p ? !sha256 : svl_str_ieq(named, sha256 ? SVL_STR("SHA-256") : SVL_STR("MD5"));
}

/* secret: H(user:realm:password) in hexadecimal. */
static bool response_is_right(struct MHD_Connection *c, const struct credentials *cred,
                              svl_str secret, bool sha256)
{
    char request[HEX_MAX], expected[HEX_MAX];
    svl_str a2 = HASH(sha256, request, svl_str_of(c->method), cred->uri), all;
    unsigned differs = 0;

    all = HASH(sha256, expected, secret, cred->nonce, cred->nc, cred->cnonce, cred->qop, a2);
    if (cred->response.n != all.n)
        return false;
    for (size_t i = 0; i < all.n; i++) /* in the same time wherever it differs */
        differs |= (unsigned)(cred->response.p[i] ^ all.p[i]);
    return differs == 0;
}

static int check(struct MHD_Connection *c, svl_str realm, const char *username, svl_str secret,
                 unsigned timeout_s, bool sha256)
{
    struct nonces *t = nonces_of(c);
    struct credentials cred;
    uint64_t count;
    bool ours, fresh;

    if (!mhd_has_digest()) {
        mhd_log(c->daemon, "digest authentication: serval was built without nettle");
        return MHD_NO;
    }
    if (!parse(&cred, field_of(c)) || !says(c, cred.username, svl_str_of(username)) ||
        !says(c, cred.realm, realm) || !algorithm_is(cred.algorithm, sha256))
        return MHD_NO;
    pthread_mutex_lock(&t->lock);
    ours = nonce_is_ours(t, cred.nonce, realm, timeout_s);
    pthread_mutex_unlock(&t->lock);
    if (!ours)
        return MHD_INVALID_NONCE;
    if (!svl_str_eq(cred.qop, SVL_STR("auth")) || cred.cnonce.n == 0 || !number(cred.nc, &count) ||
        !same_target(c, cred.uri) || !response_is_right(c, &cred, secret, sha256))
        return MHD_NO;
    pthread_mutex_lock(&t->lock);
    fresh = nonce_use(t, cred.nonce, count);
    pthread_mutex_unlock(&t->lock);
    return fresh ? MHD_YES : MHD_INVALID_NONCE;
}

static bool wants_sha256(enum MHD_DigestAuthAlgorithm algorithm)
{
    return algorithm != MHD_DIGEST_ALG_MD5; /* the library's AUTO is SHA-256 */
}

int MHD_digest_auth_check2(struct MHD_Connection *c, const char *realm, const char *username,
                           const char *password, unsigned int nonce_timeout,
                           enum MHD_DigestAuthAlgorithm algo)
{
    char hex[HEX_MAX];
    svl_str secret = HASH(wants_sha256(algo), hex, svl_str_of(username), svl_str_of(realm),
                          svl_str_of(password));

    return check(c, svl_str_of(realm), username, secret, nonce_timeout, wants_sha256(algo));
}

int MHD_digest_auth_check(struct MHD_Connection *c, const char *realm, const char *username,
                          const char *password, unsigned int nonce_timeout)
{
    return MHD_digest_auth_check2(c, realm, username, password, nonce_timeout, MHD_DIGEST_ALG_MD5);
}

int MHD_digest_auth_check_digest2(struct MHD_Connection *c, const char *realm, const char *username,
                                  const uint8_t *digest, size_t digest_size,
                                  unsigned int nonce_timeout, enum MHD_DigestAuthAlgorithm algo)
{
    bool sha256 = wants_sha256(algo);
    char hex[HEX_MAX];

    if (digest_size != (sha256 ? 32 : MHD_MD5_DIGEST_SIZE))
        return MHD_NO;
    return check(c, svl_str_of(realm), username, to_hex(hex, digest, digest_size), nonce_timeout,
                 sha256);
}

int MHD_digest_auth_check_digest(struct MHD_Connection *c, const char *realm, const char *username,
                                 const uint8_t digest[MHD_MD5_DIGEST_SIZE],
                                 unsigned int nonce_timeout)
{
    return MHD_digest_auth_check_digest2(c, realm, username, digest, MHD_MD5_DIGEST_SIZE,
                                         nonce_timeout, MHD_DIGEST_ALG_MD5);
}

enum MHD_Result MHD_queue_auth_fail_response2(struct MHD_Connection *c, const char *realm,
                                              const char *opaque, struct MHD_Response *response,
                                              int signal_stale, enum MHD_DigestAuthAlgorithm algo)
{
    char nonce[NONCE_LEN + 1] = "", *field = NULL;
    enum MHD_Result result;

    if (!c || !response || !mhd_has_digest() || !nonce_new(nonces_of(c), nonce, svl_str_of(realm)))
        return MHD_NO;
    if (asprintf(&field,
                 "Digest realm=\"%s\",qop=\"auth\",nonce=\"%s\",opaque=\"%s\",algorithm=%s%s",
                 realm, nonce, opaque ? opaque : "", wants_sha256(algo) ? "SHA-256" : "MD5",
                 signal_stale ? ",stale=\"true\"" : "") < 0)
        return MHD_NO;
    result = MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, field);
    free(field);
    return result == MHD_YES ? MHD_queue_response(c, MHD_HTTP_UNAUTHORIZED, response) : MHD_NO;
}

enum MHD_Result MHD_queue_auth_fail_response(struct MHD_Connection *c, const char *realm,
                                             const char *opaque, struct MHD_Response *response,
                                             int signal_stale)
{
    return MHD_queue_auth_fail_response2(c, realm, opaque, response, signal_stale,
                                         MHD_DIGEST_ALG_MD5);
}
