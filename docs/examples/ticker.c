/* Server-sent events: a clock for everybody, and what one visitor says to all.
 *
 *     curl -N http://127.0.0.1:8080/events
 *     curl -d 'good morning' http://127.0.0.1:8080/say */
#include "serval/foreground.h"
#include "serval/serval.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static struct svl_channel *all;

static const char page[] =
    "<!doctype html><title>ticker</title><pre id=log></pre><script>\n"
    "const log = document.getElementById('log');\n"
    "const source = new EventSource('/events');\n"
    "const show = e => log.append(e.type + ' ' + e.lastEventId + ' ' + e.data + '\\n');\n"
    "for (const name of ['hello', 'tick', 'said']) source.addEventListener(name, show);\n"
    "</script>\n";

static enum svl_verdict listen_to_all(struct svl_ctx *ctx)
{
    struct svl_stream *stream = svl_events_open(ctx, NULL, NULL, 0);
    svl_str last = svl_events_last_id(ctx);
    svl_str greeting =
        last.p ? svl_printf(ctx, "you have seen %.*s", SVL_FMT(last)) : SVL_STR("you are new here");

    svl_events_send(
        stream, &(struct svl_event){.name = SVL_STR("hello"), .data = greeting, .retry_ms = 1000});
    svl_channel_join(all, stream);
    return SVL_DONE;
}

static enum svl_verdict handler(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    if (svl_str_eq(ctx->req.path, SVL_STR("/events")))
        return listen_to_all(ctx);
    if (svl_str_eq(ctx->req.path, SVL_STR("/say"))) {
        svl_channel_publish_event(
            all, &(struct svl_event){.name = SVL_STR("said"), .data = ctx->req.body});
        return svl_text(ctx, 200, SVL_STR("said\n"));
    }
    svl_text(ctx, 200, svl_str_of(page));
    svl_content_type(ctx, SVL_STR("text/html; charset=utf-8"));
    return SVL_DONE;
}

/* A thread of the program: publishing may be done from anywhere. */
static void *tick(void *arg)
{
    (void)arg;
    for (unsigned n = 1;; n++) {
        char id[16], text[64];
        time_t now = time(NULL);
        struct tm tm;

        sleep(1);
        snprintf(id, sizeof id, "%u", n);
        strftime(text, sizeof text, "%H:%M:%S", gmtime_r(&now, &tm));
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        svl_channel_publish_event(all, &(struct svl_event){.name = SVL_STR("tick"),
                                                           .id = svl_str_of(id),
                                                           .data = svl_str_of(text)});
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct svl_server_config config = {.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"},
                                       .handler = handler};
    struct svl_server *server;
    pthread_t ticker;

    all = svl_channel_new(SVL_SLOW_END);
    if (svl_server_open(&server, &config))
        return 3;
    pthread_create(&ticker, NULL, tick, NULL);
    svl_server_foreground(server, &(struct svl_foreground){.title = "ticker"});
    pthread_cancel(ticker); /* before the server closes: nobody may publish then */
    pthread_join(ticker, NULL);
    svl_server_close(server);
    svl_channel_free(all);
    return 0;
}
