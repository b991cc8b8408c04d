/* The native core's whole interface: what decides an archive's bytes and must run fast.
 *
 * Everything here is integer arithmetic with results that C11 defines, so that every compiler, optimisation level, machine
 * and number of threads gives the same. Nothing is global but tables that never change after llmz_begin(). Functions check
 * nothing but what they say; bind_*.c checks what Python hands over. Pointers never overlap unless said so.
 */
#ifndef LLMZ_CORE_H
#define LLMZ_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Make the tables and choose the kernel. Call it once, before anything else. */
void llmz_begin(void);

/* ---- The vocabulary: its tokens in lexicographic order, every single byte among them. ---- */

enum { LLMZ_TOKEN_BYTES = 24 }; /* of the longest token */

typedef struct llmz_vocabulary llmz_vocabulary;

/* Read (length byte, token bytes) records. NULL where memory lacks, a token is empty, too long, cut off or not after the one
 * before, a single byte is missing, or there are more than 32767 tokens or 32000 different beginnings of tokens. */
llmz_vocabulary *llmz_vocabulary_new(const uint8_t *packed, size_t size);
void llmz_vocabulary_free(llmz_vocabulary *);
uint32_t llmz_vocabulary_size(const llmz_vocabulary *);
/* Copy a token's bytes, zeros after its end; returns its length. */
uint32_t llmz_token_bytes(const llmz_vocabulary *, int32_t token, uint8_t bytes[LLMZ_TOKEN_BYTES]);
/* The longest match, again and again; at most `size` tokens, whose number is returned. */
size_t llmz_tokenize(const llmz_vocabulary *, const uint8_t *text, size_t size, int32_t *tokens);
/* Undo it; `text` must have room. Returns the number of bytes. */
size_t llmz_join_tokens(const llmz_vocabulary *, const int32_t *tokens, size_t count, uint8_t *text);

/* ---- Mixed mode: tokens as bits, predicted by the network and by models that learn from the text. ----
 *
 * One llmz_mixed lives as long as its models do, over many blocks. A block: begin; then, as long as lanes are not done, code
 * one token of each such lane, in their order; finish. All functions must be called by one thread at a time.
 */

enum {
    LLMZ_TABLE_BITS_MIN = 10, /* of buckets of counters, 32 bytes each */
    LLMZ_TABLE_BITS_MAX = 25,
    LLMZ_HISTORY_BYTES = 1 << 26, /* before a block; what matches can reach back to */
    LLMZ_BLOCK_BYTES_MAX = 1 << 26,

    LLMZ_MIXED_PROFILES = 2, /* sets of contexts: prose, markup and code; numbers and records */
    LLMZ_PLAIN_PROFILES = 4, /* these, binary data, genomes */

    LLMZ_MIXED_SETS = 1608,
    LLMZ_MIXED_MIXERS = 6,
    LLMZ_PLAIN_SETS = 560,
    LLMZ_PLAIN_MIXERS = 3,
};

/* Of a profile. A model that expects a byte has two inputs. */
typedef struct llmz_profile_shape {
    uint32_t contexts, guesses, inputs;
} llmz_profile_shape;

extern const llmz_profile_shape llmz_mixed_shapes[LLMZ_MIXED_PROFILES], llmz_plain_shapes[LLMZ_PLAIN_PROFILES];

/* What ships primed for a profile, and learns on: weights with 16 fraction bits, within +-8; probabilities in 1/65536. */
typedef struct llmz_mixed_learned {
    int32_t *weights;       /* [LLMZ_MIXED_SETS][inputs] */
    int32_t *final_weights; /* [256][LLMZ_MIXED_MIXERS] */
    uint16_t *counter_maps; /* [2 * contexts][16][32]: by count and stretched counter; bits, then ends of tokens */
    uint16_t *match_maps;   /* [2 * guesses][64][2]: by length bucket, and expected bit */
    uint16_t *network_map;  /* [256][24]: by partial byte */
} llmz_mixed_learned;

typedef struct llmz_mixed llmz_mixed;

/* Models that know nothing of a text yet, with 2^table_bits buckets of counters. `rates`: learning rates of mixers and of the
 * last one, and what the mixers' has extra at the start, each at most 64; NULL for the usual ones. The arrays are copied, the
 * vocabulary must stay. NULL where memory lacks or a number is out of range. */
