/* The binding of the core's text functions. */

#include "bind.h"
#include "core.h"

#include <stdlib.h>
#include <string.h>

#define MOST_BYTES ((Py_ssize_t)(PY_SSIZE_T_MAX >> (sizeof(Py_ssize_t) > 4 ? 23 : 4))) /* no product of a size and a small number overflows */

/* Buffers of one call: filled by PyArg_ParseTuple, released together. */
#define MOST_BUFFERS 8

struct buffers {
    Py_buffer of[MOST_BUFFERS];
};

static PyObject *release(struct buffers *buffers, PyObject *result)
{
    for (int i = 0; i < MOST_BUFFERS; i++)
        if (buffers->of[i].obj)
            PyBuffer_Release(&buffers->of[i]);
    return result;
}

static PyObject *refuse(struct buffers *buffers, const char *reason)
{
    PyErr_SetString(PyExc_ValueError, reason);
    return release(buffers, NULL);
}

/* malloc of at least one byte; sets the exception. */
static void *allocate(int64_t bytes)
{
    void *memory = bytes < MOST_BYTES ? malloc(bytes > 0 ? (size_t)bytes : 1) : NULL;
    if (!memory)
        PyErr_NoMemory();
    return memory;
}

/* The first `size` of allocated bytes as a Python object, None for a negative size; frees them. */
static PyObject *give(void *memory, int64_t size)
{
    PyObject *result = NULL;
    if (size >= 0)
        result = PyBytes_FromStringAndSize(memory, (Py_ssize_t)size);
    else
        result = Py_NewRef(Py_None);
    free(memory);
    return result;
}

static int is_text(const Py_buffer *buffer)
{
    return buffer->len < MOST_BYTES;
}

/* Line breaks */

static PyObject *join_lines(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    long long width, between;
    if (!PyArg_ParseTuple(args, "y*LL", &buffers.of[0], &width, &between))
        return release(&buffers, NULL);
    const uint8_t *text = buffers.of[0].buf;
    int64_t size = buffers.of[0].len, lines = 1, excepted = 0, joined = 0;
    if (!is_text(&buffers.of[0]) || width < 1 || width > INT32_MAX || between < 1 || between > 2)
        return refuse(&buffers, "join_lines: arguments out of range");
    for (const uint8_t *at = text; size && (at = memchr(at, '\n', (size_t)(text + size - at))); at++)
        lines++;
    uint8_t *out = allocate(size + lines);
    int64_t *exceptions = out ? allocate(8 * lines) : NULL;
    if (!exceptions) {
        free(out);
        return release(&buffers, NULL);
    }
    Py_BEGIN_ALLOW_THREADS
    joined = llmz_join_lines(text, size, width, between, exceptions, &excepted, out);
    Py_END_ALLOW_THREADS
    PyObject *first = give(out, joined), *second = give(exceptions, 8 * excepted);
    PyObject *result = first && second ? PyTuple_Pack(2, first, second) : NULL;
    Py_XDECREF(first);
    Py_XDECREF(second);
    return release(&buffers, result);
}

static PyObject *break_lines(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    long long width, between, room;
    if (!PyArg_ParseTuple(args, "y*LLy*L", &buffers.of[0], &width, &between, &buffers.of[1], &room))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || width < 1 || width > INT32_MAX || between < 1 || between > 2 || room < 0 ||
        buffers.of[1].len % 8 || (uintptr_t)buffers.of[1].buf % 8)
        return refuse(&buffers, "break_lines: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return release(&buffers, NULL);
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_break_lines(buffers.of[0].buf, buffers.of[0].len, width, between, buffers.of[1].buf,
                            buffers.of[1].len / 8, out, room);
    Py_END_ALLOW_THREADS
    return release(&buffers, give(out, size));
}

