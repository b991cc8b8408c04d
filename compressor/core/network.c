/* See network.h. */

#include "network.h"

#include <string.h>

#include "arithmetic.h"
#include "kernel.h"
#include "memory.h"

enum {
    STEPS_PER_RMS = 16, /* of normalised inputs */
    GATE_STEPS_PER_RMS = 8, /* of inputs with heavy tails: gate products and squares */
    OFFSET = 128, /* keys and values are unsigned in the cache: moved up by this */
    FREQUENCY_BITS = 24,
    FEW_ROWS = 16, /* up to here threads share channels, beyond it rows */
    SHARES = 4, /* chunks of a product for each thread */
    ROW_BLOCK = 64, /* rows of a chunk: their inputs stay in the nearer caches */
    NORM_BLOCK = 8,
    QUERIES = 8, /* of attention at once */
    SLACK = 512, /* positions in a cache beyond the window, before old ones are dropped */
    PADDING = 16384, /* after weights: kernels ask for what they will not use */
    ZERO_NATS = 10647, /* so far below the best score a weight of 14 bits is 0 */
    SCORE_BITS = 15,
    LARGEST_EMBEDDING_MULTIPLIER = (1 << 30) - 1, /* so that embeddings and side information are less than 2^23: see normalise */
};

#define PAIR_FACTOR 40503u
#define BEFORE_FACTOR 2654435761u
#define BEFORE_THAT_FACTOR 3266489917u
#define SPREAD 2246822519u

struct matrices { /* of all layers */
    uint8_t *tiles; /* packed */
    const int32_t *multiplier;
    size_t outputs, inputs, tile_stride, layer_bytes;
};

struct llmz_network {
    struct llmz_shape shape;
    uint32_t head_width, slots; /* attention layers */
    struct matrices in, out, up, down, head;
    int16_t *taps; /* copies, as the next ones */
    int32_t *multipliers, *slopes, *scale, *head_bias;
    uint8_t *shift; /* scale: a score's factor of at most 15 bits; shift: what it is moved up by */
    int8_t slot[LLMZ_MOST_LAYERS];
    struct llmz_embedding tokens, pairs, triples;
};

static size_t tiles_of(size_t outputs)
{
    return (outputs + LLMZ_TILE - 1) / LLMZ_TILE;
}

/* Turn `layers` matrices [outputs][inputs] into packed tiles; outputs that fill up the last tile have weights of 0. */
static bool lay_out(struct matrices *m, const int8_t *rows, const int32_t *multiplier, size_t layers, size_t outputs, size_t inputs,
    const char **problem)
{
    size_t tiles = tiles_of(outputs), groups = inputs / LLMZ_GROUP, tile_bytes = LLMZ_TILE * inputs;
    *m = (struct matrices){.multiplier = multiplier, .outputs = outputs, .inputs = inputs, .tile_stride = groups / 2 * llmz_kernel->pair_bytes};
    m->layer_bytes = tiles * m->tile_stride;
    m->tiles = llmz_new_memory(layers * m->layer_bytes + PADDING);
    uint8_t *tile = llmz_new_memory(tile_bytes);
    if (!m->tiles || !tile) {
        llmz_free_memory(tile);
        return false;
    }
    memset(m->tiles + layers * m->layer_bytes, 0, PADDING);
    for (size_t at = 0; at < layers * tiles; at++) {
        size_t layer = at / tiles, t = at % tiles;
        for (size_t o = 0; o < LLMZ_TILE; o++) {
            size_t output = t * LLMZ_TILE + o;
            const int8_t *row = output < outputs ? rows + (layer * outputs + output) * inputs : NULL;
            bool in_range = true;
            for (size_t i = 0; i < inputs; i++) {
                int weight = row ? row[i] : 0;
                in_range &= weight >= -LLMZ_WEIGHT_MAX && weight <= LLMZ_WEIGHT_MAX;
                tile[(i / LLMZ_GROUP * LLMZ_TILE + o) * LLMZ_GROUP + i % LLMZ_GROUP] = (uint8_t)(weight + LLMZ_WEIGHT_OFFSET) & 63;
            }
            if (!in_range) {
                *problem = "a weight is out of range";
                llmz_free_memory(tile);
                return false;
            }
        }
        llmz_kernel->pack(tile, groups, m->tiles + at * m->tile_stride);
    }
    llmz_free_memory(tile);
    return true;
}

static bool all_within(const int32_t *values, size_t count, int32_t low, int32_t high)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] < low || values[i] > high)
            return false;
    return true;
}

static const char *problem_of(const struct llmz_shape *s, const struct llmz_weights *w)
{
    size_t layers = s->layers, d = s->width;
    const struct llmz_embedding *tables[] = {&w->tokens, &w->pairs, &w->triples};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (!all_within(tables[i]->multiplier, tables[i]->rows, 0, LARGEST_EMBEDDING_MULTIPLIER))
            return "an embedding's multiplier is out of range";
    if (!all_within(w->in_multiplier, layers * 3 * d, 0, INT32_MAX) || !all_within(w->out_multiplier, layers * d, 0, INT32_MAX)
        || !all_within(w->up_multiplier, layers * s->hidden, 0, INT32_MAX) || !all_within(w->down_multiplier, layers * d, 0, INT32_MAX)
        || (w->head && !all_within(w->head_multiplier, s->vocabulary, 0, INT32_MAX)))
        return "a multiplier is out of range";
    if (w->head && !all_within(w->head_bias, s->vocabulary, -(1 << 22), 1 << 22))
        return "a bias is out of range";
    if (!all_within(w->temperature, layers * s->heads, 0, INT32_MAX) || !all_within(w->slopes, s->heads, 0, 1 << 10))
        return "an attention parameter is out of range";
    for (size_t layer = 0; layer < layers; layer++) {
        for (size_t i = 0; i < d; i++) {
            int32_t sum = 0;
            for (size_t k = 0; k < s->taps; k++) {
                int32_t tap = w->taps[(layer * s->taps + k) * d + i];
                sum += tap < 0 ? -tap : tap;
            }
            if (sum > INT16_MAX)
                return "a convolution's taps are out of range";
        }
    }
    return NULL;
}

