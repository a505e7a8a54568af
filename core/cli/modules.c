/* Values of options that are a module's own types. */
#include "cli/serve.h"

#include "serval/features.h"
#include "serval/module.h"
#include "serval/text.h"

#if SVL_HAVE_ERRORS
#include "serval/mod/errors.h"
#endif
#if SVL_HAVE_FS
#include "serval/mod/fs.h"
#endif
#if SVL_HAVE_HEADERS
#include "serval/mod/headers.h"
#endif

#include <stdlib.h>

/* "wasm=application/wasm", "X-A: b" in two. */
static bool split(const char *value, char separator, const char **left, const char **right)
{
    char *copy = svl_cli_copy(value), *at = strchr(copy, separator);

    if (!at || at == copy)
        return false;
    *at++ = '\0';
    *left = copy;
    *right = at + strspn(at, " ");
    return true;
}

#if SVL_HAVE_HEADERS
const char *svl_take_header(const struct svl_option *option, const char *value)
{
    struct svl_header_rule rule = {0};

    if (!split(value, ':', &rule.name, &rule.value))
        return "give a name and a value: 'X-A: b'";
    *(struct svl_header_rule *)svl_cli_add(option->to, sizeof rule) = rule;
    return NULL;
}
#endif

#if SVL_HAVE_FS
const char *svl_take_type(const struct svl_option *option, const char *value)
{
    struct svl_fs_type type;

    if (!split(value, '=', &type.extension, &type.type))
        return "give an extension and a type: wasm=application/wasm";
    *(struct svl_fs_type *)svl_cli_add(option->to, sizeof type) = type;
    return NULL;
}

const char *svl_take_cache(const struct svl_option *option, const char *value)
{
    const char **field = option->to;
    uint64_t seconds;

    if (strcmp(value, "revalidate") == 0)
        *field = "no-cache";
    else if (strcmp(value, "off") == 0)
        *field = "no-store";
    else if (svl_uint_parse(svl_str_of(value), &seconds) && seconds <= 31536000)
        *field = svl_cli_say("max-age=%llu", (unsigned long long)seconds);
    else
        return "give revalidate, off, or seconds up to 31536000";
    return NULL;
}
#endif

#if SVL_HAVE_ERRORS
static const char *read_page(const char *path)
{
    enum { PAGE_MAX = 256 << 10 };
    FILE *file = fopen(path, "re");
    char *text = malloc(PAGE_MAX + 1);
    size_t n = 0;
    const char *page = NULL;

    if (file && text)
        n = fread(text, 1, PAGE_MAX + 1, file);
    if (file && text && !ferror(file) && n <= PAGE_MAX) {
        text[n] = '\0';
        page = svl_cli_copy(text);
    }
    if (file)
        fclose(file);
    free(text);
    return page;
}

const char *svl_take_error_page(const struct svl_option *option, const char *value)
{
    struct svl_error_page page = {0};
    const char *status, *path;
    uint64_t number;

    if (!split(value, '=', &status, &path) || !svl_uint_parse(svl_str_of(status), &number) ||
        number < 400 || number > 599)
        return "give a status from 400 to 599 and a file: 404=404.html";
    page.status = (int)number;
    page.html = read_page(path);
    if (!page.html)
        return "that file cannot be read, or is longer than 256 KiB";
    *(struct svl_error_page *)svl_cli_add(option->to, sizeof page) = page;
    return NULL;
}
#endif

const char *svl_take_show_modules(const struct svl_option *option, const char *value)
{
    (void)option, (void)value;
    for (const struct svl_module *const *m = svl_modules; *m; m++)
        printf("%-12s  %s\n", (*m)->name, (*m)->summary);
    exit(0);
}
