/* What wget does, in one line that waits.
 *
 *     get http://127.0.0.1:8080/ */
#include "serval/serval.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct svl_reply *reply;
    int err = svl_http_get(argc > 1 ? argv[1] : "http://127.0.0.1:8080/", &reply);

    if (err)
        fprintf(stderr, "get: %s\n", reply->why);
    else
        fwrite(reply->body.p, 1, reply->body.n, stdout);
    err = err || reply->status >= 400;
    svl_reply_free(reply);
    return err;
}
