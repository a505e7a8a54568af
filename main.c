/* serval: the ready-made server. Reads the command line, composes the modules, serves a folder. */
#include "serval/features.h"
#include "serval/foreground.h"
#include "serval/options.h"
#include "serval/serval.h"
#include "serval/text.h"

#if SVL_HAVE_ACCESS_LOG
#include "serval/mod/access_log.h"
#endif
#if SVL_HAVE_COMPRESS
#include "serval/mod/compress.h"
#endif
#if SVL_HAVE_ERRORS
#include "serval/mod/errors.h"
#endif
#if SVL_HAVE_FS
#include "serval/mod/fs.h"
#endif
#if SVL_HAVE_HEADERS
#include "serval/mod/headers.h"
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

enum { LIST_MAX = 32 }; /* values of an option that may be repeated */

/* "wasm=application/wasm", "X-A: b", "404=404.html" in two; of the last, the file's content. */
struct pair {
    const char *name, *value;
};

enum { LISTING_OFF, LISTING_ON, LISTING_JSON };
static const char *const listings[] = {"off", "on", "json", NULL};
static const char *const symlinks[] = {"inside", "deny", "follow", NULL};
static const char *const dotfiles[] = {"deny", "serve", NULL};
static const char *const switches[] = {"off", "on", NULL};

struct options {
    const char *listen[SVL_MAX_LISTEN], *dir, *log_file, *codings;
    char own[SVL_MAX_LISTEN][24]; /* addresses made from port numbers */
    unsigned n_listen, workers;
    int log; /* LOG_... */
    bool quiet, terminal, any_port;
    bool listen_from_env, full_help;

    /* Files. Lists end with a zeroed entry: there is always room for one. */
    const char *index[LIST_MAX + 1], *immutable[LIST_MAX + 1];
    const char *spa, *prefix, *cache_control;
    int listing, symlinks; /* as in fs.h */
    bool dotfiles, pretty_urls, no_sidecars;
    struct pair mime[LIST_MAX + 1], header[LIST_MAX + 1], error_page[LIST_MAX + 1];
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

enum { INDEX = 300, LISTING, DOTFILES, SYMLINKS, PREFIX, MIME, PRETTY_URLS, SPA };
enum { ERROR_PAGE = 320, CACHE, IMMUTABLE, PRECOMPRESSED };
enum { WORKERS = 256, LOG, LOG_FILE, MODULES, VERSION };

static const struct svl_option table[] = {
    {'l', "listen", "ADDR", "listen there, not on 127.0.0.1:8080; may be repeated"},
    {'p', "port", "N", "short for --listen 127.0.0.1:N; 0 takes a free one"},
    {WORKERS, "workers", "N", "threads that serve; auto, the default, is one per CPU"},
    {LOG, "log", "FORMAT", "access log: pretty, combined, off, or auto"},
    {LOG_FILE, "log-file", "PATH", "append the access log to a file, not to stdout"},
    {'z', "compress", "LIST", "codings for text: br,zstd,gzip,deflate by default; or off"},
    {'q', "quiet", NULL, "no start-up lines, no access log on stdout"},
    {INDEX, "index", "NAMES", "files that stand for their folder, as in index.html,index.htm"},
    {LISTING, "listing", "WHAT", "folders without one: on (a page), json, or off"},
    {DOTFILES, "dotfiles", "WHAT", "names with a leading dot: deny or serve"},
    {SYMLINKS, "symlinks", "WHAT", "links that stay inside of DIR, deny all, or follow all"},
    {PREFIX, "prefix", "PATH", "serve DIR below /PATH"},
    {MIME, "mime", "EXT=TYPE", "the type of files with that extension; may be repeated"},
    {PRETTY_URLS, "pretty-urls", NULL, "/about is about.html"},
    {SPA, "spa", "FILE", "what browsers get for paths that are not there: index.html"},
    {ERROR_PAGE, "error-page", "CODE=FILE", "an HTML page for that status; may be repeated"},
    {CACHE, "cache", "WHAT", "what browsers keep: revalidate (the default), off, or SECONDS"},
    {IMMUTABLE, "immutable", "GLOB", "files that never change under their name; may be repeated"},
    {PRECOMPRESSED, "precompressed", "WHAT", "use file.br, file.zst, file.gz: on or off"},
    {'H', "header", "'NAME: VALUE'", "a field for all answers; may be repeated"},
    {MODULES, "modules", NULL, "list the modules that are built in"},
    {'h', "help", NULL, "show the options people use; --help shows all"},
    {VERSION, "version", NULL, "show the version"},
    {0},
};

/* -h: what people use, on one screen. --help: all of it. */
static void show_help(bool all)
{
    static const int common[] = {'l', 'p', LISTING, SPA, CACHE, 'H', LOG, 'q', 'h', VERSION};
    struct svl_option some[sizeof common / sizeof *common + 1] = {{0}};
    size_t n = 0;

    for (const struct svl_option *option = table; option->name; option++) {
        for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
            if (option->id == common[i])
                some[n++] = *option;
        }
    }
    puts("usage: serval [OPTIONS] [DIR]     serve a folder; without DIR, this one\n"
         "       serval precompress DIR    write .br, .zst and .gz files next to its files\n");
    svl_options_help(all ? table : some, stdout);
    if (all)
        puts("\nSERVAL_LISTEN in the environment is --listen, and so on; the command line counts "
             "more.");
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
    if (o->listen_from_env) { /* the command line counts more */
        o->listen_from_env = false;
        o->n_listen = 0;
    }
    if (o->n_listen == SVL_MAX_LISTEN)
        return "one address too many";
    o->listen[o->n_listen++] = address;
    return NULL;
}

