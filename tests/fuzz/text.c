/* Any bytes and numbers into the loops of the text transforms, both ways. LLMZIP_VECTORS names the golden vectors, which have charsets. */

#include "../portable/arrays.h"
#include "input.h"

enum { MOST_TEXT = 3000, CHARSETS = 4 };

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    read_vectors();
    return 0;
}

/* A text, and room for what is made of it. */
struct job {
    uint8_t *text, *out;
    size_t size;
    int64_t room;
};

static struct job take_job(struct input *input)
{
    struct job job = {0};
    job.room = take_below(input, 1 << 14);
    job.text = take_bytes(input, MOST_TEXT, &job.size);
    job.out = malloc((size_t)job.room);
    return job;
}

static void drop(struct job job)
{
    free(job.text);
    free(job.out);
}

static int64_t count_lines(const struct job *job)
{
    int64_t lines = 1;
    for (size_t i = 0; i < job->size; i++)
        lines += job->text[i] == '\n';
    return lines;
}

static void require_back(const uint8_t *back, int64_t size, const uint8_t *text, int64_t text_size)
{
    require(size == text_size && (size == 0 || memcmp(back, text, (size_t)size) == 0), "a text comes back");
}

static void line_breaks(struct input *input)
{
    const int64_t width = 1 + (int64_t)take_below(input, 300), between = 1 + take_below(input, 2);
    enum { LISTED = 6 };
    int64_t listed[LISTED], count = take_below(input, LISTED + 1), excepted;
    for (int i = 0; i < LISTED; i++)
        listed[i] = (int64_t)take_number(input, i < 3 ? 1 : 8);
    struct job job = take_job(input);
    llmz_break_lines(job.text, (int64_t)job.size, width, between, listed, count, job.out, job.room);
    int64_t lines = count_lines(&job), broken[12] = {0}, lengths[12] = {0}, narrow, wide;
    uint8_t *joined = malloc(job.size + (size_t)lines), *back = malloc(job.size);
    int64_t *exceptions = malloc(8 * (size_t)lines);
    int64_t size = llmz_join_lines(job.text, (int64_t)job.size, width, between, exceptions, &excepted, joined);
    int64_t back_size = llmz_break_lines(joined, size, width, between, exceptions, excepted, back, (int64_t)job.size);
    require_back(back, back_size, job.text, (int64_t)job.size);
    llmz_count_lines(job.text, (int64_t)job.size, 11, broken, lengths);
    llmz_count_sentences(job.text, (int64_t)job.size, &narrow, &wide);
    free(joined);
    free(back);
    free(exceptions);
    drop(job);
}

static struct llmz_charset take_charset(struct input *input)
{
    const char *const tables[] = {"one", "two", "three", "four", "codes"};
    const void *of[5];
    const int number = (int)take_below(input, CHARSETS + 1);
    for (int i = 0; i < 5; i++) {
        const struct array *array = of_block("charset", number, tables[i]);
        of[i] = array ? array->numbers : NULL;
    }
    return (struct llmz_charset){of[0], of[1], of[2], of[3], of[4], number == CHARSETS};
}

static void charsets(struct input *input)
{
    const struct llmz_charset charset = take_charset(input);
    const int big_endian = (int)take_below(input, 2);
    struct job job = take_job(input);
    uint8_t *utf8 = malloc(3 * job.size + 1), *back = malloc(job.size + 1);
    int64_t size = llmz_to_utf8(&charset, job.text, (int64_t)job.size, utf8);
    llmz_from_utf8(&charset, utf8, size, job.out, job.room);
    llmz_from_utf8(&charset, job.text, (int64_t)job.size, job.out, job.room);
    llmz_utf8_to_utf16(job.text, (int64_t)job.size, big_endian, job.out, job.room);
    size = llmz_utf16_to_utf8(job.text, (int64_t)job.size / 2, big_endian, utf8);
    int64_t back_size = llmz_utf8_to_utf16(utf8, size, big_endian, back, (int64_t)job.size);
    require_back(back, back_size, job.text, (int64_t)job.size / 2 * 2);
    llmz_count_no_utf8(job.text, (int64_t)job.size);
    free(utf8);
    free(back);
    drop(job);
}

