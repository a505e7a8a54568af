/* serval: the ready-made server. What it is composed of: modules and their order, options, commands. */
#include "cli/serve.h"

#include "serval/features.h"
#include "serval/serval.h"

/* Modules ------------------------------------------------------------------------------------------
 *
 * Each has its config, which options fill in: FS(SVL_TEXT, spa) is a text that goes to fs.spa. */

#if SVL_HAVE_ACCESS_LOG
#include "serval/mod/access_log.h"
static struct svl_access_log_config access_log;
#define ACCESS_LOG(kind, field) kind(&access_log.field)
#else
#define ACCESS_LOG(kind, field) .missing = "access_log"
#endif

#if SVL_HAVE_HEADERS
#include "serval/mod/headers.h"
static struct svl_headers_config headers;
#define HEADERS(kind, field) kind(&headers.field)
#define RULES(at) SVL_TAKE(svl_take_header, const struct svl_header_rule *, at)
#else
#define HEADERS(kind, field) .missing = "headers"
#endif

#if SVL_HAVE_ERRORS
#include "serval/mod/errors.h"
static struct svl_errors_config errors = {.text_first = true};
#define ERRORS(kind, field) kind(&errors.field)
#define PAGES(at) SVL_TAKE(svl_take_error_page, const struct svl_error_page *, at)
#else
#define ERRORS(kind, field) .missing = "errors"
#endif

#if SVL_HAVE_LIMITS
#include "serval/mod/limits.h"
static struct svl_limits_config limits;
#define LIMITS(kind, field) kind(&limits.field)
#define RATE(at) SVL_TAKE(svl_take_rate, double, at)
#else
#define LIMITS(kind, field) .missing = "limits"
#endif

#if SVL_HAVE_CORS
#include "serval/mod/cors.h"
static struct svl_cors_config cors;
#define CORS(kind, field) kind(&cors.field)
#else
#define CORS(kind, field) .missing = "cors"
#endif

#if SVL_HAVE_BASIC_AUTH
#include "serval/mod/basic_auth.h"
static struct svl_basic_auth_config basic_auth, upload_auth = {.writes = true};
#define BASIC_AUTH(kind, field) kind(&basic_auth.field)
#define UPLOAD_AUTH(kind, field) kind(&upload_auth.field)
#define USER(at) SVL_TAKE(svl_take_user, const struct svl_basic_auth_user *, at)
#define USERS(at) SVL_TAKE(svl_take_users, const struct svl_basic_auth_user *, at)
#else
#define BASIC_AUTH(kind, field) .missing = "basic_auth"
#define UPLOAD_AUTH(kind, field) .missing = "basic_auth"
#endif

#if SVL_HAVE_COMPRESS
#include "serval/mod/compress.h"
static struct svl_compress_config compress;
#define COMPRESS(kind, field) kind(&compress.field)
#else
#define COMPRESS(kind, field) .missing = "compress"
#endif

#if SVL_HAVE_CGI
#include "serval/mod/cgi.h"
static struct svl_cgi_config cgi;
#define CGI(kind, field) kind(&cgi.field)
#else
#define CGI(kind, field) .missing = "cgi"
#endif

#if SVL_HAVE_FASTCGI
#include "serval/mod/fastcgi.h"
static const char *const php_index[] = {"index.php", NULL};
static struct svl_fastcgi_config php = {.suffix = ".php", .index = php_index};
#define PHP(kind, field) kind(&php.field)
#else
#define PHP(kind, field) .missing = "fastcgi"
#endif

#if SVL_HAVE_FS
#include "serval/mod/fs.h"
static struct svl_fs_config fs = {.listing = SVL_FS_LISTING_ON};
#define FS(kind, field) kind(&fs.field)
#define TYPES(at) SVL_TAKE(svl_take_type, const struct svl_fs_type *, at)
#define CONFLICT(at) SVL_TAKE(svl_take_conflict, enum svl_fs_conflict, at)
#define CACHE(at) SVL_TAKE(svl_take_cache, const char *, at)
#else
#define FS(kind, field) .missing = "fs"
#endif

