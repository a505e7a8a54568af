/* The page of a folder: one answer that needs no other. Style, script and icons are in it, and the
 * policy allows nothing but these two; what they look like is in page/. */
#include "listing.h"

#include "page/page.h"

#include "serval/mime.h"
#include "serval/uri.h"

#include <stdio.h>
#include <time.h>

#define POLICY                                                                                     \
    "default-src 'none'; style-src '" CSS_HASH "'; script-src '" SCRIPT_HASH "'; "                 \
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"

#define CRUMBS_MAX 32 /* parts of the path that are links of their own */

/* Small things ---------------------------------------------------------------------------------*/

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

/* 1234567 as "1,234,567". */
static const char *print_count(char to[32], size_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%zu", n), at = 0;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            to[at++] = ',';
        to[at++] = digits[i];
    }
    to[at] = 0;
    return to;
}

static svl_str escape(struct fs_listing *l, svl_str s)
{
    char *text = svl_alloc(l->ctx, 6 * s.n + 1);

    return (svl_str){text, svl_html_escape(text, s)};
}

static svl_str join(struct fs_listing *l, const char *const *pieces)
{
    size_t n = 0;
    char *text;

    for (size_t i = 0; pieces[i]; i++)
        n += strlen(pieces[i]);
    text = svl_alloc(l->ctx, n + 1);
    for (size_t i = 0; pieces[i]; i++)
        strcat(text, pieces[i]);
    return (svl_str){text, n};
}

/* Queries --------------------------------------------------------------------------------------*/

static const char *const sorts[] = {"name", "size", "time"};

svl_str svl_fs_query(struct fs_listing *l, enum fs_sort by, bool down, const char *cursor_name,
                     const struct fs_entry *cursor, const char *amp)
{
    svl_str filter = svl_str_of(l->scan.filter);
    char *q = svl_alloc(l->ctx, 3 * filter.n + 1), *at = svl_alloc(l->ctx, 3 * NAME_MAX + 64);
    svl_str text = svl_printf(l->ctx, "?sort=%s%sorder=%s", sorts[by], amp, down ? "desc" : "asc");

    if (filter.n)
        text = svl_printf(l->ctx, "%.*s%sq=%.*s", SVL_FMT(text), amp,
                          (int)svl_query_escape(q, filter), q);
    if (!cursor_name)
        return text;
    if (cursor) {
        long long key = by == FS_BY_SIZE ? cursor->size : by == FS_BY_TIME ? cursor->mtime : 0;
        int n = sprintf(at, "%c%lld%%2F", cursor->kind == FS_FOLDER ? 'd' : 'f', key);

        svl_query_escape(at + n, svl_str_of(cursor->name));
    }
    return svl_printf(l->ctx, "%.*s%s%s=%s", SVL_FMT(text), amp, cursor_name, at);
}

/* Head -----------------------------------------------------------------------------------------*/

/* "Home / docs / images", each but the last a link. */
static svl_str breadcrumb(struct fs_listing *l)
{
    svl_str rest = svl_str_from(l->place, 1), part, text;
    size_t depth = 0, skip;

    for (size_t i = 0; i < rest.n; i++)
        depth += rest.p[i] == '/';
    if (depth == 0)
        return SVL_STR("Home");
    skip = depth > CRUMBS_MAX ? depth - CRUMBS_MAX : 0;
    for (size_t i = 0; i < skip; i++)
        svl_str_split(&rest, '/', &part);
    depth -= skip;
    text = skip ? SVL_STR("\xe2\x80\xa6") : SVL_STR_NONE;
    if (!skip) {
        char up[3 * CRUMBS_MAX + 1] = "";

        for (size_t i = 0; i < depth; i++)
            strcat(up, "../");
        text = svl_printf(l->ctx, "<a href=\"%s\">Home</a>", up);
    }
    while (svl_str_split(&rest, '/', &part) && part.n) {
        char up[3 * CRUMBS_MAX + 1] = "";

        depth--;
        for (size_t i = 0; i < depth; i++)
            strcat(up, "../");
        part = escape(l, part);
        text =
            depth ? svl_printf(l->ctx, "%.*s<i>/</i><a href=\"%s\"><bdi>%.*s</bdi></a>",
                               SVL_FMT(text), up, SVL_FMT(part))
                  : svl_printf(l->ctx, "%.*s<i>/</i><bdi>%.*s</bdi>", SVL_FMT(text), SVL_FMT(part));
    }
    return text;
}

static svl_str counts(struct fs_listing *l)
{
    const struct fs_scan *s = &l->scan;
    char size[32] = "", a[32], b[32], c[32];

    if (s->sized)
        print_size(size, sizeof size, s->bytes);
    if (s->n < s->matched)
        return svl_printf(l->ctx, "%s\xe2\x80\x93%s of %s entries%s%s",
                          print_count(a, s->first + (s->n > 0)), print_count(b, s->first + s->n),
                          print_count(c, s->matched), *size ? ", " : "", size);
    return svl_printf(l->ctx, "%s folder%s, %s file%s%s%s", print_count(a, s->folders),
                      s->folders == 1 ? "" : "s", print_count(b, s->files),
                      s->files == 1 ? "" : "s", s->files ? ", " : "", s->files ? size : "");
}

