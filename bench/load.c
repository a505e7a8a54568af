/* The load generator: one thread on epoll that sends requests, parses every answer and prints one
 * line of JSON. Closed loop (each connection sends its next batch when the last one is answered)
 * or, with --rate, open loop: latency then counts from the moment a request was due, so that a
 * server that stalls cannot slow down its own examiner. It trusts no answer it has not framed. */

#include "answer.h"
#include "latency.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    INPUT_LEN = 256 * 1024,
    MAX_EVENTS = 512,
    OPENING_MAX = 128, /* idle connections being opened at a time: a listen backlog is short */
    SOURCES = 250,     /* 127.0.1.1 and up: one loopback address has only 28,000 source ports */
};

static const char usage[] =
    "usage: load --connect HOST:PORT|unix:PATH [options]\n"
    "  --connections N   connections that send requests (1)\n"
    "  --depth D         requests sent at once on a connection; it waits for all D answers (1)\n"
    "  --requests N      requests to measure, over all connections (10000)\n"
    "  --warmup N        requests sent before the measured ones (0)\n"
    "  --rate R          open loop: R requests a second, latency from the time each was due\n"
    "  --close           a new connection for every request\n"
    "  --method M        (GET)\n"
    "  --path P          (/)\n"
    "  --header 'K: V'   repeatable\n"
    "  --body-size N     bytes of request body\n"
    "  --expect STATUS   any other answer is an error (200)\n"
    "  --idle N          first open N more connections, one request on each, and keep them open\n"
    "  --hold SECONDS    keep the idle ones when all is done, print 'holding N', and wait for the\n"
    "                    time to pass, stdin to close or SIGTERM\n"
    "  --max-seconds N   give up after that long, --hold not counted (60)\n"
    "Exit code: 0 all answers as expected, 1 some were not, 2 usage, 3 gave up.\n";

static struct {
    const char *connect, *method, *path;
    char headers[8192];
    unsigned connections, depth, idle;
    uint64_t requests, warmup;
    size_t body_size;
    double rate, hold, max_seconds;
    int expect;
    bool close;
} opt = {.method = "GET",
         .path = "/",
         .connections = 1,
         .depth = 1,
         .requests = 10000,
         .max_seconds = 60,
         .expect = 200};

enum conn_state { CLOSED, CONNECTING, OPEN };

struct conn {
    int fd;
    enum conn_state state;
    bool idle;      /* one of --idle: a single request, then it is held */
    bool over;      /* an idle one that had its answer, or failed */
    bool queued;    /* on the waiting stack */
    bool writing;   /* epoll watches for room to send */
    unsigned batch; /* requests of the batch in flight */
    unsigned owed;  /* of these, answers still to come: the batch is over at 0 */
    size_t sent;    /* bytes of the batch sent so far */
    uint64_t since; /* when the batch was sent or, with --rate, due; with --close, the connect */
    struct answer answer; /* the one being read */
};

static struct latency latency; /* of the measured requests */

static struct {
    uint64_t started; /* requests given to connections, warm-up included */
    uint64_t done;    /* answered or failed, warm-up included */
    uint64_t requests, bytes, body_bytes;
    uint64_t first, last; /* the measured time */
    uint64_t connects, reopened, retried;
    uint64_t failed_connect, failed_io, failed_status, failed_parse;
    uint64_t idle_open, idle_lost;
} run;

static int epoll_fd;
static struct conn *conns;    /* the sending ones, then the idle ones */
static struct conn **waiting; /* --rate: open connections with nothing to do, a stack */
static unsigned waiting_len;
static char *batch; /* opt.depth times the request */
static size_t request_len;
static char input[INPUT_LEN];
static struct sockaddr_storage target;
static socklen_t target_len;
static uint64_t rate_start;
static uint64_t now; /* nanoseconds, read after every wait and before every answer */
static volatile sig_atomic_t stopped;

static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

static uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- connections ---- */

static void conn_watch(struct conn *c, int op, bool writing)
{
    struct epoll_event event = {.events = writing ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c};
    c->writing = writing;
    if (epoll_ctl(epoll_fd, op, c->fd, &event))
        die("epoll_ctl: %s", strerror(errno));
}

/* What came before, warm-up and idle connections, does not count. */
static void start_measuring(void)
{
    run.first = run.last = now;
    run.bytes = run.body_bytes = 0;
    run.reopened = run.retried = 0;
}

