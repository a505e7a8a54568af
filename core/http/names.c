/* The names of names.h by number and back. */
#include "serval/headers.h"
#include "serval/names.h"

#include <stdint.h>

/* --- Methods -------------------------------------------------------------------------------- */

static const svl_str methods[SVL_METHOD_COUNT] = {
#define X(name) [SVL_##name] = {#name, sizeof #name - 1},
    SVL_METHOD_MAP(X)
#undef X
};

svl_str svl_method_text(enum svl_method method)
{
    return (unsigned)method < SVL_METHOD_COUNT ? methods[method] : SVL_STR_NONE;
}

/* The list has the frequent ones first. Case counts (RFC 9110 9.1). */
enum svl_method svl_method_of(svl_str text)
{
    for (int i = 1; i < SVL_METHOD_COUNT; i++)
        if (svl_str_eq(methods[i], text))
            return (enum svl_method)i;
    return SVL_METHOD_OTHER;
}

/* --- Statuses ------------------------------------------------------------------------------- */

/* IANA's registry; 306 and 418 are reserved there and have no text. */
svl_str svl_status_text(int status)
{
    switch (status) {
    case 100: return SVL_STR("Continue");
    case 101: return SVL_STR("Switching Protocols");
    case 102: return SVL_STR("Processing");
    case 103: return SVL_STR("Early Hints");
    case 104: return SVL_STR("Upload Resumption Supported");
    case 200: return SVL_STR("OK");
    case 201: return SVL_STR("Created");
    case 202: return SVL_STR("Accepted");
    case 203: return SVL_STR("Non-Authoritative Information");
    case 204: return SVL_STR("No Content");
    case 205: return SVL_STR("Reset Content");
    case 206: return SVL_STR("Partial Content");
    case 207: return SVL_STR("Multi-Status");
    case 208: return SVL_STR("Already Reported");
    case 226: return SVL_STR("IM Used");
    case 300: return SVL_STR("Multiple Choices");
    case 301: return SVL_STR("Moved Permanently");
    case 302: return SVL_STR("Found");
    case 303: return SVL_STR("See Other");
    case 304: return SVL_STR("Not Modified");
    case 305: return SVL_STR("Use Proxy");
    case 307: return SVL_STR("Temporary Redirect");
    case 308: return SVL_STR("Permanent Redirect");
    case 400: return SVL_STR("Bad Request");
    case 401: return SVL_STR("Unauthorized");
    case 402: return SVL_STR("Payment Required");
    case 403: return SVL_STR("Forbidden");
    case 404: return SVL_STR("Not Found");
    case 405: return SVL_STR("Method Not Allowed");
    case 406: return SVL_STR("Not Acceptable");
    case 407: return SVL_STR("Proxy Authentication Required");
    case 408: return SVL_STR("Request Timeout");
    case 409: return SVL_STR("Conflict");
    case 410: return SVL_STR("Gone");
    case 411: return SVL_STR("Length Required");
    case 412: return SVL_STR("Precondition Failed");
    case 413: return SVL_STR("Content Too Large");
    case 414: return SVL_STR("URI Too Long");
    case 415: return SVL_STR("Unsupported Media Type");
    case 416: return SVL_STR("Range Not Satisfiable");
    case 417: return SVL_STR("Expectation Failed");
    case 421: return SVL_STR("Misdirected Request");
    case 422: return SVL_STR("Unprocessable Content");
    case 423: return SVL_STR("Locked");
    case 424: return SVL_STR("Failed Dependency");
    case 425: return SVL_STR("Too Early");
    case 426: return SVL_STR("Upgrade Required");
    case 428: return SVL_STR("Precondition Required");
    case 429: return SVL_STR("Too Many Requests");
    case 431: return SVL_STR("Request Header Fields Too Large");
    case 451: return SVL_STR("Unavailable For Legal Reasons");
    case 500: return SVL_STR("Internal Server Error");
    case 501: return SVL_STR("Not Implemented");
    case 502: return SVL_STR("Bad Gateway");
    case 503: return SVL_STR("Service Unavailable");
    case 504: return SVL_STR("Gateway Timeout");
    case 505: return SVL_STR("HTTP Version Not Supported");
    case 506: return SVL_STR("Variant Also Negotiates");
    case 507: return SVL_STR("Insufficient Storage");
    case 508: return SVL_STR("Loop Detected");
    case 510: return SVL_STR("Not Extended");
    case 511: return SVL_STR("Network Authentication Required");
    default: return SVL_STR("Unknown Status");
    }
}

