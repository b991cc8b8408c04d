/* The portable kernel of decisions, and the choice among all. */

#include "decision.h"

#include <string.h>

#define KERNEL portable
#define KERNEL_NAME "portable"
#include "decision.inc"

#define SHAPE(profile, contexts, each, guesses, inputs, known, mixers, sets, finals) \
    {contexts, each, guesses, inputs, mixers, sets, 256 + ((finals) - 1) * LLMZ_MATCH_STATES},
const llmz_profile_shape llmz_mixed_shapes[LLMZ_MIXED_PROFILES] = {LLMZ_MIXED_SHAPES(SHAPE)};
const llmz_profile_shape llmz_plain_shapes[LLMZ_PLAIN_PROFILES] = {LLMZ_PLAIN_SHAPES(SHAPE)};

const llmz_decision_kernel *llmz_decision_chosen = &llmz_decision_portable;

static bool is_here(const char *name)
{
#ifdef LLMZ_DECISION_X86
    __builtin_cpu_init();
    if (!strcmp(name, "avx2"))
        return __builtin_cpu_supports("avx2");
    if (!strcmp(name, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return !strcmp(name, "portable");
}

static const llmz_decision_kernel *const kernels[] = {
#ifdef LLMZ_DECISION_X86
    &llmz_decision_avx512,
    &llmz_decision_avx2,
#endif
    &llmz_decision_portable,
};

bool llmz_force_decision_kernel(const char *name)
{
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        if (!strcmp(kernels[i]->name, name) && is_here(name)) {
            llmz_decision_chosen = kernels[i];
            return true;
        }
    }
    return false;
}

void llmz_choose_decision_kernel(const char *network_kernel)
{
    static const char *const pairs[][2] = {{"amx", "avx512"}, {"avx512", "avx512"}, {"avxvnni", "avx2"}, {"avx2", "avx2"}};
    llmz_decision_chosen = &llmz_decision_portable;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (!strcmp(pairs[i][0], network_kernel))
            llmz_force_decision_kernel(pairs[i][1]);
}

bool llmz_weights_in_range(const int32_t *weights, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (weights[i] < -LLMZ_MIXER_WEIGHT_MAX || weights[i] > LLMZ_MIXER_WEIGHT_MAX)
            return false;
    return true;
}
