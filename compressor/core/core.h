/* The native core's whole interface: what decides an archive's bytes and must run fast.
 *
 * Everything here is integer arithmetic with results that C11 defines, so that every compiler, optimisation level, machine
 * and number of threads gives the same. Nothing is global but tables that never change after llmz_begin(). Functions check
 * nothing but what they say; bind_*.c checks what Python hands over. Pointers never overlap unless said so.
 */
#ifndef LLMZ_CORE_H
#define LLMZ_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Make the tables and choose the kernel. Call it once, before anything else. */
void llmz_begin(void);

/* ---- Text: exact, reversible transforms. Sizes and places are in bytes, >= 0. ----
 * What writes into `room` bytes returns how many it wrote, or -1 where more would be needed or the input makes no sense.
 */

/* line_breaks.c */

/* Write `text` with spaces for the line ends that the rule of lines broken to `width` >= 1 knows, into `out` with room
 * for twice `size`; returns how many bytes. between_sentences: 1 or 2, spaces after a sentence. exceptions: room for one
 * more than there are lines; gets, ascending, before how many breaks of the rule (counted from 0) the text goes on. */
int64_t llmz_join_lines(const uint8_t *text, int64_t size, int64_t width, int64_t between_sentences, int64_t *exceptions,
                        int64_t *excepted, uint8_t *out);
/* Undo it; any input is defined. */
int64_t llmz_break_lines(const uint8_t *text, int64_t size, int64_t width, int64_t between_sentences,
                         const int64_t *exceptions, int64_t exception_count, uint8_t *out, int64_t room);
/* Add to lengths[0..widest] the lines by characters, and to broken[0..widest] how many more line ends a rule of each width
 * knows than one of the width before; returns the line ends between words. */
int64_t llmz_count_lines(const uint8_t *text, int64_t size, int64_t widest, int64_t *broken, int64_t *lengths);
/* Sentences that end within a line, by one and by two spaces after them. */
void llmz_count_sentences(const uint8_t *text, int64_t size, int64_t *narrow, int64_t *wide);

/* charsets.c */

#define LLMZ_GB_FOUR 50400 /* 4 x 10 x 126 x 10 */
#define LLMZ_NO_CODE 0xFFFFFFFFu
#define LLMZ_KINDS 32
#define LLMZ_MOST_CHOICES 32

/* A charset's characters: those of one byte (0xFFFF: none), of two by both bytes, of three after 0x8F, of four by place
 * (0: none); and the code of every character below 65536. Those but `one` and `codes` may be NULL. cesu: none but CESU-8,
 * where supplementary characters are two surrogates; the tables are not looked at then. */
struct llmz_charset {
    const uint16_t *one, *two, *three, *four; /* [256], [65536], [65536], [LLMZ_GB_FOUR] */
    const uint32_t *codes;                    /* [65536] */
    int cesu;
};

/* Bits in quarters that characters below 65536 cost, by themselves and by the kinds (< LLMZ_KINDS) of two in a row. */
struct llmz_plausibility {
    const uint8_t *kinds, *costs; /* [65536] */
    const uint8_t *after;         /* [LLMZ_KINDS][LLMZ_KINDS] */
    int32_t unreadable;
};

/* What is no character stays the byte it is, both ways. `out` has room for three times `size`. */
int64_t llmz_to_utf8(const struct llmz_charset *charset, const uint8_t *text, int64_t size, uint8_t *out);
int64_t llmz_from_utf8(const struct llmz_charset *charset, const uint8_t *text, int64_t size, uint8_t *out, int64_t room);
/* Lone surrogates become what UTF-8 would write for them. `out` has room for three bytes a unit. */
int64_t llmz_utf16_to_utf8(const uint8_t *text, int64_t units, int big_endian, uint8_t *out);
int64_t llmz_utf8_to_utf16(const uint8_t *text, int64_t size, int big_endian, uint8_t *out, int64_t room);
/* Bytes of the character at the start of `text`, size >= 1, or 0 where there is no well-formed one; surrogates are
 * characters here. */