static struct svl_serving serving = {.dir = ".", .level = SVL_INFO};
static struct svl_log_choice log_choice;

/* Requests pass from top to bottom, answers from bottom to top. */
static const struct svl_use chain[] = {
#if SVL_HAVE_ACCESS_LOG
    {&svl_access_log_module, &access_log},
#endif
#if SVL_HAVE_HEADERS
    {&svl_headers_module, &headers},
#endif
#if SVL_HAVE_ERRORS
    {&svl_errors_module, &errors},
#endif
#if SVL_HAVE_LIMITS
    {&svl_limits_module, &limits},
#endif
#if SVL_HAVE_CORS
    {&svl_cors_module, &cors},
#endif
#if SVL_HAVE_BASIC_AUTH
    {&svl_basic_auth_module, &basic_auth},
    {&svl_basic_auth_module, &upload_auth},
#endif
#if SVL_HAVE_COMPRESS
    {&svl_compress_module, &compress},
#endif
#if SVL_HAVE_CGI
    {&svl_cgi_module, &cgi},
#endif
#if SVL_HAVE_FASTCGI
    {&svl_fastcgi_module, &php},
#endif
#if SVL_HAVE_FS
    {&svl_fs_module, &fs},
#endif
    SVL_USE_END,
};

/* What has nothing to do is left out of the chain. */
static bool is_wanted(const void *config)
{
#if SVL_HAVE_ACCESS_LOG
    if (config == &access_log)
        return !log_choice.off && (!serving.quiet || access_log.path);
#endif
#if SVL_HAVE_HEADERS
    if (config == &headers)
        return headers.rules || headers.security;
#endif
#if SVL_HAVE_ERRORS
    if (config == &errors)
        return errors.pages;
#endif
#if SVL_HAVE_LIMITS
    if (config == &limits)
        return limits.rate > 0;
#endif
#if SVL_HAVE_CORS
    if (config == &cors)
        return cors.origins;
#endif
#if SVL_HAVE_BASIC_AUTH
    if (config == &basic_auth)
        return basic_auth.users;
    if (config == &upload_auth)
        return upload_auth.users;
#endif
#if SVL_HAVE_CGI
    if (config == &cgi)
        return cgi.root;
#endif
#if SVL_HAVE_FASTCGI
    if (config == &php)
        return php.servers[0];
#endif
    (void)config;
    return true;
}

/* Options ------------------------------------------------------------------------------------------
 *
 * core/cli/cli.h says what stands in a row. Those of -h are marked `common`. */