/* --- Header fields --------------------------------------------------------------------------
 *
 * Looked up for every field of every request, so: one hash, one slot, and two comparisons of
 * words, which is all there is to names of up to 16 bytes. The slots are filled before main(),
 * because C cannot compute them from the list at compile time and a table kept by hand would go
 * stale. A collision costs one more slot, nothing else. */

#define SLOTS 256 /* at most half full */

static const svl_str names[SVL_H_COUNT] = {
#define X(name, text) [SVL_H_##name] = {text, sizeof(text) - 1},
    SVL_HEADER_MAP(X)
#undef X
};

struct slot {
    uint64_t head, tail; /* see struct ends */
    uint16_t id;         /* 0: free */
    uint16_t n;
};

static struct slot slots[SLOTS];

_Static_assert(SVL_H_COUNT <= SLOTS / 2, "slots are few enough to find a free one quickly");

/* The first and the last eight bytes of a name; they overlap if it has less than 16. Of one with
 * less than eight, the first and the last four; of one with less than four, all, in head. */
struct ends {
    uint64_t head, tail;
};

static uint64_t load_8(const char *p)
{
    uint64_t word;

    memcpy(&word, p, 8);
    return word;
}

static uint32_t load_4(const char *p)
{
    uint32_t word;

    memcpy(&word, p, 4);
    return word;
}

static struct ends ends_of(svl_str s) /* s.n > 0 */
{
    const unsigned char *p = (const unsigned char *)s.p;

    if (s.n >= 8)
        return (struct ends){load_8(s.p), load_8(s.p + s.n - 8)};
    if (s.n >= 4)
        return (struct ends){load_4(s.p), load_4(s.p + s.n - 4)};
    return (struct ends){p[0] | (uint64_t)p[s.n / 2] << 8 | (uint64_t)p[s.n - 1] << 16, 0};
}

static unsigned slot_of(struct ends e, size_t n)
{
    const uint64_t lower = UINT64_C(0x2020202020202020);
    uint64_t mix = (e.head | lower) + (e.tail | lower) * 113 + n; /* 113: fewest collisions */

    return (unsigned)(mix * UINT64_C(0x9e3779b97f4a7c15) >> 56); /* of 256 */
}

__attribute__((constructor)) static void fill_slots(void)
{
    for (unsigned id = 1; id < SVL_H_COUNT; id++) {
        struct ends e = ends_of(names[id]);
        unsigned at = slot_of(e, names[id].n);

        while (slots[at].id)
            at = (at + 1) % SLOTS;
        slots[at] = (struct slot){e.head, e.tail, (uint16_t)id, (uint16_t)names[id].n};
    }
}

/* Whether the words are equal but for the case of letters. Names are made of letters, digits and
 * '-', so bit 0x40 tells the letters; there, and only there, bit 0x20 may differ. */
static bool same(uint64_t text, uint64_t name)
{
    uint64_t letters = name & UINT64_C(0x4040404040404040);

    return ((text ^ name) & ~(letters >> 1)) == 0;
}

/* What the ends leave out; no name has more than 32 bytes. */
static bool same_middle(const char *p, const char *name, size_t n)
{
    return same(load_8(p + 8), load_8(name + 8)) && same(load_8(p + n - 16), load_8(name + n - 16));
}

enum svl_header_id svl_header_id(svl_str name)
{
    if (name.n == 0)
        return SVL_H_OTHER;
    struct ends e = ends_of(name);

    for (unsigned at = slot_of(e, name.n); slots[at].id; at = (at + 1) % SLOTS) {
        const struct slot *s = &slots[at];

        if (s->n == name.n && same(e.head, s->head) && same(e.tail, s->tail) &&
            (name.n <= 16 || same_middle(name.p, names[s->id].p, name.n)))
            return (enum svl_header_id)s->id;
    }
    return SVL_H_OTHER;
}

svl_str svl_header_text(enum svl_header_id id)
{
    return (unsigned)id < SVL_H_COUNT ? names[id] : SVL_STR_NONE;
}