/* Requests count when they end, whether by an answer or by an error: the run always finishes. */
static void count_done(uint64_t n)
{
    bool warm = run.done >= opt.warmup;
    run.done += n;
    if (!warm && run.done >= opt.warmup)
        start_measuring();
}

static void conn_shut(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->answer.head);
    *c = (struct conn){
        .fd = -1, .state = CLOSED, .idle = c->idle, .over = c->over, .queued = c->queued};
}

/* The whole rest of the batch is lost. An idle connection is not opened again. */
static void conn_fail(struct conn *c, uint64_t *counter)
{
    *counter += c->owed ? c->owed : 1;
    if (c->idle) {
        run.idle_open -= c->over;
        run.idle_lost++;
        c->over = true;
    } else {
        count_done(c->owed);
    }
    conn_shut(c);
}

/* Loopback clients take turns between source addresses, so that no port runs out. */
static void bind_source(int fd)
{
    static unsigned turn;
    struct sockaddr_in *to = (struct sockaddr_in *)&target;
    if (target.ss_family != AF_INET || ntohl(to->sin_addr.s_addr) >> 24 != 127)
        return;
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(0x7f000101u + turn++ % SOURCES);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&from, sizeof from))
        die("bind: %s", strerror(errno));
}

static void conn_open(struct conn *c)
{
    c->fd = socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket: %s", strerror(errno));
    if (target.ss_family != AF_UNIX)
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    bind_source(c->fd);
    run.connects++;
    int err = connect(c->fd, (struct sockaddr *)&target, target_len);
    c->state = err ? CONNECTING : OPEN;
    if (err && errno != EINPROGRESS) {
        conn_fail(c, &run.failed_connect);
        return;
    }
    conn_watch(c, EPOLL_CTL_ADD, true);
}

