/* Arguments of queries and urlencoded forms. Lookups are linear: lists are short, and nobody can
 * make a hash table degenerate that is not there. */
#include "serval/args.h"

#include "base/arena.h"
#include "http/chars.h"
#include "serval/error.h"
#include "serval/uri.h"

#define FIRST_ROOM 8

/* --- Reading -------------------------------------------------------------------------------- */

/* A piece of text up to & (or =), and whether it has escapes. */
struct piece {
    const char *begin, *end;
    bool escaped;
};

static inline struct piece read_piece(const char *at, const char *end, bool stop_at_equals)
{
    struct piece piece = {.begin = at};

    for (;; at++) {
        at = svl_chars_find(at, end, SVL_CHAR_ARG);
        if (at == end || *at == '&' || (*at == '=' && stop_at_equals))
            break;
        piece.escaped |= *at != '=';
    }
    piece.end = at;
    return piece;
}

static inline svl_str view_of(struct piece piece)
{
    return (svl_str){piece.begin, (size_t)(piece.end - piece.begin)};
}

/* One argument that begins at `at`. Returns the place of what ends it. */
static inline const char *read_arg(const char *at, const char *end, struct piece *name,
                                   struct piece *value)
{
    *name = read_piece(at, end, true);
    *value = (struct piece){NULL, NULL, false};
    if (name->end == end || *name->end == '&')
        return name->end;
    *value = read_piece(name->end + 1, end, false);
    return value->end;
}

bool svl_args_next(svl_str *rest, struct svl_pair *arg)
{
    const char *at = rest->p, *end = rest->n ? at + rest->n : at;
    struct piece name, value;

    while (at < end && *at == '&')
        at++;
    if (at == end) {
        *rest = (svl_str){at, 0};
        return false;
    }
    at = read_arg(at, end, &name, &value);
    arg->name = view_of(name);
    arg->value = view_of(value);
    *rest = (svl_str){at, (size_t)(end - at)};
    return true;
}

/* --- The list ------------------------------------------------------------------------------- */

void svl_args_init(struct svl_args *args, struct svl_arena *arena)
{
    *args = (struct svl_args){.max = SVL_ARGS_MAX, .arena = arena};
}

void svl_args_reset(struct svl_args *args)
{
    args->n = 0;
}

static int grow(struct svl_args *args)
{
    unsigned room = args->room ? args->room * 2 : FIRST_ROOM;
    struct svl_pair *at;

    if (args->n >= args->max)
        return SVL_ELIMIT;
    at = svl_arena_alloc(args->arena, room * sizeof *at);
    if (args->n > 0)
        memcpy(at, args->at, args->n * sizeof *at);
    args->at = at;
    args->room = room;
    return 0;
}

static svl_str decode(struct svl_args *args, struct piece piece)
{
    svl_str raw = view_of(piece);
    char *to;

    if (!piece.escaped)
        return raw;
    to = svl_arena_alloc(args->arena, raw.n);
    return (svl_str){to, svl_unescape(to, raw, true)};
}

int svl_args_parse(struct svl_args *args, svl_str text)
{
    const char *at = text.p, *end = text.n ? at + text.n : at;

    while (at < end) {
        struct piece name, value;

        if (*at == '&') {
            at++;
            continue;
        }
        if ((args->n == args->room || args->n >= args->max) && grow(args))
            return SVL_ELIMIT;
        at = read_arg(at, end, &name, &value);
        args->at[args->n++] = (struct svl_pair){decode(args, name), decode(args, value)};
    }
    return 0;
}

const struct svl_pair *svl_args_next_of(const struct svl_args *args, svl_str name, unsigned *at)
{
    while (*at < args->n) {
        const struct svl_pair *pair = &args->at[(*at)++];

        if (svl_str_eq(pair->name, name))
            return pair;
    }
    return NULL;
}

svl_str svl_args_get(const struct svl_args *args, svl_str name)
{
    unsigned at = 0;
    const struct svl_pair *pair = svl_args_next_of(args, name, &at);

    if (!pair)
        return SVL_STR_NONE;
    return pair->value.p ? pair->value : SVL_STR("");
}

bool svl_args_has(const struct svl_args *args, svl_str name)
{
    unsigned at = 0;

    return svl_args_next_of(args, name, &at) != NULL;
}

bool svl_args_uint(const struct svl_args *args, svl_str name, uint64_t *value)
{
    return svl_uint_parse(svl_args_get(args, name), value);
}

