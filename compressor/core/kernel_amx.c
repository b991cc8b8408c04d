/* The kernel for AMX: products of 16 rows and more by tile instructions; everything else is that of AVX-512 with VNNI. */

#if defined(__x86_64__) && defined(__GNUC__) && defined(__linux__)

#include <immintrin.h>
#include <string.h>

#include "kernel.h"

extern const struct llmz_kernel llmz_kernel_avx512;

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,amx-tile,amx-int8"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,amx-tile,amx-int8")
#endif

enum { ROWS = 16, DEPTH = 64 /* inputs of a step */ };

struct tile_shapes {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

static void configure(void)
{
    struct tile_shapes shapes;
    memset(&shapes, 0, sizeof shapes);
    shapes.palette = 1;
    for (int i = 0; i < 8; i++) {
        shapes.row_bytes[i] = 64;
        shapes.rows[i] = 16;
    }
    _tile_loadconfig(&shapes);
}

/* 32 rows (or 16) and one tile of 32 outputs, [inputs / 4][2][64]: its halves side by side. */
static void add_products(const struct llmz_product *p, const uint8_t *tile, size_t t, size_t row, int two, const int32_t *starts)
{
    const int8_t *first = p->inputs + row * p->input_stride, *second = first + ROWS * p->input_stride;
    int32_t sums[4][ROWS][16];
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t g = 0; g < p->groups; g += DEPTH / LLMZ_GROUP) {
        _tile_loadd(4, first + g * LLMZ_GROUP, p->input_stride);
        _tile_loadd(6, tile + g * LLMZ_TILE_BYTES, LLMZ_TILE_BYTES);
        _tile_loadd(7, tile + g * LLMZ_TILE_BYTES + 64, LLMZ_TILE_BYTES);
        _tile_dpbsud(0, 4, 6);
        _tile_dpbsud(1, 4, 7);
        if (two) {
            _tile_loadd(5, second + g * LLMZ_GROUP, p->input_stride);
            _tile_dpbsud(2, 5, 6);
            _tile_dpbsud(3, 5, 7);
        }
    }
    _tile_stored(0, sums[0], 64);
    _tile_stored(1, sums[1], 64);
    _tile_stored(2, sums[2], 64);
    _tile_stored(3, sums[3], 64);
    for (int part = 0; part < (two ? 4 : 2); part++) {
        for (size_t r = 0; r < ROWS; r++) {
            size_t at = row + (size_t)part / 2 * ROWS + r;
            int32_t *out = p->out + at * p->out_stride + t * LLMZ_TILE + part % 2 * 16;
            for (int o = 0; o < 16; o++)
                out[o] = sums[part][r][o] + starts[at];
        }
    }
}

/* Unpack two groups after each other, as kernel.h has them. */
static void unpack(const uint8_t *packed, size_t groups, uint8_t *out)
{
    for (size_t g = 0; g < groups; g += 2, packed += LLMZ_SIX_BIT_BYTES, out += 2 * LLMZ_TILE_BYTES) {
        for (size_t i = 0; i < 64; i++) {
            out[i] = packed[i] & 63;
            out[64 + i] = packed[64 + i] & 63;
            out[128 + i] = packed[128 + i] & 63;
            out[192 + i] = (uint8_t)(packed[i] >> 6 | packed[64 + i] >> 6 << 2 | packed[128 + i] >> 6 << 4);
        }
    }
}

static void multiply_weights(const struct llmz_product *p)
{
    enum { MOST_ROWS = 64, MOST_GROUPS = 2048 };
    size_t whole = p->groups % (DEPTH / LLMZ_GROUP) == 0 && p->groups <= MOST_GROUPS && p->rows <= MOST_ROWS ? p->rows / ROWS * ROWS : 0;
    if (whole) {
        static _Thread_local uint8_t tile[MOST_GROUPS * LLMZ_TILE_BYTES];
        int32_t starts[MOST_ROWS];
        for (size_t row = 0; row < whole; row++) {
            int32_t sum = 0;
            for (size_t i = 0; i < p->groups * LLMZ_GROUP; i++)
                sum += p->inputs[row * p->input_stride + i];
            starts[row] = -LLMZ_WEIGHT_OFFSET * sum;
        }
        configure();
        for (size_t t = 0; t < p->tile_count; t++) {
            size_t row = 0;
            unpack(p->tiles + t * p->tile_stride, p->groups, tile);
            for (; row + 2 * ROWS <= whole; row += 2 * ROWS)
                add_products(p, tile, t, row, 1, starts);
            if (row < whole)
                add_products(p, tile, t, row, 0, starts);
        }
        _tile_release();
    }
    if (whole < p->rows) {
        struct llmz_product rest = *p;
        rest.inputs += whole * p->input_stride;
        rest.out += whole * p->out_stride;
        rest.rows -= whole;
        llmz_kernel_avx512.multiply_weights(&rest);
    }
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

struct llmz_kernel llmz_kernel_amx; /* made by llmz_make_amx_kernel */

void llmz_make_amx_kernel(void)
{
    if (llmz_kernel_amx.name)
        return;
    llmz_kernel_amx = llmz_kernel_avx512;
    llmz_kernel_amx.name = "amx";
    llmz_kernel_amx.multiply_weights = multiply_weights;
}

#else
typedef int llmz_no_amx; /* a file may not be empty */
#endif
