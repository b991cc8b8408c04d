/* Threads that share the work of a program: a list of operations, each cut into chunks.
 *
 * An operation begins when all chunks of the one before are done. Each thread has chunks of its own, the same share of every
 * operation, so that what it wrote lies in its own cache when it reads it again; a thread that has none left takes those of others. So
 * it does not matter how many threads there are, when they come, or how fast each of them is. */
#ifndef LLMZ_THREADS_H
#define LLMZ_THREADS_H

#include <stddef.h>
#include <stdint.h>

enum { LLMZ_MOST_OPERATIONS = 704 };

struct llmz_threads;

struct llmz_operation {
    void (*chunk)(void *context, size_t index, size_t part, size_t thread); /* part: of `chunks`; thread: whose working memory */
    void (*after)(void *context, size_t index); /* by whoever ends the last chunk; may be NULL */
    size_t index; /* what the functions are told: a layer */
    uint32_t chunks;
};

/* `count` threads in all, the caller among them. NULL where memory is short; fewer threads where no more can be had. */
struct llmz_threads *llmz_threads_new(unsigned count);
void llmz_threads_free(struct llmz_threads *);
unsigned llmz_threads_count(const struct llmz_threads *);

/* Let the other threads begin with `operations`, at most LLMZ_MOST_OPERATIONS of at most 2^20 - 1 chunks, which are copied; the caller
 * may do something else meanwhile. One program at a time. */
void llmz_threads_start(struct llmz_threads *, const struct llmz_operation *operations, size_t count, void *context);
/* Take part until everything is done. */
void llmz_threads_finish(struct llmz_threads *);
/* Let idle threads sleep at once, in place of waiting some time for the next program. */
void llmz_threads_rest(struct llmz_threads *);
/* One turn of a waiting loop, counted from 1: now and then the core is offered to others. */
void llmz_threads_yield(uint32_t turns);

#endif
