/* The registry: the generated file is a list, the code is ours. */
#include "serval/module.h"

#define SVL_MODULE(name) extern const struct svl_module svl_##name##_module;
#include "serval/modules.def"
#undef SVL_MODULE

const struct svl_module *const svl_modules[] = {
#define SVL_MODULE(name) &svl_##name##_module,
#include "serval/modules.def"
#undef SVL_MODULE
    NULL,
};

const struct svl_module *svl_module_find(svl_str name)
{
    for (const struct svl_module *const *m = svl_modules; *m; m++)
        if (svl_str_eq(name, svl_str_of((*m)->name)))
            return *m;
    return NULL;
}
