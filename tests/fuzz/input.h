/* A fuzzer's input, read from its front; zeros after its end. */
#ifndef INPUT_H
#define INPUT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../portable/arrays.h"

struct input {
    const uint8_t *at;
    size_t left;
};

/* Begin with the golden vectors that LLMZIP_VECTORS names. */
static inline void read_vectors(void)
{
    const char *path = getenv("LLMZIP_VECTORS");
    if (!path)
        stop("there is no LLMZIP_VECTORS", "");
    llmz_begin();
    read_arrays(path);
}

static inline uint64_t take_number(struct input *input, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes && input->left > 0; i++, input->left--)
        number |= (uint64_t)*input->at++ << (8 * i);
    return number;
}

static inline uint32_t take_below(struct input *input, uint32_t bound)
{
    return (uint32_t)take_number(input, bound > 256 ? 2 : 1) % bound;
}

/* Up to so many bytes, in memory of exactly their size, so that reading past them is noticed. The caller frees it. */
static inline uint8_t *take_bytes(struct input *input, size_t most, size_t *size)
{
    *size = most < input->left ? most : input->left;
    uint8_t *bytes = malloc(*size);
    if (*size > 0)
        memcpy(bytes, input->at, *size);
    input->at += *size;
    input->left -= *size;
    return bytes;
}

/* What must hold. */
static inline void require(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

#endif
