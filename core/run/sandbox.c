/* Landlock has no function in libc, so its three system calls are made by number. */
#include "serval/sandbox.h"

#include "serval/error.h"
#include "serval/log.h"
#include "serval/text.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __linux__ && __has_include(<linux/landlock.h>) && __has_include(<linux/seccomp.h>) &&  \
    (defined __x86_64__ || defined __aarch64__)
#define CONFINES 1
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#else
#define CONFINES 0
#endif

/* The user ----------------------------------------------------------------------------------- */

static bool find_user(svl_str name, uid_t *uid, gid_t *gid)
{
    char text[256];
    unsigned long long number;
    const struct passwd *user;

    svl_str_copy(text, sizeof text, name);
    user = getpwnam(text);
    if (!user && svl_str_u64(name, &number) && number < UINT32_MAX) {
        user = getpwuid((uid_t)number);
        *uid = (uid_t)number;
        *gid = user ? user->pw_gid : (gid_t)number;
        return true;
    }
    if (!user)
        return false;
    *uid = user->pw_uid;
    *gid = user->pw_gid;
    return true;
}

static bool find_group(svl_str name, gid_t *gid)
{
    char text[256];
    unsigned long long number;
    const struct group *group;

    svl_str_copy(text, sizeof text, name);
    group = getgrnam(text);
    if (group)
        *gid = group->gr_gid;
    else if (svl_str_u64(name, &number) && number < UINT32_MAX)
        *gid = (gid_t)number;
    else
        return false;
    return true;
}

static int become(const char *who)
{
    svl_str all = svl_str_of(who), name = svl_str_head(all, svl_str_find(all, ':'));
    uid_t uid;
    gid_t gid;

    if (!find_user(name, &uid, &gid) ||
        (name.n < all.n && !find_group(svl_str_from(all, name.n + 1), &gid))) {
        svl_log(SVL_ALERT, "sandbox: %s: no such user or group", who);
        return SVL_ECONFIG;
    }
    if (geteuid() == uid && getegid() == gid)
        return 0;
    if (setgroups(0, NULL) || setgid(gid) || setuid(uid) || (uid && setuid(0) == 0)) {
        svl_log(SVL_ALERT, "sandbox: cannot become %s: %s", who, strerror(errno));
        return errno ? -errno : -EPERM;
    }
    return 0;
}

#if CONFINES

/* Files -------------------------------------------------------------------------------------- */

#define READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITES                                                                                     \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define TRUNCATE (1ull << 14) /* since the third version */
#define ON_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE)
#define FIRST_VERSION ((1ull << 13) - 1)

/* What can be forbidden: each version of Landlock knows more. */
static uint64_t known_rights(long version)
{
    return FIRST_VERSION | (version >= 2 ? 1ull << 13 : 0) | (version >= 3 ? TRUNCATE : 0) |
           (version >= 5 ? 1ull << 15 : 0);
}

static int allow(int rules, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights};
    struct stat st;
    long err = 0;

    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return -errno;
    if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed_access &= ON_FILES;
    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        err = -errno;
    close(rule.parent_fd);
    return (int)err;
}

static int allow_all(int rules, const char *const *paths, uint64_t rights)
{
    for (; paths && *paths; paths++) {
        int err = allow(rules, *paths, rights);

        if (err) {
            svl_log(SVL_ALERT, "sandbox: %s: %s", *paths, strerror(-err));
            return err;
        }
    }
    return 0;
}

static int confine_files(const struct svl_sandbox *box)
{
    static const char *const always[] = {"/dev/null", NULL}; /* the listener's reserve */
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    uint64_t known = known_rights(version);
    struct landlock_ruleset_attr attr = {.handled_access_fs = known};
    int rules, err;

    if (version < 1) {
        svl_log(SVL_ALERT, "sandbox: this kernel has no Landlock, or it is switched off "
                           "(Linux 5.13, CONFIG_SECURITY_LANDLOCK, lsm=landlock)");
        return -ENOSYS;
    }
    rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr.handled_access_fs, 0);
    if (rules < 0)
        return -errno;
    err = allow_all(rules, always, READS & known);
    if (!err)
        err = allow_all(rules, box->readable, READS & known);
    if (!err)
        err = allow_all(rules, box->writable, (READS | WRITES | TRUNCATE) & known);
    if (!err && syscall(SYS_landlock_restrict_self, rules, 0) != 0)
        err = -errno;
    close(rules);
    return err;
}