static PyObject *count_lines(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    if (!PyArg_ParseTuple(args, "y*w*w*", &buffers.of[0], &buffers.of[1], &buffers.of[2]))
        return release(&buffers, NULL);
    int64_t entries = buffers.of[1].len / 8, between_words;
    if (!is_text(&buffers.of[0]) || entries < 1 || buffers.of[1].len % 8 || buffers.of[2].len != buffers.of[1].len ||
        (uintptr_t)buffers.of[1].buf % 8 || (uintptr_t)buffers.of[2].buf % 8)
        return refuse(&buffers, "count_lines: arguments out of range");
    Py_BEGIN_ALLOW_THREADS
    between_words = llmz_count_lines(buffers.of[0].buf, buffers.of[0].len, entries - 1, buffers.of[1].buf, buffers.of[2].buf);
    Py_END_ALLOW_THREADS
    return release(&buffers, PyLong_FromLongLong(between_words));
}

static PyObject *count_sentences(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    if (!PyArg_ParseTuple(args, "y*", &buffers.of[0]))
        return release(&buffers, NULL);
    int64_t narrow, wide;
    Py_BEGIN_ALLOW_THREADS
    llmz_count_sentences(buffers.of[0].buf, buffers.of[0].len, &narrow, &wide);
    Py_END_ALLOW_THREADS
    return release(&buffers, Py_BuildValue("LL", (long long)narrow, (long long)wide));
}

/* Charsets: every function takes the tables one, two, three, four, codes (None where there are none) and cesu. */

static int fill_charset(struct llmz_charset *charset, const Py_buffer *tables, int cesu)
{
    static const Py_ssize_t sizes[] = {512, 131072, 131072, 2 * LLMZ_GB_FOUR, 262144};
    for (int i = 0; i < 5; i++)
        if (tables[i].buf && (tables[i].len != sizes[i] || (uintptr_t)tables[i].buf % 4))
            return 0;
    *charset = (struct llmz_charset){tables[0].buf, tables[1].buf, tables[2].buf, tables[3].buf, tables[4].buf, cesu};
    return cesu || (charset->one && charset->codes);
}

static PyObject *to_utf8(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    struct llmz_charset charset;
    int cesu;
    if (!PyArg_ParseTuple(args, "y*z*z*z*z*z*p", &buffers.of[0], &buffers.of[1], &buffers.of[2], &buffers.of[3],
                          &buffers.of[4], &buffers.of[5], &cesu))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || !fill_charset(&charset, buffers.of + 1, cesu))
        return refuse(&buffers, "to_utf8: tables of another size");
    uint8_t *out = allocate(3 * buffers.of[0].len);
    if (!out)
        return release(&buffers, NULL);
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_to_utf8(&charset, buffers.of[0].buf, buffers.of[0].len, out);
    Py_END_ALLOW_THREADS
    return release(&buffers, give(out, size));
}

static PyObject *from_utf8(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    struct llmz_charset charset;
    int cesu;
    long long room;
    if (!PyArg_ParseTuple(args, "y*z*z*z*z*z*pL", &buffers.of[0], &buffers.of[1], &buffers.of[2], &buffers.of[3],
                          &buffers.of[4], &buffers.of[5], &cesu, &room))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || room < 0 || !fill_charset(&charset, buffers.of + 1, cesu))
        return refuse(&buffers, "from_utf8: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return release(&buffers, NULL);
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_from_utf8(&charset, buffers.of[0].buf, buffers.of[0].len, out, room);
    Py_END_ALLOW_THREADS
    return release(&buffers, give(out, size));
}

static PyObject *utf16_to_utf8(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    int big_endian;
    if (!PyArg_ParseTuple(args, "y*p", &buffers.of[0], &big_endian))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || buffers.of[0].len % 2)
        return refuse(&buffers, "utf16_to_utf8: half a unit");
    uint8_t *out = allocate(buffers.of[0].len / 2 * 3);
    if (!out)
        return release(&buffers, NULL);
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_utf16_to_utf8(buffers.of[0].buf, buffers.of[0].len / 2, big_endian, out);
    Py_END_ALLOW_THREADS
    return release(&buffers, give(out, size));
}

