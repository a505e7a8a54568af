/* evhttp: callbacks written for libevent's evhttp run on serval. A program includes this header instead of
 * <event2/http.h>, which comes with it, and links libserval-evhttp: the calls below are serval's then, all
 * others (URIs, headers, queries, buffers, the client) stay libevent's own. docs/gateway.md has the table
 * of what is kept, what differs and what is refused.
 *
 * A request may be answered in its callback or later, on the thread of its loop. It is valid until it
 * has been answered completely, also when its client has gone meanwhile: then answering just ends it. But
 * a close callback that is called in the middle of an answer has ended it, as with libevent. */
#ifndef SVL_MOD_EVHTTP_H
#define SVL_MOD_EVHTTP_H

#include <event2/buffer.h>
#include <event2/http.h>

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_EVHTTP
#error "evhttp is not built in: cmake -DSVL_MODULE_EVHTTP=ON, with libevent-dev"
#endif

typedef void svl_evhttp_fn(struct evhttp_request *req, void *arg);

/* In a chain: all requests that get there go to the callback, with their whole body. */
struct svl_evhttp_config {
    svl_evhttp_fn *callback;
    void *arg;
};

extern const struct svl_module svl_evhttp_module;

#define svl_evhttp(callback, arg) SVL_USE(evhttp, callback, arg)

/* Servers, on an event base of libevent's: one loop, one thread. */
struct evhttp *svl_evhttp_new(struct event_base *base);
void svl_evhttp_free(struct evhttp *http);
int svl_evhttp_bind_socket(struct evhttp *http, const char *address, uint16_t port);
struct evhttp_bound_socket *svl_evhttp_bind_socket_with_handle(struct evhttp *http,
                                                               const char *address, uint16_t port);
int svl_evhttp_accept_socket(struct evhttp *http, evutil_socket_t fd);
struct evhttp_bound_socket *svl_evhttp_accept_socket_with_handle(struct evhttp *http,
                                                                 evutil_socket_t fd);
evutil_socket_t svl_evhttp_bound_socket_get_fd(struct evhttp_bound_socket *bound);
void svl_evhttp_del_accept_socket(struct evhttp *http, struct evhttp_bound_socket *bound);
int svl_evhttp_set_cb(struct evhttp *http, const char *path, svl_evhttp_fn *callback, void *arg);
int svl_evhttp_del_cb(struct evhttp *http, const char *path);
void svl_evhttp_set_gencb(struct evhttp *http, svl_evhttp_fn *callback, void *arg);
void svl_evhttp_set_timeout(struct evhttp *http, int seconds);
void svl_evhttp_set_timeout_tv(struct evhttp *http, const struct timeval *time);
void svl_evhttp_set_max_headers_size(struct evhttp *http, ev_ssize_t bytes);
void svl_evhttp_set_max_body_size(struct evhttp *http, ev_ssize_t bytes);
void svl_evhttp_set_allowed_methods(struct evhttp *http, ev_uint16_t methods);
void svl_evhttp_set_default_content_type(struct evhttp *http, const char *type);

/* Requests. */
const char *svl_evhttp_request_get_uri(const struct evhttp_request *req);
const struct evhttp_uri *svl_evhttp_request_get_evhttp_uri(const struct evhttp_request *req);
enum evhttp_cmd_type svl_evhttp_request_get_command(const struct evhttp_request *req);
int svl_evhttp_request_get_response_code(const struct evhttp_request *req);
struct evkeyvalq *svl_evhttp_request_get_input_headers(struct evhttp_request *req);
struct evkeyvalq *svl_evhttp_request_get_output_headers(struct evhttp_request *req);
struct evbuffer *svl_evhttp_request_get_input_buffer(struct evhttp_request *req);
struct evbuffer *svl_evhttp_request_get_output_buffer(struct evhttp_request *req);
const char *svl_evhttp_request_get_host(struct evhttp_request *req);
struct evhttp_connection *svl_evhttp_request_get_connection(struct evhttp_request *req);
void svl_evhttp_request_own(struct evhttp_request *req);
int svl_evhttp_request_is_owned(struct evhttp_request *req);
void svl_evhttp_request_free(struct evhttp_request *req);
void svl_evhttp_request_set_on_complete_cb(struct evhttp_request *req, svl_evhttp_fn *callback,
                                           void *arg);
