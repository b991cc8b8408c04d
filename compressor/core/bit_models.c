/* Tables of the bit models, and what their counters do when a context is new. */

#include "bit_models.h"

#include "memory.h"

#include <stdlib.h>
#include <string.h>

uint16_t llmz_squash_table[LLMZ_SQUASHED];
int16_t llmz_stretch_table[LLMZ_ONE];
uint8_t llmz_counter_bucket[4096];
int16_t llmz_counter_stretch[4096];
uint32_t llmz_counter_rates[256];
uint32_t llmz_steady_rates[16];
uint8_t llmz_byte_classes[256];

#define EXP_OF_STEP 0xFF007FD55FFDDE38u /* e^(-1/256) in 1/2^64 */

static uint64_t multiply_high(uint64_t a, uint64_t b)
{
    uint64_t a_low = (uint32_t)a, a_high = a >> 32, b_low = (uint32_t)b, b_high = b >> 32;
    uint64_t middle = a_high * b_low + (a_low * b_low >> 32);
    uint64_t other = a_low * b_high + (uint32_t)middle;
    return a_high * b_high + (middle >> 32) + (other >> 32);
}

/* floor(65536 / (1 + e^-x)), x in 1/256; the error of the exponentials is far below the distance to any whole number. */
static void make_squash_table(void)
{
    const uint64_t one = (uint64_t)1 << 47;
    uint64_t exponential = UINT64_MAX;
    llmz_squash_table[LLMZ_STRETCH_MAX] = LLMZ_ONE / 2;
    for (int x = 1; x <= LLMZ_STRETCH_MAX; x++) {
        exponential = multiply_high(exponential, EXP_OF_STEP);
        uint64_t part = exponential >> 17;
        llmz_squash_table[LLMZ_STRETCH_MAX + x] = (uint16_t)((one << 16) / (one + part));
        uint64_t below = (part << 16) / (one + part);
        llmz_squash_table[LLMZ_STRETCH_MAX - x] = (uint16_t)(below > 0 ? below : 1);
    }
}

static void make_stretch_table(void)
{
    int32_t above = -LLMZ_STRETCH_MAX;
    for (int32_t probability = 0; probability < LLMZ_ONE; probability++) {
        while (above <= LLMZ_STRETCH_MAX && llmz_squash_table[above + LLMZ_STRETCH_MAX] <= probability)
            above++;
        llmz_stretch_table[probability] = (int16_t)llmz_clip_32(above - 1, -LLMZ_STRETCH_MAX, LLMZ_STRETCH_MAX);
    }
}

static unsigned classify(unsigned byte)
{
    if (byte < 32)
        return byte == '\n' || byte == '\r' ? 1 : 0;
    if (byte >= 'a' && byte <= 'z')
        return LLMZ_CLASS_LOWER;
    if (byte >= 'A' && byte <= 'Z')
        return LLMZ_CLASS_UPPER;
    if (byte >= '0' && byte <= '9')
        return LLMZ_CLASS_DIGIT;
    if (byte >= 128)
        return byte >= 192 ? LLMZ_CLASS_LEAD_BYTE : 15;
    switch (byte) {
    case ' ': return 2;
    case '.': case '!': case '?': return 6;
    case ',': case ';': case ':': return LLMZ_CLASS_COMMA;
    case '"': case '\'': case '`': return 8;
    case '(': case '[': case '{': return 9;
    case ')': case ']': case '}': return 10;
    case '<': case '>': return 11;
    case '/': case '\\': case '|': return LLMZ_CLASS_SLASH;
    default: return 13;
    }
}

void llmz_make_bit_model_tables(void)
{
    make_squash_table();
    make_stretch_table();
    for (int32_t counter = 0; counter < 4096; counter++) {
        int32_t stretched = llmz_stretch_table[counter << 4 | 8];
        llmz_counter_stretch[counter] = (int16_t)stretched;
        llmz_counter_bucket[counter] = (uint8_t)llmz_clip_32(llmz_shift_right_32(stretched + 2048, 7), 0, 31);
    }
    for (uint32_t count = 0; count < 256; count++)
        llmz_counter_rates[count] = LLMZ_ONE * 2 / (2 * count + 3);
    memcpy(llmz_steady_rates, llmz_counter_rates, sizeof llmz_steady_rates);
    llmz_steady_rates[15] = LLMZ_ONE / 40;
    for (unsigned byte = 0; byte < 256; byte++)
        llmz_byte_classes[byte] = (uint8_t)classify(byte);
}

uint32_t llmz_claim_slot(uint16_t *counters, uint32_t bucket_mask, uint64_t hash)
{
    uint32_t first = llmz_first_slot(bucket_mask, hash), second = first ^ LLMZ_SLOT, chosen = first;
    unsigned first_count = counters[first + 1] & 15, second_count = counters[second + 1] & 15;
    if (second_count < first_count)
        chosen = second;
    else if (first_count > 0 && second_count > 0)
        counters[second + 1]--; /* it ages, so that what is not used again gives way in the end */
    counters[chosen] = (uint16_t)(hash >> 44 | 1);
    for (uint32_t i = 1; i < LLMZ_SLOT; i++)
        counters[chosen + i] = LLMZ_EMPTY_COUNTER;
    return chosen;
}

enum { LINE = 64 };

/* The first multiple of the alignment, in pages of that size if they are large. */
static void *aligned(void *allocation, size_t bytes, size_t alignment)
{
    if (!allocation)
        return NULL;
    void *start = (void *)(((uintptr_t)allocation + alignment - 1) & ~(uintptr_t)(alignment - 1));
    if (alignment == LLMZ_LARGE_PAGE) /* look-ups at random places of many small pages would each miss the processor's list of them */
        llmz_wish_for_large_pages(start, bytes);
    return start;
}

void *llmz_aligned_zeros(size_t bytes, void **allocation)
{
    /* Large pages are dear to get, and a short text reads little of each. */
    enum { LARGE_TABLE = 1 << 25 };
    size_t alignment = bytes >= LARGE_TABLE ? LLMZ_LARGE_PAGE : LINE;
    *allocation = calloc(bytes + alignment, 1);
    return aligned(*allocation, bytes, alignment);
}

void *llmz_aligned_copy(const void *from, size_t bytes, void **allocation)
{
    /* All of each page is written, so that one fault for many bytes is better than many. */
    size_t alignment = bytes >= LLMZ_LARGE_PAGE ? LLMZ_LARGE_PAGE : LINE;
    *allocation = malloc(bytes + alignment);
    void *copy = aligned(*allocation, bytes, alignment);
    if (copy)
        memcpy(copy, from, bytes);
    return copy;
}

uint16_t *llmz_new_stage(size_t rows, void **allocation)
{
    uint16_t *stage = llmz_aligned_zeros(rows * LLMZ_STAGE_ROW * sizeof *stage, allocation);
    if (!stage)
        return NULL;
    for (uint32_t i = 0; i < LLMZ_STAGE_BUCKETS; i++) {
        uint32_t at = i * LLMZ_STAGE_STEP;
        stage[i] = llmz_squash_table[at < LLMZ_SQUASHED ? at : LLMZ_SQUASHED - 1];
    }
    for (size_t row = 1; row < rows; row++)
        memcpy(stage + row * LLMZ_STAGE_ROW, stage, LLMZ_STAGE_ROW * sizeof *stage);
    return stage;
}
