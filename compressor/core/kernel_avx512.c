/* The kernel for AVX-512 with VNNI. */

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,prefer-vector-width=512")
#endif

#include "layers.inc"

enum { PREFETCH_BYTES = 2048 };

/* `rows` (a constant where this is inlined) rows and one tile. Chains of dependent sums are split in two where few rows leave
 * the units idle. */
__attribute__((always_inline)) static inline void tile_rows(const struct llmz_product *p, const int8_t *tile, size_t tile_at, size_t row,
    const unsigned rows, const unsigned chains)
{
    __m512i sums[12][2][2];
    const uint8_t *inputs = p->inputs + row * p->input_stride;
    size_t stride = p->input_stride, groups = p->groups, g = 0;
    for (unsigned r = 0; r < rows; r++)
        for (unsigned half = 0; half < 2; half++)
            for (unsigned c = 0; c < chains; c++)
                sums[r][half][c] = c == 0 && p->starts ? _mm512_loadu_si512(p->starts + tile_at * LLMZ_TILE + half * 16) : _mm512_setzero_si512();
    for (; g + chains <= groups; g += chains) {
        for (unsigned c = 0; c < chains; c++) {
            const int8_t *group = tile + (g + c) * LLMZ_TILE_BYTES;
            _mm_prefetch((const char *)group + PREFETCH_BYTES, _MM_HINT_T0);
            _mm_prefetch((const char *)group + PREFETCH_BYTES + 64, _MM_HINT_T0);
            __m512i first = _mm512_loadu_si512(group), second = _mm512_loadu_si512(group + 64);
            for (unsigned r = 0; r < rows; r++) {
                int32_t four;
                __builtin_memcpy(&four, inputs + r * stride + (g + c) * LLMZ_GROUP, 4);
                __m512i spread = _mm512_set1_epi32(four);
                sums[r][0][c] = _mm512_dpbusd_epi32(sums[r][0][c], spread, first);
                sums[r][1][c] = _mm512_dpbusd_epi32(sums[r][1][c], spread, second);
            }
        }
    }
    for (; g < groups; g++) {
        const int8_t *group = tile + g * LLMZ_TILE_BYTES;
        __m512i first = _mm512_loadu_si512(group), second = _mm512_loadu_si512(group + 64);
        for (unsigned r = 0; r < rows; r++) {
            int32_t four;
            __builtin_memcpy(&four, inputs + r * stride + g * LLMZ_GROUP, 4);
            __m512i spread = _mm512_set1_epi32(four);
            sums[r][0][0] = _mm512_dpbusd_epi32(sums[r][0][0], spread, first);
            sums[r][1][0] = _mm512_dpbusd_epi32(sums[r][1][0], spread, second);
        }
    }
    for (unsigned r = 0; r < rows; r++) {
        int32_t *out = p->out + (row + r) * p->out_stride + tile_at * LLMZ_TILE;
        for (unsigned half = 0; half < 2; half++) {
            __m512i total = sums[r][half][0];
            for (unsigned c = 1; c < chains; c++)
                total = _mm512_add_epi32(total, sums[r][half][c]);
            _mm512_storeu_si512(out + half * 16, total);
        }
    }
}

static void product(const struct llmz_product *p)
{
    for (size_t t = 0; t < p->tile_count; t++) {
        const int8_t *tile = p->tiles + t * p->tile_stride;
        size_t row = 0;
        for (; row + 12 <= p->rows; row += 12)
            tile_rows(p, tile, t, row, 12, 1);
        for (; row + 8 <= p->rows; row += 8)
            tile_rows(p, tile, t, row, 8, 1);
        for (; row + 4 <= p->rows; row += 4)
            tile_rows(p, tile, t, row, 4, 1);
        for (; row + 2 <= p->rows; row += 2)
            tile_rows(p, tile, t, row, 2, 2);
        for (; row < p->rows; row++)
            tile_rows(p, tile, t, row, 1, 2);
    }
}

const struct llmz_kernel llmz_kernel_avx512 = {"avx512", product, product, LLMZ_LAYERS};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
typedef int llmz_no_avx512; /* a file may not be empty */
#endif
