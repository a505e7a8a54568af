#include "net/child.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

struct svl_child {
    uv_poll_t poll;
    struct svl_list link; /* svl_worker::children */
    struct svl_worker *worker;
    struct svl_timer grace;
    svl_exit_fn *on_exit; /* NULL = nobody wants to know */
    void *arg;
    pid_t pid; /* of the process and its group; not reaped, so nobody else's */
    int fd;    /* readable when it has ended */
    bool killed;
};

/* Pipes ------------------------------------------------------------------------------------ */

/* [0] is read from, [1] written to. Not 0 to 2, which the child gets anew. */
static int make_pipe(int fds[2])
{
    if (pipe2(fds, O_CLOEXEC) != 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        int old = fds[i];

        if (old > 2)
            continue;
        fds[i] = fcntl(old, F_DUPFD_CLOEXEC, 3);
        close(old);
    }
    return 0;
}

static void close_pair(const int fds[2])
{
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* Starting --------------------------------------------------------------------------------- */

static int spawn(pid_t *pid, const struct svl_child_config *config, int in, int out, int err)
{
    static const int ours[] = {SIGPIPE, SIGCHLD, SIGHUP,  SIGINT,
                               SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t defaults, none;
    int failed;

    sigemptyset(&none);
    sigemptyset(&defaults);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        sigaddset(&defaults, ours[i]);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                        POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawn_file_actions_init(&actions);
    if (in >= 0)
        posix_spawn_file_actions_adddup2(&actions, in, 0);
    else
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, err, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (config->dir)
        posix_spawn_file_actions_addchdir_np(&actions, config->dir);
    failed = posix_spawn(pid, config->path, &actions, &attr, (char *const *)config->argv,
                         (char *const *)config->env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return -failed;
}

static void on_closed(uv_handle_t *handle)
{
    free(svl_container(handle, struct svl_child, poll));
}

/* Ends with the struct. */
static void reap(struct svl_child *child)
{
    int status = 0;
    pid_t got;

    svl_timer_clear(&child->grace);
    if (child->killed) /* what it has left running; its number is not free before the next line */
        kill(-child->pid, SIGKILL);
    do
        got = waitpid(child->pid, &status, 0);
    while (got < 0 && errno == EINTR);
    svl_list_remove(&child->link);
    if (child->on_exit)
        child->on_exit(child, child->arg, status);
    uv_close((uv_handle_t *)&child->poll, on_closed);
    close(child->fd);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    reap(svl_container(poll, struct svl_child, poll));
}

static void on_grace(struct svl_timer *timer)
{
    kill(-svl_container(timer, struct svl_child, grace)->pid, SIGKILL);
}

/* Watches a process that runs. */
static int watch(struct svl_child **to, struct svl_worker *w, pid_t pid)
{
    struct svl_child *child = svl_calloc(sizeof *child);
    int err = 0;

    child->fd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
    if (child->fd < 0)
        err = -errno;
    else
        err = uv_poll_init(w->loop, &child->poll, child->fd);
    if (err) {
        kill(-pid, SIGKILL);
        waitpid(pid, NULL, 0);
        if (child->fd >= 0)
            close(child->fd);
        free(child);
        return err;
    }
    child->pid = pid;
    child->worker = w;
    child->grace.fire = on_grace;
    svl_list_append(&w->children, &child->link);
    uv_poll_start(&child->poll, UV_READABLE, on_poll);
    *to = child;
    return 0;
}

int svl_child_start(struct svl_child **child, struct svl_worker *w,
                    const struct svl_child_config *config, struct svl_child_pipes *pipes,
                    svl_exit_fn *on_exit, void *arg)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    pid_t pid;
    int failed;

    if ((!config->no_input && (failed = make_pipe(in))) || (failed = make_pipe(out)) ||
        (failed = make_pipe(err)) || (failed = spawn(&pid, config, in[0], out[1], err[1])) ||
        (failed = watch(child, w, pid))) {
        close_pair(in);
        close_pair(out);
        close_pair(err);
        return failed;
    }
    (*child)->on_exit = on_exit;
    (*child)->arg = arg;
    if (in[0] >= 0)
        close(in[0]);
    close(out[1]);
    close(err[1]);
    *pipes = (struct svl_child_pipes){in[1], out[0], err[0]};
    if (in[1] >= 0)
        fcntl(in[1], F_SETFL, O_NONBLOCK);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    return 0;
}

void svl_child_kill(struct svl_child *child, unsigned grace_ms)
{
    struct svl_worker *w = child->worker;

    child->killed = true;
    kill(-child->pid, grace_ms ? SIGTERM : SIGKILL);
    if (grace_ms)
        svl_timer_set(&w->timers, &child->grace, svl_now_ms(w), grace_ms);
}

void svl_children_close(struct svl_worker *w)
{
    while (!svl_list_empty(&w->children)) {
        struct svl_child *child = svl_container(w->children.next, struct svl_child, link);

        svl_child_kill(child, 0);
        reap(child);
    }
}