static void charset_costs(struct input *input)
{
    static uint8_t kinds[65536], costs[65536], after[LLMZ_KINDS * LLMZ_KINDS];
    const struct llmz_charset charset = take_charset(input);
    const int has_charset = (int)take_below(input, 2);
    const uint32_t seed = (uint32_t)take_number(input, 2);
    for (uint32_t i = 0; i < 65536; i++) {
        kinds[i] = (uint8_t)((i ^ seed) % LLMZ_KINDS);
        costs[i] = (uint8_t)(i * seed >> 8);
    }
    struct llmz_plausibility plausibility = {kinds, costs, after, 1000};
    struct job job = take_job(input);
    int64_t lines = count_lines(&job);
    int32_t *of_lines = malloc(4 * (size_t)lines);
    lines = llmz_line_costs(has_charset ? &charset : NULL, &plausibility, job.text, (int64_t)job.size, of_lines);
    const int64_t choices = lines % 3 ? 1 : 3;
    uint8_t *cheapest = malloc((size_t)lines + 1), *came_from = malloc((size_t)lines + 1);
    llmz_choose_by_line(of_lines, choices, lines / choices, (int32_t)seed, cheapest, came_from);
    free(cheapest);
    free(came_from);
    free(of_lines);
    drop(job);
}

static void runs(struct input *input)
{
    const int alphabet = (int)take_below(input, LLMZ_ALPHABETS), padded = (int)take_below(input, 2);
    const int64_t line = (int64_t)take_number(input, 2), first = (int64_t)take_number(input, 2) + (line > 0);
    const int64_t fewest = take_below(input, 30), fewest_text = 1 + (int64_t)take_below(input, 30);
    size_t separator_size;
    const size_t most = take_below(input, 41);
    uint8_t *separator = take_bytes(input, most, &separator_size);
    struct job job = take_job(input);
    int64_t length = llmz_run_length((int64_t)job.size, alphabet, first, line, (int64_t)separator_size, padded), from = 0;
    if (length <= 1 << 20) {
        uint8_t *out = malloc((size_t)length);
        llmz_write_run(job.text, (int64_t)job.size, alphabet, first, line, separator, (int64_t)separator_size, padded, out);
        free(out);
    }
    struct llmz_run run;
    while (llmz_find_run(job.text, (int64_t)job.size, from, alphabet, fewest, fewest_text, &run)) {
        require(run.begin >= from && run.end > run.begin && run.end <= (int64_t)job.size, "a run lies in the text");
        uint8_t *data = malloc((size_t)run.bytes), *back = malloc((size_t)(run.end - run.begin));
        llmz_read_run(job.text, &run, alphabet, data);
        length = llmz_run_length(run.bytes, alphabet, run.first, run.line, run.separator, run.padded);
        require(length == run.end - run.begin, "a run comes back");
        llmz_write_run(data, run.bytes, alphabet, run.first, run.line, job.text + run.begin + run.first, run.separator, run.padded, back);
        require_back(back, length, job.text + run.begin, length);
        free(data);
        free(back);
        from = run.end;
    }
    free(separator);
    drop(job);
}

static void uu_runs(struct input *input)
{
    const int mode = (int)take_below(input, LLMZ_UU_MODES), crlf = (int)take_below(input, 2);
    const int64_t full = 1 + (int64_t)take_below(input, 63), fewest = 1 + (int64_t)take_below(input, 4);
    struct job job = take_job(input);
    llmz_write_uu_run(job.text, (int64_t)job.size, full, mode, crlf, job.out, job.room);
    struct llmz_uu_run run;
    for (int64_t from = 0; llmz_find_uu_run(job.text, (int64_t)job.size, from, fewest, &run); from = run.end) {
        require(run.begin >= from && run.end > run.begin && run.end <= (int64_t)job.size, "a run lies in the text");
        int64_t length = run.end - run.begin;
        uint8_t *data = malloc((size_t)run.bytes), *back = malloc((size_t)length);
        require(llmz_read_uu_run(job.text, &run, data) == run.bytes, "a run has its bytes");
        int64_t back_size = llmz_write_uu_run(data, run.bytes, run.full, run.mode, run.crlf, back, length);
        require_back(back, back_size, job.text + run.begin, length);
        free(data);
        free(back);
    }
    drop(job);
}

