/* Chooses between the two builds of llhttp's state machine (see llhttp.cmake): the SSE4.2 one
 * where the processor has it, the plain one elsewhere.
 *
 * A pointer that first leads to its own resolver costs one relaxed load and one indirect jump per
 * call, the same as the PLT entry of a GNU ifunc. An ifunc would be resolved before sanitizers are
 * set up and does not exist with every libc, so it buys nothing here. */
#include <stdatomic.h>

#include "llhttp.h"

#if !LLHTTP_STRICT_MODE
#error llhttp must be built with LLHTTP_STRICT_MODE=1
#endif

typedef int execute_fn(llhttp__internal_t *s, const char *p, const char *endp);

execute_fn llhttp__internal_execute;
execute_fn llhttp__internal_execute_plain;
execute_fn llhttp__internal_execute_sse42;
int llhttp__internal_init(llhttp__internal_t *s);
int llhttp__internal_init_plain(llhttp__internal_t *s);

static execute_fn resolve;
static _Atomic(execute_fn *) execute = resolve;

/* Several threads may come here at once; they all store the same answer. */
static int resolve(llhttp__internal_t *s, const char *p, const char *endp)
{
    execute_fn *fn = llhttp__internal_execute_plain;

    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2"))
        fn = llhttp__internal_execute_sse42;
    atomic_store_explicit(&execute, fn, memory_order_relaxed);
    return fn(s, p, endp);
}

int llhttp__internal_execute(llhttp__internal_t *s, const char *p, const char *endp)
{
    return atomic_load_explicit(&execute, memory_order_relaxed)(s, p, endp);
}

int llhttp__internal_init(llhttp__internal_t *s)
{
    return llhttp__internal_init_plain(s);
}
