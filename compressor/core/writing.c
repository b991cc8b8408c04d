/* How a text is written. */

#include "writing.h"

#include "bit_models.h"

#include <string.h>

void llmz_writing_begin(llmz_writing *w, uint32_t position)
{
    memset(w, 0, sizeof *w);
    w->paragraph = position;
    w->alike[0] = w->alike[1] = LLMZ_NOWHERE;
    for (int i = 0; i < 1 << LLMZ_BEGINNING_BITS; i++)
        w->beginnings[i][0] = w->beginnings[i][1] = LLMZ_NOWHERE;
}

void llmz_writing_go_on(llmz_writing *w)
{
    w->gap = 0;
    w->alike[0] = w->alike[1] = LLMZ_NOWHERE;
}

static uint32_t place_of_text(const llmz_writing *w, const llmz_records *r)
{
    return llmz_hash(w->gap ? w->gap : r->token, 0) >> 40 & ((1 << LLMZ_SUCCESSOR_BITS) - 1);
}

uint16_t llmz_successors_of_text(const llmz_writing *w, const llmz_records *r)
{
    return w->successors[place_of_text(w, r)];
}

static unsigned form_of(unsigned byte, unsigned class)
{
    switch (class) {
    case LLMZ_CLASS_DIGIT: return '0';
    case LLMZ_CLASS_LOWER: return 'a';
    case LLMZ_CLASS_UPPER: return 'A';
    default: return byte < 128 ? byte : 128 | byte >> 6;
    }
}

static void begin_line(llmz_writing *w, uint32_t line, const uint8_t *bytes)
{
    uint32_t *places = w->beginnings[llmz_hash(bytes[line], bytes[line + 1]) >> 40 & ((1 << LLMZ_BEGINNING_BITS) - 1)];
    memcpy(w->alike, places, sizeof w->alike);
    places[1] = places[0];
    places[0] = line;
}

void llmz_writing_append(llmz_writing *w, const llmz_records *r, const uint8_t *bytes, uint32_t position)
{
    const unsigned byte = bytes[position - 1], class = llmz_byte_class(byte);
    const unsigned folded = class == LLMZ_CLASS_UPPER ? byte + 32 : byte;
    const bool letter = llmz_is_letter(class), digit = class == LLMZ_CLASS_DIGIT;
    uint16_t *successors = &w->successors[place_of_text(w, r)];
    *successors = (uint16_t)((uint32_t)*successors << 8 | byte);
    w->forms = w->forms << 8 | form_of(byte, class);
    if (letter || digit)
        w->recent = w->recent << 8 | folded;
    if (letter)
        w->letters = w->letters << 8 | folded;
    if (digit)
        w->digits = w->digits << 8 | byte;
    w->gap = letter || digit || byte == '.' ? 0 : llmz_hash(w->gap, byte == '\n' ? ' ' : byte);
    if (llmz_ends_line(r, byte, position)) {
        if (position - r->line[0] == 1)
            w->paragraph = position;
        w->alike[0] = w->alike[1] = LLMZ_NOWHERE;
    } else if (position - r->line[0] == 2) {
        begin_line(w, r->line[0], bytes);
    }
}