static void check_dump(const struct job *job, const struct llmz_dump *dump, const struct llmz_dump_run *run)
{
    int64_t length = run->end - run->begin;
    uint8_t *data = malloc((size_t)run->bytes), *back = malloc((size_t)length), packed[LLMZ_DUMP_PACKED];
    struct llmz_dump unpacked;
    require(run->begin >= 0 && length > 0 && run->end <= (int64_t)job->size, "a dump lies in the text");
    llmz_read_dump(job->text, dump, run, data);
    int64_t back_size = llmz_write_dump(dump, run->offset, data, run->bytes, back, length);
    require_back(back, back_size, job->text + run->begin, length);
    require(llmz_unpack_dump(packed, llmz_pack_dump(dump, packed), &unpacked) > 0, "a form comes back");
    free(data);
    free(back);
}

static void dumps(struct input *input)
{
    struct llmz_dump dump;
    struct llmz_dump_run run;
    size_t form_size;
    const int64_t fewest = 2 + (int64_t)take_below(input, 3);
    const uint64_t offset = take_number(input, 8);
    const size_t most = take_below(input, LLMZ_DUMP_PACKED + 10);
    uint8_t *form = take_bytes(input, most, &form_size);
    struct job job = take_job(input);
    if (llmz_unpack_dump(form, (int64_t)form_size, &dump) >= 0) {
        require(llmz_dump_is_sound(&dump), "a form that was unpacked is sound");
        llmz_write_dump(&dump, offset, job.text, (int64_t)job.size, job.out, job.room);
        uint64_t of_line;
        if (llmz_dump_offset(job.text, (int64_t)job.size, 0, &dump, &of_line)
            && llmz_continue_dump(job.text, (int64_t)job.size, 0, &dump, of_line, &run))
            check_dump(&job, &dump, &run);
    }
    for (int64_t from = 0; llmz_find_dump(job.text, (int64_t)job.size, from, fewest, &dump, &run); from = run.end)
        check_dump(&job, &dump, &run);
    free(form);
    drop(job);
}

static void check_hex_records(const struct job *job, const struct llmz_hex_records *form)
{
    struct llmz_hex_streams taken = {malloc(job->size), malloc(job->size), malloc(job->size / 2), 0, 0, 0};
    uint8_t *back = malloc(job->size);
    llmz_take_hex_records(job->text, (int64_t)job->size, form, &taken);
    int64_t back_size = llmz_put_hex_records(form, &taken, back, (int64_t)job->size);
    require_back(back, back_size, job->text, (int64_t)job->size);
    free(taken.kept);
    free(taken.runs);
    free(taken.data);
    free(back);
}

static void hex_records(struct input *input)
{
    struct llmz_hex_records form;
    form.kind = (uint8_t)take_below(input, LLMZ_HEX_RECORD_KINDS + 1);
    form.upper = (uint8_t)take_below(input, 2);
    form.crlf = (uint8_t)take_below(input, 2);
    form.full = (uint8_t)take_number(input, 1);
    size_t runs_size, kept_size;
    const size_t most_runs = take_below(input, 60), most_kept = take_below(input, 100);
    uint8_t *runs = take_bytes(input, most_runs, &runs_size), *kept = take_bytes(input, most_kept, &kept_size);
    struct job job = take_job(input);
    if (llmz_hex_records_are_sound(&form)) {
        const struct llmz_hex_streams streams = {kept, runs, job.text, (int64_t)kept_size, (int64_t)runs_size, (int64_t)job.size};
        llmz_put_hex_records(&form, &streams, job.out, job.room);
        check_hex_records(&job, &form);
    }
    if (llmz_find_hex_records(job.text, (int64_t)job.size, &form)) {
        require(llmz_hex_records_are_sound(&form), "a form that was found is sound");
        check_hex_records(&job, &form);
    }
    free(runs);
    free(kept);
    drop(job);
}

static void overstrikes(struct input *input)
{
    struct llmz_strikes strikes = {(uint8_t)take_below(input, 128), (uint8_t)take_below(input, 128), (uint8_t)(1 + take_below(input, 15)),
        (uint8_t)take_below(input, 2)};
    struct job job = take_job(input);
    if (strikes.bold != strikes.underline) {
        uint8_t *taken = malloc(3 * job.size + 1);
        int64_t size = llmz_take_strikes(job.text, (int64_t)job.size, &strikes, taken);
        if (size >= 0)
            llmz_put_strikes(taken, size, &strikes, job.out, job.room);
        llmz_put_strikes(job.text, (int64_t)job.size, &strikes, job.out, job.room);
        free(taken);
    }
    drop(job);
}

