/* Mixed mode: each token as bytes of eight binary decisions, and one more, "the token ends here", after each byte that could
 * be its last. The network's probability of a decision is a ratio of running sums over the sorted vocabulary. In the wide profile,
 * bytes without tokens and without the network. */

#include "coder.h"
#include "decision.h"
#include "vocabulary.h"

#include <stdlib.h>
#include <string.h>

enum {
    MATCH_TABLE_BITS = 20,
    END_BITS_MIN = 12, /* of counters of "the token ends here", per context */
    END_BITS_MAX = 18,
    NETWORK_ROWS = 65536,
    FINAL_ROWS = 16384,
    SLOW_ROWS = 6144, /* of 256 slow counters, by partial byte */
    RUN_BITS_LESS = 2, /* of the table of runs than of that of counters */

    NETWORK_INPUTS = 6,
    BIAS = 256,

    END_OF_TOKEN = 0, /* stands where the partial byte of a bit decision does, which starts at 1 */
    END_INDEX = 8,    /* and where its number does */
    DEEPEST = 3,
    CONFIDENCES = 24,

    /* The weights of each mixer are chosen by: state of the matches, partial byte, last byte, the network's confidence and the
     * depth in the token, orders that know the context and number of the bit, classes of the last two bytes; in records also by
     * how two predictions of numbers fare and the place in the field, the number's shape and that of the bit, classes of the last
     * byte and the one above, the byte before the last, the byte above, the column, the byte that a match expects, the field and
     * that of the bit, the third last byte, the token's length and class of the last byte. The last byte's, the network's, the
     * predictions' and the classes' are there once more for ends of tokens. */
    MATCH_SETS = 0,
    PARTIAL_SETS = MATCH_SETS + 64,
    BYTE_SETS = PARTIAL_SETS + 256,
    NETWORK_SETS = BYTE_SETS + 512,
    KNOWN_SETS = NETWORK_SETS + 192,
    CLASS_SETS = KNOWN_SETS + 72,
    PROSE_SETS = CLASS_SETS + 512,
    COURSE_SETS = PROSE_SETS,
    SHAPE_SETS = COURSE_SETS + 512,
    ABOVE_SETS = SHAPE_SETS + 144,
    BYTE_2_SETS = ABOVE_SETS + 512,
    BYTE_ABOVE_SETS = BYTE_2_SETS + 256,
    COLUMN_SETS = BYTE_ABOVE_SETS + 256,
    EXPECTED_SETS = COLUMN_SETS + 256,
    FIELD_SETS = EXPECTED_SETS + 257,
    BYTE_3_SETS = FIELD_SETS + 9 * LLMZ_FIELDS,
    LENGTH_SETS = BYTE_3_SETS + 256,
    RECORDS_SETS = LENGTH_SETS + 128,

    PARTIAL_FINALS = 0,
    MATCH_FINALS = PARTIAL_FINALS + 256,
    FINALS = MATCH_FINALS + LLMZ_MATCH_STATES,

    MATCH_RATE = 6,
    NETWORK_MAP_RATE = 6,
    NETWORK_STAGE_RATE = 4,
    FINAL_RATE = 6,
};

#define SETS_FIT(profile, contexts, each, guesses, inputs, known, mixers, sets, finals)                                                 \
    _Static_assert((sets) == ((profile) == 0 ? (int)PROSE_SETS : (int)RECORDS_SETS), "the shape says how many there are");
LLMZ_MIXED_SHAPES(SETS_FIT)
static const llmz_rates usual_rates[LLMZ_MIXED_PROFILES] = {{6, 2, 16}, {3, 4, 10}, {3, 4, 10}};
static const uint32_t match_minimum[LLMZ_MATCH_MODELS] = {6, 16};

/* Tables that a copy of the models copies whole. */
enum {
    COUNTERS,
    MATCH_PLACES,
    STAGE_1,
    STAGE_2,
    STAGE_WORD,
    FINAL_1,
    FINAL_2,
    FINAL_3,
    FINAL_4,
    SLOW,
    RUNS,
    FOLLOWERS,
    HISTORIES,
    HISTORY_MAPS,
    MAPS,
    WEIGHTS = MAPS + LLMZ_MIXED_PROFILES,
    TABLES = WEIGHTS + LLMZ_MIXED_PROFILES
};

typedef struct table {
    void *data, *allocation;
    size_t bytes;
} table;

/* What a profile has learned beside its weights and counter maps. */
typedef struct learned {
    int32_t final_weights[FINALS * LLMZ_MIXERS_MAX];
    uint16_t match_maps[2 * LLMZ_GUESSES_MAX][LLMZ_MATCH_BUCKETS][2];
    uint16_t network_map[256][LLMZ_STAGE_ROW];
} learned;

struct llmz_mixed {
    const llmz_vocabulary *vocabulary;
    table tables[TABLES];
    uint32_t bucket_mask, end_start, end_bits, run_mask;
    learned learned[LLMZ_MIXED_PROFILES];
    llmz_rates rates[LLMZ_MIXED_PROFILES];

    llmz_history history;
    uint32_t block_start;

    uint32_t lanes;
    llmz_lane *lane;
    llmz_records *records; /* [lanes] in profiles that use them */
    llmz_writing *writing; /* likewise */
    llmz_records carried;  /* the last lane's of the block before */
    llmz_writing carried_writing;
    bool carries;
    unsigned profile;
    llmz_coder coder;

    /* Of the decision at hand. */
    const llmz_decision_kernel *kernel;
    const llmz_decision_steps *steps; /* the profile's, as the next two */
    llmz_profile_shape shape;
    learned *own;
    llmz_decision decision;
    uint64_t contexts[LLMZ_MIXED_CONTEXTS_MAX];
    uint64_t hashes[2][LLMZ_MIXED_CONTEXTS_MAX]; /* of the next half of a byte, by the bit before it */
    uint64_t hash_of_pair, hash_of_word;
    uint32_t last_byte;
    uint32_t slots[LLMZ_MIXED_CONTEXTS_MAX];
    uint32_t *runs[LLMZ_RUNS]; /* of the byte at hand */
    uint32_t excluded[257];
};

/* Decisions of bits, and those of ends of tokens. */
static size_t kinds_of_decisions(unsigned profile)
{
    return profile == LLMZ_WIDE ? 1 : 2;
}

static size_t map_cells(unsigned profile)
{
    return kinds_of_decisions(profile) * llmz_mixed_shapes[profile].contexts * LLMZ_COUNTER_MAP;
}

static size_t weight_count(unsigned profile)
{
    return (size_t)llmz_mixed_shapes[profile].sets * llmz_mixed_shapes[profile].inputs;
}

