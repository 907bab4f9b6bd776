-- +goose Up

-- request: days on which staff were mailed what is due, and the secret address of the
-- calendar (only its hash). Neither is about anybody.
create table rights_digest (
  day text primary key
);
create table rights_calendar (
  h       text primary key,
  made_at timestamptz not null
);
