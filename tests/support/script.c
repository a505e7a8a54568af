#include "support/script.h"

#include "base/check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

struct reader {
    const char *path;
    unsigned line;
    struct script *script;
};

static _Noreturn void fail(const struct reader *r, const char *what)
{
    fprintf(stderr, "%s:%u: %s\n", r->path, r->line, what);
    abort();
}

struct bytes {
    char *p;
    size_t n, cap;
};

static void add(struct bytes *b, const char *p, size_t n)
{
    if (b->cap < b->n + n + 1) {
        b->cap = 2 * (b->n + n) + 64;
        b->p = svl_realloc(b->p, b->cap);
    }
    memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
}

/* "{text*3}" behind a backslash. Returns what follows it. */
static const char *add_repeated(struct reader *r, struct bytes *b, const char *at);

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *p = c ? strchr(digits, c | 0x20) : NULL;

    return p ? (int)(p - digits) : -1;
}

/* One byte or escape; returns what follows. */
static const char *add_one(struct reader *r, struct bytes *b, const char *at)
{
    static const char names[] = "rnt0\\\"", values[] = "\r\n\t\0\\\"";
    const char *name;
    char c;

    if (*at != '\\') {
        add(b, at, 1);
        return at + 1;
    }
    at++;
    if (*at == '{')
        return add_repeated(r, b, at + 1);
    if (*at == 's') { /* a blank that editors do not take away */
        add(b, " ", 1);
        return at + 1;
    }
    if (*at == 'x') {
        int high = hex(at[1]), low = high < 0 ? -1 : hex(at[2]);

        if (low < 0)
            fail(r, "two hexadecimal digits follow \\x");
        c = (char)(high * 16 + low);
        add(b, &c, 1);
        return at + 3;
    }
    name = *at ? strchr(names, *at) : NULL;
    if (!name)
        fail(r, "unknown escape");
    add(b, &values[name - names], 1);
    return at + 1;
}

static const char *add_repeated(struct reader *r, struct bytes *b, const char *at)
{
    struct bytes once = {0};
    unsigned long count;
    char *end;

    while (*at && *at != '*')
        at = add_one(r, &once, at);
    if (*at != '*')
        fail(r, "\\{text*count} expected");
    count = strtoul(at + 1, &end, 10);
    if (*end != '}' || count > 10000000)
        fail(r, "\\{text*count} expected");
    for (unsigned long i = 0; i < count; i++)
        add(b, once.p ? once.p : "", once.n);
    free(once.p);
    return end + 1;
}

static struct bytes unescape(struct reader *r, const char *text)
{
    struct bytes b = {0};

    add(&b, "", 0);
    while (*text)
        text = add_one(r, &b, text);
    return b;
}

/* "> text": the line's end is CRLF on the wire, unless the text ends in a lone backslash. */
static void read_send(struct reader *r, char *text)
{
    struct script *s = r->script;
    size_t n = strlen(text), slashes = 0;
    struct step *last = s->n_steps ? &s->steps[s->n_steps - 1] : NULL;
    struct bytes b;

    while (slashes < n && text[n - 1 - slashes] == '\\')
        slashes++;
    if (slashes % 2)
        text[n - 1] = '\0';
    b = unescape(r, text);
    if (slashes % 2 == 0)
        add(&b, "\r\n", 2);
    if (last && last->kind == STEP_SEND) {
        struct bytes joined = {(char *)last->bytes.p, last->bytes.n, 0};

        add(&joined, b.p, b.n);
        free(b.p);
        last->bytes = (svl_str){joined.p, joined.n};
        return;
    }
    if (s->n_steps == SCRIPT_STEPS)
        fail(r, "too many steps");
    s->steps[s->n_steps++] = (struct step){.kind = STEP_SEND, .bytes = {b.p, b.n}};
}

static void read_step(struct reader *r, const char *text)
{
    static const char *const names[] = {"", "eof", "pass", "room", "more", "stop"};
    struct script *s = r->script;
    char word[16];
    unsigned number = 0;

    if (s->n_steps == SCRIPT_STEPS)
        fail(r, "too many steps");
    if (sscanf(text, "%15s %u", word, &number) < 1)
        fail(r, "a step has no name");
    for (int kind = STEP_EOF; kind <= STEP_STOP; kind++) {
        if (strcmp(word, names[kind]) != 0)
            continue;
        s->steps[s->n_steps++] = (struct step){.kind = (enum step_kind)kind, .number = number};
        return;
    }
    fail(r, "unknown step");
}

