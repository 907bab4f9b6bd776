-- +goose Up

-- intake: a letter of the person joins an enquiry. A check cannot be changed in place on SQLite.
alter table enquiry_event rename to enquiry_event_before;
drop index enquiry_event_of;
create table enquiry_event (
  id      text primary key,
  enquiry text not null,
  kind    text not null check (kind in ('opened', 'answered', 'noted', 'released', 'fetched', 'assigned', 'handed', 'called', 'closed', 'reopened', 'written')),
  at      timestamptz not null,
  sealed  bytea not null
);
insert into enquiry_event (id, enquiry, kind, at, sealed) select id, enquiry, kind, at, sealed from enquiry_event_before;
drop table enquiry_event_before;
create index enquiry_event_of on enquiry_event (enquiry, at);
