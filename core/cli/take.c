/* Values of options: from text to variables. What is made here lives as long as the program. */
#include "cli/cli.h"

#include "serval/str.h"
#include "serval/text.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>

static void *no_memory(void)
{
    svl_cli_refuse(SVL_CLI_START, "no memory");
}

/* A chain of blocks, so that nothing is lost sight of. */
static char *keep(size_t n)
{
    static struct block {
        struct block *next;
        char bytes[];
    } * blocks;
    struct block *block = calloc(1, sizeof *block + n);

    if (!block)
        return no_memory();
    block->next = blocks;
    blocks = block;
    return block->bytes;
}

char *svl_cli_copy(const char *text)
{
    size_t n = strlen(text) + 1;

    return memcpy(keep(n), text, n);
}

const char *svl_cli_say(const char *format, ...)
{
    va_list args, again;
    char *text;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    text = keep(n < 0 ? 1 : (size_t)n + 1);
    if (n > 0)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

static bool is_zero(const char *bytes, size_t n)
{
    while (n > 0 && !bytes[n - 1])
        n--;
    return n == 0;
}

void *svl_cli_add(void *list, size_t size)
{
    char *first;
    size_t n = 0;

    memcpy(&first, list, sizeof first);
    while (first && !is_zero(first + n * size, size))
        n++;
    first = realloc(first, (n + 2) * size);
    if (!first)
        return no_memory();
    memset(first + n * size, 0, 2 * size);
    memcpy(list, &first, sizeof first);
    return first + n * size;
}

bool svl_cli_split(const char *value, char separator, const char **left, const char **right)
{
    char *copy = svl_cli_copy(value), *at = strchr(copy, separator);

    if (!at || at == copy)
        return false;
    *at++ = '\0';
    *left = copy;
    *right = at + strspn(at, " ");
    return true;
}

/* Words ---------------------------------------------------------------------------------------- */

/* The next of the words, or an empty one. */
static svl_str next_word(const char **words)
{
    size_t n;
    svl_str word;

    *words += strspn(*words, " ");
    n = strcspn(*words, " ");
    word = (svl_str){*words, n};
    *words += n;
    return word;
}

int svl_cli_word(const struct svl_option *option, const char *value)
{
    const char *words = option->words;
    svl_str word;

    for (int i = 0; (word = next_word(&words)).n > 0; i++)
        if (svl_str_eq(word, svl_str_of(value)))
            return i;
    return -1;
}

const char *svl_cli_say_words(const char *words)
{
    const char *text = "give ";
    svl_str word = next_word(&words), next;

    for (bool first = true; word.n > 0; word = next, first = false) {
        next = next_word(&words);
        text = svl_cli_say("%s%s%.*s", text,
                           first        ? ""
                           : next.n > 0 ? ", "
                                        : " or ",
                           SVL_FMT(word));
    }
    return text;
}

const char *svl_take_word(const struct svl_option *option, const char *value)
{
    int place = svl_cli_word(option, value);

    if (place < 0)
        return svl_cli_say_words(option->words);
    memcpy(option->to, &place, sizeof place); /* an enum is as large as an int */
    return NULL;
}

const char *svl_take_switch(const struct svl_option *option, const char *value)
{
    int place = svl_cli_word(option, value);

    if (place < 0)
        return svl_cli_say_words(option->words);
    *(bool *)option->to = place == 1;
    return NULL;
}

const char *svl_take_flag(const struct svl_option *option, const char *value)
{
    (void)value;
    *(bool *)option->to = true;
    return NULL;
}

/* Text ----------------------------------------------------------------------------------------- */

const char *svl_take_text(const struct svl_option *option, const char *value)
{
    if (!*value)
        return svl_cli_say("give a %s, not nothing", option->value ? option->value : option->name);
    *(const char **)option->to = value;
    return NULL;
}

const char *svl_take_list(const struct svl_option *option, const char *value)
{
    if (!*value)
        return svl_cli_say("give a %s, not nothing", option->value ? option->value : option->name);
    *(const char **)svl_cli_add(option->to, sizeof value) = value;
    return NULL;
}

const char *svl_take_names(const struct svl_option *option, const char *value)
{
    char *rest = svl_cli_copy(value), *name;
    const char **list = NULL;

    while ((name = strsep(&rest, ",")))
        if (*name)
            *(const char **)svl_cli_add(&list, sizeof name) = name;
    if (!list)
        return "give names, with commas between them";
    free((void *)*(const char *const **)option->to);
    *(const char *const **)option->to = list;
    return NULL;
}

/* Numbers -------------------------------------------------------------------------------------- */

static bool is_within(const struct svl_option *o, uint64_t n)
{
    return n >= o->min && (!o->max || n <= o->max);
}

const char *svl_take_number(const struct svl_option *option, const char *value)
{
    uint64_t max = option->max ? option->max : UINT_MAX, n = 0;
    bool is_word = option->words && !strcmp(value, option->words);

    if (!is_word && (!svl_uint_parse(svl_str_of(value), &n) || n < option->min || n > max))
        return svl_cli_say("give a number from %llu to %llu%s%s", (unsigned long long)option->min,
                           (unsigned long long)max, option->words ? ", or " : "",
                           option->words ? option->words : "");
    *(unsigned *)option->to = (unsigned)n;
    return NULL;
}

/* A number and a unit out of "ms 1 s 1000": what it is altogether. No unit is `plain`. */
static bool with_unit(const char *value, const char *units, uint64_t plain, uint64_t *result)
{
    size_t digits = strspn(value, "0123456789");
    svl_str unit = svl_str_of(value + digits), word;
    uint64_t n, times = unit.n ? 0 : plain;

    while (!times && (word = next_word(&units)).n > 0) {
        svl_str by = next_word(&units);

        if (svl_str_ieq(unit, word))
            svl_uint_parse(by, &times);
    }
    if (!times || !svl_uint_parse((svl_str){value, digits}, &n) || n > UINT64_MAX / times)
        return false;
    *result = n * times;
    return true;
}

const char *svl_take_time(const struct svl_option *option, const char *value)
{
    uint64_t ms;

    if (!with_unit(value, "ms 1 s 1000 m 60000 h 3600000", 1000, &ms) || ms > UINT_MAX || ms == 0)
        return "give a time: 500ms, 10s or 2m";
    if (!is_within(option, ms))
        return svl_cli_say("give a time from %llums to %llus", (unsigned long long)option->min,
                           (unsigned long long)option->max / 1000);
    *(unsigned *)option->to = (unsigned)ms;
    return NULL;
}

const char *svl_take_size(const struct svl_option *option, const char *value)
{
    uint64_t n;

    if (!with_unit(value, "k 1024 m 1048576 g 1073741824", 1, &n) || n > SIZE_MAX / 2 || n == 0)
        return "not a size; give a number of bytes, or with k, m or g: 10m";
    if (!is_within(option, n))
        return svl_cli_say("give a size from %llu to %llu bytes", (unsigned long long)option->min,
                           (unsigned long long)option->max);
    *(size_t *)option->to = (size_t)n;
    return NULL;
}
