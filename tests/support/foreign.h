/* Handlers written for libmicrohttpd, asked through a server in memory:
 *
 *     TestSuite(name, .init = foreign_begin, .fini = foreign_end);
 *
 * or without .init, for a test that sets foreign.l itself. */
#ifndef SVL_TESTS_FOREIGN_H
#define SVL_TESTS_FOREIGN_H

#include "serval/mod/adaptor.h"
#include "support/loopback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A test has a process of its own, so there is one. */
struct foreign {
    struct loopback *l;
    char trail[4096]; /* of foreign_note() */
    int completed, freed;
    enum MHD_RequestTerminationCode how;
    enum MHD_Result (*at_end)(struct MHD_Connection *c, const char *url); /* NULL = "hello\n" */
    struct MHD_Connection *now; /* that foreign_handler() was asked about last */
};
extern struct foreign foreign;

/* Serves with foreign_handler(); at the end no request may be left. */
void foreign_begin(void);
void foreign_end(void);

/* The head of a handler; what it does not need of it is no mistake. */
#define FOREIGN_HANDLER(name)                                                                      \
    static enum MHD_Result name(FOREIGN_SPARE void *cls, FOREIGN_SPARE struct MHD_Connection *c,   \
                                FOREIGN_SPARE const char *url, FOREIGN_SPARE const char *method,   \
                                FOREIGN_SPARE const char *version, FOREIGN_SPARE const char *data, \
                                FOREIGN_SPARE size_t *n, FOREIGN_SPARE void **con_cls)
#define FOREIGN_SPARE __attribute__((unused))

/* Notes each call; takes all of the body; the end is at_end's. */
enum MHD_Result foreign_handler(void *cls, struct MHD_Connection *c, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *n, void **con_cls);
void foreign_on_completed(void *cls, struct MHD_Connection *c, void **con_cls,
                          enum MHD_RequestTerminationCode toe);

/* Appends to the trail. */
void foreign_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Counts in foreign.freed; for answers that want to be freed. */
void foreign_count_free(void *cls);

/* Queues an answer and lets go of it; queues a text. */
enum MHD_Result foreign_queue(struct MHD_Connection *c, unsigned status, struct MHD_Response *r);
enum MHD_Result foreign_say(struct MHD_Connection *c, const char *text);

/* GET /a, which `what` answers. */
svl_str foreign_get(enum MHD_Result (*what)(struct MHD_Connection *c, const char *url));

/* It is 200, with that body. */
void foreign_expect(svl_str answer, const char *body);

#endif
