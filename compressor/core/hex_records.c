/* Intel HEX and Motorola S-records, the text formats of firmware: data records taken out as their bytes, and written again.
 *
 * A record that is read here is what is written for its address and bytes; all other lines stay. So lengths and addresses
 * have to be noted down only where they are not those that follow from the records before. */

#include "core.h"
#include "digits.h"

#include <string.h>

#define LONGEST_RECORD (2 + 2 * 260) /* in characters, without the line end */
#define SHORTEST_RECORD 12           /* S1, with one byte */
#define LONGEST_DATA 255
#define NOT_TAKEN_COST 8 /* bytes that a record costs that stays as it is, where a run for itself costs one */

enum { HAS_LOWER = 1, HAS_UPPER = 2 };

struct record {
    int kind, cases, count;
    uint32_t address;
    uint8_t data[LONGEST_RECORD / 2];
};

static int case_of(uint8_t digit)
{
    return digit >= 'a' ? HAS_LOWER : digit >= 'A' ? HAS_UPPER : 0;
}

static int narrowest(uint32_t address)
{
    return address >> 24 ? LLMZ_S3 : address >> 16 ? LLMZ_S2 : LLMZ_S1;
}

/* Bytes of an address. */
static int address_width(int kind)
{
    return kind == LLMZ_INTEL_HEX ? 2 : kind + 1;
}

static uint32_t address_mask(int kind)
{
    int width = kind == LLMZ_S_NARROWEST ? 4 : address_width(kind);
    return UINT32_MAX >> 8 * (4 - width);
}

/* Read a line without its line end. False where it is no data record with a correct checksum. */
static int read_record(const uint8_t *line, int64_t length, struct record *record)
{
    if (length < SHORTEST_RECORD || length > LONGEST_RECORD)
        return 0;
    int intel = line[0] == ':', mark = intel ? 1 : 2, bytes = (int)(length - mark) / 2;
    if ((length - mark) % 2 || (!intel && (line[0] != 'S' || line[1] < '1' || line[1] > '3')))
        return 0;
    uint8_t read[LONGEST_RECORD / 2];
    unsigned sum = 0;
    record->cases = 0;
    for (int i = 0; i < bytes; i++) {
        const uint8_t *pair = line + mark + 2 * i;
        int high = llmz_digit_value(pair[0]), low = llmz_digit_value(pair[1]);
        if (high > 15 || low > 15)
            return 0;
        record->cases |= case_of(pair[0]) | case_of(pair[1]);
        read[i] = (uint8_t)(high << 4 | low);
        sum += read[i];
    }
    record->kind = intel ? LLMZ_INTEL_HEX : LLMZ_S1 + line[1] - '1';
    int width = address_width(record->kind), head = 1 + width + intel;
    record->count = bytes - head - 1;
    if (record->count < 1 || read[0] != (intel ? record->count : bytes - 1) || (intel && read[3]) ||
        (sum & 255) != (intel ? 0 : 255))
        return 0;
    record->address = 0;
    for (int i = 0; i < width; i++)
        record->address = record->address << 8 | read[1 + i];
    memcpy(record->data, read + head, (size_t)record->count);
    return 1;
}

/* Whether a record is what write_record makes of its address and bytes. */
static int fits(const struct llmz_hex_records *form, const struct record *record)
{
    int kind = form->kind == LLMZ_S_NARROWEST ? narrowest(record->address) : form->kind;
    return record->kind == kind && record->count <= form->full &&
           !(record->cases & (form->upper ? HAS_LOWER : HAS_UPPER));
}

