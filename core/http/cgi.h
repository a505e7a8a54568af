/* The head of a CGI program's answer (RFC 3875 6): lines of fields up to an empty one, ended by LF or
 * CRLF. No state, no memory: views of what was given. */
#ifndef SVL_HTTP_CGI_H
#define SVL_HTTP_CGI_H

#include "serval/str.h"

/* Length of the head with its empty line, 0 = it is not complete. The first `seen` bytes were looked
 * at before. */
size_t svl_cgi_head_length(svl_str bytes, size_t seen);

/* Takes the next field off *head, which ends with its empty line. 1 = there is one, 0 = that was all,
 * SVL_ESYNTAX = not a field. */
int svl_cgi_field(svl_str *head, svl_str *name, svl_str *value);

/* "404 Not Found" (RFC 3875 6.3.3); reason may be empty. 0 or SVL_ESYNTAX; only 200 to 599 are final
 * answers. */
int svl_cgi_status(svl_str value, int *status, svl_str *reason);

#endif
