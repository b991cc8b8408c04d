/* What is remembered of a text, and the contexts of each profile. */

#include "contexts.h"

#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
/* Vectors made of the hundreds of hashes below gain nothing, and looking for them takes gcc a minute on some machines. */
#pragma GCC optimize("no-tree-slp-vectorize")
#endif

bool llmz_extend_history(llmz_history *history, uint32_t block_bytes, uint32_t *moved)
{
    uint32_t kept = history->size < LLMZ_HISTORY_BYTES ? history->size : LLMZ_HISTORY_BYTES;
    uint32_t size = kept + block_bytes, move = history->size - kept;
    if (size > history->capacity) {
        uint8_t *bytes = realloc(history->bytes, size);
        if (!bytes)
            return false;
        history->bytes = bytes;
        history->capacity = size;
    }
    if (move > 0) {
        memmove(history->bytes, history->bytes + move, kept);
        for (size_t i = 0; i < history->place_count; i++) {
            uint32_t *place = &history->places[i];
            *place = (*place & LLMZ_PLACE_MASK) > move ? *place - move : 0;
        }
    }
    if (block_bytes > 0)
        memset(history->bytes + kept, 0, block_bytes);
    history->size = size;
    *moved = move;
    return true;
}

static bool is_digit(unsigned byte)
{
    return byte >= '0' && byte <= '9';
}

static void follow_format(llmz_text *text, unsigned class, unsigned byte, unsigned last_byte)
{
    if (class == LLMZ_CLASS_DIGIT && is_digit(last_byte))
        return;
    unsigned shape = class == LLMZ_CLASS_LOWER ? 'a' : class == LLMZ_CLASS_UPPER ? 'A' : class == LLMZ_CLASS_DIGIT ? '0' : byte;
    text->format = text->format << 8 | shape;
}

static void follow_tag(llmz_text *text, unsigned byte, bool letter)
{
    if (byte == '<') {
        text->in_tag = 1;
        text->tag = 0;
    } else if (byte == '>') {
        text->in_tag = 0;
    } else if (text->in_tag == 1) {
        if (letter || byte == '/')
            text->tag = llmz_hash(text->tag, byte);
        else
            text->in_tag = 2;
    }
}

static void follow_word(llmz_text *text, unsigned folded, bool letter)
{
    if (letter) {
        text->word = llmz_hash(text->word, folded);
    } else if (text->word) {
        text->word_2 = text->word_1;
        text->word_1 = text->word;
        text->word = 0;
    }
}

static void follow_line(llmz_text *text, unsigned class, unsigned byte, unsigned last_byte, uint32_t position)
{
    enum { HEAD_BYTES = 4, HEAD_WORD_BYTES = 12 };
    int64_t column = (int64_t)position - text->line_start;
    if (byte == '\n') {
        text->previous_line = text->line_start;
        text->line_start = position;
        text->line_head = 0;
        text->field = 0;
        text->indent = 0;
    } else if (column <= HEAD_BYTES || (column <= HEAD_WORD_BYTES && llmz_is_letter(class) && last_byte != ' ')) {
        text->line_head = llmz_hash(text->line_head, byte);
    }
    if (byte == ' ' && text->indent == column - 1)
        text->indent++;
    if (class == LLMZ_CLASS_COMMA || class == LLMZ_CLASS_SLASH || byte == '\t')
        text->field++;
}

void llmz_text_append(llmz_text *text, llmz_followers *followers, unsigned byte, uint32_t position)
{
    unsigned last_byte = text->last_bytes & 0xFF, class = llmz_byte_class(byte);
    bool letter = llmz_is_letter(class);
    unsigned folded = class == LLMZ_CLASS_UPPER ? byte + 32 : byte;
    uint32_t *of_one = &followers->of_one[last_byte];
    uint16_t *of_two = &followers->of_two[text->last_bytes & 0xFFFF];
    *of_one = (*of_one << 8 | byte) & 0xFFFFFF;
    *of_two = (uint16_t)((uint32_t)*of_two << 8 | byte);
    text->last_bytes = text->last_bytes << 8 | byte;
    text->folded = text->folded << 8 | folded;
    follow_word(text, folded, letter);
    follow_format(text, class, byte, last_byte);
    follow_line(text, class, byte, last_byte, position);
    follow_tag(text, byte, letter);
}

