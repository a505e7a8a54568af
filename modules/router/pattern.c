/* Patterns: text, in one of three ways to write params, into tokens. */
#include "internal.h"

#include "serval/error.h"

#include <stdio.h>

struct reader {
    struct heap *heap;
    struct pattern *pattern;
    enum svl_router_syntax syntax;
    svl_str left; /* not read yet */
    char *text;   /* bytes of the text token that grows; room for the whole pattern */
    size_t n;
    char *why;
    size_t size;
};

static int bad(struct reader *reader, const char *what)
{
    snprintf(reader->why, reader->size, "%s", what);
    return SVL_ESYNTAX;
}

static struct token *add(struct reader *reader, enum token_kind kind)
{
    struct pattern *pattern = reader->pattern;
    struct token *token;

    HEAP_GROW(reader->heap, pattern->tokens, pattern->n);
    token = &pattern->tokens[pattern->n++];
    *token = (struct token){.kind = kind};
    return token;
}

static void end_text(struct reader *reader)
{
    if (reader->n > 0)
        add(reader, TOKEN_TEXT)->text = heap_copy(reader->heap, (svl_str){reader->text, reader->n});
    reader->n = 0;
}

static char last_byte(const struct reader *reader)
{
    return reader->n > 0 ? reader->text[reader->n - 1] : '\0';
}

static bool name_ok(svl_str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (strchr("{}<>:*?/", name.p[i]))
            return false;
    return true;
}

static int add_param(struct reader *reader, svl_str name, enum token_kind kind)
{
    struct pattern *pattern = reader->pattern;
    bool angles = reader->syntax == SVL_ROUTER_ANGLES;
    unsigned params = 0;

    if (reader->n == 0)
        return bad(reader, "a param follows another without text between them");
    if (kind == TOKEN_REST && !angles && last_byte(reader) != '/')
        return bad(reader, "a catch-all must follow a slash");
    end_text(reader);
    for (unsigned i = 0; i < pattern->n; i++) {
        if (pattern->tokens[i].kind == TOKEN_TEXT)
            continue;
        params++;
        if (name.n > 0 && svl_str_eq(pattern->tokens[i].text, name))
            return bad(reader, "two params have one name");
    }
    if (params == SVL_ROUTER_PARAMS)
        return bad(reader, "too many params");
    add(reader, kind)->text = heap_copy(reader->heap, name);
    return 0;
}

/* :name and *name, up to the next slash. */
static int read_colon(struct reader *reader, enum token_kind kind)
{
    size_t end = svl_str_find(reader->left, '/');
    svl_str name = svl_str_from(svl_str_head(reader->left, end), 1);

    if (name.n == 0)
        return bad(reader, "a param needs a name");
    if (!name_ok(name))
        return bad(reader, "two params in one segment, or a special character in a name");
    if (kind == TOKEN_REST && end != reader->left.n)
        return bad(reader, "a catch-all must be last");
    reader->left = svl_str_from(reader->left, end);
    return add_param(reader, name, kind);
}

/* Where the bracket that opens s closes; brackets within count. s.n if it does not. */
static size_t closing(svl_str s, char open, char close)
{
    unsigned depth = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == open)
            depth++;
        else if (s.p[i] == close && --depth == 0)
            return i;
    }
    return s.n;
}