bool svl_args_int(const struct svl_args *args, svl_str name, int64_t *value)
{
    return svl_int_parse(svl_args_get(args, name), value);
}

bool svl_args_float(const struct svl_args *args, svl_str name, double *value)
{
    return svl_float_parse(svl_args_get(args, name), value);
}

bool svl_args_bool(const struct svl_args *args, svl_str name, bool *value)
{
    return svl_bool_parse(svl_args_get(args, name), value);
}

/* --- Changing ------------------------------------------------------------------------------- */

int svl_args_add(struct svl_args *args, svl_str name, svl_str value)
{
    if ((args->n == args->room || args->n >= args->max) && grow(args))
        return SVL_ELIMIT;
    args->at[args->n++] = (struct svl_pair){name, value};
    return 0;
}

/* Deletes those with that name from place `from` on. */
static unsigned delete_from(struct svl_args *args, unsigned from, svl_str name)
{
    unsigned kept = from, n = args->n;

    for (unsigned i = from; i < n; i++)
        if (!svl_str_eq(args->at[i].name, name))
            args->at[kept++] = args->at[i];
    args->n = kept;
    return n - kept;
}

int svl_args_set(struct svl_args *args, svl_str name, svl_str value)
{
    unsigned at = 0;

    if (!svl_args_next_of(args, name, &at))
        return svl_args_add(args, name, value);
    args->at[at - 1].value = value;
    delete_from(args, at, name);
    return 0;
}

unsigned svl_args_del(struct svl_args *args, svl_str name)
{
    return delete_from(args, 0, name);
}

static int compare(svl_str a, svl_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;

    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int by_name(const struct svl_pair *a, const struct svl_pair *b)
{
    return compare(a->name, b->name);
}

static int by_both(const struct svl_pair *a, const struct svl_pair *b)
{
    int order = compare(a->name, b->name);

    return order ? order : compare(a->value, b->value);
}

/* Merges the sorted halves of at[0, n), using room[0, n / 2). Of equals the left one is first. */
static void merge(struct svl_pair *at, size_t n, struct svl_pair *room,
                  int (*order)(const struct svl_pair *, const struct svl_pair *))
{
    size_t left = 0, half = n / 2, right = half, to = 0;

    memcpy(room, at, half * sizeof *at);
    while (left < half && right < n)
        at[to++] = order(&room[left], &at[right]) <= 0 ? room[left++] : at[right++];
    memcpy(at + to, room + left, (half - left) * sizeof *at);
}

static void sort(struct svl_pair *at, size_t n, struct svl_pair *room,
                 int (*order)(const struct svl_pair *, const struct svl_pair *))
{
    if (n < 2)
        return;
    sort(at, n / 2, room, order);
    sort(at + n / 2, n - n / 2, room, order);
    merge(at, n, room, order);
}

static void sort_by(struct svl_args *args,
                    int (*order)(const struct svl_pair *, const struct svl_pair *))
{
    if (args->n > 1)
        sort(args->at, args->n, svl_arena_alloc(args->arena, args->n / 2 * sizeof *args->at),
             order);
}

void svl_args_sort(struct svl_args *args)
{
    sort_by(args, by_both);
}

void svl_args_sort_names(struct svl_args *args)
{
    sort_by(args, by_name);
}

/* --- As text -------------------------------------------------------------------------------- */

size_t svl_args_bound(const struct svl_args *args)
{
    size_t n = 0;

    for (unsigned i = 0; i < args->n; i++)
        n += 3 * (args->at[i].name.n + args->at[i].value.n) + 2;
    return n;
}

size_t svl_args_print(char *to, const struct svl_args *args)
{
    size_t n = 0;

    for (unsigned i = 0; i < args->n; i++) {
        const struct svl_pair *pair = &args->at[i];

        if (i > 0)
            to[n++] = '&';
        n += svl_query_escape(to + n, pair->name);
        /* A nameless argument needs its '=', or it would vanish. */
        if (pair->value.p || pair->name.n == 0)
            to[n++] = '=';
        n += svl_query_escape(to + n, pair->value);
    }
    return n;
}

svl_str svl_args_text(const struct svl_args *args)
{
    char *to = svl_arena_alloc(args->arena, svl_args_bound(args) + 1);

    return (svl_str){to, svl_args_print(to, args)};
}
