/* The binding of the core's mixing functions: vocabularies, mixed mode, context mode. */

#include "bind_mixing.h"

#include "decision.h"

#include <limits.h>
#include <string.h>

#define VOCABULARY "llmzip.vocabulary"
#define MIXED "llmzip.mixed"
#define CONTEXT "llmzip.context"

/* ---- Checks ---- */

static bool has_bytes(const Py_buffer *buffer, size_t bytes, const char *what)
{
    if ((size_t)buffer->len == bytes)
        return true;
    PyErr_Format(PyExc_ValueError, "%s: %zd bytes in place of %zu", what, buffer->len, bytes);
    return false;
}

static void release_all(Py_buffer *buffers, int count)
{
    for (int i = 0; i < count; i++)
        PyBuffer_Release(&buffers[i]);
}

static bool are_increasing(const int32_t *cumulative, size_t tokens)
{
    for (size_t i = 0; i < tokens; i++)
        if (cumulative[i + 1] <= cumulative[i])
            return false;
    return cumulative[0] == 0 && cumulative[tokens] <= 1 << 24;
}

/* ---- Vocabularies ---- */

const llmz_vocabulary *llmz_vocabulary_in(PyObject *capsule)
{
    return PyCapsule_GetPointer(capsule, VOCABULARY);
}

static void free_vocabulary(PyObject *capsule)
{
    llmz_vocabulary_free(PyCapsule_GetPointer(capsule, VOCABULARY));
}

static PyObject *vocabulary(PyObject *module, PyObject *arguments)
{
    (void)module;
    Py_buffer packed;
    if (!PyArg_ParseTuple(arguments, "y*:vocabulary", &packed))
        return NULL;
    llmz_vocabulary *v = llmz_vocabulary_new(packed.buf, (size_t)packed.len);
    PyBuffer_Release(&packed);
    if (!v) {
        PyErr_SetString(PyExc_ValueError, "vocabulary: not sorted tokens of 1 to 24 bytes with every single byte among them");
        return NULL;
    }
    PyObject *capsule = PyCapsule_New(v, VOCABULARY, free_vocabulary);
    if (!capsule)
        llmz_vocabulary_free(v);
    return capsule;
}

static PyObject *vocabulary_size(PyObject *module, PyObject *capsule)
{
    (void)module;
    const llmz_vocabulary *v = llmz_vocabulary_in(capsule);
    return v ? PyLong_FromUnsignedLong(llmz_vocabulary_size(v)) : NULL;
}

static PyObject *vocabulary_tokens(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule, *result = NULL;
    Py_buffer b[2];
    if (!PyArg_ParseTuple(arguments, "Ow*w*:vocabulary_tokens", &capsule, &b[0], &b[1]))
        return NULL;
    const llmz_vocabulary *v = llmz_vocabulary_in(capsule);
    size_t size = v ? llmz_vocabulary_size(v) : 0;
    if (v && has_bytes(&b[0], size * LLMZ_TOKEN_BYTES, "token bytes") && has_bytes(&b[1], size, "token lengths")) {
        uint8_t *bytes = b[0].buf, *lengths = b[1].buf;
        for (size_t i = 0; i < size; i++)
            lengths[i] = (uint8_t)llmz_token_bytes(v, (int32_t)i, bytes + i * LLMZ_TOKEN_BYTES);
        result = Py_NewRef(Py_None);
    }
    release_all(b, 2);
    return result;
}

static PyObject *tokenize(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule, *result = NULL;
    Py_buffer b[2];
    if (!PyArg_ParseTuple(arguments, "Oy*w*:tokenize", &capsule, &b[0], &b[1]))
        return NULL;
    const llmz_vocabulary *v = llmz_vocabulary_in(capsule);
    if (v && has_bytes(&b[1], (size_t)b[0].len * sizeof(int32_t), "tokens")) {
        size_t count;
        Py_BEGIN_ALLOW_THREADS
        count = llmz_tokenize(v, b[0].buf, (size_t)b[0].len, b[1].buf);
        Py_END_ALLOW_THREADS
        result = PyLong_FromSize_t(count);
    }
    release_all(b, 2);
    return result;
}

