/* The kernel for AVX-512 with VNNI. */

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,prefer-vector-width=512")
#endif

#define LLMZ_OWN_ADD_UP
#include "layers.inc"

/* A running sum is a chain of additions, which no compiler turns into vectors: here each has sixteen terms. */
static void add_up(const int32_t *weights, uint32_t inverse, size_t count, int32_t *cumulative)
{
    const __m512i zero = _mm512_setzero_si512(), factor = _mm512_set1_epi64(inverse), last = _mm512_set1_epi32(15);
    __m512i running = zero;
    size_t v = 0;
    cumulative[0] = 0;
    for (; v + 16 <= count; v += 16) {
        __m512i w = _mm512_loadu_si512(weights + v);
        __m512i even = _mm512_srli_epi64(_mm512_mul_epu32(w, factor), 36);
        __m512i odd = _mm512_srli_epi64(_mm512_mul_epu32(_mm512_srli_epi64(w, 32), factor), 36);
        __m512i sums = _mm512_add_epi32(_mm512_or_si512(even, _mm512_slli_epi64(odd, 32)), _mm512_set1_epi32(1));
        sums = _mm512_add_epi32(sums, _mm512_alignr_epi32(sums, zero, 15));
        sums = _mm512_add_epi32(sums, _mm512_alignr_epi32(sums, zero, 14));
        sums = _mm512_add_epi32(sums, _mm512_alignr_epi32(sums, zero, 12));
        sums = _mm512_add_epi32(sums, _mm512_alignr_epi32(sums, zero, 8));
        sums = _mm512_add_epi32(sums, running);
        _mm512_storeu_si512(cumulative + v + 1, sums);
        running = _mm512_permutexvar_epi32(last, sums);
    }
    int32_t rest = _mm_cvtsi128_si32(_mm512_castsi512_si128(running));
    for (; v < count; v++)
        cumulative[v + 1] = rest += (int32_t)((uint64_t)(uint32_t)weights[v] * inverse >> 36) + 1;
}

enum {
    WEIGHTS_AHEAD = 12288, /* bytes that weights are asked for ahead of their use: they come from the third cache at best */
    BYTES_AHEAD = 4096,
};

__attribute__((always_inline)) static inline __m512i spread_four(const int8_t *inputs)
{
    int32_t four;
    __builtin_memcpy(&four, inputs, 4);
    return _mm512_set1_epi32(four);
}

__attribute__((always_inline)) static inline void ask_for(const uint8_t *place)
{
    _mm_prefetch((const char *)place, _MM_HINT_T0);
}

/* `rows` (a constant where this is inlined) rows and one tile of bytes. Sums are split into chains where few rows would leave the
 * units waiting for each other. */
__attribute__((always_inline)) static inline void bytes_tile(const struct llmz_product *p, size_t t, size_t row, const unsigned rows,
    const unsigned chains)
{
    __m512i sums[8][2][2];
    const int8_t *inputs = p->inputs + row * p->input_stride;
    const uint8_t *tile = p->tiles + t * p->tile_stride;
    size_t stride = p->input_stride, g = 0;
    for (unsigned r = 0; r < rows; r++)
        for (unsigned c = 0; c < chains; c++)
            sums[r][0][c] = sums[r][1][c] = _mm512_setzero_si512();
    for (; g + chains <= p->groups; g += chains) {
        for (unsigned c = 0; c < chains; c++) {
            const uint8_t *group = tile + (g + c) * LLMZ_TILE_BYTES;
            ask_for(group + BYTES_AHEAD);
            ask_for(group + BYTES_AHEAD + 64);
            __m512i first = _mm512_loadu_si512(group), second = _mm512_loadu_si512(group + 64);
            for (unsigned r = 0; r < rows; r++) {
                __m512i spread = spread_four(inputs + r * stride + (g + c) * LLMZ_GROUP);
                sums[r][0][c] = _mm512_dpbusd_epi32(sums[r][0][c], first, spread);
                sums[r][1][c] = _mm512_dpbusd_epi32(sums[r][1][c], second, spread);
            }
        }
    }
    for (; g < p->groups; g++) {
        const uint8_t *group = tile + g * LLMZ_TILE_BYTES;
        __m512i first = _mm512_loadu_si512(group), second = _mm512_loadu_si512(group + 64);
        for (unsigned r = 0; r < rows; r++) {
            __m512i spread = spread_four(inputs + r * stride + g * LLMZ_GROUP);
            sums[r][0][0] = _mm512_dpbusd_epi32(sums[r][0][0], first, spread);
            sums[r][1][0] = _mm512_dpbusd_epi32(sums[r][1][0], second, spread);
        }
    }
    for (unsigned r = 0; r < rows; r++) {
        int32_t *out = p->out + (row + r) * p->out_stride + t * LLMZ_TILE;
        for (unsigned half = 0; half < 2; half++) {
            __m512i total = sums[r][half][0];
            for (unsigned c = 1; c < chains; c++)
                total = _mm512_add_epi32(total, sums[r][half][c]);
            _mm512_storeu_si512(out + half * 16, total);
        }
    }
}

