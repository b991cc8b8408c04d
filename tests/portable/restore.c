/* Decode golden vectors with the core alone, code them again, and compare both: restore FILE [THREADS].
 *
 * The file, which vectors.py writes, is a sequence of arrays: length of the name, the name, bytes of a number (1, 2, 4 or 8), how many there are
 * (4 bytes), the numbers; all little-endian. Here they are of this machine's byte order. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "drive.h"
#include "kernel.h"
#include "network.h"

enum { MOST_ARRAYS = 512 };

static struct array {
    char name[256];
    size_t count;
    void *numbers;
} arrays[MOST_ARRAYS];
static size_t array_count;

static void stop(const char *problem, const char *name)
{
    fprintf(stderr, "%s%s%s\n", problem, *name ? ": " : "", name);
    exit(1);
}

static uint64_t read_number(FILE *file, int bytes)
{
    uint64_t number = 0;
    for (int i = 0; i < bytes; i++)
        number |= (uint64_t)(uint8_t)fgetc(file) << (8 * i);
    return number;
}

static void read_arrays(const char *path)
{
    FILE *file = fopen(path, "rb");
    int length;
    if (!file)
        stop("cannot be opened", path);
    while ((length = fgetc(file)) != EOF) {
        struct array *a = &arrays[array_count++];
        if (array_count > MOST_ARRAYS || fread(a->name, 1, (size_t)length, file) != (size_t)length)
            stop("is damaged", path);
        int bytes = fgetc(file);
        a->count = (size_t)read_number(file, 4);
        a->numbers = malloc(a->count * (size_t)bytes + 1);
        for (size_t i = 0; i < a->count; i++) {
            uint64_t number = read_number(file, bytes);
            if (bytes == 1)
                ((uint8_t *)a->numbers)[i] = (uint8_t)number;
            else if (bytes == 2)
                ((uint16_t *)a->numbers)[i] = (uint16_t)number;
            else if (bytes == 4)
                ((uint32_t *)a->numbers)[i] = (uint32_t)number;
            else
                ((uint64_t *)a->numbers)[i] = number;
        }
    }
    fclose(file);
}

static const struct array *find(const char *name)
{
    for (size_t i = 0; i < array_count; i++)
        if (strcmp(arrays[i].name, name) == 0)
            return &arrays[i];
    return NULL;
}

static void *get(const char *name)
{
    const struct array *a = find(name);
    if (!a)
        stop("there is no such array", name);
    return a->numbers;
}

/* The array of a block, mode/number/name. */
static const struct array *of_block(const char *mode, int number, const char *name)
{
    char whole[300];
    snprintf(whole, sizeof whole, "%s/%d/%s", mode, number, name);
    return find(whole);
}

/* The numbers of a profile's array, mode.number.name. */
static void *numbers_of(const char *mode, int profile, const char *name)
{
    char whole[300];
    snprintf(whole, sizeof whole, "%s.%d.%s", mode, profile, name);
    return get(whole);
}

static void check(const char *what, const void *found, size_t found_size, const void *expected, size_t expected_size)
{
    if (found_size != expected_size || memcmp(found, expected, expected_size) != 0)
        stop("is not what it should be", what);
}

/* --- the network --- */

static struct llmz_embedding table(const char *name, const char *multiplier_name, bool packed)
{
    struct llmz_embedding t = {.packed = packed};
    const struct array *rows = find(name), *multiplier = find(multiplier_name);
    if (!rows)
        return t;
    t.rows_data = rows->numbers;
    t.multiplier = multiplier->numbers;
    t.rows = (uint32_t)multiplier->count;
    t.columns = (uint32_t)(rows->count * (packed ? 2 : 1) / multiplier->count);
    return t;
}

static struct llmz_network *make_network(void)
{
    const uint32_t *numbers = get("shape");
    const struct array *attends = find("attends");
    struct llmz_shape shape = {.width = numbers[0], .hidden = numbers[1], .heads = numbers[2], .taps = numbers[3], .window = numbers[4],
        .vocabulary = numbers[5], .layers = (uint32_t)attends->count};
    memcpy(shape.attends, attends->numbers, attends->count);
    struct llmz_weights w = {
        .in = get("in_weight"), .out = get("out_weight"), .up = get("up_weight"), .down = get("down_weight"),
        .in_multiplier = get("in_multiplier"), .out_multiplier = get("out_multiplier"), .up_multiplier = get("up_multiplier"),
        .down_multiplier = get("down_multiplier"), .taps = get("taps"), .temperature = get("temperature"), .slopes = get("slopes"),
        .tokens = table("embedding", "embedding_multiplier", false), .pairs = table("pairs", "pairs_multiplier", true),
        .triples = table("triples", "triples_multiplier", true),
        .head = get("head_weight"), .head_multiplier = get("head_multiplier"), .head_bias = get("output_bias"),
    };
    const char *problem = "memory is short";
    struct llmz_network *network = llmz_network_new(&shape, &w, &problem);
    if (!network)
        stop(problem, "");
    return network;
}

