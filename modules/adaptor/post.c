/* The post processor: forms as they come, urlencoded or multipart/form-data, value by value. A value that
 * is a multipart/mixed (RFC 7578 4.3) goes through a second parser, whose parts are values of its name. */
#include "internal.h"

#include "serval/field.h"
#include "serval/form.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 1024 /* decoded bytes handed on at once */

struct part {
    char *key, *filename, *content_type, *transfer_encoding; /* NULL: not given */
};

struct MHD_PostProcessor {
    MHD_PostDataIterator iterator;
    void *cls;
    bool multipart;
    bool failed; /* what came is no form, or the iterator has had enough */
    uint64_t offset;
    bool told; /* the iterator has been called for this value */
    struct part part;
    struct svl_multipart parser;
    bool in_nested;
    struct part outer;            /* what the parts of a multipart/mixed stand in */
    struct svl_multipart *nested; /* NULL until there is one; owner: this */

    /* Urlencoded: a key that is not complete, then bytes of a value that are not decoded yet. */
    bool in_value;
    char escape[3];
    unsigned n_escape;
    size_t n_key, room;
    char key[]; /* of urlencoded forms; of others a piece of a value */
};

static enum MHD_Result tell(struct MHD_PostProcessor *pp, const char *data, size_t n)
{
    enum MHD_Result r;

    if (n == 0 && pp->told)
        return MHD_YES;
    r = pp->iterator(pp->cls, MHD_POSTDATA_KIND, pp->part.key, pp->part.filename,
                     pp->part.content_type, pp->part.transfer_encoding, data, pp->offset, n);
    pp->told = true;
    pp->offset += n;
    pp->failed = pp->failed || r == MHD_NO;
    return r;
}

static void clear(struct part *part)
{
    free(part->key);
    free(part->filename);
    free(part->content_type);
    free(part->transfer_encoding);
    memset(part, 0, sizeof *part);
}

static void part_over(struct MHD_PostProcessor *pp)
{
    clear(&pp->part);
    pp->offset = 0;
    pp->told = false;
}

/* Multipart ------------------------------------------------------------------------------------- */

static char *copy(svl_str s)
{
    return s.p ? strndup(s.p, s.n) : NULL;
}

/* The value of a field in the head of a part. */
static svl_str find_field(svl_str head, svl_str name)
{
    svl_str line;

    while (svl_str_split(&head, '\n', &line)) {
        size_t colon = svl_str_find(line, ':');

        if (colon < line.n && svl_str_ieq(svl_str_head(line, colon), name)) {
            line = svl_str_from(line, colon + 1);
            if (svl_str_ends(line, SVL_STR("\r")))
                line.n--;
            return svl_str_trim(line);
        }
    }
    return SVL_STR_NONE;
}

static struct part part_of(const struct svl_multipart_part *part)
{
    return (struct part){copy(part->name), copy(part->filename), copy(part->content_type),
                         copy(find_field(part->head, SVL_STR("Content-Transfer-Encoding")))};
}

/* Programs take a value for a C string where it is a whole one: it ends with a NUL. */
static int on_value_data(void *arg, const char *data, size_t n)
{
    struct MHD_PostProcessor *pp = arg;

    while (n > 0 && !pp->failed) {
        size_t some = n < pp->room ? n : pp->room;

        memcpy(pp->key, data, some);
        pp->key[some] = '\0';
        tell(pp, pp->key, some);
        data += some;
        n -= some;
    }
    return pp->failed ? -1 : 0;
}

static int on_value_end(void *arg)
{
    struct MHD_PostProcessor *pp = arg;
    enum MHD_Result r = tell(pp, "", 0);

    part_over(pp);
    return r == MHD_YES ? 0 : -1;
}

/* What such a part does not say, the value around it does; the name is always that one's. */
static int on_nested_part(void *arg, const struct svl_multipart_part *part)
{
    struct MHD_PostProcessor *pp = arg;

    pp->part = part_of(part);
    free(pp->part.key);
    pp->part.key = copy(svl_str_of(pp->outer.key));
    if (!pp->part.filename)
        pp->part.filename = copy(svl_str_of(pp->outer.filename));
    if (!pp->part.transfer_encoding)
        pp->part.transfer_encoding = copy(svl_str_of(pp->outer.transfer_encoding));
    return 0;
}

static const struct svl_multipart_events nested_events = {on_nested_part, on_value_data,
                                                          on_value_end};

#define MIXED "multipart/mixed"

/* Senders of old write a comma for the semicolon. */
static bool is_mixed(svl_str type)
{
    size_t n = sizeof MIXED - 1;

    return svl_str_ieq(svl_str_head(type, n), SVL_STR(MIXED)) &&
           (type.n == n || type.p[n] == ';' || type.p[n] == ',' || type.p[n] == ' ');
}

static int begin_nested(struct MHD_PostProcessor *pp)
{
    svl_str type = svl_str_from(svl_str_of(pp->part.content_type), sizeof MIXED - 1), boundary;
    int err;

    if (!pp->nested)
        pp->nested = malloc(sizeof *pp->nested);
    if (!pp->nested)
        return -ENOMEM;
    if (type.n > 0 && type.p[0] == ',')
        pp->part.content_type[sizeof MIXED - 1] = ';';
    boundary = svl_field_parameter(svl_str_of(pp->part.content_type), SVL_STR("boundary"));
    err = svl_multipart_begin(pp->nested, boundary, NULL, &nested_events, pp);
    pp->nested->mixed = true;
    pp->outer = pp->part;
    memset(&pp->part, 0, sizeof pp->part);
    pp->in_nested = true;
    return err;
}

