/* The program's command line, as tables. A command is one constant with one table of options; a row
 * says how the option is written, what it is for and where its value goes. Parsing, -h and --help,
 * the variables of the environment, the manual page and the completions of shells are all made from
 * the rows, so they cannot disagree. To add a command: core/cli/<name>.c with a struct svl_command,
 * named below and in main.c. See docs/decisions/030-one-table.md. */
#ifndef SVL_CLI_CLI_H
#define SVL_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct svl_option;
struct svl_program;

/* Files `value` (NULL for an option that takes none) where option->to points. Returns NULL, or what
 * is wrong and how to mend it: "not a port; give a number from 0 to 65535". `value` stays valid. */
typedef const char *svl_take_fn(const struct svl_option *option, const char *value);

/* A row with `group` alone is a heading over those that follow; a zeroed one ends the table. */
struct svl_option {
    const char *name;  /* "port" for --port */
    char letter;       /* 'p' for -p; 0 = none */
    const char *value; /* what the help calls its value; NULL = it takes none. Shells complete FILE
                          * and DIR as such. */
    const char *words; /* values it knows, with blanks between them, for help, check and shells */
    const char *initial; /* what holds if it is not given; NULL = nothing worth saying */
    const char *help;    /* begins in lower case, ends without a full stop; wrapped where shown */
    bool common;         /* also in -h, which fits a small screen: the help up to its first ';' */
    bool repeat;         /* may be given more than once; otherwise the last one counts */
    bool no_env;         /* has no variable in the environment */
    bool secret;         /* what follows the first ':' of its value is not shown */

    svl_take_fn *take;
    void *to;
    uint64_t min, max;   /* numbers, times and sizes: bounds, if max > 0 */
    const char *missing; /* the module it belongs to, which is not built in: it is refused */

    const char *group;
};

/* `.take` and `.to` of a row, for a variable of the type named. A pointer to another type does not
 * compile. */
#define SVL_TAKE(function, type, at) .take = (function), .to = (1 ? (at) : (type *)NULL)
#define SVL_FLAG(at) SVL_TAKE(svl_take_flag, bool, at)
#define SVL_SWITCH(at) SVL_TAKE(svl_take_switch, bool, at) /* of two words, the second is true */
#define SVL_WORD(at) .take = svl_take_word, .to = (at)     /* an int or enum: the word's place */
#define SVL_TEXT(at) SVL_TAKE(svl_take_text, const char *, at) /* not empty */
#define SVL_LIST(at)                                                                               \
    SVL_TAKE(svl_take_list, const char *const *, at) /* one more, NULL at the end */
#define SVL_NAMES(at) SVL_TAKE(svl_take_names, const char *const *, at) /* "a,b" instead of all */
#define SVL_NUMBER(at) SVL_TAKE(svl_take_number, unsigned, at)          /* `words`: means 0 */
#define SVL_TIME(at) SVL_TAKE(svl_take_time, unsigned, at) /* milliseconds; "500ms", "10s", "2m" */
#define SVL_SIZE(at) SVL_TAKE(svl_take_size, size_t, at)   /* bytes; "64k", "10m", "1g" */

svl_take_fn svl_take_flag, svl_take_switch, svl_take_word, svl_take_text, svl_take_list,
    svl_take_names, svl_take_number, svl_take_time, svl_take_size;

/* For takers of your own. What they return is valid as long as the program. */
char *svl_cli_copy(const char *text);
const char *svl_cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* One more element of `size` bytes, zeroed, at the end of a list that a zeroed element ends; `list` is
 * the address of a pointer to the first, or to NULL. */
void *svl_cli_add(void *list, size_t size);
/* "wasm=application/wasm", "X-A: b" in two, without blanks between them; false if the separator is not
 * there or nothing is in front of it. */
bool svl_cli_split(const char *value, char separator, const char **left, const char **right);
/* Place of the word in option->words, or -1. */
int svl_cli_word(const struct svl_option *option, const char *value);
/* "give on, off or json" */
const char *svl_cli_say_words(const char *words);

/* Commands ----------------------------------------------------------------------------------- */

struct svl_command {
    const char *name;                 /* "precompress"; NULL: what the program does without one */
    const char *summary;              /* one line */
    const struct svl_option *options; /* -h, --help and --version are added; NULL = no others */
    struct svl_option operand; /* the argument that is not an option, its name is "DIR"; name NULL
                                       * = there is none */
    bool operand_needed;
    int (*run)(const struct svl_program *program); /* returns the exit status */
};

/* A piece of prose for --help and the manual page. Lines that begin with two blanks stand as they are; every
 * line has its end. */
struct svl_section {
    const char *title; /* NULL ends the list */
    const char *text;
};

