/* The order that every writer sorts by, so that no two of them can wait for each other in a circle.
 */
#include "worker/store/row.h"

int tg_row_compare(const tg_row_t *a, const tg_row_t *b)
{
    assert(a->series.ptr != NULL);
    assert(b->series.ptr != NULL);
    int order = tg_str_cmp(tg_row_scope(a), tg_row_scope(b));
    if (order == 0)
        order = (a->occurred_at > b->occurred_at) - (a->occurred_at < b->occurred_at);
    return order != 0 ? order : memcmp(a->id.bytes, b->id.bytes, sizeof(a->id.bytes));
}
