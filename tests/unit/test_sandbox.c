/* What is forbidden must fail, what a server does must not. Each case is a process of its own, because
 * there is no way out of a sandbox; it reports with its exit code. */
#include "serval/sandbox.h"

#include "base/check.h"
#include "serval/error.h"
#include "serval/log.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[64], readable[80], writable[80], outside[80];

static void put(const char *folder, const char *name)
{
    char path[200];
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_CREAT | O_WRONLY, 0644);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, "x", 1), 1);
    close(fd);
}

static void set_up(void)
{
    snprintf(root, sizeof root, "/tmp/serval-box-XXXXXX");
    cr_assert(mkdtemp(root));
    chmod(root, 0755);
    snprintf(readable, sizeof readable, "%s/readable", root);
    snprintf(writable, sizeof writable, "%s/writable", root);
    snprintf(outside, sizeof outside, "%s/outside", root);
    mkdir(readable, 0777);
    mkdir(writable, 0777);
    mkdir(outside, 0777);
    put(readable, "file");
    put(writable, "file");
    put(outside, "file");
}

static void tear_down(void)
{
    char command[100];

    snprintf(command, sizeof command, "rm -rf %s", root);
    cr_assert_eq(system(command), 0);
}

TestSuite(sandbox, .init = set_up, .fini = tear_down);

static void enter(void)
{
    const char *const may_read[] = {readable, NULL}, *const may_write[] = {writable, NULL};
    struct svl_sandbox box = {.confined = true, .readable = may_read, .writable = may_write};
    int err = svl_sandbox_enter(&box);

    if (err == -ENOSYS)
        _exit(100); /* this kernel cannot */
    if (err)
        _exit(101);
}

/* Runs it in a process of its own: it passes by returning true. */
static void in_a_box(bool (*check)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        enter();
        _exit(check() ? 0 : 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "a signal: %d", WTERMSIG(status));
    if (WEXITSTATUS(status) == 100)
        cr_skip_test("this kernel has no Landlock");
    cr_assert_eq(WEXITSTATUS(status), 0);
}

/* 0, or the error of opening folder/name. */
static int try_open(const char *folder, const char *name, int flags)
{
    char path[200];
    int fd, err;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, flags, 0644);
    err = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return err;
}

static bool files(void)
{
    return try_open(readable, "file", O_RDONLY) == 0 &&
           try_open(readable, ".", O_RDONLY | O_DIRECTORY) == 0 &&
           try_open(readable, "file", O_WRONLY) == EACCES &&
           try_open(readable, "new", O_WRONLY | O_CREAT) == EACCES &&
           try_open(readable, "../outside/file", O_RDONLY) == EACCES &&
           try_open(writable, "new", O_WRONLY | O_CREAT | O_APPEND) == 0 &&
           try_open(outside, "file", O_RDONLY) == EACCES &&
           try_open(outside, "new", O_WRONLY | O_CREAT) == EACCES &&
           try_open("/etc", "passwd", O_RDONLY) == EACCES &&
           try_open("/proc/self", "mem", O_RDWR) == EACCES &&
           try_open("/dev", "null", O_RDONLY) == 0;
}

Test(sandbox, files_outside_cannot_be_opened)
{
    in_a_box(files);
}

static bool removal(void)
{
    char path[200];

    snprintf(path, sizeof path, "%s/file", readable);
    if (unlink(path) == 0 || errno != EACCES)
        return false;
    snprintf(path, sizeof path, "%s/file", writable);
    return unlink(path) == 0;
}

Test(sandbox, only_what_is_writable_can_be_removed)
{
    in_a_box(removal);
}

static bool execution(void)
{
    char *const argv[] = {"true", NULL};

    execv("/bin/true", argv);
    if (errno != EPERM)
        return false;
    return fork() < 0 && errno == EPERM;
}

Test(sandbox, nothing_is_executed_and_there_are_no_new_processes)
{
    in_a_box(execution);
}

static bool forbidden_calls(void)
{
    const long calls[] = {SYS_ptrace, SYS_mount,  SYS_unshare, SYS_setns,
                          SYS_bpf,    SYS_setuid, SYS_chroot,  SYS_init_module,
                          425,        SYS_keyctl, SYS_fchmodat};

    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
        if (syscall(calls[i], 0, 0, 0, 0, 0) != -1 || errno != EPERM)
            return false;
    return true;
}

Test(sandbox, calls_that_lead_further_are_refused)
{
    in_a_box(forbidden_calls);
}

static void *nothing(void *arg)
{
    return arg;
}

static bool threads(void)
{
    pthread_t thread;
    void *got;

    return pthread_create(&thread, NULL, nothing, root) == 0 && pthread_join(thread, &got) == 0 &&
           got == root;
}

Test(sandbox, threads_can_still_be_started)
{
    in_a_box(threads);
}

/* A socket that listened before can be accepted from; the client is in the parent. */
Test(sandbox, connections_are_accepted_and_none_are_made)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listening = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    int status;
    pid_t pid;

    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", root);
    cr_assert_eq(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(listening, 5), 0);
    cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    pid = fork();
    if (pid == 0) {
        int fd;

        enter();
        fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || send(fd, "hello", 5, 0) != 5)
            _exit(2);
        if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EPERM)
            _exit(3);
        if (connect(listening, (struct sockaddr *)&address, sizeof address) == 0 || errno != EPERM)
            _exit(4);
        if (listen(listening, 1) == 0 || errno != EPERM)
            _exit(5);
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    close(listening);
    close(client);
    if (WEXITSTATUS(status) == 100)
        cr_skip_test("this kernel has no Landlock");
    cr_assert_eq(status, 0);
}

static char said[256];

static void hear(enum svl_level level, const char *line, void *arg)
{
    (void)level;
    (void)arg;
    snprintf(said, sizeof said, "%s", line);
}

Test(sandbox, a_user_that_does_not_exist_is_said)
{
    svl_log_to(hear, NULL);
    cr_assert_eq(svl_sandbox_enter(&(struct svl_sandbox){.user = "no-such-user"}), SVL_ECONFIG);
    cr_assert(strstr(said, "no-such-user"));
    cr_assert_eq(svl_sandbox_enter(&(struct svl_sandbox){.user = "0:no-such-group"}), SVL_ECONFIG);
}

/* As nobody: no groups, and no way back. */
Test(sandbox, another_user_is_one_for_good)
{
    int status;
    pid_t pid;

    if (geteuid() != 0)
        cr_skip_test("only root can become somebody else");
    pid = fork();
    if (pid == 0) {
        if (svl_sandbox_enter(&(struct svl_sandbox){.user = "65534:65533"}))
            _exit(2);
        if (getuid() != 65534 || geteuid() != 65534 || getgid() != 65533 || getgroups(0, NULL) != 0)
            _exit(3);
        _exit(setuid(0) == 0 || setgid(0) == 0 ? 4 : 0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
}

Test(sandbox, a_folder_that_does_not_exist_is_said)
{
    const char *const paths[] = {"/no/such/folder", NULL};
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        svl_log_to(hear, NULL);
        if (svl_sandbox_enter(&(struct svl_sandbox){.confined = true, .readable = paths}) ==
            -ENOSYS)
            _exit(100);
        _exit(strstr(said, "/no/such/folder") ? 0 : 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    if (WEXITSTATUS(status) == 100)
        cr_skip_test("this kernel has no Landlock");
    cr_assert_eq(status, 0);
}
