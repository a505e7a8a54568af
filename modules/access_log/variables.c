#include "variables.h"

#include "serval/log.h"
#include "serval/request.h"
#include "serval/text.h"

#include <stdio.h>
#include <stdlib.h>

/* What a variable is for one request: nothing, a text, a number, or thousandths of something. */
struct value {
    enum { NOTHING, TEXT, NUMBER, THOUSANDTHS, TRUE } kind;
    svl_str text;
    uint64_t number;
};

typedef struct value get_fn(const struct record *r);

static struct value text(svl_str s)
{
    return (struct value){.kind = s.p ? TEXT : NOTHING, .text = s};
}

static struct value number(uint64_t n)
{
    return (struct value){.kind = NUMBER, .number = n};
}

/* Getters -------------------------------------------------------------------------------------- */

static struct value get_client(const struct record *r)
{
    return text(r->peer);
}

static struct value get_user(const struct record *r)
{
    const svl_str *name = svl_value_get(r->ctx, "serval.basic_auth"); /* what that module leaves */

    return text(name ? *name : SVL_STR_NONE);
}

static struct value get_method(const struct record *r)
{
    return text(r->ctx->req.method_text);
}

static struct value get_host(const struct record *r)
{
    return text(r->ctx->req.host);
}

static struct value get_target(const struct record *r)
{
    return text(r->ctx->req.target);
}

static struct value get_path(const struct record *r)
{
    return text(r->ctx->req.raw_path);
}

static struct value get_query(const struct record *r)
{
    return text(r->ctx->req.query);
}

static struct value get_proto(const struct record *r)
{
    if (!r->ctx->req.target.n)
        return text(SVL_STR_NONE);
    return text(r->ctx->req.minor ? SVL_STR("HTTP/1.1") : SVL_STR("HTTP/1.0"));
}

static struct value get_status(const struct record *r)
{
    return number((uint64_t)r->status);
}

static struct value get_bytes_out(const struct record *r)
{
    return number(r->ctx->res.sent);
}

static struct value get_dur_us(const struct record *r)
{
    return r->timed ? number(r->us) : (struct value){.kind = NOTHING};
}

static struct value get_dur_ms(const struct record *r)
{
    return (struct value){.kind = r->timed ? THOUSANDTHS : NOTHING, .number = r->us};
}

static struct value get_dur_s(const struct record *r)
{
    return (struct value){.kind = r->timed ? THOUSANDTHS : NOTHING, .number = r->us / 1000};
}

static struct value get_route(const struct record *r)
{
    return text(r->ctx->req.match ? r->ctx->req.match->pattern : SVL_STR_NONE);
}

static struct value get_encoding(const struct record *r)
{
    return text(svl_headers_get(&r->ctx->res.headers, SVL_H_CONTENT_ENCODING));
}

static struct value get_type(const struct record *r)
{
    return text(r->ctx->res.content_type);
}

static struct value get_range(const struct record *r)
{
    return text(svl_headers_get(&r->ctx->res.headers, SVL_H_CONTENT_RANGE));
}

static struct value get_referer(const struct record *r)
{
    return text(svl_header(r->ctx, SVL_H_REFERER));
}

static struct value get_ua(const struct record *r)
{
    return text(svl_header(r->ctx, SVL_H_USER_AGENT));
}

static struct value get_rid(const struct record *r)
{
    const svl_str *id = svl_value_get(r->ctx, "serval.request_id"); /* what that module leaves */

    return text(id ? *id : SVL_STR_NONE);
}

static struct value get_abort(const struct record *r)
{
    return (struct value){.kind = r->status == 499 ? TRUE : NOTHING};
}

/* The table ------------------------------------------------------------------------------------ */

/* In the order of JSON and logfmt, as far as they have it. `room` is for the value when it is written. The
 * sum of them, with names, stays below 31 KiB. */
static const struct variable {
    const char *name;
    get_fn *get;
    unsigned short room;
    bool is_query;  /* what looks like a secret in it is not shown */
    bool templates; /* only there */
} variables[] = {
    {"client", get_client, 64, false, false},
    {"user", get_user, 512, false, false},
    {"method", get_method, 64, false, false},
    {"host", get_host, 512, false, false},
    {"path", get_path, 8192, false, false},
    {"query", get_query, 8192, true, false},
    {"proto", get_proto, 16, false, false},
    {"status", get_status, 0, false, false},
    {"bytes_out", get_bytes_out, 0, false, false},
    {"dur_us", get_dur_us, 0, false, false},
    {"route", get_route, 1024, false, false},
    {"encoding", get_encoding, 64, false, false},
    {"range", get_range, 128, false, false},
    {"referer", get_referer, 4096, false, false},
    {"ua", get_ua, 4096, false, false},
    {"rid", get_rid, 256, false, false},
    {"abort", get_abort, 0, false, false},
    {"target", get_target, 16384, true, true},
    {"dur_ms", get_dur_ms, 0, false, true},
    {"dur_s", get_dur_s, 0, false, true},
    {"type", get_type, 256, false, true},
};