static void multiply_bytes(const struct llmz_product *p)
{
    for (size_t t = 0; t < p->tile_count; t++) {
        size_t row = 0;
        for (; row + 8 <= p->rows; row += 8)
            bytes_tile(p, t, row, 8, 1);
        for (; row + 4 <= p->rows; row += 4)
            bytes_tile(p, t, row, 4, 1);
        for (; row + 2 <= p->rows; row += 2)
            bytes_tile(p, t, row, 2, 2);
        for (; row < p->rows; row++)
            bytes_tile(p, t, row, 1, 2);
    }
}

__attribute__((always_inline)) static inline int32_t sum_of(const int8_t *inputs, size_t count)
{
    int32_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += inputs[i];
    return sum;
}

/* `rows` rows and one tile of weights; a group's sums and its neighbour's are chains of their own where `chains` is 2. */
__attribute__((always_inline)) static inline void weights_tile(const struct llmz_product *p, size_t t, size_t row, const unsigned rows,
    const unsigned chains, const int32_t *starts)
{
    __m512i sums[8][2][2];
    const int8_t *inputs = p->inputs + row * p->input_stride;
    const uint8_t *packed = p->tiles + t * p->tile_stride;
    size_t stride = p->input_stride;
    const __m512i low = _mm512_set1_epi8(63), bits_0 = _mm512_set1_epi8(3), bits_1 = _mm512_set1_epi8(12), bits_2 = _mm512_set1_epi8(48);
    for (unsigned r = 0; r < rows; r++) {
        sums[r][0][0] = sums[r][1][0] = _mm512_set1_epi32(starts[r]);
        sums[r][0][1] = sums[r][1][1] = _mm512_setzero_si512();
    }
    for (size_t g = 0; g < p->groups; g += 2, packed += LLMZ_SIX_BIT_BYTES) {
        ask_for(packed + WEIGHTS_AHEAD);
        ask_for(packed + WEIGHTS_AHEAD + 64);
        ask_for(packed + WEIGHTS_AHEAD + 128);
        __m512i r0 = _mm512_loadu_si512(packed), r1 = _mm512_loadu_si512(packed + 64), r2 = _mm512_loadu_si512(packed + 128);
        __m512i w0 = _mm512_and_si512(r0, low), w1 = _mm512_and_si512(r1, low), w2 = _mm512_and_si512(r2, low);
        __m512i w3 = _mm512_and_si512(_mm512_srli_epi16(r0, 6), bits_0);
        w3 = _mm512_ternarylogic_epi32(w3, _mm512_srli_epi16(r1, 4), bits_1, 0xF8); /* w3 | shifted & bits */
        w3 = _mm512_ternarylogic_epi32(w3, _mm512_srli_epi16(r2, 2), bits_2, 0xF8);
        for (unsigned r = 0; r < rows; r++) {
            __m512i first = spread_four(inputs + r * stride + g * LLMZ_GROUP);
            __m512i second = spread_four(inputs + r * stride + (g + 1) * LLMZ_GROUP);
            sums[r][0][0] = _mm512_dpbusd_epi32(sums[r][0][0], w0, first);
            sums[r][1][0] = _mm512_dpbusd_epi32(sums[r][1][0], w1, first);
            sums[r][0][chains - 1] = _mm512_dpbusd_epi32(sums[r][0][chains - 1], w2, second);
            sums[r][1][chains - 1] = _mm512_dpbusd_epi32(sums[r][1][chains - 1], w3, second);
        }
    }
    for (unsigned r = 0; r < rows; r++) {
        int32_t *out = p->out + (row + r) * p->out_stride + t * LLMZ_TILE;
        for (unsigned half = 0; half < 2; half++)
            _mm512_storeu_si512(out + half * 16, chains == 1 ? sums[r][half][0] : _mm512_add_epi32(sums[r][half][0], sums[r][half][1]));
    }
}

static void multiply_weights(const struct llmz_product *p)
{
    enum { ROWS = 64 };
    int32_t starts[ROWS];
    for (size_t begin = 0; begin < p->rows; begin += ROWS) {
        size_t after = p->rows - begin < ROWS ? p->rows : begin + ROWS;
        for (size_t row = begin; row < after; row++)
            starts[row - begin] = -LLMZ_WEIGHT_OFFSET * sum_of(p->inputs + row * p->input_stride, p->groups * LLMZ_GROUP);
        for (size_t t = 0; t < p->tile_count; t++) {
            size_t row = begin;
            for (; row + 8 <= after; row += 8)
                weights_tile(p, t, row, 8, 1, starts + (row - begin));
            for (; row + 4 <= after; row += 4)
                weights_tile(p, t, row, 4, 1, starts + (row - begin));
            for (; row + 2 <= after; row += 2)
                weights_tile(p, t, row, 2, 2, starts + (row - begin));
            for (; row < after; row++)
                weights_tile(p, t, row, 1, 2, starts + (row - begin));
        }
    }
}

const struct llmz_kernel llmz_kernel_avx512 = {"avx512", LLMZ_SIX_BIT_BYTES, true, 4, llmz_pack_six_bits, multiply_weights, multiply_bytes, multiply_bytes, LLMZ_LAYERS};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
typedef int llmz_no_avx512; /* a file may not be empty */
#endif
