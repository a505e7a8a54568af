#include "cli/serve.h"

#include "serval/error.h"
#include "serval/foreground.h"
#include "serval/log.h"
#include "serval/sandbox.h"
#include "serval/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEFAULT_PORT = 8080, LAST_PORT = 8099 };

#define PORT_ONLY "port " /* in front of a port in the list of addresses: which host is not said */

/* Addresses ------------------------------------------------------------------------------------- */

static const char *add_address(void *to, const char *address)
{
    const char *const *list = *(const char *const **)to;
    size_t n = 0;

    while (list && list[n])
        n++;
    if (n == SVL_MAX_LISTEN)
        return svl_cli_say("too many addresses; %d are enough", SVL_MAX_LISTEN);
    *(const char **)svl_cli_add(to, sizeof address) = address;
    return NULL;
}

const char *svl_take_listen(const struct svl_option *option, const char *value)
{
    if (!*value)
        return "give an address or a port: 8080, 127.0.0.1:8080, unix:/run/x.sock";
    return add_address(option->to, value);
}

const char *svl_take_port(const struct svl_option *option, const char *value)
{
    uint64_t port;

    if (!svl_uint_parse(svl_str_of(value), &port) || port > 65535)
        return "not a port; give a number from 0 to 65535";
    return add_address(option->to, svl_cli_say(PORT_ONLY "%u", (unsigned)port));
}

/* --public may come behind --port, so ports become addresses when all is read. */
static const char *address_of(const struct svl_serving *serving, const char *given)
{
    size_t n = strlen(PORT_ONLY);

    if (strncmp(given, PORT_ONLY, n))
        return given;
    return svl_cli_say("%s:%s", serving->is_public ? "" : "127.0.0.1", given + n);
}

/* The folder ------------------------------------------------------------------------------------ */

static void say_missing(const struct svl_program *program, const char *dir)
{
    const char *names[32] = {NULL}, *like;
    int n = 0;

    for (const struct svl_command *const *c = program->commands + 1; *c && n < 31; c++)
        names[n++] = (*c)->name;
    like = svl_nearest(names, svl_str_of(dir));
    if (like)
        svl_cli_refuse(SVL_CLI_PATH, "%s: %s; did you mean the command %s?", dir, strerror(ENOENT),
                       like);
}

/* The folder a file is in. */
static const char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return ".";
    return slash == path ? "/" : svl_cli_say("%.*s", (int)(slash - path), path);
}

/* Without opening it: of a pipe or a device that may do something. */
static bool is_file(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISREG(st.st_mode);
}

void svl_cli_find_folder(const struct svl_program *program, struct svl_serving *serving)
{
    const char *dir = serving->dir;
    int fd;

    if (is_file(dir)) {
        const char *slash = strrchr(dir, '/');

        serving->file = slash ? slash + 1 : dir;
        serving->dir = dir = folder_of(dir);
    }
    fd = open(dir, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECTORY);
    if (fd < 0 && errno == ENOTDIR && !access(dir, F_OK))
        svl_cli_refuse(SVL_CLI_PATH, "%s: is neither a folder nor a file that can be served", dir);
    if (fd < 0 && errno == ENOENT)
        say_missing(program, dir);
    if (fd < 0 || faccessat(fd, ".", X_OK, AT_EACCESS))
        svl_cli_refuse(errno == EACCES || errno == EPERM ? SVL_CLI_START : SVL_CLI_PATH, "%s: %s",
                       dir, strerror(errno));
    close(fd);
}

void svl_cli_add_fact(struct svl_serving *serving, const char *name, const char *value)
{
    serving->facts = svl_cli_say("%s%s%s %s", serving->facts ? serving->facts : "",
                                 serving->facts ? " · " : "", name, value);
}

/* Starting -------------------------------------------------------------------------------------- */

/* While a free port is looked for, complaints are kept and not printed. */
struct complaints {
    char first[256], last[256];
};

static void keep(enum svl_level level, const char *line, void *arg)
{
    struct complaints *c = arg;

    (void)level;
    snprintf(c->last, sizeof c->last, "%s", line);
    if (!c->first[0])
        memcpy(c->first, c->last, sizeof c->first);
}

/* The start fails with plain words: whoever reads them has just typed the command. Which code they have is
 * known when it has failed. */
static void say(enum svl_level level, const char *line, void *arg)
{
    const char **held = arg;

    if (level == SVL_ALERT)
        *held = svl_cli_say("%s%s\n", *held, line);
    else
        fprintf(stderr, "serval: %s\n", line);
}

