/* Bytes written as text, base64, hexadecimal digits and uuencode: runs of them found, read, and written again exactly. */

#include "core.h"

#include <string.h>

#define SHORTEST_SPAN 32 /* of a line that may begin a run */
#define LONGEST_SEPARATOR 40
#define NO_DIGIT 0xFF

static const char *const digits_of[LLMZ_ALPHABETS] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    "0123456789abcdef",
    "0123456789ABCDEF",
};

static int bits_of(int alphabet)
{
    return alphabet < LLMZ_HEX_LOWER ? 6 : 4;
}

static void fill_values(int alphabet, uint8_t *values)
{
    memset(values, NO_DIGIT, 256);
    for (int i = 0; i < 1 << bits_of(alphabet); i++)
        values[(uint8_t)digits_of[alphabet][i]] = (uint8_t)i;
}

/* Whether the first digits at `start` of a sequence that ends at `size` all are digits, at most `most` counted. */
static int64_t count_digits(const uint8_t *text, int64_t size, int64_t start, int64_t most, const uint8_t *values)
{
    int64_t end = start;
    int64_t last = size - start < most ? size : start + most;
    while (end < last && values[text[end]] != NO_DIGIT)
        end++;
    return end - start;
}

/* Where the next SHORTEST_SPAN digits begin, or `size`. Looks at few bytes of ordinary text. */
static int64_t find_span(const uint8_t *text, int64_t size, int64_t from, const uint8_t *values)
{
    while (size - from >= SHORTEST_SPAN) {
        int64_t at = from + SHORTEST_SPAN - 1;
        while (at >= from && values[text[at]] != NO_DIGIT)
            at--;
        if (at < from)
            return from;
        from = at + 1;
    }
    return size;
}

/* Length of what stands at `start` between two lines of a run: a line end, as it is or escaped, and what surrounds it. */
static int64_t separator_length(const uint8_t *text, int64_t size, int64_t start, const uint8_t *values)
{
    static const char *const escapes[] = {"\\r\\n", "\\n", "%0D%0A", "%0A", "&#13;&#10;", "&#10;", "&#xA;"};
    int64_t length = 0;
    int breaks = 0;
    for (size_t i = 0; !length && i < sizeof escapes / sizeof *escapes; i++) {
        int64_t count = (int64_t)strlen(escapes[i]);
        if (size - start >= count && !memcmp(text + start, escapes[i], (size_t)count)) {
            length = count;
            breaks = 1;
        }
    }
    while (start + length < size && length < LONGEST_SEPARATOR && values[text[start + length]] == NO_DIGIT &&
           text[start + length] != '=') {
        breaks |= text[start + length] == '\n';
        length++;
    }
    return breaks ? length : 0;
}

/* Whether digits are likely to stand for bytes, and are no words, names, paths, decimal numbers or genes. */
static int looks_encoded(const uint8_t *text, const struct llmz_run *run, int alphabet, const uint8_t *values)
{
    int64_t counts[64] = {0}, small_pairs = 0, total = 0;
    int small_before = 0;
    for (int64_t at = run->begin; at < run->end; at++) {
        uint8_t value = values[text[at]];
        if (value == NO_DIGIT)
            continue;
        counts[value]++;
        total++;
        int small = text[at] >= 'a' && text[at] <= 'z';
        small_pairs += small & small_before;
        small_before = small;
    }
    int64_t distinct = 0, classes[4] = {0};
    for (int i = 0; i < 1 << bits_of(alphabet); i++) {
        distinct += counts[i] > 0;
        classes[alphabet < LLMZ_HEX_LOWER ? (i < 26 ? 0 : i < 52 ? 1 : i < 62 ? 2 : 3) : i / 10] += counts[i];
    }
    if (alphabet >= LLMZ_HEX_LOWER)
        return distinct >= 4 && classes[0] > 0 && classes[1] * 64 >= total;
    return distinct >= 24 && classes[0] * 32 >= total && classes[1] * 64 >= total && classes[2] > 0 &&
           small_pairs * 5 < total * 2;
}

/* Cut a run that `digits` digits make of which the last would not come back. */
static int64_t whole_digits(const uint8_t *text, int64_t last, int64_t digits, int alphabet, const uint8_t *values)
{
    if (alphabet >= LLMZ_HEX_LOWER)
        return digits - digits % 2;
    int64_t over = digits % 4;
    if (!over || (over > 1 && !(values[text[last]] & (over == 2 ? 15 : 3))))
        return digits;
    return digits - over;
}

