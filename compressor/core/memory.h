/* Memory for what is read in streams: aligned for vectors, in large pages where there is much. */
#ifndef LLMZ_MEMORY_H
#define LLMZ_MEMORY_H

#include <stddef.h>

enum { LLMZ_LARGE_PAGE = 1 << 21 };

/* NULL where there is none; to be given back by llmz_free_memory. A size of 0 is as good as any. */
void *llmz_new_memory(size_t bytes);
void *llmz_new_zeros(size_t bytes);
void llmz_free_memory(void *);
/* Give pages that nobody uses any more back to the system, where the C library keeps them for itself. */
void llmz_return_memory(void);
/* Wish for large pages behind memory that begins where one would; it holds what it held. */
void llmz_wish_for_large_pages(void *memory, size_t bytes);

#endif
