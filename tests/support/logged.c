#include "support/logged.h"

#include "serval/log.h"

#include <stdio.h>
#include <string.h>

char logged[4096];

static void keep(enum svl_level level, const char *line, void *arg)
{
    size_t n = strlen(logged);

    (void)level;
    (void)arg;
    snprintf(logged + n, sizeof logged - n, "%s\n", line);
}

void logged_begin(void)
{
    logged[0] = '\0';
    svl_log_to(keep, NULL);
}

void logged_end(void)
{
    svl_log_to(NULL, NULL);
}