int llmz_read_utf8(const uint8_t *text, int64_t size, uint32_t *point);
/* Write a number below 0x110000, 4 bytes at most; returns how many. */
int llmz_write_utf8(uint32_t point, uint8_t *out);
/* Bytes of the well-formed character at the start of `text`, size >= 1; 0 where there is none. */
int llmz_utf8_length(const uint8_t *text, int64_t size);
/* Places where UTF-8 is broken. */
int64_t llmz_count_no_utf8(const uint8_t *text, int64_t size);
/* Write each line's cost in the charset (NULL: in UTF-8), INT32_MAX / 2 where it would not come back; returns the lines. */
int64_t llmz_line_costs(const struct llmz_charset *charset, const struct llmz_plausibility *plausibility,
                        const uint8_t *text, int64_t size, int32_t *costs);
/* Write to `cheapest` [lines] the choices that together cost least, a change of choice costing `change`.
 * costs: [choices][lines]; came_from: scratch, [lines][choices]; 1 <= choices <= LLMZ_MOST_CHOICES. */
void llmz_choose_by_line(const int32_t *costs, int64_t choices, int64_t lines, int32_t change, uint8_t *cheapest,
                         uint8_t *came_from);

/* encodings.c */

enum { LLMZ_BASE64, LLMZ_BASE64_URL, LLMZ_HEX_LOWER, LLMZ_HEX_UPPER, LLMZ_ALPHABETS };

/* text[begin:end] is `digits` digits for `bytes` bytes: `first` in the first line, `line` in the others but the last
 * (0: one line), the separator that stands at begin + first in between, and = signs if `padded`. */
struct llmz_run {
    int64_t begin, end, digits, bytes, first, line, separator;
    int padded;
};

/* The next run of fewest_digits, or of fewest_text_digits >= 1 that stand for text; 0 for none. */
int llmz_find_run(const uint8_t *text, int64_t size, int64_t from, int alphabet, int64_t fewest_digits,
                  int64_t fewest_text_digits, struct llmz_run *run);
/* `out` has room for run->bytes. */
int64_t llmz_read_run(const uint8_t *text, const struct llmz_run *run, int alphabet, uint8_t *out);
int64_t llmz_run_digits(int64_t bytes, int alphabet);
/* Bytes that llmz_write_run writes; first >= 1 unless line is 0. */
int64_t llmz_run_length(int64_t bytes, int alphabet, int64_t first, int64_t line, int64_t separator, int padded);
void llmz_write_run(const uint8_t *data, int64_t bytes, int alphabet, int64_t first, int64_t line,
                    const uint8_t *separator, int64_t separator_length, int padded, uint8_t *out);

enum { LLMZ_UU_SPACE, LLMZ_UU_BACKQUOTE, LLMZ_UU_STRIPPED, LLMZ_UU_MODES }; /* what zero is; spaces at line ends cut */
#define LLMZ_UU_LONGEST 85

/* Lines of `full` bytes, the last may have fewer; line ends are CR LF if `crlf`. */
struct llmz_uu_run {
    int64_t begin, end, bytes, full;
    int mode, crlf;
};

int llmz_find_uu_run(const uint8_t *text, int64_t size, int64_t from, int64_t fewest_lines, struct llmz_uu_run *run);
/* `out` has room for run->bytes. */
int64_t llmz_read_uu_run(const uint8_t *text, const struct llmz_uu_run *run, uint8_t *out);
/* 1 <= full <= 63. */
int64_t llmz_write_uu_run(const uint8_t *data, int64_t bytes, int64_t full, int mode, int crlf, uint8_t *out,
                          int64_t room);

/* hex_dumps.c */

enum { LLMZ_LOWER, LLMZ_UPPER, LLMZ_OCTAL, LLMZ_DECIMAL, LLMZ_CHARACTERS };
#define LLMZ_DUMP_STRING 16
#define LLMZ_DUMP_PER_LINE 64
#define LLMZ_DUMP_PACKED 160 /* longest form, packed */

struct llmz_string {
    uint8_t length, bytes[LLMZ_DUMP_STRING];
};

