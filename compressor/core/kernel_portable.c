/* The portable kernel: what all others are checked against. Plain C that compilers turn into vector instructions of any machine: sums of
 * products of 16-bit numbers, in long rows. */

#include "layers.inc"

enum {
    BLOCK = 512, /* inputs at once */
    ROWS = 16, /* at once: with these inputs and a row of weights or two they fill half of a first cache of 32 KB */
};

/* Clang takes half a register at once where it is not told; others see the pattern themselves. */
#if defined(__clang__)
#define WHOLE_REGISTERS _Pragma("clang loop vectorize_width(8) interleave_count(1)")
#else
#define WHOLE_REGISTERS
#endif

static int8_t weight_of(uint8_t moved_up)
{
    return (int8_t)((moved_up & 63) - LLMZ_WEIGHT_OFFSET);
}

/* Weights as bytes, the inputs of an output beside each other. */
static void pack(const uint8_t *tile, size_t groups, uint8_t *packed)
{
    for (size_t o = 0; o < LLMZ_TILE; o++)
        for (size_t i = 0; i < groups * LLMZ_GROUP; i++)
            *packed++ = (uint8_t)weight_of(tile[(i / LLMZ_GROUP * LLMZ_TILE + o) * LLMZ_GROUP + i % LLMZ_GROUP]);
}

/* Two outputs of four rows: each number that is loaded has several products. */
static void add_four_rows(const int16_t (*restrict weights)[BLOCK], const int16_t (*restrict inputs)[BLOCK], size_t count, int32_t *restrict out,
    size_t out_stride)
{
    const int16_t *restrict w = weights[0], *restrict v = weights[1];
    const int16_t *restrict x0 = inputs[0], *restrict x1 = inputs[1], *restrict x2 = inputs[2], *restrict x3 = inputs[3];
    int32_t w0 = 0, w1 = 0, w2 = 0, w3 = 0, v0 = 0, v1 = 0, v2 = 0, v3 = 0;
    WHOLE_REGISTERS
    for (size_t i = 0; i < count; i++) {
        w0 += w[i] * x0[i];
        w1 += w[i] * x1[i];
        w2 += w[i] * x2[i];
        w3 += w[i] * x3[i];
        v0 += v[i] * x0[i];
        v1 += v[i] * x1[i];
        v2 += v[i] * x2[i];
        v3 += v[i] * x3[i];
    }
    out[0] += w0;
    out[1] += v0;
    out[out_stride] += w1;
    out[out_stride + 1] += v1;
    out[2 * out_stride] += w2;
    out[2 * out_stride + 1] += v2;
    out[3 * out_stride] += w3;
    out[3 * out_stride + 1] += v3;
}

static void add_row_of_inputs(const int16_t (*restrict weights)[BLOCK], const int16_t *restrict x, size_t count, int32_t *restrict out)
{
    const int16_t *restrict w = weights[0], *restrict v = weights[1];
    int32_t w0 = 0, v0 = 0;
    WHOLE_REGISTERS
    for (size_t i = 0; i < count; i++) {
        w0 += w[i] * x[i];
        v0 += v[i] * x[i];
    }
    out[0] += w0;
    out[1] += v0;
}

/* The sums of two outputs grow by some inputs of `rows` rows. */
static void add_products(const int16_t (*weights)[BLOCK], const int16_t (*inputs)[BLOCK], size_t rows, size_t count, int32_t *out, size_t out_stride)
{
    size_t r = 0;
    for (; r + 4 <= rows; r += 4)
        add_four_rows(weights, inputs + r, count, out + r * out_stride, out_stride);
    for (; r < rows; r++)
        add_row_of_inputs(weights, inputs[r], count, out + r * out_stride);
}

static void widen(const int8_t *restrict from, size_t count, int16_t *restrict to)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
}

/* Two outputs of a tile of bytes. */
static void widen_bytes(const uint8_t *tile, size_t groups, size_t output, int16_t (*to)[BLOCK])
{
    for (size_t o = 0; o < 2; o++)
        for (size_t g = 0; g < groups; g++)
            for (size_t k = 0; k < LLMZ_GROUP; k++)
                to[o][g * LLMZ_GROUP + k] = tile[(g * LLMZ_TILE + output + o) * LLMZ_GROUP + k];
}

static inline void multiply(const struct llmz_product *p, const bool packed)
{
    size_t width = p->groups * LLMZ_GROUP;
    int16_t inputs[ROWS][BLOCK], weights[2][BLOCK];
    for (size_t row = 0; row < p->rows; row += ROWS) {
        size_t rows = p->rows - row < ROWS ? p->rows - row : ROWS;
        for (size_t r = row; r < row + rows; r++)
            memset(p->out + r * p->out_stride, 0, p->tile_count * LLMZ_TILE * sizeof *p->out);
        for (size_t first = 0; first < width; first += BLOCK) {
            size_t count = width - first < BLOCK ? width - first : BLOCK;
            for (size_t r = 0; r < rows; r++)
                widen(p->inputs + (row + r) * p->input_stride + first, count, inputs[r]);
            for (size_t t = 0; t < p->tile_count; t++) {
                const uint8_t *tile = p->tiles + t * p->tile_stride;
                for (size_t o = 0; o < LLMZ_TILE; o += 2) {
                    if (packed) {
                        widen((const int8_t *)tile + o * width + first, count, weights[0]);
                        widen((const int8_t *)tile + (o + 1) * width + first, count, weights[1]);
                    } else {
                        widen_bytes(tile + first * LLMZ_TILE, count / LLMZ_GROUP, o, weights);
                    }
                    add_products(weights, inputs, rows, count, p->out + row * p->out_stride + t * LLMZ_TILE + o, p->out_stride);
                }
            }
        }
    }
}

static void multiply_weights(const struct llmz_product *p)
{
    multiply(p, true);
}

static void multiply_bytes(const struct llmz_product *p)
{
    multiply(p, false);
}

const struct llmz_kernel llmz_kernel_portable = {
    "portable", LLMZ_TILE * 2 * LLMZ_GROUP, false, 4, pack, multiply_weights, multiply_bytes, multiply_bytes, LLMZ_LAYERS};
