/* See drive.h. While one thread mixes, the others already run the network for what comes next: when encoding, for the next chunk of
 * all lanes; when decoding, each for some lanes of its own. With a single lane, all weights come from memory for one token: the
 * network then reads a guess at the next one too, which saves a call where it is right (as in Y. Leviathan, M. Kalman, Y. Matias, "Fast
 * inference from transformers via speculative decoding", 2023). No byte depends on guesses. */

#include "drive.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "guesser.h"
#include "kernel.h"

enum {
    CHUNK_ROWS = 256, /* of a call of the network when encoding, or when it reads what came before */
    MOST_GROUPS = 64,
};

struct group {
    struct llmz_predictor *predictor;
    struct llmz_threads *threads; /* its own where there are several groups: a single thread, that which decodes it */
    uint32_t first, lanes;
    uint32_t steps; /* of the call whose frequencies are in `cumulative` */
    int32_t *cumulative[2]; /* when encoding, the next call's go to the other one */
};

struct llmz_drive {
    const struct llmz_network *network;
    struct llmz_threads *threads;
    llmz_mixed *mixed;
    uint32_t lanes, group_count;
    size_t row; /* frequencies of a token */
    struct group groups[MOST_GROUPS];
    int32_t *last; /* [lanes]: each lane's last token */
    /* Decoding only. */
    uint64_t steps; /* of the call */
    _Atomic uint64_t turn; /* which group mixes: counts them over all steps of the call */
    atomic_bool failed;
    struct llmz_guesser *guesser; /* for a single lane; NULL: none */
    int32_t guess; /* that the last call read too, and of which it is not known whether it is right; or LLMZ_NO_GUESS */
    /* Encoding only. */
    bool encoding;
    const int32_t *tokens;
    uint64_t *starts, *counts; /* [lanes]: places in tokens */
    uint64_t longest, step, fed;
    uint32_t chunk;
    int32_t *inputs; /* [lanes][chunk] */
    unsigned side;
};

/* Begin to feed the next chunk of known tokens; its frequencies go to `cumulative`. */
static void start_chunk(struct llmz_drive *d, int32_t *cumulative)
{
    struct group *g = &d->groups[0];
    uint64_t left = d->longest - d->fed;
    uint32_t steps = left < d->chunk ? (uint32_t)left : d->chunk;
    for (uint32_t lane = 0; lane < d->lanes; lane++) {
        for (uint32_t t = 0; t < steps; t++) {
            uint64_t before = d->fed + t; /* tokens of the lane that come before */
            int32_t token = d->last[lane];
            if (before > 0)
                token = before <= d->counts[lane] ? d->tokens[d->starts[lane] + before - 1] : 0;
            d->inputs[(size_t)lane * steps + t] = token;
        }
    }
    llmz_predictor_start(g->predictor, d->inputs, steps, cumulative);
    d->fed += steps;
    g->steps = steps;
}

static void end_chunk(struct llmz_drive *d, struct group *g)
{
    llmz_threads_finish(d->threads);
    llmz_predictor_end(g->predictor);
}

/* Code one token of each lane of `lanes` that is not done. `frequencies`: of the first, the others' `stride` further each. */
static bool code_step(struct llmz_drive *d, uint32_t first, uint32_t lanes, uint64_t step, const int32_t *frequencies, size_t stride,
    uint64_t *coded)
{
    for (uint32_t i = 0; i < lanes; i++) {
        uint32_t lane = first + i;
        if (llmz_mixed_lane_done(d->mixed, lane))
            continue;
        if (i + 1 < lanes && !llmz_mixed_lane_done(d->mixed, lane + 1))
            llmz_mixed_prefetch(d->mixed, lane + 1);
        int32_t token = 0;
        if (d->encoding) {
            if (step >= d->counts[lane])
                return false;
            token = d->tokens[d->starts[lane] + step];
        }
        token = llmz_mixed_code(d->mixed, lane, token, frequencies + i * stride);
        if (token < 0)
            return false;
        if (!d->encoding)
            d->last[lane] = token;
        ++*coded;
    }
    return true;
}

static bool any_lane_left(const struct llmz_drive *d, uint32_t first, uint32_t lanes)
{
    for (uint32_t lane = first; lane < first + lanes; lane++)
        if (!llmz_mixed_lane_done(d->mixed, lane))
            return true;
    return false;
}

