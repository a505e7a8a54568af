/* serval in front of a FastCGI server: all requests go to it, over connections that are kept. */
#include <serval/mod/fastcgi.h>
#include <serval/serval.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct svl_fastcgi_config fastcgi = {.max_connections = 128};
    struct svl_server_config config = {.listen = {"127.0.0.1:8080"}};

    for (int i = 1; i < argc; i += 2) {
        const char *value = argv[i + 1];

        if (value && !strcmp(argv[i], "--listen")) {
            config.listen[0] = value;
        } else if (value && !strcmp(argv[i], "--workers")) {
            config.workers = (unsigned)atoi(value);
        } else if (value && !strcmp(argv[i], "--server")) {
            fastcgi.servers[0] = value;
        } else if (value && !strcmp(argv[i], "--keep")) {
            fastcgi.max_idle = (unsigned)atoi(value);
        } else {
            fputs("usage: fastcgi --server ADDR [--listen ADDR] [--workers N] [--keep N]\n",
                  stderr);
            return 2;
        }
    }
    config.chain = (const struct svl_use[]){{&svl_fastcgi_module, &fastcgi}, SVL_USE_END};
    return svl_serve(&config);
}