/* {name} {name:regex} {name?} {name?:regex} {name:*}, and the same in angles without the last. */
static int read_bracket(struct reader *reader, char open, char close)
{
    size_t end = closing(reader->left, open, close), colon;
    bool braces = open == '{', optional = false;
    enum token_kind kind = TOKEN_PARAM;
    svl_str inside, name, check = SVL_STR_NONE;
    struct token *token;
    int err;

    if (end == reader->left.n)
        return bad(reader, "a bracket is not closed");
    inside = svl_str_from(svl_str_head(reader->left, end), 1);
    reader->left = svl_str_from(reader->left, end + 1);
    colon = svl_str_find(inside, ':');
    name = svl_str_head(inside, colon);
    if (colon < inside.n)
        check = svl_str_from(inside, colon + 1);
    if (braces && svl_str_ends(name, SVL_STR("?"))) {
        optional = true;
        name.n--;
    }
    if (name.n == 0 && (braces || !check.p))
        return bad(reader, "a param needs a name");
    if (!name_ok(name))
        return bad(reader, "a special character in the name of a param");
    if (braces && svl_str_eq(check, SVL_STR("*"))) {
        if (reader->left.n > 0)
            return bad(reader, "a catch-all must be last");
        kind = TOKEN_REST;
        check = SVL_STR_NONE;
    }
    if (check.p && check.n == 0)
        return bad(reader, "an expression is empty");
    err = add_param(reader, name, kind);
    if (err)
        return err;
    token = &reader->pattern->tokens[reader->pattern->n - 1];
    token->optional = optional;
    token->empty = !braces;
    if (check.p)
        token->check = heap_copy(reader->heap, check);
    return 0;
}

static int read_one(struct reader *reader)
{
    enum svl_router_syntax syntax = reader->syntax;
    char c = reader->left.p[0];

    if (c == '\\' && reader->left.n > 1) {
        reader->left = svl_str_from(reader->left, 1);
        c = reader->left.p[0];
    } else if (syntax == SVL_ROUTER_COLONS && (c == ':' || c == '*')) {
        return read_colon(reader, c == ':' ? TOKEN_PARAM : TOKEN_REST);
    } else if (syntax == SVL_ROUTER_BRACES && c == '{') {
        return read_bracket(reader, '{', '}');
    } else if (syntax == SVL_ROUTER_ANGLES && c == '<') {
        return read_bracket(reader, '<', '>');
    } else if (syntax == SVL_ROUTER_ANGLES && c == '*' && reader->left.n == 1) {
        reader->left = svl_str_from(reader->left, 1);
        return add_param(reader, SVL_STR("*"), TOKEN_REST);
    } else if (syntax == SVL_ROUTER_BRACES && c == '}') {
        return bad(reader, "a bracket closes that was not opened");
    }
    reader->text[reader->n++] = c;
    reader->left = svl_str_from(reader->left, 1);
    return 0;
}

/* A param that something else of its segment follows ends where that begins. */
static void find_parts(struct pattern *pattern)
{
    for (unsigned i = 0; i + 1 < pattern->n; i++)
        if (pattern->tokens[i].kind == TOKEN_PARAM && pattern->tokens[i + 1].text.p[0] != '/')
            pattern->tokens[i].kind = TOKEN_PART;
}

static int read_part(struct reader *reader, svl_str text, enum svl_router_syntax syntax)
{
    int err = 0;

    if (syntax == SVL_ROUTER_EITHER)
        syntax = svl_str_find(text, '{') < text.n ? SVL_ROUTER_BRACES : SVL_ROUTER_COLONS;
    if (text.n > 0 && text.p[0] != '/')
        return bad(reader, "does not begin with a slash");
    reader->syntax = syntax;
    reader->left = text;
    while (reader->left.n > 0 && err == 0)
        err = read_one(reader);
    return err;
}

int pattern_parse(struct pattern *pattern, struct heap *heap, const svl_str *parts, unsigned n,
                  enum svl_router_syntax syntax, char *why, size_t size)
{
    struct reader reader = {.heap = heap, .pattern = pattern, .why = why, .size = size};
    size_t length = 0;
    int err = 0;

    *pattern = (struct pattern){0};
    for (unsigned i = 0; i < n; i++)
        length += parts[i].n;
    if (length == 0)
        return bad(&reader, "does not begin with a slash");
    if (length > SVL_ROUTER_PATTERN)
        return bad(&reader, "too long");
    reader.text = heap_alloc(heap, length);
    for (unsigned i = 0; i < n && err == 0; i++)
        err = read_part(&reader, parts[i], syntax);
    end_text(&reader);
    if (err == 0)
        find_parts(pattern);
    return err;
}

