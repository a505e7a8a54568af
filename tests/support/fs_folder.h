/* A folder of files for the tests of fs, and asking for what is in it. Each test is in its root:
 *
 *     TestSuite(fs, .init = make_folder, .fini = remove_folder);
 */
#ifndef SVL_TESTS_FS_FOLDER_H
#define SVL_TESTS_FS_FOLDER_H

#include "support/loopback.h"

/* The folder: a.txt ("hello, file\n", of 2001-09-09 01:46:40), empty, dir/, site/index.html; and
 * beside the root a file "secret". */
extern char base[], root[64];
void make_folder(void);
void remove_folder(void);

void write_bytes(const char *name, const void *bytes, size_t n);
void write_text(const char *name, const char *text);
/* As a deployment does it: the name leads to the old file or to the new one. */
void replace_text(const char *name, const char *text);
void set_mtime(const char *name, time_t seconds);
void link_to(const char *target, const char *path);
/* What must not be reached: names with a dot in front, links out, a FIFO, a socket. */
void make_traps(void);

/* The server of the test, closed behind it. */
extern struct loopback *l;
#define SERVE(...) (l = LOOPBACK(SVL_USE(fs, .root = root, __VA_ARGS__)))

/* A long answer takes several rounds, in each of which the client has read something. */
void rounds(unsigned client);

/* What is answered; `fields` are whole lines, or "". Valid until the next question. */
svl_str ask(const char *method, const char *target, const char *fields);
svl_str get(const char *target);
/* The body of a 200 that came in chunks, put together; may come from another thread. */
svl_str page_of(const char *target);
/* The value of a field, kept until the next four. */
const char *field_of(const char *target, const char *name);

void expect_status(svl_str answer, int status, const char *what);
void expect_field(svl_str answer, const char *name, const char *value); /* NULL = is not there */
void expect_body(svl_str answer, const char *body);
void expect_file(const char *target, const char *body);
void expect_missing(const char *target); /* 404, and nothing of "secret" */
bool holds(svl_str text, const char *what);

#endif