static void conn_send(struct conn *c)
{
    size_t len = c->batch * request_len;
    while (c->sent < len) {
        ssize_t n = send(c->fd, batch + c->sent, len - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            return; /* the answer may be there already; reading tells what happened */
        c->sent += (size_t)n;
    }
    if (c->writing != (c->sent < len))
        conn_watch(c, EPOLL_CTL_MOD, c->sent < len);
}

static void conn_start(struct conn *c, unsigned requests, uint64_t since)
{
    c->batch = c->owed = requests;
    c->sent = 0;
    c->since = since;
    if (c->state == CLOSED)
        conn_open(c);
    else if (c->state == OPEN)
        conn_send(c);
}

static uint64_t due_at(uint64_t request)
{
    return rate_start + (uint64_t)((double)request * 1e9 / opt.rate);
}

/* Gives a connection without work its next batch, if there is one and it is time for it. More than
 * one when they fail on the spot. */
static void conn_next(struct conn *c)
{
    while (!c->idle && !c->queued && !c->owed && run.started < opt.warmup + opt.requests) {
        uint64_t left = opt.warmup + opt.requests - run.started;
        unsigned n = left < opt.depth ? (unsigned)left : opt.depth;
        uint64_t since = now;
        if (opt.rate > 0) {
            since = due_at(run.started);
            if (since > now) {
                c->queued = true;
                waiting[waiting_len++] = c;
                return;
            }
        }
        run.started += n;
        conn_start(c, n, since);
    }
}

/* ---- answers ---- */

/* One answer is complete. */
static void answer_done(struct conn *c)
{
    if (c->answer.status < 200)
        return;
    c->owed--;
    c->answer.last |= opt.close; /* whether or not the server means to close */
    if (c->answer.status != opt.expect)
        run.failed_status++;
    if (c->idle) {
        c->over = true;
        run.idle_open++;
        return;
    }
    if (run.done >= opt.warmup) {
        run.requests++;
        latency_add(&latency, now - c->since);
        run.last = now;
    }
    count_done(1);
}

/* Feeds one read to the connection's answers. Returns false when it is not HTTP. */
static bool take_input(struct conn *c, const char *p, const char *end)
{
    bool complete, to_head = !strcmp(opt.method, "HEAD");
    while (p < end) {
        if (!c->owed)
            return false; /* bytes nobody asked for */
        ssize_t taken = answer_take(&c->answer, p, end, to_head, &complete);
        if (taken < 0)
            return false;
        p += taken;
        run.body_bytes += c->answer.body;
        c->answer.body = 0;
        if (complete)
            answer_done(c);
    }
    return true;
}

/* The server closed. That is an error unless it said so; what it left unanswered is sent again. */
static void conn_closed(struct conn *c, int err)
{
    if (!err && c->answer.framing == ANSWER_BY_CLOSE && c->owed) {
        now = clock_ns();
        c->answer.framing = ANSWER_HEAD;
        answer_done(c);
        c->answer.last = true;
    }
    if (c->idle || (c->owed && !(c->answer.last && c->answer.framing == ANSWER_HEAD && !err))) {
        conn_fail(c, &run.failed_io);
        return;
    }
    unsigned again = c->owed;
    uint64_t since = c->since;
    run.retried += again;
    conn_shut(c);
    if (!opt.close)
        run.reopened++;
    if (again)
        conn_start(c, again, since);
}

static void conn_readable(struct conn *c)
{
    ssize_t n = recv(c->fd, input, sizeof input, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    now = clock_ns();
    if (n <= 0) {
        conn_closed(c, n < 0 ? errno : 0);
        return;
    }
    run.bytes += (uint64_t)n;
    if (!take_input(c, input, input + n))
        conn_fail(c, &run.failed_parse);
    else if (c->answer.last && c->answer.framing == ANSWER_HEAD)
        conn_closed(c, 0); /* not waiting for the server's FIN, which may be late */
}

static void conn_event(struct conn *c, unsigned events)
{
    if (c->state == CONNECTING && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
        int err = 0;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &(socklen_t){sizeof err});
        if (err) {
            conn_fail(c, &run.failed_connect);
            return;
        }
        c->state = OPEN;
    }
    if (c->state == OPEN && events & EPOLLOUT)
        conn_send(c);
    if (c->state == OPEN && events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        conn_readable(c);
}

/* ---- the loop ---- */

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

/* Waits at most until a moment; returns false on SIGTERM, SIGINT or when stdin closed. */
static bool wait_until(uint64_t moment, bool watch_stdin)
{
    struct epoll_event events[MAX_EVENTS];
    now = clock_ns();
    uint64_t left = moment > now ? moment - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000u),
                               .tv_nsec = (long)(left % 1000000000u)};
    int n = epoll_pwait2(epoll_fd, events, MAX_EVENTS, &timeout, NULL);
    if (n < 0 && errno != EINTR)
        die("epoll_pwait2: %s", strerror(errno));
    now = clock_ns();
    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;
        if (!c && watch_stdin && read(STDIN_FILENO, input, sizeof input) <= 0)
            return false;
        if (!c || c->state == CLOSED)
            continue;
        conn_event(c, events[i].events);
        if (!c->owed)
            conn_next(c);
    }
    return !stopped;
}

/* Neither of these two sends measured requests: conn_next() finds none before measure(). */
static void open_idle(uint64_t deadline)
{
    struct conn *idle = conns + opt.connections;
    unsigned opened = 0, over = 0;
    while (over < opt.idle && now < deadline && !stopped) {
        for (; opened < opt.idle && opened - over < OPENING_MAX; opened++) {
            idle[opened].idle = true;
            conn_start(&idle[opened], 1, now);
        }
        while (over < opened && idle[over].over)
            over++;
        if (over < opened)
            wait_until(deadline, false);
    }
}

static void open_senders(uint64_t deadline)
{
    unsigned opened = 0, over = 0;
    while (over < opt.connections && now < deadline && !stopped) {
        for (; opened < opt.connections && opened - over < OPENING_MAX; opened++)
            conn_open(&conns[opened]);
        while (over < opened && conns[over].state != CONNECTING)
            over++;
        if (over < opened)
            wait_until(deadline, false);
    }
}

/* Connections without work and requests without connections meet here. */
static void start_due(void)
{
    while (waiting_len && run.started < opt.warmup + opt.requests && due_at(run.started) <= now) {
        struct conn *c = waiting[--waiting_len];
        c->queued = false;
        conn_next(c);
    }
}

static void measure(uint64_t deadline)
{
    uint64_t all = opt.warmup + opt.requests;
    run.started = run.done = 0;
    now = rate_start = clock_ns();
    start_measuring();
    for (unsigned i = 0; i < opt.connections; i++)
        conn_next(&conns[i]);
    while (run.done < all && now < deadline && !stopped) {
        uint64_t until = deadline;
        if (opt.rate > 0 && waiting_len && run.started < all && due_at(run.started) < deadline)
            until = due_at(run.started);
        if (!wait_until(until, false))
            break;
        start_due();
    }
}

