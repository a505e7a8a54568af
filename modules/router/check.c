/* What the value of a param must be: a class of bytes with a count, which covers most expressions,
 * or a regular expression when PCRE2 was built in. */
#include "internal.h"

#include "serval/error.h"

#include <stdio.h>
#include <stdlib.h>

#define MANY UINT32_MAX

static void set_add(struct check *check, unsigned char c)
{
    check->set[c >> 5] |= 1u << (c & 31);
}

static bool add_range(struct check *check, unsigned char from, unsigned char to)
{
    for (unsigned c = from; c <= to; c++)
        set_add(check, (unsigned char)c);
    return from <= to;
}

/* \d \w and escaped punctuation. */
static bool add_escape(struct check *check, char c)
{
    if (c == 'd')
        return add_range(check, '0', '9');
    if (c == 'w') {
        set_add(check, '_');
        return add_range(check, '0', '9') && add_range(check, 'a', 'z') &&
               add_range(check, 'A', 'Z');
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return false;
    set_add(check, (unsigned char)c);
    return true;
}

/* "[a-z0-9_-]" without its brackets. */
static bool read_set(struct check *check, svl_str s)
{
    bool not = svl_str_starts(s, SVL_STR("^"));

    if (not )
        s = svl_str_from(s, 1);
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '[' || c >= 0x80)
            return false; /* [:alpha:], UTF-8: not simple */
        if (c == '\\') {
            if (++i == s.n || !add_escape(check, s.p[i]))
                return false;
        } else if (i + 2 < s.n && s.p[i + 1] == '-') {
            if (s.p[i + 2] == '\\' || !add_range(check, c, (unsigned char)s.p[i + 2]))
                return false;
            i += 2;
        } else {
            set_add(check, c);
        }
    }
    for (unsigned i = 0; not &&i < 8; i++)
        check->set[i] = ~check->set[i];
    return true;
}

/* "+", "*", "?", "", "{3}", "{3,}", "{3,5}" */
static bool read_count(struct check *check, svl_str s)
{
    unsigned long long least, most;
    svl_str part;

    check->least = check->most = 1;
    if (s.n == 0)
        return true;
    if (s.n == 1) {
        check->least = s.p[0] == '+';
        check->most = s.p[0] == '?' ? 1 : MANY;
        return s.p[0] == '+' || s.p[0] == '*' || s.p[0] == '?';
    }
    if (s.p[0] != '{' || s.p[s.n - 1] != '}')
        return false;
    s = (svl_str){s.p + 1, s.n - 2};
    svl_str_split(&s, ',', &part);
    if (!svl_str_u64(part, &least) || least >= MANY)
        return false;
    most = least;
    if (s.p && s.n == 0)
        most = MANY;
    else if (s.p && (!svl_str_u64(s, &most) || most >= MANY || most < least))
        return false;
    check->least = (uint32_t)least;
    check->most = (uint32_t)most;
    return true;
}

/* One class and a count is all; anything else is for PCRE2. */
static bool read_class(struct check *check, svl_str s)
{
    size_t close;

    if (svl_str_starts(s, SVL_STR("^")))
        s = svl_str_from(s, 1);
    if (svl_str_ends(s, SVL_STR("$")) && !svl_str_ends(s, SVL_STR("\\$")))
        s.n--;
    if (s.n >= 2 && s.p[0] == '\\')
        return add_escape(check, s.p[1]) && read_count(check, svl_str_from(s, 2));
    if (svl_str_starts(s, SVL_STR("."))) {
        add_range(check, 0, 255);
        return read_count(check, svl_str_from(s, 1));
    }
    if (s.n < 3 || s.p[0] != '[')
        return false;
    for (close = 2; close < s.n && s.p[close] != ']'; close++)
        close += s.p[close] == '\\';
    return close < s.n && read_set(check, (svl_str){s.p + 1, close - 1}) &&
           read_count(check, svl_str_from(s, close + 1));
}

