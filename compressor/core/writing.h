/* What mixed mode's records remember of how a text is written: letters and digits without what is between them, paragraphs,
 * lines that begin alike. */
#ifndef LLMZ_WRITING_H
#define LLMZ_WRITING_H

#include "records.h"

enum { LLMZ_SUCCESSOR_BITS = 14, LLMZ_BEGINNING_BITS = 8 };

/* Places are in the history; LLMZ_NOWHERE for none. */
typedef struct llmz_writing {
    uint64_t recent; /* the latest eight letters, in lower case, and digits */
    uint64_t forms;  /* of the latest eight bytes, one byte each: digits are one form, so are small letters, and capitals */
    uint64_t gap;    /* a hash of what came after the latest letter, digit or point; 0 for nothing */
    uint32_t letters, digits;   /* the latest four of each */
    uint32_t paragraph;         /* the place after the latest empty line, or the start */
    uint32_t alike[2];          /* starts of the last two lines whose first two bytes have the hash of this line's */
    uint32_t beginnings[1 << LLMZ_BEGINNING_BITS][2]; /* the same, by that hash */
    uint16_t successors[1 << LLMZ_SUCCESSOR_BITS]; /* the last two bytes after a token or gap, by its hash */
} llmz_writing;

void llmz_writing_begin(llmz_writing *writing, uint32_t position);
/* Go on with what was learned from text before: a line begins. */
void llmz_writing_go_on(llmz_writing *writing);
/* Take up the byte before `position`, which `records` has not taken up yet. */
void llmz_writing_append(llmz_writing *writing, const llmz_records *records, const uint8_t *bytes, uint32_t position);

/* The last two bytes that came after the text at hand, the latest lowest. */
uint16_t llmz_successors_of_text(const llmz_writing *writing, const llmz_records *records);

#endif