static void *copied(const void *from, size_t bytes)
{
    void *copy = llmz_new_memory(bytes);
    if (copy && bytes)
        memcpy(copy, from, bytes);
    return copy;
}

struct llmz_network *llmz_network_new(const struct llmz_shape *shape, const struct llmz_weights *w, const char **problem)
{
    struct llmz_network *n = llmz_new_zeros(sizeof *n);
    size_t layers = shape->layers, d = shape->width, h = shape->hidden, v = w->head ? shape->vocabulary : 0;
    *problem = n ? problem_of(shape, w) : NULL;
    if (!n || *problem) {
        llmz_free_memory(n);
        return NULL;
    }
    n->shape = *shape;
    n->head_width = shape->width / shape->heads;
    n->tokens = w->tokens;
    n->pairs = w->pairs;
    n->triples = w->triples;
    n->taps = copied(w->taps, layers * shape->taps * d * sizeof *n->taps);
    n->slopes = copied(w->slopes, shape->heads * sizeof *n->slopes);
    n->head_bias = copied(w->head_bias, v * sizeof *n->head_bias);
    n->multipliers = llmz_new_memory((layers * (5 * d + h) + v) * sizeof *n->multipliers);
    n->scale = llmz_new_memory(layers * shape->heads * sizeof *n->scale);
    n->shift = llmz_new_memory(layers * shape->heads);
    if (!n->taps || !n->slopes || !n->head_bias || !n->multipliers || !n->scale || !n->shift) {
        llmz_network_free(n);
        return NULL;
    }
    int32_t *in = n->multipliers, *out = in + layers * 3 * d, *up = out + layers * d, *down = up + layers * h, *head = down + layers * d;
    memcpy(in, w->in_multiplier, layers * 3 * d * sizeof *in);
    memcpy(out, w->out_multiplier, layers * d * sizeof *in);
    memcpy(up, w->up_multiplier, layers * h * sizeof *in);
    memcpy(down, w->down_multiplier, layers * d * sizeof *in);
    if (v)
        memcpy(head, w->head_multiplier, v * sizeof *in);
    for (size_t i = 0; i < layers * shape->heads; i++) {
        unsigned excess = 0;
        while (w->temperature[i] >> excess >= 1 << SCORE_BITS)
            excess++;
        n->scale[i] = w->temperature[i] >> excess;
        n->shift[i] = (uint8_t)(16 - excess);
    }
    for (size_t layer = 0; layer < layers; layer++)
        n->slot[layer] = shape->attends[layer] ? (int8_t)n->slots++ : -1;
    if (!lay_out(&n->in, w->in, in, layers, 3 * d, d, problem) || !lay_out(&n->out, w->out, out, layers, d, d, problem)
        || !lay_out(&n->up, w->up, up, layers, h, d, problem) || !lay_out(&n->down, w->down, down, layers, d, h, problem)
        || (v && !lay_out(&n->head, w->head, head, 1, v, d, problem))) {
        llmz_network_free(n);
        return NULL;
    }
    return n;
}

void llmz_network_free(struct llmz_network *n)
{
    if (!n)
        return;
    struct matrices *all[] = {&n->in, &n->out, &n->up, &n->down, &n->head};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        llmz_free_memory(all[i]->tiles);
    llmz_free_memory(n->taps);
    llmz_free_memory(n->multipliers);
    llmz_free_memory(n->slopes);
    llmz_free_memory(n->scale);
    llmz_free_memory(n->shift);
    llmz_free_memory(n->head_bias);
    llmz_free_memory(n);
}

const struct llmz_shape *llmz_network_shape(const struct llmz_network *n)
{
    return &n->shape;
}

bool llmz_network_has_head(const struct llmz_network *n)
{
    return n->head.tiles != NULL;
}

/* Working memory of a thread's attention. */
struct attention_scratch {
    int32_t *scaled; /* [head width] */
    int8_t *queries; /* [QUERIES][head width] */
    int32_t *scores; /* [QUERIES][capacity] */
    int8_t *digits; /* [2 * QUERIES][capacity] */
    int32_t *sums; /* [2 * QUERIES][head width in whole tiles] */
};

struct llmz_predictor {
    const struct llmz_network *network;
    struct llmz_threads *threads;
    uint32_t lanes, most_steps, steps;
    size_t capacity, length; /* of attention's cache, in positions */
    size_t rows;
    int32_t *side, *tokens, *residual, *wide, *inner, *narrow, *tall, *logits, *cumulative, *last_tokens;
    int8_t *inputs, *tall_inputs;
    int32_t *tails; /* [layers][lanes][taps - 1][width] */
    uint8_t *keys; /* [slots][lanes][heads][tiles of positions][head width / GROUP][TILE][GROUP] */
    uint8_t *values; /* [slots][lanes][heads][tiles of the head width][capacity / GROUP][TILE][GROUP] */
    struct attention_scratch *scratch; /* one for each thread */
    struct llmz_operation *operations;
    size_t operation_count;
    uint64_t *square_sums; /* [chunks][FEW_ROWS], of the operation under way */
    struct llmz_scale scales[FEW_ROWS];
    uint32_t planned_steps; /* that operations are for; 0: none */
    bool planned_head;
};

static size_t value_tiles(const struct llmz_predictor *p)
{
    return tiles_of(p->network->head_width);
}

static size_t head_key_bytes(const struct llmz_predictor *p)
{
    return p->capacity * p->network->head_width;
}

static size_t head_value_bytes(const struct llmz_predictor *p)
{
    return value_tiles(p) * LLMZ_TILE * p->capacity;
}

