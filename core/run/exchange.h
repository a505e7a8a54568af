/* The exchange: the private half of a ctx. One request and its answer, on its way through the
 * chain; it answers to a wire. docs/request.md tells who holds it when. */
#ifndef SVL_RUN_EXCHANGE_H
#define SVL_RUN_EXCHANGE_H

#include "base/arena.h"
#include "base/chunk.h"
#include "http/parse.h"
#include "net/worker.h"
#include "serval/module.h"
#include "serval/server.h"

#define SVL_INLINE_FIELDS 14 /* request fields before the table grows */
#define SVL_INLINE_ANSWERS 6 /* the same for the answer's */
#define SVL_INLINE_ARENA 128 /* bytes of arena before a block is taken, beside unused fields */
#define SVL_EXCHANGE_MAGIC 0x5e7ea11fu

struct svl_chain {
    const struct svl_link *links;
    unsigned n;
    unsigned deepest; /* n of the longest chain that can be entered from it */
};

struct svl_exchange;
struct svl_filtering;
struct svl_values;
struct svl_wire;
struct svl_deadline;
struct svl_raw_events;
struct svl_extra;

/* What an exchange answers to: one connection of HTTP/1.1, one stream of HTTP/2. */
struct svl_wire_ops {
    /* x->pub.res is the answer. svl_exchange_sent() follows once, maybe before this returns. */
    void (*send)(struct svl_wire *wire, struct svl_exchange *x);
    /* The body is wanted, or wanted again after a pause: svl_exchange_body() or _piece() follow,
     * never before this returns. */
    void (*want_body)(struct svl_wire *wire, struct svl_exchange *x);
    /* A pull source has something again. */
    void (*more)(struct svl_wire *wire, struct svl_exchange *x);
    /* A provisional answer of that status with the Link fields set so far goes out at once. Returns
     * 0, or SVL_ESTATE when the client would not understand it. May be NULL. */
    int (*hint)(struct svl_wire *wire, struct svl_exchange *x, int status);
    /* Which connection it is. Returns its socket, -1 if it has none. May be NULL. */
    int (*about)(struct svl_wire *wire, struct svl_connection *to);
    /* The connection ends at once, without (the rest of) an answer. */
    void (*drop)(struct svl_wire *wire);
    /* `fresh` takes the place of `old`. */
    void (*replace)(struct svl_wire *wire, struct svl_exchange *old, struct svl_exchange *fresh);
};

struct svl_wire {
    const struct svl_wire_ops *ops;
};

enum svl_state {
    SVL_FREE,    /* in the pool */
    SVL_READING, /* the wire fills the request */
    SVL_RUNNING, /* a hook is on the stack */
    SVL_LOANED,  /* a hook said SVL_PENDING: a module holds the ctx */
    SVL_SENDING, /* the wire holds the ctx until the write is over */
};

/* svl_exchange::early: the running hook has not asked to keep the ctx; has asked. */
enum { SVL_IDLE = -1, SVL_KEPT = -2 };

/* `chain` changes when an inner one is entered, to one that agrees with it up to `at` (links.h).
 * links[first, entered) were asked on the way in and are owed one on_done each.
 * `wire` is NULL once nobody waits for this answer. `lender` is an exchange whose memory our
 * request and slots point into; it cannot be freed before us. */
struct svl_exchange {
    struct svl_ctx pub; /* first */
    uint32_t magic;
    uint8_t state; /* enum svl_state */
    bool outwards;
    bool awaits_body;    /* LOANED to the wire, until svl_exchange_body() */
    bool stirred;        /* while a hook ran: kept, its body asked for, or abandoned */
    bool body_paused;    /* its pieces, by svl_body_pause() */
    bool gone_at_eof;    /* a client that sends no more counts as gone */
    bool refused;        /* by the core, before it became a request */
    bool in_flight;      /* it outlived its read, and the worker's tally has it */
    bool shaping;        /* on_error is on the stack */
    bool sent, received; /* the wire's: what of the message is over */
    bool body_here;      /* the wire's: the body lies in what is being read */
    int8_t early; /* verdict of an svl_resume() that came before its hook returned, or SVL_IDLE,
                          * SVL_KEPT */
    uint8_t at, first, entered;
    uint8_t innermost; /* 1 + the innermost link with a deadline; 0 = none */
    uint8_t redirects; /* local ones that were followed, relay.c */
    uint16_t refs;