/* How a dump writes a line: head, offset (of radix 0: none), middle, groups of bytes as numbers with separators between
 * (another one before group `half`, unless that is 0), and the bytes as text. docs/format.md says more. */
struct llmz_dump {
    struct llmz_string head, middle, separator, half_separator, before_text, after_text;
    uint8_t offset_radix, offset_width, offset_upper;
    uint8_t digits, group, reversed, per_line, half;
    uint8_t has_text, filled, unprintable, crlf;
};

/* text[begin:end], lines of a dump without the last line end; the first has this offset. */
struct llmz_dump_run {
    int64_t begin, end, bytes;
    uint64_t offset;
};

int llmz_dump_is_sound(const struct llmz_dump *dump);
int llmz_find_dump(const uint8_t *text, int64_t size, int64_t from, int64_t fewest_lines, struct llmz_dump *dump,
                   struct llmz_dump_run *run);
/* The lines of a sound form from `begin` on; how many. */
int64_t llmz_continue_dump(const uint8_t *text, int64_t size, int64_t begin, const struct llmz_dump *dump,
                           uint64_t offset, struct llmz_dump_run *run);
/* The offset of the line at `begin`; 0 where it has none. */
int llmz_dump_offset(const uint8_t *text, int64_t size, int64_t begin, const struct llmz_dump *dump, uint64_t *offset);
/* `out` has room for run->bytes, which llmz_find_dump or llmz_continue_dump found in this text. */
int64_t llmz_read_dump(const uint8_t *text, const struct llmz_dump *dump, const struct llmz_dump_run *run, uint8_t *out);
int64_t llmz_write_dump(const struct llmz_dump *dump, uint64_t offset, const uint8_t *data, int64_t bytes, uint8_t *out,
                        int64_t room);
/* A form as bytes, at most LLMZ_DUMP_PACKED; back: how many bytes it took, -1 where it is not sound. */
int64_t llmz_pack_dump(const struct llmz_dump *dump, uint8_t *out);
int64_t llmz_unpack_dump(const uint8_t *packed, int64_t size, struct llmz_dump *dump);

/* hex_records.c */

enum { LLMZ_INTEL_HEX, LLMZ_S1, LLMZ_S2, LLMZ_S3, LLMZ_S_NARROWEST, LLMZ_HEX_RECORD_KINDS };

/* Data records of firmware: Intel HEX, S-records with addresses of 2, 3 or 4 bytes, or of as few of these as the address needs.
 * Runs of them have `full` bytes each, the last may have fewer; line ends are CR LF if `crlf`. */
struct llmz_hex_records {
    uint8_t kind, upper, crlf, full;
};

/* Lines that stay, runs as docs/format.md has them, bytes of records. */
struct llmz_hex_streams {
    uint8_t *kept, *runs, *data;
    int64_t kept_size, runs_size, data_size;
};

int llmz_hex_records_are_sound(const struct llmz_hex_records *form);
/* The form that suits most records, and how many those of its kind are; 0: there is no form. */
int64_t llmz_find_hex_records(const uint8_t *text, int64_t size, struct llmz_hex_records *form);
/* With a sound form. Kept lines and runs have room for `size`, bytes for half of it. */
void llmz_take_hex_records(const uint8_t *text, int64_t size, const struct llmz_hex_records *form,
                           struct llmz_hex_streams *out);
/* Undo it, with a sound form; -1 where the streams make no sense or give more than `room` bytes. */
int64_t llmz_put_hex_records(const struct llmz_hex_records *form, const struct llmz_hex_streams *streams, uint8_t *out,
                             int64_t room);

/* overstrikes.c */

/* Bold is a character and `times` >= 1 times a backspace and the character again, underlined is a low line and a backspace
 * before it, or a backspace and a low line after it. In the text without them two bytes that it has not turn both on and
 * off; white space is neither. */
struct llmz_strikes {
    uint8_t bold, underline; /* different, below 128 */
    uint8_t times, underline_after;
};