/* Place of a slot's, lane's and head's part in keys and values. */
static size_t cache_place(const struct llmz_predictor *p, size_t slot, size_t lane, size_t head)
{
    return (slot * p->lanes + lane) * p->network->shape.heads + head;
}

/* --- operations: each computes one chunk --- */

static void embed_row(const struct llmz_embedding *table, uint32_t row, int32_t *out)
{
    if (!table->packed) {
        llmz_kernel->add_row((const int8_t *)table->rows_data + (size_t)row * table->columns, table->multiplier[row], table->columns, out);
        return;
    }
    int8_t unpacked[LLMZ_MOST_WIDTH];
    const uint8_t *bytes = table->rows_data + (size_t)row * (table->columns / 2);
    for (size_t i = 0; i < table->columns / 2; i++) {
        unpacked[2 * i] = (int8_t)((bytes[i] & 15) - 8);
        unpacked[2 * i + 1] = (int8_t)((bytes[i] >> 4) - 8);
    }
    llmz_kernel->add_row(unpacked, table->multiplier[row], table->columns, out);
}

static void embed_hashed(const struct llmz_embedding *table, uint32_t hashed, int32_t *out)
{
    if (table->rows)
        embed_row(table, (uint32_t)((uint64_t)(hashed * SPREAD) * table->rows >> 32), out);
}

