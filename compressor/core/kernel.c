/* Which kernels this build and this machine have, and the choice among them. */

#define _DEFAULT_SOURCE 1 /* syscall */

#include "kernel.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define X86 1
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__) && !defined(__AARCH64EB__)
#define ARM 1
#include <sys/auxv.h>
#endif

extern const struct llmz_kernel llmz_kernel_avx512, llmz_kernel_avxvnni, llmz_kernel_avx2, llmz_kernel_neon;
extern struct llmz_kernel llmz_kernel_amx;
void llmz_make_amx_kernel(void);

static bool always(void)
{
    return true;
}

#ifdef X86
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}

static bool has_avxvnni(void)
{
    unsigned eax, ebx, ecx, edx;
    return has_avx2() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && eax >> 4 & 1;
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

#if defined(__linux__)
static bool has_amx(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    unsigned eax, ebx, ecx, edx;
    if (!has_avx512() || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(edx >> 24 & 1) || !(edx >> 25 & 1))
        return false;
    if (syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) != 0)
        return false;
    llmz_make_amx_kernel();
    return true;
}
#endif
#endif

#if defined(ARM)
static bool has_dot_products(void)
{
    enum { DOT_PRODUCTS = 1 << 20 };
    return getauxval(AT_HWCAP) & DOT_PRODUCTS;
}
#elif defined(__aarch64__) && defined(__APPLE__)
#define ARM 1
#define has_dot_products always
#endif

const struct llmz_kernel_choice llmz_kernels[] = {
#ifdef X86
#if defined(__linux__)
    {&llmz_kernel_amx, has_amx},
#endif
    {&llmz_kernel_avx512, has_avx512},
    {&llmz_kernel_avxvnni, has_avxvnni},
    {&llmz_kernel_avx2, has_avx2},
#endif
#ifdef ARM
    {&llmz_kernel_neon, has_dot_products},
#endif
    {&llmz_kernel_portable, always},
    {NULL, NULL},
};

const struct llmz_kernel *llmz_kernel = &llmz_kernel_portable;

void llmz_pack_six_bits(const uint8_t *tile, size_t groups, uint8_t *packed)
{
    for (size_t g = 0; g < groups; g += 2, tile += 2 * LLMZ_TILE_BYTES, packed += LLMZ_SIX_BIT_BYTES)
        for (size_t j = 0; j < 3; j++)
            for (size_t i = 0; i < 64; i++)
                packed[64 * j + i] = (uint8_t)((tile[64 * j + i] & 63) | (tile[192 + i] >> 2 * j & 3) << 6);
}

/* A product with the weights of `tiles`, which the kernel packs. */
static void multiply_packed(const struct llmz_kernel *kernel, const struct llmz_product *bytes, const uint8_t *tiles, uint8_t *packed, int32_t *out)
{
    struct llmz_product p = *bytes;
    p.tiles = packed;
    p.tile_stride = p.groups / 2 * kernel->pair_bytes;
    p.out = out;
    for (size_t t = 0; t < p.tile_count; t++)
        kernel->pack(tiles + t * bytes->tile_stride, p.groups, packed + t * p.tile_stride);
    kernel->multiply_weights(&p);
}

/* Whether a kernel's products are those of the portable one, on bytes that reach every extreme. */
static bool agrees(const struct llmz_kernel *kernel)
{
    enum { ROWS = 37, GROUPS = 32, TILES = 2, WIDTH = GROUPS * LLMZ_GROUP, BYTES = GROUPS * LLMZ_TILE_BYTES, OUTPUTS = TILES * LLMZ_TILE };
    static int8_t inputs[ROWS * WIDTH];
    static uint8_t tiles[TILES * BYTES], weights[TILES * BYTES], packed[TILES * BYTES];
    static int32_t expected[ROWS * OUTPUTS], found[ROWS * OUTPUTS];
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof tiles; i++)
        tiles[i] = i % 5 == 0 ? 255 : (uint8_t)((random = random * 1664525u + 1013904223u) >> 24 | 1);
    for (size_t i = 0; i < sizeof weights; i++)
        weights[i] = tiles[i] >> 1 & 63;
    for (int digits = 0; digits < 2; digits++) {
        for (size_t i = 0; i < sizeof inputs; i++) {
            int value = (int)((random = random * 1664525u + 1013904223u) >> 24) - 128;
            inputs[i] = (int8_t)(digits ? (i % 3 == 0 ? 127 : value & 127) : i % 7 < 2 ? (i % 7 == 0 ? -127 : 127) : value == -128 ? 0 : value);
        }
        for (size_t rows = 1; rows <= ROWS; rows += rows < 4 ? 1 : 11) {
            struct llmz_product p = {inputs, WIDTH, rows, tiles, BYTES, TILES, GROUPS, expected, OUTPUTS};
            size_t bytes = rows * OUTPUTS * sizeof *found;
            llmz_kernel_portable.multiply_bytes(&p);
            p.out = found;
            (digits ? kernel->multiply_digits : kernel->multiply_bytes)(&p);
            if (memcmp(expected, found, bytes) != 0)
                return false;
            multiply_packed(&llmz_kernel_portable, &p, weights, packed, expected);
            multiply_packed(kernel, &p, weights, packed, found);
            if (memcmp(expected, found, bytes) != 0)
                return false;
        }
    }
    return true;
}

void llmz_choose_kernel(void)
{
    const char *wanted = getenv("LLMZIP_KERNEL");
    for (const struct llmz_kernel_choice *choice = llmz_kernels; choice->kernel; choice++) {
        if (!choice->available() || (wanted && *wanted && strcmp(wanted, choice->kernel->name) != 0) || !agrees(choice->kernel))
            continue;
        llmz_kernel = choice->kernel;
        return;
    }
    llmz_kernel = &llmz_kernel_portable;
}
