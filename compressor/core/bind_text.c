/* The binding of the core's text functions. */

#include "bind.h"
#include "core.h"

#include <stdlib.h>
#include <string.h>

#define MOST_BYTES ((Py_ssize_t)(PY_SSIZE_T_MAX >> (sizeof(Py_ssize_t) > 4 ? 23 : 4))) /* no product of a size and a small number overflows */

#define MOST_BUFFERS 9

/* Functions fill `buffers` by PyArg_ParseTuple; they are released here, however a function ends. */
static PyObject *with_buffers(PyObject *(*function)(PyObject *args, Py_buffer *buffers), PyObject *args)
{
    Py_buffer buffers[MOST_BUFFERS] = {0};
    PyObject *result = function(args, buffers);
    for (int i = 0; i < MOST_BUFFERS; i++)
        if (buffers[i].obj)
            PyBuffer_Release(&buffers[i]);
    return result;
}

static PyObject *refuse(const char *reason)
{
    PyErr_SetString(PyExc_ValueError, reason);
    return NULL;
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

static int64_t lines_of(const Py_buffer *text)
{
    int64_t lines = 1;
    const uint8_t *at = text->buf, *end = at + text->len;
    for (; at < end && (at = memchr(at, '\n', (size_t)(end - at))); at++)
        lines++;
    return lines;
}

/* Line breaks */

static PyObject *join_lines(PyObject *args, Py_buffer *buffers)
{
    long long width, between;
    if (!PyArg_ParseTuple(args, "y*LL", &buffers[0], &width, &between))
        return NULL;
    if (!is_text(&buffers[0]) || width < 1 || width > INT32_MAX || between < 1 || between > 2)
        return refuse("join_lines: arguments out of range");
    int64_t size = buffers[0].len, lines = lines_of(&buffers[0]), excepted = 0;
    uint8_t *out = allocate(size + lines);
    int64_t *exceptions = out ? allocate(8 * lines) : NULL;
    if (!exceptions) {
        free(out);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    size = llmz_join_lines(buffers[0].buf, size, width, between, exceptions, &excepted, out);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("NN", give(out, size), give(exceptions, 8 * excepted));
}

static PyObject *break_lines(PyObject *args, Py_buffer *buffers)
{
    long long width, between, room;
    if (!PyArg_ParseTuple(args, "y*LLy*L", &buffers[0], &width, &between, &buffers[1], &room))
        return NULL;
    if (!is_text(&buffers[0]) || width < 1 || width > INT32_MAX || between < 1 || between > 2 || room < 0 ||
        buffers[1].len % 8 || (uintptr_t)buffers[1].buf % 8)
        return refuse("break_lines: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return NULL;
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_break_lines(buffers[0].buf, buffers[0].len, width, between, buffers[1].buf, buffers[1].len / 8, out,
                            room);
    Py_END_ALLOW_THREADS
    return give(out, size);
}

static PyObject *count_lines(PyObject *args, Py_buffer *buffers)
{
    if (!PyArg_ParseTuple(args, "y*w*w*", &buffers[0], &buffers[1], &buffers[2]))
        return NULL;
    int64_t entries = buffers[1].len / 8, between_words;
    if (!is_text(&buffers[0]) || entries < 1 || buffers[1].len % 8 || buffers[2].len != buffers[1].len ||
        (uintptr_t)buffers[1].buf % 8 || (uintptr_t)buffers[2].buf % 8)
        return refuse("count_lines: arguments out of range");
    Py_BEGIN_ALLOW_THREADS
    between_words = llmz_count_lines(buffers[0].buf, buffers[0].len, entries - 1, buffers[1].buf, buffers[2].buf);
    Py_END_ALLOW_THREADS
    return PyLong_FromLongLong(between_words);
}

static PyObject *count_sentences(PyObject *args, Py_buffer *buffers)
{
    if (!PyArg_ParseTuple(args, "y*", &buffers[0]))
        return NULL;
    int64_t narrow, wide;
    Py_BEGIN_ALLOW_THREADS
    llmz_count_sentences(buffers[0].buf, buffers[0].len, &narrow, &wide);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("LL", (long long)narrow, (long long)wide);
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

static PyObject *to_utf8(PyObject *args, Py_buffer *buffers)
{
    struct llmz_charset charset;
    int cesu;
    if (!PyArg_ParseTuple(args, "y*z*z*z*z*z*p", &buffers[0], &buffers[1], &buffers[2], &buffers[3], &buffers[4],
                          &buffers[5], &cesu))
        return NULL;
    if (!is_text(&buffers[0]) || !fill_charset(&charset, buffers + 1, cesu))
        return refuse("to_utf8: tables of another size");
    uint8_t *out = allocate(3 * buffers[0].len);
    if (!out)
        return NULL;
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_to_utf8(&charset, buffers[0].buf, buffers[0].len, out);
    Py_END_ALLOW_THREADS
    return give(out, size);
}

static PyObject *from_utf8(PyObject *args, Py_buffer *buffers)
{
    struct llmz_charset charset;
    int cesu;
    long long room;
    if (!PyArg_ParseTuple(args, "y*z*z*z*z*z*pL", &buffers[0], &buffers[1], &buffers[2], &buffers[3], &buffers[4],
                          &buffers[5], &cesu, &room))
        return NULL;
    if (!is_text(&buffers[0]) || room < 0 || !fill_charset(&charset, buffers + 1, cesu))
        return refuse("from_utf8: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return NULL;
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_from_utf8(&charset, buffers[0].buf, buffers[0].len, out, room);
    Py_END_ALLOW_THREADS
    return give(out, size);
}

static PyObject *utf16_to_utf8(PyObject *args, Py_buffer *buffers)
{
    int big_endian;
    if (!PyArg_ParseTuple(args, "y*p", &buffers[0], &big_endian))
        return NULL;
    if (!is_text(&buffers[0]) || buffers[0].len % 2)
        return refuse("utf16_to_utf8: half a unit");
    uint8_t *out = allocate(buffers[0].len / 2 * 3);
    if (!out)
        return NULL;
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_utf16_to_utf8(buffers[0].buf, buffers[0].len / 2, big_endian, out);
    Py_END_ALLOW_THREADS
    return give(out, size);
}

static PyObject *utf8_to_utf16(PyObject *args, Py_buffer *buffers)
{
    int big_endian;
    long long room;
    if (!PyArg_ParseTuple(args, "y*pL", &buffers[0], &big_endian, &room))
        return NULL;
    if (!is_text(&buffers[0]) || room < 0)
        return refuse("utf8_to_utf16: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return NULL;
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_utf8_to_utf16(buffers[0].buf, buffers[0].len, big_endian, out, room);
    Py_END_ALLOW_THREADS
    return give(out, size);
}

static PyObject *count_no_utf8(PyObject *args, Py_buffer *buffers)
{
    if (!PyArg_ParseTuple(args, "y*", &buffers[0]))
        return NULL;
    int64_t count;
    Py_BEGIN_ALLOW_THREADS
    count = llmz_count_no_utf8(buffers[0].buf, buffers[0].len);
    Py_END_ALLOW_THREADS
    return PyLong_FromLongLong(count);
}

/* line_costs(text, kinds, costs, after, unreadable, tables or None): int32 a line, as bytes */
static PyObject *line_costs(PyObject *args, Py_buffer *buffers)
{
    Py_buffer *tables = buffers + 4;
    struct llmz_charset charset;
    int unreadable, cesu = 0;
    PyObject *of_charset;
    if (!PyArg_ParseTuple(args, "y*y*y*y*iO", &buffers[0], &buffers[1], &buffers[2], &buffers[3], &unreadable,
                          &of_charset))
        return NULL;
    if (!is_text(&buffers[0]) || buffers[1].len != 65536 || buffers[2].len != 65536 ||
        buffers[3].len != LLMZ_KINDS * LLMZ_KINDS || unreadable < 0 || unreadable > 1000)
        return refuse("line_costs: tables of another size");
    struct llmz_plausibility plausibility = {buffers[1].buf, buffers[2].buf, buffers[3].buf, unreadable};
    const uint8_t *kinds = buffers[1].buf;
    for (int i = 0; i < 65536; i++)
        if (kinds[i] >= LLMZ_KINDS)
            return refuse("line_costs: no such kind");
    if (of_charset != Py_None) {
        if (!PyArg_ParseTuple(of_charset, "z*z*z*z*z*p", &tables[0], &tables[1], &tables[2], &tables[3], &tables[4],
                              &cesu))
            return NULL;
        if (!fill_charset(&charset, tables, cesu))
            return refuse("line_costs: tables of another size");
    }
    int64_t lines = lines_of(&buffers[0]);
    int32_t *costs = allocate(4 * lines);
    if (!costs)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    lines = llmz_line_costs(of_charset == Py_None ? NULL : &charset, &plausibility, buffers[0].buf, buffers[0].len, costs);
    Py_END_ALLOW_THREADS
    return give(costs, 4 * lines);
}

static PyObject *choose_by_line(PyObject *args, Py_buffer *buffers)
{
    int choices, change;
    if (!PyArg_ParseTuple(args, "y*ii", &buffers[0], &choices, &change))
        return NULL;
    if (choices < 1 || choices > LLMZ_MOST_CHOICES || buffers[0].len % (4 * choices) || change < 0 ||
        (uintptr_t)buffers[0].buf % 4)
        return refuse("choose_by_line: arguments out of range");
    int64_t lines = buffers[0].len / (4 * choices);
    uint8_t *cheapest = allocate(lines), *came_from = cheapest ? allocate(lines * choices) : NULL;
    if (!came_from) {
        free(cheapest);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    llmz_choose_by_line(buffers[0].buf, choices, lines, change, cheapest, came_from);
    Py_END_ALLOW_THREADS
    free(came_from);
    return give(cheapest, lines);
}

/* Encodings: what finds a run returns the bytes that it stands for with it. */

/* find_run(text, from, alphabet, fewest_digits, fewest_text_digits): None or (begin, end, first, line, separator, padded, data) */
static PyObject *find_run(PyObject *args, Py_buffer *buffers)
{
    long long from, fewest, fewest_text;
    int alphabet, found;
    if (!PyArg_ParseTuple(args, "y*LiLL", &buffers[0], &from, &alphabet, &fewest, &fewest_text))
        return NULL;
    if (!is_text(&buffers[0]) || from < 0 || from > buffers[0].len || alphabet < 0 || alphabet >= LLMZ_ALPHABETS ||
        fewest_text < 1)
        return refuse("find_run: arguments out of range");
    struct llmz_run run;
    const uint8_t *text = buffers[0].buf;
    Py_BEGIN_ALLOW_THREADS
    found = llmz_find_run(text, buffers[0].len, from, alphabet, fewest, fewest_text, &run);
    Py_END_ALLOW_THREADS
    if (!found)
        return Py_NewRef(Py_None);
    uint8_t *data = allocate(run.bytes);
    if (!data)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    llmz_read_run(text, &run, alphabet, data);
    Py_END_ALLOW_THREADS
    PyObject *bytes = give(data, run.bytes);
    if (!bytes)
        return NULL;
    const char *separator = (const char *)text + run.begin + run.first;
    return Py_BuildValue("LLLLy#ON", (long long)run.begin, (long long)run.end, (long long)run.first, (long long)run.line,
                         separator, (Py_ssize_t)run.separator, run.padded ? Py_True : Py_False, bytes);
}

static PyObject *write_run(PyObject *args, Py_buffer *buffers)
{
    int alphabet, padded;
    long long first, line, room;
    if (!PyArg_ParseTuple(args, "y*iLLy*pL", &buffers[0], &alphabet, &first, &line, &buffers[1], &padded, &room))
        return NULL;
    int64_t size = buffers[0].len, separator = buffers[1].len;
    if (!is_text(&buffers[0]) || alphabet < 0 || alphabet >= LLMZ_ALPHABETS || first < 0 || line < 0 ||
        first > MOST_BYTES || line > MOST_BYTES || (line && !first) || separator > 1024 || room < 0)
        return refuse("write_run: arguments out of range");
    int64_t length = llmz_run_length(size, alphabet, first, line, separator, padded);
    if (length > room)
        return Py_NewRef(Py_None);
    uint8_t *out = allocate(length);
    if (!out)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    llmz_write_run(buffers[0].buf, size, alphabet, first, line, buffers[1].buf, separator, padded, out);
    Py_END_ALLOW_THREADS
    return give(out, length);
}

/* find_uu_run(text, from, fewest_lines): None or (begin, end, full, mode, crlf, data) */
static PyObject *find_uu_run(PyObject *args, Py_buffer *buffers)
{
    long long from, fewest;
    int found;
    if (!PyArg_ParseTuple(args, "y*LL", &buffers[0], &from, &fewest))
        return NULL;
    if (!is_text(&buffers[0]) || from < 0 || from > buffers[0].len || fewest < 1)
        return refuse("find_uu_run: arguments out of range");
    struct llmz_uu_run run;
    Py_BEGIN_ALLOW_THREADS
    found = llmz_find_uu_run(buffers[0].buf, buffers[0].len, from, fewest, &run);
    Py_END_ALLOW_THREADS
    if (!found)
        return Py_NewRef(Py_None);
    uint8_t *data = allocate(run.bytes);
    if (!data)
        return NULL;
    PyObject *bytes = give(data, llmz_read_uu_run(buffers[0].buf, &run, data));
    if (!bytes)
        return NULL;
    return Py_BuildValue("LLLiON", (long long)run.begin, (long long)run.end, (long long)run.full, run.mode,
                         run.crlf ? Py_True : Py_False, bytes);
}

static PyObject *write_uu_run(PyObject *args, Py_buffer *buffers)
{
    long long full, room;
    int mode, crlf;
    if (!PyArg_ParseTuple(args, "y*LipL", &buffers[0], &full, &mode, &crlf, &room))
        return NULL;
    if (!is_text(&buffers[0]) || full < 1 || full > 63 || mode < 0 || mode >= LLMZ_UU_MODES || room < 0)
        return refuse("write_uu_run: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return NULL;
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_write_uu_run(buffers[0].buf, buffers[0].len, full, mode, crlf, out, room);
    Py_END_ALLOW_THREADS
    return give(out, size);
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
static PyObject *find_dump(PyObject *args, Py_buffer *buffers)
{
    long long from, fewest;
    int found;
    if (!PyArg_ParseTuple(args, "y*LL", &buffers[0], &from, &fewest))
        return NULL;
    if (!is_text(&buffers[0]) || from < 0 || from > buffers[0].len || fewest < 2)
        return refuse("find_dump: arguments out of range");
    struct llmz_dump dump;
    struct llmz_dump_run run;
    Py_BEGIN_ALLOW_THREADS
    found = llmz_find_dump(buffers[0].buf, buffers[0].len, from, fewest, &dump, &run);
    Py_END_ALLOW_THREADS
    return found ? found_dump(buffers[0].buf, &dump, &run) : Py_NewRef(Py_None);
}

/* continue_dump(text, begin, form): what find_dump returns, for lines at `begin` of a form and any offset; or None */
static PyObject *continue_dump(PyObject *args, Py_buffer *buffers)
{
    struct llmz_dump dump;
    struct llmz_dump_run run;
    long long begin;
    uint64_t offset;
    if (!PyArg_ParseTuple(args, "y*Ly*", &buffers[0], &begin, &buffers[1]))
        return NULL;
    if (!is_text(&buffers[0]) || begin < 0 || begin > buffers[0].len ||
        llmz_unpack_dump(buffers[1].buf, buffers[1].len, &dump) < 0)
        return refuse("continue_dump: arguments out of range");
    const uint8_t *text = buffers[0].buf;
    int64_t size = buffers[0].len;
    if (!llmz_dump_offset(text, size, begin, &dump, &offset) ||
        !llmz_continue_dump(text, size, begin, &dump, offset, &run))
        return Py_NewRef(Py_None);
    return found_dump(text, &dump, &run);
}

/* form_length(packed): bytes that the form at the front of `packed` takes, None where it is not sound */
static PyObject *form_length(PyObject *args, Py_buffer *buffers)
{
    struct llmz_dump dump;
    if (!PyArg_ParseTuple(args, "y*", &buffers[0]))
        return NULL;
    int64_t taken = llmz_unpack_dump(buffers[0].buf, buffers[0].len, &dump);
    return taken < 0 ? Py_NewRef(Py_None) : PyLong_FromLongLong(taken);
}

static PyObject *write_dump(PyObject *args, Py_buffer *buffers)
{
    struct llmz_dump dump;
    unsigned long long offset;
    long long room;
    if (!PyArg_ParseTuple(args, "y*Ky*L", &buffers[0], &offset, &buffers[1], &room))
        return NULL;
    if (!is_text(&buffers[1]) || room < 0 || llmz_unpack_dump(buffers[0].buf, buffers[0].len, &dump) < 0)
        return refuse("write_dump: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return NULL;
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_write_dump(&dump, offset, buffers[1].buf, buffers[1].len, out, room);
    Py_END_ALLOW_THREADS
    return give(out, size);
}

/* Hex records: a form is (kind, upper, crlf, full). */

static int fill_hex_records(struct llmz_hex_records *form, int kind, int upper, int crlf, int full)
{
    *form = (struct llmz_hex_records){(uint8_t)kind, (uint8_t)(upper != 0), (uint8_t)(crlf != 0), (uint8_t)full};
    return kind >= 0 && kind < 256 && full >= 0 && full < 256 && llmz_hex_records_are_sound(form);
}

/* find_hex_records(text): (records, (kind, upper, crlf, full)) */
static PyObject *find_hex_records(PyObject *args, Py_buffer *buffers)
{
    struct llmz_hex_records form;
    int64_t records;
    if (!PyArg_ParseTuple(args, "y*", &buffers[0]))
        return NULL;
    if (!is_text(&buffers[0]))
        return refuse("find_hex_records: arguments out of range");
    Py_BEGIN_ALLOW_THREADS
    records = llmz_find_hex_records(buffers[0].buf, buffers[0].len, &form);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("L(iiii)", (long long)records, form.kind, form.upper, form.crlf, form.full);
}

/* take_hex_records(text, kind, upper, crlf, full): (kept lines, runs, bytes) */
static PyObject *take_hex_records(PyObject *args, Py_buffer *buffers)
{
    struct llmz_hex_records form;
    int kind, upper, crlf, full;
    if (!PyArg_ParseTuple(args, "y*ippi", &buffers[0], &kind, &upper, &crlf, &full))
        return NULL;
    if (!is_text(&buffers[0]) || !fill_hex_records(&form, kind, upper, crlf, full))
        return refuse("take_hex_records: arguments out of range");
    int64_t size = buffers[0].len;
    struct llmz_hex_streams out = {0};
    PyObject *result = NULL;
    out.kept = allocate(size);
    out.runs = out.kept ? allocate(size) : NULL;
    out.data = out.runs ? allocate(size / 2) : NULL;
    if (out.data) {
        Py_BEGIN_ALLOW_THREADS
        llmz_take_hex_records(buffers[0].buf, size, &form, &out);
        Py_END_ALLOW_THREADS
        result = Py_BuildValue("y#y#y#", (const char *)out.kept, (Py_ssize_t)out.kept_size, (const char *)out.runs,
                               (Py_ssize_t)out.runs_size, (const char *)out.data, (Py_ssize_t)out.data_size);
    }
    free(out.kept);
    free(out.runs);
    free(out.data);
    return result;
}

/* put_hex_records(kept lines, runs, bytes, kind, upper, crlf, full, room): None where that makes no sense */
static PyObject *put_hex_records(PyObject *args, Py_buffer *buffers)
{
    struct llmz_hex_records form;
    int kind, upper, crlf, full;
    long long room;
    if (!PyArg_ParseTuple(args, "y*y*y*ippiL", &buffers[0], &buffers[1], &buffers[2], &kind, &upper, &crlf,
                          &full, &room))
        return NULL;
    if (!is_text(&buffers[0]) || !is_text(&buffers[1]) || !is_text(&buffers[2]) || room < 0)
        return refuse("put_hex_records: arguments out of range");
    if (!fill_hex_records(&form, kind, upper, crlf, full))
        return Py_NewRef(Py_None);
    struct llmz_hex_streams streams = {buffers[0].buf, buffers[1].buf, buffers[2].buf,
                                       buffers[0].len, buffers[1].len, buffers[2].len};
    uint8_t *out = allocate(room);
    if (!out)
        return NULL;
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_put_hex_records(&form, &streams, out, room);
    Py_END_ALLOW_THREADS
    return give(out, size);
}

/* Overstrikes: (text, bold, underline, times, underline_after) and, back, the room. */

static int fill_strikes(struct llmz_strikes *strikes, int bold, int underline, int times, int after)
{
    *strikes = (struct llmz_strikes){(uint8_t)bold, (uint8_t)underline, (uint8_t)times, (uint8_t)(after != 0)};
    return bold >= 0 && bold < 128 && underline >= 0 && underline < 128 && bold != underline && times >= 1 && times < 16;
}

static PyObject *take_strikes(PyObject *args, Py_buffer *buffers)
{
    struct llmz_strikes strikes;
    int bold, underline, times, after;
    if (!PyArg_ParseTuple(args, "y*iiip", &buffers[0], &bold, &underline, &times, &after))
        return NULL;
    if (!is_text(&buffers[0]) || !fill_strikes(&strikes, bold, underline, times, after))
        return refuse("take_strikes: arguments out of range");
    uint8_t *out = allocate(3 * buffers[0].len);
    if (!out)
        return NULL;
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_take_strikes(buffers[0].buf, buffers[0].len, &strikes, out);
    Py_END_ALLOW_THREADS
    return give(out, size);
}

static PyObject *put_strikes(PyObject *args, Py_buffer *buffers)
{
    struct llmz_strikes strikes;
    int bold, underline, times, after;
    long long room;
    if (!PyArg_ParseTuple(args, "y*iiipL", &buffers[0], &bold, &underline, &times, &after, &room))
        return NULL;
    if (!is_text(&buffers[0]) || room < 0 || !fill_strikes(&strikes, bold, underline, times, after))
        return refuse("put_strikes: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return NULL;
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_put_strikes(buffers[0].buf, buffers[0].len, &strikes, out, room);
    Py_END_ALLOW_THREADS
    return give(out, size);
}

/* find_passages(text, no_utf8_weight, fewest_between, least_sum, most): int64 [passages][2] as bytes */
static PyObject *find_passages(PyObject *args, Py_buffer *buffers)
{
    long long weight, between, least, most;
    if (!PyArg_ParseTuple(args, "y*LLLL", &buffers[0], &weight, &between, &least, &most))
        return NULL;
    if (!is_text(&buffers[0]) || weight < -1 || weight > 100 || between < 0 || between > MOST_BYTES || least < 1 ||
        most < 1 || most > MOST_BYTES / 16)
        return refuse("find_passages: arguments out of range");
    int64_t *bounds = allocate(16 * most), found = 0;
    if (!bounds)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    found = llmz_find_passages(buffers[0].buf, buffers[0].len, weight, between, least, bounds, most);
    Py_END_ALLOW_THREADS
    return give(bounds, 16 * found);
}

/* unescape(text, kind): the text and how many escapes it had */
static PyObject *unescape(PyObject *args, Py_buffer *buffers)
{
    int kind;
    if (!PyArg_ParseTuple(args, "y*i", &buffers[0], &kind))
        return NULL;
    if (!is_text(&buffers[0]) || kind < 0 || kind >= LLMZ_ESCAPES)
        return refuse("unescape: arguments out of range");
    uint8_t *out = allocate(buffers[0].len);
    if (!out)
        return NULL;
    int64_t size, escapes;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_unescape(kind, buffers[0].buf, buffers[0].len, out, &escapes);
    Py_END_ALLOW_THREADS
    PyObject *text = give(out, size);
    return text ? Py_BuildValue("NL", text, (long long)escapes) : NULL;
}

static PyObject *escape(PyObject *args, Py_buffer *buffers)
{
    int kind;
    long long room;
    if (!PyArg_ParseTuple(args, "y*iL", &buffers[0], &kind, &room))
        return NULL;
    if (!is_text(&buffers[0]) || kind < 0 || kind >= LLMZ_ESCAPES || room < 0)
        return refuse("escape: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return NULL;
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_escape(kind, buffers[0].buf, buffers[0].len, out, room);
    Py_END_ALLOW_THREADS
    return give(out, size);
}

/* join_quoted(text, width, crlf): the text, by how many units breaks come earlier than they must, how many are breaks */
static PyObject *join_quoted(PyObject *args, Py_buffer *buffers)
{
    long long width;
    int crlf;
    if (!PyArg_ParseTuple(args, "y*Lp", &buffers[0], &width, &crlf))
        return NULL;
    if (!is_text(&buffers[0]) || width < 4 || width > LLMZ_QUOTED_WIDTH)
        return refuse("join_quoted: arguments out of range");
    int64_t size = buffers[0].len, breaks = 0, joined = 0;
    uint8_t *out = allocate(size), *earlier = out ? allocate(lines_of(&buffers[0])) : NULL;
    if (!earlier) {
        free(out);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    size = llmz_join_quoted(buffers[0].buf, size, width, crlf, earlier, &breaks, &joined, out);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("NNL", give(out, size), give(earlier, breaks), (long long)joined);
}

static PyObject *break_quoted(PyObject *args, Py_buffer *buffers)
{
    long long width, room;
    int crlf;
    if (!PyArg_ParseTuple(args, "y*Lpz*L", &buffers[0], &width, &crlf, &buffers[1], &room))
        return NULL;
    if (!is_text(&buffers[0]) || width < 4 || width > LLMZ_QUOTED_WIDTH || room < 0)
        return refuse("break_quoted: arguments out of range");
    uint8_t *out = allocate(room);
    if (!out)
        return NULL;
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = llmz_break_quoted(buffers[0].buf, buffers[0].len, width, crlf, buffers[1].buf, buffers[1].len, out, room);
    Py_END_ALLOW_THREADS
    return give(out, size);
}

#define FUNCTIONS(USE)                                                                                                 \
    USE(join_lines) USE(break_lines) USE(count_lines) USE(count_sentences) USE(to_utf8) USE(from_utf8)                 \
    USE(utf16_to_utf8) USE(utf8_to_utf16) USE(count_no_utf8) USE(line_costs) USE(choose_by_line) USE(find_run)         \
    USE(write_run) USE(find_uu_run) USE(write_uu_run) USE(find_dump) USE(continue_dump) USE(form_length)               \
    USE(write_dump) USE(find_hex_records) USE(take_hex_records) USE(put_hex_records) USE(take_strikes)                 \
    USE(put_strikes) USE(find_passages) USE(unescape) USE(escape) USE(join_quoted) USE(break_quoted)

#define CALL(name)                                                                                                     \
    static PyObject *call_##name(PyObject *self, PyObject *args)                                                       \
    {                                                                                                                  \
        (void)self;                                                                                                    \
        return with_buffers(name, args);                                                                               \
    }
FUNCTIONS(CALL)

#define ENTRY(name) {#name, call_##name, METH_VARARGS, NULL},
static PyMethodDef functions[] = {FUNCTIONS(ENTRY){NULL, NULL, 0, NULL}};

int llmz_bind_text(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
