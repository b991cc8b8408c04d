/* The kernel for 64-bit ARM with dot products. */

#if defined(__aarch64__) && defined(__GNUC__)

#include <arm_neon.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif

#include "layers.inc"

/* The instruction multiplies signed by signed bytes: inputs are moved down by 128, and sums start higher for it by 128 times the
 * sum of the tile's bytes, which one more dot product gives. */
__attribute__((always_inline)) static inline void tile_rows(const struct llmz_product *p, const int8_t *tile, size_t tile_at, size_t row,
    const unsigned rows)
{
    int32x4_t sums[2][8], byte_sums[8];
    int8x16_t ones = vdupq_n_s8(1);
    for (unsigned i = 0; i < 8; i++) {
        byte_sums[i] = vdupq_n_s32(0);
        for (unsigned r = 0; r < rows; r++)
            sums[r][i] = p->starts ? vld1q_s32(p->starts + tile_at * LLMZ_TILE + i * 4) : vdupq_n_s32(0);
    }
    for (size_t g = 0; g < p->groups; g++) {
        int8x16_t spread[2];
        for (unsigned r = 0; r < rows; r++) {
            uint32_t four;
            __builtin_memcpy(&four, p->inputs + (row + r) * p->input_stride + g * LLMZ_GROUP, 4);
            spread[r] = vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x80808080u));
        }
        for (unsigned i = 0; i < 8; i++) {
            int8x16_t weights = vld1q_s8(tile + g * LLMZ_TILE_BYTES + i * 16);
            byte_sums[i] = vdotq_s32(byte_sums[i], weights, ones);
            for (unsigned r = 0; r < rows; r++)
                sums[r][i] = vdotq_s32(sums[r][i], weights, spread[r]);
        }
    }
    for (unsigned r = 0; r < rows; r++)
        for (unsigned i = 0; i < 8; i++)
            vst1q_s32(p->out + (row + r) * p->out_stride + tile_at * LLMZ_TILE + i * 4, vaddq_s32(sums[r][i], vshlq_n_s32(byte_sums[i], 7)));
}

static void product(const struct llmz_product *p)
{
    for (size_t t = 0; t < p->tile_count; t++) {
        const int8_t *tile = p->tiles + t * p->tile_stride;
        size_t row = 0;
        for (; row + 2 <= p->rows; row += 2)
            tile_rows(p, tile, t, row, 2);
        if (row < p->rows)
            tile_rows(p, tile, t, row, 1);
    }
}

const struct llmz_kernel llmz_kernel_neon = {"neon", product, product, LLMZ_LAYERS};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
typedef int llmz_no_neon; /* a file may not be empty */
#endif
