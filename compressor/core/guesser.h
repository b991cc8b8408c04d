/* Guesses at the next token of a text: what followed the last three, two or one the last time. */
#ifndef LLMZ_GUESSER_H
#define LLMZ_GUESSER_H

#include <stdint.h>

enum { LLMZ_NO_GUESS = -1 };

struct llmz_guesser;

/* NULL where memory is short. */
struct llmz_guesser *llmz_guesser_new(void);
void llmz_guesser_free(struct llmz_guesser *);
/* The next token of the text; tokens are 0 to 32767. */
void llmz_guesser_learn(struct llmz_guesser *, int32_t token);
int32_t llmz_guesser_guess(const struct llmz_guesser *);

#endif
