/* Any bytes as a date: what is read prints as a date that reads the same. The first bytes are also
 * taken as seconds. */
#include "serval/date.h"

#include <assert.h>

static void check_seconds(int64_t seconds)
{
    char text[SVL_DATE_LEN], again[SVL_DATE_LEN];
    int64_t back;

    svl_date_print(text, seconds);
    assert(svl_date_parse((svl_str){text, SVL_DATE_LEN}, &back));
    if (seconds >= 0 && seconds < 253402300800)
        assert(back == seconds);
    else
        assert(back == (seconds < 0 ? 0 : 253402300799));
    svl_date_print(again, back);
    assert(memcmp(text, again, SVL_DATE_LEN) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t seconds;

    if (svl_date_parse((svl_str){(const char *)data, size}, &seconds)) {
        assert(seconds >= -62167219200 && seconds <= 253402300800);
        check_seconds(seconds);
    }
    if (size >= sizeof seconds) {
        memcpy(&seconds, data, sizeof seconds);
        check_seconds(seconds);
        check_seconds(seconds & 0x3fffffffff); /* most of the others are clamped */
    }
    return 0;
}
