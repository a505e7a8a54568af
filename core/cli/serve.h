/* What the command without a name does: opens a server for a folder, says so, runs it. Knows the
 * server and no module; main.c says which modules there are. */
#ifndef SVL_CLI_SERVE_H
#define SVL_CLI_SERVE_H

#include "cli/cli.h"

#include "serval/server.h"

struct svl_serving {
    struct svl_server_config config;
    const char *const *listen; /* addresses in the words of the config; NULL = 127.0.0.1:8080 */
    const char *dir;
    const char
        *what; /* for people, behind the folder: "listing on, dotfiles hidden"; NULL = nothing */
    bool quiet;
};

/* Options of `listen`. */
svl_take_fn svl_take_listen, svl_take_port, svl_take_public;

/* Ends the program with one line if `dir` is no folder that can be read. */
void svl_cli_check_folder(const struct svl_program *program, const char *dir);

/* Returns the exit status. On a terminal, and without an address given, the next free port is taken. */
int svl_cli_serve(const struct svl_program *program, struct svl_serving *serving);

/* Takers for the lists of modules' configs (modules.c); `to` is the address of the list. Without the
 * module they are not there. */
svl_take_fn svl_take_header, svl_take_type, svl_take_error_page, svl_take_cache;
/* --modules: lists them, and ends the program. */
svl_take_fn svl_take_show_modules;

#endif
