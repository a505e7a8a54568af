/* Command lines of programs: one table says what there is, and makes the help. */
#ifndef SVL_OPTIONS_H
#define SVL_OPTIONS_H

#include "serval/str.h"

#include <stdio.h>

struct svl_option {
    int id;            /* its letter ('p' for -p), or a number of yours above 255 */
    const char *name;  /* "port" for --port; NULL ends the table */
    const char *value; /* what the help calls its value; NULL = it takes none */
    const char *help;  /* one line */
};

/* Gets each option in turn with its value (NULL if it takes none); id 0 is an argument that is not
 * an option. Files it in `to` and returns NULL, or says what is wrong: "not a port". */
typedef const char *svl_option_fn(void *to, int id, const char *value);

/* Reads "--name value", "--name=value", "-n value" and "-nvalue"; what follows "--" is not an
 * option. Returns 0, or SVL_ESYNTAX at the first mistake, with one line about it in `why`. */
int svl_options_read(const struct svl_option *table, char *const *argv, svl_option_fn *take,
                     void *to, char *why, size_t size);

/* One line for each option. */
void svl_options_help(const struct svl_option *table, FILE *file);

#endif
