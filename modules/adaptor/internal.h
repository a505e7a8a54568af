/* What the files of the adaptor share.
 *
 * A struct MHD_Connection is one request: made when its head is there, freed when the answer is over and
 * nobody uses it any more (a thread that runs a callback, an upgraded socket, a program that has it
 * suspended). It belongs to the loop's thread, except while `busy`: then the thread that runs the
 * callback has it, and the loop only waits. */
#ifndef SVL_ADAPTOR_INTERNAL_H
#define SVL_ADAPTOR_INTERNAL_H

#define MHD_NO_DEPRECATION 1 /* we are who provides them */
#include "serval/async.h"
#include "serval/connection.h"
#include "serval/mod/adaptor.h"
#include "serval/request.h"
#include "serval/response.h"

#include <pthread.h>
#include <stdatomic.h>

/* Text with its length, NUL-terminated behind it. */
struct entry {
    struct entry *next;
    enum MHD_ValueKind kind;
    enum svl_header_id id;    /* of an answer's field, */
    bool canonical;           /* and whether it is spelt as serval would */
    const char *name, *value; /* value: NULL for an argument without '=' */
    size_t name_len, value_len;
};

struct entries {
    struct entry *first, *last;
};

/* Answers ---------------------------------------------------------------------------------------*/

enum kind { BUFFER, FILE_PART, READER, PIPE, VECTOR, UPGRADE };

struct MHD_Response {
    atomic_uint refs;
    enum kind kind;
    uint64_t size; /* MHD_SIZE_UNKNOWN: until the reader ends */
    enum MHD_ResponseFlags flags;
    struct entries fields; /* MHD_HEADER_KIND, MHD_FOOTER_KIND */
    bool close;            /* "Connection: close" was added */
    bool chunked;          /* "Transfer-Encoding: chunked" was added */

    void *data; /* BUFFER */
    int fd;     /* FILE_PART, PIPE; closed with the answer */
    uint64_t offset;
    MHD_ContentReaderCallback read; /* READER */
    size_t block;
    struct MHD_IoVec *vector;
    unsigned n_vector;
    MHD_UpgradeHandler upgrade;
    void *cls; /* of read, upgrade and free */
    MHD_ContentReaderFreeCallback free;
    pthread_mutex_t lock; /* one caller of read at a time; answers are shared by connections */
};

void mhd_response_ref(struct MHD_Response *r);

/* Whether the client got all of it; ctx is over. */
bool mhd_answer_sent(const struct MHD_Connection *c);

/* Fills ctx->res from c->response; what it says is the hook's verdict. */
enum svl_verdict mhd_answer(struct MHD_Connection *c);

/* The fields of c->response into ctx->res. */
void mhd_add_fields(struct MHD_Connection *c);

/* upgrade.c: the 101, and what the program gets the socket by. */
enum svl_verdict mhd_upgrade(struct MHD_Connection *c);

/* Threads ---------------------------------------------------------------------------------------
 *
 * For callbacks that may block: each job gets a thread at once, an idle one if there is one. */
typedef void job_fn(void *arg);

struct threads;
struct threads *mhd_threads_new(size_t stack_size);
bool mhd_threads_run(struct threads *t, job_fn *fn,
                     void *arg);          /* any thread; false = none to be had */
void mhd_threads_free(struct threads *t); /* waits for the jobs */

/* Requests ---------------------------------------------------------------------------------------*/

/* What the handler is asked next. */
enum phase { HEAD, UPLOAD, END };

struct MHD_Connection {
    struct svl_ctx *ctx; /* NULL when it is over */
    struct svl_worker *worker;
    svl_ref ref;
    atomic_uint refs; /* ctx, a job, an upgraded socket, a suspension: one each */
    const struct svl_adaptor_config *app;
    struct MHD_Daemon *daemon; /* NULL in a chain */
    struct threads *threads;   /* NULL: callbacks run on the loop */
    struct peer *peer;         /* daemon.c; NULL in a chain */
    const char *url, *method, *version;
    svl_str target; /* as it came; owner: the ctx */
    void *con_cls;
    struct MHD_Response *response;
    unsigned status;

    enum phase phase;
    bool busy;              /* a thread runs the callback */
    bool streaming;         /* pieces of the body are still to come */
    bool body_over;         /* none are */
    bool failed;            /* the handler has said MHD_NO */
    bool stuck;             /* it has been asked, and has neither taken anything nor answered */
    bool aware;             /* it has been asked at all */
    bool late;              /* the body has not come in time */
    bool sending;           /* the answer is made */
    bool read_over;         /* its reader has ended */
    bool upgraded;          /* it is a 101 */
    bool ended;             /* the client got all of it */
    bool collected, footed; /* values, and footers, hold what the request does */
    atomic_bool suspended, resumed;
    struct svl_alarm *alarm;
    unsigned alarm_ms;

