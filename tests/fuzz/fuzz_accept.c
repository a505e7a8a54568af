/* Any bytes as a field of preferences, and as a value with parameters. */
#include "serval/field.h"

#include <assert.h>
#include <stdlib.h>

static void check_preferences(svl_str s)
{
    static const enum svl_header_id ids[] = {SVL_H_ACCEPT, SVL_H_ACCEPT_ENCODING,
                                             SVL_H_ACCEPT_LANGUAGE, SVL_H_ACCEPT_CHARSET};
    static const svl_str offers[] = {
        {"gzip", 4}, {"identity", 8}, {"text/html;level=1", 17}, {"en-GB", 5}};
    struct svl_preference p;
    svl_str rest = s;

    while (svl_preference_next(&rest, &p))
        assert(p.weight >= 0 && p.weight <= 1000 && p.value.n > 0);
    for (size_t i = 0; i < 4; i++) {
        struct svl_header at = {.value = s.p, .value_len = (uint32_t)s.n, .id = (uint16_t)ids[i]};
        struct svl_headers headers = {.at = &at, .n = 1};
        int best, best_weight = 0;

        headers.first[ids[i]] = 1;
        best = svl_negotiate(&headers, ids[i], offers, 4);
        assert(best >= -1 && best < 4);
        if (best >= 0)
            best_weight = svl_preference_of(s, ids[i], offers[best]);
        for (int k = 0; k < 4; k++) {
            int weight = svl_preference_of(s, ids[i], offers[k]);

            assert(weight >= 0 && weight <= 1000 && weight <= best_weight);
            assert(k >= best || weight < best_weight);
        }
    }
}

static void check_parameters(svl_str s)
{
    char *quoted = malloc(2 * s.n + 2), *plain = malloc(2 * s.n + 2);
    struct svl_pair p;
    svl_str rest = s;
    size_t n;

    while (svl_field_next(&rest, &p))
        assert(svl_is_token(p.name) && p.value.p && svl_unquote(plain, p.value) <= p.value.n);
    svl_field_boundary(s);
    n = svl_quote(quoted, s);
    assert(n >= 2 && n <= 2 * s.n + 2);
    assert(svl_unquote(plain, (svl_str){quoted + 1, n - 2}) == s.n);
    free(quoted);
    free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);

    memcpy(copy, data, size);
    check_preferences((svl_str){copy, size});
    check_parameters((svl_str){copy, size});
    free(copy);
    return 0;
}