static PyObject *utf8_to_utf16(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    int big_endian;
    long long room;
    if (!PyArg_ParseTuple(args, "y*pL", &buffers.of[0], &big_endian, &room))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || room < 0)
        return refuse(&buffers, "utf8_to_utf16: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return release(&buffers, NULL);
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_utf8_to_utf16(buffers.of[0].buf, buffers.of[0].len, big_endian, out, room);
    Py_END_ALLOW_THREADS
    return release(&buffers, give(out, size));
}

static PyObject *count_no_utf8(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    if (!PyArg_ParseTuple(args, "y*", &buffers.of[0]))
        return release(&buffers, NULL);
    int64_t count;
    Py_BEGIN_ALLOW_THREADS
    count = llmz_count_no_utf8(buffers.of[0].buf, buffers.of[0].len);
    Py_END_ALLOW_THREADS
    return release(&buffers, PyLong_FromLongLong(count));
}

/* line_costs(text, kinds, costs, after, unreadable, tables or None): int32 a line, as bytes */
static PyObject *line_costs(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0}, tables = {0};
    struct llmz_charset charset;
    int unreadable, cesu = 0;
    PyObject *of_charset;
    if (!PyArg_ParseTuple(args, "y*y*y*y*iO", &buffers.of[0], &buffers.of[1], &buffers.of[2], &buffers.of[3], &unreadable,
                          &of_charset))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || buffers.of[1].len != 65536 || buffers.of[2].len != 65536 ||
        buffers.of[3].len != LLMZ_KINDS * LLMZ_KINDS || unreadable < 0 || unreadable > 1000)
        return refuse(&buffers, "line_costs: tables of another size");
    struct llmz_plausibility plausibility = {buffers.of[1].buf, buffers.of[2].buf, buffers.of[3].buf, unreadable};
    const uint8_t *kinds = buffers.of[1].buf;
    for (int i = 0; i < 65536; i++)
        if (kinds[i] >= LLMZ_KINDS)
            return refuse(&buffers, "line_costs: no such kind");
    if (of_charset != Py_None) {
        if (!PyArg_ParseTuple(of_charset, "z*z*z*z*z*p", &tables.of[0], &tables.of[1], &tables.of[2], &tables.of[3],
                              &tables.of[4], &cesu)) {
            release(&tables, NULL);
            return release(&buffers, NULL);
        }
        if (!fill_charset(&charset, tables.of, cesu)) {
            release(&tables, NULL);
            return refuse(&buffers, "line_costs: tables of another size");
        }
    }
    const uint8_t *text = buffers.of[0].buf;
    int64_t size = buffers.of[0].len, lines = 1;
    for (const uint8_t *at = text; size && (at = memchr(at, '\n', (size_t)(text + size - at))); at++)
        lines++;
    int32_t *costs = allocate(4 * lines);
    if (costs) {
        Py_BEGIN_ALLOW_THREADS
        lines = llmz_line_costs(of_charset == Py_None ? NULL : &charset, &plausibility, text, size, costs);
        Py_END_ALLOW_THREADS
    }
    release(&tables, NULL);
    return release(&buffers, costs ? give(costs, 4 * lines) : NULL);
}

static PyObject *choose_by_line(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    int choices, change;
    if (!PyArg_ParseTuple(args, "y*ii", &buffers.of[0], &choices, &change))
        return release(&buffers, NULL);
    if (choices < 1 || choices > LLMZ_MOST_CHOICES || buffers.of[0].len % (4 * choices) || change < 0 ||
        (uintptr_t)buffers.of[0].buf % 4)
        return refuse(&buffers, "choose_by_line: arguments out of range");
    int64_t lines = buffers.of[0].len / (4 * choices);
    uint8_t *cheapest = allocate(lines), *came_from = cheapest ? allocate(lines * choices) : NULL;
    if (!came_from) {
        free(cheapest);
        return release(&buffers, NULL);
    }
    Py_BEGIN_ALLOW_THREADS
    llmz_choose_by_line(buffers.of[0].buf, choices, lines, change, cheapest, came_from);
    Py_END_ALLOW_THREADS
    free(came_from);
    return release(&buffers, give(cheapest, lines));
}

