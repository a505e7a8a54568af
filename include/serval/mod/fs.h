/* fs: files of a folder. */
#ifndef SVL_MOD_FS_H
#define SVL_MOD_FS_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_FS
#error "module fs is not built in: cmake -DSVL_MODULE_FS=ON"
#endif

/* Zero means "the default" everywhere. */
struct svl_fs_config {
    const char *root; /* the folder; NULL = "." */
};

extern const struct svl_module svl_fs_module;

#endif
