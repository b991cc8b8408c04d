/* Any bytes as payloads of mixed and of context mode, as vocabularies, and as weights of the network and of the mixers; any text there and
 * back. The tiny model comes from the golden vectors that LLMZIP_VECTORS names. */

#include "../portable/arrays.h"
#include "drive.h"
#include "input.h"

enum { MOST_LANES_LOG = 4, MOST_READ = 40, MOST_TEXT = 1500, BLOCKS = 2, MOST_EDITS = 8, NETWORK_STEPS = 24 };

static struct llmz_network *network;
static llmz_vocabulary *vocabulary;
static struct llmz_threads *one_thread, *two_threads;
static llmz_mixed *mixed, *wide;
static llmz_context *context;
static int32_t *zeros; /* [width] */

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    read_vectors();
    one_thread = llmz_threads_new(1);
    two_threads = llmz_threads_new(2);
    network = make_network();
    vocabulary = make_vocabulary();
    mixed = make_mixed(vocabulary);
    wide = make_wide();
    context = make_context();
    zeros = calloc(llmz_network_shape(network)->width, sizeof *zeros);
    return 0;
}

/* --- mixed mode --- */

struct lanes {
    struct llmz_drive_start start;
    struct llmz_threads *threads;
    unsigned profile;
    uint64_t bytes[1 << MOST_LANES_LOG];
    int32_t first[1 << MOST_LANES_LOG], read[MOST_READ];
};

static void take_lanes(struct input *input, struct lanes *lanes)
{
    const uint32_t size = llmz_vocabulary_size(vocabulary), flags = (uint32_t)take_number(input, 1);
    lanes->start = (struct llmz_drive_start){.lanes = 1u << flags % (MOST_LANES_LOG + 1), .first = lanes->first, .read = lanes->read};
    lanes->start.side = flags & 32 ? get("network/side") : zeros;
    lanes->threads = (flags & 192) == 192 ? two_threads : one_thread;
    lanes->profile = take_below(input, LLMZ_MIXED_PROFILES + 1);
    lanes->start.read_count = take_below(input, MOST_READ + 1);
    for (uint32_t i = 0; i < lanes->start.read_count; i++)
        lanes->read[i] = (int32_t)take_below(input, size);
    const int32_t first = (int32_t)take_below(input, size);
    for (uint32_t i = 0; i < lanes->start.lanes; i++)
        lanes->first[i] = i > 0 ? first : '\n';
}

static enum llmz_drive_state run(const struct lanes *lanes, llmz_mixed *models)
{
    struct llmz_drive *drive = llmz_drive_new(network, lanes->threads, models, &lanes->start);
    enum llmz_drive_state state = LLMZ_DRIVE_MORE;
    require(drive != NULL, "a drive begins");
    while (state == LLMZ_DRIVE_MORE)
        state = llmz_drive_run(drive, 100);
    llmz_drive_free(drive);
    llmz_threads_rest(lanes->threads);
    return state;
}

static void read_mixed(struct input *input)
{
    llmz_mixed *models = llmz_mixed_copy(mixed);
    for (int block = 0; block < BLOCKS && input->left > 0; block++) {
        struct lanes lanes;
        size_t size;
        take_lanes(input, &lanes);
        for (uint32_t i = 0; i < lanes.start.lanes; i++)
            lanes.bytes[i] = 1 + take_below(input, 256) / (lanes.start.lanes > 2 ? 4 : 1);
        const size_t most = take_below(input, 1 << 16);
        uint8_t *payload = take_bytes(input, block < BLOCKS - 1 ? most : SIZE_MAX, &size);
        if (llmz_mixed_begin_decoding(models, lanes.start.lanes, lanes.bytes, lanes.profile, payload, size)
            && run(&lanes, models) == LLMZ_DRIVE_DONE)
            llmz_mixed_finish(models);
        free(payload);
    }
    llmz_mixed_free(models);
}