/* `out` has room for three times `size`. */
int64_t llmz_take_strikes(const uint8_t *text, int64_t size, const struct llmz_strikes *strikes, uint8_t *out);
int64_t llmz_put_strikes(const uint8_t *text, int64_t size, const struct llmz_strikes *strikes, uint8_t *out,
                         int64_t room);

/* escapes.c */

/* \u and four digits in lower or upper case; % likewise with two; = with two, upper; \x with two, lower or upper; &# with
 * a decimal number and ;, &#x with a hexadecimal one in lower or upper case. Of two digits: bytes; others: characters. */
#define LLMZ_ESCAPES 10

/* Write what escapes from 128 on stand for, others as they are; `out` has room for `size`. */
int64_t llmz_unescape(int kind, const uint8_t *text, int64_t size, uint8_t *out, int64_t *escapes);
/* Write every byte, or character, from 128 on as an escape. */
int64_t llmz_escape(int kind, const uint8_t *text, int64_t size, uint8_t *out, int64_t room);

#define LLMZ_NO_BREAK 255
#define LLMZ_QUOTED_WIDTH 1000

/* Join lines of quoted-printable that go on. 4 <= width <= LLMZ_QUOTED_WIDTH; crlf: lines end in CR LF. `earlier` has room
 * for as many as there are lines: by how many units a break comes earlier than it must; `joined` of them are breaks. */
int64_t llmz_join_quoted(const uint8_t *text, int64_t size, int64_t width, int crlf, uint8_t *earlier, int64_t *breaks,
                         int64_t *joined, uint8_t *out);
/* Undo it; `earlier` is NULL where all are 0. */
int64_t llmz_break_quoted(const uint8_t *text, int64_t size, int64_t width, int crlf, const uint8_t *earlier,
                          int64_t breaks, uint8_t *out, int64_t room);

/* passages.c */

/* Write begin and end of at most `most` passages that are no text to `bounds` [most][2], ascending; returns how many.
 * A passage is where the sum of its bytes' weights is highest, at least `least_sum` >= 1; it ends where no higher sum comes
 * within about fewest_between >= 0 bytes. */
int64_t llmz_find_passages(const uint8_t *text, int64_t size, int64_t no_utf8_weight, int64_t fewest_between,
                           int64_t least_sum, int64_t *bounds, int64_t most);

/* ---- The vocabulary: its tokens in lexicographic order, every single byte among them. ---- */

enum { LLMZ_TOKEN_BYTES = 24 }; /* of the longest token */

typedef struct llmz_vocabulary llmz_vocabulary;

/* Read (length byte, token bytes) records. NULL where memory lacks, a token is empty, too long, cut off or not after the one
 * before, a single byte is missing, or there are more than 32767 tokens or 32000 different beginnings of tokens. */
llmz_vocabulary *llmz_vocabulary_new(const uint8_t *packed, size_t size);
void llmz_vocabulary_free(llmz_vocabulary *);
uint32_t llmz_vocabulary_size(const llmz_vocabulary *);
/* Copy a token's bytes, zeros after its end; returns its length. */
uint32_t llmz_token_bytes(const llmz_vocabulary *, int32_t token, uint8_t bytes[LLMZ_TOKEN_BYTES]);
/* The longest match, again and again; at most `size` tokens, whose number is returned. */
size_t llmz_tokenize(const llmz_vocabulary *, const uint8_t *text, size_t size, int32_t *tokens);
/* Undo it; `text` must have room. Returns the number of bytes. */
size_t llmz_join_tokens(const llmz_vocabulary *, const int32_t *tokens, size_t count, uint8_t *text);

/* ---- Mixed mode: tokens as bits, predicted by the network and by models that learn from the text. ----
 *
 * One llmz_mixed lives as long as its models do, over many blocks. A block: begin; then, as long as lanes are not done, code
 * one token of each such lane, in their order; finish. All functions must be called by one thread at a time.
 */

enum {
    LLMZ_TABLE_BITS_MIN = 10, /* of buckets of counters, 32 bytes each */
    LLMZ_TABLE_BITS_MAX = 25,
    LLMZ_HISTORY_BYTES = 1 << 26, /* before a block; what matches can reach back to */
    LLMZ_BLOCK_BYTES_MAX = 1 << 26,