/* System calls ------------------------------------------------------------------------------- */

/* What a server that listens has no use for, and somebody who has got into it would have. */
static const unsigned forbidden[] = {
    SYS_execve,
    SYS_execveat,
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_pidfd_open,
    SYS_unshare,
    SYS_setns,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_swapon,
    SYS_swapoff,
    SYS_reboot,
    SYS_kexec_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_personality,
    SYS_setuid,
    SYS_setgid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setgroups,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_sethostname,
    SYS_acct,
    SYS_quotactl,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_mknodat,
    SYS_fchownat,
    SYS_fchmodat,
    SYS_linkat,
    SYS_symlinkat,
#ifdef SYS_fork
    SYS_fork,
    SYS_vfork,
    SYS_mknod,
    SYS_chown,
    SYS_lchown,
    SYS_chmod,
    SYS_link,
    SYS_symlink,
#endif
    425, /* io_uring_setup and its two: they would do all of this */
    426,
    427,
    428, /* open_tree, move_mount, fsopen, fsconfig, fsmount, fspick */
    429,
    430,
    431,
    432,
    433,
    438, /* pidfd_getfd */
};

#define N_FORBIDDEN (sizeof forbidden / sizeof *forbidden)
#ifdef __x86_64__
#define ARCH AUDIT_ARCH_X86_64
#define FOREIGN 0x40000000u /* calls of the x32 kind have this bit */
#else
#define ARCH AUDIT_ARCH_AARCH64
#define FOREIGN 0x80000000u
#endif
#define SAY(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define REFUSE(error) SAY(SECCOMP_RET_ERRNO | (error))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(test, value, n) BPF_JUMP(BPF_JMP | (test) | BPF_K, (value), 0, (n))

/* A thread is a clone() with CLONE_VM and CLONE_THREAD; clone3() keeps its flags where a filter cannot
 * look, so it does not exist, and libc takes the other. */
#define CLONE_THREAD_BITS (0x100 | 0x10000)

static int confine_calls(void)
{
    struct sock_filter code[16 + 2 * N_FORBIDDEN];
    struct sock_fprog program = {.filter = code};
    unsigned n = 0;

    const struct sock_filter head[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
        SAY(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        SKIP_UNLESS(BPF_JGE, FOREIGN, 1),
        REFUSE(ENOSYS),
        SKIP_UNLESS(BPF_JEQ, 435 /* clone3 */, 1),
        REFUSE(ENOSYS),
        SKIP_UNLESS(BPF_JEQ, SYS_clone, 5),
        LOAD(args[0]),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, CLONE_THREAD_BITS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLONE_THREAD_BITS, 0, 1),
        SAY(SECCOMP_RET_ALLOW),
        REFUSE(EPERM),
    };

    for (; n < sizeof head / sizeof *head; n++)
        code[n] = head[n];
    for (unsigned i = 0; i < N_FORBIDDEN; i++) {
        code[n++] = (struct sock_filter)SKIP_UNLESS(BPF_JEQ, forbidden[i], 1);
        code[n++] = (struct sock_filter)REFUSE(EPERM);
    }
    code[n++] = (struct sock_filter)SAY(SECCOMP_RET_ALLOW);
    program.len = (unsigned short)n;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
        return errno ? -errno : -EPERM; /* > 0: a thread that has a filter of its own */
    return 0;
}

static int confine(const struct svl_sandbox *box)
{
    int err;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    err = confine_files(box);
    if (err)
        return err;
    err = confine_calls();
    if (err)
        svl_log(SVL_ALERT, "sandbox: this kernel takes no seccomp filter: %s", svl_strerror(err));
    return err;
}

#else

static int confine(const struct svl_sandbox *box)
{
    (void)box;
    svl_log(SVL_ALERT, "sandbox: this build has none (it needs Linux on x86-64 or arm64)");
    return -ENOSYS;
}

#endif

int svl_sandbox_enter(const struct svl_sandbox *box)
{
    int err = box->user ? become(box->user) : 0;

    if (err || !box->confined)
        return err;
    return confine(box);
}
