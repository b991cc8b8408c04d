/* See memory.h. */

#define _DEFAULT_SOURCE 1

#include "memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#include <malloc.h>
#elif defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif

enum { LINE = 64 };

void llmz_wish_for_large_pages(void *memory, size_t bytes)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    madvise(memory, bytes, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)bytes;
#endif
}

void llmz_return_memory(void)
{
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

void *llmz_new_memory(size_t bytes)
{
    /* Streams through many small pages wait for the processor to find each. */
    size_t alignment = bytes >= LLMZ_LARGE_PAGE ? LLMZ_LARGE_PAGE : LINE;
    if (bytes > SIZE_MAX - alignment)
        return NULL;
    size_t whole = (bytes + (bytes == 0) + alignment - 1) / alignment * alignment;
#if defined(_WIN32)
    return _aligned_malloc(whole, alignment);
#else
    void *memory = aligned_alloc(alignment, whole);
    if (memory && alignment == LLMZ_LARGE_PAGE)
        llmz_wish_for_large_pages(memory, whole);
    return memory;
#endif
}

void *llmz_new_zeros(size_t bytes)
{
    void *memory = llmz_new_memory(bytes);
    if (memory)
        memset(memory, 0, bytes);
    return memory;
}

void llmz_free_memory(void *memory)
{
#if defined(_WIN32)
    _aligned_free(memory);
#else
    free(memory);
#endif
}
