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

/* Pairs of products are added in 16 bits: exact for weights of at most LLMZ_WEIGHT_MAX, or inputs of at most 127. */
__attribute__((always_inline)) static inline __m256i dot(__m256i sum, __m256i inputs, __m256i weights)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(inputs, weights), _mm256_set1_epi16(1)));
}

/* Any bytes: the inputs' highest bits apart. */
__attribute__((always_inline)) static inline __m256i dot_any(__m256i sum, __m256i inputs, __m256i weights)
{
    __m256i low = _mm256_and_si256(inputs, _mm256_set1_epi8(127));
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(inputs, 7), _mm256_set1_epi8(1));
    sum = dot(sum, low, weights);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(high, weights), _mm256_set1_epi16(128)));
}

#include "kernel_avx2.inc"

const struct llmz_kernel llmz_kernel_avx2 = {"avx2", product, product_any, LLMZ_LAYERS};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
typedef int llmz_no_avx2; /* a file may not be empty */
#endif
