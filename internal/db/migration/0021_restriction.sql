-- +goose Up

-- subject: records whose use is paused (GDPR Art. 18): stored, and hardly anything else.
create table restriction (
  record   text primary key,
  person   text not null,
  case_id  text not null,
  ground   text not null check (ground in ('accuracy', 'unlawful', 'claims', 'objection')),
  since    timestamptz not null,
  lifts_at timestamptz
);
create index restriction_person on restriction (person);
