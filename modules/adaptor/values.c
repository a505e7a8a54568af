/* What a request holds, by the kinds of libmicrohttpd: arguments, fields, cookies, footers, and what the
 * program adds. Collected when somebody asks: most handlers look at the path only. */
#include "internal.h"

#include "serval/uri.h"

#include <stdlib.h>
#include <string.h>

void mhd_entries_add(struct entries *to, struct entry *e)
{
    e->next = NULL;
    if (to->last)
        to->last->next = e;
    else
        to->first = e;
    to->last = e;
}

struct entry *mhd_entries_find(const struct entries *in, enum MHD_ValueKind kinds, const char *name,
                               size_t n)
{
    for (struct entry *e = in->first; e; e = e->next) {
        if (!(e->kind & kinds))
            continue;
        if (!name ? !e->name
                  : e->name && svl_str_ieq((svl_str){e->name, e->name_len}, (svl_str){name, n}))
            return e;
    }
    return NULL;
}

static void add(struct MHD_Connection *c, enum MHD_ValueKind kind, svl_str name, svl_str value)
{
    struct entry *e = mhd_keep(c, sizeof *e);

    *e = (struct entry){
        .kind = kind, .name = name.p, .name_len = name.n, .value = value.p, .value_len = value.n};
    mhd_entries_add(&c->values, e);
}

static svl_str kept(struct MHD_Connection *c, svl_str text)
{
    return text.p ? (svl_str){mhd_keep_text(c, text), text.n} : text;
}

/* Decoded by the program's own function where it has given one, which cannot make it longer. */
static svl_str decoded(struct MHD_Connection *c, svl_str text)
{
    char *to;

    if (!text.p)
        return text;
    to = mhd_keep_text(c, text);
    if (c->daemon && c->daemon->unescape) {
        for (size_t i = 0; i < text.n; i++)
            if (to[i] == '+')
                to[i] = ' ';
        text.n = c->daemon->unescape(c->daemon->unescape_cls, c, to);
    } else {
        text.n = svl_unescape(to, text, true);
    }
    to[text.n] = '\0';
    return (svl_str){to, text.n};
}

static void collect_arguments(struct MHD_Connection *c)
{
    svl_str rest = c->ctx->req.query;
    struct svl_pair arg;

    while (svl_args_next(&rest, &arg))
        add(c, MHD_GET_ARGUMENT_KIND, decoded(c, arg.name), decoded(c, arg.value));
}

static void collect_fields(struct MHD_Connection *c, const struct svl_headers *from,
                           enum MHD_ValueKind kind)
{
    for (unsigned i = 0; i < from->n; i++)
        add(c, kind, kept(c, svl_header_name(&from->at[i])),
            kept(c, svl_header_value(&from->at[i])));
}

/* As libmicrohttpd reads them: with ',' between them too, and one without '=' has the value "". */
static void add_cookie(struct MHD_Connection *c, svl_str cookie)
{
    size_t n = svl_str_find(cookie, '=');
    svl_str name = svl_str_trim(svl_str_head(cookie, n)),
            value = svl_str_trim(svl_str_from(cookie, n + 1));

    if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
        value = (svl_str){value.p + 1, value.n - 2};
    if (name.n > 0)
        add(c, MHD_COOKIE_KIND, kept(c, name), kept(c, value.n ? value : SVL_STR("")));
}

static void collect_cookies(struct MHD_Connection *c)
{
    const struct svl_headers *headers = &c->ctx->req.headers;
    const struct svl_header *field;
    unsigned at = 0;

    while ((field = svl_headers_next(headers, SVL_H_COOKIE, &at))) {
        svl_str rest = svl_header_value(field);

        while (rest.n > 0) {
            bool quoted = false;
            size_t n = 0;

            while (n < rest.n && (quoted || (rest.p[n] != ';' && rest.p[n] != ',')))
                quoted ^= rest.p[n++] == '"';
            add_cookie(c, svl_str_head(rest, n));
            rest = svl_str_from(rest, n + 1);
        }
    }
}

void mhd_collect(struct MHD_Connection *c)
{
    if (c->collected || !c->ctx)
        return;
    c->collected = true;
    collect_arguments(c);
    collect_fields(c, &c->ctx->req.headers, MHD_HEADER_KIND);
    collect_cookies(c);
}

void mhd_collect_footers(struct MHD_Connection *c)
{
    const struct svl_headers *trailers;

    if (c->footed || !c->ctx)
        return;
    c->footed = true;
    trailers = svl_request_trailers(c->ctx);
    if (trailers->n == 0)
        return;
    mhd_collect(c);
    collect_fields(c, trailers, MHD_FOOTER_KIND);
}

int MHD_get_connection_values_n(struct MHD_Connection *c, enum MHD_ValueKind kind,
                                MHD_KeyValueIteratorN iterator, void *iterator_cls)
{
    int n = 0;

    if (!c)
        return -1;
    mhd_collect(c);
    for (const struct entry *e = c->values.first; e; e = e->next) {
        if (!(e->kind & kind))
            continue;
        n++;
        if (iterator &&
            iterator(iterator_cls, e->kind, e->name, e->name_len, e->value, e->value_len) == MHD_NO)
            break;
    }
    return n;
}

int MHD_get_connection_values(struct MHD_Connection *c, enum MHD_ValueKind kind,
                              MHD_KeyValueIterator iterator, void *iterator_cls)
{
    int n = 0;

    if (!c)
        return -1;
    mhd_collect(c);
    for (const struct entry *e = c->values.first; e; e = e->next) {
        if (!(e->kind & kind))
            continue;
        n++;
        if (iterator && iterator(iterator_cls, e->kind, e->name, e->value) == MHD_NO)
            break;
    }
    return n;
}

enum MHD_Result MHD_lookup_connection_value_n(struct MHD_Connection *c, enum MHD_ValueKind kind,
                                              const char *key, size_t key_size,
                                              const char **value_ptr, size_t *value_size_ptr)
{
    const struct entry *e;

    if (!c)
        return MHD_NO;
    mhd_collect(c);
    e = mhd_entries_find(&c->values, kind, key, key_size);
    if (!e)
        return MHD_NO;
    if (value_ptr)
        *value_ptr = e->value;
    if (value_size_ptr)
        *value_size_ptr = e->value_len;
    return MHD_YES;
}

const char *MHD_lookup_connection_value(struct MHD_Connection *c, enum MHD_ValueKind kind,
                                        const char *key)
{
    const char *value = NULL;

    MHD_lookup_connection_value_n(c, kind, key, key ? strlen(key) : 0, &value, NULL);
    return value;
}

/* key and value are not copied: the program keeps them until the request is over. */
enum MHD_Result MHD_set_connection_value_n(struct MHD_Connection *c, enum MHD_ValueKind kind,
                                           const char *key, size_t key_size, const char *value,
                                           size_t value_size)
{
    bool zeros = (key && strlen(key) != key_size) || (value && strlen(value) != value_size);

    if (!c || (zeros && kind != MHD_GET_ARGUMENT_KIND))
        return MHD_NO;
    mhd_collect(c);
    add(c, kind, (svl_str){key, key_size}, (svl_str){value, value_size});
    return MHD_YES;
}

enum MHD_Result MHD_set_connection_value(struct MHD_Connection *c, enum MHD_ValueKind kind,
                                         const char *key, const char *value)
{
    return MHD_set_connection_value_n(c, kind, key, key ? strlen(key) : 0, value,
                                      value ? strlen(value) : 0);
}
