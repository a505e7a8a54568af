/* An HTTP/1 answer, framed as its bytes come in: where it ends, its status, and whether the connection
 * ends with it. Nothing is taken for an answer that is not one. */
#ifndef ANSWER_H
#define ANSWER_H

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>

enum { ANSWER_HEAD_MAX = 64 * 1024 };

enum answer_framing {
    ANSWER_HEAD,
    ANSWER_BY_LENGTH,
    ANSWER_BY_CLOSE,
    ANSWER_CHUNK_SIZE,
    ANSWER_CHUNK_DATA,
    ANSWER_CHUNK_END,
    ANSWER_TRAILER,
};

/* Zeroed at the start of a connection. */
struct answer {
    enum answer_framing framing;
    bool last;      /* the server closes after this answer */
    bool digits;    /* a chunk size has at least one digit */
    bool extension; /* past the ';' of a chunk size */
    int status;
    uint64_t left;     /* bytes of body or chunk still to come */
    uint64_t body;     /* bytes of bodies that have come; the caller may reset it */
    unsigned line_len; /* of a trailer line */
    char *head;        /* an unfinished head; NULL nearly always; to be freed */
    size_t head_len;
};

static inline bool answer_is_name(const char *line, size_t len, const char *name)
{
    return len == strlen(name) && !strncasecmp(line, name, len);
}

