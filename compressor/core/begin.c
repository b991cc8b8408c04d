/* What has to be ready before anything else of the core runs. */

#include "core.h"
#include "decision.h"
#include "kernel.h"

void llmz_begin(void)
{
    llmz_choose_kernel();
    llmz_make_bit_model_tables();
    llmz_choose_decision_kernel(llmz_kernel->name);
}
