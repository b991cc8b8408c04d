/* Decode golden vectors with the core alone, code them again, and compare both: restore FILE [THREADS]. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "drive.h"
#include "kernel.h"

static void check(const char *what, const void *found, size_t found_size, const void *expected, size_t expected_size)
{
    if (found_size != expected_size || memcmp(found, expected, expected_size) != 0)
        stop("is not what it should be", what);
}

/* --- the network --- */

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

static void check_wide(void)
{
    llmz_mixed *reader = make_wide(), *writer = llmz_mixed_copy(reader);
    const struct array *payload;
    for (int number = 0; (payload = of_block("wide", number, "payload")) != NULL; number++) {
        const struct array *text = of_block("wide", number, "text");
        const uint64_t bytes = text->count;
        if (!llmz_mixed_begin_decoding(reader, 1, &bytes, LLMZ_WIDE, payload->numbers, payload->count)
            || llmz_mixed_code_bytes(reader, NULL, 100) != bytes - 100 || llmz_mixed_code_bytes(reader, NULL, text->count) != 0
            || llmz_mixed_finish(reader) != payload->count)
            stop("a wide block failed", "");
        check("a wide block's text", llmz_mixed_text(reader), text->count, text->numbers, text->count);
        uint8_t *output = malloc(payload->count + 8);
        if (!llmz_mixed_begin_encoding(writer, 1, &bytes, LLMZ_WIDE, output, payload->count + 8)
            || llmz_mixed_code_bytes(writer, text->numbers, text->count) != 0)
            stop("a wide block failed", "");
        size_t size = llmz_mixed_finish(writer);
        check("a wide block", output, size, payload->numbers, payload->count);
        free(output);
    }
    llmz_mixed_free(reader);
    llmz_mixed_free(writer);
}

int main(int count, char **arguments)
{
    if (count < 2)
        stop("usage: restore FILE [THREADS]", "");
    llmz_begin();
    read_arrays(arguments[1]);
    struct llmz_threads *threads = llmz_threads_new(count > 2 ? (unsigned)atoi(arguments[2]) : 1);
    struct llmz_network *network = make_network();
    llmz_vocabulary *vocabulary = make_vocabulary();
    check_network(network, threads, 1);
    check_network(network, threads, 7);
    check_mixed(network, threads, vocabulary);
    check_context();
    check_wide();
    llmz_vocabulary_free(vocabulary);
    llmz_network_free(network);
    llmz_threads_free(threads);
    free_arrays();
    printf("restored, kernel %s, %u threads\n", llmz_kernel->name, count > 2 ? (unsigned)atoi(arguments[2]) : 1);
    return 0;
}