static inline bool answer_has_token(const char *value, const char *end, const char *token)
{
    size_t len = strlen(token);
    for (const char *p = value; p < end;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma ? comma : end;
        while (p < stop && (*p == ' ' || *p == '\t'))
            p++;
        while (stop > p && (stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        if ((size_t)(stop - p) == len && !strncasecmp(p, token, len))
            return true;
        p = comma ? comma + 1 : end;
    }
    return false;
}

/* Reads a complete head, blank line included, and decides how the body is framed. */
static inline bool answer_head(struct answer *a, const char *p, const char *end, bool to_head)
{
    if (end - p < 16 || memcmp(p, "HTTP/1.", 7) || p[8] != ' ' || !isdigit((unsigned char)p[9]) ||
        !isdigit((unsigned char)p[10]) || !isdigit((unsigned char)p[11]))
        return false;
    a->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    a->last = p[7] == '0';
    bool chunked = false, has_length = false;
    uint64_t length = 0;

    p = memchr(p, '\n', (size_t)(end - p));
    for (p++; p < end - 2;) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        const char *colon = memchr(p, ':', (size_t)(eol - p));
        if (!colon || colon == p || eol[-1] != '\r')
            return false;
        const char *value = colon + 1;
        const char *stop = eol - 1;
        while (value < stop && (*value == ' ' || *value == '\t'))
            value++;
        size_t name_len = (size_t)(colon - p);
        if (answer_is_name(p, name_len, "content-length")) {
            uint64_t n = 0;
            const char *digit = value;
            for (; digit < stop && isdigit((unsigned char)*digit); digit++)
                n = n * 10 + (uint64_t)(*digit - '0');
            if (digit == value || digit != stop || (has_length && n != length))
                return false;
            has_length = true;
            length = n;
        } else if (answer_is_name(p, name_len, "transfer-encoding")) {
            chunked = answer_has_token(value, stop, "chunked");
            if (!chunked)
                return false;
        } else if (answer_is_name(p, name_len, "connection")) {
            if (answer_has_token(value, stop, "close"))
                a->last = true;
            else if (answer_has_token(value, stop, "keep-alive"))
                a->last = false;
        }
        p = eol + 1;
    }
    if (chunked && has_length)
        return false; /* RFC 9112 6.3: a sign of smuggling */
    bool bodyless = a->status < 200 || a->status == 204 || a->status == 304 || to_head;
    a->left = bodyless ? 0 : length;
    if (chunked && !bodyless)
        a->framing = ANSWER_CHUNK_SIZE;
    else if (has_length || bodyless)
        a->framing = ANSWER_BY_LENGTH;
    else
        a->framing = ANSWER_BY_CLOSE;
    a->digits = a->extension = false;
    return true;
}

static inline int answer_hex(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    ch |= 0x20;
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* "SIZE;extension CR LF". Returns false on anything else. */
static inline bool answer_size_byte(struct answer *a, char ch)
{
    if (ch == '\n') {
        if (!a->digits)
            return false;
        a->framing = a->left ? ANSWER_CHUNK_DATA : ANSWER_TRAILER;
        a->digits = a->extension = false;
        a->line_len = 0;
        return true;
    }
    int digit = a->extension ? -1 : answer_hex(ch);
    if (digit < 0) {
        a->extension = true;
        return ch == '\r' || ch == ';' || ch == ' ' || a->digits;
    }
    a->left = a->digits ? a->left * 16 + (uint64_t)digit : (uint64_t)digit;
    a->digits = true;
    return a->left < 1ull << 40;
}

/* Takes a head out of p..end, which may begin in an earlier read. Returns the bytes taken, or -1.
 */
static inline ssize_t answer_collect(struct answer *a, const char *p, const char *end, bool to_head)
{
    size_t len = (size_t)(end - p);
    if (!a->head) {
        const char *blank = memmem(p, len, "\r\n\r\n", 4);
        if (blank)
            return answer_head(a, p, blank + 4, to_head) ? blank + 4 - p : -1;
    }
    if (a->head_len + len > ANSWER_HEAD_MAX)
        len = ANSWER_HEAD_MAX - a->head_len;
    if (!a->head && !(a->head = malloc(ANSWER_HEAD_MAX))) {
        fputs("out of memory\n", stderr);
        exit(2);
    }
    size_t before = a->head_len;
    size_t from = before > 3 ? before - 3 : 0;
    memcpy(a->head + before, p, len);
    a->head_len += len;
    const char *blank = memmem(a->head + from, a->head_len - from, "\r\n\r\n", 4);
    if (!blank)
        return a->head_len < ANSWER_HEAD_MAX ? (ssize_t)len : -1;
    bool good = answer_head(a, a->head, blank + 4, to_head);
    ssize_t taken = blank + 4 - (a->head + before);
    free(a->head);
    a->head = NULL;
    a->head_len = 0;
    return good ? taken : -1;
}

/* Takes bytes of p..end, at most to the end of this answer. Returns how many; -1 when it is not HTTP.
 * `to_head`: to a request by HEAD, so that no body follows. One that ends with the connection never
 * becomes complete here. */
static inline ssize_t answer_take(struct answer *a, const char *p, const char *end, bool to_head,
                                  bool *complete)
{
    size_t len = (size_t)(end - p);
    ssize_t taken = 1;
    *complete = false;
    switch (a->framing) {
    case ANSWER_HEAD:
        taken = answer_collect(a, p, end, to_head);
        *complete = taken >= 0 && a->framing == ANSWER_BY_LENGTH && !a->left;
        break;
    case ANSWER_BY_CLOSE:
        a->body += len;
        taken = (ssize_t)len;
        break;
    case ANSWER_BY_LENGTH:
    case ANSWER_CHUNK_DATA:
        len = a->left < len ? (size_t)a->left : len;
        a->left -= len;
        a->body += len;
        taken = (ssize_t)len;
        if (!a->left && a->framing == ANSWER_BY_LENGTH)
            *complete = true;
        else if (!a->left)
            a->framing = ANSWER_CHUNK_END;
        break;
    case ANSWER_CHUNK_SIZE:
        if (!answer_size_byte(a, *p))
            return -1;
        break;
    case ANSWER_CHUNK_END:
        if (*p != '\r' && *p != '\n')
            return -1;
        if (*p == '\n')
            a->framing = ANSWER_CHUNK_SIZE;
        break;
    case ANSWER_TRAILER:
        if (*p == '\n' && !a->line_len)
            *complete = true;
        else if (*p == '\n')
            a->line_len = 0;
        else if (*p != '\r')
            a->line_len++;
        break;
    }
    if (*complete)
        a->framing = ANSWER_HEAD;
    return taken;
}

#endif
