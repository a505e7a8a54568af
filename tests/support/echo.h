/* A server that answers with what it has understood: for wire scripts and fuzzing. */
#ifndef SVL_TESTS_ECHO_H
#define SVL_TESTS_ECHO_H

#include "serval/serval.h"

/* The limits are small, so that a test can reach them: body 5000, the rest as by default.
 *
 * Every request is answered with 200 and lines of text, all but printable ASCII as \xNN:
 *     GET /path        method and decoded path
 *     query: a=b       without a query: query -
 *     host: x
 *     body(5): hello
 *     Name: value      each field, in order
 *
 * Some first segments do something else. Those with (e) answer before the body was read.
 *     /early (e)       200 "early"
 *     /status/204 (e)  that status, no body
 *     /error (e)       a module that fails
 *     /close           says that this is the last answer
 *     /chunks, /source a pull source of unknown, of known length: "one two three "
 *     /late            the same, but the first pull has nothing yet
 *     /short           a source that ends before its length
 *     /big?123         that many bytes of 'b'
 *     /redirect?to     302, Location from the unescaped query
 *     /field?value     the unescaped query as field X-Value, if it is allowed */
extern const struct svl_server_config echo_config;

/* The sources of /late go on. */
void echo_more(void);

/* How many requests were carried inwards, and how many of them were done with. */
extern unsigned echo_begun, echo_done;

#endif
