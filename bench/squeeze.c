/* Files of a folder, compressed anew for each request: what compressing itself costs. */

#include <serval/mod/compress.h>
#include <serval/mod/fs.h>
#include <serval/serval.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct svl_server_config config = {.listen = {"127.0.0.1:8080"}};
    const char *codings = "gzip", *root = ".";
    int level = 0;

    for (int i = 1; i < argc; i += 2) {
        const char *value = argv[i + 1];

        if (value && !strcmp(argv[i], "--listen")) {
            config.listen[0] = value;
        } else if (value && !strcmp(argv[i], "--workers")) {
            config.workers = (unsigned)atoi(value);
        } else if (value && !strcmp(argv[i], "--coding")) {
            codings = value;
        } else if (value && !strcmp(argv[i], "--level")) {
            level = atoi(value);
        } else if (value && !strcmp(argv[i], "--root")) {
            root = value;
        } else {
            fprintf(stderr, "usage: squeeze [--listen ADDR] [--workers N] [--root DIR] "
                            "[--coding LIST] [--level N]\n");
            return 2;
        }
    }
    config.chain = (const struct svl_use[]){
        SVL_USE(compress, .codings = codings, .no_cache = true, .gzip_level = level,
                .br_level = level, .zstd_level = level),
        SVL_USE(fs, .root = root),
        SVL_USE_END,
    };
    return svl_serve(&config);
}
