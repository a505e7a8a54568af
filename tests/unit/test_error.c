#include "serval/error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <uv.h>

Test(error, each_of_ours_has_its_text)
{
#define X(name, number, text) cr_assert_str_eq(svl_strerror(SVL_##name), text);
    SVL_ERROR_MAP(X)
#undef X
}

Test(error, none_of_ours_is_one_of_libuv)
{
#define X(name, number, text)                                                                      \
    cr_assert_str_eq(uv_err_name_r(number, (char[64]){0}, 64), "Unknown system error " #number);
    SVL_ERROR_MAP(X)
#undef X
}

Test(error, errno_gives_the_text_of_the_system)
{
    cr_assert_str_eq(svl_strerror(-ENOENT), strerror(ENOENT));
    cr_assert_str_eq(svl_strerror(-EADDRINUSE), strerror(EADDRINUSE));
}

Test(error, each_error_of_libuv_has_a_text)
{
#define X(name, text)                                                                              \
    if (UV_##name != UV_UNKNOWN)                                                                   \
        cr_assert_str_neq(svl_strerror(UV_##name), "unknown error", #name);
    UV_ERRNO_MAP(X)
#undef X
    cr_assert_str_eq(svl_strerror(UV_EOF), "end of file");
}

Test(error, any_other_number_is_an_unknown_error)
{
    static const int numbers[] = {1,      30001,  INT_MAX, INT_MIN, -INT_MAX,
                                  -29999, -30999, -2999,   -999};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        cr_assert_str_eq(svl_strerror(numbers[i]), "unknown error", "%d", numbers[i]);
    cr_assert_not_null(svl_strerror(0));
}
