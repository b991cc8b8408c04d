/* The kernel of decisions for AVX-512. */

#if defined(__x86_64__) && defined(__GNUC__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,prefer-vector-width=512")
#endif
#include "decision.h"

#define KERNEL avx512
#define KERNEL_NAME "avx512"
#include "decision.inc"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int llmz_no_avx512;
#endif
