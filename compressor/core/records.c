/* Fields of records, and the numbers that they should hold. */

#include "records.h"

#include "bit_models.h"
#include "digits.h"

#include <string.h>

enum { LONGEST_ADDRESS = 8, LONGEST_BYTES = 16, LONGEST_FIELD = 32, LONGEST_PREFIX = 3, MOST_DIGITS = 15, MOST_BLANKS = 16, MOST_HITS = 7 };

static bool separates(unsigned byte)
{
    switch (byte) {
    case ' ': case '\t': case '\n': case '\r': case ',': case ';': case ':': case '=': case '"': case '\'':
    case '<': case '>': case '(': case ')': case '[': case ']': case '{': case '}': case '/': case '|': case '\\':
        return true;
    default:
        return false;
    }
}

static bool is_digit(unsigned byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_latin(unsigned byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

void llmz_records_begin(llmz_records *r, uint32_t position)
{
    memset(r, 0, sizeof *r);
    for (int i = 0; i < 2; i++)
        r->above[i] = r->kin[i] = r->line[i] = LLMZ_NOWHERE;
    r->line[0] = r->fed = position;
    r->line_2 = LLMZ_NOWHERE;
    for (int i = 0; i < LLMZ_PREDICTIONS; i++)
        r->predictions[i].course = LLMZ_UNKNOWN;
}

/* Move a place in an earlier line on by a byte of the present one: fields stay beside each other. */
static uint32_t follow(uint32_t place, const uint8_t *bytes, uint32_t position)
{
    if (place == LLMZ_NOWHERE || place >= position - 1)
        return LLMZ_NOWHERE;
    unsigned byte = bytes[position - 1], there = bytes[place];
    if (there == byte)
        return place + 1;
    if (there == '\n')
        return place;
    if (!separates(byte))
        return separates(there) ? place : place + 1;
    for (uint32_t n = 0; n < LONGEST_FIELD && place < position - 1 && !separates(bytes[place]); n++)
        place++;
    return place < position - 1 && bytes[place] != '\n' && (bytes[place] == byte || separates(there)) ? place + 1 : place;
}

static uint32_t after_blanks(uint32_t place, const uint8_t *bytes, uint32_t position)
{
    for (uint32_t n = 0; n < MOST_BLANKS && place < position && bytes[place] == ' '; n++)
        place++;
    return place;
}

static uint64_t hash_of_field(uint32_t place, const uint8_t *bytes, uint32_t position)
{
    uint64_t hash = 0;
    if (place == LLMZ_NOWHERE)
        return 0;
    place = after_blanks(place, bytes, position);
    for (uint32_t n = 0; n < LONGEST_FIELD && place < position && !separates(bytes[place]); n++, place++)
        hash = llmz_hash(hash, bytes[place]);
    return hash;
}

/* Read the number that a field begins with. */
static llmz_number read_number(uint32_t place, const uint8_t *bytes, uint32_t position)
{
    llmz_number n = {0};
    if (place == LLMZ_NOWHERE)
        return n;
    uint32_t at = after_blanks(place, bytes, position), start = at;
    n.start = start;
    while (at < position && n.prefix < LONGEST_PREFIX && is_latin(bytes[at])) {
        at++;
        n.prefix++;
    }
    bool negative = at < position && bytes[at] == '-', point = false;
    n.signed_ = at < position && (negative || bytes[at] == '+');
    at += n.signed_;
    n.padded = at < position && bytes[at] == '0';
    for (; at < position && n.digits + n.decimals <= MOST_DIGITS; at++) {
        if (is_digit(bytes[at])) {
            n.value = n.value * 10 + (bytes[at] - '0');
            if (point)
                n.decimals++;
            else
                n.digits++;
        } else if (bytes[at] == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    n.end = at;
    while (at < position && at - start < LLMZ_NUMBER_BYTES && !separates(bytes[at]))
        at++;
    n.length = at - start;
    n.rest = at - n.end;
    n.known = n.digits > 0 && n.digits + n.decimals <= MOST_DIGITS && n.length < LLMZ_NUMBER_BYTES &&
              (n.decimals > 0) == point;
    if (negative)
        n.value = -n.value;
    return n;
}

static bool go_together(const llmz_number *a, const llmz_number *b, const uint8_t *bytes)
{
    return a->known && b->known && a->decimals == b->decimals && a->rest == b->rest && a->prefix == b->prefix &&
           memcmp(bytes + a->end, bytes + b->end, a->rest) == 0 &&
           memcmp(bytes + a->start, bytes + b->start, a->prefix) == 0;
}

/* Write `value` in the manner of `like`. */
static void predict(llmz_prediction *p, int64_t value, const llmz_number *like, const uint8_t *bytes)
{
    uint8_t digits[24];
    uint32_t count = 0, least = like->decimals + (like->padded ? like->digits : 1);
    uint64_t rest = (uint64_t)(value < 0 ? -value : value);
    while (count < 20 && (rest > 0 || count < least)) {
        digits[count++] = (uint8_t)('0' + rest % 10);
        rest /= 10;
    }
    p->length = p->at = 0;
    p->course = LLMZ_UNKNOWN;
    if (like->prefix + count + 2 + like->rest > LLMZ_NUMBER_BYTES)
        return;
    memcpy(p->text, bytes + like->start, like->prefix);
    p->length = like->prefix;
    if (value < 0)
        p->text[p->length++] = '-';
    while (count > 0) {
        p->text[p->length++] = digits[--count];
        if (count > 0 && count == like->decimals)
            p->text[p->length++] = '.';
    }
    memcpy(p->text + p->length, bytes + like->end, like->rest);
    p->length += like->rest;
    p->course = LLMZ_EQUAL;
}

static void predict_from(llmz_prediction *p, const uint32_t places[2], const uint8_t *bytes, uint32_t position)
{
    llmz_number last = read_number(places[0], bytes, position), before = read_number(places[1], bytes, position);
    p->course = LLMZ_UNKNOWN;
    if (last.known)
        predict(p, go_together(&last, &before, bytes) ? 2 * last.value - before.value : last.value, &last, bytes);
}

static void predict_series(llmz_prediction *p, const llmz_number *n, const uint8_t *bytes)
{
    p->course = LLMZ_UNKNOWN;
    if (!go_together(&n[0], &n[1], bytes))
        return;
    if (go_together(&n[1], &n[2], bytes))
        predict(p, 3 * n[0].value - 3 * n[1].value + n[2].value, &n[0], bytes);
    else
        predict(p, 2 * n[0].value - n[1].value, &n[0], bytes);
}

/* Read the field of `length` bytes that ends before `end`. */
static void follow_listing(llmz_listing *listing, uint32_t field, const uint8_t *bytes, uint32_t end, uint32_t length)
{
    const uint32_t longest = field == 0 ? LONGEST_ADDRESS : LONGEST_BYTES;
    uint64_t value = 0;
    bool hexadecimal = length <= longest, capital = false;
    for (uint32_t at = end - length; hexadecimal && at < end; at++) {
        unsigned digit = (unsigned)llmz_digit_value(bytes[at]);
        hexadecimal = digit < 16;
        capital = capital || (bytes[at] >= 'A' && bytes[at] <= 'F');
        value = value << 4 | (digit & 15);
    }
    if (field == 0 && hexadecimal)
        *listing = (llmz_listing){value, length, 0, bytes[end - length] == '0', capital, true};
    else if (field == 0 || !hexadecimal || length % 2 != 0)
        listing->counting = false;
    else if (listing->counting)
        listing->bytes += length / 2;
}

static void predict_address(llmz_prediction *p, const llmz_listing *listing)
{
    const char *digits = listing->capital ? "0123456789ABCDEF" : "0123456789abcdef";
    uint64_t next = listing->address + listing->bytes;
    uint32_t length = listing->padded ? listing->digits : 1;
    while (length < 16 && next >> (4 * length))
        length++;
    for (uint32_t i = 0; i < length; i++)
        p->text[i] = (uint8_t)digits[next >> (4 * (length - 1 - i)) & 15];
    p->length = length;
    p->at = 0;
    p->course = LLMZ_EQUAL;
}

static void compare(llmz_prediction *p, unsigned byte)
{
    if (p->course == LLMZ_UNKNOWN)
        return;
    if (p->at >= p->length) {
        p->course = LLMZ_UNKNOWN;
        return;
    }
    unsigned expected = p->text[p->at++];
    if (p->course == LLMZ_EQUAL && byte != expected)
        p->course = byte == expected + 1 ? LLMZ_ABOVE : byte + 1 == expected ? LLMZ_BELOW : LLMZ_APART;
}

static void end_field(llmz_records *r, const uint8_t *bytes, uint32_t position)
{
    for (int i = 0; i < LLMZ_PREDICTIONS; i++) {
        llmz_prediction *p = &r->predictions[i];
        uint8_t *hits = &p->hits[r->field % LLMZ_FIELDS];
        if (p->course == LLMZ_EQUAL && p->at == p->length)
            *hits += *hits < MOST_HITS;
        else
            *hits /= 2;
    }
    follow_listing(&r->listing, r->field, bytes, position - 1, r->offset);
    llmz_number number = read_number(position - 1 - r->offset, bytes, position - 1);
    if (number.known) {
        r->before[2] = r->before[1];
        r->before[1] = r->before[0];
        r->before[0] = number;
    }
    r->field++;
    r->offset = r->digits = 0;
    r->field_text = 0;
    r->equal_above = r->equal_kin = true;
}

static void end_head(llmz_records *r, uint32_t position)
{
    llmz_head *head = &r->heads[r->head >> 20 & (LLMZ_HEADS - 1)];
    uint32_t check = (uint32_t)(r->head >> 32) | 1;
    r->head_done = true;
    bool found = head->check == check;
    r->kin[0] = found ? head->place : LLMZ_NOWHERE;
    r->kin[1] = found ? head->place_before : LLMZ_NOWHERE;
    head->place_before = r->kin[0];
    head->place = position;
    head->check = check;
}

static void follow_cell(llmz_records *r, unsigned byte, bool ends_line)
{
    if (ends_line) {
        r->cell = 0;
        r->cell_text = r->cell_before = r->cell_key = 0;
    } else if (byte == '\t' || byte == ',' || byte == ';') {
        if (r->cell == 1)
            r->cell_key = r->cell_text;
        r->cell_before = r->cell_text;
        r->cell_text = 0;
        r->cell++;
    } else {
        r->cell_text = llmz_hash(r->cell_text, byte);
    }
}

static void end_line(llmz_records *r, uint32_t position)
{
    r->above[1] = r->kin[1] = r->line[1];
    r->above[0] = r->kin[0] = r->line[0];
    r->line_2 = r->line[1];
    r->line[1] = r->line[0];
    r->line[0] = position;
    r->field = 0;
    r->head = 0;
    r->head_done = false;
}

static void end_token(llmz_records *r)
{
    memmove(r->tokens + 1, r->tokens, 3 * sizeof *r->tokens);
    r->tokens[0] = r->token;
    if (r->token_is_name) {
        r->names[1] = r->names[0];
        r->names[0] = r->token;
    }
    r->token_shapes = r->token_shapes << 4 | (uint64_t)r->token_is_name << 3 | r->token_bytes;
    r->token = 0;
    r->token_bytes = 0;
}

static void follow_token(llmz_records *r, unsigned byte)
{
    enum { ONE_SEPARATOR = 1 << 8, MOST_SEPARATORS = 256 * ONE_SEPARATOR, LONGEST = 7 };
    unsigned class = llmz_byte_class(byte);
    bool letter = llmz_is_letter(class);
    if (letter)
        r->letter = byte;
    if (letter || class == LLMZ_CLASS_DIGIT || byte == '.') {
        if (r->token_bytes == 0)
            r->token_is_name = letter;
        r->token = llmz_hash(r->token, byte);
        r->token_bytes += r->token_bytes < LONGEST;
        return;
    }
    r->separators = r->separators << 8 | byte;
    r->letter += r->letter < MOST_SEPARATORS ? ONE_SEPARATOR : 0;
    if (r->token_bytes > 0)
        end_token(r);
}

static void begin_field(llmz_records *r, const uint8_t *bytes, uint32_t position)
{
    r->whole_above = hash_of_field(r->above[0], bytes, position);
    r->whole_kin = hash_of_field(r->kin[0], bytes, position);
    predict_from(&r->predictions[0], r->above, bytes, position);
    if (r->kin[0] != r->above[0])
        predict_from(&r->predictions[1], r->kin, bytes, position);
    else
        r->predictions[1].course = LLMZ_UNKNOWN;
    if (r->field == 0 && r->listing.bytes > 0)
        predict_address(&r->predictions[2], &r->listing);
    else
        predict_series(&r->predictions[2], r->before, bytes);
}

void llmz_records_go_on(llmz_records *r, const uint8_t *bytes, uint32_t end, uint32_t position)
{
    if (r->line[0] == end) {
        r->line[0] = r->line[1];
        r->line[1] = r->line_2;
    }
    end_line(r, position);
    follow_cell(r, '\n', true);
    r->token = r->field_text = 0;
    r->token_bytes = 0;
    r->offset = r->digits = 0;
    r->equal_above = r->equal_kin = true;
    r->fed = position;
    begin_field(r, bytes, position);
}

void llmz_records_append(llmz_records *r, const uint8_t *bytes, uint32_t position)
{
    const unsigned byte = bytes[position - 1];
    const bool ends_line = llmz_ends_line(r, byte, position);
    if (byte == '\n')
        r->fed = position;
    follow_token(r, byte);
    follow_cell(r, byte, ends_line);
    if (!separates(byte)) {
        r->equal_above = r->equal_above && r->above[0] < position - 1 && bytes[r->above[0]] == byte;
        r->equal_kin = r->equal_kin && r->kin[0] < position - 1 && bytes[r->kin[0]] == byte;
    }
    for (int i = 0; i < 2; i++) {
        r->above[i] = follow(r->above[i], bytes, position);
        r->kin[i] = follow(r->kin[i], bytes, position);
    }
    if (!separates(byte)) {
        r->field_text = llmz_hash(r->field_text, byte);
        r->offset++;
        if (is_digit(byte))
            r->digits += r->digits % 16 < 15;
        else if (byte == '.')
            r->digits = 16;
        for (int i = 0; i < LLMZ_PREDICTIONS; i++)
            compare(&r->predictions[i], byte);
        if (!r->head_done)
            r->head = llmz_hash(r->head, is_digit(byte) || byte == '.' || byte == '-' ? '0' : byte);
        return;
    }
    if (r->offset > 0) {
        if (!r->head_done && !ends_line)
            end_head(r, position);
        end_field(r, bytes, position);
    }
    if (ends_line)
        end_line(r, position);
    else if (!r->head_done)
        r->head = llmz_hash(r->head, byte);
    begin_field(r, bytes, position);
}