static size_t final_weight_count(unsigned profile)
{
    return (size_t)llmz_mixed_shapes[profile].final_sets * llmz_mixed_shapes[profile].mixers;
}

static size_t match_cells(unsigned profile)
{
    return kinds_of_decisions(profile) * llmz_mixed_shapes[profile].guesses * LLMZ_MATCH_BUCKETS * 2;
}

static bool has(const llmz_mixed_learned *learned, unsigned profile)
{
    return learned[profile].weights != NULL;
}

static bool new_tables(llmz_mixed *m, unsigned table_bits, const llmz_mixed_learned *learned)
{
    const bool network = m->vocabulary != NULL;
    unsigned end_bits = table_bits < END_BITS_MIN + 4 ? END_BITS_MIN : table_bits - 4;
    m->end_bits = end_bits < END_BITS_MAX ? end_bits : END_BITS_MAX;
    m->bucket_mask = ((uint32_t)1 << table_bits) - 1;
    m->end_start = (uint32_t)LLMZ_SLOT << table_bits;
    m->run_mask = ((uint32_t)1 << (table_bits - RUN_BITS_LESS)) - 1;
    const size_t ends = network ? (size_t)LLMZ_MIXED_CONTEXTS_MAX << m->end_bits : 0;
    const size_t history_maps = (size_t)LLMZ_MIXED_CONTEXTS_MAX * LLMZ_STATES;
    const size_t sizes[TABLES] = {
        [COUNTERS] = (m->end_start + ends) * sizeof(uint16_t),
        [MATCH_PLACES] = ((size_t)LLMZ_MATCH_MODELS << MATCH_TABLE_BITS) * sizeof(uint32_t),
        [SLOW] = (size_t)SLOW_ROWS * 256 * sizeof(uint32_t),
        [RUNS] = ((size_t)m->run_mask + 1) * sizeof(uint32_t),
        [FOLLOWERS] = sizeof(llmz_followers),
        [HISTORIES] = has(learned, LLMZ_WIDE) ? m->end_start * sizeof(uint16_t) : 0,
        [HISTORY_MAPS] = has(learned, LLMZ_WIDE) ? history_maps * sizeof(uint32_t) : 0,
    };
    for (int i = 0; i < TABLES; i++) {
        table *t = &m->tables[i];
        t->bytes = i < MAPS      ? sizes[i]
                   : i < WEIGHTS ? has(learned, i - MAPS) * map_cells(i - MAPS) * sizeof(uint32_t)
                                 : has(learned, i - WEIGHTS) * weight_count(i - WEIGHTS) * sizeof(int32_t);
        if ((i >= STAGE_1 && i <= STAGE_WORD && !network) || (i >= HISTORIES && t->bytes == 0))
            continue;
        if (i >= STAGE_1 && i <= FINAL_4) {
            const size_t rows = i < FINAL_1 ? NETWORK_ROWS : FINAL_ROWS;
            t->bytes = rows * LLMZ_STAGE_ROW * sizeof(uint16_t);
            t->data = llmz_new_stage(rows, &t->allocation);
        } else {
            t->data = llmz_aligned_zeros(t->bytes, &t->allocation);
        }
        if (!t->data)
            return false;
    }
    uint16_t *counters = m->tables[COUNTERS].data;
    for (size_t i = 0; i < ends; i++)
        counters[m->end_start + i] = LLMZ_EMPTY_COUNTER;
    return true;
}

static void set_learned(llmz_mixed *m, unsigned profile, const llmz_mixed_learned *from)
{
    if (!from->weights)
        return;
    learned *own = &m->learned[profile];
    memcpy(m->tables[WEIGHTS + profile].data, from->weights, m->tables[WEIGHTS + profile].bytes);
    memcpy(own->final_weights, from->final_weights, final_weight_count(profile) * sizeof(int32_t));
    memcpy(own->match_maps, from->match_maps, match_cells(profile) * sizeof(uint16_t));
    uint32_t *maps = m->tables[MAPS + profile].data;
    for (size_t i = 0; i < map_cells(profile); i++)
        maps[i] = llmz_packed_cell(from->counter_maps[i]);
    if (profile == LLMZ_WIDE)
        memcpy(m->tables[HISTORY_MAPS].data, from->history_maps, m->tables[HISTORY_MAPS].bytes);
    for (size_t i = 0; i < 256 && profile != LLMZ_WIDE; i++)
        memcpy(own->network_map[i], from->network_map + i * LLMZ_STAGE_BUCKETS, LLMZ_STAGE_BUCKETS * sizeof(uint16_t));
}

bool llmz_mixed_copy_learned(const llmz_mixed *m, unsigned profile, llmz_mixed_learned *out)
{
    if (!m->tables[WEIGHTS + profile].data)
        return false;
    const learned *own = &m->learned[profile];
    memcpy(out->weights, m->tables[WEIGHTS + profile].data, m->tables[WEIGHTS + profile].bytes);
    memcpy(out->final_weights, own->final_weights, final_weight_count(profile) * sizeof(int32_t));
    memcpy(out->match_maps, own->match_maps, match_cells(profile) * sizeof(uint16_t));
    const uint32_t *maps = m->tables[MAPS + profile].data;
    for (size_t i = 0; i < map_cells(profile); i++)
        out->counter_maps[i] = (uint16_t)maps[i];
    if (profile == LLMZ_WIDE)
        memcpy(out->history_maps, m->tables[HISTORY_MAPS].data, m->tables[HISTORY_MAPS].bytes);
    for (size_t i = 0; i < 256 && profile != LLMZ_WIDE; i++)
        memcpy(out->network_map + i * LLMZ_STAGE_BUCKETS, own->network_map[i], LLMZ_STAGE_BUCKETS * sizeof(uint16_t));
    return true;
}

/* What points into the models' own tables. */
static void connect(llmz_mixed *m)
{
    m->history.places = m->tables[MATCH_PLACES].data;
    m->decision.counters = m->tables[COUNTERS].data;
    m->decision.histories = m->tables[HISTORIES].data;
    m->decision.history_maps = m->tables[HISTORY_MAPS].data;
}

/* Whether slow counters have counts that there is a rate for. */
static bool are_slow_counters(const uint32_t *counters, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if ((counters[i] & 1023) > 255)
            return false;
    return true;
}

