/* The network's weights, checked and laid out in tiles. See network.h. */

#include "predictor.h"

enum {
    LARGEST_EMBEDDING_MULTIPLIER = (1 << 30) - 1, /* so that embeddings and side information are less than 2^23: see llmz_normalise */
    SCORE_BITS = 15,
};

static bool weights_in_range(const int8_t *weights, size_t count)
{
    unsigned out_of_range = 0;
    for (size_t i = 0; i < count; i++)
        out_of_range |= weights[i] < -LLMZ_WEIGHT_MAX || weights[i] > LLMZ_WEIGHT_MAX;
    return !out_of_range;
}

_Static_assert(LLMZ_GROUP == sizeof(uint32_t), "a group's weights are moved as one number");

/* Turn `layers` matrices [outputs][inputs] into packed tiles; outputs that fill up the last tile have weights of 0. */
static bool lay_out(struct llmz_matrices *m, const int8_t *rows, const int32_t *multiplier, size_t layers, size_t outputs, size_t inputs,
    const char **problem)
{
    size_t tiles = llmz_tiles_of(outputs), groups = inputs / LLMZ_GROUP, tile_bytes = LLMZ_TILE * inputs;
    *m = (struct llmz_matrices){.multiplier = multiplier, .outputs = outputs, .inputs = inputs, .tile_stride = groups / 2 * llmz_kernel->pair_bytes};
    m->layer_bytes = tiles * m->tile_stride;
    m->tiles = llmz_new_memory(layers * m->layer_bytes + LLMZ_PADDING);
    uint8_t *tile = llmz_new_memory(tile_bytes);
    if (!m->tiles || !tile) {
        llmz_free_memory(tile);
        return false;
    }
    memset(m->tiles + layers * m->layer_bytes, 0, LLMZ_PADDING);
    for (size_t at = 0; at < layers * tiles; at++) {
        size_t layer = at / tiles, t = at % tiles;
        for (size_t o = 0; o < LLMZ_TILE; o++) {
            size_t output = t * LLMZ_TILE + o;
            const int8_t *row = output < outputs ? rows + (layer * outputs + output) * inputs : NULL;
            if (row && !weights_in_range(row, inputs)) {
                *problem = "a weight is out of range";
                llmz_free_memory(tile);
                return false;
            }
            for (size_t group = 0; group < groups; group++) {
                uint32_t four = 0;
                if (row)
                    memcpy(&four, row + group * LLMZ_GROUP, sizeof four);
                four = (four ^ 0x80808080u) - (128 - LLMZ_WEIGHT_OFFSET) * 0x01010101u; /* the offset added to each, without a carry */
                memcpy(tile + (group * LLMZ_TILE + o) * LLMZ_GROUP, &four, sizeof four);
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
    n->taps = llmz_copied(w->taps, layers * shape->taps * d * sizeof *n->taps);
    n->slopes = llmz_copied(w->slopes, shape->heads * sizeof *n->slopes);
    n->head_bias = llmz_copied(w->head_bias, v * sizeof *n->head_bias);
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
    struct llmz_matrices *all[] = {&n->in, &n->out, &n->up, &n->down, &n->head};
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
