/* What has to be ready before anything else of the core runs. */

#include "core.h"
#include "kernel.h"

void llmz_begin(void)
{
    llmz_choose_kernel();
}
