/* Context mode: bytes as bit decisions, predicted by models that learn from the text alone, for where the network is too slow
 * (the structure of lpaq: M. Mahoney, "Adaptive weighing of context models for lossless data compression", 2005). */

#include "coder.h"
#include "core.h"
#include "decision.h"

#include <stdlib.h>
#include <string.h>

enum {
    MATCH_TABLE_BITS = 18,
    MATCH_MINIMUM = 6,
    STAGE_ROWS = 65536,

    BIAS = 256,
    MIXERS = 3,

    /* The weights of each mixer are chosen by: length of the match and expected bit, last byte, partial byte. */
    MATCH_SETS = 0,
    BYTE_SETS = MATCH_SETS + 48,
    PARTIAL_SETS = BYTE_SETS + 256,
    ALL_SETS = PARTIAL_SETS + 256,

    MATCH_RATE = 6,
    STAGE_RATE = 6,
};

#define SETS_FIT(profile, contexts, each, guesses, inputs, known, mixers, sets, finals)                                                 \
    _Static_assert((sets) == (int)ALL_SETS && (mixers) == MIXERS, "the shape says how many there are");
LLMZ_PLAIN_SHAPES(SETS_FIT)

/* Tables that a copy of the models copies whole. */
enum {
    COUNTERS,
    MATCH_PLACES,
    STAGE_1,
    STAGE_2,
    FOLLOWERS,
    MAPS,
    WEIGHTS = MAPS + LLMZ_PLAIN_PROFILES,
    TABLES = WEIGHTS + LLMZ_PLAIN_PROFILES
};

enum { PROSE, RECORDS, BINARY, SEQUENCES };

typedef struct table {
    void *data, *allocation;
    size_t bytes;
} table;

/* What a profile has learned beside its weights and counter maps. */
typedef struct learned {
    int32_t final_weights[256][MIXERS];
    uint16_t match_maps[LLMZ_GUESSES_MAX][LLMZ_MATCH_BUCKETS][2];
} learned;

struct llmz_context {
    table tables[TABLES];
    uint32_t bucket_mask;
    learned learned[LLMZ_PLAIN_PROFILES];

    llmz_history history;
    llmz_text text;
    llmz_match match;
    llmz_special *special; /* NULL in profiles that remember nothing of their own */
    unsigned special_profile; /* whose memory it is, up to the history's end; PROSE: nobody's */
    uint32_t block_start, position;
    unsigned profile;
    llmz_coder coder;

    const llmz_decision_kernel *kernel;
    const llmz_decision_steps *steps; /* the profile's, as the next two */
    llmz_profile_shape shape;
    learned *own;
    llmz_decision decision;
};

static size_t map_cells(unsigned profile)
{
    return (size_t)llmz_plain_shapes[profile].contexts * LLMZ_COUNTER_MAP;
}

static size_t weight_count(unsigned profile)
{
    return (size_t)ALL_SETS * llmz_plain_shapes[profile].inputs;
}

static size_t match_cells(unsigned profile)
{
    return (size_t)llmz_plain_shapes[profile].guesses * LLMZ_MATCH_BUCKETS * 2;
}

static bool new_tables(llmz_context *c, unsigned table_bits)
{
    c->bucket_mask = ((uint32_t)1 << table_bits) - 1;
    const size_t sizes[TABLES] = {
        [COUNTERS] = ((size_t)LLMZ_SLOT << table_bits) * sizeof(uint16_t),
        [MATCH_PLACES] = ((size_t)1 << MATCH_TABLE_BITS) * sizeof(uint32_t),
        [FOLLOWERS] = sizeof(llmz_followers),
    };
    for (int i = 0; i < TABLES; i++) {
        table *t = &c->tables[i];
        t->bytes = i < MAPS      ? sizes[i]
                   : i < WEIGHTS ? map_cells(i - MAPS) * sizeof(uint32_t)
                                 : weight_count(i - WEIGHTS) * sizeof(int32_t);
        if (i == STAGE_1 || i == STAGE_2) {
            t->bytes = (size_t)STAGE_ROWS * LLMZ_STAGE_ROW * sizeof(uint16_t);
            t->data = llmz_new_stage(STAGE_ROWS, &t->allocation);
        } else {
            t->data = llmz_aligned_zeros(t->bytes, &t->allocation);
        }
        if (!t->data)
            return false;
    }
    return true;
}

