/* A FastCGI server that does nothing but answer: 13 bytes, over as many connections as come. What
 * stands in front of it is measured against others that ask the same one.
 *
 *     responder /tmp/responder.sock
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* STDOUT with head and body, its end, END_REQUEST: request 1, complete. */
static const char answer[] = "\1\6\0\1\0\51\0\0"
                             "Content-Type: text/plain\r\n\r\nHello, World!"
                             "\1\3\0\1\0\10\0\0\0\0\0\0\0\0\0\0";

enum { BEGIN = 1, STDIN = 5, KEEP = 1 };

struct conn {
    int fd;
    bool keep;
    size_t n;
    unsigned char bytes[70000];
};

/* Whole records off the bytes. Returns how many requests have ended. */
static int take(struct conn *c)
{
    size_t at = 0;
    int ended = 0;

    while (c->n - at >= 8) {
        const unsigned char *h = c->bytes + at;
        size_t length = (size_t)h[4] << 8 | h[5], whole = 8 + length + h[6];

        if (c->n - at < whole)
            break;
        if (h[1] == BEGIN)
            c->keep = h[10] & KEEP;
        ended += h[1] == STDIN && length == 0;
        at += whole;
    }
    memmove(c->bytes, c->bytes + at, c->n - at);
    c->n -= at;
    return ended;
}

static bool serve(struct conn *c)
{
    ssize_t n = recv(c->fd, c->bytes + c->n, sizeof c->bytes - c->n, 0);

    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    c->n += (size_t)n;
    for (int i = take(c); i > 0; i--) {
        if (send(c->fd, answer, sizeof answer - 1, MSG_NOSIGNAL) != sizeof answer - 1)
            return false;
        if (!c->keep)
            return false;
    }
    return true;
}

static void accept_all(int epoll, int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = calloc(1, sizeof *c);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

        if (!c)
            abort();
        c->fd = fd;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[64], first = {.events = EPOLLIN};

    if (argc != 2 || strlen(argv[1]) >= sizeof at.sun_path) {
        fputs("usage: responder SOCKET\n", stderr);
        return 2;
    }
    snprintf(at.sun_path, sizeof at.sun_path, "%s", argv[1]);
    unlink(at.sun_path);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4096)) {
        perror(at.sun_path);
        return 1;
    }
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &first);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(epoll, events, 64, -1);

        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;

            if (!c) {
                accept_all(epoll, listener);
            } else if (!serve(c)) {
                close(c->fd);
                free(c);
            }
        }
    }
}