static PyObject *join_tokens(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule, *result = NULL;
    Py_buffer buffer;
    if (!PyArg_ParseTuple(arguments, "Oy*:join_tokens", &capsule, &buffer))
        return NULL;
    const llmz_vocabulary *v = llmz_vocabulary_in(capsule);
    if (v) {
        const int32_t *tokens = buffer.buf;
        size_t count = (size_t)buffer.len / sizeof *tokens, bytes = 0;
        bool known = buffer.len % (Py_ssize_t)sizeof *tokens == 0;
        int32_t size = (int32_t)llmz_vocabulary_size(v);
        uint8_t unused[LLMZ_TOKEN_BYTES];
        for (size_t i = 0; i < count && known; i++) {
            known = tokens[i] >= 0 && tokens[i] < size;
            bytes += known ? llmz_token_bytes(v, tokens[i], unused) : 0;
        }
        if (!known)
            PyErr_SetString(PyExc_ValueError, "not tokens of this vocabulary");
        else if ((result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bytes)) != NULL)
            llmz_join_tokens(v, tokens, count, (uint8_t *)PyBytes_AsString(result));
    }
    PyBuffer_Release(&buffer);
    return result;
}

/* ---- What both modes have in common ---- */

typedef enum work { IDLE, ENCODING, DECODING } work;

/* A block's coded bytes, where they come from or go to. */
typedef struct block {
    work work;
    bool busy; /* some thread works on it without Python's lock */
    Py_buffer data;
    uint8_t *output;
    size_t plain_bytes;
} block;

static void end_block(block *b)
{
    if (b->work == DECODING)
        PyBuffer_Release(&b->data);
    PyMem_Free(b->output);
    b->output = NULL;
    b->work = IDLE;
}

static bool reserve(block *b)
{
    if (b->busy) {
        PyErr_SetString(PyExc_RuntimeError, "these models are in use by another thread");
        return false;
    }
    b->busy = true;
    return true;
}

static bool is_at_work(const block *b)
{
    if (b->work == IDLE)
        PyErr_SetString(PyExc_ValueError, "no block has begun");
    return b->work != IDLE;
}

static bool make_output(block *b, size_t bytes)
{
    b->output = PyMem_Malloc(bytes > 0 ? bytes : 1);
    if (!b->output)
        PyErr_NoMemory();
    return b->output != NULL;
}

static PyObject *block_result(block *b, size_t coded, const uint8_t *text)
{
    PyObject *result;
    if (coded == SIZE_MAX)
        result = Py_NewRef(Py_None);
    else if (b->work == DECODING)
        result = PyBytes_FromStringAndSize((const char *)text, (Py_ssize_t)b->plain_bytes);
    else
        result = PyBytes_FromStringAndSize((const char *)b->output, (Py_ssize_t)coded);
    end_block(b);
    return result;
}

/* ---- Mixed mode ---- */

typedef struct mixed {
    llmz_mixed *models;
    PyObject *vocabulary;
    block block;
    uint32_t lanes;
} mixed;

static mixed *mixed_in(PyObject *capsule)
{
    return PyCapsule_GetPointer(capsule, MIXED);
}

static void free_mixed(PyObject *capsule)
{
    mixed *m = mixed_in(capsule);
    end_block(&m->block);
    llmz_mixed_free(m->models);
    Py_XDECREF(m->vocabulary);
    PyMem_Free(m);
}

llmz_mixed *llmz_mixed_reserve(PyObject *capsule)
{
    mixed *m = mixed_in(capsule);
    return m && is_at_work(&m->block) && reserve(&m->block) ? m->models : NULL;
}

void llmz_mixed_release(PyObject *capsule)
{
    mixed_in(capsule)->block.busy = false;
}

static PyObject *wrap_mixed(llmz_mixed *models, PyObject *vocabulary)
{
    mixed *m = models ? PyMem_Calloc(1, sizeof *m) : NULL;
    PyObject *capsule = m ? PyCapsule_New(m, MIXED, free_mixed) : NULL;
    if (!capsule) {
        if (!PyErr_Occurred())
            PyErr_NoMemory();
        PyMem_Free(m);
        llmz_mixed_free(models);
        return NULL;
    }
    m->models = models;
    m->vocabulary = Py_NewRef(vocabulary);
    return capsule;
}

static bool mixed_learned_fits(const Py_buffer b[5], unsigned profile)
{
    const llmz_profile_shape shape = llmz_mixed_shapes[profile];
    const size_t kinds = profile == LLMZ_WIDE ? 1 : 2, matches = LLMZ_MATCH_BUCKETS * 2 * sizeof(uint16_t);
    return has_bytes(&b[0], (size_t)shape.sets * shape.inputs * sizeof(int32_t), "weights") &&
           has_bytes(&b[1], (size_t)shape.final_sets * shape.mixers * sizeof(int32_t), "final weights") &&
           has_bytes(&b[2], kinds * shape.contexts * LLMZ_COUNTER_MAP * sizeof(uint16_t), "counter maps") &&
           has_bytes(&b[3], kinds * shape.guesses * matches, "match maps") &&
           (profile == LLMZ_WIDE ? has_bytes(&b[4], (size_t)shape.contexts * LLMZ_STATES * sizeof(uint32_t), "history maps")
                                 : has_bytes(&b[4], 256 * LLMZ_STAGE_BUCKETS * sizeof(uint16_t), "network map"));
}

