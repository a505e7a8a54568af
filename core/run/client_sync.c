/* Blocking calls: a loop on a thread of the client's own does the work, the caller sleeps until its reply
 * is there, and gets a copy that no loop knows of. */
#include "run/client.h"

#include "base/check.h"
#include "serval/error.h"
#include "serval/log.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>

struct svl_thread {
    struct svl_worker worker;
    pthread_t thread;
};

/* On the caller's stack, which stays until `done` is posted. */
struct request {
    struct svl_mail mail;
    struct svl_client *client;
    struct svl_worker *worker;
    const struct svl_fetch *ask;
    struct svl_reply **reply;
    int error;
    sem_t done;
};

/* The reply of a blocking call; `call` is NULL in it. Table and texts follow. */
struct copy {
    struct svl_reply reply; /* first */
    char *body;             /* NULL = among the texts */
};

/* The thread -------------------------------------------------------------------------------- */

static void *run(void *arg)
{
    struct svl_thread *thread = arg;

    svl_worker_run(&thread->worker);
    svl_worker_close(&thread->worker);
    return NULL;
}

static void on_closed(struct svl_worker *w)
{
    (void)w; /* whoever joins the thread frees it */
}

static struct svl_thread *start(void)
{
    struct svl_thread *thread = svl_calloc(sizeof *thread);
    sigset_t all, before;
    int err;

    thread->worker.cpu = -1;
    thread->worker.on_closed = on_closed;
    err = svl_worker_open(&thread->worker);
    if (err) {
        svl_log(SVL_ALERT, "client: %s", svl_strerror(err));
        free(thread);
        return NULL;
    }
    sigfillset(&all); /* signals are for the program's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&thread->thread, NULL, run, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!err)
        return thread;
    svl_log(SVL_ALERT, "client: no thread: %s", strerror(err));
    svl_worker_close(&thread->worker);
    free(thread);
    return NULL;
}

static struct svl_worker *worker_of(struct svl_client *client)
{
    struct svl_thread *thread;

    pthread_mutex_lock(&client->lock);
    if (!client->thread)
        client->thread = start();
    thread = client->thread;
    pthread_mutex_unlock(&client->lock);
    return thread ? &thread->worker : NULL;
}

void svl_client_thread_stop(struct svl_client *client)
{
    struct svl_thread *thread = client->thread;

    if (!thread)
        return;
    svl_worker_stop(&thread->worker);
    svl_worker_stop(&thread->worker); /* does not wait for what is on its way */
    pthread_join(thread->thread, NULL);
    free(thread);
    client->thread = NULL;
}

/* Replies ----------------------------------------------------------------------------------- */

static svl_str put(char **to, svl_str s)
{
    svl_str text = {*to, s.n};

    if (s.n > 0)
        memcpy(*to, s.p, s.n);
    *to += s.n;
    **to = '\0';
    ++*to;
    return text;
}

static size_t texts_length(const struct svl_reply *reply)
{
    size_t n = reply->reason.n + reply->body.n + reply->trailers.n + reply->url.n + 4;

    for (unsigned i = 0; i < reply->headers.n; i++)
        n += reply->headers.at[i].name_len + reply->headers.at[i].value_len + 2u;
    return n;
}

static void copy_headers(struct svl_headers *to, const struct svl_headers *from,
                         struct svl_header *table, char **text)
{
    to->at = table;
    to->room = to->n;
    for (unsigned i = 0; i < from->n; i++) {
        table[i] = from->at[i];
        table[i].name = put(text, svl_header_name(&from->at[i])).p;
        table[i].value = put(text, svl_header_value(&from->at[i])).p;
    }
}

/* A large body changes hands instead of being copied. */
static struct svl_reply *copy_of(struct svl_reply *from)
{
    struct svl_call *call = from->call;
    bool given = call->body && from->body.p == call->body;
    size_t table = from->headers.n * sizeof(struct svl_header);
    struct copy *copy = svl_malloc(sizeof *copy + table + texts_length(from));
    char *text = (char *)(copy + 1) + table;

