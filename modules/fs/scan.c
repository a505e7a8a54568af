/* Reads a folder for a listing. However many names there are, only the rows of one page are held:
 * a heap keeps the best of those that stand behind (or in front of) the cursor, so a page is one
 * pass over the folder. What is not held needs no look at the file either, unless the order is by
 * size or time. */
#include "listing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Order ----------------------------------------------------------------------------------------*/

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

/* Two numbers, of which both begin here; they are stepped over. */
static int compare_numbers(const char **a, const char **b)
{
    int order = 0;

    while (**a == '0')
        ++*a;
    while (**b == '0')
        ++*b;
    for (; is_digit(**a) && is_digit(**b); ++*a, ++*b) {
        if (!order)
            order = **a - **b;
    }
    return is_digit(**a) ? 1 : is_digit(**b) ? -1 : order;
}

/* Numbers by value, letters without regard to case: "a2" before "A10". */
static int compare_natural(const char *a, const char *b)
{
    for (;;) {
        int order;

        if (is_digit(*a) && is_digit(*b)) {
            order = compare_numbers(&a, &b);
            if (order)
                return order;
            continue;
        }
        order = lower(*a) - lower(*b);
        if (order || !*a)
            return order;
        a++;
        b++;
    }
}

/* Folders first, whatever the direction. */
static int compare(const struct fs_scan *s, const struct fs_entry *a, const struct fs_entry *b)
{
    int order = (b->kind == FS_FOLDER) - (a->kind == FS_FOLDER);

    if (order)
        return order;
    if (s->by == FS_BY_SIZE)
        order = (a->size > b->size) - (a->size < b->size);
    else if (s->by == FS_BY_TIME)
        order = (a->mtime > b->mtime) - (a->mtime < b->mtime);
    if (!order && s->by != FS_BY_NAME) { /* equal ones by name, downwards too */
        order = compare_natural(a->name, b->name);
        return order ? order : strcmp(a->name, b->name);
    }
    if (!order)
        order = compare_natural(a->name, b->name);
    if (!order)
        order = strcmp(a->name, b->name);
    return s->down ? -order : order;
}

/* The heap: entries[0] is the one to go when a better one comes. -------------------------------*/

static bool is_worse(const struct fs_scan *s, const struct fs_entry *a, const struct fs_entry *b)
{
    int order = compare(s, a, b);

    return s->backwards ? order < 0 : order > 0;
}

static void sink(struct fs_scan *s, size_t at, size_t n)
{
    struct fs_entry *e = s->entries[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= n)
            break;
        if (child + 1 < n && is_worse(s, s->entries[child + 1], s->entries[child]))
            child++;
        if (!is_worse(s, s->entries[child], e))
            break;
        s->entries[at] = s->entries[child];
        at = child;
    }
    s->entries[at] = e;
}

static struct fs_entry *keep(const struct fs_entry *entry)
{
    size_t n = strlen(entry->name) + 1;
    struct fs_entry *copy = malloc(sizeof *copy + n);

    if (!copy)
        return NULL;
    *copy = *entry;
    copy->name = memcpy(copy + 1, entry->name, n);
    return copy;
}

static int offer(struct fs_scan *s, const struct fs_entry *entry)
{
    struct fs_entry *copy;
    size_t at;

    if (s->n == PAGE_ROWS && !is_worse(s, s->entries[0], entry))
        return 0;
    copy = keep(entry);
    if (!copy)
        return -ENOMEM;
    if (s->n == PAGE_ROWS) {
        free(s->entries[0]);
        s->entries[0] = copy;
        sink(s, 0, s->n);
        return 0;
    }
    for (at = s->n++; at > 0 && is_worse(s, copy, s->entries[(at - 1) / 2]); at = (at - 1) / 2)
        s->entries[at] = s->entries[(at - 1) / 2];
    s->entries[at] = copy;
    return 0;
}

/* The worst goes to the end, again and again. */
static void put_in_order(struct fs_scan *s)
{
    for (size_t n = s->n; n > 1; n--) {
        struct fs_entry *worst = s->entries[0];

        s->entries[0] = s->entries[n - 1];
        s->entries[n - 1] = worst;
        sink(s, 0, n - 1);
    }
    for (size_t i = 0; s->backwards && i < s->n / 2; i++) {
        struct fs_entry *e = s->entries[i];

        s->entries[i] = s->entries[s->n - 1 - i];
        s->entries[s->n - 1 - i] = e;
    }
}

/* Looking --------------------------------------------------------------------------------------*/

static void refuse(struct fs_entry *e, const char *why)
{
    e->kind = FS_OTHER;
    e->why = why;
}

/* A link is opened as a request for it would do it. */
static bool look_behind(const struct fs_scan *s, struct fs_entry *e, struct stat *st)
{
    char path[PATH_MAX];
    int fd, n = snprintf(path, sizeof path, "%s/%s", s->path, e->name);

    fd = n < 0 || (size_t)n >= sizeof path ? -ENAMETOOLONG : svl_fs_open(s->root, path, O_PATH);
    if (fd < 0) {
        refuse(e, s->root->symlinks == SVL_FS_DENY || !s->root->openat2 ? "links are not followed"
                  : fd == -EXDEV                                        ? "leads out of here"
                  : fd == -ENOENT                                       ? "leads nowhere"
                                                                        : "cannot be followed");
        return false;
    }
    n = fstat(fd, st);
    close(fd);
    if (n)
        refuse(e, "cannot be read");
    return n == 0;
}

