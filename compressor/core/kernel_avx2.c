/* The kernel for AVX2. */

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif

#include "layers.inc"

/* The instruction adds pairs of products in 16 bits: 63 * 128 * 2 * 2 fits, so two groups of weights may be added there. */
__attribute__((always_inline)) static inline __m256i add_weights(__m256i sum, __m256i first, __m256i inputs, __m256i second, __m256i next_inputs)
{
    __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(first, inputs), _mm256_maddubs_epi16(second, next_inputs));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* Bytes are moved down by 128, to the signed side of the instruction; the other side has inputs without their signs, which go to the
 * bytes: 127 * 127 * 2 fits. Digits have none, and 127 * 128 * 2 fits. */
enum { BYTES_DOWN = 128 };

__attribute__((always_inline)) static inline __m256i add_bytes(__m256i sum, __m256i bytes, __m256i inputs, const bool digits)
{
    __m256i down = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
    __m256i products = digits ? _mm256_maddubs_epi16(inputs, down) : _mm256_maddubs_epi16(_mm256_abs_epi8(inputs), _mm256_sign_epi8(down, inputs));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(products, _mm256_set1_epi16(1)));
}

#include "kernel_avx2.inc"

/* Sums of 16 bits hold more than two groups where inputs are small, as they nearly always are: then fewer instructions widen them. */
enum {
    DEEP = 16, /* groups that are added up in 16 bits, the first two inputs of each and the last two apart */
    SMALL = 32767 / 63, /* most that the inputs of such a sum may add up to, those below 0 apart */
    FOUR = 4, /* rows at once */
    MOST_ROWS = 64, /* whose inputs are looked at first */
    UNPACKED = 128, /* groups at once */
    LINE = 64, /* bytes that are asked for at once */
};

__attribute__((always_inline)) static inline int32_t sum_of(__m256i words)
{
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xB1)));
}

/* Whether all sums of `DEEP` groups fit in 16 bits, for any weights; the sum of all inputs goes to `sum`. */
static bool are_small(const int8_t *inputs, size_t groups, int32_t *sum)
{
    const __m256i zero = _mm256_setzero_si256(), ones = _mm256_set1_epi8(1), pairs = _mm256_set1_epi16(1);
    __m256i most = zero, all = zero;
    for (size_t g = 0; g < groups; g += DEEP) {
        __m256i above = zero, below = zero;
        for (size_t half = 0; half < 2; half++) {
            __m256i x = load((const uint8_t *)inputs + g * LLMZ_GROUP + half * 32);
            __m256i over_0 = _mm256_max_epi8(x, zero);
            all = _mm256_add_epi32(all, _mm256_madd_epi16(_mm256_maddubs_epi16(ones, x), pairs));
            above = _mm256_add_epi16(above, _mm256_maddubs_epi16(over_0, ones));
            below = _mm256_add_epi16(below, _mm256_maddubs_epi16(_mm256_sub_epi8(over_0, x), ones));
        }
        /* Two sums of 16 bits in each 32: none is below 0, nor carries. */
        above = _mm256_hadd_epi32(above, below);
        above = _mm256_hadd_epi32(above, above);
        most = _mm256_max_epi16(most, _mm256_add_epi16(above, _mm256_permute4x64_epi64(above, 0x4E)));
    }
    *sum = sum_of(all);
    return _mm256_testz_si256(_mm256_cmpgt_epi16(most, _mm256_set1_epi16(SMALL)), _mm256_set1_epi8(-1));
}

/* Groups of a tile as bytes, [groups][LLMZ_TILE][LLMZ_GROUP]. */
static void unpack(const uint8_t *packed, size_t groups, uint8_t *out)
{
    const __m256i low = _mm256_set1_epi8(63), bits_0 = _mm256_set1_epi8(3), bits_1 = _mm256_set1_epi8(12), bits_2 = _mm256_set1_epi8(48);
    for (size_t g = 0; g < groups; g += 2, packed += LLMZ_SIX_BIT_BYTES, out += 2 * LLMZ_TILE_BYTES) {
        for (unsigned half = 0; half < 64; half += 32) {
            __m256i r0 = load(packed + half), r1 = load(packed + 64 + half), r2 = load(packed + 128 + half);
            __m256i w3 = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(r0, 6), bits_0),
                _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(r1, 4), bits_1), _mm256_and_si256(_mm256_srli_epi16(r2, 2), bits_2)));
            _mm256_store_si256((__m256i *)(out + half), _mm256_and_si256(r0, low));
            _mm256_store_si256((__m256i *)(out + 64 + half), _mm256_and_si256(r1, low));
            _mm256_store_si256((__m256i *)(out + 128 + half), _mm256_and_si256(r2, low));
            _mm256_store_si256((__m256i *)(out + 192 + half), w3);
        }
    }
}

