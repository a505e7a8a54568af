#include "net/resolve.h"

#include "base/check.h"
#include "net/listener.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <uv.h>

#define KEEP_FAILED_MS 1000 /* so that a name that does not exist is not asked for by every call */
#define MAX_NAME 255

struct name {
    struct svl_list link;    /* svl_resolver::names */
    struct svl_list waiting; /* svl_lookup::link, while it is looked up */
    uv_getaddrinfo_t request;
    struct svl_resolver *resolver; /* NULL = it is gone */
    struct svl_worker *worker;
    bool busy;
    int error;
    uint64_t until; /* ms of the loop */
    struct svl_addresses found;
    char text[MAX_NAME + 1];
};

void svl_resolver_init(struct svl_resolver *r, struct svl_worker *w, unsigned keep_ms,
                       bool ipv4_only)
{
    *r = (struct svl_resolver){.worker = w, .keep_ms = keep_ms, .ipv4_only = ipv4_only};
    svl_list_init(&r->names);
}

static void drop(struct name *name)
{
    svl_list_remove(&name->link);
    name->resolver->n--;
    if (!name->busy) {
        free(name);
        return;
    }
    while (!svl_list_empty(&name->waiting))
        svl_list_remove(name->waiting.next);
    name->resolver = NULL;
    uv_cancel((uv_req_t *)&name->request);
}

void svl_resolver_finish(struct svl_resolver *r)
{
    while (!svl_list_empty(&r->names))
        drop(svl_container(r->names.next, struct name, link));
}

void svl_resolver_forget(struct svl_resolver *r)
{
    for (struct svl_list *at = r->names.next, *next; at != &r->names; at = next) {
        struct name *name = svl_container(at, struct name, link);

        next = at->next;
        if (!name->busy)
            drop(name);
    }
}

/* Takes the first of `from` with that family, or of any, out of the list. */
static bool take(struct svl_address *from, unsigned *n, uint8_t family, struct svl_address *to)
{
    for (unsigned i = 0; i < *n; i++) {
        if (family && from[i].family != family)
            continue;
        *to = from[i];
        --*n;
        memmove(from + i, from + i + 1, (*n - i) * sizeof *from);
        return true;
    }
    return false;
}

/* So that one family that does not work costs one attempt, not all of them (RFC 8305 4). */
static void interleave(struct svl_addresses *addresses)
{
    struct svl_address from[SVL_MAX_ADDRESSES];
    unsigned left = addresses->n;
    uint8_t family = 0;

    memcpy(from, addresses->at, left * sizeof *from);
    for (unsigned i = 0; i < addresses->n; i++) {
        if (!take(from, &left, family, &addresses->at[i]))
            take(from, &left, 0, &addresses->at[i]);
        family = addresses->at[i].family == AF_INET6 ? AF_INET : AF_INET6;
    }
}

static void collect(struct svl_addresses *found, const struct addrinfo *at)
{
    found->n = 0;
    for (; at && found->n < SVL_MAX_ADDRESSES; at = at->ai_next) {
        struct sockaddr_storage from = {0};

        if (at->ai_family != AF_INET && at->ai_family != AF_INET6)
            continue;
        memcpy(&from, at->ai_addr, at->ai_addrlen);
        svl_address_from(&found->at[found->n++], &from);
    }
    interleave(found);
}

static void tell(struct name *name)
{
    struct svl_list waiting;

    /* Who is told may ask for names, and for this one to be forgotten. */
    struct svl_addresses found = name->found;
    int error = name->error;

    svl_list_init(&waiting);
    while (!svl_list_empty(&name->waiting)) {
        struct svl_list *first = name->waiting.next;

        svl_list_remove(first);
        svl_list_append(&waiting, first);
    }
    while (!svl_list_empty(&waiting)) {
        struct svl_lookup *lookup = svl_container(waiting.next, struct svl_lookup, link);

        svl_list_remove(&lookup->link);
        lookup->done(lookup, error, error ? NULL : &found);
    }
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct name *name = svl_container(request, struct name, request);
    struct svl_resolver *r = name->resolver;

    name->busy = false;
    svl_worker_job_done(name->worker);
    if (r) {
        name->error = status;
        if (status == 0)
            collect(&name->found, found);
        if (status == 0 && name->found.n == 0)
            name->error = UV_EAI_NODATA;
        name->until = svl_now_ms(r->worker) + (name->error ? KEEP_FAILED_MS : r->keep_ms);
        tell(name);
    } else {
        free(name);
    }
    uv_freeaddrinfo(found);
}

