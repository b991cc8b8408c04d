/* The binding of the network: weights from a model file's arrays, predictors, kernels. */

#include "bind_network.h"
#include "kernel.h"
#include "memory.h"

#include <stdlib.h>

static const char THREADS[] = "llmzip.threads", NETWORK[] = "llmzip.network", PREDICTOR[] = "llmzip.predictor";

/* A capsule's content, and what it needs as long as it lives. */
struct holder {
    void *content;
    void (*release)(void *);
    PyObject *needs[2];
    Py_buffer buffers[6];
    int buffer_count;
    int busy; /* a call works on it without the lock of Python */
};

static void destroy(PyObject *capsule)
{
    struct holder *h = PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule));
    if (!h)
        return;
    if (h->content)
        h->release(h->content);
    for (int i = 0; i < h->buffer_count; i++)
        PyBuffer_Release(&h->buffers[i]);
    Py_XDECREF(h->needs[0]);
    Py_XDECREF(h->needs[1]);
    free(h);
}

static struct holder *new_holder(void (*release)(void *), PyObject *first, PyObject *second)
{
    struct holder *h = calloc(1, sizeof *h);
    if (!h) {
        PyErr_NoMemory();
        return NULL;
    }
    h->release = release;
    Py_XINCREF(first);
    Py_XINCREF(second);
    h->needs[0] = first;
    h->needs[1] = second;
    return h;
}

static struct holder *held(PyObject *capsule, const char *name)
{
    return PyCapsule_GetPointer(capsule, name);
}

const struct llmz_network *llmz_network_in(PyObject *capsule)
{
    struct holder *h = held(capsule, NETWORK);
    return h ? h->content : NULL;
}

struct llmz_threads *llmz_threads_reserve(PyObject *capsule)
{
    struct holder *h = held(capsule, THREADS);
    if (!h)
        return NULL;
    if (h->busy) {
        PyErr_SetString(PyExc_RuntimeError, "in use by another thread");
        return NULL;
    }
    h->busy = 1;
    return h->content;
}

void llmz_threads_release(PyObject *capsule)
{
    held(capsule, THREADS)->busy = 0;
}

bool llmz_side_in_range(const int32_t *side, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++) {
        if (side[i] < -(1 << 22) || side[i] > 1 << 22) {
            PyErr_SetString(PyExc_ValueError, "side information is out of range");
            return false;
        }
    }
    return true;
}

static void release_threads(void *threads)
{
    llmz_threads_free(threads);
}

static void release_network(void *network)
{
    llmz_network_free(network);
}

static void release_predictor(void *predictor)
{
    llmz_predictor_free(predictor);
}

/* threads_new(count) */
static PyObject *threads_new(PyObject *module, PyObject *arguments)
{
    unsigned count;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "I", &count))
        return NULL;
    struct holder *h = new_holder(release_threads, NULL, NULL);
    if (!h)
        return NULL;
    h->content = llmz_threads_new(count ? count : 1);
    if (!h->content) {
        free(h);
        return PyErr_NoMemory();
    }
    return PyCapsule_New(h, THREADS, destroy);
}

/* Take a buffer of exactly `count` numbers of `item` bytes; ValueError else. */
static int take(PyObject *object, uint64_t count, size_t item, const char *name, Py_buffer *buffer)
{
    if (PyObject_GetBuffer(object, buffer, PyBUF_SIMPLE) < 0)
        return -1;
    if ((uint64_t)buffer->len != count * item)
        PyErr_Format(PyExc_ValueError, "%s has the wrong size", name);
    else if (llmz_is_aligned(buffer, item))
        return 0;
    PyBuffer_Release(buffer);
    return -1;
}

enum { WEIGHT_ARRAYS = 14, EMBEDDINGS = 3 };

/* network_new((width, hidden, heads, taps, window, vocabulary), attends, weights, embeddings)
 *
 * attends: a byte for each layer. weights: in, out, up, down, their multipliers, taps, temperature, slopes, head, its multiplier and
 * bias (these three None without a head). embeddings: three of (rows' bytes, multipliers, rows, columns, packed), rows 0 for none. */