static enum llmz_drive_state run_encoding(struct llmz_drive *d, uint64_t tokens)
{
    struct group *g = &d->groups[0];
    uint64_t coded = 0;
    if (d->fed == 0 && d->longest > 0) {
        start_chunk(d, g->cumulative[d->side]);
        end_chunk(d, g);
    }
    while (d->step < d->longest && coded < tokens) {
        uint32_t steps = g->steps;
        const int32_t *frequencies = g->cumulative[d->side];
        bool more = d->fed < d->longest, whole = true;
        if (more)
            start_chunk(d, g->cumulative[d->side ^ 1]);
        for (uint32_t t = 0; t < steps && whole; t++)
            whole = code_step(d, 0, d->lanes, d->step + t, frequencies + t * d->row, steps * d->row, &coded);
        if (more)
            end_chunk(d, g);
        if (!whole)
            return LLMZ_DRIVE_FAILED;
        d->step += steps;
        d->side ^= 1;
    }
    return d->step < d->longest ? LLMZ_DRIVE_MORE : LLMZ_DRIVE_DONE;
}

/* Frequencies of what follows the last token of each of a group's lanes: from the network or, where that token was guessed, from its
 * last call. */
static const int32_t *next_frequencies(struct llmz_drive *d, const struct group *g)
{
    const int32_t *last = d->last + g->first;
    if (d->guesser)
        llmz_guesser_learn(d->guesser, *last);
    if (d->guess != LLMZ_NO_GUESS) {
        bool right = d->guess == *last;
        llmz_predictor_keep(g->predictor, right ? 2 : 1);
        d->guess = LLMZ_NO_GUESS;
        if (right)
            return g->cumulative[0] + d->row;
    }
    if (d->guesser)
        d->guess = llmz_guesser_guess(d->guesser);
    if (d->guess == LLMZ_NO_GUESS) {
        llmz_predictor_start(g->predictor, last, 1, g->cumulative[0]);
        llmz_threads_finish(g->threads);
        llmz_predictor_end(g->predictor);
    } else {
        llmz_predictor_start(g->predictor, (const int32_t[]){*last, d->guess}, 2, g->cumulative[0]);
        llmz_threads_finish(g->threads);
    }
    return g->cumulative[0];
}

/* Decode `steps` tokens of each lane of a group: the network as soon as the last ones are known, mixing when it is the group's turn,
 * so that the models see all lanes in the same order however many groups there are. */
static void decode_group(void *context, size_t index, size_t part, size_t thread)
{
    struct llmz_drive *d = context;
    struct group *g = &d->groups[part];
    (void)index;
    (void)thread;
    for (uint64_t step = 0; step < d->steps; step++) {
        bool left = any_lane_left(d, g->first, g->lanes) && !atomic_load_explicit(&d->failed, memory_order_relaxed);
        const int32_t *frequencies = left ? next_frequencies(d, g) : NULL;
        for (uint32_t turns = 1; atomic_load_explicit(&d->turn, memory_order_acquire) != step * d->group_count + part; turns++)
            llmz_threads_yield(turns);
        uint64_t coded = 0;
        if (left && !code_step(d, g->first, g->lanes, 0, frequencies, d->row, &coded))
            atomic_store_explicit(&d->failed, true, memory_order_relaxed);
        atomic_fetch_add_explicit(&d->turn, 1, memory_order_release);
    }
}

static enum llmz_drive_state run_decoding(struct llmz_drive *d, uint64_t tokens)
{
    if (any_lane_left(d, 0, d->lanes)) {
        d->steps = (tokens + d->lanes - 1) / d->lanes;
        atomic_store_explicit(&d->turn, 0, memory_order_relaxed);
        if (d->group_count > 1) {
            const struct llmz_operation all = {decode_group, NULL, 0, d->group_count};
            llmz_threads_start(d->threads, &all, 1, d);
            llmz_threads_finish(d->threads);
        } else {
            decode_group(d, 0, 0, 0);
        }
    }
    if (atomic_load_explicit(&d->failed, memory_order_relaxed))
        return LLMZ_DRIVE_FAILED;
    return any_lane_left(d, 0, d->lanes) ? LLMZ_DRIVE_MORE : LLMZ_DRIVE_DONE;
}

enum llmz_drive_state llmz_drive_run(struct llmz_drive *d, uint64_t tokens)
{
    return d->encoding ? run_encoding(d, tokens) : run_decoding(d, tokens);
}

