/* llhttp must be the strict one, in every variant that was built: without LLHTTP_STRICT_MODE,
 * llhttp 8 takes a lone CR for the end of a line (CVE-2023-30589). Run on llhttp alone, because
 * the gate would hide what it lets through. */
#include <llhttp.h>

#include <criterion/criterion.h>
#include <string.h>

typedef int execute_fn(llhttp__internal_t *s, const char *p, const char *end);

/* The variants of llhttp.cmake; NULL where llhttp comes as a library, or in one variant. */
execute_fn llhttp__internal_execute;
extern execute_fn llhttp__internal_execute_plain __attribute__((weak));
extern execute_fn llhttp__internal_execute_sse42 __attribute__((weak));

static int fields;

static int on_field(llhttp_t *ll, const char *at, size_t len)
{
    (void)ll;
    (void)at;
    fields += len > 0;
    return 0;
}

static bool takes(execute_fn *execute, const char *text)
{
    static const llhttp_settings_t settings = {.on_header_field = on_field};
    llhttp_t ll;

    fields = 0;
    llhttp_init(&ll, HTTP_REQUEST, &settings);
    return execute(&ll, text, text + strlen(text)) == HPE_OK;
}

#define BEGIN "POST / HTTP/1.1\r\nHost: x\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n\r\n"

static void check(execute_fn *execute)
{
    static const char *const refused[] = {
        BEGIN "A:\rxTransfer-Encoding: chunked\r\n\r\n", /* the proof of concept */
        BEGIN "A: b\rTransfer-Encoding: chunked\r\n\r\n",
        BEGIN "A: b\r\rB: c\r\n\r\n",
        BEGIN CHUNKED "5\r\nhelloXX0\r\n\r\n",
        BEGIN CHUNKED "5\nhello\r\n0\r\n\r\n",
        BEGIN CHUNKED "5 \r\nhello\r\n0\r\n\r\n",
        BEGIN CHUNKED "5\r\nhello\r\n0\r\n\rX",
        "POST /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
        BEGIN "Content-Length: 1\r\n" CHUNKED,
        BEGIN "Content-Length : 1\r\n\r\nx",
    };

    cr_assert(takes(execute, BEGIN "A: b\r\n" CHUNKED "5\r\nhello\r\n0\r\n\r\n"));
    cr_assert_eq(fields, 3);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        cr_expect(!takes(execute, refused[i]), "taken: %s", refused[i]);
}

Test(llhttp_strict, the_variant_in_use_is_strict)
{
    check(llhttp__internal_execute);
}

Test(llhttp_strict, the_plain_variant_is_strict)
{
    if (llhttp__internal_execute_plain)
        check(llhttp__internal_execute_plain);
}

Test(llhttp_strict, the_sse42_variant_is_strict)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (llhttp__internal_execute_sse42 && __builtin_cpu_supports("sse4.2"))
        check(llhttp__internal_execute_sse42);
#endif
}
