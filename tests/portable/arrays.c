#include "arrays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ARRAYS = 512 };

static struct array arrays[MOST_ARRAYS];
static size_t array_count;

void stop(const char *problem, const char *name)
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

void read_arrays(const char *path)
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

void free_arrays(void)
{
    for (size_t i = 0; i < array_count; i++)
        free(arrays[i].numbers);
    array_count = 0;
}

const struct array *find(const char *name)
{
    for (size_t i = 0; i < array_count; i++)
        if (strcmp(arrays[i].name, name) == 0)
            return &arrays[i];
    return NULL;
}

void *get(const char *name)
{
    const struct array *a = find(name);
    if (!a)
        stop("there is no such array", name);
    return a->numbers;
}

const struct array *of_block(const char *mode, int number, const char *name)
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

void network_parts(struct llmz_shape *shape, struct llmz_weights *weights)
{
    const uint32_t *numbers = get("shape");
    const struct array *attends = find("attends");
    *shape = (struct llmz_shape){.width = numbers[0], .hidden = numbers[1], .heads = numbers[2], .taps = numbers[3], .window = numbers[4],
        .vocabulary = numbers[5], .layers = (uint32_t)attends->count};
    memcpy(shape->attends, attends->numbers, attends->count);
    *weights = (struct llmz_weights){
        .in = get("in_weight"), .out = get("out_weight"), .up = get("up_weight"), .down = get("down_weight"),
        .in_multiplier = get("in_multiplier"), .out_multiplier = get("out_multiplier"), .up_multiplier = get("up_multiplier"),
        .down_multiplier = get("down_multiplier"), .taps = get("taps"), .temperature = get("temperature"), .slopes = get("slopes"),
        .tokens = table("embedding", "embedding_multiplier", false), .pairs = table("pairs", "pairs_multiplier", true),
        .triples = table("triples", "triples_multiplier", true),
        .head = get("head_weight"), .head_multiplier = get("head_multiplier"), .head_bias = get("output_bias"),
    };
}

struct llmz_network *make_network(void)
{
    struct llmz_shape shape;
    struct llmz_weights weights;
    network_parts(&shape, &weights);
    const char *problem = "memory is short";
    struct llmz_network *network = llmz_network_new(&shape, &weights, &problem);
    if (!network)
        stop(problem, "");
    return network;
}

llmz_vocabulary *make_vocabulary(void)
{
    const struct array *packed = find("vocabulary");
    llmz_vocabulary *vocabulary = packed ? llmz_vocabulary_new(packed->numbers, packed->count) : NULL;
    if (!vocabulary)
        stop("the vocabulary makes no sense", "");
    return vocabulary;
}

llmz_mixed *new_mixed(const llmz_vocabulary *vocabulary)
{
    llmz_mixed_learned learned[LLMZ_MIXED_PROFILES] = {0};
    for (int profile = 0; profile < LLMZ_WIDE; profile++) {
        llmz_mixed_learned own = {numbers_of("mixed", profile, "weights"), numbers_of("mixed", profile, "final_weights"),
            numbers_of("mixed", profile, "counter_maps"), numbers_of("mixed", profile, "match_maps"), numbers_of("mixed", profile, "network_map"), NULL};
        learned[profile] = own;
    }
    return llmz_mixed_new(vocabulary, *(uint32_t *)get("mixed.table_bits"), learned, NULL);
}

llmz_mixed *make_wide(void)
{
    llmz_mixed_learned learned[LLMZ_MIXED_PROFILES] = {0};
    learned[LLMZ_WIDE] = (llmz_mixed_learned){get("wide.weights"), get("wide.final_weights"), get("wide.counter_maps"), get("wide.match_maps"), NULL,
        get("wide.history_maps")};
    llmz_mixed *models = llmz_mixed_new(NULL, *(uint32_t *)get("wide.table_bits"), learned, NULL);
    if (!models)
        stop("the wide models make no sense", "");
    return models;
}

llmz_mixed *make_mixed(const llmz_vocabulary *vocabulary)
{
    llmz_mixed *models = new_mixed(vocabulary);
    if (!models)
        stop("the mixing models make no sense", "");
    return models;
}

llmz_context *make_context(void)
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
