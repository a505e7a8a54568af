/* A library to be preloaded: makes the system misbehave in ways it may. FAULTS says how, in words with
 * blanks between them:
 *     short=N    one of N reads and writes moves less than asked
 *     eintr=N    one of N calls fails with EINTR
 *     eagain=N   one of N reads and writes fails with EAGAIN, though the socket is ready
 *     abort=N    one of N accept4() fails with ECONNABORTED
 *     disk=ERR   writing to regular files fails: ENOSPC or EIO as a number,
 *     after=N    once they have taken N bytes, all of them together
 *     sync=ERR   fsync() fails
 *     media=ERR  reading regular files fails
 *     jump=S     each look at the wall clock is S seconds off, forth and back by turns
 *     ahead=S    the wall clock is S seconds ahead
 *     malloc=N   the Nth allocation fails, and those behind it
 *     thread=N   the Nth thread cannot be started
 *     alone=N    the same, and those behind it
 *     alone=N    the same, and those behind it
 * The dice are each thread's own and start at its number, so runs are much alike. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static long one_short, one_eintr, one_eagain, one_abort, disk, after, sync_fails, media, jump,
    fail_thread, alone, ahead;
static atomic_long threads, looks, on_disk;
static atomic_ulong seeds = 1;

static long number(const char *name)
{
    const char *faults = getenv("FAULTS"), *at = faults ? strstr(faults, name) : NULL;

    return at ? strtol(at + strlen(name), NULL, 10) : 0;
}

__attribute__((constructor)) static void read_faults(void)
{
    one_short = number("short=");
    one_eintr = number("eintr=");
    one_eagain = number("eagain=");
    one_abort = number("abort=");
    disk = number("disk=");
    after = number("after=");
    sync_fails = number("sync=");
    media = number("media=");
    jump = number("jump=");
    ahead = number("ahead=");
    fail_thread = number("thread=");
    alone = number("alone=");
}

static unsigned long dice(void)
{
    static _Thread_local uint64_t state;

    if (!state)
        state = 0x9e3779b97f4a7c15u * atomic_fetch_add(&seeds, 1);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 11;
}

static int hits(long one_in)
{
    return one_in > 0 && dice() % (unsigned long)one_in == 0;
}

/* Whether the call fails; errno is set then. */
static int fails(void)
{
    if (hits(one_eintr))
        errno = EINTR;
    else if (hits(one_eagain))
        errno = EAGAIN;
    else
        return 0;
    return 1;
}

static size_t shorter(size_t n)
{
    return n > 1 && hits(one_short) ? 1 + dice() % (n - 1) : n;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t recv(int fd, void *to, size_t n, int flags)
{
    return fails() ? -1 : REAL(recv)(fd, to, shorter(n), flags);
}

ssize_t send(int fd, const void *from, size_t n, int flags)
{
    return fails() ? -1 : REAL(send)(fd, from, shorter(n), flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct msghdr less = *message;
    struct iovec first;

    if (fails())
        return -1;
    if (less.msg_iovlen == 0 || !hits(one_short))
        return REAL(sendmsg)(fd, message, flags);
    first = less.msg_iov[0];
    first.iov_len = shorter(first.iov_len);
    less.msg_iov = &first;
    less.msg_iovlen = 1;
    return REAL(sendmsg)(fd, &less, flags);
}

static int is_file(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int cannot_be_read(int fd)
{
    if (!media || !is_file(fd))
        return 0;
    errno = (int)media;
    return 1;
}

ssize_t sendfile(int out, int in, off_t *at, size_t n)
{
    ssize_t (*real)(int, int, off_t *, size_t) = dlsym(RTLD_NEXT, "sendfile");

    if (cannot_be_read(in))
        return -1;
    return fails() ? -1 : real(out, in, at, shorter(n));
}

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
    struct iovec first = iov[0];

    if (cannot_be_read(fd))
        return -1;
    if (flags && hits(one_eagain)) { /* not in the page cache */
        errno = EAGAIN;
        return -1;
    }
    first.iov_len = shorter(first.iov_len);
    return REAL(preadv2)(fd, first.iov_len < iov[0].iov_len ? &first : iov,
                         first.iov_len < iov[0].iov_len ? 1 : count, at, flags);
}

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    if (cannot_be_read(fd))
        return -1;
    if (hits(one_eintr)) {
        errno = EINTR;
        return -1;
    }
    return REAL(pread)(fd, to, shorter(n), at);
}

/* Programs built with large offsets call these by other names. */
ssize_t sendfile64(int, int, off_t *, size_t) __attribute__((alias("sendfile")));
ssize_t preadv64v2(int, const struct iovec *, int, off_t, int) __attribute__((alias("preadv2")));
ssize_t pread64(int, void *, size_t, off_t) __attribute__((alias("pread")));

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    if (hits(one_abort)) {
        errno = ECONNABORTED;
        return -1;
    }
    if (hits(one_eintr)) {
        errno = EINTR;
        return -1;
    }
    return REAL(accept4)(fd, address, length, flags);
}

/* What is left of n bytes for a file: less, or -1 with errno. */
static ssize_t room_on_disk(size_t n)
{
    long left = after - atomic_load(&on_disk);

    if (hits(one_eintr)) {
        errno = EINTR;
        return -1;
    }
    n = shorter(n);
    if (disk && left <= 0) {
        errno = (int)disk;
        return -1;
    }
    if (disk && n > (size_t)left)
        n = (size_t)left;
    atomic_fetch_add(&on_disk, (long)n);
    return (ssize_t)n;
}

ssize_t write(int fd, const void *from, size_t n)
{
    ssize_t room = n > 0 && is_file(fd) ? room_on_disk(n) : (ssize_t)n;

    return room < 0 ? -1 : REAL(write)(fd, from, (size_t)room);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    return count > 0 && is_file(fd) ? write(fd, iov[0].iov_base, iov[0].iov_len)
                                    : REAL(writev)(fd, iov, count);
}

int fsync(int fd)
{
    if (!sync_fails)
        return REAL(fsync)(fd);
    errno = (int)sync_fails;
    return -1;
}

int clock_gettime(clockid_t clock, struct timespec *to)
{
    int err = REAL(clock_gettime)(clock, to);

    if (err == 0 && clock == CLOCK_REALTIME)
        to->tv_sec += ahead;
    if (err == 0 && clock == CLOCK_REALTIME && jump)
        to->tv_sec += atomic_fetch_add(&looks, 1) % 2 ? jump : -jump;
    return err;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    long count = fail_thread || alone ? atomic_fetch_add(&threads, 1) + 1 : 0;

    if (count && (count == fail_thread || (alone && count >= alone)))
        return EAGAIN;
    return REAL(pthread_create)(thread, attr, run, arg);
}

#ifndef FAULTS_KEEP_MALLOC /* sanitizers have their own */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static long fail_malloc;
static atomic_long mallocs;

__attribute__((constructor)) static void read_memory_faults(void)
{
    fail_malloc = number("malloc=");
}

static int no_memory(void)
{
    return fail_malloc && atomic_fetch_add(&mallocs, 1) + 1 >= fail_malloc;
}

void *malloc(size_t size)
{
    return no_memory() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return no_memory() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    return no_memory() ? NULL : __libc_realloc(old, size);
}
#endif
