/* The extension module llmzip.core._native, built against Python's stable interface (abi3, from 3.11 on). */

#include "bind.h"
#include "core.h"

static int fill_module(PyObject *module)
{
    llmz_begin();
    if (llmz_bind_text(module) < 0 || llmz_bind_mixing(module) < 0 || llmz_bind_network(module) < 0
        || llmz_bind_drive(module) < 0 || llmz_bind_repeats(module) < 0)
        return -1;
    return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)fill_module}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "llmzip's native core.", 0, NULL, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