static void hold(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    /* A file or /dev/null cannot be watched and never closes: then only the time counts. */
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    printf("holding %llu\n", (unsigned long long)run.idle_open);
    fflush(stdout);
    uint64_t until = clock_ns() + (uint64_t)(opt.hold * 1e9);
    while (clock_ns() < until && wait_until(until, true))
        ;
}

/* ---- start ---- */

static void find_target(void)
{
    if (!strncmp(opt.connect, "unix:", 5)) {
        struct sockaddr_un *un = (struct sockaddr_un *)&target;
        un->sun_family = AF_UNIX;
        if (strlen(opt.connect + 5) >= sizeof un->sun_path)
            die("path too long: %s", opt.connect);
        strcpy(un->sun_path, opt.connect + 5);
        target_len = sizeof *un;
        return;
    }
    char host[256];
    const char *colon = strrchr(opt.connect, ':');
    if (!colon || colon - opt.connect >= (ptrdiff_t)sizeof host)
        die("no port in '%s'", opt.connect);
    size_t len = (size_t)(colon - opt.connect);
    bool brackets = len > 2 && opt.connect[0] == '[' && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(brackets ? len - 2 : len), opt.connect + brackets);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int err = getaddrinfo(host, colon + 1, &hints, &found);
    if (err)
        die("%s: %s", opt.connect, gai_strerror(err));
    memcpy(&target, found->ai_addr, found->ai_addrlen);
    target_len = found->ai_addrlen;
    freeaddrinfo(found);
}

static void build_batch(void)
{
    char head[sizeof opt.headers + 8192];
    bool is_unix = target.ss_family == AF_UNIX;
    int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s", opt.method, opt.path,
                     is_unix ? "localhost" : opt.connect, opt.headers,
                     opt.close ? "Connection: close\r\n" : "");
    if (n > 0 && n < (int)sizeof head && opt.body_size)
        n += snprintf(head + n, sizeof head - (size_t)n, "Content-Length: %zu\r\n", opt.body_size);
    if (n < 0 || n + 2 >= (int)sizeof head)
        die("request too long");
    memcpy(head + n, "\r\n", 2);
    size_t head_len = (size_t)n + 2;
    request_len = head_len + opt.body_size;
    batch = malloc(request_len * opt.depth);
    if (!batch)
        die("out of memory");
    for (unsigned i = 0; i < opt.depth; i++) {
        memcpy(batch + i * request_len, head, head_len);
        memset(batch + i * request_len + head_len, 'x', opt.body_size);
    }
}

static double number(const char *name, const char *text, double min, double max)
{
    char *end;
    double n = strtod(text, &end);
    if (end == text || *end || !(n >= min && n <= max))
        die("%s: not a number between %.0f and %.0f: %s", name, min, max, text);
    return n;
}

static void set_option(const char *name, const char *value)
{
    if (!strcmp(name, "--connect"))
        opt.connect = value;
    else if (!strcmp(name, "--method"))
        opt.method = value;
    else if (!strcmp(name, "--path"))
        opt.path = value;
    else if (!strcmp(name, "--connections"))
        opt.connections = (unsigned)number(name, value, 0, 1e6);
    else if (!strcmp(name, "--depth"))
        opt.depth = (unsigned)number(name, value, 1, 1e5);
    else if (!strcmp(name, "--idle"))
        opt.idle = (unsigned)number(name, value, 0, 1e6);
    else if (!strcmp(name, "--requests"))
        opt.requests = (uint64_t)number(name, value, 0, 1e12);
    else if (!strcmp(name, "--warmup"))
        opt.warmup = (uint64_t)number(name, value, 0, 1e12);
    else if (!strcmp(name, "--body-size"))
        opt.body_size = (size_t)number(name, value, 0, 1e9);
    else if (!strcmp(name, "--expect"))
        opt.expect = (int)number(name, value, 100, 599);
    else if (!strcmp(name, "--rate"))
        opt.rate = number(name, value, 0, 1e9);
    else if (!strcmp(name, "--hold"))
        opt.hold = number(name, value, 0, 1e6);
    else if (!strcmp(name, "--max-seconds"))
        opt.max_seconds = number(name, value, 0, 1e6);
    else if (!strcmp(name, "--header")) {
        size_t len = strlen(opt.headers);
        if (!strchr(value, ':') || len + strlen(value) + 3 > sizeof opt.headers)
            die("not a header, or too long: %s", value);
        snprintf(opt.headers + len, sizeof opt.headers - len, "%s\r\n", value);
    } else
        die("unknown option '%s' (--help lists them)", name);
}

