-- Chargebee tells the state after an event, never the one before.
select
  _row,
  concat(event_id, ':', subscription_id) as id,
  event_id,
  subscription_id,
  at,
  kind,
  after
from (
  select
    _row,
    id as event_id,
    json_text(content, '/subscription/id') as subscription_id,
    occurred_at as at,
    event_type as kind,
    json_pick(content, '/subscription') as after
  from events
)
where subscription_id is not null and (starts_with(kind, 'subscription_') or kind = 'mrr_updated')
