/* Letters written as escapes of ASCII (\u0434, %D0%B4, =D0=B4, \xD0\xB4, &#1076;): as bytes and characters, and back. */

#include "core.h"
#include "digits.h"

#include <string.h>

struct form {
    const char *before;
    int digits; /* 0: any number, and a semicolon after them */
    int radix;
    int of_bytes, upper;
};

static const struct form forms[LLMZ_ESCAPES] = {
    {"\\u", 4, 16, 0, 0}, {"\\u", 4, 16, 0, 1}, {"%", 2, 16, 1, 0},   {"%", 2, 16, 1, 1},   {"=", 2, 16, 1, 1},
    {"\\x", 2, 16, 1, 0}, {"\\x", 2, 16, 1, 1}, {"&#", 0, 10, 0, 0}, {"&#x", 0, 16, 0, 0}, {"&#x", 0, 16, 0, 1},
};

#define MOST_DIGITS 7

/* The value of a digit in the form's radix and its case of letters; LLMZ_NO_DIGIT for another character. */
static int digit_of(uint8_t character, const struct form *form)
{
    int value = llmz_digit_value(character), is_upper = character < 'a';
    return value < 10 || (value < form->radix && is_upper == form->upper) ? value : LLMZ_NO_DIGIT;
}

/* Bytes of the escape at the start of `text`, and what it stands for; 0 where there is none. */
static int64_t read_escape(const struct form *form, const uint8_t *text, int64_t size, uint32_t *value)
{
    int64_t at = (int64_t)strlen(form->before), digits = 0;
    if (size <= at || memcmp(text, form->before, (size_t)at))
        return 0;
    *value = 0;
    for (; at < size && digits < (form->digits ? form->digits : MOST_DIGITS); at++, digits++) {
        int digit = digit_of(text[at], form);
        if (digit == LLMZ_NO_DIGIT || (!form->digits && !digits && !digit))
            break;
        *value = *value * (uint32_t)form->radix + (uint32_t)digit;
    }
    if (form->digits)
        return digits == form->digits ? at : 0;
    return digits && at < size && text[at] == ';' ? at + 1 : 0;
}

static int64_t write_escape(const struct form *form, uint32_t value, uint8_t *out)
{
    uint8_t reversed[16];
    int64_t at = (int64_t)strlen(form->before), digits = 0;
    memcpy(out, form->before, (size_t)at);
    for (; value || digits < form->digits; value /= (uint32_t)form->radix)
        reversed[digits++] = (uint8_t)(form->upper ? "0123456789ABCDEF" : "0123456789abcdef")[value % (uint32_t)form->radix];
    while (digits)
        out[at++] = reversed[--digits];
    if (!form->digits)
        out[at++] = ';';
    return at;
}

static int is_surrogate(uint32_t value)
{
    return value >= 0xD800 && value < 0xE000;
}

int64_t llmz_unescape(int kind, const uint8_t *text, int64_t size, uint8_t *out, int64_t *escapes)
{
    const struct form *form = &forms[kind];
    int64_t written = 0;
    *escapes = 0;
    for (int64_t at = 0; at < size;) {
        uint32_t value, second;
        int64_t length = text[at] == (uint8_t)form->before[0] ? read_escape(form, text + at, size - at, &value) : 0;
        if (length && !form->of_bytes && form->digits && value >= 0xD800 && value < 0xDC00) {
            int64_t more = read_escape(form, text + at + length, size - at - length, &second);
            if (more && second >= 0xDC00 && second < 0xE000) {
                value = 0x10000 + ((value & 0x3FF) << 10 | (second & 0x3FF));
                length += more;
            }
        }
        if (!length || value < 0x80 || value > (form->of_bytes ? 0xFFu : 0x10FFFFu) ||
            (!form->of_bytes && is_surrogate(value))) {
            out[written++] = text[at++];
            continue;
        }
        if (form->of_bytes)
            out[written++] = (uint8_t)value;
        else
            written += llmz_write_utf8(value, out + written);
        ++*escapes;
        at += length;
    }
    return written;
}

int64_t llmz_escape(int kind, const uint8_t *text, int64_t size, uint8_t *out, int64_t room)
{
    const struct form *form = &forms[kind];
    int64_t written = 0;
    for (int64_t at = 0; at < size;) {
        uint8_t bytes[32];
        int64_t count = 0, length = 1;
        if (text[at] >= 0x80 && form->of_bytes) {
            count = write_escape(form, text[at], bytes);
        } else if (text[at] >= 0x80) {
            uint32_t point;
            length = llmz_read_utf8(text + at, size - at, &point);
            if (!length)
                return -1;
            if (point >= 0x10000 && form->digits) {
                count = write_escape(form, 0xD800 + ((point - 0x10000) >> 10), bytes);
                count += write_escape(form, 0xDC00 + (point & 0x3FF), bytes + count);
            } else {
                count = write_escape(form, point, bytes);
            }
        } else {
            bytes[count++] = text[at];
        }
        if (count > room - written)
            return -1;
        memcpy(out + written, bytes, (size_t)count);
        written += count;
        at += length;
    }
    return written;
}

