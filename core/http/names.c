/* The names of names.h by number and back. */
#include "serval/headers.h"
#include "serval/names.h"

#include <assert.h>
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
 * Looked up for every field of every request, so: one hash of the length and three bytes, one
 * slot, one comparison. The slots are filled before main(), because C cannot compute them from
 * the list at compile time and a table kept by hand would go stale. A collision costs one more
 * slot, nothing else. */

#define SLOTS 1024

/* Letters, digits and '-' only: same() relies on it. Short ones are padded with zeros. */
static const struct {
    char text[39];
    unsigned char n;
} names[SVL_H_COUNT] = {
#define X(name, text) [SVL_H_##name] = {text, sizeof(text) - 1},
    SVL_HEADER_MAP(X)
#undef X
};

static unsigned char slots[SLOTS];

_Static_assert(SVL_H_COUNT <= 256, "an id fits a slot");

static unsigned slot_of(const char *p, size_t n) /* n > 0 */
{
    unsigned first = (unsigned char)p[0] | 0x20, middle = (unsigned char)p[n / 2] | 0x20,
             last = (unsigned char)p[n - 1] | 0x20;

    return ((unsigned)n * 5 + first * 17 + middle * 33 + last * 129) % SLOTS;
}

__attribute__((constructor)) static void fill_slots(void)
{
    for (int id = 1; id < SVL_H_COUNT; id++) {
        unsigned at = slot_of(names[id].text, names[id].n);

        while (slots[at])
            at = (at + 1) % SLOTS;
        slots[at] = (unsigned char)id;
    }
}

/* Whether the eight bytes are equal but for the case of letters. In `name`, a byte with bit 0x40
 * is a letter; there, and only there, bit 0x20 of the difference does not count. */
static bool same_word(uint64_t text, uint64_t name)
{
    uint64_t letters = name & UINT64_C(0x4040404040404040);

    return ((text ^ name) & ~(letters >> 1)) == 0;
}

static bool same_8(const char *p, const char *name)
{
    uint64_t a, b;

    memcpy(&a, p, 8);
    memcpy(&b, name, 8);
    return same_word(a, b);
}

static bool same_4(const char *p, const char *name)
{
    uint32_t a, b;

    memcpy(&a, p, 4);
    memcpy(&b, name, 4);
    return same_word(a, b);
}

/* Never reads outside [p, p + n): the last word overlaps the one before instead. */
static bool same(const char *p, const char *name, size_t n)
{
    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8)
            if (!same_8(p + i, name + i))
                return false;
        return same_8(p + n - 8, name + n - 8);
    }
    if (n >= 4)
        return same_4(p, name) && same_4(p + n - 4, name + n - 4);
    for (size_t i = 0; i < n; i++)
        if (!same_word((unsigned char)p[i], (unsigned char)name[i]))
            return false;
    return true;
}

enum svl_header_id svl_header_id(svl_str name)
{
    if (name.n == 0 || name.n > names[SVL_H_COUNT - 1].n)
        return SVL_H_OTHER;
    for (unsigned at = slot_of(name.p, name.n); slots[at]; at = (at + 1) % SLOTS) {
        unsigned id = slots[at];

        if (names[id].n == name.n && same(name.p, names[id].text, name.n))
            return (enum svl_header_id)id;
    }
    return SVL_H_OTHER;
}

svl_str svl_header_text(enum svl_header_id id)
{
    if (id == SVL_H_OTHER || (unsigned)id >= SVL_H_COUNT)
        return SVL_STR_NONE;
    return (svl_str){names[id].text, names[id].n};
}