/* Let the predictors of all groups go on after `count` tokens. */
static bool read_before(struct llmz_drive *d, const int32_t *side, const int32_t *tokens, uint32_t count)
{
    const uint32_t most = count < CHUNK_ROWS ? count : CHUNK_ROWS;
    struct llmz_predictor *reader = llmz_predictor_new(d->network, d->threads, 1, most, side);
    if (!reader)
        return false;
    for (uint32_t begin = 0; begin < count; begin += most) {
        llmz_predictor_start(reader, tokens + begin, count - begin < most ? count - begin : most, NULL);
        llmz_threads_finish(d->threads);
        llmz_predictor_end(reader);
    }
    for (uint32_t i = 0; i < d->group_count; i++)
        llmz_predictor_copy_lane(d->groups[i].predictor, reader);
    llmz_predictor_free(reader);
    return true;
}

static bool prepare_tokens(struct llmz_drive *d, const struct llmz_drive_start *start)
{
    d->encoding = true;
    d->tokens = start->tokens;
    d->starts = malloc(d->lanes * sizeof *d->starts);
    d->counts = malloc(d->lanes * sizeof *d->counts);
    d->inputs = malloc((size_t)d->lanes * d->chunk * sizeof *d->inputs);
    if (!d->starts || !d->counts || !d->inputs)
        return false;
    uint64_t place = 0;
    for (uint32_t lane = 0; lane < d->lanes; lane++) {
        d->starts[lane] = place;
        d->counts[lane] = start->token_counts[lane];
        place += d->counts[lane];
        d->longest = d->counts[lane] > d->longest ? d->counts[lane] : d->longest;
    }
    return true;
}

struct llmz_drive *llmz_drive_new(
    const struct llmz_network *network, struct llmz_threads *threads, llmz_mixed *mixed, const struct llmz_drive_start *start)
{
    struct llmz_drive *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->network = network;
    d->threads = threads;
    d->mixed = mixed;
    d->lanes = start->lanes;
    d->row = (size_t)llmz_network_shape(network)->vocabulary + 1;
    d->chunk = start->tokens && start->lanes < CHUNK_ROWS ? CHUNK_ROWS / start->lanes : 1;
    const bool guesses = !start->tokens && start->lanes == 1 && llmz_kernel->two_rows_are_cheap;
    if (guesses)
        d->chunk = 2;
    d->guess = LLMZ_NO_GUESS;
    d->group_count = llmz_threads_count(threads);
    if (start->tokens || d->group_count > MOST_GROUPS || start->lanes / d->group_count < llmz_kernel->own_lanes)
        d->group_count = 1;
    d->last = malloc(d->lanes * sizeof *d->last);
    bool whole = d->last && (!start->tokens || prepare_tokens(d, start));
    if (whole)
        memcpy(d->last, start->first, d->lanes * sizeof *d->last);
    for (uint32_t i = 0; i < d->group_count && whole; i++) {
        struct group *g = &d->groups[i];
        g->first = (uint32_t)((uint64_t)d->lanes * i / d->group_count);
        g->lanes = (uint32_t)((uint64_t)d->lanes * (i + 1) / d->group_count) - g->first;
        g->threads = d->group_count > 1 ? llmz_threads_new(1) : threads;
        g->predictor = g->threads ? llmz_predictor_new(network, g->threads, g->lanes, d->chunk, start->side) : NULL;
        g->cumulative[0] = malloc(g->lanes * d->chunk * d->row * sizeof **g->cumulative);
        g->cumulative[1] = malloc(start->tokens ? g->lanes * d->chunk * d->row * sizeof **g->cumulative : 1);
        whole = g->predictor && g->cumulative[0] && g->cumulative[1];
    }
    if (whole && guesses) {
        d->guesser = llmz_guesser_new();
        whole = d->guesser && llmz_predictor_may_keep_less(d->groups[0].predictor);
        for (uint32_t t = 0; whole && t < start->read_count; t++)
            llmz_guesser_learn(d->guesser, start->read[t]);
    }
    if (whole && start->read_count)
        whole = read_before(d, start->side, start->read, start->read_count);
    if (!whole) {
        llmz_drive_free(d);
        return NULL;
    }
    return d;
}

void llmz_drive_free(struct llmz_drive *d)
{
    if (!d)
        return;
    for (uint32_t i = 0; i < d->group_count; i++) {
        llmz_predictor_free(d->groups[i].predictor);
        if (d->groups[i].threads != d->threads)
            llmz_threads_free(d->groups[i].threads);
        free(d->groups[i].cumulative[0]);
        free(d->groups[i].cumulative[1]);
    }
    llmz_guesser_free(d->guesser);
    free(d->last);
    free(d->starts);
    free(d->counts);
    free(d->inputs);
    free(d);
}