static enum svl_cli_code code_of(const char *line, int err)
{
    if (err == SVL_EBADADDR || err == SVL_ECONFIG)
        return SVL_CLI_CONFIG;
    if (strncmp(line, "listener: ", 10))
        return SVL_CLI_START;
    return err == -EADDRINUSE ? SVL_CLI_IN_USE : SVL_CLI_LISTEN;
}

static void say_held(const char *held, int err)
{
    for (size_t n; *held; held += n + 1) {
        n = strcspn(held, "\n");
        if (err)
            svl_cli_complain(code_of(held, err), "%.*s", (int)n, held);
        else
            fprintf(stderr, "serval: %.*s\n", (int)n, held);
    }
}

static int open_server(struct svl_server **server, struct svl_serving *serving,
                       struct complaints *c, const char **held)
{
    struct svl_server_config *config = &serving->config;
    char wanted[24];
    int err, port = DEFAULT_PORT;

    for (int i = 0; serving->listen && serving->listen[i]; i++)
        config->listen[i] = address_of(serving, serving->listen[i]);
    if (config->listen[0])
        return svl_server_open(server, config);

    snprintf(wanted, sizeof wanted, PORT_ONLY "%d", port);
    config->listen[0] = address_of(serving, wanted);
    if (!isatty(STDOUT_FILENO) || serving->strict_port)
        return svl_server_open(server, config);
    svl_log_to(keep, c);
    while ((err = svl_server_open(server, config)) == -EADDRINUSE && port < LAST_PORT) {
        snprintf(wanted, sizeof wanted, PORT_ONLY "%d", ++port);
        config->listen[0] = address_of(serving, wanted);
    }
    if (err)
        say(SVL_ALERT, c->last, held);
    return err;
}

/* Sockets in the file system are removed in the end, and logs opened anew by who turns them over. */
static int give_up_rights(const struct svl_server *server, const struct svl_serving *serving)
{
    const char *const readable[] = {serving->dir, NULL};
    const char *writable[SVL_MAX_LISTEN + 5] = {NULL}, *address;
    size_t n = 0;

    if (serving->writes)
        writable[n++] = folder_of(serving->writes);
    if (serving->pid_file)
        writable[n++] = folder_of(serving->pid_file);
    for (size_t i = 0; i < sizeof serving->fills / sizeof *serving->fills; i++)
        if (serving->fills[i])
            writable[n++] = serving->fills[i];
    for (unsigned i = 0; (address = svl_server_address(server, i)); i++)
        if (!strncmp(address, "unix:", 5))
            writable[n++] = folder_of(address + 5);
    return svl_sandbox_enter(
        &(struct svl_sandbox){serving->user, serving->sandbox, readable, writable});
}

/* Whole or not at all, as others may look at it any time. */
static int write_pid_file(const char *path)
{
    const char *made = svl_cli_say("%s.%d", path, (int)getpid());
    FILE *file = fopen(made, "wxe");
    bool good = file && fprintf(file, "%d\n", (int)getpid()) > 0;
    int err;

    if (file && fclose(file))
        good = false;
    if (good && !rename(made, path))
        return 0;
    err = errno;
    svl_cli_complain(SVL_CLI_START,
                     "--pid-file %s: %s; give a path in a folder that may be written to", path,
                     strerror(err));
    if (file)
        unlink(made);
    return -err;
}

/* Another one that was started meanwhile may have put its own there. NULL = there is none. */
static void remove_pid_file(const char *path)
{
    FILE *file = path ? fopen(path, "re") : NULL;
    int pid = 0;

    if (!file)
        return;
    if (fscanf(file, "%d", &pid) != 1)
        pid = 0;
    fclose(file);
    if (pid == (int)getpid() && unlink(path))
        svl_log(SVL_WARN, "--pid-file %s: %s", path, strerror(errno));
}

/* The first address that a browser can open; of all interfaces, this machine's. */
static const char *link_to(const struct svl_server *server)
{
    const char *address, *all = "http://[::]:";

    for (unsigned i = 0; (address = svl_server_address(server, i)); i++) {
        if (!strncmp(address, all, strlen(all)))
            return svl_cli_say("http://127.0.0.1:%s", address + strlen(all));
        if (!strncmp(address, "http://", 7))
            return address;
    }
    return NULL;
}

/* The first address that other machines can open, or NULL. */
static const char *link_for_others(const struct svl_server *server)
{
    const char *address;
    char url[256];

    for (unsigned i = 0; (address = svl_server_address(server, i)); i++)
        if (svl_address_for_others(address, url, sizeof url))
            return svl_cli_copy(url);
    return NULL;
}

