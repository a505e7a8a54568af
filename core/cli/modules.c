/* Values of options that are a module's own types. */
#include "cli/serve.h"

#include "serval/features.h"
#include "serval/module.h"
#include "serval/text.h"

#if SVL_HAVE_BASIC_AUTH
#include "serval/mod/basic_auth.h"
#endif
#if SVL_HAVE_ERRORS
#include "serval/mod/errors.h"
#endif
#if SVL_HAVE_FS
#include "serval/mod/fs.h"
#endif
#if SVL_HAVE_HEADERS
#include "serval/mod/headers.h"
#endif

#include <errno.h>
#include <stdlib.h>

#if SVL_HAVE_HEADERS
const char *svl_take_header(const struct svl_option *option, const char *value)
{
    struct svl_header_rule rule = {0};

    if (!svl_cli_split(value, ':', &rule.name, &rule.value))
        return "give a name and a value: 'X-A: b'";
    *(struct svl_header_rule *)svl_cli_add(option->to, sizeof rule) = rule;
    return NULL;
}
#endif

#if SVL_HAVE_FS
const char *svl_take_type(const struct svl_option *option, const char *value)
{
    struct svl_fs_type type;

    if (!svl_cli_split(value, '=', &type.extension, &type.type))
        return "give an extension and a type: wasm=application/wasm";
    *(struct svl_fs_type *)svl_cli_add(option->to, sizeof type) = type;
    return NULL;
}

const char *svl_take_conflict(const struct svl_option *option, const char *value)
{
    if (strcmp(value, "overwrite") == 0)
        return "nothing that is there is ever replaced; give error or rename";
    return svl_take_word(option, value);
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

    if (!svl_cli_split(value, '=', &status, &path) ||
        !svl_uint_parse(svl_str_of(status), &number) || number < 400 || number > 599)
        return "give a status from 400 to 599 and a file: 404=404.html";
    page.status = (int)number;
    page.html = read_page(path);
    if (!page.html)
        return "that file cannot be read, or is longer than 256 KiB";
    *(struct svl_error_page *)svl_cli_add(option->to, sizeof page) = page;
    return NULL;
}
#endif

#if SVL_HAVE_BASIC_AUTH
static const char *add_user(void *list, const char *name, const char *hash)
{
    struct svl_basic_auth_user user = {name, hash};

    if (!*name)
        return "give a name in front of the colon";
    if (!svl_basic_auth_is_hash(hash))
        return "that is no hash of a password that is known here; `serval hash-password NAME` "
               "makes "
               "one";
    *(struct svl_basic_auth_user *)svl_cli_add(list, sizeof user) = user;
    return NULL;
}

/* Everybody can see a command line, so what stands there must not be the password. */
const char *svl_take_user(const struct svl_option *option, const char *value)
{
    char hash[SVL_BASIC_AUTH_HASH], password[512];
    const char *name, *given;

    if (svl_cli_split(value, ':', &name, &given))
        return add_user(option->to, name, given);
    if (!*value || strchr(value, ':'))
        return "give a name and a hash, as `serval hash-password NAME` prints them";
    if (!svl_cli_ask_password(svl_cli_say("password of %s: ", value), password, sizeof password))
        return "give a hash behind it, as `serval hash-password NAME` prints them; without a "
               "terminal there is nobody to ask for the password";
    if (svl_basic_auth_hash(svl_str_of(password), hash))
        return "an empty password, or one that is too long";
    explicit_bzero(password, sizeof password);
    return add_user(option->to, value, svl_cli_copy(hash));
}

static const char *take_users(void *list, FILE *file, const char *path)
{
    char line[1024];
    unsigned number = 0;

    while (fgets(line, sizeof line, file)) {
        const char *name, *hash, *wrong;

        number++;
        line[strcspn(line, "\r\n")] = '\0';
        if (!line[strspn(line, " \t")] || line[0] == '#')
            continue;
        wrong =
            svl_cli_split(line, ':', &name, &hash) ? add_user(list, name, hash) : "give NAME:HASH";
        if (wrong)
            return svl_cli_say("%s:%u: %s", path, number, wrong);
    }
    return ferror(file) ? "it cannot be read" : NULL;
}

const char *svl_take_users(const struct svl_option *option, const char *value)
{
    FILE *file = fopen(value, "re");
    const char *wrong;

    if (!file)
        return strerror(errno);
    wrong = take_users(option->to, file, value);
    fclose(file);
    return wrong;
}
#endif

const char *svl_take_log(const struct svl_option *option, const char *value)
{
    struct svl_log_choice *log = option->to;
    int place = svl_cli_word(option, value);

    if (place < 0 && !strchr(value, '$'))
        return svl_cli_say("%s, or a template: '$client $path $status'",
                           svl_cli_say_words(option->words));
    *log = (struct svl_log_choice){.format = place < 0 ? 0 : place};
    log->off = place >= 0 && !strcmp(value, "off");
    log->template = place < 0 ? value : NULL;
    return NULL;
}

const char *svl_take_no_color(const struct svl_option *option, const char *value)
{
    (void)option, (void)value;
    setenv("NO_COLOR", "1", 1);
    return NULL;
}

const char *svl_take_rate(const struct svl_option *option, const char *value)
{
    static const char units[] = "smh";
    static const double seconds[] = {1, 60, 3600};
    const char *slash = strchr(value, '/'), *unit = slash ? strchr(units, slash[1]) : NULL;
    double n;

    if (!unit || !*unit || slash[2] ||
        !svl_float_parse((svl_str){value, (size_t)(slash - value)}, &n) || n <= 0 || n > 1e9)
        return "give requests and a time: 10/s, 100/m or 1000/h";
    *(double *)option->to = n / seconds[unit - units];
    return NULL;
}

const char *svl_take_show_modules(const struct svl_option *option, const char *value)
{
    (void)option, (void)value;
    for (const struct svl_module *const *m = svl_modules; *m; m++)
        printf("%-12s  %s\n", (*m)->name, (*m)->summary);
    exit(0);
}