static void read_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help")) {
            fputs(usage, stdout);
            exit(0);
        }
        if (!strcmp(argv[i], "--close"))
            opt.close = true;
        else if (i + 1 < argc) {
            set_option(argv[i], argv[i + 1]);
            i++;
        } else
            die("unknown option or no value: '%s' (--help lists them)", argv[i]);
    }
    if (!opt.connect)
        die("where to? --connect HOST:PORT");
    if (!opt.connections)
        opt.requests = opt.warmup = 0;
    if (opt.depth > 1 && (opt.close || opt.rate > 0))
        die("--depth goes with neither --close nor --rate");
    if (opt.close && (opt.rate > 0 || opt.idle))
        die("--close goes with neither --rate nor --idle");
}

static void raise_limits(void)
{
    rlim_t want = (rlim_t)opt.connections + opt.idle + 64;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur >= want)
        return;
    if (files.rlim_max < want)
        files.rlim_max = want; /* only root may; others hear about it below */
    files.rlim_cur = want;
    if (setrlimit(RLIMIT_NOFILE, &files))
        die("%u connections need 'ulimit -n %llu'", opt.connections + opt.idle,
            (unsigned long long)want);
}

static uint64_t print_result(void)
{
    double seconds = run.last > run.first ? (double)(run.last - run.first) / 1e9 : 0;
    uint64_t errors = run.failed_connect + run.failed_io + run.failed_status + run.failed_parse;
    bool complete = run.done == opt.warmup + opt.requests;
    printf("{\"requests\":%llu,\"seconds\":%.6f,\"rps\":%.1f,\"bytes\":%llu,\"body_bytes\":%llu,",
           (unsigned long long)run.requests, seconds,
           seconds > 0 ? (double)run.requests / seconds : 0, (unsigned long long)run.bytes,
           (unsigned long long)run.body_bytes);
    printf("\"complete\":%s,\"errors\":%llu,\"errors_connect\":%llu,\"errors_io\":%llu,"
           "\"errors_status\":%llu,\"errors_parse\":%llu,",
           complete ? "true" : "false", (unsigned long long)errors,
           (unsigned long long)run.failed_connect, (unsigned long long)run.failed_io,
           (unsigned long long)run.failed_status, (unsigned long long)run.failed_parse);
    printf("\"connects\":%llu,\"reopened\":%llu,\"retried\":%llu,\"idle\":%llu,\"idle_lost\":%llu,",
           (unsigned long long)run.connects, (unsigned long long)run.reopened,
           (unsigned long long)run.retried, (unsigned long long)run.idle_open,
           (unsigned long long)run.idle_lost);
    printf("\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f}\n",
           latency_us(&latency, 0.5), latency_us(&latency, 0.9), latency_us(&latency, 0.99),
           latency_us(&latency, 0.999), (double)latency.max / 1000);
    fflush(stdout);
    return errors + run.idle_lost;
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    raise_limits();
    find_target();
    build_batch();
    prctl(PR_SET_TIMERSLACK, 1L); /* --rate waits for microseconds */
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = on_signal}, NULL);

    size_t count = (size_t)opt.connections + opt.idle;
    conns = calloc(count ? count : 1, sizeof *conns);
    waiting = calloc(opt.connections ? opt.connections : 1, sizeof *waiting);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!conns || !waiting || epoll_fd < 0)
        die("out of memory");
    for (size_t i = 0; i < count; i++)
        conns[i].fd = -1;

    now = clock_ns();
    uint64_t deadline = now + (uint64_t)(opt.max_seconds * 1e9);
    run.started = opt.warmup + opt.requests; /* nothing to send until measure() says so */
    open_idle(deadline);
    if (!opt.close)
        open_senders(deadline);
    measure(deadline);
    if (opt.hold > 0)
        hold();
    bool gave_up = run.done < opt.warmup + opt.requests;
    uint64_t errors = print_result();
    return gave_up ? 3 : errors ? 1 : 0;
}
