/* A response as a client reads it: whole and in pieces it is the same; and what is accepted, llhttp
 * accepts with the same status, fields and framing. */
#include "base/check.h"
#include "base/pool.h"
#include "http/response_parse.h"

#include <stdlib.h>

#define HEADER 2 /* bytes of an input that say how it is read */

static const struct svl_limits limits = {.max_chunk_overhead = 200};

struct run {
    struct svl_pool pool;
    struct svl_arena arena;
    struct svl_header fields[4];
    struct svl_reply reply;
    struct svl_head_reader reader;
    enum svl_parsed head, body;
    size_t used, n_body;
    char *bytes; /* of the body */
};

static int take(void *arg, const char *data, size_t n)
{
    struct run *run = arg;

    memcpy(run->bytes + run->n_body, data, n);
    run->n_body += n;
    return 0;
}

static void read_chunks(struct run *run, const char *data, size_t len, size_t step)
{
    struct svl_request spare = {0};
    struct svl_parser p;

    svl_parser_chunks(&p, &spare, &limits, &run->arena);
    p.on_body = take;
    p.body_arg = run;
    while (len > 0 && run->body == SVL_PARSE_MORE) {
        size_t n = step < len ? step : len, used;

        run->body = svl_parser_body(&p, data, n, &used);
        run->used += used;
        data += n;
        len -= n;
    }
}

static void read(struct run *run, const char *data, size_t len, size_t step, bool to_head)
{
    memset(run, 0, sizeof *run);
    svl_pool_init(&run->pool, SVL_ARENA_BLOCK, 4);
    svl_arena_init(&run->arena, NULL, 0, &run->pool, 1000);
    run->reply.headers.at = run->fields;
    run->reply.headers.room = 4;
    run->reader = (struct svl_head_reader){.max_head = 400, .max_fields = 9, .to_head = to_head};
    run->bytes = malloc(len + 1);
    svl_head_reader_begin(&run->reader, &run->reply);
    for (size_t n = 0; n < len && run->head == SVL_PARSE_MORE;) {
        n = step < len - n ? n + step : len;
        run->head = svl_head_reader_read(&run->reader, &run->arena, data, n);
    }
    if (run->head == SVL_PARSE_HEAD && run->reader.framed == SVL_FRAMED_CHUNKED)
        read_chunks(run, data + run->reader.at, len - run->reader.at, step);
}

static void end(struct run *run)
{
    free(run->bytes);
    svl_arena_finish(&run->arena);
    svl_pool_finish(&run->pool);
}

/* llhttp's view: spans come in one piece each, because it gets the whole head at once. */
struct witness {
    llhttp_t ll;
    const struct svl_headers *headers;
    unsigned names, values;
};

static int on_name(llhttp_t *ll, const char *at, size_t len)
{
    struct witness *w = svl_container(ll, struct witness, ll);

    SVL_ASSERT(w->names < w->headers->n);
    SVL_ASSERT(svl_str_eq(svl_header_name(&w->headers->at[w->names++]), (svl_str){at, len}));
    return 0;
}

static int on_value(llhttp_t *ll, const char *at, size_t len)
{
    struct witness *w = svl_container(ll, struct witness, ll);
    svl_str value = svl_str_trim((svl_str){at, len});

    SVL_ASSERT(w->names > 0);
    SVL_ASSERT(svl_str_eq(svl_header_value(&w->headers->at[w->names - 1]), value));
    return 0;
}

static int on_head(llhttp_t *ll)
{
    (void)ll;
    return HPE_PAUSED;
}

/* A tab may follow a value (RFC 9110 5.5); llhttp takes only blanks after one that frames. */
static void ask_witness(const struct run *run, const char *data)
{
    static const llhttp_settings_t settings = {
        .on_header_field = on_name, .on_header_value = on_value, .on_headers_complete = on_head};
    struct witness w = {.headers = &run->reply.headers};

    if (memchr(data, '\t', run->reader.at))
        return;
    llhttp_init(&w.ll, HTTP_RESPONSE, &settings);
    SVL_ASSERT(llhttp_execute(&w.ll, data, run->reader.at) == HPE_PAUSED);
    SVL_ASSERT(llhttp_get_error_pos(&w.ll) == data + run->reader.at);
    SVL_ASSERT(w.names == run->reply.headers.n);
    SVL_ASSERT(w.ll.status_code == run->reply.status && w.ll.http_minor == run->reply.minor);
    SVL_ASSERT(!(w.ll.flags & F_CHUNKED) == !run->reply.headers.first[SVL_H_TRANSFER_ENCODING]);
    if (w.ll.flags & F_CONTENT_LENGTH)
        SVL_ASSERT(w.ll.content_length == (uint64_t)run->reply.content_length);
    else
        SVL_ASSERT(run->reply.content_length == -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct run whole, cut;
    char *data;

    if (len <= HEADER)
        return -1;
    data = malloc(len - HEADER); /* an exact end */
    memcpy(data, bytes + HEADER, len - HEADER);
    len -= HEADER;
    read(&whole, data, len, len, bytes[0] & 1);
    read(&cut, data, len, 1 + bytes[1] % 16, bytes[0] & 1);
    SVL_ASSERT(whole.head == cut.head && whole.reader.error == cut.reader.error);
    if (whole.head == SVL_PARSE_HEAD) {
        SVL_ASSERT(whole.reader.at == cut.reader.at && whole.reader.framed == cut.reader.framed);
        SVL_ASSERT(whole.reader.keep_alive == cut.reader.keep_alive);
        SVL_ASSERT(whole.body == cut.body);
        if (whole.body != SVL_PARSE_REFUSED)
            SVL_ASSERT(whole.n_body == cut.n_body && whole.used == cut.used &&
                       memcmp(whole.bytes, cut.bytes, whole.n_body) == 0);
        ask_witness(&whole, data);
    }
    end(&whole);
    end(&cut);
    free(data);
    return 0;
}