/* A click on the column in use turns it round. */
static svl_str column(struct fs_listing *l, enum fs_sort by, const char *title)
{
    bool current = l->scan.by == by, down = current ? !l->scan.down : by != FS_BY_NAME;
    svl_str query = svl_fs_query(l, by, down, NULL, NULL, "&amp;");

    return svl_printf(l->ctx, "<th scope=\"col\"%s><a href=\"%.*s\">%s</a>",
                      !current       ? ""
                      : l->scan.down ? " aria-sort=\"descending\""
                                     : " aria-sort=\"ascending\"",
                      SVL_FMT(query), title);
}

static svl_str head(struct fs_listing *l)
{
    svl_str name = svl_str_from(l->place, 1), title, filter = escape(l, svl_str_of(l->scan.filter));
    svl_str crumbs = breadcrumb(l), said = counts(l), css = join(l, page_css);
    svl_str by_name = column(l, FS_BY_NAME, "Name"), by_size = column(l, FS_BY_SIZE, "Size");
    svl_str by_time = column(l, FS_BY_TIME, "Modified"), icons = join(l, page_icons);
    svl_str kept = l->kept.n
                       ? svl_printf(l->ctx,
                                    "<p role=\"status\">Its name was taken, so it was kept as "
                                    "%.*s.</p>\n",
                                    SVL_FMT(l->kept))
                       : SVL_STR("");
    const char *json = l->scan.n < l->scan.matched ? " data-paged" : "";

    if (name.n) /* "docs" of "a/docs/" */
        name = svl_str_head(name, name.n - 1);
    name = svl_path_last(name);
    title = name.n ? escape(l, name) : SVL_STR("Home");
    return svl_printf(
        l->ctx,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width\">"
        "<title>%.*s</title><link rel=\"icon\" "
        "href=\"data:,\"><style>%.*s</style></head>\n<body>%.*s\n"
        "<header><h1>%.*s</h1>\n<div class=\"bar\"><p id=\"count\" role=\"status\">%.*s</p>"
        "<form role=\"search\"%s><input id=\"q\" name=\"q\" type=\"search\" value=\"%.*s\" "
        "placeholder=\"Filter\" aria-label=\"Filter by name\" title=\"Filter by name: press /\" "
        "autocomplete=\"off\" "
        "maxlength=\"100\">"
        "<input type=\"hidden\" name=\"sort\" value=\"%s\">"
        "<input type=\"hidden\" name=\"order\" "
        "value=\"%s\"><button>Filter</button></form></div></header>\n"
        "<main>%.*s<table class=\"list\"><caption class=\"vh\">Files and folders</caption>"
        "<thead><tr>%.*s%.*s%.*s</thead>\n<tbody>\n",
        SVL_FMT(title), SVL_FMT(css), SVL_FMT(icons), SVL_FMT(crumbs), SVL_FMT(said), json,
        SVL_FMT(filter), sorts[l->scan.by], l->scan.down ? "desc" : "asc", SVL_FMT(kept),
        SVL_FMT(by_name), SVL_FMT(by_size), SVL_FMT(by_time));
}

/* Rows -----------------------------------------------------------------------------------------*/

static bool names(svl_str type, const char *part)
{
    return memmem(type.p, type.n, part, strlen(part)) != NULL;
}

/* The id of its icon. */
static char icon(const struct fs_entry *e)
{
    static const char *const code[] = {"json", "script", "xml",    "html",
                                       "css",  "x-c",    "python", "x-sh"};
    static const char *const packed[] = {"zip", "tar", "7z", "compressed", "bzip", "x-xz", "zstd"};
    svl_str type = svl_mime(svl_str_of(e->name));

    if (e->kind == FS_FOLDER)
        return 'd';
    if (!type.p)
        return 'f';
    if (svl_str_starts(type, SVL_STR("image/")))
        return 'i';
    if (svl_str_starts(type, SVL_STR("audio/")))
        return 's';
    if (svl_str_starts(type, SVL_STR("video/")))
        return 'v';
    for (size_t i = 0; i < sizeof code / sizeof *code; i++) {
        if (names(type, code[i]))
            return 'c';
    }
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++) {
        if (names(type, packed[i]))
            return 'z';
    }
    return svl_str_starts(type, SVL_STR("text/")) || names(type, "pdf") ? 't' : 'f';
}