/* What contexts are made of. */
typedef struct view {
    const llmz_text *text;
    uint64_t c8, c1, c2, boundary, column, above, above_next, follow_1, follow_2;
    uint64_t expected, match_length, node, token_1, token_2, token_3;

    const llmz_records *records;
    const llmz_writing *writing;
    uint64_t above_1, above_1_next, above_2; /* bytes at the references of records */
    uint64_t kin_1, kin_1_next, kin_2;
    uint64_t column_above_2, line_length;
    uint64_t up;        /* bytes around the same column of the line above: the one before it, lowest, its own and the three after it */
    uint64_t two_up;    /* of the line above that: its own, lowest, and the one after it */
    uint64_t alike, alike_2; /* three and two bytes at the same column of lines that begin alike, the first lowest */
    uint64_t agreement; /* a bit for each of the last eight bytes, the latest lowest: the line above has the same there */

    const llmz_special *special;
    uint64_t letter_1, letter_2; /* what matches of sequences expect */
    uint64_t row, row_2, corner, cell; /* binary data: bytes a period, two, and one and a byte before; place in the period */
} view;

static view look(const llmz_text *text, uint32_t position, const llmz_history *history, const llmz_followers *followers)
{
    view v = {.text = text, .c8 = text->last_bytes};
    v.c1 = v.c8 & 0xFF;
    v.c2 = v.c8 >> 8 & 0xFF;
    int64_t column = (int64_t)position - text->line_start, above = text->previous_line + column;
    v.column = (uint64_t)(column < 255 ? column : 255);
    if (above >= 0 && above < text->line_start) {
        v.above = history->bytes[above];
        if (above + 1 < text->line_start)
            v.above_next = history->bytes[above + 1];
    }
    v.follow_1 = followers->of_one[v.c1];
    v.follow_2 = followers->of_two[v.c8 & 0xFFFF];
    return v;
}

/* `count` bytes of a line from `place` on, the first lowest; 0 for those not in the line. */
static uint64_t bytes_of_line(uint64_t place, unsigned count, uint32_t line, uint32_t end, const uint8_t *bytes)
{
    uint64_t found = 0;
    for (unsigned i = 0; i < count; i++, place++)
        found |= (uint64_t)(place >= line && place < end ? bytes[place] : 0) << 8 * i;
    return found;
}

/* What mixed mode alone looks at. */
static void look_at_column(view *v, const llmz_records *r, uint32_t position, const uint8_t *bytes)
{
    const uint64_t column = position - r->line[0];
    if (r->line[1] != LLMZ_NOWHERE) {
        const uint64_t above = r->line[1] + column;
        v->up = bytes_of_line(above - 1, 5, r->line[1], r->line[0], bytes);
        for (unsigned i = 0; i < 8 && i < column; i++)
            v->agreement |= (uint64_t)(above - 1 - i < r->line[0] && bytes[above - 1 - i] == bytes[position - 1 - i]) << i;
        if (r->line_2 != LLMZ_NOWHERE)
            v->two_up = bytes_of_line(r->line_2 + column, 2, r->line_2, r->line[1], bytes);
    }
}

static void look_at_writing(view *v, const llmz_lane *lane, const uint8_t *bytes)
{
    const uint32_t *alike = lane->writing->alike;
    const uint64_t column = lane->position - lane->records->line[0];
    v->writing = lane->writing;
    if (alike[0] != LLMZ_NOWHERE)
        v->alike = bytes_of_line(alike[0] + column, 3, alike[0], lane->position, bytes);
    if (alike[1] != LLMZ_NOWHERE)
        v->alike_2 = bytes_of_line(alike[1] + column, 2, alike[1], lane->position, bytes);
}

static void look_at_records(view *v, const llmz_records *r, uint32_t position, const uint8_t *bytes)
{
    v->records = r;
    v->above_1 = llmz_byte_at(r->above[0], position, bytes);
    v->above_1_next = r->above[0] < position ? llmz_byte_at(r->above[0] + 1, position, bytes) : 0;
    v->above_2 = llmz_byte_at(r->above[1], position, bytes);
    v->kin_1 = llmz_byte_at(r->kin[0], position, bytes);
    v->kin_1_next = r->kin[0] < position ? llmz_byte_at(r->kin[0] + 1, position, bytes) : 0;
    v->kin_2 = llmz_byte_at(r->kin[1], position, bytes);
    if (r->line[1] != LLMZ_NOWHERE)
        v->line_length = r->line[0] - r->line[1] < 255 ? r->line[0] - r->line[1] : 255;
    if (r->line_2 != LLMZ_NOWHERE) {
        uint64_t place = (uint64_t)r->line_2 + (position - r->line[0]);
        v->column_above_2 = place < r->line[1] ? bytes[place] : 0;
    }
}