/* Encodings: what finds a run returns the bytes that it stands for with it. */

/* find_run(text, from, alphabet, fewest_digits, fewest_text_digits): None or (begin, end, first, line, separator, padded, data) */
static PyObject *find_run(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    long long from, fewest, fewest_text;
    int alphabet, found;
    if (!PyArg_ParseTuple(args, "y*LiLL", &buffers.of[0], &from, &alphabet, &fewest, &fewest_text))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || from < 0 || from > buffers.of[0].len || alphabet < 0 || alphabet >= LLMZ_ALPHABETS ||
        fewest_text < 1)
        return refuse(&buffers, "find_run: arguments out of range");
    struct llmz_run run;
    const uint8_t *text = buffers.of[0].buf;
    Py_BEGIN_ALLOW_THREADS
    found = llmz_find_run(text, buffers.of[0].len, from, alphabet, fewest, fewest_text, &run);
    Py_END_ALLOW_THREADS
    if (!found)
        return release(&buffers, Py_NewRef(Py_None));
    uint8_t *data = allocate(run.bytes);
    if (!data)
        return release(&buffers, NULL);
    Py_BEGIN_ALLOW_THREADS
    llmz_read_run(text, &run, alphabet, data);
    Py_END_ALLOW_THREADS
    PyObject *bytes = give(data, run.bytes);
    if (!bytes)
        return release(&buffers, NULL);
    const char *separator = (const char *)text + run.begin + run.first;
    return release(&buffers, Py_BuildValue("LLLLy#ON", (long long)run.begin, (long long)run.end, (long long)run.first,
                                           (long long)run.line, separator, (Py_ssize_t)run.separator,
                                           run.padded ? Py_True : Py_False, bytes));
}

static PyObject *write_run(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    int alphabet, padded;
    long long first, line, room;
    if (!PyArg_ParseTuple(args, "y*iLLy*pL", &buffers.of[0], &alphabet, &first, &line, &buffers.of[1], &padded, &room))
        return release(&buffers, NULL);
    int64_t size = buffers.of[0].len, separator = buffers.of[1].len;
    if (!is_text(&buffers.of[0]) || alphabet < 0 || alphabet >= LLMZ_ALPHABETS || first < 0 || line < 0 ||
        first > MOST_BYTES || line > MOST_BYTES || (line && !first) || separator > 1024 || room < 0)
        return refuse(&buffers, "write_run: arguments out of range");
    int64_t length = llmz_run_length(size, alphabet, first, line, separator, padded);
    if (length > room)
        return release(&buffers, Py_NewRef(Py_None));
    uint8_t *out = allocate(length);
    if (!out)
        return release(&buffers, NULL);
    Py_BEGIN_ALLOW_THREADS
    llmz_write_run(buffers.of[0].buf, size, alphabet, first, line, buffers.of[1].buf, separator, padded, out);
    Py_END_ALLOW_THREADS
    return release(&buffers, give(out, length));
}

/* find_uu_run(text, from, fewest_lines): None or (begin, end, full, mode, crlf, data) */
static PyObject *find_uu_run(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    long long from, fewest;
    int found;
    if (!PyArg_ParseTuple(args, "y*LL", &buffers.of[0], &from, &fewest))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || from < 0 || from > buffers.of[0].len || fewest < 1)
        return refuse(&buffers, "find_uu_run: arguments out of range");
    struct llmz_uu_run run;
    Py_BEGIN_ALLOW_THREADS
    found = llmz_find_uu_run(buffers.of[0].buf, buffers.of[0].len, from, fewest, &run);
    Py_END_ALLOW_THREADS
    if (!found)
        return release(&buffers, Py_NewRef(Py_None));
    uint8_t *data = allocate(run.bytes);
    if (!data)
        return release(&buffers, NULL);
    PyObject *bytes = give(data, llmz_read_uu_run(buffers.of[0].buf, &run, data));
    if (!bytes)
        return release(&buffers, NULL);
    return release(&buffers, Py_BuildValue("LLLiON", (long long)run.begin, (long long)run.end, (long long)run.full,
                                           run.mode, run.crlf ? Py_True : Py_False, bytes));
}

