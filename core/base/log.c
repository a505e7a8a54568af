/* The log of the program itself: format, make printable, hand to the sink. No queue and no lock:
 * these lines are rare, and a line is one write(2), so lines of several threads do not mix. */
#include "serval/log.h"

#include "serval/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_LEN 2048 /* with the NUL; longer lines are cut */

static void write_to_stderr(enum svl_level level, const char *line, void *arg);

static atomic_int lowest = SVL_INFO;
static svl_log_sink *sink = write_to_stderr;
static void *sink_arg;

static const char *level_name(enum svl_level level)
{
    switch (level) {
    case SVL_DEBUG: return "debug";
    case SVL_INFO: return "info";
    case SVL_WARN: return "warning";
    case SVL_ALERT: return "alert";
    }
    return "alert";
}

static void write_to_stderr(enum svl_level level, const char *line, void *arg)
{
    char out[LINE_MAX_LEN + 32];
    int n = snprintf(out, sizeof out, "serval: %s: %s\n", level_name(level), line);

    (void)arg;
    if (n <= 0)
        return;
    if (write(STDERR_FILENO, out, (size_t)n) < 0)
        return; /* there is nowhere left to complain */
}

/* Lines hold text from clients: control bytes would forge lines or drive a terminal. */
static void make_printable(char *to, size_t size, const char *line)
{
    static const char hex[] = "0123456789abcdef";
    char *end = to + size - 1;

    for (; *line; line++) {
        unsigned char c = (unsigned char)*line;
        bool printable = c >= 0x20 && c != 0x7f;

        if (end - to < (printable ? 1 : 4))
            break;
        if (printable) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '\\';
        *to++ = 'x';
        *to++ = hex[c >> 4];
        *to++ = hex[c & 15];
    }
    *to = '\0';
}

void svl_log(enum svl_level level, const char *format, ...)
{
    char text[LINE_MAX_LEN], line[LINE_MAX_LEN];
    int saved = errno; /* callers log first and look at errno later */
    va_list args;

    if ((int)level < atomic_load_explicit(&lowest, memory_order_relaxed))
        return;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);

    make_printable(line, sizeof line, n < 0 ? format : text);
    sink(level, line, sink_arg);
    errno = saved;
}

void svl_log_to(svl_log_sink *to, void *arg)
{
    sink = to ? to : write_to_stderr;
    sink_arg = arg;
}

void svl_log_level(enum svl_level level)
{
    atomic_store_explicit(&lowest, (int)level, memory_order_relaxed);
}
