/* Integer arithmetic with defined results: what every file of the core computes with. */
#ifndef LLMZ_ARITHMETIC_H
#define LLMZ_ARITHMETIC_H

#include <stdint.h>

/* floor(value / 2^bits) for 0 <= bits < 64 (32). C leaves the right shift of a negative number to the compiler; the core is
 * only built where it is arithmetic, and shifts what may be negative nowhere else. */
_Static_assert((-1 >> 1) == -1, "right shifts of negative numbers must be arithmetic");

static inline int64_t llmz_shift_right(int64_t value, unsigned bits)
{
    return value >> bits;
}

static inline int32_t llmz_shift_right_32(int32_t value, unsigned bits)
{
    return value >> bits;
}

static inline int64_t llmz_clip(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static inline int32_t llmz_clip_32(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Floor of the square root of n < 2^62. */
static inline uint64_t llmz_square_root(uint64_t n)
{
    uint64_t root = 0, bit = (uint64_t)1 << 60;
    while (bit > n)
        bit >>= 2;
    for (; bit; bit >>= 2) {
        if (n >= root + bit) {
            n -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return root;
}

#endif
