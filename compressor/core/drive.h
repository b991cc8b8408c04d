/* The network beside mixing, over the lanes of a block. */
#ifndef LLMZ_DRIVE_H
#define LLMZ_DRIVE_H

#include "core.h"
#include "network.h"

struct llmz_drive;

/* What a block's coding starts from. */
struct llmz_drive_start {
    uint32_t lanes;
    const int32_t *side; /* [width] */
    const int32_t *first; /* [lanes]: the token that each lane's first comes after */
    const int32_t *read; /* `read_count` tokens that the network has read before, the same for every lane */
    uint32_t read_count;
    /* Encoding: each lane's tokens, one lane after the other, and how many each has; NULL when decoding. */
    const int32_t *tokens;
    const uint64_t *token_counts;
};

/* For a block that was begun in `mixed`; everything named must stay. NULL where memory is short. */
struct llmz_drive *llmz_drive_new(
    const struct llmz_network *, struct llmz_threads *, llmz_mixed *, const struct llmz_drive_start *);
void llmz_drive_free(struct llmz_drive *);

enum llmz_drive_state { LLMZ_DRIVE_MORE, LLMZ_DRIVE_DONE, LLMZ_DRIVE_FAILED };

/* Code at least so many further tokens, or all that are left. */
enum llmz_drive_state llmz_drive_run(struct llmz_drive *, uint64_t tokens);

#endif
