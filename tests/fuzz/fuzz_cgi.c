/* Any bytes as the head of a CGI program's answer, whole and cut: its end is found at the same place,
 * and its fields lie within it. */
#include "http/cgi.h"
#include "serval/error.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    svl_str bytes = {(const char *)data, size}, head, name, value, reason;
    size_t length = svl_cgi_head_length(bytes, 0), seen = 0, found = 0;
    int more, status;

    for (size_t n = 1; n <= size && !found; n++) {
        found = svl_cgi_head_length(svl_str_head(bytes, n), seen);
        seen = n;
    }
    assert(found == length && length <= size);
    assert(length == 0 || data[length - 1] == '\n');
    head = svl_str_head(bytes, length);
    while ((more = svl_cgi_field(&head, &name, &value)) > 0) {
        assert(name.n > 0 && name.p >= bytes.p && name.p + name.n < bytes.p + length);
        assert(value.n == 0 || (value.p > name.p && value.p + value.n < bytes.p + length));
        assert(svl_str_find(value, '\n') == value.n);
        if (svl_cgi_status(value, &status, &reason) == 0)
            assert(status >= 200 && status <= 599);
    }
    assert(more == 0 || more == SVL_ESYNTAX);
    return 0;
}
