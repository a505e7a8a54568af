/* basic_auth: who gets in, and who does not.
 * ctest-labels: threads */
#include "serval/mod/basic_auth.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct svl_basic_auth_user plain[] = {
    {"anna", "plain:secret"}, {"bob", "plain:a:b:c"}, {"empty", "plain:"}, {NULL, NULL}};

static unsigned asked;

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return svl_text(ctx, 200, svl_basic_auth_name(ctx));
}

static bool ask_me(svl_str name, svl_str password, void *arg)
{
    asked++;
    return arg && svl_str_eq(name, SVL_STR("zoe")) && svl_str_eq(password, SVL_STR("x"));
}

static struct loopback *open_with(const struct svl_basic_auth_config *config)
{
    return loopback_open(&(struct svl_server_config){
        .chain = (const struct svl_use[]){{&svl_basic_auth_module, config}, SVL_USE_END},
        .handler = handler});
}

static bool idle(void *arg)
{
    return loopback_exchanges(arg) == 0;
}

/* The answer, when the pool has looked at the password. */
static svl_str get(struct loopback *l, const char *field)
{
    char request[2048];

    snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: t\r\n%s\r\n", field);
    loopback_take(l);
    loopback_send(l, request);
    loopback_until(l, idle, l);
    return loopback_take(l);
}

#define EXPECT(l, field, status) cr_expect_eq(loopback_status(get(l, field)), status, "%s", field)

Test(basic_auth, right_passwords_get_in)
{
    struct loopback *l =
        open_with(&(struct svl_basic_auth_config){.users = plain, .realm = "here"});
    svl_str answer = get(l, "");

    cr_expect_eq(loopback_status(answer), 401);
    cr_expect(svl_str_eq(loopback_field(answer, "WWW-Authenticate"),
                         SVL_STR("Basic realm=\"here\", charset=\"UTF-8\"")));
    answer = get(l, "Authorization: Basic YW5uYTpzZWNyZXQ=\r\n");
    cr_expect_eq(loopback_status(answer), 200);
    cr_expect(svl_str_eq(loopback_body(answer), SVL_STR("anna")));
    EXPECT(l, "Authorization: basic   YW5uYTpzZWNyZXQ\r\n", 200);
    EXPECT(l, "Authorization: Basic Ym9iOmE6YjpjCg\r\n", 401);
    EXPECT(l, "Authorization: Basic Ym9iOmE6Yjpj\r\n", 200);
    EXPECT(l, "Authorization: Basic ZW1wdHk6\r\n", 200);
    loopback_close(l);
}

Test(basic_auth, others_do_not)
{
    static const char *const bad[] = {"Authorization: Basic YW5uYTpzZWNyZXQx\r\n",
                                      "Authorization: Basic YW5uYTpzZWNyZQ==\r\n",
                                      "Authorization: Basic YW5uYTo=\r\n",
                                      "Authorization: Basic bm9ib2R5OnNlY3JldA==\r\n",
                                      "Authorization: Basic YW5uYQ==\r\n",
                                      "Authorization: Basic\r\n",
                                      "Authorization: Basic !!!!\r\n",
                                      "Authorization: Bearer YW5uYTpzZWNyZXQ=\r\n",
                                      "Authorization: Basic YW5uYTpzZWNyZXQA\r\n"};
    struct loopback *l = open_with(&(struct svl_basic_auth_config){.users = plain});
    char longer[1500] = "Authorization: Basic ";

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        EXPECT(l, bad[i], 401);
    memset(longer + 21, 'A', 1400);
    memcpy(longer + 1421, "\r\n", 3);
    EXPECT(l, longer, 401);
    loopback_close(l);
}

Test(basic_auth, hashes_are_computed_and_then_remembered)
{
    /* openssl passwd -6 -salt serval hashed */
    static const struct svl_basic_auth_user users[] = {
        {"carl", "$6$serval$"
                 "pyzzsusBxJ8.5uyhiuShm6p0cM5sm74t9tr5zAPui.61M3PP6r"
                 "ASq7W8jPt9QyaFJnY6dfEd/Vr.aRw/dqX8Q."},
        {NULL, NULL}};
    struct svl_basic_auth_config config = {.users = users, .check = ask_me};
    struct loopback *l;

    if (svl_basic_auth_module.setup(&(struct svl_basic_auth_config){.users = users}) < 0)
        return; /* without libcrypt */
    l = open_with(&config);
    EXPECT(l, "Authorization: Basic Y2FybDpoYXNoZWQ=\r\n", 200);
    EXPECT(l, "Authorization: Basic Y2FybDpoYXNoZWQ=\r\n", 200);
    EXPECT(l, "Authorization: Basic Y2FybDpIYXNoZWQ=\r\n", 401);
    cr_expect_eq(asked, 1);
    loopback_close(l);
}