static void look_at_period(view *v, const llmz_special *special, uint32_t position, uint32_t start, const uint8_t *bytes)
{
    const uint32_t done = position - start, period = special->period;
    v->special = special;
    v->row = done >= period ? bytes[position - period] : 0;
    v->row_2 = done >= 2 * period ? bytes[position - 2 * period] : 0;
    v->corner = done > period ? bytes[position - period - 1] : 0;
    v->cell = done % period;
}

/* Digits of a prediction: what it expects, how the number compares with it so far, how much is to come. */
static uint64_t of_prediction(const llmz_prediction *p)
{
    uint64_t next = p->at < p->length ? p->text[p->at] : 0, after = p->at + 1 < p->length ? p->text[p->at + 1] : 0;
    uint64_t left = p->length > p->at ? p->length - p->at : 0;
    return p->course == LLMZ_UNKNOWN ? 0 : next << 24 | after << 16 | left << 8 | (uint64_t)p->course << 4 | 1;
}

#define BYTES(n) (v->c8 & (~(uint64_t)0 >> (64 - 8 * (n))))
#define CONTEXT(name, salt, value)                                                                                             \
    static inline uint64_t name(const view *v)                                                                                 \
    {                                                                                                                          \
        return llmz_hash((salt), (value));                                                                                     \
    }

/* Mixed mode's; the short orders, which are sure of much, tell a token's first byte from others. */
CONTEXT(order_1, 1, BYTES(1) << 1 | v->boundary)
CONTEXT(order_2, 2, BYTES(2) << 1 | v->boundary)
CONTEXT(order_3, 3, BYTES(3) << 1 | v->boundary)
CONTEXT(order_4, 4, BYTES(4) << 1 | v->boundary)
CONTEXT(order_5, 5, BYTES(5) << 1 | v->boundary)
CONTEXT(order_6, 6, BYTES(6))
CONTEXT(order_8, 7, v->c8)
CONTEXT(order_7, 116, BYTES(7))
CONTEXT(word_and_byte, 8 + v->boundary, llmz_hash(v->text->word, v->c1))
CONTEXT(two_words, 10, llmz_hash(v->text->word, v->text->word_1))
CONTEXT(words_apart, 11, llmz_hash(v->text->word, v->text->word_2 + v->c1))
CONTEXT(three_words, 12, llmz_hash(llmz_hash(v->text->word, v->text->word_1), v->text->word_2))
CONTEXT(bytes_2_3, 13, v->c8 & 0xFFFF00)
CONTEXT(bytes_1_3, 14, v->c8 & 0xFF00FF)
CONTEXT(bytes_2_3_4, 15, v->c8 & 0xFFFFFF00)
CONTEXT(followers_of_one, 16, v->follow_1 << 8 | v->c1)
CONTEXT(followers_of_two, 17, v->follow_2 << 8 | v->c1)
CONTEXT(column_and_above, 18, v->column << 16 | v->above << 8 | v->c1)
CONTEXT(above_and_next, 19, v->above << 16 | v->above_next << 8 | v->c1)
CONTEXT(head_of_line, 20, llmz_hash(v->text->line_head, v->text->word + v->c1))
CONTEXT(tag, 21, llmz_hash(v->text->tag, v->text->in_tag * 256 + v->c1) + v->text->word)
CONTEXT(format, 22, v->text->format)
CONTEXT(format_and_field, 23, llmz_hash(v->text->format & 0xFFFFFFFF, v->text->field) + v->c1)
CONTEXT(one_token, 24, llmz_hash(v->token_1, v->node))
CONTEXT(two_tokens, 25, llmz_hash(llmz_hash(v->token_1, v->token_2), v->node))
CONTEXT(three_tokens, 26, llmz_hash(llmz_hash(v->token_1, v->token_2), llmz_hash(v->token_3, v->node)))
CONTEXT(expected, 27, v->expected << 16 | v->match_length << 8 | v->c1)
CONTEXT(folded_5, 28, v->text->folded & 0xFFFFFFFFFF)
CONTEXT(indent, 29, (uint64_t)(v->text->indent < 255 ? v->text->indent : 255) << 16 | v->c2 << 8 | v->c1)

