/* A predictor: the program of a call, whose operations several threads work off in chunks. See network.h. */

#include "predictor.h"

enum {
    GATE_STEPS_PER_RMS = 8, /* of inputs with heavy tails: gate products and squares */
    FREQUENCY_BITS = 24,
    SHARES = 4, /* chunks of a product for each thread */
    ROW_BLOCK = 64, /* rows of a chunk: their inputs stay in the nearer caches */
    NORM_BLOCK = 8,
};

#define PAIR_FACTOR 40503u
#define BEFORE_FACTOR 2654435761u
#define BEFORE_THAT_FACTOR 3266489917u
#define SPREAD 2246822519u

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
        return (struct normed){p->inner, p->inputs, width, LLMZ_STEPS_PER_RMS};
    case OF_RESIDUAL:
        break;
    }
    return (struct normed){p->residual, p->inputs, width, LLMZ_STEPS_PER_RMS};
}

/* Many rows: each chunk has some. */
static void normalise_rows(void *context, size_t norm, size_t part, size_t thread)
{
    struct llmz_predictor *p = context;
    struct normed n = normed(p, norm);
    (void)thread;
    for (size_t r = part * NORM_BLOCK; r < llmz_least(p->rows, (part + 1) * NORM_BLOCK); r++)
        llmz_normalise(n.values + r * n.size, n.size, n.steps, n.out + r * n.size);
}

static size_t channel_blocks(const struct llmz_predictor *p, size_t size)
{
    return llmz_least(size / LLMZ_TILE, 2 * llmz_threads_count(p->threads));
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
            sum += p->square_sums[chunk * LLMZ_FEW_ROWS + r];
        p->scales[r] = llmz_scale_of(sum, n.size, n.steps);
    }
}

/* Leave the sums of squares of some channels of all rows. */
static void leave_squares(struct llmz_predictor *p, size_t norm, size_t chunk, size_t first, size_t count)
{
    struct normed n = normed(p, norm);
    if (p->rows <= LLMZ_FEW_ROWS)
        for (size_t r = 0; r < p->rows; r++)
            p->square_sums[chunk * LLMZ_FEW_ROWS + r] = llmz_kernel->add_squares(n.values + r * n.size + first, count);
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
    return p->rows > LLMZ_FEW_ROWS ? llmz_least(per_chunk, 16) : per_chunk;
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
    s.rows = llmz_least(ROW_BLOCK, p->rows - s.row);
    s.tiles = llmz_least(per_chunk, tiles - s.tile);
    return s;
}

static void multiply(const struct llmz_matrices *m, size_t layer, const int8_t *inputs, struct share s, int32_t *out, size_t out_stride)
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
    multiply(&p->network->in, layer, p->inputs, share_of(p, llmz_tiles_of(p->network->in.outputs), part), p->wide, p->network->in.outputs);
}

static size_t tail_size(const struct llmz_predictor *p)
{
    return (p->network->shape.taps - 1) * (size_t)p->network->shape.width;
}

static size_t all_tails(const struct llmz_predictor *p)
{
    return p->network->shape.layers * p->lanes * tail_size(p);
}

static void convolve_channels(struct llmz_predictor *p, size_t layer, size_t lane, size_t first, size_t after)
{
    const struct llmz_shape *shape = &p->network->shape;
    size_t width = shape->width;
    struct llmz_convolution c = {
        .sums = p->wide + lane * p->steps * 3 * width,
        .multiplier = p->network->in.multiplier + layer * 3 * width,
        .taps = p->network->taps + layer * shape->taps * width,
        .tail = p->tails + (layer * p->lanes + lane) * tail_size(p),
        .gated = p->inner + lane * p->steps * width,
        .width = width,
        .first = first,
        .after = after,
        .steps = p->steps,
        .tap_count = shape->taps,
    };
    for (size_t t = 0; p->tails_of_steps && t + 1 < p->steps; t++, c.sums += 3 * width, c.gated += width) {
        c.steps = 1;
        llmz_kernel->convolve(&c);
        int32_t *tail = p->tails_of_steps + t * all_tails(p) + (layer * p->lanes + lane) * tail_size(p);
        for (size_t k = 0; k + 1 < shape->taps; k++)
            memcpy(tail + k * width + first, c.tail + k * width + first, (after - first) * sizeof *tail);
    }
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

static void add_product(struct llmz_predictor *p, const struct llmz_matrices *m, size_t layer, const int8_t *inputs, size_t part)
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
    const struct llmz_matrices *m = &p->network->up;
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
    return llmz_tiles_of(p->network->shape.vocabulary) * LLMZ_TILE;
}

