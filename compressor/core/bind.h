/* What the binding's files share: each adds its functions to the module and checks what Python hands over. */
#ifndef LLMZ_BIND_H
#define LLMZ_BIND_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

/* Each adds its functions to the module; -1 with an exception set on failure. */
int llmz_bind_text(PyObject *module);
int llmz_bind_mixing(PyObject *module);
int llmz_bind_network(PyObject *module);
int llmz_bind_drive(PyObject *module);
int llmz_bind_repeats(PyObject *module);

/* False with an exception set where a buffer of numbers of `item` bytes does not begin where the machine wants them. */
static inline bool llmz_is_aligned(const Py_buffer *buffer, size_t item)
{
    if ((uintptr_t)buffer->buf % item == 0)
        return true;
    PyErr_SetString(PyExc_ValueError, "an array is not aligned");
    return false;
}

#endif