Test(basic_auth, a_function_may_decide)
{
    struct loopback *l = open_with(&(struct svl_basic_auth_config){.check = ask_me, .arg = &asked});

    EXPECT(l, "Authorization: Basic em9lOng=\r\n", 200);
    EXPECT(l, "Authorization: Basic em9lOng=\r\n", 200);
    cr_expect_eq(asked, 1, "the second time it is remembered");
    EXPECT(l, "Authorization: Basic em9lOnk=\r\n", 401);
    loopback_close(l);
    l = open_with(&(struct svl_basic_auth_config){.check = ask_me, .arg = &asked, .forget = true});
    EXPECT(l, "Authorization: Basic em9lOng=\r\n", 200);
    EXPECT(l, "Authorization: Basic em9lOng=\r\n", 200);
    cr_expect_eq(asked, 4);
    loopback_close(l);
}

Test(basic_auth, only_below_its_prefix)
{
    struct loopback *l =
        open_with(&(struct svl_basic_auth_config){.users = plain, .prefix = "/admin"});

    cr_expect_eq(loopback_status(loopback_get(l, "/", "")), 200);
    cr_expect_eq(loopback_status(loopback_get(l, "/admin", "")), 401);
    cr_expect_eq(loopback_status(loopback_get(l, "/x/../admin/y", "")), 401);
    cr_expect_eq(loopback_status(loopback_get(l, "/%61dmin", "")), 401);
    loopback_close(l);
}

static void quiet(enum svl_level level, const char *line, void *arg)
{
    (void)level, (void)line, (void)arg;
}

Test(basic_auth, what_lets_nobody_in_is_refused_at_the_start)
{
    static const struct svl_basic_auth_user bad[][2] = {{{"a", "secret"}, {NULL, NULL}},
                                                        {{"a:b", "plain:x"}, {NULL, NULL}},
                                                        {{"a", "ab01FAX.bQRSU"}, {NULL, NULL}},
                                                        {{NULL, NULL}, {NULL, NULL}}};

    svl_log_to(quiet, NULL);
    for (int i = 0; i < 4; i++)
        cr_expect_lt(svl_basic_auth_module.setup(&(struct svl_basic_auth_config){.users = bad[i]}),
                     0, "%d", i);
}

Test(basic_auth, a_hash_it_makes_lets_its_password_in_and_no_other)
{
    char hash[SVL_BASIC_AUTH_HASH], again[SVL_BASIC_AUTH_HASH], longest[600];
    struct svl_basic_auth_user users[] = {{"anna", hash}, {NULL, NULL}};
    struct loopback *l;

    if (svl_basic_auth_hash(SVL_STR("secret"), hash)) {
        cr_expect(!svl_basic_auth_is_hash("$6$abc$x")); /* built without crypt(3) */
        return;
    }
    cr_expect(svl_basic_auth_is_hash(hash));
    cr_assert_eq(svl_basic_auth_hash(SVL_STR("secret"), again), 0);
    cr_expect_str_neq(hash, again, "a salt of its own");
    l = open_with(&(struct svl_basic_auth_config){.users = users});
    EXPECT(l, "Authorization: Basic YW5uYTpzZWNyZXQ=\r\n", 200);
    EXPECT(l, "Authorization: Basic YW5uYTpTZWNyZXQ=\r\n", 401);
    loopback_close(l);

    memset(longest, 'x', sizeof longest);
    cr_expect_eq(svl_basic_auth_hash((svl_str){longest, 511}, hash), 0);
    cr_expect_neq(svl_basic_auth_hash((svl_str){longest, 512}, hash), 0);
    cr_expect_neq(svl_basic_auth_hash(SVL_STR(""), hash), 0);
    for (const char *const *bad =
             (const char *const[]){"", "secret", "plain:secret", "$", "$6$", "$nothing$abc", NULL};
         *bad; bad++)
        cr_expect(!svl_basic_auth_is_hash(*bad), "%s", *bad);
}
