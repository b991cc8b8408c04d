/* What bits are predicted with: the logistic domain, hashes, hashed counters and adaptive maps.
 *
 * Probabilities are in 1/65536, stretched ones (ln(p / (1 - p))) in 1/256 within +-11 nats.
 */
#ifndef LLMZ_BIT_MODELS_H
#define LLMZ_BIT_MODELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arithmetic.h"

#if defined(__GNUC__)
#define LLMZ_PREFETCH(address) __builtin_prefetch((address), 1, 3)
#else
#define LLMZ_PREFETCH(address) ((void)(address))
#endif

enum {
    LLMZ_ONE = 1 << 16,
    LLMZ_STRETCH_MAX = 11 << 8,
    LLMZ_SQUASHED = 2 * LLMZ_STRETCH_MAX + 1,

    LLMZ_SLOT = 16, /* uint16 of a bucket: a check and the 15 nodes of half a byte */
    LLMZ_EMPTY_COUNTER = 2048 << 4,
    LLMZ_COUNTER_MAP = 16 * 32, /* cells of a context: by count and stretched probability of a counter */

    LLMZ_STAGE_BUCKETS = 24,
    LLMZ_STAGE_STEP = 2 * LLMZ_STRETCH_MAX / (LLMZ_STAGE_BUCKETS - 1) + 1,
    LLMZ_STAGE_ROW = 32, /* a row fills 64 bytes; the last ones are unused */

    LLMZ_MATCH_BUCKETS = 64,
    LLMZ_MATCH_STATES = 64, /* that mixed mode chooses weights by */
    LLMZ_MIXER_WEIGHT_MAX = (8 << 16) - 1,
};

extern uint16_t llmz_squash_table[LLMZ_SQUASHED];
extern int16_t llmz_stretch_table[LLMZ_ONE];
extern uint8_t llmz_counter_bucket[4096];  /* bucket of a counter map, by a counter's 12 bits of probability */
extern int16_t llmz_counter_stretch[4096]; /* the same probability stretched */
extern uint32_t llmz_counter_rates[256];   /* of a counter that has seen n bits: 1 / (n + 1.5), in 1/65536 */
extern uint32_t llmz_steady_rates[16];     /* the same of counters that come to rest at 1/40 */
extern uint8_t llmz_byte_classes[256];

void llmz_make_bit_model_tables(void);

/* The probability of a stretched one within +-LLMZ_STRETCH_MAX. */
static inline int32_t llmz_squash(int32_t stretched)
{
    return llmz_squash_table[stretched + LLMZ_STRETCH_MAX];
}

/* The greatest stretched value whose probability is at most `probability`. */
static inline int32_t llmz_stretch(uint32_t probability)
{
    return llmz_stretch_table[probability];
}

static inline uint64_t llmz_hash(uint64_t a, uint64_t b)
{
    uint64_t h = (a + 0x632BE5AB) * 0x2545F4914F6CDD1D + (b + 0x1234567) * 0x1B873593CC9E2D51;
    return (h ^ (h >> 29)) * 0x2545F4914F6CDD1D;
}

/* A probability less a half, in 1/2048. */
static inline int32_t llmz_linear(uint32_t probability)
{
    return llmz_shift_right_32((int32_t)probability - LLMZ_ONE / 2, 5);
}

/* Moves a probability towards a bit by 1 / 2^rate of the distance. */
static inline uint16_t llmz_adapted(uint16_t probability, unsigned bit, unsigned rate)
{
    int32_t target = bit ? LLMZ_ONE - 1 : 0;
    return (uint16_t)(probability + llmz_shift_right_32(target - probability, rate));
}

/* Counters: 12 bits of probability of a 1, then 4 of count. */
static inline uint16_t llmz_counted(uint16_t counter, unsigned bit, const uint32_t rates[16])
{
    int32_t count = counter & 15, probability = counter >> 4;
    int32_t target = bit ? 4095 : 0;
    probability += llmz_shift_right_32((target - probability) * (int32_t)rates[count], 16);
    return (uint16_t)(probability << 4 | (count < 15 ? count + 1 : 15));
}

/* Slow counters: 22 bits of probability of a 1 less a half, then 10 of count, so that 0 is a new one. They come to rest slowly. */
static inline uint32_t llmz_slowly_counted(uint32_t counter, unsigned bit)
{
    enum { MOST = 255 };
    int64_t count = counter & 1023, probability = (counter >> 10) ^ (1 << 21), target = bit ? (1 << 22) - 1 : 0;
    probability += llmz_shift_right((target - probability) * (int64_t)llmz_counter_rates[count], 16);
    return ((uint32_t)probability ^ (1 << 21)) << 10 | (uint32_t)(count < MOST ? count + 1 : MOST);
}