static void embed(void *context, size_t index, size_t part, size_t thread)
{
    struct llmz_predictor *p = context;
    size_t lane = part / p->steps, t = part % p->steps;
    const int32_t *tokens = p->tokens + lane * p->steps, *earlier = p->last_tokens + 2 * lane;
    int32_t *row = p->residual + part * p->network->shape.width;
    (void)index;
    (void)thread;
    uint32_t token = (uint32_t)tokens[t];
    uint32_t last = (uint32_t)(t >= 1 ? tokens[t - 1] : earlier[0]);
    uint32_t before = (uint32_t)(t >= 2 ? tokens[t - 2] : t == 1 ? earlier[0] : earlier[1]);
    uint32_t pair = token * PAIR_FACTOR + last * BEFORE_FACTOR;
    memcpy(row, p->side, p->network->shape.width * sizeof *row);
    embed_row(&p->network->tokens, token, row);
    embed_hashed(&p->network->pairs, pair, row);
    embed_hashed(&p->network->triples, pair + before * BEFORE_THAT_FACTOR, row);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The scale that gives `size` values whose squares add up to `square_sum` a root mean square of `steps`, and a bit less. */
static struct llmz_scale scale_of(uint64_t square_sum, size_t size, int32_t steps)
{
    enum { ROOT_BITS = 3 /* fraction bits */, ROOT_LARGEST_BITS = 16 };
    uint32_t root = (uint32_t)llmz_square_root((square_sum << 2 * ROOT_BITS) / size) + 1;
    struct llmz_scale scale = {.shift = 0};
    while (root >> scale.shift >= (uint32_t)1 << ROOT_LARGEST_BITS)
        scale.shift++;
    scale.factor = (int32_t)(((uint32_t)steps << (LLMZ_NORM_BITS + ROOT_BITS)) / (root >> scale.shift));
    return scale;
}

static void normalise(const int32_t *values, size_t size, int32_t steps, int8_t *out)
{
    llmz_kernel->scale_down(values, size, scale_of(llmz_kernel->add_squares(values, size), size, steps), out);
}

/* What a norm works on. */
enum norm { OF_RESIDUAL, OF_GATED, OF_ATTENDED, OF_TALL };

struct normed {
    const int32_t *values;
    int8_t *out;
    size_t size;
    int32_t steps;
};

static struct normed normed(const struct llmz_predictor *p, size_t norm)
{
    size_t width = p->network->shape.width;
    switch ((enum norm)norm) {
    case OF_TALL:
        return (struct normed){p->tall, p->tall_inputs, p->network->shape.hidden, GATE_STEPS_PER_RMS};
    case OF_GATED:
        return (struct normed){p->inner, p->inputs, width, GATE_STEPS_PER_RMS};
    case OF_ATTENDED:
        return (struct normed){p->inner, p->inputs, width, STEPS_PER_RMS};
    case OF_RESIDUAL:
        break;
    }
    return (struct normed){p->residual, p->inputs, width, STEPS_PER_RMS};
}

/* Many rows: each chunk has some. */
static void normalise_rows(void *context, size_t norm, size_t part, size_t thread)
{
    struct llmz_predictor *p = context;
    struct normed n = normed(p, norm);
    (void)thread;
    for (size_t r = part * NORM_BLOCK; r < least(p->rows, (part + 1) * NORM_BLOCK); r++)
        normalise(n.values + r * n.size, n.size, n.steps, n.out + r * n.size);
}

static size_t channel_blocks(const struct llmz_predictor *p, size_t size)
{
    return least(size / LLMZ_TILE, 2 * llmz_threads_count(p->threads));
}

/* Few rows: each chunk has some channels of all, those that its thread has written, and knows the scales. */
static void normalise_channels(void *context, size_t norm, size_t part, size_t thread)
{
    struct llmz_predictor *p = context;
    struct normed n = normed(p, norm);
    size_t blocks = channel_blocks(p, n.size), tiles = n.size / LLMZ_TILE;
    size_t first = tiles * part / blocks * LLMZ_TILE, after = tiles * (part + 1) / blocks * LLMZ_TILE;
    (void)thread;
    for (size_t r = 0; r < p->rows; r++)
        llmz_kernel->scale_down(n.values + r * n.size + first, after - first, p->scales[r], n.out + r * n.size + first);
}

/* Add up what the chunks of the operation before left in square_sums. */
static void find_scales(struct llmz_predictor *p, size_t norm, size_t chunks)
{
    struct normed n = normed(p, norm);
    for (size_t r = 0; r < p->rows; r++) {
        uint64_t sum = 0;
        for (size_t chunk = 0; chunk < chunks; chunk++)
            sum += p->square_sums[chunk * FEW_ROWS + r];
        p->scales[r] = scale_of(sum, n.size, n.steps);
    }
}

/* Leave the sums of squares of some channels of all rows. */
static void leave_squares(struct llmz_predictor *p, size_t norm, size_t chunk, size_t first, size_t count)
{
    struct normed n = normed(p, norm);
    if (p->rows <= FEW_ROWS)
        for (size_t r = 0; r < p->rows; r++)
            p->square_sums[chunk * FEW_ROWS + r] = llmz_kernel->add_squares(n.values + r * n.size + first, count);
}

/* What a chunk of a product has: some rows and some tiles. */
struct share {
    size_t row, rows, tile, tiles;
};

static size_t row_blocks(const struct llmz_predictor *p)
{
    return (p->rows + ROW_BLOCK - 1) / ROW_BLOCK;
}

static size_t tiles_per_chunk(const struct llmz_predictor *p, size_t tiles)
{
    size_t threads = llmz_threads_count(p->threads), blocks = row_blocks(p);
    size_t chunks = threads == 1 ? 1 : (SHARES * threads + blocks - 1) / blocks;
    size_t per_chunk = (tiles + chunks - 1) / chunks;
    return p->rows > FEW_ROWS ? least(per_chunk, 16) : per_chunk;
}

static uint32_t product_chunks(const struct llmz_predictor *p, size_t tiles)
{
    size_t per_chunk = tiles_per_chunk(p, tiles);
    return (uint32_t)((tiles + per_chunk - 1) / per_chunk * row_blocks(p));
}

static struct share share_of(const struct llmz_predictor *p, size_t tiles, size_t part)
{
    size_t blocks = row_blocks(p), per_chunk = tiles_per_chunk(p, tiles);
    struct share s = {.row = part % blocks * ROW_BLOCK, .tile = part / blocks * per_chunk};
    s.rows = least(ROW_BLOCK, p->rows - s.row);
    s.tiles = least(per_chunk, tiles - s.tile);
    return s;
}

static void multiply(const struct matrices *m, size_t layer, const int8_t *inputs, struct share s, int32_t *out, size_t out_stride)
{
    struct llmz_product product = {
        .inputs = inputs + s.row * m->inputs,
        .input_stride = m->inputs,
        .rows = s.rows,
        .tiles = m->tiles + layer * m->layer_bytes + s.tile * m->tile_stride,
        .tile_stride = m->tile_stride,
        .tile_count = s.tiles,
        .groups = m->inputs / LLMZ_GROUP,
        .out = out + s.row * out_stride + s.tile * LLMZ_TILE,
        .out_stride = out_stride,
    };
    llmz_kernel->multiply_weights(&product);
}

static void project(void *context, size_t layer, size_t part, size_t thread)
{
    struct llmz_predictor *p = context;
    (void)thread;
    multiply(&p->network->in, layer, p->inputs, share_of(p, tiles_of(p->network->in.outputs), part), p->wide, p->network->in.outputs);
}

static void convolve_channels(struct llmz_predictor *p, size_t layer, size_t lane, size_t first, size_t after)
{
    const struct llmz_shape *shape = &p->network->shape;
    size_t width = shape->width;
    struct llmz_convolution c = {
        .sums = p->wide + lane * p->steps * 3 * width,
        .multiplier = p->network->in.multiplier + layer * 3 * width,
        .taps = p->network->taps + layer * shape->taps * width,
        .tail = p->tails + (layer * p->lanes + lane) * (shape->taps - 1) * width,
        .gated = p->inner + lane * p->steps * width,
        .width = width,
        .first = first,
        .after = after,
        .steps = p->steps,
        .tap_count = shape->taps,
    };
    llmz_kernel->convolve(&c);
}

static void convolve(void *context, size_t layer, size_t part, size_t thread)
{
    struct llmz_predictor *p = context;
    size_t channel_tiles = p->network->shape.width / LLMZ_TILE;
    size_t tile = part % channel_tiles;
    (void)thread;
    convolve_channels(p, layer, part / channel_tiles, tile * LLMZ_TILE, (tile + 1) * LLMZ_TILE);
}

/* Few rows: queries, keys and values of some channels, so that the thread that attends has written them. */
static void project_channels(void *context, size_t layer, size_t part, size_t thread)
{
    struct llmz_predictor *p = context;
    size_t width = p->network->shape.width;
    struct share s = share_of(p, width / LLMZ_TILE, part);
    (void)thread;
    for (size_t third = 0; third < 3; third++) {
        struct share of_third = s;
        of_third.tile += third * width / LLMZ_TILE;
        multiply(&p->network->in, layer, p->inputs, of_third, p->wide, 3 * width);
    }
}

/* Few rows: product and convolution of some channels in one go. */
static void project_and_convolve(void *context, size_t layer, size_t part, size_t thread)
{
    struct llmz_predictor *p = context;
    size_t width = p->network->shape.width;
    struct share s = share_of(p, width / LLMZ_TILE, part);
    size_t first = s.tile * LLMZ_TILE, after = first + s.tiles * LLMZ_TILE;
    project_channels(p, layer, part, thread);
    for (size_t lane = 0; lane < p->lanes; lane++)
        convolve_channels(p, layer, lane, first, after);
    leave_squares(p, OF_GATED, part, first, after - first);
}

/* Store the keys and values of a lane's head for all steps. */
static void remember(struct llmz_predictor *p, size_t layer, size_t lane, size_t head, struct attention_scratch *scratch)
{
    const struct llmz_network *n = p->network;
    size_t width = n->shape.width, hw = n->head_width, place = cache_place(p, (size_t)n->slot[layer], lane, head);
    const int32_t *multiplier = n->in.multiplier + layer * 3 * width + head * hw;
    uint8_t *keys = p->keys + place * head_key_bytes(p), *values = p->values + place * head_value_bytes(p);
    for (size_t t = 0; t < p->steps; t++) {
        const int32_t *sums = p->wide + (lane * p->steps + t) * 3 * width + head * hw;
        size_t here = p->length + t;
        int8_t *key = scratch->queries;
        llmz_kernel->rescale_head(sums + width, multiplier + width, hw, scratch->scaled);
        normalise(scratch->scaled, hw, STEPS_PER_RMS, key);
        uint8_t *of_tile = keys + here / LLMZ_TILE * hw * LLMZ_TILE + here % LLMZ_TILE * LLMZ_GROUP;
        for (size_t i = 0; i < hw; i++)
            of_tile[i / LLMZ_GROUP * LLMZ_TILE_BYTES + i % LLMZ_GROUP] = (uint8_t)(key[i] + OFFSET);
        llmz_kernel->round_values(sums + 2 * width, multiplier + 2 * width, hw, scratch->scaled);
        for (size_t i = 0; i < hw; i++)
            values[(i / LLMZ_TILE * p->capacity / LLMZ_GROUP + here / LLMZ_GROUP) * LLMZ_TILE_BYTES + i % LLMZ_TILE * LLMZ_GROUP
                + here % LLMZ_GROUP] = (uint8_t)(scratch->scaled[i] + OFFSET);
    }
}

/* Scores of `rows` queries for the keys of some tiles of positions. */
static void score(struct llmz_predictor *p, size_t place, struct attention_scratch *scratch, size_t rows, size_t first_tile, size_t after_tile)
{
    size_t hw = p->network->head_width;
    struct llmz_product product = {
        .inputs = scratch->queries,
        .input_stride = hw,
        .rows = rows,
        .tiles = p->keys + place * head_key_bytes(p) + first_tile * hw * LLMZ_TILE,
        .tile_stride = hw * LLMZ_TILE,
        .tile_count = after_tile - first_tile,
        .groups = hw / LLMZ_GROUP,
        .out = scratch->scores + first_tile * LLMZ_TILE,
        .out_stride = p->capacity,
    };
    llmz_kernel->multiply_bytes(&product);
}

/* The first position that a query at `here` may give a weight, where the nearest scores, from `near` on, are known: from there back
 * even the largest score there can be is too far below them. */
static size_t first_of_reach(const struct llmz_network *n, size_t layer, size_t head, const int32_t *dots, int32_t offset, size_t near, size_t here,
    size_t first)
{
    int64_t scale = n->scale[layer * n->shape.heads + head], slope = n->slopes[head];
    unsigned shift = n->shift[layer * n->shape.heads + head];
    int64_t half = shift ? (int64_t)1 << (shift - 1) : 0, best = INT64_MIN;
    for (size_t q = near; q <= here; q++) {
        int64_t dot = llmz_clip((int64_t)dots[q] - offset, -INT16_MAX, INT16_MAX);
        int64_t score = llmz_shift_right(dot * scale + half, shift) - slope * (int64_t)(here - q);
        best = score > best ? score : best;
    }
    /* Rows have a root mean square of STEPS_PER_RMS, rounded. */
    int64_t largest_dot = (int64_t)n->head_width * (STEPS_PER_RMS + 1) * (STEPS_PER_RMS + 1);
    int64_t largest = llmz_shift_right(largest_dot * scale + half, shift);
    int64_t reach = (largest - best + ZERO_NATS) / slope + 1;
    int64_t from = (int64_t)here + 1 - reach;
    return from <= (int64_t)first ? first : (size_t)from < near ? (size_t)from : near;
}

static void attend(void *context, size_t layer, size_t part, size_t thread)
{
    struct llmz_predictor *p = context;
    const struct llmz_network *n = p->network;
    struct attention_scratch *scratch = &p->scratch[thread];
    size_t lane = part % p->lanes, head = part / p->lanes, hw = n->head_width, width = n->shape.width, window = n->shape.window;
    size_t place = cache_place(p, (size_t)n->slot[layer], lane, head), padded = value_tiles(p) * LLMZ_TILE;
    int32_t scale = n->scale[layer * n->shape.heads + head], slope = n->slopes[head];
    unsigned shift = n->shift[layer * n->shape.heads + head];
    remember(p, layer, lane, head, scratch);
    for (size_t begin = 0; begin < p->steps; begin += QUERIES) {
        size_t rows = least(QUERIES, p->steps - begin), first_here = p->length + begin, last_here = first_here + rows - 1;
        int32_t offsets[QUERIES];
        for (size_t q = 0; q < rows; q++) {
            const int32_t *sums = p->wide + (lane * p->steps + begin + q) * 3 * width + head * hw;
            int8_t *query = scratch->queries + q * hw;
            llmz_kernel->rescale_head(sums, n->in.multiplier + layer * 3 * width + head * hw, hw, scratch->scaled);
            normalise(scratch->scaled, hw, STEPS_PER_RMS, query);
            offsets[q] = 0;
            for (size_t i = 0; i < hw; i++)
                offsets[q] += OFFSET * query[i];
        }
        size_t after_tile = last_here / LLMZ_TILE + 1, near_tile = first_here / LLMZ_TILE;
        size_t first = first_here + 1 > window ? first_here + 1 - window : 0;
        if (slope > 0 && near_tile > first / LLMZ_TILE) {
            score(p, place, scratch, rows, near_tile, after_tile);
            size_t reached = first_here;
            for (size_t q = 0; q < rows; q++)
                reached = least(reached,
                    first_of_reach(n, layer, head, scratch->scores + q * p->capacity, offsets[q], near_tile * LLMZ_TILE,
                        first_here + q, first));
            first = reached > first ? reached : first;
            after_tile = near_tile;
        }
        if (first / LLMZ_TILE < after_tile)
            score(p, place, scratch, rows, first / LLMZ_TILE, after_tile);
        size_t group = first / LLMZ_GROUP, group_after = last_here / LLMZ_GROUP + 1;
        uint32_t totals[QUERIES];
        for (size_t q = 0; q < rows; q++) {
            size_t here = first_here + q, own = here + 1 > window ? here + 1 - window : 0;
            own = own > first ? own : first;
            int32_t *scores = scratch->scores + q * p->capacity;
            int8_t *high = scratch->digits + 2 * q * p->capacity, *low = high + p->capacity;
            memset(high + group * LLMZ_GROUP, 0, own - group * LLMZ_GROUP);
            memset(low + group * LLMZ_GROUP, 0, own - group * LLMZ_GROUP);
            memset(high + here + 1, 0, group_after * LLMZ_GROUP - here - 1);
            memset(low + here + 1, 0, group_after * LLMZ_GROUP - here - 1);
            int32_t best = llmz_kernel->scale_scores(scores + own, here + 1 - own, offsets[q], scale, shift, slope);
            totals[q] = llmz_kernel->soften(scores + own, here + 1 - own, best, high + own, low + own);
        }
        struct llmz_product product = {
            .inputs = scratch->digits + group * LLMZ_GROUP,
            .input_stride = p->capacity,
            .rows = 2 * rows,
            .tiles = p->values + place * head_value_bytes(p) + group * LLMZ_TILE_BYTES,
            .tile_stride = p->capacity * LLMZ_TILE,
            .tile_count = padded / LLMZ_TILE,
            .groups = group_after - group,
            .out = scratch->sums,
            .out_stride = padded,
        };
        llmz_kernel->multiply_digits(&product);
        for (size_t q = 0; q < rows; q++) {
            size_t row = lane * p->steps + begin + q;
            int32_t *out = p->inner + row * width + head * hw;
            llmz_kernel->mean_values(scratch->sums + 2 * q * padded, scratch->sums + (2 * q + 1) * padded, hw,
                (int64_t)OFFSET * totals[q], (int32_t)(((uint64_t)1 << 44) / totals[q]), out);
            if (p->rows <= FEW_ROWS)
                p->square_sums[head * FEW_ROWS + row] = llmz_kernel->add_squares(out, hw);
        }
    }
}

static void add_product(struct llmz_predictor *p, const struct matrices *m, size_t layer, const int8_t *inputs, size_t part)
{
    size_t width = m->outputs;
    struct share s = share_of(p, width / LLMZ_TILE, part);
    multiply(m, layer, inputs, s, p->narrow, width);
    for (size_t r = s.row; r < s.row + s.rows; r++)
        llmz_kernel->add_to_residual(p->narrow + r * width + s.tile * LLMZ_TILE, m->multiplier + layer * width + s.tile * LLMZ_TILE,
            s.tiles * LLMZ_TILE, p->residual + r * width + s.tile * LLMZ_TILE);
    leave_squares(p, OF_RESIDUAL, part, s.tile * LLMZ_TILE, s.tiles * LLMZ_TILE);
}

static void mix_back(void *context, size_t layer, size_t part, size_t thread)
{
    struct llmz_predictor *p = context;
    (void)thread;
    add_product(p, &p->network->out, layer, p->inputs, part);
}

static void widen(void *context, size_t layer, size_t part, size_t thread)
{
    struct llmz_predictor *p = context;
    const struct matrices *m = &p->network->up;
    size_t hidden = m->outputs;
    struct share s = share_of(p, hidden / LLMZ_TILE, part);
    (void)thread;
    multiply(m, layer, p->inputs, s, p->tall, hidden);
    for (size_t r = s.row; r < s.row + s.rows; r++)
        llmz_kernel->square_relu(m->multiplier + layer * hidden + s.tile * LLMZ_TILE, s.tiles * LLMZ_TILE,
            p->tall + r * hidden + s.tile * LLMZ_TILE);
    leave_squares(p, OF_TALL, part, s.tile * LLMZ_TILE, s.tiles * LLMZ_TILE);
}

static void narrow_back(void *context, size_t layer, size_t part, size_t thread)
{
    struct llmz_predictor *p = context;
    (void)thread;
    add_product(p, &p->network->down, layer, p->tall_inputs, part);
}

static size_t logit_stride(const struct llmz_predictor *p)
{
    return tiles_of(p->network->shape.vocabulary) * LLMZ_TILE;
}

static void project_to_tokens(void *context, size_t index, size_t part, size_t thread)
{
    struct llmz_predictor *p = context;
    (void)index;
    (void)thread;
    multiply(&p->network->head, 0, p->inputs, share_of(p, tiles_of(p->network->shape.vocabulary), part), p->logits, logit_stride(p));
}

static void add_up_frequencies(void *context, size_t index, size_t row, size_t thread)
{
    struct llmz_predictor *p = context;
    size_t vocabulary = p->network->shape.vocabulary;
    int32_t *logits = p->logits + row * logit_stride(p);
    (void)index;
    (void)thread;
    int32_t best = llmz_kernel->score_tokens(logits, p->network->head.multiplier, p->network->head_bias, vocabulary);
    uint64_t total = llmz_kernel->weigh_tokens(logits, best, vocabulary);
    uint32_t inverse = (uint32_t)((((uint64_t)1 << FREQUENCY_BITS) - vocabulary) * ((uint64_t)1 << 36) / total);
    llmz_kernel->add_up(logits, inverse, vocabulary, p->cumulative + row * (vocabulary + 1));
}

/* --- the program of a call --- */

static void plan_one(struct llmz_predictor *p, void (*chunk)(void *, size_t, size_t, size_t), size_t index, size_t chunks)
{
    p->operations[p->operation_count++] = (struct llmz_operation){chunk, NULL, index, (uint32_t)chunks};
}

/* After an operation whose chunks left sums of squares: their number depends on what was computed. */
static void after_embedding(void *context, size_t index)
{
    struct llmz_predictor *p = context;
    (void)index;
    for (size_t r = 0; r < p->rows; r++)
        p->square_sums[r] = llmz_kernel->add_squares(p->residual + r * p->network->shape.width, p->network->shape.width);
    find_scales(p, OF_RESIDUAL, 1);
}

static void after_convolution(void *context, size_t layer)
{
    struct llmz_predictor *p = context;
    (void)layer;
    find_scales(p, OF_GATED, product_chunks(p, p->network->shape.width / LLMZ_TILE));
}

static void after_attention(void *context, size_t layer)
{
    struct llmz_predictor *p = context;
    (void)layer;
    find_scales(p, OF_ATTENDED, p->network->shape.heads);
}

static void after_residual(void *context, size_t layer)
{
    struct llmz_predictor *p = context;
    (void)layer;
    find_scales(p, OF_RESIDUAL, product_chunks(p, p->network->shape.width / LLMZ_TILE));
}

static void after_widening(void *context, size_t layer)
{
    struct llmz_predictor *p = context;
    (void)layer;
    find_scales(p, OF_TALL, product_chunks(p, p->network->shape.hidden / LLMZ_TILE));
}

static void plan_norm(struct llmz_predictor *p, enum norm norm, void (*find)(void *, size_t))
{
    if (p->rows <= FEW_ROWS) {
        p->operations[p->operation_count - 1].after = find;
        plan_one(p, normalise_channels, norm, channel_blocks(p, normed(p, norm).size));
    } else {
        plan_one(p, normalise_rows, norm, (p->rows + NORM_BLOCK - 1) / NORM_BLOCK);
    }
}

static void plan(struct llmz_predictor *p)
{
    const struct llmz_shape *shape = &p->network->shape;
    size_t channel_tiles = shape->width / LLMZ_TILE;
    bool few = p->rows <= FEW_ROWS;
    p->operation_count = 0;
    plan_one(p, embed, 0, p->rows);
    plan_norm(p, OF_RESIDUAL, after_embedding);
    for (size_t layer = 0; layer < shape->layers; layer++) {
        if (shape->attends[layer]) {
            plan_one(p, few ? project_channels : project, layer, product_chunks(p, few ? channel_tiles : 3 * channel_tiles));
            plan_one(p, attend, layer, (size_t)p->lanes * shape->heads);
            plan_norm(p, OF_ATTENDED, after_attention);
        } else if (few) {
            plan_one(p, project_and_convolve, layer, product_chunks(p, channel_tiles));
            plan_norm(p, OF_GATED, after_convolution);
        } else {
            plan_one(p, project, layer, product_chunks(p, 3 * channel_tiles));
            plan_one(p, convolve, layer, p->lanes * channel_tiles);
            plan_norm(p, OF_GATED, after_convolution);
        }
        plan_one(p, mix_back, layer, product_chunks(p, channel_tiles));
        plan_norm(p, OF_RESIDUAL, after_residual);
        plan_one(p, widen, layer, product_chunks(p, shape->hidden / LLMZ_TILE));
        plan_norm(p, OF_TALL, after_widening);
        plan_one(p, narrow_back, layer, product_chunks(p, channel_tiles));
        plan_norm(p, OF_RESIDUAL, after_residual);
    }
    if (p->cumulative) {
        plan_one(p, project_to_tokens, 0, product_chunks(p, tiles_of(shape->vocabulary)));
        plan_one(p, add_up_frequencies, 0, p->rows);
    }
    p->planned_steps = p->steps;
    p->planned_head = p->cumulative != NULL;
}

struct llmz_predictor *llmz_predictor_new(
    const struct llmz_network *n, struct llmz_threads *threads, uint32_t lanes, uint32_t most_steps, const int32_t *side)
{
    struct llmz_predictor *p = llmz_new_zeros(sizeof *p);
    if (!p)
        return NULL;
    const struct llmz_shape *shape = &n->shape;
    size_t rows = (size_t)lanes * most_steps, width = shape->width, hidden = shape->hidden, count = llmz_threads_count(threads);
    p->network = n;
    p->threads = threads;
    p->lanes = lanes;
    p->most_steps = most_steps;
    p->capacity = (shape->window + LLMZ_TILE + (most_steps > SLACK ? most_steps : SLACK) + LLMZ_TILE - 1) / LLMZ_TILE * LLMZ_TILE;
    size_t heads = (size_t)n->slots * lanes * shape->heads;
    p->side = copied(side, width * sizeof *side);
    p->tokens = llmz_new_zeros(rows * sizeof *p->tokens);
    p->last_tokens = llmz_new_zeros(2 * lanes * sizeof *p->last_tokens);
    p->residual = llmz_new_memory(rows * width * sizeof *p->residual);
    p->inputs = llmz_new_memory(rows * width + PADDING);
    p->tall_inputs = llmz_new_memory(rows * hidden + PADDING);
    p->wide = llmz_new_memory(rows * 3 * width * sizeof *p->wide);
    p->inner = llmz_new_memory(rows * width * sizeof *p->inner);
    p->narrow = llmz_new_memory(rows * width * sizeof *p->narrow);
    p->tall = llmz_new_memory(rows * hidden * sizeof *p->tall);
    p->logits = n->head.tiles ? llmz_new_memory(rows * logit_stride(p) * sizeof *p->logits) : llmz_new_memory(1);
    p->tails = llmz_new_zeros((size_t)shape->layers * lanes * shape->taps * width * sizeof *p->tails);
    p->keys = llmz_new_zeros(heads * head_key_bytes(p) + PADDING);
    p->values = llmz_new_zeros(heads * head_value_bytes(p) + PADDING);
    p->scratch = llmz_new_zeros(count * sizeof *p->scratch);
    p->operations = llmz_new_memory(LLMZ_MOST_OPERATIONS * sizeof *p->operations);
    p->square_sums = llmz_new_memory((SHARES * count + shape->heads + 1) * FEW_ROWS * sizeof *p->square_sums);
    bool whole = p->side && p->tokens && p->last_tokens && p->residual && p->inputs && p->tall_inputs && p->wide && p->inner && p->narrow
        && p->tall && p->logits && p->tails && p->keys && p->values && p->scratch && p->operations && p->square_sums;
    for (size_t i = 0; whole && i < count; i++) {
        struct attention_scratch *s = &p->scratch[i];
        s->scaled = llmz_new_memory(n->head_width * sizeof *s->scaled);
        s->queries = llmz_new_memory((size_t)QUERIES * n->head_width + PADDING);
        s->scores = llmz_new_memory(QUERIES * p->capacity * sizeof *s->scores);
        s->digits = llmz_new_memory(2 * QUERIES * p->capacity + PADDING);
        s->sums = llmz_new_memory(2 * QUERIES * value_tiles(p) * LLMZ_TILE * sizeof *s->sums);
        whole = s->scaled && s->queries && s->scores && s->digits && s->sums;
    }
    if (!whole) {
        llmz_predictor_free(p);
        return NULL;
    }
    return p;
}

void llmz_predictor_free(struct llmz_predictor *p)
{
    if (!p)
        return;
    for (size_t i = 0; p->scratch && i < llmz_threads_count(p->threads); i++) {
        llmz_free_memory(p->scratch[i].scaled);
        llmz_free_memory(p->scratch[i].queries);
        llmz_free_memory(p->scratch[i].scores);
        llmz_free_memory(p->scratch[i].digits);
        llmz_free_memory(p->scratch[i].sums);
    }
    void *all[] = {p->side, p->tokens, p->last_tokens, p->residual, p->inputs, p->tall_inputs, p->wide, p->inner, p->narrow, p->tall,
        p->logits, p->tails, p->keys, p->values, p->scratch, p->operations, p->square_sums};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        llmz_free_memory(all[i]);
    llmz_free_memory(p);
}

void llmz_predictor_size(const struct llmz_predictor *p, uint32_t *lanes, uint32_t *most_steps)
{
    *lanes = p->lanes;
    *most_steps = p->most_steps;
}

/* Make room in attention's cache by whole tiles of positions, so that at least what windows reach stays. */
static void drop_old_positions(struct llmz_predictor *p)
{
    const struct llmz_network *n = p->network;
    size_t hw = n->head_width, kept = n->shape.window - 1;
    size_t dropped = (p->length - kept) / LLMZ_TILE * LLMZ_TILE, left = p->length - dropped;
    size_t heads = (size_t)n->slots * p->lanes * n->shape.heads, left_whole = (left + LLMZ_TILE - 1) / LLMZ_TILE * LLMZ_TILE;
    for (size_t place = 0; place < heads; place++) {
        uint8_t *keys = p->keys + place * head_key_bytes(p), *values = p->values + place * head_value_bytes(p);
        memmove(keys, keys + dropped * hw, left_whole * hw);
        for (size_t tile = 0; tile < value_tiles(p); tile++) {
            uint8_t *of_tile = values + tile * p->capacity * LLMZ_TILE;
            memmove(of_tile, of_tile + dropped * LLMZ_TILE, left_whole * LLMZ_TILE);
        }
    }
    p->length = left;
}

void llmz_predictor_start(struct llmz_predictor *p, const int32_t *tokens, uint32_t steps, int32_t *cumulative)
{
    if (p->length + steps > p->capacity)
        drop_old_positions(p);
    p->steps = steps;
    p->rows = (size_t)p->lanes * steps;
    p->cumulative = cumulative;
    memcpy(p->tokens, tokens, p->rows * sizeof *tokens);
    if (p->planned_steps != steps || p->planned_head != (cumulative != NULL))
        plan(p);
    llmz_threads_start(p->threads, p->operations, p->operation_count, p);
}

void llmz_predictor_end(struct llmz_predictor *p)
{
    p->length += p->steps;
    for (size_t lane = 0; lane < p->lanes; lane++) {
        int32_t *earlier = p->last_tokens + 2 * lane;
        const int32_t *tokens = p->tokens + lane * p->steps;
        earlier[1] = p->steps > 1 ? tokens[p->steps - 2] : earlier[0];
        earlier[0] = tokens[p->steps - 1];
    }
}

const int8_t *llmz_predictor_states(const struct llmz_predictor *p)
{
    return p->inputs;
}

void llmz_predictor_copy_lane(struct llmz_predictor *p, const struct llmz_predictor *from)
{
    const struct llmz_network *n = p->network;
    size_t tail = (n->shape.taps - 1) * (size_t)n->shape.width, hw = n->head_width;
    size_t positions = least(from->length, n->shape.window - 1), first = (from->length - positions) / LLMZ_TILE * LLMZ_TILE;
    positions = from->length - first;
    size_t whole = (positions + LLMZ_TILE - 1) / LLMZ_TILE * LLMZ_TILE;
    for (size_t lane = 0; lane < p->lanes; lane++) {
        memcpy(p->last_tokens + 2 * lane, from->last_tokens, 2 * sizeof *p->last_tokens);
        for (size_t layer = 0; layer < n->shape.layers; layer++)
            memcpy(p->tails + (layer * p->lanes + lane) * tail, from->tails + layer * from->lanes * tail, tail * sizeof *p->tails);
        for (size_t slot = 0; slot < n->slots; slot++) {
            for (size_t head = 0; head < n->shape.heads; head++) {
                size_t to_place = cache_place(p, slot, lane, head), from_place = cache_place(from, slot, 0, head);
                memcpy(p->keys + to_place * head_key_bytes(p), from->keys + from_place * head_key_bytes(from) + first * hw, whole * hw);
                for (size_t tile = 0; tile < value_tiles(p); tile++)
                    memcpy(p->values + to_place * head_value_bytes(p) + tile * p->capacity * LLMZ_TILE,
                        from->values + from_place * head_value_bytes(from) + (tile * from->capacity + first) * LLMZ_TILE, whole * LLMZ_TILE);
            }
        }
    }
    p->length = positions;
}
