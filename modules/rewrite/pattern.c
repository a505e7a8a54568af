/* Regular expressions: PCRE2 on bytes, compiled to machine code where that is possible. A client can
 * choose the path, so that steps, depth and memory of a match have limits. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "internal.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_DEPTH 1000
#define MAX_HEAP_KIB 1024

struct pattern {
    pcre2_code *code;
    uint32_t groups;
};

struct matcher {
    pcre2_match_context *context;
    pcre2_match_data *data;
};

struct pattern *svl_rewrite_pattern(const char *text, char *why, size_t size)
{
    struct pattern *p = calloc(1, sizeof *p);
    PCRE2_UCHAR message[120];
    PCRE2_SIZE place;
    int err;

    if (!p) {
        snprintf(why, size, "no memory");
        return NULL;
    }
    p->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                            PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF, &err, &place, NULL);
    if (!p->code) {
        pcre2_get_error_message(err, message, sizeof message);
        snprintf(why, size, "pattern \"%.40s\": %s at place %zu", text, (char *)message, place);
        free(p);
        return NULL;
    }
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* without it, it is interpreted */
    pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &p->groups);
    if (++p->groups > MAX_GROUPS) {
        snprintf(why, size, "pattern \"%.40s\": more than %d groups", text, MAX_GROUPS - 1);
        svl_rewrite_pattern_free(p);
        return NULL;
    }
    return p;
}

void svl_rewrite_pattern_free(struct pattern *p)
{
    if (p)
        pcre2_code_free(p->code);
    free(p);
}

unsigned svl_rewrite_pattern_groups(const struct pattern *p)
{
    return p->groups;
}

struct matcher *svl_rewrite_matcher(unsigned limit)
{
    struct matcher *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    m->context = pcre2_match_context_create(NULL);
    m->data = pcre2_match_data_create(MAX_GROUPS, NULL);
    if (!m->context || !m->data) {
        svl_rewrite_matcher_free(m);
        return NULL;
    }
    pcre2_set_match_limit(m->context, limit);
    pcre2_set_depth_limit(m->context, MAX_DEPTH);
    pcre2_set_heap_limit(m->context, MAX_HEAP_KIB);
    return m;
}

void svl_rewrite_matcher_free(struct matcher *m)
{
    if (!m)
        return;
    pcre2_match_context_free(m->context);
    pcre2_match_data_free(m->data);
    free(m);
}

int svl_rewrite_match(const struct pattern *p, struct matcher *m, svl_str path, struct found *found)
{
    const PCRE2_SIZE *at;
    int n = pcre2_match(p->code, (PCRE2_SPTR)path.p, path.n, 0, 0, m->data, m->context);

    if (n == PCRE2_ERROR_NOMATCH)
        return 0;
    if (n <= 0)
        return -1;
    at = pcre2_get_ovector_pointer(m->data);
    for (unsigned i = 0; i < p->groups; i++) {
        bool took_part = i < (unsigned)n && at[2 * i] <= at[2 * i + 1] && at[2 * i] != PCRE2_UNSET;

        found->group[i] =
            took_part ? (svl_str){path.p + at[2 * i], at[2 * i + 1] - at[2 * i]} : SVL_STR_NONE;
    }
    found->n = p->groups;
    return 1;
}
