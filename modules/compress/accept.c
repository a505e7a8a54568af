#include "internal.h"

/* Weights in thousandths; -1 = not named. */
struct weights {
    int of[CODINGS + 1]; /* the last is identity's */
    int others;          /* of "*" */
};

/* qvalue: 0, 0.5, 0.125, 1, 1.000. -1 for anything else. */
static int weight(svl_str text)
{
    int value, unit = 100;

    if (text.n == 0 || text.n > 5 || (text.p[0] != '0' && text.p[0] != '1'))
        return -1;
    value = (text.p[0] - '0') * 1000;
    if (text.n == 1)
        return value;
    if (text.p[1] != '.')
        return -1;
    for (size_t i = 2; i < text.n; i++, unit /= 10) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -1;
        value += (text.p[i] - '0') * unit;
    }
    return value <= 1000 ? value : -1;
}

/* One member of the list: "gzip", "br;q=0.5". What is not well formed counts for nothing. */
static void read_member(struct weights *w, svl_str member)
{
    svl_str name;
    int q = 1000;
    enum coding coding;

    if (!svl_str_split(&member, ';', &name))
        return;
    name = svl_str_trim(name);
    if (member.p) {
        svl_str value = svl_str_trim(member);

        if (value.n < 2 || (value.p[0] != 'q' && value.p[0] != 'Q') || value.p[1] != '=')
            return;
        q = weight(svl_str_from(value, 2));
        if (q < 0)
            return;
    }
    if (svl_str_eq(name, SVL_STR("*"))) {
        w->others = q;
        return;
    }
    coding = svl_str_ieq(name, SVL_STR("identity")) ? IDENTITY : svl_compress_coding(name);
    if (coding < CODINGS || svl_str_ieq(name, SVL_STR("identity")))
        w->of[coding] = q;
}

enum coding svl_compress_choose(const struct svl_headers *headers, const enum coding *offered,
                                unsigned n, bool *identity)
{
    struct weights w = {{-1, -1, -1, -1, -1}, -1};
    const struct svl_header *h;
    enum coding best = IDENTITY;
    int most = 0;
    unsigned at = 0;

    while ((h = svl_headers_next(headers, SVL_H_ACCEPT_ENCODING, &at))) {
        svl_str list = svl_header_value(h), member;

        while (svl_str_split(&list, ',', &member))
            read_member(&w, svl_str_trim(member));
    }
    *identity = w.of[IDENTITY] >= 0 ? w.of[IDENTITY] > 0 : w.others != 0;
    for (unsigned i = 0; i < n; i++) {
        int q = w.of[offered[i]] >= 0 ? w.of[offered[i]] : w.others;

        if (q > most) {
            most = q;
            best = offered[i];
        }
    }
    return w.of[IDENTITY] > most ? IDENTITY : best;
}