    const struct svl_chain *chain;
    struct svl_wire *wire;
    struct svl_exchange *lender;
    svl_cancel_fn *cancel;
    void *cancel_arg;
    svl_piece_fn *on_piece; /* who takes the body's pieces, awaited or while the answer is sent */
    void *piece_arg;
    uint64_t body_limit; /* 0 = the server's for whole bodies, none for streamed ones */
    const struct svl_raw_events *raw; /* who takes the connection after this answer */
    void *raw_arg;
    struct svl_deadline *deadlines;  /* expire.c: of links that wait for the ones further in */
    uint32_t ref;                    /* 1 + place in the worker's handles; 0 = none */
    void **slots;                    /* of the links; NULL until one is used */
    struct svl_filtering *filtering; /* the body's filters, filter.c; NULL = none */
    struct svl_values *values;       /* what values.c keeps; NULL until one is used */
    struct svl_connection *gone;     /* it, as it was when the client went; NULL before */
    uint64_t first_ms, head_ms;      /* when they came; 0 = in this read */
    struct svl_extra *extra;         /* response.c: what few answers have; NULL = nothing */
    struct svl_address peer;

    struct svl_chunk *head_chunk; /* what the request's views point into; NULL = a read going on */
    struct svl_chunk *body_chunk; /* the body, when it did not come with the head */
    struct svl_parser parser;
    struct svl_arena arena;

    struct svl_header answers[SVL_INLINE_ANSWERS];
    _Alignas(
        16) struct svl_header fields[SVL_INLINE_FIELDS]; /* what the head leaves is arena too */
    _Alignas(16) char memory[SVL_INLINE_ARENA];
};

_Static_assert(offsetof(struct svl_exchange, fields) +
                       sizeof(struct svl_header[SVL_INLINE_FIELDS]) ==
                   offsetof(struct svl_exchange, memory),
               "the unused end of the fields and the memory are one");

static inline struct svl_exchange *svl_exchange_of(struct svl_ctx *ctx)
{
    struct svl_exchange *x = (struct svl_exchange *)ctx;

    return x;
}

/* Whether the body's pieces go to svl_exchange_piece(). */
static inline bool svl_exchange_streams(const struct svl_exchange *x)
{
    return x->on_piece && (x->awaits_body || (x->state == SVL_SENDING && !x->sent));
}

/* One from the pool, READING, for the first byte of a request. */
struct svl_exchange *svl_exchange_open(struct svl_worker *worker, struct svl_wire *wire,
                                       const struct svl_chain *chain,
                                       const struct svl_limits *limits,
                                       const struct svl_address *peer);

/* Bytes of memory that it holds. Looks at each block of the arena: not for every request. */
size_t svl_exchange_held(const struct svl_exchange *x);

void svl_exchange_start(struct svl_exchange *x);              /* the head is complete */
void svl_exchange_body(struct svl_exchange *x, svl_str body); /* what want_body asked for */
void svl_exchange_piece(struct svl_exchange *x, svl_str piece, bool last);
void svl_exchange_pieces_lost(struct svl_exchange *x); /* the answer is on its way already */
void svl_exchange_body_failed(struct svl_exchange *x, int status, const char *why);
void svl_exchange_sent(struct svl_exchange *x);    /* write over */
void svl_exchange_abandon(struct svl_exchange *x); /* the client has gone */

/* Links [first, at], or [first, at) if links[at] itself holds x, go to a fresh exchange that answers
 * for them; x stays with the busy module and may be over already. The caller puts the answer into
 * the fresh one and resumes it. */
struct svl_exchange *svl_exchange_split(struct svl_exchange *x, unsigned at);

/* The deadline of links[at] has passed while x is with a module: a split that answers `status`. */
void svl_exchange_expire(struct svl_exchange *x, unsigned at, int status);

/* expire.c: clears the deadlines of links[at] and further in; hands the others over to y. */
void svl_deadlines_drop(struct svl_exchange *x, unsigned at);
void svl_deadlines_hand_over(struct svl_exchange *x, struct svl_exchange *y, unsigned at);

/* The message was refused before it became a request: the modules are told by on_refused, then
 * the answer that stands in x is sent. */
void svl_exchange_refuse(struct svl_exchange *x, int status, const char *why);

#endif
