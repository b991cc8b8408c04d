/* See threads.h. */

#define _DEFAULT_SOURCE 1

#include "threads.h"

#include "memory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32) && !__has_include(<pthread.h>) /* mingw-w64 has winpthreads */
#define ONE_THREAD 1
#elif defined(__EMSCRIPTEN__) || defined(LLMZ_ONE_THREAD)
#define ONE_THREAD 1
#else
#include <pthread.h>
#include <sched.h>
#endif

#if defined(__x86_64__)
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ volatile("yield")
#else
#define PAUSE() ((void)0)
#endif

enum {
    MOST_THREADS = 64,
    TURNS_TO_YIELD = 1 << 8, /* of a waiting loop, before it offers its core to others */
    TURNS_TO_SLEEP = 1 << 19, /* some ten milliseconds without a program */
    CACHE_LINE = 64,
    CHUNK_BITS = 20,
};

/* What is left of a thread's share: number of the operation << CHUNK_BITS | chunks taken. Of an earlier operation: nothing taken. */
struct claim {
    _Alignas(CACHE_LINE) _Atomic uint64_t taken;
};

struct llmz_threads {
    _Alignas(CACHE_LINE) _Atomic uint64_t turn; /* number of the operation under way, counted since the pool was made */
    _Alignas(CACHE_LINE) _Atomic uint32_t done; /* chunks of the operation */
    struct claim claims[MOST_THREADS];
    _Alignas(CACHE_LINE) _Atomic uint32_t program; /* grows by one with each */
    _Atomic uint32_t inside; /* threads that read the program's fields */
    _Atomic bool open; /* the program's fields may be read */
    _Atomic bool stop, rest;
    struct llmz_operation operations[LLMZ_MOST_OPERATIONS]; /* copies: a late thread still reads the last one when the caller is done */
    uint64_t first, after; /* numbers of the program's operations */
    void *context;
    unsigned threads;
#ifndef ONE_THREAD
    pthread_t handles[MOST_THREADS];
    pthread_mutex_t lock;
    pthread_cond_t wake;
    _Atomic uint32_t sleeping;
#endif
};

struct worker {
    struct llmz_threads *pool;
    unsigned number;
};

void llmz_threads_yield(uint32_t turns)
{
    PAUSE();
#ifndef ONE_THREAD
    if (turns % TURNS_TO_YIELD == 0)
        sched_yield();
#else
    (void)turns;
#endif
}

/* Where a thread's share of the chunks begins. */
static uint32_t share_start(uint32_t chunks, unsigned thread, unsigned threads)
{
    return (uint32_t)((uint64_t)chunks * thread / threads);
}

/* Take a chunk of `owner`'s share of operation number `turn`; false where none is left. */
static bool take_chunk(struct llmz_threads *pool, unsigned owner, uint64_t turn, uint32_t chunks, uint32_t *chunk)
{
    uint32_t start = share_start(chunks, owner, pool->threads), share = share_start(chunks, owner + 1, pool->threads) - start;
    _Atomic uint64_t *claim = &pool->claims[owner].taken;
    uint64_t seen = atomic_load_explicit(claim, memory_order_relaxed), next;
    do {
        uint64_t taken = seen >> CHUNK_BITS == turn ? seen & (((uint64_t)1 << CHUNK_BITS) - 1) : 0;
        if (seen >> CHUNK_BITS > turn || taken >= share)
            return false;
        *chunk = start + (uint32_t)taken;
        next = turn << CHUNK_BITS | (taken + 1);
    } while (!atomic_compare_exchange_weak_explicit(claim, &seen, next, memory_order_acq_rel, memory_order_relaxed));
    return true;
}

/* Take chunks until the program's last operation is done. */
static void take_part(struct llmz_threads *pool, unsigned thread)
{
    uint64_t turn;
    while ((turn = atomic_load_explicit(&pool->turn, memory_order_acquire)) < pool->after) {
        const struct llmz_operation *operation = &pool->operations[turn - pool->first];
        bool ended = false;
        uint32_t chunk, turns = 0;
        for (unsigned i = 0; i < pool->threads; i++) {
            while (take_chunk(pool, (thread + i) % pool->threads, turn, operation->chunks, &chunk)) {
                operation->chunk(pool->context, operation->index, chunk, thread);
                ended = atomic_fetch_add_explicit(&pool->done, 1, memory_order_acq_rel) + 1 == operation->chunks;
            }
        }
        if (ended) {
            if (operation->after)
                operation->after(pool->context, operation->index);
            atomic_store_explicit(&pool->done, 0, memory_order_relaxed);
            atomic_store_explicit(&pool->turn, turn + 1, memory_order_release);
        } else {
            while (atomic_load_explicit(&pool->turn, memory_order_acquire) == turn)
                llmz_threads_yield(++turns);
        }
    }
}

