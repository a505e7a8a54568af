/* tar as POSIX has it (pax, IEEE 1003.1): what does not fit into a head stands in one before it. */
#include "archive.h"

#include <sys/stat.h>

#define BLOCK 512
#define NAME_ROOM 100
#define SIZE_MAX_OCTAL (((int64_t)1 << 33) - 1)

static void octal(char *to, int digits, uint64_t value)
{
    for (int i = digits - 1; i >= 0; i--, value >>= 3)
        to[i] = (char)('0' + (value & 7));
}

static char *put_block(char *at, svl_str name, char kind, mode_t mode, uint64_t size, int64_t mtime)
{
    unsigned sum = 0;

    memset(at, 0, BLOCK);
    memcpy(at, name.p, name.n < NAME_ROOM ? name.n : NAME_ROOM);
    octal(at + 100, 7, mode & 07777);
    octal(at + 108, 7, 0);
    octal(at + 116, 7, 0);
    octal(at + 124, 11, size);
    octal(at + 136, 11, mtime > 0 ? (uint64_t)mtime & SIZE_MAX_OCTAL : 0);
    at[156] = kind;
    memcpy(at + 257,
           "ustar\0"
           "00",
           8);
    memset(at + 148, ' ', 8);
    for (int i = 0; i < BLOCK; i++)
        sum += (unsigned char)at[i];
    octal(at + 148, 6, sum);
    at[154] = 0;
    return at + BLOCK;
}

/* "27 path=some/where\n": its own length counts. */
static char *put_record(char *at, const char *key, svl_str value)
{
    size_t rest = strlen(key) + value.n + 3, n = rest + 1; /* blank, '=', newline */

    for (size_t more = 10; n >= more; more *= 10)
        n = rest + (size_t)snprintf(NULL, 0, "%zu", n);
    at += sprintf(at, "%zu %s=", n, key);
    memcpy(at, value.p, value.n);
    at[value.n] = '\n';
    return at + value.n + 1;
}

static size_t padding(uint64_t n)
{
    return (size_t)(-n & (BLOCK - 1));
}

static char *put_extended(char *at, const struct fs_item *item)
{
    char *records = at + BLOCK, *end = records, text[24];

    if (!item->utf8)
        end = put_record(end, "hdrcharset", SVL_STR("BINARY"));
    if (item->name.n > NAME_ROOM)
        end = put_record(end, "path", item->name);
    if (item->size > SIZE_MAX_OCTAL) {
        int n = snprintf(text, sizeof text, "%lld", (long long)item->size);
        end = put_record(end, "size", (svl_str){text, (size_t)n});
    }
    put_block(at, SVL_STR("././@PaxHeader"), 'x', 0644, (uint64_t)(end - records), 0);
    memset(end, 0, padding((uint64_t)(end - records)));
    return end + padding((uint64_t)(end - records));
}

static size_t head(struct fs_archive *a)
{
    const struct fs_item *item = &a->item;
    bool fits = item->size <= SIZE_MAX_OCTAL;
    char *at = a->text;

    if (item->name.n > NAME_ROOM || !fits)
        at = put_extended(at, item);
    at = put_block(at, item->name, item->folder ? '5' : '0', item->mode,
                   fits ? (uint64_t)item->size : 0, item->mtime);
    return (size_t)(at - a->text);
}

static size_t tail(struct fs_archive *a)
{
    size_t n = padding((uint64_t)a->item.size);

    memset(a->text, 0, n);
    return n;
}

static int list(struct fs_archive *a)
{
    (void)a;
    return -1;
}

static size_t end(struct fs_archive *a)
{
    memset(a->text, 0, 2 * BLOCK);
    return 2 * BLOCK;
}

const struct fs_packing svl_fs_tar = {
    .extension = {".tar", 4},
    .type = {"application/x-tar", 17},
    .head = head,
    .tail = tail,
    .index = list,
    .end = end,
};