static PyObject *write_uu_run(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    long long full, room;
    int mode, crlf;
    if (!PyArg_ParseTuple(args, "y*LipL", &buffers.of[0], &full, &mode, &crlf, &room))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || full < 1 || full > 63 || mode < 0 || mode >= LLMZ_UU_MODES || room < 0)
        return refuse(&buffers, "write_uu_run: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return release(&buffers, NULL);
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_write_uu_run(buffers.of[0].buf, buffers.of[0].len, full, mode, crlf, out, room);
    Py_END_ALLOW_THREADS
    return release(&buffers, give(out, size));
}

static PyObject *found_dump(const uint8_t *text, const struct llmz_dump *dump, const struct llmz_dump_run *run)
{
    uint8_t form[LLMZ_DUMP_PACKED];
    int64_t packed = llmz_pack_dump(dump, form);
    uint8_t *data = allocate(run->bytes);
    PyObject *bytes = data ? give(data, llmz_read_dump(text, dump, run, data)) : NULL;
    if (!bytes)
        return NULL;
    return Py_BuildValue("y#LLKN", (const char *)form, (Py_ssize_t)packed, (long long)run->begin, (long long)run->end,
                         (unsigned long long)run->offset, bytes);
}

/* find_dump(text, from, fewest_lines): None or (form, begin, end, offset, data) */
static PyObject *find_dump(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    long long from, fewest;
    int found;
    if (!PyArg_ParseTuple(args, "y*LL", &buffers.of[0], &from, &fewest))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || from < 0 || from > buffers.of[0].len || fewest < 2)
        return refuse(&buffers, "find_dump: arguments out of range");
    struct llmz_dump dump;
    struct llmz_dump_run run;
    Py_BEGIN_ALLOW_THREADS
    found = llmz_find_dump(buffers.of[0].buf, buffers.of[0].len, from, fewest, &dump, &run);
    Py_END_ALLOW_THREADS
    return release(&buffers, found ? found_dump(buffers.of[0].buf, &dump, &run) : Py_NewRef(Py_None));
}

/* continue_dump(text, begin, form): what find_dump returns, for lines at `begin` of a form and any offset; or None */
static PyObject *continue_dump(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    struct llmz_dump dump;
    struct llmz_dump_run run;
    long long begin;
    uint64_t offset;
    if (!PyArg_ParseTuple(args, "y*Ly*", &buffers.of[0], &begin, &buffers.of[1]))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || begin < 0 || begin > buffers.of[0].len ||
        llmz_unpack_dump(buffers.of[1].buf, buffers.of[1].len, &dump) < 0)
        return refuse(&buffers, "continue_dump: arguments out of range");
    const uint8_t *text = buffers.of[0].buf;
    int64_t size = buffers.of[0].len;
    if (!llmz_dump_offset(text, size, begin, &dump, &offset) ||
        !llmz_continue_dump(text, size, begin, &dump, offset, &run))
        return release(&buffers, Py_NewRef(Py_None));
    return release(&buffers, found_dump(text, &dump, &run));
}

/* form_length(packed): bytes that the form at the front of `packed` takes, None where it is not sound */
static PyObject *form_length(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    struct llmz_dump dump;
    if (!PyArg_ParseTuple(args, "y*", &buffers.of[0]))
        return release(&buffers, NULL);
    int64_t taken = llmz_unpack_dump(buffers.of[0].buf, buffers.of[0].len, &dump);
    return release(&buffers, taken < 0 ? Py_NewRef(Py_None) : PyLong_FromLongLong(taken));
}

static PyObject *write_dump(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    struct llmz_dump dump;
    unsigned long long offset;
    long long room;
    if (!PyArg_ParseTuple(args, "y*Ky*L", &buffers.of[0], &offset, &buffers.of[1], &room))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[1]) || room < 0 || llmz_unpack_dump(buffers.of[0].buf, buffers.of[0].len, &dump) < 0)
        return refuse(&buffers, "write_dump: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return release(&buffers, NULL);
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_write_dump(&dump, offset, buffers.of[1].buf, buffers.of[1].len, out, room);
    Py_END_ALLOW_THREADS
    return release(&buffers, give(out, size));
}

