/* Work on other threads, mail from there, and handles of a ctx.
 * ctest-labels: threads */
#include "serval/async.h"

#include "net/offload.h"
#include "net/worker.h"
#include "support/exact.h"
#include "support/loopback.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static atomic_int gate, begun, worked, replied;
static int cancels_seen;

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static bool is_begun(void *arg)
{
    pause_ms(1);
    return begun >= *(int *)arg;
}

static void wait_begun(struct loopback *l, int n)
{
    loopback_until(l, is_begun, &n);
}

/* What one request computes elsewhere. */
struct sum {
    int n, result;
    const struct svl_worker *worker;
};

static void add_up(void *arg)
{
    struct sum *sum = arg;

    begun++;
    for (int i = 1; i <= sum->n; i++)
        sum->result += i;
    worked++;
}

static enum svl_verdict tell(struct svl_ctx *ctx, void *arg)
{
    struct sum *sum = arg;

    replied++;
    return svl_text(ctx, 200, svl_printf(ctx, "%d\n", sum->result));
}

static enum svl_verdict again(struct svl_ctx *ctx, void *arg)
{
    return svl_offload(ctx, add_up, tell, arg);
}

static enum svl_verdict tell_all(struct svl_ctx *ctx, void *arg)
{
    struct sum *sums = arg;
    int total = 0;

    for (int i = 0; i < 20; i++)
        total += sums[i].result;
    return svl_text(ctx, 200, svl_printf(ctx, "%d\n", total));
}

static enum svl_verdict many(struct svl_ctx *ctx)
{
    struct svl_work works[20];
    struct sum *sums = svl_alloc(ctx, sizeof *sums * COUNT(works));

    for (unsigned i = 0; i < COUNT(works); i++) {
        sums[i].n = (int)i;
        works[i] = (struct svl_work){add_up, &sums[i]};
    }
    return svl_offload_all(ctx, works, COUNT(works), tell_all, sums);
}

/* Holds a thread until the gate opens. */
static void block(void *arg)
{
    (void)arg;
    begun++;
    while (!gate && !svl_offload_unwanted())
        pause_ms(1);
    if (svl_offload_unwanted())
        cancels_seen++; /* read after the threads have ended */
    worked++;
}

static enum svl_verdict unblocked(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    replied++;
    return svl_text(ctx, 200, SVL_STR("unblocked\n"));
}

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    struct sum *sum = svl_alloc(ctx, sizeof *sum);

    (void)arg;
    sum->n = 10;
    if (svl_str_eq(ctx->req.path, SVL_STR("/two")))
        return svl_offload(ctx, add_up, again, sum);
    if (svl_str_eq(ctx->req.path, SVL_STR("/many")))
        return many(ctx);
    if (svl_str_eq(ctx->req.path, SVL_STR("/none")))
        return svl_offload_all(ctx, NULL, 0, tell, sum);
    if (svl_str_eq(ctx->req.path, SVL_STR("/block")))
        return svl_offload(ctx, block, unblocked, NULL);
    return svl_offload(ctx, add_up, tell, sum);
}

static enum svl_verdict in_a_second(const struct svl_link *self, struct svl_ctx *ctx)
{
    svl_deadline(self, ctx, 1000, 503);
    return SVL_NEXT;
}

static const struct svl_module clock_module = {.name = "clock", .on_request = in_a_second};

static struct loopback *open_with(unsigned threads, unsigned queue)
{
    static const struct svl_use chain[] = {{&clock_module, NULL}, SVL_USE_END};

    gate = begun = worked = 0;
    replied = cancels_seen = 0;
    return loopback_open(&(struct svl_server_config){
        .chain = chain, .handler = handler, .offload_threads = threads, .offload_queue = queue});
}

static bool has_answered(void *arg)
{
    pause_ms(1);
    return loopback_exchanges(arg) == 0;
}

static svl_str ask(struct loopback *l, const char *path)
{
    loopback_get(l, path, "");
    loopback_until(l, has_answered, l);
    return loopback_take(l);
}

Test(offload, runs_elsewhere_and_answers_here)
{
    struct loopback *l = open_with(2, 0);

    cr_expect(svl_str_eq(loopback_body(ask(l, "/")), SVL_STR("55\n")));
    cr_expect(svl_str_eq(loopback_body(ask(l, "/")), SVL_STR("55\n")));
    cr_expect_eq(worked, 2);
    loopback_close(l);
}

