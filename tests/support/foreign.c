#include "serval/features.h"

#if SVL_HAVE_ADAPTOR

#include "support/foreign.h"

#include <criterion/criterion.h>
#include <stdarg.h>

struct foreign foreign;

void foreign_note(const char *format, ...)
{
    size_t n = strlen(foreign.trail);
    va_list args;

    va_start(args, format);
    vsnprintf(foreign.trail + n, sizeof foreign.trail - n, format, args);
    va_end(args);
}

void foreign_count_free(void *cls)
{
    (void)cls;
    foreign.freed++;
}

enum MHD_Result foreign_queue(struct MHD_Connection *c, unsigned status, struct MHD_Response *r)
{
    enum MHD_Result result = MHD_queue_response(c, status, r);

    MHD_destroy_response(r);
    return result;
}

enum MHD_Result foreign_say(struct MHD_Connection *c, const char *text)
{
    return foreign_queue(
        c, 200, MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY));
}

enum MHD_Result foreign_handler(void *cls, struct MHD_Connection *c, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *n, void **con_cls)
{
    foreign.now = c;
    cr_assert_eq(cls, &foreign.l);
    if (!*con_cls) {
        *con_cls = strdup(url);
        foreign_note("%s %s %s;", method, url, version);
        cr_assert_eq(*n, 0);
        return MHD_YES;
    }
    cr_assert_str_eq(*con_cls, url);
    if (*n) {
        foreign_note("%.*s;", (int)*n, data);
        *n = 0;
        return MHD_YES;
    }
    foreign_note("end;");
    return foreign.at_end ? foreign.at_end(c, url) : foreign_say(c, "hello\n");
}

void foreign_on_completed(void *cls, struct MHD_Connection *c, void **con_cls,
                          enum MHD_RequestTerminationCode toe)
{
    (void)cls;
    cr_assert_not_null(*con_cls);
    cr_assert_geq(MHD_get_connection_values(c, MHD_HEADER_KIND, NULL, NULL), 0);
    free(*con_cls);
    *con_cls = NULL;
    foreign.completed++;
    foreign.how = toe;
}

void foreign_begin(void)
{
    foreign.l = LOOPBACK(SVL_USE(adaptor, .handler = foreign_handler, .cls = &foreign.l,
                                 .completed = foreign_on_completed));
}

void foreign_end(void)
{
    cr_assert_eq(loopback_exchanges(foreign.l), 0);
    loopback_close(foreign.l);
}

svl_str foreign_get(enum MHD_Result (*what)(struct MHD_Connection *c, const char *url))
{
    foreign.at_end = what;
    return loopback_get(foreign.l, "/a", "");
}

void foreign_expect(svl_str answer, const char *body)
{
    cr_assert_eq(loopback_status(answer), 200, "%.*s", SVL_FMT(answer));
    cr_assert(svl_str_eq(loopback_body(answer), svl_str_of(body)), "%.*s", SVL_FMT(answer));
}

#else
typedef int nothing_without_the_module;
#endif
