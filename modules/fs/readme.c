/* The README of a folder as HTML. Markdown is taken apart by md4c and written down here, so that
 * what can be in the result is what this file writes: no raw HTML, no links but to the web, mail and
 * this server. Without md4c, Markdown is shown as it is. */
#include "listing.h"

#include "serval/uri.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#if SVL_FS_MARKDOWN
#include <md4c.h>
#endif

#define README_MAX ((size_t)256 << 10)

/* Text that grows ------------------------------------------------------------------------------*/

#define HTML_MAX (8 * README_MAX) /* numbered entities and deep lists can blow a text up */

struct html {
    char *text;
    size_t n, room;
    bool failed;
    unsigned in_image; /* its text becomes an attribute */
};

static char *reserve(struct html *h, size_t n)
{
    if (h->failed || n > HTML_MAX - h->n) {
        h->failed = true;
        return NULL;
    }
    if (h->n + n > h->room) {
        size_t room = 2 * (h->n + n) + 4096;
        char *text = realloc(h->text, room);

        if (!text) {
            h->failed = true;
            return NULL;
        }
        h->text = text;
        h->room = room;
    }
    return h->text + h->n;
}

static void put(struct html *h, svl_str s)
{
    char *to = reserve(h, s.n);

    if (to && s.n) {
        memcpy(to, s.p, s.n);
        h->n += s.n;
    }
}

static void put_text(struct html *h, svl_str s)
{
    char *to = reserve(h, 6 * s.n);

    if (to)
        h->n += svl_html_escape(to, s);
}

#if SVL_FS_MARKDOWN

/* Markdown -------------------------------------------------------------------------------------*/

static void put_literal(struct html *h, const char *s)
{
    put(h, svl_str_of(s));
}

/* The code point of "&#x41;" and "&#65;", and those names that people write; else 0. */
static unsigned long entity(const char *p, size_t n)
{
    static const struct {
        const char *name;
        unsigned code;
    } names[] = {{"&amp;", '&'},     {"&lt;", '<'},       {"&gt;", '>'},       {"&quot;", '"'},
                 {"&nbsp;", 0xa0},   {"&copy;", 0xa9},    {"&mdash;", 0x2014}, {"&ndash;", 0x2013},
                 {"&rarr;", 0x2192}, {"&hellip;", 0x2026}};
    char text[16] = "";
    unsigned long code;

    if (n < 4 || n >= sizeof text)
        return 0;
    memcpy(text, p, n);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i].name) == 0)
            return names[i].code;
    }
    if (text[1] != '#')
        return 0;
    code = text[2] == 'x' || text[2] == 'X' ? strtoul(text + 3, NULL, 16)
                                            : strtoul(text + 2, NULL, 10);
    if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0xfffd;
    return code;
}

static size_t utf8(char *to, unsigned long c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* A part of an attribute, decoded; `to` needs n bytes and 4. Returns the length. */
static size_t decode(char *to, MD_TEXTTYPE type, const char *p, size_t n)
{
    unsigned long code = type == MD_TEXT_ENTITY ? entity(p, n) : 0;

    if (type == MD_TEXT_NULLCHAR)
        return 0;
    if (code)
        return utf8(to, code);
    memcpy(to, p, n);
    return n;
}

static size_t attribute(char *to, const MD_ATTRIBUTE *a)
{
    size_t n = 0;

    for (unsigned i = 0; a->text && a->substr_offsets[i] < a->size; i++) {
        MD_OFFSET from = a->substr_offsets[i], end = a->substr_offsets[i + 1];

        n += decode(to + n, a->substr_types[i], a->text + from, end - from);
    }
    return n;
}

/* Relative, or of a scheme that runs no program. Blanks and control bytes, which browsers would
 * take out before they look, make it none of these. */
static bool is_safe(svl_str url)
{
    static const char *const schemes[] = {"http:", "https:", "mailto:"};
    size_t n = 0;

    for (size_t i = 0; i < url.n; i++) {
        if ((unsigned char)url.p[i] <= ' ')
            return false;
    }
    while (n < url.n && !strchr(":/?#", url.p[n]))
        n++;
    if (n == url.n || url.p[n] != ':')
        return true;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (svl_str_ieq(svl_str_head(url, n + 1), svl_str_of(schemes[i])))
            return true;
    }
    return false;
}

