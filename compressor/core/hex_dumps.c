/* Dumps of bytes in lines (xxd, od, hexdump, objdump -s, tables of C): found by their first lines, read, written again exactly.
 *
 * Whatever is read is written again at once and compared, so what a form says is all that restores a line. */

#include "core.h"
#include "digits.h"

#include <string.h>

#define LONGEST_LINE 1024
#define LONGEST_OFFSET 22 /* 64 bits in octal */
#define FEWEST_BYTES 4 /* of a line */

static int radix_of(int digits)
{
    return digits == LLMZ_OCTAL ? 8 : digits == LLMZ_DECIMAL ? 10 : 16;
}

/* Widest numbers of 1, 2, 4 and 8 bytes. */
static int field_width(int digits, int group)
{
    static const int octal[] = {3, 6, 11, 22}, decimal[] = {3, 5, 10, 20};
    int power = group == 1 ? 0 : group == 2 ? 1 : group == 4 ? 2 : 3;
    return digits == LLMZ_CHARACTERS ? 3
           : digits == LLMZ_OCTAL    ? octal[power]
           : digits == LLMZ_DECIMAL  ? decimal[power]
                                     : 2 * group;
}

/* `value` in at least `width` characters; returns how many. */
static int write_number(uint64_t value, int radix, int upper, int width, uint8_t filling, uint8_t *out)
{
    uint8_t reversed[32];
    int count = 0;
    do {
        reversed[count++] = (uint8_t)(upper ? "0123456789ABCDEF" : "0123456789abcdef")[value % (unsigned)radix];
        value /= (unsigned)radix;
    } while (value);
    int filled = count < width ? width - count : 0;
    memset(out, filling, (size_t)filled);
    for (int i = 0; i < count; i++)
        out[filled + i] = reversed[count - 1 - i];
    return filled + count;
}

/* A byte as od -c has it, in three characters. */
static void write_character_field(uint8_t byte, uint8_t *out)
{
    static const char escaped[] = "\0\a\b\t\n\v\f\r", names[] = "0abtnvfr";
    const char *found = byte < 14 ? memchr(escaped, byte, sizeof escaped - 1) : NULL;
    out[0] = out[1] = ' ';
    out[2] = byte;
    if (found) {
        out[1] = '\\';
        out[2] = (uint8_t)names[found - escaped];
    } else if (byte < 32 || byte > 126) {
        write_number(byte, 8, 0, 3, '0', out);
    }
}

static int read_character_field(const uint8_t *field)
{
    static const char escaped[] = "\0\a\b\t\n\v\f\r", names[] = "0abtnvfr";
    if (field[0] != ' ') {
        int value = 0;
        for (int i = 0; i < 3; i++) {
            if (llmz_digit_value(field[i]) > 7)
                return -1;
            value = value * 8 + llmz_digit_value(field[i]);
        }
        return value < 256 ? value : -1;
    }
    if (field[1] == '\\') {
        const char *found = memchr(names, field[2], sizeof names - 1);
        return found ? escaped[found - names] : -1;
    }
    return field[2];
}

static int put_string(const struct llmz_string *string, uint8_t *out)
{
    memcpy(out, string->bytes, string->length);
    return string->length;
}

static uint64_t group_value(const struct llmz_dump *dump, const uint8_t *data)
{
    uint64_t value = 0;
    for (int i = 0; i < dump->group; i++)
        value = value << 8 | data[dump->reversed ? dump->group - 1 - i : i];
    return value;
}

