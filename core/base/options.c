/* Command lines. Not getopt_long(), which prints its own messages, knows no nearest match and keeps
 * the table apart from the help. */
#include "serval/options.h"

#include "serval/error.h"

#define MAX_NAME 31
#define MAX_MISTAKES 2 /* letters, in a name that is still recognised */

/* How many letters to add, drop or change to make `b` of `a`. */
static size_t distance(svl_str a, svl_str b)
{
    size_t row[MAX_NAME + 1];

    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t corner = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t best = corner + (a.p[i - 1] != b.p[j - 1]);

            corner = row[j];
            if (best > row[j] + 1)
                best = row[j] + 1;
            if (best > row[j - 1] + 1)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b.n];
}

static const char *nearest(const struct svl_option *table, svl_str name)
{
    size_t best = MAX_MISTAKES + 1;
    const char *found = NULL;

    for (const struct svl_option *o = table; o->name && name.n <= MAX_NAME; o++) {
        svl_str known = svl_str_head(svl_str_of(o->name), MAX_NAME);
        size_t d = distance(name, known);

        if (d < best && d < known.n) {
            best = d;
            found = o->name;
        }
    }
    return found;
}

static const struct svl_option *by_name(const struct svl_option *table, svl_str name)
{
    for (; table->name; table++)
        if (svl_str_eq(svl_str_of(table->name), name))
            return table;
    return NULL;
}

static const struct svl_option *by_letter(const struct svl_option *table, char letter)
{
    for (; table->name; table++)
        if (table->id == letter)
            return table;
    return NULL;
}

static void say_unknown(const struct svl_option *table, svl_str name, char *why, size_t size)
{
    const char *like = nearest(table, name);

    if (like)
        snprintf(why, size, "unknown option --%.*s; did you mean --%s?", SVL_FMT(name), like);
    else
        snprintf(why, size, "unknown option --%.*s", SVL_FMT(name));
}

/* Finds the option that `arg` is ("--name", "--name=value", "-n", "-nvalue") and a value in it. */
static const struct svl_option *find(const struct svl_option *table, const char *arg,
                                     const char **value, char *why, size_t size)
{
    const struct svl_option *o;

    *value = NULL;
    if (arg[1] == '-') {
        svl_str all = svl_str_of(arg + 2), name = svl_str_head(all, svl_str_find(all, '='));

        o = by_name(table, name);
        if (!o)
            say_unknown(table, name, why, size);
        if (name.n < all.n)
            *value = name.p + name.n + 1;
    } else {
        o = by_letter(table, arg[1]);
        if (!o)
            snprintf(why, size, "unknown option %s", arg);
        if (arg[2])
            *value = arg + 2;
    }
    if (o && !o->value && *value) {
        snprintf(why, size, "--%s takes no value, but was given '%s'", o->name, *value);
        return NULL;
    }
    return o;
}

/* Reads one argument, or two if the value is the next one; *argv ends at the last one read. */
static int read_one(const struct svl_option *table, char *const **argv, bool only_others,
                    svl_option_fn *take, void *to, char *why, size_t size)
{
    static const struct svl_option other = {0};
    const struct svl_option *o = &other;
    const char *arg = **argv, *value = arg, *wrong;

    if (!only_others && arg[0] == '-' && arg[1]) {
        o = find(table, arg, &value, why, size);
        if (!o)
            return SVL_ESYNTAX;
        if (o->value && !value) {
            if (!(*argv)[1]) {
                snprintf(why, size, "--%s needs a value: --%s %s", o->name, o->name, o->value);
                return SVL_ESYNTAX;
            }
            value = *++*argv;
        }
    }
    wrong = take(to, o->id, value);
    if (wrong)
        snprintf(why, size, "%s%s%s%s: %s", o->name ? "--" : "", o->name ? o->name : "",
                 o->value ? " " : "", value ? value : "", wrong);
    return wrong ? SVL_ESYNTAX : 0;
}

int svl_options_read(const struct svl_option *table, char *const *argv, svl_option_fn *take,
                     void *to, char *why, size_t size)
{
    bool only_others = false;

    if (!*argv)
        return 0;
    for (argv++; *argv; argv++) {
        if (!only_others && !strcmp(*argv, "--")) {
            only_others = true;
            continue;
        }
        if (read_one(table, &argv, only_others, take, to, why, size))
            return SVL_ESYNTAX;
    }
    return 0;
}

void svl_options_help(const struct svl_option *table, FILE *file)
{
    char left[80];

    for (const struct svl_option *o = table; o->name; o++) {
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        if (o->id < 256)
            fprintf(file, "  -%c, %-17s  %s\n", o->id, left, o->help);
        else
            fprintf(file, "      %-17s  %s\n", left, o->help);
    }
}