/* Context mode's. */
CONTEXT(plain_order_1, 1, BYTES(1))
CONTEXT(plain_order_2, 2, BYTES(2))
CONTEXT(plain_order_3, 3, BYTES(3))
CONTEXT(plain_order_4, 4, BYTES(4))
CONTEXT(plain_order_5, 5, BYTES(5))
CONTEXT(plain_order_6, 6, BYTES(6))
CONTEXT(plain_word_and_byte, 7, llmz_hash(v->text->word, v->c1))
CONTEXT(plain_two_words, 8, llmz_hash(v->text->word, v->text->word_1))
CONTEXT(plain_column_and_above, 9, v->above << 16 | v->column << 8 | v->c1)
CONTEXT(plain_tag, 10, llmz_hash(v->text->tag, v->text->in_tag * 256 + v->c1) + v->text->word)
CONTEXT(plain_followers, 11, v->follow_2 << 8 | v->c1)
CONTEXT(plain_format, 12, v->text->format & 0xFFFFFFFFFF)

/* Numbers and records, in both modes. */
#define R v->records
CONTEXT(token_and_byte, 40, llmz_hash(R->token, v->c1))
CONTEXT(two_texts, 41, llmz_hash(R->token, R->tokens[0]) + v->c1)
CONTEXT(texts_apart, 42, llmz_hash(R->token, R->tokens[1]) + v->c1)
CONTEXT(three_texts, 43, llmz_hash(llmz_hash(R->token, R->tokens[0]), R->tokens[1]) + v->c1)
CONTEXT(field_above, 44, v->above_1 << 24 | v->above_1_next << 16 | v->c1 << 8 | R->equal_above)
CONTEXT(fields_above, 45, v->above_1 << 24 | v->above_2 << 16 | v->c1 << 8 | R->equal_above)
CONTEXT(value_above, 46, llmz_hash(R->whole_above, R->field_text) + v->c1)
CONTEXT(field_of_kin, 47, v->kin_1 << 24 | v->kin_1_next << 16 | v->c1 << 8 | R->equal_kin)
CONTEXT(fields_of_kin, 48, llmz_hash(v->kin_1 << 16 | v->kin_2 << 8 | v->c1, R->token))
CONTEXT(value_of_kin, 49, llmz_hash(R->whole_kin, R->field_text) + v->c1)
CONTEXT(number_above, 50, of_prediction(&R->predictions[0]))
CONTEXT(number_of_kin, 51, llmz_hash(of_prediction(&R->predictions[1]), v->above_1))
CONTEXT(number_in_series, 52, of_prediction(&R->predictions[2]))
CONTEXT(field_and_text, 53, llmz_hash(R->field, R->field_text) + v->c1)
CONTEXT(field_and_place, 54, (uint64_t)R->field << 24 | (uint64_t)(R->offset < 255 ? R->offset : 255) << 16 | v->above_1)
CONTEXT(value_and_text_before, 55, llmz_hash(llmz_hash(R->whole_above, R->tokens[0]), R->field_text) + v->c1)
CONTEXT(two_rows_above, 56, llmz_hash(v->above << 24 | v->column_above_2 << 16 | v->c1 << 8 | v->c2, v->above_next))
CONTEXT(number_shape, 57, (uint64_t)R->digits << 24 | v->line_length << 16 | v->column << 8 | v->above_1)

CONTEXT(cell_before_and_text, 58, llmz_hash(R->cell_before, R->cell_text))
CONTEXT(key_and_text, 59, llmz_hash(llmz_hash(R->cell_key, R->cell_before * (R->cell_key == 0)), R->cell_text) + R->cell)

/* Runs of letters, digits and points that are not neighbours, and the manner of the last ones. */
CONTEXT(shapes_of_texts, 103, llmz_hash(R->token_shapes & 0xFFFF, (uint64_t)R->token_bytes << 4 | llmz_byte_class((unsigned)v->c1)))
CONTEXT(texts_2_3, 104, llmz_hash(llmz_hash(R->token, R->tokens[1]), R->tokens[2]) + v->c1)
CONTEXT(text_3, 105, llmz_hash(R->token, R->tokens[2]) + v->c1)
CONTEXT(texts_1_3, 106, llmz_hash(llmz_hash(R->token, R->tokens[0]), R->tokens[2]) + v->c1)
CONTEXT(text_4, 107, llmz_hash(R->token, R->tokens[3]) + v->c1)
CONTEXT(texts_2_4, 108, llmz_hash(llmz_hash(R->token, R->tokens[1]), R->tokens[3]) + v->c1)
CONTEXT(one_name, 109, llmz_hash(R->token, R->names[0]) + v->c1)
CONTEXT(two_names, 110, llmz_hash(llmz_hash(R->token, R->names[0]), R->names[1]) + v->c1)
CONTEXT(text_and_separators, 111, llmz_hash(R->token, R->separators & 0xFFFFFF) + v->c1)
CONTEXT(text_and_shapes, 112, llmz_hash(R->token, R->token_shapes & 0xFFFFFF) + v->c1)
CONTEXT(text_after_letter, 113, llmz_hash(R->token, R->letter) + v->c1)
CONTEXT(shapes_after_letter, 114, llmz_hash(llmz_hash(R->token, R->letter), R->token_shapes & 0xFF) + v->c1)
CONTEXT(separators_and_shapes, 115,
        llmz_hash(R->separators & 0xFFFF, R->token_shapes << 4 | R->token_bytes) + llmz_byte_class((unsigned)v->c1))

