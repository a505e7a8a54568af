/* Media types by file name. */
#ifndef SVL_MIME_H
#define SVL_MIME_H

#include "serval/str.h"

/* Any thread: the type for a name's extension, "text/html; charset=utf-8" for text; p is NULL if
 * it is not known. Static storage. The table is made from the system's at build time. */
svl_str svl_mime(svl_str file_name);

/* Any thread: the type of a body that begins so, by at most its first 512 bytes; what says nothing is
 * "text/plain; charset=utf-8" or "application/octet-stream". Static storage. */
svl_str svl_mime_sniff(svl_str bytes);

#endif