    copy->reply = *from;
    copy->reply.call = NULL;
    copy->body = NULL;
    copy->reply.reason = put(&text, from->reason);
    copy->reply.trailers = put(&text, from->trailers);
    copy->reply.url = put(&text, from->url);
    copy_headers(&copy->reply.headers, &from->headers, (struct svl_header *)(copy + 1), &text);
    if (given) {
        copy->body = call->body;
        call->body = NULL;
    } else {
        copy->reply.body = put(&text, from->body);
    }
    return &copy->reply;
}

void svl_reply_free(struct svl_reply *reply)
{
    if (!reply)
        return;
    if (reply->call) {
        svl_call_release(reply->call);
        return;
    }
    free(((struct copy *)reply)->body);
    free(reply);
}

/* Calls ------------------------------------------------------------------------------------- */

static void on_done(struct svl_reply *reply, void *arg)
{
    struct request *r = arg;

    r->error = reply->error;
    if (r->reply)
        *r->reply = copy_of(reply);
    sem_post(&r->done);
}

static void begin(struct svl_mail *mail)
{
    struct request *r = svl_container(mail, struct request, mail);

    svl_call(r->client, r->worker, r->ask, on_done, r);
}

struct post {
    struct svl_mail mail;
    struct svl_worker *worker;
    svl_client_post_fn *fn;
    void *arg;
};

static void deliver(struct svl_mail *mail)
{
    struct post post = *svl_container(mail, struct post, mail);

    free(svl_container(mail, struct post, mail));
    post.fn(post.worker, post.arg);
}

int svl_client_post(struct svl_client *client, svl_client_post_fn *fn, void *arg)
{
    struct svl_worker *w = worker_of(client);
    struct post *post;

    if (!w)
        return -EAGAIN;
    post = svl_malloc(sizeof *post);
    *post = (struct post){.mail.run = deliver, .worker = w, .fn = fn, .arg = arg};
    svl_mail_send(w, &post->mail);
    return 0;
}

static struct svl_client *lasting(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct svl_client *client;
    struct svl_client *it;

    pthread_mutex_lock(&lock);
    if (!client)
        svl_client_open(&client, &(struct svl_client_config){.proxy_from_env = true});
    it = client;
    pthread_mutex_unlock(&lock);
    return it;
}

/* There is always a reply to be freed. */
static int without_thread(struct svl_reply **reply)
{
    struct copy *copy = svl_calloc(sizeof *copy);

    copy->reply.error = -EAGAIN;
    copy->reply.why = "the client's thread could not be started";
    if (reply)
        *reply = &copy->reply;
    else
        free(copy);
    return -EAGAIN;
}

int svl_http_do(struct svl_client *client, const struct svl_fetch *ask, struct svl_reply **reply)
{
    struct request r = {.mail.run = begin, .ask = ask, .reply = reply};

    r.client = client ? client : lasting();
    r.worker = r.client ? worker_of(r.client) : NULL;
    if (!r.worker)
        return without_thread(reply);
    sem_init(&r.done, 0, 0);
    svl_mail_send(r.worker, &r.mail);
    while (sem_wait(&r.done) != 0)
        ; /* a signal */
    sem_destroy(&r.done);
    return r.error;
}

int svl_http_get(const char *url, struct svl_reply **reply)
{
    return svl_http_do(NULL, &(struct svl_fetch){.url = svl_str_of(url), .max_redirects = 16},
                       reply);
}

int svl_http_post(const char *url, const char *type, svl_str body, struct svl_reply **reply)
{
    struct svl_fetch ask = {.url = svl_str_of(url),
                            .method = SVL_POST,
                            .type = svl_str_of(type),
                            .body = body,
                            .max_redirects = 16};

    return svl_http_do(NULL, &ask, reply);
}
