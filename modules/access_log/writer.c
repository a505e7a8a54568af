/* How the writer sleeps: with nothing to do it waits for the first line without a time-out, so an
 * idle server does not wake up. That line costs its producer one write() to a pipe. From then on
 * the thread looks every ROUND_MS and producers make no system call, unless a ring gets half full
 * before; after a round without lines it waits again. */
#include "writer.h"

#include "serval/error.h"
#include "serval/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define ROUND_MS 50
#define GIVE_UP_MS 1000
#define SAY_EVERY_MS 60000
#define PIPE_PIECE 4096 /* what a pipe that is ready takes without blocking: PIPE_BUF */

#define CACHE_LINE 64

/* Before each line in a ring. Lines are padded to its size, so it lies in one piece. */
struct mark {
    uint64_t at; /* ns, to bring the lines of all rings into one order */
    uint64_t len;
};

/* [head, tail) is waiting to be written; both count bytes since the start and wrap with the type.
 * tail moves by whole lines only, so the writer never sees a part of one. */
struct ring {
    _Alignas(CACHE_LINE) _Atomic size_t tail; /* the producer's */
    _Atomic uint64_t dropped;                 /* lines; the producer's */
    struct svl_access_log_writer *writer;
    struct ring *next; /* set before the ring is published */

    _Alignas(CACHE_LINE) _Atomic size_t head; /* the writer's, and so is the rest */
    size_t read, end;                         /* of this round: lines in [read, end) are left */
    struct mark first;                        /* the one at `read`; at is UINT64_MAX at the end */
    uint64_t said;                            /* how many of `dropped` were reported */
    char bytes[RING_SIZE];
};

struct svl_access_log_writer {
    _Atomic bool asleep;          /* the thread waits without a time-out */
    _Atomic bool stopping;        /* write what is there, then end */
    _Atomic(struct ring *) rings; /* newest first; grows only */
    int fd, wake[2];              /* wake: a pipe */
    bool close_fd, regular;
    const char *name;    /* for messages; owner: the config */
    atomic_flag started; /* by the first line, so that a sandbox is there before the thread is */
    bool running;        /* there is a thread */
    pthread_t thread;
    /* The thread's own. */
    uint64_t give_up_at, say_at; /* ms; 0 = not set */
    uint64_t lost;               /* bytes that could not be written, since the last report */
    int error;                   /* why, the last of them */
    bool again;                  /* a ring was half full meanwhile: look again at once */
    size_t out_len;
    char out[64 * 1024]; /* lines in order, to be written at once */
};

/* Producer's side ---------------------------------------------------------------------------*/

static void start_thread(struct svl_access_log_writer *w);

static void wake_up(struct svl_access_log_writer *w)
{
    ssize_t n = write(w->wake[1], "", 1);

    (void)n; /* a full pipe wakes up just as well */
    if (!atomic_flag_test_and_set(&w->started))
        start_thread(w);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void svl_log_put(struct ring *r, svl_str line)
{
    struct mark mark = {now_ns(), line.n};
    size_t need = sizeof mark + (line.n + sizeof mark - 1) / sizeof mark * sizeof mark;
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    size_t used = tail - atomic_load_explicit(&r->head, memory_order_acquire);
    size_t at = (tail + sizeof mark) % RING_SIZE, piece = RING_SIZE - at;

    assert(used <= RING_SIZE);
    if (need > RING_SIZE - used) {
        uint64_t dropped = atomic_load_explicit(&r->dropped, memory_order_relaxed);

        atomic_store_explicit(&r->dropped, dropped + 1, memory_order_relaxed);
        return;
    }
    if (piece > line.n)
        piece = line.n;
    memcpy(r->bytes + tail % RING_SIZE, &mark, sizeof mark);
    memcpy(r->bytes + at, line.p, piece);
    memcpy(r->bytes, line.p + piece, line.n - piece);

    /* The store of tail and the load of asleep must not change places: the thread does the same
     * in the other order (sleep_long), so one of the two sees the other. */
    atomic_store(&r->tail, tail + need);
    if (atomic_load(&r->writer->asleep) && atomic_exchange(&r->writer->asleep, false))
        wake_up(r->writer);
    else if (used <= RING_SIZE / 2 && used + need > RING_SIZE / 2)
        wake_up(r->writer);
}

/* The thread's side -------------------------------------------------------------------------*/

static uint64_t now_ms(void)
{
    return now_ns() / 1000000;
}

/* Whether the descriptor takes something. False when it is time to give up. */
static bool wait_for_room(struct svl_access_log_writer *w)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = w->fd, .events = POLLOUT},
                                {.fd = w->wake[0], .events = POLLIN}};
        bool stopping = atomic_load(&w->stopping);
        int left = -1;

        if (stopping) {
            uint64_t now = now_ms();

            if (!w->give_up_at)
                w->give_up_at = now + GIVE_UP_MS;
            if (now >= w->give_up_at)
                return false;
            left = (int)(w->give_up_at - now);
        }
        /* When stopping, the wake pipe has nothing more to say. */
        if (poll(fds, stopping ? 1 : 2, left) < 0 && errno != EINTR)
            return false;
        if (fds[0].revents)
            return true; /* also for errors: write() will tell */
        if (!stopping && fds[1].revents) {
            char sink[64];

            while (read(w->wake[0], sink, sizeof sink) > 0)
                ;
            w->again = true;
        }
    }
}