llmz_mixed *llmz_mixed_new(const llmz_vocabulary *, unsigned table_bits,
                           const llmz_mixed_learned learned[LLMZ_MIXED_PROFILES], const uint32_t rates[3]);
/* The same models with the same history, which learn on their own; NULL where memory lacks. Not while a block is coded. */
llmz_mixed *llmz_mixed_copy(const llmz_mixed *);
void llmz_mixed_free(llmz_mixed *);
void llmz_mixed_copy_learned(const llmz_mixed *, unsigned profile, llmz_mixed_learned *out);

/* Begin a block of `lanes` lanes with these plain lengths. False where memory lacks, there is no such profile, there are no
 * lanes, or their lengths add up to more than LLMZ_BLOCK_BYTES_MAX. Data and output must stay until the block's finish. */
bool llmz_mixed_begin_encoding(llmz_mixed *, uint32_t lanes, const uint64_t *lane_bytes, unsigned profile, uint8_t *output,
                               size_t output_size);
bool llmz_mixed_begin_decoding(llmz_mixed *, uint32_t lanes, const uint64_t *lane_bytes, unsigned profile,
                               const uint8_t *data, size_t data_size);

/* Lanes of the block; none before the first. */
uint32_t llmz_mixed_lanes(const llmz_mixed *);
uint32_t llmz_mixed_vocabulary_size(const llmz_mixed *);

/* Whether all bytes of a lane are coded. */
bool llmz_mixed_lane_done(const llmz_mixed *, uint32_t lane);

/* Code one token of a lane that is not done. `token` counts when encoding: the longest match at the lane's place.
 * `cumulative` [V + 1] are the network's frequencies: the first 0, increasing, the last at most 2^24. Returns the token, or
 * a negative number where the output is full, the data damaged or the token not what it should be; the block has then failed:
 * code no more of it. */
int32_t llmz_mixed_code(llmz_mixed *, uint32_t lane, int32_t token, const int32_t *cumulative);

/* Ask for what the next call for this lane will read, while something else is computed. Changes nothing. */
void llmz_mixed_prefetch(const llmz_mixed *, uint32_t lane);

/* End a block. Encoding: the number of bytes written; decoding: that of the data. SIZE_MAX where a lane is not done, the output
 * is full or the data do not end here. */
size_t llmz_mixed_finish(llmz_mixed *);

/* The block's plain bytes, lane after lane, until the next begin. */
const uint8_t *llmz_mixed_text(const llmz_mixed *);

/* ---- Context mode: bytes as bits, predicted by models that learn from the text alone. ---- */

typedef struct llmz_plain_learned {
    int32_t *weights;       /* [LLMZ_PLAIN_SETS][inputs] */
    int32_t *final_weights; /* [256][LLMZ_PLAIN_MIXERS] */
    uint16_t *counter_maps; /* [contexts][16][32] */
    uint16_t *match_maps;   /* [guesses][64][2] */
} llmz_plain_learned;

typedef struct llmz_context llmz_context;

/* As llmz_mixed_new and its sisters; `rates` are two. */
llmz_context *llmz_context_new(unsigned table_bits, const llmz_plain_learned learned[LLMZ_PLAIN_PROFILES],
                               const uint32_t rates[2]);
llmz_context *llmz_context_copy(const llmz_context *);
void llmz_context_free(llmz_context *);
void llmz_context_copy_learned(const llmz_context *, unsigned profile, llmz_plain_learned *out);
/* False where a number is out of range; nothing has changed then. */
bool llmz_context_set_learned(llmz_context *, unsigned profile, const llmz_plain_learned *learned);

/* Begin a block. When encoding, the text is copied. */
bool llmz_context_begin_encoding(llmz_context *, const uint8_t *text, size_t text_size, unsigned profile, uint8_t *output,
                                 size_t output_size);
bool llmz_context_begin_decoding(llmz_context *, size_t text_size, unsigned profile, const uint8_t *data, size_t data_size);
/* Code up to so many further bytes of the block; returns how many are left, or SIZE_MAX where the output is full or the data
 * are damaged. */
size_t llmz_context_code(llmz_context *, size_t most);
size_t llmz_context_finish(llmz_context *);
const uint8_t *llmz_context_text(const llmz_context *);

#endif