llmz_mixed *llmz_mixed_new(const llmz_vocabulary *vocabulary, unsigned table_bits,
                           const llmz_mixed_learned learned[LLMZ_MIXED_PROFILES], const uint32_t rates[3])
{
    if (table_bits < LLMZ_TABLE_BITS_MIN || table_bits > LLMZ_TABLE_BITS_MAX)
        return NULL;
    if (rates && (rates[0] > LLMZ_RATE_MAX || rates[1] > LLMZ_RATE_MAX || rates[2] > LLMZ_RATE_MAX))
        return NULL;
    for (unsigned profile = 0; profile < LLMZ_MIXED_PROFILES; profile++)
        if (has(learned, profile) && (!llmz_weights_in_range(learned[profile].weights, weight_count(profile)) ||
             !llmz_weights_in_range(learned[profile].final_weights, final_weight_count(profile))))
            return NULL;
    if (has(learned, LLMZ_WIDE) &&
        !are_slow_counters(learned[LLMZ_WIDE].history_maps, (size_t)llmz_mixed_shapes[LLMZ_WIDE].contexts * LLMZ_STATES))
        return NULL;
    llmz_mixed *m = calloc(1, sizeof *m);
    if (m)
        m->vocabulary = vocabulary;
    if (!m || !new_tables(m, table_bits, learned)) {
        llmz_mixed_free(m);
        return NULL;
    }
    m->history.place_count = (size_t)LLMZ_MATCH_MODELS << MATCH_TABLE_BITS;
    m->kernel = llmz_decision_chosen;
    for (unsigned profile = 0; profile < LLMZ_MIXED_PROFILES; profile++) {
        m->rates[profile] = rates ? (llmz_rates){rates[0], rates[1], rates[2]} : usual_rates[profile];
        set_learned(m, profile, &learned[profile]);
    }
    connect(m);
    return m;
}

llmz_mixed *llmz_mixed_copy(const llmz_mixed *m)
{
    llmz_mixed *copy = calloc(1, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *m;
    copy->lanes = 0;
    copy->lane = NULL;
    copy->records = NULL;
    copy->writing = NULL;
    copy->history.capacity = m->history.size;
    copy->history.bytes = malloc((size_t)m->history.size + 1);
    bool complete = copy->history.bytes != NULL;
    if (complete && m->history.size > 0)
        memcpy(copy->history.bytes, m->history.bytes, m->history.size);
    for (int i = 0; i < TABLES; i++) {
        table *t = &copy->tables[i];
        if (!m->tables[i].data)
            continue;
        t->data = llmz_aligned_copy(m->tables[i].data, t->bytes, &t->allocation);
        complete = complete && t->data;
    }
    if (!complete) {
        llmz_mixed_free(copy);
        return NULL;
    }
    connect(copy);
    return copy;
}

void llmz_mixed_free(llmz_mixed *m)
{
    if (!m)
        return;
    for (int i = 0; i < TABLES; i++)
        free(m->tables[i].allocation);
    free(m->history.bytes);
    free(m->lane);
    free(m->records);
    free(m->writing);
    free(m);
}

/* ---- Blocks ---- */

enum { PROSE, RECORDS, WIDE = LLMZ_WIDE };

static void choose_profile(llmz_mixed *m, unsigned profile)
{
    llmz_decision *d = &m->decision;
    m->profile = profile;
    m->shape = llmz_mixed_shapes[profile];
    m->steps = &m->kernel->mixed[profile];
    m->own = &m->learned[profile];
    d->weights = m->tables[WEIGHTS + profile].data;
    d->rates = m->rates[profile];
    memset(d->inputs, 0, sizeof d->inputs);
    d->inputs[m->shape.context_inputs * m->shape.contexts + 2 * m->shape.guesses + NETWORK_INPUTS] = BIAS;
}

static bool begin_block(llmz_mixed *m, uint32_t lanes, const uint64_t *lane_bytes, unsigned profile)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < lanes; i++) {
        if (lane_bytes[i] > LLMZ_BLOCK_BYTES_MAX)
            return false;
        total += lane_bytes[i];
        if (total > LLMZ_BLOCK_BYTES_MAX)
            return false;
    }
    if (lanes == 0 || profile >= LLMZ_MIXED_PROFILES || !m->tables[WEIGHTS + profile].data)
        return false;
    if ((profile == WIDE) != (m->vocabulary == NULL) || (profile == WIDE && lanes > 1))
        return false;
    uint32_t moved;
    const bool has_records = profile != PROSE;
    llmz_lane *lane = calloc(lanes, sizeof *lane);
    llmz_records *records = has_records ? calloc(lanes, sizeof *records) : NULL;
    llmz_writing *writing = has_records ? calloc(lanes, sizeof *writing) : NULL;
    if (!lane || (has_records && !(records && writing)) || !llmz_extend_history(&m->history, (uint32_t)total, &moved)) {
        free(lane);
        free(records);
        free(writing);
        return false;
    }
    const bool goes_on = m->carries && has_records && moved == 0;
    m->carries = false;
    free(m->lane);
    free(m->records);
    free(m->writing);
    m->records = records;
    m->writing = writing;
    choose_profile(m, profile);
    m->lane = lane;
    m->lanes = lanes;
    m->block_start = m->history.size - (uint32_t)total;
    uint32_t start = m->block_start;
    for (uint32_t i = 0; i < lanes; i++) {
        uint32_t end = start + (uint32_t)lane_bytes[i];
        lane[i].start = lane[i].position = start;
        lane[i].text.line_start = lane[i].text.previous_line = start;
        lane[i].end = start = end;
        if (records) {
            lane[i].records = &records[i];
            lane[i].writing = &writing[i];
            if (goes_on) {
                records[i] = m->carried;
                writing[i] = m->carried_writing;
            } else {
                llmz_records_begin(&records[i], lane[i].start);
                llmz_writing_begin(&writing[i], lane[i].start);
            }
            if (goes_on && i > 0) {
                llmz_records_go_on(&records[i], m->history.bytes, m->block_start, lane[i].start);
                llmz_writing_go_on(&writing[i]);
            }
        }
    }
    return true;
}

bool llmz_mixed_begin_encoding(llmz_mixed *m, uint32_t lanes, const uint64_t *lane_bytes, unsigned profile, uint8_t *output,
                               size_t output_size)
{
    m->coder = llmz_encoder(output, output_size);
    return begin_block(m, lanes, lane_bytes, profile);
}

bool llmz_mixed_begin_decoding(llmz_mixed *m, uint32_t lanes, const uint64_t *lane_bytes, unsigned profile,
                               const uint8_t *data, size_t data_size)
{
    m->coder = llmz_decoder(data, data_size);
    return begin_block(m, lanes, lane_bytes, profile);
}

uint32_t llmz_mixed_lanes(const llmz_mixed *m)
{
    return m->lanes;
}

uint32_t llmz_mixed_vocabulary_size(const llmz_mixed *m)
{
    return m->vocabulary ? llmz_vocabulary_size(m->vocabulary) : 0;
}

