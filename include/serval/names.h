/* The names of HTTP that the program knows by number: methods, header fields, statuses. Each list
 * stands here once; enums, parsers and printers are made from it. */
#ifndef SVL_NAMES_H
#define SVL_NAMES_H

#include "serval/str.h"

/* Methods (RFC 9110 9, RFC 5789). Others reach a handler as SVL_METHOD_OTHER with their text. */
#define SVL_METHOD_MAP(X)                                                                          \
    X(GET)                                                                                         \
    X(HEAD)                                                                                        \
    X(POST)                                                                                        \
    X(PUT)                                                                                         \
    X(DELETE)                                                                                      \
    X(CONNECT)                                                                                     \
    X(OPTIONS)                                                                                     \
    X(TRACE)                                                                                       \
    X(PATCH)                                                                                       \
    X(PROPFIND)                                                                                    \
    X(PROPPATCH)                                                                                   \
    X(MKCOL)                                                                                       \
    X(COPY)                                                                                        \
    X(MOVE)                                                                                        \
    X(LOCK)                                                                                        \
    X(UNLOCK)                                                                                      \
    X(SEARCH)                                                                                      \
    X(REPORT)                                                                                      \
    X(PURGE)                                                                                       \
    X(LINK)                                                                                        \
    X(UNLINK)                                                                                      \
    X(QUERY)

enum svl_method {
    SVL_METHOD_OTHER,
#define X(name) SVL_##name,
    SVL_METHOD_MAP(X)
#undef X
        SVL_METHOD_COUNT
};