enum { VARIABLES = sizeof variables / sizeof *variables };

/* Secrets in queries --------------------------------------------------------------------------- */

/* "token", "key" or "password", also as the last part of a name: "access_token", "api-key". */
static bool is_secret(svl_str name)
{
    static const char *const words[] = {"token", "key", "password", "secret"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        svl_str word = svl_str_of(words[i]);

        if (name.n < word.n || !svl_str_ieq(svl_str_from(name, name.n - word.n), word))
            continue;
        if (name.n == word.n || strchr("_-.", name.p[name.n - word.n - 1]))
            return true;
    }
    return false;
}

typedef void write_fn(struct line *l, svl_str s, size_t room);

/* A query, or a target with one, argument by argument; values of secrets are "...". */
static void write_query(struct line *l, svl_str s, size_t room, write_fn *write)
{
    const char *first = l->at;

    while (s.n > 0 && (size_t)(l->at - first) < room) {
        size_t n = 0, equals;
        svl_str argument, name;

        while (n < s.n && s.p[n] != '&' && s.p[n] != '?')
            n++;
        argument = svl_str_head(s, n);
        equals = svl_str_find(argument, '=');
        name = svl_str_head(argument, equals);
        if (equals < argument.n && is_secret(name)) {
            write(l, svl_str_head(argument, equals + 1), room - (size_t)(l->at - first));
            svl_line_text(l, SVL_STR("..."));
        } else {
            write(l, argument, room - (size_t)(l->at - first));
        }
        if (n < s.n)
            svl_line_char(l, s.p[n]);
        s = svl_str_from(s, n + 1);
    }
}

static void write_text(struct line *l, const struct variable *v, svl_str s, write_fn *write)
{
    if (v && v->is_query)
        write_query(l, s, v->room, write);
    else
        write(l, s, v ? v->room : 4096);
}

/* JSON and logfmt ------------------------------------------------------------------------------ */

static void write_time(struct line *l, const struct record *r)
{
    char time[LINE_TIME_LEN];

    svl_line_time(time, r->seconds, r->fraction);
    svl_line_text(l, (svl_str){time, sizeof time});
}

static void json_value(struct line *l, const struct variable *v, const struct value *value)
{
    if (value->kind == NUMBER) {
        svl_line_number(l, value->number);
    } else if (value->kind == TRUE) {
        svl_line_text(l, SVL_STR("true"));
    } else {
        svl_line_char(l, '"');
        write_text(l, v, value->text, svl_line_json);
        svl_line_char(l, '"');
    }
}

void svl_record_json(struct line *l, const struct record *r)
{
    svl_line_text(l, SVL_STR("{\"ts\":\""));
    write_time(l, r);
    svl_line_char(l, '"');
    for (const struct variable *v = variables; v < variables + VARIABLES; v++) {
        struct value value = v->templates ? (struct value){.kind = NOTHING} : v->get(r);

        if (value.kind == NOTHING)
            continue;
        svl_line_text(l, SVL_STR(",\""));
        svl_line_text(l, svl_str_of(v->name));
        svl_line_text(l, SVL_STR("\":"));
        json_value(l, v, &value);
    }
    svl_line_char(l, '}');
}

static bool needs_quotes(svl_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("\"=\\", s.p[i]))
            return true;
    return s.n == 0;
}

static void write_plain(struct line *l, svl_str s, size_t room)
{
    svl_line_json(l, s, room); /* nothing in it to escape */
}

void svl_record_logfmt(struct line *l, const struct record *r)
{
    svl_line_text(l, SVL_STR("ts="));
    write_time(l, r);
    for (const struct variable *v = variables; v < variables + VARIABLES; v++) {
        struct value value = v->templates ? (struct value){.kind = NOTHING} : v->get(r);

        if (value.kind == NOTHING)
            continue;
        svl_line_char(l, ' ');
        svl_line_text(l, svl_str_of(v->name));
        svl_line_char(l, '=');
        if (value.kind == TEXT && !needs_quotes(value.text))
            write_text(l, v, value.text, write_plain);
        else
            json_value(l, v, &value);
    }
}

/* Templates ------------------------------------------------------------------------------------ */

struct piece {
    svl_str literal; /* in front of the variable; owner: the config */
    get_fn *get;     /* NULL: see below */
    const struct variable *variable;
    enum { NO_FIELD, OF_REQUEST, OF_ANSWER, TIME, STAMP } special;
    svl_str field;   /* of the first two: its name; owner: the template */
    unsigned digits; /* behind the point */
};

struct svl_access_log_template {
    size_t n;
    char *names; /* of fields, one behind the other */
    struct piece pieces[];
};

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* "http_user_agent" is the field user-agent. */
static svl_str field_name(char *to, svl_str name)
{
    for (size_t i = 0; i < name.n; i++)
        to[i] = name.p[i] == '_' ? '-' : name.p[i];
    return (svl_str){to, name.n};
}