static struct name *find(struct svl_resolver *r, svl_str host)
{
    for (struct svl_list *at = r->names.prev; at != &r->names; at = at->prev) {
        struct name *name = svl_container(at, struct name, link);

        if (svl_str_ieq(svl_str_of(name->text), host))
            return name;
    }
    return NULL;
}

static void make_room(struct svl_resolver *r)
{
    for (struct svl_list *at = r->names.next; r->n >= SVL_MAX_NAMES && at != &r->names;) {
        struct name *name = svl_container(at, struct name, link);

        at = at->next;
        if (!name->busy)
            drop(name);
    }
}

static struct name *add(struct svl_resolver *r, svl_str host)
{
    struct name *name = svl_calloc(sizeof *name);

    make_room(r);
    name->resolver = r;
    name->worker = r->worker;
    svl_list_init(&name->waiting);
    svl_str_copy(name->text, sizeof name->text, host);
    svl_list_append(&r->names, &name->link);
    r->n++;
    return name;
}

static void look_up(struct name *name)
{
    struct svl_resolver *r = name->resolver;
    struct addrinfo hints = {.ai_family = r->ipv4_only ? AF_INET : AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_ADDRCONFIG};
    int err = UV_EAGAIN;

    if (svl_worker_has_threads())
        err = uv_getaddrinfo(r->worker->loop, &name->request, on_found, name->text, NULL, &hints);
    name->busy = err == 0;
    r->worker->jobs += name->busy;
    if (err) {
        name->error = err;
        tell(name);
    }
}

static void add_address(struct svl_addresses *to, int family, const void *ip)
{
    struct svl_address *address = &to->at[to->n++];

    *address = (struct svl_address){.family = (uint8_t)family};
    memcpy(address->ip, ip, family == AF_INET ? 4 : 16);
}

/* What needs no look-up: addresses, and the name that always means this machine (RFC 6761 6.3). */
static bool known(svl_str host, bool ipv4_only, struct svl_addresses *to)
{
    bool bracket = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    char text[INET6_ADDRSTRLEN];
    struct in6_addr ip;

    to->n = 0;
    if (svl_str_ieq(host, SVL_STR("localhost"))) {
        add_address(to, AF_INET, &(struct in_addr){htonl(INADDR_LOOPBACK)});
        if (!ipv4_only)
            add_address(to, AF_INET6, &in6addr_loopback);
        return true;
    }
    if (bracket)
        host = (svl_str){host.p + 1, host.n - 2};
    if (svl_str_copy(text, sizeof text, host) >= sizeof text)
        return false;
    if (!bracket && inet_pton(AF_INET, text, &ip) == 1)
        add_address(to, AF_INET, &ip);
    else if (inet_pton(AF_INET6, text, &ip) == 1)
        add_address(to, AF_INET6, &ip);
    return to->n > 0;
}

void svl_resolve(struct svl_resolver *r, svl_str host, struct svl_lookup *lookup)
{
    struct svl_addresses found;
    struct name *name;

    if (known(host, r->ipv4_only, &found)) {
        lookup->done(lookup, 0, &found);
        return;
    }
    if (host.n == 0 || host.n > MAX_NAME) {
        lookup->done(lookup, UV_EAI_NONAME, NULL);
        return;
    }
    name = find(r, host);
    if (!name)
        name = add(r, host);
    svl_list_remove(&name->link);
    svl_list_append(&r->names, &name->link);
    svl_list_append(&name->waiting, &lookup->link);
    if (name->busy)
        return;
    if (svl_now_ms(r->worker) < name->until)
        tell(name);
    else
        look_up(name);
}
