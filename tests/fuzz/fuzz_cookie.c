/* Any bytes as Cookie and as Set-Cookie; what is understood can be written and read back. */
#include "serval/cookie.h"
#include "serval/error.h"

#include <assert.h>
#include <stdlib.h>

static void check_pairs(svl_str s)
{
    struct svl_pair cookie;

    while (svl_cookie_next(&s, &cookie)) {
        assert(cookie.name.p && cookie.value.p && cookie.name.n + cookie.value.n > 0);
        assert(svl_str_find(cookie.name, ';') == cookie.name.n);
        assert(svl_str_find(cookie.value, ';') == cookie.value.n);
        assert(svl_str_find(cookie.value, '"') == cookie.value.n);
    }
}

static void check_set(svl_str s)
{
    struct svl_set_cookie cookie, again;
    char to[SVL_COOKIE_MAX];
    ptrdiff_t n;

    if (svl_cookie_parse(&cookie, s))
        return;
    n = svl_cookie_print(to, &cookie);
    if (n < 0) {
        assert(n == SVL_EHEADER || n == SVL_ELIMIT);
        return;
    }
    assert(!memchr(to, '\r', (size_t)n) && !memchr(to, '\n', (size_t)n));
    assert(svl_cookie_parse(&again, (svl_str){to, (size_t)n}) == 0);
    assert(svl_str_eq(cookie.name, again.name) && svl_str_eq(cookie.value, again.value));
    assert(svl_str_eq(cookie.path, again.path) && svl_str_eq(cookie.domain, again.domain));
    assert(cookie.max_age == again.max_age && cookie.same_site == again.same_site);
    assert(cookie.secure == again.secure && cookie.partitioned == again.partitioned);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);

    memcpy(copy, data, size);
    check_pairs((svl_str){copy, size});
    check_set((svl_str){copy, size});
    free(copy);
    return 0;
}
