/* Letters written as escapes of ASCII (\u0434, %D0%B4, =D0=B4, \xD0\xB4, &#1076;): as bytes and characters, and back. */

#include "core.h"

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

static int digit_of(uint8_t character, const struct form *form)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    uint8_t first = form->upper ? 'A' : 'a';
    return form->radix == 16 && character >= first && character < first + 6 ? character - first + 10 : -1;
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
        if (digit < 0 || (!form->digits && !digits && !digit))
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