/* Code a text with both, and compare. */
static void there_and_back(struct input *input, llmz_mixed *writer, llmz_mixed *reader)
{
    struct lanes lanes;
    size_t size, place = 0;
    take_lanes(input, &lanes);
    lanes.profile %= LLMZ_WIDE;
    const int tight = take_below(input, 4) == 0;
    uint8_t *text = take_bytes(input, MOST_TEXT, &size);
    if (size < lanes.start.lanes) {
        free(text);
        return;
    }
    uint64_t counts[1 << MOST_LANES_LOG];
    int32_t *tokens = malloc(size * sizeof *tokens);
    const uint8_t *at = text;
    for (uint32_t i = 0; i < lanes.start.lanes; i++) {
        lanes.bytes[i] = i + 1 < lanes.start.lanes ? size / lanes.start.lanes : (uint64_t)(text + size - at);
        counts[i] = llmz_tokenize(vocabulary, at, (size_t)lanes.bytes[i], tokens + place);
        place += (size_t)counts[i];
        at += lanes.bytes[i];
    }
    const size_t room = tight ? size : 20 * size + 64;
    uint8_t *coded = malloc(room);
    lanes.start.tokens = tokens;
    lanes.start.token_counts = counts;
    require(llmz_mixed_begin_encoding(writer, lanes.start.lanes, lanes.bytes, lanes.profile, coded, room), "a block begins");
    size_t coded_size = run(&lanes, writer) == LLMZ_DRIVE_DONE ? llmz_mixed_finish(writer) : SIZE_MAX;
    require(tight || coded_size != SIZE_MAX, "a text has room");
    if (coded_size != SIZE_MAX) {
        lanes.start.tokens = NULL;
        lanes.start.token_counts = NULL;
        uint8_t *payload = malloc(coded_size);
        if (coded_size > 0)
            memcpy(payload, coded, coded_size);
        require(llmz_mixed_begin_decoding(reader, lanes.start.lanes, lanes.bytes, lanes.profile, payload, coded_size), "a block begins");
        require(run(&lanes, reader) == LLMZ_DRIVE_DONE && llmz_mixed_finish(reader) == coded_size, "a block is read");
        require(memcmp(llmz_mixed_text(reader), text, size) == 0, "a text comes back");
        free(payload);
    }
    free(coded);
    free(tokens);
    free(text);
}

static void write_mixed(struct input *input)
{
    llmz_mixed *writer = llmz_mixed_copy(mixed), *reader = llmz_mixed_copy(mixed);
    there_and_back(input, writer, reader);
    llmz_mixed_free(writer);
    llmz_mixed_free(reader);
}

/* --- context mode --- */

static void read_context(struct input *input)
{
    llmz_context *models = llmz_context_copy(context);
    for (int block = 0; block < BLOCKS && input->left > 0; block++) {
        size_t size;
        const unsigned profile = take_below(input, LLMZ_PLAIN_PROFILES + 1);
        const size_t plain = 1 + take_below(input, MOST_TEXT), most = take_below(input, 1 << 16);
        uint8_t *payload = take_bytes(input, block < BLOCKS - 1 ? most : SIZE_MAX, &size);
        if (llmz_context_begin_decoding(models, plain, profile, payload, size)) {
            size_t left = plain;
            while (left > 0 && left != SIZE_MAX)
                left = llmz_context_code(models, 100);
            if (left == 0)
                llmz_context_finish(models);
        }
        free(payload);
    }
    llmz_context_free(models);
}

static void write_context(struct input *input)
{
    size_t size;
    const unsigned profile = take_below(input, LLMZ_PLAIN_PROFILES);
    const int tight = take_below(input, 4) == 0;
    uint8_t *text = take_bytes(input, MOST_TEXT, &size);
    const size_t room = tight ? size : 20 * size + 64;
    uint8_t *coded = malloc(room);
    llmz_context *writer = llmz_context_copy(context), *reader = llmz_context_copy(context);
    require(llmz_context_begin_encoding(writer, text, size, profile, coded, room), "a block begins");
    size_t coded_size = llmz_context_code(writer, size) == 0 ? llmz_context_finish(writer) : SIZE_MAX;
    require(tight || coded_size != SIZE_MAX, "a text has room");
    if (coded_size != SIZE_MAX) {
        require(llmz_context_begin_decoding(reader, size, profile, coded, coded_size), "a block begins");
        require(llmz_context_code(reader, size) == 0 && llmz_context_finish(reader) == coded_size, "a block is read");
        require(size == 0 || memcmp(llmz_context_text(reader), text, size) == 0, "a text comes back");
    }
    llmz_context_free(writer);
    llmz_context_free(reader);
    free(coded);
    free(text);
}

