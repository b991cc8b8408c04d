/* The decoder or encoder stack in integers, for any number of lanes and positions at once.
 *
 * A call evaluates some further positions of every lane and carries the tails of convolutions and the caches of attention, so that
 * one position at a time (restoring) and a whole chunk (compressing) give the same numbers. docs/format.md, "Network", has the
 * arithmetic. */
#ifndef LLMZ_NETWORK_H
#define LLMZ_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "threads.h"

/* What shapes may be, so that no sum leaves its integers. */
enum {
    LLMZ_MOST_LAYERS = 64,
    LLMZ_MOST_WIDTH = 4096,
    LLMZ_MOST_HIDDEN = 8192,
    LLMZ_MOST_HEAD_WIDTH = 112,
    LLMZ_MOST_TAPS = 8, /* one more than LLMZ_MOST_KEPT */
    LLMZ_MOST_WINDOW = 4096,
    LLMZ_MOST_VOCABULARY = 32767,
    LLMZ_MOST_LANES = 256,
    LLMZ_MOST_HASHED_BITS = 24,
    LLMZ_MOST_ROWS = 1 << 19, /* of a call: lanes times steps; no operation then has more chunks than the threads can count */
};

struct llmz_shape {
    uint32_t width; /* a multiple of LLMZ_TILE */
    uint32_t hidden; /* a multiple of LLMZ_TILE */
    uint32_t heads; /* width / heads is a multiple of LLMZ_GROUP */
    uint32_t taps;
    uint32_t window;
    uint32_t layers;
    uint32_t vocabulary;
    uint8_t attends[LLMZ_MOST_LAYERS]; /* whether a layer is attention; else a convolution */
};

/* A table of vectors, `rows` of them, of int8 or of two values of four bits a byte (the even channel low, moved up by 8). */
struct llmz_embedding {
    const uint8_t *rows_data;
    const int32_t *multiplier; /* [rows] */
    uint32_t rows; /* 0: there is none */
    uint32_t columns; /* at most width, even */
    bool packed;
};

/* Plain arrays of a model file, [layers][...] each; values are checked by llmz_network_new. */
struct llmz_weights {
    const int8_t *in, *out, *up, *down; /* [3 width][width], [width][width], [hidden][width], [width][hidden] */
    const int32_t *in_multiplier, *out_multiplier, *up_multiplier, *down_multiplier; /* one for each output */
    const int16_t *taps; /* [taps][width], oldest first */
    const int32_t *temperature; /* [heads], at least 0; 18 fraction bits */
    const int32_t *slopes; /* [heads] once, not for each layer: 0 to 2^10, in 1/1024 nats a position */
    struct llmz_embedding tokens, pairs, triples;
    const int8_t *head; /* [vocabulary][width]; NULL: states only */
    const int32_t *head_multiplier, *head_bias; /* [vocabulary] */
};

struct llmz_network;
struct llmz_predictor;

/* NULL where memory is short, or with *problem set where a value is out of range. Tables of embeddings are not copied. */
struct llmz_network *llmz_network_new(const struct llmz_shape *, const struct llmz_weights *, const char **problem);
void llmz_network_free(struct llmz_network *);
const struct llmz_shape *llmz_network_shape(const struct llmz_network *);
bool llmz_network_has_head(const struct llmz_network *);

/* `lanes` fresh lanes, for calls of at most `most_steps` positions; `side` int32 [width] is added to every embedding.
 * The threads are the caller's. NULL where memory is short. */
struct llmz_predictor *llmz_predictor_new(
    const struct llmz_network *, struct llmz_threads *, uint32_t lanes, uint32_t most_steps, const int32_t *side);
void llmz_predictor_free(struct llmz_predictor *);
void llmz_predictor_size(const struct llmz_predictor *, uint32_t *lanes, uint32_t *most_steps);

/* Begin to feed `tokens` [lanes][steps], each below the vocabulary; after llmz_threads_finish and llmz_predictor_end,
 * `cumulative` [lanes * steps][vocabulary + 1] has what follows each (NULL: states only). */
void llmz_predictor_start(struct llmz_predictor *, const int32_t *tokens, uint32_t steps, int32_t *cumulative);
void llmz_predictor_end(struct llmz_predictor *);
/* Make room for llmz_predictor_keep; false where memory is short. */
bool llmz_predictor_may_keep_less(struct llmz_predictor *);
/* In place of llmz_predictor_end: as if only the first `steps` positions of the call, 1 or more, had been fed. */
void llmz_predictor_keep(struct llmz_predictor *, uint32_t steps);
/* Normalised states of the last call, [lanes * steps][width]. */
const int8_t *llmz_predictor_states(const struct llmz_predictor *);
/* Let all lanes continue from where lane 0 of another predictor of the network is. */
void llmz_predictor_copy_lane(struct llmz_predictor *, const struct llmz_predictor *from);

#endif