    const char *data; /* of the body: not taken yet by the handler */
    size_t n_data;
    char *buffer; /* where it was copied to; owner: c */
    size_t room;
    size_t left;             /* of the call that a thread runs: what it has not taken, */
    enum MHD_Result said;    /* and what it has said */
    struct reading *reading; /* answer.c: a block that a thread reads */
    uint64_t position;       /* of the reader */

    struct entries values;
    union MHD_ConnectionInfo info[MHD_CONNECTION_INFO_HTTP_STATUS + 1]; /* what was asked last */
    int socket;
    struct svl_address from;
    size_t head_size;
    struct sockaddr_storage address;

    /* Memory that lives as long as c: own[0, n_own), then blocks. */
    struct block *blocks;
    size_t n_own;
    _Alignas(16) char own[240];
};

/* A request: c, with one reference of its ctx. */
struct MHD_Connection *mhd_connection_new(struct svl_ctx *ctx, const struct svl_adaptor_config *app,
                                          struct MHD_Daemon *daemon);
void mhd_connection_ref(struct MHD_Connection *c);
void mhd_connection_unref(struct MHD_Connection *c); /* loop thread */

/* Memory that lives as long as c. Whoever has c. */
void *mhd_keep(struct MHD_Connection *c, size_t size);
char *mhd_keep_text(struct MHD_Connection *c, svl_str text);

/* Asks the handler, from the head to the answer. The hook's verdict. */
enum svl_verdict mhd_begin(struct MHD_Connection *c);

/* Loop thread: what c waited for may have come; later: in a moment. */
void mhd_unsuspend(struct MHD_Connection *c);
void mhd_go_on(struct MHD_Connection *c);
void mhd_later(struct MHD_Connection *c);

/* As the system calls it. */
socklen_t mhd_sockaddr(struct sockaddr_storage *to, const struct svl_address *from);

/* values.c: what the request holds, as libmicrohttpd would. */
void mhd_collect(struct MHD_Connection *c);
void mhd_collect_footers(struct MHD_Connection *c);
void mhd_entries_add(struct entries *to, struct entry *e);
struct entry *mhd_entries_find(const struct entries *in, enum MHD_ValueKind kinds, const char *name,
                               size_t n);

/* Daemons --------------------------------------------------------------------------------------- */

/* Digest authentication: which nonces have been given out, and how often each was used. */
struct nonces {
    pthread_mutex_t lock;
    const void *seed; /* secret: who knows it can make nonces */
    size_t seed_len;
    uint8_t made[32];   /* the seed, if the program has given none */
    unsigned n;         /* places in `used` */
    uint32_t next;      /* number of the next one */
    struct nonce *used; /* digest.c */
};

/* One connection of a program that wants to be told of them. */
struct peer {
    struct peer *next;
    uint64_t id;
    void *context;
    unsigned refs; /* the connection, and its requests */
    struct svl_address address;
};

/* What requests want to know of their daemon; the rest is daemon.c's. */
struct MHD_Daemon {
    struct svl_adaptor_config app;
    unsigned flags; /* enum MHD_FLAG */
    size_t (*unescape)(void *cls, struct MHD_Connection *c, char *text);
    void *unescape_cls;
    void *(*log_uri)(void *cls, const char *uri, struct MHD_Connection *c);
    void *log_uri_cls;
    MHD_LogCallback log;
    void *log_cls;
    unsigned timeout_s;
    size_t memory; /* bytes for a head; bytes of a body that the handler does not take */
    MHD_NotifyConnectionCallback notify; /* a connection begins and ends */
    void *notify_cls;
    struct threads *threads; /* NULL: callbacks run on the loop */
    atomic_bool stopping;
    struct nonces nonces;
    bool tells; /* somebody is told of connections: */
    struct peer *(*peer_of)(struct MHD_Daemon *d, struct svl_ctx *ctx);
    void (*peer_unref)(struct MHD_Daemon *d, struct peer *peer);
    struct serving *serving; /* daemon.c */
};

void mhd_nonces_finish(struct nonces *t);

/* digest.c: whether it was built with what it takes. */
bool mhd_has_digest(void);

/* library.c: a line for whoever asked for them; d may be NULL. */
void mhd_log(const struct MHD_Daemon *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
