-- +goose Up

-- breach: the register of Art. 33(5). What was written is sealed under the breach's own key.
create table breach (
  id          text primary key,
  number      text not null unique,
  aware_at    timestamptz not null,
  opened_at   timestamptz not null,
  notified_at timestamptz,
  closed_at   timestamptz
);
create table breach_event (
  id     text primary key,
  breach text not null references breach (id),
  kind   text not null check (kind in ('opened', 'saved', 'contained', 'notified', 'told', 'closed')),
  at     timestamptz not null,
  sealed bytea not null
);
create index breach_event_of on breach_event (breach, at);

-- breach: who was written to (Art. 34), so that nobody gets the letter twice.
create table breach_letter (
  breach text not null references breach (id),
  person text not null,
  at     timestamptz not null,
  primary key (breach, person)
);
