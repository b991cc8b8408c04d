/* One binary decision, the same for mixed mode and context mode: counters of all contexts and whatever else is known enter
 * several mixers, each with weights for the case at hand; one or two last mixers combine those; then all learn from the bit.
 *
 * decision.inc holds the code; it is compiled once for each instruction set, always with the same results.
 */
#ifndef LLMZ_DECISION_H
#define LLMZ_DECISION_H

#include "bit_models.h"
#include "contexts.h"

enum {
    LLMZ_INPUTS_MAX = 400, /* even if all were as far from 0 as they can be, with the largest weights, sums fit into 32 bits */
    LLMZ_MIXERS_MAX = 16,
    LLMZ_MIXED_KNOWN = 4, /* the mixer whose weights depend on how many of the first contexts know the text */
    LLMZ_PLAIN_KNOWN = 1,
    LLMZ_KNOWN_SETS = 9,
    LLMZ_FINALS_MAX = 2,

    LLMZ_RATE_HALF_LIFE = 1 << 16, /* decisions after which half of the extra learning rate is left */
    LLMZ_RATE_MAX = 64,            /* keeps all products within 32 bits */
};

/* Learning rates of the mixers and of the last ones, and what the mixers' has extra at the start. */
typedef struct llmz_rates {
    uint32_t mixers, last, extra;
} llmz_rates;

#define LLMZ_INPUTS_FIT(profile, contexts, each, guesses, inputs, known, mixers, sets, finals)                                          \
    _Static_assert((inputs) <= LLMZ_INPUTS_MAX && (mixers) <= LLMZ_MIXERS_MAX, "all have room");
LLMZ_MIXED_SHAPES(LLMZ_INPUTS_FIT)
LLMZ_PLAIN_SHAPES(LLMZ_INPUTS_FIT)

typedef struct llmz_decision {
    int32_t inputs[LLMZ_INPUTS_MAX]; /* the counters' come from the kernel, the others from outside */
    uint32_t places[LLMZ_MIXED_CONTEXTS_MAX]; /* each context's counter */
    uint32_t cells[LLMZ_MIXED_CONTEXTS_MAX];  /* and cell of its counter map */
    uint32_t sets[LLMZ_MIXERS_MAX];                  /* each mixer's row of weights */
    int32_t outputs[LLMZ_MIXERS_MAX];                /* stretched */
    int32_t finals[LLMZ_FINALS_MAX];                 /* what each last mixer says */
    int32_t stretched;                               /* their mean */
    uint16_t *counters;
    uint16_t *histories;    /* bit histories, beside the counters */
    uint32_t *history_maps; /* [contexts][LLMZ_STATES] */
    uint32_t *maps;         /* [contexts][LLMZ_COUNTER_MAP]: probability, and above it the same stretched */
    int32_t *weights;       /* [sets][inputs], 16 fraction bits */
    int32_t *final_weights[LLMZ_FINALS_MAX]; /* [mixers] each, the row for the case at hand */
    llmz_rates rates;
    uint32_t age; /* decisions learned from */
} llmz_decision;

/* What is done for a decision, by a profile's shape. */
typedef struct llmz_decision_steps {
    /* Read counters into inputs, mix: sets outputs and stretched. */
    void (*predict)(llmz_decision *d);
    /* Teach mixers, counter maps and counters the bit. */
    void (*learn)(llmz_decision *d, unsigned bit);
    /* Teach counters alone a bit that was certain. */
    void (*count)(llmz_decision *d, unsigned bit);
    /* hashes[i] = llmz_hash(contexts[i] + i, part). */
    void (*hash)(const uint64_t *contexts, uint64_t part, uint64_t *hashes);
} llmz_decision_steps;

typedef struct llmz_decision_kernel {
    const char *name;
    llmz_decision_steps mixed[LLMZ_MIXED_PROFILES], plain[LLMZ_PLAIN_PROFILES];
} llmz_decision_kernel;

extern const llmz_decision_kernel llmz_decision_portable;
#if defined(__x86_64__) && defined(__GNUC__)
#define LLMZ_DECISION_X86 1
extern const llmz_decision_kernel llmz_decision_avx2, llmz_decision_avx512;
#endif

extern const llmz_decision_kernel *llmz_decision_chosen;
/* Choose the one that goes with the network's kernel of this name. */
void llmz_choose_decision_kernel(const char *network_kernel);
/* Choose one by its own name: "portable", "avx2" or "avx512"; false where there is none of that name here. */
bool llmz_force_decision_kernel(const char *name);

/* Pack probabilities of counter maps with their stretched values. */
static inline uint32_t llmz_packed_cell(uint32_t probability)
{
    return (uint32_t)(uint16_t)llmz_stretch(probability) << 16 | probability;
}

/* Each check of weights that a file brings: |w| <= LLMZ_MIXER_WEIGHT_MAX. */
bool llmz_weights_in_range(const int32_t *weights, size_t count);

#endif