bool llmz_mixed_lane_done(const llmz_mixed *m, uint32_t lane)
{
    return m->lane[lane].position == m->lane[lane].end;
}

static void carry_records(llmz_mixed *m)
{
    m->carries = m->records != NULL;
    if (m->carries) {
        m->carried = m->records[m->lanes - 1];
        m->carried_writing = m->writing[m->lanes - 1];
    }
}

size_t llmz_mixed_finish(llmz_mixed *m)
{
    for (uint32_t lane = 0; lane < m->lanes; lane++)
        if (!llmz_mixed_lane_done(m, lane))
            return SIZE_MAX;
    carry_records(m);
    if (m->coder.decoding)
        return llmz_ends_right(&m->coder) ? m->coder.size : SIZE_MAX;
    return llmz_finish_encoding(&m->coder);
}

const uint8_t *llmz_mixed_text(const llmz_mixed *m)
{
    return m->history.bytes + m->block_start;
}

/* ---- Contexts ---- */

static void ask_for_slots(const llmz_mixed *m, const uint64_t *hashes)
{
    for (uint32_t i = 0; i < m->shape.contexts; i++)
        LLMZ_PREFETCH(m->decision.counters + llmz_first_slot(m->bucket_mask, hashes[i]));
}

/* Rows of the adaptive maps that calibrate the network: by the last byte, the last two, and the word so far; each with the
 * partial byte. */
typedef struct rows {
    uint16_t *by_1, *by_2, *by_word;
} rows;

static uint16_t *stage_row(const llmz_mixed *m, int stage, size_t row)
{
    return (uint16_t *)m->tables[stage].data + row * LLMZ_STAGE_ROW;
}

static rows rows_for(const llmz_mixed *m, uint32_t partial)
{
    return (rows){
        stage_row(m, STAGE_1, partial | m->last_byte << 8),
        stage_row(m, STAGE_2, (llmz_hash(m->hash_of_pair, partial) >> 30) & (NETWORK_ROWS - 1)),
        stage_row(m, STAGE_WORD, (llmz_hash(m->hash_of_word, partial) >> 30) & (NETWORK_ROWS - 1)),
    };
}

static void ask_for_rows(const llmz_mixed *m, uint32_t partial)
{
    rows r = rows_for(m, partial);
    LLMZ_PREFETCH(r.by_1);
    LLMZ_PREFETCH(r.by_2);
    LLMZ_PREFETCH(r.by_word);
}

/* ---- Runs: of a context, the byte that came last, how often in a row, and whether another did before ----
 *
 * 16 bits of check, 1 of another byte, 7 of count, 8 of byte. */

enum { RUN_MISSED = 128 << 8, RUN_COUNT = 127 << 8, RUN_FORGIVEN = 16 << 8, RUN_LONGEST = 100 << 8 };

static void find_runs(llmz_mixed *m)
{
    for (uint32_t i = 0; i < LLMZ_RUNS; i++) {
        uint64_t hash = llmz_hash(m->contexts[llmz_run_contexts[i]] + i, 99);
        uint32_t *run = (uint32_t *)m->tables[RUNS].data + ((uint32_t)(hash >> 20) & m->run_mask);
        uint32_t check = (uint32_t)(hash >> 48) << 16;
        if ((*run ^ check) >> 16)
            *run = check;
        m->runs[i] = run;
    }
}

static void follow_runs(llmz_mixed *m, unsigned byte)
{
    for (uint32_t i = 0; i < LLMZ_RUNS; i++) {
        uint32_t run = *m->runs[i], count = run & RUN_COUNT;
        if (count > 0 && (run & 0xFF) == byte) {
            count += count < RUN_LONGEST ? 1 << 8 : 0;
            *m->runs[i] = (run & 0xFFFF0000) | (count < RUN_FORGIVEN ? run & RUN_MISSED : 0) | count | byte;
        } else {
            *m->runs[i] = (run & 0xFFFF0000) | (count > 0 ? RUN_MISSED : 0) | 1 << 8 | byte;
        }
    }
}

static unsigned byte_of_run(uint32_t run)
{
    return run & RUN_COUNT ? run & 0xFF : LLMZ_NO_BYTE;
}

static uint32_t run_bucket(uint32_t run)
{
    uint32_t count = run >> 8 & 127;
    uint32_t bucket = count < 6 ? count : 6u + (count >= 8) + (count >= 12) + (count >= 16) + (count >= 24) + (count >= 40) + (count >= 70);
    return bucket + (run & RUN_MISSED ? 16 : 0);
}

static void begin_byte(llmz_mixed *m, const llmz_lane *lane, uint32_t node)
{
    llmz_mixed_profiles[m->profile](lane, node, &m->history, m->tables[FOLLOWERS].data, m->contexts);
    m->steps->hash(m->contexts, 1, m->hashes[0]);
    ask_for_slots(m, m->hashes[0]);
    if (m->profile != PROSE)
        find_runs(m);
    if (m->profile == WIDE)
        return;
    m->hash_of_pair = llmz_hash(77, lane->text.last_bytes & 0xFFFF);
    m->hash_of_word = llmz_hash(79, lane->text.word);
    m->last_byte = lane->text.last_bytes & 0xFF;
    ask_for_rows(m, 1);
}

void llmz_mixed_prefetch(const llmz_mixed *m, uint32_t lane)
{
    uint64_t contexts[LLMZ_MIXED_CONTEXTS_MAX], hashes[LLMZ_MIXED_CONTEXTS_MAX];
    llmz_mixed_profiles[m->profile](&m->lane[lane], 0, &m->history, m->tables[FOLLOWERS].data, contexts);
    m->steps->hash(contexts, 1, hashes);
    ask_for_slots(m, hashes);
}

static void find_slots(llmz_mixed *m, const uint64_t *hashes)
{
    for (uint32_t i = 0; i < m->shape.contexts; i++)
        m->slots[i] = llmz_find_slot(m->decision.counters, m->bucket_mask, hashes[i]);
    for (uint32_t i = 0; m->profile == WIDE && i < m->shape.contexts; i++)
        if (m->decision.counters[m->slots[i] + 1] == LLMZ_EMPTY_COUNTER) /* the bucket has just been claimed */
            memset(m->decision.histories + m->slots[i], 0, LLMZ_SLOT * sizeof(uint16_t));
}

/* Of "the token ends here" after the bytes of a node. */
static void find_end_counters(llmz_mixed *m, uint32_t node)
{
    const uint32_t end_mask = ((uint32_t)1 << m->end_bits) - 1;
    uint64_t hashes[LLMZ_MIXED_CONTEXTS_MAX];
    m->steps->hash(m->contexts, node, hashes);
    for (uint32_t i = 0; i < m->shape.contexts; i++) {
        m->decision.places[i] = m->end_start + (i << m->end_bits) + ((uint32_t)(hashes[i] >> 24) & end_mask);
        LLMZ_PREFETCH(m->decision.counters + m->decision.places[i]);
    }
}