static bool say_unknown(svl_str name)
{
    const char *names[VARIABLES + 3] = {"ts", "time"}, *like;

    for (size_t i = 0; i < VARIABLES; i++)
        names[i + 2] = variables[i].name;
    like = svl_nearest(names, name);
    svl_log(SVL_ALERT, "access_log: template: there is no $%.*s%s%s%s", SVL_FMT(name),
            like ? "; did you mean $"
                 : "; it knows $client, $path, $status and others, see the manual",
            like ? like : "", like ? "?" : "");
    return false;
}

static bool find(struct piece *piece, svl_str name, char **names)
{
    static const svl_str request = {"http_", 5}, answer = {"sent_http_", 10};

    if (svl_str_eq(name, SVL_STR("ts")) || svl_str_eq(name, SVL_STR("time"))) {
        piece->special = name.n == 2 ? TIME : STAMP;
        return true;
    }
    for (size_t i = 0; i < VARIABLES; i++) {
        if (svl_str_eq(name, svl_str_of(variables[i].name))) {
            piece->variable = &variables[i];
            piece->get = variables[i].get;
            return true;
        }
    }
    if (svl_str_starts(name, request) || svl_str_starts(name, answer)) {
        bool of_request = svl_str_starts(name, request);

        piece->special = of_request ? OF_REQUEST : OF_ANSWER;
        piece->field = field_name(*names, svl_str_from(name, of_request ? request.n : answer.n));
        *names += piece->field.n;
        return true;
    }
    return say_unknown(name);
}

/* Behind a '$': "name", "{name}" or "{name:.2f}". Returns what follows, or NULL. */
static const char *read_variable(struct piece *piece, const char *at, char **names)
{
    bool braces = *at == '{';
    svl_str name = {at + braces, 0};

    while (is_name(name.p[name.n]))
        name.n++;
    at = name.p + name.n;
    piece->digits = 3;
    if (braces && at[0] == ':' && at[1] == '.' && at[2] >= '0' && at[2] <= '3' && at[3] == 'f') {
        piece->digits = (unsigned)(at[2] - '0');
        at += 4;
    }
    if (name.n == 0 || (braces && *at != '}')) {
        svl_log(SVL_ALERT,
                "access_log: template: \"%.20s\": write $name, ${name} or ${dur_ms:.2f}, "
                "and $$ for a dollar sign",
                name.p - braces - 1);
        return NULL;
    }
    return find(piece, name, names) ? at + braces : NULL;
}

struct svl_access_log_template *svl_template_open(const char *text)
{
    size_t room = strlen(text) + 1;
    struct svl_access_log_template *t = calloc(1, sizeof *t + room * sizeof *t->pieces);
    char *names;

    if (!t)
        return NULL;
    t->names = names = malloc(room);
    while (t->names && *text) {
        struct piece *piece = &t->pieces[t->n++];
        const char *dollar = strchrnul(text, '$');

        piece->literal = (svl_str){text, (size_t)(dollar - text)};
        if (dollar[0] == '$' && dollar[1] == '$') {
            piece->literal.n++;
            text = dollar + 2;
        } else if (*dollar) {
            text = read_variable(piece, dollar + 1, &names);
        } else {
            text = dollar;
        }
        if (!text)
            break;
    }
    if (t->names && text)
        return t;
    svl_template_close(t);
    return NULL;
}

void svl_template_close(struct svl_access_log_template *t)
{
    if (t)
        free(t->names);
    free(t);
}

static void write_stamp(struct line *l, const struct record *r)
{
    char stamp[LINE_STAMP_LEN];

    svl_line_stamp(stamp, r->seconds);
    svl_line_text(l, (svl_str){stamp, sizeof stamp});
}

static void write_value(struct line *l, const struct piece *piece, const struct value *value)
{
    switch (value->kind) {
    case NOTHING: svl_line_char(l, '-'); break;
    case TEXT: write_text(l, piece->variable, value->text, svl_line_escaped); break;
    case NUMBER: svl_line_number(l, value->number); break;
    case THOUSANDTHS: svl_line_thousandths(l, value->number, piece->digits); break;
    case TRUE: svl_line_text(l, SVL_STR("abort")); break;
    }
}

static void write_piece(struct line *l, const struct piece *piece, const struct record *r)
{
    struct value value = {.kind = NOTHING};

    svl_line_text(l, piece->literal);
    if (piece->get)
        value = piece->get(r);
    else if (piece->special == OF_REQUEST)
        value = text(svl_headers_find(&r->ctx->req.headers, piece->field));
    else if (piece->special == OF_ANSWER)
        value = text(svl_headers_find(&r->ctx->res.headers, piece->field));
    if (piece->special == TIME)
        write_time(l, r);
    else if (piece->special == STAMP)
        write_stamp(l, r);
    else if (piece->get || piece->special != NO_FIELD)
        write_value(l, piece, &value);
}

void svl_template_write(struct line *l, const struct svl_access_log_template *t,
                        const struct record *r)
{
    for (size_t i = 0; i < t->n; i++)
        write_piece(l, &t->pieces[i], r);
}
