/* A server as a program: says when it is ready, and stops on signals. */
#ifndef SVL_FOREGROUND_H
#define SVL_FOREGROUND_H

#include "serval/server.h"

struct svl_foreground {
    bool quiet;        /* no lines on stdout */
    const char *title; /* for people, when stdout is a terminal: "hello 1.0  serving ./www" */
    const char *note;  /* for people, under the addresses; NULL = none */
    const char
        *private; /* for people, when only this machine can reach it: "off, --public shares it on",
                             * and an address of the machine follows; NULL = nothing is said */
    const char *facts; /* for people, in front of the last line: "cache revalidate"; NULL = none */
    const char *keys;  /* for people: what keys there are; NULL: "Ctrl-C stops" */
    const char *picture;    /* for people, beneath; with line ends. NULL = none */
    const char *key, *text; /* for programs: one more field of the ready line; NULL = none */
};

/* Prints the addresses of an open server: a few lines on a terminal, otherwise
 *     event=ready listen=http://127.0.0.1:8080/ key=text pid=4711 version=0.1.0
 * with one listen= for each address. Then runs it on this thread until SIGINT or SIGTERM; a second
 * signal stops at once. People are told what a stop waits for, and at the end what was done. SIGHUP is
 * ignored. Once in a process. Returns what svl_server_run() does. */
int svl_server_foreground(struct svl_server *server, const struct svl_foreground *about);

/* The URL with which other machines may reach an address of svl_server_address(): of all interfaces, one of
 * this machine's, IPv4 first. False if they cannot, or it is longer than `size`. */
bool svl_address_for_others(const char *address, char *to, size_t size);

#endif