static llmz_mixed_learned mixed_learned_in(const Py_buffer b[5], unsigned profile)
{
    llmz_mixed_learned learned = {.weights = b[0].buf, .final_weights = b[1].buf, .counter_maps = b[2].buf, .match_maps = b[3].buf};
    if (profile == LLMZ_WIDE)
        learned.history_maps = b[4].buf;
    else
        learned.network_map = b[4].buf;
    return learned;
}

static bool is_profile(unsigned profile, unsigned profiles)
{
    if (profile >= profiles)
        PyErr_SetString(PyExc_ValueError, "no such profile");
    return profile < profiles;
}

static bool are_weights(const Py_buffer *weights, const Py_buffer *final_weights)
{
    bool fit = llmz_weights_in_range(weights->buf, (size_t)weights->len / sizeof(int32_t)) &&
               llmz_weights_in_range(final_weights->buf, (size_t)final_weights->len / sizeof(int32_t));
    if (!fit)
        PyErr_SetString(PyExc_ValueError, "weights of mixers are out of range");
    return fit;
}

static bool are_numbers(unsigned table_bits, const unsigned *rates, int count)
{
    bool fit = table_bits >= LLMZ_TABLE_BITS_MIN && table_bits <= LLMZ_TABLE_BITS_MAX;
    for (int i = 0; i < count; i++)
        fit = fit && rates[i] <= LLMZ_RATE_MAX;
    if (!fit)
        PyErr_SetString(PyExc_ValueError, "table size or learning rates are out of range");
    return fit;
}

/* Buffers of the learned states of all profiles: a tuple of tuples of `arrays` each. Returns how many were taken up, which is
 * profiles * arrays or less with an exception. */
static int take_learned(PyObject *states, int profiles, int arrays, Py_buffer *buffers)
{
    int count = 0;
    if (!PyTuple_Check(states) || PyTuple_Size(states) != profiles) {
        PyErr_Format(PyExc_ValueError, "learned states: not a tuple of %d", profiles);
        return 0;
    }
    for (int i = 0; i < profiles; i++) {
        PyObject *state = PyTuple_GetItem(states, i);
        if (!PyTuple_Check(state) || PyTuple_Size(state) != arrays) {
            PyErr_Format(PyExc_ValueError, "a learned state: not a tuple of %d arrays", arrays);
            return count;
        }
        for (int j = 0; j < arrays; j++, count++)
            if (PyObject_GetBuffer(PyTuple_GetItem(state, j), &buffers[count], PyBUF_SIMPLE) < 0)
                return count;
    }
    return count;
}

static PyObject *mixed_new(PyObject *module, PyObject *arguments)
{
    (void)module;
    enum { ARRAYS = 5, ALL = ARRAYS * LLMZ_MIXED_PROFILES };
    PyObject *capsule, *own_rates, *states, *result = NULL;
    unsigned table_bits, r[3] = {0};
    Py_buffer b[ALL];
    if (!PyArg_ParseTuple(arguments, "OIOO:mixed_new", &capsule, &table_bits, &own_rates, &states))
        return NULL;
    const bool wide = capsule == Py_None;
    const llmz_vocabulary *v = wide ? NULL : llmz_vocabulary_in(capsule);
    if ((!v && !wide) || (own_rates != Py_None && !PyArg_ParseTuple(own_rates, "III:mixed_new", &r[0], &r[1], &r[2])))
        return NULL;
    const unsigned first = wide ? LLMZ_WIDE : 0, profiles = wide ? 1 : LLMZ_WIDE;
    const int count = take_learned(states, (int)profiles, ARRAYS, b);
    bool fit = count == (int)profiles * ARRAYS && are_numbers(table_bits, r, 3);
    llmz_mixed_learned learned[LLMZ_MIXED_PROFILES] = {0};
    for (unsigned i = 0; fit && i < profiles; i++) {
        const Py_buffer *own = b + i * ARRAYS;
        fit = mixed_learned_fits(own, first + i) && are_weights(&own[0], &own[1]);
        learned[first + i] = mixed_learned_in(own, first + i);
    }
    if (fit) {
        const uint32_t rates[3] = {r[0], r[1], r[2]};
        result = wrap_mixed(llmz_mixed_new(v, table_bits, learned, own_rates == Py_None ? NULL : rates), capsule);
    }
    release_all(b, count);
    return result;
}

static PyObject *mixed_copy(PyObject *module, PyObject *capsule)
{
    (void)module;
    mixed *m = mixed_in(capsule);
    if (!m || !reserve(&m->block))
        return NULL;
    llmz_mixed *copy;
    Py_BEGIN_ALLOW_THREADS
    copy = llmz_mixed_copy(m->models);
    Py_END_ALLOW_THREADS
    m->block.busy = false;
    return wrap_mixed(copy, m->vocabulary);
}