/* The probability of a slow counter, 1 to 65535. */
static inline uint32_t llmz_slow_probability(uint32_t counter)
{
    uint32_t probability = ((counter >> 10) ^ (1 << 21)) >> 6;
    return probability < 1 ? 1 : probability;
}

/* A bit history, 0 for an empty one: how many zeros and how many ones lately (four bits each, the zeros lowest), and the last two
 * bits. A bit makes the count of the other one smaller. */
static inline uint16_t llmz_next_state(uint16_t state, unsigned bit)
{
    static const uint8_t less[16] = {0, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6, 7};
    uint32_t zeros = state & 15, ones = state >> 4 & 15, last = state >> 8;
    if (bit) {
        ones += ones < 15;
        zeros = less[zeros];
    } else {
        zeros += zeros < 15;
        ones = less[ones];
    }
    return (uint16_t)(((last << 1 | bit) & 3) << 8 | ones << 4 | zeros);
}

static inline uint32_t llmz_first_slot(uint32_t bucket_mask, uint64_t hash)
{
    return ((uint32_t)(hash >> 8) & bucket_mask) * LLMZ_SLOT;
}

/* Index of the bucket for a hash: one of two neighbours in the same 64 bytes; the less used one is replaced where neither
 * matches. */
uint32_t llmz_claim_slot(uint16_t *counters, uint32_t bucket_mask, uint64_t hash);

static inline uint32_t llmz_find_slot(uint16_t *counters, uint32_t bucket_mask, uint64_t hash)
{
    uint16_t check = (uint16_t)(hash >> 44 | 1);
    uint32_t first = llmz_first_slot(bucket_mask, hash);
    if (counters[first] == check)
        return first;
    if (counters[first ^ LLMZ_SLOT] == check)
        return first ^ LLMZ_SLOT;
    return llmz_claim_slot(counters, bucket_mask, hash);
}

/* Zeros that start at a multiple of 64 bytes; *allocation is what must be freed. NULL where memory lacks. */
void *llmz_aligned_zeros(size_t bytes, void **allocation);
/* A copy that starts there. */
void *llmz_aligned_copy(const void *from, size_t bytes, void **allocation);

/* A stage: rows of adaptive maps over stretched probabilities, which change nothing yet; NULL where memory lacks. */
uint16_t *llmz_new_stage(size_t rows, void **allocation);

typedef struct llmz_stage_reading {
    uint32_t probability;
    uint16_t *nearest; /* what is to be adapted */
} llmz_stage_reading;

/* Read a row of a stage between its two nearest buckets. */
static inline llmz_stage_reading llmz_read_stage(uint16_t *row, int32_t stretched)
{
    uint32_t shifted = (uint32_t)(stretched + LLMZ_STRETCH_MAX);
    uint32_t low = shifted / LLMZ_STAGE_STEP, part = shifted % LLMZ_STAGE_STEP;
    uint32_t sum = row[low] * (LLMZ_STAGE_STEP - part) + row[low + 1] * part;
    return (llmz_stage_reading){sum / LLMZ_STAGE_STEP, row + low + (2 * part > LLMZ_STAGE_STEP)};
}

static inline void llmz_adapt(llmz_stage_reading reading, unsigned bit, unsigned rate)
{
    *reading.nearest = llmz_adapted(*reading.nearest, bit, rate);
}

/* Row of a match map, by length and recent misses. */
static inline uint32_t llmz_match_bucket(uint32_t length, uint32_t missed)
{
    uint32_t bucket;
    if (length == 0)
        return 0;
    if (length < 16)
        bucket = length;
    else if (length < 64)
        bucket = 16 + ((length - 16) >> 2);
    else
        bucket = 28u + (length >= 128) + (length >= 512) + (length >= 4096);
    return bucket + (missed > 0 ? 32 : 0);
}

enum { LLMZ_CLASS_LOWER = 5, LLMZ_CLASS_UPPER = 4, LLMZ_CLASS_DIGIT = 3, LLMZ_CLASS_COMMA = 7, LLMZ_CLASS_SLASH = 12,
       LLMZ_CLASS_LEAD_BYTE = 14 };

/* 0 to 15: control, newline, space, digit, upper, lower, four kinds of punctuation, quotes, brackets, high bytes. */
static inline unsigned llmz_byte_class(unsigned byte)
{
    return llmz_byte_classes[byte];
}

/* Whether bytes of a class make words. */
static inline bool llmz_is_letter(unsigned class)
{
    return class == LLMZ_CLASS_LOWER || class == LLMZ_CLASS_UPPER || class >= LLMZ_CLASS_LEAD_BYTE;
}

#endif
