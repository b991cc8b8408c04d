/* The binary arithmetic coder: carry-less, with 32-bit bounds. After the last bit come no more bytes than are needed, so the
 * decoder knows where its input must end. */
#ifndef LLMZ_CODER_H
#define LLMZ_CODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LLMZ_CODER_LOOKAHEAD 4

typedef struct llmz_coder {
    uint32_t low, high;
    uint32_t window; /* decoding: the next bytes of the input, zeros after its end */
    bool decoding;
    bool failed; /* encoding: the output is full; decoding: the input ended long ago */
    size_t cursor, size;
    const uint8_t *input;
    uint8_t *output;
} llmz_coder;

static inline llmz_coder llmz_encoder(uint8_t *output, size_t size)
{
    return (llmz_coder){.high = UINT32_MAX, .size = size, .output = output};
}

static inline uint32_t llmz_next_byte(llmz_coder *coder)
{
    size_t at = coder->cursor++;
    if (at < coder->size)
        return coder->input[at];
    if (at >= coder->size + LLMZ_CODER_LOOKAHEAD)
        coder->failed = true;
    return 0;
}

static inline llmz_coder llmz_decoder(const uint8_t *input, size_t size)
{
    llmz_coder coder = {.high = UINT32_MAX, .decoding = true, .size = size, .input = input};
    for (int i = 0; i < LLMZ_CODER_LOOKAHEAD; i++)
        coder.window = coder.window << 8 | llmz_next_byte(&coder);
    return coder;
}

/* Code a bit whose probability of being 1 is `probability` / 65536, from 1 to 65535; returns it, decoded or as given. */
static inline unsigned llmz_code_bit(llmz_coder *coder, unsigned bit, uint32_t probability)
{
    uint32_t low = coder->low, high = coder->high;
    uint32_t middle = low + (uint32_t)(((uint64_t)(high - low) * probability) >> 16);
    if (coder->decoding)
        bit = coder->window <= middle;
    if (bit)
        high = middle;
    else
        low = middle + 1;
    while (((low ^ high) & 0xFF000000) == 0) {
        if (coder->decoding)
            coder->window = coder->window << 8 | llmz_next_byte(coder);
        else if (coder->cursor < coder->size)
            coder->output[coder->cursor++] = (uint8_t)(high >> 24);
        else
            coder->failed = true;
        low <<= 8;
        high = high << 8 | 255;
    }
    coder->low = low;
    coder->high = high;
    return bit;
}

/* Encoding: write the shortest end that, zeros after it, lies between the bounds; returns the number of bytes in all, or
 * SIZE_MAX where they do not fit. */
static inline size_t llmz_finish_encoding(llmz_coder *coder)
{
    if (coder->low > 0) {
        if (coder->cursor < coder->size)
            coder->output[coder->cursor++] = (uint8_t)(coder->high >> 24);
        else
            coder->failed = true;
    }
    return coder->failed ? SIZE_MAX : coder->cursor;
}

/* Decoding: whether the input ends where llmz_finish_encoding would have ended it. */
static inline bool llmz_ends_right(const llmz_coder *coder)
{
    uint32_t end = coder->low > 0 ? coder->high & 0xFF000000 : 0;
    size_t written = coder->cursor - LLMZ_CODER_LOOKAHEAD + (coder->low > 0);
    return !coder->failed && coder->size == written && coder->window == end;
}

#endif