/* The address and its picture, or why there is none. */
static const char *picture_of(const struct svl_server *server)
{
    const char *link = link_for_others(server), *code = link ? svl_cli_qr(link) : NULL;

    if (code)
        return svl_cli_say("%s  %s\n", code, link);
    return link ? "  no QR code: this serval was built without libqrencode\n"
                : "  no QR code: only this machine can reach it; --public shares it\n";
}

/* The sockets listen already, so it does not matter how fast the browser is. */
static void open_browser(const struct svl_server *server)
{
    const char *link = link_to(server);
    char *argv[] = {"xdg-open", svl_cli_copy(link ? link : ""), NULL};
    posix_spawn_file_actions_t actions;
    int err;
    pid_t pid;

    if (!link) {
        svl_log(SVL_WARN, "--open: there is no address that a browser can open");
        return;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    signal(SIGCHLD, SIG_IGN); /* nobody waits for it */
    err = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (err)
        svl_log(SVL_WARN, "--open: %s: %s", argv[0], strerror(err));
}

static void press_stop(void *server)
{
    if (kill(getpid(), SIGINT)) /* as Ctrl-C does, which says what it waits for */
        svl_server_stop(server);
}

static void press_open(void *server)
{
    open_browser(server);
}

static void press_qr(void *server)
{
    printf("%s", picture_of(server));
    fflush(stdout);
}

static const struct svl_key keys[] = {{'q', press_stop}, {'o', press_open}, {'r', press_qr}, {0}};

/* What the options have come to. */
static void say_more(const struct svl_serving *serving)
{
    const struct svl_server_config *config = &serving->config;
    const char *modules = "";
    struct rlimit files = {0};

    for (const struct svl_use *use = config->chain; use->module; use++)
        modules = svl_cli_say("%s%s%s", modules, *modules ? ", " : "", use->module->name);
    getrlimit(RLIMIT_NOFILE, &files);
    svl_log(SVL_DEBUG, "modules, in the order requests pass them: %s", modules);
    svl_log(SVL_DEBUG,
            "descriptors: %llu; limits that were given: %u connections, %zu of a head, "
            "%zu of a body, %zu of memory (0: the default)",
            (unsigned long long)files.rlim_cur, config->max_connections, config->max_head,
            config->max_body, config->max_memory);
}

int svl_cli_serve(const struct svl_program *program, struct svl_serving *serving)
{
    struct complaints complaints = {0};
    const char *held = "";
    char root[PATH_MAX];
    const char *path =
        serving->file ? svl_cli_say("%s/%s", serving->dir, serving->file) : serving->dir;
    struct svl_foreground about = {.quiet = serving->quiet, .key = "root"};
    struct svl_server *server;
    int err;

    if (serving->quiet && serving->verbose)
        svl_cli_refuse(SVL_CLI_TOGETHER,
                       "--quiet and --verbose exclude each other; give one of them");
    if (serving->verbose)
        serving->level = SVL_DEBUG;
    svl_log_level(serving->quiet && serving->level < SVL_WARN ? SVL_WARN
                                                              : (enum svl_level)serving->level);
    svl_log_to(say, &held);
    err = open_server(&server, serving, &complaints, &held);
    svl_log_to(NULL, NULL);
    say_held(held, err);
    if (err == SVL_EBADADDR || err == SVL_ECONFIG)
        return SVL_EXIT_USAGE;
    if (err)
        return SVL_EXIT_START;

    say_more(serving);
    if (serving->pid_file && write_pid_file(serving->pid_file)) {
        svl_server_close(server);
        return SVL_EXIT_START;
    }
    held = "";
    svl_log_to(say, &held);
    err = give_up_rights(server, serving);
    svl_log_to(NULL, NULL);
    say_held(held, err);
    if (err) {
        remove_pid_file(serving->pid_file);
        svl_server_close(server);
        return err == SVL_ECONFIG ? SVL_EXIT_USAGE : SVL_EXIT_START;
    }
    about.title = svl_cli_say("%s %s  serving %s%s%s%s", program->name, program->version, path,
                              serving->what ? "  (" : "", serving->what ? serving->what : "",
                              serving->what ? ")" : "");
    about.text = realpath(path, root) ? root : path;
    about.facts = serving->facts;
    about.private = "off; --public shares it on";
    complaints.first[strcspn(complaints.first, ";")] = '\0'; /* what to do about it, it has done */
    about.note = complaints.first[0] ? complaints.first : NULL;
    if (serving->open)
        open_browser(server);
    if (serving->qr)
        about.picture = picture_of(server);
    if (!serving->quiet && svl_keys_start(keys, server))
        about.keys = "q or Ctrl-C stops, o opens it, r shows a QR code";
    svl_server_foreground(server, &about);
    svl_keys_stop();
    remove_pid_file(serving->pid_file);
    svl_server_close(server);
    return 0;
}