#ifndef ONE_THREAD

static void *work(void *argument)
{
    struct worker self = *(struct worker *)argument;
    struct llmz_threads *pool = self.pool;
    uint32_t last = 0, turns = 0;
    free(argument);
    while (!atomic_load_explicit(&pool->stop, memory_order_acquire)) {
        uint32_t program = atomic_load_explicit(&pool->program, memory_order_acquire);
        if (program != last) {
            atomic_fetch_add_explicit(&pool->inside, 1, memory_order_seq_cst);
            /* Whoever changes the fields closes them first, then waits until nobody is inside. */
            if (atomic_load_explicit(&pool->open, memory_order_seq_cst)) {
                last = atomic_load_explicit(&pool->program, memory_order_seq_cst);
                take_part(pool, self.number);
                turns = 0;
            }
            atomic_fetch_sub_explicit(&pool->inside, 1, memory_order_seq_cst);
            continue;
        }
        llmz_threads_yield(++turns);
        if (turns < TURNS_TO_SLEEP && !atomic_load_explicit(&pool->rest, memory_order_relaxed))
            continue;
        pthread_mutex_lock(&pool->lock);
        atomic_fetch_add_explicit(&pool->sleeping, 1, memory_order_seq_cst);
        while (atomic_load_explicit(&pool->program, memory_order_seq_cst) == last && !atomic_load_explicit(&pool->stop, memory_order_acquire))
            pthread_cond_wait(&pool->wake, &pool->lock);
        atomic_fetch_sub_explicit(&pool->sleeping, 1, memory_order_seq_cst);
        pthread_mutex_unlock(&pool->lock);
        turns = 0;
    }
    return NULL;
}

static void wake_sleepers(struct llmz_threads *pool)
{
    if (atomic_load_explicit(&pool->sleeping, memory_order_seq_cst) == 0)
        return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

#endif

struct llmz_threads *llmz_threads_new(unsigned count)
{
    struct llmz_threads *pool = llmz_new_memory(sizeof *pool);
    if (!pool)
        return NULL;
    *pool = (struct llmz_threads){.threads = 1};
    (void)count;
#ifndef ONE_THREAD
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    while (pool->threads < count && pool->threads < MOST_THREADS) {
        struct worker *worker = malloc(sizeof *worker);
        if (!worker)
            break;
        *worker = (struct worker){pool, pool->threads};
        if (pthread_create(&pool->handles[pool->threads], NULL, work, worker) != 0) {
            free(worker);
            break;
        }
        pool->threads++;
    }
#endif
    return pool;
}

void llmz_threads_free(struct llmz_threads *pool)
{
    if (!pool)
        return;
#ifndef ONE_THREAD
    atomic_store_explicit(&pool->stop, true, memory_order_seq_cst);
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 1; i < pool->threads; i++)
        pthread_join(pool->handles[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
#endif
    llmz_free_memory(pool);
}

unsigned llmz_threads_count(const struct llmz_threads *pool)
{
    return pool->threads;
}

void llmz_threads_start(struct llmz_threads *pool, const struct llmz_operation *operations, size_t count, void *context)
{
    uint32_t turns = 0;
    atomic_store_explicit(&pool->open, false, memory_order_seq_cst);
    while (atomic_load_explicit(&pool->inside, memory_order_seq_cst) != 0)
        llmz_threads_yield(++turns);
    memcpy(pool->operations, operations, count * sizeof *operations);
    pool->first = atomic_load_explicit(&pool->turn, memory_order_relaxed);
    pool->after = pool->first + count;
    pool->context = context;
    atomic_store_explicit(&pool->rest, false, memory_order_relaxed);
    atomic_store_explicit(&pool->done, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->program, 1, memory_order_seq_cst);
    atomic_store_explicit(&pool->open, true, memory_order_seq_cst);
#ifndef ONE_THREAD
    wake_sleepers(pool);
#endif
}

void llmz_threads_finish(struct llmz_threads *pool)
{
    take_part(pool, 0);
}

void llmz_threads_rest(struct llmz_threads *pool)
{
    atomic_store_explicit(&pool->rest, true, memory_order_relaxed);
}
