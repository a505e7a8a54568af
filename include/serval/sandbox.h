/* Giving up what a server does not need once it listens: so that whoever finds a hole in it gains
 * little. Linux: Landlock for files, seccomp for system calls. */
#ifndef SVL_SANDBOX_H
#define SVL_SANDBOX_H

#include <stdbool.h>

struct svl_sandbox {
    const char
        *user;     /* become that user, and its group or the one behind a colon: "www", "www:www",
                       * "1000:1000"; NULL = stay who we are */
    bool confined; /* the rest of this: */
    const char *const *readable; /* files and folders that can be read; NULL at the end */
    const char *const *writable; /* the same, to be written, created and removed too */
};

/* Between svl_server_open(), which may need more rights, and svl_server_run(): threads that run already
 * would keep their access to files. For the rest of the process's life, and for all it starts:
 *     - files outside the lists cannot be opened, nothing can be executed;
 *     - sockets can be accepted from those that listen, no others can be made, bound or connected;
 *     - no processes, mounts, kernel modules, tracing, other users.
 * What is forbidden fails with EACCES or EPERM. Programs that use the client, child processes or name
 * resolution cannot be confined. Returns 0, or < 0 after saying why with svl_log(): SVL_ECONFIG for a
 * user that does not exist, UV_ENOSYS when this kernel or this build cannot; nothing is half done
 * then but the change of user. */
int svl_sandbox_enter(const struct svl_sandbox *box);

#endif