/* Pictures and alignments in letters. */
CONTEXT(agreement_and_column, 117, v->agreement << 16 | (v->up >> 8 & 0xFF) << 8 | (v->two_up & 0xFF))
CONTEXT(around_above, 118, llmz_hash(v->up & 0xFFFFFFFF, v->agreement & 3))
CONTEXT(above_and_two_above, 119, llmz_hash(v->up >> 8, v->two_up))
CONTEXT(column_and_byte, 120, v->column << 8 | v->c1)

/* How a text is written. */
#define W v->writing
#define UP (v->up >> 8 & 0xFF)
CONTEXT(recent_5, 121, W->recent & 0xFFFFFFFFFF)
CONTEXT(forms_8, 122, W->forms)
CONTEXT(successors_of_text, 123, (uint64_t)llmz_successors_of_text(W, R) << 8 | R->token_bytes)
CONTEXT(line_alike, 124, v->alike << 8 | v->c1)
CONTEXT(lines_alike, 125, llmz_hash(v->alike & 0xFFFF, v->alike_2 << 16 | UP))
CONTEXT(paragraph_and_column, 126, llmz_hash(W->paragraph, v->column))
CONTEXT(line, 127, R->line[0])
CONTEXT(recent_8, 128, W->recent)
CONTEXT(order_0, 129, v->c1 & 0) /* nothing, but the macro's parameter has to be used */
CONTEXT(recent_3, 130, llmz_hash(W->recent & 0xFFFFFF, v->c1))
CONTEXT(paragraph_column_and_byte, 131, llmz_hash(W->paragraph, v->column << 8 | v->c1))
CONTEXT(paragraph_above_and_byte, 132, llmz_hash(W->paragraph, UP << 8 | v->c1))
CONTEXT(forms_4, 133, W->forms & 0xFFFFFFFF)
CONTEXT(digits_2, 134, llmz_hash(W->digits & 0xFFFF, llmz_byte_class((unsigned)v->c1)))
CONTEXT(letters_3, 135, llmz_hash(W->letters & 0xFFFFFF, v->c1))
CONTEXT(recent_and_gap, 136, llmz_hash(W->recent & 0xFFFFFFFFFF, W->gap))

/* Binary data. */
#define S v->special
CONTEXT(phase_and_byte, 60, (v->cell & 3) << 8 | v->c1)
CONTEXT(byte_2, 61, v->c8 & 0xFF00)
CONTEXT(byte_3, 62, v->c8 & 0xFF0000)
CONTEXT(byte_4, 63, v->c8 & 0xFF000000)
CONTEXT(bytes_4_8, 64, v->c8 & 0xFF000000FF000000)
CONTEXT(bytes_1_4, 65, v->c8 & 0xFF0000FF)
CONTEXT(bytes_2_4, 66, v->c8 & 0xFF00FF00)
CONTEXT(row_above, 67, v->row << 16 | S->period)
CONTEXT(row_and_byte, 68, v->row << 8 | v->c1)
CONTEXT(row_and_two, 69, v->row << 16 | v->c1 << 8 | v->c2)
CONTEXT(two_rows, 70, v->row << 8 | v->row_2)
CONTEXT(cell, 71, v->cell << 16 | S->period)
CONTEXT(cell_and_byte, 72, v->cell << 16 | v->c1 << 8)
CONTEXT(cell_and_row, 73, v->cell << 16 | v->row << 8)
CONTEXT(gradient, 74, (v->row + v->c1 - v->corner) & 0xFF)
CONTEXT(cell_row_and_byte, 75, v->cell << 24 | v->row << 8 | v->c1 << 16)

