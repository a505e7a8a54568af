/* Basic authentication (RFC 7617). */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int sextet(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* Decodes base64 (RFC 4648 4) in place of n bytes of `to`. Returns the length, or -1. */
static ptrdiff_t decode(char *to, svl_str text)
{
    unsigned bits = 0, n_bits = 0;
    ptrdiff_t n = 0;

    while (svl_str_ends(text, SVL_STR("=")))
        text.n--;
    for (size_t i = 0; i < text.n; i++) {
        int value = sextet(text.p[i]);

        if (value < 0)
            return -1;
        bits = bits << 6 | (unsigned)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            to[n++] = (char)(bits >> n_bits);
        }
    }
    return n;
}

char *MHD_basic_auth_get_username_password(struct MHD_Connection *c, char **password)
{
    svl_str field = svl_str_of(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization"));
    char *user, *colon;
    ptrdiff_t n;

    if (password)
        *password = NULL;
    if (!svl_str_ieq(svl_str_head(field, 6), SVL_STR("Basic ")))
        return NULL;
    field = svl_str_trim(svl_str_from(field, 6));
    user = malloc(field.n + 1);
    if (!user)
        return NULL;
    n = decode(user, field);
    if (n >= 0)
        user[n] = '\0';
    colon = n < 0 ? NULL : strchr(user, ':');
    if (colon) {
        *colon = '\0';
        if (!password || (*password = strdup(colon + 1)))
            return user;
    }
    free(user);
    return NULL;
}

enum MHD_Result MHD_queue_basic_auth_fail_response(struct MHD_Connection *c, const char *realm,
                                                   struct MHD_Response *response)
{
    char *field = NULL;
    enum MHD_Result result;

    if (asprintf(&field, "Basic realm=\"%s\"", realm) < 0)
        return MHD_NO;
    result = MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, field);
    free(field);
    return result == MHD_YES ? MHD_queue_response(c, MHD_HTTP_UNAUTHORIZED, response) : MHD_NO;
}