unsigned pattern_optionals(const struct pattern *pattern)
{
    unsigned n = 0;

    for (unsigned i = 0; i < pattern->n; i++)
        n += pattern->tokens[i].optional;
    return n;
}

/* Without an optional param the pattern ends before it, and before the slash of its segment. What
 * follows the last optional stays only when all are there. */
struct pattern pattern_expand(const struct pattern *pattern, struct heap *heap, unsigned keep)
{
    struct pattern made = {0};
    struct token *last;

    made.tokens = heap_alloc(heap, pattern->n * sizeof *made.tokens);
    for (unsigned i = 0, seen = 0; i < pattern->n; i++) {
        if (pattern->tokens[i].optional && seen++ == keep)
            break;
        made.tokens[made.n++] = pattern->tokens[i];
    }
    last = &made.tokens[made.n - 1];
    if (made.n < pattern->n && last->kind == TOKEN_TEXT && last->text.p[last->text.n - 1] == '/') {
        if (last->text.n > 1)
            last->text.n--;
        else if (made.n > 1)
            made.n--;
    }
    if (made.n > 0 && made.tokens[made.n - 1].kind == TOKEN_PART)
        made.tokens[made.n - 1].kind = TOKEN_PARAM;
    return made;
}

/* --- overlap ------------------------------------------------------------------------------- */

/* A pattern as single steps: a byte, one of a set, or any number of a set. */
struct step {
    bool set, star, any; /* any: slashes too */
    char byte;
};

static unsigned steps_of(const struct pattern *pattern, struct step *steps)
{
    unsigned n = 0;

    for (unsigned i = 0; i < pattern->n; i++) {
        const struct token *token = &pattern->tokens[i];
        bool rest = token->kind == TOKEN_REST;

        if (token->kind == TOKEN_TEXT) {
            for (size_t j = 0; j < token->text.n; j++)
                steps[n++] = (struct step){.byte = token->text.p[j]};
            continue;
        }
        if (!rest && !token->empty)
            steps[n++] = (struct step){.set = true};
        steps[n++] = (struct step){.set = true, .star = true, .any = rest};
    }
    return n;
}

static bool share_byte(const struct step *a, const struct step *b)
{
    if (!a->set && !b->set)
        return a->byte == b->byte;
    if (!a->set)
        return b->any || a->byte != '/';
    return b->set || a->any || b->byte != '/';
}

/* Walks both at once through all pairs of places: reached[i][j] is whether some text brings one to
 * i and the other to j. Every way leads down or right. */
bool pattern_overlap(const struct pattern *a, const struct pattern *b)
{
    struct heap heap = {0};
    size_t room = SVL_ROUTER_PATTERN + 2 * SVL_ROUTER_PARAMS;
    struct step *left = heap_alloc(&heap, room * sizeof *left);
    struct step *right = heap_alloc(&heap, room * sizeof *right);
    unsigned n = steps_of(a, left), m = steps_of(b, right), row = m + 1;
    bool *reached = heap_alloc(&heap, (size_t)(n + 1) * row), overlap;

    reached[0] = true;
    for (unsigned i = 0; i <= n; i++) {
        for (unsigned j = 0; j <= m; j++) {
            bool *at = &reached[(size_t)i * row + j];

            if (!*at)
                continue;
            if (i < n && left[i].star)
                at[row] = true;
            if (j < m && right[j].star)
                at[1] = true;
            if (i < n && j < m && share_byte(&left[i], &right[j]))
                at[(left[i].star ? 0 : row) + (right[j].star ? 0 : 1)] = true;
        }
    }
    overlap = reached[(size_t)n * row + m];
    heap_finish(&heap);
    return overlap;
}
