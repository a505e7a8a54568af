/* Texts of negative results: ours, libuv's own (by number: this room does not know libuv; a unit
 * test compares with its list), and for all the rest the system's. */
#include "serval/error.h"

#include <limits.h>
#include <string.h>

#define UNKNOWN "unknown error"

/* What libuv adds to errno. The numbers are part of its ABI. */
static const char *uv_text(int error)
{
    switch (error) {
    case -4095: return "end of file";
    case -4080: return "invalid Unicode character";
    case -4028: return "inappropriate file type or format";
    case -3000: return "address family not supported by the resolver";
    case -3001: return "temporary failure of name resolution";
    case -3002: return "bad flags for name resolution";
    case -3003: return "name resolution canceled";
    case -3004: return "permanent failure of name resolution";
    case -3005: return "address family not supported";
    case -3006: return "out of memory in name resolution";
    case -3007: return "the host has no address";
    case -3008: return "unknown host or service";
    case -3009: return "buffer too small for name resolution";
    case -3010: return "service not available for this socket type";
    case -3011: return "socket type not supported by the resolver";
    case -3013: return "bad hints for name resolution";
    case -3014: return "protocol unknown to the resolver";
    default: return NULL;
    }
}

/* strerror() of glibc before 2.32 may hand out a buffer that another thread overwrites; musl's is
 * always a constant. */
static const char *system_text(int number)
{
#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 32)
    return strerrordesc_np(number);
#else
    return number < 134 ? strerror(number) : NULL; /* a constant for each known number */
#endif
#else
    return strerror(number);
#endif
}

const char *svl_strerror(int error)
{
    switch (error) {
#define X(name, number, text)                                                                      \
    case number: return text;
        SVL_ERROR_MAP(X)
#undef X
    default: break;
    }
    if (error > 0 || error == INT_MIN)
        return UNKNOWN;
    const char *text = uv_text(error);

    if (!text)
        text = system_text(-error);
    return text ? text : UNKNOWN;
}
