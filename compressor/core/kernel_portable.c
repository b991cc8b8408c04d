/* The portable kernel: what all others are checked against. */

#include "layers.inc"

static void multiply_bytes(const struct llmz_product *p)
{
    for (size_t t = 0; t < p->tile_count; t++) {
        const uint8_t *tile = p->tiles + t * p->tile_stride;
        for (size_t r = 0; r < p->rows; r++) {
            const int8_t *inputs = p->inputs + r * p->input_stride;
            int32_t sums[LLMZ_TILE] = {0};
            for (size_t g = 0; g < p->groups; g++)
                for (size_t o = 0; o < LLMZ_TILE; o++)
                    for (size_t k = 0; k < LLMZ_GROUP; k++)
                        sums[o] += inputs[g * LLMZ_GROUP + k] * tile[(g * LLMZ_TILE + o) * LLMZ_GROUP + k];
            for (size_t o = 0; o < LLMZ_TILE; o++)
                p->out[r * p->out_stride + t * LLMZ_TILE + o] = sums[o];
        }
    }
}

static void multiply_weights(const struct llmz_product *p)
{
    for (size_t t = 0; t < p->tile_count; t++) {
        for (size_t r = 0; r < p->rows; r++) {
            const int8_t *inputs = p->inputs + r * p->input_stride;
            const uint8_t *packed = p->tiles + t * p->tile_stride;
            int32_t sums[LLMZ_TILE] = {0}, input_sum = 0;
            for (size_t g = 0; g < p->groups; g += 2, inputs += LLMZ_PAIR_INPUTS, packed += LLMZ_PAIR_BYTES) {
                uint8_t weights[4][64];
                for (size_t i = 0; i < 64; i++) {
                    weights[0][i] = packed[i] & 63;
                    weights[1][i] = packed[64 + i] & 63;
                    weights[2][i] = packed[128 + i] & 63;
                    weights[3][i] = (uint8_t)(packed[i] >> 6 | packed[64 + i] >> 6 << 2 | packed[128 + i] >> 6 << 4);
                }
                for (size_t o = 0; o < LLMZ_TILE; o++)
                    for (size_t k = 0; k < LLMZ_GROUP; k++)
                        sums[o] += inputs[k] * weights[o / 16][o % 16 * LLMZ_GROUP + k]
                            + inputs[LLMZ_GROUP + k] * weights[2 + o / 16][o % 16 * LLMZ_GROUP + k];
                for (size_t k = 0; k < LLMZ_PAIR_INPUTS; k++)
                    input_sum += inputs[k];
            }
            for (size_t o = 0; o < LLMZ_TILE; o++)
                p->out[r * p->out_stride + t * LLMZ_TILE + o] = sums[o] - LLMZ_WEIGHT_OFFSET * input_sum;
        }
    }
}

const struct llmz_kernel llmz_kernel_portable = {"portable", multiply_weights, multiply_bytes, multiply_bytes, LLMZ_LAYERS};