/* clang-format off */
static const struct svl_option options[] = {
    {.group = "Where to listen"},
    {.name = "listen", .letter = 'l', .value = "ADDR", .common = true, .repeat = true,
     .help = "an address to listen on; see below", .initial = "127.0.0.1:8080",
     SVL_TAKE(svl_take_listen, const char *const *, &serving.listen)},
    {.name = "port", .letter = 'p', .value = "N", .common = true, .repeat = true,
     .help = "a port of this machine; 0 takes a free one",
     SVL_TAKE(svl_take_port, const char *const *, &serving.listen)},
    {.name = "public", .letter = 'P', .common = true, SVL_FLAG(&serving.is_public),
     .help = "for all interfaces, not only this machine; not for --listen"},
    {.name = "strict-port", SVL_FLAG(&serving.strict_port),
     .help = "do not take the next free port on a terminal when 8080 is in use"},
    {.name = "backlog", .value = "N", .initial = "1024", .min = 1, .max = 65535,
     .help = "connections that the kernel queues", SVL_NUMBER(&serving.config.backlog)},
    {.name = "workers", .value = "N", .words = "auto", .initial = "auto, one per CPU",
     .help = "threads that serve", SVL_NUMBER(&serving.config.workers), .min = 1, .max = 256},

    {.group = "Files"},
    {.name = "index", .value = "NAMES", .initial = "index.html", FS(SVL_NAMES, index),
     .help = "files that stand for their folder, as in index.html,index.htm"},
    {.name = "listing", .value = "WHAT", .words = "off on json", .initial = "on", .common = true,
     .help = "folders without an index: on (a page), json or off", FS(SVL_WORD, listing)},
    {.name = "sort", .value = "ORDER", .words = "name size time name-desc size-desc time-desc",
     .initial = "name", .help = "order of folder pages: name, size or time, or name-desc and so on; "
     "time-desc is the newest first", FS(SVL_WORD, sort)},
    {.name = "dotfiles", .value = "WHAT", .words = "deny serve", .initial = "deny",
     .help = "names with a leading dot: deny or serve", FS(SVL_SWITCH, show_hidden)},
    {.name = "symlinks", .value = "WHAT", .words = "inside deny follow", .initial = "inside",
     .help = "links that stay inside of DIR, deny all, or follow all", FS(SVL_WORD, symlinks)},
    {.name = "prefix", .value = "PATH", .help = "serve DIR below /PATH", FS(SVL_TEXT, prefix)},
    {.name = "mime", .value = "EXT=TYPE", .repeat = true, FS(TYPES, types),
     .help = "the type of files with that extension"},
    {.name = "pretty-urls", .help = "/about is about.html", FS(SVL_FLAG, pretty_urls)},
    {.name = "spa", .value = "FILE", .common = true, FS(SVL_TEXT, spa),
     .help = "what browsers get for paths that are not there: index.html"},
    {.name = "download", .value = "GLOB", .repeat = true, FS(SVL_LIST, download),
     .help = "files that browsers save and do not show"},
    {.name = "archive", .help = "folders can be had as a zip or tar file: ?archive=zip",
     FS(SVL_FLAG, archive)},
    {.name = "error-page", .value = "CODE=FILE", .repeat = true, ERRORS(PAGES, pages),
     .help = "an HTML page for that status"},

    {.group = "Programs"},
    {.name = "php", .value = "SERVER", PHP(SVL_TEXT, servers[0]),
     .help = "scripts in DIR whose names end in .php are answered by that FastCGI server: "
             "unix:/run/php/php8.2-fpm.sock or 127.0.0.1:9000"},
    {.name = "front", .value = "/SCRIPT", PHP(SVL_TEXT, front),
     .help = "with --php: the script for all paths that are no file, as in /index.php"},
    {.name = "cgi", .value = "DIR", CGI(SVL_TEXT, root),
     .help = "the programs in that folder answer what is below /cgi-bin"},

    {.group = "Caches and compression"},
    {.name = "cache", .value = "WHAT", .words = "revalidate off", .initial = "revalidate",
     .help = "what browsers keep: revalidate, off, or SECONDS", .common = true,
     FS(CACHE, cache_control)},
    {.name = "immutable", .value = "GLOB", .repeat = true, FS(SVL_LIST, immutable),
     .help = "files that never change under their name"},
    {.name = "precompressed", .value = "WHAT", .words = "on off", .initial = "on",
     .help = "use file.br, file.zst, file.gz: on or off", FS(SVL_SWITCH, no_sidecars)},
    {.name = "compress", .letter = 'z', .value = "LIST", .words = "off",
     .initial = "br,zstd,gzip,deflate", .help = "codings for text, or off",
     COMPRESS(SVL_TEXT, codings)},
    {.name = "compress-min", .value = "SIZE", .initial = "256", .min = 1, .max = 1 << 30,
     .help = "shorter texts are sent as they are", COMPRESS(SVL_SIZE, min_bytes)},
    {.name = "cache-dir", .value = "DIR", COMPRESS(SVL_TEXT, cache_dir),
     .help = "a folder in which compressed answers are kept for the next start"},

    {.group = "Who may do what"},
    {.name = "auth", .letter = 'a', .value = "USER:HASH", .common = true, .repeat = true,
     .secret = true,
     .help = "ask for a name and a password; `serval hash-password USER` makes the hash. With USER "
             "alone the password is asked for on the terminal", BASIC_AUTH(USER, users)},
    {.name = "auth-file", .value = "FILE", .repeat = true, BASIC_AUTH(USERS, users),
     .help = "lines of USER:HASH, as htpasswd -B writes them"},
    {.name = "upload", .value = "USER:HASH", .repeat = true, .secret = true, UPLOAD_AUTH(USER, users),
     .help = "who may add files, as for --auth: by the page of a folder, or PUT. Nothing is replaced"},
    {.name = "upload-max", .value = "SIZE", .initial = "1g", .min = 1, .max = 1ll << 50,
     .help = "bytes of one upload", FS(SVL_SIZE, upload_max)},
    {.name = "on-conflict", .value = "WHAT", .words = "error rename", .initial = "error",
     .help = "an upload whose name is taken: error (409), or rename, which keeps it as 'a (1).txt'",
     FS(CONFLICT, conflict)},
    {.name = "cors", .value = "ORIGIN", .words = "*", .repeat = true, CORS(SVL_LIST, origins),
     .help = "scripts of that site may read the answers: https://a.example, "
             "https://*.a.example, or * for all sites"},
    {.name = "security-headers", .value = "WHAT", .words = "off on", .initial = "off",
     .help = "nosniff, X-Frame-Options, Referrer-Policy and Cross-Origin-Opener-Policy: on or off",
     HEADERS(SVL_SWITCH, security)},
    {.name = "rate", .value = "N/s", .help = "requests of one address, on average: 10/s, 100/m",
     LIMITS(RATE, rate)},

    {.group = "Limits"},
    {.name = "max-connections", .value = "N", .min = 1, .max = 10000000,
     .help = "connections at a time", .initial = "what the limit of descriptors allows",
     SVL_NUMBER(&serving.config.max_connections)},
    {.name = "max-header", .value = "SIZE", .initial = "16k", .min = 256, .max = 1 << 20,
     .help = "request line and fields", SVL_SIZE(&serving.config.max_head)},
    {.name = "max-body", .value = "SIZE", .min = 1, .max = 1 << 30,
     .initial = "64m for programs, of chunked ones 1m",
     .help = "body of a request for --php or --cgi; above it 413. For uploads see --upload-max",
     SVL_SIZE(&serving.config.max_body)},
    {.name = "max-memory", .value = "SIZE", .min = 1 << 20, .max = 1ll << 50,
     .help = "memory of all connections; above it new requests get 503",
     .initial = "half of what there is", SVL_SIZE(&serving.config.max_memory)},
    {.name = "max-connection-memory", .value = "SIZE", .min = 1 << 18, .max = 1ll << 50,
     .help = "memory of one connection; above it a request gets 413 or 431", .initial = "16m",
     SVL_SIZE(&serving.config.max_connection_memory)},
    {.name = "header-timeout", .value = "TIME", .initial = "10s",
     .help = "from the first byte of a request to the end of its head",
     SVL_TIME(&serving.config.header_ms)},
    {.name = "idle-timeout", .value = "TIME", .initial = "60s",
     .help = "between two requests of a connection", SVL_TIME(&serving.config.idle_ms)},
    {.name = "write-timeout", .value = "TIME", .initial = "60s",
     .help = "for a client that takes nothing of its answer", SVL_TIME(&serving.config.write_ms)},
    {.name = "grace", .value = "TIME", .initial = "10s",
     .help = "for what is being answered when the server is told to stop",
     SVL_TIME(&serving.config.grace_ms)},

    {.group = "Safety"},
    {.name = "user", .value = "USER[:GROUP]", SVL_TEXT(&serving.user),
     .help = "become that user when the sockets are open; names or numbers"},
    {.name = "sandbox", SVL_FLAG(&serving.sandbox),
     .help = "let the kernel refuse what serving does not need; Linux with Landlock and seccomp"},

    {.group = "What answers say"},
    {.name = "header", .letter = 'H', .value = "'NAME: VALUE'", .common = true, .repeat = true,
     .help = "a field for all answers", HEADERS(RULES, rules)},

    {.group = "Output"},
    {.name = "log", .value = "FORMAT", .initial = "auto: pretty on a terminal, else combined",
     .words = "auto pretty combined common json logfmt off", .common = true,
     .help = "the access log: pretty, combined, json or off; also common, logfmt, or a template, as in "
             "'$client $path $status ${dur_ms:.2f}'",
     SVL_TAKE(svl_take_log, struct svl_log_choice, &log_choice)},
    {.name = "log-file", .value = "FILE", ACCESS_LOG(SVL_TEXT, path),
     .help = "append the access log to a file, not to stdout"},
    {.name = "error-log", .value = "LEVEL", .words = "debug info warning alert", .initial = "info",
     .help = "which lines of its own the program writes to stderr", SVL_WORD(&serving.level)},
    {.name = "verbose", .letter = 'v', SVL_FLAG(&serving.verbose),
     .help = "as --error-log debug: also which modules, limits and descriptors it works with"},
    {.name = "pid-file", .value = "FILE", SVL_TEXT(&serving.pid_file),
     .help = "holds the number of the process from when the sockets are open to the end"},
    {.name = "no-color", .no_env = true, .take = svl_take_no_color,
     .help = "no colours on a terminal; NO_COLOR in the environment does the same"},
    {.name = "open", SVL_FLAG(&serving.open), .help = "show the folder in the browser of this machine"},
    {.name = "qr", SVL_FLAG(&serving.qr),
     .help = "show the address for other machines as a QR code, on a terminal"},
    {.name = "quiet", .letter = 'q', .common = true, SVL_FLAG(&serving.quiet),
     .help = "no start-up lines, no access log on stdout"},
    {.name = "print-config", .no_env = true, SVL_FLAG(&serving.print_config),
     .help = "show each option's value and what it is from, and end"},
    {.name = "modules", .no_env = true, .take = svl_take_show_modules,
     .help = "list the modules that are built in"},
    {0},
};
/* clang-format on */

