/* What has to be ready before anything else of the core runs. */

#include "core.h"

void llmz_begin(void)
{
}