/* Frequencies after every token, in calls of `call` steps. */
static void check_network(const struct llmz_network *network, struct llmz_threads *threads, uint32_t call)
{
    const struct array *tokens = find("network/tokens"), *expected = find("network/frequencies");
    const uint32_t lanes = *(uint32_t *)get("network/lanes"), steps = (uint32_t)tokens->count / lanes;
    size_t row = llmz_network_shape(network)->vocabulary + 1, row_bytes = row * sizeof(int32_t);
    struct llmz_predictor *p = llmz_predictor_new(network, threads, lanes, call, get("network/side"));
    int32_t *inputs = malloc(lanes * call * sizeof *inputs), *out = malloc(lanes * call * row_bytes);
    for (uint32_t begin = 0; begin < steps; begin += call) {
        uint32_t now = steps - begin < call ? steps - begin : call;
        for (uint32_t lane = 0; lane < lanes; lane++)
            memcpy(inputs + lane * now, (int32_t *)tokens->numbers + lane * steps + begin, now * sizeof *inputs);
        llmz_predictor_start(p, inputs, now, out);
        llmz_threads_finish(threads);
        llmz_predictor_end(p);
        for (uint32_t lane = 0; lane < lanes; lane++)
            check("frequencies", out + lane * now * row, now * row_bytes, (int32_t *)expected->numbers + (lane * steps + begin) * row,
                now * row_bytes);
    }
    free(inputs);
    free(out);
    llmz_predictor_free(p);
}

/* --- mixed mode --- */

static llmz_mixed *make_mixed(const llmz_vocabulary *vocabulary)
{
    llmz_mixed_learned learned[LLMZ_MIXED_PROFILES];
    for (int profile = 0; profile < LLMZ_MIXED_PROFILES; profile++) {
        llmz_mixed_learned own = {numbers_of("mixed", profile, "weights"), numbers_of("mixed", profile, "final_weights"),
            numbers_of("mixed", profile, "counter_maps"), numbers_of("mixed", profile, "match_maps"), numbers_of("mixed", profile, "network_map")};
        learned[profile] = own;
    }
    llmz_mixed *models = llmz_mixed_new(vocabulary, *(uint32_t *)get("mixed.table_bits"), learned, get("mixed.rates"));
    if (!models)
        stop("the mixing models make no sense", "");
    return models;
}

static struct llmz_drive_start start_of(int number)
{
    const struct array *read = of_block("mixed", number, "read");
    return (struct llmz_drive_start){
        .lanes = (uint32_t)of_block("mixed", number, "lane_bytes")->count,
        .side = of_block("mixed", number, "side")->numbers,
        .first = of_block("mixed", number, "first")->numbers,
        .read = read->numbers,
        .read_count = (uint32_t)read->count,
    };
}

static void run(const struct llmz_network *network, struct llmz_threads *threads, llmz_mixed *models, const struct llmz_drive_start *start)
{
    struct llmz_drive *drive = llmz_drive_new(network, threads, models, start);
    enum llmz_drive_state state = LLMZ_DRIVE_MORE;
    while (drive && state == LLMZ_DRIVE_MORE)
        state = llmz_drive_run(drive, 100);
    llmz_drive_free(drive);
    if (state != LLMZ_DRIVE_DONE)
        stop("a mixed block failed", "");
}

