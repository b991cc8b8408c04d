/* What network.c, attention.c and predictor.c share: how a network lies in memory, and what a predictor carries from call to call. */
#ifndef LLMZ_PREDICTOR_H
#define LLMZ_PREDICTOR_H

#include <string.h>

#include "arithmetic.h"
#include "kernel.h"
#include "memory.h"
#include "network.h"

enum {
    LLMZ_STEPS_PER_RMS = 16, /* of normalised inputs */
    LLMZ_FEW_ROWS = 16, /* up to here threads share channels, beyond it rows */
    LLMZ_PADDING = 16384, /* after weights: kernels ask for what they will not use */
};

struct llmz_matrices { /* of all layers */
    uint8_t *tiles; /* packed */
    const int32_t *multiplier;
    size_t outputs, inputs, tile_stride, layer_bytes;
};

struct llmz_network {
    struct llmz_shape shape;
    uint32_t head_width, slots; /* attention layers */
    struct llmz_matrices in, out, up, down, head;
    int16_t *taps; /* copies, as the next ones */
    int32_t *multipliers, *slopes, *scale, *head_bias;
    uint8_t *shift; /* scale: a score's factor of at most 15 bits; shift: what it is moved up by */
    int8_t slot[LLMZ_MOST_LAYERS];
    struct llmz_embedding tokens, pairs, triples;
};

/* Working memory of a thread's attention. */
struct llmz_attention_scratch {
    int32_t *scaled; /* [head width] */
    int8_t *queries; /* [QUERIES][head width] */
    int32_t *scores; /* [QUERIES][capacity] */
    int8_t *digits; /* [2 * QUERIES][capacity] */
    int32_t *sums; /* [2 * QUERIES][head width in whole tiles] */
};

struct llmz_predictor {
    const struct llmz_network *network;
    struct llmz_threads *threads;
    uint32_t lanes, most_steps, steps;
    size_t capacity, length; /* of attention's cache, in positions */
    size_t rows;
    int32_t *side, *tokens, *residual, *wide, *inner, *narrow, *tall, *logits, *cumulative, *last_tokens;
    int8_t *inputs, *tall_inputs;
    int32_t *tails; /* [layers][lanes][taps - 1][width] */
    int32_t *tails_of_steps; /* [steps - 1][layers][lanes][taps - 1][width], after each step but the last, where a call may be kept in
                                part; else NULL */
    uint8_t *keys; /* [slots][lanes][heads][tiles of positions][head width / GROUP][TILE][GROUP] */
    uint8_t *values; /* [slots][lanes][heads][tiles of the head width][capacity / GROUP][TILE][GROUP] */
    struct llmz_attention_scratch *scratch; /* one for each thread */
    struct llmz_operation *operations;
    size_t operation_count;
    uint64_t *square_sums; /* [chunks][LLMZ_FEW_ROWS], of the operation under way */
    struct llmz_scale scales[LLMZ_FEW_ROWS];
    uint32_t planned_steps; /* that operations are for; 0: none */
    bool planned_head;
};

/* Tiles that so many outputs or positions fill, the last one perhaps in part. */
static inline size_t llmz_tiles_of(size_t count)
{
    return (count + LLMZ_TILE - 1) / LLMZ_TILE;
}

static inline size_t llmz_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline void *llmz_copied(const void *from, size_t bytes)
{
    void *copy = llmz_new_memory(bytes);
    if (copy && bytes)
        memcpy(copy, from, bytes);
    return copy;
}

/* The scale that gives `size` values whose squares add up to `square_sum` a root mean square of `steps`, and a bit less. */
static inline struct llmz_scale llmz_scale_of(uint64_t square_sum, size_t size, int32_t steps)
{
    enum { ROOT_BITS = 3 /* fraction bits */, ROOT_LARGEST_BITS = 16 };
    uint32_t root = (uint32_t)llmz_square_root((square_sum << 2 * ROOT_BITS) / size) + 1;
    struct llmz_scale scale = {.shift = 0};
    while (root >> scale.shift >= (uint32_t)1 << ROOT_LARGEST_BITS)
        scale.shift++;
    scale.factor = (int32_t)(((uint32_t)steps << (LLMZ_NORM_BITS + ROOT_BITS)) / (root >> scale.shift));
    return scale;
}

static inline void llmz_normalise(const int32_t *values, size_t size, int32_t steps, int8_t *out)
{
    llmz_kernel->scale_down(values, size, llmz_scale_of(llmz_kernel->add_squares(values, size), size, steps), out);
}

/* Memory for attention of a predictor whose network, threads, lanes and most steps are known; false where it is short. */
bool llmz_new_attention(struct llmz_predictor *);
void llmz_free_attention(struct llmz_predictor *);
/* Attention of one lane and head over all steps of the call, an operation of `lanes * heads` chunks: from `wide` into `inner`. */
void llmz_attend(void *predictor, size_t layer, size_t part, size_t thread);
/* Make room for as many further positions as a call may have. */
void llmz_drop_old_positions(struct llmz_predictor *);
/* Let all lanes have the keys and values that lane 0 of another predictor of the network has. */
void llmz_copy_attention(struct llmz_predictor *, const struct llmz_predictor *from);

#endif
