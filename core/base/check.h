/* Assertions that stay on in release builds, magics of pooled structs, and what the address
 * sanitizer must be told. */
#ifndef SVL_BASE_CHECK_H
#define SVL_BASE_CHECK_H

#include <stddef.h>
#include <stdint.h>

/* For what cannot happen by our own logic. Never for what a client can send. */
#define SVL_ASSERT(condition)                                                                      \
    ((condition) ? (void)0 : svl_assert_failed(#condition, __FILE__, __LINE__))

_Noreturn void svl_assert_failed(const char *condition, const char *file, int line);

/* For a mistake in a handler or module: the text is for its author. */
#define SVL_MISUSE_IF(condition, text)                                                             \
    ((condition) ? svl_assert_failed(text, __FILE__, __LINE__) : (void)0)

/* The same where the answer can be saved: true after a log line in released builds, where one bad
 * handler must not take all other requests with it; the end of the program in others. */
#define SVL_MISTAKE(condition, text)                                                               \
    (svl_unlikely(condition) && svl_mistake(text, __FILE__, __LINE__))

_Bool svl_mistake(const char *text, const char *file, int line);

#define svl_likely(condition) __builtin_expect(!!(condition), 1)
#define svl_unlikely(condition) __builtin_expect(!!(condition), 0)

#define svl_container(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#if defined(__SANITIZE_ADDRESS__)
#define SVL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SVL_ASAN 1
#endif
#endif
#ifndef SVL_ASAN
#define SVL_ASAN 0
#endif

/* Memory that nobody may look at for now: an access stops the program under ASan. */
#if SVL_ASAN
#include <sanitizer/asan_interface.h>
#define SVL_POISON(at, n) __asan_poison_memory_region(at, n)
#define SVL_UNPOISON(at, n) __asan_unpoison_memory_region(at, n)
#else
#define SVL_POISON(at, n) ((void)0)
#define SVL_UNPOISON(at, n) ((void)0)
#endif

#if defined __OPTIMIZE__ && !SVL_ASAN && !defined __SANITIZE_THREAD__
#define SVL_STRICT 0
#else
#define SVL_STRICT 1 /* mistakes stop the program */
#endif

/* malloc, calloc, realloc that stop the program when there is no memory. */
void *svl_malloc(size_t size);
void *svl_calloc(size_t size);
void *svl_realloc(void *old, size_t size);

#endif
