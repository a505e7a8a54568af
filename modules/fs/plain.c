/* Listings for programs: JSON, and links one a line. */
#include "listing.h"

#include "serval/uri.h"

#include <stdio.h>
#include <time.h>

#define POLICY "default-src 'none'; frame-ancestors 'none'"

/* JSON -----------------------------------------------------------------------------------------*/

size_t svl_fs_character(svl_str s)
{
    unsigned char c = (unsigned char)s.p[0], low = 0x80, high = 0xbf;
    size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

    if (c == 0xe0)
        low = 0xa0;
    if (c == 0xed)
        high = 0x9f;
    if (c == 0xf0)
        low = 0x90;
    if (c == 0xf4)
        high = 0x8f;
    if (n > s.n)
        return 0;
    for (size_t i = 1; i < n; i++, low = 0x80, high = 0xbf) {
        if ((unsigned char)s.p[i] < low || (unsigned char)s.p[i] > high)
            return 0;
    }
    return n;
}

/* As a JSON string, without its quotes; up to 6 bytes for each. */
static size_t print_string(char *to, svl_str s)
{
    char *at = to;

    while (s.n > 0) {
        size_t n = svl_fs_character(s);

        if (n == 0) {
            at += sprintf(at, "\\ufffd");
            n = 1;
        } else if (n == 1 && ((unsigned char)*s.p < 0x20 || *s.p == 0x7f)) {
            at += sprintf(at, "\\u%04x", (unsigned char)*s.p);
        } else {
            if (*s.p == '"' || *s.p == '\\')
                *at++ = '\\';
            memcpy(at, s.p, n);
            at += n;
        }
        s = svl_str_from(s, n);
    }
    return (size_t)(at - to);
}

static svl_str json_head(struct fs_listing *l)
{
    (void)l;
    return SVL_STR("[");
}

static size_t json_row(struct fs_listing *l, const struct fs_entry *e)
{
    svl_str name = svl_str_of(e->name);
    bool folder = e->kind == FS_FOLDER;
    char date[32] = "";
    time_t seconds = (time_t)e->mtime;
    char *at = l->row;
    struct tm tm;

    at += sprintf(at, "%s\n{\"name\":\"", l->printed ? "," : "");
    at += print_string(at, name);
    at += sprintf(at, "\",\"type\":\"%s\"",
                  folder               ? "directory"
                  : e->kind == FS_FILE ? "file"
                                       : "other");
    if (e->kind == FS_OTHER) {
        at += sprintf(at, ",\"why\":\"%s\"}", e->why);
        return (size_t)(at - l->row);
    }
    at += sprintf(at, ",\"url\":\"./");
    at += svl_path_escape(at, name);
    at += sprintf(at, "%s\"", folder ? "/" : "");
    if (!folder)
        at += sprintf(at, ",\"size\":%lld", (long long)e->size);
    if (gmtime_r(&seconds, &tm) && strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &tm))
        at += sprintf(at, ",\"mtime\":\"%s\"", date);
    at += sprintf(at, "}");
    return (size_t)(at - l->row);
}

static svl_str json_foot(struct fs_listing *l)
{
    (void)l;
    return SVL_STR("\n]\n");
}

const struct fs_format svl_fs_json = {
    .type = {"application/json", sizeof "application/json" - 1},
    .policy = POLICY,
    .head = json_head,
    .row = json_row,
    .foot = json_foot,
};

/* Text -----------------------------------------------------------------------------------------*/

static svl_str nothing(struct fs_listing *l)
{
    (void)l;
    return SVL_STR("");
}

/* Escaped as in a link: a name may hold a newline, and what reads this will ask for it. */
static size_t text_row(struct fs_listing *l, const struct fs_entry *e)
{
    size_t n;

    if (e->kind == FS_OTHER)
        return 0;
    n = svl_path_escape(l->row, svl_str_of(e->name));
    if (e->kind == FS_FOLDER)
        l->row[n++] = '/';
    l->row[n++] = '\n';
    return n;
}

const struct fs_format svl_fs_text = {
    .type = {"text/plain; charset=utf-8", sizeof "text/plain; charset=utf-8" - 1},
    .policy = POLICY,
    .head = nothing,
    .row = text_row,
    .foot = nothing,
};
