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

enum { BYTES_DOWN = 0 };

__attribute__((always_inline)) static inline __m256i add_bytes(__m256i sum, __m256i bytes, __m256i inputs, const bool digits)
{
    (void)digits;
    return _mm256_dpbusd_avx_epi32(sum, bytes, inputs);
}

__attribute__((always_inline)) static inline __m256i add_weights(__m256i sum, __m256i first, __m256i inputs, __m256i second, __m256i next_inputs)
{
    return _mm256_dpbusd_avx_epi32(_mm256_dpbusd_avx_epi32(sum, first, inputs), second, next_inputs);
}

#include "kernel_avx2.inc"

const struct llmz_kernel llmz_kernel_avxvnni = {"avxvnni", LLMZ_SIX_BIT_BYTES, true, 4, llmz_pack_six_bits, multiply_rows, multiply_bytes, multiply_digits, LLMZ_LAYERS};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
typedef int llmz_no_avxvnni; /* a file may not be empty */
#endif