/* Header fields, shortest name first (the lookup relies on it), then in any order. */
#define SVL_HEADER_MAP(X)                                                                          \
    X(TE, "TE")                                                                                    \
    X(AGE, "Age")                                                                                  \
    X(DNT, "DNT")                                                                                  \
    X(VIA, "Via")                                                                                  \
    X(DATE, "Date")                                                                                \
    X(ETAG, "ETag")                                                                                \
    X(FROM, "From")                                                                                \
    X(HOST, "Host")                                                                                \
    X(LINK, "Link")                                                                                \
    X(VARY, "Vary")                                                                                \
    X(ALLOW, "Allow")                                                                              \
    X(RANGE, "Range")                                                                              \
    X(ACCEPT, "Accept")                                                                            \
    X(COOKIE, "Cookie")                                                                            \
    X(EXPECT, "Expect")                                                                            \
    X(ORIGIN, "Origin")                                                                            \
    X(PRAGMA, "Pragma")                                                                            \
    X(SERVER, "Server")                                                                            \
    X(ALT_SVC, "Alt-Svc")                                                                          \
    X(EXPIRES, "Expires")                                                                          \
    X(REFERER, "Referer")                                                                          \
    X(TRAILER, "Trailer")                                                                          \
    X(UPGRADE, "Upgrade")                                                                          \
    X(WARNING, "Warning")                                                                          \
    X(IF_MATCH, "If-Match")                                                                        \
    X(IF_RANGE, "If-Range")                                                                        \
    X(LOCATION, "Location")                                                                        \
    X(PRIORITY, "Priority")                                                                        \
    X(FORWARDED, "Forwarded")                                                                      \
    X(CONNECTION, "Connection")                                                                    \
    X(KEEP_ALIVE, "Keep-Alive")                                                                    \
    X(SET_COOKIE, "Set-Cookie")                                                                    \
    X(USER_AGENT, "User-Agent")                                                                    \
    X(RETRY_AFTER, "Retry-After")                                                                  \
    X(CONTENT_TYPE, "Content-Type")                                                                \
    X(MAX_FORWARDS, "Max-Forwards")                                                                \
    X(X_REQUEST_ID, "X-Request-ID")                                                                \
    X(ACCEPT_RANGES, "Accept-Ranges")                                                              \
    X(AUTHORIZATION, "Authorization")                                                              \
    X(CACHE_CONTROL, "Cache-Control")                                                              \
    X(CONTENT_RANGE, "Content-Range")                                                              \
    X(IF_NONE_MATCH, "If-None-Match")                                                              \
    X(LAST_EVENT_ID, "Last-Event-ID")                                                              \
    X(LAST_MODIFIED, "Last-Modified")                                                              \
    X(ACCEPT_CHARSET, "Accept-Charset")                                                            \
    X(CONTENT_LENGTH, "Content-Length")                                                            \
    X(ACCEPT_ENCODING, "Accept-Encoding")                                                          \
    X(ACCEPT_LANGUAGE, "Accept-Language")                                                          \
    X(REFERRER_POLICY, "Referrer-Policy")                                                          \
    X(X_FORWARDED_FOR, "X-Forwarded-For")                                                          \
    X(X_FRAME_OPTIONS, "X-Frame-Options")                                                          \
    X(CONTENT_ENCODING, "Content-Encoding")                                                        \
    X(CONTENT_LANGUAGE, "Content-Language")                                                        \
    X(CONTENT_LOCATION, "Content-Location")                                                        \
    X(PROXY_CONNECTION, "Proxy-Connection")                                                        \
    X(WWW_AUTHENTICATE, "WWW-Authenticate")                                                        \
    X(X_FORWARDED_HOST, "X-Forwarded-Host")                                                        \
    X(IF_MODIFIED_SINCE, "If-Modified-Since")                                                      \
    X(SEC_WEBSOCKET_KEY, "Sec-WebSocket-Key")                                                      \
    X(TRANSFER_ENCODING, "Transfer-Encoding")                                                      \
    X(X_FORWARDED_PROTO, "X-Forwarded-Proto")                                                      \
    X(PROXY_AUTHENTICATE, "Proxy-Authenticate")                                                    \
    X(CONTENT_DISPOSITION, "Content-Disposition")                                                  \
    X(IF_UNMODIFIED_SINCE, "If-Unmodified-Since")                                                  \
    X(PROXY_AUTHORIZATION, "Proxy-Authorization")                                                  \
    X(SEC_WEBSOCKET_ACCEPT, "Sec-WebSocket-Accept")                                                \
    X(SEC_WEBSOCKET_VERSION, "Sec-WebSocket-Version")                                              \
    X(X_CONTENT_TYPE_OPTIONS, "X-Content-Type-Options")                                            \
    X(ACCESS_CONTROL_MAX_AGE, "Access-Control-Max-Age")                                            \
    X(SEC_WEBSOCKET_PROTOCOL, "Sec-WebSocket-Protocol")                                            \
    X(CONTENT_SECURITY_POLICY, "Content-Security-Policy")                                          \
    X(SEC_WEBSOCKET_EXTENSIONS, "Sec-WebSocket-Extensions")                                        \
    X(STRICT_TRANSPORT_SECURITY, "Strict-Transport-Security")                                      \
    X(UPGRADE_INSECURE_REQUESTS, "Upgrade-Insecure-Requests")                                      \
    X(ACCESS_CONTROL_ALLOW_ORIGIN, "Access-Control-Allow-Origin")                                  \
    X(ACCESS_CONTROL_ALLOW_HEADERS, "Access-Control-Allow-Headers")                                \
    X(ACCESS_CONTROL_ALLOW_METHODS, "Access-Control-Allow-Methods")                                \
    X(ACCESS_CONTROL_EXPOSE_HEADERS, "Access-Control-Expose-Headers")                              \
    X(ACCESS_CONTROL_REQUEST_METHOD, "Access-Control-Request-Method")                              \
    X(ACCESS_CONTROL_REQUEST_HEADERS, "Access-Control-Request-Headers")                            \
    X(ACCESS_CONTROL_ALLOW_CREDENTIALS, "Access-Control-Allow-Credentials")

enum svl_header_id {
    SVL_H_OTHER,
#define X(name, text) SVL_H_##name,
    SVL_HEADER_MAP(X)
#undef X
        SVL_H_COUNT
};

/* Any thread: the text of a method ("GET"; p is NULL for SVL_METHOD_OTHER) and back. */
svl_str svl_method_text(enum svl_method method);
enum svl_method svl_method_of(svl_str text);

/* Any thread: "Not Found" for 404; "Unknown Status" for what is not registered. */
svl_str svl_status_text(int status);

#endif
