/* Everything a program that embeds serval needs. Modules have headers of their own in mod/. */
#ifndef SVL_SERVAL_H
#define SVL_SERVAL_H

#include "serval/args.h"
#include "serval/async.h"
#include "serval/connection.h"
#include "serval/cookie.h"
#include "serval/ctx.h"
#include "serval/date.h"
#include "serval/decode.h"
#include "serval/error.h"
#include "serval/field.h"
#include "serval/filter.h"
#include "serval/form.h"
#include "serval/headers.h"
#include "serval/hijack.h"
#include "serval/ip.h"
#include "serval/log.h"
#include "serval/mime.h"
#include "serval/module.h"
#include "serval/names.h"
#include "serval/pipe.h"
#include "serval/range.h"
#include "serval/request.h"
#include "serval/response.h"
#include "serval/server.h"
#include "serval/str.h"
#include "serval/stream.h"
#include "serval/text.h"
#include "serval/uri.h"
#include "serval/version.h"

#endif
