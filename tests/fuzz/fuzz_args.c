/* Any bytes as a query, and as numbers. */
#include "base/arena.h"
#include "serval/args.h"
#include "serval/error.h"

#include <assert.h>
#include <stdlib.h>

static void check_numbers(svl_str s)
{
    char to[SVL_FLOAT_LEN];
    uint64_t u, again;
    int64_t i, i_again;
    double f, f_again;

    if (svl_uint_parse(s, &u)) {
        assert(svl_uint_parse((svl_str){to, svl_uint_print(to, u)}, &again) && again == u);
        assert(svl_float_parse(s, &f) || s.n > 255);
    }
    if (svl_hex_parse(s, &u))
        assert(svl_hex_parse((svl_str){to, svl_hex_print(to, u)}, &again) && again == u);
    if (svl_int_parse(s, &i))
        assert(svl_int_parse((svl_str){to, svl_int_print(to, i)}, &i_again) && i_again == i);
    if (svl_float_parse(s, &f)) {
        size_t n = svl_float_print(to, f);

        assert(n <= SVL_FLOAT_LEN);
        assert(svl_float_parse((svl_str){to, n}, &f_again) && f_again == f);
    }
}

/* What is printed reads the same. */
static void check_args(struct svl_arena *arena, svl_str s)
{
    struct svl_args args, again;
    struct svl_pair arg;
    svl_str rest = s, text;
    unsigned n = 0;
    int err;

    svl_args_init(&args, arena);
    err = svl_args_parse(&args, s);
    while (svl_args_next(&rest, &arg))
        n++;
    assert(err ? err == SVL_ELIMIT && n > SVL_ARGS_MAX && args.n == SVL_ARGS_MAX : n == args.n);
    text = svl_args_text(&args);
    assert(text.n <= svl_args_bound(&args));
    svl_args_init(&again, arena);
    assert(svl_args_parse(&again, text) == 0 && again.n == args.n);
    for (unsigned i = 0; i < args.n; i++) {
        assert(svl_str_eq(args.at[i].name, again.at[i].name));
        assert(svl_str_eq(args.at[i].value, again.at[i].value));
        check_numbers(args.at[i].value);
    }
    svl_args_sort(&again);
    svl_args_sort_names(&again);
    if (args.n > 0) {
        unsigned deleted = svl_args_del(&again, args.at[0].name);

        assert(deleted > 0 && again.n == args.n - deleted);
        assert(!svl_args_has(&again, args.at[0].name));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct svl_pool pool;
    struct svl_arena arena;
    char *copy = malloc(size + 1);

    memcpy(copy, data, size);
    svl_pool_init(&pool, SVL_ARENA_BLOCK, 4);
    svl_arena_init(&arena, NULL, 0, &pool, 1 << 20);
    check_numbers((svl_str){copy, size});
    check_args(&arena, (svl_str){copy, size});
    svl_arena_finish(&arena);
    svl_pool_finish(&pool);
    free(copy);
    return 0;
}
