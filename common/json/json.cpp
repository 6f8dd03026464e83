/* simdjson's tape turned into the flat nodes of json.h.
 *
 * The tape is walked directly (its layout is documented and stable): one loop over 64-bit words, no
 * iterator objects and no recursion. Buffers are kept between calls and grow by doubling; after an
 * unusually large document they are given back at the next call, so that one batch does not pin
 * memory for good.
 *
 * No exception leaves this file: simdjson is used through error codes, allocation through nothrow
 * new and malloc. */
#include <cassert>
#include <cstdint>
#include <cstring>

/* The C headers leave members out of initialisers, which C fills with zeros as C++ does. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
extern "C" {
#include "common/json/json.h"
}
#pragma GCC diagnostic pop

#include <cstdlib>
#include <new>
#include <simdjson.h>

#include "common/json/explain.h"

namespace
{

constexpr size_t KEEP_BYTES = (size_t)1 << 20; /* a larger document's memory is not kept */
constexpr size_t FIRST_BYTES = 4096;
constexpr size_t CACHE_LINE = 64;
constexpr size_t HALF_PAGE = 2048;
static_assert(HALF_PAGE >= simdjson::SIMDJSON_PADDING, "the padding behind a text");

struct open_container {
    uint32_t node;
    uint32_t count;
    bool object;
};

} // namespace

struct tg_json_parser {
    simdjson::dom::parser dom;
    size_t max_bytes;
    unsigned max_depth;
    char *text; /* padded copy of the input */
    size_t text_cap;
    tg_json_node_t *nodes;
    size_t node_cap;
    open_container *open; /* max_depth + 1 */
    tg_str_t blamed;
};

tg_json_parser_t *tg_json_parser_create(size_t max_bytes, unsigned max_depth)
{
    assert(max_bytes > 0 && max_bytes <= TG_JSON_BYTES_MAX);
    assert(max_depth > 0 && max_depth <= TG_JSON_DEPTH_MAX);
    auto *parser = new (std::nothrow) tg_json_parser();
    if (parser == nullptr)
        return nullptr;
    parser->max_bytes = max_bytes;
    parser->max_depth = max_depth;
    parser->open = (open_container *)calloc(max_depth + 1, sizeof(open_container));
    if (parser->open == nullptr) {
        tg_json_parser_destroy(parser);
        return nullptr;
    }
    return parser;
}

void tg_json_parser_destroy(tg_json_parser_t *parser)
{
    if (parser == nullptr)
        return;
    free(parser->text);
    free(parser->nodes);
    free(parser->open);
    delete parser;
}

