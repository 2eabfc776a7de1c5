select
  _row,
  id,
  name,
  description,
  status,
  status as status_raw,
  custom_fields,
  updated_at
from item_families