struct svl_ctx *svl_evhttp_ctx(struct evhttp_request *req); /* NULL when its client has gone */

/* Connections: valid as long as the request that they were asked from. */
void svl_evhttp_connection_get_peer(struct evhttp_connection *con, char **address,
                                    ev_uint16_t *port);
struct event_base *svl_evhttp_connection_get_base(struct evhttp_connection *con);
void svl_evhttp_connection_set_closecb(struct evhttp_connection *con,
                                       void (*callback)(struct evhttp_connection *con, void *arg),
                                       void *arg);

/* Answers. */
void svl_evhttp_send_error(struct evhttp_request *req, int code, const char *reason);
void svl_evhttp_send_reply(struct evhttp_request *req, int code, const char *reason,
                           struct evbuffer *body);
void svl_evhttp_send_reply_start(struct evhttp_request *req, int code, const char *reason);
void svl_evhttp_send_reply_chunk(struct evhttp_request *req, struct evbuffer *bytes);
void svl_evhttp_send_reply_chunk_with_cb(struct evhttp_request *req, struct evbuffer *bytes,
                                         void (*callback)(struct evhttp_connection *con, void *arg),
                                         void *arg);
void svl_evhttp_send_reply_end(struct evhttp_request *req);

#ifndef SVL_EVHTTP_OWN_NAMES /* the library itself needs both */
#define evhttp_new svl_evhttp_new
#define evhttp_free svl_evhttp_free
#define evhttp_bind_socket svl_evhttp_bind_socket
#define evhttp_bind_socket_with_handle svl_evhttp_bind_socket_with_handle
#define evhttp_accept_socket svl_evhttp_accept_socket
#define evhttp_accept_socket_with_handle svl_evhttp_accept_socket_with_handle
#define evhttp_bound_socket_get_fd svl_evhttp_bound_socket_get_fd
#define evhttp_del_accept_socket svl_evhttp_del_accept_socket
#define evhttp_set_cb svl_evhttp_set_cb
#define evhttp_del_cb svl_evhttp_del_cb
#define evhttp_set_gencb svl_evhttp_set_gencb
#define evhttp_set_timeout svl_evhttp_set_timeout
#define evhttp_set_timeout_tv svl_evhttp_set_timeout_tv
#define evhttp_set_max_headers_size svl_evhttp_set_max_headers_size
#define evhttp_set_max_body_size svl_evhttp_set_max_body_size
#define evhttp_set_allowed_methods svl_evhttp_set_allowed_methods
#define evhttp_set_default_content_type svl_evhttp_set_default_content_type
#define evhttp_request_get_uri svl_evhttp_request_get_uri
#define evhttp_request_get_evhttp_uri svl_evhttp_request_get_evhttp_uri
#define evhttp_request_get_command svl_evhttp_request_get_command
#define evhttp_request_get_response_code svl_evhttp_request_get_response_code
#define evhttp_request_get_input_headers svl_evhttp_request_get_input_headers
#define evhttp_request_get_output_headers svl_evhttp_request_get_output_headers
#define evhttp_request_get_input_buffer svl_evhttp_request_get_input_buffer
#define evhttp_request_get_output_buffer svl_evhttp_request_get_output_buffer
#define evhttp_request_get_host svl_evhttp_request_get_host
#define evhttp_request_get_connection svl_evhttp_request_get_connection
#define evhttp_request_own svl_evhttp_request_own
#define evhttp_request_is_owned svl_evhttp_request_is_owned
#define evhttp_request_free svl_evhttp_request_free
#define evhttp_request_set_on_complete_cb svl_evhttp_request_set_on_complete_cb
#define evhttp_connection_get_peer svl_evhttp_connection_get_peer
#define evhttp_connection_get_base svl_evhttp_connection_get_base
#define evhttp_connection_set_closecb svl_evhttp_connection_set_closecb
#define evhttp_send_error svl_evhttp_send_error
#define evhttp_send_reply svl_evhttp_send_reply
#define evhttp_send_reply_start svl_evhttp_send_reply_start
#define evhttp_send_reply_chunk svl_evhttp_send_reply_chunk
#define evhttp_send_reply_chunk_with_cb svl_evhttp_send_reply_chunk_with_cb
#define evhttp_send_reply_end svl_evhttp_send_reply_end
#endif

#endif
