/* What is remembered of a text, the places where it stood before, and the contexts that models look at. */
#ifndef LLMZ_CONTEXTS_H
#define LLMZ_CONTEXTS_H

#include "bit_models.h"
#include "core.h"
#include "records.h"
#include "sequences.h"
#include "writing.h"

/* Shapes of the profiles: contexts, inputs of each, models that expect one byte, inputs of a mixer (a multiple of 16), how
 * many of the first contexts are counted that know the text, mixers, sets of weights of all mixers together, and last mixers. The
 * third of mixed mode's does without the network: it is context mode's wide profile. */
#define LLMZ_MIXED_SHAPES(USE)                                                                                                 \
    USE(0, 28, 1, 2, 48, 7, 6, 1608, 1) USE(1, 81, 3, 29, 320, 7, 16, 4761, 2) USE(2, 81, 4, 29, 400, 7, 16, 4761, 2)
#define LLMZ_PLAIN_SHAPES(USE)                                                                                                 \
    USE(0, 12, 2, 1, 32, 0, 3, 560, 1) USE(1, 24, 2, 4, 64, 0, 3, 560, 1) USE(2, 22, 2, 1, 48, 0, 3, 560, 1)                            \
    USE(3, 27, 2, 3, 64, 14, 3, 560, 1)

enum {
    LLMZ_MIXED_CONTEXTS_MAX = 81,
    LLMZ_PLAIN_CONTEXTS_MAX = 27,
    LLMZ_GUESSES_MAX = 29,
    LLMZ_MATCH_MODELS = 2,
    LLMZ_RUNS = 24, /* contexts of records whose latest byte is remembered */
    LLMZ_SLOW_MAPS = 4,
    LLMZ_NO_BYTE = 256
};

/* Positions are places in the history; those of lines may lie before it and are negative then. */
typedef struct llmz_text {
    uint64_t last_bytes; /* eight, the latest lowest */
    uint64_t folded;     /* the same in lower case */
    uint64_t format;     /* letters and runs of digits all alike, one byte each */
    uint64_t word, word_1, word_2, line_head, tag;
    int64_t line_start, previous_line;
    uint32_t field, indent;
    uint32_t in_tag; /* 1 in a tag's name, 2 after it, 0 elsewhere */
} llmz_text;

/* The bytes that lately followed one byte and two bytes. */
typedef struct llmz_followers {
    uint32_t of_one[256];
    uint16_t of_two[65536];
} llmz_followers;

/* A place whose text equals the latest `length` bytes; its next byte is at `pointer` where `length` > 0. */
typedef struct llmz_match {
    uint32_t pointer, length, missed;
} llmz_match;

enum { LLMZ_PLACE_BITS = 28, LLMZ_PLACE_MASK = (1 << LLMZ_PLACE_BITS) - 1 };
_Static_assert(LLMZ_HISTORY_BYTES + LLMZ_BLOCK_BYTES_MAX <= LLMZ_PLACE_MASK, "every place can be written down");

/* All text that matches can reach: blocks before the present one, and that one; what is not coded yet is 0. */
typedef struct llmz_history {
    uint8_t *bytes;
    uint32_t size, capacity;
    uint32_t *places; /* where hashes of texts were last, and above that place further bits of the hash; 0 for nowhere */
    size_t place_count;
} llmz_history;

/* Make room for a block after at most LLMZ_HISTORY_BYTES of what came before. All positions go down by *moved. False, and
 * nothing has changed, where memory lacks. */
bool llmz_extend_history(llmz_history *history, uint32_t block_bytes, uint32_t *moved);

static inline unsigned llmz_expected_byte(const llmz_match *match, const llmz_history *history)
{
    return match->length > 0 ? history->bytes[match->pointer] : LLMZ_NO_BYTE;
}

/* Take up a byte that has been written before `position`. */
void llmz_text_append(llmz_text *text, llmz_followers *followers, unsigned byte, uint32_t position);

/* Extend or drop a match by the byte before `position`, and look for a new one of at least `minimum` bytes at the place
 * numbered by a hash of the latest ones in a table with 2^table_bits entries. What is before `start` is another text. */
