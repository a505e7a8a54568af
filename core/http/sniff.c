/* What kind of thing bytes are, by how they begin: the signatures of WHATWG's MIME Sniffing 5 and 6
 * that servers meet. Nothing that a browser would run is guessed from what it might contain further in. */
#include "serval/mime.h"

#define LOOK 512
#define BYTES(literal)                                                                             \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static const struct signature {
    svl_str begins;
    const char *type;
} signatures[] = {
    {BYTES("%PDF-"), "application/pdf"},
    {BYTES("%!PS-Adobe-"), "application/postscript"},
    {BYTES("\xfe\xff"), "text/plain; charset=utf-16be"},
    {BYTES("\xff\xfe"), "text/plain; charset=utf-16le"},
    {BYTES("\xef\xbb\xbf"), "text/plain; charset=utf-8"},
    {BYTES("GIF87a"), "image/gif"},
    {BYTES("GIF89a"), "image/gif"},
    {BYTES("\x89PNG\r\n\x1a\n"), "image/png"},
    {BYTES("\xff\xd8\xff"), "image/jpeg"},
    {BYTES("BM"), "image/bmp"},
    {BYTES("\0\0\1\0"), "image/x-icon"},
    {BYTES("OggS\0"), "application/ogg"},
    {BYTES("ID3"), "audio/mpeg"},
    {BYTES("\x1a\x45\xdf\xa3"), "video/webm"},
    {BYTES("\0asm"), "application/wasm"},
    {BYTES("\x1f\x8b\x08"), "application/gzip"},
    {BYTES("PK\3\4"), "application/zip"},
    {BYTES("Rar!\x1a\7"), "application/x-rar-compressed"},
    {BYTES("7z\xbc\xaf\x27\x1c"), "application/x-7z-compressed"},
    {BYTES("wOFF"), "font/woff"},
    {BYTES("wOF2"), "font/woff2"},
    {BYTES("OTTO"), "font/otf"},
    {BYTES("\0\1\0\0"), "font/ttf"},
};

/* Within "RIFF????" by what stands at 8, within "????ftyp" as video. */
static svl_str by_container(svl_str s)
{
    if (s.n < 12)
        return SVL_STR_NONE;
    if (svl_str_starts(s, SVL_STR("RIFF"))) {
        svl_str kind = svl_str_head(svl_str_from(s, 8), 4);

        if (svl_str_eq(kind, SVL_STR("WEBP")))
            return SVL_STR("image/webp");
        if (svl_str_eq(kind, SVL_STR("WAVE")))
            return SVL_STR("audio/wave");
        if (svl_str_eq(kind, SVL_STR("AVI ")))
            return SVL_STR("video/avi");
    }
    return memcmp(s.p + 4, "ftyp", 4) == 0 ? SVL_STR("video/mp4") : SVL_STR_NONE;
}

/* A tag that pages begin with, and behind it a blank or '>' (6.1). */
static bool is_html(svl_str s)
{
    static const char *const tags[] = {
        "<!doctype html", "<html",   "<head", "<body", "<title", "<script", "<style",
        "<div",           "<h1",     "<p",    "<br",   "<table", "<a",      "<b",
        "<font",          "<iframe", NULL};

    if (svl_str_starts(s, SVL_STR("<!--")))
        return true;
    for (const char *const *tag = tags; *tag; tag++) {
        svl_str name = svl_str_of(*tag);

        if (s.n > name.n && svl_str_ieq(svl_str_head(s, name.n), name) &&
            (s.p[name.n] == ' ' || s.p[name.n] == '>'))
            return true;
    }
    return false;
}

/* Control bytes that no text has (7.2). */
static bool is_binary(svl_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c <= 8 || c == 0x0b || (c >= 0x0e && c <= 0x1a) || (c >= 0x1c && c <= 0x1f))
            return true;
    }
    return false;
}

static svl_str skip_blanks(svl_str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || (s.p[0] >= '\t' && s.p[0] <= '\r' && s.p[0] != '\v')))
        s = svl_str_from(s, 1);
    return s;
}

svl_str svl_mime_sniff(svl_str bytes)
{
    svl_str s = svl_str_head(bytes, LOOK), text = skip_blanks(s), type;

    if (is_html(text))
        return SVL_STR("text/html; charset=utf-8");
    if (svl_str_starts(text, SVL_STR("<?xml")))
        return SVL_STR("text/xml; charset=utf-8");
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++)
        if (svl_str_starts(s, signatures[i].begins))
            return svl_str_of(signatures[i].type);
    type = by_container(s);
    if (type.p)
        return type;
    return is_binary(s) ? SVL_STR("application/octet-stream")
                        : SVL_STR("text/plain; charset=utf-8");
}