/* Write a line of `count` bytes, from 1 to a full line's; its length, at most LONGEST_LINE. */
static int write_line(const struct llmz_dump *dump, uint64_t offset, const uint8_t *data, int count, uint8_t *out)
{
    int at = put_string(&dump->head, out);
    if (dump->offset_radix)
        at += write_number(offset, dump->offset_radix, dump->offset_upper, dump->offset_width, '0', out + at);
    at += put_string(&dump->middle, out + at);
    int width = field_width(dump->digits, dump->group), upper = dump->digits == LLMZ_UPPER;
    int groups = dump->per_line / dump->group, wanted = dump->filled ? groups : (count + dump->group - 1) / dump->group;
    for (int group = 0; group < wanted; group++) {
        if (group)
            at += put_string(dump->half && group == dump->half ? &dump->half_separator : &dump->separator, out + at);
        int first = group * dump->group, there = count - first;
        if (there <= 0) {
            /* What a shorter line lacks is filled with spaces, separators too. */
            const struct llmz_string *before = dump->half && group == dump->half ? &dump->half_separator : &dump->separator;
            memset(out + at - before->length, ' ', before->length);
            memset(out + at, ' ', (size_t)width);
        } else if (there < dump->group) {
            memset(out + at, ' ', (size_t)width);
            for (int i = 0; i < there; i++) /* only numbers of two digits a byte, first byte first, are cut */
                write_number(data[first + i], 16, upper, 2, '0', out + at + 2 * i);
            if (!dump->filled)
                width = 2 * there;
        } else if (dump->digits == LLMZ_CHARACTERS) {
            write_character_field(data[first], out + at);
        } else {
            write_number(group_value(dump, data + first), radix_of(dump->digits), upper, width,
                         dump->digits == LLMZ_DECIMAL ? ' ' : '0', out + at);
        }
        at += width;
    }
    at += put_string(&dump->before_text, out + at);
    if (dump->has_text) {
        for (int i = 0; i < count; i++)
            out[at++] = data[i] >= 32 && data[i] < 127 ? data[i] : dump->unprintable;
        at += put_string(&dump->after_text, out + at);
    }
    return at;
}

int llmz_dump_is_sound(const struct llmz_dump *dump)
{
    const struct llmz_string *strings[] = {&dump->head,           &dump->middle,      &dump->separator,
                                           &dump->half_separator, &dump->before_text, &dump->after_text};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        if (strings[i]->length > LLMZ_DUMP_STRING)
            return 0;
    int radix = dump->offset_radix, group = dump->group;
    if ((radix && radix != 8 && radix != 10 && radix != 16) || dump->offset_width > LONGEST_OFFSET)
        return 0;
    if ((group != 1 && group != 2 && group != 4 && group != 8) || dump->digits > LLMZ_CHARACTERS ||
        (dump->digits == LLMZ_CHARACTERS && group != 1))
        return 0;
    if (!dump->per_line || dump->per_line > LLMZ_DUMP_PER_LINE || dump->per_line % group)
        return 0;
    int groups = dump->per_line / group;
    int longest = dump->head.length + LONGEST_OFFSET + dump->middle.length +
                  groups * (field_width(dump->digits, group) + dump->separator.length) + dump->half_separator.length +
                  dump->before_text.length + dump->per_line + dump->after_text.length;
    return dump->half < groups && longest <= LONGEST_LINE;
}

/* Whether a line of `count` bytes can be written: numbers of several bytes are only cut where they stand byte by byte. */
static int can_cut(const struct llmz_dump *dump, int count)
{
    return count % dump->group == 0 || (dump->digits < LLMZ_OCTAL && !dump->reversed);
}

