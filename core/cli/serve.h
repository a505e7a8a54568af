/* What the command without a name does: opens a server for a folder, says so, runs it. Knows the
 * server and no module; main.c says which modules there are. */
#ifndef SVL_CLI_SERVE_H
#define SVL_CLI_SERVE_H

#include "cli/cli.h"

#include "serval/server.h"

struct svl_serving {
    struct svl_server_config config;
    const char *const *listen; /* addresses, as option --listen has them; NULL = the default */
    bool is_public;            /* ports, and the default, are for all interfaces */
    bool strict_port;          /* no other port when the default one is taken */
    const char *dir;           /* or a file, until svl_cli_find_folder() */
    const char *file;     /* the name of the only file of `dir` that is served; NULL = all are */
    const char *what;     /* for people, behind the folder: "listing on, dotfiles hidden" */
    const char *facts;    /* for people, in the last line: "cache revalidate" */
    const char *user;     /* to become when the sockets are open; NULL = nobody else */
    bool sandbox;         /* see serval/sandbox.h: what is served can be read, */
    const char *writes;   /* and the folder of this file written; NULL = none, */
    const char *fills[2]; /* and these folders; NULL = none */
    const char *pid_file; /* gets the process's number when the sockets are open; NULL = none */
    bool print_config;    /* instead of serving */
    bool quiet;
    bool verbose; /* level debug */
    bool open;    /* the browser */
    bool qr;      /* show the address as a QR code */
    int level;    /* of the program's own lines: enum svl_level */
};

/* Options of `listen`. */
svl_take_fn svl_take_listen, svl_take_port;

/* qr.c: a QR code for a terminal, with line ends; NULL if there is no libqrencode. */
const char *svl_cli_qr(const char *text);

/* keys.c: what happens when a key is pressed, on a thread of its own. A zeroed one ends the list. */
struct svl_key {
    char letter;
    void (*press)(void *arg);
};

/* Returns whether there is a terminal that has keys. Once in a process. */
bool svl_keys_start(const struct svl_key *keys, void *arg);
void svl_keys_stop(void);

/* One more of the facts. */
void svl_cli_add_fact(struct svl_serving *serving, const char *name, const char *value);

/* Of a file, makes its folder and its name. Ends the program with one line if `dir` is neither that nor
 * a folder that can be read. */
void svl_cli_find_folder(const struct svl_program *program, struct svl_serving *serving);

/* Returns the exit status. On a terminal, and without an address given, the next free port is taken. */
int svl_cli_serve(const struct svl_program *program, struct svl_serving *serving);

/* --log: one of the words, which stand in the order of enum svl_access_log_format with "off" behind them, or
 * a template, which has a '$' in it. */
struct svl_log_choice {
    int format; /* the place of the word */
    bool off;
    const char *template; /* NULL = none; `format` says nothing then */
};
svl_take_fn svl_take_log;

/* --no-color: as if NO_COLOR were set. */
svl_take_fn svl_take_no_color;

/* Takers for what is a module's own type (modules.c); `to` is the address of the config's field. Without
 * the module they are not there. */
svl_take_fn svl_take_header, svl_take_type, svl_take_error_page, svl_take_cache, svl_take_user,
    svl_take_users, svl_take_rate, svl_take_conflict;
/* --modules: lists them, and ends the program. */
svl_take_fn svl_take_show_modules;

#endif