/* Commands --------------------------------------------------------------------------------------- */

/* Where an option is for more than one module, or its module may be missing. */
static void complete(void)
{
#if SVL_HAVE_ACCESS_LOG
    access_log.format =
        log_choice.template ? SVL_LOG_TEMPLATE : (enum svl_access_log_format)log_choice.format;
    access_log.template = log_choice.template;
    serving.writes = access_log.path;
#else
    if (log_choice.template || (log_choice.format && !log_choice.off))
        svl_cli_refuse(SVL_CLI_NO_MODULE,
                       "--log: this serval was built without the access_log module");
#endif
#if SVL_HAVE_COMPRESS
    serving.fills[1] = compress.cache_dir;
#endif
#if SVL_HAVE_CGI
    cgi.limits.max_body = serving.config.max_body;
#endif
#if SVL_HAVE_FASTCGI
    php.limits.max_body = serving.config.max_body;
    if (serving.file && php.servers[0])
        svl_cli_refuse(SVL_CLI_TOGETHER,
                       "--php: scripts are those of a folder, not of the file %s; "
                       "give the folder it is in",
                       serving.file);
    php.root = serving.dir;
#if SVL_HAVE_FS
    php.prefix = fs.prefix;
#endif
#endif
#if SVL_HAVE_FS
    fs.root = serving.dir;
    fs.only = serving.file;
#if SVL_HAVE_BASIC_AUTH
    if (serving.file && upload_auth.users)
        svl_cli_refuse(SVL_CLI_TOGETHER,
                       "--upload: files are added to a folder, not to the file %s; "
                       "give the folder it is in",
                       serving.file);
    fs.upload = upload_auth.users;
    serving.fills[0] = fs.upload ? serving.dir : NULL;
#endif
#else
    svl_cli_refuse(SVL_CLI_NO_MODULE, "%s: this serval was built without the fs module",
                   serving.dir);
#endif
}