bool llmz_context_set_learned(llmz_context *c, unsigned profile, const llmz_plain_learned *from)
{
    if (profile >= LLMZ_PLAIN_PROFILES || !llmz_weights_in_range(from->weights, weight_count(profile)) ||
        !llmz_weights_in_range(from->final_weights, (size_t)256 * MIXERS))
        return false;
    learned *own = &c->learned[profile];
    memcpy(c->tables[WEIGHTS + profile].data, from->weights, c->tables[WEIGHTS + profile].bytes);
    memcpy(own->final_weights, from->final_weights, sizeof own->final_weights);
    memcpy(own->match_maps, from->match_maps, match_cells(profile) * sizeof(uint16_t));
    uint32_t *maps = c->tables[MAPS + profile].data;
    for (size_t i = 0; i < map_cells(profile); i++)
        maps[i] = llmz_packed_cell(from->counter_maps[i]);
    return true;
}

void llmz_context_copy_learned(const llmz_context *c, unsigned profile, llmz_plain_learned *out)
{
    const learned *own = &c->learned[profile];
    memcpy(out->weights, c->tables[WEIGHTS + profile].data, c->tables[WEIGHTS + profile].bytes);
    memcpy(out->final_weights, own->final_weights, sizeof own->final_weights);
    memcpy(out->match_maps, own->match_maps, match_cells(profile) * sizeof(uint16_t));
    const uint32_t *maps = c->tables[MAPS + profile].data;
    for (size_t i = 0; i < map_cells(profile); i++)
        out->counter_maps[i] = (uint16_t)maps[i];
}

/* What points into the models' own tables. */
static void connect(llmz_context *c)
{
    c->history.places = c->tables[MATCH_PLACES].data;
    c->history.place_count = (size_t)1 << MATCH_TABLE_BITS;
    c->decision.counters = c->tables[COUNTERS].data;
}

llmz_context *llmz_context_new(unsigned table_bits, const llmz_plain_learned learned[LLMZ_PLAIN_PROFILES],
                               const uint32_t rates[2])
{
    if (table_bits < LLMZ_TABLE_BITS_MIN || table_bits > LLMZ_TABLE_BITS_MAX || rates[0] > LLMZ_RATE_MAX ||
        rates[1] > LLMZ_RATE_MAX)
        return NULL;
    llmz_context *c = calloc(1, sizeof *c);
    bool complete = c && new_tables(c, table_bits);
    for (unsigned profile = 0; complete && profile < LLMZ_PLAIN_PROFILES; profile++)
        complete = llmz_context_set_learned(c, profile, &learned[profile]);
    if (!complete) {
        llmz_context_free(c);
        return NULL;
    }
    connect(c);
    c->kernel = llmz_decision_chosen;
    c->decision.rates = (llmz_rates){rates[0], rates[1], 0};
    return c;
}