struct svl_program {
    const char *name, *version, *summary;
    const struct svl_command *const *commands; /* first the one without a name; NULL at the end */
    const struct svl_section *sections;
    const char *examples; /* lines, for -h too */
};

enum {
    SVL_EXIT_FAILED = 1, /* it did not work out */
    SVL_EXIT_USAGE = 2,  /* what was asked for makes no sense */
    SVL_EXIT_START = 3,  /* it makes sense and cannot be had: a port in use, no permission */
};

/* Reads the command line and, for the command without a name, those variables of the environment whose
 * options were not given; runs the command and returns its exit status. Ends the program after -h,
 * --help, --version, and with SVL_EXIT_USAGE after a mistake. */
int svl_program_run(const struct svl_program *program, char **argv);

/* One line for each option that has a variable: its value, and what said so. */
void svl_config_show(const struct svl_option *table, FILE *file);

/* Asks on the terminal, without showing what is typed. False if there is no terminal. */
bool svl_cli_ask_password(const char *prompt, char *to, size_t size);

/* Codes stand in front of the messages of mistakes, for people who search and programs that look. They
 * never change their meaning; docs/program.md lists them. Name, code, exit status. */
#define SVL_CLI_CODES(X)                                                                           \
    X(SVL_CLI_USAGE, "U001", SVL_EXIT_USAGE)     /* no such option, or its value is missing */     \
    X(SVL_CLI_PATH, "U002", SVL_EXIT_USAGE)      /* what is to be served is not there */           \
    X(SVL_CLI_TOGETHER, "U003", SVL_EXIT_USAGE)  /* options that do not go together */             \
    X(SVL_CLI_NO_MODULE, "U004", SVL_EXIT_USAGE) /* not built in */                                \
    X(SVL_CLI_VALUE, "C001", SVL_EXIT_USAGE)     /* a value on the command line */                 \
    X(SVL_CLI_VARIABLE, "C002", SVL_EXIT_USAGE)  /* a value in the environment */                  \
    X(SVL_CLI_CONFIG, "C003", SVL_EXIT_USAGE)    /* refused by the server or a module */           \
    X(SVL_CLI_LISTEN, "N001", SVL_EXIT_START)    /* cannot listen */                               \
    X(SVL_CLI_IN_USE, "N002", SVL_EXIT_START)    /* another one listens there */                   \
    X(SVL_CLI_START, "N003", SVL_EXIT_START)     /* something else that cannot be had */           \
    X(SVL_CLI_FAILED, "F001", SVL_EXIT_FAILED)   /* a command could not do its work */

#define SVL_CLI_CODE(name, text, status) name,
enum svl_cli_code { SVL_CLI_CODES(SVL_CLI_CODE) };
#undef SVL_CLI_CODE

/* "U001" */
const char *svl_cli_code(enum svl_cli_code code);

/* One line on stderr, "serval: error[U001]: ..." */
void svl_cli_complain(enum svl_cli_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, and the end with the status of the code. */
_Noreturn void svl_cli_refuse(enum svl_cli_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The rest is for the files of this room and their tests ---------------------------------------- */

/* Reads arguments (argv[0] is not one) or the environment. Returns 0, SVL_ESYNTAX for what is no option
 * of the command or lacks its value, or SVL_ECONFIG for a value that was refused, with one line in `why`.
 * `given`, if not NULL, has a place for each row and says which were there. */
int svl_options_read(const struct svl_program *program, const struct svl_command *command,
                     char *const *argv, bool *given, char *why, size_t size);
int svl_environment_read(const struct svl_option *table, const bool *given, char *why, size_t size);

/* Remembers that `option` got `value` by the "command line" or a variable of that name. */
void svl_config_note(const struct svl_option *option, const char *value, const char *by);
/* The row behind `o` (the first: NULL) that is an option, a heading, or both; NULL at the end. */
const struct svl_option *svl_option_next(const struct svl_option *table,
                                         const struct svl_option *o);
/* The variable's name: "SERVAL_ERROR_PAGE" for --error-page. `to` has 64 bytes. */
void svl_option_variable(char *to, const struct svl_option *option);
/* -h (short) or --help. The second wraps at `columns`. */
void svl_help_show(const struct svl_program *program, const struct svl_command *command, bool all,
                   int columns, FILE *file);
void svl_man_show(const struct svl_program *program, FILE *file);
/* Returns false for a shell it does not know. */
bool svl_completions_show(const struct svl_program *program, const char *shell, FILE *file);

/* What is added to every command: help and version. */
extern const struct svl_option svl_common_options[];

/* The commands of this room. */
extern const struct svl_command svl_cmd_precompress, svl_cmd_hash_password, svl_cmd_get,
    svl_cmd_bench, svl_cmd_man, svl_cmd_completions;

#endif
