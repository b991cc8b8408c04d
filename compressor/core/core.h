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

/* ---- Long repeats: repeats.c. How repeats are found decides no format. ---- */

#define LLMZ_REPEAT_CHUNK 4096
#define LLMZ_REPEAT_TABLE_BITS 16

/* `length` bytes from `begin` on that equal those `distance` before; length <= distance. */
struct llmz_repeat {
    uint64_t begin, length, distance;
};

/* Write repeats in text[start .. length) of what came before to `out`, in order and disjoint, `room` at most; return how
 * many. hashed: the table knows the chunks that end up to there; base: bytes of the stream before text[0]; table:
 * 2^LLMZ_REPEAT_TABLE_BITS places, zeros at first, then whatever earlier calls left; least and farthest: bounds of a
 * repeat's length and distance, at least LLMZ_REPEAT_CHUNK. Places in the table that lie outside the text are passed over. */
size_t llmz_find_repeats(const uint8_t *text, size_t length, size_t start, size_t hashed, uint64_t base, uint64_t *table,
                         size_t least, size_t farthest, struct llmz_repeat *out, size_t room);

#endif
