/* A site with programs: PHP scripts by a FastCGI server, CGI programs, files. docs/gateway.md.
 *
 *     gateway 127.0.0.1:8080 ~/site unix:/run/php/php8.2-fpm.sock
 */
#include <serval/features.h>
#include <serval/foreground.h>
#include <serval/serval.h>

#if SVL_HAVE_CGI && SVL_HAVE_FASTCGI && SVL_HAVE_FS
#include <serval/mod/cgi.h>
#include <serval/mod/fastcgi.h>
#include <serval/mod/fs.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    static const char *const index[] = {"index.php", NULL};
    struct svl_server *server;
    char programs[4096];

    if (argc < 3) {
        fputs("usage: gateway ADDRESS FOLDER [FASTCGI-SERVER]\n", stderr);
        return 2;
    }
    snprintf(programs, sizeof programs, "%s/cgi-bin", argv[2]);
    const struct svl_use chain[] = {
        SVL_USE(cgi, .root = programs),
        SVL_USE(fastcgi, .servers = {argc > 3 ? argv[3] : "127.0.0.1:9000"}, .root = argv[2],
                .suffix = ".php", .index = index),
        SVL_USE(fs, .root = argv[2]),
        SVL_USE_END,
    };
    if (svl_server_open(&server, &(struct svl_server_config){.listen = {argv[1]}, .chain = chain}))
        return 3;
    svl_server_foreground(server, &(struct svl_foreground){.title = "gateway"});
    svl_server_close(server);
    return 0;
}
#else
int main(void)
{
    return 0;
}
#endif
