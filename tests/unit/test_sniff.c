/* Types by content. */
#include "serval/mime.h"

#include <criterion/criterion.h>

#define EXPECT(bytes, type)                                                                        \
    cr_expect(svl_str_eq(svl_mime_sniff(SVL_STR(bytes)), SVL_STR(type)), "%s: %.*s", type,         \
              SVL_FMT(svl_mime_sniff(SVL_STR(bytes))))

Test(sniff, what_bytes_begin_with)
{
    EXPECT("<!DOCTYPE HTML><p>", "text/html; charset=utf-8");
    EXPECT(" \n<html lang=en>", "text/html; charset=utf-8");
    EXPECT("<!-- x -->", "text/html; charset=utf-8");
    EXPECT("<?xml version", "text/xml; charset=utf-8");
    EXPECT("%PDF-1.7", "application/pdf");
    EXPECT("\x89PNG\r\n\x1a\n....", "image/png");
    EXPECT("\xff\xd8\xff\xe0", "image/jpeg");
    EXPECT("GIF89a", "image/gif");
    EXPECT("RIFF....WEBPVP8 ", "image/webp");
    EXPECT("RIFF....WAVEfmt ", "audio/wave");
    EXPECT("\0\0\0\x18"
           "ftypmp42",
           "video/mp4");
    EXPECT("PK\3\4", "application/zip");
    EXPECT("\x1f\x8b\x08\x00", "application/gzip");
    EXPECT("\xef\xbb\xbfhi", "text/plain; charset=utf-8");
}

Test(sniff, what_says_nothing)
{
    EXPECT("", "text/plain; charset=utf-8");
    EXPECT("hello", "text/plain; charset=utf-8");
    EXPECT("<htmlx>", "text/plain; charset=utf-8");
    EXPECT("<html", "text/plain; charset=utf-8");
    EXPECT("a\x01", "application/octet-stream");
    EXPECT("a\tb\x1b[0m\n", "text/plain; charset=utf-8");
    EXPECT("text <script>", "text/plain; charset=utf-8");
}

Test(sniff, no_more_than_512_bytes_are_looked_at)
{
    static char text[600];

    memset(text, 'a', sizeof text);
    text[512] = 1;
    cr_expect(svl_str_starts(svl_mime_sniff((svl_str){text, sizeof text}), SVL_STR("text/plain")));
    text[511] = 1;
    cr_expect(
        svl_str_starts(svl_mime_sniff((svl_str){text, sizeof text}), SVL_STR("application/")));
}