/* Nothing; but compilers may not put additions before it off, as they do, until no register is left. */
__attribute__((always_inline)) static inline void keep(__m256i *sum)
{
    __asm__("" : "+x"(*sum));
}

/* One group of four rows and half a tile: sums of 16 bits begin with it, or it is added to them. */
__attribute__((always_inline)) static inline void add_group(const int8_t *inputs, const uint8_t *weights, const bool begin, __m256i sums[FOUR][2])
{
    __m256i first = load(weights), second = load(weights + 32);
    for (unsigned r = 0; r < FOUR; r++) {
        __m256i spread = spread_four(inputs + r * LLMZ_GROUP);
        __m256i products[2] = {_mm256_maddubs_epi16(first, spread), _mm256_maddubs_epi16(second, spread)};
        sums[r][0] = begin ? products[0] : _mm256_add_epi16(sums[r][0], products[0]);
        sums[r][1] = begin ? products[1] : _mm256_add_epi16(sums[r][1], products[1]);
        keep(&sums[r][0]);
        keep(&sums[r][1]);
    }
}

/* Half a tile: the sums of four rows grow by some groups' products. Beside each DEEP groups, `lines` lines from `next` on are asked for:
 * the weights that are unpacked next, which would have to be waited for there. What is widened stays in memory of its own: rows of `out`
 * lie whole pages apart, where a load waits for the store to another row. */
static void add_four_rows(const int8_t *inputs, const uint8_t *weights, size_t groups, int32_t *out, size_t out_stride,
    const uint8_t *next, size_t lines)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i wide[FOUR][2];
    for (unsigned r = 0; r < FOUR; r++)
        for (unsigned i = 0; i < 2; i++)
            wide[r][i] = load((const uint8_t *)(out + r * out_stride + i * 8));
    for (size_t g = 0; g < groups; g += DEEP, inputs += FOUR * DEEP * LLMZ_GROUP, weights += DEEP * LLMZ_TILE_BYTES) {
        __m256i sums[FOUR][2];
        for (size_t line = 0; line < lines; line++, next += LINE)
            ask_for(next);
#define ADD(d) add_group(inputs + (d)*FOUR * LLMZ_GROUP, weights + (d)*LLMZ_TILE_BYTES, (d) == 0, sums)
        ADD(0), ADD(1), ADD(2), ADD(3), ADD(4), ADD(5), ADD(6), ADD(7);
        ADD(8), ADD(9), ADD(10), ADD(11), ADD(12), ADD(13), ADD(14), ADD(15);
#undef ADD
        for (unsigned r = 0; r < FOUR; r++)
            for (unsigned i = 0; i < 2; i++)
                wide[r][i] = _mm256_add_epi32(wide[r][i], _mm256_madd_epi16(sums[r][i], ones));
    }
    for (unsigned r = 0; r < FOUR; r++)
        for (unsigned i = 0; i < 2; i++)
            _mm256_storeu_si256((__m256i *)(out + r * out_stride + i * 8), wide[r][i]);
}

/* Some groups of four rows' inputs side by side, [groups][FOUR][LLMZ_GROUP]: rows lie so far apart that they share a few of the first
 * cache's places. */
static void gather_four_rows(const int8_t *inputs, size_t input_stride, size_t groups, int8_t *out)
{
    for (size_t g = 0; g < groups; g += FOUR, inputs += FOUR * LLMZ_GROUP, out += FOUR * FOUR * LLMZ_GROUP) {
        __m128i r0 = _mm_loadu_si128((const __m128i *)inputs), r1 = _mm_loadu_si128((const __m128i *)(inputs + input_stride));
        __m128i r2 = _mm_loadu_si128((const __m128i *)(inputs + 2 * input_stride)), r3 = _mm_loadu_si128((const __m128i *)(inputs + 3 * input_stride));
        __m128i low_01 = _mm_unpacklo_epi32(r0, r1), low_23 = _mm_unpacklo_epi32(r2, r3);
        __m128i high_01 = _mm_unpackhi_epi32(r0, r1), high_23 = _mm_unpackhi_epi32(r2, r3);
        _mm_store_si128((__m128i *)out, _mm_unpacklo_epi64(low_01, low_23));
        _mm_store_si128((__m128i *)(out + 16), _mm_unpackhi_epi64(low_01, low_23));
        _mm_store_si128((__m128i *)(out + 32), _mm_unpacklo_epi64(high_01, high_23));
        _mm_store_si128((__m128i *)(out + 48), _mm_unpackhi_epi64(high_01, high_23));
    }
}

