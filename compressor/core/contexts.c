/* What is remembered of a text, and the contexts of each profile. */

#include "contexts.h"

#include <stdlib.h>
#include <string.h>

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

/* The profiles: which contexts each uses, in the order of the learned state's counter maps. The first LLMZ_KNOWN_ORDERS of
 * mixed mode are orders from low to high: how many of them know the text selects weights. */
#define MIXED_PROSE(USE)                                                                                                       \
    USE(order_1) USE(order_2) USE(order_3) USE(order_4) USE(order_5) USE(order_6) USE(order_8)                                 \
    USE(word_and_byte) USE(two_words) USE(words_apart) USE(three_words) USE(bytes_2_3) USE(bytes_1_3) USE(bytes_2_3_4)         \
    USE(followers_of_one) USE(followers_of_two) USE(column_and_above) USE(above_and_next) USE(head_of_line) USE(tag)           \
    USE(format) USE(format_and_field) USE(one_token) USE(two_tokens) USE(three_tokens) USE(expected) USE(folded_5) USE(indent)

#define PLAIN_PROSE(USE)                                                                                                       \
    USE(plain_order_1) USE(plain_order_2) USE(plain_order_3) USE(plain_order_4) USE(plain_order_5) USE(plain_order_6)          \
    USE(plain_word_and_byte) USE(plain_two_words) USE(plain_column_and_above) USE(plain_tag) USE(plain_followers)              \
    USE(plain_format)

#define SET(name) *contexts++ = name(&v);
#define COUNT(name) +1

#define MIXED_PROFILE(function, LIST)                                                                                          \
    _Static_assert(LIST(COUNT) == LLMZ_MIXED_CONTEXTS, "every profile has as many contexts");                                  \
    static void function(const llmz_lane *lane, uint32_t node, const llmz_history *history, const llmz_followers *followers,   \
                         uint64_t *contexts)                                                                                   \
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
        LIST(SET)                                                                                                              \
    }

#define PLAIN_PROFILE(function, LIST)                                                                                          \
    _Static_assert(LIST(COUNT) == LLMZ_PLAIN_CONTEXTS, "every profile has as many contexts");                                  \
    static void function(const llmz_text *text, uint32_t position, const llmz_history *history,                                \
                         const llmz_followers *followers, uint64_t *contexts)                                                  \
    {                                                                                                                          \
        view v = look(text, position, history, followers);                                                                     \
        LIST(SET)                                                                                                              \
    }

MIXED_PROFILE(mixed_prose, MIXED_PROSE)
PLAIN_PROFILE(plain_prose, PLAIN_PROSE)

static llmz_mixed_contexts *const mixed_profiles[] = {mixed_prose};
static llmz_plain_contexts *const plain_profiles[] = {plain_prose};

llmz_mixed_contexts *llmz_mixed_profile(unsigned profile)
{
    return profile < sizeof mixed_profiles / sizeof *mixed_profiles ? mixed_profiles[profile] : NULL;
}

llmz_plain_contexts *llmz_plain_profile(unsigned profile)
{
    return profile < sizeof plain_profiles / sizeof *plain_profiles ? plain_profiles[profile] : NULL;
}