static void check_mixed(const struct llmz_network *network, struct llmz_threads *threads, const llmz_vocabulary *vocabulary)
{
    llmz_mixed *reader = make_mixed(vocabulary), *writer = make_mixed(vocabulary);
    const struct array *payload;
    for (int number = 0; (payload = of_block("mixed", number, "payload")) != NULL; number++) {
        const struct array *text = of_block("mixed", number, "text"), *lane_bytes = of_block("mixed", number, "lane_bytes");
        uint32_t profile = *(uint32_t *)of_block("mixed", number, "profile")->numbers, lanes = (uint32_t)lane_bytes->count;
        struct llmz_drive_start start = start_of(number);
        if (!llmz_mixed_begin_decoding(reader, lanes, lane_bytes->numbers, profile, payload->numbers, payload->count))
            stop("a mixed block does not begin", "");
        run(network, threads, reader, &start);
        if (llmz_mixed_finish(reader) != payload->count)
            stop("a mixed block does not end where it should", "");
        check("a mixed block's text", llmz_mixed_text(reader), text->count, text->numbers, text->count);

        int32_t *tokens = malloc((text->count + 1) * sizeof *tokens);
        uint64_t *counts = malloc(lanes * sizeof *counts);
        const uint8_t *bytes = text->numbers;
        size_t place = 0;
        for (uint32_t lane = 0; lane < lanes; lane++) {
            size_t size = (size_t)((uint64_t *)lane_bytes->numbers)[lane];
            counts[lane] = llmz_tokenize(vocabulary, bytes, size, tokens + place);
            bytes += size;
            place += counts[lane];
        }
        start.tokens = tokens;
        start.token_counts = counts;
        uint8_t *output = malloc(payload->count + 8);
        if (!llmz_mixed_begin_encoding(writer, lanes, lane_bytes->numbers, profile, output, payload->count + 8))
            stop("a mixed block does not begin", "");
        run(network, threads, writer, &start);
        size_t size = llmz_mixed_finish(writer);
        check("a mixed block", output, size, payload->numbers, payload->count);
        free(tokens);
        free(counts);
        free(output);
    }
    llmz_mixed_free(reader);
    llmz_mixed_free(writer);
}

/* --- context mode --- */

static llmz_context *make_context(void)
{
    const struct array *primer = find("context.primer");
    llmz_plain_learned learned[LLMZ_PLAIN_PROFILES];
    for (int profile = 0; profile < LLMZ_PLAIN_PROFILES; profile++) {
        llmz_plain_learned own = {numbers_of("context", profile, "weights"), numbers_of("context", profile, "final_weights"),
            numbers_of("context", profile, "counter_maps"), numbers_of("context", profile, "match_maps")};
        learned[profile] = own;
    }
    llmz_context *models = llmz_context_new(*(uint32_t *)get("context.table_bits"), learned, get("context.rates"));
    uint8_t *output = malloc(2 * primer->count);
    if (!models || !llmz_context_begin_encoding(models, primer->numbers, primer->count, 0, output, 2 * primer->count)
        || llmz_context_code(models, primer->count) != 0 || llmz_context_finish(models) == SIZE_MAX || !llmz_context_set_learned(models, 0, learned))
        stop("the primer cannot be read", "");
    free(output);
    return models;
}

static void check_context(void)
{
    llmz_context *reader = make_context(), *writer = llmz_context_copy(reader);
    const struct array *payload;
    for (int number = 0; (payload = of_block("context", number, "payload")) != NULL; number++) {
        const struct array *text = of_block("context", number, "text");
        uint32_t profile = *(uint32_t *)of_block("context", number, "profile")->numbers;
        if (!llmz_context_begin_decoding(reader, text->count, profile, payload->numbers, payload->count)
            || llmz_context_code(reader, text->count) != 0 || llmz_context_finish(reader) != payload->count)
            stop("a block of contexts failed", "");
        check("a context block's text", llmz_context_text(reader), text->count, text->numbers, text->count);
        uint8_t *output = malloc(payload->count + 8);
        if (!llmz_context_begin_encoding(writer, text->numbers, text->count, profile, output, payload->count + 8)
            || llmz_context_code(writer, text->count) != 0)
            stop("a block of contexts failed", "");
        size_t size = llmz_context_finish(writer);
        check("a context block", output, size, payload->numbers, payload->count);
        free(output);
    }
    llmz_context_free(reader);
    llmz_context_free(writer);
}

int main(int count, char **arguments)
{
    if (count < 2)
        stop("usage: restore FILE [THREADS]", "");
    llmz_begin();
    read_arrays(arguments[1]);
    struct llmz_threads *threads = llmz_threads_new(count > 2 ? (unsigned)atoi(arguments[2]) : 1);
    struct llmz_network *network = make_network();
    const struct array *packed = find("vocabulary");
    llmz_vocabulary *vocabulary = llmz_vocabulary_new(packed->numbers, packed->count);
    if (!vocabulary)
        stop("the vocabulary makes no sense", "");
    check_network(network, threads, 1);
    check_network(network, threads, 7);
    check_mixed(network, threads, vocabulary);
    check_context();
    llmz_vocabulary_free(vocabulary);
    llmz_network_free(network);
    llmz_threads_free(threads);
    for (size_t i = 0; i < array_count; i++)
        free(arrays[i].numbers);
    printf("restored, kernel %s, %u threads\n", llmz_kernel->name, count > 2 ? (unsigned)atoi(arguments[2]) : 1);
    return 0;
}