static PyObject *network_new(PyObject *module, PyObject *arguments)
{
    struct llmz_shape s = {0};
    struct llmz_weights w = {0};
    PyObject *weights, *embeddings[EMBEDDINGS], *objects[WEIGHT_ARRAYS];
    Py_buffer attends, buffers[WEIGHT_ARRAYS];
    int taken = 0;
    const char *problem = NULL;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "(IIIIII)y*O(OOO)", &s.width, &s.hidden, &s.heads, &s.taps, &s.window, &s.vocabulary, &attends, &weights,
            &embeddings[0], &embeddings[1], &embeddings[2]))
        return NULL;
    if (attends.len < 1 || attends.len > LLMZ_MOST_LAYERS || s.width < LLMZ_TILE || s.width > LLMZ_MOST_WIDTH || s.width % LLMZ_TILE
        || s.hidden < LLMZ_TILE || s.hidden > LLMZ_MOST_HIDDEN || s.hidden % LLMZ_TILE || s.heads < 1 || s.heads > s.width || s.width % s.heads
        || s.width / s.heads % LLMZ_GROUP || s.width / s.heads > LLMZ_MOST_HEAD_WIDTH || s.taps < 1 || s.taps > LLMZ_MOST_TAPS || s.window < 1
        || s.window > LLMZ_MOST_WINDOW || s.vocabulary < 1 || s.vocabulary > LLMZ_MOST_VOCABULARY) {
        PyBuffer_Release(&attends);
        PyErr_SetString(PyExc_ValueError, "the network's shape is out of range");
        return NULL;
    }
    s.layers = (uint32_t)attends.len;
    for (uint32_t i = 0; i < s.layers; i++)
        s.attends[i] = ((const uint8_t *)attends.buf)[i] != 0;
    PyBuffer_Release(&attends);
    struct holder *h = new_holder(release_network, NULL, NULL);
    if (!h)
        return NULL;
    PyObject *capsule = PyCapsule_New(h, NETWORK, destroy);
    if (!capsule) {
        free(h);
        return NULL;
    }
    uint64_t l = s.layers, d = s.width, hidden = s.hidden, v = s.vocabulary;
    struct {
        const void **to;
        uint64_t count;
        size_t item;
        const char *name;
    } arrays[WEIGHT_ARRAYS] = {
        {(const void **)&w.in, l * 3 * d * d, 1, "in_weight"},
        {(const void **)&w.out, l * d * d, 1, "out_weight"},
        {(const void **)&w.up, l * hidden * d, 1, "up_weight"},
        {(const void **)&w.down, l * d * hidden, 1, "down_weight"},
        {(const void **)&w.in_multiplier, l * 3 * d, 4, "in_multiplier"},
        {(const void **)&w.out_multiplier, l * d, 4, "out_multiplier"},
        {(const void **)&w.up_multiplier, l * hidden, 4, "up_multiplier"},
        {(const void **)&w.down_multiplier, l * d, 4, "down_multiplier"},
        {(const void **)&w.taps, l * s.taps * d, 2, "taps"},
        {(const void **)&w.temperature, l * s.heads, 4, "temperature"},
        {(const void **)&w.slopes, s.heads, 4, "slopes"},
        {(const void **)&w.head, v * d, 1, "head_weight"},
        {(const void **)&w.head_multiplier, v, 4, "head_multiplier"},
        {(const void **)&w.head_bias, v, 4, "output_bias"},
    };
    if (!PyTuple_Check(weights) || !PyArg_ParseTuple(weights, "OOOOOOOOOOOOOO", &objects[0], &objects[1], &objects[2], &objects[3], &objects[4],
            &objects[5], &objects[6], &objects[7], &objects[8], &objects[9], &objects[10], &objects[11], &objects[12], &objects[13]))
        goto failed;
    for (int i = 0; i < WEIGHT_ARRAYS; i++) {
        if (i >= WEIGHT_ARRAYS - 3 && objects[i] == Py_None) {
            if (objects[WEIGHT_ARRAYS - 3] != Py_None || objects[WEIGHT_ARRAYS - 2] != Py_None || objects[WEIGHT_ARRAYS - 1] != Py_None) {
                PyErr_SetString(PyExc_ValueError, "a head has a part missing");
                goto failed;
            }
            continue;
        }
        if (take(objects[i], arrays[i].count, arrays[i].item, arrays[i].name, &buffers[i]) < 0)
            goto failed;
        taken = i + 1;
        *arrays[i].to = buffers[i].buf;
    }
    struct llmz_embedding *tables[EMBEDDINGS] = {&w.tokens, &w.pairs, &w.triples};
    for (int i = 0; i < EMBEDDINGS; i++) {
        PyObject *rows, *multiplier;
        int packed;
        struct llmz_embedding *t = tables[i];
        if (!PyTuple_Check(embeddings[i]) || !PyArg_ParseTuple(embeddings[i], "OOIIp", &rows, &multiplier, &t->rows, &t->columns, &packed))
            goto failed;
        t->packed = packed;
        if (t->rows == 0 && i > 0)
            continue;
        if (t->columns < 2 || t->columns % 2 || t->columns > s.width || t->rows > 1u << LLMZ_MOST_HASHED_BITS || (i == 0 && t->rows != s.vocabulary)) {
            PyErr_SetString(PyExc_ValueError, "an embedding's shape is out of range");
            goto failed;
        }
        uint64_t bytes = (uint64_t)t->rows * t->columns / (packed ? 2 : 1);
        if (take(rows, bytes, 1, "an embedding", &h->buffers[h->buffer_count]) < 0)
            goto failed;
        t->rows_data = h->buffers[h->buffer_count++].buf;
        if (take(multiplier, t->rows, 4, "an embedding's multiplier", &h->buffers[h->buffer_count]) < 0)
            goto failed;
        t->multiplier = h->buffers[h->buffer_count++].buf;
    }
    Py_BEGIN_ALLOW_THREADS
    h->content = llmz_network_new(&s, &w, &problem);
    Py_END_ALLOW_THREADS
    if (!h->content) {
        if (problem)
            PyErr_SetString(PyExc_ValueError, problem);
        else
            PyErr_NoMemory();
        goto failed;
    }
    for (int i = 0; i < taken; i++)
        PyBuffer_Release(&buffers[i]);
    return capsule;