/* Lines of quoted-printable that go on after an equals sign.
 *
 * A writer breaks a line that is longer than `width`, as late as its equals sign fits; by how many units earlier it did
 * is noted down, LLMZ_NO_BREAK where it did not. A unit is an escape or a byte. */

struct quoted_line {
    int64_t end, next; /* of what stands in it without its line end, and where the next line starts */
};

static struct quoted_line find_line(const uint8_t *text, int64_t size, int64_t start, int crlf)
{
    int64_t from = start;
    while (from < size) {
        const uint8_t *found = memchr(text + from, '\n', (size_t)(size - from));
        if (!found)
            break;
        int64_t at = found - text;
        if (!crlf)
            return (struct quoted_line){at, at + 1};
        if (at > start && text[at - 1] == '\r')
            return (struct quoted_line){at - 1, at + 1};
        from = at + 1;
    }
    return (struct quoted_line){size, size};
}

static int is_upper_digit(uint8_t character)
{
    return character < 'a' && llmz_digit_value(character) != LLMZ_NO_DIGIT;
}

static int64_t unit_length(const uint8_t *text, int64_t at, int64_t end)
{
    return text[at] == '=' && end - at >= 3 && is_upper_digit(text[at + 1]) && is_upper_digit(text[at + 2]) ? 3 : 1;
}

/* Units of text[start:end] that fit after `column`; whether they are all. */
static int64_t units_that_fit(const uint8_t *text, int64_t start, int64_t end, int64_t column, int64_t width, int *all)
{
    int64_t units = 0, at = start;
    for (; at < end; units++) {
        int64_t length = unit_length(text, at, end);
        if (column + length > width)
            break;
        column += length;
        at += length;
    }
    *all = at >= end;
    return units;
}

int64_t llmz_join_quoted(const uint8_t *text, int64_t size, int64_t width, int crlf, uint8_t *earlier, int64_t *breaks,
                         int64_t *joined, uint8_t *out)
{
    int64_t written = 0;
    *breaks = *joined = 0;
    for (int64_t start = 0; start < size;) {
        struct quoted_line line = find_line(text, size, start, crlf);
        int64_t length = line.end - start, kept = line.next - start;
        int goes_on = length > 1 && length <= width && text[line.end - 1] == '=' && line.next > line.end && line.next < size;
        int cuts_escape = length > 1 && (text[line.end - 2] == '=' || (length > 2 && text[line.end - 3] == '='));
        if (goes_on && !cuts_escape) {
            struct quoted_line next = find_line(text, size, line.next, crlf);
            int soft = next.end > line.next && text[next.end - 1] == '=' && next.next > next.end;
            int all, whole;
            int64_t units = units_that_fit(text, line.next, next.end - soft, length - 1, width - 1, &all);
            units_that_fit(text, line.next, next.end - soft, length - 1, width, &whole);
            if (!all && (soft || !whole) && units < LLMZ_NO_BREAK) {
                kept = length - 1;
                earlier[(*breaks)++] = (uint8_t)units;
                ++*joined;
            }
        }
        if (kept != length - 1 && length > width)
            earlier[(*breaks)++] = LLMZ_NO_BREAK;
        memcpy(out + written, text + start, (size_t)kept);
        written += kept;
        start = line.next;
    }
    return written;
}

int64_t llmz_break_quoted(const uint8_t *text, int64_t size, int64_t width, int crlf, const uint8_t *earlier,
                          int64_t breaks, uint8_t *out, int64_t room)
{
    int64_t written = 0, broken = 0, starts[LLMZ_QUOTED_WIDTH + 1];
    for (int64_t start = 0; start < size;) {
        /* No further than the width is looked for the line's end, or long lines would be looked through again and again. */
        int64_t near = size - start > 4 * width ? start + 4 * width : size;
        struct quoted_line line = find_line(text, near, start, crlf);
        int64_t units = 0, at = start;
        while (at < line.end && at - start <= width - 1) {
            starts[units++] = at;
            at += unit_length(text, at, line.end);
        }
        int64_t back = 0, taken = 0;
        if (line.end - start > width) {
            back = !earlier ? 0 : broken < breaks ? earlier[broken] : LLMZ_NO_BREAK;
            broken++;
            if (back != LLMZ_NO_BREAK) {
                int64_t fit = at - start <= width - 1 ? units : units - 1;
                if (back >= fit)
                    return -1;
                taken = (fit - back < units ? starts[fit - back] : at) - start;
            }
        }
        if (!taken)
            line = find_line(text, size, start, crlf);
        int64_t kept = taken ? taken : line.next - start, ends = taken ? 2 + (crlf != 0) : 0;
        if (room - written < kept + ends)
            return -1;
        memcpy(out + written, text + start, (size_t)kept);
        written += kept;
        if (taken) {
            out[written++] = '=';
            if (crlf)
                out[written++] = '\r';
            out[written++] = '\n';
        }
        start += kept;
    }
    return earlier && broken != breaks ? -1 : written;
}
