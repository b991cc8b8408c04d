/* Long repeats, by the method of Bentley and McIlroy ("Data compression using long common strings", 1999): the table knows
 * the hashes of aligned chunks; that of the last chunk is looked up at every place; what is found is compared and extended. */

#include <string.h>

#include "core.h"

#define CHUNK LLMZ_REPEAT_CHUNK
#define FACTOR UINT64_C(0x2545F4914F6CDD1D)
#define SPREAD UINT64_C(0x9E3779B97F4A7C15)
/* An entry of the table: a place, and above it more bits of the hash, for fewer looks at the text in vain. */
#define PLACE_BITS 48
#define PLACE_MASK ((UINT64_C(1) << PLACE_BITS) - 1)

/* How many bytes from `at` on equal those `distance` before, at most `most`. */
static size_t equal_forwards(const uint8_t *text, size_t at, size_t distance, size_t most)
{
    size_t length = 0;
    while (length < most && text[at + length] == text[at + length - distance])
        length++;
    return length;
}

static size_t equal_backwards(const uint8_t *text, size_t at, size_t distance, size_t most)
{
    size_t length = 0;
    while (length < most && text[at - 1 - length] == text[at - 1 - length - distance])
        length++;
    return length;
}

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t llmz_find_repeats(const uint8_t *text, size_t length, size_t start, size_t hashed, uint64_t base, uint64_t *table,
                         size_t least, size_t farthest, struct llmz_repeat *out, size_t room)
{
    uint64_t oldest_factor = 1, hash = 0;
    for (size_t i = 0; i < CHUNK; i++)
        oldest_factor *= FACTOR;
    size_t first = hashed > CHUNK ? hashed - CHUNK : 0;
    size_t found = 0, free_from = start, next_try = start;
    for (size_t i = first; i < length; i++) {
        hash = hash * FACTOR + text[i] + 1;
        if (i - first >= CHUNK)
            hash -= (text[i - CHUNK] + UINT64_C(1)) * oldest_factor;
        size_t end = i + 1;
        if (end - first < CHUNK || end <= hashed)
            continue;
        uint64_t spread = hash * SPREAD, tag = spread << PLACE_BITS;
        uint64_t *slot = table + (spread >> (64 - LLMZ_REPEAT_TABLE_BITS)), place = *slot ^ tag;
        size_t begin = end - CHUNK;
        if (place >> PLACE_BITS == 0 && place >= base + CHUNK && begin >= free_from && end >= next_try && found < room) {
            size_t distance = end - (size_t)(place - base);
            if (distance > 0 && distance <= farthest) {
                size_t equal = equal_forwards(text, begin, distance, CHUNK);
                next_try = end + equal; /* as many places are passed over as were compared: the time stays linear */
                if (equal == CHUNK) {
                    begin -= equal_backwards(text, begin, distance, least_of(begin - free_from, begin - distance));
                    size_t whole = equal_forwards(text, begin, distance, length - begin);
                    next_try = begin + whole > next_try ? begin + whole : next_try;
                    if (whole >= least) {
                        out[found++] = (struct llmz_repeat){begin, whole, distance};
                        free_from = begin + whole;
                    }
                }
            }
        }
        if ((end + base) % CHUNK == 0)
            *slot = ((end + base) & PLACE_MASK) | tag;
    }
    return found;
}
