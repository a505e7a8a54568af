/* The post processor of libmicrohttpd's interface. */
/* ctest-module: adaptor */
#include "support/foreign.h"

#include <criterion/criterion.h>

TestSuite(adaptor_forms, .init = foreign_begin, .fini = foreign_end);
TestSuite(adaptor_forms_own, .fini = foreign_end);

static size_t cut;

static enum MHD_Result form_value(void *cls, enum MHD_ValueKind kind, const char *key,
                                  const char *filename, const char *type, const char *encoding,
                                  const char *data, uint64_t off, size_t size)
{
    (void)cls;
    cr_assert_eq(kind, MHD_POSTDATA_KIND);
    if (off == 0)
        foreign_note("[%s|%s|%s|%s]", key, filename ? filename : "", type ? type : "",
                     encoding ? encoding : "");
    foreign_note("%.*s", (int)size, data);
    return MHD_YES;
}

/* The body is given to the post processor in pieces of `cut` bytes. */
FOREIGN_HANDLER(form)
{
    if (!*con_cls) {
        *con_cls = MHD_create_post_processor(c, 256, form_value, NULL);
        return *con_cls ? MHD_YES : foreign_say(c, "no form");
    }
    for (size_t i = 0; i < *n; i += cut)
        if (MHD_post_process(*con_cls, data + i, cut < *n - i ? cut : *n - i) != MHD_YES)
            foreign_note("!");
    if (*n) {
        *n = 0;
        return MHD_YES;
    }
    foreign_note(MHD_destroy_post_processor(*con_cls) == MHD_YES ? "." : "?");
    return foreign_say(c, "form");
}

static void post_cut(const char *type, const char *body, size_t first, const char *expected)
{
    char ask[2048];

    if (foreign.l)
        loopback_close(foreign.l);
    foreign.l = LOOPBACK(SVL_USE(adaptor, .handler = form));
    snprintf(ask, sizeof ask,
             "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
             type, strlen(body), body);
    for (cut = first; cut <= strlen(body); cut++) {
        foreign.trail[0] = '\0';
        loopback_send(foreign.l, ask);
        foreign_expect(loopback_take(foreign.l), "form");
        cr_assert_str_eq(foreign.trail, expected, "cut at %zu: %s", cut, foreign.trail);
    }
}

static void post(const char *type, const char *body, const char *expected)
{
    post_cut(type, body, 1, expected);
}

Test(adaptor_forms_own, urlencoded_forms_are_read_however_they_are_cut)
{
    post("application/x-www-form-urlencoded", "a=1&b%20c=x+y%3D%z%4&empty=&bare&last=%c3%a4%",
         "[a|||]1[b c|||]x y=%z%4[empty|||][bare|||][last|||]\xc3\xa4%.");
}

Test(adaptor_forms_own, multipart_forms_are_read_however_they_are_cut)
{
    post("multipart/form-data; boundary=XX",
         "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n"
         "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\n"
         "Content-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\ntwo\r\n\r\n"
         "--XX\r\nContent-Disposition: form-data; name=\"none\"\r\n\r\n\r\n--XX--\r\n",
         "[a|||]one[f|f.txt|text/plain|binary]two\r\n[none|||].");
}

/* RFC 7578 4.3: senders of old do so; the parts have the name of the value that they stand in. */
Test(adaptor_forms_own, parts_of_a_nested_multipart_mixed_are_values)
{
    static const char *const types[] = {"multipart/mixed; boundary=YY",
                                        "Multipart/Mixed, boundary=\"YY\""};
    char body[1024];

    for (unsigned i = 0; i < 2; i++) {
        snprintf(body, sizeof body,
                 "--XX\r\nContent-Disposition: form-data; name=\"pics\"\r\nContent-Type: %s\r\n\r\n"
                 "--YY\r\nContent-Disposition: attachment; filename=\"1.txt\"\r\n"
                 "Content-Type: text/plain\r\n\r\none\r\n"
                 "--YY\r\nContent-Disposition: file; filename=2.gif\r\nContent-Type: image/gif\r\n"
                 "Content-Transfer-Encoding: binary\r\n\r\ntwo\r\n--Y\r\n"
                 "--YY\r\n\r\n\r\n--YY--\r\n"
                 "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nthree\r\n--XX--",
                 types[i]);
        post("multipart/form-data; boundary=XX", body,
             "[pics|1.txt|text/plain|]one[pics|2.gif|image/"
             "gif|binary]two\r\n--Y[pics|||][a|||]three.");
    }
}

Test(adaptor_forms_own, a_nested_multipart_mixed_that_does_not_end_is_told)
{
    static const char head[] =
        "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: multipart/mixed";
    char body[512];

    snprintf(body, sizeof body, "%s; boundary=YY\r\n\r\n--YY\r\n\r\none\r\n--XX--", head);
    post_cut("multipart/form-data; boundary=XX", body, strlen(body), "[a|||]one!?");
    snprintf(body, sizeof body, "%s\r\n\r\n--YY\r\n\r\none\r\n--YY--\r\n--XX--", head);
    post_cut("multipart/form-data; boundary=XX", body, strlen(body), "!?");
}

Test(adaptor_forms_own, a_form_that_does_not_end_is_told)
{
    post("multipart/form-data; boundary=XX",
         "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none", "[a|||]one?");
}

Test(adaptor_forms_own, what_is_no_form_has_no_post_processor)
{
    foreign.l = LOOPBACK(SVL_USE(adaptor, .handler = form));
    loopback_send(foreign.l, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
                             "Content-Length: 0\r\n\r\n");
    foreign_expect(loopback_take(foreign.l), "no form");
}
