#include "run/values.h"

#include "serval/date.h"
#include "serval/field.h"
#include "serval/request.h"

struct svl_value {
    struct svl_value *next;
    const char *key;
    void *value;
    void (*destroy)(void *value);
};

struct svl_values *svl_values_of(struct svl_ctx *ctx)
{
    struct svl_exchange *x = svl_exchange_of(ctx);

    if (!x->values)
        x->values = svl_alloc(ctx, sizeof *x->values);
    return x->values;
}

/* Arguments -------------------------------------------------------------------------------- */

struct svl_args *svl_query_args(struct svl_ctx *ctx)
{
    struct svl_values *values = svl_values_of(ctx);

    if (!values->has_query) {
        values->has_query = true;
        svl_args_init(&values->query, ctx->arena);
        svl_args_parse(&values->query, ctx->req.query); /* too many: the first ones count */
    }
    return &values->query;
}

svl_str svl_query(struct svl_ctx *ctx, svl_str name)
{
    return svl_args_get(svl_query_args(ctx), name);
}

/* Fields ----------------------------------------------------------------------------------- */

svl_str svl_request_type(const struct svl_ctx *ctx)
{
    svl_str type = svl_header(ctx, SVL_H_CONTENT_TYPE);

    return type.p ? svl_field_value(type) : type;
}

svl_str svl_request_type_parameter(const struct svl_ctx *ctx, svl_str name)
{
    return svl_field_parameter(svl_header(ctx, SVL_H_CONTENT_TYPE), name);
}

int64_t svl_if_modified_since(const struct svl_ctx *ctx)
{
    svl_str field = svl_header(ctx, SVL_H_IF_MODIFIED_SINCE);
    int64_t seconds = -1;

    if (field.p)
        svl_date_parse(field, &seconds);
    return seconds;
}

bool svl_modified_since(const struct svl_ctx *ctx, int64_t seconds)
{
    enum svl_method method = ctx->req.method;

    if ((method != SVL_GET && method != SVL_HEAD) || svl_header(ctx, SVL_H_IF_NONE_MATCH).p)
        return true;
    int64_t since = svl_if_modified_since(ctx);

    return since < 0 || seconds > since;
}

/* Users' values ---------------------------------------------------------------------------- */

static void destroy(void *arg)
{
    struct svl_value *v = arg;

    if (v->destroy && v->value)
        v->destroy(v->value);
    v->value = NULL;
}

static struct svl_value *find(const struct svl_values *values, const char *key)
{
    struct svl_value *v = values ? values->first : NULL;

    while (v && v->key != key && strcmp(v->key, key) != 0)
        v = v->next;
    return v;
}

void svl_value_set(struct svl_ctx *ctx, const char *key, void *value,
                   void (*destroy_fn)(void *value))
{
    struct svl_values *values = svl_values_of(ctx);
    struct svl_value *v = find(values, key);

    if (v && v->value == value) {
        v->destroy = destroy_fn;
        return;
    }
    if (v) {
        destroy(v);
    } else if (value) {
        v = svl_alloc(ctx, sizeof *v);
        v->key = key;
        v->next = values->first;
        values->first = v;
        svl_on_free(ctx, destroy, v);
    } else {
        return;
    }
    v->value = value;
    v->destroy = destroy_fn;
}

void *svl_value_get(const struct svl_ctx *ctx, const char *key)
{
    const struct svl_exchange *x = (const struct svl_exchange *)ctx;
    struct svl_value *v = find(x->values, key);

    return v ? v->value : NULL;
}

const char *svl_value_next(const struct svl_ctx *ctx, const void **at, void **value)
{
    const struct svl_exchange *x = (const struct svl_exchange *)ctx;
    const struct svl_value *v = *at;

    v = v ? v->next : x->values ? x->values->first : NULL;
    while (v && !v->value)
        v = v->next;
    if (!v)
        return NULL;
    *at = v;
    *value = v->value;
    return v->key;
}

/* x outlives the fresh one, which has borrowed it; so x's values do, and x destroys them. */
void svl_values_split(struct svl_exchange *fresh, const struct svl_exchange *x)
{
    struct svl_value **end;

    if (!x->values || !x->values->first)
        return;
    end = &svl_values_of(&fresh->pub)->first;
    for (const struct svl_value *v = x->values->first; v; v = v->next) {
        struct svl_value *copy = svl_alloc(&fresh->pub, sizeof *copy);

        copy->key = v->key;
        copy->value = v->value;
        *end = copy;
        end = &copy->next;
    }
}