/* Hex records: a form is (kind, upper, crlf, full). */

static int fill_hex_records(struct llmz_hex_records *form, int kind, int upper, int crlf, int full)
{
    *form = (struct llmz_hex_records){(uint8_t)kind, (uint8_t)(upper != 0), (uint8_t)(crlf != 0), (uint8_t)full};
    return kind >= 0 && kind < 256 && full >= 0 && full < 256 && llmz_hex_records_are_sound(form);
}

/* find_hex_records(text): (records, (kind, upper, crlf, full)) */
static PyObject *find_hex_records(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    struct llmz_hex_records form;
    int64_t records;
    if (!PyArg_ParseTuple(args, "y*", &buffers.of[0]))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]))
        return refuse(&buffers, "find_hex_records: arguments out of range");
    Py_BEGIN_ALLOW_THREADS
    records = llmz_find_hex_records(buffers.of[0].buf, buffers.of[0].len, &form);
    Py_END_ALLOW_THREADS
    return release(&buffers, Py_BuildValue("L(iiii)", (long long)records, form.kind, form.upper, form.crlf, form.full));
}

/* take_hex_records(text, kind, upper, crlf, full): (kept lines, runs, bytes) */
static PyObject *take_hex_records(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    struct llmz_hex_records form;
    int kind, upper, crlf, full;
    if (!PyArg_ParseTuple(args, "y*ippi", &buffers.of[0], &kind, &upper, &crlf, &full))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || !fill_hex_records(&form, kind, upper, crlf, full))
        return refuse(&buffers, "take_hex_records: arguments out of range");
    int64_t size = buffers.of[0].len;
    struct llmz_hex_streams out = {0};
    PyObject *result = NULL;
    out.kept = allocate(size);
    out.runs = out.kept ? allocate(size) : NULL;
    out.data = out.runs ? allocate(size / 2) : NULL;
    if (out.data) {
        Py_BEGIN_ALLOW_THREADS
        llmz_take_hex_records(buffers.of[0].buf, size, &form, &out);
        Py_END_ALLOW_THREADS
        result = Py_BuildValue("y#y#y#", (const char *)out.kept, (Py_ssize_t)out.kept_size, (const char *)out.runs,
                               (Py_ssize_t)out.runs_size, (const char *)out.data, (Py_ssize_t)out.data_size);
    }
    free(out.kept);
    free(out.runs);
    free(out.data);
    return release(&buffers, result);
}

/* put_hex_records(kept lines, runs, bytes, kind, upper, crlf, full, room): None where that makes no sense */
static PyObject *put_hex_records(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    struct llmz_hex_records form;
    int kind, upper, crlf, full;
    long long room;
    if (!PyArg_ParseTuple(args, "y*y*y*ippiL", &buffers.of[0], &buffers.of[1], &buffers.of[2], &kind, &upper, &crlf,
                          &full, &room))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || !is_text(&buffers.of[1]) || !is_text(&buffers.of[2]) || room < 0)
        return refuse(&buffers, "put_hex_records: arguments out of range");
    if (!fill_hex_records(&form, kind, upper, crlf, full))
        return release(&buffers, Py_NewRef(Py_None));
    struct llmz_hex_streams streams = {buffers.of[0].buf, buffers.of[1].buf, buffers.of[2].buf,
                                       buffers.of[0].len, buffers.of[1].len, buffers.of[2].len};
    uint8_t *out = allocate(room);
    if (!out)
        return release(&buffers, NULL);
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_put_hex_records(&form, &streams, out, room);
    Py_END_ALLOW_THREADS
    return release(&buffers, give(out, size));
}

/* Overstrikes: (text, bold, underline, times, underline_after) and, back, the room. */

