/* The binding of the core's text functions. */

#include "bind.h"
#include "core.h"

static PyMethodDef functions[] = {{NULL, NULL, 0, NULL}};

int llmz_bind_text(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