static void escapes(struct input *input)
{
    const int kind = (int)take_below(input, LLMZ_ESCAPES);
    struct job job = take_job(input);
    uint8_t *taken = malloc(job.size);
    int64_t found, size = llmz_unescape(kind, job.text, (int64_t)job.size, taken, &found);
    llmz_escape(kind, taken, size, job.out, job.room);
    llmz_escape(kind, job.text, (int64_t)job.size, job.out, job.room);
    free(taken);
    drop(job);
}

static void quoted(struct input *input)
{
    const int64_t width = 4 + (int64_t)take_below(input, LLMZ_QUOTED_WIDTH - 3);
    const int crlf = (int)take_below(input, 2), has_earlier = (int)take_below(input, 2);
    size_t listed;
    const size_t most = take_below(input, 30);
    uint8_t *earlier = take_bytes(input, most, &listed);
    struct job job = take_job(input);
    llmz_break_quoted(job.text, (int64_t)job.size, width, crlf, has_earlier ? earlier : NULL, has_earlier ? (int64_t)listed : 0, job.out, job.room);
    int64_t lines = count_lines(&job), breaks, joined;
    uint8_t *taken = malloc(job.size), *of_lines = malloc((size_t)lines), *back = malloc(job.size);
    int64_t size = llmz_join_quoted(job.text, (int64_t)job.size, width, crlf, of_lines, &breaks, &joined, taken);
    int64_t back_size = llmz_break_quoted(taken, size, width, crlf, of_lines, breaks, back, (int64_t)job.size);
    require_back(back, back_size, job.text, (int64_t)job.size);
    free(taken);
    free(of_lines);
    free(back);
    free(earlier);
    drop(job);
}

static void passages(struct input *input)
{
    const int64_t weight = (int64_t)take_below(input, 102) - 1, between = (int64_t)take_number(input, 2), least = 1 + (int64_t)take_number(input, 2);
    const int64_t most = 1 + (int64_t)take_below(input, 20);
    struct job job = take_job(input);
    int64_t *bounds = malloc(16 * (size_t)most), last = 0;
    int64_t found = llmz_find_passages(job.text, (int64_t)job.size, weight, between, least, bounds, most);
    require(found >= 0 && found <= most, "passages have room");
    for (int64_t i = 0; i < 2 * found; i++) {
        require(bounds[i] >= last && bounds[i] <= (int64_t)job.size, "passages are ascending");
        last = bounds[i];
    }
    free(bounds);
    drop(job);
}

static void repeats(struct input *input)
{
    enum { ROOM = 4 };
    static uint64_t table[1 << LLMZ_REPEAT_TABLE_BITS];
    struct llmz_repeat found[ROOM];
    const size_t length = 4 * LLMZ_REPEAT_CHUNK, step = 1 + take_below(input, 3000), farthest = (size_t)take_number(input, 3);
    const uint64_t base = take_number(input, 6), wrong = take_number(input, 8);
    uint8_t *text = malloc(length);
    size_t start = take_below(input, 1 << 14), hashed = take_below(input, 1 << 14), size;
    uint8_t *pattern = take_bytes(input, step, &size);
    for (size_t i = 0; i < length; i++)
        text[i] = size ? pattern[i % size] : 0;
    for (size_t i = 0; i < 1 << LLMZ_REPEAT_TABLE_BITS; i++)
        table[i] = wrong % 3 ? 0 : wrong * (i + 1);
    size_t count = llmz_find_repeats(text, length, start, hashed, base, table, LLMZ_REPEAT_CHUNK, farthest, found, ROOM);
    size_t last = start;
    for (size_t i = 0; i < count; i++) {
        require(found[i].begin >= last && found[i].begin + found[i].length <= length, "repeats are ascending");
        require(found[i].distance >= 1 && found[i].distance <= found[i].begin, "repeats begin in the text");
        for (size_t at = found[i].begin; at < found[i].begin + found[i].length; at++)
            require(text[at] == text[at - found[i].distance], "a repeat is one");
        last = found[i].begin + found[i].length;
    }
    free(pattern);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const all[])(struct input *) = {
        line_breaks, charsets, charset_costs, runs, uu_runs, dumps, overstrikes, escapes, quoted, passages, repeats, hex_records};
    struct input input = {data, size};
    all[take_below(&input, sizeof all / sizeof *all)](&input);
    return 0;
}