failed:
    for (int i = 0; i < taken; i++)
        PyBuffer_Release(&buffers[i]);
    Py_DECREF(capsule);
    return NULL;
}

/* predictor_new(network, threads, lanes, most_steps, side) */
static PyObject *predictor_new(PyObject *module, PyObject *arguments)
{
    PyObject *network_capsule, *threads_capsule;
    unsigned lanes, most_steps;
    Py_buffer side;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOIIy*", &network_capsule, &threads_capsule, &lanes, &most_steps, &side))
        return NULL;
    struct holder *network = held(network_capsule, NETWORK), *threads = held(threads_capsule, THREADS), *h = NULL;
    if (!network || !threads)
        goto done;
    const struct llmz_shape *shape = llmz_network_shape(network->content);
    if (lanes < 1 || lanes > LLMZ_MOST_LANES || most_steps < 1 || (uint64_t)lanes * most_steps > LLMZ_MOST_ROWS
        || (uint64_t)side.len != 4 * (uint64_t)shape->width) {
        PyErr_SetString(PyExc_ValueError, "a predictor's shape is out of range");
        goto done;
    }
    if (!llmz_is_aligned(&side, 4) || !llmz_side_in_range(side.buf, shape->width))
        goto done;
    h = new_holder(release_predictor, network_capsule, threads_capsule);
    if (!h)
        goto done;
    h->content = llmz_predictor_new(network->content, threads->content, lanes, most_steps, side.buf);
    if (!h->content)
        PyErr_NoMemory();
done:
    PyBuffer_Release(&side);
    if (!h)
        return NULL;
    PyObject *capsule = h->content ? PyCapsule_New(h, PREDICTOR, destroy) : NULL;
    if (!capsule) {
        Py_XDECREF(h->needs[0]);
        Py_XDECREF(h->needs[1]);
        free(h);
    }
    return capsule;
}

/* predictor_run(predictor, tokens [lanes * steps], cumulative [lanes * steps][vocabulary + 1] or None) */
static PyObject *predictor_run(PyObject *module, PyObject *arguments)
{
    PyObject *capsule, *out_object, *result = NULL;
    Py_buffer tokens, out = {0};
    (void)module;
    if (!PyArg_ParseTuple(arguments, "Oy*O", &capsule, &tokens, &out_object))
        return NULL;
    struct holder *h = held(capsule, PREDICTOR);
    if (!h)
        goto done;
    const struct llmz_shape *shape = llmz_network_shape(held(h->needs[0], NETWORK)->content);
    uint32_t lanes, most_steps;
    llmz_predictor_size(h->content, &lanes, &most_steps);
    uint64_t rows = (uint64_t)tokens.len / 4, steps = rows / lanes;
    if (rows * 4 != (uint64_t)tokens.len || steps * lanes != rows || steps < 1 || steps > most_steps) {
        PyErr_SetString(PyExc_ValueError, "tokens have the wrong shape");
        goto done;
    }
    if (!llmz_is_aligned(&tokens, 4))
        goto done;
    for (uint64_t i = 0; i < rows; i++) {
        if (((const uint32_t *)tokens.buf)[i] >= shape->vocabulary) {
            PyErr_SetString(PyExc_ValueError, "a token is out of range");
            goto done;
        }
    }
    if (out_object != Py_None) {
        if (!llmz_network_has_head(llmz_network_in(h->needs[0]))) {
            PyErr_SetString(PyExc_ValueError, "the network has no head");
            goto done;
        }
        if (PyObject_GetBuffer(out_object, &out, PyBUF_WRITABLE) < 0)
            goto done;
        if ((uint64_t)out.len != rows * (shape->vocabulary + 1) * 4) {
            PyErr_SetString(PyExc_ValueError, "frequencies have the wrong shape");
            goto done;
        }
        if (!llmz_is_aligned(&out, 4))
            goto done;
    }
    struct llmz_threads *threads = llmz_threads_reserve(h->needs[1]);
    if (!threads)
        goto done;
    Py_BEGIN_ALLOW_THREADS
    llmz_predictor_start(h->content, tokens.buf, (uint32_t)steps, out.buf);
    llmz_threads_finish(threads);
    llmz_predictor_end(h->content);
    llmz_threads_rest(threads);
    Py_END_ALLOW_THREADS
    llmz_threads_release(h->needs[1]);
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&tokens);
    if (out.obj)
        PyBuffer_Release(&out);
    return result;
}

