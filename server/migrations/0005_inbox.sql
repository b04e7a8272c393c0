-- What the inbox filters by, each with the order of its list.
create index conversations_by_status on conversations (business_id, status, last_activity_at desc, conversation_id desc);
create index conversations_by_location on conversations (business_id, location_id, last_activity_at desc, conversation_id desc);

alter table staffs add column last_seen_at timestamptz;
create index staffs_by_name on staffs (business_id, lower(name), staff_id);
create index staff_locations_by_location on staff_locations (business_id, location_id, staff_id);