/* Genomes and proteins. */
#define ACIDS(n) (S->sequence.acids & (((uint64_t)1 << 5 * (n)) - 1))
#define BASES(n) (S->sequence.bases & (~(uint64_t)0 >> (64 - 2 * (n))))
/* What may stand at a place: letters, a line end, a header. */
#define PLACE ((uint64_t)(v->c1 == '\n') << 1 | S->sequence.in_header)
CONTEXT(acids_1, 80, ACIDS(1) << 2 | PLACE)
CONTEXT(acids_2, 81, ACIDS(2) << 2 | PLACE)
CONTEXT(acids_3, 82, ACIDS(3) << 2 | PLACE)
CONTEXT(acids_4, 83, ACIDS(4) << 2 | PLACE)
CONTEXT(acids_6, 84, ACIDS(6) << 2 | PLACE)
CONTEXT(acids_8, 85, ACIDS(8) << 2 | PLACE)
CONTEXT(acids_11, 87, ACIDS(11) << 2 | PLACE)
CONTEXT(acids_12, 88, ACIDS(12) << 2 | PLACE)
CONTEXT(bases_14, 89, BASES(14) << 2 | PLACE)
CONTEXT(bases_16, 90, BASES(16) << 2 | PLACE)
CONTEXT(bases_18, 91, BASES(18) << 2 | PLACE)
CONTEXT(bases_20, 92, BASES(20) << 2 | PLACE)
CONTEXT(bases_24, 94, BASES(24) << 2 | PLACE)
CONTEXT(acids_5, 97, ACIDS(5) << 2 | PLACE)
CONTEXT(acids_2_3, 98, (ACIDS(3) >> 5) << 2 | PLACE)
CONTEXT(acids_2_4, 99, (ACIDS(4) >> 5) << 2 | PLACE)
CONTEXT(acids_1_3, 100, (S->sequence.acids & 0x7C1F) << 2 | PLACE)
CONTEXT(expected_letter, 101, v->letter_1 << 32 | v->letter_2 << 16 | llmz_sequence_bucket(&S->sequence, 1) << 8 | v->c1)
CONTEXT(expected_and_acids, 102, llmz_hash(v->letter_2 << 16 | v->letter_1, ACIDS(2)))
CONTEXT(column_and_place, 96, v->column << 16 | (uint64_t)(v->above == '\n') << 8 | PLACE)

/* The profiles: which contexts each uses, in the order of the learned state's counter maps. */
#define MIXED_0(USE)                                                                                                           \
    USE(order_1) USE(order_2) USE(order_3) USE(order_4) USE(order_5) USE(order_6) USE(order_8)                                 \
    USE(word_and_byte) USE(two_words) USE(words_apart) USE(three_words) USE(bytes_2_3) USE(bytes_1_3) USE(bytes_2_3_4)         \
    USE(followers_of_one) USE(followers_of_two) USE(column_and_above) USE(above_and_next) USE(head_of_line) USE(tag)           \
    USE(format) USE(format_and_field) USE(one_token) USE(two_tokens) USE(three_tokens) USE(expected) USE(folded_5) USE(indent)

#define MIXED_1(USE)                                                                                                           \
    USE(order_1) USE(order_2) USE(order_3) USE(order_4) USE(order_5) USE(order_6) USE(order_8)                                 \
    USE(word_and_byte) USE(two_words) USE(words_apart) USE(cell_before_and_text) USE(bytes_2_3) USE(bytes_1_3)                 \
    USE(key_and_text)                                                                                                          \
    USE(followers_of_one) USE(followers_of_two) USE(column_and_above) USE(above_and_next) USE(head_of_line) USE(tag)           \
    USE(format) USE(format_and_field) USE(one_token) USE(two_tokens) USE(three_tokens) USE(expected) USE(folded_5)             \
    USE(indent) USE(token_and_byte) USE(two_texts) USE(texts_apart) USE(three_texts) USE(field_above) USE(fields_above)        \
    USE(value_above) USE(field_of_kin) USE(fields_of_kin) USE(value_of_kin) USE(number_above) USE(number_of_kin)               \
    USE(number_in_series) USE(field_and_text) USE(field_and_place) USE(value_and_text_before) USE(column_and_byte)             \
    USE(number_shape) USE(order_7) USE(bytes_1_4) USE(bytes_2_4) USE(shapes_of_texts) USE(texts_2_3) USE(text_3)               \
    USE(texts_1_3) USE(text_4) USE(texts_2_4) USE(one_name) USE(two_names) USE(text_and_separators) USE(text_and_shapes)       \
    USE(text_after_letter) USE(shapes_after_letter) USE(separators_and_shapes) USE(agreement_and_column) USE(around_above)     \
    USE(above_and_two_above) USE(recent_5) USE(forms_8) USE(successors_of_text) USE(line_alike) USE(lines_alike)               \
    USE(paragraph_and_column) USE(line) USE(recent_8) USE(order_0) USE(recent_3) USE(paragraph_column_and_byte)                \
    USE(paragraph_above_and_byte) USE(forms_4) USE(digits_2) USE(letters_3) USE(recent_and_gap)

