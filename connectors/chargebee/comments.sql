select
  _row,
  id,
  entity_type,
  entity_id,
  type as kind,
  notes,
  added_by,
  created_at
from comments
