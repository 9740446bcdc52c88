// What the bindings need of a C library. A plugin's memory ends with the call,
// so that nothing is ever given back, and `free` has nothing to do: what points
// to constants may be handed to the host like anything else.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern unsigned char __heap_base;

#define PAGE 65536

static uintptr_t next;

void *malloc(size_t size) {
    if (next == 0) next = (uintptr_t)&__heap_base;
    uintptr_t start = (next + 15) & ~(uintptr_t)15;
    uintptr_t room = __builtin_wasm_memory_size(0) * (uintptr_t)PAGE;
    if (size > SIZE_MAX - start - PAGE) abort();
    if (start + size > room) {
        size_t pages = (start + size - room + PAGE - 1) / PAGE;
        // The host's limit: the call ends here and says so.
        if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX) abort();
    }
    next = start + size;
    return (void *)start;
}

void *realloc(void *old, size_t size) {
    void *made = malloc(size);
    // More than was there may be copied, and nobody looks at it.
    if (old != NULL) memcpy(made, old, size);
    return made;
}

void free(void *pointer) { (void)pointer; }

void abort(void) { __builtin_trap(); }

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    for (size_t at = 0; at < size; at++) ((char *)to)[at] = ((const char *)from)[at];
    return to;
}

int memcmp(const void *one, const void *other, size_t size) {
    const unsigned char *left = one, *right = other;
    for (size_t at = 0; at < size; at++) {
        if (left[at] != right[at]) return left[at] < right[at] ? -1 : 1;
    }
    return 0;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length] != 0) length++;
    return length;
}
