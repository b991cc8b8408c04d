/* The vocabulary's inside, for the code that walks its trie. */
#ifndef LLMZ_VOCABULARY_H
#define LLMZ_VOCABULARY_H

#include "core.h"

/* Tokens are in lexicographic order, so those that begin with the same bytes are neighbours, the shortest first. */
struct llmz_vocabulary {
    uint32_t size;
    uint8_t *lengths;             /* [size] */
    uint8_t *bytes;               /* [LLMZ_TOKEN_BYTES][size]: first bytes, second bytes, ...; zeros after a token's end */
    uint16_t (*children)[256];    /* [nodes]: by byte; 0 where there is none, as the root (node 0) is nobody's child */
    int16_t *token_at;            /* [nodes]: the token that ends there, or -1 */
    uint32_t first_of_byte[257];  /* the first token that begins with each byte or a greater one */
};

#endif
