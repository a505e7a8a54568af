/* Wrong handlers: each mistake must be seen and named, in every build or at least under ASan, and
 * never pass in silence. Each runs in a process of its own, which has to die of it. */
#include "base/check.h"
#include "run/server.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct svl_ctx *kept;
static svl_str kept_text;
static char *kept_memory;
static volatile char sink;

static enum svl_verdict ok(struct svl_ctx *ctx)
{
    return svl_text(ctx, 200, SVL_STR("ok\n"));
}

/* What a hook of the first link does ------------------------------------------------------- */

static enum svl_verdict pends_without_saying_so(struct svl_ctx *ctx)
{
    (void)ctx;
    return SVL_PENDING;
}

static enum svl_verdict says_no_verdict(struct svl_ctx *ctx)
{
    (void)ctx;
    return (enum svl_verdict)77;
}

static enum svl_verdict resumes_twice_at_once(struct svl_ctx *ctx)
{
    enum svl_verdict v = svl_pend(ctx, NULL, NULL);

    svl_resume(ctx, ok(ctx));
    svl_resume(ctx, SVL_DONE);
    return v;
}

static enum svl_verdict resumes_with_pending(struct svl_ctx *ctx)
{
    enum svl_verdict v = svl_pend(ctx, NULL, NULL);

    svl_resume(ctx, SVL_PENDING);
    return v;
}

static enum svl_verdict keeps_and_answers(struct svl_ctx *ctx)
{
    kept = ctx;
    return ok(ctx);
}

static enum svl_verdict keeps_its_loan(struct svl_ctx *ctx)
{
    kept = ctx;
    return svl_pend(ctx, NULL, NULL);
}

static enum svl_verdict keeps_a_view(struct svl_ctx *ctx)
{
    kept_text = ctx->req.path;
    return ok(ctx);
}

static enum svl_verdict keeps_a_field(struct svl_ctx *ctx)
{
    kept_text = svl_header(ctx, SVL_H_HOST);
    return ok(ctx);
}

static enum svl_verdict keeps_memory(struct svl_ctx *ctx)
{
    kept_memory = svl_alloc(ctx, 10);
    return ok(ctx);
}

static enum svl_verdict writes_behind_its_memory(struct svl_ctx *ctx)
{
    char *p = svl_alloc(ctx, 10);

    p[10 + (sink & 0)] = 'x';
    return ok(ctx);
}

static enum svl_verdict answers_from_its_stack(struct svl_ctx *ctx)
{
    char text[64];

    memset(text, 'x', sizeof text);
    return svl_text(ctx, 200, (svl_str){text, sizeof text});
}

static enum svl_verdict has_a_status_that_is_none(struct svl_ctx *ctx)
{
    return svl_text(ctx, 99, SVL_STR("no"));
}

static enum svl_verdict sends_an_interim_status(struct svl_ctx *ctx)
{
    return svl_text(ctx, 101, SVL_STR("no"));
}

static enum svl_verdict has_a_negative_length(struct svl_ctx *ctx)
{
    svl_status(ctx, 200);
    svl_body_file(ctx, 0, 0, -5, false);
    return SVL_DONE;
}

static ssize_t too_much(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    (void)ctx;
    (void)arg;
    (void)to;
    return (ssize_t)room + 1;
}

static enum svl_verdict has_a_source_that_says_too_much(struct svl_ctx *ctx)
{
    svl_status(ctx, 200);
    svl_body_source(ctx, too_much, NULL, -1);
    return SVL_DONE;
}

static ssize_t overflow(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    (void)ctx;
    (void)arg;
    memset(to, 'x', room + 100000);
    return (ssize_t)room;
}

static enum svl_verdict has_a_source_that_writes_too_much(struct svl_ctx *ctx)
{
    svl_status(ctx, 200);
    svl_body_source(ctx, overflow, NULL, -1);
    return SVL_DONE;
}

static enum svl_verdict names_a_field_with_a_blank(struct svl_ctx *ctx)
{
    if (svl_header_set_name(ctx, SVL_STR("Two Words"), SVL_STR("x")) == 0)
        fprintf(stderr, "it was taken\n");
    return ok(ctx);
}

static ssize_t ends(struct svl_ctx *ctx, void *arg, char *to, size_t room)
{
    (void)ctx, (void)arg, (void)to, (void)room;
    return 0;
}

static enum svl_verdict has_a_source_that_ends_short(struct svl_ctx *ctx)
{
    svl_status(ctx, 200);
    svl_body_source(ctx, ends, NULL, 5);
    return SVL_DONE;
}

static void on_data(struct svl_raw *raw, void *arg, svl_str data)
{
    (void)raw, (void)arg, (void)data;
}

static enum svl_verdict hijacks_and_keeps(struct svl_ctx *ctx)
{
    static const struct svl_raw_events events = {.on_data = on_data};

    svl_hijack(ctx, &events, NULL);
    return keeps_and_answers(ctx);
}

/* What is done behind the answer ----------------------------------------------------------- */

static void nothing(void)
{
}