/* Whether the first bytes that a run stands for are text. */
static int stands_for_text(const uint8_t *text, const struct llmz_run *run, int alphabet)
{
    uint8_t data[48];
    struct llmz_run start = *run;
    if (start.digits > 64)
        start.digits = 64; /* whole bytes in every alphabet */
    int64_t size = llmz_read_run(text, &start, alphabet, data), at = 0;
    while (at < size) {
        int length = llmz_utf8_length(data + at, size - at);
        if ((!length && size - at > 3) || data[at] == 127 || (data[at] < 32 && (data[at] < 9 || data[at] > 13)))
            return 0;
        at += length ? length : 1;
    }
    return 1;
}

static int run_at(const uint8_t *text, int64_t size, int64_t begin, int alphabet, const uint8_t *values,
                  struct llmz_run *run)
{
    /* Lines of a patch begin with a sign that is a digit. */
    int patch = alphabet == LLMZ_BASE64 && text[begin] == '+' && begin > 0 && text[begin - 1] == '\n' &&
                count_digits(text, size, begin, size, values) % 4 == 1;
    begin += patch;
    int64_t first = count_digits(text, size, begin, size, values);
    int64_t end = begin + first, digits = first, last_line = first;
    int64_t separator = separator_length(text, size, end, values);
    int64_t line = 0;
    if (separator) {
        separator += patch && end + separator < size && text[end + separator] == '+';
        int64_t start = end + separator;
        int64_t second = count_digits(text, size, start, size, values);
        int goes_on = size - start - second >= separator && !memcmp(text + end, text + start + second, (size_t)separator);
        line = second > first || (goes_on && second >= SHORTEST_SPAN) ? second : first;
        if (line < first || (second > first && !goes_on))
            line = 0; /* the second line is of another kind */
    }
    const uint8_t *between = text + end;
    for (int64_t start = end + separator; line && start < size; start = end + separator) {
        int64_t count = count_digits(text, size, start, line + 1, values);
        if (!count || count > line)
            break;
        int64_t stop = start + count;
        int64_t padding = 0;
        while (padding < 3 && stop + padding < size && text[stop + padding] == '=')
            padding++;
        int whole = alphabet < LLMZ_HEX_LOWER ? (digits + count + padding) % 4 == 0 : (digits + count) % 2 == 0;
        if (count < line && count < SHORTEST_SPAN && !whole)
            break; /* a word after the last line */
        end = stop;
        digits += count;
        last_line = count;
        if (count < line || size - end < separator || memcmp(between, text + end, (size_t)separator))
            break;
    }
    int64_t kept = whole_digits(text, end - 1, digits, alphabet, values);
    if (digits - kept >= last_line) {
        if (digits == last_line)
            return 0;
        end -= last_line + separator; /* the line before has more digits than can be over */
        digits -= last_line;
        kept = whole_digits(text, end - 1, digits, alphabet, values);
    }
    end -= digits - kept;
    int64_t needed = alphabet < LLMZ_HEX_LOWER ? -kept & 3 : 0;
    int64_t padding = 0;
    while (padding < needed && end + padding < size && text[end + padding] == '=')
        padding++;
    run->padded = needed && padding == needed;
    run->begin = begin;
    run->end = end + (run->padded ? padding : 0);
    run->bytes = kept * bits_of(alphabet) / 8;
    run->digits = kept;
    run->first = kept < first ? kept : first;
    run->line = kept > first ? line : 0;
    run->separator = kept > first ? separator : 0;
    return 1;
}

int llmz_find_run(const uint8_t *text, int64_t size, int64_t from, int alphabet, int64_t fewest_digits,
                  int64_t fewest_text_digits, struct llmz_run *run)
{
    uint8_t values[256];
    fill_values(alphabet, values);
    for (;;) {
        int64_t begin = find_span(text, size, from, values);
        if (begin >= size)
            return 0;
        if (begin > 0 && text[begin - 1] == '\\' && (text[begin] == 'n' || text[begin] == 'r' || text[begin] == 't'))
            begin++; /* the letter of an escaped line end */
        int64_t span = count_digits(text, size, begin, size, values);
        if (run_at(text, size, begin, alphabet, values, run)) {
            int text_inside = run->digits >= fewest_text_digits && stands_for_text(text, run, alphabet);
            if ((run->digits >= fewest_digits && looks_encoded(text, run, alphabet, values)) || text_inside)
                return 1;
            if (run->end - begin > span)
                span = run->end - begin;
        }
        from = begin + span;
    }
}