static PyObject *mixed_read(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule, *result = NULL;
    unsigned profile;
    Py_buffer text;
    if (!PyArg_ParseTuple(arguments, "OIy*:mixed_read", &capsule, &profile, &text))
        return NULL;
    mixed *m = mixed_in(capsule);
    if (m && is_profile(profile, LLMZ_WIDE) && reserve(&m->block)) {
        bool read;
        Py_BEGIN_ALLOW_THREADS
        read = llmz_mixed_read(m->models, profile, text.buf, (size_t)text.len);
        Py_END_ALLOW_THREADS
        m->block.busy = false;
        if (read)
            result = Py_NewRef(Py_None);
        else if ((size_t)text.len > LLMZ_BLOCK_BYTES_MAX)
            PyErr_SetString(PyExc_ValueError, "the text is longer than a block");
        else
            PyErr_NoMemory();
    }
    PyBuffer_Release(&text);
    return result;
}

static PyObject *mixed_learned(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule, *result = NULL;
    unsigned profile;
    Py_buffer b[5];
    if (!PyArg_ParseTuple(arguments, "OIw*w*w*w*w*:mixed_learned", &capsule, &profile, &b[0], &b[1], &b[2], &b[3], &b[4]))
        return NULL;
    mixed *m = mixed_in(capsule);
    if (m && is_profile(profile, LLMZ_MIXED_PROFILES) && mixed_learned_fits(b, profile) && reserve(&m->block)) {
        llmz_mixed_learned learned = mixed_learned_in(b, profile);
        const bool copied = llmz_mixed_copy_learned(m->models, profile, &learned);
        m->block.busy = false;
        if (copied)
            result = Py_NewRef(Py_None);
        else
            PyErr_SetString(PyExc_ValueError, "these models have no such profile");
    }
    release_all(b, 5);
    return result;
}

/* Begin a block whose coded bytes are in m->block; it fails with an exception. */
static PyObject *begin_mixed(mixed *m, const Py_buffer *lane_bytes, unsigned profile, size_t capacity)
{
    size_t lanes = (size_t)lane_bytes->len / sizeof(uint64_t);
    block *b = &m->block;
    bool begun = false;
    if (lane_bytes->len % (Py_ssize_t)sizeof(uint64_t) == 0 && lanes > 0 && lanes <= UINT32_MAX) {
        if (b->work == DECODING)
            begun = llmz_mixed_begin_decoding(m->models, (uint32_t)lanes, lane_bytes->buf, profile, b->data.buf,
                                              (size_t)b->data.len);
        else
            begun = llmz_mixed_begin_encoding(m->models, (uint32_t)lanes, lane_bytes->buf, profile, b->output, capacity);
    }
    if (!begun) {
        end_block(b);
        PyErr_SetString(PyExc_ValueError, "no such lanes or profile");
        return NULL;
    }
    m->lanes = (uint32_t)lanes;
    b->plain_bytes = 0;
    for (size_t i = 0; i < lanes; i++)
        b->plain_bytes += (size_t)((const uint64_t *)lane_bytes->buf)[i];
    return Py_NewRef(Py_None);
}

static PyObject *mixed_begin_encoding(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule, *result = NULL;
    Py_buffer lane_bytes;
    unsigned profile;
    Py_ssize_t capacity;
    if (!PyArg_ParseTuple(arguments, "Oy*In:mixed_begin_encoding", &capsule, &lane_bytes, &profile, &capacity))
        return NULL;
    mixed *m = mixed_in(capsule);
    if (m && reserve(&m->block)) {
        end_block(&m->block);
        if (capacity < 0)
            PyErr_SetString(PyExc_ValueError, "a negative capacity");
        else if (make_output(&m->block, (size_t)capacity)) {
            m->block.work = ENCODING;
            result = begin_mixed(m, &lane_bytes, profile, (size_t)capacity);
        }
        m->block.busy = false;
    }
    PyBuffer_Release(&lane_bytes);
    return result;
}

static PyObject *mixed_begin_decoding(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule, *result = NULL;
    Py_buffer lane_bytes, data;
    unsigned profile;
    if (!PyArg_ParseTuple(arguments, "Oy*Iy*:mixed_begin_decoding", &capsule, &lane_bytes, &profile, &data))
        return NULL;
    mixed *m = mixed_in(capsule);
    if (m && reserve(&m->block)) {
        end_block(&m->block);
        m->block.data = data;
        m->block.work = DECODING;
        result = begin_mixed(m, &lane_bytes, profile, 0);
        m->block.busy = false;
    } else {
        PyBuffer_Release(&data);
    }
    PyBuffer_Release(&lane_bytes);
    return result;
}