static void read_wide(struct input *input)
{
    llmz_mixed *models = llmz_mixed_copy(wide);
    for (int block = 0; block < BLOCKS && input->left > 0; block++) {
        size_t size;
        const uint64_t plain = 1 + take_below(input, MOST_TEXT);
        const size_t most = take_below(input, 1 << 16);
        uint8_t *payload = take_bytes(input, block < BLOCKS - 1 ? most : SIZE_MAX, &size);
        require(llmz_mixed_begin_decoding(models, 1, &plain, LLMZ_WIDE, payload, size), "a block begins");
        size_t left = (size_t)plain;
        while (left > 0 && left != SIZE_MAX)
            left = llmz_mixed_code_bytes(models, NULL, 100);
        if (left == 0)
            llmz_mixed_finish(models);
        free(payload);
    }
    llmz_mixed_free(models);
}

static void write_wide(struct input *input)
{
    size_t size;
    const int tight = take_below(input, 4) == 0;
    uint8_t *text = take_bytes(input, MOST_TEXT, &size);
    const uint64_t plain = size;
    const size_t room = tight ? size : 20 * size + 64;
    uint8_t *coded = malloc(room);
    llmz_mixed *writer = llmz_mixed_copy(wide), *reader = llmz_mixed_copy(wide);
    require(llmz_mixed_begin_encoding(writer, 1, &plain, LLMZ_WIDE, coded, room), "a block begins");
    size_t coded_size = llmz_mixed_code_bytes(writer, text, size) == 0 ? llmz_mixed_finish(writer) : SIZE_MAX;
    require(tight || coded_size != SIZE_MAX, "a text has room");
    if (coded_size != SIZE_MAX) {
        require(llmz_mixed_begin_decoding(reader, 1, &plain, LLMZ_WIDE, coded, coded_size), "a block begins");
        require(llmz_mixed_code_bytes(reader, NULL, size) == 0 && llmz_mixed_finish(reader) == coded_size, "a block is read");
        require(size == 0 || memcmp(llmz_mixed_text(reader), text, size) == 0, "a text comes back");
    }
    llmz_mixed_free(writer);
    llmz_mixed_free(reader);
    free(coded);
    free(text);
}

/* --- what a model file holds --- */

static void read_vocabulary(struct input *input)
{
    size_t size, text_size;
    const size_t singles = take_below(input, 2) ? 256 : 0, most = take_below(input, 1 << 16);
    uint8_t *own = take_bytes(input, most, &size), *packed = malloc(size + 2 * singles);
    for (size_t i = 0; i < singles; i++) {
        packed[2 * i] = 1;
        packed[2 * i + 1] = (uint8_t)i;
    }
    if (size > 0)
        memcpy(packed + 2 * singles, own, size);
    llmz_vocabulary *read = llmz_vocabulary_new(packed, size + 2 * singles);
    if (read) {
        uint8_t *text = take_bytes(input, MOST_TEXT, &text_size), *back = malloc(text_size);
        int32_t *tokens = malloc(text_size * sizeof *tokens);
        size_t count = llmz_tokenize(read, text, text_size, tokens);
        require(llmz_join_tokens(read, tokens, count, back) == text_size && (!text_size || memcmp(text, back, text_size) == 0), "tokens are the text");
        free(tokens);
        free(back);
        free(text);
        llmz_vocabulary_free(read);
    }
    free(packed);
    free(own);
}

/* Change numbers of an array, one of them or all; the old ones come back by free_copy. */
static void change(struct input *input, const char *const *names, size_t name_count, int bytes_of(const char *), struct array *copies)
{
    for (int edit = 0; edit < MOST_EDITS && input->left > 0; edit++) {
        const char *name = names[take_below(input, (uint32_t)name_count)];
        struct array *array = (struct array *)(uintptr_t)find(name);
        const size_t bytes = (size_t)bytes_of(name), place = (size_t)take_number(input, 3);
        const int all = take_below(input, 4) == 0;
        const uint64_t value = take_number(input, bytes);
        if (!array || array->count == 0)
            continue;
        if (!copies[edit].numbers) {
            copies[edit] = *array;
            copies[edit].numbers = malloc(array->count * bytes);
            memcpy(copies[edit].numbers, array->numbers, array->count * bytes);
        }
        for (size_t i = all ? 0 : place % array->count; i < (all ? array->count : place % array->count + 1); i++) {
            uint8_t *at = (uint8_t *)array->numbers + i * bytes;
            for (size_t byte = 0; byte < bytes; byte++)
                at[byte] = (uint8_t)(value >> (8 * byte));
        }
    }
}

