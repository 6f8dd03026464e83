/* Refusals of a schema: the place in words, as line and column and as a JSON pointer, and the
 * reason. Only a refused schema pays for this; jansson keeps no positions, so the text is walked
 * once more along the pointer. */
#include <stdarg.h>
#include <stdio.h>

#include "common/avro/parse/parse.h"

size_t tg_avro_enter(struct tg_avro_parse *p, const char *text, long index)
{
    size_t before = p->path_len;
    size_t room = sizeof(p->path) - before;
    int n = index < 0 ? snprintf(p->path + before, room, "/%s", text)
                      : snprintf(p->path + before, room, "/%s/%ld", text, index);
    assert(n > 0);
    if ((size_t)n < room)
        p->path_len = before + (size_t)n;
    else
        p->path[before] = '\0'; /* too deep to show: the place above must do */
    return before;
}

void tg_avro_leave(struct tg_avro_parse *p, size_t before)
{
    assert(before <= p->path_len);
    p->path_len = before;
    p->path[before] = '\0';
}

const char *tg_avro_json_words(const struct json_t *json)
{
    static const char *const words[] = {"an object", "an array", "a string", "an integer",
                                        "a number",  "true",     "false",    "null"};
    if (json == NULL)
        return "nothing";
    assert((size_t)json_typeof(json) < TG_ARRAY_LEN(words));
    return words[json_typeof(json)];
}

/* --- walking along a pointer --- */

/* Cuts the first step off the pointer. */
static tg_str_t next_step(const char **pointer)
{
    assert(**pointer == '/');
    const char *start = *pointer + 1;
    *pointer = strchrnul(start, '/');
    return (tg_str_t){start, (size_t)(*pointer - start)};
}

static size_t step_index(tg_str_t step)
{
    uint64_t index = 0;
    tg_status_t status = tg_str_to_u64(step, &index);
    assert(status == TG_OK); /* the parser wrote it */
    return (size_t)index;
}

/* --- the place in words --- */

struct words {
    const char *record, *field, *part; /* "items", "values", NULL */
    size_t branch;                     /* of a union, from 1; 0 if it is none */
    bool in_fields;
};

static const json_t *name_step(struct words *words, const json_t *at, tg_str_t step)
{
    if (json_is_array(at)) {
        size_t index = step_index(step);
        at = json_array_get(at, index);
        if (words->in_fields)
            words->field = json_string_value(json_object_get(at, "name"));
        else
            words->branch = index + 1;
        words->in_fields = false;
        return at;
    }
    words->part = NULL;
    words->branch = 0;
    if (tg_str_eq(step, TG_STR("fields"))) {
        words->record = json_string_value(json_object_get(at, "name"));
        words->field = NULL;
        words->in_fields = true;
    } else if (tg_str_eq(step, TG_STR("items"))) {
        words->part = "items";
    } else if (tg_str_eq(step, TG_STR("values"))) {
        words->part = "values";
    }
    return json_object_getn(at, step.ptr, step.len);
}

/* "branch 2 of items of field amount of record Order" */
static void put_surroundings(const struct words *words, tg_buf_t *out)
{
    if (words->branch > 0)
        tg_buf_printf(out, "branch %zu of ", words->branch);
    if (words->part != NULL)
        tg_buf_printf(out, "%s of ", words->part);
    if (words->field != NULL)
        tg_buf_printf(out, "field %.64s of ", words->field);
    if (words->record != NULL)
        tg_buf_printf(out, "record %.64s", words->record);
    else
        tg_buf_str(out, TG_STR("the schema"));
}

/* The surroundings, behind the definition that stands there, if one does: "enum Colour in …". */
static void place_in_words(const struct tg_avro_parse *p, tg_buf_t *out)
{
    struct words words = {0};
    const json_t *at = p->schema->json;
    for (const char *pointer = p->path; *pointer == '/' && at != NULL;)
        at = name_step(&words, at, next_step(&pointer));
    const char *type = json_string_value(json_object_get(at, "type"));
    const char *name = json_string_value(json_object_get(at, "name"));
    bool defined = type != NULL && name != NULL && name != words.field;
    if (defined)
        tg_buf_printf(out, "%.16s %.64s", type, name);
    if (defined && p->path_len == 0)
        return;
    if (defined)
        tg_buf_str(out, TG_STR(" in "));
    put_surroundings(&words, out);
}

