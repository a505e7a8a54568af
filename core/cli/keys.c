/* Keys while the server runs on a terminal. A thread reads them: the loops have other things to do,
 * and stdin may be anything. */
#include "cli/serve.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

static struct {
    const struct svl_key *keys;
    void *arg;
    pthread_t thread;
    int over[2]; /* a pipe that is closed in the end */
    struct termios before;
    bool running;
} state;

static void press(char c)
{
    for (const struct svl_key *key = state.keys; key->press; key++)
        if (key->letter == c)
            key->press(state.arg);
}

static void *run(void *arg)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = state.over[0]}};
    char c;

    (void)arg;
    /* In the background the terminal is not ours, and reading from it fails. */
    while (poll(fds, 2, -1) >= 0 && !fds[1].revents && read(STDIN_FILENO, &c, 1) == 1)
        press(c);
    return NULL;
}

bool svl_keys_start(const struct svl_key *keys, void *arg)
{
    struct termios raw;

    if (!isatty(STDOUT_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp() ||
        tcgetattr(STDIN_FILENO, &state.before) || pipe(state.over))
        return false;
    raw = state.before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    signal(SIGTTIN, SIG_IGN);
    state.keys = keys;
    state.arg = arg;
    if (pthread_create(&state.thread, NULL, run, NULL)) {
        close(state.over[0]);
        close(state.over[1]);
        return false;
    }
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    return state.running = true;
}

void svl_keys_stop(void)
{
    if (!state.running)
        return;
    close(state.over[1]);
    pthread_join(state.thread, NULL);
    close(state.over[0]);
    if (tcgetpgrp(STDIN_FILENO) == getpgrp())
        tcsetattr(STDIN_FILENO, TCSANOW, &state.before);
    state.running = false;
}
