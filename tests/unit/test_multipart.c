#include "serval/form.h"

#include "serval/error.h"
#include "serval/field.h"
#include "support/exact.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* Events as text: "[name|file|type:data]" */
static char seen[8192];
static size_t len;
static int stop_with;

static void note(svl_str s)
{
    cr_assert(len + s.n < sizeof seen);
    if (s.n > 0)
        memcpy(seen + len, s.p, s.n);
    seen[len += s.n] = '\0';
}

static int on_part(void *arg, const struct svl_multipart_part *part)
{
    (void)arg;
    note(SVL_STR("["));
    note(part->name);
    if (part->filename.p) {
        note(SVL_STR("|"));
        note(part->filename);
    }
    if (part->content_type.p) {
        note(SVL_STR("|"));
        note(part->content_type);
    }
    note(SVL_STR(":"));
    return stop_with;
}

static int on_data(void *arg, const char *data, size_t n)
{
    (void)arg;
    cr_assert(n > 0);
    note((svl_str){data, n});
    return 0;
}

static int on_end(void *arg)
{
    (void)arg;
    note(SVL_STR("]"));
    return 0;
}

static const struct svl_multipart_events events = {on_part, on_data, on_end};
static struct svl_multipart_limits limits;

/* The whole text in pieces of `step` bytes. */
static int parse_by(const char *text, size_t step)
{
    static struct svl_multipart m;
    svl_str rest = svl_str_of(text);

    len = 0;
    seen[0] = '\0';
    cr_assert_eq(svl_multipart_begin(&m, SVL_STR("xyz"), &limits, &events, NULL), 0);
    while (rest.n > 0) {
        svl_str piece = exact(svl_str_head(rest, step));

        svl_multipart_push(&m, piece.p, piece.n);
        exact_free(piece);
        rest = svl_str_from(rest, step);
    }
    return svl_multipart_end(&m);
}

/* However it is cut into pieces, the result is the same. */
static bool gives(const char *text, int error, const char *want)
{
    size_t n = strlen(text);

    for (size_t step = 1; step <= n + 1; step += step < 8 ? 1 : 7) {
        int err = parse_by(text, step);

        if (err != error || (want && strcmp(seen, want) != 0)) {
            fprintf(stderr, "by %zu: %d %s\n", step, err, seen);
            return false;
        }
    }
    return true;
}

#define HEAD(name) "Content-Disposition: form-data; name=\"" name "\"\r\n\r\n"

Test(multipart, parts_come_out_in_order)
{
    cr_assert(
        gives("--xyz\r\n" HEAD("a") "1\r\n--xyz\r\n"
                                    "content-disposition: form-data; name=f; filename=\"x.txt\"\r\n"
                                    "Content-Type: text/plain; a=b\r\nX-Y: z\r\n\r\n"
                                    "line\r\nline\r\n\r\n--xyz--\r\n",
              0, "[a:1][f|x.txt|text/plain; a=b:line\r\nline\r\n]"));
}

Test(multipart, data_that_looks_like_a_delimiter_is_data)
{
    cr_assert(gives("--xyz\r\n" HEAD("a") "\r\r\n\r\n-\r\n--\r\n--x\r\n--xy\r--xyz\n--xyz"
                                          "\r\n\r\n--xyz--",
                    0, "[a:\r\r\n\r\n-\r\n--\r\n--x\r\n--xy\r--xyz\n--xyz\r\n]"));
    cr_assert(gives("--xyz\r\n" HEAD("a") "--x\r\n--xyz--", 0, "[a:--x]"));
    cr_assert(gives("--xyz\r\n" HEAD("a") "--\r\n--xyz--", 0, "[a:--]"));
}

Test(multipart, a_part_may_be_empty)
{
    cr_assert(gives("--xyz\r\n" HEAD("a") "\r\n--xyz\r\n" HEAD("b") "--xyz--", 0, "[a:][b:]"));
    cr_assert(gives("--xyz\r\n" HEAD("") "\r\n--xyz--", 0, "[:]"));
    cr_assert(gives("--xyz--", 0, ""));
}

Test(multipart, preamble_padding_and_epilogue_are_dropped)
{
    cr_assert(
        gives("preamble\r\n--xy\r\n--xyz \t\r\n" HEAD("a") "1\r\n--xyz--epilogue\r\n--xyz\r\n", 0,
              "[a:1]"));
}

Test(multipart, names_are_unquoted_as_browsers_quote)
{
    cr_assert(gives("--xyz\r\nContent-Disposition: form-data; name=\"a\\\"b\"; "
                    "filename=\"C:\\dir\\\\%22.txt\"\r\n\r\n\r\n--xyz--",
                    0, "[a\"b|C:\\dir\\%22.txt:]"));
    cr_assert(gives("--xyz\r\nContent-Disposition: form-data; filename=\"\"; name=a\r\n\r\n"
                    "\r\n--xyz--",
                    0, "[a|:]"));
}