llmz_context *llmz_context_copy(const llmz_context *c)
{
    llmz_context *copy = calloc(1, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *c;
    copy->special = c->special ? malloc(sizeof *c->special) : NULL;
    copy->history.capacity = c->history.size;
    copy->history.bytes = malloc((size_t)c->history.size + 1);
    bool complete = copy->history.bytes != NULL && (copy->special != NULL) == (c->special != NULL);
    if (complete && c->history.size > 0)
        memcpy(copy->history.bytes, c->history.bytes, c->history.size);
    if (complete && c->special)
        *copy->special = *c->special;
    for (int i = 0; i < TABLES; i++) {
        table *t = &copy->tables[i];
        t->data = llmz_aligned_copy(c->tables[i].data, t->bytes, &t->allocation);
        complete = complete && t->data;
    }
    if (!complete) {
        llmz_context_free(copy);
        return NULL;
    }
    connect(copy);
    return copy;
}

void llmz_context_free(llmz_context *c)
{
    if (!c)
        return;
    for (int i = 0; i < TABLES; i++)
        free(c->tables[i].allocation);
    free(c->history.bytes);
    free(c->special);
    free(c);
}

/* ---- Blocks ---- */

static void choose_profile(llmz_context *c, unsigned profile)
{
    llmz_decision *d = &c->decision;
    c->profile = profile;
    c->shape = llmz_plain_shapes[profile];
    c->steps = &c->kernel->plain[profile];
    c->own = &c->learned[profile];
    d->weights = c->tables[WEIGHTS + profile].data;
    d->maps = c->tables[MAPS + profile].data;
    memset(d->inputs, 0, sizeof d->inputs);
    d->inputs[2 * (c->shape.contexts + c->shape.guesses) + 1] = BIAS;
}

static bool begin_block(llmz_context *c, size_t text_size, unsigned profile)
{
    uint32_t moved;
    if (profile >= LLMZ_PLAIN_PROFILES || text_size > LLMZ_BLOCK_BYTES_MAX)
        return false;
    if (profile != PROSE && !c->special && !(c->special = malloc(sizeof *c->special)))
        return false;
    if (!llmz_extend_history(&c->history, (uint32_t)text_size, &moved))
        return false;
    choose_profile(c, profile);
    c->text.line_start -= moved;
    c->text.previous_line -= moved;
    if (c->match.pointer < moved)
        c->match.length = 0;
    else
        c->match.pointer -= moved;
    c->block_start = c->position = c->history.size - (uint32_t)text_size;
    /* A profile's memory has places in the history: it goes on from block to block as long as these stay what they are. */
    if (profile != PROSE && (profile != c->special_profile || moved > 0))
        llmz_special_begin(c->special, c->position);
    c->special_profile = profile;
    return true;
}

bool llmz_context_begin_encoding(llmz_context *c, const uint8_t *text, size_t text_size, unsigned profile, uint8_t *output,
                                 size_t output_size)
{
    if (!begin_block(c, text_size, profile))
        return false;
    memcpy(c->history.bytes + c->block_start, text, text_size);
    c->coder = llmz_encoder(output, output_size);
    return true;
}

bool llmz_context_begin_decoding(llmz_context *c, size_t text_size, unsigned profile, const uint8_t *data, size_t data_size)
{
    if (!begin_block(c, text_size, profile))
        return false;
    c->coder = llmz_decoder(data, data_size);
    return true;
}

size_t llmz_context_finish(llmz_context *c)
{
    if (c->position < c->history.size)
        return SIZE_MAX;
    if (c->coder.decoding)
        return llmz_ends_right(&c->coder) ? c->coder.size : SIZE_MAX;
    return llmz_finish_encoding(&c->coder);
}

const uint8_t *llmz_context_text(const llmz_context *c)
{
    return c->history.bytes + c->block_start;
}

/* ---- Bytes ---- */

/* Rows of the final adaptive maps: by the last byte and the last two, each with the partial byte. */
typedef struct rows {
    uint16_t *by_1, *by_2;
} rows;

static rows rows_for(const llmz_context *c, uint64_t hash_of_pair, uint32_t partial)
{
    size_t row_1 = partial | (c->text.last_bytes & 0xFF) << 8;
    size_t row_2 = ((hash_of_pair + partial * (uint64_t)0x9E3779B97F4A7C1) >> 30) & (STAGE_ROWS - 1);
    return (rows){
        (uint16_t *)c->tables[STAGE_1].data + row_1 * LLMZ_STAGE_ROW,
        (uint16_t *)c->tables[STAGE_2].data + row_2 * LLMZ_STAGE_ROW,
    };
}

static void ask_for_rows(const llmz_context *c, uint64_t hash_of_pair, uint32_t partial)
{
    rows row = rows_for(c, hash_of_pair, partial);
    LLMZ_PREFETCH(row.by_1);
    LLMZ_PREFETCH(row.by_2);
}

/* What models that expect a byte say of the next one: what they expect, with 256 added, or 0; the row of their maps; and their
 * bit of the decision at hand, -1 for none. */
typedef struct guess {
    uint32_t byte, bucket;
    int bit;
} guess;

static guess other_guess(const llmz_context *c, uint32_t number)
{
    const llmz_special *special = c->special;
    if (c->profile == SEQUENCES)
        return (guess){llmz_sequence_expects(&special->sequence, number, c->history.bytes, c->position),
                       llmz_sequence_bucket(&special->sequence, number), -1};
    const llmz_prediction *p = &special->records.predictions[number];
    return (guess){llmz_predicted_byte(p), llmz_prediction_bucket(&special->records, p), -1};
}

static void set_guesses(const llmz_context *c, guess *guesses)
{
    guesses[0].byte = llmz_expected_byte(&c->match, &c->history);
    guesses[0].bucket = llmz_match_bucket(c->match.length, c->match.missed);
    for (uint32_t i = 1; i < c->shape.guesses; i++)
        guesses[i] = other_guess(c, i - 1);
    for (uint32_t i = 0; i < c->shape.guesses; i++)
        guesses[i].byte = guesses[i].byte == LLMZ_NO_BYTE ? 0 : guesses[i].byte | 256;
}

static uint32_t course_set(const llmz_context *c)
{
    const llmz_records *r = &c->special->records;
    return (r->predictions[0].course * 5 + r->predictions[1].course) * 8 + (r->offset < 7 ? r->offset : 7);
}

static unsigned decide(llmz_context *c, unsigned bit, uint32_t partial, uint32_t index, const guess *guesses, rows row)
{
    llmz_decision *d = &c->decision;
    const uint32_t c1 = c->text.last_bytes & 0xFF, count = c->shape.guesses;
    uint16_t *cells[LLMZ_GUESSES_MAX];
    d->sets[0] = MATCH_SETS;
    for (uint32_t i = 0; i < count; i++) {
        int32_t *inputs = d->inputs + 2 * (c->shape.contexts + i);
        const guess *g = &guesses[i];
        cells[i] = NULL;
        inputs[0] = inputs[1] = 0;
        if (g->bit >= 0) {
            cells[i] = &c->own->match_maps[i][g->bucket][g->bit];
            inputs[0] = llmz_stretch(*cells[i]);
            inputs[1] = llmz_shift_right_32(*cells[i] - LLMZ_ONE / 2, 5);
            if (c->profile == SEQUENCES && i == 1)
                d->sets[0] = MATCH_SETS + (1 + g->bucket / 4) * 2 + (uint32_t)g->bit;
            else if (i == 0)
                d->sets[0] = MATCH_SETS + (1 + g->bucket % 32 / 2) * 2 + (uint32_t)g->bit;
        }
    }
    d->sets[1] = BYTE_SETS + (c->profile == RECORDS ? course_set(c) : c->profile == SEQUENCES ? index : c1);
    d->sets[2] = PARTIAL_SETS + partial;
    d->final_weights[0] = c->own->final_weights[partial];

    c->steps->predict(d);
    llmz_stage_reading by_1 = llmz_read_stage(row.by_1, d->stretched), by_2 = llmz_read_stage(row.by_2, d->stretched);
    uint32_t probability = (2 * (uint32_t)llmz_squash(d->stretched) + by_1.probability + by_2.probability + 2) >> 2;
    probability = probability < 1 ? 1 : probability < LLMZ_ONE ? probability : LLMZ_ONE - 1;
    bit = llmz_code_bit(&c->coder, bit, probability);
    c->steps->learn(d, bit);
    llmz_adapt(by_1, bit, STAGE_RATE);
    llmz_adapt(by_2, bit, STAGE_RATE);
    for (uint32_t i = 0; i < count; i++)
        if (cells[i])
            *cells[i] = llmz_adapted(*cells[i], bit, MATCH_RATE);
    return bit;
}

static void ask_for_slots(const llmz_context *c, const uint64_t *contexts, uint32_t partial, uint64_t *hashes)
{
    c->steps->hash(contexts, partial, hashes);
    for (uint32_t i = 0; i < c->shape.contexts; i++)
        LLMZ_PREFETCH(c->decision.counters + llmz_first_slot(c->bucket_mask, hashes[i]));
}

static unsigned code_byte(llmz_context *c, unsigned byte)
{
    uint64_t contexts[LLMZ_PLAIN_CONTEXTS_MAX];
    uint64_t hashes[2][LLMZ_PLAIN_CONTEXTS_MAX]; /* of the next half of the byte, by the bit before it */
    uint32_t slots[LLMZ_PLAIN_CONTEXTS_MAX];
    llmz_plain_profiles[c->profile](&c->text, c->position, &c->history, c->tables[FOLLOWERS].data, c->special, contexts);
    ask_for_slots(c, contexts, 1, hashes[0]);
    const uint64_t pair = llmz_hash(77, c->text.last_bytes & 0xFFFF);
    ask_for_rows(c, pair, 1);
    guess guesses[LLMZ_GUESSES_MAX];
    set_guesses(c, guesses);
    uint32_t partial = 1, within = 1;
    for (uint32_t index = 0; index < 8; index++) {
        const uint32_t shift = 7 - index;
        if (index == 0 || index == 4) {
            const uint64_t *own = hashes[index == 4 ? partial & 1 : 0];
            for (uint32_t i = 0; i < c->shape.contexts; i++)
                slots[i] = llmz_find_slot(c->decision.counters, c->bucket_mask, own[i]);
            within = 1;
        } else if (index == 3) {
            ask_for_slots(c, contexts, partial << 1, hashes[0]);
            ask_for_slots(c, contexts, partial << 1 | 1, hashes[1]);
        }
        if (index < 7) { /* whichever bit comes */
            ask_for_rows(c, pair, partial << 1);
            ask_for_rows(c, pair, partial << 1 | 1);
        }
        for (uint32_t i = 0; i < c->shape.contexts; i++)
            c->decision.places[i] = slots[i] + within;
        for (uint32_t i = 0; i < c->shape.guesses; i++)
            guesses[i].bit = guesses[i].byte >> (shift + 1) == partial ? (int)(guesses[i].byte >> shift & 1) : -1;
        unsigned bit = decide(c, byte >> shift & 1, partial, index, guesses, rows_for(c, pair, partial));
        partial = partial << 1 | bit;
        within = within << 1 | bit;
    }
    return partial & 0xFF;
}

static void append(llmz_context *c, unsigned byte)
{
    uint8_t *bytes = c->history.bytes;
    bytes[c->position++] = (uint8_t)byte;
    llmz_text_append(&c->text, c->tables[FOLLOWERS].data, byte, c->position);
    llmz_follow_match(&c->match, &c->history, c->history.places, MATCH_TABLE_BITS,
                      llmz_hash(1, c->text.last_bytes & 0xFFFFFFFFFFFF), MATCH_MINIMUM, 0, c->position);
    if (c->profile != PROSE)
        llmz_special_append(c->special, c->profile, bytes, c->position);
}

size_t llmz_context_code(llmz_context *c, size_t most)
{
    size_t left = c->history.size - c->position;
    for (size_t n = most < left ? most : left; n > 0; n--) {
        unsigned byte = code_byte(c, c->history.bytes[c->position]);
        if (c->coder.failed)
            return SIZE_MAX;
        append(c, byte);
    }
    return c->history.size - c->position;
}