static void look(const struct fs_scan *s, struct fs_entry *e)
{
    struct stat st;
    bool folder;

    e->looked = true;
    if (fstatat(dirfd(s->dir), e->name, &st, AT_SYMLINK_NOFOLLOW)) {
        if (errno == ENOENT)
            e->kind = FS_GONE;
        else
            refuse(e, "cannot be read");
        return;
    }
    e->size = 0;
    e->mtime = st.st_mtime;
    if (S_ISLNK(st.st_mode) && !look_behind(s, e, &st))
        return;
    e->mtime = st.st_mtime;
    folder = S_ISDIR(st.st_mode);
    if (!folder && !S_ISREG(st.st_mode)) {
        refuse(e, "not a file");
        return;
    }
    e->kind = folder ? FS_FOLDER : FS_FILE;
    if (!folder)
        e->size = st.st_size;
}

/* For those that are shown. */
static void look_whether_allowed(const struct fs_scan *s, struct fs_entry *e)
{
    bool folder = e->kind == FS_FOLDER;

    if ((folder || e->kind == FS_FILE) &&
        faccessat(dirfd(s->dir), e->name, folder ? X_OK : R_OK, AT_EACCESS))
        refuse(e, "no permission");
}

/* Reading --------------------------------------------------------------------------------------*/

static bool is_shown(const struct fs_scan *s, const char *name)
{
    if (name[0] == '.' && (!s->show_hidden || strcmp(name, ".") == 0 || strcmp(name, "..") == 0))
        return false;
    return !s->filter[0] || strcasestr(name, s->filter);
}

/* The next name that is wanted, or NULL at the end and at an error, which errno tells. */
static const struct dirent *next_name(const struct fs_scan *s)
{
    const struct dirent *d;

    do {
        errno = 0;
        d = readdir(s->dir);
    } while (d && !is_shown(s, d->d_name));
    return d;
}

int svl_fs_scan_next(struct fs_scan *s, struct fs_entry *entry)
{
    const struct dirent *d;

    do {
        d = next_name(s);
        if (!d)
            return errno ? -errno : 0;
        *entry = (struct fs_entry){.kind = FS_FILE, .name = d->d_name};
        look(s, entry);
    } while (entry->kind == FS_GONE);
    look_whether_allowed(s, entry);
    return 1;
}

static void note_readme(struct fs_scan *s, const char *name)
{
    static const char *const names[] = {"README.md", "README.txt", "README"}; /* best first */

    if (lower(name[0]) != 'r')
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(s->readme, names[i]) == 0)
            return;
        if (strcasecmp(name, names[i]) == 0) {
            snprintf(s->readme, sizeof s->readme, "%s", name);
            return;
        }
    }
}

static int add(struct fs_scan *s, const struct dirent *d)
{
    struct fs_entry e = {.kind = d->d_type == DT_DIR ? FS_FOLDER : FS_FILE, .name = d->d_name};
    int order;

    if (s->by != FS_BY_NAME || d->d_type == DT_LNK || d->d_type == DT_UNKNOWN)
        look(s, &e);
    if (e.kind == FS_GONE)
        return 0;
    s->matched++;
    *(e.kind == FS_FOLDER ? &s->folders : &s->files) += 1;
    s->bytes += e.size;
    if (e.kind != FS_FOLDER)
        note_readme(s, e.name);
    order = s->has_cursor ? compare(s, &e, &s->cursor) : s->backwards ? -1 : 1;
    if (s->backwards ? order >= 0 : order <= 0)
        return 0;
    s->first++; /* those that may be on the page */
    return offer(s, &e);
}

/* Those that are shown are looked at now; some may have gone. */
static void look_at_all(struct fs_scan *s)
{
    static const uint64_t key[2] = {1, 2};
    struct {
        uint64_t before, name;
        int64_t size, mtime, kind;
    } row = {.before = 0};
    size_t n = 0;

    if (s->matched == s->n)
        s->bytes = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct fs_entry *e = s->entries[i];

        if (!e->looked)
            look(s, e);
        if (e->kind == FS_GONE) {
            free(e);
            continue;
        }
        look_whether_allowed(s, e);
        if (s->matched == s->n)
            s->bytes += e->size;
        row.before = s->hash;
        row.name = svl_fs_hash(key, e->name, strlen(e->name));
        row.size = e->size;
        row.mtime = e->mtime;
        row.kind = e->kind;
        s->hash = svl_fs_hash(key, (const char *)&row, sizeof row);
        s->entries[n++] = e;
    }
    s->sized = s->matched == s->n || s->by != FS_BY_NAME;
    s->matched -= s->n - n;
    s->n = n;
}

int svl_fs_scan(struct fs_scan *s)
{
    const struct dirent *d;
    int err = 0;

    s->entries = malloc(PAGE_ROWS * sizeof *s->entries);
    if (!s->entries)
        return -ENOMEM;
    do {
        d = next_name(s);
        if (!d && errno)
            return -errno;
        err = d ? add(s, d) : 0;
    } while (d && !err && !(s->one_page && s->matched > PAGE_ROWS));
    if (err || (s->one_page && s->matched > PAGE_ROWS))
        return err;
    put_in_order(s);
    s->first = s->backwards ? s->first - s->n : s->matched - s->first;
    s->hash = s->matched ^ s->first << 32;
    look_at_all(s);
    return 0;
}

void svl_fs_scan_finish(struct fs_scan *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->entries[i]);
    free(s->entries);
    s->entries = NULL;
    s->n = 0;
}