static bool step_lanes(mixed *m, int32_t *tokens, const int32_t *cumulative, size_t row)
{
    for (uint32_t lane = 0; lane < m->lanes; lane++) {
        if (llmz_mixed_lane_done(m->models, lane))
            continue;
        if (lane + 1 < m->lanes && !llmz_mixed_lane_done(m->models, lane + 1))
            llmz_mixed_prefetch(m->models, lane + 1);
        tokens[lane] = llmz_mixed_code(m->models, lane, tokens[lane], cumulative + lane * row);
        if (tokens[lane] < 0)
            return false;
    }
    return true;
}

static PyObject *mixed_step(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule, *result = NULL;
    Py_buffer b[2];
    if (!PyArg_ParseTuple(arguments, "Ow*y*:mixed_step", &capsule, &b[0], &b[1]))
        return NULL;
    mixed *m = mixed_in(capsule);
    const llmz_vocabulary *v = m ? llmz_vocabulary_in(m->vocabulary) : NULL;
    if (v && is_at_work(&m->block) && reserve(&m->block)) {
        const size_t size = llmz_vocabulary_size(v);
        int32_t *tokens = b[0].buf;
        const int32_t *cumulative = b[1].buf;
        bool fit = has_bytes(&b[0], m->lanes * sizeof(int32_t), "tokens") &&
                   has_bytes(&b[1], m->lanes * (size + 1) * sizeof(int32_t), "cumulative frequencies");
        for (uint32_t lane = 0; lane < m->lanes && fit; lane++) {
            fit = llmz_mixed_lane_done(m->models, lane) ||
                  (are_increasing(cumulative + lane * (size + 1), size) &&
                   (m->block.work == DECODING || (tokens[lane] >= 0 && (size_t)tokens[lane] < size)));
            if (!fit)
                PyErr_SetString(PyExc_ValueError, "no such tokens or frequencies");
        }
        if (fit) {
            bool coded;
            Py_BEGIN_ALLOW_THREADS
            coded = step_lanes(m, tokens, cumulative, size + 1);
            Py_END_ALLOW_THREADS
            if (!coded)
                end_block(&m->block);
            result = PyBool_FromLong(coded);
        }
        m->block.busy = false;
    }
    release_all(b, 2);
    return result;
}

static PyObject *mixed_lanes_left(PyObject *module, PyObject *capsule)
{
    (void)module;
    mixed *m = mixed_in(capsule);
    if (!m || !is_at_work(&m->block))
        return NULL;
    uint32_t left = 0;
    for (uint32_t lane = 0; lane < m->lanes; lane++)
        left += !llmz_mixed_lane_done(m->models, lane);
    return PyLong_FromUnsignedLong(left);
}

static PyObject *mixed_code_bytes(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule, *result = NULL;
    Py_buffer text;
    Py_ssize_t most;
    if (!PyArg_ParseTuple(arguments, "Oy*n:mixed_code_bytes", &capsule, &text, &most))
        return NULL;
    mixed *m = mixed_in(capsule);
    if (m && m->vocabulary != Py_None)
        PyErr_SetString(PyExc_ValueError, "these models code tokens");
    else if (m && is_at_work(&m->block) && reserve(&m->block)) {
        if (m->block.work == DECODING || has_bytes(&text, m->block.plain_bytes, "text")) {
            size_t left;
            Py_BEGIN_ALLOW_THREADS
            left = llmz_mixed_code_bytes(m->models, text.buf, most > 0 ? (size_t)most : 0);
            Py_END_ALLOW_THREADS
            if (left == SIZE_MAX)
                end_block(&m->block);
            result = left == SIZE_MAX ? Py_NewRef(Py_None) : PyLong_FromSize_t(left);
        }
        m->block.busy = false;
    }
    PyBuffer_Release(&text);
    return result;
}

static PyObject *mixed_finish(PyObject *module, PyObject *capsule)
{
    (void)module;
    mixed *m = mixed_in(capsule);
    if (!m || !is_at_work(&m->block) || !reserve(&m->block))
        return NULL;
    m->block.busy = false;
    return block_result(&m->block, llmz_mixed_finish(m->models), llmz_mixed_text(m->models));
}

/* ---- Context mode ---- */

typedef struct context {
    llmz_context *models;
    block block;
} context;

static context *context_in(PyObject *capsule)
{
    return PyCapsule_GetPointer(capsule, CONTEXT);
}

static void free_context(PyObject *capsule)
{
    context *c = context_in(capsule);
    end_block(&c->block);
    llmz_context_free(c->models);
    PyMem_Free(c);
}

