-- The list has no modification time, and its currency would be the merchant's, not the customer's.
select
  _row,
  customerUniqueId as id,
  firstName as first_name,
  lastName as last_name,
  nullif(concat_ws(' ', firstName, lastName), '') as name,
  email,
  case when phoneNumber is not null then concat(phoneNumberDialCode, phoneNumber) end as phone,
  lower(status) as status,
  status as status_raw,
  billingAddress['country'] as country,
  billingAddress['state'] as state,
  billingAddress['postCode'] as postcode,
  billingAddress['city'] as city,
  billingAddress['addressLine1'] as line1,
  createdOn as created_at
from customers