/* The record and its line end; at most LONGEST_RECORD + 2 characters. */
static int write_record(const struct llmz_hex_records *form, uint32_t address, const uint8_t *data, int count, uint8_t *out)
{
    const char *digits = form->upper ? "0123456789ABCDEF" : "0123456789abcdef";
    int kind = form->kind == LLMZ_S_NARROWEST ? narrowest(address) : form->kind, intel = kind == LLMZ_INTEL_HEX;
    int width = address_width(kind), bytes = 0, at = 0;
    uint8_t written[LONGEST_RECORD / 2];
    unsigned sum = 0;
    written[bytes++] = (uint8_t)(intel ? count : width + count + 1);
    for (int i = width - 1; i >= 0; i--)
        written[bytes++] = (uint8_t)(address >> 8 * i);
    if (intel)
        written[bytes++] = 0;
    memcpy(written + bytes, data, (size_t)count);
    bytes += count;
    for (int i = 0; i < bytes; i++)
        sum += written[i];
    written[bytes++] = (uint8_t)(intel ? 0u - sum : ~sum);
    out[at++] = intel ? ':' : 'S';
    if (!intel)
        out[at++] = (uint8_t)('1' + kind - LLMZ_S1);
    for (int i = 0; i < bytes; i++) {
        out[at++] = (uint8_t)digits[written[i] >> 4];
        out[at++] = (uint8_t)digits[written[i] & 15];
    }
    if (form->crlf)
        out[at++] = '\r';
    out[at++] = '\n';
    return at;
}

int llmz_hex_records_are_sound(const struct llmz_hex_records *form)
{
    if (form->kind >= LLMZ_HEX_RECORD_KINDS || !form->full)
        return 0;
    /* The one byte that says how many follow counts address and checksum of an S-record, too. */
    int widest = form->kind == LLMZ_S_NARROWEST ? LLMZ_S3 : form->kind;
    return form->kind == LLMZ_INTEL_HEX || form->full + address_width(widest) + 1 <= LONGEST_DATA;
}

/* The line at `start`: where the next begins; `length` without the line end, -1 for the last line if it has none. */
static int64_t next_line(const uint8_t *text, int64_t size, int64_t start, int64_t *length, int *crlf)
{
    const uint8_t *end = memchr(text + start, '\n', (size_t)(size - start));
    *crlf = 0;
    *length = -1;
    if (!end)
        return size;
    *length = end - text - start;
    *crlf = *length > 0 && end[-1] == '\r';
    *length -= *crlf;
    return end - text + 1;
}

int64_t llmz_find_hex_records(const uint8_t *text, int64_t size, struct llmz_hex_records *form)
{
    int64_t lengths[LLMZ_HEX_RECORD_KINDS][LONGEST_DATA + 1] = {{0}}, records[LLMZ_HEX_RECORD_KINDS] = {0};
    int64_t upper = 0, crlfs = 0, next, length;
    for (int64_t at = 0; at < size; at = next) {
        struct record record;
        int crlf;
        next = next_line(text, size, at, &length, &crlf);
        if (!read_record(text + at, length, &record))
            continue;
        int both = record.kind != LLMZ_INTEL_HEX && record.kind == narrowest(record.address);
        for (int i = 0; i <= both; i++) {
            int kind = i ? LLMZ_S_NARROWEST : record.kind;
            records[kind]++;
            lengths[kind][record.count]++;
        }
        upper += (record.cases == HAS_UPPER) - (record.cases == HAS_LOWER);
        crlfs += crlf ? 1 : -1;
    }
    int kind = 0;
    for (int i = 1; i < LLMZ_HEX_RECORD_KINDS; i++)
        if (records[i] > records[kind])
            kind = i;
    *form = (struct llmz_hex_records){(uint8_t)kind, upper >= 0, crlfs > 0, 0};
    int64_t shorter = 0, least = INT64_MAX;
    for (int full = 1; full <= LONGEST_DATA; full++) {
        int64_t longer = records[kind] - shorter - lengths[kind][full], cost = shorter + NOT_TAKEN_COST * longer;
        struct llmz_hex_records tried = *form;
        tried.full = (uint8_t)full;
        if (lengths[kind][full] && cost < least && llmz_hex_records_are_sound(&tried)) {
            least = cost;
            *form = tried;
        }
        shorter += lengths[kind][full];
    }
    return form->full ? records[kind] : 0;
}

static int64_t put_number(uint64_t number, uint8_t *out)
{
    int64_t count = 0;
    for (; number >= 128; number >>= 7)
        out[count++] = (uint8_t)(number | 128);
    out[count++] = (uint8_t)number;
    return count;
}

/* Records that follow from the first one, which may have lines before it that stay. */
struct run {
    int64_t lines, bytes;
    uint32_t address;
    int jumps;
};

static int64_t put_run(const struct run *run, uint8_t *out)
{
    int64_t at = put_number((uint64_t)run->bytes << 2 | (unsigned)(run->lines > 0) << 1 | (unsigned)run->jumps, out);
    if (run->lines)
        at += put_number((uint64_t)run->lines, out + at);
    if (run->jumps)
        at += put_number(run->address, out + at);
    return at;
}

