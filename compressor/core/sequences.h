/* What is remembered of genomes and proteins: letters without line ends and case, and where they stood before. */
#ifndef LLMZ_SEQUENCES_H
#define LLMZ_SEQUENCES_H

#include <stdbool.h>
#include <stdint.h>

enum { LLMZ_SEQUENCE_PLACE_BITS = 18, LLMZ_SEQUENCE_MATCHES = 2 };

/* A place whose letters equal the latest ones, but for those that `misses` tells of: a bit for each of the last 32. */
typedef struct llmz_sequence_match {
    uint32_t pointer, length, misses;
} llmz_sequence_match;

typedef struct llmz_sequence {
    uint64_t bases, acids; /* letters, 2 and 5 bits each, the latest lowest */
    uint32_t start, line_start, line_length; /* of the block, of the present line, and how long the one before was */
    uint32_t letters;
    bool in_header;
    uint32_t only_bases; /* letters since the last that is none of ACGTUN */
    llmz_sequence_match matches[LLMZ_SEQUENCE_MATCHES];
    uint32_t places[LLMZ_SEQUENCE_MATCHES][1 << LLMZ_SEQUENCE_PLACE_BITS]; /* after letters with a hash; 0 for nowhere */
} llmz_sequence;

void llmz_sequence_begin(llmz_sequence *sequence, uint32_t position);
/* Take up the byte before `position`. */
void llmz_sequence_append(llmz_sequence *sequence, const uint8_t *bytes, uint32_t position);
/* The byte that a match expects at `position`, or 256; and its row of the match map. */
unsigned llmz_sequence_expects(const llmz_sequence *sequence, unsigned match, const uint8_t *bytes, uint32_t position);
uint32_t llmz_sequence_bucket(const llmz_sequence *sequence, unsigned match);

#endif