static inline void llmz_follow_match(llmz_match *match, llmz_history *history, uint32_t *table, unsigned table_bits,
                                     uint64_t hash, uint32_t minimum, uint32_t start, uint32_t position)
{
    enum { LONGEST = 65535, LONGEST_VERIFIED = 32, MISSES_REMEMBERED = 8, MOST_MISSES = 16, RECOVERY = 16 };
    const uint8_t *bytes = history->bytes;
    if (match->length > 0) {
        if (bytes[match->pointer] == bytes[position - 1]) {
            match->pointer++;
            match->length = match->pointer < history->size ? match->length + (match->length < LONGEST) : 0;
            if (match->missed > 0 && match->length >= RECOVERY)
                match->missed--;
        } else {
            match->missed += MISSES_REMEMBERED;
            match->length = ++match->pointer < history->size && match->missed <= MOST_MISSES ? 1 : 0;
            if (match->length == 0)
                match->missed = MISSES_REMEMBERED;
        }
    }
    if (position - start < minimum)
        return;
    uint32_t *place = table + ((hash >> 20) & (((uint32_t)1 << table_bits) - 1));
    uint32_t check = (uint32_t)(hash >> 52) << LLMZ_PLACE_BITS, candidate = *place & LLMZ_PLACE_MASK;
    /* Where the checks differ, the texts do, and the history need not be looked at. */
    if (match->length < minimum && (*place ^ check) <= LLMZ_PLACE_MASK && candidate > 0 && candidate < history->size) {
        uint32_t most = position - start < candidate ? position - start : candidate, length = 0;
        if (most > LONGEST_VERIFIED)
            most = LONGEST_VERIFIED;
        while (length < most && bytes[candidate - 1 - length] == bytes[position - 1 - length])
            length++;
        if (length >= minimum) {
            match->pointer = candidate;
            match->length = length;
        }
    }
    *place = check | position;
}

/* What a profile remembers of its own. */
typedef struct llmz_special {
    llmz_records records;
    llmz_sequence sequence;
    uint32_t start;  /* of the block */
    uint32_t period; /* bytes after which binary data repeat; at least 1 */
    uint32_t counted;
    uint16_t counts[256];      /* of distances between equal triples of bytes */
    uint32_t last_place[4096]; /* of hashes of three bytes */
} llmz_special;

/* A lane of mixed mode. */
typedef struct llmz_lane {
    llmz_text text;
    uint32_t start, position, end; /* in the history */
    uint32_t tokens[3];            /* the latest first, each plus 1; 0 before the first one */
    uint32_t last_node;            /* of the trie: the latest token */
    llmz_match matches[LLMZ_MATCH_MODELS];
    llmz_records *records; /* NULL in profiles that do not use them, as is what follows */
    llmz_writing *writing;
} llmz_lane;

/* Hashes of all contexts of mixed mode at a byte's start; `node` is the trie's for the token's bytes so far. */
typedef void llmz_mixed_contexts(const llmz_lane *lane, uint32_t node, const llmz_history *history,
                                 const llmz_followers *followers, uint64_t contexts[LLMZ_MIXED_CONTEXTS_MAX]);

/* The same of context mode, for the byte at `position`. */
typedef void llmz_plain_contexts(const llmz_text *text, uint32_t position, const llmz_history *history,
                                 const llmz_followers *followers, const llmz_special *special,
                                 uint64_t contexts[LLMZ_PLAIN_CONTEXTS_MAX]);

/* Contexts of mixed mode's records that runs are kept of, by their numbers in the profile. */
extern const uint8_t llmz_run_contexts[LLMZ_RUNS];

/* The contexts of each profile. */
extern llmz_mixed_contexts *const llmz_mixed_profiles[LLMZ_MIXED_PROFILES];
extern llmz_plain_contexts *const llmz_plain_profiles[LLMZ_PLAIN_PROFILES];

/* What profiles of context mode other than prose remember. */
void llmz_special_begin(llmz_special *special, uint32_t position);
void llmz_special_append(llmz_special *special, unsigned profile, const uint8_t *bytes, uint32_t position);

/* The byte at a place in earlier text, 0 where there is none. */
static inline unsigned llmz_byte_at(uint32_t place, uint32_t position, const uint8_t *bytes)
{
    return place < position ? bytes[place] : 0;
}

#endif
