/* LD_PRELOAD: counts what a process asks of the allocator and of mmap in a file that bench/run
 * reads while it runs; the process knows nothing of it. glibc only, for its __libc_ names. */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In the order bench/run knows. */
enum { MALLOC, CALLOC, REALLOC, ALIGNED, FREE, MMAP, MUNMAP, KINDS };

static _Atomic unsigned long before_start[KINDS];
static _Atomic unsigned long *counts = before_start;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *p);

static void count(int kind)
{
    atomic_fetch_add_explicit(&counts[kind], 1, memory_order_relaxed);
}

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("COUNT_ALLOC_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    long p =
        syscall(SYS_mmap, NULL, sizeof before_start, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);
    close(fd);
    if (p != -1)
        counts = (_Atomic unsigned long *)p;
}

void *malloc(size_t size)
{
    count(MALLOC);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count(CALLOC);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    count(REALLOC);
    return __libc_realloc(p, size);
}

void *memalign(size_t align, size_t size)
{
    count(ALIGNED);
    return __libc_memalign(align, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    count(ALIGNED);
    return __libc_memalign(align, size);
}

int posix_memalign(void **p, size_t align, size_t size)
{
    count(ALIGNED);
    void *got = __libc_memalign(align, size);
    if (!got)
        return ENOMEM;
    *p = got;
    return 0;
}

void free(void *p)
{
    if (p)
        count(FREE);
    __libc_free(p);
}

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
    count(MMAP);
    return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
}

void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
    __attribute__((alias("mmap")));

int munmap(void *addr, size_t len)
{
    count(MUNMAP);
    return (int)syscall(SYS_munmap, addr, len);
}