int64_t llmz_read_run(const uint8_t *text, const struct llmz_run *run, int alphabet, uint8_t *out)
{
    uint8_t values[256];
    fill_values(alphabet, values);
    int bits = bits_of(alphabet), held = 0;
    uint32_t holding = 0;
    int64_t written = 0, at = run->begin, left = run->line ? run->first : run->digits;
    for (int64_t i = 0; i < run->digits; i++) {
        if (!left) {
            at += run->separator; /* which may hold letters that are digits */
            left = run->line;
        }
        holding = (holding << bits | values[text[at++]]) & 0xFFFF;
        left--;
        held += bits;
        if (held >= 8) {
            held -= 8;
            out[written++] = (uint8_t)(holding >> held);
        }
    }
    return written;
}

int64_t llmz_run_digits(int64_t bytes, int alphabet)
{
    return (bytes * 8 + bits_of(alphabet) - 1) / bits_of(alphabet);
}

int64_t llmz_run_length(int64_t bytes, int alphabet, int64_t first, int64_t line, int64_t separator, int padded)
{
    int64_t digits = llmz_run_digits(bytes, alphabet);
    int64_t breaks = line && digits > first ? (digits - first + line - 1) / line : 0;
    return digits + breaks * separator + (padded ? -digits & 3 : 0);
}

void llmz_write_run(const uint8_t *data, int64_t bytes, int alphabet, int64_t first, int64_t line,
                    const uint8_t *separator, int64_t separator_length, int padded, uint8_t *out)
{
    const char *names = digits_of[alphabet];
    int bits = bits_of(alphabet), held = 0;
    uint32_t holding = 0;
    int64_t digits = llmz_run_digits(bytes, alphabet), read = 0, left = line ? first : digits;
    for (int64_t i = 0; i < digits; i++) {
        if (held < bits) {
            holding = (holding << 8 | (read < bytes ? data[read] : 0)) & 0xFFFF;
            read++;
            held += 8;
        }
        held -= bits;
        if (!left) {
            memcpy(out, separator, (size_t)separator_length);
            out += separator_length;
            left = line;
        }
        *out++ = (uint8_t)names[holding >> held & ((1u << bits) - 1)];
        left--;
    }
    for (int64_t i = padded ? -digits & 3 : 0; i; i--)
        *out++ = '=';
}

/* uuencode: a line is a character for its bytes, and four for three of them each. */

static uint8_t uu_character(uint32_t six_bits, int mode)
{
    return six_bits ? (uint8_t)(32 + six_bits) : mode == LLMZ_UU_BACKQUOTE ? '`' : ' ';
}

static int64_t uu_line(const uint8_t *data, int64_t bytes, int mode, uint8_t *out)
{
    uint8_t *start = out;
    *out++ = uu_character((uint32_t)bytes, mode);
    for (int64_t i = 0; i < bytes; i += 3) {
        uint32_t three = (uint32_t)data[i] << 16 | (i + 1 < bytes ? (uint32_t)data[i + 1] << 8 : 0) |
                         (i + 2 < bytes ? data[i + 2] : 0);
        for (int shift = 18; shift >= 0; shift -= 6)
            *out++ = uu_character(three >> shift & 63, mode);
    }
    if (mode == LLMZ_UU_STRIPPED)
        while (out > start && out[-1] == ' ')
            out--;
    return out - start;
}

/* Bytes of a line that comes back exactly, 0 where it does not. */
static int64_t uu_read_line(const uint8_t *line, int64_t length, int mode, uint8_t *out)
{
    if (length < 1 || line[0] <= 32 || line[0] > 95)
        return 0;
    int64_t bytes = line[0] - 32, full = 1 + (bytes + 2) / 3 * 4;
    if (length > full || (length < full && mode != LLMZ_UU_STRIPPED))
        return 0;
    uint8_t back[LLMZ_UU_LONGEST + 1], data[66] = {0};
    for (int64_t i = 0; i < full - 1; i += 4) {
        uint32_t three = 0;
        for (int64_t k = 0; k < 4; k++) {
            uint8_t character = 1 + i + k < length ? line[1 + i + k] : ' ';
            if (character < 32 || character > 96)
                return 0;
            three = three << 6 | ((character - 32u) & 63);
        }
        data[i / 4 * 3] = (uint8_t)(three >> 16);
        data[i / 4 * 3 + 1] = (uint8_t)(three >> 8);
        data[i / 4 * 3 + 2] = (uint8_t)three;
    }
    if (uu_line(data, bytes, mode, back) != length || memcmp(back, line, (size_t)length))
        return 0;
    memcpy(out, data, (size_t)bytes);
    return bytes;
}

