/* Every kernel of this build and machine against the portable one, function by function, on random and extreme values. Buffers are as
 * short as they may be, so that a sanitizer sees what is read or written beside them. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arithmetic.h"
#include "core.h"
#include "kernel.h"
#include "network.h"

static uint64_t state = 88172645463325252u;
static const struct llmz_kernel *tested, *trusted = &llmz_kernel_portable;
static int failures;

static uint64_t any(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t below(uint64_t count)
{
    return any() % count;
}

/* From low to high: often one of both, often of any number of bits. */
static int64_t within(int64_t low, int64_t high)
{
    switch (below(8)) {
    case 0:
        return low;
    case 1:
        return high;
    case 2:
    case 3: {
        int64_t small = (int64_t)(any() >> (1 + below(63)));
        small = any() & 1 ? -small : small;
        return small < low ? low : small > high ? high : small;
    }
    default:
        return low + (int64_t)below((uint64_t)(high - low) + 1);
    }
}

static void *room(size_t bytes)
{
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory)
        exit(2);
    memset(memory, 0xA5, bytes);
    return memory;
}

static int32_t *integers(size_t count, int64_t low, int64_t high)
{
    int32_t *values = room(count * sizeof *values);
    int64_t only = within(low, high);
    int style = (int)below(6);
    for (size_t i = 0; i < count; i++)
        values[i] = (int32_t)(style == 0 ? only : style == 1 ? (any() & 1 ? low : high) : within(low, high));
    return values;
}

static int8_t *bytes(size_t count, int64_t low, int64_t high)
{
    int8_t *values = room(count);
    int32_t *wide = integers(count, low, high);
    for (size_t i = 0; i < count; i++)
        values[i] = (int8_t)wide[i];
    free(wide);
    return values;
}

static void *copy(const void *from, size_t size)
{
    return memcpy(room(size), from, size);
}

static void same(const char *what, const void *a, const void *b, size_t size)
{
    if (memcmp(a, b, size) == 0)
        return;
    printf("%s: %s differs\n", tested->name, what);
    failures++;
}

/* --- products --- */

struct tiles {
    uint8_t *bytes;
    size_t stride;
};

/* Tiles of bytes as they are, or of weights as a kernel packs them; buffers of their own. */
static struct tiles packed_for(const struct llmz_kernel *kernel, const uint8_t *tiles, size_t tile_count, size_t groups, size_t gap, int weights)
{
    size_t whole = groups * LLMZ_TILE_BYTES, bytes_of_one = weights ? groups / 2 * kernel->pair_bytes : whole;
    struct tiles packed = {room((tile_count - 1) * (bytes_of_one + gap) + bytes_of_one), bytes_of_one + gap};
    for (size_t t = 0; t < tile_count; t++) {
        if (weights)
            kernel->pack(tiles + t * whole, groups, packed.bytes + t * packed.stride);
        else
            memcpy(packed.bytes + t * packed.stride, tiles + t * whole, whole);
    }
    return packed;
}

/* What kernel.h says, of tiles that are not packed. */
static void multiply_by_definition(const struct llmz_product *p, int weights)
{
    for (size_t r = 0; r < p->rows; r++)
        for (size_t t = 0; t < p->tile_count; t++)
            for (size_t o = 0; o < LLMZ_TILE; o++) {
                int64_t sum = 0;
                for (size_t i = 0; i < p->groups * LLMZ_GROUP; i++) {
                    size_t place = (i / LLMZ_GROUP * LLMZ_TILE + o) * LLMZ_GROUP + i % LLMZ_GROUP;
                    int value = p->tiles[t * p->tile_stride + place];
                    sum += p->inputs[r * p->input_stride + i] * (weights ? value - LLMZ_WEIGHT_OFFSET : value);
                }
                p->out[r * p->out_stride + t * LLMZ_TILE + o] = (int32_t)sum;
            }
}

enum product { WEIGHTS, BYTES, DIGITS };

