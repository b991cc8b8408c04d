/* The native core's whole interface: what decides an archive's bytes and must run fast.
 *
 * Everything here is integer arithmetic with results that C11 defines, so that every compiler, optimisation level, machine
 * and number of threads gives the same. Nothing is global but tables that never change after llmz_begin(). Functions check
 * nothing but what they say; bind_*.c checks what Python hands over. Pointers never overlap unless said so.
 */
#ifndef LLMZ_CORE_H
#define LLMZ_CORE_H

#include <stddef.h>
#include <stdint.h>

/* Make the tables and choose the kernel. Call it once, before anything else. */
void llmz_begin(void);

#endif
