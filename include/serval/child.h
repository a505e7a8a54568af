/* Child processes: started by a worker, told to end, always reaped. */
#ifndef SVL_CHILD_H
#define SVL_CHILD_H

#include "serval/ctx.h"

/* A process with a process group of its own. Valid until on_exit. Its worker
 * ends it, and its group, when the server closes. */
struct svl_child;

struct svl_child_config {
    const char *path;        /* of the program's file */
    const char *const *argv; /* NULL at the end */
    const char *const *env;  /* "NAME=value", NULL at the end: all that it sees */
    const char *dir;         /* where it starts; NULL = here; then path must be absolute */
    bool no_input;           /* its stdin is at its end from the beginning */
};

/* Our ends of its pipes: non-blocking, close-on-exec, the caller's to close; for svl_raw_open(). */
struct svl_child_pipes {
    int in;       /* what it reads; -1 with no_input */
    int out, err; /* what it writes */
};

/* It has ended and was reaped: the last call. `status` as of waitpid(2). May be NULL. */
typedef void svl_exit_fn(struct svl_child *child, void *arg, int status);

/* Loop thread. The child has those three descriptors and no other, default signals, nothing blocked.
 * Returns 0, or UV_E* when it cannot be started: then nothing is left behind. */
int svl_child_start(struct svl_child **child, struct svl_worker *worker,
                    const struct svl_child_config *config, struct svl_child_pipes *pipes,
                    svl_exit_fn *on_exit, void *arg);

/* SIGTERM for its process group, and SIGKILL after grace_ms; with 0, SIGKILL at once. */
void svl_child_kill(struct svl_child *child, unsigned grace_ms);

#endif
