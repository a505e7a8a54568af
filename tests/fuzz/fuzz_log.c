/* What stands in a line of the access log for bytes of a client, and templates that people wrote. */
#include "../../modules/access_log/variables.h"

#include "serval/log.h"

#include <assert.h>
#include <stdlib.h>

/* The bytes of the character at p (RFC 3629 3), told by its value; 0 if there is none. */
static size_t character(const unsigned char *p, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    uint32_t value = n < 2 ? p[0] : p[0] & (0x7fu >> n);

    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        value = value << 6 | (p[i] & 0x3f);
    }
    return value >= least[n] && value <= 0x10ffff && value >> 11 != 0x1b ? n : 0;
}

/* The inside of a JSON string (RFC 8259 7). */
static void check_json(const unsigned char *p, size_t n)
{
    while (n > 0) {
        size_t step = character(p, n);

        assert(step > 0 && p[0] >= 0x20 && p[0] != '"');
        if (p[0] == '\\') {
            assert(n >= 2 && (p[1] == '"' || p[1] == '\\' || p[1] == 'u'));
            step = p[1] == 'u' ? 6 : 2;
            assert(n >= step);
        }
        p += step;
        n -= step;
    }
}

static void check_escaped(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert(p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"');
        if (p[i] == '\\')
            assert(i + 3 < n && p[i + 1] == 'x');
    }
}

static void check_line(svl_str s, size_t room, size_t size)
{
    char *out = malloc(size + 1);
    struct line l = {out, out + size};

    svl_line_json(&l, s, room);
    assert((size_t)(l.at - out) <= size && (size_t)(l.at - out) <= room);
    check_json((const unsigned char *)out, (size_t)(l.at - out));
    l.at = out;
    svl_line_escaped(&l, s, room);
    assert((size_t)(l.at - out) <= size && (size_t)(l.at - out) <= room);
    check_escaped((const unsigned char *)out, (size_t)(l.at - out));
    free(out);
}

static void ignore(enum svl_level level, const char *line, void *arg)
{
    (void)level, (void)line, (void)arg;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    svl_str s;
    char *text;

    if (size < 2)
        return 0;
    s = (svl_str){(const char *)data + 2, size - 2};
    check_line(s, data[0], data[1]);
    check_line(s, 6 * s.n + 9, 6 * s.n + 9);

    text = malloc(s.n + 1);
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    svl_log_to(ignore, NULL);
    svl_template_close(svl_template_open(text));
    free(text);
    return 0;
}