/* --- the place in the text --- */

static size_t skip_space(tg_str_t text, size_t at)
{
    while (at < text.len && strchr(" \t\r\n", text.ptr[at]) != NULL && text.ptr[at] != '\0')
        at++;
    return at;
}

/* Behind the string that begins at `at`. */
static size_t skip_string(tg_str_t text, size_t at)
{
    for (at++; at < text.len && text.ptr[at] != '"'; at++)
        at += text.ptr[at] == '\\';
    return at + 1;
}

/* Behind the value that begins at `at`. */
static size_t skip_value(tg_str_t text, size_t at)
{
    unsigned depth = 0;
    while (at < text.len) {
        char c = text.ptr[at];
        if (depth == 0 && (c == ',' || c == ']' || c == '}'))
            break;
        if (c == '"') {
            at = skip_string(text, at);
            continue;
        }
        depth += c == '[' || c == '{';
        depth -= c == ']' || c == '}';
        at++;
    }
    return at;
}

/* From a value to the next one behind the comma; text.len at the container's end. */
static size_t next_value(tg_str_t text, size_t at)
{
    at = skip_space(text, skip_value(text, at));
    return at < text.len && text.ptr[at] == ',' ? skip_space(text, at + 1) : text.len;
}

static size_t find_element(tg_str_t text, size_t at, size_t index)
{
    for (; index > 0 && at < text.len; index--)
        at = next_value(text, at);
    return at;
}

static size_t find_member(tg_str_t text, size_t at, tg_str_t name)
{
    while (at < text.len && text.ptr[at] == '"') {
        size_t key = at + 1, end = skip_string(text, at);
        at = skip_space(text, skip_space(text, end) + 1); /* behind the colon */
        if (end - 1 - key == name.len && at < text.len &&
            memcmp(text.ptr + key, name.ptr, name.len) == 0)
            return at;
        at = next_value(text, at);
    }
    return text.len;
}

/* From a container's bracket to the value of one step; text.len when it is not found. */
static size_t find_step(tg_str_t text, size_t at, tg_str_t step)
{
    size_t inside = skip_space(text, at + 1);
    if (text.ptr[at] == '{')
        return find_member(text, inside, step);
    return text.ptr[at] == '[' ? find_element(text, inside, step_index(step)) : text.len;
}

/* Appends "line 3, column 14, " where the place can be found (names of members are not escaped). */
static void place_in_text(const struct tg_avro_parse *p, tg_buf_t *out)
{
    size_t at = skip_space(p->text, 0), line = 1, start = 0;
    for (const char *pointer = p->path; *pointer == '/' && at < p->text.len;)
        at = find_step(p->text, at, next_step(&pointer));
    if (at >= p->text.len)
        return;
    for (size_t i = 0; i < at; i++) {
        if (p->text.ptr[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    tg_buf_printf(out, "line %zu, column %zu, ", line, at - start + 1);
}

tg_status_t tg_avro_refuse(struct tg_avro_parse *p, tg_status_t status, const char *format, ...)
{
    char reason[320];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    tg_buf_t place = tg_buf_make(1024);
    place_in_words(p, &place);
    if (p->path_len > 0) {
        tg_buf_str(&place, TG_STR(" ("));
        place_in_text(p, &place);
        tg_buf_printf(&place, "%s)", p->path);
    }
    tg_str_t words = tg_buf_view(&place);
    tg_error_set(p->error, status, TG_STR_FMT ": %s", TG_STR_ARG(words), reason);
    tg_buf_dispose(&place);
    return status;
}

tg_status_t tg_avro_refuse_memory(struct tg_avro_parse *p)
{
    return tg_avro_refuse(p, TG_TOO_LARGE, "the schema needs more memory than is allowed");
}
