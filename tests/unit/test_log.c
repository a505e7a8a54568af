#include "serval/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char lines[8][4096];
static enum svl_level levels[8];
static int count;

static void keep(enum svl_level level, const char *line, void *arg)
{
    cr_assert_eq(arg, &count);
    cr_assert_lt(count, 8);
    levels[count] = level;
    snprintf(lines[count++], sizeof lines[0], "%s", line);
    errno = EIO;
}

static void use_keep(void)
{
    svl_log_to(keep, &count);
}

Test(log, sink_gets_the_formatted_line_and_its_level, .init = use_keep)
{
    svl_log(SVL_WARN, "listener: %s: %d", "port", 80);
    cr_assert_eq(count, 1);
    cr_assert_eq(levels[0], SVL_WARN);
    cr_assert_str_eq(lines[0], "listener: port: 80");
}

Test(log, lines_below_the_level_are_dropped, .init = use_keep)
{
    svl_log(SVL_DEBUG, "no");
    svl_log(SVL_INFO, "yes");
    svl_log_level(SVL_ALERT);
    svl_log(SVL_WARN, "no");
    svl_log(SVL_ALERT, "yes");
    svl_log_level(SVL_DEBUG);
    svl_log(SVL_DEBUG, "yes");
    cr_assert_eq(count, 3);
    for (int i = 0; i < count; i++)
        cr_assert_str_eq(lines[i], "yes");
}

Test(log, control_bytes_are_written_out, .init = use_keep)
{
    svl_log(SVL_INFO, "a%sb", "\r\n\t\x1b[31m\x7f\x01 \xc3\xa9");
    cr_assert_str_eq(lines[0], "a\\x0d\\x0a\\x09\\x1b[31m\\x7f\\x01 \xc3\xa9"
                               "b");
}

Test(log, long_lines_are_cut, .init = use_keep)
{
    static char text[5000];

    memset(text, 'x', sizeof text - 1);
    svl_log(SVL_INFO, "%s", text);
    cr_assert_eq(strlen(lines[0]), 2047);
    memset(text, '\n', sizeof text - 1); /* grows fourfold, and is not cut within an escape */
    svl_log(SVL_INFO, "%s", text);
    cr_assert_eq(strlen(lines[1]), 2044);
    cr_assert_str_eq(lines[1] + 2040, "\\x0a");
}

Test(log, errno_is_the_same_afterwards, .init = use_keep)
{
    errno = ENOENT;
    svl_log(SVL_INFO, "x");
    cr_assert_eq(errno, ENOENT);
}

Test(log, default_sink_writes_one_line_to_stderr)
{
    static const char want[] = "serval: info: a\nserval: warning: b\nserval: alert: c\n";
    char got[256] = "";
    int fds[2], saved = dup(STDERR_FILENO);

    cr_assert_eq(pipe(fds), 0);
    dup2(fds[1], STDERR_FILENO);
    svl_log_to(keep, &count);
    svl_log_to(NULL, NULL);
    svl_log(SVL_INFO, "a");
    svl_log(SVL_WARN, "b");
    svl_log(SVL_ALERT, "c");
    dup2(saved, STDERR_FILENO);
    close(fds[1]);
    cr_assert_eq(read(fds[0], got, sizeof got - 1), (ssize_t)strlen(want));
    cr_assert_str_eq(got, want);
    cr_assert_eq(count, 0);
}