static int fill_strikes(struct llmz_strikes *strikes, int bold, int underline, int times, int after)
{
    *strikes = (struct llmz_strikes){(uint8_t)bold, (uint8_t)underline, (uint8_t)times, (uint8_t)(after != 0)};
    return bold >= 0 && bold < 128 && underline >= 0 && underline < 128 && bold != underline && times >= 1 && times < 16;
}

static PyObject *take_strikes(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    struct llmz_strikes strikes;
    int bold, underline, times, after;
    if (!PyArg_ParseTuple(args, "y*iiip", &buffers.of[0], &bold, &underline, &times, &after))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || !fill_strikes(&strikes, bold, underline, times, after))
        return refuse(&buffers, "take_strikes: arguments out of range");
    uint8_t *out = allocate(3 * buffers.of[0].len);
    if (!out)
        return release(&buffers, NULL);
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_take_strikes(buffers.of[0].buf, buffers.of[0].len, &strikes, out);
    Py_END_ALLOW_THREADS
    return release(&buffers, give(out, size));
}

static PyObject *put_strikes(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    struct llmz_strikes strikes;
    int bold, underline, times, after;
    long long room;
    if (!PyArg_ParseTuple(args, "y*iiipL", &buffers.of[0], &bold, &underline, &times, &after, &room))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || room < 0 || !fill_strikes(&strikes, bold, underline, times, after))
        return refuse(&buffers, "put_strikes: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return release(&buffers, NULL);
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_put_strikes(buffers.of[0].buf, buffers.of[0].len, &strikes, out, room);
    Py_END_ALLOW_THREADS
    return release(&buffers, give(out, size));
}

/* find_passages(text, no_utf8_weight, fewest_between, least_sum, most): int64 [passages][2] as bytes */
static PyObject *find_passages(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    long long weight, between, least, most;
    if (!PyArg_ParseTuple(args, "y*LLLL", &buffers.of[0], &weight, &between, &least, &most))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || weight < -1 || weight > 100 || between < 0 || between > MOST_BYTES || least < 1 ||
        most < 1 || most > MOST_BYTES / 16)
        return refuse(&buffers, "find_passages: arguments out of range");
    int64_t *bounds = allocate(16 * most), found = 0;
    if (!bounds)
        return release(&buffers, NULL);
    Py_BEGIN_ALLOW_THREADS
    found = llmz_find_passages(buffers.of[0].buf, buffers.of[0].len, weight, between, least, bounds, most);
    Py_END_ALLOW_THREADS
    return release(&buffers, give(bounds, 16 * found));
}

/* unescape(text, kind): the text and how many escapes it had */
static PyObject *unescape(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    int kind;
    if (!PyArg_ParseTuple(args, "y*i", &buffers.of[0], &kind))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || kind < 0 || kind >= LLMZ_ESCAPES)
        return refuse(&buffers, "unescape: arguments out of range");
    uint8_t *out = allocate(buffers.of[0].len);
    if (!out)
        return release(&buffers, NULL);
    int64_t size, escapes;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_unescape(kind, buffers.of[0].buf, buffers.of[0].len, out, &escapes);
    Py_END_ALLOW_THREADS
    PyObject *text = give(out, size);
    return release(&buffers, text ? Py_BuildValue("NL", text, (long long)escapes) : NULL);
}

static PyObject *escape(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    int kind;
    long long room;
    if (!PyArg_ParseTuple(args, "y*iL", &buffers.of[0], &kind, &room))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || kind < 0 || kind >= LLMZ_ESCAPES || room < 0)
        return refuse(&buffers, "escape: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return release(&buffers, NULL);
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_escape(kind, buffers.of[0].buf, buffers.of[0].len, out, room);
    Py_END_ALLOW_THREADS
    return release(&buffers, give(out, size));
}