static PyObject *wrap_context(llmz_context *models)
{
    context *c = models ? PyMem_Calloc(1, sizeof *c) : NULL;
    PyObject *capsule = c ? PyCapsule_New(c, CONTEXT, free_context) : NULL;
    if (!capsule) {
        if (!PyErr_Occurred())
            PyErr_NoMemory();
        PyMem_Free(c);
        llmz_context_free(models);
        return NULL;
    }
    c->models = models;
    return capsule;
}

static bool plain_learned_fits(const Py_buffer b[4], unsigned profile)
{
    const llmz_profile_shape shape = llmz_plain_shapes[profile];
    return has_bytes(&b[0], (size_t)shape.sets * shape.inputs * sizeof(int32_t), "weights") &&
           has_bytes(&b[1], 256 * (size_t)shape.mixers * sizeof(int32_t), "final weights") &&
           has_bytes(&b[2], shape.contexts * (size_t)LLMZ_COUNTER_MAP * sizeof(uint16_t), "counter maps") &&
           has_bytes(&b[3], shape.guesses * (size_t)LLMZ_MATCH_BUCKETS * 2 * sizeof(uint16_t), "match maps");
}

static PyObject *context_new(PyObject *module, PyObject *arguments)
{
    (void)module;
    enum { ARRAYS = 4, ALL = ARRAYS * LLMZ_PLAIN_PROFILES };
    PyObject *states, *result = NULL;
    unsigned table_bits, r[2];
    Py_buffer b[ALL];
    if (!PyArg_ParseTuple(arguments, "I(II)O:context_new", &table_bits, &r[0], &r[1], &states))
        return NULL;
    const int count = take_learned(states, LLMZ_PLAIN_PROFILES, ARRAYS, b);
    bool fit = count == ALL && are_numbers(table_bits, r, 2);
    llmz_plain_learned learned[LLMZ_PLAIN_PROFILES];
    for (unsigned i = 0; fit && i < LLMZ_PLAIN_PROFILES; i++) {
        const Py_buffer *own = b + i * ARRAYS;
        fit = plain_learned_fits(own, i) && are_weights(&own[0], &own[1]);
        learned[i] = (llmz_plain_learned){own[0].buf, own[1].buf, own[2].buf, own[3].buf};
    }
    if (fit) {
        const uint32_t rates[2] = {r[0], r[1]};
        result = wrap_context(llmz_context_new(table_bits, learned, rates));
    }
    release_all(b, count);
    return result;
}

static PyObject *context_copy(PyObject *module, PyObject *capsule)
{
    (void)module;
    context *c = context_in(capsule);
    if (!c || !reserve(&c->block))
        return NULL;
    llmz_context *copy;
    Py_BEGIN_ALLOW_THREADS
    copy = llmz_context_copy(c->models);
    Py_END_ALLOW_THREADS
    c->block.busy = false;
    return wrap_context(copy);
}

static PyObject *context_learned(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule, *result = NULL;
    unsigned profile;
    Py_buffer b[4];
    if (!PyArg_ParseTuple(arguments, "OIw*w*w*w*:context_learned", &capsule, &profile, &b[0], &b[1], &b[2], &b[3]))
        return NULL;
    context *c = context_in(capsule);
    if (c && is_profile(profile, LLMZ_PLAIN_PROFILES) && plain_learned_fits(b, profile) && reserve(&c->block)) {
        llmz_plain_learned learned = {b[0].buf, b[1].buf, b[2].buf, b[3].buf};
        llmz_context_copy_learned(c->models, profile, &learned);
        c->block.busy = false;
        result = Py_NewRef(Py_None);
    }
    release_all(b, 4);
    return result;
}

static PyObject *context_set_learned(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule, *result = NULL;
    unsigned profile;
    Py_buffer b[4];
    if (!PyArg_ParseTuple(arguments, "OIy*y*y*y*:context_set_learned", &capsule, &profile, &b[0], &b[1], &b[2], &b[3]))
        return NULL;
    context *c = context_in(capsule);
    if (c && is_profile(profile, LLMZ_PLAIN_PROFILES) && plain_learned_fits(b, profile) && are_weights(&b[0], &b[1]) && reserve(&c->block)) {
        const llmz_plain_learned learned = {b[0].buf, b[1].buf, b[2].buf, b[3].buf};
        llmz_context_set_learned(c->models, profile, &learned);
        c->block.busy = false;
        result = Py_NewRef(Py_None);
    }
    release_all(b, 4);
    return result;
}

static PyObject *begun_context(context *c, bool begun, size_t plain_bytes)
{
    if (!begun) {
        end_block(&c->block);
        PyErr_SetString(PyExc_ValueError, "no such profile, or too much text");
        return NULL;
    }
    c->block.plain_bytes = plain_bytes;
    return Py_NewRef(Py_None);
}

