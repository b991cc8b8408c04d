/* The binding of the core's mixing functions. */

#include "bind.h"
#include "core.h"

static PyMethodDef functions[] = {{NULL, NULL, 0, NULL}};

int llmz_bind_mixing(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