Test(offload, a_reply_may_offload_the_next_step)
{
    struct loopback *l = open_with(1, 0);

    cr_expect(svl_str_eq(loopback_body(ask(l, "/two")), SVL_STR("110\n")));
    loopback_close(l);
}

Test(offload, several_are_answered_when_the_last_is_through)
{
    struct loopback *l = open_with(3, 0);

    cr_expect(svl_str_eq(loopback_body(ask(l, "/many")), SVL_STR("1330\n")));
    cr_expect_eq(worked, 20);
    cr_expect(svl_str_eq(loopback_body(loopback_get(l, "/none", "")), SVL_STR("0\n")));
    loopback_close(l);
}

Test(offload, above_the_queue_limit_is_503_with_retry_after)
{
    struct loopback *l = open_with(1, 1);
    svl_str request = SVL_STR("GET /block HTTP/1.1\r\nHost: x\r\n\r\n"), answer;

    loopback_send_on(l, 1, request);
    wait_begun(l, 1);
    loopback_send_on(l, 2, request); /* waits */
    answer = loopback_get(l, "/block", "");
    cr_expect_eq(loopback_status(answer), 503);
    cr_expect(svl_str_eq(loopback_field(answer, "Retry-After"), SVL_STR("1")));
    cr_expect_eq(loopback_status(loopback_get(l, "/many", "")), 503);
    gate = 1;
    loopback_until(l, has_answered, l);
    cr_expect_eq(loopback_status(loopback_take_on(l, 1)), 200);
    cr_expect_eq(loopback_status(loopback_take_on(l, 2)), 200);
    cr_expect(svl_str_eq(loopback_body(ask(l, "/")), SVL_STR("55\n")));
    loopback_close(l);
}

Test(offload, what_nobody_waits_for_is_not_begun)
{
    struct loopback *l = open_with(1, 10);

    loopback_send_on(l, 1, SVL_STR("GET /block HTTP/1.1\r\nHost: x\r\n\r\n"));
    wait_begun(l, 1);
    loopback_send_on(l, 2, SVL_STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    loopback_get(l, "/", "");
    cr_expect_eq(loopback_exchanges(l), 3);
    loopback_reset_on(l, 2);
    cr_expect_eq(loopback_exchanges(l), 2);
    loopback_pass(l, 1000); /* the deadlines of the others */
    cr_expect_eq(loopback_status(loopback_take(l)), 503);
    cr_expect_eq(loopback_status(loopback_take_on(l, 1)), 503);
    loopback_until(l, has_answered, l); /* block() sees that it is unwanted */
    cr_expect_eq(worked, 1);
    cr_expect_eq(replied, 0);
    loopback_close(l);
    cr_expect_eq(cancels_seen, 1);
}

Test(offload, closing_the_server_ends_what_waits_and_waits_for_what_runs)
{
    struct loopback *l = open_with(1, 10);

    loopback_send_on(l, 1, SVL_STR("GET /block HTTP/1.1\r\nHost: x\r\n\r\n"));
    loopback_send_on(l, 2, SVL_STR("GET /many HTTP/1.1\r\nHost: x\r\n\r\n"));
    loopback_get(l, "/", "");
    wait_begun(l, 1);
    loopback_close(l);
    cr_expect_eq(worked, 1);
    cr_expect_eq(replied, 0);
}

/* Mail and handles ------------------------------------------------------------------------- */

#define SENDERS 4
#define LETTERS 10000

struct sender {
    struct svl_worker *worker;
    pthread_t thread;
    int next; /* loop thread: the letter that must come next */
};

struct letter {
    struct sender *from;
    int number;
};

static int letters, out_of_order;

static void receive(void *arg)
{
    struct letter *letter = arg;

    letters++;
    out_of_order += letter->number != letter->from->next++;
    free(letter);
}

static void *send_letters(void *arg)
{
    struct sender *sender = arg;

    for (int i = 0; i < LETTERS; i++) {
        struct letter *letter = malloc(sizeof *letter);

        *letter = (struct letter){sender, i};
        svl_post(sender->worker, receive, letter);
    }
    return NULL;
}

static bool all_came(void *arg)
{
    (void)arg;
    return letters == SENDERS * LETTERS;
}

Test(offload, mail_of_each_thread_comes_in_order)
{
    struct loopback *l = open_with(1, 1);
    struct sender senders[SENDERS] = {0};

    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i].worker = loopback_worker(l);
        pthread_create(&senders[i].thread, NULL, send_letters, &senders[i]);
    }
    loopback_until(l, all_came, NULL);
    for (unsigned i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    cr_expect_eq(out_of_order, 0);
    loopback_close(l);
}

