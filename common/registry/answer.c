/* The registry's JSON answers. */
#include "common/registry/answer.h"

#include <stdlib.h>

#include "common/json/json.h"

#define DEPTH_MAX 16 /* references and metadata of a Confluent-compatible registry */

struct tg_registry_answer_parser {
    tg_json_parser_t *json;
};

tg_registry_answer_parser_t *tg_registry_answer_parser_create(size_t max_bytes)
{
    tg_registry_answer_parser_t *parser = calloc(1, sizeof(*parser));
    if (parser == NULL)
        return NULL;
    parser->json = tg_json_parser_create(max_bytes, DEPTH_MAX);
    if (parser->json == NULL) {
        free(parser);
        return NULL;
    }
    return parser;
}

void tg_registry_answer_parser_destroy(tg_registry_answer_parser_t *parser)
{
    if (parser == NULL)
        return;
    tg_json_parser_destroy(parser->json);
    free(parser);
}

static tg_status_t read_member(const tg_json_node_t *node, tg_registry_answer_t *answer,
                               tg_error_t *error)
{
    if (tg_str_eq(node->key, TG_STR("schema"))) {
        if (node->type != TG_JSON_STRING)
            return tg_error_set(error, TG_INVALID, "\"schema\" is no text");
        answer->schema = node->value.text;
    } else if (tg_str_eq(node->key, TG_STR("id"))) {
        if (node->type != TG_JSON_INT || node->value.integer < 1 || node->value.integer > INT32_MAX)
            return tg_error_set(error, TG_INVALID, "\"id\" is no schema id");
        answer->id = (uint32_t)node->value.integer;
    } else if (tg_str_eq(node->key, TG_STR("schemaType"))) {
        if (node->type != TG_JSON_STRING || !tg_str_eq(node->value.text, TG_STR("AVRO")))
            return tg_error_set(error, TG_INVALID, "the schema's type is not AVRO");
    }
    return TG_OK;
}

tg_status_t tg_registry_answer_parse(tg_registry_answer_parser_t *parser, tg_str_t body,
                                     uint32_t asked_id, tg_registry_answer_t *out_answer,
                                     tg_error_t *error)
{
    assert(parser != NULL);
    const tg_json_node_t *nodes;
    size_t count;
    tg_status_t status = tg_json_parse(parser->json, body, &nodes, &count, error);
    if (status != TG_OK)
        return status;
    if (nodes[0].type != TG_JSON_OBJECT)
        return tg_error_set(error, TG_INVALID, "the answer is no object");
    tg_registry_answer_t answer = {0};
    for (size_t i = 1; i < nodes[0].next; i = nodes[i].next) {
        status = read_member(&nodes[i], &answer, error);
        if (status != TG_OK)
            return status;
    }
    if (answer.schema.ptr == NULL)
        return tg_error_set(error, TG_INVALID, "the answer has no \"schema\"");
    if (answer.id == 0)
        answer.id = asked_id;
    if (answer.id == 0 || (asked_id != 0 && answer.id != asked_id))
        return tg_error_set(error, TG_INVALID, "the answer's \"id\" is missing or another");
    *out_answer = answer;
    return TG_OK;
}
