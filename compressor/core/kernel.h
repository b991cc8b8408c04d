/* What is done differently by instruction set: products of bytes, and loops over channels, positions and tokens.
 *
 * Products are of unsigned bytes, kept in tiles, and signed ones, the inputs: that is what dot-product instructions take. A tile has
 * LLMZ_TILE outputs, with the inputs in groups of LLMZ_GROUP: [groups][LLMZ_TILE][LLMZ_GROUP]. An instruction then works on several
 * outputs at once, nothing is added across a register, and a whole tile is one stream through memory.
 *
 * Weights have six bits, moved up by LLMZ_WEIGHT_OFFSET. How a kernel keeps a tile of them is its own affair: `pack` says. Those with
 * instructions of their own pack two groups, 256 weights q[4][64], into LLMZ_SIX_BIT_BYTES bytes r[3][64]: the low six bits of r[j] are
 * q[j], the high two bits of r[0], r[1], r[2] together q[3], lowest first. So weights take three quarters of the memory, whose speed is
 * what bounds a step of few rows, and a few shifts unpack them.
 *
 * All kernels give the same integers; one is checked against the portable one when it is chosen. */
#ifndef LLMZ_KERNEL_H
#define LLMZ_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LLMZ_TILE = 32,
    LLMZ_GROUP = 4,
    LLMZ_TILE_BYTES = LLMZ_TILE * LLMZ_GROUP, /* of a group */
    LLMZ_SIX_BIT_BYTES = 3 * 64, /* of two groups of weights */
    LLMZ_WEIGHT_OFFSET = 32,
    LLMZ_WEIGHT_MAX = 31,
};

/* A product with bytes: out[r * out_stride + t * LLMZ_TILE + o] = sum over g < groups, k of
 * inputs[r * input_stride + g * LLMZ_GROUP + k] * tiles[t * tile_stride + (g * LLMZ_TILE + o) * LLMZ_GROUP + k].
 *
 * A product with weights: tiles are packed by the same kernel, groups are even, and weights count as what they are before they are moved up.
 * What lies up to 16 KB after the last tile may be asked for ahead of its use; it is never read. */
struct llmz_product {
    const int8_t *inputs;
    size_t input_stride;
    size_t rows;
    const uint8_t *tiles;
    size_t tile_stride; /* bytes between tiles */
    size_t tile_count;
    size_t groups;
    int32_t *out;
    size_t out_stride;
};

enum { LLMZ_MOST_KEPT = 7 /* taps of a convolution but the newest */ };

/* A gated convolution of some channels: width, and the pieces of one lane's rows. */
struct llmz_convolution {
    const int32_t *sums; /* [steps][3 * width]: input gate, output gate, values */
    const int32_t *multiplier; /* [3 * width] */
    const int16_t *taps; /* [tap_count][width], oldest first */
    int32_t *tail; /* [tap_count - 1][width], brought up to date */
    int32_t *gated; /* [steps][width] */
    size_t width, first, after, steps, tap_count;
};

/* What an RMS norm multiplies by: values are shifted right by `shift`, then multiplied by `factor` of LLMZ_NORM_BITS fraction bits. */
struct llmz_scale {
    int32_t factor;
    unsigned shift;
};

enum { LLMZ_NORM_BITS = 20 };

struct llmz_kernel {
    const char *name;
    size_t pair_bytes; /* that two groups of weights take */
    bool two_rows_are_cheap; /* a product of two rows hardly takes longer than one of one, as weights have to come from memory */
    uint32_t own_lanes; /* so many for each thread, and they are faster apart: each thread then reads all weights, which otherwise pass
                           once for all lanes */
    void (*pack)(const uint8_t *tile, size_t groups, uint8_t *packed); /* [groups][LLMZ_TILE][LLMZ_GROUP], 0 to 63 */
    void (*multiply_weights)(const struct llmz_product *);
    void (*multiply_bytes)(const struct llmz_product *); /* inputs from -127 to 127; an output with a byte of 0 means nothing */
    void (*multiply_digits)(const struct llmz_product *); /* inputs from 0 to 127 */
    uint64_t (*add_squares)(const int32_t *values, size_t count);
    void (*scale_down)(const int32_t *values, size_t count, struct llmz_scale scale, int8_t *out);
    void (*add_to_residual)(const int32_t *sums, const int32_t *multiplier, size_t count, int32_t *residual);
    void (*square_relu)(const int32_t *multiplier, size_t count, int32_t *sums);
    void (*convolve)(const struct llmz_convolution *);
    void (*rescale_head)(const int32_t *sums, const int32_t *multiplier, size_t count, int32_t *out);
    void (*round_values)(const int32_t *sums, const int32_t *multiplier, size_t count, int32_t *out);
    int32_t (*scale_scores)(int32_t *scores, size_t count, int32_t offset, int32_t scale, unsigned shift, int32_t slope);
    uint32_t (*soften)(const int32_t *scores, size_t count, int32_t best, int8_t *high, int8_t *low);
    void (*mean_values)(const int32_t *high, const int32_t *low, size_t count, int64_t offset, int32_t inverse, int32_t *out);
    int32_t (*score_tokens)(int32_t *sums, const int32_t *multiplier, const int32_t *bias, size_t count);
    uint64_t (*weigh_tokens)(int32_t *logits, int32_t best, size_t count);
    void (*add_up)(const int32_t *weights, uint32_t inverse, size_t count, int32_t *cumulative);
    void (*add_row)(const int8_t *row, int32_t multiplier, size_t count, int32_t *out);
};

extern const struct llmz_kernel llmz_kernel_portable;
/* A `pack` of six bits a weight. */
void llmz_pack_six_bits(const uint8_t *tile, size_t groups, uint8_t *packed);

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
