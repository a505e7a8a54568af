/* serval: the ready-made server. Reads the command line, composes the modules, serves a folder. */
#include "serval/features.h"
#include "serval/foreground.h"
#include "serval/options.h"
#include "serval/serval.h"

#if SVL_HAVE_ACCESS_LOG
#include "serval/mod/access_log.h"
#endif
#if SVL_HAVE_COMPRESS
#include "serval/mod/compress.h"
#endif
#if SVL_HAVE_FS
#include "serval/mod/fs.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_START = 3 };
enum { DEFAULT_PORT = 8080, LAST_PORT = 8099 };

enum { LOG_AUTO, LOG_PRETTY, LOG_COMBINED, LOG_OFF }; /* the first three as in access_log.h */
static const char *const log_formats[] = {"auto", "pretty", "combined", "off"};

struct options {
    const char *listen[SVL_MAX_LISTEN], *dir, *log_file, *codings;
    char own[SVL_MAX_LISTEN][24]; /* addresses made from port numbers */
    unsigned n_listen, workers;
    int log; /* LOG_... */
    bool quiet, terminal, any_port;
};

/* One line on stderr, and the end. */
static _Noreturn __attribute__((format(printf, 2, 3))) void refuse(int status, const char *format,
                                                                   ...)
{
    va_list args;

    fputs("serval: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(status);
}

/* Options -----------------------------------------------------------------------------------*/

enum { WORKERS = 256, LOG, LOG_FILE, MODULES, VERSION };

static const struct svl_option table[] = {
    {'l', "listen", "ADDR", "listen there, not on 127.0.0.1:8080; may be repeated"},
    {'p', "port", "N", "short for --listen 127.0.0.1:N; 0 takes a free one"},
    {WORKERS, "workers", "N", "threads that serve; auto, the default, is one per CPU"},
    {LOG, "log", "FORMAT", "access log: pretty, combined, off, or auto"},
    {LOG_FILE, "log-file", "PATH", "append the access log to a file, not to stdout"},
    {'z', "compress", "LIST", "codings for text: br,zstd,gzip,deflate by default; or off"},
    {'q', "quiet", NULL, "no start-up lines, no access log on stdout"},
    {MODULES, "modules", NULL, "list the modules that are built in"},
    {'h', "help", NULL, "show this"},
    {VERSION, "version", NULL, "show the version"},
    {0},
};

static void show_help(void)
{
    puts("usage: serval [OPTIONS] [DIR]     serve a folder; without DIR, this one\n"
         "       serval precompress DIR    write .br, .zst and .gz files next to its files\n");
    svl_options_help(table, stdout);
    puts("\nADDR is 8080 or :8080 (all interfaces), 127.0.0.1:8080, [::1]:8080,\n"
         "unix:/run/x.sock,mode=660 or fd:3 (a listening socket that was inherited).\n"
         "\nexamples:\n"
         "  serval                        this folder, for this machine only\n"
         "  serval -l :8080 ~/Public      a folder, for everybody who can reach this machine\n"
         "  serval -p 0 --log off         any free port, no access log\n"
         "  serval -l unix:/run/www.sock,mode=660 --log-file www.log /srv/www");
}

static void show_modules(void)
{
    for (const struct svl_module *const *m = svl_modules; *m; m++)
        printf("%-12s  %s\n", (*m)->name, (*m)->summary);
}

static const char *listen_on(struct options *o, const char *address)
{
    if (o->n_listen == SVL_MAX_LISTEN)
        return "one address too many";
    o->listen[o->n_listen++] = address;
    return NULL;
}

static const char *take(void *to, int id, const char *value)
{
    struct options *o = to;
    svl_str text = svl_str_of(value);
    unsigned long long n = 0;
    char *own = o->own[o->n_listen % SVL_MAX_LISTEN];

    switch (id) {
    case 'l': return listen_on(o, value);
    case 'p':
        if (!svl_str_u64(text, &n) || n > 65535)
            return "not a port; give a number from 0 to 65535";
        snprintf(own, sizeof o->own[0], "127.0.0.1:%u", (unsigned)n);
        return listen_on(o, own);
    case WORKERS:
        if (strcmp(value, "auto") && (!svl_str_u64(text, &n) || n < 1 || n > 256))
            return "give a number from 1 to 256, or auto";
        o->workers = (unsigned)n;
        return NULL;
    case LOG:
        for (o->log = LOG_OFF; o->log > LOG_AUTO && strcmp(value, log_formats[o->log]); o->log--)
            ;
        return strcmp(value, log_formats[o->log]) ? "give pretty, combined, off or auto" : NULL;
    case LOG_FILE: o->log_file = value; return NULL;
    case 'z': o->codings = value; return NULL;
    case 'q': o->quiet = true; return NULL;
    case 'h': show_help(); exit(0);
    case MODULES: show_modules(); exit(0);
    case VERSION: puts("serval " SVL_VERSION); exit(0);
    default:
        if (o->dir)
            return "one folder is enough";
        o->dir = value;
        return NULL;
    }
}

/* Fills in what was not said and refuses what cannot work. */
static void complete(struct options *o)
{
    int fd = -1;

    o->terminal = isatty(STDOUT_FILENO);
    if (!o->dir)
        o->dir = ".";
    if (!o->n_listen) {
        o->any_port = o->terminal;
        take(o, 'p', "8080");
    }
    if (o->quiet) {
        svl_log_level(SVL_WARN);
        if (!o->log_file)
            o->log = LOG_OFF;
    }
#if !SVL_HAVE_ACCESS_LOG
    if (o->log_file || o->log == LOG_PRETTY || o->log == LOG_COMBINED)
        refuse(EXIT_USAGE, "--log: this serval was built without the access_log module");
#endif
#if !SVL_HAVE_COMPRESS
    if (o->codings && strcmp(o->codings, "off"))
        refuse(EXIT_USAGE, "--compress: this serval was built without the compress module");
#endif
#if !SVL_HAVE_FS
    refuse(EXIT_USAGE, "%s: this serval was built without the fs module", o->dir);
#endif
    fd = open(o->dir, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECTORY);
    if (fd < 0 && errno == ENOTDIR && !access(o->dir, F_OK))
        refuse(EXIT_USAGE, "%s: is a file; give the folder it is in", o->dir);
    if (fd < 0 || faccessat(fd, ".", X_OK, AT_EACCESS))
        refuse(errno == EACCES || errno == EPERM ? EXIT_START : EXIT_USAGE, "%s: %s", o->dir,
               strerror(errno));
    close(fd);
}

/* Starting ----------------------------------------------------------------------------------*/

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

/* Opens the server. Who runs it on a terminal and did not ask for a port gets the next free one. */
static int open_server(struct svl_server **server, struct options *o, const struct svl_use *chain,
                       struct complaints *c)
{
    struct svl_server_config config = {.chain = chain, .workers = o->workers};
    int err, port = DEFAULT_PORT;

    memcpy(config.listen, o->listen, sizeof config.listen);
    if (!o->any_port)
        return svl_server_open(server, &config);

    svl_log_to(keep, c);
    while ((err = svl_server_open(server, &config)) == -EADDRINUSE && port < LAST_PORT)
        snprintf(o->own[0], sizeof o->own[0], "127.0.0.1:%d", ++port);
    svl_log_to(NULL, NULL);
    if (err)
        fprintf(stderr, "serval: %s\n", c->last);
    return err;
}

/* Descriptors 0 to 2 must not become a file or a socket of ours. */
static void fill_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
}