static void append(llmz_mixed *m, llmz_lane *lane, unsigned byte)
{
    llmz_text *text = &lane->text;
    uint8_t *bytes = m->history.bytes;
    bytes[lane->position++] = (uint8_t)byte;
    llmz_text_append(text, m->tables[FOLLOWERS].data, byte, lane->position);
    for (uint32_t i = 0; i < LLMZ_MATCH_MODELS; i++) {
        uint64_t hash = 0;
        if (i == 0) {
            hash = llmz_hash(i, text->last_bytes & 0xFFFFFFFFFFFF);
        } else if (lane->position - lane->start >= match_minimum[i]) {
            uint64_t before = 0; /* the eight bytes before the last eight, the first of them lowest */
            for (uint32_t n = 0; n < 8; n++)
                before |= (uint64_t)bytes[lane->position - 16 + n] << (8 * n);
            hash = llmz_hash(text->last_bytes, before);
        }
        llmz_follow_match(&lane->matches[i], &m->history, m->history.places + ((size_t)i << MATCH_TABLE_BITS), MATCH_TABLE_BITS,
                          hash, match_minimum[i], lane->start, lane->position);
    }
    if (lane->records) {
        follow_runs(m, byte);
        llmz_writing_append(lane->writing, lane->records, bytes, lane->position);
        llmz_records_append(lane->records, bytes, lane->position);
    }
}

/* ---- Decisions ---- */

/* One decision as it stands before the models look at it. */
typedef struct question {
    unsigned bit;     /* what to encode */
    uint32_t network; /* the network's probability of a 1 */
    uint32_t partial; /* the byte's bits so far after a leading 1, or END_OF_TOKEN */
    uint32_t index;   /* of the bit, or END_INDEX */
    uint32_t depth;   /* bytes of the token so far, at most DEEPEST */
    int guesses[LLMZ_GUESSES_MAX]; /* the bits that matches and predictions expect, -1 for none */
} question;

/* The byte that a match or a prediction expects, and its row of the map. */
static unsigned guessed_byte(const llmz_mixed *m, const llmz_lane *lane, uint32_t guess)
{
    if (guess < LLMZ_MATCH_MODELS)
        return llmz_expected_byte(&lane->matches[guess], &m->history);
    guess -= LLMZ_MATCH_MODELS;
    if (guess < LLMZ_PREDICTIONS)
        return llmz_predicted_byte(&lane->records->predictions[guess]);
    return byte_of_run(*m->runs[guess - LLMZ_PREDICTIONS]);
}

static uint32_t guess_bucket(const llmz_mixed *m, const llmz_lane *lane, uint32_t guess)
{
    if (guess < LLMZ_MATCH_MODELS)
        return llmz_match_bucket(lane->matches[guess].length, lane->matches[guess].missed);
    guess -= LLMZ_MATCH_MODELS;
    if (guess < LLMZ_PREDICTIONS)
        return llmz_prediction_bucket(lane->records, &lane->records->predictions[guess]);
    return run_bucket(*m->runs[guess - LLMZ_PREDICTIONS]);
}

/* ---- Records: what else is asked for a decision ---- */

static uint32_t byte_above(const llmz_mixed *m, const llmz_lane *lane)
{
    return llmz_byte_at(lane->records->above[0], lane->position, m->history.bytes);
}

static uint32_t field_and_shape(const llmz_records *r)
{
    return r->field % LLMZ_FIELDS << 4 | llmz_number_shape(r);
}

/* Slow counters: by the number of the field and its digits so far, the byte above, the last byte and the place in the field,
 * the last two bytes. They enter the mixers behind all other inputs. */
static void read_slow_maps(llmz_mixed *m, const llmz_lane *lane, uint32_t partial, uint32_t *cells[LLMZ_SLOW_MAPS])
{
    const llmz_records *r = lane->records;
    const uint32_t offset = r->offset < 7 ? r->offset : 7, last_byte = lane->text.last_bytes & 0xFF;
    const uint32_t rows[LLMZ_SLOW_MAPS] = {
        field_and_shape(r),
        1024 + (byte_above(m, lane) << 2 | (uint32_t)r->equal_above << 1 | r->equal_kin),
        2048 + (last_byte << 3 | offset),
        4096 + (uint32_t)(llmz_hash(5, lane->text.last_bytes & 0xFFFF) >> 40 & 2047),
    };
    int32_t *inputs = m->decision.inputs + m->shape.context_inputs * m->shape.contexts + 2 * m->shape.guesses + NETWORK_INPUTS + 1;
    for (uint32_t i = 0; i < LLMZ_SLOW_MAPS; i++) {
        cells[i] = (uint32_t *)m->tables[SLOW].data + rows[i] * 256 + partial;
        inputs[i] = llmz_stretch(llmz_slow_probability(*cells[i]));
    }
}

enum { FINAL_STAGES = FINAL_4 - FINAL_1 + 1 };

/* A last look: the mean of what the mixers say and of adaptive maps of it, by the last byte, the byte above and the digits so far,
 * the last two bytes, the field and its digits. */
static uint32_t final_probability(const llmz_mixed *m, const llmz_lane *lane, uint32_t partial,
                                  llmz_stage_reading readings[FINAL_STAGES])
{
    const llmz_records *r = lane->records;
    const int32_t stretched = m->decision.stretched;
    const uint64_t contexts[FINAL_STAGES] = {
        lane->text.last_bytes & 0xFF,
        byte_above(m, lane) << 8 | llmz_number_shape(r),
        lane->text.last_bytes & 0xFFFF,
        field_and_shape(r),
    };
    uint32_t sum = 2 * (uint32_t)llmz_squash(stretched) + 3;
    for (int i = 0; i < FINAL_STAGES; i++) {
        size_t row = (llmz_hash(contexts[i], partial) >> 30) & (FINAL_ROWS - 1);
        readings[i] = llmz_read_stage(stage_row(m, FINAL_1 + i, row), stretched);
        sum += readings[i].probability;
    }
    return sum / 6 < LLMZ_ONE ? sum / 6 : LLMZ_ONE - 1;
}

/* What matches, predictions and runs say of a decision. */
typedef struct guesses {
    uint16_t *cells[LLMZ_GUESSES_MAX]; /* NULL where they say nothing */
    uint32_t match_state;
} guesses;

