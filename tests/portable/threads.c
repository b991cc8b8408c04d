/* The pool under stress: many small programs, more threads than cores, threads that sleep and wake, several pools at once. What the chunks
 * share is plain memory, so that a sanitizer for threads sees whether the pool orders them. */

#define _DEFAULT_SOURCE 1

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "threads.h"

enum { MOST_OPERATIONS = 12, MOST_CHUNKS = 150, POOLS = 3 };

struct test {
    uint64_t random;
    size_t operations;
    uint32_t chunks[MOST_OPERATIONS];
    uint32_t values[MOST_OPERATIONS][MOST_CHUNKS]; /* of each chunk: from all of the operation before */
    uint32_t total[MOST_OPERATIONS];
    uint32_t in_use[64]; /* of each thread: whether it is in a chunk */
    int has_after[MOST_OPERATIONS];
    int failed;
    long programs;
    unsigned threads;
};

static uint32_t below(struct test *t, uint32_t count)
{
    t->random = t->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(t->random >> 33) % count;
}

static uint32_t sum_of(const struct test *t, size_t operation)
{
    uint32_t sum = 1;
    for (uint32_t i = 0; i < t->chunks[operation]; i++)
        sum += t->values[operation][i];
    return sum;
}

static void chunk(void *context, size_t index, size_t part, size_t thread)
{
    struct test *t = context;
    if (t->values[index][part] != 0 || t->in_use[thread]++ != 0)
        t->failed = 1;
    t->values[index][part] = (uint32_t)part + 1 + (index ? sum_of(t, index - 1) : 7);
    if (index && t->has_after[index - 1])
        t->values[index][part] += t->total[index - 1];
    t->in_use[thread]--;
}

static void after(void *context, size_t index)
{
    struct test *t = context;
    if (t->total[index] != 0)
        t->failed = 1;
    t->total[index] = sum_of(t, index);
}

static int right(const struct test *t)
{
    uint32_t before = 7;
    for (size_t i = 0; i < t->operations; i++) {
        uint32_t sum = 1;
        for (uint32_t part = 0; part < t->chunks[i]; part++) {
            if (t->values[i][part] != part + 1 + before)
                return 0;
            sum += part + 1 + before;
        }
        if (t->total[i] != (t->has_after[i] ? sum : 0))
            return 0;
        before = t->has_after[i] ? 2 * sum : sum;
    }
    return !t->failed;
}

static void *run(void *argument)
{
    struct test *t = argument;
    struct llmz_threads *pool = llmz_threads_new(t->threads);
    for (long program = 0; program < t->programs && !t->failed; program++) {
        struct llmz_operation operations[MOST_OPERATIONS];
        t->operations = 1 + below(t, MOST_OPERATIONS);
        memset(t->values, 0, sizeof t->values);
        memset(t->total, 0, sizeof t->total);
        for (size_t i = 0; i < t->operations; i++) {
            t->chunks[i] = 1 + below(t, below(t, 4) ? 6 : MOST_CHUNKS);
            t->has_after[i] = below(t, 2) == 0;
            operations[i] = (struct llmz_operation){chunk, t->has_after[i] ? after : NULL, i, t->chunks[i]};
        }
        llmz_threads_start(pool, operations, t->operations, t);
        if (below(t, 3) == 0) /* something else to do */
            for (volatile uint32_t i = below(t, 2000); i > 0; i--)
                ;
        llmz_threads_finish(pool);
        if (!right(t))
            t->failed = 1;
        if (below(t, 50) == 0)
            llmz_threads_rest(pool);
        if (below(t, 100) == 0)
            usleep(below(t, 4) ? 100 : 30000); /* long enough for all to fall asleep */
        if (below(t, 300) == 0) {
            llmz_threads_free(pool);
            pool = llmz_threads_new(t->threads);
        }
    }
    llmz_threads_free(pool);
    return NULL;
}

int main(int count, char **arguments)
{
    static const unsigned threads[] = {1, 2, 3, 5, 16, 40};
    static struct test tests[POOLS];
    long programs = count > 1 ? atol(arguments[1]) : 500, most_threads = count > 2 ? atol(arguments[2]) : 64;
    int failed = 0;
    for (size_t i = 0; i < sizeof threads / sizeof *threads && threads[i] <= most_threads; i++) {
        pthread_t pools[POOLS];
        for (int pool = 0; pool < POOLS; pool++) {
            memset(&tests[pool], 0, sizeof tests[pool]);
            tests[pool].random = i * POOLS + (size_t)pool;
            tests[pool].programs = programs;
            tests[pool].threads = threads[i];
            if (pthread_create(&pools[pool], NULL, run, &tests[pool]) != 0)
                return 2;
        }
        for (int pool = 0; pool < POOLS; pool++) {
            pthread_join(pools[pool], NULL);
            failed |= tests[pool].failed;
        }
        printf("%u threads: %s\n", threads[i], failed ? "failed" : "right");
    }
    return failed;
}
