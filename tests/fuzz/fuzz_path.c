/* Any bytes as a path, and as text to escape. */
#include "serval/error.h"
#include "serval/uri.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

static bool has(svl_str s, const char *part)
{
    return s.n > 0 && memmem(s.p, s.n, part, strlen(part)) != NULL;
}

static void check_is_clean(svl_str s)
{
    assert(s.n > 0 && s.p[0] == '/');
    assert(!has(s, "//") && !has(s, "/./") && !has(s, "/../"));
    assert(!svl_str_ends(s, SVL_STR("/.")) && !svl_str_ends(s, SVL_STR("/..")));
    assert(svl_str_find(s, '\0') == s.n);
}

static void check_path(svl_str path)
{
    char *to = malloc(path.n + 1), *same = malloc(path.n + 1), *again = malloc(3 * path.n + 1);
    ptrdiff_t n = svl_path_clean(to, path);

    if (path.n > 0)
        memcpy(same, path.p, path.n);
    assert(svl_path_clean(same, (svl_str){same, path.n}) == n);
    assert(n < 0 || memcmp(same, to, (size_t)n) == 0);

    svl_str clean = {to, n < 0 ? 0 : (size_t)n};
    assert(svl_path_is_clean(path) == (n >= 0 && svl_str_eq(clean, path)));
    if (n < 0) {
        assert(n == SVL_ESYNTAX);
    } else {
        assert(clean.n <= path.n);
        check_is_clean(clean);
        /* A decoded '%' stays as it is, so only what is escaped again cleans to itself. */
        size_t escaped = svl_path_escape(again, clean);
        assert(svl_path_clean(again, (svl_str){again, escaped}) == n);
        assert(memcmp(again, to, clean.n) == 0);
    }
    free(to);
    free(same);
    free(again);
}

static void check_escapes(svl_str s)
{
    char *to = malloc(6 * s.n + 1);
    size_t n = svl_path_escape(to, s);

    assert(n <= 3 * s.n);
    assert(svl_unescape(to, (svl_str){to, n}, false) == s.n);
    assert(s.n == 0 || memcmp(to, s.p, s.n) == 0);
    assert(svl_unescape(to, s, true) <= s.n);
    n = svl_html_escape(to, s);
    assert(n >= s.n && n <= 6 * s.n);
    for (size_t i = 0; i < n; i++)
        assert(!strchr("<>\"'", to[i]) || to[i] == '\0');
    free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    svl_str s = {(const char *)data, size};

    check_path(s);
    check_escapes(s);
    return 0;
}
