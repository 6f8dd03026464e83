/* JSON text to a flat array of nodes: simdjson (RFC 8259, validates UTF-8 and the whole document)
 * behind one extern "C" file.
 *
 * Why flat: callers in C walk an array in document order instead of crossing into C++ for each
 * member. A container's members follow it directly; `next` jumps behind it. Numbers keep their
 * kind, so that a long is never rounded through a double; an integer beyond uint64 is refused.
 * Duplicate member names are kept in the array: the reader of an object decides (tg_event refuses).
 *
 * Limits: bytes and depth per call (at most TG_JSON_BYTES_MAX, TG_JSON_DEPTH_MAX), nodes by bytes.
 * Nothing here recurses.
 * Threads: a parser belongs to one thread. */
#ifndef TG_JSON_H
#define TG_JSON_H

#include "common/base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TG_JSON_BYTES_MAX ((size_t)32 << 20)
#define TG_JSON_DEPTH_MAX 1024

typedef enum tg_json_type {
    TG_JSON_NULL,
    TG_JSON_FALSE,
    TG_JSON_TRUE,
    TG_JSON_INT,  /* fits int64 */
    TG_JSON_UINT, /* above INT64_MAX */
    TG_JSON_DOUBLE,
    TG_JSON_STRING,
    TG_JSON_ARRAY,
    TG_JSON_OBJECT,
} tg_json_type_t;

typedef struct tg_json_node {
    tg_json_type_t type;
    uint32_t next;  /* index of the node behind this one and its content */
    uint32_t count; /* members or elements of a container */
    tg_str_t key;   /* inside an object; unescaped UTF-8, may hold NUL */
    union {
        int64_t integer;
        uint64_t uinteger;
        double real;
        tg_str_t text; /* unescaped UTF-8, may hold NUL */
    } value;
} tg_json_node_t;

typedef struct tg_json_parser tg_json_parser_t;

/* Returns an owned parser for documents of at most `max_bytes` and `max_depth` levels, or NULL. */
tg_json_parser_t *tg_json_parser_create(size_t max_bytes, unsigned max_depth);
void tg_json_parser_destroy(tg_json_parser_t *parser);

/* The name, as written, of the member in or behind which the last refused text went wrong; empty if
 * that is not known. Borrowed from that text. */
tg_str_t tg_json_blamed(const tg_json_parser_t *parser);

/* Parses one document. The nodes (root is [0]) and their texts are borrowed until the next parse.
 * TG_INVALID with the reason and, where known, the byte offset; TG_TOO_LARGE for size or depth. */
TG_NODISCARD tg_status_t tg_json_parse(tg_json_parser_t *parser, tg_str_t text,
                                       const tg_json_node_t **out_nodes, size_t *out_count,
                                       tg_error_t *error);

/* Appends node `index` and its content as canonical compact JSON (members as they stand). */
void tg_json_write(const tg_json_node_t *nodes, size_t index, tg_buf_t *out);

/* Appends a finite double as tg_buf_json_double does, but -0.0 with its point: "-0" would be read
 * back as the integer 0. */
void tg_json_write_double(double value, tg_buf_t *out);

const char *tg_json_type_name(tg_json_type_t type);

#ifdef __cplusplus
}
#endif
#endif