static void put_url(struct html *h, const char *before, const MD_ATTRIBUTE *a)
{
    char *url = malloc(a->size + 4);
    svl_str text;

    if (!url) {
        h->failed = true;
        return;
    }
    text = (svl_str){url, attribute(url, a)};
    put_literal(h, before);
    put_text(h, is_safe(text) ? text : SVL_STR("#"));
    put_literal(h, "\"");
    free(url);
}

static void heading(struct html *h, const char *open, unsigned level)
{
    char text[8];

    /* Beneath the page's h1 and the h2 that names the file. */
    snprintf(text, sizeof text, "%s%u>", open, level + 2 > 6 ? 6 : level + 2);
    put_literal(h, text);
}

static int enter_block(MD_BLOCKTYPE type, void *detail, void *arg)
{
    static const char *const aligns[] = {"", " align=\"left\"", " align=\"center\"",
                                         " align=\"right\""};
    struct html *h = arg;
    char text[48];

    switch (type) {
    case MD_BLOCK_DOC: break;
    case MD_BLOCK_QUOTE: put_literal(h, "<blockquote>\n"); break;
    case MD_BLOCK_UL: put_literal(h, "<ul>\n"); break;
    case MD_BLOCK_OL:
        snprintf(text, sizeof text, "<ol start=\"%u\">\n", ((MD_BLOCK_OL_DETAIL *)detail)->start);
        put_literal(h, text);
        break;
    case MD_BLOCK_LI:
        put_literal(h, "<li>");
        if (((MD_BLOCK_LI_DETAIL *)detail)->is_task)
            put_literal(h, ((MD_BLOCK_LI_DETAIL *)detail)->task_mark == ' ' ? "&#x2610; "
                                                                            : "&#x2611; ");
        break;
    case MD_BLOCK_HR: put_literal(h, "<hr>\n"); break;
    case MD_BLOCK_H: heading(h, "<h", ((MD_BLOCK_H_DETAIL *)detail)->level); break;
    case MD_BLOCK_CODE: put_literal(h, "<pre><code>"); break;
    case MD_BLOCK_HTML: break;
    case MD_BLOCK_P: put_literal(h, "<p>"); break;
    case MD_BLOCK_TABLE: put_literal(h, "<table>\n"); break;
    case MD_BLOCK_THEAD: put_literal(h, "<thead>"); break;
    case MD_BLOCK_TBODY: put_literal(h, "<tbody>"); break;
    case MD_BLOCK_TR: put_literal(h, "<tr>"); break;
    case MD_BLOCK_TH:
    case MD_BLOCK_TD:
        put_literal(h, type == MD_BLOCK_TH ? "<th" : "<td");
        put_literal(h, aligns[((MD_BLOCK_TD_DETAIL *)detail)->align & 3]);
        put_literal(h, ">");
        break;
    }
    return h->failed;
}

static int leave_block(MD_BLOCKTYPE type, void *detail, void *arg)
{
    struct html *h = arg;

    switch (type) {
    case MD_BLOCK_DOC:
    case MD_BLOCK_HR:
    case MD_BLOCK_HTML: break;
    case MD_BLOCK_QUOTE: put_literal(h, "</blockquote>\n"); break;
    case MD_BLOCK_UL: put_literal(h, "</ul>\n"); break;
    case MD_BLOCK_OL: put_literal(h, "</ol>\n"); break;
    case MD_BLOCK_LI: put_literal(h, "</li>\n"); break;
    case MD_BLOCK_H: heading(h, "</h", ((MD_BLOCK_H_DETAIL *)detail)->level); break;
    case MD_BLOCK_CODE: put_literal(h, "</code></pre>\n"); break;
    case MD_BLOCK_P: put_literal(h, "</p>\n"); break;
    case MD_BLOCK_TABLE: put_literal(h, "</table>\n"); break;
    case MD_BLOCK_THEAD: put_literal(h, "</thead>"); break;
    case MD_BLOCK_TBODY: put_literal(h, "</tbody>"); break;
    case MD_BLOCK_TR: put_literal(h, "</tr>\n"); break;
    case MD_BLOCK_TH: put_literal(h, "</th>"); break;
    case MD_BLOCK_TD: put_literal(h, "</td>"); break;
    }
    return h->failed;
}

