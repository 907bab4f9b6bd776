-- +goose Up

-- intake: more can happen to an enquiry. A check cannot be changed in place on SQLite.
alter table enquiry_event rename to enquiry_event_before;
drop index enquiry_event_of;
create table enquiry_event (
  id      text primary key,
  enquiry text not null,
  kind    text not null check (kind in ('opened', 'answered', 'noted', 'released', 'fetched', 'assigned', 'handed', 'called', 'closed', 'reopened')),
  at      timestamptz not null,
  sealed  bytea not null
);
insert into enquiry_event (id, enquiry, kind, at, sealed) select id, enquiry, kind, at, sealed from enquiry_event_before;
drop table enquiry_event_before;
create index enquiry_event_of on enquiry_event (enquiry, at);

-- Who works on it (a user's id, or nobody), and how it came.
alter table enquiry add column assignee text not null default '';
alter table enquiry add column came text not null default 'form' check (came in ('form', 'phone', 'letter', 'mail'));
create index enquiry_assignee on enquiry (assignee, state);
