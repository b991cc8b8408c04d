/* Text of other charsets to UTF-8 and back: docs/format.md has the rule, data/charsets.bin the characters. */

#include "core.h"

#include <string.h>

#define NOTHING 0xFFFF /* no character is one byte with this entry */
#define SURROGATES 0xD800
#define AFTER_SURROGATES 0xE000
#define SUPPLEMENTARY 0x10000
#define GB_FIRST_SUPPLEMENTARY 0x90
#define GB_PLANES 16
#define EUC_THREE 0x8F

int llmz_read_utf8(const uint8_t *text, int64_t size, uint32_t *point)
{
    uint8_t lead = text[0];
    if (lead < 0x80) {
        *point = lead;
        return 1;
    }
    int length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    if (!length || size < length)
        return 0;
    uint32_t value = lead & (0x7Fu >> length);
    for (int i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (text[i] & 0x3Fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, SUPPLEMENTARY};
    if (value < least[length] || value > 0x10FFFF)
        return 0;
    *point = value;
    return length;
}

int llmz_write_utf8(uint32_t point, uint8_t *out)
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (uint8_t)(0xC0 | point >> 6);
        out[1] = (uint8_t)(0x80 | (point & 0x3F));
        return 2;
    }
    if (point < SUPPLEMENTARY) {
        out[0] = (uint8_t)(0xE0 | point >> 12);
        out[1] = (uint8_t)(0x80 | (point >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (point & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | point >> 18);
    out[1] = (uint8_t)(0x80 | (point >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (point >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (point & 0x3F));
    return 4;
}

static int is_surrogate(uint32_t point)
{
    return point >= SURROGATES && point < AFTER_SURROGATES;
}

static int is_pair(uint32_t first, uint32_t second)
{
    return (first & 0xFFFFFC00u) == SURROGATES && (second & 0xFFFFFC00u) == SURROGATES + 0x400;
}

static uint32_t join_pair(uint32_t first, uint32_t second)
{
    return SUPPLEMENTARY + ((first & 0x3FF) << 10 | (second & 0x3FF));
}

/* Bytes of the character at the start of `text` in the charset, or 0 where there is none. */
static int read_character(const struct llmz_charset *charset, const uint8_t *text, int64_t size, uint32_t *point)
{
    if (charset->cesu) {
        uint32_t second;
        int length = llmz_read_utf8(text, size, point);
        if (length == 3 && is_surrogate(*point) && size >= 6 && llmz_read_utf8(text + 3, size - 3, &second) == 3 &&
            is_pair(*point, second)) {
            *point = join_pair(*point, second);
            return 6;
        }
        return length == 4 || (length == 3 && is_surrogate(*point)) ? 0 : length;
    }
    if (charset->one[text[0]] != NOTHING) {
        *point = charset->one[text[0]];
        return 1;
    }
    if (!charset->two || size < 2)
        return 0;
    if (charset->three && text[0] == EUC_THREE) {
        *point = size < 3 ? 0 : charset->three[text[1] << 8 | text[2]];
        return *point ? 3 : 0;
    }
    *point = charset->two[text[0] << 8 | text[1]];
    if (*point)
        return 2;
    if (!charset->four || size < 4 || text[0] < 0x81 || text[1] < 0x30 || text[1] > 0x39 || text[2] < 0x81 ||
        text[2] > 0xFE || text[3] < 0x30 || text[3] > 0x39)
        return 0;
    uint32_t place = (((text[0] - 0x81u) * 10 + (text[1] - 0x30u)) * 126 + (text[2] - 0x81u)) * 10 + (text[3] - 0x30u);
    if (place < LLMZ_GB_FOUR) {
        *point = charset->four[place];
        return *point ? 4 : 0;
    }
    uint32_t first = (GB_FIRST_SUPPLEMENTARY - 0x81u) * 12600;
    if (place < first || place - first >= (uint32_t)GB_PLANES << 16)
        return 0;
    *point = SUPPLEMENTARY + (place - first);
    return 4;
}

/* Bytes that the charset has for a character, or 0. */
static int write_character(const struct llmz_charset *charset, uint32_t point, uint8_t *out)
{
    if (charset->cesu) {
        if (point < SUPPLEMENTARY)
            return is_surrogate(point) ? 0 : llmz_write_utf8(point, out);
        point -= SUPPLEMENTARY;
        llmz_write_utf8(SURROGATES + (point >> 10), out);
        llmz_write_utf8(SURROGATES + 0x400 + (point & 0x3FF), out + 3);
        return 6;
    }
    uint32_t code;
    if (point < SUPPLEMENTARY) {
        code = charset->codes[point];
        if (code == LLMZ_NO_CODE)
            return 0;
    } else {
        if (!charset->four)
            return 0;
        uint32_t place = point - SUPPLEMENTARY;
        code = (GB_FIRST_SUPPLEMENTARY + place / 12600) << 24 | (0x30 + place / 1260 % 10) << 16 |
               (0x81 + place / 10 % 126) << 8 | (0x30 + place % 10);
    }
    int length = code < 1u << 8 ? 1 : code < 1u << 16 ? 2 : code < 1u << 24 ? 3 : 4;
    for (int i = 0; i < length; i++)
        out[i] = (uint8_t)(code >> 8 * (length - 1 - i));
    return length;
}

int64_t llmz_to_utf8(const struct llmz_charset *charset, const uint8_t *text, int64_t size, uint8_t *out)
{
    int64_t written = 0;
    for (int64_t at = 0; at < size;) {
        uint32_t point;
        int length = read_character(charset, text + at, size - at, &point);
        if (length) {
            written += llmz_write_utf8(point, out + written);
            at += length;
        } else {
            out[written++] = text[at++];
        }
    }
    return written;
}

int64_t llmz_from_utf8(const struct llmz_charset *charset, const uint8_t *text, int64_t size, uint8_t *out, int64_t room)
{
    int64_t written = 0;
    for (int64_t at = 0; at < size;) {
        uint8_t bytes[6];
        uint32_t point;
        int length = llmz_read_utf8(text + at, size - at, &point);
        int count = length ? write_character(charset, point, bytes) : 0;
        if (!count) {
            bytes[0] = text[at];
            length = count = 1;
        }
        if (count > room - written)
            return -1;
        memcpy(out + written, bytes, (size_t)count);
        written += count;
        at += length;
    }
    return written;
}

static uint32_t read_unit(const uint8_t *bytes, int big_endian)
{
    return (uint32_t)bytes[big_endian ? 0 : 1] << 8 | bytes[big_endian ? 1 : 0];
}

int64_t llmz_utf16_to_utf8(const uint8_t *text, int64_t units, int big_endian, uint8_t *out)
{
    int64_t written = 0;
    for (int64_t at = 0; at < units; at++) {
        uint32_t point = read_unit(text + 2 * at, big_endian);
        if (at + 1 < units) {
            uint32_t second = read_unit(text + 2 * at + 2, big_endian);
            if (is_pair(point, second)) {
                point = join_pair(point, second);
                at++;
            }
        }
        written += llmz_write_utf8(point, out + written);
    }
    return written;
}

int64_t llmz_utf8_to_utf16(const uint8_t *text, int64_t size, int big_endian, uint8_t *out, int64_t room)
{
    int64_t written = 0;
    for (int64_t at = 0; at < size;) {
        uint32_t point, units[2];
        int length = llmz_read_utf8(text + at, size - at, &point), count = 1;
        if (!length)
            return -1;
        units[0] = point;
        if (point >= SUPPLEMENTARY) {
            units[0] = SURROGATES + ((point - SUPPLEMENTARY) >> 10);
            units[1] = SURROGATES + 0x400 + (point & 0x3FF);
            count = 2;
        }
        if (room - written < 2 * count)
            return -1;
        for (int i = 0; i < count; i++) {
            out[written + (big_endian ? 0 : 1)] = (uint8_t)(units[i] >> 8);
            out[written + (big_endian ? 1 : 0)] = (uint8_t)units[i];
            written += 2;
        }
        at += length;
    }
    return written;
}

int llmz_utf8_length(const uint8_t *text, int64_t size)
{
    uint32_t point;
    int length = llmz_read_utf8(text, size, &point);
    return length && is_surrogate(point) ? 0 : length;
}

int64_t llmz_count_no_utf8(const uint8_t *text, int64_t size)
{
    int64_t count = 0, at = 0;
    while (at < size) {
        uint64_t eight;
        while (size - at >= 8 && (memcpy(&eight, text + at, 8), !(eight & 0x8080808080808080u)))
            at += 8;
        if (at >= size)
            break;
        uint32_t point;
        int length = llmz_read_utf8(text + at, size - at, &point);
        count += !length || is_surrogate(point);
        at += length ? length : 1;
    }
    return count;
}

/* Characters of several bytes in a line of UTF-8, 0 in what is none: hardly anything else is UTF-8 by chance. */
static int64_t count_if_utf8(const uint8_t *line, int64_t size)
{
    int64_t count = 0;
    for (int64_t at = 0; at < size;) {
        uint32_t point;
        int length = llmz_read_utf8(line + at, size - at, &point);
        if (!length)
            return 0;
        count += length > 1;
        at += length;
    }
    return count;
}

/* The reading of one line, and what it costs to the eye of somebody who knows which characters go together. */
static int32_t line_cost(const struct llmz_charset *charset, const struct llmz_plausibility *plausibility,
                         const uint8_t *line, int64_t size)
{
    int64_t cost = charset ? plausibility->unreadable * count_if_utf8(line, size) : 0;
    uint8_t before = plausibility->kinds['\n'];
    int exact = 1;
    for (int64_t at = 0; at < size;) {
        uint8_t back[6];
        uint32_t point;
        int length = charset ? read_character(charset, line + at, size - at, &point)
                             : llmz_read_utf8(line + at, size - at, &point);
        if (!length || (!charset && is_surrogate(point))) {
            cost += plausibility->unreadable;
            before = 0;
            /* Where such a byte and what follows would be read as UTF-8, the line does not come back. */
            uint32_t misread;
            int taken = charset ? llmz_read_utf8(line + at, size - at, &misread) : 0;
            if (taken && write_character(charset, misread, back))
                exact = 0;
            at++;
            continue;
        }
        uint8_t kind = point < SUPPLEMENTARY ? plausibility->kinds[point] : plausibility->kinds[0xFFFD];
        cost += point < SUPPLEMENTARY ? plausibility->costs[point] : plausibility->costs[0xFFFD];
        cost += plausibility->after[before * LLMZ_KINDS + kind];
        before = kind;
        at += length;
    }
    return exact ? (int32_t)(cost < INT32_MAX / 4 ? cost : INT32_MAX / 4) : INT32_MAX / 2;
}

int64_t llmz_line_costs(const struct llmz_charset *charset, const struct llmz_plausibility *plausibility,
                        const uint8_t *text, int64_t size, int32_t *costs)
{
    int64_t lines = 0;
    for (int64_t at = 0; at < size;) {
        const uint8_t *end = memchr(text + at, '\n', (size_t)(size - at));
        int64_t next = end ? end - text + 1 : size;
        costs[lines++] = line_cost(charset, plausibility, text + at, next - at);
        at = next;
    }
    return lines;
}

void llmz_choose_by_line(const int32_t *costs, int64_t choices, int64_t lines, int32_t change, uint8_t *cheapest,
                         uint8_t *came_from)
{
    int64_t total[LLMZ_MOST_CHOICES];
    for (int64_t choice = 0; choice < choices; choice++)
        total[choice] = choice ? change : 0;
    for (int64_t line = 0; line < lines; line++) {
        int64_t best = 0;
        for (int64_t choice = 1; choice < choices; choice++)
            if (total[choice] < total[best])
                best = choice;
        int64_t changed = total[best] + change;
        for (int64_t choice = 0; choice < choices; choice++) {
            int from_best = changed < total[choice];
            came_from[line * choices + choice] = (uint8_t)(from_best ? best : choice);
            total[choice] = (from_best ? changed : total[choice]) + costs[choice * lines + line];
        }
    }
    int64_t choice = 0;
    for (int64_t other = 1; other < choices; other++)
        if (total[other] < total[choice])
            choice = other;
    for (int64_t line = lines - 1; line >= 0; line--) {
        cheapest[line] = (uint8_t)choice;
        choice = came_from[line * choices + choice];
    }
}