static size_t row(struct fs_listing *l, const struct fs_entry *e)
{
    svl_str name = svl_str_of(e->name);
    bool folder = e->kind == FS_FOLDER;
    char size[32] = "", date[32] = "";
    time_t seconds = (time_t)e->mtime;
    char *at = l->row;
    struct tm tm;

    if (gmtime_r(&seconds, &tm) && tm.tm_year < 8100)
        strftime(date, sizeof date, "%Y-%m-%d %H:%M", &tm);
    if (e->kind == FS_OTHER) {
        at += sprintf(at, "<tr><td><span class=\"no\"><svg aria-hidden=\"true\"><use "
                          "href=\"#f\"/></svg><span><bdi>");
        at += svl_html_escape(at, name);
        at += sprintf(at, "</bdi> <small>(%s)</small></span></span><td><td>\n", e->why);
        return (size_t)(at - l->row);
    }
    at += sprintf(at, "<tr><td%s><a href=\"./", folder ? " class=\"d\"" : "");
    at += svl_path_escape(at, name);
    at += sprintf(at, "%s\"><svg aria-hidden=\"true\"><use href=\"#%c\"/></svg><bdi>",
                  folder ? "/" : "", icon(e));
    at += svl_html_escape(at, name);
    at += sprintf(at, "%s</bdi></a>", folder ? "/" : "");
    if (folder) {
        at += sprintf(at, "<td>");
    } else {
        print_size(size, sizeof size, e->size);
        at += sprintf(at, "<td title=\"%lld byte%s\">%s", (long long)e->size,
                      e->size == 1 ? "" : "s", size);
    }
    if (date[0])
        at += sprintf(at, "<td><time datetime=\"%sZ\">%s</time>\n", date, date);
    else
        at += sprintf(at, "<td>\n");
    return (size_t)(at - l->row);
}

/* Foot -----------------------------------------------------------------------------------------*/

static svl_str pager(struct fs_listing *l)
{
    const struct fs_scan *s = &l->scan;
    svl_str text = SVL_STR(""), q;
    const char *amp = "&amp;";

    if (s->first > 0) {
        q = svl_fs_query(l, s->by, s->down, NULL, NULL, amp);
        text = svl_printf(l->ctx, "<a href=\"%.*s\">First</a>", SVL_FMT(q));
    }
    if (s->first > 0 && s->n > 0) {
        q = svl_fs_query(l, s->by, s->down, "before", s->entries[0], amp);
        text = svl_printf(l->ctx, "%.*s<a rel=\"prev\" href=\"%.*s\">Previous</a>", SVL_FMT(text),
                          SVL_FMT(q));
    }
    if (s->n > 0 && s->first + s->n < s->matched) {
        q = svl_fs_query(l, s->by, s->down, "after", s->entries[s->n - 1], amp);
        text = svl_printf(l->ctx, "%.*s<a rel=\"next\" href=\"%.*s\">Next</a>", SVL_FMT(text),
                          SVL_FMT(q));
        q = svl_fs_query(l, s->by, s->down, "before", NULL, amp);
        text = svl_printf(l->ctx, "%.*s<a href=\"%.*s\">Last</a>", SVL_FMT(text), SVL_FMT(q));
    }
    if (text.n)
        text = svl_printf(l->ctx, "<nav class=\"more\" aria-label=\"Pages\">%.*s</nav>\n",
                          SVL_FMT(text));
    return text;
}

#define UPLOAD                                                                                     \
    "<form class=\"up\" method=\"post\" enctype=\"multipart/form-data\"><label>Add files "         \
    "<input type=\"file\" name=\"file\" multiple required></label> "                               \
    "<button>Upload</button></form>\n"
#define ARCHIVES                                                                                   \
    " &middot; All of it: <a href=\"?archive=zip\">zip</a> &middot; "                              \
    "<a href=\"?archive=tar\">tar</a>"

static svl_str foot(struct fs_listing *l)
{
    svl_str pages = pager(l), script = join(l, page_script);
    svl_str none = l->scan.n ? SVL_STR("")
                   : l->scan.filter[0]
                       ? SVL_STR("<p class=\"none\">Nothing here has that in its name.</p>\n")
                       : SVL_STR("<p class=\"none\">This folder is empty.</p>\n");

    return svl_printf(
        l->ctx,
        "</tbody></table>\n%.*s%.*s%s%.*s</main>\n"
        "<footer>Times are UTC. <a href=\"?format=json\">JSON</a> &middot; "
        "<a href=\"?format=text\">Text</a>%s</footer>\n<script>%.*s</script></body></html>\n",
        SVL_FMT(none), SVL_FMT(pages), l->upload ? UPLOAD : "", (int)l->readme_n,
        l->readme ? l->readme : "", l->archive ? ARCHIVES : "", SVL_FMT(script));
}

const struct fs_format svl_fs_html = {
    .type = {"text/html; charset=utf-8", sizeof "text/html; charset=utf-8" - 1},
    .policy = POLICY,
    .head = head,
    .row = row,
    .foot = foot,
};