static void check_product(const char *what, enum product kind)
{
    int weights = kind == WEIGHTS;
    size_t rows = below(8) ? 1 + below(20) : 1 + below(150), tiles = 1 + below(4), groups = weights ? 2 * (1 + below(20)) : 1 + below(40);
    if (below(4) == 0)
        groups = 16 * (1 + below(below(4) ? 4 : 40));
    size_t inputs = groups * LLMZ_GROUP, stride = inputs + LLMZ_GROUP * below(3), gap = 64 * below(2);
    size_t out_stride = tiles * LLMZ_TILE + 8 * below(2), out_size = ((rows - 1) * out_stride + tiles * LLMZ_TILE) * sizeof(int32_t);
    int8_t *in = bytes((rows - 1) * stride + inputs, kind == DIGITS ? 0 : kind == BYTES ? -127 : -128, 127);
    uint8_t *plain = (uint8_t *)bytes(tiles * groups * LLMZ_TILE_BYTES, weights ? 0 : -128, weights ? 63 : 127);
    for (size_t i = 0; kind == BYTES && i < tiles * groups * LLMZ_TILE_BYTES; i++)
        plain[i] = plain[i] ? plain[i] : 1;
    int32_t *a = room(out_size), *b = room(out_size);
    struct tiles packed = packed_for(tested, plain, tiles, groups, gap, weights);
    struct llmz_product p = {in, stride, rows, packed.bytes, packed.stride, tiles, groups, a, out_stride};
    (weights ? tested->multiply_weights : kind == DIGITS ? tested->multiply_digits : tested->multiply_bytes)(&p);
    p.tiles = plain;
    p.tile_stride = groups * LLMZ_TILE_BYTES;
    p.out = b;
    multiply_by_definition(&p, weights);
    same(what, a, b, out_size);
    free(packed.bytes);
    free(in);
    free(plain);
    free(a);
    free(b);
}

/* --- loops: all values are within what predictor.c can hand over --- */

enum { SUM = 1 << 25, RESIDUAL = 1 << 22, EMBEDDED = (1 << 23) - 1 };

static void check_norm(void)
{
    size_t size = below(3) ? LLMZ_GROUP * (1 + below(28)) : below(20) ? LLMZ_TILE * (1 + below(128)) : LLMZ_MOST_HIDDEN;
    int64_t steps = size > LLMZ_MOST_WIDTH || any() & 1 ? 8 : 16, most = below(2) ? (steps == 8 ? RESIDUAL : EMBEDDED) : (int64_t)1 << below(23);
    int32_t *values = integers(size, -most, most);
    if (below(4) == 0) { /* one value alone */
        memset(values, 0, size * sizeof *values);
        values[below(size)] = (int32_t)within(-most, most);
    }
    uint64_t sum = tested->add_squares(values, size), expected = trusted->add_squares(values, size);
    same("add_squares", &sum, &expected, sizeof sum);
    /* The scale that predictor.c works out. */
    uint32_t root = (uint32_t)llmz_square_root((expected << 6) / size) + 1;
    struct llmz_scale scale = {0, 0};
    while (root >> scale.shift >= 1 << 16)
        scale.shift++;
    scale.factor = (int32_t)((steps << 23) / (root >> scale.shift));
    int8_t *a = room(size), *b = room(size);
    tested->scale_down(values, size, scale, a);
    trusted->scale_down(values, size, scale, b);
    same("scale_down", a, b, size);
    free(values);
    free(a);
    free(b);
}