/* The place of a word in a list, or -1. */
static int word(const char *const *words, const char *value)
{
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], value) == 0)
            return i;
    }
    return -1;
}

static bool append(const char **list, const char *value)
{
    for (int i = 0; i < LIST_MAX; i++) {
        if (!list[i]) {
            list[i] = value;
            return true;
        }
    }
    return false;
}

/* Memory of options: as long as the program. */
static void *own(size_t n)
{
    static struct block {
        struct block *next;
        char bytes[];
    } * blocks;
    struct block *block = calloc(1, sizeof *block + n);

    if (!block)
        refuse(EXIT_START, "no memory");
    block->next = blocks;
    blocks = block;
    return block->bytes;
}

static char *own_copy(const char *value)
{
    size_t n = strlen(value) + 1;

    return memcpy(own(n), value, n);
}

/* "a,b,c" in place of the list. */
static const char *split_names(const char **list, const char *value)
{
    char *copy = own_copy(value), *rest = copy, *name;

    memset(list, 0, LIST_MAX * sizeof *list);
    while ((name = strsep(&rest, ","))) {
        if (*name && !append(list, name))
            return "too many names";
    }
    return list[0] ? NULL : "give file names, with commas between them";
}

static struct pair *new_pair(struct pair *list, const char *value, char separator)
{
    char *copy = own_copy(value), *at = strchr(copy, separator);

    for (int i = 0; at && at > copy && i < LIST_MAX; i++) {
        if (list[i].name)
            continue;
        *at++ = 0;
        list[i].name = copy;
        list[i].value = at + strspn(at, " ");
        return &list[i];
    }
    return NULL;
}

static const char *read_file(const char *path)
{
    enum { PAGE_MAX = 256 << 10 };
    FILE *file = fopen(path, "re");
    char *text;
    size_t n;
    bool failed;

    if (!file)
        return NULL;
    text = own(PAGE_MAX + 1);
    n = fread(text, 1, PAGE_MAX + 1, file);
    failed = ferror(file) || n > PAGE_MAX;
    fclose(file);
    return failed ? NULL : text;
}

static const char *take_error_page(struct options *o, const char *value)
{
    struct pair *page = new_pair(o->error_page, value, '=');
    unsigned long long status;

    if (!page || !svl_str_u64(svl_str_of(page->name), &status) || status < 400 || status > 599)
        return "give a status from 400 to 599 and a file: 404=404.html";
    page->value = read_file(page->value);
    return page->value ? NULL : "that file cannot be read, or is longer than 256 KiB";
}

