/* The passwords of libmicrohttpd's interface. */
/* ctest-module: adaptor */
/* pkg-config: nettle */
#include "support/foreign.h"

#include <criterion/criterion.h>
#include <nettle/md5.h>
#include <nettle/sha2.h>

TestSuite(adaptor_auth, .init = foreign_begin, .fini = foreign_end);

static struct MHD_Response *shared;

static enum MHD_Result basic(struct MHD_Connection *c, const char *url)
{
    char *password, *user = MHD_basic_auth_get_username_password(c, &password);
    bool right = user && strcmp(user, "Aladdin") == 0 && strcmp(password, "open sesame") == 0;

    (void)url;
    MHD_free(user);
    MHD_free(user ? password : NULL);
    if (right)
        return foreign_say(c, "come in");
    return MHD_queue_basic_auth_fail_response(c, "cave", shared);
}

Test(adaptor_auth, basic_authentication)
{
    static const char *const wrong[] = {"", "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZg==\r\n",
                                        "Authorization: Basic %%%\r\n",
                                        "Authorization: Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"};
    svl_str answer;

    shared = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    foreign.at_end = basic;
    for (unsigned i = 0; i < 4; i++) {
        answer = loopback_get(foreign.l, "/", wrong[i]);
        cr_assert_eq(loopback_status(answer), 401, "%s", wrong[i]);
        cr_assert(svl_str_eq(loopback_field(answer, "WWW-Authenticate"),
                             SVL_STR("Basic realm=\"cave\"")));
    }
    foreign_expect(
        loopback_get(foreign.l, "/", "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"),
        "come in");
    MHD_destroy_response(shared);
}

static enum MHD_DigestAuthAlgorithm algorithm;
static unsigned nonce_timeout = 300;

static enum MHD_Result digest(struct MHD_Connection *c, const char *url)
{
    int said = MHD_digest_auth_check2(c, "realm", "me", "secret", nonce_timeout, algorithm);
    char *user = MHD_digest_auth_get_username(c);

    (void)url;
    if (user)
        cr_assert_str_eq(user, "me");
    MHD_free(user);
    if (said == MHD_YES)
        return foreign_say(c, "come in");
    return foreign_queue(c, 200, NULL) == MHD_NO
               ? MHD_queue_auth_fail_response2(c, "realm", "opaque", shared,
                                               said == MHD_INVALID_NONCE, algorithm)
               : MHD_NO;
}

static void hash(char *hex, const char *text)
{
    uint8_t bytes[SHA256_DIGEST_SIZE];
    size_t n = algorithm == MHD_DIGEST_ALG_MD5 ? MD5_DIGEST_SIZE : SHA256_DIGEST_SIZE;
    struct sha256_ctx sha;
    struct md5_ctx md5;

    sha256_init(&sha);
    md5_init(&md5);
    if (algorithm == MHD_DIGEST_ALG_MD5) {
        md5_update(&md5, strlen(text), (const uint8_t *)text);
        md5_digest(&md5, n, bytes);
    } else {
        sha256_update(&sha, strlen(text), (const uint8_t *)text);
        sha256_digest(&sha, n, bytes);
    }
    for (size_t i = 0; i < n; i++)
        sprintf(hex + 2 * i, "%02x", bytes[i]);
}

/* What a client would send (RFC 7616 3.4.1). */
static svl_str ask_with(const char *nonce, unsigned count, const char *password, const char *uri)
{
    char a1[65], a2[65], response[65], text[512], fields[1024];

    snprintf(text, sizeof text, "me:realm:%s", password);
    hash(a1, text);
    snprintf(text, sizeof text, "GET:%s", uri);
    hash(a2, text);
    snprintf(text, sizeof text, "%s:%s:%08x:cn:auth:%s", a1, nonce, count, a2);
    hash(response, text);
    snprintf(fields, sizeof fields,
             "Authorization: Digest username=\"me\", realm=\"realm\", nonce=\"%s\", uri=\"%s\", "
             "qop=auth, nc=%08x, cnonce=\"cn\", response=\"%s\", algorithm=%s\r\n",
             nonce, uri, count, response, algorithm == MHD_DIGEST_ALG_MD5 ? "MD5" : "SHA-256");
    return loopback_get(foreign.l, "/p?q=1", fields);
}

static void take_nonce(char *nonce, svl_str answer)
{
    svl_str field = loopback_field(answer, "WWW-Authenticate");
    const char *at = field.p ? memmem(field.p, field.n, "nonce=\"", 7) : NULL;

    cr_assert_eq(loopback_status(answer), 401, "%.*s", SVL_FMT(answer));
    cr_assert_not_null(at);
    snprintf(nonce, 49, "%s", at + 7);
}

static void expect_stale(svl_str answer, bool stale)
{
    svl_str field = loopback_field(answer, "WWW-Authenticate");

    cr_assert_eq(loopback_status(answer), 401);
    cr_assert_eq(memmem(field.p, field.n, "stale=\"true\"", 12) != NULL, stale, "%.*s",
                 SVL_FMT(field));
}

static void check_digest(void)
{
    char nonce[64], other[64];

    foreign.at_end = digest;
    shared = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    take_nonce(nonce, loopback_get(foreign.l, "/p", ""));
    MHD_destroy_response(shared);
    shared = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    foreign_expect(ask_with(nonce, 1, "secret", "/p?q=1"), "come in");
    foreign_expect(ask_with(nonce, 3, "secret", "/p?q=1"), "come in");
    foreign_expect(ask_with(nonce, 2, "secret", "/p?q=1"), "come in"); /* one overtook the other */
    expect_stale(ask_with(nonce, 2, "secret", "/p?q=1"), true);        /* replayed */
    MHD_destroy_response(shared);
    shared = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    expect_stale(ask_with(nonce, 4, "wrong", "/p?q=1"), false);
    MHD_destroy_response(shared);
    shared = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    expect_stale(ask_with(nonce, 5, "secret", "/other"), false);
    snprintf(other, sizeof other, "%s", nonce);
    other[3] = other[3] == 'a' ? 'b' : 'a';
    MHD_destroy_response(shared);
    shared = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    expect_stale(ask_with(other, 1, "secret", "/p?q=1"), true); /* not ours */
    MHD_destroy_response(shared);
}

Test(adaptor_auth, digest_authentication_with_md5)
{
    if (MHD_is_feature_supported(MHD_FEATURE_DIGEST_AUTH) != MHD_YES)
        cr_skip_test("built without nettle");
    algorithm = MHD_DIGEST_ALG_MD5;
    check_digest();
}

Test(adaptor_auth, digest_authentication_with_sha_256)
{
    if (MHD_is_feature_supported(MHD_FEATURE_DIGEST_AUTH) != MHD_YES)
        cr_skip_test("built without nettle");
    algorithm = MHD_DIGEST_ALG_SHA256;
    check_digest();
}
