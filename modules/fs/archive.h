/* A folder as one file: archive.c walks the folder and reads the files, zip.c and tar.c say what
 * stands around them. Everything is written as the client takes it. */
#ifndef SVL_FS_ARCHIVE_H
#define SVL_FS_ARCHIVE_H

#include "internal.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>

/* Folders within each other. Each holds a descriptor while it is walked. */
#define ARCHIVE_DEPTH 64

/* A name, and what stands around it in the longest case. */
#define ARCHIVE_TEXT (3 * PATH_MAX + 3 * 512 + 256)

struct fs_archive;

/* One file or folder of it. */
struct fs_item {
    svl_str name; /* as it stands in the archive; a folder's ends with '/' */
    bool folder, utf8;
    mode_t mode;
    int64_t size, mtime;
    uint32_t crc;    /* of what has been read of it */
    uint64_t offset; /* of its head in the archive */
};

/* Each writes to a->text and returns how much. */
struct fs_packing {
    svl_str extension, type;
    size_t (*head)(struct fs_archive *a);
    size_t (*tail)(struct fs_archive *a); /* behind the bytes of a file */
    int (*index)(struct fs_archive *a);   /* at the end: a file that is given as it is, -1 = none */
    size_t (*end)(struct fs_archive *a);
};

extern const struct fs_packing svl_fs_zip, svl_fs_tar;

struct fs_archive {
    const struct fs_packing *packing;
    struct fs_item item;
    uint64_t given; /* bytes of the archive so far */
    char text[ARCHIVE_TEXT];

    /* zip.c's: the list at the end, in a file of its own, however long it gets. */
    FILE *index;
    uint64_t n_items, index_at, index_n;

    /* archive.c's. */
    const struct fs_root *root;
    bool show_hidden;
    enum { ITEMS, INDEX, END } part;
    struct {
        DIR *dir;
        size_t n; /* of its path */
    } levels[ARCHIVE_DEPTH];
    int depth;
    char path[PATH_MAX]; /* of the item, for the kernel: path[top, n) is its name */
    size_t n, top;
    char name[PATH_MAX + NAME_MAX]; /* of the item, in the archive */
    size_t text_at, text_n;
    int fd; /* that is being read, -1 = none */
    struct stat st;
    struct fs_stamp stamp;
    int64_t at, size;
    bool own_fd;
};

/* CRC-32 as zip has it (ISO 3309), continued. */
uint32_t svl_fs_crc32(uint32_t crc, const char *bytes, size_t n);

#endif
