/* Any bytes as a URI and, behind the first newline, as a reference that is resolved against it. */
#include "serval/error.h"
#include "serval/ip.h"
#include "serval/uri.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

static char *print(const struct svl_uri *uri, svl_str *text)
{
    char *to = malloc(svl_uri_length(uri) + 1);

    *text = (svl_str){to, svl_uri_print(to, uri)};
    assert(text->n == svl_uri_length(uri));
    return to;
}

/* What was parsed is printed as it was; what is normal stays so. */
static void check_one(const struct svl_uri *uri, svl_str text)
{
    struct svl_uri normal = *uri, again;
    svl_str printed, once, twice;
    char *a = print(uri, &printed), *b, *c, *room = malloc(text.n + 1),
         *target = malloc(text.n + 1);

    assert(svl_str_eq(printed, text));
    assert(svl_uri_target(target, uri) <= text.n + 1);
    assert(!uri->host.n || svl_host_valid(uri->host));
    svl_uri_normalize(&normal, room);
    b = print(&normal, &once);
    assert(once.n <= text.n + 1);
    assert(svl_uri_parse(&again, once) == 0);
    free(room);
    room = malloc(once.n + 1);
    svl_uri_normalize(&again, room);
    c = print(&again, &twice);
    /* One more round may still find dots in what were escapes of them behind others. */
    assert(twice.n <= once.n);
    free(a);
    free(b);
    free(c);
    free(room);
    free(target);
}

static void check_resolve(const struct svl_uri *base, svl_str text)
{
    struct svl_uri reference, to, again;
    char *copy = malloc(text.n + 1), *room, *out;
    svl_str printed;

    if (text.n > 0)
        memcpy(copy, text.p, text.n);
    if (svl_uri_parse(&reference, (svl_str){copy, text.n}) == 0) {
        check_one(&reference, (svl_str){copy, text.n});
        room = malloc(base->path.n + reference.path.n + 1);
        svl_uri_resolve(&to, base, &reference, room);
        out = print(&to, &printed);
        if (base->scheme.p)
            assert(svl_uri_parse(&again, printed) == 0 && again.scheme.p);
        free(room);
        free(out);
    }
    free(copy);
}

static void check_ip(svl_str s)
{
    uint8_t ip[16], again[16];
    char to[SVL_IPV6_LEN];

    if (svl_ipv6_parse(s, ip)) {
        assert(svl_ipv6_parse((svl_str){to, svl_ipv6_print(to, ip)}, again));
        assert(memcmp(ip, again, 16) == 0);
    }
    if (svl_ipv4_parse(s, ip))
        assert(svl_str_eq((svl_str){to, svl_ipv4_print(to, ip)}, s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    svl_str s = {(const char *)data, size}, first;
    size_t n = svl_str_find(s, '\n');
    struct svl_uri uri;
    char *copy;

    if (size == 0)
        return 0;
    check_ip(s);
    first = svl_str_head(s, n);
    copy = malloc(n + 1);
    memcpy(copy, first.p, n);
    if (svl_uri_parse(&uri, (svl_str){copy, n}) == 0) {
        check_one(&uri, first);
        check_resolve(&uri, svl_str_from(s, n + 1));
    }
    free(copy);
    return 0;
}