/* Four rows at a time whose inputs are small; each group of them has `small` set. */
static void multiply_small(const struct llmz_product *p, size_t begin, size_t fours, const bool *small, const int32_t *starts)
{
    _Alignas(32) uint8_t weights[UNPACKED * LLMZ_TILE_BYTES];
    _Alignas(32) int8_t inputs[MOST_ROWS / FOUR][UNPACKED * FOUR * LLMZ_GROUP];
    for (size_t i = 0; i < fours; i++)
        for (size_t r = i * FOUR; small[i] && r < (i + 1) * FOUR; r++)
            for (size_t o = 0; o < p->tile_count * LLMZ_TILE; o++)
                p->out[(begin + r) * p->out_stride + o] = starts[r];
    for (size_t g = 0; g < p->groups; g += UNPACKED) {
        size_t groups = p->groups - g < UNPACKED ? p->groups - g : UNPACKED, bytes = groups / 2 * LLMZ_SIX_BIT_BYTES;
        size_t blocks = 2 * fours * (groups / DEEP), lines = (bytes / LINE + blocks - 1) / blocks;
        const uint8_t *column = p->tiles + g / 2 * LLMZ_SIX_BIT_BYTES; /* the same groups of all tiles */
        for (size_t i = 0; i < fours; i++)
            gather_four_rows(p->inputs + (begin + i * FOUR) * p->input_stride + g * LLMZ_GROUP, p->input_stride, groups, inputs[i]);
        for (size_t t = 0; t < p->tile_count; t++) {
            const uint8_t *next = column + (t + 1) * p->tile_stride;
            if (t + 1 == p->tile_count && g + groups < p->groups)
                next = column + bytes;
            unpack(column + t * p->tile_stride, groups, weights);
            for (size_t i = 0; i < fours; i++)
                for (size_t half = 0; small[i] && half < 2; half++, next += groups / DEEP * lines * LINE)
                    add_four_rows(inputs[i], weights + half * 64, groups,
                        p->out + (begin + i * FOUR) * p->out_stride + t * LLMZ_TILE + half * 16, p->out_stride, next, lines);
        }
    }
}

/* Some of the rows, whatever their inputs are. */
static void multiply_others(const struct llmz_product *p, size_t row, size_t rows)
{
    struct llmz_product others = *p;
    others.inputs += row * p->input_stride;
    others.out += row * p->out_stride;
    others.rows = rows;
    multiply_rows(&others);
}

static void multiply_weights(const struct llmz_product *p)
{
    if (p->rows < FOUR || p->groups % DEEP != 0) {
        multiply_rows(p);
        return;
    }
    for (size_t begin = 0; begin < p->rows; begin += MOST_ROWS) {
        size_t rows = p->rows - begin < MOST_ROWS ? p->rows - begin : MOST_ROWS, fours = rows / FOUR;
        int32_t starts[MOST_ROWS] = {0};
        bool small[MOST_ROWS / FOUR];
        for (size_t i = 0; i < fours; i++)
            small[i] = true;
        for (size_t r = 0; r < fours * FOUR; r++) {
            int32_t sum;
            if (!are_small(p->inputs + (begin + r) * p->input_stride, p->groups, &sum))
                small[r / FOUR] = false;
            starts[r] = -LLMZ_WEIGHT_OFFSET * sum;
        }
        multiply_small(p, begin, fours, small, starts);
        for (size_t i = 0; i < fours; i++)
            if (!small[i])
                multiply_others(p, begin + i * FOUR, FOUR);
        if (rows > fours * FOUR)
            multiply_others(p, begin + fours * FOUR, rows - fours * FOUR);
    }
}

const struct llmz_kernel llmz_kernel_avx2 = {"avx2", LLMZ_SIX_BIT_BYTES, true, 8, llmz_pack_six_bits, multiply_weights, multiply_bytes, multiply_digits, LLMZ_LAYERS};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
typedef int llmz_no_avx2; /* a file may not be empty */
#endif