/* What people are told at the start. */
static void describe(void)
{
#if SVL_HAVE_FS
    static const char *const listings[] = {"off", "on", "json"};
    static const char *const symlinks[] = {"stay inside", "refused", "followed anywhere"};

    serving.what = serving.file
                       ? "this file only"
                       : svl_cli_say("listing %s, dotfiles %s, symlinks %s", listings[fs.listing],
                                     fs.show_hidden ? "served" : "hidden", symlinks[fs.symlinks]);
    svl_cli_add_fact(&serving, "cache", fs.cache_control ? fs.cache_control : "revalidate");
#endif
#if SVL_HAVE_COMPRESS
    svl_cli_add_fact(&serving, "compress",
                     compress.codings ? compress.codings : "br,zstd,gzip,deflate");
#endif
#if SVL_HAVE_BASIC_AUTH
    if (basic_auth.users)
        svl_cli_add_fact(&serving, "passwords", "asked");
#endif
}

static int serve(const struct svl_program *program)
{
    struct svl_use wanted[sizeof chain / sizeof *chain];
    size_t n = 0;

    if (serving.print_config) {
        svl_config_show(options, stdout);
        return 0;
    }
    svl_cli_find_folder(program, &serving);
    complete();
    describe();
    for (const struct svl_use *use = chain; use->module; use++)
        if (is_wanted(use->config))
            wanted[n++] = *use;
    wanted[n] = (struct svl_use)SVL_USE_END;
    serving.config.chain = wanted;
    return svl_cli_serve(program, &serving);
}