static void check_channels(void)
{
    size_t count = LLMZ_TILE * (1 + below(6)), size = count * sizeof(int32_t);
    int32_t *sums = integers(count, -SUM, SUM), *multiplier = integers(count, 0, INT32_MAX), *residual = integers(count, -EMBEDDED, EMBEDDED);
    int32_t *a = copy(residual, size), *b = copy(residual, size);
    tested->add_to_residual(sums, multiplier, count, a);
    trusted->add_to_residual(sums, multiplier, count, b);
    same("add_to_residual", a, b, size);
    memcpy(a, sums, size);
    memcpy(b, sums, size);
    tested->square_relu(multiplier, count, a);
    trusted->square_relu(multiplier, count, b);
    same("square_relu", a, b, size);
    size_t few = LLMZ_GROUP * (1 + below(count / LLMZ_GROUP));
    tested->rescale_head(sums, multiplier, few, a);
    trusted->rescale_head(sums, multiplier, few, b);
    same("rescale_head", a, b, size);
    tested->round_values(sums, multiplier, few, a);
    trusted->round_values(sums, multiplier, few, b);
    same("round_values", a, b, size);
    int8_t *row = bytes(few, -128, 127);
    int32_t of_row = (int32_t)within(0, (1 << 30) - 1);
    memcpy(a, residual, size);
    memcpy(b, residual, size);
    tested->add_row(row, of_row, few, a);
    trusted->add_row(row, of_row, few, b);
    same("add_row", a, b, size);
    free(row);
    free(sums);
    free(multiplier);
    free(residual);
    free(a);
    free(b);
}

static void check_convolution(void)
{
    size_t width = LLMZ_TILE * (1 + below(4)), steps = 1 + below(6), taps = 1 + below(LLMZ_MOST_TAPS), kept = (taps - 1) * width;
    size_t first = LLMZ_TILE * below(width / LLMZ_TILE), after = first + LLMZ_TILE * (1 + below((width - first) / LLMZ_TILE));
    int32_t *sums = integers(steps * 3 * width, -SUM, SUM), *multiplier = integers(3 * width, 0, INT32_MAX);
    int32_t *tail = integers(kept, -32767, 32767);
    int16_t *tap = room(taps * width * sizeof *tap);
    for (size_t i = 0; i < width; i++) {
        int64_t left = INT16_MAX;
        for (size_t k = 0; k < taps; k++) {
            tap[k * width + i] = (int16_t)within(-left, left);
            left -= abs(tap[k * width + i]);
        }
    }
    size_t size = steps * width * sizeof(int32_t), tail_size = kept * sizeof *tail;
    int32_t *a = room(size), *b = room(size), *tail_a = copy(tail, tail_size), *tail_b = copy(tail, tail_size);
    struct llmz_convolution c = {sums, multiplier, tap, tail_a, a, width, first, after, steps, taps};
    tested->convolve(&c);
    c.tail = tail_b;
    c.gated = b;
    trusted->convolve(&c);
    same("convolve", a, b, size);
    same("convolve's tail", tail_a, tail_b, tail_size);
    free(sums);
    free(multiplier);
    free(tail);
    free(tap);
    free(a);
    free(b);
    free(tail_a);
    free(tail_b);
}

