/* The options of MHD_start_daemon(): as arguments, or in arrays. */
#include "daemon.h"

#include <stdint.h>

/* One option: a number, or one or two pointers, of which the first may be in `value`. */
struct option {
    enum MHD_OPTION name;
    intptr_t value;
    void *pointer;
};

static bool read_array(struct options *o, struct MHD_Daemon *d, const struct MHD_OptionItem *items);

/* For TLS, which serval does not speak: libmicrohttpd ignores them for daemons without it. */
static bool ignored(const struct MHD_Daemon *d, enum MHD_OPTION name)
{
    mhd_log(d, "option %d is for TLS, and ignored", (int)name);
    return true;
}

static bool take(struct options *o, struct MHD_Daemon *d, const struct option *option)
{
    intptr_t value = option->value;
    void *pointer = option->pointer;

    switch (option->name) {
    case MHD_OPTION_CONNECTION_MEMORY_LIMIT: d->memory = (size_t)value; return true;
    case MHD_OPTION_CONNECTION_LIMIT: o->connections = (unsigned)value; return true;
    case MHD_OPTION_CONNECTION_TIMEOUT: d->timeout_s = (unsigned)value; return true;
    case MHD_OPTION_NOTIFY_COMPLETED:
        d->app.completed = (MHD_RequestCompletedCallback)value;
        d->app.completed_cls = pointer;
        return true;
    case MHD_OPTION_NOTIFY_CONNECTION:
        d->notify = (MHD_NotifyConnectionCallback)value;
        d->notify_cls = pointer;
        return true;
    case MHD_OPTION_PER_IP_CONNECTION_LIMIT: o->per_address = (unsigned)value; return true;
    case MHD_OPTION_SOCK_ADDR: o->address = pointer; return true;
    case MHD_OPTION_URI_LOG_CALLBACK:
        d->log_uri = (void *(*)(void *, const char *, struct MHD_Connection *))value;
        d->log_uri_cls = pointer;
        return true;
    case MHD_OPTION_LISTEN_SOCKET: o->listen_fd = (int)value; return true;
    case MHD_OPTION_EXTERNAL_LOGGER:
        d->log = (MHD_LogCallback)value;
        d->log_cls = pointer;
        return true;
    case MHD_OPTION_THREAD_POOL_SIZE: o->threads = (unsigned)value; return true;
    case MHD_OPTION_ARRAY: return read_array(o, d, pointer);
    case MHD_OPTION_UNESCAPE_CALLBACK:
        d->unescape = (size_t(*)(void *, struct MHD_Connection *, char *))value;
        d->unescape_cls = pointer;
        return true;
    case MHD_OPTION_DIGEST_AUTH_RANDOM:
        d->nonces.seed_len = (size_t)value;
        d->nonces.seed = pointer;
        return true;
    case MHD_OPTION_NONCE_NC_SIZE: d->nonces.n = (unsigned)value; return true;
    case MHD_OPTION_THREAD_STACK_SIZE: o->stack_size = (size_t)value; return true;
    case MHD_OPTION_LISTEN_BACKLOG_SIZE: o->backlog = (unsigned)value; return true;
    case MHD_OPTION_TCP_FASTOPEN_QUEUE_SIZE: o->fastopen = (unsigned)value; return true;
    case MHD_OPTION_LISTENING_ADDRESS_REUSE: o->reuse = value != 0; return true;
    case MHD_OPTION_CONNECTION_MEMORY_INCREMENT: /* memory grows as it is needed */
    case MHD_OPTION_STRICT_FOR_CLIENT:           /* serval always is */
    case MHD_OPTION_SERVER_INSANITY:             /* and knows none of these */
    case MHD_OPTION_SIGPIPE_HANDLED_BY_APP:      /* no write of ours raises it */
    case MHD_OPTION_TLS_NO_ALPN: return true;
    case MHD_OPTION_HTTPS_MEM_KEY:
    case MHD_OPTION_HTTPS_MEM_CERT:
    case MHD_OPTION_HTTPS_MEM_TRUST:
    case MHD_OPTION_HTTPS_MEM_DHPARAMS:
    case MHD_OPTION_HTTPS_PRIORITIES:
    case MHD_OPTION_HTTPS_CRED_TYPE:
    case MHD_OPTION_HTTPS_KEY_PASSWORD:
    case MHD_OPTION_HTTPS_CERT_CALLBACK:
    case MHD_OPTION_HTTPS_CERT_CALLBACK2:
    case MHD_OPTION_GNUTLS_PSK_CRED_HANDLER: return ignored(d, option->name);
    case MHD_OPTION_END: break;
    }
    mhd_log(d, "option %d is not known", (int)option->name);
    return false;
}

static bool read_array(struct options *o, struct MHD_Daemon *d, const struct MHD_OptionItem *items)
{
    for (; items->option != MHD_OPTION_END; items++) {
        struct option option = {items->option, items->value, items->ptr_value};

        if (!take(o, d, &option))
            return false;
    }
    return true;
}

bool mhd_options_read(struct options *o, struct MHD_Daemon *d, va_list args)
{
    struct option option = {0};

    while ((option.name = va_arg(args, enum MHD_OPTION)) != MHD_OPTION_END) {
        option.value = 0;
        option.pointer = NULL;
        switch (option.name) {
        case MHD_OPTION_CONNECTION_MEMORY_LIMIT:
        case MHD_OPTION_CONNECTION_MEMORY_INCREMENT:
        case MHD_OPTION_THREAD_STACK_SIZE: option.value = (intptr_t)va_arg(args, size_t); break;
        case MHD_OPTION_CONNECTION_LIMIT:
        case MHD_OPTION_CONNECTION_TIMEOUT:
        case MHD_OPTION_PER_IP_CONNECTION_LIMIT:
        case MHD_OPTION_THREAD_POOL_SIZE:
        case MHD_OPTION_NONCE_NC_SIZE:
        case MHD_OPTION_TCP_FASTOPEN_QUEUE_SIZE:
        case MHD_OPTION_LISTENING_ADDRESS_REUSE:
        case MHD_OPTION_LISTEN_BACKLOG_SIZE:
        case MHD_OPTION_SERVER_INSANITY: option.value = (intptr_t)va_arg(args, unsigned); break;
        case MHD_OPTION_LISTEN_SOCKET:
        case MHD_OPTION_STRICT_FOR_CLIENT:
        case MHD_OPTION_HTTPS_CRED_TYPE:
        case MHD_OPTION_SIGPIPE_HANDLED_BY_APP:
        case MHD_OPTION_TLS_NO_ALPN: option.value = va_arg(args, int); break;
        case MHD_OPTION_DIGEST_AUTH_RANDOM:
            option.value = (intptr_t)va_arg(args, size_t);
            option.pointer = va_arg(args, void *);
            break;
        case MHD_OPTION_NOTIFY_COMPLETED:
        case MHD_OPTION_NOTIFY_CONNECTION:
        case MHD_OPTION_URI_LOG_CALLBACK:
        case MHD_OPTION_EXTERNAL_LOGGER:
        case MHD_OPTION_UNESCAPE_CALLBACK:
        case MHD_OPTION_GNUTLS_PSK_CRED_HANDLER:
            option.value = (intptr_t)va_arg(args, void *);
            option.pointer = va_arg(args, void *);
            break;
        default: option.pointer = va_arg(args, void *); break;
        }
        if (!take(o, d, &option))
            return false;
    }
    return true;
}