/* Not blocking, so that a FIFO nobody reads is an error and not a start that hangs. */
static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

/* A file that was moved away or deleted, as logrotate does, is opened anew under its name; the old one
 * is written to as long as that fails. */
static void follow_name(struct svl_access_log_writer *w)
{
    struct stat there, ours;
    int fd;

    if (!w->regular || !w->close_fd || fstat(w->fd, &ours))
        return;
    if (!stat(w->name, &there) && there.st_dev == ours.st_dev && there.st_ino == ours.st_ino)
        return;
    fd = open_file(w->name);
    if (fd < 0)
        return;
    if (!fstat(fd, &there) && S_ISREG(there.st_mode))
        dup3(fd, w->fd, O_CLOEXEC); /* the number stays: others know it */
    close(fd);
}

/* Writes what has gathered, or notes what is lost. */
static void flush(struct svl_access_log_writer *w)
{
    const char *p = w->out;
    size_t n = w->out_len;

    if (n > 0)
        follow_name(w);
    while (n) {
        size_t piece = w->regular || n < PIPE_PIECE ? n : PIPE_PIECE;
        ssize_t done;

        if (!w->regular && !wait_for_room(w)) {
            w->error = ETIMEDOUT;
            break;
        }
        done = write(w->fd, p, piece);
        if (done < 0 && (errno == EINTR || (errno == EAGAIN && !w->regular)))
            continue;
        if (done < 0) {
            w->error = errno;
            break;
        }
        p += done;
        n -= (size_t)done;
    }
    w->lost += n;
    w->out_len = 0;
}

static void look_at_first(struct ring *r)
{
    if (r->read == r->end)
        r->first.at = UINT64_MAX;
    else
        memcpy(&r->first, r->bytes + r->read % RING_SIZE, sizeof r->first);
}

/* Moves the first line of the ring to the writer's buffer. */
static void take_first(struct svl_access_log_writer *w, struct ring *r)
{
    size_t len = r->first.len, at = (r->read + sizeof r->first) % RING_SIZE, piece = RING_SIZE - at;

    assert(len <= sizeof w->out);
    if (len > sizeof w->out - w->out_len)
        flush(w);
    if (piece > len)
        piece = len;
    memcpy(w->out + w->out_len, r->bytes + at, piece);
    memcpy(w->out + w->out_len + piece, r->bytes, len - piece);
    w->out_len += len;
    r->read += sizeof r->first + (len + sizeof r->first - 1) / sizeof r->first * sizeof r->first;
    look_at_first(r);
}

/* The ring with the oldest line, or NULL; *until is when the oldest line of the others came. */
static struct ring *oldest(struct svl_access_log_writer *w, uint64_t *until)
{
    struct ring *found = NULL;
    uint64_t at = UINT64_MAX;

    *until = UINT64_MAX;
    for (struct ring *r = atomic_load(&w->rings); r; r = r->next) {
        if (r->first.at < at) {
            *until = at;
            at = r->first.at;
            found = r;
        } else if (r->first.at < *until) {
            *until = r->first.at;
        }
    }
    return found;
}

/* One look at every ring: what is in them now is written. Returns whether there was anything. */
static bool empty_rings(struct svl_access_log_writer *w)
{
    bool any = false;
    struct ring *r;
    uint64_t until;

    for (r = atomic_load(&w->rings); r; r = r->next) {
        r->end = atomic_load(&r->tail);
        any |= r->end != r->read;
        w->again |= r->end - r->read > RING_SIZE / 2;
        look_at_first(r);
    }
    while ((r = oldest(w, &until))) {
        do
            take_first(w, r);
        while (r->first.at < until);
        atomic_store_explicit(&r->head, r->read, memory_order_release);
    }
    flush(w);
    return any;
}

