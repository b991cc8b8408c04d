/* What is remembered of tables and records: where the same field stands in earlier lines, what its number should be. */
#ifndef LLMZ_RECORDS_H
#define LLMZ_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LLMZ_PREDICTIONS = 3, /* of numbers: from the lines above, from lines that begin alike, from the fields before */
    LLMZ_NUMBER_BYTES = 32,
    LLMZ_FIELDS = 64, /* whose hits are counted; later ones share */
    LLMZ_HEADS = 1024,
    LLMZ_NOWHERE = 0xFFFFFFFF,
};

typedef enum llmz_course { LLMZ_EQUAL, LLMZ_ABOVE, LLMZ_BELOW, LLMZ_APART, LLMZ_UNKNOWN } llmz_course;

/* A number that should come: as text, what has come of it, and how it compares. */
typedef struct llmz_prediction {
    uint8_t text[LLMZ_NUMBER_BYTES];
    uint32_t length, at;
    llmz_course course;
    uint8_t hits[LLMZ_FIELDS]; /* of late, by field: at most 7 */
} llmz_prediction;

typedef struct llmz_number {
    int64_t value;            /* in units of the last decimal place */
    uint32_t digits, decimals; /* before and after the point */
    uint32_t prefix, length, rest; /* bytes of letters before it, in all, and of what follows the digits in the same field */
    uint32_t start, end;           /* in the history: of the prefix, and after the digits */
    bool known, padded, signed_;
} llmz_number;

typedef struct llmz_head {
    uint32_t check, place, place_before; /* after the heads of the last two lines that began so */
} llmz_head;

/* Of listings: the address that a line began with, and how many bytes in hexadecimal came after it. */
typedef struct llmz_listing {
    uint64_t address;
    uint32_t digits, bytes;
    bool padded, capital, counting;
} llmz_listing;

/* Places are in the history; LLMZ_NOWHERE for none. */
typedef struct llmz_records {
    uint64_t token, tokens[4]; /* runs of letters, digits and points; the latest complete one first */
    uint64_t names[2];         /* of these, the latest that begin with a letter */
    uint64_t token_shapes;     /* four bits each, the latest lowest: begins with a letter, bytes up to 7 */
    uint64_t separators;       /* the latest eight bytes between tokens, the latest lowest */
    uint32_t token_bytes;      /* of the present token, at most 7 */
    uint32_t letter;           /* the latest one, and above it how many separators came after it, at most 256 */
    uint64_t field_text;       /* a hash of the present field so far */
    uint64_t head;
    uint64_t cell_text, cell_before, cell_key; /* hashes of the present cell so far, the one before, the line's second */
    uint32_t cell;                             /* number in its line; between them are tabs, commas or semicolons */
    uint64_t whole_above, whole_kin; /* hashes of the fields at the references */
    uint32_t field, offset;          /* number of the present field in its line, bytes of it so far */
    uint32_t digits;                 /* in the present field so far, and 16 after a point */
    uint32_t above[2], kin[2];       /* the same place in the two lines above, and in the last two that begin alike */
    uint32_t line[2], line_2;        /* starts of the present line and the two before */
    uint32_t fed;                                /* the place after the last line feed, or the start */
    bool head_done, equal_above, equal_kin, token_is_name;
    llmz_number before[3]; /* the latest numbers, the latest first */
    llmz_listing listing;
    llmz_prediction predictions[LLMZ_PREDICTIONS];
    llmz_head heads[LLMZ_HEADS];
} llmz_records;

void llmz_records_begin(llmz_records *records, uint32_t position);
/* Go on at `position` with what was learned from text that ends at `end` <= position: a line begins there. */
void llmz_records_go_on(llmz_records *records, const uint8_t *bytes, uint32_t end, uint32_t position);
/* Take up the byte before `position`; all bytes before it are text that may be looked at. */
void llmz_records_append(llmz_records *records, const uint8_t *bytes, uint32_t position);

/* Whether a byte, before `position` and not taken up yet, ends a line: a line feed does, and where there is none for long, closing
 * brackets do. */
static inline bool llmz_ends_line(const llmz_records *records, unsigned byte, uint32_t position)
{
    enum { LONG_LINE = 1024 };
    return byte == '\n' || ((byte == ']' || byte == '}') && position - records->fed >= LONG_LINE);
}

/* The byte that a prediction expects next, or 256. */
static inline unsigned llmz_predicted_byte(const llmz_prediction *p)
{
    return p->course == LLMZ_EQUAL && p->at < p->length ? p->text[p->at] : 256;
}

/* Digits of the present field so far, at most 7, and whether a point has come: 0 to 15. */
static inline uint32_t llmz_number_shape(const llmz_records *records)
{
    uint32_t digits = records->digits & 15;
    return (records->digits >> 4) * 8 + (digits < 7 ? digits : 7);
}

/* Row of a match map for a prediction: by hits and bytes so far. */
static inline uint32_t llmz_prediction_bucket(const llmz_records *records, const llmz_prediction *p)
{
    return (uint32_t)p->hits[records->field % LLMZ_FIELDS] * 8 + (p->at < 7 ? p->at : 7);
}

#endif
