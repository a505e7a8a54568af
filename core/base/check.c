/* Stopping with a message: failed assertions and exhausted memory. */
#include "base/check.h"

#include "serval/log.h"

#include <stdlib.h>

_Noreturn void svl_assert_failed(const char *condition, const char *file, int line)
{
    svl_log(SVL_ALERT, "%s:%d: %s", file, line, condition);
    abort();
}

_Bool svl_mistake(const char *text, const char *file, int line)
{
    if (SVL_STRICT)
        svl_assert_failed(text, file, line);
    svl_log(SVL_ALERT, "%s:%d: %s", file, line, text);
    return 1;
}

static void *checked(void *memory, size_t size)
{
    if (svl_likely(memory != NULL) || size == 0)
        return memory;
    svl_log(SVL_ALERT, "memory: no %zu bytes left", size);
    abort();
}

void *svl_malloc(size_t size)
{
    return checked(malloc(size), size);
}

void *svl_calloc(size_t size)
{
    return checked(calloc(1, size), size);
}

void *svl_realloc(void *old, size_t size)
{
    return checked(realloc(old, size), size);
}
