/* Reads wire scripts; tests/wire/README.md says how they are written. */
#ifndef SVL_TESTS_SCRIPT_H
#define SVL_TESTS_SCRIPT_H

#include "serval/str.h"

enum step_kind { STEP_SEND, STEP_EOF, STEP_PASS, STEP_ROOM, STEP_MORE, STEP_STOP };

struct step {
    enum step_kind kind;
    svl_str bytes;   /* STEP_SEND */
    unsigned number; /* STEP_PASS: ms, STEP_ROOM: bytes */
};

struct want {
    int status[4]; /* one of these, 0 behind the last */
    const char
        *line[12]; /* what is said about this answer, unescaped: "Name: v", "!Name", "= text" */
    unsigned n;
};

#define SCRIPT_STEPS 24
#define SCRIPT_WANTS 64

struct script {
    const char *file;
    unsigned line; /* of its first line */
    char *name;    /* its first comment */
    struct step steps[SCRIPT_STEPS];
    unsigned n_steps;
    struct want wants[SCRIPT_WANTS];
    unsigned n_wants;
    const char *never[8];
    unsigned n_never;
    bool says_end, closed; /* "closed" or "open" was said */
    struct script *next;
};

/* All scripts of a file, in order. What is wrong with the file ends the program. */
struct script *script_read(const char *path);
void script_free(struct script *first);

/* All *.wire files of a folder: calls fn for each, in the order of their names. */
void script_folder(const char *folder, void (*fn)(const char *path, void *arg), void *arg);

#endif
