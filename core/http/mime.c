/* Media types by extension, from a table that the build makes (mime.cmake). */
#include "serval/mime.h"

#define EXT_MAX 32 /* a longer extension is no known one */

static const struct entry {
    const char *ext, *type;
} table[] = {
#include "mime_table.h"
};

/* What follows the last '.', even if there is a '/' in it: such a thing is not in the table. A name
 * that only begins with a dot (".profile") has no extension. */
static svl_str extension(svl_str name)
{
    const char *dot = name.n > 0 ? memrchr(name.p, '.', name.n) : NULL;

    if (!dot || dot == name.p || dot[-1] == '/')
        return SVL_STR_NONE;
    return svl_str_from(name, (size_t)(dot + 1 - name.p));
}

/* Copies in lower case, with a NUL. Returns false for what no entry of the table could be. */
static bool fold(char to[EXT_MAX], svl_str s)
{
    if (s.n == 0 || s.n >= EXT_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c == '\0')
            return false;
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    to[s.n] = '\0';
    return true;
}

svl_str svl_mime(svl_str file_name)
{
    size_t low = 0, high = sizeof table / sizeof *table;
    char ext[EXT_MAX];

    if (!fold(ext, extension(file_name)))
        return SVL_STR_NONE;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(ext, table[middle].ext);

        if (order == 0)
            return svl_str_of(table[middle].type);
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return SVL_STR_NONE;
}
