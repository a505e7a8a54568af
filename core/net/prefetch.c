/* Files that are not in the page cache: read there by another thread, so that sendfile() never
 * makes the loop wait for a disk. */
#include "net/conn.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

#define AT_HAND_MS 10

struct svl_prefetch {
    uv_work_t work;
    struct svl_worker *worker;
    struct svl_conn *conn; /* NULL = gone meanwhile */
    int fd;                /* our own */
    int64_t offset;
    size_t n;
};

static bool cached_at(int fd, int64_t offset)
{
    char byte;
    struct iovec iov = {&byte, 1};
    ssize_t n = preadv2(fd, &iov, 1, offset, RWF_NOWAIT);

    return n >= 0 || errno != EAGAIN; /* others fail in sendfile, and are told there */
}

static void read_pages(uv_work_t *work)
{
    struct svl_prefetch *job = svl_container(work, struct svl_prefetch, work);
    char bytes[65536];
    size_t done = 0;

    while (done < job->n) {
        size_t want = job->n - done < sizeof bytes ? job->n - done : sizeof bytes;
        ssize_t n = pread(job->fd, bytes, want, job->offset + (int64_t)done);

        if (n <= 0)
            return;
        done += (size_t)n;
    }
}

static void on_read(uv_work_t *work, int status)
{
    struct svl_prefetch *job = svl_container(work, struct svl_prefetch, work);
    struct svl_worker *w = job->worker;
    struct svl_conn *c = job->conn;

    (void)status;
    close(job->fd);
    free(job);
    if (c) {
        c->prefetch = NULL;
        svl_conn_ready(c, SVL_WATCH_WRITE);
    }
    svl_worker_job_done(w);
}

/* Without a descriptor or a thread for it, the loop has to wait for the disk after all. */
static bool start(struct svl_conn *c, int fd, int64_t offset, size_t n)
{
    struct svl_prefetch *job;

    if (!svl_worker_has_threads())
        return false;
    job = svl_calloc(sizeof *job);
    job->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    job->worker = c->worker;
    job->conn = c;
    job->offset = offset;
    job->n = n;
    if (job->fd >= 0 && uv_queue_work(c->worker->loop, &job->work, read_pages, on_read) == 0) {
        c->prefetch = job;
        c->worker->jobs++;
        return true;
    }
    if (job->fd >= 0)
        close(job->fd);
    free(job);
    return false;
}

bool svl_prefetch_ready(struct svl_conn *c, int fd, int64_t offset, size_t n)
{
    struct svl_at_hand *last = &c->worker->at_hand[(unsigned)fd % SVL_AT_HAND];
    uint64_t now = svl_now_ms(c->worker);

    if (c->prefetch)
        return false;
    /* What was sent a moment ago is not out of the page cache yet. */
    if (last->fd == fd && last->offset == offset && last->n == n && now < last->until_ms)
        return true;
    if (!cached_at(fd, offset) || !cached_at(fd, offset + (int64_t)n - 1))
        return !start(c, fd, offset, n);
    *last = (struct svl_at_hand){fd, offset, n, now + AT_HAND_MS};
    return true;
}

void svl_prefetch_forget(struct svl_conn *c)
{
    if (!c->prefetch)
        return;
    c->prefetch->conn = NULL;
    c->prefetch = NULL;
}
