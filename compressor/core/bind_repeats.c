/* The binding of the search for long repeats. */

#include "bind.h"
#include "core.h"

static PyObject *find_repeats(PyObject *module, PyObject *arguments)
{
    (void)module;
    Py_buffer text, table, out;
    Py_ssize_t start, hashed, least, farthest;
    unsigned long long base;
    if (!PyArg_ParseTuple(arguments, "y*nnKw*nnw*", &text, &start, &hashed, &base, &table, &least, &farthest, &out))
        return NULL;
    PyObject *result = NULL;
    if (start < 0 || start > text.len || hashed < 0 || hashed > text.len || least < LLMZ_REPEAT_CHUNK || farthest < 0 ||
        (uintptr_t)table.buf % sizeof(uint64_t) || (uintptr_t)out.buf % sizeof(uint64_t) ||
        table.len != (Py_ssize_t)sizeof(uint64_t) << LLMZ_REPEAT_TABLE_BITS || base >> 48) {
        PyErr_SetString(PyExc_ValueError, "find_repeats: sizes do not fit each other");
    } else {
        size_t found;
        Py_BEGIN_ALLOW_THREADS
        found = llmz_find_repeats(text.buf, (size_t)text.len, (size_t)start, (size_t)hashed, base, table.buf, (size_t)least,
                                  (size_t)farthest, out.buf, (size_t)out.len / sizeof(struct llmz_repeat));
        Py_END_ALLOW_THREADS
        result = PyLong_FromSize_t(found);
    }
    PyBuffer_Release(&text);
    PyBuffer_Release(&table);
    PyBuffer_Release(&out);
    return result;
}

static PyMethodDef functions[] = {
    {"find_repeats", find_repeats, METH_VARARGS,
     "find_repeats(text, start, hashed, base, table, least, farthest, out) -> found\n\n"
     "table: uint64 [2^16]; out: uint64 [room, 3], filled with begin, length and distance of repeats in text[start:]."},
    {NULL, NULL, 0, NULL},
};

int llmz_bind_repeats(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
