/* The page of a folder. The names are read and sorted at the first pull (a HEAD never pulls), then
 * a row is made when there is room for it: what is held is the names, at most NAMES_MAX bytes. */
#include "internal.h"

#include "serval/uri.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define NAMES_MAX ((size_t)8 << 20)
/* A name twice, as link and as text, with what is around it. */
#define ROW_MAX (3 * NAME_MAX + 6 * NAME_MAX + 512)

/* The hash stands in CSP below: `printf %s "$css" | openssl dgst -sha256 -binary | base64` */
#define CSS                                                                                        \
    ":root{color-scheme:light dark}"                                                               \
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"     \
    "h1{font-size:1.2rem;overflow-wrap:anywhere}"                                                  \
    "table{border-collapse:collapse;width:100%}"                                                   \
    "th,td{text-align:left;padding:.15rem .5rem;border-bottom:1px solid #8884}"                    \
    "td:first-child{overflow-wrap:anywhere}"                                                       \
    "td+td,th+th{white-space:nowrap;text-align:right;font-variant-numeric:tabular-nums}"           \
    "a{text-decoration:none}a:hover,a:focus{text-decoration:underline}"                            \
    "@media(max-width:30rem){td+td+td,th+th+th{display:none}}"
#define CSP                                                                                        \
    "default-src 'none'; style-src 'sha256-m8Rko1iEt6yFIgEPbRYWfuuJ+BXdR4DWHCzT9sj3FzM='; "        \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

/* In `names`: a letter, then the name with its NUL. */
enum kind { FOLDER = 'd', OTHER = 'f' };

enum part { HEAD, ROWS, FOOT, END };

struct listing {
    struct svl_ctx *ctx;
    const struct fs_root *root;
    const struct svl_fs_config *config;
    DIR *dir;
    svl_str path; /* as svl_fs_open() wants it; owner: the ctx */
    char *names;  /* used bytes of room */
    size_t used, room;
    const char **sorted; /* sorted[0, n), into names */
    size_t n, next;
    unsigned folders, files;
    bool cut;       /* there were more than NAMES_MAX bytes of names */
    enum part part; /* the one that comes next */
    svl_str piece;  /* what is left of the one before */
    char row[ROW_MAX];
};

static void listing_free(void *arg)
{
    struct listing *l = arg;

    closedir(l->dir);
    free(l->names);
    free(l->sorted);
    free(l);
}

/* What `name` is, behind its link if that may be followed. Returns false for what would not be
 * served: links that lead out or nowhere, and other kinds of files. */
static bool look_at(struct listing *l, const char *name, struct stat *st)
{
    char path[PATH_MAX];
    int fd, n;

    if (fstatat(dirfd(l->dir), name, st, AT_SYMLINK_NOFOLLOW))
        return false;
    if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))
        return true;
    if (!S_ISLNK(st->st_mode))
        return false;
    n = snprintf(path, sizeof path, "%.*s/%s", SVL_FMT(l->path), name);
    if (n < 0 || (size_t)n >= sizeof path)
        return false;
    fd = svl_fs_open(l->root, path, O_PATH);
    if (fd < 0)
        return false;
    n = fstat(fd, st);
    close(fd);
    return n == 0 && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode));
}

static enum kind kind_of(struct listing *l, const struct dirent *entry)
{
    struct stat st;

    if (entry->d_type == DT_DIR)
        return FOLDER;
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
        return OTHER;
    return look_at(l, entry->d_name, &st) && S_ISDIR(st.st_mode) ? FOLDER : OTHER;
}

static int add_name(struct listing *l, enum kind kind, const char *name)
{
    size_t n = strlen(name) + 1;

    if (l->used + n + 1 > l->room) {
        size_t room = l->room ? 2 * l->room : 4096;
        char *names = realloc(l->names, room);

        if (!names)
            return -ENOMEM;
        l->names = names;
        l->room = room;
    }
    l->names[l->used] = (char)kind;
    memcpy(l->names + l->used + 1, name, n);
    l->used += n + 1;
    l->n++;
    return 0;
}

