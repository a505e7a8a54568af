/* Words of eight bytes, and blocks of sixteen. */
#ifndef SVL_HTTP_BYTES_H
#define SVL_HTTP_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SVL_EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* n <= 8 bytes, the first one in the lowest bits. */
static inline uint64_t svl_load(const char *p, size_t n)
{
    uint64_t word = 0;

    if (n == 8)
        memcpy(&word, p, 8);
    else
        memcpy(&word, p, n);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline void svl_store(char *p, uint64_t word, size_t n)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    if (n == 8)
        memcpy(p, &word, 8);
    else
        memcpy(p, &word, n);
}

/* What compilers keep in one register where the CPU has such. */
typedef unsigned char svl_block __attribute__((vector_size(16)));

static inline svl_block svl_load_block(const char *p)
{
    svl_block block;

    memcpy(&block, p, 16);
    return block;
}

static inline void svl_store_block(char *p, svl_block block)
{
    memcpy(p, &block, 16);
}

/* The bytes of it that lie between first and last. */
static inline svl_block svl_block_in_range(svl_block block, char first, char last)
{
    return (svl_block)((svl_block)(block - (unsigned char)first) <= (unsigned char)(last - first));
}

/* Whether any byte of what a comparison of blocks gave is set. */
static inline bool svl_block_any(svl_block mask)
{
#if defined(__SSE2__)
    return __builtin_ia32_pmovmskb128((char __attribute__((vector_size(16))))mask) != 0;
#else
    uint64_t halves[2];

    memcpy(halves, &mask, 16);
    return (halves[0] | halves[1]) != 0;
#endif
}

#endif