#define MIXED_2(USE) MIXED_1(USE)

#define PLAIN_0(USE)                                                                                                           \
    USE(plain_order_1) USE(plain_order_2) USE(plain_order_3) USE(plain_order_4) USE(plain_order_5) USE(plain_order_6)          \
    USE(plain_word_and_byte) USE(plain_two_words) USE(plain_column_and_above) USE(plain_tag) USE(plain_followers)              \
    USE(plain_format)

#define PLAIN_1(USE)                                                                                                           \
    USE(plain_order_1) USE(plain_order_2) USE(plain_order_3) USE(plain_order_4) USE(plain_order_6) USE(plain_word_and_byte)    \
    USE(plain_two_words) USE(plain_column_and_above) USE(plain_followers) USE(plain_format) USE(token_and_byte)                \
    USE(two_texts) USE(texts_apart) USE(field_above) USE(fields_above) USE(value_above) USE(field_of_kin) USE(fields_of_kin)   \
    USE(value_of_kin) USE(number_above) USE(number_of_kin) USE(number_in_series) USE(field_and_text) USE(two_rows_above)

#define PLAIN_2(USE)                                                                                                           \
    USE(plain_order_1) USE(plain_order_2) USE(plain_order_3) USE(plain_order_4) USE(plain_order_6) USE(plain_followers)        \
    USE(phase_and_byte) USE(byte_2) USE(byte_3) USE(byte_4) USE(bytes_4_8) USE(bytes_1_4) USE(bytes_2_4) USE(row_above)        \
    USE(row_and_byte) USE(row_and_two) USE(two_rows) USE(cell) USE(cell_and_byte) USE(cell_and_row) USE(gradient)              \
    USE(cell_row_and_byte)

/* Those that are counted come first. */
#define PLAIN_3(USE)                                                                                                           \
    USE(acids_1) USE(acids_2) USE(acids_3) USE(acids_4) USE(acids_5) USE(acids_6) USE(acids_8) USE(acids_11) USE(acids_12)     \
    USE(bases_14) USE(bases_16) USE(bases_18) USE(bases_20) USE(bases_24) USE(acids_2_3) USE(acids_2_4) USE(acids_1_3)         \
    USE(expected_letter) USE(expected_and_acids) USE(column_and_place) USE(plain_order_2) USE(plain_order_3)                   \
    USE(plain_order_4) USE(plain_order_6) USE(plain_word_and_byte) USE(plain_two_words) USE(plain_column_and_above)

#define SET(name) *contexts++ = name(&v);
#define COUNT(name) +1

#define MIXED_PROFILE(profile, count, each, guesses, inputs, known, mixers, sets, finals) \
    _Static_assert(MIXED_##profile(COUNT) == (count), "the shape says how many contexts there are");                           \
    _Static_assert((count) <= LLMZ_MIXED_CONTEXTS_MAX && (guesses) <= LLMZ_GUESSES_MAX, "they have room");                     \
    _Static_assert((each) * (count) + 2 * (guesses) + 7 + ((profile) > 0) * LLMZ_SLOW_MAPS <= (inputs), "all inputs have a place");  \
    static void mixed_##profile(const llmz_lane *lane, uint32_t node, const llmz_history *history,                             \
                                const llmz_followers *followers, uint64_t *contexts)                                           \
    {                                                                                                                          \
        view v = look(&lane->text, lane->position, history, followers);                                                        \
        const llmz_match *match = &lane->matches[0];                                                                           \
        v.boundary = node == 0;                                                                                                \
        v.node = node;                                                                                                         \
        v.expected = llmz_expected_byte(match, history);                                                                       \
        v.match_length = match->length < 32 ? match->length : 32;                                                              \
        v.token_1 = lane->tokens[0];                                                                                           \
        v.token_2 = lane->tokens[1];                                                                                           \
        v.token_3 = lane->tokens[2];                                                                                           \
        if (profile > 0) {                                                                                                     \
            look_at_records(&v, lane->records, lane->position, history->bytes);                                                \
            look_at_column(&v, lane->records, lane->position, history->bytes);                                                \
            look_at_writing(&v, lane, history->bytes);                                                 \
        }                                                                                                                      \
        MIXED_##profile(SET)                                                                                                   \
    }

