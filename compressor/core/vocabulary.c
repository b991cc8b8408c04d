/* The tokenizer: longest match against a sorted vocabulary that has every single byte. */

#include "vocabulary.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TOKENS = 32767, MOST_NODES = 32001 };

static uint32_t shared_bytes(const uint8_t *a, uint32_t a_length, const uint8_t *b, uint32_t b_length)
{
    uint32_t n = 0;
    while (n < a_length && n < b_length && a[n] == b[n])
        n++;
    return n;
}

/* Count tokens and trie nodes; false where the packed vocabulary breaks a rule. */
static bool measure(const uint8_t *packed, size_t size, uint32_t *tokens, uint32_t *nodes)
{
    const uint8_t *last = NULL;
    uint32_t last_length = 0, count = 0, single = 0, trie = 1;
    for (size_t at = 0; at < size;) {
        uint32_t length = packed[at++];
        if (length < 1 || length > LLMZ_TOKEN_BYTES || length > size - at || count == MOST_TOKENS)
            return false;
        const uint8_t *token = packed + at;
        uint32_t shared = shared_bytes(last, last_length, token, length);
        if (shared == length || (shared < last_length && token[shared] < last[shared]))
            return false; /* not after the last one */
        count++;
        single += length == 1;
        trie += length - shared;
        if (trie > MOST_NODES)
            return false;
        last = token;
        last_length = length;
        at += length;
    }
    *tokens = count;
    *nodes = trie;
    return single == 256;
}

static void fill(llmz_vocabulary *v, const uint8_t *packed)
{
    uint32_t nodes = 1;
    for (uint32_t token = 0; token < v->size; token++) {
        uint32_t length = *packed++, node = 0;
        v->lengths[token] = (uint8_t)length;
        for (uint32_t i = 0; i < length; i++, packed++) {
            v->bytes[i * v->size + token] = *packed;
            uint16_t *child = &v->children[node][*packed];
            if (*child == 0) {
                v->token_at[nodes] = -1;
                *child = (uint16_t)nodes++;
            }
            node = *child;
        }
        v->token_at[node] = (int16_t)token;
    }
    v->token_at[0] = -1;
    uint32_t token = 0;
    for (uint32_t byte = 0; byte < 257; byte++) {
        while (token < v->size && v->bytes[token] < byte)
            token++;
        v->first_of_byte[byte] = token;
    }
}

llmz_vocabulary *llmz_vocabulary_new(const uint8_t *packed, size_t size)
{
    uint32_t tokens, nodes;
    if (!measure(packed, size, &tokens, &nodes))
        return NULL;
    llmz_vocabulary *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->size = tokens;
    v->lengths = calloc(tokens, 1);
    v->bytes = calloc(tokens, LLMZ_TOKEN_BYTES);
    v->children = calloc(nodes, sizeof *v->children);
    v->token_at = calloc(nodes, sizeof *v->token_at);
    if (!v->lengths || !v->bytes || !v->children || !v->token_at) {
        llmz_vocabulary_free(v);
        return NULL;
    }
    fill(v, packed);
    return v;
}

void llmz_vocabulary_free(llmz_vocabulary *v)
{
    if (!v)
        return;
    free(v->lengths);
    free(v->bytes);
    free(v->children);
    free(v->token_at);
    free(v);
}

uint32_t llmz_vocabulary_size(const llmz_vocabulary *v)
{
    return v->size;
}

uint32_t llmz_token_bytes(const llmz_vocabulary *v, int32_t token, uint8_t bytes[LLMZ_TOKEN_BYTES])
{
    for (uint32_t i = 0; i < LLMZ_TOKEN_BYTES; i++)
        bytes[i] = v->bytes[i * v->size + (uint32_t)token];
    return v->lengths[token];
}

size_t llmz_tokenize(const llmz_vocabulary *v, const uint8_t *text, size_t size, int32_t *tokens)
{
    size_t count = 0, position = 0;
    while (position < size) {
        size_t after = position;
        uint32_t node = 0;
        for (size_t i = position; i < size && (node = v->children[node][text[i]]) != 0;) {
            i++;
            if (v->token_at[node] >= 0) {
                tokens[count] = v->token_at[node];
                after = i;
            }
        }
        count++;
        position = after;
    }
    return count;
}

size_t llmz_join_tokens(const llmz_vocabulary *v, const int32_t *tokens, size_t count, uint8_t *text)
{
    size_t position = 0;
    for (size_t t = 0; t < count; t++) {
        uint32_t token = (uint32_t)tokens[t];
        for (uint32_t i = 0; i < v->lengths[token]; i++)
            text[position++] = v->bytes[i * v->size + token];
    }
    return position;
}
