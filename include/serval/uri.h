/* Paths and escapes of URIs (RFC 3986). All functions: any thread, no allocation. */
#ifndef SVL_URI_H
#define SVL_URI_H

#include "serval/str.h"

/* Decodes %XX of `path` into `to` (room for path.n bytes; may be path.p itself), removes empty,
 * "." and ".." segments, never going above the root. Returns the length, or SVL_ESYNTAX when an
 * escape is broken, a byte is or decodes to NUL, or the first one is not '/'. A trailing '/' stays,
 * and "/a/b/.." becomes "/a/". */
ptrdiff_t svl_path_clean(char *to, svl_str path);

/* Whether svl_path_clean() would change nothing: no escapes, no empty or dot segments. */
bool svl_path_is_clean(svl_str path);

/* Escapes all but unreserved characters and '/' (for paths). `to` needs 3 * s.n bytes. Returns
 * the length. */
size_t svl_path_escape(char *to, svl_str s);

/* Decodes %XX and, if `plus`, '+' as a blank. Broken escapes stay as they are. `to` needs s.n
 * bytes and may be s.p. Returns the length. */
size_t svl_unescape(char *to, svl_str s, bool plus);

/* & < > " ' as entities. `to` needs 6 * s.n bytes. Returns the length. */
size_t svl_html_escape(char *to, svl_str s);

#endif
