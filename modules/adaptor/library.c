/* What libmicrohttpd offers besides requests, answers and daemons. */
#include "internal.h"

#include "serval/log.h"
#include "serval/uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The version whose interface this is. */
const char *MHD_get_version(void)
{
    static char text[16];

    if (!text[0])
        snprintf(text, sizeof text, "%x.%x.%x", (unsigned)MHD_VERSION >> 24,
                 (unsigned)MHD_VERSION >> 16 & 0xff, (unsigned)MHD_VERSION >> 8 & 0xff);
    return text;
}

enum MHD_Result MHD_is_feature_supported(enum MHD_FEATURE feature)
{
    switch (feature) {
    case MHD_FEATURE_MESSAGES:
    case MHD_FEATURE_IPv6:
    case MHD_FEATURE_IPv6_ONLY:
    case MHD_FEATURE_POLL:
    case MHD_FEATURE_EPOLL:
    case MHD_FEATURE_SHUTDOWN_LISTEN_SOCKET:
    case MHD_FEATURE_TCP_FASTOPEN:
    case MHD_FEATURE_BASIC_AUTH:
    case MHD_FEATURE_POSTPROCESSOR:
    case MHD_FEATURE_LARGE_FILE:
    case MHD_FEATURE_UPGRADE:
    case MHD_FEATURE_RESPONSES_SHARED_FD:
    case MHD_FEATURE_AUTODETECT_BIND_PORT:
    case MHD_FEATURE_AUTOSUPPRESS_SIGPIPE:
    case MHD_FEATURE_SENDFILE:
    case MHD_FEATURE_THREADS: return MHD_YES;
    case MHD_FEATURE_DIGEST_AUTH: return mhd_has_digest() ? MHD_YES : MHD_NO;
    case MHD_FEATURE_TLS: /* TLS ends in front of serval */
    case MHD_FEATURE_HTTPS_CERT_CALLBACK:
    case MHD_FEATURE_HTTPS_CERT_CALLBACK2:
    case MHD_FEATURE_HTTPS_KEY_PASSWORD:
    case MHD_FEATURE_SOCKETPAIR: /* an eventfd wakes the loop */
    case MHD_FEATURE_THREAD_NAMES: return MHD_NO;
    }
    return MHD_NO;
}

void MHD_free(void *ptr)
{
    free(ptr);
}

size_t MHD_http_unescape(char *val)
{
    size_t n = svl_unescape(val, svl_str_of(val), false);

    val[n] = '\0';
    return n;
}

static bool is_known(unsigned code)
{
    return code >= 100 && code < 600 &&
           !svl_str_eq(svl_status_text((int)code), SVL_STR("Unknown Status"));
}

const char *MHD_get_reason_phrase_for(unsigned int code)
{
    return is_known(code) ? svl_status_text((int)code).p : "Unknown";
}

size_t MHD_get_reason_phrase_len_for(unsigned int code)
{
    return is_known(code) ? svl_status_text((int)code).n : 0;
}

/* Panics are serval's own: it ends the program with a line that says why. */
void MHD_set_panic_func(MHD_PanicCallback cb, void *cls)
{
    (void)cls;
    if (cb)
        mhd_log(NULL, "MHD_set_panic_func(): not with serval, which ends the program itself");
}

static void hand_to(const struct MHD_Daemon *d, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    d->log(d->log_cls, format, args);
    va_end(args);
}

void mhd_log(const struct MHD_Daemon *d, const char *format, ...)
{
    char line[256];
    va_list args;

    if (d && !(d->flags & MHD_USE_ERROR_LOG))
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (d && d->log)
        hand_to(d, "%s\n", line);
    else
        svl_log(SVL_WARN, "libmicrohttpd: %s", line);
}