static guesses read_guesses(llmz_mixed *m, const llmz_lane *lane, const question *q)
{
    guesses g;
    const uint32_t count = m->shape.guesses, first = q->partial == END_OF_TOKEN ? count : 0;
    int32_t *inputs = m->decision.inputs + m->shape.context_inputs * m->shape.contexts;
    for (uint32_t i = 0; i < count; i++, inputs += 2) {
        g.cells[i] = NULL;
        inputs[0] = inputs[1] = 0;
        if (q->guesses[i] >= 0) {
            g.cells[i] = &m->own->match_maps[first + i][guess_bucket(m, lane, i)][q->guesses[i]];
            inputs[0] = llmz_stretch(*g.cells[i]);
            inputs[1] = llmz_linear(*g.cells[i]);
        }
    }
    g.match_state = q->guesses[1] >= 0;
    if (q->guesses[0] >= 0) {
        uint32_t length_set = 1 + guess_bucket(m, lane, 0) % 32 / 2;
        g.match_state = (length_set < 15 ? length_set : 15) * 4 + (uint32_t)q->guesses[0] + 1;
    }
    return g;
}

enum { NETWORK_READINGS = 4 };

/* The network, as it is and calibrated. */
static void read_network(llmz_mixed *m, const question *q, llmz_stage_reading readings[NETWORK_READINGS])
{
    const rows row = rows_for(m, q->partial);
    const int32_t network = llmz_stretch(q->network);
    readings[0] = llmz_read_stage(m->own->network_map[q->partial], network);
    readings[1] = llmz_read_stage(row.by_1, network);
    readings[2] = llmz_read_stage(row.by_2, network);
    readings[3] = llmz_read_stage(row.by_word, network);
    int32_t *inputs = m->decision.inputs + m->shape.context_inputs * m->shape.contexts + 2 * m->shape.guesses;
    inputs[0] = network;
    inputs[1] = llmz_stretch(readings[0].probability);
    inputs[2] = llmz_linear(q->network);
    inputs[3] = llmz_stretch(readings[1].probability);
    inputs[4] = llmz_stretch(readings[2].probability);
    inputs[5] = llmz_stretch(readings[3].probability);
}

static void choose_weights(llmz_mixed *m, const llmz_lane *lane, const question *q, uint32_t match_state)
{
    llmz_decision *d = &m->decision;
    const uint32_t end = q->partial == END_OF_TOKEN;
    const uint64_t last_bytes = lane->text.last_bytes;
    const uint32_t c1 = last_bytes & 0xFF, c2 = last_bytes >> 8 & 0xFF;
    uint32_t confidence = (uint32_t)(llmz_stretch(q->network) + LLMZ_STRETCH_MAX) * CONFIDENCES / (2 * LLMZ_STRETCH_MAX);
    confidence = confidence < CONFIDENCES ? confidence : CONFIDENCES - 1;
    d->sets[0] = MATCH_SETS + match_state;
    d->sets[1] = PARTIAL_SETS + q->partial;
    d->sets[2] = BYTE_SETS + end * 256 + c1;
    d->sets[3] = NETWORK_SETS + (end * CONFIDENCES + confidence) * 4 + q->depth;
    d->sets[LLMZ_MIXED_KNOWN] = KNOWN_SETS + q->index;
    d->sets[5] = CLASS_SETS + end * 256 + llmz_byte_class(c1) * 16 + llmz_byte_class(c2);
    if (m->profile != PROSE) {
        const llmz_records *r = lane->records;
        const uint32_t offset = r->offset < 7 ? r->offset : 7, above = byte_above(m, lane), column = lane->position - r->line[0];
        d->sets[6] = COURSE_SETS + end * 256 + (r->predictions[0].course * 5 + r->predictions[1].course) * 8 + offset;
        d->sets[7] = SHAPE_SETS + llmz_number_shape(r) * 9 + q->index;
        d->sets[8] = ABOVE_SETS + end * 256 + llmz_byte_class(c1) * 16 + llmz_byte_class(above);
        d->sets[9] = BYTE_2_SETS + c2;
        d->sets[10] = BYTE_ABOVE_SETS + above;
        d->sets[11] = COLUMN_SETS + (column < 255 ? column : 255);
        d->sets[12] = EXPECTED_SETS + (q->guesses[0] >= 0 ? guessed_byte(m, lane, 0) : LLMZ_NO_BYTE);
        d->sets[13] = FIELD_SETS + r->field % LLMZ_FIELDS * 9 + q->index;
        d->sets[14] = BYTE_3_SETS + (last_bytes >> 16 & 0xFF);
        d->sets[15] = LENGTH_SETS + r->token_bytes * 16 + llmz_byte_class(c1);
    }
    d->final_weights[0] = m->own->final_weights + (PARTIAL_FINALS + q->partial) * m->shape.mixers;
    d->final_weights[1] = m->own->final_weights + (MATCH_FINALS + match_state) * m->shape.mixers;
}

static unsigned decide(llmz_mixed *m, const llmz_lane *lane, const question *q)
{
    llmz_decision *d = &m->decision;
    const bool ends = q->partial == END_OF_TOKEN;
    guesses g = read_guesses(m, lane, q);
    llmz_stage_reading of_network[NETWORK_READINGS];
    if (m->profile != WIDE)
        read_network(m, q, of_network);
    choose_weights(m, lane, q, g.match_state);
    uint32_t *slow[LLMZ_SLOW_MAPS];
    if (m->profile != PROSE)
        read_slow_maps(m, lane, q->partial, slow);
    d->maps = (uint32_t *)m->tables[MAPS + m->profile].data + ends * m->shape.contexts * LLMZ_COUNTER_MAP;

    m->steps->predict(d);
    unsigned bit;
    if (m->profile != PROSE) {
        llmz_stage_reading readings[FINAL_STAGES];
        bit = llmz_code_bit(&m->coder, q->bit, final_probability(m, lane, q->partial, readings));
        for (int i = 0; i < FINAL_STAGES; i++)
            llmz_adapt(readings[i], bit, FINAL_RATE);
        for (int i = 0; i < LLMZ_SLOW_MAPS; i++)
            *slow[i] = llmz_slowly_counted(*slow[i], bit);
    } else {
        bit = llmz_code_bit(&m->coder, q->bit, (uint32_t)llmz_squash(d->stretched));
    }
    m->steps->learn(d, bit);
    if (m->profile != WIDE) {
        llmz_adapt(of_network[0], bit, NETWORK_MAP_RATE);
        for (int i = 1; i < NETWORK_READINGS; i++)
            llmz_adapt(of_network[i], bit, NETWORK_STAGE_RATE);
    }
    for (uint32_t i = 0; i < m->shape.guesses; i++)
        if (g.cells[i])
            *g.cells[i] = llmz_adapted(*g.cells[i], bit, MATCH_RATE);
    return bit;
}

