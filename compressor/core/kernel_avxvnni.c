/* The kernel for AVX2 with VNNI in 256-bit registers. */

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,avxvnni"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,avxvnni")
#endif

#include "layers.inc"

__attribute__((always_inline)) static inline __m256i add_bytes(__m256i sum, __m256i bytes, __m256i inputs)
{
    return _mm256_dpbusd_avx_epi32(sum, bytes, inputs);
}

__attribute__((always_inline)) static inline __m256i add_weights(__m256i sum, __m256i first, __m256i inputs, __m256i second, __m256i next_inputs)
{
    return add_bytes(add_bytes(sum, first, inputs), second, next_inputs);
}

#include "kernel_avx2.inc"

__attribute__((always_inline)) static inline void bytes_tile(const struct llmz_product *p, size_t t, size_t row, const unsigned rows)
{
    __m256i sums[2][4];
    const int8_t *inputs = p->inputs + row * p->input_stride;
    const uint8_t *tile = p->tiles + t * p->tile_stride;
    for (unsigned r = 0; r < rows; r++)
        for (unsigned i = 0; i < 4; i++)
            sums[r][i] = _mm256_setzero_si256();
    for (size_t g = 0; g < p->groups; g++) {
        const uint8_t *group = tile + g * LLMZ_TILE_BYTES;
        __m256i spread[2];
        ask_for(group + BYTES_AHEAD);
        ask_for(group + BYTES_AHEAD + 64);
        for (unsigned r = 0; r < rows; r++)
            spread[r] = spread_four(inputs + r * p->input_stride + g * LLMZ_GROUP);
        for (unsigned i = 0; i < 4; i++) {
            __m256i bytes = load(group + i * 32);
            for (unsigned r = 0; r < rows; r++)
                sums[r][i] = add_bytes(sums[r][i], bytes, spread[r]);
        }
    }
    for (unsigned r = 0; r < rows; r++)
        for (unsigned i = 0; i < 4; i++)
            _mm256_storeu_si256((__m256i *)(p->out + (row + r) * p->out_stride + t * LLMZ_TILE + i * 8), sums[r][i]);
}

static void multiply_bytes(const struct llmz_product *p)
{
    for (size_t t = 0; t < p->tile_count; t++) {
        size_t row = 0;
        for (; row + 2 <= p->rows; row += 2)
            bytes_tile(p, t, row, 2);
        if (row < p->rows)
            bytes_tile(p, t, row, 1);
    }
}

const struct llmz_kernel llmz_kernel_avxvnni = {"avxvnni", LLMZ_SIX_BIT_BYTES, llmz_pack_six_bits, multiply_rows, multiply_bytes, multiply_bytes, LLMZ_LAYERS};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
typedef int llmz_no_avxvnni; /* a file may not be empty */
#endif
