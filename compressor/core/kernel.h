/* What is done differently by instruction set: products of bytes, and loops over channels, positions and tokens.
 *
 * A matrix is kept in tiles of LLMZ_TILE outputs, with the inputs in groups of LLMZ_GROUP: [tiles][groups][LLMZ_TILE][LLMZ_GROUP]
 * int8. A dot-product instruction then works on several outputs at once, nothing is added across a register, and a whole tile
 * is one stream through memory. All kernels give the same integers; a kernel is checked against the portable one when it is
 * chosen. */
#ifndef LLMZ_KERNEL_H
#define LLMZ_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LLMZ_TILE = 32, LLMZ_GROUP = 4, LLMZ_TILE_BYTES = LLMZ_TILE * LLMZ_GROUP };
/* Largest magnitude of a weight: AVX2 adds pairs of products of an unsigned and a signed byte in 16 bits. */
enum { LLMZ_WEIGHT_MAX = 63 };

/* A product: out[r * out_stride + t * LLMZ_TILE + o] = starts[t * LLMZ_TILE + o] (0 where starts is NULL)
 * + sum over g < groups, k of inputs[r * input_stride + g * LLMZ_GROUP + k] * tiles[t * tile_stride + (g * LLMZ_TILE + o) * LLMZ_GROUP + k]. */
struct llmz_product {
    const uint8_t *inputs;
    size_t input_stride;
    size_t rows;
    const int8_t *tiles;
    size_t tile_stride; /* bytes between tiles */
    size_t tile_count;
    size_t groups;
    const int32_t *starts;
    int32_t *out;
    size_t out_stride;
};

/* A gated convolution of some channels: width, and the pieces of one lane's rows. */
struct llmz_convolution {
    const int32_t *sums; /* [steps][3 * width]: input gate, output gate, values */
    const int32_t *multiplier; /* [3 * width] */
    const int16_t *taps; /* [tap_count][width], oldest first */
    int32_t *tail; /* [tap_count - 1][width], brought up to date */
    int32_t *gated; /* [steps][width] */
    size_t width, first, after, steps, tap_count;
};

struct llmz_kernel {
    const char *name;
    /* Weights of at most LLMZ_WEIGHT_MAX, or inputs of at most 127. */
    void (*product)(const struct llmz_product *);
    /* Any bytes. */
    void (*product_any)(const struct llmz_product *);
    void (*normalise)(const int32_t *values, size_t size, int32_t steps, uint8_t *out);
    void (*add_to_residual)(const int32_t *sums, const int32_t *multiplier, size_t count, int32_t *residual);
    void (*square_relu)(const int32_t *multiplier, size_t count, int32_t *sums);
    void (*convolve)(const struct llmz_convolution *);
    void (*rescale_head)(const int32_t *sums, const int32_t *multiplier, size_t count, int32_t *out);
    void (*round_values)(const int32_t *sums, const int32_t *multiplier, size_t count, int32_t *out);
    int32_t (*scale_scores)(int32_t *scores, size_t count, int32_t scale, unsigned shift, int32_t slope);
    uint32_t (*soften)(const int32_t *scores, size_t count, int32_t best, uint8_t *high, uint8_t *low);
    void (*mean_values)(const int32_t *high, const int32_t *low, size_t count, int32_t inverse, int32_t *out);
    int32_t (*score_tokens)(int32_t *sums, const int32_t *multiplier, const int32_t *bias, size_t count);
    uint64_t (*weigh_tokens)(int32_t *logits, int32_t best, size_t count);
    void (*add_up)(const int32_t *weights, uint32_t inverse, size_t count, int32_t *cumulative);
    void (*add_row)(const int8_t *row, int32_t multiplier, size_t count, int32_t *out);
};

extern const struct llmz_kernel llmz_kernel_portable;
/* The kernels of this build, best first; a NULL ends them. */
struct llmz_kernel_choice {
    const struct llmz_kernel *kernel;
    bool (*available)(void);
};
extern const struct llmz_kernel_choice llmz_kernels[];

/* The one in use. */
extern const struct llmz_kernel *llmz_kernel;

/* Use the best kernel that this machine has, or the one named by the environment variable LLMZIP_KERNEL. */
void llmz_choose_kernel(void);

#endif