/* join_quoted(text, width, crlf): the text, by how many units breaks come earlier than they must, how many are breaks */
static PyObject *join_quoted(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    long long width;
    int crlf;
    if (!PyArg_ParseTuple(args, "y*Lp", &buffers.of[0], &width, &crlf))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || width < 4 || width > LLMZ_QUOTED_WIDTH)
        return refuse(&buffers, "join_quoted: arguments out of range");
    const uint8_t *text = buffers.of[0].buf;
    int64_t size = buffers.of[0].len, lines = 1, breaks = 0, joined = 0;
    for (const uint8_t *at = text; size && (at = memchr(at, '\n', (size_t)(text + size - at))); at++)
        lines++;
    uint8_t *out = allocate(size), *earlier = out ? allocate(lines) : NULL;
    if (!earlier) {
        free(out);
        return release(&buffers, NULL);
    }
    Py_BEGIN_ALLOW_THREADS
    size = llmz_join_quoted(text, size, width, crlf, earlier, &breaks, &joined, out);
    Py_END_ALLOW_THREADS
    PyObject *first = give(out, size), *second = give(earlier, breaks);
    PyObject *result = first && second ? Py_BuildValue("OOL", first, second, (long long)joined) : NULL;
    Py_XDECREF(first);
    Py_XDECREF(second);
    return release(&buffers, result);
}

static PyObject *break_quoted(PyObject *self, PyObject *args)
{
    (void)self;
    struct buffers buffers = {0};
    long long width, room;
    int crlf;
    if (!PyArg_ParseTuple(args, "y*Lpz*L", &buffers.of[0], &width, &crlf, &buffers.of[1], &room))
        return release(&buffers, NULL);
    if (!is_text(&buffers.of[0]) || width < 4 || width > LLMZ_QUOTED_WIDTH || room < 0)
        return refuse(&buffers, "break_quoted: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return release(&buffers, NULL);
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_break_quoted(buffers.of[0].buf, buffers.of[0].len, width, crlf, buffers.of[1].buf, buffers.of[1].len, out,
                             room);
    Py_END_ALLOW_THREADS
    return release(&buffers, give(out, size));
}

static PyMethodDef functions[] = {
    {"join_lines", join_lines, METH_VARARGS, NULL},
    {"break_lines", break_lines, METH_VARARGS, NULL},
    {"count_lines", count_lines, METH_VARARGS, NULL},
    {"count_sentences", count_sentences, METH_VARARGS, NULL},
    {"to_utf8", to_utf8, METH_VARARGS, NULL},
    {"from_utf8", from_utf8, METH_VARARGS, NULL},
    {"utf16_to_utf8", utf16_to_utf8, METH_VARARGS, NULL},
    {"utf8_to_utf16", utf8_to_utf16, METH_VARARGS, NULL},
    {"count_no_utf8", count_no_utf8, METH_VARARGS, NULL},
    {"line_costs", line_costs, METH_VARARGS, NULL},
    {"choose_by_line", choose_by_line, METH_VARARGS, NULL},
    {"find_run", find_run, METH_VARARGS, NULL},
    {"write_run", write_run, METH_VARARGS, NULL},
    {"find_uu_run", find_uu_run, METH_VARARGS, NULL},
    {"write_uu_run", write_uu_run, METH_VARARGS, NULL},
    {"find_dump", find_dump, METH_VARARGS, NULL},
    {"continue_dump", continue_dump, METH_VARARGS, NULL},
    {"form_length", form_length, METH_VARARGS, NULL},
    {"write_dump", write_dump, METH_VARARGS, NULL},
    {"find_hex_records", find_hex_records, METH_VARARGS, NULL},
    {"take_hex_records", take_hex_records, METH_VARARGS, NULL},
    {"put_hex_records", put_hex_records, METH_VARARGS, NULL},
    {"take_strikes", take_strikes, METH_VARARGS, NULL},
    {"put_strikes", put_strikes, METH_VARARGS, NULL},
    {"find_passages", find_passages, METH_VARARGS, NULL},
    {"unescape", unescape, METH_VARARGS, NULL},
    {"escape", escape, METH_VARARGS, NULL},
    {"join_quoted", join_quoted, METH_VARARGS, NULL},
    {"break_quoted", break_quoted, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int llmz_bind_text(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
