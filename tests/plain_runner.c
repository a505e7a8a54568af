/* Runs Criterion's tests without Criterion's runner, for builds in which that one cannot start: its
 * sandbox maps memory where ThreadSanitizer does not allow it. The tests are the same objects; only
 * main() and the few functions a test calls back are replaced here, before the library's. Each test
 * is a fork of a process without threads. Not here: parameterized tests and timeouts (ctest's holds). */
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern struct criterion_test *__start_cr_tst[], *__stop_cr_tst[];
/* Without a TestSuite() there is no such section. */
extern struct criterion_suite *__start_cr_sts[] __attribute__((weak));
extern struct criterion_suite *__stop_cr_sts[] __attribute__((weak));

static const struct criterion_test *current;
static const struct criterion_suite *suite;
static int failed;

void cri_asserts_passed_incr(void);

void criterion_internal_test_setup(void)
{
    if (suite && suite->data && suite->data->init)
        suite->data->init();
    if (current->data->init)
        current->data->init();
}

void criterion_internal_test_main(void (*fn)(void))
{
    fn();
}

void criterion_internal_test_teardown(void)
{
    if (current->data->fini)
        current->data->fini();
    if (suite && suite->data && suite->data->fini)
        suite->data->fini();
}

void criterion_send_assert(struct criterion_assert_stats *stats)
{
    if (stats->passed)
        return;
    fprintf(stderr, "%s:%u: %s\n", stats->file, stats->line, stats->message);
    failed = 1;
}

void criterion_abort_test(void)
{
    exit(failed);
}

void criterion_skip_test(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs(": skipped\n", stderr);
    exit(failed);
}

void criterion_continue_test(void)
{
}

void cri_asserts_passed_incr(void)
{
}

void cr_log(enum criterion_severity severity, const char *format, ...)
{
    va_list args;

    (void)severity;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static const struct criterion_suite *suite_of(const struct criterion_test *test)
{
    for (struct criterion_suite **s = __start_cr_sts; s < __stop_cr_sts; s++)
        if (*s && !strcmp((*s)->name, test->category))
            return *s;
    return NULL;
}

static int run(const struct criterion_test *test)
{
    int status = 0;
    pid_t pid;

    current = test;
    suite = suite_of(test);
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        test->test();
        exit(failed);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0) {
        perror("fork");
        return 1;
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == test->data->signal)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == test->data->exit_code && !test->data->signal)
        return 0;
    fprintf(stderr, "FAIL %s/%s: %s %d\n", test->category, test->name,
            WIFSIGNALED(status) ? "signal" : "exit",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return 1;
}

/* An argument runs only the tests whose suite/name contains it. */
int main(int argc, char **argv)
{
    int tests = 0, failures = 0;

    for (struct criterion_test **t = __start_cr_tst; t < __stop_cr_tst; t++) {
        if (!*t || (argc > 1 && !strstr((*t)->data->identifier_, argv[1])))
            continue;
        if ((*t)->data->disabled || (*t)->data->kind_ == CR_TEST_PARAMETERIZED) {
            fprintf(stderr, "skip %s/%s\n", (*t)->category, (*t)->name);
            continue;
        }
        tests++;
        failures += run(*t);
    }
    printf("%d tests, %d failed\n", tests, failures);
    return failures > 0 || tests == 0;
}