static const char *take_cache(struct options *o, const char *value)
{
    unsigned long long seconds;
    char text[64];

    if (strcmp(value, "revalidate") == 0) {
        o->cache_control = "no-cache";
    } else if (strcmp(value, "off") == 0) {
        o->cache_control = "no-store";
    } else if (svl_str_u64(svl_str_of(value), &seconds) && seconds <= 31536000) {
        snprintf(text, sizeof text, "max-age=%llu", seconds);
        o->cache_control = own_copy(text);
    } else {
        return "give revalidate, off, or seconds up to 31536000";
    }
    return NULL;
}

static const char *take_file_option(struct options *o, int id, const char *value)
{
    int n;

    switch (id) {
    case INDEX: return split_names(o->index, value);
    case LISTING:
        o->listing = word(listings, value);
        return o->listing < 0 ? "give on, json or off" : NULL;
    case DOTFILES:
        n = word(dotfiles, value);
        o->dotfiles = n == 1;
        return n < 0 ? "give deny or serve" : NULL;
    case SYMLINKS:
        o->symlinks = word(symlinks, value);
        return o->symlinks < 0 ? "give inside, deny or follow" : NULL;
    case PREFIX: o->prefix = value; return NULL;
    case MIME:
        return new_pair(o->mime, value, '=')
                   ? NULL
                   : "give an extension and a type: wasm=application/wasm";
    case PRETTY_URLS: o->pretty_urls = true; return NULL;
    case SPA: o->spa = value; return *value ? NULL : "give a file: index.html";
    case ERROR_PAGE: return take_error_page(o, value);
    case CACHE: return take_cache(o, value);
    case IMMUTABLE: return append(o->immutable, value) ? NULL : "too many patterns";
    case PRECOMPRESSED:
        n = word(switches, value);
        o->no_sidecars = n == 0;
        return n < 0 ? "give on or off" : NULL;
    default: return new_pair(o->header, value, ':') ? NULL : "give a name and a value: 'X-A: b'";
    }
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
    case 'H': return take_file_option(o, id, value);
    case 'q': o->quiet = true; return NULL;
    case 'h': show_help(o->full_help); exit(0);
    case MODULES: show_modules(); exit(0);
    case VERSION: puts("serval " SVL_VERSION); exit(0);
    default:
        if (id >= INDEX)
            return take_file_option(o, id, value);
        if (o->dir)
            return "one folder is enough";
        o->dir = value;
        return NULL;
    }
}

