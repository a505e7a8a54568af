/* skeleton: the module to copy. Greets on one path and stamps every answer on its way out. */
#ifndef SVL_MOD_SKELETON_H
#define SVL_MOD_SKELETON_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_SKELETON
#error "module skeleton is not built in: cmake -DSVL_MODULE_SKELETON=ON"
#endif

/* Zero means "the default" everywhere. */
struct svl_skeleton_config {
    const char *path;     /* the path that is greeted; NULL = "/skeleton" */
    const char *greeting; /* the text that is sent; NULL = "hello from the skeleton\n" */
};

extern const struct svl_module svl_skeleton_module;

#endif