static void check_attention(void)
{
    size_t count = below(10) ? 1 + below(100) : 1 + below(LLMZ_MOST_WINDOW), size = count * sizeof(int32_t);
    int32_t largest = 127 * 255 * LLMZ_MOST_HEAD_WIDTH, offset = (int32_t)within(-127 * 128 * LLMZ_MOST_HEAD_WIDTH, 127 * 128 * LLMZ_MOST_HEAD_WIDTH);
    int32_t *dots = integers(count, -largest, largest), *a = copy(dots, size), *b = copy(dots, size);
    int32_t scale = (int32_t)within(0, INT16_MAX), slope = (int32_t)within(0, 1 << 10);
    unsigned shift = (unsigned)below(17);
    int32_t best = tested->scale_scores(a, count, offset, scale, shift, slope);
    int32_t expected = trusted->scale_scores(b, count, offset, scale, shift, slope);
    same("scale_scores", a, b, size);
    same("scale_scores' best", &best, &expected, sizeof best);
    int8_t *high_a = room(count), *low_a = room(count), *high_b = room(count), *low_b = room(count);
    uint32_t total = tested->soften(b, count, expected, high_a, low_a), expected_total = trusted->soften(b, count, expected, high_b, low_b);
    same("soften", high_a, high_b, count);
    same("soften", low_a, low_b, count);
    same("soften's total", &total, &expected_total, sizeof total);
    free(high_a);
    free(high_b);
    free(low_a);
    free(low_b);
    /* Means: sums of unsigned values by digits of weights. */
    size_t channels = LLMZ_GROUP * (1 + below(28));
    int32_t *high = room(channels * sizeof *high), *low = room(channels * sizeof *low);
    for (size_t i = 0; i < channels; i++) {
        int64_t mean = within(-127, 127);
        high[i] = (int32_t)((128 + mean) * (expected_total >> 7));
        low[i] = (int32_t)((128 + mean) * (expected_total & 127));
    }
    int32_t inverse = (int32_t)(((uint64_t)1 << 44) / expected_total);
    int32_t *mean_a = room(channels * sizeof *mean_a), *mean_b = room(channels * sizeof *mean_b);
    tested->mean_values(high, low, channels, (int64_t)128 * expected_total, inverse, mean_a);
    trusted->mean_values(high, low, channels, (int64_t)128 * expected_total, inverse, mean_b);
    same("mean_values", mean_a, mean_b, channels * sizeof *mean_a);
    free(high);
    free(low);
    free(mean_a);
    free(mean_b);
    free(dots);
    free(a);
    free(b);
}

static void check_head(void)
{
    size_t count = 1 + below(below(10) ? 700 : LLMZ_MOST_VOCABULARY), size = count * sizeof(int32_t);
    int32_t *sums = integers(count, -SUM, SUM), *multiplier = integers(count, 0, below(2) ? INT32_MAX : 1 << 12);
    int32_t *bias = integers(count, -(1 << 22), 1 << 22), *a = copy(sums, size), *b = copy(sums, size);
    int32_t best = tested->score_tokens(a, multiplier, bias, count), expected = trusted->score_tokens(b, multiplier, bias, count);
    same("score_tokens", a, b, size);
    same("score_tokens' best", &best, &expected, sizeof best);
    uint64_t total = tested->weigh_tokens(a, best, count), expected_total = trusted->weigh_tokens(b, expected, count);
    same("weigh_tokens", a, b, size);
    same("weigh_tokens' total", &total, &expected_total, sizeof total);
    uint32_t inverse = (uint32_t)((((uint64_t)1 << 24) - count) * ((uint64_t)1 << 36) / expected_total);
    int32_t *sum_a = room(size + 4), *sum_b = room(size + 4);
    tested->add_up(a, inverse, count, sum_a);
    trusted->add_up(b, inverse, count, sum_b);
    same("add_up", sum_a, sum_b, size + 4);
    int increasing = sum_b[0] == 0 && sum_b[count] <= 1 << 24;
    for (size_t i = 0; i < count; i++)
        increasing &= sum_b[i] < sum_b[i + 1];
    if (!increasing) {
        printf("%s: frequencies are none\n", tested->name);
        failures++;
    }
    free(sums);
    free(multiplier);
    free(bias);
    free(a);
    free(b);
    free(sum_a);
    free(sum_b);
}

int main(int count, char **arguments)
{
    long rounds = count > 1 ? atol(arguments[1]) : 200;
    llmz_begin();
    printf("in use: %s\n", llmz_kernel->name);
    for (const struct llmz_kernel_choice *choice = llmz_kernels; choice->kernel; choice++) {
        if (!choice->available())
            continue;
        tested = choice->kernel;
        for (long i = 0; i < rounds && failures < 20; i++) {
            check_product("multiply_bytes", BYTES);
            check_product("multiply_digits", DIGITS);
            check_product("multiply_weights", WEIGHTS);
            check_norm();
            check_channels();
            check_convolution();
            check_attention();
            check_head();
        }
        printf("%s: %s\n", tested->name, failures ? "failed" : "the same");
    }
    return failures != 0;
}