void llmz_take_hex_records(const uint8_t *text, int64_t size, const struct llmz_hex_records *form,
                           struct llmz_hex_streams *out)
{
    struct run run = {0};
    uint32_t expected = 0;
    int ended = 0; /* the run's last record is short */
    int64_t next, length;
    out->kept_size = out->runs_size = out->data_size = 0;
    for (int64_t at = 0; at < size; at = next) {
        struct record record;
        int crlf;
        next = next_line(text, size, at, &length, &crlf);
        int taken = read_record(text + at, length, &record) && crlf == form->crlf && fits(form, &record);
        if (run.bytes && (!taken || ended || record.address != expected)) {
            out->runs_size += put_run(&run, out->runs + out->runs_size);
            run = (struct run){0};
        }
        if (!taken) {
            memcpy(out->kept + out->kept_size, text + at, (size_t)(next - at));
            out->kept_size += next - at;
            run.lines++;
            continue;
        }
        if (!run.bytes) {
            run.jumps = record.address != expected;
            run.address = record.address;
        }
        memcpy(out->data + out->data_size, record.data, (size_t)record.count);
        out->data_size += record.count;
        run.bytes += record.count;
        ended = record.count < form->full;
        expected = (record.address + (unsigned)record.count) & address_mask(form->kind);
    }
    if (run.bytes)
        out->runs_size += put_run(&run, out->runs + out->runs_size);
}

/* A number of at most `most` off the front of runs[*at .. size); -1 where there is none, or it has more bytes than it needs. */
static int64_t take_number(const uint8_t *runs, int64_t size, int64_t *at, int64_t most)
{
    uint64_t number = 0;
    for (int shift = 0; *at < size && shift < 63; shift += 7) {
        uint8_t byte = runs[(*at)++];
        number |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return number > (uint64_t)most || (shift && !byte) ? -1 : (int64_t)number;
    }
    return -1;
}

/* Where so many lines from `start` on end; -1 where there are fewer. */
static int64_t pass_lines(const uint8_t *text, int64_t size, int64_t start, int64_t lines)
{
    for (; lines && start < size; lines--) {
        const uint8_t *end = memchr(text + start, '\n', (size_t)(size - start));
        start = end ? end - text + 1 : size;
    }
    return lines ? -1 : start;
}

int64_t llmz_put_hex_records(const struct llmz_hex_records *form, const struct llmz_hex_streams *streams, uint8_t *out,
                             int64_t room)
{
    const uint32_t mask = address_mask(form->kind);
    int64_t kept = 0, at = 0, done = 0, written = 0;
    uint32_t expected = 0;
    while (at < streams->runs_size) {
        int64_t head = take_number(streams->runs, streams->runs_size, &at, INT64_MAX), bytes = head / 4, end = kept;
        if (bytes < 1 || bytes > streams->data_size - done) /* no number, -1, is no bytes either */
            return -1;
        if (head & 2) {
            int64_t lines = take_number(streams->runs, streams->runs_size, &at, INT64_MAX);
            end = lines < 1 ? -1 : pass_lines(streams->kept, streams->kept_size, kept, lines);
        }
        if (end < 0 || end - kept > room - written)
            return -1;
        memcpy(out + written, streams->kept + kept, (size_t)(end - kept));
        written += end - kept;
        kept = end;
        if (head & 1) {
            int64_t address = take_number(streams->runs, streams->runs_size, &at, mask);
            if (address < 0)
                return -1;
            expected = (uint32_t)address;
        }
        while (bytes) {
            uint8_t line[LONGEST_RECORD + 2];
            int count = bytes < form->full ? (int)bytes : form->full;
            int length = write_record(form, expected, streams->data + done, count, line);
            if (length > room - written)
                return -1;
            memcpy(out + written, line, (size_t)length);
            written += length;
            done += count;
            bytes -= count;
            expected = (expected + (unsigned)count) & mask;
        }
    }
    if (done != streams->data_size || streams->kept_size - kept > room - written)
        return -1;
    memcpy(out + written, streams->kept + kept, (size_t)(streams->kept_size - kept));
    return written + streams->kept_size - kept;
}
