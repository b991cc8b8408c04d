/* What other bindings need of the mixing one: the core's objects in Python's. */
#ifndef LLMZ_BIND_MIXING_H
#define LLMZ_BIND_MIXING_H

#include "bind.h"
#include "core.h"

/* NULL with an exception set where the object is another one. */
const llmz_vocabulary *llmz_vocabulary_in(PyObject *capsule);

/* The models, reserved for the caller, who may then let go of Python's lock; NULL with an exception set where the object is
 * another one or somebody uses it. */
llmz_mixed *llmz_mixed_reserve(PyObject *capsule);
void llmz_mixed_release(PyObject *capsule);

#endif