static bool read_end(struct script *s, const char *text)
{
    if (strcmp(text, "closed") != 0 && strcmp(text, "open") != 0)
        return false;
    s->says_end = true;
    s->closed = *text == 'c';
    return true;
}

static void read_want(struct reader *r, const char *text)
{
    struct script *s = r->script;
    struct want *want = s->n_wants ? &s->wants[s->n_wants - 1] : NULL;

    if (read_end(s, text))
        return;
    if (strncmp(text, "never: ", 7) == 0) {
        if (s->n_never == 8)
            fail(r, "too many never");
        s->never[s->n_never++] = unescape(r, text + 7).p;
        return;
    }
    if (*text >= '1' && *text <= '9') {
        char *end;
        unsigned n = 0;

        if (s->n_wants == SCRIPT_WANTS)
            fail(r, "too many answers");
        want = &s->wants[s->n_wants++];
        for (; n < 3 && *text; text = *end == '|' ? end + 1 : end) {
            want->status[n++] = (int)strtol(text, &end, 10);
            if (*end && *end != '|')
                fail(r, "a status is three digits");
        }
        return;
    }
    if (!want)
        fail(r, "a field is wanted before an answer");
    if (want->n == 12)
        fail(r, "too much is wanted of one answer");
    want->line[want->n++] = unescape(r, text).p;
}

static struct script *script_new(const struct reader *r)
{
    struct script *s = svl_calloc(sizeof *s);

    s->file = strrchr(r->path, '/') ? strrchr(r->path, '/') + 1 : r->path;
    s->line = r->line;
    return s;
}

static void end_script(struct reader *r, struct script ***end)
{
    struct script *s = r->script;

    if (!s->name)
        fail(r, "a script has no comment that says what it is about");
    if (s->n_steps == 0)
        fail(r, "a script sends nothing");
    **end = s;
    *end = &s->next;
    r->script = NULL;
}

static void read_line(struct reader *r, char *line)
{
    char *text = line + 1 + (line[1] == ' ');

    switch (*line) {
    case '\0': return;
    case '#':
        if (!r->script->name)
            r->script->name = strdup(text);
        return;
    case '>': read_send(r, text); return;
    case '=': read_step(r, text); return;
    case '<':
        while (*text == ' ')
            text++;
        read_want(r, text);
        return;
    default: fail(r, "a line begins with # > = < or is ---");
    }
}

struct script *script_read(const char *path)
{
    struct reader r = {.path = path};
    struct script *first = NULL, **end = &first;
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;

    if (!file)
        fail(&r, "cannot be opened");
    while (getline(&line, &cap, file) > 0) {
        r.line++;
        line[strcspn(line, "\n")] = '\0';
        if (!r.script)
            r.script = script_new(&r);
        if (strcmp(line, "---") == 0)
            end_script(&r, &end);
        else
            read_line(&r, line);
    }
    if (r.script)
        end_script(&r, &end);
    free(line);
    fclose(file);
    return first;
}

void script_free(struct script *s)
{
    while (s) {
        struct script *next = s->next;

        for (unsigned i = 0; i < s->n_steps; i++)
            free((char *)s->steps[i].bytes.p);
        for (unsigned i = 0; i < s->n_wants; i++)
            for (unsigned k = 0; k < s->wants[i].n; k++)
                free((char *)s->wants[i].line[k]);
        for (unsigned i = 0; i < s->n_never; i++)
            free((char *)s->never[i]);
        free(s->name);
        free(s);
        s = next;
    }
}

static int is_script(const struct dirent *entry)
{
    return svl_str_ends(svl_str_of(entry->d_name), SVL_STR(".wire"));
}

void script_folder(const char *folder, void (*fn)(const char *path, void *arg), void *arg)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, is_script, alphasort);

    for (int i = 0; i < n; i++) {
        char path[4096];

        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        fn(path, arg);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}
