/* Error numbers: libuv's UV_E* (and so -errno on Unix) are passed through, ours follow here. */
#ifndef SVL_ERROR_H
#define SVL_ERROR_H

#define SVL_ERROR_MAP(X)                                                                           \
    X(EBADADDR, -30001, "not an address to listen on")                                             \
    X(ECONFIG, -30002, "the configuration is wrong")                                               \
    X(EHEADER, -30003, "not a header name or value")                                               \
    X(ELIMIT, -30004, "over a limit")                                                              \
    X(ESYNTAX, -30005, "not well formed")                                                          \
    X(EGONE, -30006, "nobody waits for it any more")                                               \
    X(ESTATE, -30007, "not at this point of a request")                                            \
    X(ERESPONSE, -30008, "the response is not well formed")                                        \
    X(ECLOSED, -30009, "the connection was closed before the response was complete")               \
    X(EBUSY, -30010, "too many requests wait for a connection")                                    \
    X(EREDIRECT, -30011, "the redirect cannot be followed")                                        \
    X(ESCHEME, -30012, "this kind of URL is not supported")                                        \
    X(EPROXY, -30013, "the proxy has refused")                                                     \
    X(EBACKEND, -30014, "there is no back end")

enum svl_error {
#define X(name, number, text) SVL_##name = number,
    SVL_ERROR_MAP(X)
#undef X
};

/* Any thread: the text for a negative result. Static storage, never NULL. */
const char *svl_strerror(int error);

#endif
