/* Who listens on a port: the sockets' inodes of /proc/net/tcp, looked up among the descriptors
 * of all processes. Only what this user may see is found. */
#include "net/listener.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STATE_LISTEN 0x0a

static unsigned long listening_inode(const char *table, unsigned port)
{
    FILE *file = fopen(table, "re");
    char line[512];
    unsigned long found = 0;

    if (!file)
        return 0;
    while (!found && fgets(line, sizeof line, file)) {
        unsigned local, state;
        unsigned long inode;

        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %lu",
                   &local, &state, &inode) == 3 &&
            local == port && state == STATE_LISTEN)
            found = inode;
    }
    fclose(file);
    return found;
}

static bool holds(const char *pid, const char *target)
{
    char path[300], link[64];
    DIR *dir;
    struct dirent *entry;
    bool found = false;

    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    dir = opendir(path);
    if (!dir)
        return false;
    while (!found && (entry = readdir(dir))) {
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);

        if (n <= 0)
            continue;
        link[n] = '\0';
        found = strcmp(link, target) == 0;
    }
    closedir(dir);
    return found;
}

static void describe(const char *pid, char *to, size_t size)
{
    char path[300], name[64] = "?";
    FILE *file;

    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    file = fopen(path, "re");
    if (file) {
        if (fgets(name, sizeof name, file))
            name[strcspn(name, "\n")] = '\0';
        fclose(file);
    }
    snprintf(to, size, "pid %s (%s)", pid, name);
}

bool svl_port_owner(const struct svl_endpoint *e, char *to, size_t size)
{
    unsigned port = ntohs(((const struct sockaddr_in *)&e->address)->sin_port);
    unsigned long inode;
    char target[64];
    DIR *dir;
    struct dirent *entry;
    bool found = false;

    if (e->family != AF_INET && e->family != AF_INET6)
        return false;
    inode = listening_inode("/proc/net/tcp", port);
    if (!inode)
        inode = listening_inode("/proc/net/tcp6", port);
    dir = inode ? opendir("/proc") : NULL;
    if (!dir)
        return false;
    snprintf(target, sizeof target, "socket:[%lu]", inode);
    while (!found && (entry = readdir(dir))) {
        found = isdigit((unsigned char)entry->d_name[0]) && holds(entry->d_name, target);
        if (found)
            describe(entry->d_name, to, size);
    }
    closedir(dir);
    return found;
}