    LLMZ_MIXED_PROFILES = 3, /* sets of contexts: prose; records, with most code and markup; the same without the network */
    LLMZ_WIDE = 2,           /* the last of these: bytes, not tokens, in one lane */
    LLMZ_PLAIN_PROFILES = 4, /* prose, markup and code; records; binary data; genomes and proteins */

    LLMZ_STATES = 1024, /* of a bit history */
};

/* Of a profile: contexts, inputs of each, models that expect a byte and have two inputs, inputs of a mixer, mixers, the sets of
 * weights that these choose from, and those that the last mixers choose from. */
typedef struct llmz_profile_shape {
    uint32_t contexts, context_inputs, guesses, inputs, mixers, sets, final_sets;
} llmz_profile_shape;

extern const llmz_profile_shape llmz_mixed_shapes[LLMZ_MIXED_PROFILES], llmz_plain_shapes[LLMZ_PLAIN_PROFILES];

/* What ships primed for a profile, and learns on: weights with 16 fraction bits, within +-8; probabilities in 1/65536. */
typedef struct llmz_mixed_learned {
    int32_t *weights;       /* [sets][inputs] */
    int32_t *final_weights; /* [final_sets][mixers] */
    uint16_t *counter_maps; /* [2 * contexts][16][32]: by count and stretched counter; bits, then ends of tokens */
    uint16_t *match_maps;   /* [2 * guesses][64][2]: by length bucket, and expected bit */
    uint16_t *network_map;  /* [256][24]: by partial byte */
    uint32_t *history_maps; /* [contexts][LLMZ_STATES]: slow counters by bit history */
} llmz_mixed_learned;       /* the wide profile has no ends of tokens and no network map, others no history maps */

typedef struct llmz_mixed llmz_mixed;

/* Models that know nothing of a text yet, with 2^table_bits buckets of counters. Profiles whose weights are NULL cannot be used;
 * without a vocabulary, only the wide one can. `rates`: learning rates of mixers and of the last ones, and what the mixers' has
 * extra at the start, each at most 64; NULL for each profile's usual ones. The arrays are copied, the vocabulary must stay. NULL
 * where memory lacks or a number is out of range. */
llmz_mixed *llmz_mixed_new(const llmz_vocabulary *, unsigned table_bits,
                           const llmz_mixed_learned learned[LLMZ_MIXED_PROFILES], const uint32_t rates[3]);
/* The same models with the same history, which learn on their own; NULL where memory lacks. Not while a block is coded. */
llmz_mixed *llmz_mixed_copy(const llmz_mixed *);
void llmz_mixed_free(llmz_mixed *);
/* False where the models do not have the profile. */
bool llmz_mixed_copy_learned(const llmz_mixed *, unsigned profile, llmz_mixed_learned *out);

/* Read `text`, not in the wide profile, as a block of one lane that nobody codes: counters, runs, records and what matches look back at learn from it,
 * mixers and adaptive maps do not. False where memory lacks, there is no such profile, or it is longer than a block. */
bool llmz_mixed_read(llmz_mixed *, unsigned profile, const uint8_t *text, size_t size);

/* Begin a block of `lanes` lanes with these plain lengths. False where memory lacks, there is no such profile, there are no
 * lanes, or their lengths add up to more than LLMZ_BLOCK_BYTES_MAX. Data and output must stay until the block's finish. */
bool llmz_mixed_begin_encoding(llmz_mixed *, uint32_t lanes, const uint64_t *lane_bytes, unsigned profile, uint8_t *output,
                               size_t output_size);
bool llmz_mixed_begin_decoding(llmz_mixed *, uint32_t lanes, const uint64_t *lane_bytes, unsigned profile,
                               const uint8_t *data, size_t data_size);

/* Lanes of the block; none before the first. */
uint32_t llmz_mixed_lanes(const llmz_mixed *);
uint32_t llmz_mixed_vocabulary_size(const llmz_mixed *);

/* Whether all bytes of a lane are coded. */
bool llmz_mixed_lane_done(const llmz_mixed *, uint32_t lane);