/* ---- Tokens ---- */

/* Tokens that begin with what is coded of the present one: [low, high). */
typedef struct token_range {
    uint32_t low, high;
} token_range;

/* The first token of a range whose byte at `depth` is at least `value`. */
static uint32_t lower_bound(const llmz_vocabulary *v, token_range range, uint32_t depth, uint32_t value)
{
    const uint8_t *bytes = v->bytes + (size_t)depth * v->size;
    uint32_t low = range.low, length = range.high - range.low;
    while (length > 0) {
        uint32_t half = length >> 1;
        bool below = bytes[low + half] < value;
        low = below ? low + half + 1 : low;
        length = below ? length - half - 1 : half;
    }
    return low;
}

/* Probability of tokens with frequency sum `part` among those with `total`, where neither part is empty. */
static uint32_t share(uint32_t part, uint32_t total)
{
    uint32_t probability = (uint32_t)(((uint64_t)part << 16) / total);
    return probability < 1 ? 1 : probability < LLMZ_ONE ? probability : LLMZ_ONE - 1;
}

/* Sum up, by first byte, the frequencies of tokens that cannot follow: where the last token and that byte make a longer token,
 * longest match would have taken it. */
static void exclude_impossible(llmz_mixed *m, uint32_t last_node, const int32_t *cumulative)
{
    const llmz_vocabulary *v = m->vocabulary;
    uint32_t running = 0;
    if (last_node > 0) {
        const uint16_t *children = v->children[last_node];
        for (uint32_t byte = 0; byte < 256; byte++) {
            m->excluded[byte] = running;
            if (children[byte] > 0 && v->token_at[children[byte]] >= 0)
                running += (uint32_t)(cumulative[v->first_of_byte[byte + 1]] - cumulative[v->first_of_byte[byte]]);
        }
        m->excluded[256] = running;
    }
    if (running == 0 || running >= (uint32_t)cumulative[v->size])
        memset(m->excluded, 0, sizeof m->excluded);
}

/* What the models of a byte expect: the byte with 256 added, or 0. */
static void ask_guesses(const llmz_mixed *m, const llmz_lane *lane, uint32_t expected[LLMZ_GUESSES_MAX])
{
    for (uint32_t i = 0; i < m->shape.guesses; i++) {
        unsigned guess = guessed_byte(m, lane, i);
        expected[i] = guess == LLMZ_NO_BYTE ? 0 : guess | 256;
    }
}

static void guess_bits(const llmz_mixed *m, const uint32_t expected[LLMZ_GUESSES_MAX], question *q)
{
    const uint32_t shift = 7 - q->index;
    for (uint32_t i = 0; i < m->shape.guesses; i++)
        q->guesses[i] = expected[i] >> (shift + 1) == q->partial ? (int)(expected[i] >> shift & 1) : -1;
}

/* Places of the counters for the next bit of a byte. */
static void find_counters(llmz_mixed *m, const question *q)
{
    if (q->index == 0 || q->index == 4) {
        find_slots(m, m->hashes[q->index == 4 ? q->partial & 1 : 0]);
    } else if (q->index == 3) {
        for (uint32_t next = 0; next < 2; next++) {
            m->steps->hash(m->contexts, q->partial << 1 | next, m->hashes[next]);
            ask_for_slots(m, m->hashes[next]);
        }
    }
    /* In its half of the byte: 1, then 2 or 3, and so on. */
    const uint32_t bits = q->index & 3, within = 1u << bits | (q->partial & ((1u << bits) - 1));
    for (uint32_t i = 0; i < m->shape.contexts; i++)
        m->decision.places[i] = m->slots[i] + within;
}

/* Code the byte at `depth` of a token; returns it, or -1 where the token cannot be. */
static int code_byte(llmz_mixed *m, const llmz_lane *lane, uint32_t token, uint32_t depth, token_range *range,
                     const int32_t *cumulative)
{
    const llmz_vocabulary *v = m->vocabulary;
    const uint32_t to_code = v->bytes[(size_t)depth * v->size + token];
    uint32_t expected[LLMZ_GUESSES_MAX];
    ask_guesses(m, lane, expected);
    question q = {.depth = depth < DEEPEST ? depth : DEEPEST, .partial = 1};
    for (q.index = 0; q.index < 8; q.index++) {
        const uint32_t shift = 7 - q.index;
        find_counters(m, &q);
        if (q.index < 7) { /* whichever bit comes */
            ask_for_rows(m, q.partial << 1);
            ask_for_rows(m, q.partial << 1 | 1);
        }
        /* The network: tokens that go on with a 1 bit, of those that are left. */
        const uint32_t upper = (q.partial << 1 | 1) << shift & 0xFF;
        const uint32_t boundary = depth == 0 ? v->first_of_byte[upper] : lower_bound(v, *range, depth, upper);
        uint32_t total = (uint32_t)(cumulative[range->high] - cumulative[range->low]);
        uint32_t ones = (uint32_t)(cumulative[range->high] - cumulative[boundary]);
        if (depth == 0) {
            const uint32_t first = q.partial << (shift + 1) & 0xFF, after = first + (2u << shift);
            total -= m->excluded[after] - m->excluded[first];
            ones -= m->excluded[after] - m->excluded[first + (1u << shift)];
        }
        q.bit = to_code >> shift & 1;
        unsigned bit;
        if (ones == total || ones == 0) {
            bit = ones == total;
            if (!m->coder.decoding && bit != q.bit)
                return -1;
            m->steps->count(&m->decision, bit);
        } else {
            q.network = share(ones, total);
            guess_bits(m, expected, &q);
            bit = decide(m, lane, &q);
        }
        if (bit)
            range->low = boundary;
        else
            range->high = boundary;
        q.partial = q.partial << 1 | bit;
    }
    return q.partial & 0xFF;
}

/* The wide profile's: without the network, which is taken to be undecided. */
static unsigned code_wide_byte(llmz_mixed *m, const llmz_lane *lane, unsigned byte)
{
    uint32_t expected[LLMZ_GUESSES_MAX];
    ask_guesses(m, lane, expected);
    question q = {.network = LLMZ_ONE / 2, .partial = 1};
    for (q.index = 0; q.index < 8; q.index++) {
        find_counters(m, &q);
        q.bit = byte >> (7 - q.index) & 1;
        guess_bits(m, expected, &q);
        q.partial = q.partial << 1 | decide(m, lane, &q);
    }
    return q.partial & 0xFF;
}

