/* The portable kernel: what all others are checked against. */

#include "layers.inc"

static void product(const struct llmz_product *p)
{
    for (size_t t = 0; t < p->tile_count; t++) {
        const int8_t *tile = p->tiles + t * p->tile_stride;
        for (size_t r = 0; r < p->rows; r++) {
            const uint8_t *inputs = p->inputs + r * p->input_stride;
            int32_t sums[LLMZ_TILE];
            for (size_t o = 0; o < LLMZ_TILE; o++)
                sums[o] = p->starts ? p->starts[t * LLMZ_TILE + o] : 0;
            for (size_t g = 0; g < p->groups; g++)
                for (size_t o = 0; o < LLMZ_TILE; o++)
                    for (size_t k = 0; k < LLMZ_GROUP; k++)
                        sums[o] += inputs[g * LLMZ_GROUP + k] * tile[(g * LLMZ_TILE + o) * LLMZ_GROUP + k];
            for (size_t o = 0; o < LLMZ_TILE; o++)
                p->out[r * p->out_stride + t * LLMZ_TILE + o] = sums[o];
        }
    }
}

const struct llmz_kernel llmz_kernel_portable = {"portable", product, product, LLMZ_LAYERS};
