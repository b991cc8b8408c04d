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

/* Any bytes: their highest bits apart, as 127 * 128 * 2 fits. */
__attribute__((always_inline)) static inline __m256i add_bytes(__m256i sum, __m256i bytes, __m256i inputs)
{
    __m256i low = _mm256_and_si256(bytes, _mm256_set1_epi8(127));
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 7), _mm256_set1_epi8(1));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(low, inputs), _mm256_set1_epi16(1)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(high, inputs), _mm256_set1_epi16(128)));
}

__attribute__((always_inline)) static inline __m256i add_digits(__m256i sum, __m256i bytes, __m256i inputs)
{
    return add_bytes(sum, bytes, inputs);
}

#include "kernel_avx2.inc"

const struct llmz_kernel llmz_kernel_avx2 = {"avx2", LLMZ_SIX_BIT_BYTES, llmz_pack_six_bits, multiply_weights, multiply_bytes, multiply_digits, LLMZ_LAYERS};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
typedef int llmz_no_avx2; /* a file may not be empty */
#endif