static PyObject *context_begin_encoding(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule, *result = NULL;
    Py_buffer text;
    unsigned profile;
    Py_ssize_t capacity;
    if (!PyArg_ParseTuple(arguments, "Oy*In:context_begin_encoding", &capsule, &text, &profile, &capacity))
        return NULL;
    context *c = context_in(capsule);
    if (c && reserve(&c->block)) {
        block *b = &c->block;
        end_block(b);
        if (capacity < 0)
            PyErr_SetString(PyExc_ValueError, "a negative capacity");
        else if (make_output(b, (size_t)capacity)) {
            size_t size = (size_t)text.len;
            b->work = ENCODING;
            result = begun_context(
                c, llmz_context_begin_encoding(c->models, text.buf, size, profile, b->output, (size_t)capacity), size);
        }
        b->busy = false;
    }
    PyBuffer_Release(&text);
    return result;
}

static PyObject *context_begin_decoding(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule, *result = NULL;
    Py_ssize_t plain_bytes;
    unsigned profile;
    Py_buffer data;
    if (!PyArg_ParseTuple(arguments, "OnIy*:context_begin_decoding", &capsule, &plain_bytes, &profile, &data))
        return NULL;
    context *c = context_in(capsule);
    if (!c || !reserve(&c->block)) {
        PyBuffer_Release(&data);
        return NULL;
    }
    block *b = &c->block;
    end_block(b);
    b->data = data;
    b->work = DECODING;
    bool begun = plain_bytes >= 0 && llmz_context_begin_decoding(c->models, (size_t)plain_bytes, profile, b->data.buf,
                                                                 (size_t)b->data.len);
    result = begun_context(c, begun, (size_t)plain_bytes);
    b->busy = false;
    return result;
}

static PyObject *context_code(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *capsule;
    Py_ssize_t most;
    if (!PyArg_ParseTuple(arguments, "On:context_code", &capsule, &most))
        return NULL;
    context *c = context_in(capsule);
    if (!c || !is_at_work(&c->block) || !reserve(&c->block))
        return NULL;
    size_t left;
    Py_BEGIN_ALLOW_THREADS
    left = llmz_context_code(c->models, most > 0 ? (size_t)most : 0);
    Py_END_ALLOW_THREADS
    c->block.busy = false;
    if (left == SIZE_MAX) {
        end_block(&c->block);
        return Py_NewRef(Py_None);
    }
    return PyLong_FromSize_t(left);
}

static PyObject *context_finish(PyObject *module, PyObject *capsule)
{
    (void)module;
    context *c = context_in(capsule);
    if (!c || !is_at_work(&c->block) || !reserve(&c->block))
        return NULL;
    c->block.busy = false;
    return block_result(&c->block, llmz_context_finish(c->models), llmz_context_text(c->models));
}

/* ---- Tables and kernels ---- */

static PyObject *squash_table(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *result = NULL;
    Py_buffer buffer;
    if (!PyArg_ParseTuple(arguments, "w*:squash_table", &buffer))
        return NULL;
    if (has_bytes(&buffer, sizeof llmz_squash_table, "probabilities")) {
        memcpy(buffer.buf, llmz_squash_table, sizeof llmz_squash_table);
        result = Py_NewRef(Py_None);
    }
    PyBuffer_Release(&buffer);
    return result;
}

static PyObject *shapes_of(const llmz_profile_shape *shapes, int profiles)
{
    PyObject *result = PyTuple_New(profiles);
    for (int i = 0; result && i < profiles; i++) {
        PyObject *shape = Py_BuildValue("(IIIIIII)", shapes[i].contexts, shapes[i].context_inputs, shapes[i].guesses,
                                        shapes[i].inputs, shapes[i].mixers, shapes[i].sets, shapes[i].final_sets);
        if (!shape || PyTuple_SetItem(result, i, shape) < 0)
            Py_CLEAR(result);
    }
    return result;
}

static PyObject *mixed_shapes(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return shapes_of(llmz_mixed_shapes, LLMZ_MIXED_PROFILES);
}

static PyObject *context_shapes(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return shapes_of(llmz_plain_shapes, LLMZ_PLAIN_PROFILES);
}

static PyObject *decision_kernel(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyUnicode_FromString(llmz_decision_chosen->name);
}

static PyObject *force_decision_kernel(PyObject *module, PyObject *arguments)
{
    (void)module;
    const char *name;
    if (!PyArg_ParseTuple(arguments, "s:force_decision_kernel", &name))
        return NULL;
    return PyBool_FromLong(llmz_force_decision_kernel(name));
}

