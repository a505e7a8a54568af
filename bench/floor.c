/* The least an HTTP server on epoll can do: receive, find the blank lines, send a constant answer.
 * No parsing, no routing, no limits, no timeouts: what serval costs above this is serval's own
 * cost. One thread, level-triggered epoll, one recv and one send per readable connection. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* As many bytes as bench/hello answers; only the date stands still. */
#define ANSWER                                                                                     \
    "HTTP/1.1 200 OK\r\n"                                                                          \
    "Server: serval\r\n"                                                                           \
    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"                                                      \
    "Content-Type: text/plain\r\n"                                                                 \
    "Content-Length: 13\r\n"                                                                       \
    "\r\n"                                                                                         \
    "Hello, World!"

enum {
    ANSWER_LEN = sizeof(ANSWER) - 1,
    ANSWERS = 512, /* one send gathers up to this many */
    CARRY = 3,     /* a blank line, CR LF CR LF, may leave this many bytes in the read before */
    READ_LEN = 64 * 1024,
    MAX_EVENTS = 256,
    MAX_FDS = 65536,
};

/* All answers are alike, so what is still owed to a connection is a number and needs no buffer. */
struct conn {
    unsigned owed;     /* bytes of answers not sent yet */
    char carry[CARRY]; /* the last bytes of the read before, zeros when they ended a request */
    char writing;      /* epoll watches for room to send, not for requests */
};

static struct conn conns[MAX_FDS];         /* by descriptor */
static char input[CARRY + READ_LEN];       /* carried bytes, then one read */
static char answers[ANSWERS * ANSWER_LEN]; /* the answer, over and over */
static int epoll_fd;

static void fail(const char *what)
{
    perror(what);
    exit(3);
}

static void watch(int op, int fd, unsigned events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll_fd, op, fd, &event))
        fail("floor: epoll_ctl");
}

/* Counts the requests that end in input[CARRY, CARRY + len) and keeps what the next read needs. */
static unsigned count_requests(struct conn *c, size_t len)
{
    memcpy(input, c->carry, CARRY);
    char *end = input + CARRY + len;
    char *start = input; /* of the request being looked at: blank lines do not overlap */
    unsigned count = 0;
    for (char *p = input + CARRY; (p = memchr(p, '\n', (size_t)(end - p))); p++) {
        if (p - start >= CARRY && !memcmp(p - CARRY, "\r\n\r", CARRY)) {
            start = p + 1;
            count++;
        }
    }
    memset(c->carry, 0, CARRY);
    size_t rest = end - start < CARRY ? (size_t)(end - start) : CARRY;
    memcpy(c->carry + CARRY - rest, end - rest, rest);
    return count;
}

/* Returns 0, or -1 when the connection is lost. A full socket turns it from reading to writing. */
static int send_owed(int fd, struct conn *c)
{
    while (c->owed) {
        size_t sent_of_first = (ANSWER_LEN - c->owed % ANSWER_LEN) % ANSWER_LEN;
        size_t len = sizeof answers - sent_of_first;
        if (len > c->owed)
            len = c->owed;
        ssize_t n = send(fd, answers + sent_of_first, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return -1;
        if (n < 0)
            break;
        c->owed -= (unsigned)n;
    }
    if (c->writing != (c->owed > 0)) {
        c->writing = c->owed > 0;
        watch(EPOLL_CTL_MOD, fd, c->writing ? EPOLLOUT : EPOLLIN);
    }
    return 0;
}

static void serve(int fd)
{
    struct conn *c = &conns[fd];
    if (!c->owed) {
        ssize_t n = recv(fd, input + CARRY, READ_LEN, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close(fd);
            return;
        }
        c->owed = count_requests(c, (size_t)n) * ANSWER_LEN;
    }
    if (send_owed(fd, c))
        close(fd);
}

static void accept_all(int listen_fd)
{
    int fd;
    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= MAX_FDS) {
            close(fd);
            continue;
        }
        conns[fd] = (struct conn){0};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

/* "127.0.0.1:8080": IPv4 only, as every benchmark here runs over loopback. */
static int listen_on(char *where)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    char *colon = strrchr(where, ':');
    if (!colon)
        return -1;
    *colon = '\0';
    addr.sin_port = htons((unsigned short)atoi(colon + 1));
    if (inet_pton(AF_INET, where, &addr.sin_addr) != 1)
        return -1;
    *colon = ':';
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)))
        fail("floor: socket");
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) || listen(fd, 4096))
        fail("floor: bind");
    return fd;
}

int main(int argc, char **argv)
{
    int listen_fd = argc == 3 && !strcmp(argv[1], "--listen") ? listen_on(argv[2]) : -1;
    if (listen_fd < 0) {
        fprintf(stderr, "usage: floor --listen 127.0.0.1:PORT\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    for (size_t i = 0; i < ANSWERS; i++)
        memcpy(answers + i * ANSWER_LEN, ANSWER, ANSWER_LEN);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch(EPOLL_CTL_ADD, listen_fd, EPOLLIN);
    printf("floor: listening on %s\n", argv[2]);
    fflush(stdout);

    struct epoll_event events[MAX_EVENTS];
    for (;;) {
        int n = epoll_wait(epoll_fd, events, MAX_EVENTS, -1);
        if (n < 0 && errno != EINTR)
            fail("floor: epoll_wait");
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listen_fd)
                accept_all(listen_fd);
            else
                serve(events[i].data.fd);
        }
    }
}
