/* The kernel of decisions for AVX2. */

#if defined(__x86_64__) && defined(__GNUC__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC target("avx2,bmi,bmi2")
#endif
#include "decision.h"

#define KERNEL avx2
#define KERNEL_NAME "avx2"
#include "decision.inc"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int llmz_no_avx2;
#endif