Test(multipart, what_is_not_well_formed_is_refused)
{
    static const char *const bad[] = {
        "",
        "--xyz",
        "--xyz\r\n",
        "--xyz\r\n" HEAD("a") "1",
        "--xyz\r\n" HEAD("a") "1\r\n--xyz",
        "--xyz\r\n" HEAD("a") "1\r\n--xyz-",
        "--xyz\r\n" HEAD("a") "1\r\n--xyzz\r\n",
        "--xyz\r\n" HEAD("a") "1\r\n--xyz-x",
        "--xyz\r\n" HEAD("a") "1\n--xyz--",
        "--xyz\n" HEAD("a") "1\r\n--xyz--",
        "--xyz\r\n\r\n1\r\n--xyz--",
        "--xyz\r\nContent-Type: text/plain\r\n\r\n1\r\n--xyz--",
        "--xyz\r\nContent-Disposition: form-data\r\n\r\n1\r\n--xyz--",
        "--xyz\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--xyz--",
        "--xyz\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--xyz--",
        "--xyz\r\nContent-Disposition: form-data; name=a b\r\n\r\n1\r\n--xyz--",
        "--xyz\r\nContent-Disposition: form-data; name=a\r\n folded\r\n\r\n1\r\n--xyz--",
        "--xyz\r\nContent-Disposition: form-data; name=a\n\r\n1\r\n--xyz--",
        "--xyz\r\nContent-Disposition : form-data; name=a\r\n\r\n1\r\n--xyz--",
        "--xyz\r\n"
        "Content-Disposition: form-data; name=a\r\n" HEAD("b") "1\r\n--xyz--",
        "--xyz\r\nno colon\r\n" HEAD("a") "1\r\n--xyz--",
        "nothing at all",
    };

    for (size_t i = 0; i < COUNT(bad); i++)
        cr_assert(gives(bad[i], SVL_ESYNTAX, NULL), "%s", bad[i]);
}

Test(multipart, errors_of_events_end_it)
{
    stop_with = -5;
    cr_assert(gives("--xyz\r\n" HEAD("a") "1\r\n--xyz--", -5, "[a:"));
}

Test(multipart, the_number_of_parts_has_a_limit)
{
    const char *three =
        "--xyz\r\n" HEAD("a") "\r\n--xyz\r\n" HEAD("a") "\r\n--xyz\r\n" HEAD("a") "\r\n--xyz--";

    for (unsigned max = 2; max <= 4; max++) {
        limits = (struct svl_multipart_limits){.max_parts = max};
        cr_assert(gives(three, max < 3 ? SVL_ELIMIT : 0, NULL));
    }
}

Test(multipart, heads_names_and_the_whole_have_limits)
{
    const char *text = "--xyz\r\n" HEAD("abc") "1\r\n--xyz--";
    size_t head = strlen(HEAD("abc"));

    for (size_t more = 0; more < 3; more++) {
        int want = more < 1 ? SVL_ELIMIT : 0;

        limits = (struct svl_multipart_limits){.max_head = head - 1 + more};
        cr_assert(gives(text, want, NULL));
        limits = (struct svl_multipart_limits){.max_name = 2 + more};
        cr_assert(gives(text, want, NULL));
        limits = (struct svl_multipart_limits){.max_total = strlen(text) - 1 + more};
        cr_assert(gives(text, want, NULL));
    }
}

Test(multipart, boundaries_have_1_to_70_bytes)
{
    static struct svl_multipart m;
    char boundary[71];

    memset(boundary, 'b', sizeof boundary);
    cr_assert_eq(svl_multipart_begin(&m, SVL_STR(""), NULL, &events, NULL), SVL_ESYNTAX);
    cr_assert_eq(svl_multipart_begin(&m, (svl_str){boundary, 70}, NULL, &events, NULL), 0);
    cr_assert_eq(svl_multipart_begin(&m, (svl_str){boundary, 71}, NULL, &events, NULL),
                 SVL_ESYNTAX);
    cr_assert_eq(svl_multipart_push(&m, "x", 1), SVL_ESYNTAX);
}

Test(multipart, file_names_of_clients_are_cut_to_their_last_segment)
{
    static const char *const cases[][2] = {{"a.txt", "a.txt"},
                                           {"/etc/passwd", "passwd"},
                                           {"C:\\x\\y.doc", "y.doc"},
                                           {"../../x", "x"},
                                           {"..", ""},
                                           {".", ""},
                                           {"a/", ""},
                                           {"a\r\nb\x7f", "ab"},
                                           {".bashrc", ".bashrc"},
                                           {"", ""},
                                           {"\xc3\xa9.txt", "\xc3\xa9.txt"},
                                           {"..\x01", ""}};
    char to[32];

    for (size_t i = 0; i < COUNT(cases); i++)
        cr_assert(svl_str_eq((svl_str){to, svl_filename_clean(to, svl_str_of(cases[i][0]))},
                             svl_str_of(cases[i][1])));
}