/* At most once a minute, and at the end. */
static void say_losses(struct svl_access_log_writer *w, bool last)
{
    uint64_t dropped = 0, now = now_ms();

    if (!last && now < w->say_at)
        return;
    for (struct ring *r = atomic_load(&w->rings); r; r = r->next) {
        uint64_t all = atomic_load_explicit(&r->dropped, memory_order_relaxed);

        dropped += all - r->said;
        r->said = all;
    }
    if (dropped)
        svl_log(SVL_WARN, "access_log: %s: %llu lines dropped: too slow to take them all", w->name,
                (unsigned long long)dropped);
    if (w->lost)
        svl_log(SVL_WARN, "access_log: %s: %llu bytes lost: %s", w->name,
                (unsigned long long)w->lost, svl_strerror(-w->error));
    if (dropped || w->lost)
        w->say_at = now + SAY_EVERY_MS;
    w->lost = 0;
}

static bool have_lines(struct svl_access_log_writer *w)
{
    for (struct ring *r = atomic_load(&w->rings); r; r = r->next)
        if (atomic_load(&r->tail) != r->read)
            return true;
    return false;
}

static void wait_for_wake(struct svl_access_log_writer *w, int ms)
{
    struct pollfd fd = {.fd = w->wake[0], .events = POLLIN};
    char sink[64];

    if (poll(&fd, 1, ms) > 0)
        while (read(w->wake[0], sink, sizeof sink) > 0)
            ;
}

static void sleep_long(struct svl_access_log_writer *w)
{
    atomic_store(&w->asleep, true);
    if (!have_lines(w) && !atomic_load(&w->stopping))
        wait_for_wake(w, -1);
    atomic_store(&w->asleep, false);
}

static void *run(void *arg)
{
    struct svl_access_log_writer *w = arg;

    atomic_store(&w->asleep, false);
    while (!atomic_load(&w->stopping)) {
        bool any = empty_rings(w);

        say_losses(w, false);
        if (!any)
            sleep_long(w);
        if (!atomic_load(&w->stopping) && !w->again)
            wait_for_wake(w, ROUND_MS);
        w->again = false;
    }
    while (empty_rings(w))
        ;
    say_losses(w, true);
    return NULL;
}

/* Life --------------------------------------------------------------------------------------*/

/* Signals are for the threads of the program, not for this one. */
static void start_thread(struct svl_access_log_writer *w)
{
    sigset_t all, before;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    w->running = err == 0;
    if (err)
        svl_log(SVL_ALERT, "access_log: no thread to write it: %s", strerror(err));
}

static int open_target(struct svl_access_log_writer *w, const char *path)
{
    struct stat st;

    if (!path || !strcmp(path, "-")) {
        w->fd = STDOUT_FILENO;
        w->name = "stdout";
    } else {
        w->fd = open_file(path);
        w->name = path;
        w->close_fd = true;
        if (w->fd < 0)
            return -errno;
    }
    if (fstat(w->fd, &st))
        return -errno;
    w->regular = S_ISREG(st.st_mode);
    return 0;
}

int svl_log_writer_open(struct svl_access_log_writer **writer, const char *path)
{
    struct svl_access_log_writer *w = calloc(1, sizeof *w);
    int err;

    if (!w)
        return -ENOMEM;
    w->fd = w->wake[0] = w->wake[1] = -1;
    err = open_target(w, path);
    if (err)
        goto fail;
    if (pipe2(w->wake, O_CLOEXEC | O_NONBLOCK)) {
        err = -errno;
        goto fail;
    }
    atomic_init(&w->asleep, true);
    atomic_flag_clear(&w->started);
    *writer = w;
    return 0;

fail:
    if (w->wake[0] >= 0)
        close(w->wake[0]);
    if (w->wake[1] >= 0)
        close(w->wake[1]);
    if (w->close_fd && w->fd >= 0)
        close(w->fd);
    free(w);
    return err;
}

void svl_log_writer_close(struct svl_access_log_writer *w)
{
    struct ring *next;

    if (!w)
        return;
    atomic_store(&w->stopping, true);
    if (atomic_flag_test_and_set(&w->started) && w->running) {
        wake_up(w);
        pthread_join(w->thread, NULL);
    }
    for (struct ring *r = atomic_load(&w->rings); r; r = next) {
        next = r->next;
        free(r);
    }
    close(w->wake[0]);
    close(w->wake[1]);
    if (w->close_fd)
        close(w->fd);
    free(w);
}

int svl_log_writer_fd(const struct svl_access_log_writer *w)
{
    return w->fd;
}

struct ring *svl_log_writer_ring(struct svl_access_log_writer *w)
{
    struct ring *r = aligned_alloc(CACHE_LINE, sizeof *r);

    if (!r)
        return NULL;
    atomic_init(&r->tail, 0);
    atomic_init(&r->head, 0);
    atomic_init(&r->dropped, 0);
    r->said = 0;
    r->read = r->end = 0;
    r->first = (struct mark){UINT64_MAX, 0};
    r->writer = w;
    r->next = atomic_load(&w->rings);
    while (!atomic_compare_exchange_weak(&w->rings, &r->next, r))
        ;
    return r;
}
