#include "support/body.h"

#include <stdlib.h>

/* Joins the whole chunks of `framed`; *over says whether the last one was there. */
static svl_str join(svl_str framed, bool *over)
{
    static char *joined;
    size_t n = 0;

    joined = realloc(joined, framed.n + 1);
    *over = false;
    while (framed.n > 0) {
        char *end;
        size_t size = strtoul(framed.p, &end, 16), line = (size_t)(end - framed.p) + 2;

        if (framed.n < line + size + 2 || memcmp(end, "\r\n", 2) != 0 ||
            memcmp(end + 2 + size, "\r\n", 2) != 0)
            break;
        memcpy(joined + n, end + 2, size);
        n += size;
        framed = svl_str_from(framed, line + size + 2);
        *over = size == 0;
    }
    return (svl_str){joined, n};
}

svl_str body_so_far(svl_str answer)
{
    bool over;

    return join(loopback_body(answer), &over);
}

svl_str body_of(svl_str answer)
{
    svl_str framed = loopback_body(answer), length = loopback_field(answer, "Content-Length");
    unsigned long long n;
    bool over;

    if (length.p)
        return svl_str_u64(length, &n) && n == framed.n ? framed : SVL_STR_NONE;
    if (!svl_str_eq(loopback_field(answer, "Transfer-Encoding"), SVL_STR("chunked")))
        return framed;
    framed = join(framed, &over);
    return over ? framed : SVL_STR_NONE;
}