/* Code one token of a lane that is not done. `token` counts when encoding: the longest match at the lane's place.
 * `cumulative` [V + 1] are the network's frequencies: the first 0, increasing, the last at most 2^24. Returns the token, or
 * a negative number where the output is full, the data damaged or the token not what it should be; the block has then failed:
 * code no more of it. */
int32_t llmz_mixed_code(llmz_mixed *, uint32_t lane, int32_t token, const int32_t *cumulative);
/* In the wide profile instead: code up to so many further bytes; returns how many are left, or SIZE_MAX where the output is full
 * or the data are damaged. When encoding, `text` is the block's. */
size_t llmz_mixed_code_bytes(llmz_mixed *, const uint8_t *text, size_t most);

/* Ask for what the next call for this lane will read, while something else is computed. Changes nothing. */
void llmz_mixed_prefetch(const llmz_mixed *, uint32_t lane);

/* End a block. Encoding: the number of bytes written; decoding: that of the data. SIZE_MAX where a lane is not done, the output
 * is full or the data do not end here. */
size_t llmz_mixed_finish(llmz_mixed *);

/* The block's plain bytes, lane after lane, until the next begin. */
const uint8_t *llmz_mixed_text(const llmz_mixed *);

/* ---- Context mode: bytes as bits, predicted by models that learn from the text alone. ---- */

typedef struct llmz_plain_learned {
    int32_t *weights;       /* [sets][inputs] */
    int32_t *final_weights; /* [256][mixers] */
    uint16_t *counter_maps; /* [contexts][16][32] */
    uint16_t *match_maps;   /* [guesses][64][2] */
} llmz_plain_learned;

typedef struct llmz_context llmz_context;

/* As llmz_mixed_new and its sisters; `rates` are two, and are given. */
llmz_context *llmz_context_new(unsigned table_bits, const llmz_plain_learned learned[LLMZ_PLAIN_PROFILES],
                               const uint32_t rates[2]);
llmz_context *llmz_context_copy(const llmz_context *);
void llmz_context_free(llmz_context *);
void llmz_context_copy_learned(const llmz_context *, unsigned profile, llmz_plain_learned *out);
/* False where a number is out of range; nothing has changed then. */
bool llmz_context_set_learned(llmz_context *, unsigned profile, const llmz_plain_learned *learned);

/* Begin a block. When encoding, the text is copied. */
bool llmz_context_begin_encoding(llmz_context *, const uint8_t *text, size_t text_size, unsigned profile, uint8_t *output,
                                 size_t output_size);
bool llmz_context_begin_decoding(llmz_context *, size_t text_size, unsigned profile, const uint8_t *data, size_t data_size);
/* Code up to so many further bytes of the block; returns how many are left, or SIZE_MAX where the output is full or the data
 * are damaged. */
size_t llmz_context_code(llmz_context *, size_t most);
size_t llmz_context_finish(llmz_context *);
const uint8_t *llmz_context_text(const llmz_context *);

/* ---- Long repeats: repeats.c. How repeats are found decides no format. ---- */

#define LLMZ_REPEAT_CHUNK 4096
#define LLMZ_REPEAT_TABLE_BITS 16

/* `length` bytes from `begin` on that equal those `distance` before; the two may overlap. */
struct llmz_repeat {
    uint64_t begin, length, distance;
};

/* Write repeats in text[start .. length) of what came before to `out`, in order and disjoint, `room` at most; return how
 * many. hashed: the table knows the chunks that end up to there; base: bytes of the stream before text[0], less than 2^48;
 * table: 2^LLMZ_REPEAT_TABLE_BITS entries, zeros at first, then whatever earlier calls left; least: a repeat's
 * length, at least LLMZ_REPEAT_CHUNK; farthest: its distance at most. Entries that point outside the text are passed over. */
size_t llmz_find_repeats(const uint8_t *text, size_t length, size_t start, size_t hashed, uint64_t base, uint64_t *table,
                         size_t least, size_t farthest, struct llmz_repeat *out, size_t room);

#endif