static void undo(int bytes_of(const char *), struct array *copies)
{
    for (int edit = MOST_EDITS - 1; edit >= 0; edit--)
        if (copies[edit].numbers) {
            const struct array *array = find(copies[edit].name);
            memcpy(array->numbers, copies[edit].numbers, array->count * (size_t)bytes_of(array->name));
            free(copies[edit].numbers);
        }
}

static const char *const network_arrays[] = {"embedding_multiplier", "pairs_multiplier", "triples_multiplier", "in_multiplier", "out_multiplier",
    "up_multiplier", "down_multiplier", "temperature", "slopes", "head_multiplier", "output_bias", "taps", "embedding", "pairs", "triples",
    "in_weight", "out_weight", "up_weight", "down_weight", "head_weight"};

static int network_bytes(const char *name)
{
    if (strcmp(name, "taps") == 0)
        return 2;
    return strstr(name, "multiplier") || strcmp(name, "temperature") == 0 || strcmp(name, "slopes") == 0 || strcmp(name, "output_bias") == 0 ? 4 : 1;
}

/* Weights that are in range give frequencies that are; others are refused. */
static void read_network(struct input *input)
{
    struct array copies[MOST_EDITS] = {0};
    struct llmz_shape shape;
    struct llmz_weights weights;
    const char *problem = NULL;
    const uint32_t lanes = 1 + take_below(input, 5);
    int32_t tokens[5 * NETWORK_STEPS];
    for (uint32_t i = 0; i < lanes * NETWORK_STEPS; i++)
        tokens[i] = (int32_t)(i < 8 ? take_below(input, llmz_vocabulary_size(vocabulary)) : i * 37 % llmz_vocabulary_size(vocabulary));
    change(input, network_arrays, sizeof network_arrays / sizeof *network_arrays, network_bytes, copies);
    network_parts(&shape, &weights);
    struct llmz_network *changed = llmz_network_new(&shape, &weights, &problem);
    if (changed) {
        struct llmz_predictor *predictor = llmz_predictor_new(changed, one_thread, lanes, NETWORK_STEPS, zeros);
        const size_t row = shape.vocabulary + 1;
        int32_t *out = malloc(lanes * NETWORK_STEPS * row * sizeof *out);
        llmz_predictor_start(predictor, tokens, NETWORK_STEPS, out);
        llmz_threads_finish(one_thread);
        llmz_predictor_end(predictor);
        for (size_t i = 0; i < lanes * NETWORK_STEPS; i++) {
            require(out[i * row] == 0 && out[i * row + row - 1] <= 1 << 24, "frequencies have their sum");
            for (size_t token = 0; token + 1 < row; token++)
                require(out[i * row + token] < out[i * row + token + 1], "every token has a frequency");
        }
        free(out);
        llmz_predictor_free(predictor);
        llmz_network_free(changed);
    } else {
        require(problem != NULL, "a network is refused for a reason");
    }
    undo(network_bytes, copies);
}

static const char *const mixer_arrays[] = {"mixed.0.weights", "mixed.1.weights", "mixed.0.final_weights", "mixed.1.final_weights",
    "mixed.0.counter_maps", "mixed.1.counter_maps", "mixed.0.match_maps", "mixed.1.match_maps", "mixed.0.network_map", "mixed.1.network_map"};

static int mixer_bytes(const char *name)
{
    return strstr(name, "map") ? 2 : 4;
}

static void read_mixers(struct input *input)
{
    struct array copies[MOST_EDITS] = {0};
    struct input edits = *input;
    edits.left = edits.left < 64 ? edits.left : 64;
    change(&edits, mixer_arrays, sizeof mixer_arrays / sizeof *mixer_arrays, mixer_bytes, copies);
    input->left -= (size_t)(edits.at - input->at);
    input->at = edits.at;
    llmz_mixed *writer = new_mixed(vocabulary), *reader = writer ? llmz_mixed_copy(writer) : NULL;
    if (writer)
        there_and_back(input, writer, reader);
    llmz_mixed_free(writer);
    llmz_mixed_free(reader);
    undo(mixer_bytes, copies);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const all[])(struct input *) = {
        read_mixed, read_context, write_mixed, write_context, read_vocabulary, read_network, read_mixers, read_wide, write_wide};
    struct input input = {data, size};
    all[take_below(&input, sizeof all / sizeof *all)](&input);
    return 0;
}
