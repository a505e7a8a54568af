/* A URL for the camera of a telephone. A line of text is two rows of the picture; what is light is
 * drawn, as terminals are mostly dark. */
#include "cli/serve.h"

#if SVL_QR
#include <qrencode.h>

#include <stdlib.h>

enum { MARGIN = 2 };

static bool is_light(const QRcode *code, int x, int y)
{
    if (x < 0 || y < 0 || x >= code->width || y >= code->width)
        return true;
    return !(code->data[y * code->width + x] & 1);
}

const char *svl_cli_qr(const char *text)
{
    static const char *const blocks[] = {" ", "▄", "▀", "█"}; /* neither, lower, upper, both */
    const char *no_color = getenv("NO_COLOR"), *begin = "\033[97;40m", *end = "\033[0m";
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    size_t n = 0, size;
    char *picture;

    if (!code)
        return NULL;
    if (no_color && *no_color)
        begin = end = "";
    size = (size_t)(code->width + 2 * MARGIN + 2);
    size *= 3 * size + 20;
    picture = malloc(size);
    for (int y = -MARGIN; picture && y < code->width + MARGIN; y += 2) {
        n += (size_t)snprintf(picture + n, size - n, "  %s", begin);
        for (int x = -MARGIN; x < code->width + MARGIN; x++)
            n += (size_t)snprintf(picture + n, size - n, "%s",
                                  blocks[2 * is_light(code, x, y) + is_light(code, x, y + 1)]);
        n += (size_t)snprintf(picture + n, size - n, "%s\n", end);
    }
    QRcode_free(code);
    text = picture ? svl_cli_copy(picture) : NULL;
    free(picture);
    return text;
}
#else
const char *svl_cli_qr(const char *text)
{
    (void)text;
    return NULL;
}
#endif
