/* What other bindings need of the network's: the core's objects in Python's. */
#ifndef LLMZ_BIND_NETWORK_H
#define LLMZ_BIND_NETWORK_H

#include "bind.h"
#include "network.h"

/* NULL with an exception set where the object is another one. */
const struct llmz_network *llmz_network_in(PyObject *capsule);

/* Threads, reserved for the caller, who may then let go of Python's lock; NULL with an exception set where the object is another one
 * or somebody uses them. */
struct llmz_threads *llmz_threads_reserve(PyObject *capsule);
void llmz_threads_release(PyObject *capsule);

/* False with an exception set where a value of a side vector int32 [width] is out of range. */
bool llmz_side_in_range(const int32_t *side, uint32_t width);

#endif