/* The line at `start` without its line end, LF or CR LF. */
static int64_t line_length(const uint8_t *text, int64_t size, int64_t start, int crlf, int64_t *next)
{
    const uint8_t *end = memchr(text + start, '\n', (size_t)(size - start));
    int64_t length = (end ? end - text : size) - start;
    *next = start + length + (end != NULL);
    if (end && crlf)
        return length && text[start + length - 1] == '\r' ? length - 1 : -1;
    return length;
}

static int64_t uu_run(const uint8_t *text, int64_t size, int64_t begin, int crlf, int mode, struct llmz_uu_run *run)
{
    uint8_t data[66];
    int64_t full = 0, lines = 0, bytes = 0, end = begin, next;
    for (int64_t at = begin; at < size; at = next) {
        int64_t length = line_length(text, size, at, crlf, &next);
        int64_t count = uu_read_line(text + at, length, mode, data);
        if (!count || (full && count > full))
            break;
        full = full ? full : count;
        lines++;
        bytes += count;
        end = at + length;
        if (count < full)
            break;
    }
    *run = (struct llmz_uu_run){begin, end, bytes, full, mode, crlf};
    return lines;
}

/* Whether the line before `at` begins a file. Elsewhere only full lines of the usual length are looked for: capital
 * letters and signs in columns are like others. */
static int after_begin(const uint8_t *text, int64_t at)
{
    int64_t begin = at - 1;
    while (begin > 0 && at - begin < 256 && text[begin - 1] != '\n')
        begin--;
    return begin >= 0 && at - begin > 6 && !memcmp(text + begin, "begin ", 6);
}

int llmz_find_uu_run(const uint8_t *text, int64_t size, int64_t from, int64_t fewest_lines, struct llmz_uu_run *run)
{
    int64_t next;
    for (int64_t at = from; at < size; at = next) {
        uint8_t data[66];
        int64_t length = line_length(text, size, at, 0, &next);
        int crlf = length > 0 && text[at + length - 1] == '\r';
        length -= crlf;
        if (length < 20 || length > LLMZ_UU_LONGEST || text[at] <= 32 || text[at] > 95)
            continue;
        int begun = after_begin(text, at);
        if (!begun && text[at] != 'M')
            continue;
        struct llmz_uu_run best = {0, 0, 0, 0, 0, 0};
        int64_t most_lines = 0;
        for (int mode = 0; mode < (begun ? LLMZ_UU_MODES : LLMZ_UU_STRIPPED); mode++) {
            struct llmz_uu_run tried;
            if (!uu_read_line(text + at, length, mode, data))
                continue;
            int64_t lines = uu_run(text, size, at, crlf, mode, &tried);
            if (lines > most_lines) {
                most_lines = lines;
                best = tried;
            }
        }
        if (most_lines >= fewest_lines) {
            *run = best;
            return 1;
        }
    }
    return 0;
}

int64_t llmz_read_uu_run(const uint8_t *text, const struct llmz_uu_run *run, uint8_t *out)
{
    int64_t written = 0, next;
    for (int64_t at = run->begin; at < run->end; at = next) {
        int64_t length = line_length(text, run->end, at, run->crlf, &next);
        written += uu_read_line(text + at, length, run->mode, out + written);
    }
    return written;
}

int64_t llmz_write_uu_run(const uint8_t *data, int64_t bytes, int64_t full, int mode, int crlf, uint8_t *out,
                          int64_t room)
{
    uint8_t line[LLMZ_UU_LONGEST + 1];
    int64_t written = 0;
    for (int64_t at = 0; at < bytes; at += full) {
        int64_t ends = at ? 1 + (crlf != 0) : 0;
        int64_t length = uu_line(data + at, bytes - at < full ? bytes - at : full, mode, line);
        if (room - written < ends + length)
            return -1;
        if (ends == 2)
            out[written++] = '\r';
        if (ends)
            out[written++] = '\n';
        memcpy(out + written, line, (size_t)length);
        written += length;
    }
    return written;
}
