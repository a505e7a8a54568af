/* What the adaptor reads itself: forms in any pieces, cookies, and the credentials of basic and digest
 * authentication. A form has to mean the same however it is cut. */
#include "serval/features.h"

#include <stddef.h>
#include <stdint.h>

#if SVL_HAVE_ADAPTOR

#include "serval/mod/adaptor.h"
#include "support/loopback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t cut;
static char trail[2][65536];
static size_t n_trail[2];
static unsigned which;

static void note(const char *bytes, size_t n)
{
    size_t room = sizeof trail[0] - n_trail[which];

    memcpy(trail[which] + n_trail[which], bytes, n < room ? n : room);
    n_trail[which] += n < room ? n : room;
}

static void note_text(const char *text)
{
    note(text ? text : "-", strlen(text ? text : "-") + 1);
}

static enum MHD_Result value(void *cls, enum MHD_ValueKind kind, const char *key,
                             const char *filename, const char *type, const char *encoding,
                             const char *data, uint64_t off, size_t size)
{
    (void)cls;
    (void)kind;
    if (off == 0) {
        note_text(key);
        note_text(filename);
        note_text(type);
        note_text(encoding);
    }
    note(data, size);
    if (data[size] != '\0')
        abort();
    return MHD_YES;
}

static void authenticate(struct MHD_Connection *c)
{
    char *password = NULL, *user = MHD_basic_auth_get_username_password(c, &password);

    free(user);
    free(password);
    user = MHD_digest_auth_get_username(c);
    free(user);
    if (MHD_digest_auth_check2(c, "realm", "me", "secret", 300, MHD_DIGEST_ALG_AUTO) == MHD_YES)
        abort(); /* nobody has given out a nonce */
    MHD_lookup_connection_value(c, MHD_COOKIE_KIND, "a");
}

static enum MHD_Result handler(void *cls, struct MHD_Connection *c, const char *url,
                               const char *method, const char *version, const char *data, size_t *n,
                               void **con_cls)
{
    struct MHD_Response *r;
    enum MHD_Result result;

    (void)cls;
    (void)url;
    (void)method;
    (void)version;
    if (!*con_cls) {
        authenticate(c);
        *con_cls = MHD_create_post_processor(c, 256, value, NULL);
        if (*con_cls)
            return MHD_YES;
    }
    for (size_t i = 0; *con_cls && i < *n; i += cut)
        MHD_post_process(*con_cls, data + i, cut < *n - i ? cut : *n - i);
    if (*n) {
        *n = 0;
        return MHD_YES;
    }
    note_text(MHD_destroy_post_processor(*con_cls) == MHD_YES ? "whole" : "broken");
    *con_cls = NULL;
    r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    result = MHD_queue_response(c, 200, r);
    MHD_destroy_response(r);
    return result;
}

static void ask(struct loopback *l, const char *type, const uint8_t *data, size_t size)
{
    char head[200];

    n_trail[which] = 0;
    snprintf(head, sizeof head,
             "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type,
             size);
    loopback_send(l, head);
    loopback_send_bytes(l, (svl_str){(const char *)data, size});
    loopback_take(l);
}

/* As a field: without what would end it. */
static void ask_with_field(struct loopback *l, const char *name, const uint8_t *data, size_t size)
{
    static char text[8192];
    size_t n = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: x\r\n%s: ", name);

    for (size_t i = 0; i < size && i < 4000; i++)
        if (data[i] >= ' ' && data[i] != 0x7f)
            text[n++] = (char)data[i];
    memcpy(text + n, "\r\n\r\n", 5);
    loopback_send(l, text);
    loopback_take(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"application/x-www-form-urlencoded",
                                        "multipart/form-data; boundary=XX"};
    struct loopback *l;
    unsigned kind;

    if (size < 2 || size > 60000)
        return 0;
    kind = data[0] % 4;
    l = LOOPBACK(SVL_USE(adaptor, .handler = handler));
    cut = 1 + data[1] % 30;
    data += 2;
    size -= 2;
    if (kind < 2) {
        which = 0;
        ask(l, types[kind], data, size);
        cut = 100000;
        which = 1;
        ask(l, types[kind], data, size);
        if (n_trail[0] != n_trail[1] || memcmp(trail[0], trail[1], n_trail[0]) != 0)
            abort();
    } else {
        ask_with_field(l, kind == 2 ? "Authorization" : "Cookie", data, size);
    }
    loopback_close(l);
    return 0;
}

#else

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)data;
    (void)size;
    return 0;
}

#endif