static bool is_shown(const struct listing *l, const char *name)
{
    if (name[0] != '.')
        return true;
    return l->config->show_hidden && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Folders first, then without regard to case. */
static int compare(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    int order = *x - *y;

    if (!order)
        order = strcasecmp(x + 1, y + 1);
    return order ? order : strcmp(x + 1, y + 1);
}

static int read_names(struct listing *l)
{
    const struct dirent *entry;
    const char *at;
    int err = 0;

    errno = 0;
    while (!err && (entry = readdir(l->dir))) {
        if (is_shown(l, entry->d_name))
            err = add_name(l, kind_of(l, entry), entry->d_name);
        l->cut = l->used >= NAMES_MAX;
        if (l->cut)
            break;
        errno = 0;
    }
    if (!entry && errno)
        err = -errno;
    if (err || l->n == 0)
        return err;

    l->sorted = malloc(l->n * sizeof *l->sorted);
    if (!l->sorted)
        return -ENOMEM;
    at = l->names;
    for (size_t i = 0; i < l->n; i++, at += strlen(at) + 1)
        l->sorted[i] = at;
    qsort(l->sorted, l->n, sizeof *l->sorted, compare);
    return 0;
}

static svl_str head(struct listing *l)
{
    svl_str path = l->ctx->req.path;
    char *text = svl_alloc(l->ctx, 6 * path.n);
    size_t n = svl_html_escape(text, path);
    const char *up = path.n > 1 ? "<tr><td><a href=\"../\">../</a><td><td>\n" : "";

    return svl_printf(l->ctx,
                      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                      "<meta name=\"viewport\" content=\"width=device-width\">"
                      "<title>%.*s</title><style>%s</style></head>\n<body><main>"
                      "<h1><bdi>%.*s</bdi></h1>\n<table>"
                      "<thead><tr><th scope=\"col\">Name<th scope=\"col\">Size"
                      "<th scope=\"col\">Modified (UTC)</thead>\n<tbody>\n%s",
                      (int)n, text, CSS, (int)n, text, up);
}

static int print_size(char *to, size_t room, int64_t size)
{
    static const char units[] = "kMGTPE";
    double value = (double)size;
    int unit = -1;

    if (size < 1000)
        return snprintf(to, room, "%lld B", (long long)size);
    for (; value >= 999.5 && unit < 5; unit++)
        value /= 1000;
    return snprintf(to, room, value < 9.95 ? "%.1f %cB" : "%.0f %cB", value, units[unit]);
}

static size_t print_name(char *to, svl_str name, const char *slash)
{
    char *at = to;

    at += sprintf(at, "<tr><td><a href=\"./");
    at += svl_path_escape(at, name);
    at += sprintf(at, "%s\"><bdi>", slash);
    at += svl_html_escape(at, name);
    at += sprintf(at, "</bdi>%s</a>", slash);
    return (size_t)(at - to);
}

/* The row of a name, or an empty text when it is not to be shown. */
static svl_str row(struct listing *l, const char *name)
{
    char size[32] = "", date[32] = "", exact[48] = "";
    struct stat st;
    struct tm tm;
    size_t n;
    bool folder;

    if (!look_at(l, name, &st))
        return (svl_str){l->row, 0};
    folder = S_ISDIR(st.st_mode);
    *(folder ? &l->folders : &l->files) += 1;
    if (!folder) {
        print_size(size, sizeof size, st.st_size);
        snprintf(exact, sizeof exact, " title=\"%lld byte%s\"", (long long)st.st_size,
                 st.st_size == 1 ? "" : "s");
    }
    if (gmtime_r(&st.st_mtime, &tm))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M", &tm);

    n = print_name(l->row, svl_str_of(name), folder ? "/" : "");
    n +=
        (size_t)snprintf(l->row + n, sizeof l->row - n,
                         "<td%s>%s<td><time datetime=\"%sZ\">%s</time>\n", exact, size, date, date);
    return (svl_str){l->row, n};
}

static svl_str foot(struct listing *l)
{
    int n = snprintf(l->row, sizeof l->row,
                     "</tbody></table>\n<p>%u folder%s, %u file%s%s</p>"
                     "</main></body></html>\n",
                     l->folders, l->folders == 1 ? "" : "s", l->files, l->files == 1 ? "" : "s",
                     l->cut ? "; there are more, which are not shown" : "");

    return (svl_str){l->row, (size_t)n};
}

/* Fills l->piece, which is empty. Returns 0 or -errno. */
static int next_piece(struct listing *l)
{
    int err;

    switch (l->part) {
    case HEAD:
        err = read_names(l);
        if (err)
            return err;
        l->piece = head(l);
        l->part = ROWS;
        return 0;
    case ROWS:
        if (l->next < l->n)
            l->piece = row(l, l->sorted[l->next++] + 1);
        else
            l->part = FOOT;
        return 0;
    case FOOT:
        l->piece = foot(l);
        l->part = END;
        return 0;
    case END: break;
    }
    return 0;
}

static ssize_t pull(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    struct listing *l = arg;
    size_t given = 0;

    (void)ctx;
    while (given < room) {
        size_t n = l->piece.n < room - given ? l->piece.n : room - given;

        memcpy(to + given, l->piece.p, n);
        l->piece = svl_str_from(l->piece, n);
        given += n;
        if (l->piece.n == 0 && l->part == END)
            break;
        if (l->piece.n == 0) {
            int err = next_piece(l);
            if (err)
                return err;
        }
    }
    return (ssize_t)given;
}

enum svl_verdict svl_fs_list(struct svl_ctx *ctx, const struct fs_root *root,
                             const struct svl_fs_config *config, int fd, const char *path)
{
    struct listing *l = calloc(1, sizeof *l);
    DIR *dir = l ? fdopendir(fd) : NULL;

    if (!dir) {
        free(l);
        close(fd);
        return svl_fail(ctx, 503, NULL);
    }
    l->ctx = ctx;
    l->root = root;
    l->config = config;
    l->dir = dir;
    l->path = svl_copy(ctx, svl_str_of(path));
    l->piece = SVL_STR("");
    svl_on_free(ctx, listing_free, l);

    svl_status(ctx, 200);
    svl_content_type(ctx, SVL_STR("text/html; charset=utf-8"));
    svl_header_set_static(ctx, SVL_H_X_CONTENT_TYPE_OPTIONS, SVL_STR("nosniff"));
    svl_header_set_static(ctx, SVL_H_CONTENT_SECURITY_POLICY, SVL_STR(CSP));
    if (config->cache_control[0])
        svl_header_set_static(ctx, SVL_H_CACHE_CONTROL, svl_str_of(config->cache_control));
    svl_body_source(ctx, pull, l, -1);
    return SVL_DONE;
}
