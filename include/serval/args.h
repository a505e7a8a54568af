/* Arguments: "a=1&b=2", as in a query or an urlencoded form. */
#ifndef SVL_ARGS_H
#define SVL_ARGS_H

#include "serval/text.h"

struct svl_arena;

/* Reading without memory ----------------------------------------------------------------------
 *
 * Any thread: each argument of `*rest` in turn, as it stands there; svl_unescape(..., true)
 * decodes it. value.p is NULL without '='. Empty pieces ("&&") are skipped. Returns false behind
 * the last one. */
bool svl_args_next(svl_str *rest, struct svl_pair *arg);

/* A list that can be changed ------------------------------------------------------------------
 *
 * An ordered multimap. Its memory is the arena's (ctx->arena): what is deleted or replaced stays
 * there until the arena ends. Use the calls below instead of writing to the fields. */
struct svl_args {
    struct svl_pair *at;   /* at[0, n), decoded; value.p is NULL without '=' */
    unsigned n, room, max; /* max: SVL_ARGS_MAX unless set to something else */
    struct svl_arena *arena;
};

#define SVL_ARGS_MAX 1000

void svl_args_init(struct svl_args *args, struct svl_arena *arena);

/* Adds all arguments of a text, decoded. What needs no decoding is not copied: text must stay
 * valid as long as args. Returns 0, or SVL_ELIMIT with the first `max` of them in place. */
int svl_args_parse(struct svl_args *args, svl_str text);

/* The first with that name (case counts); "" for one without '='; p is NULL if there is none. */
svl_str svl_args_get(const struct svl_args *args, svl_str name);
bool svl_args_has(const struct svl_args *args, svl_str name);

/* The next one with that name from place *at on (start with 0), or NULL. */
const struct svl_pair *svl_args_next_of(const struct svl_args *args, svl_str name, unsigned *at);

/* The first with that name as a number or a truth, see svl_uint_parse() and its like. Return
 * false, and leave *value alone, if there is none or it is not one. */
bool svl_args_uint(const struct svl_args *args, svl_str name, uint64_t *value);
bool svl_args_int(const struct svl_args *args, svl_str name, int64_t *value);
bool svl_args_float(const struct svl_args *args, svl_str name, double *value);
bool svl_args_bool(const struct svl_args *args, svl_str name, bool *value);

/* Names and values are not copied: they belong to the arena, or are static. A value of
 * SVL_STR_NONE stands without '='. add puts one at the end; set changes the first with that name
 * and deletes the others, or adds one; del deletes all with that name and returns how many. add and
 * set return 0 or SVL_ELIMIT. */
int svl_args_add(struct svl_args *args, svl_str name, svl_str value);
int svl_args_set(struct svl_args *args, svl_str name, svl_str value);
unsigned svl_args_del(struct svl_args *args, svl_str name);

/* By name, then by value, as bytes compare; or by name only, equal ones staying in order. */
void svl_args_sort(struct svl_args *args);
void svl_args_sort_names(struct svl_args *args);

/* No arguments; the table is kept. */
void svl_args_reset(struct svl_args *args);

/* As text again, escaped: its length at most, and the text, for which `to` needs that much.
 * Returns the length. */
size_t svl_args_bound(const struct svl_args *args);
size_t svl_args_print(char *to, const struct svl_args *args);

/* The same into memory of the arena. */
svl_str svl_args_text(const struct svl_args *args);

#endif
