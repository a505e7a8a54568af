/* zip without compression: PKWARE's APPNOTE 6.3.10, with zip64 where a number needs it. The
 * checksum of a file stands behind it, as it is only known then; the list of all that stands at the
 * end is kept in a file without a name. */
#include "archive.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX32 0xffffffffu

enum { CHECKED_BEHIND = 1 << 3, UTF8 = 1 << 11 }; /* flags, APPNOTE 4.4.4 */

static char *put(char *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *at++ = (char)(value >> 8 * i);
    return at;
}

static uint64_t at_most(uint64_t value, uint64_t max)
{
    return value < max ? value : max;
}

static bool is_large(const struct fs_item *item)
{
    return item->size >= MAX32;
}

/* Version, flags, method, time: the same in both heads. DOS time has no zone and begins in 1980; the
 * field "UT" has the time as it is. */
static char *put_common(char *at, const struct fs_item *item, bool zip64)
{
    time_t seconds = (time_t)item->mtime;
    struct tm tm;

    if (!gmtime_r(&seconds, &tm) || tm.tm_year < 80 || tm.tm_year > 207)
        tm = (struct tm){.tm_year = 80, .tm_mday = 1};
    at = put(at, zip64 ? 45 : 20, 2);
    at = put(at, (item->folder ? 0 : CHECKED_BEHIND) | (item->utf8 ? UTF8 : 0), 2);
    at = put(at, 0, 2);
    at = put(at, (uint64_t)(tm.tm_hour << 11 | tm.tm_min << 5 | tm.tm_sec / 2), 2);
    return put(at, (uint64_t)((tm.tm_year - 80) << 9 | (tm.tm_mon + 1) << 5 | tm.tm_mday), 2);
}

static char *put_time(char *at, const struct fs_item *item)
{
    at = put(at, 0x5455, 2);
    at = put(at, 5, 2);
    at = put(at, 1, 1);
    return put(at, (uint64_t)item->mtime, 4);
}

static size_t head(struct fs_archive *a)
{
    const struct fs_item *item = &a->item;
    bool large = is_large(item);
    char *at = put(a->text, 0x04034b50, 4);

    at = put_common(at, item, large);
    at = put(at, 0, 4);
    at = put(at, large ? MAX32 : 0, 4); /* both sizes stand behind the file */
    at = put(at, large ? MAX32 : 0, 4);
    at = put(at, item->name.n, 2);
    at = put(at, 9 + (large ? 20 : 0), 2);
    memcpy(at, item->name.p, item->name.n);
    at = put_time(at + item->name.n, item);
    if (large) {
        at = put(at, 1, 2);
        at = put(at, 16, 2);
        at = put(at, 0, 8);
        at = put(at, 0, 8);
    }
    return (size_t)(at - a->text);
}

static int note(struct fs_archive *a)
{
    const struct fs_item *item = &a->item;
    bool large = is_large(item), far = item->offset >= MAX32;
    uint64_t zip64 = (large ? 16 : 0) + (far ? 8 : 0);
    char text[46 + 9 + 28], *at = put(text, 0x02014b50, 4), *fixed;

    at = put(at, 3 << 8 | 45, 2); /* made on Unix */
    at = put_common(at, item, zip64);
    at = put(at, item->crc, 4);
    at = put(at, at_most((uint64_t)item->size, MAX32), 4);
    at = put(at, at_most((uint64_t)item->size, MAX32), 4);
    at = put(at, item->name.n, 2);
    at = put(at, 9 + (zip64 ? 4 + zip64 : 0), 2);
    at = put(at, 0, 6); /* comment, disk, kind */
    at = put(at, (uint64_t)item->mode << 16 | (item->folder ? 0x10 : 0), 4);
    at = fixed = put(at, at_most(item->offset, MAX32), 4);
    at = put_time(at, item);
    if (zip64) {
        at = put(at, 1, 2);
        at = put(at, zip64, 2);
    }
    if (large) {
        at = put(at, (uint64_t)item->size, 8);
        at = put(at, (uint64_t)item->size, 8);
    }
    if (far)
        at = put(at, item->offset, 8);
    fwrite(text, 1, (size_t)(fixed - text), a->index);
    fwrite(item->name.p, 1, item->name.n, a->index);
    fwrite(fixed, 1, (size_t)(at - fixed), a->index);
    a->n_items++;
    a->index_n += (uint64_t)(at - text) + item->name.n;
    return ferror(a->index) ? -EIO : 0;
}

/* On the disk; in memory where nothing may be written, as in a sandbox. */
static FILE *open_index(void)
{
    FILE *file = tmpfile();
    int fd = file ? -1 : memfd_create("zip", MFD_CLOEXEC);

    if (fd < 0)
        return file;
    file = fdopen(fd, "w+");
    if (!file)
        close(fd);
    return file;
}

static size_t tail(struct fs_archive *a)
{
    const struct fs_item *item = &a->item;
    int wide = is_large(item) ? 8 : 4;
    char *at = a->text;

    if (!a->index)
        a->index = open_index();
    if (!a->index || note(a))
        return SIZE_MAX;
    if (item->folder)
        return 0;
    at = put(at, 0x08074b50, 4);
    at = put(at, item->crc, 4);
    at = put(at, (uint64_t)item->size, wide);
    at = put(at, (uint64_t)item->size, wide);
    return (size_t)(at - a->text);
}

static int list(struct fs_archive *a)
{
    a->index_at = a->given;
    if (!a->index)
        return -1;
    return fflush(a->index) ? -EIO : fileno(a->index);
}

static size_t end(struct fs_archive *a)
{
    bool zip64 = a->n_items >= 0xffff || a->index_at >= MAX32 || a->index_n >= MAX32;
    uint64_t here = a->index_at + a->index_n;
    char *at = a->text;

    if (zip64) {
        at = put(at, 0x06064b50, 4);
        at = put(at, 44, 8);
        at = put(at, 3 << 8 | 45, 2);
        at = put(at, 45, 2);
        at = put(at, 0, 8);
        at = put(at, a->n_items, 8);
        at = put(at, a->n_items, 8);
        at = put(at, a->index_n, 8);
        at = put(at, a->index_at, 8);
        at = put(at, 0x07064b50, 4);
        at = put(at, 0, 4);
        at = put(at, here, 8);
        at = put(at, 1, 4);
    }
    at = put(at, 0x06054b50, 4);
    at = put(at, 0, 4);
    at = put(at, at_most(a->n_items, 0xffff), 2);
    at = put(at, at_most(a->n_items, 0xffff), 2);
    at = put(at, at_most(a->index_n, MAX32), 4);
    at = put(at, at_most(a->index_at, MAX32), 4);
    at = put(at, 0, 2);
    return (size_t)(at - a->text);
}

const struct fs_packing svl_fs_zip = {
    .extension = {".zip", 4},
    .type = {"application/zip", 15},
    .head = head,
    .tail = tail,
    .index = list,
    .end = end,
};
