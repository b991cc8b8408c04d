/* The kernel for 64-bit ARM with dot products. */

#if defined(__aarch64__) && defined(__GNUC__) && !defined(__AARCH64EB__)

#include <arm_neon.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif

#include "layers.inc"

enum { REGISTERS = 8 /* of a group of a tile */ };

__attribute__((always_inline)) static inline int8x16_t spread_four(const int8_t *inputs)
{
    uint32_t four;
    __builtin_memcpy(&four, inputs, 4);
    return vreinterpretq_s8_u32(vdupq_n_u32(four));
}

/* Instructions multiply signed bytes: the tile's are moved down by 128, and sums up by 128 times that of the inputs. */
static void multiply_bytes(const struct llmz_product *p)
{
    for (size_t t = 0; t < p->tile_count; t++) {
        for (size_t r = 0; r < p->rows; r++) {
            const int8_t *inputs = p->inputs + r * p->input_stride;
            const uint8_t *tile = p->tiles + t * p->tile_stride;
            int32x4_t sums[REGISTERS], input_sum = vdupq_n_s32(0);
            for (unsigned i = 0; i < REGISTERS; i++)
                sums[i] = vdupq_n_s32(0);
            for (size_t g = 0; g < p->groups; g++) {
                int8x16_t spread = spread_four(inputs + g * LLMZ_GROUP);
                input_sum = vdotq_s32(input_sum, spread, vdupq_n_s8(1));
                for (unsigned i = 0; i < REGISTERS; i++) {
                    uint8x16_t moved = veorq_u8(vld1q_u8(tile + g * LLMZ_TILE_BYTES + i * 16), vdupq_n_u8(128));
                    sums[i] = vdotq_s32(sums[i], vreinterpretq_s8_u8(moved), spread);
                }
            }
            for (unsigned i = 0; i < REGISTERS; i++)
                vst1q_s32(p->out + r * p->out_stride + t * LLMZ_TILE + i * 4, vaddq_s32(sums[i], vshlq_n_s32(input_sum, 7)));
        }
    }
}

__attribute__((always_inline)) static inline void weights_tile(const struct llmz_product *p, size_t t, size_t row, const unsigned rows)
{
    int32x4_t sums[2][REGISTERS], input_sums[2];
    const uint8_t *packed = p->tiles + t * p->tile_stride;
    for (unsigned r = 0; r < rows; r++) {
        input_sums[r] = vdupq_n_s32(0);
        for (unsigned i = 0; i < REGISTERS; i++)
            sums[r][i] = vdupq_n_s32(0);
    }
    for (size_t g = 0; g < p->groups; g += 2, packed += LLMZ_SIX_BIT_BYTES) {
        int8x16_t first[2], second[2];
        for (unsigned r = 0; r < rows; r++) {
            const int8_t *inputs = p->inputs + (row + r) * p->input_stride + g * LLMZ_GROUP;
            first[r] = spread_four(inputs);
            second[r] = spread_four(inputs + LLMZ_GROUP);
            input_sums[r] = vdotq_s32(vdotq_s32(input_sums[r], first[r], vdupq_n_s8(1)), second[r], vdupq_n_s8(1));
        }
        for (unsigned i = 0; i < 4; i++) {
            uint8x16_t r0 = vld1q_u8(packed + i * 16), r1 = vld1q_u8(packed + 64 + i * 16), r2 = vld1q_u8(packed + 128 + i * 16);
            uint8x16_t low = vdupq_n_u8(63);
            uint8x16_t w3 = vorrq_u8(vshrq_n_u8(r0, 6), vorrq_u8(vshlq_n_u8(vshrq_n_u8(r1, 6), 2), vshlq_n_u8(vshrq_n_u8(r2, 6), 4)));
            int8x16_t w0 = vreinterpretq_s8_u8(vandq_u8(r0, low)), w1 = vreinterpretq_s8_u8(vandq_u8(r1, low));
            int8x16_t w2 = vreinterpretq_s8_u8(vandq_u8(r2, low));
            for (unsigned r = 0; r < rows; r++) {
                sums[r][i] = vdotq_s32(vdotq_s32(sums[r][i], w0, first[r]), w2, second[r]);
                sums[r][4 + i] = vdotq_s32(vdotq_s32(sums[r][4 + i], w1, first[r]), vreinterpretq_s8_u8(w3), second[r]);
            }
        }
    }
    for (unsigned r = 0; r < rows; r++)
        for (unsigned i = 0; i < REGISTERS; i++)
            vst1q_s32(p->out + (row + r) * p->out_stride + t * LLMZ_TILE + i * 4, vsubq_s32(sums[r][i], vshlq_n_s32(input_sums[r], 5)));
}

static void multiply_weights(const struct llmz_product *p)
{
    for (size_t t = 0; t < p->tile_count; t++) {
        size_t row = 0;
        for (; row + 2 <= p->rows; row += 2)
            weights_tile(p, t, row, 2);
        if (row < p->rows)
            weights_tile(p, t, row, 1);
    }
}

const struct llmz_kernel llmz_kernel_neon = {"neon", LLMZ_SIX_BIT_BYTES, true, 4, llmz_pack_six_bits, multiply_weights, multiply_bytes, multiply_bytes, LLMZ_LAYERS};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
typedef int llmz_no_neon; /* a file may not be empty */
#endif