static int enter_span(MD_SPANTYPE type, void *detail, void *arg)
{
    struct html *h = arg;

    if (h->in_image) { /* only text may be in there */
        h->in_image += type == MD_SPAN_IMG;
        return h->failed;
    }
    switch (type) {
    case MD_SPAN_EM: put_literal(h, "<em>"); break;
    case MD_SPAN_STRONG: put_literal(h, "<strong>"); break;
    case MD_SPAN_CODE: put_literal(h, "<code>"); break;
    case MD_SPAN_DEL: put_literal(h, "<del>"); break;
    case MD_SPAN_A:
        put_url(h, "<a href=\"", &((MD_SPAN_A_DETAIL *)detail)->href);
        put_literal(h, " rel=\"nofollow noreferrer\">");
        break;
    case MD_SPAN_IMG:
        put_url(h, "<img src=\"", &((MD_SPAN_IMG_DETAIL *)detail)->src);
        put_literal(h, " alt=\"");
        h->in_image = 1;
        break;
    default: break;
    }
    return h->failed;
}

static int leave_span(MD_SPANTYPE type, void *detail, void *arg)
{
    struct html *h = arg;

    (void)detail;
    if (h->in_image) {
        h->in_image -= type == MD_SPAN_IMG;
        if (!h->in_image)
            put_literal(h, "\">");
        return h->failed;
    }
    switch (type) {
    case MD_SPAN_EM: put_literal(h, "</em>"); break;
    case MD_SPAN_STRONG: put_literal(h, "</strong>"); break;
    case MD_SPAN_CODE: put_literal(h, "</code>"); break;
    case MD_SPAN_DEL: put_literal(h, "</del>"); break;
    case MD_SPAN_A: put_literal(h, "</a>"); break;
    default: break;
    }
    return h->failed;
}

static int on_text(MD_TEXTTYPE type, const MD_CHAR *p, MD_SIZE n, void *arg)
{
    struct html *h = arg;
    char code[16];

    if (type == MD_TEXT_BR && !h->in_image)
        put_literal(h, "<br>\n");
    else if (type == MD_TEXT_BR || type == MD_TEXT_SOFTBR)
        put_literal(h, "\n");
    else if (type == MD_TEXT_ENTITY && n < sizeof code)
        put_text(h, (svl_str){code, decode(code, type, p, n)});
    else if (type != MD_TEXT_NULLCHAR)
        put_text(h, (svl_str){p, n});
    return h->failed;
}

static void put_markdown(struct html *h, svl_str text)
{
    const MD_PARSER parser = {
        .flags = MD_FLAG_NOHTML | MD_DIALECT_GITHUB,
        .enter_block = enter_block,
        .leave_block = leave_block,
        .enter_span = enter_span,
        .leave_span = leave_span,
        .text = on_text,
    };

    if (md_parse(text.p, (MD_SIZE)text.n, &parser, h))
        h->failed = true;
}

#endif

/* The file -------------------------------------------------------------------------------------*/

static ssize_t read_all(int fd, char *to, size_t room)
{
    size_t n = 0;

    while (n < room) {
        ssize_t got = read(fd, to + n, room - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

static void put_readme(struct html *h, svl_str name, svl_str text)
{
#if SVL_FS_MARKDOWN
    if (name.n > 3 && svl_str_ieq(svl_str_from(name, name.n - 3), SVL_STR(".md"))) {
        put_markdown(h, text);
        return;
    }
#else
    (void)name;
#endif
    put(h, SVL_STR("<pre class=\"text\">"));
    put_text(h, text);
    put(h, SVL_STR("</pre>"));
}

char *svl_fs_readme(const struct fs_root *root, const char *folder, const char *name, size_t *n)
{
    struct html h = {0};
    char path[PATH_MAX];
    struct stat st;
    char *text = NULL;
    ssize_t got = -1;
    int fd;

    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return NULL;
    fd = svl_fs_open(root, path, 0);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (size_t)st.st_size <= README_MAX)
        text = malloc(README_MAX);
    if (text)
        got = read_all(fd, text, README_MAX);
    close(fd);
    if (got > 0) {
        svl_str all = {text, (size_t)got};

        if (svl_str_starts(all, SVL_STR("\xef\xbb\xbf")))
            all = svl_str_from(all, 3);
        put(&h, SVL_STR("<article aria-labelledby=\"readme\"><h2 id=\"readme\">"));
        put_text(&h, svl_str_of(name));
        put(&h, SVL_STR("</h2><div>"));
        put_readme(&h, svl_str_of(name), all);
        put(&h, SVL_STR("</div></article>\n"));
    }
    free(text);
    if (got <= 0 || h.failed) {
        free(h.text);
        return NULL;
    }
    *n = h.n;
    return h.text;
}
