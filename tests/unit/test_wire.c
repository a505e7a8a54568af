/* Every script of tests/wire/, in memory: whole, byte by byte, and cut at random places. However
 * the bytes are cut, the same bytes must come back. */
#include "serval/features.h"
#include "support/answers.h"
#include "support/echo.h"
#include "support/loopback.h"
#include "support/script.h"

#if SVL_HAVE_FS
#include "serval/mod/fs.h"
#endif

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RANDOM_RUNS 5
#define RANDOM_CUTS 20

enum cut { WHOLE, BYTES, RANDOM };

struct run {
    char *bytes; /* all that came back, Date masked */
    size_t n;
    bool closed;
};

static uint32_t seed;
static unsigned scripts, failures;

static uint32_t dice(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

static void complain(const struct script *s, const char *how, const char *what, svl_str got)
{
    failures++;
    fprintf(stderr, "%s:%u: %s\n  %s: %s\n", s->file, s->line, s->name, how, what);
    if (got.p)
        fprintf(stderr, "  got %zu bytes: %.*s%s\n", got.n, (int)(got.n < 1500 ? got.n : 1500),
                got.p, got.n < 1500 ? "" : "...");
}

/* Running ---------------------------------------------------------------------------------- */

static void append(struct run *run, svl_str piece)
{
    run->bytes = realloc(run->bytes, run->n + piece.n + 1);
    memcpy(run->bytes + run->n, piece.p, piece.n);
    run->n += piece.n;
    run->bytes[run->n] = '\0';
}

static void send_cut(struct loopback *l, svl_str bytes, enum cut cut)
{
    size_t piece = bytes.n;

    while (bytes.n > 0) {
        if (cut == BYTES)
            piece = 1;
        else if (cut == RANDOM)
            piece = 1 + dice() % (bytes.n < RANDOM_CUTS ? 2 : 2 * (bytes.n / RANDOM_CUTS));
        loopback_offer(l, svl_str_head(bytes, piece));
        bytes = svl_str_from(bytes, piece);
    }
}

static void take_step(struct loopback *l, const struct step *step, enum cut cut)
{
    switch (step->kind) {
    case STEP_SEND: send_cut(l, step->bytes, cut); break;
    case STEP_EOF: loopback_eof(l); break;
    case STEP_PASS: loopback_pass(l, step->number); break;
    case STEP_ROOM: loopback_room(l, step->number ? step->number : SIZE_MAX); break;
    case STEP_MORE: echo_more(); break;
    case STEP_STOP: loopback_stop(l); break;
    }
    loopback_round(l);
}

static void mask_dates(struct run *run)
{
    char *at = run->bytes, *end = at + run->n;

    while ((at = memmem(at, (size_t)(end - at), "\r\nDate: ", 8)) && end - at > 37) {
        memset(at + 8, '_', 29);
        at += 8;
    }
}

static struct run run_script(const struct svl_server_config *config, const struct script *s,
                             enum cut cut)
{
    static struct loopback *l; /* one for all scripts until one stops it */
    struct run run = {0};
    bool stopped = false;

    if (!l)
        l = loopback_open(config);
    loopback_reconnect(l);

    echo_begun = echo_done = 0;
    append(&run, SVL_STR(""));
    for (unsigned i = 0; i < s->n_steps; i++) {
        take_step(l, &s->steps[i], cut);
        stopped = stopped || s->steps[i].kind == STEP_STOP;
        append(&run, loopback_take(l));
    }
    mask_dates(&run);
    run.closed = loopback_shut(l);
    loopback_reset(l);
    if (loopback_exchanges(l) != 0)
        complain(s, "afterwards", "an exchange was not given back", SVL_STR_NONE);
    if (echo_begun != echo_done)
        complain(s, "afterwards", "a request was begun and never done with", SVL_STR_NONE);
    if (stopped) {
        loopback_close(l);
        l = NULL;
    }
    return run;
}

/* Checking --------------------------------------------------------------------------------- */

static bool contains(svl_str s, const char *part)
{
    return memmem(s.p, s.n, part, strlen(part)) != NULL;
}

/* "= text": the body holds it; "!Name": no such field; "Name: value"; "Name": any value. */
static bool line_holds(const struct answer *a, const char *line)
{
    svl_str text = svl_str_of(line), value;
    size_t colon = svl_str_find(text, ':');
    char name[64];

    if (*line == '=')
        return contains(a->body, line + 2);
    svl_str_copy(name, sizeof name, svl_str_head(text, colon));
    if (*line == '!')
        return !answer_field(a, name + 1, 0).p;
    value = answer_field(a, name, 0);
    return value.p &&
           (colon == text.n || svl_str_eq(value, svl_str_trim(svl_str_from(text, colon + 1))));
}

static const char *check_answer(const struct want *want, const struct answer *a)
{
    static char why[512];

    if (a->status != want->status[0] && a->status != want->status[1] &&
        a->status != want->status[2]) {
        snprintf(why, sizeof why, "status %d, not %d", a->status, want->status[0]);
        return why;
    }
    for (unsigned i = 0; i < want->n; i++) {
        if (line_holds(a, want->line[i]))
            continue;
        snprintf(why, sizeof why, "answer %d: not so: %.400s", a->status, want->line[i]);
        return why;
    }
    return NULL;
}

/* A refusal is the last answer: what follows it on the wire was never a request. */
static const char *check_all(const struct script *s, const struct run *run)
{
    svl_str rest = {run->bytes, run->n};
    struct answer a = {0};
    const char *why = NULL;
    unsigned n = 0;
    bool last = false;
    int more;

    while ((more = answer_next(&rest, &a, &why)) > 0) {
        if (last)
            return "there is an answer behind one that says close";
        last = a.close;
        if (n == s->n_wants)
            return "there are more answers";
        why = check_answer(&s->wants[n++], &a);
        if (why)
            return why;
    }
    if (more < 0)
        return why;
    if (n < s->n_wants)
        return "there are fewer answers";
    if (last && !run->closed)
        return "the last answer says close, but the connection is open";
    if (s->says_end && s->closed != run->closed)
        return run->closed ? "the connection is closed" : "the connection is open";
    for (unsigned i = 0; i < s->n_never; i++)
        if (contains((svl_str){run->bytes, run->n}, s->never[i]))
            return s->never[i];
    if (contains((svl_str){run->bytes, run->n}, "smuggled"))
        return "a smuggled request was answered";
    return NULL;
}

static void check_cut(const struct svl_server_config *config, const struct script *s,
                      const struct run *whole, enum cut cut)
{
    struct run run = run_script(config, s, cut);
    const char *how = cut == BYTES ? "byte by byte" : "cut at random places";

    if (run.n != whole->n || memcmp(run.bytes, whole->bytes, run.n) != 0)
        complain(s, how, "another answer than to the whole", (svl_str){run.bytes, run.n});
    else if (run.closed != whole->closed)
        complain(s, how, "closed or not, unlike the whole", SVL_STR_NONE);
    free(run.bytes);
}

static void check_script(const struct svl_server_config *config, const struct script *s)
{
    if (getenv("WIRE_TRACE"))
        fprintf(stderr, "%s:%u: %s\n", s->file, s->line, s->name);
    struct run whole = run_script(config, s, WHOLE);
    const char *wrong = check_all(s, &whole);

    scripts++;
    if (wrong)
        complain(s, "whole", wrong, (svl_str){whole.bytes, whole.n});
    check_cut(config, s, &whole, BYTES);
    for (int i = 0; i < RANDOM_RUNS; i++)
        check_cut(config, s, &whole, RANDOM);
    free(whole.bytes);
}

static void check_file(const char *path, void *config)
{
    struct script *first = script_read(path);

    for (struct script *s = first; s; s = s->next)
        check_script(config, s);
    script_free(first);
}

static void check_folder(const char *folder, const struct svl_server_config *config)
{
    char path[4096];

    seed = 20260101;
    snprintf(path, sizeof path, "%s/%s", SVL_TESTS_DIR, folder);
    script_folder(path, check_file, (void *)config);
    fprintf(stderr, "%s: %u scripts, %u failures\n", folder, scripts, failures);
    cr_assert(scripts > 0);
    cr_assert_eq(failures, 0);
}

Test(wire, every_script_is_answered_as_it_says_however_it_is_cut)
{
    check_folder("wire", &echo_config);
}

#if SVL_HAVE_FS

static void put_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* What files/ *.wire expect to be there; also told in tests/wire/README.md. */
static void make_files(void)
{
    char dir[] = "/tmp/serval-wire-XXXXXX";

    cr_assert(mkdtemp(dir) && chdir(dir) == 0);
    cr_assert(mkdir("www", 0755) == 0 && mkdir("www/sub", 0755) == 0 &&
              mkdir("www-secret", 0755) == 0);
    put_file("secret", "top secret\n");
    put_file("www-secret/secret", "top secret\n");
    put_file("www/ten", "0123456789");
    put_file("www/empty", "");
    put_file("www/index.html", "<p>index</p>\n");
    put_file("www/sub/page.html", "<p>page</p>\n");
    put_file("www/a b", "a blank\n");
    cr_assert(mkfifo("www/fifo", 0644) == 0);
    cr_assert(symlink("../secret", "www/out") == 0 && symlink("ten", "www/in") == 0);
}

static void remove_files(void)
{
    static const char *const files[] = {"secret",    "www-secret/secret", "www/ten",
                                        "www/empty", "www/index.html",    "www/sub/page.html",
                                        "www/a b",   "www/fifo",          "www/out",
                                        "www/in"};
    char dir[64];

    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(files[i]);
    rmdir("www/sub");
    rmdir("www");
    rmdir("www-secret");
    if (getcwd(dir, sizeof dir) && chdir("/") == 0)
        rmdir(dir);
}

Test(wire, every_script_about_files_is_answered_as_it_says, .init = make_files,
     .fini = remove_files)
{
    const struct svl_server_config config = {
        .chain = (const struct svl_use[]){SVL_USE(fs, .root = "www"), SVL_USE_END}};

    check_folder("wire/files", &config);
}

#endif
