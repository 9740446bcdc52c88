// As much JSON as this plugin needs: to find a value by its name, and to write
// text. Strings stay as they are written in the document, escapes included, so
// that they go from one document into another as they are.

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Some bytes of a document.
typedef struct {
    const char *at;
    size_t len;
} slice;

// Text that grows.
typedef struct {
    char *at;
    size_t len, room;
} text;

enum { DEPTH = 64 };

static const char *json_value(const char *at, const char *end, int depth);

static const char *json_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
    return at;
}

static const char *json_string(const char *at, const char *end) {
    if (at >= end || *at != '"') return NULL;
    for (at++; at < end; at++) {
        if (*at == '\\') at++;
        else if (*at == '"') return at + 1;
        else if ((unsigned char)*at < ' ') return NULL;
    }
    return NULL;
}

static const char *json_word(const char *at, const char *end, const char *word) {
    size_t length = strlen(word);
    return (size_t)(end - at) >= length && memcmp(at, word, length) == 0 ? at + length : NULL;
}

static const char *json_number(const char *at, const char *end) {
    const char *start = at;
    while (at < end && ((*at >= '0' && *at <= '9') || *at == '-' || *at == '+' || *at == '.' || *at == 'e' || *at == 'E'))
        at++;
    return at > start ? at : NULL;
}

// A list or an object, from its bracket on. `name` and `found` pick a member.
static const char *json_members(const char *at, const char *end, int depth, const char *name, slice *found) {
    bool object = *at == '{';
    char closing = object ? '}' : ']';
    at = json_space(at + 1, end);
    if (at < end && *at == closing) return at + 1;
    while (depth < DEPTH) {
        slice key = {at, 0};
        if (object) {
            if ((at = json_string(at, end)) == NULL) return NULL;
            key.len = (size_t)(at - key.at);
            at = json_space(at, end);
            if (at >= end || *at++ != ':') return NULL;
        }
        slice value = {json_space(at, end), 0};
        if ((at = json_value(value.at, end, depth + 1)) == NULL) return NULL;
        value.len = (size_t)(at - value.at);
        if (name != NULL && key.len == strlen(name) + 2 && memcmp(key.at + 1, name, key.len - 2) == 0) *found = value;
        at = json_space(at, end);
        if (at >= end) return NULL;
        if (*at == closing) return at + 1;
        if (*at != ',') return NULL;
        at = json_space(at + 1, end);
    }
    return NULL;
}

// Where the value at `at` ends; NULL when there is none.
static const char *json_value(const char *at, const char *end, int depth) {
    if (at >= end) return NULL;
    switch (*at) {
    case '{': case '[': return json_members(at, end, depth, NULL, NULL);
    case '"': return json_string(at, end);
    case 't': return json_word(at, end, "true");
    case 'f': return json_word(at, end, "false");
    case 'n': return json_word(at, end, "null");
    default: return json_number(at, end);
    }
}

// The member `name` of an object that is the whole of `document`.
static bool json_get(slice document, const char *name, slice *found) {
    const char *end = document.at + document.len, *at = json_space(document.at, end);
    *found = (slice){NULL, 0};
    if (at >= end || *at != '{') return false;
    at = json_members(at, end, 0, name, found);
    return at != NULL && json_space(at, end) == end && found->at != NULL;
}

static bool json_int(slice value, int64_t *number) {
    bool negative = value.len > 0 && value.at[0] == '-';
    uint64_t made = 0;
    if (value.len == (size_t)negative || value.len > 18) return false;
    for (size_t at = negative; at < value.len; at++) {
        if (value.at[at] < '0' || value.at[at] > '9') return false;
        made = made * 10 + (uint64_t)(value.at[at] - '0');
    }
    *number = negative ? -(int64_t)made : (int64_t)made;
    return true;
}

// A string without its quotes, escapes left as they are.
static bool json_text(slice value, slice *inside) {
    if (value.len < 2 || value.at[0] != '"') return false;
    *inside = (slice){value.at + 1, value.len - 2};
    return true;
}

static void add_bytes(text *to, const void *bytes, size_t length) {
    if (to->len + length > to->room) {
        to->room = 2 * (to->len + length);
        char *larger = malloc(to->room);
        memcpy(larger, to->at, to->len);
        to->at = larger;
    }
    memcpy(to->at + to->len, bytes, length);
    to->len += length;
}

static void add(text *to, const char *words) { add_bytes(to, words, strlen(words)); }

static void add_slice(text *to, slice bytes) { add_bytes(to, bytes.at, bytes.len); }

static void add_number(text *to, int64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do digits[--at] = (char)('0' + left % 10); while ((left /= 10) > 0);
    if (number < 0) add(to, "-");
    add_bytes(to, digits + at, sizeof digits - at);
}

// Plain text as a JSON string.
static void add_quoted(text *to, slice plain) {
    static const char HEX[] = "0123456789abcdef";
    add(to, "\"");
    for (size_t at = 0; at < plain.len; at++) {
        unsigned char byte = (unsigned char)plain.at[at];
        if (byte < ' ') {
            char escape[] = {'\\', 'u', '0', '0', HEX[byte >> 4], HEX[byte & 15]};
            add_bytes(to, escape, sizeof escape);
        } else {
            if (byte == '"' || byte == '\\') add(to, "\\");
            add_bytes(to, &plain.at[at], 1);
        }
    }
    add(to, "\"");
}
