/* Lines that were broken to a width become one again, and are broken again exactly: docs/format.md has the rule. */

#include "core.h"

#define NEWLINE 10
#define SPACE 32
#define MARGINS_REMEMBERED 64

/* The mark of a quote or comment belongs to the margin. */
static int is_margin(uint8_t byte)
{
    return byte == SPACE || byte == '\t' || byte == '>' || byte == '#' || byte == '*' || byte == '/';
}

static int is_continuation(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

static int64_t margin_length(const uint8_t *page, int64_t size, int64_t start)
{
    int64_t end = start;
    while (end < size && is_margin(page[end]))
        end++;
    return end - start;
}

/* Characters of the word that begins at `start`, counted to `most`; UTF-8 continuation bytes are none. */
static int64_t word_length(const uint8_t *text, int64_t size, int64_t start, int64_t most)
{
    int64_t length = 0;
    for (; start < size && text[start] != SPACE && text[start] != NEWLINE && length < most; start++)
        length += !is_continuation(text[start]);
    return length;
}

/* Spaces that belong after page[:end], end >= 1, where a word follows in the same line. */
static int64_t spaces_after(const uint8_t *page, int64_t end, int64_t between_sentences)
{
    uint8_t last = page[end - 1];
    if (last == '"' || last == '\'' || last == ')' || last == ']')
        last = end > 1 ? page[end - 2] : 0;
    return last == '.' || last == '?' || last == '!' || last == ':' ? between_sentences : 1;
}

/* Lines of one kind are likely to go on at the same margin: by their own, and whether a digit or a dash begins. */
static int kind_of_line(int64_t margin, uint8_t byte)
{
    int mark = byte >= '0' && byte <= '9' ? 1 : byte == '-' || byte == '+' ? 2 : byte >= 0xC0 ? 3 : 0;
    int64_t deepest = MARGINS_REMEMBERED / 4 - 1;
    return (int)(margin < deepest ? margin : deepest) * 4 + mark;
}

struct margin {
    int64_t start, length;
};

/* Both ways follow the page, the text with its line ends, from the start, and know the same of it at every place. */
struct flow {
    struct margin of_kind[MARGINS_REMEMBERED]; /* where the last line of each kind went on; start -1: none has */
    struct margin here;                        /* of a line after a line end of the text */
    struct margin next;                        /* where the rule goes on */
    int64_t column;
    int64_t breaks;
    int kind, kind_waiting;
    int in_margin, first, too_long;
};

static void begin_flow(struct flow *flow)
{
    for (int i = 0; i < MARGINS_REMEMBERED; i++)
        flow->of_kind[i] = (struct margin){-1, 0};
    flow->here = flow->next = (struct margin){0, 0};
    flow->column = flow->breaks = 0;
    flow->kind = 0;
    flow->kind_waiting = -1;
    flow->in_margin = flow->first = 1;
    flow->too_long = 0;
}

static void end_line(struct flow *flow, int64_t next_start)
{
    flow->kind_waiting = flow->first && !flow->in_margin ? flow->kind : -1;
    flow->here = (struct margin){next_start, 0};
    flow->column = 0;
    flow->in_margin = flow->first = 1;
    flow->too_long = 0;
}

/* By a byte after a line end or more of the margin: any other than the margin's ends it. */
static void follow_margin(struct flow *flow, uint8_t byte)
{
    if (is_margin(byte)) {
        flow->here.length++;
        return;
    }
    flow->in_margin = 0;
    if (flow->kind_waiting >= 0)
        flow->of_kind[flow->kind_waiting] = flow->here;
    flow->kind = kind_of_line(flow->here.length, byte);
    flow->next = flow->of_kind[flow->kind].start >= 0 ? flow->of_kind[flow->kind] : flow->here;
}

static int64_t spaces_at(const uint8_t *text, int64_t size, int64_t start)
{
    int64_t end = start + 1;
    while (end < size && text[end] == SPACE)
        end++;
    return end - start;
}

static int goes_over(const struct flow *flow, int64_t spaces, int64_t word, int64_t width)
{
    return !flow->too_long && word > 0 && flow->column + spaces + word > width;
}

int64_t llmz_join_lines(const uint8_t *text, int64_t size, int64_t width, int64_t between_sentences, int64_t *exceptions,
                        int64_t *excepted, uint8_t *out)
{
    struct flow flow;
    int64_t read = 0, written = 0;
    begin_flow(&flow);
    *excepted = 0;
    while (read < size) {
        uint8_t byte = text[read];
        if (byte == NEWLINE) {
            if (!flow.in_margin && text[read - 1] != SPACE) {
                int64_t found = margin_length(text, size, read + 1);
                int same = found == flow.next.length;
                for (int64_t i = 0; same && i < found; i++)
                    same = text[read + 1 + i] == text[flow.next.start + i];
                int64_t spaces = spaces_after(text, read, between_sentences);
                int64_t word = word_length(text, size, read + 1 + found, width + 1);
                if (same && goes_over(&flow, spaces, word, width)) {
                    for (int64_t i = 0; i < spaces; i++)
                        out[written++] = SPACE;
                    flow.next = (struct margin){read + 1, found};
                    read += 1 + found;
                    flow.column = found;
                    flow.breaks++;
                    flow.first = 0;
                    continue;
                }
            }
            out[written++] = byte;
            read++;
            end_line(&flow, read);
            continue;
        }
        if (flow.in_margin) {
            follow_margin(&flow, byte);
        } else if (byte == SPACE) {
            int64_t spaces = spaces_at(text, size, read);
            int64_t word = word_length(text, size, read + spaces, width + 1);
            if (spaces == spaces_after(text, read, between_sentences) && goes_over(&flow, spaces, word, width)) {
                exceptions[(*excepted)++] = flow.breaks++;
                flow.too_long = 1;
            }
            for (int64_t i = 0; i < spaces; i++)
                out[written++] = SPACE;
            read += spaces;
            flow.column += spaces;
            continue;
        }
        out[written++] = byte;
        read++;
        flow.column += !is_continuation(byte);
    }
    return written;
}

int64_t llmz_break_lines(const uint8_t *text, int64_t size, int64_t width, int64_t between_sentences,
                         const int64_t *exceptions, int64_t exception_count, uint8_t *out, int64_t room)
{
    struct flow flow;
    int64_t read = 0, written = 0, excepted = 0;
    begin_flow(&flow);
    while (read < size) {
        if (written >= room)
            return -1;
        uint8_t byte = text[read];
        if (byte == NEWLINE) {
            out[written++] = byte;
            read++;
            end_line(&flow, written);
            continue;
        }
        if (flow.in_margin) {
            follow_margin(&flow, byte);
        } else if (byte == SPACE) {
            int64_t spaces = spaces_at(text, size, read);
            int64_t word = word_length(text, size, read + spaces, width + 1);
            if (spaces == spaces_after(out, written, between_sentences) && goes_over(&flow, spaces, word, width)) {
                int64_t this_break = flow.breaks++;
                if (excepted < exception_count && exceptions[excepted] == this_break) {
                    excepted++;
                    flow.too_long = 1;
                } else {
                    if (room - written <= flow.next.length)
                        return -1;
                    out[written++] = NEWLINE;
                    int64_t start = written;
                    for (int64_t i = 0; i < flow.next.length; i++)
                        out[written++] = out[flow.next.start + i];
                    flow.next.start = start;
                    read += spaces;
                    flow.column = flow.next.length;
                    flow.first = 0;
                    continue;
                }
            }
            if (room - written < spaces)
                return -1;
            for (int64_t i = 0; i < spaces; i++)
                out[written++] = SPACE;
            read += spaces;
            flow.column += spaces;
            continue;
        }
        out[written++] = byte;
        read++;
        flow.column += !is_continuation(byte);
    }
    return written;
}

int64_t llmz_count_lines(const uint8_t *text, int64_t size, int64_t widest, int64_t *broken, int64_t *lengths)
{
    int64_t column = 0, between_words = 0;
    for (int64_t at = 0; at <= size; at++) {
        if (at < size && text[at] != NEWLINE) {
            column += !is_continuation(text[at]);
            continue;
        }
        if (column > 0) {
            lengths[column < widest ? column : widest]++;
            int64_t margin = margin_length(text, size, at + 1);
            int64_t word = word_length(text, size, at + 1 + margin, widest);
            between_words += word > 0;
            if (word > 0 && column < widest) {
                broken[column]++;
                broken[column + 1 + word < widest ? column + 1 + word : widest]--;
            }
        }
        column = 0;
    }
    return between_words;
}

void llmz_count_sentences(const uint8_t *text, int64_t size, int64_t *narrow, int64_t *wide)
{
    *narrow = *wide = 0;
    for (int64_t at = 0; at + 2 < size; at++) {
        if ((text[at] != '.' && text[at] != '?' && text[at] != '!') || text[at + 1] != SPACE)
            continue;
        int64_t next = at + 2 + (text[at + 2] == SPACE);
        if (next < size && text[next] >= 'A' && text[next] <= 'Z')
            ++*(next == at + 2 ? narrow : wide);
    }
}