/* SERVAL_ERROR_PAGE is --error-page, for those options that say how to serve. */
static void read_environment(struct options *o)
{
    for (const struct svl_option *option = table; option->name; option++) {
        char name[40] = "SERVAL_";
        const char *value, *wrong;
        bool on = true;

        if (option->id == MODULES || option->id == VERSION || option->id == 'h')
            continue;
        snprintf(name + 7, sizeof name - 7, "%s", option->name);
        for (char *c = name + 7; *c; c++)
            *c = *c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
        value = getenv(name);
        if (!value || !*value)
            continue;
        wrong = NULL;
        if (!option->value && !svl_bool_parse(svl_str_of(value), &on))
            wrong = "give on or off";
        else if (on)
            wrong = take(o, option->id, option->value ? value : NULL);
        if (wrong)
            refuse(EXIT_USAGE, "%s=%s: %s", name, value, wrong);
    }
    o->listen_from_env = o->n_listen > 0;
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
#if !SVL_HAVE_ERRORS
    if (o->error_page[0].name)
        refuse(EXIT_USAGE, "--error-page: this serval was built without the errors module");
#endif
#if !SVL_HAVE_HEADERS
    if (o->header[0].name)
        refuse(EXIT_USAGE, "--header: this serval was built without the headers module");
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

/* What has nothing to do is not in the chain. */
static bool is_wanted(const struct options *o, const struct svl_module *module)
{
#if SVL_HAVE_ACCESS_LOG
    if (module == &svl_access_log_module)
        return o->log != LOG_OFF;
#endif
#if SVL_HAVE_HEADERS
    if (module == &svl_headers_module)
        return o->header[0].name;
#endif
#if SVL_HAVE_ERRORS
    if (module == &svl_errors_module)
        return o->error_page[0].name;
#endif
    (void)o, (void)module;
    return true;
}

static int serve(struct options *o)
{
#if SVL_HAVE_ERRORS
    struct svl_error_page pages[LIST_MAX + 1] = {{0}};
#endif
#if SVL_HAVE_HEADERS
    struct svl_header_rule rules[LIST_MAX + 1] = {{0}};
#endif
#if SVL_HAVE_FS
    struct svl_fs_type types[LIST_MAX + 1] = {{0}};
#endif
    /* Outermost first: requests pass from top to bottom, answers from bottom to top. */
    const struct svl_use all[] = {
#if SVL_HAVE_ACCESS_LOG
        SVL_USE(access_log, .path = o->log_file, .format = (enum svl_access_log_format)o->log),
#endif
#if SVL_HAVE_HEADERS
        SVL_USE(headers, .rules = rules),
#endif
#if SVL_HAVE_ERRORS
        SVL_USE(errors, .pages = pages, .text_first = true),
#endif
#if SVL_HAVE_COMPRESS
        SVL_USE(compress, .codings = o->codings),
#endif
#if SVL_HAVE_FS
        SVL_USE(fs, .root = o->dir, .index = o->index[0] ? o->index : NULL, .types = types,
                .listing = (enum svl_fs_listing)o->listing, .show_hidden = o->dotfiles,
                .symlinks = (enum svl_fs_symlinks)o->symlinks, .prefix = o->prefix,
                .pretty_urls = o->pretty_urls, .spa = o->spa, .cache_control = o->cache_control,
                .immutable = o->immutable, .no_sidecars = o->no_sidecars),
#endif
        SVL_USE_END,
    };
    struct svl_use chain[sizeof all / sizeof *all];
    size_t n = 0;
    struct complaints complaints = {0};
    char title[512], root[PATH_MAX];
    struct svl_foreground about = {.quiet = o->quiet, .title = title, .key = "root"};
    struct svl_server *server;
    int err;

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!all[i].module || is_wanted(o, all[i].module))
            chain[n++] = all[i];
    }
    for (int i = 0; i < LIST_MAX; i++) {
#if SVL_HAVE_ERRORS
        unsigned long long status = 0;

        svl_str_u64(svl_str_of(o->error_page[i].name), &status);
        pages[i] = (struct svl_error_page){(int)status, o->error_page[i].value};
#endif
#if SVL_HAVE_HEADERS
        rules[i] = (struct svl_header_rule){.name = o->header[i].name, .value = o->header[i].value};
#endif
#if SVL_HAVE_FS
        types[i] = (struct svl_fs_type){o->mime[i].name, o->mime[i].value};
#endif
    }
    err = open_server(&server, o, chain, &complaints);
    if (err == SVL_EBADADDR || err == SVL_ECONFIG)
        return EXIT_USAGE;
    if (err)
        return EXIT_START;

    snprintf(title, sizeof title, "serval %s  serving %s  (listing %s, dotfiles %s, symlinks %s)",
             SVL_VERSION, o->dir, listings[o->listing], o->dotfiles ? "served" : "hidden",
             o->symlinks == 0   ? "stay inside"
             : o->symlinks == 1 ? "refused"
                                : "followed anywhere");
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
    struct options options = {.listing = LISTING_ON};
    char why[256];

    for (int i = 1; i < argc; i++)
        options.full_help |= strcmp(argv[i], "--help") == 0;
    fill_standard_descriptors();
#if SVL_HAVE_COMPRESS
    if (argc > 1 && !strcmp(argv[1], "precompress"))
        return precompress(argv + 1);
#endif
    read_environment(&options);
    if (svl_options_read(table, argv, take, &options, why, sizeof why))
        refuse(EXIT_USAGE, "%s (serval --help lists all)", why);
    complete(&options);
    return serve(&options);
}