static void project_to_tokens(void *context, size_t index, size_t part, size_t thread)
{
    struct llmz_predictor *p = context;
    (void)index;
    (void)thread;
    multiply(&p->network->head, 0, p->inputs, share_of(p, llmz_tiles_of(p->network->shape.vocabulary), part), p->logits, logit_stride(p));
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
    if (p->rows <= LLMZ_FEW_ROWS) {
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
    bool few = p->rows <= LLMZ_FEW_ROWS;
    p->operation_count = 0;
    plan_one(p, embed, 0, p->rows);
    plan_norm(p, OF_RESIDUAL, after_embedding);
    for (size_t layer = 0; layer < shape->layers; layer++) {
        if (shape->attends[layer]) {
            plan_one(p, few ? project_channels : project, layer, product_chunks(p, few ? channel_tiles : 3 * channel_tiles));
            plan_one(p, llmz_attend, layer, (size_t)p->lanes * shape->heads);
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
        plan_one(p, project_to_tokens, 0, product_chunks(p, llmz_tiles_of(shape->vocabulary)));
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
    p->side = llmz_copied(side, width * sizeof *side);
    p->tokens = llmz_new_zeros(rows * sizeof *p->tokens);
    p->last_tokens = llmz_new_zeros(2 * lanes * sizeof *p->last_tokens);
    p->residual = llmz_new_memory(rows * width * sizeof *p->residual);
    p->inputs = llmz_new_memory(rows * width + LLMZ_PADDING);
    p->tall_inputs = llmz_new_memory(rows * hidden + LLMZ_PADDING);
    p->wide = llmz_new_memory(rows * 3 * width * sizeof *p->wide);
    p->inner = llmz_new_memory(rows * width * sizeof *p->inner);
    p->narrow = llmz_new_memory(rows * width * sizeof *p->narrow);
    p->tall = llmz_new_memory(rows * hidden * sizeof *p->tall);
    p->logits = n->head.tiles ? llmz_new_memory(rows * logit_stride(p) * sizeof *p->logits) : llmz_new_memory(1);
    p->tails = llmz_new_zeros(all_tails(p) * sizeof *p->tails);
    p->operations = llmz_new_memory(LLMZ_MOST_OPERATIONS * sizeof *p->operations);
    p->square_sums = llmz_new_memory((SHARES * count + shape->heads + 1) * LLMZ_FEW_ROWS * sizeof *p->square_sums);
    bool whole = p->side && p->tokens && p->last_tokens && p->residual && p->inputs && p->tall_inputs && p->wide && p->inner && p->narrow
        && p->tall && p->logits && p->tails && p->operations && p->square_sums;
    whole = llmz_new_attention(p) && whole;
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
    llmz_free_attention(p);
    void *all[] = {p->side, p->tokens, p->last_tokens, p->residual, p->inputs, p->tall_inputs, p->wide, p->inner, p->narrow, p->tall,
        p->logits, p->tails, p->tails_of_steps, p->operations, p->square_sums};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        llmz_free_memory(all[i]);
    llmz_free_memory(p);
}

void llmz_predictor_size(const struct llmz_predictor *p, uint32_t *lanes, uint32_t *most_steps)
{
    *lanes = p->lanes;
    *most_steps = p->most_steps;
}

void llmz_predictor_start(struct llmz_predictor *p, const int32_t *tokens, uint32_t steps, int32_t *cumulative)
{
    if (p->length + steps > p->capacity)
        llmz_drop_old_positions(p);
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
    llmz_predictor_keep(p, p->steps);
}

bool llmz_predictor_may_keep_less(struct llmz_predictor *p)
{
    p->tails_of_steps = llmz_new_zeros((p->most_steps - 1) * all_tails(p) * sizeof *p->tails_of_steps);
    return p->tails_of_steps != NULL;
}

void llmz_predictor_keep(struct llmz_predictor *p, uint32_t kept)
{
    if (kept < p->steps)
        memcpy(p->tails, p->tails_of_steps + (kept - 1) * all_tails(p), all_tails(p) * sizeof *p->tails);
    p->length += kept;
    for (size_t lane = 0; lane < p->lanes; lane++) {
        int32_t *earlier = p->last_tokens + 2 * lane;
        const int32_t *tokens = p->tokens + lane * p->steps;
        earlier[1] = kept > 1 ? tokens[kept - 2] : earlier[0];
        earlier[0] = tokens[kept - 1];
    }
}

const int8_t *llmz_predictor_states(const struct llmz_predictor *p)
{
    return p->inputs;
}

void llmz_predictor_copy_lane(struct llmz_predictor *p, const struct llmz_predictor *from)
{
    size_t tail = tail_size(p);
    for (size_t lane = 0; lane < p->lanes; lane++) {
        memcpy(p->last_tokens + 2 * lane, from->last_tokens, 2 * sizeof *p->last_tokens);
        for (size_t layer = 0; layer < p->network->shape.layers; layer++)
            memcpy(p->tails + (layer * p->lanes + lane) * tail, from->tails + layer * from->lanes * tail, tail * sizeof *p->tails);
    }
    llmz_copy_attention(p, from);
}
