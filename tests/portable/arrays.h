/* Golden vectors, and what is made of them: a model's parts as the core takes them.
 *
 * The file, which vectors.py writes, is a sequence of arrays: length of the name, the name, bytes of a number (1, 2, 4 or 8), how many there are
 * (4 bytes), the numbers; all little-endian. In memory they are of this machine's byte order. Whatever is missing ends the program. */
#ifndef ARRAYS_H
#define ARRAYS_H

#include "core.h"
#include "network.h"

struct array {
    char name[256];
    size_t count;
    void *numbers;
};

void stop(const char *problem, const char *name);

void read_arrays(const char *path);
void free_arrays(void);
/* NULL where there is none. */
const struct array *find(const char *name);
/* The numbers of an array that there must be. */
void *get(const char *name);
/* The array of a block, mode/number/name; NULL where there is none. */
const struct array *of_block(const char *mode, int number, const char *name);

/* These need the arrays for as long as they are used. */
void network_parts(struct llmz_shape *, struct llmz_weights *);
struct llmz_network *make_network(void);
llmz_vocabulary *make_vocabulary(void);
llmz_mixed *make_mixed(const llmz_vocabulary *);
/* NULL where the core refuses the arrays. */
llmz_mixed *new_mixed(const llmz_vocabulary *);
/* Those of context mode's wide profile. */
llmz_mixed *make_wide(void);
/* Models that have read the primer. */
llmz_context *make_context(void);

#endif
