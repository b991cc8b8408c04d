/* Bold and underlined text of printing terminals: characters struck over themselves or over a low line. */

#include "core.h"

#include <string.h>

#define BACKSPACE 8

static int is_white(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

/* Bytes of the character at the start of `text`: by its first byte, cut at the end and before ASCII. */
static int64_t character_length(const uint8_t *text, int64_t size)
{
    int64_t wanted = text[0] < 0xC0 ? 1 : text[0] < 0xE0 ? 2 : text[0] < 0xF0 ? 3 : 4, length = 1;
    while (length < wanted && length < size && (text[length] & 0xC0) == 0x80)
        length++;
    return length;
}

/* Whether a backspace and these bytes again are at the start of `text`. */
static int is_struck(const uint8_t *text, int64_t size, const uint8_t *over, int64_t length)
{
    return size > length && text[0] == BACKSPACE && !memcmp(text + 1, over, (size_t)length);
}

struct unit {
    const uint8_t *character;
    int64_t length, taken;
    int bold, underlined;
};

static const uint8_t low_line[] = {'_'};

/* Whether a character of `length` bytes at the start of `text` is struck `times` times over itself. */
static int is_bold(const uint8_t *text, int64_t size, int64_t length, int times)
{
    int64_t at = length;
    for (; times && is_struck(text + at, size - at, text, length); times--)
        at += 1 + length;
    return !times;
}

static struct unit read_unit(const uint8_t *text, int64_t size, const struct llmz_strikes *strikes, int underlined)
{
    struct unit unit = {text, 1, 0, 0, 0};
    /* A low line over a low line is bold or underlined: underlined where that goes on. */
    if (!strikes->underline_after && size > 2 && text[0] == '_' && text[1] == BACKSPACE && text[2] != BACKSPACE &&
        !is_white(text[2]) &&
        (text[2] != '_' || (underlined && strikes->times == 1) || !is_bold(text, size, 1, strikes->times))) {
        unit.underlined = 1;
        unit.taken = 2;
    }
    unit.character = text + unit.taken;
    unit.length = character_length(unit.character, size - unit.taken);
    unit.taken += unit.length;
    if (is_white(*unit.character) || *unit.character == BACKSPACE)
        return unit;
    if (is_bold(unit.character, text + size - unit.character, unit.length, strikes->times)) {
        unit.bold = 1;
        unit.taken += strikes->times * (1 + unit.length);
    }
    if (strikes->underline_after && is_struck(text + unit.taken, size - unit.taken, low_line, 1)) {
        unit.underlined = 1;
        unit.taken += 2;
    }
    return unit;
}

int64_t llmz_take_strikes(const uint8_t *text, int64_t size, const struct llmz_strikes *strikes, uint8_t *out)
{
    int64_t written = 0;
    int bold = 0, underlined = 0;
    for (int64_t at = 0; at < size;) {
        struct unit unit = read_unit(text + at, size - at, strikes, underlined);
        if (!is_white(*unit.character)) {
            if (unit.bold != bold)
                out[written++] = strikes->bold;
            if (unit.underlined != underlined)
                out[written++] = strikes->underline;
            bold = unit.bold;
            underlined = unit.underlined;
        }
        memcpy(out + written, unit.character, (size_t)unit.length);
        written += unit.length;
        at += unit.taken;
    }
    return written;
}

int64_t llmz_put_strikes(const uint8_t *text, int64_t size, const struct llmz_strikes *strikes, uint8_t *out,
                         int64_t room)
{
    int64_t written = 0;
    int bold = 0, underlined = 0;
    for (int64_t at = 0; at < size;) {
        if (text[at] == strikes->bold || text[at] == strikes->underline) {
            bold ^= text[at] == strikes->bold;
            underlined ^= text[at] != strikes->bold;
            at++;
            continue;
        }
        int64_t length = character_length(text + at, size - at);
        int plain = is_white(text[at]);
        int times = bold && !plain ? strikes->times : 0, lines = underlined && !plain;
        if (room - written < length + times * (length + 1) + 2 * lines)
            return -1;
        if (lines && !strikes->underline_after) {
            out[written++] = '_';
            out[written++] = BACKSPACE;
        }
        memcpy(out + written, text + at, (size_t)length);
        written += length;
        for (int i = 0; i < times; i++) {
            out[written++] = BACKSPACE;
            memcpy(out + written, text + at, (size_t)length);
            written += length;
        }
        if (lines && strikes->underline_after) {
            out[written++] = BACKSPACE;
            out[written++] = '_';
        }
        at += length;
    }
    return written;
}
