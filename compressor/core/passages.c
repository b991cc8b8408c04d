/* Where a text is interrupted by bytes that are none: control characters, NULs and, in UTF-8, what is not UTF-8. */

#include "core.h"

#define NUL_WEIGHT 10
#define CONTROL_WEIGHT 6

static int weight_of(uint8_t byte)
{
    /* White space, backspace, escape and the separators of records occur in text. */
    if (byte >= 32 || (byte >= 8 && byte <= 13) || byte >= 27)
        return byte == 127 ? CONTROL_WEIGHT : -1;
    return byte ? CONTROL_WEIGHT : NUL_WEIGHT;
}

int64_t llmz_find_passages(const uint8_t *text, int64_t size, int64_t no_utf8_weight, int64_t fewest_between,
                           int64_t least_sum, int64_t *bounds, int64_t most)
{
    int64_t found = 0, sum = 0, begin = 0, highest = 0, highest_end = 0;
    for (int64_t at = 0; at <= size && found < most;) {
        int64_t length = 1, weight = at < size ? weight_of(text[at]) : -fewest_between - 1;
        if (at < size && text[at] >= 0x80) {
            length = llmz_utf8_length(text + at, size - at);
            weight = length ? -length : no_utf8_weight;
            length = length ? length : 1;
        }
        if (sum <= 0 && weight > 0) {
            begin = at;
            sum = highest = 0;
        }
        sum += weight;
        at += length;
        if (weight > 0 && sum >= highest) {
            highest = sum;
            highest_end = at;
        }
        if (highest > 0 && (sum <= 0 || at - highest_end > fewest_between)) {
            if (highest >= least_sum) {
                bounds[2 * found] = begin;
                bounds[2 * found + 1] = highest_end;
                found++;
                at = highest_end;
            }
            sum = highest = 0;
        }
    }
    return found;
}
