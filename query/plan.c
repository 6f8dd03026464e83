/* Filling a plan's parameters. Each is text for PostgreSQL; lengths were checked by the route's
 * rows. */
#include "query/plan.h"

#include <stdio.h>

#define NEAR_TTL_MS 1000
#define FAR_TTL_MS  10000

static char *next_param(tg_plan_t *plan)
{
    assert(plan->param_count < TG_PLAN_PARAMS_MAX);
    return plan->params[plan->param_count++].text;
}

void tg_plan_time(tg_plan_t *plan, int64_t us)
{
    _Static_assert(TG_PLAN_TEXT_MAX >= TG_TIME_TEXT_MAX, "a time fits a parameter");
    char *text = next_param(plan);
    plan->params[plan->param_count - 1].len = tg_time_format(us, text);
}

void tg_plan_number(tg_plan_t *plan, int64_t number)
{
    char *text = next_param(plan);
    plan->params[plan->param_count - 1].len =
        (size_t)snprintf(text, TG_PLAN_TEXT_MAX, "%lld", (long long)number);
}

void tg_plan_null(tg_plan_t *plan)
{
    (void)next_param(plan);
    plan->params[plan->param_count - 1].null = true;
}

void tg_plan_str(tg_plan_t *plan, tg_str_t text)
{
    char *place = next_param(plan);
    assert(text.len > 0 && text.len < TG_PLAN_TEXT_MAX);
    memcpy(place, text.ptr, text.len);
    plan->params[plan->param_count - 1].len = text.len;
}

void tg_plan_text(tg_plan_t *plan, const tg_param_value_t *value)
{
    assert(value != NULL);
    if (value->present)
        tg_plan_str(plan, value->text);
    else
        tg_plan_null(plan);
}

void tg_plan_optional_number(tg_plan_t *plan, const tg_param_value_t *value)
{
    assert(value != NULL);
    if (value->present)
        tg_plan_number(plan, value->number);
    else
        tg_plan_null(plan);
}

uint64_t tg_plan_ttl_ms(const tg_plan_t *plan)
{
    assert(plan->now > 0);
    return plan->to > plan->now - TG_US_PER_HOUR ? NEAR_TTL_MS : FAR_TTL_MS;
}
