/* basic_auth: asks for a name and a password (RFC 7617). Only as safe as the connection: use TLS. */
#ifndef SVL_MOD_BASIC_AUTH_H
#define SVL_MOD_BASIC_AUTH_H

#include "serval/features.h"
#include "serval/module.h"

#if !SVL_HAVE_BASIC_AUTH
#error "module basic_auth is not built in: cmake -DSVL_MODULE_BASIC_AUTH=ON"
#endif

/* password: what crypt(3) makes ("$y$...", "$2b$...", "$6$..."; mkpasswd, htpasswd -B), or
 * "plain:secret". Hashes are computed on pool threads, so that the loop goes on. */
struct svl_basic_auth_user {
    const char *name, *password;
};

/* Zero means "the default" everywhere. */
struct svl_basic_auth_config {
    const char *realm;                       /* NULL = "serval" */
    const struct svl_basic_auth_user *users; /* name NULL at the end */
    const char *prefix;                      /* only paths that begin so; NULL = all */
    bool writes; /* only requests that may change something: not GET, HEAD and OPTIONS */

    /* Instead of, or after, `users`: whether the password is right. On a pool thread. */
    bool (*check)(svl_str name, svl_str password, void *arg);
    void *arg;

    unsigned remember_s; /* a right password is not computed again for so long; 0 = 60 */
    bool forget;         /* it is computed each time */
};

extern const struct svl_module svl_basic_auth_module;

/* Makes a hash of a password for svl_basic_auth_user, with a salt of its own: yescrypt where crypt(3)
 * knows it, else SHA-512. Takes tens of milliseconds. `to` has SVL_BASIC_AUTH_HASH bytes. Returns 0 or
 * SVL_ECONFIG: built without crypt(3), or the password is empty or longer than 511 bytes. */
#define SVL_BASIC_AUTH_HASH 384
int svl_basic_auth_hash(svl_str password, char *to);

/* Whether it is a hash that crypt(3) knows here, so that it may be a svl_basic_auth_user::password. */
bool svl_basic_auth_is_hash(const char *text);

/* Who has been let in; p is NULL if nobody was asked. Valid as long as the ctx. */
svl_str svl_basic_auth_name(const struct svl_ctx *ctx);

#endif