/* Code whether the first token of a range, all of whose bytes are coded, is the one. */
static bool code_end(llmz_mixed *m, const llmz_lane *lane, uint32_t token, uint32_t depth, token_range range, uint32_t node,
                     const int32_t *cumulative)
{
    const uint16_t *children = m->vocabulary->children[node];
    find_end_counters(m, node);
    ask_for_rows(m, END_OF_TOKEN);
    uint32_t total = (uint32_t)(cumulative[range.high] - cumulative[range.low]);
    uint32_t ends = (uint32_t)(cumulative[range.low + 1] - cumulative[range.low]);
    question q = {
        .bit = token == range.low,
        .network = share(ends, total),
        .partial = END_OF_TOKEN,
        .index = END_INDEX,
        .depth = depth < DEEPEST ? depth : DEEPEST,
    };
    for (uint32_t i = 0; i < m->shape.guesses; i++) {
        unsigned guess = guessed_byte(m, lane, i);
        q.guesses[i] = guess == LLMZ_NO_BYTE ? -1 : children[guess] == 0;
    }
    return decide(m, lane, &q);
}

static void note_token(llmz_lane *lane, uint32_t token)
{
    lane->tokens[2] = lane->tokens[1];
    lane->tokens[1] = lane->tokens[0];
    lane->tokens[0] = token + 1;
}

static int32_t code_token(llmz_mixed *m, llmz_lane *lane, uint32_t token, const int32_t *cumulative)
{
    const llmz_vocabulary *v = m->vocabulary;
    token_range range = {0, v->size};
    uint32_t node = 0;
    begin_byte(m, lane, 0);
    exclude_impossible(m, lane->last_node, cumulative);
    for (uint32_t depth = 0;;) {
        if (lane->position == lane->end)
            return -1;
        int byte = code_byte(m, lane, token, depth, &range, cumulative);
        if (byte < 0 || m->coder.failed)
            return -1;
        node = v->children[node][byte];
        depth++;
        append(m, lane, (unsigned)byte);
        lane->last_node = node;
        if (range.high - range.low == 1 && v->lengths[range.low] == depth)
            return (int32_t)range.low;
        begin_byte(m, lane, node);
        if (v->lengths[range.low] == depth) {
            if (code_end(m, lane, token, depth, range, node, cumulative))
                return (int32_t)range.low;
            range.low++;
        }
    }
}

int32_t llmz_mixed_code(llmz_mixed *m, uint32_t lane, int32_t token, const int32_t *cumulative)
{
    llmz_lane *l = &m->lane[lane];
    int32_t coded = code_token(m, l, m->coder.decoding ? 0 : (uint32_t)token, cumulative);
    if (coded < 0 || m->coder.failed || (!m->coder.decoding && coded != token))
        return -1;
    note_token(l, (uint32_t)coded);
    return coded;
}

size_t llmz_mixed_code_bytes(llmz_mixed *m, const uint8_t *text, size_t most)
{
    llmz_lane *lane = &m->lane[0];
    for (size_t n = 0; n < most && lane->position < lane->end; n++) {
        begin_byte(m, lane, 0);
        unsigned byte = code_wide_byte(m, lane, m->coder.decoding ? 0 : text[lane->position - lane->start]);
        if (m->coder.failed)
            return SIZE_MAX;
        append(m, lane, byte);
        note_token(lane, byte);
    }
    return lane->end - lane->position;
}

/* ---- Reading a primer: counters, runs, histories and records learn; mixers, maps and stages stay as they are ---- */

/* A byte that was read, whose counters have not learned it yet: they are asked for while the text goes on. */
typedef struct waiting_byte {
    bool waits;
    unsigned byte;
    uint64_t hashes[2][LLMZ_MIXED_CONTEXTS_MAX]; /* of its halves */
} waiting_byte;

static void learn_waiting(llmz_mixed *m, waiting_byte *w)
{
    llmz_decision *d = &m->decision;
    for (uint32_t half = 0; half < 2 && w->waits; half++) {
        find_slots(m, w->hashes[half]);
        uint32_t within = 1;
        for (uint32_t index = 0; index < 4; index++) {
            for (uint32_t i = 0; i < m->shape.contexts; i++)
                d->places[i] = m->slots[i] + within;
            const unsigned bit = w->byte >> (7 - 4 * half - index) & 1;
            m->steps->count(d, bit);
            within = within << 1 | bit;
        }
    }
    w->waits = false;
}

/* Take a byte whose contexts have begun, and let the one before it be learned. */
static void read_byte(llmz_mixed *m, unsigned byte, waiting_byte *w)
{
    waiting_byte next = {.waits = true, .byte = byte};
    memcpy(next.hashes[0], m->hashes[0], sizeof next.hashes[0]);
    m->steps->hash(m->contexts, 16 | byte >> 4, next.hashes[1]);
    ask_for_slots(m, next.hashes[1]);
    learn_waiting(m, w);
    *w = next;
}

static void read_token(llmz_mixed *m, llmz_lane *lane, uint32_t token, waiting_byte *w)
{
    const llmz_vocabulary *v = m->vocabulary;
    token_range range = {0, v->size};
    uint32_t node = 0;
    begin_byte(m, lane, 0);
    for (uint32_t depth = 0;;) {
        const unsigned byte = v->bytes[(size_t)depth * v->size + token];
        range.low = lower_bound(v, range, depth, byte);
        range.high = lower_bound(v, range, depth, byte + 1);
        read_byte(m, byte, w);
        node = v->children[node][byte];
        depth++;
        append(m, lane, byte);
        lane->last_node = node;
        if (range.high - range.low == 1 && v->lengths[range.low] == depth)
            break;
        begin_byte(m, lane, node);
        if (v->lengths[range.low] == depth) {
            find_end_counters(m, node);
            m->steps->count(&m->decision, token == range.low);
            if (token == range.low)
                break;
            range.low++;
        }
    }
    note_token(lane, token);
}

bool llmz_mixed_read(llmz_mixed *m, unsigned profile, const uint8_t *text, size_t size)
{
    const uint64_t lane_bytes = size;
    int32_t *tokens = m->vocabulary && size <= LLMZ_BLOCK_BYTES_MAX ? malloc((size + 1) * sizeof *tokens) : NULL;
    if (!tokens || !begin_block(m, 1, &lane_bytes, profile)) {
        free(tokens);
        return false;
    }
    const size_t count = llmz_tokenize(m->vocabulary, text, size, tokens);
    waiting_byte w = {.waits = false};
    for (size_t i = 0; i < count; i++)
        read_token(m, &m->lane[0], (uint32_t)tokens[i], &w);
    learn_waiting(m, &w);
    free(tokens);
    carry_records(m);
    return true;
}