static PyMethodDef functions[] = {
    {"vocabulary", vocabulary, METH_VARARGS, "vocabulary(packed) -> vocabulary; ValueError where it breaks a rule"},
    {"vocabulary_size", vocabulary_size, METH_O, "vocabulary_size(vocabulary) -> tokens"},
    {"vocabulary_tokens", vocabulary_tokens, METH_VARARGS,
     "vocabulary_tokens(vocabulary, bytes uint8 [V, 24], lengths uint8 [V]): write them"},
    {"tokenize", tokenize, METH_VARARGS, "tokenize(vocabulary, text, tokens int32 [len(text)]) -> number of tokens written"},
    {"join_tokens", join_tokens, METH_VARARGS, "join_tokens(vocabulary, tokens int32) -> bytes"},
    {"mixed_new", mixed_new, METH_VARARGS,
     "mixed_new(vocabulary, table_bits, rates, states) -> models; rates: three for all profiles, or None for their own; states: of "
     "both profiles with a network (weights, final_weights, counter_maps, match_maps, network_map), or, where the vocabulary is "
     "None, of the wide one, with history_maps in the network map's place"},
    {"mixed_copy", mixed_copy, METH_O, "mixed_copy(models) -> models"},
    {"mixed_read", mixed_read, METH_VARARGS, "mixed_read(models, profile, text)"},
    {"mixed_learned", mixed_learned, METH_VARARGS,
     "mixed_learned(models, profile, weights, final_weights, counter_maps, match_maps, network_map): write them"},
    {"mixed_begin_encoding", mixed_begin_encoding, METH_VARARGS,
     "mixed_begin_encoding(models, lane_bytes uint64, profile, capacity)"},
    {"mixed_begin_decoding", mixed_begin_decoding, METH_VARARGS,
     "mixed_begin_decoding(models, lane_bytes uint64, profile, data)"},
    {"mixed_code_bytes", mixed_code_bytes, METH_VARARGS,
     "mixed_code_bytes(models, text, most) -> int or None: in models of the wide profile, code up to so many further bytes of the "
     "block, whose text is given when encoding; how many are left, or None where the output is full or the data damaged, which "
     "ends the block"},
    {"mixed_step", mixed_step, METH_VARARGS,
     "mixed_step(models, tokens int32 [lanes], cumulative int32 [lanes, V + 1]) -> bool: code a token of each lane that is not "
     "done, in place when decoding; False where the output is full or the data damaged, which ends the block"},
    {"mixed_lanes_left", mixed_lanes_left, METH_O, "mixed_lanes_left(models) -> lanes that are not done"},
    {"mixed_finish", mixed_finish, METH_O, "mixed_finish(models) -> coded or plain bytes; None where output or data do not fit"},
    {"context_new", context_new, METH_VARARGS,
     "context_new(table_bits, rates, states) -> models; states: by profile (weights, final_weights, counter_maps, match_maps)"},
    {"context_copy", context_copy, METH_O, "context_copy(models) -> models"},
    {"context_learned", context_learned, METH_VARARGS,
     "context_learned(models, profile, weights, final_weights, counter_maps, match_maps): write them"},
    {"context_set_learned", context_set_learned, METH_VARARGS,
     "context_set_learned(models, profile, weights, final_weights, counter_maps, match_maps)"},
    {"context_begin_encoding", context_begin_encoding, METH_VARARGS,
     "context_begin_encoding(models, text, profile, capacity)"},
    {"context_begin_decoding", context_begin_decoding, METH_VARARGS,
     "context_begin_decoding(models, plain_bytes, profile, data)"},
    {"context_code", context_code, METH_VARARGS,
     "context_code(models, most) -> bytes left after at most so many more; None where the output is full or the data damaged"},
    {"context_finish", context_finish, METH_O,
     "context_finish(models) -> coded or plain bytes; None where output or data do not fit"},
    {"squash_table", squash_table, METH_VARARGS, "squash_table(uint16 [5633]): write probabilities of stretched values"},
    {"mixed_shapes", mixed_shapes, METH_NOARGS, "mixed_shapes() -> by profile (contexts, inputs of each, guesses, inputs, mixers, sets, final sets)"},
    {"context_shapes", context_shapes, METH_NOARGS, "context_shapes() -> by profile (contexts, inputs of each, guesses, inputs, mixers, sets, final sets)"},
    {"decision_kernel", decision_kernel, METH_NOARGS, "decision_kernel() -> name of the one that is used"},
    {"force_decision_kernel", force_decision_kernel, METH_VARARGS,
     "force_decision_kernel(name) -> whether it is here; new models use it"},
    {NULL, NULL, 0, NULL},
};

int llmz_bind_mixing(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