static const struct svl_command serve_command = {
    .summary = "serve a folder, or one file; without DIR, this one",
    .options = options,
    .operand = {.name = "DIR|FILE", SVL_TEXT(&serving.dir)},
    .run = serve,
};

/* clang-format off */
static const struct svl_command *const commands[] = {
    &serve_command,
    &svl_cmd_precompress,
    &svl_cmd_get,
    &svl_cmd_bench,
    &svl_cmd_hash_password,
    &svl_cmd_completions,
    &svl_cmd_man,
    NULL,
};
/* clang-format on */

static const struct svl_section sections[] = {
    {"Addresses", "ADDR is 8080 or :8080 (all interfaces), 127.0.0.1:8080, [::1]:8080,\n"
                  "unix:/run/x.sock,mode=660, or fd:3 (a listening socket that was inherited).\n"},
    {"Environment",
     "SERVAL_LISTEN is --listen, and so on; the command line counts more. An option\n"
     "that may be repeated takes one value from each line of its variable.\n"
     "NO_COLOR, if it is set and not empty, switches colours off.\n"},
#if SVL_HAVE_ACCESS_LOG
    {"Templates of the access log",
     "A template holds variables: $name, or ${name} in front of a letter. Of numbers with\n"
     "a point, ${name:.1f} shows so many digits. What is not known is '-'; $$ is a dollar sign.\n"
     "\n"
     "  $client $user            its address; who has given a password\n"
     "  $method $host $target    of the request\n"
     "  $path $query $proto      parts of the target; the version\n"
     "  $status $bytes_out       of the answer; bytes of its body\n"
     "  $type $encoding $range   its Content-Type, -Encoding and -Range\n"
     "  $dur_s $dur_ms $dur_us   how long it took\n"
     "  $ts $time                when it ended, in RFC 3339 and as in combined\n"
     "  $referer $ua             Referer and User-Agent\n"
     "  $http_NAME               a field of the request: $http_accept_language\n"
     "  $sent_http_NAME          a field of the answer\n"
     "\n"
     "In $query and $target, and in the formats json and logfmt, values of arguments whose names "
     "end in "
     "token,\n"
     "key, password or secret are not shown.\n"},
#endif
    {"Commands", "A command has no variables. A folder that is called like one is ./man.\n"},
    {0},
};

int main(int argc, char **argv)
{
    static const struct svl_program program = {
        .name = "serval",
        .version = SVL_VERSION,
        .summary = "serve a folder over HTTP",
        .commands = commands,
        .sections = sections,
        .examples = "  serval                        this folder, for this machine only\n"
                    "  serval --public ~/Public      for everybody who can reach this machine\n"
                    "  serval -p 0 --log off         any free port, no access log\n"
                    "  serval -l unix:/run/www.sock,mode=660 --log-file www.log /srv/www\n",
    };

    (void)argc;
    return svl_program_run(&program, argv);
}