Test(offload, mail_that_was_not_run_is_run_by_closing)
{
    struct loopback *l = open_with(1, 1);
    struct sender sender = {.worker = loopback_worker(l)};
    struct letter *letter = malloc(sizeof *letter);

    letters = 0;
    *letter = (struct letter){&sender, 0};
    svl_post(sender.worker, receive, letter);
    loopback_close(l);
    cr_expect_eq(letters, 1);
}

static svl_ref ref;
static struct svl_ctx *pending;
static int gone;

static enum svl_verdict hold(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    ref = svl_ref_of(ctx);
    pending = ctx;
    return svl_pend(ctx, NULL, NULL);
}

static void answer_or_not(struct svl_ctx *ctx, void *arg)
{
    if (!ctx) {
        gone++;
        return;
    }
    svl_text(ctx, 200, svl_str_of(arg));
    svl_resume(ctx, SVL_DONE);
}

static void *post_from_outside(void *arg)
{
    svl_post_ctx(ref, answer_or_not, arg);
    return NULL;
}

static void post_and_join(struct loopback *l, const char *text)
{
    pthread_t thread;

    pthread_create(&thread, NULL, post_from_outside, (char *)text);
    pthread_join(thread, NULL);
    loopback_round(l);
}

Test(offload, a_ctx_is_answered_from_another_thread)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){.handler = hold});
    svl_ref first;

    loopback_get(l, "/", "");
    post_and_join(l, "from outside\n");
    cr_expect(svl_str_ends(loopback_take(l), SVL_STR("from outside\n")));
    post_and_join(l, "again\n");
    cr_expect_eq(gone, 1);
    cr_expect_null(svl_ref_get(&ref));

    first = ref;
    loopback_get(l, "/", ""); /* most likely the same memory and the same place */
    cr_expect_null(svl_ref_get(&first));
    cr_expect_eq(svl_ref_get(&ref), pending);
    svl_resume(pending, SVL_ERROR);
    cr_expect_null(svl_ref_get(&ref));
    loopback_close(l);
}

Test(offload, a_ctx_nobody_waits_for_is_there_until_it_is_resumed)
{
    struct loopback *l = loopback_open(&(struct svl_server_config){.handler = hold});

    loopback_get(l, "/", "");
    loopback_reset(l);
    cr_expect_eq(svl_ref_get(&ref), pending);
    post_and_join(l, "nobody reads this\n");
    cr_expect_eq(gone, 0);
    cr_expect_null(svl_ref_get(&ref));
    cr_expect_eq(loopback_exchanges(l), 0);
    loopback_close(l);
}

/* A whole server under load ---------------------------------------------------------------- */

static void *serve(void *arg)
{
    svl_server_run(arg);
    return NULL;
}

static enum svl_verdict busy(struct svl_ctx *ctx, void *arg)
{
    static _Thread_local unsigned n;

    if (n++ % 3 == 0)
        svl_post_ctx(svl_ref_of(ctx), answer_or_not, "posted\n");
    else
        return handler(ctx, arg);
    return svl_pend(ctx, NULL, NULL);
}

static void *ask_often(void *arg)
{
    char command[256];

    snprintf(command, sizeof command,
             "for i in 1 2 3 4 5; do curl -s -o /dev/null '%s[1-40]' || exit 1; done",
             (const char *)arg);
    return (void *)(intptr_t)system(command);
}

Test(offload, two_workers_share_the_threads_under_load)
{
    struct svl_server_config config = {
        .listen = {"127.0.0.1:0"}, .workers = 2, .handler = busy, .offload_threads = 3};
    struct svl_server *server;
    pthread_t thread, clients[4];

    cr_assert_eq(svl_server_open(&server, &config), 0);
    pthread_create(&thread, NULL, serve, server);
    for (unsigned i = 0; i < COUNT(clients); i++)
        pthread_create(&clients[i], NULL, ask_often, (char *)svl_server_address(server, 0));
    for (unsigned i = 0; i < COUNT(clients); i++) {
        void *status;

        pthread_join(clients[i], &status);
        cr_expect_null(status);
    }
    svl_server_stop(server);
    pthread_join(thread, NULL);
    svl_server_close(server);
}
