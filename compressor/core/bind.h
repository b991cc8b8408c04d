/* What the binding's files share: each adds its functions to the module and checks what Python hands over. */
#ifndef LLMZ_BIND_H
#define LLMZ_BIND_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Each adds its functions to the module; -1 with an exception set on failure. */
int llmz_bind_text(PyObject *module);
int llmz_bind_mixing(PyObject *module);
int llmz_bind_network(PyObject *module);
int llmz_bind_drive(PyObject *module);

#endif