int64_t llmz_write_dump(const struct llmz_dump *dump, uint64_t offset, const uint8_t *data, int64_t bytes, uint8_t *out,
                        int64_t room)
{
    uint8_t line[LONGEST_LINE];
    int64_t written = 0;
    for (int64_t at = 0; at < bytes; at += dump->per_line) {
        int count = bytes - at < dump->per_line ? (int)(bytes - at) : dump->per_line;
        if (!can_cut(dump, count))
            return -1;
        int ends = at ? 1 + (dump->crlf != 0) : 0;
        int length = write_line(dump, offset + (uint64_t)at, data + at, count, line);
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

/* Bytes of the group at `field`, fewer where it is cut, 0 for none. */
static int read_group(const struct llmz_dump *dump, const uint8_t *field, int64_t length, uint8_t *data)
{
    int width = field_width(dump->digits, dump->group), group = dump->group;
    if (dump->digits == LLMZ_CHARACTERS) {
        int value = length < width ? -1 : read_character_field(field);
        data[0] = (uint8_t)value;
        return value >= 0;
    }
    if (dump->digits < LLMZ_OCTAL) {
        int count = 0;
        for (; count < group && 2 * count + 2 <= length; count++) {
            int high = llmz_digit_value(field[2 * count]), low = llmz_digit_value(field[2 * count + 1]);
            if (high > 15 || low > 15)
                break;
            data[dump->reversed ? group - 1 - count : count] = (uint8_t)(high << 4 | low);
        }
        return dump->reversed && count < group ? 0 : count;
    }
    if (length < width)
        return 0;
    uint64_t value = 0;
    int radix = radix_of(dump->digits), begun = 0;
    for (int i = 0; i < width; i++) {
        if (field[i] == ' ' && !begun)
            continue;
        int digit = llmz_digit_value(field[i]);
        if (digit >= radix || value > (UINT64_MAX - (unsigned)digit) / (unsigned)radix)
            return 0;
        value = value * (unsigned)radix + (unsigned)digit;
        begun = 1;
    }
    if (!begun)
        return 0;
    for (int i = 0; i < group; i++)
        data[dump->reversed ? i : group - 1 - i] = (uint8_t)(value >> 8 * i);
    return group;
}

/* Bytes of a line that comes back exactly with this offset, 0 where it does not. */
static int read_line(const struct llmz_dump *dump, uint64_t offset, const uint8_t *line, int64_t length, uint8_t *data)
{
    if (length < 1 || length > LONGEST_LINE)
        return 0;
    uint8_t back[LONGEST_LINE];
    int width = field_width(dump->digits, dump->group), groups = dump->per_line / dump->group, count = 0;
    int64_t at = dump->head.length + dump->middle.length;
    if (dump->offset_radix)
        at += write_number(offset, dump->offset_radix, dump->offset_upper, dump->offset_width, '0', back);
    if (memcmp(dump->head.bytes, line, length < dump->head.length ? (size_t)length : dump->head.length))
        return 0;
    for (int group = 0; group < groups; group++) {
        if (group)
            at += dump->half && group == dump->half ? dump->half_separator.length : dump->separator.length;
        if (at >= length)
            break;
        int there = read_group(dump, line + at, length - at, data + count);
        count += there;
        if (there < dump->group)
            break;
        at += width;
    }
    if (!count || !can_cut(dump, count) || write_line(dump, offset, data, count, back) != length)
        return 0;
    return memcmp(back, line, (size_t)length) ? 0 : count;
}

static int set_string(struct llmz_string *string, const uint8_t *bytes, int64_t length)
{
    if (length < 0 || length > LLMZ_DUMP_STRING)
        return 0;
    string->length = (uint8_t)length;
    memcpy(string->bytes, bytes, (size_t)length);
    return 1;
}

/* Digits of one case in a row. */
static int64_t count_hex(const uint8_t *line, int64_t length, int64_t start, int *upper)
{
    int64_t end = start;
    int small = 0, large = 0;
    while (end < length && llmz_digit_value(line[end]) < 16) {
        small |= line[end] >= 'a';
        large |= line[end] >= 'A' && line[end] <= 'F';
        if (small && large)
            break;
        end++;
    }
    if (small || large)
        *upper = large;
    return end - start;
}

/* What stands between two numbers, with the 0x or the like of the second; 0 where there are none. */
static int64_t gap_at(const uint8_t *line, int64_t length, int64_t start)
{
    int64_t end = start;
    while (end < length && end - start < 6 &&
           (line[end] == ' ' || line[end] == '\t' || line[end] == ',' || line[end] == ':' || line[end] == '-'))
        end++;
    if (length - end >= 2 && (line[end] == '0' || line[end] == '\\' || line[end] == '$') &&
        (line[end + 1] == 'x' || line[end + 1] == 'X'))
        end += 2;
    return end - start;
}

/* The groups of digits at `start`, and what is after them. */
static int find_groups(struct llmz_dump *dump, const uint8_t *line, int64_t length, int64_t start, int octal, int halved)
{
    int upper = dump->offset_upper;
    int64_t width = count_hex(line, length, start, &upper);
    if (octal) {
        if (width != 3 && width != 6 && width != 11)
            return 0;
        dump->digits = LLMZ_OCTAL;
        dump->group = width == 3 ? 1 : width == 6 ? 2 : 4;
    } else {
        if (width != 2 && width != 4 && width != 8 && width != 16)
            return 0;
        dump->group = (uint8_t)(width / 2);
    }
    int64_t end = start + width;
    int groups = 1;
    while (groups * dump->group < LLMZ_DUMP_PER_LINE) {
        int64_t gap = gap_at(line, length, end);
        int64_t digits = count_hex(line, length, end + gap, &upper);
        if (!gap || digits != width)
            break;
        int same = groups > 1 && gap == dump->separator.length && !memcmp(line + end, dump->separator.bytes, (size_t)gap);
        if (groups == 1) {
            if (!set_string(&dump->separator, line + end, gap))
                return 0;
        } else if (!same) {
            if (!halved || dump->half || !set_string(&dump->half_separator, line + end, gap))
                break;
            dump->half = (uint8_t)groups;
        }
        end += gap + width;
        groups++;
    }
    if (!octal)
        dump->digits = upper ? LLMZ_UPPER : LLMZ_LOWER;
    dump->per_line = (uint8_t)(groups * dump->group);
    if (dump->per_line < FEWEST_BYTES)
        return 0;
    int64_t left = length - end, text = dump->per_line;
    int64_t after = left > text && (line[length - 1] == '|' || line[length - 1] == '<') ? 1 : 0;
    dump->has_text = left > text + after;
    dump->filled = dump->has_text;
    int64_t before = dump->has_text ? left - text - after : left;
    return set_string(&dump->before_text, line + end, before) && set_string(&dump->after_text, line + length - after, after);
}

static int find_unprintable(const struct llmz_dump *dump, const uint8_t *line, int64_t length, const uint8_t *data)
{
    const uint8_t *text = line + length - dump->after_text.length - dump->per_line;
    for (int i = 0; dump->has_text && i < dump->per_line; i++)
        if (data[i] < 32 || data[i] > 126)
            return text[i];
    return '.';
}

/* Whether the form reads two lines, of which the second may be shorter. */
static int fits(struct llmz_dump *dump, uint64_t offset, const uint8_t *line, int64_t length, const uint8_t *next,
                int64_t next_length)
{
    uint8_t data[LLMZ_DUMP_PER_LINE + 8];
    if (!llmz_dump_is_sound(dump))
        return 0;
    if (dump->has_text) { /* a first reading without the text finds what stands for bytes that cannot be printed */
        struct llmz_dump bare = *dump;
        bare.has_text = bare.filled = 0;
        bare.before_text.length = 0;
        if (read_line(&bare, offset, line, length - dump->before_text.length - dump->after_text.length - dump->per_line,
                      data) != dump->per_line)
            return 0;
        dump->unprintable = (uint8_t)find_unprintable(dump, line, length, data);
    }
    return read_line(dump, offset, line, length, data) == dump->per_line &&
           read_line(dump, offset + dump->per_line, next, next_length, data) > 0;
}

/* Groups whose numbers are filled with spaces: od -c, od -t u1 and the like. */
static int find_spaced(struct llmz_dump *dump, uint64_t offset, const uint8_t *line, int64_t length, int64_t start,
                       const uint8_t *next, int64_t next_length)
{
    static const uint8_t groups[] = {1, 1, 2, 4};
    for (int i = 0; i < 4; i++) {
        struct llmz_dump tried = *dump;
        tried.digits = i ? LLMZ_DECIMAL : LLMZ_CHARACTERS;
        tried.group = groups[i];
        tried.reversed = groups[i] > 1;
        int width = field_width(tried.digits, tried.group) + 1;
        if ((length - start) % width || (length - start) / width * tried.group > LLMZ_DUMP_PER_LINE)
            continue;
        tried.per_line = (uint8_t)((length - start) / width * tried.group);
        tried.middle.length = tried.separator.length = 1;
        tried.middle.bytes[0] = tried.separator.bytes[0] = ' ';
        if (tried.per_line >= FEWEST_BYTES && fits(&tried, offset, line, length, next, next_length)) {
            *dump = tried;
            return 1;
        }
    }
    return 0;
}

static int find_form(struct llmz_dump *dump, uint64_t *offset, const uint8_t *line, int64_t length, const uint8_t *next,
                     int64_t next_length)
{
    static const uint8_t radices[] = {16, 8, 10, 0};
    int64_t head = 0;
    while (head < length && (line[head] == ' ' || line[head] == '\t'))
        head++;
    int crlf = dump->crlf;
    for (int i = 0; i < 4; i++) {
        struct llmz_dump plain;
        memset(&plain, 0, sizeof plain);
        plain.crlf = (uint8_t)crlf;
        plain.unprintable = '.';
        int64_t start = head;
        *offset = 0;
        if (radices[i]) {
            int upper = 0;
            if (length - start > 2 && line[start] == '0' && (line[start + 1] == 'x' || line[start + 1] == 'X'))
                start += 2;
            int64_t width = count_hex(line, length, start, &upper);
            if (width < 4 || width > 16 || !set_string(&plain.head, line, start))
                continue;
            plain.offset_radix = radices[i];
            plain.offset_width = (uint8_t)width;
            plain.offset_upper = (uint8_t)upper;
            int64_t at = start;
            for (; at < start + width && llmz_digit_value(line[at]) < radices[i]; at++)
                *offset = *offset * radices[i] + (unsigned)llmz_digit_value(line[at]);
            if (at < start + width)
                continue;
            start = at;
            if (find_spaced(&plain, *offset, line, length, start, next, next_length)) {
                *dump = plain;
                return 1;
            }
        }
        int64_t gap = radices[i] ? gap_at(line, length, start) : 0;
        if (!radices[i]) {
            gap = head + gap_at(line, length, head);
            start = 0;
        }
        if ((radices[i] && !gap) || !set_string(&plain.middle, line + start, gap))
            continue;
        start += gap;
        for (int way = 0; way < 8; way++) {
            struct llmz_dump tried = plain;
            int octal = way & 1, halved = !(way & 2);
            if (!find_groups(&tried, line, length, start, octal, halved))
                continue;
            /* Without text beside them numbers of several bytes are taken for those of this machine's kind, lowest first. */
            tried.reversed = tried.group > 1 && (tried.has_text ? way >> 2 : !(way >> 2));
            if (fits(&tried, *offset, line, length, next, next_length)) {
                *dump = tried;
                return 1;
            }
        }
    }
    return 0;
}

static int64_t line_length(const uint8_t *text, int64_t size, int64_t start, int64_t *next)
{
    const uint8_t *end = start < size ? memchr(text + start, '\n', (size_t)(size - start)) : NULL;
    int64_t length = (end ? end - text : size) - start;
    *next = start + length + (end != NULL);
    return length;
}

/* Whether a line may be one of a dump: what it begins with, at a glance. */
static int may_be_dump(const uint8_t *line, int64_t length)
{
    int64_t at = 0;
    while (at < length && (line[at] == ' ' || line[at] == '\t'))
        at++;
    if (length > LONGEST_LINE || length - at < 11 || at > LLMZ_DUMP_STRING - 2)
        return 0;
    if (line[at] == '0' && (line[at + 1] == 'x' || line[at + 1] == 'X'))
        return 1;
    int upper;
    int64_t width = count_hex(line, length, at, &upper);
    return width >= 2 && width <= 16 && at + width < length &&
           (line[at + width] == ' ' || line[at + width] == ':' || line[at + width] == '\t' || line[at + width] == ',' ||
            line[at + width] == '-');
}

/* Whether digits without offsets or 0x are hexadecimal, and no table of decimal numbers. */
static int is_hexadecimal(const struct llmz_dump *dump, const uint8_t *text, const struct llmz_dump_run *run)
{
    if (dump->offset_radix || dump->digits >= LLMZ_OCTAL ||
        (dump->separator.length > 1 && (dump->separator.bytes[dump->separator.length - 1] | 32) == 'x'))
        return 1;
    int64_t letters = 0, digits = 0;
    for (int64_t at = run->begin; at < run->end; at++) {
        letters += llmz_digit_value(text[at]) >= 10 && llmz_digit_value(text[at]) < 16;
        digits += text[at] > '0' && text[at] <= '9';
    }
    return letters > 2 && letters * 8 >= digits;
}

int llmz_find_dump(const uint8_t *text, int64_t size, int64_t from, int64_t fewest_lines, struct llmz_dump *dump,
                   struct llmz_dump_run *run)
{
    int64_t next;
    for (int64_t at = from; at < size; at = next) {
        int64_t after, length = line_length(text, size, at, &next), next_length;
        if (!may_be_dump(text + at, length) || next >= size)
            continue;
        next_length = line_length(text, size, next, &after);
        if (!may_be_dump(text + next, next_length))
            continue;
        int crlf = text[at + length - 1] == '\r';
        int next_ends = next + next_length < size && crlf && next_length && text[next + next_length - 1] == '\r';
        uint64_t offset;
        dump->crlf = (uint8_t)crlf;
        if (!find_form(dump, &offset, text + at, length - crlf, text + next, next_length - next_ends))
            continue;
        int64_t lines = llmz_continue_dump(text, size, at, dump, offset, run);
        if (lines >= fewest_lines && is_hexadecimal(dump, text, run))
            return 1;
        if (lines > 1) /* what these lines are was looked at: no line is looked at twice often */
            line_length(text, size, run->end, &next);
    }
    return 0;
}

int64_t llmz_continue_dump(const uint8_t *text, int64_t size, int64_t begin, const struct llmz_dump *dump,
                           uint64_t offset, struct llmz_dump_run *run)
{
    uint8_t data[LLMZ_DUMP_PER_LINE + 8];
    int64_t lines = 0, next;
    *run = (struct llmz_dump_run){begin, begin, 0, offset};
    for (int64_t at = begin; at < size; at = next) {
        int64_t length = line_length(text, size, at, &next);
        if (dump->crlf && at + length < size) {
            if (!length || text[at + length - 1] != '\r')
                break;
            length--;
        }
        int count = read_line(dump, offset, text + at, length, data);
        if (!count)
            break;
        lines++;
        run->bytes += count;
        run->end = at + length;
        offset += (unsigned)count;
        if (count < dump->per_line)
            break;
    }
    return lines;
}

int64_t llmz_read_dump(const uint8_t *text, const struct llmz_dump *dump, const struct llmz_dump_run *run, uint8_t *out)
{
    uint8_t data[LLMZ_DUMP_PER_LINE + 8];
    uint64_t offset = run->offset;
    int64_t written = 0, next;
    for (int64_t at = run->begin; at < run->end; at = next) {
        int64_t length = line_length(text, run->end, at, &next);
        if (dump->crlf && at + length < run->end)
            length--;
        int count = read_line(dump, offset, text + at, length, data);
        memcpy(out + written, data, (size_t)count);
        written += count;
        offset += (unsigned)count;
    }
    return written;
}

int llmz_dump_offset(const uint8_t *text, int64_t size, int64_t begin, const struct llmz_dump *dump, uint64_t *offset)
{
    int64_t at = begin + dump->head.length, digits = 0;
    *offset = 0;
    if (!dump->offset_radix || size - begin < dump->head.length ||
        memcmp(text + begin, dump->head.bytes, dump->head.length))
        return 0;
    for (; at < size && digits < 16 && llmz_digit_value(text[at]) < dump->offset_radix; at++, digits++)
        *offset = *offset * dump->offset_radix + (unsigned)llmz_digit_value(text[at]);
    return digits >= dump->offset_width;
}

static int64_t pack_string(const struct llmz_string *string, uint8_t *out)
{
    out[0] = string->length;
    memcpy(out + 1, string->bytes, string->length);
    return 1 + string->length;
}

int64_t llmz_pack_dump(const struct llmz_dump *dump, uint8_t *out)
{
    int64_t at = 0;
    int power = dump->group == 1 ? 0 : dump->group == 2 ? 1 : dump->group == 4 ? 2 : 3;
    out[at++] = (uint8_t)(dump->crlf | dump->reversed << 1 | dump->has_text << 2 | dump->filled << 3 |
                          dump->offset_upper << 4 | (dump->half > 0) << 5);
    out[at++] = (uint8_t)(dump->digits | power << 4);
    out[at++] = dump->per_line;
    out[at++] = dump->offset_radix;
    if (dump->offset_radix)
        out[at++] = dump->offset_width;
    at += pack_string(&dump->head, out + at);
    at += pack_string(&dump->middle, out + at);
    at += pack_string(&dump->separator, out + at);
    if (dump->half) {
        out[at++] = dump->half;
        at += pack_string(&dump->half_separator, out + at);
    }
    at += pack_string(&dump->before_text, out + at);
    if (dump->has_text) {
        out[at++] = dump->unprintable;
        at += pack_string(&dump->after_text, out + at);
    }
    return at;
}

/* Takes bytes off the front of what is left; zeros where nothing is. */
struct source {
    const uint8_t *bytes;
    int64_t left;
    int failed;
};

static uint8_t take_byte(struct source *source)
{
    if (!source->left) {
        source->failed = 1;
        return 0;
    }
    source->left--;
    return *source->bytes++;
}

static void take_string(struct source *source, struct llmz_string *string)
{
    string->length = take_byte(source);
    if (string->length > LLMZ_DUMP_STRING || string->length > source->left) {
        source->failed = 1;
        string->length = 0;
        return;
    }
    memcpy(string->bytes, source->bytes, string->length);
    source->bytes += string->length;
    source->left -= string->length;
}

int64_t llmz_unpack_dump(const uint8_t *packed, int64_t size, struct llmz_dump *dump)
{
    struct source source = {packed, size, 0};
    memset(dump, 0, sizeof *dump);
    uint8_t flags = take_byte(&source), numbers = take_byte(&source);
    dump->crlf = flags & 1;
    dump->reversed = flags >> 1 & 1;
    dump->has_text = flags >> 2 & 1;
    dump->filled = flags >> 3 & 1;
    dump->offset_upper = flags >> 4 & 1;
    dump->digits = numbers & 15;
    dump->group = (uint8_t)(1 << (numbers >> 4 & 3));
    dump->per_line = take_byte(&source);
    dump->offset_radix = take_byte(&source);
    if (dump->offset_radix)
        dump->offset_width = take_byte(&source);
    take_string(&source, &dump->head);
    take_string(&source, &dump->middle);
    take_string(&source, &dump->separator);
    if (flags & 32) {
        dump->half = take_byte(&source);
        take_string(&source, &dump->half_separator);
    }
    take_string(&source, &dump->before_text);
    if (dump->has_text) {
        dump->unprintable = take_byte(&source);
        take_string(&source, &dump->after_text);
    }
    int strange = flags >> 6 || numbers >> 6 || ((flags & 32) != 0) != (dump->half != 0);
    return source.failed || strange || !llmz_dump_is_sound(dump) ? -1 : size - source.left;
}
