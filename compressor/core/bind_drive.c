/* The binding of the drive: network and mixing over the lanes of a block. */

#include "bind_mixing.h"
#include "bind_network.h"
#include "drive.h"

#include <stdlib.h>
#include <string.h>

static const char DRIVE[] = "llmzip.drive";

struct held_drive {
    struct llmz_drive *drive;
    PyObject *network, *threads, *mixed;
    uint32_t lanes;
    int32_t *tokens; /* copies */
    uint64_t *counts;
};

static void destroy(PyObject *capsule)
{
    struct held_drive *h = PyCapsule_GetPointer(capsule, DRIVE);
    llmz_drive_free(h->drive);
    Py_XDECREF(h->network);
    Py_XDECREF(h->threads);
    Py_XDECREF(h->mixed);
    free(h->tokens);
    free(h->counts);
    free(h);
}

static int are_tokens(const Py_buffer *buffer, uint64_t count, uint32_t vocabulary)
{
    const uint32_t *tokens = buffer->buf;
    if (!llmz_is_aligned(buffer, sizeof *tokens))
        return 0;
    int fit = (uint64_t)buffer->len == 4 * count;
    for (uint64_t i = 0; fit && i < count; i++)
        fit = tokens[i] < vocabulary;
    if (!fit)
        PyErr_SetString(PyExc_ValueError, "not so many tokens of this vocabulary");
    return fit;
}

static void *copy_of(const Py_buffer *buffer)
{
    void *copy = malloc(buffer->len ? (size_t)buffer->len : 1);
    if (copy)
        memcpy(copy, buffer->buf, (size_t)buffer->len);
    return copy;
}

/* drive_new(network, threads, mixed, first, side, read, tokens, counts): a block was begun in `mixed` with as many lanes as `first` has
 * tokens; tokens and counts are empty when decoding. */
static PyObject *drive_new(PyObject *module, PyObject *arguments)
{
    PyObject *network, *threads, *mixed, *capsule = NULL;
    Py_buffer first, side, read, tokens, counts;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOOy*y*y*y*y*:drive_new", &network, &threads, &mixed, &first, &side, &read, &tokens, &counts))
        return NULL;
    const struct llmz_network *n = llmz_network_in(network);
    struct llmz_threads *pool = n ? llmz_threads_reserve(threads) : NULL;
    llmz_mixed *models = pool ? llmz_mixed_reserve(mixed) : NULL;
    struct held_drive *h = NULL;
    if (!models)
        goto done;
    const struct llmz_shape *shape = llmz_network_shape(n);
    uint64_t lanes = (uint64_t)first.len / 4, token_count = 0;
    const uint64_t *of_lanes = counts.buf;
    if (lanes < 1 || lanes > LLMZ_MOST_LANES || lanes != llmz_mixed_lanes(models) || !llmz_network_has_head(n)
        || llmz_mixed_vocabulary_size(models) != shape->vocabulary || (uint64_t)side.len != 4 * (uint64_t)shape->width
        || read.len / 4 > 1 << 16 || (counts.len != 0 && (uint64_t)counts.len != 8 * lanes)) {
        PyErr_SetString(PyExc_ValueError, "lanes, network and models do not fit each other");
        goto done;
    }
    if (!llmz_is_aligned(&counts, sizeof *of_lanes) || !llmz_is_aligned(&side, sizeof(int32_t)))
        goto done;
    for (uint64_t i = 0; counts.len && i < lanes; i++) {
        if (of_lanes[i] > LLMZ_BLOCK_BYTES_MAX) {
            PyErr_SetString(PyExc_ValueError, "a lane has too many tokens");
            goto done;
        }
        token_count += of_lanes[i];
    }
    if (!are_tokens(&first, lanes, shape->vocabulary) || !are_tokens(&read, (uint64_t)read.len / 4, shape->vocabulary)
        || !are_tokens(&tokens, token_count, shape->vocabulary) || !llmz_side_in_range(side.buf, shape->width))
        goto done;
    h = calloc(1, sizeof *h);
    capsule = h ? PyCapsule_New(h, DRIVE, destroy) : NULL;
    if (!capsule) {
        free(h);
        PyErr_NoMemory();
        goto done;
    }
    h->network = Py_NewRef(network);
    h->threads = Py_NewRef(threads);
    h->mixed = Py_NewRef(mixed);
    h->lanes = (uint32_t)lanes;
    h->tokens = copy_of(&tokens);
    h->counts = copy_of(&counts);
    struct llmz_drive_start start = {
        .lanes = h->lanes,
        .side = side.buf,
        .first = first.buf,
        .read = read.buf,
        .read_count = (uint32_t)(read.len / 4),
        .tokens = counts.len ? h->tokens : NULL,
        .token_counts = h->counts,
    };
    if (h->tokens && h->counts) {
        Py_BEGIN_ALLOW_THREADS
        h->drive = llmz_drive_new(n, pool, models, &start);
        Py_END_ALLOW_THREADS
    }
    if (!h->drive) {
        PyErr_NoMemory();
        Py_CLEAR(capsule);
    }
done:
    if (models)
        llmz_mixed_release(mixed);
    if (pool)
        llmz_threads_release(threads);
    PyBuffer_Release(&first);
    PyBuffer_Release(&side);
    PyBuffer_Release(&read);
    PyBuffer_Release(&tokens);
    PyBuffer_Release(&counts);
    return capsule;
}

/* drive_run(drive, tokens): code at least so many further ones; 0 if there are more, 1 at the block's end, 2 if it failed */
static PyObject *drive_run(PyObject *module, PyObject *arguments)
{
    PyObject *capsule, *result = NULL;
    unsigned long long tokens;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OK:drive_run", &capsule, &tokens))
        return NULL;
    struct held_drive *h = PyCapsule_GetPointer(capsule, DRIVE);
    struct llmz_threads *pool = h ? llmz_threads_reserve(h->threads) : NULL;
    llmz_mixed *models = pool ? llmz_mixed_reserve(h->mixed) : NULL;
    if (models && llmz_mixed_lanes(models) != h->lanes) {
        PyErr_SetString(PyExc_ValueError, "the models code another block by now");
    } else if (models) {
        enum llmz_drive_state state;
        Py_BEGIN_ALLOW_THREADS
        state = llmz_drive_run(h->drive, tokens);
        llmz_threads_rest(pool);
        Py_END_ALLOW_THREADS
        result = PyLong_FromLong((long)state);
    }
    if (models)
        llmz_mixed_release(h->mixed);
    if (pool)
        llmz_threads_release(h->threads);
    return result;
}

static PyMethodDef functions[] = {
    {"drive_new", drive_new, METH_VARARGS, NULL},
    {"drive_run", drive_run, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int llmz_bind_drive(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
