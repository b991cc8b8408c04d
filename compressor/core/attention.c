/* Attention over the positions that a window reaches, with a cache of keys and values. See predictor.h. */

#include "predictor.h"

enum {
    OFFSET = 128, /* keys and values are unsigned in the cache: moved up by this */
    QUERIES = 8, /* of attention at once */
    SLACK = 512, /* positions in a cache beyond the window, before old ones are dropped */
    ZERO_NATS = 10647, /* so far below the best score a weight of 14 bits is 0 */
};

static size_t value_tiles(const struct llmz_predictor *p)
{
    return llmz_tiles_of(p->network->head_width);
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

/* Store the keys and values of a lane's head for all steps. */
static void remember(struct llmz_predictor *p, size_t layer, size_t lane, size_t head, struct llmz_attention_scratch *scratch)
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
        llmz_normalise(scratch->scaled, hw, LLMZ_STEPS_PER_RMS, key);
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
static void score(struct llmz_predictor *p, size_t place, struct llmz_attention_scratch *scratch, size_t rows, size_t first_tile, size_t after_tile)
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
    /* Rows have a root mean square of LLMZ_STEPS_PER_RMS, rounded. */
    int64_t largest_dot = (int64_t)n->head_width * (LLMZ_STEPS_PER_RMS + 1) * (LLMZ_STEPS_PER_RMS + 1);
    int64_t largest = llmz_shift_right(largest_dot * scale + half, shift);
    int64_t reach = (largest - best + ZERO_NATS) / slope + 1;
    int64_t from = (int64_t)here + 1 - reach;
    return from <= (int64_t)first ? first : (size_t)from < near ? (size_t)from : near;
}

void llmz_attend(void *context, size_t layer, size_t part, size_t thread)
{
    struct llmz_predictor *p = context;
    const struct llmz_network *n = p->network;
    struct llmz_attention_scratch *scratch = &p->scratch[thread];
    size_t lane = part % p->lanes, head = part / p->lanes, hw = n->head_width, width = n->shape.width, window = n->shape.window;
    size_t place = cache_place(p, (size_t)n->slot[layer], lane, head), padded = value_tiles(p) * LLMZ_TILE;
    int32_t scale = n->scale[layer * n->shape.heads + head], slope = n->slopes[head];
    unsigned shift = n->shift[layer * n->shape.heads + head];
    remember(p, layer, lane, head, scratch);
    for (size_t begin = 0; begin < p->steps; begin += QUERIES) {
        size_t rows = llmz_least(QUERIES, p->steps - begin), first_here = p->length + begin, last_here = first_here + rows - 1;
        int32_t offsets[QUERIES];
        for (size_t q = 0; q < rows; q++) {
            const int32_t *sums = p->wide + (lane * p->steps + begin + q) * 3 * width + head * hw;
            int8_t *query = scratch->queries + q * hw;
            llmz_kernel->rescale_head(sums, n->in.multiplier + layer * 3 * width + head * hw, hw, scratch->scaled);
            llmz_normalise(scratch->scaled, hw, LLMZ_STEPS_PER_RMS, query);
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
                reached = llmz_least(reached,
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
            if (p->rows <= LLMZ_FEW_ROWS)
                p->square_sums[head * LLMZ_FEW_ROWS + row] = llmz_kernel->add_squares(out, hw);
        }
    }
}

bool llmz_new_attention(struct llmz_predictor *p)
{
    const struct llmz_network *n = p->network;
    size_t heads = (size_t)n->slots * p->lanes * n->shape.heads, count = llmz_threads_count(p->threads);
    p->capacity = llmz_tiles_of(n->shape.window + LLMZ_TILE + (p->most_steps > SLACK ? p->most_steps : SLACK)) * LLMZ_TILE;
    p->keys = llmz_new_zeros(heads * head_key_bytes(p) + LLMZ_PADDING);
    p->values = llmz_new_zeros(heads * head_value_bytes(p) + LLMZ_PADDING);
    p->scratch = llmz_new_zeros(count * sizeof *p->scratch);
    bool whole = p->keys && p->values && p->scratch;
    for (size_t i = 0; whole && i < count; i++) {
        struct llmz_attention_scratch *s = &p->scratch[i];
        s->scaled = llmz_new_memory(n->head_width * sizeof *s->scaled);
        s->queries = llmz_new_memory((size_t)QUERIES * n->head_width + LLMZ_PADDING);
        s->scores = llmz_new_memory(QUERIES * p->capacity * sizeof *s->scores);
        s->digits = llmz_new_memory(2 * QUERIES * p->capacity + LLMZ_PADDING);
        s->sums = llmz_new_memory(2 * QUERIES * value_tiles(p) * LLMZ_TILE * sizeof *s->sums);
        whole = s->scaled && s->queries && s->scores && s->digits && s->sums;
    }
    return whole;
}

void llmz_free_attention(struct llmz_predictor *p)
{
    for (size_t i = 0; p->scratch && i < llmz_threads_count(p->threads); i++) {
        llmz_free_memory(p->scratch[i].scaled);
        llmz_free_memory(p->scratch[i].queries);
        llmz_free_memory(p->scratch[i].scores);
        llmz_free_memory(p->scratch[i].digits);
        llmz_free_memory(p->scratch[i].sums);
    }
    llmz_free_memory(p->scratch);
    llmz_free_memory(p->keys);
    llmz_free_memory(p->values);
}

/* By whole tiles of positions, so that at least what windows reach stays. */
void llmz_drop_old_positions(struct llmz_predictor *p)
{
    const struct llmz_network *n = p->network;
    size_t hw = n->head_width, kept = n->shape.window - 1;
    size_t dropped = (p->length - kept) / LLMZ_TILE * LLMZ_TILE, left = p->length - dropped;
    size_t heads = (size_t)n->slots * p->lanes * n->shape.heads, left_whole = llmz_tiles_of(left) * LLMZ_TILE;
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

void llmz_copy_attention(struct llmz_predictor *p, const struct llmz_predictor *from)
{
    const struct llmz_network *n = p->network;
    size_t hw = n->head_width, reached = llmz_least(from->length, n->shape.window - 1);
    size_t first = (from->length - reached) / LLMZ_TILE * LLMZ_TILE, positions = from->length - first;
    size_t whole = llmz_tiles_of(positions) * LLMZ_TILE;
    for (size_t slot = 0; slot < n->slots; slot++) {
        for (size_t lane = 0; lane < p->lanes; lane++) {
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