static void resumes_what_is_over(void)
{
    svl_resume(kept, SVL_DONE);
}

static void resumes_a_loan_twice(void)
{
    svl_resume(kept, ok(kept));
    svl_resume(kept, SVL_DONE);
}

static void answers_what_is_over(void)
{
    ok(kept);
}

static void reads_the_view(void)
{
    sink = kept_text.p[kept_text.n / 2];
}

static void reads_the_memory(void)
{
    sink = kept_memory[3];
}

static void writes_the_memory(void)
{
    kept_memory[3] = 'x';
}

/* ------------------------------------------------------------------------------------------ */

static const struct mistake {
    const char *name;
    enum svl_verdict (*hook)(struct svl_ctx *ctx);
    void (*after)(void);
    enum { ALWAYS, ASAN } seen;
    const char *says;
} mistakes[] = {
    {"a hook pends without svl_pend()", pends_without_saying_so, nothing, ALWAYS, "SVL_PENDING"},
    {"a hook says what is no verdict", says_no_verdict, nothing, ALWAYS, "verdict"},
    {"resumes twice before the hook returns", resumes_twice_at_once, nothing, ALWAYS, "twice"},
    {"resumes with SVL_PENDING", resumes_with_pending, nothing, ALWAYS, "final verdict"},
    {"resumes what was answered", keeps_and_answers, resumes_what_is_over, ASAN, ""},
    {"resumes a loan twice", keeps_its_loan, resumes_a_loan_twice, ASAN, ""},
    {"answers what is over", keeps_and_answers, answers_what_is_over, ASAN, "use-after"},
    {"reads the path of a request that is over", keeps_a_view, reads_the_view, ASAN, "Sanitizer"},
    {"reads a field of a request that is over", keeps_a_field, reads_the_view, ASAN, "Sanitizer"},
    {"reads memory of a request that is over", keeps_memory, reads_the_memory, ASAN, "use-after"},
    {"writes memory of a request that is over", keeps_memory, writes_the_memory, ASAN, "use-after"},
    {"writes behind its memory", writes_behind_its_memory, nothing, ASAN, "overflow"},
    {"answers with bytes of its stack", answers_from_its_stack, nothing, ASAN, "Sanitizer: stack"},
    {"has status 99", has_a_status_that_is_none, nothing, ALWAYS, "final status"},
    {"has status 101", sends_an_interim_status, nothing, ALWAYS, "final status"},
    {"has a body of negative length", has_a_negative_length, nothing, ALWAYS, "negative"},
    {"has a source that says too much", has_a_source_that_says_too_much, nothing, ALWAYS, "room"},
    {"resumes behind its hijack", hijacks_and_keeps, resumes_what_is_over, ASAN, ""},
    {"answers behind its hijack", hijacks_and_keeps, answers_what_is_over, ASAN, "use-after"},
    {"names a field with a blank", names_a_field_with_a_blank, nothing, ALWAYS,
     "not a header name"},
    {"has a source that ends short", has_a_source_that_ends_short, nothing, ALWAYS,
     "5 bytes short"},
    {"has a source that writes too much", has_a_source_that_writes_too_much, nothing, ASAN,
     "overflow"},
};

static const struct mistake *now;

static enum svl_verdict on_request(const struct svl_link *self, struct svl_ctx *ctx)
{
    (void)self;
    return now->hook(ctx);
}

static void make_the_mistake(int out)
{
    static const struct svl_module module = {.name = "wrong", .on_request = on_request};
    struct loopback *l;

    dup2(out, STDERR_FILENO);
    l = LOOPBACK({&module, NULL});
    loopback_offer(l, SVL_STR("GET /a/path HTTP/1.1\r\nHost: a.host\r\n\r\n"));
    loopback_round(l);
    now->after();
    loopback_round(l);
    _exit(0);
}

/* What the process said before it died; NULL if it did not. In release builds a handler's mistake is
 * said and survived: there, having said something counts too. */
static const char *die_of(const struct mistake *m)
{
    static char said[16384];
    int status, pipes[2];
    size_t n = 0;
    ssize_t got;
    pid_t child;

    now = m;
    cr_assert(pipe(pipes) == 0);
    child = fork();
    if (child == 0)
        make_the_mistake(pipes[1]);
    close(pipes[1]);
    while ((got = read(pipes[0], said + n, sizeof said - 1 - n)) > 0)
        n += (size_t)got;
    said[n] = '\0';
    close(pipes[0]);
    cr_assert(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return said;
    return SVL_ASAN || n == 0 ? NULL : said;
}

Test(misuse, every_mistake_is_seen)
{
    int unseen = 0;

    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const struct mistake *m = &mistakes[i];
        const char *said;

        if (m->seen == ASAN && !SVL_ASAN)
            continue;
        said = die_of(m);
        if (said && strstr(said, m->says))
            continue;
        unseen++;
        fprintf(stderr, "%s: %s%.600s\n", m->name, said ? "it said: " : "not seen",
                said ? said : "");
    }
    cr_assert_eq(unseen, 0);
}
