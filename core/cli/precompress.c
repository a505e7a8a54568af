/* serval precompress: sidecars of a folder's files. */
#include "cli/cli.h"

#include "serval/features.h"

#if SVL_HAVE_COMPRESS
#include "serval/mod/compress.h"
#endif

#include <unistd.h>

#if SVL_HAVE_COMPRESS

static struct svl_precompress job;
static const char *dir;
static bool quiet;

static const char *many(unsigned n, const char *what)
{
    return svl_cli_say("%u %s%s", n, what, n == 1 ? "" : "s");
}

static void say_result(void)
{
    double saved = job.bytes_in ? 100 - 100.0 * (double)job.bytes_out / (double)job.bytes_in : 0;

    if (job.files == 0) {
        printf("no file in %s is text of more than %zu bytes: nothing to do\n", dir, job.min_bytes);
        return;
    }
    printf("%s: %s written, %u were current, %u not worth it, %u failed\n", many(job.files, "file"),
           many(job.written, "sidecar"), job.current, job.useless, job.failed);
    if (job.written > 0)
        printf("%llu bytes became %llu: %.0f %% less\n", (unsigned long long)job.bytes_in,
               (unsigned long long)job.bytes_out, saved);
}

static int run(const struct svl_program *program)
{
    (void)program;
    job.progress = !quiet && isatty(STDERR_FILENO);
    if (svl_precompress(dir, &job))
        return SVL_EXIT_USAGE;
    if (!quiet)
        say_result();
    return job.failed ? SVL_EXIT_FAILED : 0;
}

static const struct svl_option options[] = {
    {.name = "compress",
     .letter = 'z',
     .value = "LIST",
     .initial = "br,zstd,gzip",
     .help = "which ones to write",
     SVL_TEXT(&job.codings)},
    {.name = "threads",
     .value = "N",
     .words = "auto",
     .initial = "auto, one per CPU",
     .help = "how many files at a time",
     SVL_NUMBER(&job.threads),
     .min = 1,
     .max = 256},
    {.name = "quiet", .letter = 'q', .help = "no bar and no summary", SVL_FLAG(&quiet)},
    {0},
};

#else

static const char *dir;
static const struct svl_option options[] = {{0}};

static int run(const struct svl_program *program)
{
    (void)program;
    svl_cli_refuse(SVL_CLI_NO_MODULE,
                   "precompress: this serval was built without the compress module");
}

#endif

const struct svl_command svl_cmd_precompress = {
    .name = "precompress",
    .summary = "write .br, .zst and .gz next to its files",
    .options = options,
    .operand = {.name = "DIR", SVL_TEXT(&dir)},
    .operand_needed = true,
    .run = run,
};
