/* rewrite: what its files share. */
#ifndef REWRITE_INTERNAL_H
#define REWRITE_INTERNAL_H

#include "serval/mod/rewrite.h"

#define MAX_GROUPS 100 /* of a pattern, the whole match included */

/* What a pattern found: group[0] is all of it; p is NULL for groups that took no part. */
struct found {
    svl_str group[MAX_GROUPS];
    unsigned n;
};

/* template.c: the `to` of a rule, taken apart once -------------------------------------------------*/

struct piece {
    svl_str text;
    int group; /* -1 = text */
};

struct template
{
    svl_str origin; /* "https://host", or empty */
    struct piece *path, *query;
    unsigned n_path, n_query;
    bool has_query; /* maybe an empty one */
};

/* `groups` = how many the pattern has. Returns NULL, or what is wrong with the text. */
const char *svl_rewrite_template(struct template *t, const char *text, unsigned groups);
void svl_rewrite_template_finish(struct template *t);

/* With `rest` behind the path. What follows '?' has its groups escaped. */
svl_str svl_rewrite_path(const struct template *t, struct svl_ctx *ctx, const struct found *found,
                         svl_str rest);
svl_str svl_rewrite_query(const struct template *t, struct svl_ctx *ctx, const struct found *found);

/* rules.c: all rules of a config, checked and made ready -------------------------------------------*/

struct target {
    svl_str from;
    struct template to;
};

struct rule {
    const struct svl_rewrite_rule *is;
    svl_str host, exact, prefix, add;
    struct target *targets; /* sorted by from: of a map; else one with the rule's `to`, or none */
    unsigned n_targets;
    struct pattern *pattern;
};

struct rewrite_rules {
    struct rule *rules;
    unsigned n;
};

/* Returns 0, or SVL_ECONFIG after saying why. */
int svl_rewrite_compile(struct svl_rewrite_config *config);
void svl_rewrite_free(struct rewrite_rules *rules);

/* The target for exactly that path, or NULL. */
const struct target *svl_rewrite_lookup(const struct rule *rule, svl_str path);

/* Whether `path` is `prefix` or below it; prefix has no slash at its end, so "/" is "". */
bool svl_rewrite_below(svl_str path, svl_str prefix);

/* pattern.c: regular expressions ---------------------------------------------------------------------*/

struct pattern;
struct matcher; /* one worker's memory for matching */

/* NULL: `why` says what is wrong with it. */
struct pattern *svl_rewrite_pattern(const char *text, char *why, size_t size);
void svl_rewrite_pattern_free(struct pattern *pattern);
unsigned svl_rewrite_pattern_groups(const struct pattern *pattern);

struct matcher *svl_rewrite_matcher(unsigned limit);
void svl_rewrite_matcher_free(struct matcher *matcher);

/* 1 = found, 0 = not, <0 = a limit was reached before that was known. */
int svl_rewrite_match(const struct pattern *pattern, struct matcher *matcher, svl_str path,
                      struct found *found);

#endif
