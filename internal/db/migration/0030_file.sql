-- +goose Up

-- file: uploads. A file belongs to one record and goes with it; its content is in
-- sealed chunks, its name and digest are sealed beside it. What nobody kept within an
-- hour is swept.
create table file (
  id          text primary key,
  record      text not null,
  type        text not null,
  size        bigint not null,
  scan        text not null check (scan in ('none', 'waiting', 'clean', 'infected')),
  active      boolean not null,
  kept        boolean not null,
  received_at timestamptz not null,
  sealed      bytea not null
);
create index file_record on file (record);
create index file_kept on file (kept, received_at);

create table file_chunk (
  file   text not null,
  n      bigint not null,
  sealed bytea not null,
  primary key (file, n)
);
