/* Answers, read member by member in their flat form. */
#include "loadtest/simulator/answer.h"

#include "common/base/uuid.h"

size_t tg_answer_member(const tg_json_node_t *nodes, size_t at, tg_str_t name)
{
    if (nodes[at].type != TG_JSON_OBJECT)
        return SIZE_MAX;
    for (size_t i = at + 1; i < nodes[at].next; i = nodes[i].next) {
        if (tg_str_eq(nodes[i].key, name))
            return i;
    }
    return SIZE_MAX;
}

/* Empty when there is no such text. */
static tg_str_t text_member(const tg_json_node_t *nodes, size_t at, const char *name)
{
    size_t member = tg_answer_member(nodes, at, tg_str_from(name));
    if (member == SIZE_MAX || nodes[member].type != TG_JSON_STRING)
        return (tg_str_t){NULL, 0};
    return nodes[member].value.text;
}

static tg_answer_state_t state_of(tg_str_t status)
{
    static const struct {
        const char *name;
        tg_answer_state_t state;
    } states[] = {{"accepted", TG_ANSWER_ACCEPTED},
                  {"duplicate", TG_ANSWER_DUPLICATE},
                  {"rejected", TG_ANSWER_REJECTED},
                  {"failed", TG_ANSWER_FAILED}};
    for (size_t i = 0; i < TG_ARRAY_LEN(states); i++) {
        if (tg_str_eq(status, tg_str_from(states[i].name)))
            return states[i].state;
    }
    return TG_ANSWER_NOT_TOLD;
}

static bool is_uuid(tg_str_t text)
{
    tg_uuid_t uuid;
    return tg_uuid_parse(text, &uuid) == TG_OK;
}

static bool read_item(const tg_json_node_t *nodes, size_t at, size_t count, tg_answer_item_t *items)
{
    size_t index = tg_answer_member(nodes, at, TG_STR("index"));
    if (index == SIZE_MAX || nodes[index].type != TG_JSON_INT || nodes[index].value.integer < 0 ||
        (size_t)nodes[index].value.integer >= count)
        return false;
    tg_answer_item_t *item = &items[nodes[index].value.integer];
    if (item->state != TG_ANSWER_NOT_TOLD)
        return false;
    item->state = state_of(text_member(nodes, at, "status"));
    item->event_id = text_member(nodes, at, "event_id");
    item->code = text_member(nodes, at, "code");
    return item->state != TG_ANSWER_NOT_TOLD &&
           (item->state != TG_ANSWER_ACCEPTED || is_uuid(item->event_id));
}

tg_status_t tg_answer_parse_batch(tg_json_parser_t *parser, tg_str_t body, size_t count,
                                  tg_answer_item_t *out_items)
{
    assert(count > 0 && out_items != NULL);
    const tg_json_node_t *nodes = NULL;
    size_t node_count = 0, told = 0;
    memset(out_items, 0, count * sizeof(*out_items));
    if (tg_json_parse(parser, body, &nodes, &node_count, NULL) != TG_OK)
        return TG_INVALID;
    size_t list = tg_answer_member(nodes, 0, TG_STR("items"));
    if (list == SIZE_MAX || nodes[list].type != TG_JSON_ARRAY)
        return TG_INVALID;
    for (size_t i = list + 1; i < nodes[list].next; i = nodes[i].next, told++) {
        if (!read_item(nodes, i, count, out_items))
            return TG_INVALID;
    }
    return told == count ? TG_OK : TG_INVALID;
}

tg_status_t tg_answer_parse_single(tg_json_parser_t *parser, tg_str_t body,
                                   tg_answer_item_t *out_item)
{
    const tg_json_node_t *nodes = NULL;
    size_t node_count = 0;
    if (tg_json_parse(parser, body, &nodes, &node_count, NULL) != TG_OK)
        return TG_INVALID;
    tg_str_t id = text_member(nodes, 0, "event_id");
    if (!is_uuid(id))
        return TG_INVALID;
    *out_item = (tg_answer_item_t){.state = TG_ANSWER_ACCEPTED, .event_id = id};
    return TG_OK;
}

tg_str_t tg_answer_error_code(tg_json_parser_t *parser, tg_str_t body)
{
    const tg_json_node_t *nodes = NULL;
    size_t node_count = 0;
    if (tg_json_parse(parser, body, &nodes, &node_count, NULL) != TG_OK)
        return (tg_str_t){NULL, 0};
    size_t error = tg_answer_member(nodes, 0, TG_STR("error"));
    return text_member(nodes, error == SIZE_MAX ? 0 : error, "code");
}