static int serve(struct options *o)
{
    /* Outermost first: requests pass from top to bottom, answers from bottom to top. */
    const struct svl_use chain[] = {
#if SVL_HAVE_ACCESS_LOG
        SVL_USE(access_log, .path = o->log_file, .format = (enum svl_access_log_format)o->log),
#endif
#if SVL_HAVE_COMPRESS
        SVL_USE(compress, .codings = o->codings),
#endif
#if SVL_HAVE_FS
        SVL_USE(fs, .root = o->dir, .listing = SVL_FS_LISTING_ON),
#endif
        SVL_USE_END,
    };
    bool no_log = SVL_HAVE_ACCESS_LOG && o->log == LOG_OFF;
    struct complaints complaints = {0};
    char title[512], root[PATH_MAX];
    struct svl_foreground about = {.quiet = o->quiet, .title = title, .key = "root"};
    struct svl_server *server;
    int err;

    err = open_server(&server, o, no_log ? chain + 1 : chain, &complaints);
    if (err == SVL_EBADADDR || err == SVL_ECONFIG)
        return EXIT_USAGE;
    if (err)
        return EXIT_START;

    snprintf(title, sizeof title,
             "serval %s  serving %s  (listing on, dotfiles hidden, symlinks stay inside)",
             SVL_VERSION, o->dir);
    about.text = realpath(o->dir, root) ? root : o->dir;
    about.note = complaints.first[0] ? complaints.first : NULL;
    svl_server_foreground(server, &about);
    svl_server_close(server);
    return 0;
}

#if SVL_HAVE_COMPRESS
/* serval precompress: sidecars of a folder's files ------------------------------------------*/

struct precompress_options {
    const char *codings, *dir;
    bool quiet;
};

static const struct svl_option precompress_table[] = {
    {'z', "compress", "LIST", "which ones; br,zstd,gzip by default"},
    {'q', "quiet", NULL, "no bar and no summary"},
    {'h', "help", NULL, "show this"},
    {0},
};

static const char *take_precompress(void *to, int id, const char *value)
{
    struct precompress_options *o = to;

    switch (id) {
    case 'z': o->codings = value; return NULL;
    case 'q': o->quiet = true; return NULL;
    case 'h':
        puts("usage: serval precompress [OPTIONS] DIR     write .br, .zst and .gz files\n");
        svl_options_help(precompress_table, stdout);
        exit(0);
    default:
        if (o->dir)
            return "one folder is enough";
        o->dir = value;
        return NULL;
    }
}

static int precompress(char **argv)
{
    struct precompress_options options = {0};
    struct svl_precompress job = {0};
    char why[256];

    if (svl_options_read(precompress_table, argv, take_precompress, &options, why, sizeof why))
        refuse(EXIT_USAGE, "precompress: %s", why);
    if (!options.dir)
        refuse(EXIT_USAGE, "precompress: give a folder");
    job.codings = options.codings;
    job.progress = !options.quiet && isatty(STDERR_FILENO);
    if (svl_precompress(options.dir, &job))
        return EXIT_USAGE;
    if (!options.quiet)
        printf("%u files: %u sidecars written, %u current, %u not worth it, %u failed; %llu bytes "
               "became %llu\n",
               job.files, job.written, job.current, job.useless, job.failed,
               (unsigned long long)job.bytes_in, (unsigned long long)job.bytes_out);
    return job.failed ? EXIT_FAILURE : 0;
}
#endif

int main(int argc, char **argv)
{
    struct options options = {0};
    char why[256];

    fill_standard_descriptors();
#if SVL_HAVE_COMPRESS
    if (argc > 1 && !strcmp(argv[1], "precompress"))
        return precompress(argv + 1);
#endif
    (void)argc;
    if (svl_options_read(table, argv, take, &options, why, sizeof why))
        refuse(EXIT_USAGE, "%s (serval --help lists all)", why);
    complete(&options);
    return serve(&options);
}