static int on_part(void *arg, const struct svl_multipart_part *part)
{
    struct MHD_PostProcessor *pp = arg;

    pp->part = part_of(part);
    return pp->part.content_type && is_mixed(part->content_type) ? begin_nested(pp) : 0;
}

static int on_data(void *arg, const char *data, size_t n)
{
    struct MHD_PostProcessor *pp = arg;

    return pp->in_nested ? svl_multipart_push(pp->nested, data, n) : on_value_data(pp, data, n);
}

static int on_end(void *arg)
{
    struct MHD_PostProcessor *pp = arg;

    if (!pp->in_nested)
        return on_value_end(pp);
    pp->in_nested = false;
    clear(&pp->outer);
    return svl_multipart_end(pp->nested);
}

static const struct svl_multipart_events events = {on_part, on_data, on_end};

/* Urlencoded ------------------------------------------------------------------------------------ */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The key is complete: what follows is its value. */
static void begin_value(struct MHD_PostProcessor *pp)
{
    size_t n = 0;

    for (size_t i = 0; i < pp->n_key; i++) {
        char c = pp->key[i];

        if (c == '%' && i + 2 < pp->n_key && hex(pp->key[i + 1]) >= 0 && hex(pp->key[i + 2]) >= 0) {
            c = (char)(hex(pp->key[i + 1]) << 4 | hex(pp->key[i + 2]));
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        pp->key[n++] = c;
    }
    pp->part.key = strndup(pp->key, n);
    pp->n_key = 0;
    pp->in_value = true;
}

static void end_value(struct MHD_PostProcessor *pp)
{
    if (!pp->in_value && pp->n_key == 0)
        return;
    if (!pp->in_value)
        begin_value(pp);
    pp->escape[pp->n_escape] = '\0';
    if (pp->n_escape > 0)
        tell(pp, pp->escape, pp->n_escape);
    pp->n_escape = 0;
    tell(pp, "", 0);
    pp->in_value = false;
    part_over(pp);
}

/* One byte of a value into out; a broken escape stays as it is. Returns how many bytes it made. */
static unsigned decode(struct MHD_PostProcessor *pp, char c, char *out)
{
    unsigned n = pp->n_escape;

    if (n == 0 && c != '%') {
        *out = c == '+' ? ' ' : c;
        return 1;
    }
    if (n > 0 && hex(c) < 0) {
        memcpy(out, pp->escape, n);
        pp->n_escape = 0;
        return n + decode(pp, c, out + n);
    }
    pp->escape[n] = c;
    pp->n_escape = n + 1;
    if (n < 2)
        return 0;
    pp->n_escape = 0;
    *out = (char)(hex(pp->escape[1]) << 4 | hex(c));
    return 1;
}

static void flush(struct MHD_PostProcessor *pp, char *out, size_t *n)
{
    out[*n] = '\0';
    if (*n > 0 && !pp->failed)
        tell(pp, out, *n);
    *n = 0;
}

static void urlencoded(struct MHD_PostProcessor *pp, const char *data, size_t len)
{
    char out[PIECE + 1]; /* a NUL behind each */
    size_t n = 0;

    for (size_t i = 0; i < len && !pp->failed; i++) {
        char c = data[i];

        if (c == '&' || c == '\r' || c == '\n') {
            flush(pp, out, &n);
            end_value(pp);
        } else if (pp->in_value) {
            if (n + 4 > PIECE)
                flush(pp, out, &n);
            n += decode(pp, c, out + n);
        } else if (c == '=') {
            begin_value(pp);
        } else if (pp->n_key == pp->room) {
            pp->failed = true;
        } else {
            pp->key[pp->n_key++] = c;
        }
    }
    flush(pp, out, &n);
}

/* The calls --------------------------------------------------------------------------------------- */

struct MHD_PostProcessor *MHD_create_post_processor(struct MHD_Connection *c, size_t buffer_size,
                                                    MHD_PostDataIterator iter, void *iter_cls)
{
    svl_str type, boundary;
    struct MHD_PostProcessor *pp;

    if (!c || !iter || buffer_size < 256)
        return NULL;
    type = svl_str_of(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Type"));
    boundary = svl_field_boundary(type);
    if (!boundary.p &&
        !svl_str_ieq(svl_field_value(type), SVL_STR("application/x-www-form-urlencoded")))
        return NULL;
    pp = calloc(1, sizeof *pp + buffer_size + 1);
    if (!pp)
        return NULL;
    pp->iterator = iter;
    pp->cls = iter_cls;
    pp->room = buffer_size;
    pp->multipart = boundary.p != NULL;
    if (!pp->multipart || svl_multipart_begin(&pp->parser, boundary, NULL, &events, pp) == 0)
        return pp;
    free(pp);
    return NULL;
}

enum MHD_Result MHD_post_process(struct MHD_PostProcessor *pp, const char *data, size_t n)
{
    if (!pp || pp->failed)
        return pp || n == 0 ? MHD_NO : MHD_YES;
    if (n == 0)
        return MHD_YES;
    if (!pp->multipart)
        urlencoded(pp, data, n);
    else if (svl_multipart_push(&pp->parser, data, n) != 0)
        pp->failed = true;
    return pp->failed ? MHD_NO : MHD_YES;
}

enum MHD_Result MHD_destroy_post_processor(struct MHD_PostProcessor *pp)
{
    bool ok;

    if (!pp)
        return MHD_YES;
    if (!pp->multipart && !pp->failed)
        end_value(pp);
    ok = !pp->failed && (!pp->multipart || svl_multipart_end(&pp->parser) == 0);
    part_over(pp);
    clear(&pp->outer);
    free(pp->nested);
    free(pp);
    return ok ? MHD_YES : MHD_NO;
}
