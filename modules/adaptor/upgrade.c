/* 101: the program gets the connection's socket itself, and tells when it is done with it. */
#include "internal.h"

#include "serval/hijack.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* It has a reference of its request, which is over for the program when the socket is. */
struct MHD_UpgradeResponseHandle {
    struct MHD_Connection *c;
    int fd;
    svl_str rest; /* what the client has sent behind its request */
};

static void over(void *arg)
{
    mhd_connection_unref(arg);
}

/* Any thread. */
enum MHD_Result MHD_upgrade_action(struct MHD_UpgradeResponseHandle *h,
                                   enum MHD_UpgradeAction action, ...)
{
    int on = action == MHD_UPGRADE_ACTION_CORK_ON;

    if (!h)
        return MHD_NO;
    switch (action) {
    case MHD_UPGRADE_ACTION_CLOSE:
        close(h->fd);
        svl_post(h->c->worker, over, h->c);
        free(h);
        return MHD_YES;
    case MHD_UPGRADE_ACTION_CORK_ON:
    case MHD_UPGRADE_ACTION_CORK_OFF:
        return setsockopt(h->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on) == 0 ? MHD_YES : MHD_NO;
    }
    return MHD_NO;
}

static void hand_over(void *arg)
{
    struct MHD_UpgradeResponseHandle *h = arg;
    struct MHD_Connection *c = h->c;

    c->response->upgrade(c->response->cls, c, c->con_cls, h->rest.p, h->rest.n, h->fd, h);
}

static void on_open(struct svl_raw *raw, void *arg)
{
    struct MHD_Connection *c = arg;
    struct MHD_UpgradeResponseHandle *h = calloc(1, sizeof *h);
    svl_str rest;

    if (!h)
        abort();
    h->c = c;
    mhd_connection_ref(c); /* for h: on_gone() gives the connection's back at once */
    h->fd = svl_raw_take(raw, &rest);
    if (h->fd < 0) {
        mhd_connection_unref(c);
        free(h);
        svl_raw_close(raw);
        return;
    }
    h->rest = (svl_str){mhd_keep_text(c, rest), rest.n};
    if (!c->threads || !mhd_threads_run(c->threads, hand_over, h))
        hand_over(h);
}

static void on_data(struct svl_raw *raw, void *arg, svl_str data)
{
    (void)raw;
    (void)arg;
    (void)data;
}

static void on_gone(struct svl_raw *raw, void *arg)
{
    (void)raw;
    mhd_connection_unref(arg);
}

static const struct svl_raw_events events = {
    .on_open = on_open, .on_data = on_data, .on_gone = on_gone};

enum svl_verdict mhd_upgrade(struct MHD_Connection *c)
{
    struct entry *protocol =
        mhd_entries_find(&c->response->fields, MHD_HEADER_KIND, "Upgrade", sizeof "Upgrade" - 1);
    enum svl_verdict v;

    if (!protocol) {
        mhd_log(c->daemon, "an upgrade needs the field Upgrade in its answer");
        svl_drop(c->ctx);
        return SVL_ERROR;
    }
    mhd_add_fields(c);
    mhd_connection_ref(c);
    v = svl_switch(c->ctx, (svl_str){protocol->value, protocol->value_len}, &events, c);
    c->upgraded = c->ctx->res.status == 101;
    if (!c->upgraded)
        mhd_connection_unref(c);
    return v;
}
