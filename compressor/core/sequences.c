/* Letters of genomes and proteins, and their repeats with changes. */

#include "sequences.h"

#include "bit_models.h"

#include <string.h>

enum { LONGEST = 65535, NO_BYTE = 256 };

/* A match of the first kind is of many letters, one of the second of few, as relatives among proteins have. */
enum { LONG_MINIMUM = 20, BASES_MINIMUM = 12, ACIDS_MINIMUM = 5 };
static const uint32_t most_misses[LLMZ_SEQUENCE_MATCHES] = {8, 16};  /* among 32 letters; more end a match */
static const uint32_t weak_misses[LLMZ_SEQUENCE_MATCHES] = {1, 6};   /* among 16; more let another one take its place */

void llmz_sequence_begin(llmz_sequence *s, uint32_t position)
{
    memset(s, 0, sizeof *s);
    s->start = s->line_start = position;
}

static uint32_t ones(uint32_t bits)
{
    uint32_t count = 0;
    for (; bits; bits &= bits - 1)
        count++;
    return count;
}

static uint32_t after_line_ends(uint32_t place, const uint8_t *bytes, uint32_t position)
{
    while (place < position && (bytes[place] == '\n' || bytes[place] == '\r'))
        place++;
    return place;
}

/* Whether the letters before both places are the same, as many as are looked at. */
static bool are_alike(const llmz_sequence *s, uint32_t letters, uint32_t place, const uint8_t *bytes, uint32_t position)
{
    for (uint32_t same = 0; same < letters; same++) {
        while (place > s->start && (bytes[place - 1] == '\n' || bytes[place - 1] == '\r'))
            place--;
        while (position > s->start && (bytes[position - 1] == '\n' || bytes[position - 1] == '\r'))
            position--;
        if (place == s->start || position == s->start || bytes[place - 1] != bytes[position - 1])
            return false;
        place--;
        position--;
    }
    return true;
}

static void follow(llmz_sequence *s, unsigned kind, uint64_t key, uint32_t minimum, const uint8_t *bytes, uint32_t position)
{
    llmz_sequence_match *match = &s->matches[kind];
    if (match->length > 0) {
        const bool missed = bytes[match->pointer] != bytes[position - 1];
        match->misses = match->misses << 1 | missed;
        match->length = missed ? match->length / 4 + 1 : match->length + (match->length < LONGEST);
        match->pointer = after_line_ends(match->pointer + 1, bytes, position);
        if (match->pointer >= position || ones(match->misses) > most_misses[kind])
            match->length = 0;
    }
    if (s->letters < minimum)
        return;
    uint32_t *place = &s->places[kind][llmz_hash(key, minimum) >> 20 & ((1 << LLMZ_SEQUENCE_PLACE_BITS) - 1)];
    if ((match->length == 0 || ones(match->misses & 0xFFFF) > weak_misses[kind]) && *place > 0 &&
        are_alike(s, minimum, *place, bytes, position)) {
        uint32_t pointer = after_line_ends(*place, bytes, position);
        if (pointer < position && pointer != match->pointer)
            *match = (llmz_sequence_match){pointer, minimum, 0};
    }
    *place = position;
}

static bool is_base(unsigned byte)
{
    return strchr("ACGTUNacgtun", (int)byte) && byte;
}

void llmz_sequence_append(llmz_sequence *s, const uint8_t *bytes, uint32_t position)
{
    static const uint8_t base[32] = {['C' & 31] = 1, ['G' & 31] = 2, ['T' & 31] = 3, ['U' & 31] = 3};
    const unsigned byte = bytes[position - 1];
    if (byte == '>' || byte == '@')
        s->in_header = true;
    if (byte == '\n') {
        if (s->in_header)
            s->bases = s->acids = s->letters = 0;
        s->in_header = false;
        s->line_length = position - 1 - s->line_start;
        s->line_start = position;
    } else if (byte != '\r') {
        s->bases = s->bases << 2 | base[byte & 31];
        s->acids = s->acids << 5 | (byte & 31);
        s->letters++;
        s->only_bases = is_base(byte) ? s->only_bases + 1 : 0;
        follow(s, 0, s->bases & 0xFFFFFFFFFF, LONG_MINIMUM, bytes, position);
        if (s->only_bases >= LONG_MINIMUM)
            follow(s, 1, s->acids & 0xFFFFFFFFFFFFFFF, BASES_MINIMUM, bytes, position);
        else
            follow(s, 1, s->acids & 0x1FFFFFF, ACIDS_MINIMUM, bytes, position);
    }
}

unsigned llmz_sequence_expects(const llmz_sequence *s, unsigned match, const uint8_t *bytes, uint32_t position)
{
    if (s->matches[match].length == 0)
        return NO_BYTE;
    return position - s->line_start == s->line_length ? '\n' : bytes[s->matches[match].pointer];
}

uint32_t llmz_sequence_bucket(const llmz_sequence *s, unsigned match)
{
    static const uint32_t lengths[] = {8, 16, 20, 24, 28, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024};
    uint32_t step = 0, misses = ones(s->matches[match].misses & 0xFFFF);
    while (step < sizeof lengths / sizeof *lengths && s->matches[match].length > lengths[step])
        step++;
    return step * 4 + (misses < 2 ? misses : misses < 6 ? 2 : 3);
}