#define PLAIN_PROFILE(profile, count, each, guesses, inputs, known, mixers, sets, finals) \
    _Static_assert(PLAIN_##profile(COUNT) == (count), "the shape says how many contexts there are");                           \
    _Static_assert((count) <= LLMZ_PLAIN_CONTEXTS_MAX && (guesses) <= LLMZ_GUESSES_MAX, "they have room");                     \
    _Static_assert((each) * (count) + 2 * (guesses) + 2 <= (inputs), "all inputs have a place");                               \
    static void plain_##profile(const llmz_text *text, uint32_t position, const llmz_history *history,                         \
                                const llmz_followers *followers, const llmz_special *special, uint64_t *contexts)              \
    {                                                                                                                          \
        view v = look(text, position, history, followers);                                                                     \
        if (profile == 1)                                                                                                      \
            look_at_records(&v, &special->records, position, history->bytes);                                                  \
        if (profile == 2)                                                                                                      \
            look_at_period(&v, special, position, special->start, history->bytes);                                             \
        if (profile == 3) {                                                                                                    \
            v.special = special;                                                                                               \
            v.letter_1 = llmz_sequence_expects(&special->sequence, 0, history->bytes, position);                               \
            v.letter_2 = llmz_sequence_expects(&special->sequence, 1, history->bytes, position);                               \
        }                                                                                                                      \
        PLAIN_##profile(SET)                                                                                                   \
    }

LLMZ_MIXED_SHAPES(MIXED_PROFILE)
LLMZ_PLAIN_SHAPES(PLAIN_PROFILE)

#define MIXED_NAME(profile, count, each, guesses, inputs, known, mixers, sets, finals) mixed_##profile,
#define PLAIN_NAME(profile, count, each, guesses, inputs, known, mixers, sets, finals) plain_##profile,
llmz_mixed_contexts *const llmz_mixed_profiles[LLMZ_MIXED_PROFILES] = {LLMZ_MIXED_SHAPES(MIXED_NAME)};
llmz_plain_contexts *const llmz_plain_profiles[LLMZ_PLAIN_PROFILES] = {LLMZ_PLAIN_SHAPES(PLAIN_NAME)};

#define NUMBER(name) number_##name,
enum { MIXED_1(NUMBER) };
const uint8_t llmz_run_contexts[LLMZ_RUNS] = {
    number_order_3, number_order_4, number_order_6, number_two_words, number_two_texts, number_three_texts, number_value_above,
    number_value_of_kin, number_key_and_text, number_cell_before_and_text, number_field_of_kin, number_one_token, number_order_2,
    number_order_5, number_order_8, number_column_and_above, number_line_alike, number_paragraph_and_column, number_recent_5,
    number_forms_8, number_text_3, number_two_names, number_above_and_two_above, number_format,
};

/* ---- What single profiles remember ---- */

void llmz_special_begin(llmz_special *special, uint32_t position)
{
    memset(special, 0, sizeof *special);
    special->start = position;
    special->period = 4;
    llmz_records_begin(&special->records, position);
    llmz_sequence_begin(&special->sequence, position);
}

/* The commonest distance between equal triples of bytes, of the last ones. */
static void follow_period(llmz_special *s, const uint8_t *bytes, uint32_t position)
{
    enum { ENOUGH = 8, MOST = 2048, LONGEST = 255 };
    if (position - s->start < 3)
        return;
    uint64_t triple = (uint64_t)bytes[position - 3] << 16 | (uint64_t)bytes[position - 2] << 8 | bytes[position - 1];
    uint32_t *place = &s->last_place[llmz_hash(triple, 0) >> 20 & 4095];
    uint32_t distance = position - *place;
    if (*place > 0 && distance > 1 && distance <= LONGEST && ++s->counts[distance] > s->counts[s->period] &&
        s->counts[distance] >= ENOUGH)
        s->period = distance;
    *place = position;
    if (++s->counted == MOST) {
        s->counted = 0;
        for (uint32_t i = 0; i <= LONGEST; i++)
            s->counts[i] /= 2;
    }
}

void llmz_special_append(llmz_special *special, unsigned profile, const uint8_t *bytes, uint32_t position)
{
    if (profile == 1)
        llmz_records_append(&special->records, bytes, position);
    else if (profile == 2)
        follow_period(special, bytes, position);
    else if (profile == 3)
        llmz_sequence_append(&special->sequence, bytes, position);
}