namespace
{

/* Gives back what an earlier, much larger document needed. */
void shrink(tg_json_parser_t *parser, size_t len)
{
    if (parser->text_cap <= KEEP_BYTES || len > KEEP_BYTES)
        return;
    free(parser->text);
    free(parser->nodes);
    parser->text = nullptr;
    parser->nodes = nullptr;
    parser->text_cap = parser->node_cap = 0;
    parser->dom = simdjson::dom::parser();
}

tg_status_t reserve_text(tg_json_parser_t *parser, size_t len)
{
    shrink(parser, len);
    if (len <= parser->text_cap)
        return TG_OK;
    size_t cap = parser->text_cap == 0 ? FIRST_BYTES : parser->text_cap;
    while (cap < len)
        cap *= 2;
    /* At a cache line, since the parser loads whole lines of what has just been stored there, and
     * with half a page behind it, so that what is allocated next (the indices and strings that the
     * parser stores as it loads) lies elsewhere in its pages: the processor takes a load for the
     * store of the same offset and waits, a fifth of a small document's time. */
    char *text = (char *)aligned_alloc(CACHE_LINE, cap + HALF_PAGE);
    if (text == nullptr)
        return TG_NOMEM;
    memset(text, 0, cap + HALF_PAGE);
    free(parser->text);
    parser->text = text;
    parser->text_cap = cap;
    /* The tape is allocated with the document; both at the rounded size, so that it happens rarely.
     */
    if (parser->dom.allocate(cap, parser->max_depth + 1) != simdjson::SUCCESS ||
        parser->dom.doc.allocate(cap) != simdjson::SUCCESS)
        return TG_NOMEM;
    return TG_OK;
}

tg_status_t reserve_nodes(tg_json_parser_t *parser, size_t count)
{
    if (count <= parser->node_cap)
        return TG_OK;
    size_t cap = parser->node_cap == 0 ? 64 : parser->node_cap;
    while (cap < count)
        cap *= 2;
    auto *nodes = (tg_json_node_t *)malloc(cap * sizeof(tg_json_node_t));
    if (nodes == nullptr)
        return TG_NOMEM;
    free(parser->nodes);
    parser->nodes = nodes;
    parser->node_cap = cap;
    return TG_OK;
}

/* A string on the tape is an offset into the string buffer: 4 bytes of length, then the text. */
inline tg_str_t string_at(const uint8_t *strings, uint64_t payload)
{
    uint32_t len;
    memcpy(&len, strings + payload, sizeof(len));
    return {(const char *)strings + payload + sizeof(len), len};
}

constexpr uint64_t PAYLOAD = UINT64_C(0x00ffffffffffffff);

/* Fills a scalar from the tape word at `at`; returns how many words it took. */
inline size_t read_scalar(const uint64_t *tape, size_t at, const uint8_t *strings,
                          tg_json_node_t *node)
{
    switch ((char)(tape[at] >> 56)) {
    case '"':
        node->type = TG_JSON_STRING;
        node->value.text = string_at(strings, tape[at] & PAYLOAD);
        return 1;
    case 'l':
        node->type = TG_JSON_INT;
        memcpy(&node->value.integer, &tape[at + 1], sizeof(int64_t));
        return 2;
    case 'u':
        node->type = TG_JSON_UINT;
        node->value.uinteger = tape[at + 1];
        return 2;
    case 'd':
        node->type = TG_JSON_DOUBLE;
        memcpy(&node->value.real, &tape[at + 1], sizeof(double));
        return 2;
    case 't':
        node->type = TG_JSON_TRUE;
        return 1;
    case 'f':
        node->type = TG_JSON_FALSE;
        return 1;
    default:
        node->type = TG_JSON_NULL;
        return 1;
    }
}

/* Walks the tape once. The first word is the root and says where the last one is. Gives 0 when it
 * is too deep: simdjson does not count an empty container as a level. */
size_t build_nodes(tg_json_parser_t *parser)
{
    const uint64_t *tape = parser->dom.doc.tape.get();
    const uint8_t *strings = parser->dom.doc.string_buf.get();
    const size_t last = (size_t)(tape[0] & PAYLOAD) - 1;
    tg_json_node_t *nodes = parser->nodes;
    open_container *top = parser->open; /* [0] stands for the document */
    uint32_t count = 0;
    *top = {0, 0, false};

    for (size_t at = 1; at < last;) {
        const char tag = (char)(tape[at] >> 56);
        if (tag == '}' || tag == ']') {
            assert(top > parser->open);
            nodes[top->node].next = count;
            nodes[top->node].count = top->count;
            top--;
            at++;
            continue;
        }
        tg_json_node_t *node = &nodes[count];
        if (top->object)
            node->key = string_at(strings, tape[at++] & PAYLOAD);
        else
            node->key = {nullptr, 0};
        top->count++;
        node->count = 0;
        const char kind = (char)(tape[at] >> 56);
        if (kind == '{' || kind == '[') {
            node->type = kind == '{' ? TG_JSON_OBJECT : TG_JSON_ARRAY;
            node->value.uinteger = 0;
            if (top == parser->open + parser->max_depth)
                return 0;
            *++top = {count, 0, kind == '{'};
            at++;
        } else {
            at += read_scalar(tape, at, strings, node);
        }
        node->next = ++count;
    }
    assert(top == parser->open);
    return count;
}

tg_status_t refuse(tg_json_parser_t *parser, tg_str_t text, simdjson::error_code code,
                   tg_error_t *error)
{
    if (code == simdjson::DEPTH_ERROR)
        return tg_error_set(error, TG_TOO_LARGE, "JSON nested deeper than %u levels",
                            parser->max_depth);
    if (code == simdjson::MEMALLOC)
        return tg_error_set(error, TG_NOMEM, "out of memory for a JSON document");
    return tg_json_explain(text, parser->max_depth, &parser->blamed, error);
}

} // namespace

tg_str_t tg_json_blamed(const tg_json_parser_t *parser)
{
    return parser->blamed;
}

tg_status_t tg_json_parse(tg_json_parser_t *parser, tg_str_t text, const tg_json_node_t **out_nodes,
                          size_t *out_count, tg_error_t *error)
{
    assert(parser != nullptr);
    assert(out_nodes != nullptr);
    parser->blamed = {nullptr, 0};
    if (text.len > parser->max_bytes)
        return tg_error_set(error, TG_TOO_LARGE, "JSON of %zu bytes; the limit is %zu", text.len,
                            parser->max_bytes);
    if (reserve_text(parser, text.len) != TG_OK)
        return tg_error_set(error, TG_NOMEM, "out of memory for a JSON document");
    if (text.len > 0)
        memcpy(parser->text, text.ptr, text.len);
    const simdjson::error_code code = parser->dom.parse(parser->text, text.len, false).error();
    if (code != simdjson::SUCCESS)
        return refuse(parser, text, code, error);
    /* A node is at least one word, so the tape's length bounds the nodes. */
    const uint64_t words = parser->dom.doc.tape[0] & PAYLOAD;
    if (reserve_nodes(parser, (size_t)words) != TG_OK)
        return tg_error_set(error, TG_NOMEM, "out of memory for a JSON document");
    const size_t count = build_nodes(parser);
    if (count == 0)
        return refuse(parser, text, simdjson::DEPTH_ERROR, error);
    *out_count = count;
    *out_nodes = parser->nodes;
    return TG_OK;
}
