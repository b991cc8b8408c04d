/* See guesser.h. */

#include "guesser.h"

#include <stdlib.h>
#include <string.h>

enum {
    ORDERS = 3, /* tokens that a guess is made from, at most */
    TABLE_BITS = 16,
    ENTRY_TOKEN_BITS = 16, /* of a token, plus 1 */
    NO_TOKEN = -1, /* before the text */
};

struct llmz_guesser {
    int32_t recent[ORDERS]; /* the latest first */
    uint32_t table[1 << TABLE_BITS]; /* by a hash of recent tokens: bits of the hash, and the token that followed, plus 1 */
};

static uint32_t hash(const int32_t *recent, unsigned order)
{
    uint32_t h = order;
    for (unsigned i = 0; i < order; i++)
        h = ((h + (uint32_t)recent[i] + 1) * 2654435761u) ^ (h >> 15);
    return h;
}

/* The part of a hash that an entry keeps, so that other tokens' entries are told apart. */
static uint32_t check_of(uint32_t h)
{
    return h << ENTRY_TOKEN_BITS;
}

struct llmz_guesser *llmz_guesser_new(void)
{
    struct llmz_guesser *g = calloc(1, sizeof *g);
    for (unsigned i = 0; g && i < ORDERS; i++)
        g->recent[i] = NO_TOKEN;
    return g;
}

void llmz_guesser_free(struct llmz_guesser *g)
{
    free(g);
}

void llmz_guesser_learn(struct llmz_guesser *g, int32_t token)
{
    for (unsigned order = 1; order <= ORDERS; order++) {
        uint32_t h = hash(g->recent, order);
        g->table[h >> (32 - TABLE_BITS)] = check_of(h) | ((uint32_t)token + 1);
    }
    memmove(g->recent + 1, g->recent, (ORDERS - 1) * sizeof *g->recent);
    g->recent[0] = token;
}

int32_t llmz_guesser_guess(const struct llmz_guesser *g)
{
    for (unsigned order = ORDERS; order > 0; order--) {
        uint32_t h = hash(g->recent, order), entry = g->table[h >> (32 - TABLE_BITS)];
        uint32_t token = entry & (((uint32_t)1 << ENTRY_TOKEN_BITS) - 1);
        if (token > 0 && entry - token == check_of(h))
            return (int32_t)token - 1;
    }
    return LLMZ_NO_GUESS;
}