#if SVL_ROUTER_REGEX

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* What one match may take: what is not decided by then does not fit. */
#define MATCH_STEPS 10000
#define MATCH_DEPTH 250
#define MATCH_MEMORY 65536

struct regex {
    pcre2_code *code;
    pcre2_match_context *limits;
    pcre2_general_context *memory;
};

/* Matching allocates here, so that lookups need neither malloc nor a state to be handed around. */
static _Thread_local struct {
    _Alignas(16) char bytes[MATCH_MEMORY];
    size_t used;
    bool starting; /* what is made now stays */
} scratch;

static void *scratch_alloc(PCRE2_SIZE size, void *arg)
{
    char *at = scratch.bytes + scratch.used;

    (void)arg;
    if (scratch.starting)
        return malloc(size);
    size = (size + 15) & ~(size_t)15;
    if (size > MATCH_MEMORY - scratch.used)
        return NULL;
    scratch.used += size;
    return at;
}

static void scratch_free(void *at, void *arg)
{
    (void)at;
    (void)arg;
}

static int regex_compile(struct check *check, svl_str text, char *why, size_t size)
{
    struct regex *regex = calloc(1, sizeof *regex);
    PCRE2_SIZE where;
    int error;

    if (!regex)
        abort();
    check->kind = CHECK_REGEX;
    check->code = regex;
    regex->code = pcre2_compile((PCRE2_SPTR)text.p, text.n,
                                PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C,
                                &error, &where, NULL);
    if (!regex->code) {
        int n = snprintf(why, size, "expression, at byte %zu: ", where + 1);

        pcre2_get_error_message(error, (PCRE2_UCHAR *)why + n, size - (size_t)n);
        return SVL_ESYNTAX;
    }
    pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); /* where there is one */
    scratch.starting = true;
    regex->memory = pcre2_general_context_create(scratch_alloc, scratch_free, NULL);
    scratch.starting = false;
    regex->limits = pcre2_match_context_create(NULL);
    if (!regex->limits || !regex->memory)
        abort();
    pcre2_set_match_limit(regex->limits, MATCH_STEPS);
    pcre2_set_depth_limit(regex->limits, MATCH_DEPTH);
    return 0;
}

static void regex_finish(struct regex *regex)
{
    pcre2_code_free(regex->code);
    pcre2_match_context_free(regex->limits);
    free(regex->memory); /* one block, from scratch_alloc() */
    free(regex);
}

static bool regex_fits(const struct regex *regex, svl_str value)
{
    pcre2_match_data *data;

    scratch.used = 0;
    data = pcre2_match_data_create(1, regex->memory);
    return data &&
           pcre2_match(regex->code, (PCRE2_SPTR)value.p, value.n, 0, 0, data, regex->limits) >= 0;
}

#else

static int regex_compile(struct check *check, svl_str text, char *why, size_t size)
{
    (void)check;
    snprintf(why, size,
             "expression \"%.*s\" is more than a class and a count; for others build with "
             "-DSVL_ROUTER_REGEX=ON",
             SVL_FMT(text));
    return SVL_ESYNTAX;
}

static void regex_finish(void *regex)
{
    (void)regex;
}

static bool regex_fits(const void *regex, svl_str value)
{
    (void)regex;
    (void)value;
    return false;
}

#endif

int check_compile(struct check *check, svl_str text, char *why, size_t size)
{
    *check = (struct check){.text = text};
    if (read_class(check, text)) {
        check->kind = CHECK_CLASS;
        return 0;
    }
    *check = (struct check){.text = text};
    return regex_compile(check, text, why, size);
}

void check_finish(struct check *check)
{
    if (check->kind == CHECK_REGEX && check->code)
        regex_finish(check->code);
}

bool check_fits(const struct check *check, svl_str value)
{
    if (check->kind == CHECK_REGEX)
        return regex_fits(check->code, value);
    if (value.n < check->least || value.n > check->most)
        return false;
    for (size_t i = 0; i < value.n; i++)
        if (!check_has(check, (unsigned char)value.p[i]))
            return false;
    return true;
}
