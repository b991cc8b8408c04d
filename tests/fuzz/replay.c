/* Run a target over files, for compilers that have no fuzzer: replay FILE... */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int count, char **arguments)
{
    LLVMFuzzerInitialize(&count, &arguments);
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(arguments[i], "rb");
        if (!file) {
            fprintf(stderr, "cannot be opened: %s\n", arguments[i]);
            return 1;
        }
        fseek(file, 0, SEEK_END);
        size_t size = (size_t)ftell(file);
        uint8_t *data = malloc(size + 1);
        rewind(file);
        if (fread(data, 1, size, file) != size)
            return 1;
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    printf("replayed %d inputs\n", count - 1);
    return 0;
}