/* Whether no other thread runs a predictor; an exception is set else. */
static bool is_idle(const struct holder *predictor)
{
    if (!llmz_threads_reserve(predictor->needs[1]))
        return false;
    llmz_threads_release(predictor->needs[1]);
    return true;
}

/* predictor_states(predictor, rows): normalised states of the last call's rows, int8 */
static PyObject *predictor_states(PyObject *module, PyObject *arguments)
{
    PyObject *capsule;
    unsigned rows;
    uint32_t lanes, most_steps;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OI", &capsule, &rows))
        return NULL;
    struct holder *h = held(capsule, PREDICTOR);
    if (!h)
        return NULL;
    llmz_predictor_size(h->content, &lanes, &most_steps);
    if (rows > (uint64_t)lanes * most_steps) {
        PyErr_SetString(PyExc_ValueError, "there are not so many rows");
        return NULL;
    }
    if (!is_idle(h))
        return NULL;
    const struct llmz_shape *shape = llmz_network_shape(held(h->needs[0], NETWORK)->content);
    return PyBytes_FromStringAndSize((const char *)llmz_predictor_states(h->content), (Py_ssize_t)rows * shape->width);
}

/* predictor_copy_lane(predictor, from) */
static PyObject *predictor_copy_lane(PyObject *module, PyObject *arguments)
{
    PyObject *to_capsule, *from_capsule;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OO", &to_capsule, &from_capsule))
        return NULL;
    struct holder *to = held(to_capsule, PREDICTOR), *from = held(from_capsule, PREDICTOR);
    if (!to || !from)
        return NULL;
    if (to == from || to->needs[0] != from->needs[0]) {
        PyErr_SetString(PyExc_ValueError, "the predictors are not two of one network");
        return NULL;
    }
    if (!is_idle(to) || !is_idle(from))
        return NULL;
    llmz_predictor_copy_lane(to->content, from->content);
    Py_RETURN_NONE;
}

/* kernels(): names of those that this machine has, best first */
static PyObject *kernels(PyObject *module, PyObject *nothing)
{
    PyObject *names = PyList_New(0);
    (void)module;
    (void)nothing;
    for (const struct llmz_kernel_choice *c = llmz_kernels; names && c->kernel; c++) {
        if (!c->available())
            continue;
        PyObject *name = PyUnicode_FromString(c->kernel->name);
        if (!name || PyList_Append(names, name) < 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

static PyObject *return_memory(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    Py_BEGIN_ALLOW_THREADS
    llmz_return_memory();
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *kernel_in_use(PyObject *module, PyObject *nothing)
{
    (void)module;
    (void)nothing;
    return PyUnicode_FromString(llmz_kernel->name);
}

static PyMethodDef functions[] = {
    {"threads_new", threads_new, METH_VARARGS, NULL},
    {"network_new", network_new, METH_VARARGS, NULL},
    {"predictor_new", predictor_new, METH_VARARGS, NULL},
    {"predictor_run", predictor_run, METH_VARARGS, NULL},
    {"predictor_states", predictor_states, METH_VARARGS, NULL},
    {"predictor_copy_lane", predictor_copy_lane, METH_VARARGS, NULL},
    {"kernels", kernels, METH_NOARGS, NULL},
    {"kernel_in_use", kernel_in_use, METH_NOARGS, NULL},
    {"return_memory", return_memory, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int llmz_bind_network(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
