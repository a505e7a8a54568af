/* --print-config: what holds after the command line and the environment are read, and which of them
 * said so. */
#include "cli/cli.h"

#include <string.h>

struct said {
    const struct svl_option *option;
    const char *value; /* NULL: it takes none */
    const char *by;
};

static struct said *all; /* in the order in which it was read; a zeroed one ends it */

void svl_config_note(const struct svl_option *option, const char *value, const char *by)
{
    struct said *said = svl_cli_add(&all, sizeof *said);

    *said = (struct said){option, value, by};
}

/* What comes later counts more, but for options that may be repeated. */
static bool is_last(const struct said *said)
{
    for (const struct said *later = said + 1; later->option; later++)
        if (later->option == said->option)
            return false;
    return true;
}

static bool was_said(const struct svl_option *option)
{
    for (const struct said *said = all; said && said->option; said++)
        if (said->option == option || (option->to && said->option->to == option->to))
            return true;
    return false;
}

/* Hashes are no passwords, and still nothing to be pasted into a report. */
static const char *shown(const struct said *said)
{
    const char *value = said->value;

    if (!value)
        return "on";
    if (said->option->secret && strchr(value, ':'))
        return svl_cli_say("%.*s:***", (int)strcspn(value, ":"), value);
    return value;
}

static void show_line(FILE *file, const char *name, const char *value, const char *by)
{
    fprintf(file, "%-22s %-32s # %s\n", name, value, by);
}

void svl_config_show(const struct svl_option *table, FILE *file)
{
    for (const struct svl_option *o = NULL; (o = svl_option_next(table, o));) {
        if (!o->name || o->missing || o->no_env)
            continue;
        for (const struct said *said = all; said && said->option; said++)
            if (said->option == o && (o->repeat || is_last(said)))
                show_line(file, o->name, shown(said), said->by);
        if (!was_said(o))
            show_line(file, o->name, o->initial ? o->initial : o->value ? "-" : "off", "default");
    }
}
